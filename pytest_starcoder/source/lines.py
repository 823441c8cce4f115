"""What stands on the lines of a source file: how much of it can be wrong, and which definitions it uses.

Takes source, returns line numbers; nothing is run. Answers needed for every line of many files
are cached per file by `SourceFiles.about`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache

from pytest_starcoder.source.functions import functions
from pytest_starcoder.source.syntax import syntax_tree

_WEIGHTS: dict[type[ast.AST], float] = {
    ast.Compare: 2,
    ast.BinOp: 2,
    ast.BoolOp: 2,
    ast.AugAssign: 1,
    ast.Constant: 1,
    ast.Call: 1,
    ast.Subscript: 1,
    ast.Slice: 1,
    ast.UnaryOp: 1,
    ast.Name: 0.2,
}
"""What a node counts: operators are wrong more often than names (the kinds of the 75 repairs that were measured)."""

_WEIGHTLESS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)

_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")

_WORD = re.compile(r"\w{2,}")
_PART = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{3,}(?![a-z])")
_COMMON = frozenset(
    "assert class def expected for from import none not result return self test the true false with".split()
)


def words_of(text: str) -> frozenset[str]:
    """The words in a text, names and strings alike."""
    return frozenset(_WORD.findall(text))


def parts_of(text: str) -> frozenset[str]:
    """The words in a text and what they are composed of, in small letters, without those that code is full of."""
    words = _WORD.findall(text)
    return (
        frozenset(part.lower() for word in words for part in (word, *_PART.findall(word))) - _COMMON
    )


@lru_cache(maxsize=16)  # only for the few files that are shown or changed
def split(source: str) -> tuple[str, ...]:
    """The lines of a file, as Python counts them."""
    return tuple(source.split("\n"))


class Parts:
    """`parts_of` the lines of a file, computed on demand."""

    def __init__(self, source: str) -> None:
        self._lines = source.split("\n")
        self._parts: dict[int, frozenset[str]] = {}

    def of_line(self, number: int) -> frozenset[str]:
        """Return the parts of the line `number`; empty if there is no such line."""
        if number not in self._parts:
            exists = 0 < number <= len(self._lines)
            self._parts[number] = parts_of(self._lines[number - 1]) if exists else frozenset()
        return self._parts[number]


def line_of(source: str, number: int) -> str:
    """A line by its number, empty where there is none."""
    lines = split(source)
    return lines[number - 1] if 0 < number <= len(lines) else ""


def weights(source: str) -> Mapping[int, float]:
    """For each line how much on it can be wrong: more for operators, constants and calls; none for definitions."""
    found: dict[int, float] = {}
    tree = syntax_tree(source)
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)] if tree else []
    while waiting:  # a single walk, because this runs for every file a test executes
        node, counted = waiting.pop()
        if isinstance(node, ast.stmt):
            counted = not isinstance(node, _WEIGHTLESS) and not _is_text(node)
        weight = _WEIGHTS.get(type(node), 0.0) if counted else 0.0
        if weight and isinstance(node, ast.expr | ast.AugAssign):
            found[node.lineno] = found.get(node.lineno, 0.0) + weight
        inside = counted and not isinstance(node, ast.ExceptHandler | ast.match_case)
        waiting.extend((child, inside) for child in ast.iter_child_nodes(node))
    return found


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def returns_none(source: str) -> frozenset[int]:
    """The lines that return None and say so, or return nothing."""
    tree = syntax_tree(source)
    return _returning_none(ast.walk(tree)) if tree else frozenset()


def _returning_none(nodes: Iterable[ast.AST]) -> frozenset[int]:
    found = (node for node in nodes if isinstance(node, ast.Return))
    return frozenset(node.lineno for node in found if node.value is None or _is_none(node.value))


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def lines_of_tests(source: str) -> frozenset[int]:
    """The lines of functions that are tests by their name."""
    found: set[int] = set()
    for node in functions(source):
        if node.name.startswith("test"):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found.update(range(first, (node.end_lineno or node.lineno) + 1))
    return frozenset(found)


def with_definitions(
    executed: Set[int], known: Definitions, words: Collection[str] = ()
) -> frozenset[int]:
    """`executed` lines of a file, all of their statements, and the module's and classes' definitions that they use.

    A constant or a default value runs when the module is imported, and belongs
    to every test that uses its name. Of a table with keys only the entries
    belong to it whose keys are among `words`, where any are.
    """
    lines = whole_statements(executed, known)
    for header, body in known.signatures:
        if not lines.isdisjoint(body):
            lines.update(header)
    waiting = {name for line in lines for name in known.used.get(line, ())}
    done: set[str] = set()
    while waiting:
        name = waiting.pop()
        done.add(name)
        entries = [part for key, part in known.entries.get(name, ()) if key in words]
        for line in frozenset().union(*entries) if entries else known.defined.get(name, ()):
            lines.add(line)
            waiting.update(known.used.get(line, frozenset()) - done)
    return frozenset(lines)


def whole_statements(executed: Set[int], known: Definitions) -> set[int]:
    """`executed` lines and those of the same statements: a constant on a line of its own has no event."""
    lines = set(executed)
    for statement in {known.continued[line] for line in executed if line in known.continued}:
        lines.update(number for number in statement if number in known.telling)
    return lines


def statement_at(source: str, line: int) -> tuple[int, int]:
    """First and last line of the innermost statement on `line`; of a compound one its head alone."""
    best = (line, line)
    for first, last in _spans(source):
        if first <= line <= last and (best == (line, line) or last - first <= best[1] - best[0]):
            best = first, last
    return best


@lru_cache(maxsize=16)  # only for the few files that are shown or changed
def _spans(source: str) -> tuple[tuple[int, int], ...]:
    """First and last lines of the statements that have several."""
    tree = syntax_tree(source)
    return tuple(_long_spans(ast.walk(tree))) if tree else ()


def _long_spans(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, int]]:
    spans = (_span(node) for node in nodes if isinstance(node, ast.stmt))
    return (span for span in spans if span[1] > span[0])


def _span(statement: ast.stmt) -> tuple[int, int]:
    body = getattr(statement, "body", None) or getattr(statement, "cases", None)
    last = statement.end_lineno or statement.lineno
    if isinstance(body, list) and body:
        first_inside = (
            body[0].pattern.lineno if isinstance(body[0], ast.match_case) else body[0].lineno
        )
        last = max(statement.lineno, min(first_inside - 1, last))
    return statement.lineno, last


@dataclass(frozen=True)
class Definitions:
    """Of one file: lines by the name that they define for a module or class, and of tables by name and key;
    names by the line that uses them; lines of defaults and decorators with those of the function; the lines of
    a statement by each of them; lines on which anything is; `weights` and `returns_none` of the file."""

    defined: Mapping[str, frozenset[int]]
    entries: Mapping[str, tuple[tuple[str, frozenset[int]], ...]]
    used: Mapping[int, frozenset[str]]
    signatures: tuple[tuple[frozenset[int], range], ...]
    continued: Mapping[int, range]
    telling: frozenset[int]
    weights: Mapping[int, float]
    nothing: frozenset[int]


def definitions(source: str) -> Definitions:
    """Return the names that a file defines and uses."""
    tree = syntax_tree(source)
    defined: dict[str, set[int]] = {}
    entries: dict[str, tuple[tuple[str, frozenset[int]], ...]] = {}
    used: dict[int, set[str]] = {}
    signatures = []
    nodes = list(ast.walk(tree)) if tree else []
    for node in nodes:
        if isinstance(node, ast.Name):
            used.setdefault(node.lineno, set()).add(node.id)
        elif isinstance(node, ast.Attribute):
            used.setdefault(node.end_lineno or node.lineno, set()).add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            signatures.append(_signature(node))
        if isinstance(node, ast.Module | ast.ClassDef):
            for statement in _unconditional(node.body):
                for name in _targets(statement):
                    defined.setdefault(name, set()).update(_lines(statement))
                    entries.setdefault(name, tuple(_entries(statement)))
    weighed = weights(source)
    return Definitions(
        {name: frozenset(lines) for name, lines in defined.items()},
        entries,
        {line: frozenset(names) for line, names in used.items()},
        tuple(signatures),
        {
            line: range(first, last + 1)
            for first, last in _long_spans(nodes)
            for line in range(first, last + 1)
        },
        frozenset({*weighed, *used}),
        weighed,
        _returning_none(nodes),
    )


def _lines(node: ast.stmt | ast.expr) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _entries(statement: ast.stmt) -> Iterator[tuple[str, frozenset[int]]]:
    """The entries of a table that an assignment writes down over several lines, by their keys."""
    value = getattr(statement, "value", None)
    if not isinstance(value, ast.expr) or len(_lines(value)) < 2:
        return
    for table in [value, *value.args] if isinstance(value, ast.Call) else [value]:
        if isinstance(table, ast.Dict):
            for key, entry in zip(table.keys, table.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, frozenset((*_lines(key), *_lines(entry)))


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[frozenset[int], range]:
    parts = [
        *node.decorator_list,
        *node.args.defaults,
        *(value for value in node.args.kw_defaults if value),
    ]
    head = {line for part in parts for line in _lines(part)}
    return frozenset(head), range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)


def _unconditional(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run at import, those under `if` and `try` among them."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With | ast.For):
            for name in _BODIES:
                for inner in getattr(statement, name, ()):
                    yield from _unconditional(
                        inner.body if isinstance(inner, ast.ExceptHandler) else [inner]
                    )


def _targets(statement: ast.stmt) -> Iterator[str]:
    """The names that an assignment gives a value to."""
    if isinstance(statement, ast.Assign):
        targets: list[ast.expr] = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    else:
        return
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                yield node.id
