"""Certain rules for Python, each a small function of one node of the syntax tree."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from pytest_starcoder.review.finding import Severity
from pytest_starcoder.review.line_rules import Fault, is_test_file

Violations = Iterator[tuple[Any, str]]
"""Nodes whose first line violates a rule, and the messages."""

Check = TypeVar("Check", bound=Callable[..., Violations])

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Rule(NamedTuple):
    """A rule, by its name in reports, and the function that checks a node."""

    name: str
    severity: Severity
    check: Callable[..., Violations]


RULES: dict[str, Rule] = {}

_RULES_OF_NODE: dict[type[ast.AST], list[Rule]] = {}

_NOT_IN_TESTS = ("same-operands", "assigned-to-itself")
"""Tests of operators and properties use a value with itself on purpose."""

_RAISING = ("past-the-end", "range-too-long")
"""Rules about code that raises, which may be intended."""


def rule(name: str, severity: Severity, *nodes: type[ast.AST]) -> Callable[[Check], Check]:
    """Register a function as the rule for some types of nodes."""

    def register(check: Check) -> Check:
        RULES[name] = Rule(name, severity, check)
        for node in nodes:
            _RULES_OF_NODE.setdefault(node, []).append(RULES[name])
        return check

    return register


class PythonModule:
    """A Python file to check; `quoted_lines` are those that begin inside a multi-line string."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self._nodes = _walk(tree)
        self._is_test = is_test_file(path)
        self.quoted_lines = _quoted_lines(self._nodes)

    def check(self) -> Iterator[tuple[int, Fault]]:
        """Yield every fault with its line."""
        protected = _protected_lines(self._nodes)
        for node in self._nodes:
            for checked in _RULES_OF_NODE.get(type(node), ()):
                if self._is_test and checked.name in _NOT_IN_TESTS:
                    continue
                with contextlib.suppress(RecursionError):  # thousands of operands
                    for place, message in checked.check(node):
                        if checked.name in _RAISING and place.lineno in protected:
                            continue
                        yield place.lineno, Fault(checked.name, checked.severity, message)


def _walk(tree: ast.Module) -> list[ast.AST]:
    """Return the nodes that rules look at; three times as fast as `ast.walk`."""
    nodes: list[ast.AST] = [tree]
    for node in nodes:  # grows while it is iterated
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                nodes += [entry for entry in value if isinstance(entry, ast.AST)]
            elif isinstance(value, ast.AST) and name not in ("ctx", "op"):
                nodes.append(value)
    return nodes


def _protected_lines(nodes: Sequence[ast.AST]) -> set[int]:
    """Return the lines on which an exception is expected: in `try`, `pytest.raises` etc."""
    lines: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Try):
            is_protected = bool(node.handlers)  # `try: ... finally:` catches nothing
        elif isinstance(node, ast.With | ast.AsyncWith):
            is_protected = any(_expects_exception(item.context_expr) for item in node.items)
        else:
            continue
        if is_protected:
            first = node.body[0].lineno
            last = _last_line(node.body[-1])
            lines.update(range(first, last + 1))
    return lines


def _expects_exception(context: ast.expr) -> bool:
    match context:
        case ast.Call(ast.Name(name) | ast.Attribute(attr=name)):
            return re.search("(?i)raises|suppress", name) is not None
    return False


def _quoted_lines(nodes: Sequence[ast.AST]) -> set[int]:
    lines: set[int] = set()
    for node in nodes:
        match node:
            case ast.JoinedStr() | ast.Constant(str()):
                lines.update(range(node.lineno + 1, _last_line(node) + 1))
    return lines


def _last_line(node: ast.stmt | ast.expr) -> int:
    return node.end_lineno or node.lineno


# --- indices ---


@rule("past-the-end", Severity.ERROR, ast.Subscript)
def past_the_end(node: ast.Subscript) -> Violations:
    """`xs[len(xs)]`"""
    match node:
        case ast.Subscript(value, ast.Call(ast.Name("len"), [counted]), ast.Load()):
            if _are_equal(value, counted):
                name = ast.unparse(value)
                yield node, f"{name}[len({name})] is one past the last element: IndexError"


@rule("range-too-long", Severity.ERROR, ast.For)
def range_too_long(loop: ast.For) -> Violations:
    """`for i in range(len(xs) + 1)` with `xs[i]` inside"""
    match loop:
        case ast.For(ast.Name(index), ast.Call(ast.Name("range"), [end] | [_, end, *_])):
            counted = _counted_with_one_more(end)
            # A loop that checks its index, or fills the sequence, reads no missing item.
            if counted is None or _is_guarded(loop, index, counted):
                return
            if any(_reads_item(node, counted, index) for node in ast.walk(loop)):
                name = ast.unparse(counted)
                yield loop, f"the last iteration reads {name}[len({name})]: IndexError"


def _counted_with_one_more(end: ast.expr) -> ast.expr | None:
    """Return the `xs` of `len(xs) + 1`."""
    match end:
        case ast.BinOp(ast.Call(ast.Name("len"), [counted]), ast.Add(), ast.Constant(1)):
            return counted
    return None


def _reads_item(node: ast.AST, sequence: ast.expr, index: str) -> bool:
    match node:
        case ast.Subscript(value, ast.Name(name), ast.Load()):
            return name == index and _are_equal(value, sequence)
    return False


def _is_guarded(loop: ast.For, index: str, sequence: ast.expr) -> bool:
    """Return whether a loop body compares its index, lets the sequence grow, or has a `try`."""
    for statement in loop.body:
        for node in ast.walk(statement):
            match node:
                case ast.Try():
                    return True
                case ast.Compare(left, _, comparators):
                    if any(_mentions(side, index) for side in (left, *comparators)):
                        return True
                case ast.Call(ast.Attribute(value, "append" | "extend" | "insert")):
                    if _are_equal(value, sequence):
                        return True
    return False


def _mentions(side: ast.expr, name: str) -> bool:
    """Return whether a side of a comparison contains a name, except as the index of an item."""
    if isinstance(side, ast.Subscript):
        return False
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(side))


# --- repetitions ---


@rule("same-operands", Severity.WARNING, ast.Compare, ast.BinOp, ast.BoolOp)
def same_operands(node: ast.Compare | ast.BinOp | ast.BoolOp) -> Violations:
    """`a < a`, `a - a`, `a and a`"""
    for first, second in _operands(node):
        if _are_equal(first, second) and _is_pure(first) and not _may_be_infinite(first):
            yield node, f"both sides are the same: {_shorten(node)}"
            return


def _operands(node: ast.Compare | ast.BinOp | ast.BoolOp) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield the pairs of operands that should differ."""
    match node:
        case ast.Compare(first, [operator], [second]):
            if not isinstance(operator, ast.Eq | ast.NotEq):  # `x != x` is a test for NaN
                yield first, second
        case ast.BinOp(first, operation, second) if isinstance(operation, _SELDOM_EQUAL):
            yield first, second
        case ast.BoolOp(values=values):
            yield from pairwise(values)


_SELDOM_EQUAL = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.BitXor)
"""Operations whose operands no program needs to be equal."""


def _may_be_infinite(node: ast.expr) -> bool:
    """Return whether `x - x` is NaN on purpose."""
    return isinstance(node, ast.Name) and re.search("(?i)inf|nan", node.id) is not None


@rule("assigned-to-itself", Severity.WARNING, ast.Assign)
def assigned_to_itself(node: ast.Assign) -> Violations:
    """`self.x = self.x`"""
    match node:
        case ast.Assign([ast.Attribute() as target], value):
            if _are_equal(target, value) and target.attr != "__doc__":
                yield node, f"{_shorten(value)} is assigned to itself"


@rule("equal-branches", Severity.WARNING, ast.If, ast.IfExp)
def equal_branches(node: ast.If | ast.IfExp) -> Violations:
    """`if a: f() else: f()`, `b if a else b`"""
    if isinstance(node, ast.IfExp):
        if _are_equal(node.body, node.orelse):
            yield node, "both branches give the same value"
        return
    # `if a: pass` and `else: pass` are often filled in later.
    is_placeholder = isinstance(node.body[0], ast.Pass | ast.Continue | ast.Break)
    if not is_placeholder and _have_equal_values(node.body, node.orelse):
        yield node, "both branches do the same"


# --- control flow ---

_BLOCKS = (
    *(ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.If, ast.For),
    *(ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar),
    *(ast.ExceptHandler, ast.match_case),
)


@rule("never-reached", Severity.WARNING, *_BLOCKS)
def never_reached(node: ast.AST) -> Violations:
    """A statement after `return`, `raise`, `continue` or `break`"""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, [])
        for number, statement in enumerate(block[:-1], 1):
            if isinstance(statement, ast.Return | ast.Raise | ast.Continue | ast.Break):
                if not _has_yield(block[number:]):
                    yield block[number], "this line is never reached"
                break


def _has_yield(statements: Sequence[ast.stmt]) -> bool:
    """Return whether the statements make a generator of their function, reached or not."""
    for statement in statements:
        if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(statement)):
            return True
    return False


@rule("lost-exception", Severity.WARNING, ast.Try)
def lost_exception(node: ast.Try) -> Violations:
    """`return` in `finally`"""
    for statement in node.finalbody:
        if isinstance(statement, ast.Return | ast.Break | ast.Continue):
            message = "leaving the finally block here discards any exception in flight"
            yield statement, message


@rule("silenced", Severity.INFO, ast.ExceptHandler)
def silenced(node: ast.ExceptHandler) -> Violations:
    """`except Exception: pass`"""
    match node:
        case ast.ExceptHandler(None | ast.Name("Exception" | "BaseException"), _, [ast.Pass()]):
            yield node, "every exception is silently dropped here"


@rule("always-true", Severity.ERROR, ast.Assert)
def always_true(node: ast.Assert) -> Violations:
    """`assert (x, "message")`"""
    if isinstance(node.test, ast.Tuple) and node.test.elts:
        yield node, "a tuple is always true: this asserts nothing"


@rule("identity", Severity.ERROR, ast.Compare)
def identity(node: ast.Compare) -> Violations:
    """`x is "a"`"""
    match node:
        case ast.Compare(_, [ast.Is() | ast.IsNot()], [ast.Constant(value)]):
            if isinstance(value, str | int | float | bytes) and not isinstance(value, bool):
                yield node, f"`is` compares objects, not values: {_shorten(node)}"


@rule("not-awaited", Severity.ERROR, ast.Expr)
def not_awaited(node: ast.Expr) -> Violations:
    """`asyncio.sleep(1)` as a statement"""
    match node.value:
        case ast.Call(ast.Attribute(ast.Name("asyncio"), "sleep" | "wait" | "wait_for")):
            yield node, f"without await nothing happens here: {_shorten(node)}"


# --- default arguments ---


@rule("shared-default", Severity.ERROR, ast.FunctionDef, ast.AsyncFunctionDef)
def shared_default(function: Function) -> Violations:
    """`def f(seen=[])` that changes `seen`"""
    for name, default in _defaults(function.args):
        # A default with content is often a deliberate static variable: `def count(calls=[0])`.
        match default:
            case ast.List([]) | ast.Dict([]):
                if _changes(function, name):
                    message = f"all calls share one {name}, and this function changes it"
                    yield default, message


def _defaults(arguments: ast.arguments) -> Iterator[tuple[str, ast.expr | None]]:
    positional = [*arguments.posonlyargs, *arguments.args]
    with_default = positional[len(positional) - len(arguments.defaults) :]
    for argument, default in zip(with_default, arguments.defaults, strict=True):
        yield argument.arg, default
    for argument, optional in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield argument.arg, optional


_SHARED_ON_PURPOSE = re.compile(r"(?i)cache|memo|registry")

_CHANGING_METHODS = frozenset(
    ("append", "add", "extend", "insert", "update", "setdefault", "pop", "remove", "clear")
)


def _changes(function: Function, name: str) -> bool:
    """Return whether a function changes the value of its parameter in place."""
    if _SHARED_ON_PURPOSE.search(name):
        return False
    is_changed = False
    for node in ast.walk(function):
        match node:
            case ast.Name(id=stored, ctx=ast.Store()) if stored == name:
                return False  # it may have become a copy
            case ast.Call(ast.Attribute(ast.Name(owner), method)):
                is_changed = is_changed or (owner == name and method in _CHANGING_METHODS)
            case ast.Subscript(ast.Name(owner), ctx=ast.Store() | ast.Del()):
                is_changed = is_changed or owner == name
    return is_changed


# --- injection ---


@rule("built-query", Severity.ERROR, ast.Call)
def built_query(node: ast.Call) -> Violations:
    """`db.execute(f"SELECT ... {value}")`"""
    match node:
        case ast.Call(
            ast.Attribute(attr="execute" | "executemany" | "executescript" | "raw"), [query, *_]
        ):
            if _contains_value(query):
                message = "this query is built from values: pass them as parameters"
                yield node, f"{message} (SQL injection)"


@rule("shell", Severity.ERROR, ast.Call)
def shell(node: ast.Call) -> Violations:
    """`os.system("rm " + path)`, `subprocess.run(f"rm {path}", shell=True)`"""
    if node.args and _runs_shell(node) and _has_variable_part(node.args[0]):
        yield node, "values in this command are interpreted by a shell: pass a list of arguments"


def _runs_shell(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(ast.Name("os"), "system" | "popen"):
            return True
    for keyword in call.keywords:
        match keyword:
            case ast.keyword("shell", ast.Constant(True)):
                return True
    return False


_QUERY = re.compile(
    r"(?i)^\s*(?:select|insert|update|delete|create|drop|alter|replace|with|pragma)\b"
)
_BEFORE_VALUE = re.compile(
    r"(?i)(?:[=<>]|\blike|\bvalues\s*\([^()]*|\bbetween|\bin\s*\()\s*['\"]?%?$"
)
_FORMAT_FIELD = re.compile(r"%(?:\(\w+\))?[-0-9.]*[sdrf]|\{[^{}]*\}")


def _contains_value(query: ast.expr) -> bool:
    """Return whether a variable stands for a value in the query, not for a table or column."""
    before = ""
    for text, value in _pieces(query):
        before += text
        if value is None:
            continue
        if _QUERY.match(before) and _BEFORE_VALUE.search(before) and not _is_safe(value):
            return True
        before += "x"  # stands for the value in what follows
    return False


def _has_variable_part(command: ast.expr) -> bool:
    has_text = False
    has_unsafe_value = False
    for text, value in _pieces(command):
        has_text = has_text or bool(text.strip())
        if value is not None and not _is_safe(value):
            has_unsafe_value = True
    return has_text and has_unsafe_value


def _pieces(built: ast.expr) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the constant pieces of a built string, each with the value after it, if any."""
    match built:
        case ast.Constant(value):
            yield str(value), None
        case ast.FormattedValue(value):
            yield "", value
        case ast.JoinedStr(parts):
            for part in parts:
                yield from _pieces(part)
        case ast.BinOp(ast.Constant(str(text)), ast.Mod(), ast.Tuple(values)):
            yield from _fill(text, values)
        case ast.BinOp(ast.Constant(str(text)), ast.Mod(), value):
            yield from _fill(text, [value])
        case ast.Call(ast.Attribute(ast.Constant(str(text)), "format"), arguments, keywords):
            named_arguments = [keyword.value for keyword in keywords]
            yield from _fill(text, [*arguments, *named_arguments])
        case ast.BinOp(_, ast.Add(), _):
            for operand in _summands(built):
                if isinstance(operand, ast.Constant | ast.JoinedStr):
                    yield from _pieces(operand)
                else:
                    yield "", operand


def _summands(addition: ast.expr) -> list[ast.expr]:
    """Return the operands of `a + b + c`; a loop, as there may be thousands."""
    summands = []
    while isinstance(addition, ast.BinOp) and isinstance(addition.op, ast.Add):
        summands.append(addition.right)
        addition = addition.left
    return [addition, *reversed(summands)]


def _fill(text: str, values: Sequence[ast.expr]) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the pieces of a format string, each with the value that fills the field after it."""
    done = 0
    for field, value in zip(_FORMAT_FIELD.finditer(text), values, strict=False):
        is_number = field[0][-1] in "df"  # `%d` cannot inject text
        yield text[done : field.start()], None if is_number else value
        done = field.end()
    yield text[done:], None


_SAFE_NAME = re.compile(r"(?i)place_?holder|marks\b|params?\b|columns?\b")


def _is_safe(value: ast.expr) -> bool:
    """Return whether a value cannot come from outside: a named constant, a number, placeholders."""
    match value:
        case ast.Name(name) | ast.Attribute(attr=name):
            return name.isupper() or _SAFE_NAME.search(name) is not None
        case ast.Constant() | ast.BinOp(ast.Constant(), ast.Mult(), _):
            return True
        case ast.Call(ast.Name("int" | "float" | "len" | "bool")):
            return True
        case ast.Call(ast.Attribute(ast.Constant(), "join")):
            return True  # ", ".join("?" * len(values))
    return False


# --- comparing syntax ---


def _are_equal(first: ast.AST, second: ast.AST) -> bool:
    """Return whether two nodes are alike; stops at the first difference, so chains are cheap."""
    if type(first) is not type(second):
        return False
    for name in first._fields:
        if name in ("ctx", "type_comment", "kind"):
            continue  # loaded or stored, it is the same expression
        if not _have_equal_values(getattr(first, name, None), getattr(second, name, None)):
            return False
    return True


def _have_equal_values(first: object, second: object) -> bool:
    if isinstance(first, ast.AST) and isinstance(second, ast.AST):
        return _are_equal(first, second)
    if isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            return False
        return all(map(_have_equal_values, first, second))
    return type(first) is type(second) and first == second


_PURE = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.expr_context)


def _is_pure(node: ast.expr) -> bool:
    """Return whether an expression has the same value each time: names, attributes, items."""
    if isinstance(node, ast.Constant):
        return False  # `1 - 1` is written on purpose
    return all(isinstance(inner, _PURE) for inner in ast.walk(node))


def _shorten(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    if len(text) <= 60:
        return text
    return text[:59] + "…"
