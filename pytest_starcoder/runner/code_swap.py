"""Swaps the code of live functions for edited code, wherever they are referenced.

No file is written and nothing is imported. Decorators, default values and module constants are
not part of a code object, so they cannot be swapped.
"""

from __future__ import annotations
import __future__

import ast
import gc
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType

from pytest_starcoder.runner.worker_messages import Replacement
from pytest_starcoder.source.syntax import Offsets, syntax_tree

FUTURE_FLAGS = 0
"""The flags of a code object that say which `__future__` imports its file has."""
for _name in __future__.all_feature_names:
    FUTURE_FLAGS |= getattr(__future__, _name).compiler_flag

Swap = Mapping[FunctionType, CodeType]
"""The new code of functions."""

CodeName = tuple[str, int]
"""The qualified name of a code object, and its position among those of that name."""


class Unswappable(Exception):
    """The edit is not inside of one live function, or changes what its code does not contain."""


@dataclass(frozen=True)
class OuterFunction:
    """The position of a function that is not inside another.

    `start`, `body` and `end` are characters, `body` the first one of its body; `line` and `last`
    are 1-based. `classes` are the classes around it.
    """

    start: int
    body: int
    end: int
    line: int
    last: int
    indent: int
    classes: tuple[str, ...]


class FileCode:
    """Compiles edits of one file whose `source` the `live` functions of this process come from."""

    def __init__(self, filename: str, source: str, live: Sequence[FunctionType]) -> None:
        self.source = source
        self._filename = filename
        self._live = live
        self._outer_functions = list(outer_functions(source))
        self._names: dict[OuterFunction, dict[CodeName, CodeName]] = {}

    def swap(self, changes: Sequence[Replacement]) -> Swap:
        """Return the new code of every function that the changes are in.

        Raises Unswappable, and SyntaxError if the edited text is not valid Python.
        """
        by_function: dict[OuterFunction, list[Replacement]] = {}
        for change in changes:
            by_function.setdefault(self._function_around(change), []).append(change)
        swap: dict[FunctionType, CodeType] = {}
        for function, function_changes in by_function.items():
            swap |= self._swap_function(function, function_changes)
        return swap

    def _function_around(self, change: Replacement) -> OuterFunction:
        start, end, _ = change
        for function in self._outer_functions:
            if function.body <= start and end <= function.end:
                return function
        raise Unswappable("it is not in the body of a function")

    def _swap_function(self, outer: OuterFunction, changes: Sequence[Replacement]) -> Swap:
        lines = range(outer.line, outer.last + 1)
        live = [function for function in self._live if function.__code__.co_firstlineno in lines]
        if not live:
            raise Unswappable("it is in no live function")
        flags = live[0].__code__.co_flags & FUTURE_FLAGS
        text = self.source[outer.start : outer.end]
        names = self._names_in(outer, text, flags)
        # From the last change to the first, which leaves earlier positions valid.
        for start, end, after in sorted(changes, reverse=True):
            unchanged = text[: start - outer.start]
            rest = text[end - outer.start :]
            text = unchanged + after + rest
        if any("\n" in after for _, _, after in changes) and not _is_alone(text, outer):
            raise Unswappable("it adds code after the function")
        edited_code = _code_by_name(_compile(text, outer, self._filename, flags))
        swap: dict[FunctionType, CodeType] = {}
        for function in live:
            code = function.__code__
            name = names.get((code.co_qualname, code.co_firstlineno))
            new_code = edited_code.get(name) if name else None
            if new_code is None or _signature(new_code) != _signature(code):
                raise Unswappable("its function has other arguments or other outer variables")
            swap[function] = new_code
        return swap

    def _names_in(self, outer: OuterFunction, text: str, flags: int) -> dict[CodeName, CodeName]:
        """Return the names of the original code objects by qualified name and first line."""
        if outer not in self._names:
            names = {}
            code = _compile(text, outer, self._filename, flags)
            for name, inner in _code_by_name(code).items():
                names[inner.co_qualname, inner.co_firstlineno] = name
            self._names[outer] = names
        return self._names[outer]


def functions_alive(is_wanted: Callable[[str], bool]) -> dict[str, list[FunctionType]]:
    """Return every function of this process, by file name, if its file is wanted."""
    functions: dict[str, list[FunctionType]] = {}
    for candidate in gc.get_objects():
        if type(candidate) is FunctionType:
            functions.setdefault(candidate.__code__.co_filename, []).append(candidate)
    # Asked once per file: most functions are not of the project.
    return {filename: group for filename, group in functions.items() if is_wanted(filename)}


def installed_code(functions: Iterable[FunctionType]) -> Swap:
    """Return the swap that changes nothing: the code that the functions have now."""
    return {function: function.__code__ for function in functions}


def install(swap: Swap) -> Swap:
    """Have the functions run their new code; return the swap that restores the old one."""
    original = installed_code(swap)
    for function, code in swap.items():
        function.__code__ = code
    return original


def identity(swap: Swap) -> object:
    """Return a value that is equal for swaps with the same instructions, on whatever lines."""
    instructions = map(_instructions, swap.values())
    return tuple(zip(map(id, swap), instructions, strict=True))


def _instructions(code: CodeType) -> object:
    constants: list[object] = []
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            constants.append(_instructions(constant))
        else:
            constants.append((type(constant), repr(constant)))
    names = code.co_names, code.co_varnames, code.co_freevars
    return code.co_code, tuple(constants), names, code.co_exceptiontable


def outer_functions(source: str) -> Iterator[OuterFunction]:
    """Yield every function that is not inside another. Raises SyntaxError."""
    tree = syntax_tree(source)
    if tree is None:
        raise SyntaxError("the file is not valid Python")
    yield from _functions_in(tree.body, (), Offsets(source))


def _functions_in(
    body: Sequence[ast.AST], classes: tuple[str, ...], offsets: Offsets
) -> Iterator[OuterFunction]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _outer_function(node, classes, offsets)
        elif isinstance(node, ast.ClassDef):
            yield from _functions_in(node.body, (*classes, node.name), offsets)
        elif not isinstance(node, ast.expr):
            yield from _functions_in(list(ast.iter_child_nodes(node)), classes, offsets)


def _outer_function(
    node: ast.FunctionDef | ast.AsyncFunctionDef, classes: tuple[str, ...], offsets: Offsets
) -> OuterFunction:
    line = node.lineno
    if node.decorator_list:
        line = node.decorator_list[0].lineno
    last = node.end_lineno or node.lineno
    first = node.body[0]
    body = offsets.of(first.lineno, first.col_offset)
    indentation = offsets.line(first.lineno)[: body - offsets.of(first.lineno)]
    # Unless it follows the colon, so that whole lines are inside the body.
    if indentation.isspace():
        body -= len(indentation)
    return OuterFunction(
        start=offsets.of(line),
        body=body,
        end=offsets.of(last, node.end_col_offset or 0),
        line=line,
        last=last,
        indent=node.col_offset,
        classes=classes,
    )


def _is_alone(text: str, outer: OuterFunction) -> bool:
    """Return whether a text is no more than one function. Raises SyntaxError."""
    tree = syntax_tree(f"if 1:\n{text}" if outer.indent else text)
    if tree is None:
        raise SyntaxError("the edited function is not valid Python")
    body = tree.body
    if outer.indent and len(body) == 1 and isinstance(body[0], ast.If):
        body = body[0].body
    return len(body) == 1


def _compile(text: str, outer: OuterFunction, filename: str, flags: int) -> CodeType:
    """Compile a function's text on its own lines, within classes of the same names."""
    headers = []
    for depth, name in enumerate(outer.classes):
        headers.append(" " * depth + f"class {name}:")
    if outer.indent and not headers:
        headers = ["if 1:"]
    padding = outer.line - 1 - len(headers)
    if padding < 0 or outer.indent < len(headers):
        raise Unswappable("its classes are on the same line")
    module = "\n" * padding + "\n".join([*headers, text])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code: CodeType = compile(module, filename, "exec", flags=flags, dont_inherit=True)
        return code


def _code_by_name(code: CodeType) -> dict[CodeName, CodeType]:
    """Return every code object inside of `code`."""
    by_name: dict[CodeName, CodeType] = {}
    waiting = [code]
    while waiting:
        for inner in waiting.pop(0).co_consts:
            if isinstance(inner, CodeType):
                waiting.append(inner)
                number = 0
                while (inner.co_qualname, number) in by_name:
                    number += 1
                by_name[inner.co_qualname, number] = inner
    return by_name


def _signature(code: CodeType) -> object:
    """Return what must stay the same for the code of a function to be replaceable."""
    count = code.co_argcount + code.co_kwonlyargcount
    return (
        code.co_freevars,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_varnames[:count],
        code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS),
    )
