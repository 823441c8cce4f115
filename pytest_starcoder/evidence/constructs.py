"""What is wrong with added lines for certain, by their form alone: no model is asked, and nothing is run.

Only what is a fault in nearly every program, and what ordinary linters do not
say by default. Each rule is one function: source in, lines and messages out.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Callable, Iterator
from itertools import pairwise

from pytest_starcoder.text.sentinels import neutralise
from pytest_starcoder.text.syntax import syntax_tree
from pytest_starcoder.values.review import Change, Finding, Severity

Found = tuple[int, Severity, str]
"""A line (1-based), how much it matters, and why."""


def constructs(change: Change) -> list[Finding]:
    """What is wrong for certain with the added lines of a change, one finding a line, the worst of it."""
    found: dict[tuple[str, int], Finding] = {}
    for path in dict.fromkeys(hunk.path for hunk in change.hunks):
        hunks = [hunk for hunk in change.hunks if hunk.path == path]
        added = {at: hunk for hunk in hunks for at in hunk.added}
        told = [("secret", at, *_secret(path, shape)) for at, shape in change.secrets.get(path, {}).items()]
        for at, hunk in added.items():
            told += [(rule, at, *said) for rule, said in _in_text(hunk.line(at))]
        tree = syntax_tree(change.texts[path]) if path.endswith(".py") and path in change.texts else None
        if tree is not None:
            told += [(rule, at, severity, why) for rule, (at, severity, why) in _in_python(tree)]
        for rule, at, severity, why in told:
            known = found.get((path, at))
            if at in added and (known is None or known.severity < severity):
                hunk = added[at]
                found[path, at] = Finding(
                    path, at, severity, why, rule=rule, source=hunk.line(at).strip(), definition=hunk.definition
                )
    return list(found.values())


# --- in any language ---


def _secret(path: str, shape: bool) -> tuple[Severity, str]:
    tested = re.search(r"(?:^|/)(?:tests?|testing|fixtures|examples?|docs?)(?:/|_)|(?:^|/)test_|_test\.", path)
    severity = Severity.ERROR if shape else Severity.INFO if tested else Severity.WARNING
    return severity, "this looks like a secret, and git keeps it for good; it was not shown to the model"


_INSTRUCTION = re.compile(
    r"(?i)\b(?:ignore|disregard|forget|override)\b.{0,30}\b(?:previous|prior|above|earlier|all|any|your)\b.{0,30}"
    r"\b(?:instructions?|prompts?|rules?|directions?|guidelines?|context)\b"
    r"|\b(?:do not|don't|never)\s+(?:report|flag|mention|review|comment on)\b.{0,40}"
    r"\b(?:this|these|any|file|line|code|change|issues?|bugs?|problems?|findings?)\b"
    r"|\b(?:reply|respond|answer)\b.{0,20}\b(?:with|by|only|just)\b.{0,20}"
    r"(?:\[\]|\bapproved?\b|\blgtm\b|\bno issues\b|\bnothing\b)"
    r"|\b(?:return|output|print)\s+(?:only|just|exactly)\s+.{0,12}(?:\[\]|\bapproved?\b|\blgtm\b|\bno issues\b)"
    r"|\b(?:approve|accept)\s+(?:this|the)\s+(?:change|pr|pull request|commit|code|diff|merge request)\b"
    r"|\b(?:reviewers?|ai|llm)\b.{0,12}\b(?:must|should|please)\b.{0,20}\b(?:approve|ignore|skip|pass)\b"
)
_ADDRESS = re.compile(
    r"(?i)\b(?:as an?|you are an?|dear|note to(?: the)?|attention|hey|hi)\b[ ,]{1,3}(?:the )?"
    r"(?:ai|llm|language model|code reviewer|ai reviewer|automated reviewer|assistant|copilot|chatbot)\b"
)
"""What programs that use language models say as well."""


def _in_text(line: str) -> Iterator[tuple[str, tuple[Severity, str]]]:
    if re.match(r"(?:<{7}|>{7}|\|{7})(?: |$)", line):
        yield "conflict", (Severity.ERROR, "a conflict marker is left in the file")
    if any(unicodedata.bidirectional(char) in _TURNING or char in "\u200b\u2060\ufeff" for char in line):
        yield (
            "hidden",
            (Severity.ERROR, "invisible characters make this line read otherwise than it runs"),
        )
    if _INSTRUCTION.search(line) or re.search("<pr_?[a-z_]*>", line):
        yield "instruction", (Severity.WARNING, "this text tells the reviewer what to say; it was read as data")
    elif _ADDRESS.search(line) or neutralise(line) != line:
        yield "instruction", (Severity.INFO, "this text speaks to a language model; it was read as data")
    if re.match(
        r"\s*(?:breakpoint\(\)|(?:i?pdb|pudb)\.set_trace\(\)|import i?pdb\b|debugger;?\s*$|binding\.pry\b|dd\()", line
    ):
        yield "debugger", (Severity.WARNING, "a stop for the debugger is left in the code")
    if re.match(r"\s*(?:(?:it|test|describe|context)\.only|fit|fdescribe)\s*\(", line):
        yield "focused", (Severity.WARNING, "with this only one test runs, and the others are skipped silently")


_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")

# --- in Python ---


def _in_python(tree: ast.Module) -> Iterator[tuple[str, Found]]:
    for node in ast.walk(tree):
        for rule, check in RULES.items():
            for found in check(node):
                yield rule, found


def _past_the_end(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.Subscript(value, ast.Call(ast.Name("len"), [counted]), ast.Load()) if _same(value, counted):
            name = ast.unparse(value)
            yield node.lineno, Severity.ERROR, f"{name}[len({name})] is one past the last element: IndexError"


def _range_too_long(node: ast.AST) -> Iterator[Found]:
    """`for i in range(len(xs) + 1)` with `xs[i]` inside."""
    if not (isinstance(node, ast.For) and isinstance(node.target, ast.Name) and isinstance(node.iter, ast.Call)):
        return
    call = node.iter
    if not (isinstance(call.func, ast.Name) and call.func.id == "range" and call.args):
        return
    match call.args[min(1, len(call.args) - 1)]:
        case ast.BinOp(ast.Call(ast.Name("len"), [counted]), ast.Add(), ast.Constant(1)):
            for inner in ast.walk(node):
                match inner:
                    case ast.Subscript(value, ast.Name(index), ast.Load()) if index == node.target.id and _same(
                        value, counted
                    ):
                        name = ast.unparse(counted)
                        yield node.lineno, Severity.ERROR, f"the last round reads {name}[len({name})]: IndexError"
                        return


def _same_operands(node: ast.AST) -> Iterator[Found]:
    pair: tuple[ast.expr, ast.expr] | None = None
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and not isinstance(node.ops[0], ast.NotEq | ast.Eq):
        pair = node.left, node.comparators[0]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Div | ast.FloorDiv | ast.Mod | ast.BitXor):
        pair = node.left, node.right
    elif isinstance(node, ast.BoolOp):
        pair = next(((one, other) for one, other in pairwise(node.values) if _same(one, other)), None)
    if pair and isinstance(node, ast.expr) and _same(*pair) and _pure(pair[0]):
        yield node.lineno, Severity.WARNING, f"both sides are the same: {_short(node)}"


def _assigned_to_itself(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.Assign([ast.Attribute() as target], value) if _same(target, value):
            yield node.lineno, Severity.WARNING, f"{_short(value)} is assigned to itself"


def _equal_branches(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.If(body=body, orelse=[_, *_] as other) if list(map(ast.dump, body)) == list(map(ast.dump, other)):
            yield node.lineno, Severity.WARNING, "both branches do the same"
        case ast.IfExp(body=one, orelse=two) if _same(one, two):
            yield node.lineno, Severity.WARNING, "both branches give the same"


def _after_the_end(node: ast.AST) -> Iterator[Found]:
    for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
        if not isinstance(block, list):
            continue
        for one, after in pairwise(block):
            if isinstance(one, ast.Return | ast.Raise | ast.Continue | ast.Break):
                # A yield after the end makes a generator of the function.
                if not any(isinstance(inner, ast.Yield) for inner in ast.walk(after)):
                    yield after.lineno, Severity.WARNING, "this line is never reached"
                break


def _shared_default(node: ast.AST) -> Iterator[Found]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        defaults = list(zip(reversed(names), reversed(node.args.defaults), strict=False))
        defaults += [
            (a.arg, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None
        ]
        for name, default in defaults:
            if isinstance(default, ast.List | ast.Dict | ast.Set) and _changed(node, name):
                yield default.lineno, Severity.ERROR, f"all calls share one {name}, and this function changes it"


def _changed(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
    methods = {"append", "add", "extend", "insert", "update", "setdefault", "pop", "remove", "clear"}
    for inner in ast.walk(function):
        match inner:
            case ast.Call(ast.Attribute(ast.Name(who), what)) if who == name and what in methods:
                return True
            case ast.Subscript(ast.Name(who), ctx=ast.Store() | ast.Del()) if who == name:
                return True
    return False


def _true_tuple(node: ast.AST) -> Iterator[Found]:
    if isinstance(node, ast.Assert) and isinstance(node.test, ast.Tuple) and node.test.elts:
        yield node.lineno, Severity.ERROR, "a tuple is always true: this asserts nothing"


def _lost_exception(node: ast.AST) -> Iterator[Found]:
    if isinstance(node, ast.Try):
        for inner in node.finalbody:
            if isinstance(inner, ast.Return | ast.Break | ast.Continue):
                yield (
                    inner.lineno,
                    Severity.WARNING,
                    "leaving a finally block here drops the exception that is on its way",
                )


def _silenced(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.ExceptHandler(type=None | ast.Name("Exception" | "BaseException"), body=[ast.Pass()]):
            yield node.lineno, Severity.INFO, "every exception is dropped here without a trace"


def _built_query(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.Call(ast.Attribute(attr="execute" | "executemany" | "executescript" | "raw"), [query, *_]) if (
            _is_built(query)
        ):
            yield (
                node.lineno,
                Severity.ERROR,
                "this query is put together from values: pass them as parameters (SQL injection)",
            )


def _is_built(query: ast.expr) -> bool:
    words = re.compile(r"(?i)^\s*(?:select|insert|update|delete|create|drop|alter|replace|with|pragma)\b")
    first: ast.AST = query
    match query:
        case ast.JoinedStr([ast.Constant() as constant, *rest]) if any(
            isinstance(part, ast.FormattedValue) for part in rest
        ):
            first = constant
        case ast.BinOp(left, ast.Mod() | ast.Add(), right) if not isinstance(right, ast.Constant):
            first = left
        case ast.Call(ast.Attribute(value, "format")):
            first = value
        case _:
            return False
    while isinstance(first, ast.BinOp):
        first = first.left
    return isinstance(first, ast.Constant) and isinstance(first.value, str) and words.match(first.value) is not None


def _through_a_shell(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.Call(func, [ast.JoinedStr() | ast.BinOp() | ast.Call(ast.Attribute(attr="format")), *_], keywords) if (
            ast.unparse(func) in ("os.system", "os.popen")
            or any(
                word.arg == "shell" and isinstance(word.value, ast.Constant) and word.value.value is True
                for word in keywords
            )
        ):
            yield node.lineno, Severity.ERROR, "a shell runs what the values of this text say: pass a list of arguments"


def _identity_of_a_value(node: ast.AST) -> Iterator[Found]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Is | ast.IsNot):
        other = node.comparators[0]
        if (
            isinstance(other, ast.Constant)
            and isinstance(other.value, str | int | float | bytes)
            and not isinstance(other.value, bool)
        ):
            yield node.lineno, Severity.ERROR, f"`is` compares objects, not values: {_short(node)}"


def _not_awaited_sleep(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.Expr(ast.Call(ast.Attribute(ast.Name("asyncio"), "sleep" | "gather" | "wait" | "wait_for"))):
            yield node.lineno, Severity.ERROR, f"without await nothing happens here: {_short(node)}"


RULES: dict[str, Callable[[ast.AST], Iterator[Found]]] = {
    "past-the-end": _past_the_end,
    "range-too-long": _range_too_long,
    "same-operands": _same_operands,
    "assigned-to-itself": _assigned_to_itself,
    "equal-branches": _equal_branches,
    "never-reached": _after_the_end,
    "shared-default": _shared_default,
    "always-true": _true_tuple,
    "lost-exception": _lost_exception,
    "silenced": _silenced,
    "built-query": _built_query,
    "shell": _through_a_shell,
    "identity": _identity_of_a_value,
    "not-awaited": _not_awaited_sleep,
}
"""The rules for Python, by the name that a report gives; each looks at one node of the syntax tree."""


def _same(one: ast.expr, other: ast.expr) -> bool:
    # Where something stands, and whether it is read or written, is no part of what it is.
    return ast.unparse(one) == ast.unparse(other)


def _pure(node: ast.expr) -> bool:
    """Whether reading it twice gives the same: names, attributes and items of those."""
    return all(
        isinstance(inner, ast.Name | ast.Attribute | ast.Subscript | ast.Constant | ast.expr_context)
        for inner in ast.walk(node)
    ) and not isinstance(node, ast.Constant)


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else text[:59] + "…"
