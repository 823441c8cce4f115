"""An edited function's code in the place of its own: every holder of the function, and recursion, runs the edit.

The text of a file and changes of it in, code objects for the functions that are
alive out. No file is written and nothing is imported. What a function's code
does not hold (decorators, default values, constants of a module) cannot be
swapped: `Unswappable` says so.
"""

from __future__ import annotations
import __future__

import ast
import functools
import gc
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType

from pytest_starcoder.source.syntax import Offsets, syntax_tree

FUTURE = functools.reduce(
    lambda flags, name: flags | getattr(__future__, name).compiler_flag,
    __future__.all_feature_names,
    0,
)

Replacement = tuple[int, int, str]
"""First and last character of a file's text, the last exclusive, and what stands there instead."""

Swap = Mapping[FunctionType, CodeType]


class Unswappable(Exception):
    """The edit is not inside of one function that is alive, or changes what its code does not hold."""


@dataclass(frozen=True)
class Unit:
    """An outermost function: where its text stands in the file, and what it stands in.

    `start` and `end` are characters, `body` is the first of its body; `line` is 1-based.
    """

    start: int
    body: int
    end: int
    line: int
    last: int
    indent: int
    classes: tuple[str, ...]


class Swappable:
    """The functions of one file that are `alive` in this process, whose `source` it was read from."""

    def __init__(self, filename: str, source: str, alive: Sequence[FunctionType]) -> None:
        self._filename = filename
        self.source = source
        self._units = list(units(source))
        self._own: dict[Unit, dict[tuple[str, int], tuple[str, int]]] = {}
        self._alive = alive

    def swap(self, changes: Sequence[Replacement]) -> Swap:
        """The new code of every function that the changes reach.

        Raises Unswappable, and SyntaxError where the edited text is no Python.
        """
        by_unit: dict[Unit, list[Replacement]] = {}
        for start, end, text in changes:
            unit = next(
                (found for found in self._units if found.body <= start and end <= found.end), None
            )
            if unit is None:
                raise Unswappable("it is not in the body of a function")
            by_unit.setdefault(unit, []).append((start, end, text))
        found: dict[FunctionType, CodeType] = {}
        for unit, own in by_unit.items():
            found |= self._swap(unit, own)
        return found

    def _swap(self, unit: Unit, changes: Sequence[Replacement]) -> Swap:
        alive = [
            function
            for function in self._alive
            if unit.line <= function.__code__.co_firstlineno <= unit.last
        ]
        if not alive:
            raise Unswappable("no function of it is alive")
        text = self.source[unit.start : unit.end]
        for start, end, after in sorted(changes, reverse=True):
            text = text[: start - unit.start] + after + text[end - unit.start :]
        flags = alive[0].__code__.co_flags & FUTURE
        if unit not in self._own:
            own = _inner(_compiled(self.source[unit.start : unit.end], unit, self._filename, flags))
            self._own[unit] = {
                (code.co_qualname, code.co_firstlineno): key for key, code in own.items()
            }
        new = _inner(_compiled(text, unit, self._filename, flags))
        found: dict[FunctionType, CodeType] = {}
        for function in alive:
            code = function.__code__
            other = new.get(self._own[unit].get((code.co_qualname, code.co_firstlineno), ("", 0)))
            if (
                other is None
                or other.co_freevars != code.co_freevars
                or _arguments(other) != _arguments(code)
            ):
                raise Unswappable(
                    "its function has other arguments, or other variables of those around it"
                )
            found[function] = other
        return found


def functions_alive(wanted: Callable[[str], bool]) -> dict[str, list[FunctionType]]:
    """Every function of this process whose file is `wanted`, by the file's name."""
    found: dict[str, list[FunctionType]] = {}
    for thing in gc.get_objects():
        if type(thing) is FunctionType:
            found.setdefault(thing.__code__.co_filename, []).append(thing)
    return {filename: functions for filename, functions in found.items() if wanted(filename)}


def put(swap: Swap) -> Swap:
    """Makes the functions run their new code, and gives what puts the old one back."""
    before = {function: function.__code__ for function in swap}
    for function, code in swap.items():
        function.__code__ = code
    return before


def identity(swap: Swap) -> object:
    """Equal for swaps that run the same instructions, on whichever lines they stand."""
    return tuple((id(function), _identity(code)) for function, code in swap.items())


def _identity(code: CodeType) -> object:
    constants = tuple(
        _identity(value) if isinstance(value, CodeType) else (type(value), repr(value))
        for value in code.co_consts
    )
    return (
        code.co_code,
        constants,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_exceptiontable,
    )


def units(source: str) -> Iterator[Unit]:
    """Every function that stands in no other one. Raises SyntaxError."""
    tree = syntax_tree(source)
    if tree is None:
        raise SyntaxError("the file is no Python")
    offsets = Offsets(source)

    def inside(body: Sequence[ast.AST], classes: tuple[str, ...]) -> Iterator[Unit]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                first, last = node.body[0], node.end_lineno or node.lineno
                yield Unit(
                    offsets.of(line),
                    offsets.of(first.lineno, first.col_offset),
                    offsets.of(last, node.end_col_offset or 0),
                    line,
                    last,
                    node.col_offset,
                    classes,
                )
            elif isinstance(node, ast.ClassDef):
                yield from inside(node.body, (*classes, node.name))
            elif not isinstance(node, ast.expr):
                yield from inside([*ast.iter_child_nodes(node)], classes)

    yield from inside(tree.body, ())


def _compiled(text: str, unit: Unit, filename: str, flags: int) -> CodeType:
    """The function's text within classes of the same names, on its own lines."""
    heads = [f"{' ' * depth}class {name}:" for depth, name in enumerate(unit.classes)]
    if unit.indent and not heads:
        heads = ["if 1:"]
    padding = unit.line - 1 - len(heads)
    if padding < 0 or unit.indent < len(heads):
        raise Unswappable("its classes stand on its own line")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = "\n".join([*[""] * padding, *heads, text])
        code: CodeType = compile(whole, filename, "exec", flags=flags, dont_inherit=True)
        return code


def _inner(code: CodeType) -> dict[tuple[str, int], CodeType]:
    """Every code object in `code` by its qualified name, and which of that name it is."""
    found: dict[tuple[str, int], CodeType] = {}
    waiting = [code]
    while waiting:
        for inner in waiting.pop(0).co_consts:
            if isinstance(inner, CodeType):
                waiting.append(inner)
                number = 0
                while (inner.co_qualname, number) in found:
                    number += 1
                found[inner.co_qualname, number] = inner
    return found


def _arguments(code: CodeType) -> object:
    count = code.co_argcount + code.co_kwonlyargcount
    return (
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_varnames[:count],
        code.co_flags & 12,
    )
