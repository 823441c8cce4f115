"""What is wrong with added lines for certain, by their form alone: no model is asked, and nothing is run.

Only what is a fault in nearly every program, and what ordinary linters do not
say by default. Each rule is one function: source in, lines and messages out.
"""

from __future__ import annotations

import ast
import contextlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from pytest_starcoder.review.finding import Change, Finding, Hunk, Severity
from pytest_starcoder.source.syntax import syntax_tree

Found = tuple[int, Severity, str]
"""A line (1-based), how much it matters, and why."""


def constructs(change: Change) -> list[Finding]:
    """What is wrong for certain with the added lines of a change, one finding a line, the worst of it."""
    by_path: dict[str, list[Hunk]] = {}
    for hunk in (*change.hunks, *change.unasked):
        by_path.setdefault(hunk.path, []).append(hunk)
    findings: list[Finding] = []
    for path, hunks in by_path.items():
        findings += _in_file(path, hunks, change.texts.get(path), change.secrets.get(path, {}))
    return findings


def _in_file(
    path: str, hunks: Sequence[Hunk], text: str | None, secrets: Mapping[int, bool]
) -> list[Finding]:
    lines: dict[int, tuple[Hunk, str]] = {}
    for hunk in hunks:
        added = {*hunk.added}
        for at, line in hunk.numbered():
            if at in added and line[:1] != "-":
                lines[at] = hunk, line[1:]
    tree = (
        syntax_tree(text.removeprefix("\ufeff"))
        if path.endswith(".py") and text is not None
        else None
    )
    nodes = _nodes_of(tree) if tree is not None else []
    quoted = _inside_texts(nodes)
    rules = LineRules(path)
    told: list[tuple[str, Found]] = []
    for at, shape in secrets.items():
        told.append(("secret", (at, *_secret(path, shape))))
    for at, (_, line) in lines.items():
        # A byte order mark is legitimate before the first line.
        shown = line.removeprefix("\ufeff") if at == 1 else line
        for rule, severity, why in rules.faults(shown, is_quoted=at in quoted):
            told.append((rule, (at, severity, why)))
    told += _in_python(nodes, is_test=is_test_file(path))
    findings: dict[int, Finding] = {}
    for rule, (at, severity, why) in told:
        if at in lines and (at not in findings or findings[at].severity < severity):
            hunk, line = lines[at]
            definition = hunk.definition
            findings[at] = Finding(
                path, at, severity, why, rule=rule, source=line.strip(), definition=definition
            )
    return list(findings.values())


# --- in any language ---


def is_test_file(path: str) -> bool:
    """Return whether a path is one of tests, examples or documentation."""
    pattern = r"(?:^|/)(?:tests?|testing|fixtures|examples?|docs?)(?:/|_)|(?:^|/)(?:test_|conftest\.py$)|_test\."
    return re.search(pattern, path) is not None


def is_made_up(line: str) -> bool:
    """Return whether a secret in the line is visibly a dummy, as in tests."""
    return _MADE_UP.search(line) is not None


_MADE_UP = re.compile(
    r"(?i)example|placeholder|dummy|fake|sample|changeme|your[-_]|0123456|1234567|abcdef|(?P<same>[a-z0-9])(?P=same){5}"
)


def _secret(path: str, shape: bool) -> tuple[Severity, str]:
    severity = Severity.WARNING
    if shape:
        severity = Severity.ERROR
    elif is_test_file(path):
        severity = Severity.INFO
    return (
        severity,
        "this looks like a secret, and git keeps it for good; it was not shown to the model",
    )


class LineRules:
    """Finds faults in single lines of the file `path`, without their context."""

    def __init__(self, path: str) -> None:
        name = path.lower()
        self._is_prose = name.endswith(_PROSE)
        self._is_code = not name.endswith(_NATURAL)
        self._is_php = name.endswith(".php")
        self._is_javascript = name.endswith(_JAVASCRIPT)

    def faults(self, line: str, *, is_quoted: bool = False) -> Iterator[tuple[str, Severity, str]]:
        """Yield rule, severity, reason; `is_quoted` if the line is inside a multi-line string."""
        if not line.isascii() and is_hiding(line, is_code=self._is_code):
            yield (
                "hidden",
                Severity.ERROR,
                "invisible characters make this line read differently from how it runs",
            )
        if tells_reviewer(line):
            yield (
                "instruction",
                Severity.WARNING,
                "this text tells the reviewer what to say; it was treated as data",
            )
        elif addresses_model(line):
            yield (
                "instruction",
                Severity.INFO,
                "this text addresses a language model; it was treated as data",
            )
        if is_quoted or self._is_prose:
            return
        if _CONFLICT.match(line):
            yield "conflict", Severity.ERROR, "a conflict marker is left in the file"
        if not self._is_code:
            return
        if _DEBUGGER.match(line) or (self._is_php and _DUMP.match(line)):
            yield "debugger", Severity.WARNING, "a breakpoint is left in the code"
        if self._is_javascript and _FOCUSED.match(line):
            yield (
                "focused",
                Severity.WARNING,
                "with this, only one test runs and the others are silently skipped",
            )


_PROSE = (".md", ".markdown", ".rst", ".txt", ".adoc", ".tex", ".patch", ".diff")
"""Suffixes of texts about code, which may show a conflict marker."""

_NATURAL = (
    *_PROSE, ".html", ".htm", ".xml", ".svg", ".po", ".pot", ".strings", ".stringsdict", ".properties", ".arb", ".json",
    ".jsonl", ".json5", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".csv", ".tsv", ".srt", ".vtt", ".sub", ".xlf",
    ".xliff", ".resx", ".ftl", ".lang", ".plist", ".ipynb",
)  # fmt: skip
"""Suffixes of files that hold natural language rather than code."""

_JAVASCRIPT = (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts", ".vue", ".svelte")

_CONFLICT = re.compile(r"(?:<{7}|>{7}|\|{7})(?: |$)")
_DUMP = re.compile(r"\s*dd\(")
_DEBUGGER = re.compile(
    r"\s*(?:breakpoint\(\)|(?:import i?pdb\s*;\s*)?(?:i?pdb|pudb)\.set_trace\(\)|debugger;?\s*$|binding\.pry\b)"
)
_FOCUSED = re.compile(
    r"\s*(?:(?:it|test|describe|context)\.only\s*\(|(?:fit|fdescribe)\s*\(\s*['\"`])"
)

# --- characters that nobody sees ---

_INVISIBLE = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\u2060\ufeff]")
_OVERRIDES = "\u202d\u202e"
_EMBEDDINGS = "\u202a\u202b" + _OVERRIDES
_ISOLATES = "\u2066\u2067\u2068"
_POP_EMBEDDING, _POP_ISOLATE = "\u202c", "\u2069"
_BOUNDARY = re.compile(r"[\"`;]|/\*|\*/|//|(?<!\w)'|'(?!\w)")
"""Starts and ends a string or a comment in most languages."""


def is_hiding(line: str, *, is_code: bool) -> bool:
    """Return whether invisible characters disguise what a line does (CVE-2021-42574).

    Right-to-left text legitimately contains direction marks: a pair around such words
    is allowed. If the file `is_code`, no string or comment may begin or end in between.
    """
    if not _INVISIBLE.search(line):
        return False
    if is_code and re.search(r"[!-~][\u200b\u2060\ufeff]+[!-~]", line):
        return True  # between two ASCII characters, where no script needs it
    opened: list[tuple[str, int]] = []
    for at, char in enumerate(line):
        if char in _EMBEDDINGS or char in _ISOLATES:
            opened.append((char, at))
        elif char in (_POP_EMBEDDING, _POP_ISOLATE):
            kinds = _EMBEDDINGS if char == _POP_EMBEDDING else _ISOLATES
            if opened and opened[-1][0] in kinds:
                kind, begin = opened.pop()
                if kind in _OVERRIDES or (is_code and _BOUNDARY.search(line, begin, at)):
                    return True
    if any(kind in _OVERRIDES for kind, _ in opened):
        return True
    # A newline ends every direction; texts of whole right-to-left lines rely on that.
    return bool(opened) and (is_code or not _is_right_to_left(line))


def _is_right_to_left(line: str) -> bool:
    return any(unicodedata.bidirectional(char) in ("R", "AL") for char in line)


# --- words for the reviewer ---

_WHO = r"(?:ai|llms?|language models?|(?:ai|automated|llm|bot) (?:code )?reviewers?|copilot|chat ?gpt|chatbots?)"
_WHAT = r"(?:change|diff|pr|pull request|merge request|commit|code|file|hunk|line|patch)"
_BEGIN = r"(?:^|[.!?:;,*/#>\"'(\[{-])\s*(?:(?:and|then|so|now|please|just|simply|important)\b[:,]?\s*){0,3}"
_END = r"(?=\s*(?:$|[.!?,;:)\]\"'*/-]|and\b|only\b|now\b|immediately\b|without\b|regardless\b))"

_TELLS = re.compile(
    rf"(?i){_BEGIN}(?:ignore|disregard|forget|override)\s+(?:(?:all|any|every|each|of|the|these|those)\s+){{0,3}}"
    r"(?:(?:your|previous|prior|above|earlier|preceding|system|existing|original)\s+){1,3}"
    r"(?:instructions|prompts?|directions|guidelines)\b"
    rf"|\b{_WHO}\b.{{0,40}}\b(?:do not|don't|must not|never|should not|shouldn't)\s+"
    r"(?:report|flag|mention|review|comment on)\b"
    rf"|{_BEGIN}(?:do not|don't|never)\s+(?:report|flag|mention|comment on)\s+"
    r"(?:any|the|these|its)?\s*(?:issues?|bugs?|problems?|findings?|errors?|faults?|vulnerabilit\w+)\s+"
    rf"(?:in|with|about|of)\s+this\s+{_WHAT}{_END}"
    rf"|\b(?:please|just|always|simply|you must|you should)\s+(?:approve|accept|lgtm)\s+this\s+{_WHAT}{_END}"
    rf"|\b{_WHO}\b.{{0,12}}\b(?:must|should|please|shall)\s+(?:approve|accept|ignore|skip|pass)\s+"
    rf"(?:this|these|the following)\b"
    r"|\b(?:ignore|disregard|forget)\s+(?:everything|all|anything)\s+(?:that\s+)?"
    r"(?:you\s+(?:were|have been|are)\s+(?:told|asked|given)|"
    r"(?:above|before)(?:\s+this)?\s*(?:,|;|and)\s*(?:just\s+|only\s+)?"
    r"(?:say|reply|respond|answer|approve|output|return|write)\b)"
    rf"|{_BEGIN}(?:do not|don't|never)\s+(?:review|flag)\s+this\s+{_WHAT}{_END}"
    rf"|\bmark\s+this\s+{_WHAT}\s+as\s+(?:approved|safe|correct|reviewed)\b"
    r"|\b(?:return|output|give|reply with|respond with|answer with)\s+(?:only\s+|just\s+)?an\s+empty\s+"
    r"(?:list of\s+)?(?:findings|issues|comments|review)\b"
    r"|\b(?:reply|respond|answer|say|write)\s+(?:(?:only|just|simply|exactly)\s+)?(?:with\s+)?"
    rf"(?:(?:only|just|exactly)\s+)?[\"'`]?(?:lgtm|no (?:issues|problems|findings)(?: found)?|approved)[\"'`]?{_END}"
    r"|<pr_review_state>\s*approved"
)
_TOLD_TO = re.compile(
    r"(?i)ignor|disregard|forget|override|report|flag|mention|review|comment|approve|accept|lgtm|answer|respond|reply"
    r"|mark this|empty|approved|no issues"
)
"""A word that every such instruction contains: it rules out most lines quickly."""

_ADDRESSES = re.compile(
    r"(?i)\b(?:dear|note to|note for|attention|hey|hi)\b[ ,:]{1,3}(?:the |any |all )?"
    r"(?:ai|llms?|language models?|(?:ai|automated|llm) (?:code )?(?:reviewers?|assistants?|agents?)|copilot|"
    r"chatbots?)\b"
    r"|\b(?:you are|act as) an? (?:ai|llm|large language model|language model|helpful assistant)"
    r"(?=\s*(?:$|[.,;:!)\"']|assistant|model|reviewer|agent|code|that|who|and))"
    r"|<\|im_start\|>\s*(?:system|user|assistant)|<\|(?:system|assistant)\|>\s*\w"
    r"|<\|start_header_id\|>\s*(?:system|user|assistant)"
)
"""What programs that use language models say as well."""


def tells_reviewer(line: str) -> bool:
    """Return whether a line tells its reviewer what to say."""
    return _TOLD_TO.search(line) is not None and _TELLS.search(line) is not None


def addresses_model(line: str) -> bool:
    """Return whether a line addresses a language model."""
    return _ADDRESSES.search(line) is not None


# --- in Python ---


def _nodes_of(tree: ast.Module) -> list[ast.AST]:
    """Return all nodes of a tree that rules look at; three times as fast as `ast.walk`."""
    nodes: list[ast.AST] = [tree]
    for node in nodes:  # grows while it is iterated
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                nodes += [entry for entry in value if isinstance(entry, ast.AST)]
            elif isinstance(value, ast.AST) and name not in ("ctx", "op"):
                nodes.append(value)
    return nodes


def _in_python(nodes: Sequence[ast.AST], *, is_test: bool) -> Iterator[tuple[str, Found]]:
    expected = _expected_to_raise(nodes)
    for node in nodes:
        for rule in _RULES_OF.get(type(node), ()):
            if is_test and rule in _NOT_IN_TESTS:
                continue
            with contextlib.suppress(RecursionError):  # an expression with thousands of operands
                for found in RULES[rule].check(node):
                    if not (rule in _RAISING and found[0] in expected):
                        yield rule, found


_NOT_IN_TESTS = ("same-operands", "assigned-to-itself")
"""Tests of operators and properties use a value with itself on purpose."""

_RAISING = ("past-the-end", "range-too-long")
"""Rules about code that raises, which may be intended."""


def _expected_to_raise(nodes: Sequence[ast.AST]) -> frozenset[int]:
    """Return the lines on which an exception is expected: in `try`, `pytest.raises` etc."""
    lines: set[int] = set()
    for node in nodes:
        body: list[ast.stmt] = []
        if isinstance(node, ast.Try) and node.handlers:
            body = node.body
        elif isinstance(node, ast.With | ast.AsyncWith):
            calls = [
                item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)
            ]
            names = [
                call.func.attr if isinstance(call.func, ast.Attribute) else call.func
                for call in calls
            ]
            plain = [name.id if isinstance(name, ast.Name) else name for name in names]
            if any(
                isinstance(name, str) and re.search("(?i)raises|suppress", name) for name in plain
            ):
                body = node.body
        if body:
            lines.update(range(body[0].lineno, (body[-1].end_lineno or body[-1].lineno) + 1))
    return frozenset(lines)


def _inside_texts(nodes: Sequence[ast.AST]) -> frozenset[int]:
    """Return the lines that begin inside a multi-line string."""
    lines: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str)
        ):
            last = node.end_lineno or node.lineno
            if last > node.lineno:
                lines.update(range(node.lineno + 1, last + 1))
    return frozenset(lines)


def _past_the_end(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.Subscript(value, ast.Call(ast.Name("len"), [counted]), ast.Load()) if _same(
            value, counted
        ):
            name = ast.unparse(value)
            yield (
                node.lineno,
                Severity.ERROR,
                f"{name}[len({name})] is one past the last element: IndexError",
            )


def _range_too_long(node: ast.AST) -> Iterator[Found]:
    """`for i in range(len(xs) + 1)` with `xs[i]` inside."""
    if not (
        isinstance(node, ast.For)
        and isinstance(node.target, ast.Name)
        and isinstance(node.iter, ast.Call)
    ):
        return
    call = node.iter
    if not (isinstance(call.func, ast.Name) and call.func.id == "range" and call.args):
        return
    match call.args[min(1, len(call.args) - 1)]:
        case ast.BinOp(ast.Call(ast.Name("len"), [counted]), ast.Add(), ast.Constant(1)):
            if _is_guarded(node, node.target.id, counted):
                return
            for inner in ast.walk(node):
                match inner:
                    case ast.Subscript(value, ast.Name(index), ast.Load()) if (
                        index == node.target.id and _same(value, counted)
                    ):
                        name = ast.unparse(counted)
                        yield (
                            node.lineno,
                            Severity.ERROR,
                            f"the last round reads {name}[len({name})]: IndexError",
                        )
                        return


def _is_guarded(loop: ast.For, index: str, counted: ast.expr) -> bool:
    """Return whether a loop body checks its index or lets the sequence grow."""
    for statement in loop.body:
        for inner in ast.walk(statement):
            match inner:
                case ast.Compare(left, _, others):
                    sides = (left, *others)
                    if any(
                        _mentions(side, index)
                        for side in sides
                        if not isinstance(side, ast.Subscript)
                    ):
                        return True
                case ast.Call(ast.Attribute(value, "append" | "extend" | "insert")) if _same(
                    value, counted
                ):
                    return True
                case ast.Try():
                    return True
    return False


def _mentions(expression: ast.expr, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(expression))


def _same_operands(node: ast.AST) -> Iterator[Found]:
    pair: tuple[ast.expr, ast.expr] | None = None
    if (
        isinstance(node, ast.Compare)
        and len(node.ops) == 1
        and not isinstance(node.ops[0], ast.NotEq | ast.Eq)
    ):
        pair = node.left, node.comparators[0]
    elif isinstance(node, ast.BinOp) and isinstance(
        node.op, ast.Sub | ast.Div | ast.FloorDiv | ast.Mod | ast.BitXor
    ):
        pair = node.left, node.right
    elif isinstance(node, ast.BoolOp):
        pair = next(
            ((one, other) for one, other in pairwise(node.values) if _same(one, other)), None
        )
    if (
        pair
        and isinstance(node, ast.expr)
        and _same(*pair)
        and _pure(pair[0])
        and not _is_infinite(pair[0])
    ):
        yield node.lineno, Severity.WARNING, f"both sides are the same: {_short(node)}"


def _is_infinite(node: ast.expr) -> bool:
    """Return whether a value may be infinite: then `x - x` is NaN on purpose."""
    return isinstance(node, ast.Name) and re.search("(?i)inf|nan", node.id) is not None


def _assigned_to_itself(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.Assign([ast.Attribute() as target], value) if (
            _same(target, value) and target.attr != "__doc__"
        ):
            yield node.lineno, Severity.WARNING, f"{_short(value)} is assigned to itself"


def _equal_branches(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.If(body=body, orelse=[_, *_] as other) if _same_values(
            body, other
        ) and not isinstance(body[0], ast.Pass | ast.Continue | ast.Break):
            yield node.lineno, Severity.WARNING, "both branches do the same"
        case ast.IfExp(body=one, orelse=two) if _same(one, two):
            yield node.lineno, Severity.WARNING, "both branches give the same"


def _after_the_end(node: ast.AST) -> Iterator[Found]:
    for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
        if not isinstance(block, list):
            continue
        for at, statement in enumerate(block[:-1]):
            if isinstance(statement, ast.Return | ast.Raise | ast.Continue | ast.Break):
                rest = block[at + 1 :]
                # A yield after the end makes a generator of the function.
                if not any(
                    isinstance(inner, ast.Yield | ast.YieldFrom)
                    for after in rest
                    for inner in ast.walk(after)
                ):
                    yield rest[0].lineno, Severity.WARNING, "this line is never reached"
                break


def _shared_default(node: ast.AST) -> Iterator[Found]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        defaults = list(zip(reversed(names), reversed(node.args.defaults), strict=False))
        defaults += [
            (a.arg, d)
            for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            if d is not None
        ]
        for name, default in defaults:
            # A non-empty default is often a deliberate static variable: `def count(calls=[0])`.
            is_empty = isinstance(default, ast.List) and not default.elts
            is_empty = is_empty or (isinstance(default, ast.Dict) and not default.keys)
            if is_empty and _changed(node, name):
                yield (
                    default.lineno,
                    Severity.ERROR,
                    f"all calls share one {name}, and this function changes it",
                )


_MEMORY = re.compile(r"(?i)cache|memo|registry")
"""Names of parameters whose defaults are shared on purpose."""


def _changed(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
    methods = {
        "append",
        "add",
        "extend",
        "insert",
        "update",
        "setdefault",
        "pop",
        "remove",
        "clear",
    }
    if _MEMORY.search(name):
        return False
    stored = (
        inner for inner in ast.walk(function) if isinstance(inner, ast.Name) and inner.id == name
    )
    if any(isinstance(inner.ctx, ast.Store) for inner in stored):
        return False  # it may have become a copy
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
        case ast.ExceptHandler(
            type=None | ast.Name("Exception" | "BaseException"), body=[ast.Pass()]
        ):
            yield node.lineno, Severity.INFO, "every exception is dropped here without a trace"


def _built_query(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.Call(
            ast.Attribute(attr="execute" | "executemany" | "executescript" | "raw"), [query, *_]
        ) if _is_built(query):
            yield (
                node.lineno,
                Severity.ERROR,
                "this query is put together from values: pass them as parameters (SQL injection)",
            )


_QUERY = re.compile(
    r"(?i)^\s*(?:select|insert|update|delete|create|drop|alter|replace|with|pragma)\b"
)
_BEFORE_VALUE = re.compile(
    r"(?i)(?:[=<>]|\blike|\bvalues\s*\([^()]*|\bbetween|\bin\s*\()\s*['\"]?%?$"
)
_FORMAT = re.compile(r"%(?:\(\w+\))?[-0-9.]*[sdrf]|\{[^{}]*\}")


def _is_built(query: ast.expr) -> bool:
    """Return whether a program value stands for a query value, not for a table or column name."""
    before = ""
    for text, value in _pieces_of(query):
        before += text
        if value is None:
            continue
        if _QUERY.match(before) and _BEFORE_VALUE.search(before) and not _is_constant(value):
            return True
        before += "x"
    return False


def _pieces_of(query: ast.expr) -> Iterator[tuple[str, ast.expr | None]]:
    """Return the constant pieces of a built string, each with the value after it, if any."""
    match query:
        case ast.JoinedStr(parts):
            for part in parts:
                if isinstance(part, ast.FormattedValue):
                    yield "", part.value
                elif isinstance(part, ast.Constant):
                    yield str(part.value), None
        case ast.BinOp(ast.Constant(str(text)), ast.Mod(), right):
            yield from _filled(text, right.elts if isinstance(right, ast.Tuple) else [right])
        case ast.Call(ast.Attribute(ast.Constant(str(text)), "format"), arguments, keywords):
            yield from _filled(text, [*arguments, *(keyword.value for keyword in keywords)])
        case ast.BinOp(_, ast.Add(), _):
            operands: list[ast.expr] = []
            rest: ast.expr = query
            while isinstance(rest, ast.BinOp) and isinstance(rest.op, ast.Add):
                operands.append(rest.right)
                rest = rest.left
            for operand in (rest, *reversed(operands)):
                if isinstance(operand, ast.Constant):
                    yield str(operand.value), None
                elif isinstance(operand, ast.JoinedStr):
                    yield from _pieces_of(operand)
                else:
                    yield "", operand


def _filled(text: str, values: Sequence[ast.expr]) -> Iterator[tuple[str, ast.expr | None]]:
    """Return the pieces of a format string and the values that fill it, in order."""
    done = 0
    for place, value in zip(_FORMAT.finditer(text), values, strict=False):
        is_number = place[0][-1] in "df"
        yield text[done : place.start()], None if is_number else value
        done = place.end()
    yield text[done:], None


def _is_constant(value: ast.expr) -> bool:
    """Return whether a value cannot come from outside: a named constant, a number, placeholders."""
    match value:
        case ast.Constant():
            return True
        case ast.Name(name) | ast.Attribute(attr=name):
            return (
                name.isupper()
                or re.search(r"(?i)place_?holder|marks\b|params?\b|columns?\b", name) is not None
            )
        case ast.Call(ast.Name("int" | "float" | "len" | "bool")):
            return True
        case ast.Call(ast.Attribute(ast.Constant(), "join")):
            return True  # ", ".join("?" * len(values))
        case ast.BinOp(ast.Constant(), ast.Mult(), _):
            return True
    return False


def _through_a_shell(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.Call(func, [command, *_], keywords) if _is_put_together(command):
            runs_shell = any(
                word.arg == "shell"
                and isinstance(word.value, ast.Constant)
                and word.value.value is True
                for word in keywords
            )
            match func:
                case ast.Attribute(ast.Name("os"), "system" | "popen"):
                    runs_shell = True
            if runs_shell:
                yield (
                    node.lineno,
                    Severity.ERROR,
                    "values in this command are interpreted by a shell: pass a list of arguments",
                )


def _is_put_together(command: ast.expr) -> bool:
    """Return whether a string is built from values that are not constants."""
    values = [value for _, value in _pieces_of(command) if value is not None]
    texts = [text for text, _ in _pieces_of(command)]
    return any(text.strip() for text in texts) and not all(map(_is_constant, values))


def _identity_of_a_value(node: ast.AST) -> Iterator[Found]:
    if (
        isinstance(node, ast.Compare)
        and len(node.ops) == 1
        and isinstance(node.ops[0], ast.Is | ast.IsNot)
    ):
        other = node.comparators[0]
        if (
            isinstance(other, ast.Constant)
            and isinstance(other.value, str | int | float | bytes)
            and not isinstance(other.value, bool)
        ):
            yield node.lineno, Severity.ERROR, f"`is` compares objects, not values: {_short(node)}"


def _not_awaited_sleep(node: ast.AST) -> Iterator[Found]:
    match node:
        case ast.Expr(ast.Call(ast.Attribute(ast.Name("asyncio"), "sleep" | "wait" | "wait_for"))):
            yield node.lineno, Severity.ERROR, f"without await nothing happens here: {_short(node)}"


class Rule(NamedTuple):
    """A function that checks one node of a syntax tree, and the node types it checks."""

    check: Callable[[ast.AST], Iterator[Found]]
    nodes: tuple[type[ast.AST], ...]


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BLOCKS = (
    *_FUNCTIONS, ast.Module, ast.ClassDef, ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try,
    ast.TryStar, ast.ExceptHandler, ast.match_case,
)  # fmt: skip

RULES: dict[str, Rule] = {
    "past-the-end": Rule(_past_the_end, (ast.Subscript,)),
    "range-too-long": Rule(_range_too_long, (ast.For,)),
    "same-operands": Rule(_same_operands, (ast.Compare, ast.BinOp, ast.BoolOp)),
    "assigned-to-itself": Rule(_assigned_to_itself, (ast.Assign,)),
    "equal-branches": Rule(_equal_branches, (ast.If, ast.IfExp)),
    "never-reached": Rule(_after_the_end, _BLOCKS),
    "shared-default": Rule(_shared_default, _FUNCTIONS),
    "always-true": Rule(_true_tuple, (ast.Assert,)),
    "lost-exception": Rule(_lost_exception, (ast.Try,)),
    "silenced": Rule(_silenced, (ast.ExceptHandler,)),
    "built-query": Rule(_built_query, (ast.Call,)),
    "shell": Rule(_through_a_shell, (ast.Call,)),
    "identity": Rule(_identity_of_a_value, (ast.Compare,)),
    "not-awaited": Rule(_not_awaited_sleep, (ast.Expr,)),
}
"""The rules for Python, by their name in reports."""

_RULES_OF: dict[type[ast.AST], list[str]] = {}
for _name, _rule in RULES.items():
    for _kind in _rule.nodes:
        _RULES_OF.setdefault(_kind, []).append(_name)


def _same(one: ast.AST, other: ast.AST) -> bool:
    """Return whether two nodes are alike; stops at the first difference, so chains are cheap."""
    if type(one) is not type(other):
        return False
    # The context (load or store) does not matter for equality.
    fields = (name for name in one._fields if name not in ("ctx", "type_comment", "kind"))
    return all(
        _same_values(getattr(one, name, None), getattr(other, name, None)) for name in fields
    )


def _same_values(one: object, other: object) -> bool:
    if isinstance(one, ast.AST) and isinstance(other, ast.AST):
        return _same(one, other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same_values, one, other))
    return type(one) is type(other) and one == other


def _pure(node: ast.expr) -> bool:
    """Whether reading it twice gives the same: names, attributes and items of those."""
    return all(
        isinstance(
            inner, ast.Name | ast.Attribute | ast.Subscript | ast.Constant | ast.expr_context
        )
        for inner in ast.walk(node)
    ) and not isinstance(node, ast.Constant)


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else text[:59] + "…"
