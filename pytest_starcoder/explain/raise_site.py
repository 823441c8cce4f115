"""The place in the source where an exception was raised, and the values there.

Names, attributes, constants and subscripts are looked up, not evaluated: no user code runs.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from pytest_starcoder.explain.equality import attributes, plain
from pytest_starcoder.explain.type_differences import FUNCTION_TYPES
from pytest_starcoder.redaction.redactor import is_secret_name
from pytest_starcoder.source.callees import is_instance
from pytest_starcoder.source.functions import function_of, functions, lines_of, source_of
from pytest_starcoder.source.syntax import syntax_tree
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.reprs import short_repr

UNKNOWN = object()
"""The value of an expression that cannot be looked up without running code."""

RUNNERS = ("_pytest", "pluggy", "unittest")
"""Packages that call tests."""

SIZED = (list, tuple, dict, set, frozenset, str, bytes)

Span = tuple[int | None, ...]
"""First line, last line, first column and last column of a node."""


class Assignment(NamedTuple):
    line: int
    name: str
    statement: str


class RaiseSite:
    """An exception, the frame that raised it, and the syntax tree of the failing code.

    `line` is 1-based; `lasti` is the index of the failing instruction, -1 if unknown.
    `failing` is the expression that failed, if Python recorded its position; `statement` is
    the statement that contains it. `message` is the first argument of the exception.
    """

    def __init__(self, exc: BaseException, frame: types.FrameType, line: int, lasti: int) -> None:
        self.exc = exc
        self.frame = frame
        # A copy, to which the variables of comprehensions are added.
        self.locals: dict[str, Any] = dict(frame.f_locals)
        message = exc.args[0] if exc.args else None
        self.message = message if type(message) is str else ""
        self._line = line
        self._source = source_of(frame.f_code)
        self.function = _enclosing_function(frame.f_code, line)
        code, lasti = self._enter_comprehensions(lasti)
        nodes_by_span, self._statements = _index_nodes(self._source)
        node = nodes_by_span.get(_span_of(code, lasti))
        # For a compound statement, Python records the position of the whole statement.
        is_compound = hasattr(node, "body")
        self.statement = node if is_compound else _statement_at(self._statements, line)
        self.failing = None if node is self.statement else node
        self._parts = list(_head_parts(self.statement)) if self.statement else []

    def _enter_comprehensions(self, lasti: int) -> tuple[types.CodeType, int]:
        """Return the code and the index of the instruction that failed.

        A comprehension, a generator expression or a lambda on the line has a frame of its own,
        whose variables are added to `locals`.
        """
        code = self.frame.f_code
        entries = self.entries()
        for entry in entries:
            if entry.tb_frame is self.frame:
                break
        # The same iterator: these are the frames inside of ours.
        for entry in entries:
            inner = entry.tb_frame.f_code
            same_file = inner.co_filename == code.co_filename
            same_line = same_file and entry.tb_lineno == self._line
            if not same_line or not inner.co_name.startswith("<"):
                break
            code, lasti = inner, entry.tb_lasti
            self.locals |= entry.tb_frame.f_locals
        return code, lasti

    def entries(self) -> Iterator[types.TracebackType]:
        entry = self.exc.__traceback__
        while entry is not None:
            yield entry
            entry = entry.tb_next

    # --- syntax ----------------------------------------------------------------------------

    def nodes(self, *kinds: type[Any]) -> list[Any]:
        """Return the nodes of some kinds in the failing expression, or else in its statement."""
        roots = self._parts if self.failing is None else [self.failing]
        return [node for node in _walk(roots) if isinstance(node, kinds)]

    def names(self) -> Iterator[ast.expr]:
        """Yield names and attributes: of the failing part, its statement, and its condition."""
        groups: list[Iterable[ast.AST]] = [self._parts]
        if self.failing is not None:
            groups.insert(0, [self.failing])
        if isinstance(self.statement, ast.Raise):
            groups.append(_conditions(self._statements, self.statement))
        for roots in groups:
            names = [node for node in _walk(roots) if self._is_read(node)]
            yield from sorted(names, key=_reading_order)

    def _is_read(self, node: ast.AST) -> TypeGuard[ast.Name | ast.Attribute]:
        """Return whether a node is a name that the statement reads."""
        if not isinstance(node, ast.Name | ast.Attribute):
            return False
        # A target still has its old value, such as that of the previous loop iteration.
        is_target = isinstance(node.ctx, ast.Store)
        return not is_target or isinstance(self.statement, ast.AugAssign)

    def unpacked(self) -> Iterator[ast.expr]:
        """Yield the values that the statement unpacks into several names."""
        for node in _walk(self._parts):
            if not isinstance(node, ast.Assign):
                continue
            if any(isinstance(target, ast.Tuple | ast.List) for target in node.targets):
                yield node.value

    # --- values ----------------------------------------------------------------------------

    def value(self, node: ast.AST) -> Any:
        """Return the value of an expression, or `UNKNOWN`."""
        match node:
            case ast.Constant():
                return node.value
            case ast.Name(id=name):
                scope = self.locals if name in self.locals else self.frame.f_globals
                return scope.get(name, UNKNOWN)
            case ast.Attribute():
                return attribute_of(self.value(node.value), node.attr)
            case ast.Subscript():
                owner = plain(self.value(node.value))
                return _item(owner, self.value(node.slice))
        return self._computed_value(node)

    def _computed_value(self, node: ast.AST) -> Any:
        """Return the value of a tuple or list, a negative number, a sum or a length."""
        match node:
            case ast.Tuple(elts=items) | ast.List(elts=items):
                values = [self.value(item) for item in items]
                if not any(value is UNKNOWN for value in values):
                    return tuple(values) if isinstance(node, ast.Tuple) else values
            case ast.UnaryOp(op=ast.USub()):
                number = self.value(node.operand)
                if type(number) in (int, float):
                    return -number
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                first, second = self.value(node.left), self.value(node.right)
                if type(first) is type(second) is int:
                    sign = 1 if isinstance(node.op, ast.Add) else -1
                    return first + sign * second
            case ast.Call(func=ast.Name(id="len"), args=[argument, *_]):
                container = plain(self.value(argument))
                # Builtins are not looked up, so a known `len` is the user's own function.
                if type(container) in SIZED and self.value(node.func) is UNKNOWN:
                    return len(container)
        return UNKNOWN

    def local_value(self, node: ast.AST) -> Any:
        """Return the value of a local variable or its attribute; `UNKNOWN` for secret names."""
        if isinstance(node, ast.Name):
            return self.locals.get(node.id, UNKNOWN)
        if isinstance(node, ast.Attribute):
            if is_secret_name(node.attr):
                return UNKNOWN
            return attribute_of(self.local_value(node.value), node.attr)
        return self.value(node)

    def describe(self, node: ast.expr) -> str:
        """Return a sentence on the value of an expression, such as 'user is None'."""
        return f"{text_of(node)} is {describe_value(self.value(node))}"

    # --- origins ---------------------------------------------------------------------------

    def origin(self, node: ast.expr) -> Iterator[str]:
        """Yield a value's last assignment, or else the caller that passed it."""
        # `order.items[0]` comes from wherever `order` does.
        while isinstance(node, ast.Subscript | ast.Attribute):
            node = node.value
        if not isinstance(node, ast.Name) or node.id == "self":
            return
        name = node.id
        is_global = name in self.frame.f_globals and name not in self.locals
        last = self._last_assignment(name, is_global)
        if last is not None and last.statement.startswith(("import ", "from ")):
            return  # where an imported name comes from is obvious
        if last is not None:
            verb = "is defined" if is_global else "was assigned"
            statement = one_line(last.statement, 100)
            yield f"{name} {verb} at line {last.line}: {statement}"
            return
        code = self.frame.f_code
        if name in parameters(code) and not code.co_name.startswith("<"):
            yield from self._passed(name)

    def _last_assignment(self, name: str, is_global: bool) -> Assignment | None:
        scope = syntax_tree(self._source) if is_global else self.function
        last = None
        for assignment in assignments_in(scope):
            # The module has run to its end, the function only to this line.
            is_past = is_global or self._is_past(assignment)
            if is_past and assignment.name == name:
                last = assignment
        return last

    def _is_past(self, assignment: Assignment) -> bool:
        # `for` and `with` assign before the rest of their line runs.
        if assignment.line == self._line:
            return assignment.statement.startswith(("for ", "with "))
        return assignment.line < self._line

    def _passed(self, name: str) -> Iterator[str]:
        """Yield the caller that passed an argument."""
        caller = self.frame.f_back
        # The caller to name is the function around a comprehension.
        while caller is not None and _is_anonymous(caller.f_code):
            caller = caller.f_back
        if caller is None:
            return
        package = str(caller.f_globals.get("__name__")).partition(".")[0]
        if package in RUNNERS:
            yield f"{name} is a fixture value or a parameter of the test"
            return
        prefix = "line "
        file = caller.f_code.co_filename
        if file != self.frame.f_code.co_filename:
            prefix = f"{Path(file).name}:"
        place = ""
        for entry in self.entries():
            if entry.tb_frame is caller:
                place = f" at {prefix}{entry.tb_lineno}"
        yield f"{name} was passed by {caller.f_code.co_name}{place}"


def raise_site(
    exc: BaseException, frame: types.FrameType, line: int, lasti: int
) -> RaiseSite | None:
    """Return a site; None if the class of the exception prevents that. Never raises."""
    try:
        return RaiseSite(exc, frame, line, lasti)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - `args` may be a property that raises anything
        return None


def _is_anonymous(code: types.CodeType) -> bool:
    """Return whether code belongs to a comprehension or lambda, which has no proper name."""
    return code.co_name.startswith("<") and code.co_name != "<module>"


def parameters(code: types.CodeType) -> tuple[str, ...]:
    number = code.co_argcount + code.co_kwonlyargcount
    return code.co_varnames[:number]


def _walk(roots: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for root in roots:
        yield from ast.walk(root)


def _reading_order(node: ast.expr) -> tuple[int, int, bool]:
    return node.lineno, node.col_offset, isinstance(node, ast.Attribute)


def attribute_of(owner: object, name: str) -> Any:
    """Return an attribute of an instance, its class or a module; `UNKNOWN` for descriptors."""
    if owner is UNKNOWN:
        return UNKNOWN
    if not is_instance(owner, type):
        members = attributes(owner)
        if name in members:
            return members[name]
    member = inspect.getattr_static(owner, name, UNKNOWN)
    # A property or another descriptor would run code. In a module, a function is a plain value.
    is_descriptor = inspect.getattr_static(type(member), "__get__", None) is not None
    if is_descriptor and not is_instance(owner, types.ModuleType):
        return UNKNOWN
    return member


def _item(owner: Any, key: Any) -> Any:
    # Exact types, because a subclass may define `__getitem__`.
    if type(owner) not in (list, tuple, dict, str):
        return UNKNOWN
    if type(key) not in (int, str, bool, types.NoneType):
        return UNKNOWN
    try:
        return owner[key]
    except (LookupError, TypeError):
        return UNKNOWN


def _enclosing_function(code: types.CodeType, line: int) -> ast.AST | None:
    """Return the function or module of `code`; for a comprehension or lambda the one around it."""
    if not _is_anonymous(code):
        return function_of(code)
    source = source_of(code)
    enclosing = [node for node in functions(source) if line in lines_of(node)]
    return max(enclosing, key=lambda node: node.lineno, default=syntax_tree(source))


@lru_cache(maxsize=16)  # a file with many failing tests is walked once
def _index_nodes(source: str) -> tuple[dict[Span, ast.AST], tuple[ast.stmt, ...]]:
    """Return the innermost node at each span of a source, and its statements."""
    tree = syntax_tree(source)
    nodes: dict[Span, ast.AST] = {}
    statements: list[ast.stmt] = []
    if tree is None:
        return nodes, ()
    for node in ast.walk(tree):
        if isinstance(node, ast.expr | ast.stmt):
            span = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
            # Inner nodes come later and replace outer ones of the same span.
            nodes[span] = node
        if isinstance(node, ast.stmt):
            statements.append(node)
    return nodes, tuple(statements)


def _statement_at(statements: Iterable[ast.stmt], line: int) -> ast.stmt | None:
    """Return the innermost statement on a line."""
    spanning = [node for node in statements if line in lines_of(node)]
    return max(spanning, key=lambda node: (node.lineno, node.col_offset), default=None)


def _head_parts(statement: ast.AST) -> Iterator[ast.AST]:
    """Yield a simple statement itself; of a compound statement, the parts of its head."""
    if not hasattr(statement, "body"):
        yield statement
        return
    for part in ast.iter_child_nodes(statement):
        if not isinstance(part, ast.stmt | ast.excepthandler | ast.match_case):
            yield part


def _conditions(statements: Iterable[ast.stmt], raised: ast.AST) -> Iterator[ast.expr]:
    """Yield the condition under which a `raise` runs."""
    for node in statements:
        if isinstance(node, ast.If) and raised in node.body:
            yield node.test


def _span_of(code: types.CodeType, lasti: int) -> Span:
    """Return the span of an instruction; empty if the interpreter recorded no positions."""
    if lasti < 0:
        return ()
    # An instruction takes two bytes.
    return next(islice(code.co_positions(), lasti // 2, None), ())


def assignments_in(scope: ast.AST | None) -> list[Assignment]:
    """Return the assignments to plain names in a function or module, in order of their lines.

    Functions and classes inside are skipped: their names are not in this scope.
    """
    if scope is None:
        return []
    assignments: list[Assignment] = []
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting.extend(ast.iter_child_nodes(node))
            assignments.extend(_node_assignments(node))
    return sorted(assignments)


def _node_assignments(node: ast.AST) -> Iterator[Assignment]:
    for target, statement in _targets(node):
        for name in ast.walk(target):
            # In `items[index] = 1`, both names are only read.
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                yield Assignment(name.lineno, name.id, statement)
    if isinstance(node, ast.Import | ast.ImportFrom):
        statement = ast.unparse(node)
        for alias in node.names:
            imported = alias.asname or alias.name.partition(".")[0]
            yield Assignment(node.lineno, imported, statement)


def _targets(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """Yield the targets of a node that assigns, with the text of the assignment."""
    match node:
        case ast.Assign():
            for target in node.targets:
                yield target, ast.unparse(node)
        case ast.AugAssign() | ast.NamedExpr() | ast.AnnAssign(value=ast.expr()):
            yield node.target, ast.unparse(node)
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            yield node.target, f"for {text_of(node.target)} in {text_of(node.iter)}"
        case ast.withitem(optional_vars=ast.expr() as target):
            yield target, f"with {text_of(node)}"


def text_of(node: ast.AST) -> str:
    return one_line(ast.unparse(node), 60)


def describe_value(value: object) -> str:
    """Return a phrase on a value, such as 'the int 3' or 'a coroutine: was it awaited?'."""
    if value is None:
        return "None"
    if is_instance(value, types.CoroutineType):
        return "a coroutine: was it awaited?"
    if is_instance(value, *FUNCTION_TYPES):
        return "the function itself: was it called?"
    if is_instance(value, type):
        return "the class itself: was it called?"
    if type(value) is datetime:
        zone = "without a time zone" if value.tzinfo is None else "with a time zone"
        return f"a datetime {zone}, {value.isoformat(' ')}"
    return f"the {type(value).__name__} {short_repr(value)}"
