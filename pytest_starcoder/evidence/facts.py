"""What is observed of an exception beyond its message: live frames in, short sentences out.

Nothing of the user's is run but `__repr__`: names, attributes, constants and
subscripts are looked up, not evaluated.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import inspect
import linecache
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pytest_starcoder.evidence.callees import function_around, syntax_tree
from pytest_starcoder.evidence.differences import differences, nearest
from pytest_starcoder.text.display import counted, one_line
from pytest_starcoder.text.shown import short_repr

MOST = 4
"""Sentences on one exception."""

UNKNOWN = object()
"""What cannot be looked up without running something."""

SHOWN = (type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType)
"""Kinds of values that say nothing where they are printed."""


def facts(exc: BaseException, frame: types.FrameType, line: int, lasti: int) -> tuple[str, ...]:
    """At most four sentences on `exc`, raised in `frame` at the 1-based `line` and the instruction `lasti`.

    The most telling first, the values of names on the line last. Never raises.
    """
    try:
        told = list(_Scene(exc, frame, line, lasti).told())
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - somebody's repr or attribute may raise anything
        return ()
    return tuple(dict.fromkeys(one_line(sentence, 200) for sentence in told))[:MOST]


class _Scene:
    def __init__(self, exc: BaseException, frame: types.FrameType, line: int, lasti: int) -> None:
        self._exc = exc
        self._frame = frame
        self._line = line
        self._function = function_around(frame.f_code)
        self._node = _node_at(frame.f_code, line, lasti)

    def told(self) -> Iterator[str]:
        for kind, tell in _TELLERS.items():
            if isinstance(self._exc, kind):
                yield from tell(self)
                break
        yield from self._values()

    # --- by the kind of exception

    def index(self) -> Iterator[str]:
        for node in self._nodes(ast.Subscript):
            container, index = self._value(node.value), self._value(node.slice)
            if type(container) not in (list, tuple, str, bytes) or type(index) is not int:
                continue
            if not -len(container) <= index < len(container):
                shown = f": {short_repr(container)}" if len(container) < 100 else ""
                yield f"{_text(node)}: index {index}, but {_text(node.value)} has length {len(container)}{shown}"
                yield from self._origin(node.value)
                return

    def key(self) -> Iterator[str]:
        missing = self._exc.args[0] if len(self._exc.args) == 1 else UNKNOWN
        for node in self._nodes(ast.Subscript):
            container = self._value(node.value)
            if isinstance(container, dict) and missing is not UNKNOWN:
                near = nearest(missing, list(container))
                told = f"{_text(node.value)} has {counted(len(container), 'key')}, not {short_repr(missing)}"
                yield told + (f"; the nearest is {near}" if near else f": {short_repr(list(container)[:6])}")
                return

    def attribute(self) -> Iterator[str]:
        name, owner = getattr(self._exc, "name", None), getattr(self._exc, "obj", None)
        nodes = [node for node in self._nodes(ast.Attribute) if node.attr == name]
        if owner is None:
            for node in nodes[:1]:
                yield f"{_text(node.value)} is None"
                yield from self._origin(node.value)
        elif isinstance(name, str):
            known = dir(owner) if isinstance(owner, type | types.ModuleType) else dir(type(owner)) + list(_dict(owner))
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            if near:
                yield f"the nearest attribute is {near[0]!r}"

    def name(self) -> Iterator[str]:
        name = getattr(self._exc, "name", None) or _quoted(
            self._exc
        )  # of a local name Python 3.11 has it in words alone
        if not name:
            return
        if isinstance(self._exc, UnboundLocalError) and self._function is not None:
            lines = [line for line, target, _ in _assignments(self._function) if target == name]
            if lines:
                yield f"{name} is a local name here: it is assigned at line {lines[0]}"
                return
        scope = [*self._frame.f_locals, *self._frame.f_globals, *dir(builtins)]
        near = difflib.get_close_matches(name, scope, n=1, cutoff=0.6)
        if near:
            yield f"the nearest name is {near[0]!r}"

    def types(self) -> Iterator[str]:
        for node in self._nodes(ast.BinOp, ast.AugAssign, ast.Compare):
            known = [side for side in _sides(node) if self._value(side) is not UNKNOWN]
            if known:
                yield f"in {_text(node)}, " + " and ".join(self._described(side) for side in known)
            for side in known:
                yield from self._origin(side)
            return
        if "NoneType" in str(self._exc):
            for node in self._nodes(ast.Subscript, ast.Call, ast.For, ast.Starred):
                inner = getattr(node, "value", None) or getattr(node, "func", None) or getattr(node, "iter", None)
                if isinstance(inner, ast.expr) and self._value(inner) is None:
                    yield f"{_text(inner)} is None"
                    yield from self._origin(inner)
                    return
        yield from self._signature()

    def zero(self) -> Iterator[str]:
        for node in self._nodes(ast.BinOp, ast.AugAssign, ast.Call):
            if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div | ast.FloorDiv | ast.Mod):
                yield f"the divisor {_text(_sides(node)[1])} is 0"
                return

    def recursion(self) -> Iterator[str]:
        counts: dict[types.CodeType, list[types.FrameType]] = {}
        entry = self._exc.__traceback__
        while entry is not None:
            counts.setdefault(entry.tb_frame.f_code, []).append(entry.tb_frame)
            entry = entry.tb_next
        code, frames = max(counts.items(), key=lambda found: len(found[1]), default=(None, []))
        if code is None or len(frames) < 10:
            return
        yield f"{code.co_qualname.replace('.<locals>', '')} calls itself without end"
        for name in code.co_varnames[: code.co_argcount]:
            values = [frame.f_locals.get(name, UNKNOWN) for frame in frames[:3]]
            if name != "self" and all(value is not UNKNOWN for value in values):
                shown = list(dict.fromkeys(map(short_repr, values)))
                yield f"{name} stays {shown[0]}" if len(shown) == 1 else f"{name} is {', then '.join(shown)}, and so on"
                return

    def missing_file(self) -> Iterator[str]:
        named = getattr(self._exc, "filename", None)
        if not isinstance(named, str) or not named:
            return
        path = Path(named)
        folder = path.parent
        if folder.is_dir():
            names = sorted(entry.name for _, entry in zip(range(2000), folder.iterdir(), strict=False))
            near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
            yield f"its folder is there, with {near[0]!r}" if near else f"its folder is there, with {len(names)} others"
        else:
            first = next((parent for parent in reversed(path.parents) if not parent.exists()), folder)
            yield f"the folder {first.name!r} is not there either"

    def importing(self) -> Iterator[str]:
        module = sys.modules.get(str(getattr(self._exc, "name", "")))
        wanted = getattr(self._exc, "name_from", None) or _quoted(self._exc)
        if not isinstance(self._exc, ModuleNotFoundError) and module is not None and wanted:
            near = difflib.get_close_matches(wanted, dir(module), n=1, cutoff=0.6)
            if near:
                yield f"the nearest name in {module.__name__} is {near[0]!r}"
        elif isinstance(self._exc, ModuleNotFoundError) and self._exc.name:
            beside = [path.stem for path in Path(self._frame.f_code.co_filename).parent.glob("*.py")]
            known = [*sys.stdlib_module_names, *(name for name in sys.modules if "." not in name), *beside]
            near = difflib.get_close_matches(self._exc.name.partition(".")[0], known, n=1, cutoff=0.6)
            if near and near[0] != self._exc.name:
                yield f"the nearest module is {near[0]!r}"

    def unicode(self) -> Iterator[str]:
        exc = self._exc
        if isinstance(exc, UnicodeDecodeError | UnicodeEncodeError):
            around = exc.object[max(0, exc.start - 8) : exc.start + 8]
            yield f"at index {exc.start} of {len(exc.object)}, around {short_repr(around)}"

    def assertion(self) -> Iterator[str]:
        """The two values of a unittest assertion, whose frames are on the traceback."""
        entry = self._exc.__traceback__
        while entry is not None:
            if entry.tb_frame.f_globals.get("__name__") == "unittest.case":
                found = entry.tb_frame.f_locals
                for op, one, other in _UNITTEST:
                    if one in found and other in found:
                        yield from differences(op, found[one], found[other])
                        return
            entry = entry.tb_next

    # --- what they share

    def _nodes(self, *kinds: type[Any]) -> list[Any]:
        """The nodes of those kinds in what failed, the innermost part that is known first."""
        return [node for node in ast.walk(self._node) if isinstance(node, kinds)] if self._node is not None else []

    def _value(self, node: ast.AST) -> Any:
        """The value of an expression, looked up; UNKNOWN where something would have to run."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            for scope in (self._frame.f_locals, self._frame.f_globals):
                if node.id in scope:
                    return scope[node.id]
            return UNKNOWN
        if isinstance(node, ast.Attribute):
            owner = self._value(node.value)
            found = _dict(owner).get(node.attr, UNKNOWN) if owner is not UNKNOWN else UNKNOWN
            if found is UNKNOWN and isinstance(owner, type | types.ModuleType):
                found = inspect.getattr_static(owner, node.attr, UNKNOWN)
            return found
        if isinstance(node, ast.Subscript):
            owner, key = self._value(node.value), self._value(node.slice)
            if type(owner) in (list, tuple, dict, str) and type(key) in (int, str, bool):
                try:
                    return owner[key]
                except (LookupError, TypeError):
                    return UNKNOWN
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self._value(node.operand)
            return -value if type(value) in (int, float) else UNKNOWN
        return UNKNOWN

    def _described(self, node: ast.expr) -> str:
        value = self._value(node)
        return f"{_text(node)} is the {type(value).__name__} {short_repr(value)}"

    def _origin(self, node: ast.expr) -> Iterator[str]:
        """Where a value came from: the last assignment of its name, the module's, or the caller that passed it."""
        while isinstance(node, ast.Subscript | ast.Attribute):
            node = node.value
        if not isinstance(node, ast.Name) or node.id == "self":
            return
        code, caller = self._frame.f_code, self._frame.f_back
        if node.id not in self._frame.f_locals:
            tree = syntax_tree("".join(linecache.getlines(code.co_filename)))
            for line, target, statement in _assignments(tree, nested=False) if tree else ():
                if target == node.id:
                    yield f"{node.id} is defined at line {line}: {one_line(statement, 100)}"
                    return
            return
        above = [found for found in _assignments(self._function) if found[1] == node.id and found[0] < self._line]
        if above:
            line, _, statement = above[-1]
            yield f"{node.id} was assigned at line {line}: {one_line(statement, 100)}"
        elif node.id in code.co_varnames[: code.co_argcount] and caller is not None and code.co_name[0] != "<":
            while caller is not None and caller.f_code.co_name.startswith("<") and caller.f_code.co_name != "<module>":
                caller = caller.f_back  # a comprehension is no name for a person
            if caller is not None:
                yield f"{node.id} was passed by {caller.f_code.co_name}"

    def _signature(self) -> Iterator[str]:
        """The signature of a function that was called with the wrong arguments."""
        if "argument" not in str(self._exc):
            return
        for node in self._nodes(ast.Call):
            function = self._value(node.func)
            if isinstance(function, type):
                function = inspect.getattr_static(function, "__init__", None)
            if isinstance(function, types.FunctionType):
                yield f"the signature is {function.__name__}{inspect.signature(function)}"
                return

    def _values(self) -> Iterator[str]:
        """The simple names on the line and their values."""
        nodes = [node for node in ast.walk(self._node) if isinstance(node, ast.Name)] if self._node is not None else []
        found: dict[str, str] = {}
        for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
            value = self._frame.f_locals.get(node.id, UNKNOWN)
            if value is UNKNOWN or isinstance(value, SHOWN) or node.id in found or node.id.startswith(("@", "__")):
                continue
            text = short_repr(value)
            if not (node.id == "self" and text.startswith("<")):
                found[node.id] = text
        if found:
            yield "with " + ", ".join(f"{name} = {one_line(text, 60)}" for name, text in list(found.items())[:4])


_TELLERS: dict[type[BaseException], Callable[[_Scene], Iterator[str]]] = {
    IndexError: _Scene.index,
    KeyError: _Scene.key,
    AttributeError: _Scene.attribute,
    NameError: _Scene.name,
    TypeError: _Scene.types,
    ZeroDivisionError: _Scene.zero,
    RecursionError: _Scene.recursion,
    FileNotFoundError: _Scene.missing_file,
    ImportError: _Scene.importing,
    UnicodeError: _Scene.unicode,
    AssertionError: _Scene.assertion,
}


_UNITTEST = (("==", "first", "second"), ("in", "member", "container"), ("==", "seq1", "seq2"), ("==", "d1", "d2"))
"""What the assertions of unittest call their two values."""


def _dict(owner: object) -> dict[str, Any]:
    """The attributes of an instance, without asking it."""
    try:
        found = object.__getattribute__(owner, "__dict__")
    except AttributeError:
        return {}
    return found if type(found) is dict else {}


def _quoted(exc: BaseException) -> str:
    """The first name that Python's message has in quotes."""
    found = re.search(r"'(\w+)'", str(exc))
    return found[1] if found else ""


def _text(node: ast.AST) -> str:
    return one_line(ast.unparse(node), 60)


def _sides(node: ast.BinOp | ast.AugAssign | ast.Compare) -> tuple[ast.expr, ast.expr]:
    if isinstance(node, ast.BinOp):
        return node.left, node.right
    if isinstance(node, ast.AugAssign):
        return node.target, node.value
    return node.left, node.comparators[0]


def _node_at(code: types.CodeType, line: int, lasti: int) -> ast.AST | None:
    """The smallest expression or statement that the failing instruction belongs to, else the statement on the line."""
    tree = syntax_tree("".join(linecache.getlines(code.co_filename)))
    if tree is None:
        return None
    place = _position(code, lasti)
    best: ast.AST | None = None
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr | ast.stmt) or node.end_lineno is None or node.end_col_offset is None:
            continue
        if place is None:
            if isinstance(node, ast.stmt) and node.lineno <= line <= node.end_lineno and not hasattr(node, "body"):
                best = node
        elif (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset) == place:
            best = node
            break
    return best if best is not None else (_node_at(code, line, -1) if place is not None else None)


def _position(code: types.CodeType, lasti: int) -> tuple[int, int, int, int] | None:
    positions = list(code.co_positions())
    found = positions[lasti // 2] if 0 <= lasti // 2 < len(positions) else None
    if found is None or any(part is None for part in found):
        return None
    first, last, start, end = found
    return (first, start, last, end)  # type: ignore[return-value]


def _assignments(function: ast.AST | None, *, nested: bool = True) -> list[tuple[int, str, str]]:
    """The assignments to plain names in a function or module, or at its top alone: line, name, and the statement."""
    found: list[tuple[int, str, str]] = []
    if function is None:
        return found
    for node in ast.walk(function) if nested else ast.iter_child_nodes(function):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets, text = node.targets, ast.unparse(node)
        elif isinstance(node, ast.AnnAssign | ast.AugAssign):
            targets, text = [node.target], ast.unparse(node)
        elif isinstance(node, ast.For):
            targets, text = [node.target], f"for {_text(node.target)} in {_text(node.iter)}"
        names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        found += [(targets[0].lineno, name, text) for name in names]
    return sorted(found)
