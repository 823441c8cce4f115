"""Makes small mistakes in Python code, and scores how well a ranking finds them.

Nothing is run. An edit is inside a function, in a class body or in the value of a module's
constant; never in a docstring, an annotation, an import or code that only type checkers read.
`expected_top` is the probability that a ranking with ties has a faulty line among its first ones.
"""

from __future__ import annotations

import ast
import io
import math
import tokenize
import warnings
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

COMPARISONS = {
    "<": ("<=", ">"),
    "<=": ("<",),
    ">": (">=", "<"),
    ">=": (">",),
    "==": ("!=",),
    "!=": ("==",),
    "in": ("not in",),
    "not in": ("in",),
    "is": ("is not",),
    "is not": ("is",),
}
ARITHMETIC = {
    "+": "-",
    "-": "+",
    "*": "+",
    "/": "*",
    "//": "/",
    "%": "//",
    "**": "*",
    "&": "|",
    "|": "&",
    "<<": ">>",
    ">>": "<<",
}
SYMBOLS: dict[type[ast.AST], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.And: "and",
    ast.Or: "or",
}
PAIRS = (
    "min max, any all, startswith endswith, lstrip rstrip, lower upper, find rfind, "
    "index rindex, split rsplit, keys values, floor ceil, append extend, add discard, "
    "popleft pop, appendleft append, partition rpartition, "
    "ljust rjust, match search, list tuple, removeprefix removesuffix, isdigit isalpha, get pop"
)
SIBLINGS = {
    name: sibling
    for pair in PAIRS.split(", ")
    for name, sibling in (pair.split(), pair.split()[::-1])
}

Key = TypeVar("Key", bound=Hashable)
Definition = ast.FunctionDef | ast.AsyncFunctionDef
DELETABLE = (
    ast.Expr,
    ast.Assign,
    ast.AugAssign,
    ast.Return,
    ast.Raise,
    ast.Assert,
    ast.Break,
    ast.Continue,
)


@dataclass(frozen=True)
class Edit:
    """One edit: `before` became `after` on the 1-based `line` of the edited `source`."""

    line: int
    before: str
    after: str
    kind: str
    source: str


@dataclass(frozen=True)
class Change:
    """An edit that is not made yet: the characters from `start` to `stop` are to become `after`."""

    start: int
    stop: int
    after: str
    kind: str

    def made(self, source: str) -> Edit | None:
        """Return the edit; None if the source would not compile, or be the same program."""
        before = source[self.start : self.stop]
        edited = source[: self.start] + self.after + source[self.stop :]
        if not _compiles(edited) or ast.dump(ast.parse(source)) == ast.dump(ast.parse(edited)):
            return None
        return Edit(source.count("\n", 0, self.start) + 1, before, self.after, self.kind, edited)


def single_edits(source: str) -> list[Edit]:
    """Return every edit of a module, in the order of the text; lines must end in a line feed."""
    return [edit for change in changes(source) if (edit := change.made(source)) is not None]


def changes(source: str) -> list[Change]:
    """Yield every change that may be made to a module, in the order of the text."""
    text = _Text(source)
    found = {
        change
        for node, in_function in _code(text.tree)
        for change in _changes(text, node, in_function)
    }
    return sorted(found, key=lambda change: (change.start, change.stop, change.kind, change.after))


def expected_top(scores: Mapping[Key, float], truth: Collection[Key], k: int) -> float:
    """Return how likely one of the true keys is among the k highest scores, ties at random.

    A true key without a score is never among them.
    """
    best = max((scores[key] for key in truth if key in scores), default=None)
    if best is None:
        return 0.0
    tied = [key for key, score in scores.items() if score == best]
    room = k - sum(score > best for score in scores.values())
    wrong = sum(key not in truth for key in tied)
    if room <= 0:
        return 0.0
    return 1.0 - math.comb(wrong, min(room, len(tied))) / math.comb(len(tied), min(room, len(tied)))


def _compiles(source: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            compile(source, "<edit>", "exec", dont_inherit=True)
        except SyntaxError:
            return False
    return True


class _Text:
    """A module's text, and where in it the nodes and tokens are, in characters from its start."""

    def __init__(self, source: str) -> None:
        self.source = source
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            self.tree = ast.parse(source)
        self._lines = source.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._tokens = [
            (self._starts[token.start[0] - 1] + token.start[1], token.string)
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type in (tokenize.OP, tokenize.NAME, tokenize.STRING)
        ]
        self.indices = {id(constant) for node in ast.walk(self.tree) for constant in _indices(node)}

    def start(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        return self._offset(node.lineno, node.col_offset)

    def stop(self, node: ast.expr | ast.stmt | ast.keyword) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._offset(node.end_lineno, node.end_col_offset)

    def of(self, node: ast.expr | ast.stmt) -> str:
        return self.source[self.start(node) : self.stop(node)]

    def replace(self, node: ast.expr | ast.stmt, after: str, kind: str) -> Change:
        return Change(self.start(node), self.stop(node), after, kind)

    def tokens(self, start: int, stop: int) -> list[tuple[int, str]]:
        return [(at, string) for at, string in self._tokens if start <= at < stop]

    def operator(
        self, left: ast.expr, right: ast.expr, symbol: str, after: str, kind: str
    ) -> Iterator[Change]:
        """Replace the operator between two operands; `not in` and `is not` are two words."""
        words = symbol.split()
        tokens = self.tokens(self.stop(left), self.start(right))
        for index, (at, string) in enumerate(tokens):
            if string == words[0]:
                last, word = tokens[index + len(words) - 1]
                yield Change(at, last + len(word), after, kind)
                return

    def _offset(self, line: int, column: int) -> int:
        """Convert a position of ast, whose columns are bytes of UTF-8, to characters."""
        return self._starts[line - 1] + len(self._lines[line - 1].encode()[:column].decode())


def _indices(node: ast.AST) -> Iterator[ast.AST]:
    """Return the integers that are an index or a bound of a subscript."""
    if isinstance(node, ast.Subscript):
        bounds = [node.slice]
        if isinstance(node.slice, ast.Slice):
            bounds = [
                bound
                for bound in (node.slice.lower, node.slice.upper, node.slice.step)
                if bound is not None
            ]
        for bound in bounds:
            yield bound.operand if isinstance(bound, ast.UnaryOp) else bound


def _code(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """Yield the nodes that may be edited, and whether each is inside a function."""
    for statement in tree.body:
        yield from _outside(statement)


def _outside(statement: ast.stmt) -> Iterator[tuple[ast.AST, bool]]:
    """Yield what runs at import below a statement: definitions, and the values of constants."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _function(statement)
        case ast.ClassDef(body=body):
            for member in body:
                yield from _outside(member)
        case ast.Assign(targets=targets, value=value) if not any(
            _is_special(target) for target in targets
        ):
            yield from _below(value, False)
        case ast.AnnAssign(target=target, value=ast.expr() as value) if not _is_special(target):
            yield from _below(value, False)
        case ast.If(test=test) if "TYPE_CHECKING" in ast.unparse(test) or "__main__" in ast.unparse(
            test
        ):
            pass
        case ast.If() | ast.Try() | ast.With():
            for inner in ast.iter_child_nodes(statement):
                if isinstance(inner, ast.stmt):
                    yield from _outside(inner)
        case _:
            pass


def _is_special(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id.startswith("__")


def _function(definition: Definition) -> Iterator[tuple[ast.AST, bool]]:
    for default in (*definition.args.defaults, *definition.args.kw_defaults):
        if default is not None:
            yield from _below(default, False)
    for statement in definition.body:
        yield from _below(statement, True)


def _below(node: ast.AST, in_function: bool) -> Iterator[tuple[ast.AST, bool]]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from _function(node)
        case ast.ClassDef():
            yield from _outside(node)
        case ast.Expr(value=ast.Constant()) | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return  # a docstring; and Python 3.11 does not know the places in an f-string
        case ast.If(test=test) if "TYPE_CHECKING" in ast.unparse(test):
            return
        case ast.AnnAssign(value=value):
            if value is not None:
                yield from _below(value, in_function)
        case _:
            yield node, in_function
            for inner in ast.iter_child_nodes(node):
                yield from _below(inner, in_function)


def _changes(text: _Text, node: ast.AST, in_function: bool) -> Iterator[Change]:
    if in_function and isinstance(node, DELETABLE):
        yield text.replace(node, "pass", "statement deleted")
    for rule in RULES.get(type(node), ()):
        yield from rule(text, node)


def _comparison(text: _Text, node: ast.Compare) -> Iterator[Change]:
    for (left, right), comparison in zip(
        pairwise([node.left, *node.comparators]), node.ops, strict=True
    ):
        symbol = SYMBOLS[type(comparison)]
        for other in COMPARISONS[symbol]:
            yield from text.operator(left, right, symbol, other, "comparison")


def _arithmetic(text: _Text, node: ast.BinOp) -> Iterator[Change]:
    if _is_text(node.left) or _is_text(node.right):
        return
    symbol = SYMBOLS.get(type(node.op))
    if symbol:
        yield from text.operator(node.left, node.right, symbol, ARITHMETIC[symbol], "arithmetic")
    for operand in (node.left, node.right):
        yield text.replace(node, _bracketed(text, operand), "operand dropped")


def _augmented(text: _Text, node: ast.AugAssign) -> Iterator[Change]:
    symbol = SYMBOLS.get(type(node.op))
    if symbol and not _is_text(node.value):
        yield from text.operator(
            node.target, node.value, f"{symbol}=", f"{ARITHMETIC[symbol]}=", "arithmetic"
        )


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )


def _bracketed(text: _Text, node: ast.expr) -> str:
    plain = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript | ast.Constant)
    return text.of(node) if plain and "\n" not in text.of(node) else f"({text.of(node)})"


def _boolean_operator(text: _Text, node: ast.BoolOp) -> Iterator[Change]:
    symbol = SYMBOLS[type(node.op)]
    for left, right in pairwise(node.values):
        yield from text.operator(left, right, symbol, "or" if symbol == "and" else "and", "and/or")
    if len(node.values) == 2:
        for operand in node.values:
            yield text.replace(node, _bracketed(text, operand), "operand dropped")


def _negation(text: _Text, node: ast.UnaryOp) -> Iterator[Change]:
    if isinstance(node.op, ast.Not):
        yield text.replace(node, text.of(node).removeprefix("not").lstrip(), "not removed")


def _condition(text: _Text, node: ast.If | ast.While | ast.IfExp) -> Iterator[Change]:
    yield from _negated(text, node.test)


def _filter(text: _Text, node: ast.comprehension) -> Iterator[Change]:
    for condition in node.ifs:
        yield from _negated(text, condition)


def _negated(text: _Text, condition: ast.expr) -> Iterator[Change]:
    if not isinstance(condition, ast.Constant):
        yield text.replace(condition, f"not {_bracketed(text, condition)}", "not added")


def _constant(text: _Text, node: ast.Constant) -> Iterator[Change]:
    match node.value:
        case bool():
            yield text.replace(node, str(not node.value), "boolean")
        case int():
            for other in (node.value + 1, node.value - 1):
                kind = "index" if id(node) in text.indices else "integer"
                yield text.replace(node, str(other) if other >= 0 else f"({other})", kind)
        case str() if len(
            text.tokens(text.start(node), text.stop(node))
        ) == 1 and "\n" not in text.of(node):
            yield text.replace(node, _other_string(text.of(node), node.value), "string")


def _other_string(literal: str, value: str) -> str:
    """Drop the last character of a string; double a single one; an empty one becomes x."""
    other = value[:-1] if len(value) > 1 else value * 2 or "x"
    shortened = literal[:-2] + literal[-1]
    try:
        return shortened if len(value) > 1 and ast.literal_eval(shortened) == other else repr(other)
    except SyntaxError:
        return repr(other)


def _call(text: _Text, node: ast.Call) -> Iterator[Change]:
    for left, right in pairwise(node.args):
        if isinstance(left, ast.Starred) or isinstance(right, ast.Starred):
            continue
        between = text.source[text.stop(left) : text.start(right)]
        swapped = f"{text.of(right)}{between}{text.of(left)}"
        yield Change(text.start(left), text.stop(right), swapped, "arguments swapped")
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name in SIBLINGS:
        yield Change(
            text.stop(node.func) - len(name), text.stop(node.func), SIBLINGS[name], "sibling called"
        )
    for keyword in node.keywords:
        yield from _without(text, node, keyword)


def _without(text: _Text, call: ast.Call, keyword: ast.keyword) -> Iterator[Change]:
    """Remove a keyword argument of a call, unless that leaves an empty line."""
    start, stop = text.start(keyword), text.stop(keyword)
    commas = [at for at, string in text.tokens(text.stop(call.func), start) if string == ","]
    if commas and (call.args or call.keywords[0] is not keyword):
        start = commas[-1]
    if (
        keyword.arg is not None
        and "\n" not in text.source[start:stop]
        and _shares_its_line(text.source, start, stop)
    ):
        yield Change(start, stop, "", "keyword dropped")


def _shares_its_line(source: str, start: int, stop: int) -> bool:
    return bool(source[source.rfind("\n", 0, start) + 1 : start].strip())


def _return(text: _Text, node: ast.Return) -> Iterator[Change]:
    if node.value is not None:
        yield text.replace(node.value, "None", "return None")


def _leave(text: _Text, node: ast.Break | ast.Continue) -> Iterator[Change]:
    yield text.replace(
        node, "continue" if isinstance(node, ast.Break) else "break", "break/continue"
    )


RULES: dict[type[ast.AST], tuple[Callable[..., Iterator[Change]], ...]] = {
    ast.Compare: (_comparison,),
    ast.BinOp: (_arithmetic,),
    ast.AugAssign: (_augmented,),
    ast.BoolOp: (_boolean_operator,),
    ast.UnaryOp: (_negation,),
    ast.If: (_condition,),
    ast.While: (_condition,),
    ast.IfExp: (_condition,),
    ast.comprehension: (_filter,),
    ast.Constant: (_constant,),
    ast.Call: (_call,),
    ast.Return: (_return,),
    ast.Break: (_leave,),
    ast.Continue: (_leave,),
}
