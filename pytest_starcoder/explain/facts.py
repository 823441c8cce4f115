"""What is observed of an exception beyond its message: live frames in, short sentences out.

Nothing of the user's is run but `__repr__`: names, attributes, constants and
subscripts are looked up, not evaluated.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import enum
import inspect
import json
import linecache
import os
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from pytest_starcoder.explain.differences import attributes, differences, is_a, nearest, plain
from pytest_starcoder.redaction.redactor import is_secret_name
from pytest_starcoder.source.callees import _function as function_called
from pytest_starcoder.source.callees import _named as named_by
from pytest_starcoder.source.callees import function_around, functions
from pytest_starcoder.source.syntax import syntax_tree
from pytest_starcoder.text.display import counted, one_line
from pytest_starcoder.text.reprs import short_repr

MOST = 4
"""Sentences on one exception: the last of them tells the values on the line."""

NAMES = 5000
"""Names or files among which the nearest is looked for."""

UNKNOWN = object()
"""What cannot be looked up without running something."""

UNTOLD = (type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType)
"""Kinds of values that say nothing where they are printed."""


def facts(exc: BaseException, frame: types.FrameType, line: int, lasti: int) -> tuple[str, ...]:
    """At most four sentences on `exc`, raised in `frame` at the 1-based `line` and the instruction `lasti`.

    The most telling first, the values of names on the line last. Never raises.
    """
    told: dict[str, None] = {}
    tellers = [tell for kind, tell in _TELLERS.items() if is_a(exc, kind)][:1]
    if not is_a(
        exc, RecursionError
    ):  # whose values tell how deep it got, which is another depth in every run
        tellers.append(_values)
    for tell in tellers:
        try:
            for sentence in tell(_Scene(exc, frame, line, lasti)):
                if len(told) == MOST - (tell is not _values):
                    break
                told[one_line(sentence, 200)] = None
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - somebody's repr may raise anything; what is told by then stays
            continue
    return tuple(told)


# --- by the kind of exception ------------------------------------------------------------------


def _index(scene: _Scene) -> Iterator[str]:
    for node in scene.nodes(ast.Subscript, ast.Call):
        if isinstance(node, ast.Subscript):
            holder, index = node.value, scene.value(node.slice)
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "pop":
            holder, index = node.func.value, scene.value(node.args[0]) if node.args else -1
        else:
            continue
        container = plain(scene.value(holder))
        if type(container) not in (list, tuple, str, bytes) or type(index) is not int:
            continue
        if not -len(container) <= index < len(container):
            if not container:
                yield f"{_text(holder)} is empty"
                yield from scene.origin(holder)
                return
            shown = f": {short_repr(container)}" if len(container) < 100 else ""
            yield f"{_text(node)}: index {index}, but {_text(holder)} has length {len(container)}{shown}"
            yield from scene.origin(holder)
            return
    yield from _empty(scene)


def _empty(scene: _Scene) -> Iterator[str]:
    """Arguments that hold nothing."""
    for call in scene.nodes(ast.Call):
        for argument in call.args:
            if plain(scene.value(argument)) in ([], (), {}, "", b"", set()) and not isinstance(
                argument, ast.Constant
            ):
                yield f"{_text(argument)} is empty"
                yield from scene.origin(argument)


def _key(scene: _Scene) -> Iterator[str]:
    missing = scene.exc.args[0] if len(scene.exc.args) == 1 else UNKNOWN
    for node in scene.nodes(ast.Subscript, ast.Call):
        holder = (
            node.value
            if isinstance(node, ast.Subscript)
            else getattr(node.func, "value", node.func)
        )
        container = plain(scene.value(holder))
        if type(container) in (dict, set) and missing is not UNKNOWN and missing not in container:
            near = nearest(missing, container)
            unit = "key" if type(container) is dict else "item"
            told = f"{_text(holder)} has {counted(len(container), unit)}, not {short_repr(missing)}"
            some = (
                f": {short_repr(list(islice(container, 6)))}"
                if container and type(container) is dict
                else ""
            )
            yield told + (f"; the nearest is {near}" if near else some)
            if not near:
                yield from scene.origin(holder)
            return


def _attribute(scene: _Scene) -> Iterator[str]:
    name, owner = getattr(scene.exc, "name", None), getattr(scene.exc, "obj", None)
    nodes = [node.value for node in scene.nodes(ast.Attribute) if node.attr == name][:1]
    if owner is None:
        for node in nodes:
            yield f"{_text(node)} is None"
            yield from scene.origin(node)
        return
    if not isinstance(name, str):
        return
    if is_a(owner, types.ModuleType):
        yield from _shadowing(scene, vars(owner).get("__name__"))
    known = list(_attribute_names(owner))
    near = _close(name, known)
    if near:
        yield f"the nearest attribute is {near!r}"
        return
    for node in nodes:
        yield f"{_text(node)} is {_kind(owner)}"
        yield from scene.origin(node)
    public = [found for found in dict.fromkeys(known) if not found.startswith("_")]
    if (
        public
        and type(owner).__module__ not in sys.stdlib_module_names
        and not is_a(owner, *UNTOLD)
    ):
        yield f"{type(owner).__name__} has {', '.join(public[:8])}"


def _attribute_names(owner: object) -> Iterator[str]:
    if is_a(owner, types.ModuleType):
        yield from vars(owner)
    else:
        yield from attributes(owner)
        for kind in type.mro(owner) if is_a(owner, type) else type(owner).__mro__:  # type: ignore[arg-type]
            yield from (vars(kind) if kind is not object else ())


def _name(scene: _Scene) -> Iterator[str]:
    # Of a local name Python 3.11 has it in words alone.
    name = getattr(scene.exc, "name", None) or _quoted(scene.said)
    if not name:
        return
    lines = [line for line, target, _ in _assignments(scene.function) if target == name]
    if is_a(scene.exc, UnboundLocalError) and lines:
        yield f"{name} is a local name here: it is assigned at line {lines[0]}"
        return
    if name in attributes(scene.locals.get("self")):
        yield f"self has an attribute {name!r}"
    elif name in sys.stdlib_module_names:
        yield f"{name} is a module of the standard library, and not imported here"
    else:
        near = _close(name, [*scene.locals, *scene.frame.f_globals, *vars(builtins)])
        if near:
            yield f"the nearest name is {near!r}"


def _types(scene: _Scene) -> Iterator[str]:
    if isinstance(scene.exact, ast.BinOp | ast.AugAssign | ast.Compare) or _OPERANDS.search(
        scene.said
    ):
        for node in scene.nodes(ast.BinOp, ast.AugAssign, ast.Compare):
            sides = [side for side in _sides(node) if not isinstance(side, ast.Constant)]
            known = [side for side in sides if scene.value(side) is not UNKNOWN]
            if known:
                yield f"in {_text(node)}, " + " and ".join(scene.described(side) for side in known)
            for side in known:
                yield from scene.origin(side)
            return
    if "argument" in scene.said:
        yield from _signature(scene)
    for node in _at_fault(scene):
        value = scene.value(node)
        if isinstance(node, ast.Call) and "unpack non-iterable NoneType" in scene.said:
            yield f"{_text(node)} returned None"
            return
        if isinstance(node, ast.Constant) or value is UNKNOWN:
            continue
        if re.search(rf"\b{re.escape(type(value).__name__)}\b", scene.said):
            yield scene.described(node)
            yield from scene.origin(node)
            return


_OPERANDS = re.compile(
    r"unsupported operand|not supported between|can only concatenate|can't multiply|must be str, not"
)


def _at_fault(scene: _Scene) -> Iterator[ast.expr]:
    """The expressions whose value may be of a wrong type, the likelier first."""
    yield from scene.unpacked()
    if isinstance(scene.exact, ast.Name | ast.Attribute):  # what is iterated over or entered
        yield scene.exact
    nodes = scene.nodes(
        ast.Subscript, ast.Call, ast.For, ast.comprehension, ast.Starred, ast.UnaryOp, ast.withitem
    )
    for part in ("value", "func", "iter", "operand", "context_expr"):
        yield from (
            found for node in nodes if isinstance(found := getattr(node, part, None), ast.expr)
        )
    for node in nodes:
        yield from getattr(node, "args", ())
        yield from [node.slice] if isinstance(node, ast.Subscript) else ()
    for compared in scene.nodes(ast.Compare):
        yield from compared.comparators
    if isinstance(scene.statement, ast.For):
        yield scene.statement.iter


def _signature(scene: _Scene) -> Iterator[str]:
    """What a function that was called with the wrong arguments takes."""
    called = [node.func for node in scene.nodes(ast.Call)]
    named = _CALLED.match(scene.said)  # of a method its class, should that be known here
    for node in (*called, *([ast.parse(named[1], mode="eval").body] if named else [])):
        found = named_by(node, {**scene.frame.f_globals, **scene.locals})
        function = function_called(found)
        if function is not None and f"{function.__code__.co_name}()" in scene.said:
            owner = (
                _text(node)
                if is_a(found, type)
                else function.__code__.co_qualname.rpartition("<locals>.")[2]
            )
            yield f"the signature is {owner}({_parameters(function)})"
            return
        if is_a(found, type) and "takes no arguments" in scene.said:
            yield f"{_text(node)} defines no __init__"
            return


_CALLED = re.compile(r"([^\W\d]\w*(?:\.\w+)*)\(\) ")


def _parameters(function: types.FunctionType) -> str:
    """As they are written; of a function without source, as that of a dataclass, their names."""
    code = function.__code__
    node = function_around(code)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return ast.unparse(node.args)
    names = list(code.co_varnames[: code.co_argcount])
    optional = len(function.__defaults__ or ())
    return ", ".join(
        [*names[: len(names) - optional], *(f"{name}=…" for name in names[len(names) - optional :])]
    )


def _zero(scene: _Scene) -> Iterator[str]:
    for node in scene.nodes(ast.BinOp, ast.AugAssign, ast.Call):
        if isinstance(node, ast.Call):
            divides = (
                isinstance(node.func, ast.Name) and node.func.id == "divmod" and len(node.args) == 2
            )
        else:
            divides = isinstance(node.op, ast.Div | ast.FloorDiv | ast.Mod)
        if not divides:
            continue
        divisor = node.args[1] if isinstance(node, ast.Call) else _sides(node)[1]
        value = scene.value(divisor)
        if value is UNKNOWN or type(value) not in (int, float, bool) or value == 0:
            yield f"the divisor {_text(divisor)} is 0"
            if isinstance(divisor, ast.Name):
                yield from scene.origin(divisor)
            return


def _value(scene: _Scene) -> Iterator[str]:
    if is_a(scene.exc, json.JSONDecodeError):
        yield from _around(scene.exc.doc, scene.exc.pos)  # type: ignore[attr-defined]
        return
    for node in scene.unpacked() if "to unpack" in scene.said else ():
        container = plain(scene.value(node))
        if type(container) in (list, tuple, dict, str):
            yield f"{_text(node)} has {counted(len(container), 'item')}: {short_repr(container)}"
            yield from scene.origin(node)
            return
    for call in scene.nodes(ast.Call):
        members = (
            vars(found).get("_value2member_map_")
            if is_a(found := scene.value(call.func), enum.EnumMeta)
            else None
        )
        if call.args and type(members) is dict and "is not a valid" in scene.said:
            near = nearest(scene.value(call.args[0]), members)
            yield f"{_text(call.func)} has {short_repr(list(members))}" + (
                f"; the nearest is {near}" if near else ""
            )
            return
        if (
            isinstance(call.func, ast.Attribute)
            and call.func.attr in ("index", "remove")
            and call.args
        ):
            holder = call.func.value
            for told in differences("in", scene.value(call.args[0]), scene.value(holder)):
                yield f"of {_text(holder)}: {told}"
            return
        if (
            _LITERAL.search(scene.said)
            and call.args
            and scene.value(call.args[0]) == _last_quoted(scene.said)
        ):
            yield from scene.origin(call.args[0])
            return
    if "empty" in scene.said:
        yield from _empty(scene)


_LITERAL = re.compile(r"invalid literal for int|could not convert string to float")


def _unicode(scene: _Scene) -> Iterator[str]:
    exc = scene.exc
    if isinstance(exc, UnicodeDecodeError | UnicodeEncodeError):
        yield from _around(exc.object, exc.start)


def _around(text: str | bytes, at: int) -> Iterator[str]:
    yield (
        f"at index {at} of {len(text)}, around {short_repr(text[max(0, at - 8) : at + 8])}"
        if text
        else "the text is empty"
    )


def _recursion(scene: _Scene) -> Iterator[str]:
    counts: dict[types.CodeType, list[types.FrameType]] = {}
    for entry in scene.entries():
        counts.setdefault(entry.tb_frame.f_code, []).append(entry.tb_frame)
    code, frames = max(counts.items(), key=lambda found: len(found[1]), default=(None, []))
    if code is None or len(frames) < 10:
        return
    yield f"{code.co_qualname.replace('.<locals>', '')} calls itself without end"
    stays = ""
    for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        values = [frame.f_locals.get(name, UNKNOWN) for frame in frames[:3]]
        if name not in ("self", "cls") and all(value is not UNKNOWN for value in values):
            shown = list(dict.fromkeys(map(short_repr, values)))
            if len(shown) > 1:
                yield f"{name} is {', then '.join(shown)}, and so on"
                return
            stays = stays or f"{name} stays {shown[0]}"
    if stays:
        yield stays


def _missing_file(scene: _Scene) -> Iterator[str]:
    named = getattr(scene.exc, "filename", None)
    path = Path(os.fsdecode(named)) if is_a(named, str, bytes, Path) and named else None
    if path is None:
        return
    source = Path(scene.frame.f_code.co_filename)
    if not path.is_absolute() and (source.parent / path).exists():
        yield f"it is there beside {source.name}, but a relative path is looked for in the working folder"
    elif path.parent.is_dir():
        near = _close(path.name, sorted(_files(path.parent)))
        yield (
            f"its folder is there, with {near!r}"
            if near
            else "its folder is there, without a file of a like name"
        )
    else:
        first = next(
            (parent for parent in reversed(path.parents) if not parent.exists()), path.parent
        )
        yield f"the folder {first.name!r} is not there either"


def _files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, NAMES)]
    except OSError:
        return []


def _importing(scene: _Scene) -> Iterator[str]:
    name = getattr(scene.exc, "name", None)
    if not isinstance(name, str):
        return
    module = sys.modules.get(name)
    if is_a(scene.exc, ModuleNotFoundError):
        parent, _, last = name.rpartition(".")
        yield from _shadowing(scene, name.partition(".")[0])
        place = (
            getattr(sys.modules.get(parent), "__file__", None)
            if parent
            else scene.frame.f_code.co_filename
        )
        known = (
            [file.removesuffix(".py") for file in _files(Path(place).parent)]
            if isinstance(place, str)
            else []
        )
        if not parent:
            known += [
                *sys.stdlib_module_names,
                *(found for found in list(sys.modules) if "." not in found),
            ]
        near = _close(last, [found for found in known if found.isidentifier()])
        if near:
            yield f"the nearest module is {f'{parent}.{near}'.lstrip('.')!r}"
    elif is_a(module, types.ModuleType):
        yield from _shadowing(scene, name)
        if getattr(vars(module).get("__spec__"), "_initializing", False):
            yield f"{name} was not imported to its end yet: the import is circular"
        near = _close(getattr(scene.exc, "name_from", None) or _quoted(scene.said), vars(module))
        if near:
            yield f"the nearest name in {name} is {near!r}"


def _shadowing(scene: _Scene, name: object) -> Iterator[str]:
    """That a file beside the importing one stands in for a module of the standard library."""
    found = vars(sys.modules.get(str(name), types)).get("__file__")
    source = Path(scene.frame.f_code.co_filename)
    if (
        name in sys.stdlib_module_names
        and isinstance(found, str)
        and Path(found).parent == source.parent
    ):
        yield f"{name} is the file {Path(found).name} beside {source.name}, not the standard library's"


def _stop(scene: _Scene) -> Iterator[str]:
    for call in scene.nodes(ast.Call):
        if isinstance(call.func, ast.Name) and call.func.id == "next" and len(call.args) == 1:
            more = "" if isinstance(call.args[0], ast.GeneratorExp) else "more "
            yield f"{_text(call.args[0])} has no {more}items"
            return


def _assertion(scene: _Scene) -> Iterator[str]:
    """How the two values of a unittest assertion differ, whose frame is on the traceback."""
    for entry in scene.entries():
        code = entry.tb_frame.f_code
        op = _UNITTEST.get(code.co_name)
        if op and entry.tb_frame.f_globals.get("__name__") == "unittest.case":
            one, other = (entry.tb_frame.f_locals.get(name) for name in code.co_varnames[1:3])
            calls = [
                call
                for call in scene.nodes(ast.Call)
                if isinstance(call.func, ast.Attribute) and call.args[1:]
            ]
            if op == "==" and any(
                call.func.attr == code.co_name and _is_expected_first(call) for call in calls
            ):
                one, other = other, one
            yield from differences(op, one, other)
            return


def _is_expected_first(call: ast.Call) -> bool:
    """Whether an assertion has what is expected first: a literal, and then something that is none."""
    first, second = (
        any(isinstance(part, ast.Name) for part in ast.walk(side)) for side in call.args[:2]
    )
    return second and not first


_UNITTEST = {
    **dict.fromkeys(
        ("assertEqual", "assertAlmostEqual", "assertSequenceEqual", "assertListEqual"), "=="
    ),
    **dict.fromkeys(
        ("assertTupleEqual", "assertDictEqual", "assertSetEqual", "assertMultiLineEqual"), "=="
    ),
    "assertIn": "in",
    "assertIs": "is",
}

_TELLERS: dict[type[BaseException], Callable[[_Scene], Iterator[str]]] = {
    IndexError: _index,
    KeyError: _key,
    AttributeError: _attribute,
    NameError: _name,
    TypeError: _types,
    ZeroDivisionError: _zero,
    RecursionError: _recursion,
    FileNotFoundError: _missing_file,
    ImportError: _importing,
    UnicodeError: _unicode,
    ValueError: _value,
    StopIteration: _stop,
    AssertionError: _assertion,
}


def _values(scene: _Scene) -> Iterator[str]:
    """The names on the line and their values, those in the part that failed first."""
    found: dict[str, str] = {}
    for node in scene.names():
        name = ast.unparse(node)
        value = scene.value(node, own=True)
        if value is UNKNOWN or is_a(value, *UNTOLD) or name in found or name.startswith("__"):
            continue
        text = short_repr(value)
        if not _DEFAULT.fullmatch(text) and not (name == "self" and text.startswith("<")):
            found[name] = text
        if len(found) == 4:
            break
    if found:
        yield "with " + ", ".join(f"{name} = {one_line(text, 60)}" for name, text in found.items())


_DEFAULT = re.compile(r"<[\w.<>]+ object>")


# --- where it failed ---------------------------------------------------------------------------


class _Scene:
    """An exception with the place in the source where it was raised, and what stands there."""

    def __init__(self, exc: BaseException, frame: types.FrameType, line: int, lasti: int) -> None:
        self.exc = exc
        self.frame = frame
        code, lasti, within = self._innermost(line, lasti)
        self.locals = {**frame.f_locals, **within}
        first = exc.args[0] if exc.args else None
        self.said = first if type(first) is str else ""
        self._source = "".join(linecache.getlines(frame.f_code.co_filename))
        self._line = line
        self.function = _scope(frame.f_code, line)
        places, self._statements = _located(self._source)
        node = places.get(_position(code, lasti) or ())
        self.statement = node if hasattr(node, "body") else _statement_at(self._statements, line)
        self.exact = node if node is not self.statement else None
        self._parts = list(_parts(self.statement)) if self.statement else []

    def _innermost(self, line: int, lasti: int) -> tuple[types.CodeType, int, Mapping[str, Any]]:
        """Where in the frame it failed: in a comprehension, a generator or a lambda on the line, if in any."""
        found: tuple[types.CodeType, int, Mapping[str, Any]] = self.frame.f_code, lasti, {}
        within = False
        for entry in self.entries():
            code = entry.tb_frame.f_code
            same = code.co_filename == self.frame.f_code.co_filename and entry.tb_lineno == line
            if within and same and code.co_name.startswith("<"):
                found = code, entry.tb_lasti, {**found[2], **entry.tb_frame.f_locals}
            elif within:
                break
            within = within or entry.tb_frame is self.frame
        return found

    def entries(self) -> Iterator[types.TracebackType]:
        entry = self.exc.__traceback__
        while entry is not None:
            yield entry
            entry = entry.tb_next

    def nodes(self, *kinds: type[Any]) -> list[Any]:
        """The nodes of those kinds in what failed, else in the statement on the line; the outer before the inner."""
        roots = [self.exact] if self.exact is not None else self._parts
        return [node for root in roots for node in ast.walk(root) if isinstance(node, kinds)]

    def names(self) -> Iterator[ast.expr]:
        """Names and attributes of names in the part that failed, then in its statement, each in their order."""
        condition = (
            _condition(self._statements, self.statement)
            if isinstance(self.statement, ast.Raise)
            else ()
        )
        for roots in ([self.exact] if self.exact is not None else [], self._parts, condition):
            found = [
                node
                for root in roots
                for node in ast.walk(root)
                if isinstance(node, ast.Name | ast.Attribute)
            ]
            yield from sorted(
                found,
                key=lambda node: (node.lineno, node.col_offset, isinstance(node, ast.Attribute)),
            )

    def unpacked(self) -> Iterator[ast.expr]:
        """What is taken apart where a tuple of names is assigned to."""
        for root in self._parts:
            for node in ast.walk(root):
                if isinstance(node, ast.Assign) and any(
                    isinstance(to, ast.Tuple | ast.List) for to in node.targets
                ):
                    yield node.value

    def value(self, node: ast.AST, *, own: bool = False) -> Any:
        """The value of an expression, looked up; UNKNOWN where something would have to run, or is not `own`: local."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            for scope in (self.locals, *(() if own else (self.frame.f_globals,))):
                if node.id in scope:
                    return scope[node.id]
            return UNKNOWN
        if isinstance(node, ast.Attribute):
            return (
                UNKNOWN
                if own and is_secret_name(node.attr)
                else _looked_up(self.value(node.value, own=own), node.attr)
            )
        if isinstance(node, ast.Subscript):
            return self._item(plain(self.value(node.value)), self.value(node.slice))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.value(node.operand)
            return -value if type(value) in (int, float) else UNKNOWN
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            left, right = self.value(node.left), self.value(node.right)
            if type(left) is type(right) is int:
                return left + right if isinstance(node.op, ast.Add) else left - right
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "len"
            and node.args
        ):
            value = plain(self.value(node.args[0]))
            return (
                len(value)
                if type(value) in _SIZED and self.value(node.func) is UNKNOWN
                else UNKNOWN
            )
        return UNKNOWN

    @staticmethod
    def _item(owner: Any, key: Any) -> Any:
        if type(owner) in (list, tuple, dict, str) and type(key) in (
            int,
            str,
            bool,
            types.NoneType,
        ):
            try:
                return owner[key]
            except (LookupError, TypeError):
                return UNKNOWN
        return UNKNOWN

    def described(self, node: ast.expr) -> str:
        return f"{_text(node)} is {_kind(self.value(node))}"

    def origin(self, node: ast.expr) -> Iterator[str]:
        """Where a value came from: the last assignment of its name, the module's, or the caller that passed it."""
        while isinstance(node, ast.Subscript | ast.Attribute):
            node = node.value
        if not isinstance(node, ast.Name) or node.id == "self":
            return
        name, code = node.id, self.frame.f_code
        if name not in self.locals and name in self.frame.f_globals:
            above = [found for found in _assignments(syntax_tree(self._source)) if found[1] == name]
            if above:
                yield f"{name} is defined at line {above[-1][0]}: {one_line(above[-1][2], 100)}"
            return
        above = [
            found
            for found in _assignments(self.function)
            if found[1] == name and self._is_before(*found)
        ]
        if above:
            yield f"{name} was assigned at line {above[-1][0]}: {one_line(above[-1][2], 100)}"
        elif (
            name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            and code.co_name[0] != "<"
        ):
            yield from self._passed(name)

    def _is_before(self, line: int, _: str, text: str) -> bool:
        return line < self._line or (line == self._line and text.startswith(("for ", "with ")))

    def _passed(self, name: str) -> Iterator[str]:
        caller = self.frame.f_back
        while (
            caller is not None
            and caller.f_code.co_name.startswith("<")
            and caller.f_code.co_name != "<module>"
        ):
            caller = caller.f_back  # a comprehension is no name for a person
        if caller is None:
            return
        if str(caller.f_globals.get("__name__")).partition(".")[0] in (
            "_pytest",
            "pluggy",
            "unittest",
        ):
            yield f"{name} is a fixture's value or a parameter of the test"
            return
        lines = [entry.tb_lineno for entry in self.entries() if entry.tb_frame is caller]
        file = caller.f_code.co_filename
        place = "line " if file == self.frame.f_code.co_filename else f"{Path(file).name}:"
        yield f"{name} was passed by {caller.f_code.co_name}" + (
            f" at {place}{lines[-1]}" if lines else ""
        )


_SIZED = (list, tuple, dict, set, frozenset, str, bytes)


def _looked_up(owner: object, name: str) -> Any:
    """An attribute of an instance, or the plain value that its class or a module has of that name."""
    if owner is UNKNOWN:
        return UNKNOWN
    found = attributes(owner).get(name, UNKNOWN) if not is_a(owner, type) else UNKNOWN
    if found is UNKNOWN:
        found = inspect.getattr_static(owner, name, UNKNOWN)
        if inspect.getattr_static(type(found), "__get__", None) is not None and not is_a(
            owner, types.ModuleType
        ):
            return UNKNOWN
    return found


def _scope(code: types.CodeType, line: int) -> ast.AST | None:
    """The function that `code` is of; of a comprehension or a lambda the function around it."""
    if not code.co_name.startswith("<") or code.co_name == "<module>":
        return function_around(code)
    source = "".join(linecache.getlines(code.co_filename))
    around = [node for node in functions(source) if node.lineno <= line <= (node.end_lineno or 0)]
    return max(around, key=lambda node: node.lineno, default=syntax_tree(source))


@lru_cache(maxsize=16)  # a file with many failing tests is walked once
def _located(source: str) -> tuple[dict[Place, ast.AST], tuple[ast.stmt, ...]]:
    """The innermost node of every place in a source, and its statements."""
    tree = syntax_tree(source)
    nodes = (
        [node for node in ast.walk(tree) if isinstance(node, ast.expr | ast.stmt)] if tree else []
    )
    places: dict[Place, ast.AST] = {}
    for node in nodes:
        places[node.lineno, node.end_lineno, node.col_offset, node.end_col_offset] = node
    return places, tuple(node for node in nodes if isinstance(node, ast.stmt))


def _statement_at(statements: Iterable[ast.stmt], line: int) -> ast.stmt | None:
    """The innermost statement on the line."""
    spanning = [node for node in statements if node.lineno <= line <= (node.end_lineno or 0)]
    return max(spanning, key=lambda node: (node.lineno, node.col_offset), default=None)


def _parts(statement: ast.AST) -> Iterator[ast.AST]:
    """A statement; of one with a body, the parts of its head."""
    if not hasattr(statement, "body"):
        yield statement
        return
    for part in ast.iter_child_nodes(statement):
        if not isinstance(part, ast.stmt | ast.excepthandler | ast.match_case):
            yield part


def _condition(statements: Iterable[ast.stmt], raised: ast.AST) -> Iterator[ast.expr]:
    """The condition on which something is raised."""
    return (node.test for node in statements if isinstance(node, ast.If) and raised in node.body)


Place = tuple[int | None, ...]
"""First and last line, first and last column."""


def _position(code: types.CodeType, lasti: int) -> Place | None:
    return next(islice(code.co_positions(), lasti // 2, None), None) if lasti >= 0 else None


def _assignments(scope: ast.AST | None) -> list[tuple[int, str, str]]:
    """The assignments to plain names in a function or module, not in functions within: line, name and statement."""
    found: list[tuple[int, str, str]] = []
    waiting = list(ast.iter_child_nodes(scope)) if scope is not None else []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        waiting.extend(ast.iter_child_nodes(node))
        for target, text in _targets(node):
            stored = [
                name
                for name in ast.walk(target)
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
            ]
            found += [(name.lineno, name.id, text) for name in stored]
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.asname or alias.name.partition(".")[0] for alias in node.names]
            found += [(node.lineno, name, ast.unparse(node)) for name in names]
    return sorted(found)


def _targets(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """What a node assigns to, and the words for it."""
    if isinstance(node, ast.Assign):
        yield from ((target, ast.unparse(node)) for target in node.targets)
    elif isinstance(node, ast.AugAssign | ast.NamedExpr) or (
        isinstance(node, ast.AnnAssign) and node.value
    ):
        yield node.target, ast.unparse(node)
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        yield node.target, f"for {_text(node.target)} in {_text(node.iter)}"
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield node.optional_vars, f"with {_text(node)}"


# --- words ---------------------------------------------------------------------------------------


def _close(name: object, known: Iterable[object]) -> str:
    """The known name that is most like another, empty where none is."""
    if type(name) is not str:
        return ""
    names = [other for other in islice(known, NAMES) if type(other) is str and other != name]
    names = [other for other in names if name.startswith("__") or not other.startswith("__")]
    return next(iter(difflib.get_close_matches(name[:100], names, n=1, cutoff=0.6)), "")


def _kind(value: object) -> str:
    """'None', 'the int 3', 'a coroutine: was it awaited?'."""
    if value is None:
        return "None"
    if is_a(value, types.CoroutineType):
        return "a coroutine: was it awaited?"
    if is_a(value, types.FunctionType, types.MethodType, types.BuiltinFunctionType):
        return "the function itself: was it called?"
    if is_a(value, type):
        return "the class itself: was it called?"
    return f"the {type(value).__name__} {short_repr(value)}"


def _quoted(said: str) -> str:
    """The first name that Python's message has in quotes."""
    found = re.search(r"'(\w+)'", said)
    return found[1] if found else ""


def _last_quoted(said: str) -> str:
    try:
        return str(ast.literal_eval(said.partition(": ")[2]))
    except (ValueError, SyntaxError):
        return ""


def _text(node: ast.AST) -> str:
    return one_line(ast.unparse(node), 60)


def _sides(node: ast.BinOp | ast.AugAssign | ast.Compare) -> tuple[ast.expr, ast.expr]:
    if isinstance(node, ast.BinOp):
        return node.left, node.right
    if isinstance(node, ast.AugAssign):
        return node.target, node.value
    return node.left, node.comparators[0]
