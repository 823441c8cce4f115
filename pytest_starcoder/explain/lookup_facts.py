"""Facts on failed lookups: an index, a key, an attribute, a name, a module or a file."""

from __future__ import annotations

import ast
import builtins
import os
import re
import sys
import types
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pytest_starcoder.explain.equality import attributes, plain
from pytest_starcoder.explain.mock_calls import is_mock, spec_of
from pytest_starcoder.explain.raise_site import (
    RaiseSite,
    assignments_in,
    describe_value,
    text_of,
)
from pytest_starcoder.explain.similar_names import MAX_CANDIDATES, nearest_key, nearest_name
from pytest_starcoder.explain.table_differences import column_names
from pytest_starcoder.explain.type_differences import FUNCTION_TYPES
from pytest_starcoder.source.callees import is_instance
from pytest_starcoder.text.display import counted
from pytest_starcoder.text.reprs import short_repr
from pytest_starcoder.text.tables import table_kind

MAX_SHOWN = 100
"""Length below which a container is shown."""

MAX_LISTED = 8
"""Maximum number of attributes that are listed."""

EMPTY_VALUES: tuple[object, ...] = ([], (), {}, "", b"", set())


def index_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the index that is out of range and the length of the container."""
    for node in site.nodes(ast.Subscript, ast.Call):
        for holder, index in _indexed(site, node):
            container = plain(site.value(holder))
            if type(container) not in (list, tuple, str, bytes):
                continue
            if type(index) is not int:
                continue
            length = len(container)
            if -length <= index < length:
                continue
            fact = f"{text_of(node)}: index {index}, but {text_of(holder)} has length {length}"
            if length == 0:
                fact = f"{text_of(holder)} is empty"
            elif length < MAX_SHOWN:
                fact += f": {short_repr(container)}"
            yield fact
            yield from site.origin(holder)
            return
    yield from empty_argument_facts(site)


def _indexed(site: RaiseSite, node: ast.Subscript | ast.Call) -> Iterator[tuple[ast.expr, Any]]:
    """Yield the container of a subscript or a call of `pop`, with the index."""
    if isinstance(node, ast.Subscript):
        yield node.value, site.value(node.slice)
    elif isinstance(node.func, ast.Attribute) and node.func.attr == "pop":
        index = site.value(node.args[0]) if node.args else -1
        yield node.func.value, index


def empty_argument_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the arguments of calls that are empty."""
    for call in site.nodes(ast.Call):
        for argument in call.args:
            if isinstance(argument, ast.Constant):
                continue
            if plain(site.value(argument)) in EMPTY_VALUES:
                yield f"{text_of(argument)} is empty"
                yield from site.origin(argument)


def key_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the missing key and the existing one that is nearest to it."""
    if len(site.exc.args) != 1:
        return
    [key] = site.exc.args
    for node in site.nodes(ast.Subscript, ast.Call):
        if isinstance(node, ast.Subscript):
            holder = node.value
        else:  # a method such as `remove`
            holder = getattr(node.func, "value", node.func)
        container = plain(site.value(holder))
        if type(container) in (dict, set) and key not in container:
            yield from _missing_key_facts(site, holder, container, key)
            return
    yield from _column_facts(site, key)


def _column_facts(site: RaiseSite, key: Any) -> Iterator[str]:
    """Yield the columns or labels of the table that a key is missing in."""
    for entry in site.entries():
        for name in ("self", "obj"):
            table = entry.tb_frame.f_locals.get(name)
            if not table_kind(table):
                continue
            names = column_names(table)
            if names and key not in names:
                near = nearest_key(key, names)
                hint = f"; the nearest is {near}" if near else f": {short_repr(names)}"
                unit = "column" if table_kind(table) == "frame" else "label"
                yield f"the table has {counted(len(names), unit)}, not {short_repr(key)}{hint}"
                return


def _missing_key_facts(
    site: RaiseSite, holder: ast.expr, container: dict[Any, Any] | set[Any], key: Any
) -> Iterator[str]:
    unit = "key" if type(container) is dict else "item"
    size = counted(len(container), unit)
    fact = f"{text_of(holder)} has {size}, not {short_repr(key)}"
    # A similar key is more useful than a list of all keys.
    near = nearest_key(key, container)
    if near:
        yield f"{fact}; the nearest is {near}"
        return
    if container and type(container) is dict:
        keys = list(islice(container, 6))
        fact += f": {short_repr(keys)}"
    yield fact
    yield from site.origin(holder)


def attribute_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the nearest attribute, or the value that the attribute is missing on."""
    name = getattr(site.exc, "name", None)
    owner = getattr(site.exc, "obj", None)
    nodes = [node for node in site.nodes(ast.Attribute) if node.attr == name]
    holder = nodes[0].value if nodes else None
    # If user code raised the error without a name, no node has its name.
    if owner is None:
        if holder is not None:
            yield f"{text_of(holder)} is None"
            yield from site.origin(holder)
        return
    if not isinstance(name, str):
        return
    if is_instance(owner, types.ModuleType):
        yield from _shadowing_facts(site, vars(owner).get("__name__"))
    spec, spec_names = spec_of(owner)
    names = spec_names or list(dict.fromkeys(_attribute_names(owner)))
    near = nearest_name(name, names)
    if near:
        yield f"the nearest attribute is {near!r}"
        return
    if holder is not None:
        yield f"{text_of(holder)} is {describe_value(owner)}"
        yield from site.origin(holder)
    if spec:
        yield f"the mock stands for {spec}, which has {_public(names)}"
    elif not is_mock(owner):
        yield from _listing_facts(owner, names)


def _listing_facts(owner: object, names: list[str]) -> Iterator[str]:
    """Yield the public attributes of an object whose class is not in the standard library."""
    kind = type(owner)
    if kind.__module__ in sys.stdlib_module_names:
        return
    if is_instance(owner, type, types.ModuleType, *FUNCTION_TYPES):
        return
    listing = _public(names)
    if listing:
        yield f"{kind.__name__} has {listing}"


def _public(names: list[str]) -> str:
    """Return the first public names."""
    public = [name for name in names if not name.startswith("_")]
    return ", ".join(public[:MAX_LISTED])


def _attribute_names(owner: object) -> Iterator[str]:
    if is_instance(owner, types.ModuleType):
        yield from vars(owner)
        return
    yield from attributes(owner)
    kinds = type.mro(owner) if is_instance(owner, type) else type(owner).__mro__
    for kind in kinds:
        if kind is not object:
            yield from vars(kind)


def name_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the reason why a name is not defined, or the nearest name that is."""
    # In Python 3.11, only the message has the name of an unbound local variable.
    name = getattr(site.exc, "name", None) or _first_quoted(site.message)
    if not name:
        return
    assignments = assignments_in(site.function)
    lines = [assignment.line for assignment in assignments if assignment.name == name]
    if lines and is_instance(site.exc, UnboundLocalError):
        yield f"{name} is a local name here: it is assigned at line {lines[0]}"
    elif name in attributes(site.locals.get("self")):
        yield f"self has an attribute {name!r}"
    elif name in sys.stdlib_module_names:
        yield f"{name} is a module of the standard library that is not imported here"
    else:
        names = [*site.locals, *site.frame.f_globals, *vars(builtins)]
        near = nearest_name(name, names)
        if near:
            yield f"the nearest name is {near!r}"


def import_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the nearest module or name, and the reason why the wrong module was imported."""
    name = getattr(site.exc, "name", None)
    if not isinstance(name, str):
        return
    if is_instance(site.exc, ModuleNotFoundError):
        yield from _shadowing_facts(site, name.partition(".")[0])
        parent, _, last = name.rpartition(".")
        near = nearest_name(last, _importable_names(site, parent))
        if near:
            module_name = f"{parent}.{near}" if parent else near
            yield f"the nearest module is {module_name!r}"
        return
    module = sys.modules.get(name)
    if is_instance(module, types.ModuleType):
        yield from _shadowing_facts(site, name)
        # importlib sets this flag while the module's code runs.
        if getattr(vars(module).get("__spec__"), "_initializing", False):
            yield f"{name} is only partially imported: the import is circular"
        imported = getattr(site.exc, "name_from", None) or _first_quoted(site.message)
        near = nearest_name(imported, vars(module))
        if near:
            yield f"the nearest name in {name} is {near!r}"


def _importable_names(site: RaiseSite, parent: str) -> list[str]:
    """Return the modules in the package `parent`, or top-level ones if it is empty."""
    place = site.frame.f_code.co_filename
    if parent:
        place = getattr(sys.modules.get(parent), "__file__", None) or ""
    names: list[str] = []
    if place:
        files = _file_names(Path(place).parent)
        names += [file.removesuffix(".py") for file in files]
    if not parent:
        # A test file is named after what it tests, and is not what was meant.
        names = [name for name in names if not name.startswith("test_")]
        # A top-level module may be part of Python, or have been imported from elsewhere.
        names += [*sys.stdlib_module_names, *sys.modules]
    return list(filter(str.isidentifier, names))


def _shadowing_facts(site: RaiseSite, name: object) -> Iterator[str]:
    """Yield a sentence if a file next to the importing one hides a standard library module."""
    # vars, because a module may define `__getattr__`.
    file = vars(sys.modules.get(str(name), types)).get("__file__")
    source = Path(site.frame.f_code.co_filename)
    if name not in sys.stdlib_module_names or not isinstance(file, str):
        return
    if Path(file).parent == source.parent:
        module = f"{name} is the file {Path(file).name} next to {source.name}"
        yield f"{module}, not the standard library module"


def file_facts(site: RaiseSite) -> Iterator[str]:
    """Yield a sentence on the part of a missing file's path that exists."""
    file = getattr(site.exc, "filename", None)
    if not file or not isinstance(file, str | bytes | Path):
        return
    path = Path(os.fsdecode(file))
    last = list(site.entries())[-1:]
    if any(entry.tb_frame.f_globals.get("__name__") == "subprocess" for entry in last):
        return  # a program, which is looked for elsewhere
    source = Path(site.frame.f_code.co_filename)
    # Tests often run in a different working directory than a script.
    if not path.is_absolute() and (source.parent / path).exists():
        start = "but relative paths start at the working directory"
        yield f"it exists next to {source.name}, {start}"
    elif path.parent.is_dir():
        near = nearest_name(path.name, sorted(_file_names(path.parent)))
        similar = f"with {near!r}" if near else "without a file of a similar name"
        yield f"its folder exists, {similar}"
    else:
        missing = [parent for parent in path.parents if not parent.exists()]
        outermost = missing[-1] if missing else path.parent
        yield f"the folder {outermost.name!r} does not exist either"


def _file_names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in islice(entries, MAX_CANDIDATES)]
    except OSError:
        return []


def _first_quoted(message: str) -> str:
    """Return the first quoted name in a message; empty if it has none."""
    match = re.search(r"'(\w+)'", message)
    return match[1] if match else ""
