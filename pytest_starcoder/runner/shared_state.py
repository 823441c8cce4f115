"""Finds the state that tests leave changed for later tests, and restores it.

A snapshot covers globals, attributes of classes, default arguments, closures and caches of the
project's modules, its fixtures of wider scope, and the state of the process, such as environment
variables. It reads values without calling methods of the user's classes.
"""

from __future__ import annotations

import contextlib
import functools
import locale
import logging
import os
import random
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any

import pytest

from pytest_starcoder.runner.worker_messages import ChangedState
from pytest_starcoder.source.project import Project

MAX_SECONDS = 0.5
"""Maximum seconds for a snapshot."""

MAX_OBJECTS = 20_000
"""Maximum number of objects whose contents are kept."""

MAX_ENTRIES = 5_000
"""Maximum number of entries of one object."""

MAX_DEPTH = 5
"""Maximum number of steps from a name to a value inside of its value."""

MAX_FOREIGN_DEPTH = 2
"""The same for instances of classes that are not the project's own."""

MAX_CHANGES = 60
"""Maximum number of changes that are reported."""

ATOMS = (int, float, complex, bool, str, bytes, type(None))
"""Types whose values are compared; all others are compared by identity."""

TEST_PACKAGES = frozenset({"_pytest", "pluggy", "pytest", "pytest_starcoder", "xdist", "execnet"})
"""Packages that run the tests: their state changes all the time."""

IGNORED_NAMES = frozenset(
    {"stdin", "stdout", "stderr", "__builtins__", "__warningregistry__", "__doc__", "__dict__"}
)
"""Names in modules and classes that pytest or Python replaces."""

ABSENT: Any = object()
"""The value of a name that does not exist."""

_now = time.perf_counter  # a test may replace it


@dataclass(frozen=True)
class Contents:
    """A copy of one mutable thing; `read` returns its present contents, and `write` sets them."""

    read: Callable[[], Any]
    write: Callable[[Any], object]
    saved: Any

    @classmethod
    def now(cls, read: Callable[[], Any], write: Callable[[Any], object]) -> Contents:
        return cls(read, write, read())

    @property
    def is_changed(self) -> bool:
        return not _is_same(self.read(), self.saved)

    def restore(self) -> None:
        self.write(self.saved)


@dataclass(frozen=True)
class Namespace:
    """The values of names: those of a module or a class, or environment variables.

    `describe` turns a name into the state that it is, and `write` sets one name, or deletes it
    if the value is ABSENT.
    """

    describe: Callable[[str], ChangedState]
    read: Callable[[], Mapping[str, Any]]
    write: Callable[[str, Any], object]
    saved: Mapping[str, Any]

    def changes(self) -> Iterator[tuple[ChangedState, Callable[[], object]]]:
        """Yield the names that differ, each with a function that restores it."""
        current = dict(self.read())
        for name in {**self.saved, **current}:
            before = self.saved.get(name, ABSENT)
            if name not in IGNORED_NAMES and not _is_same(current.get(name, ABSENT), before):
                yield self.describe(name), functools.partial(self.write, name, before)


class Snapshot:
    """The state of a project and its process at one time."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._until = _now() + MAX_SECONDS
        self._namespaces: list[Namespace] = []
        self._contents: dict[ChangedState, list[Contents]] = {}
        self._kept: dict[int, tuple[object, list[Contents]]] = {}
        self._modules = self._project_modules()
        self._seen: set[int] = set()
        for name, path in self._modules.items():
            self._add_module(sys.modules[name], path)
        self._add_process()
        for name, module in list(sys.modules.items()):
            if name not in self._modules and name.partition(".")[0] not in TEST_PACKAGES:
                self._add_foreign_module(name, module)

    def changed(self) -> list[ChangedState]:
        """Return the state that differs now, that of the project first."""
        return list(self._changes())[:MAX_CHANGES]

    def restore(self, states: Collection[ChangedState]) -> None:
        """Set the given state to what it was."""
        for state, restores in self._changes().items():
            if state in states:
                for restore in restores:
                    with contextlib.suppress(Exception):  # a class may refuse it
                        restore()

    def _changes(self) -> dict[ChangedState, list[Callable[[], object]]]:
        changes: dict[ChangedState, list[Callable[[], object]]] = {}
        for namespace in self._namespaces:
            with contextlib.suppress(Exception):
                for state, restore in namespace.changes():
                    changes.setdefault(state, []).append(restore)
        for state, group in self._contents.items():
            for contents in group:
                with contextlib.suppress(Exception):
                    if contents.is_changed:
                        changes.setdefault(state, []).append(contents.restore)
        return dict(sorted(changes.items(), key=lambda change: not change[0].path))

    # --- the project -----------------------------------------------------------------------

    def _project_modules(self) -> dict[str, str]:
        """Return the paths of the project's modules, by name."""
        modules = {}
        for name, module in list(sys.modules.items()):
            file = vars(module).get("__file__") if type(module) is ModuleType else None
            if isinstance(file, str) and self._project.holds(file):
                modules[name] = self._project.path_of(file)
        return modules

    def _add_module(self, module: ModuleType, path: str) -> None:
        namespace = vars(module)
        self._namespaces.append(
            Namespace(
                lambda name: ChangedState(name, path),
                lambda: namespace,
                functools.partial(_set_item, namespace),
                dict(namespace),
            )
        )
        for name, value in list(namespace.items()):
            if not name.startswith(("@", "__")):
                self._add_value(ChangedState(name, path), value)

    def _add_value(self, state: ChangedState, value: object) -> None:
        """Add what a name of a module or a class refers to."""
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        if type(value) is property:
            return
        if type(value) is functools._lru_cache_wrapper:
            self._add_cache(value)
        elif type(value) is FunctionType:
            self._add_function(value)
        elif issubclass(type(value), type):
            self._add_class(value)
        else:
            self._contents.setdefault(state, []).extend(self._inside(value))

    def _add_class(self, value: Any) -> None:
        path = self._modules.get(type.__getattribute__(value, "__module__"))
        if path is None or id(value) in self._seen:
            return
        self._seen.add(id(value))
        qualname = type.__getattribute__(value, "__qualname__")

        def describe(name: str) -> ChangedState:
            return ChangedState(f"{qualname}.{name}", path)

        attributes = type.__getattribute__(value, "__dict__")
        self._namespaces.append(
            Namespace(
                describe,
                lambda: type.__getattribute__(value, "__dict__"),
                functools.partial(_set_class_attribute, value),
                dict(attributes),
            )
        )
        for name, attribute in list(attributes.items()):
            if name not in ("__dict__", "__weakref__", "__doc__", "_abc_impl"):
                self._add_value(describe(name), attribute)

    def _add_function(self, function: FunctionType) -> None:
        """Add the default arguments, the attributes and the closure of a function."""
        code = function.__code__
        if id(function) in self._seen or not self._project.holds(code.co_filename):
            return
        self._seen.add(id(function))
        path = self._project.path_of(code.co_filename)
        name = code.co_qualname.replace(".<locals>", "")
        arguments = code.co_varnames[: code.co_argcount]
        defaults = function.__defaults__ or ()
        named = dict(zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True))
        for argument, value in {**named, **(function.__kwdefaults__ or {})}.items():
            state = ChangedState(f"the default of {argument} in {name}()", path)
            self._contents.setdefault(state, []).extend(self._inside(value))
        for attribute, value in list(vars(function).items()):
            if attribute == "__wrapped__":
                self._add_value(ChangedState(name, path), value)
        attributes = vars(function)
        self._namespaces.append(
            Namespace(
                lambda attribute: ChangedState(f"{name}.{attribute}", path),
                lambda: attributes,
                functools.partial(_set_item, attributes),
                dict(attributes),
            )
        )
        for variable, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            if variable.startswith("__"):  # Python's own, such as `__class__`
                continue
            self._add_cell(ChangedState(f"{variable} around {name}()", path), cell)

    def _add_cell(self, state: ChangedState, cell: Any) -> None:
        try:
            value = cell.cell_contents
        except ValueError:  # it has no value yet
            return
        if type(value) is FunctionType:
            self._add_function(value)
            return
        group = self._contents.setdefault(state, [])
        group.append(
            Contents(
                lambda: cell.cell_contents,
                lambda saved: setattr(cell, "cell_contents", saved),
                value,
            )
        )
        group += self._inside(value)

    def _add_cache(self, cache: Any) -> None:
        function = getattr(cache, "__wrapped__", None)
        code = getattr(function, "__code__", None)
        if code is None or not self._project.holds(code.co_filename):
            return
        state = ChangedState(
            f"the cache of {code.co_qualname}()", self._project.path_of(code.co_filename)
        )
        contents = Contents.now(
            lambda: (cache.cache_info().misses, cache.cache_info().currsize),
            lambda _: cache.cache_clear(),
        )
        self._contents.setdefault(state, []).append(contents)

    # --- fixtures --------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, object, object]:
        """Add the value of a new fixture that several tests share."""
        value = yield
        with contextlib.suppress(Exception):
            self._add_fixture(fixturedef, value)
        return value

    def _add_fixture(self, fixturedef: Any, value: object) -> None:
        code = getattr(fixturedef.func, "__code__", None)
        is_shared = fixturedef.scope != "function"
        if is_shared and code is not None and self._project.holds(code.co_filename):
            self._until = _now() + MAX_SECONDS
            path = self._project.path_of(code.co_filename)
            state = ChangedState(f"the fixture {fixturedef.argname}", path)
            self._contents.setdefault(state, []).extend(self._inside(value))

    # --- the process -----------------------------------------------------------------------

    def _add_process(self) -> None:
        self._namespaces.append(
            Namespace(
                lambda name: ChangedState(f"os.environ[{name!r}]", ""),
                _variables,
                _set_variable,
                _variables(),
            )
        )
        modules = sys.modules
        self._namespaces.append(
            Namespace(
                lambda name: ChangedState(f"sys.modules[{name!r}]", ""),
                lambda: modules,
                functools.partial(_set_item, modules),
                dict(modules),
            )
        )
        path = sys.path
        places: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
            "the current folder": (os.getcwd, os.chdir),
            "sys.path": (lambda: list(path), lambda saved: path.__setitem__(slice(None), saved)),
            "the state of random": (random.getstate, random.setstate),
            "the locale": (
                lambda: locale.setlocale(locale.LC_ALL),
                lambda saved: locale.setlocale(locale.LC_ALL, saved),
            ),
            "the threshold of logging": (
                lambda: logging.root.manager.disable,
                logging.disable,
            ),
        }
        for name, (read, write) in places.items():
            with contextlib.suppress(Exception):
                self._contents[ChangedState(name, "")] = [Contents.now(read, write)]
        loggers = [logging.root, *logging.root.manager.loggerDict.values()]
        for logger in loggers:
            if isinstance(logger, logging.Logger):
                state = ChangedState(f"the logger {logger.name!r}", "")
                self._contents[state] = [
                    Contents.now(
                        functools.partial(_logger_state, logger),
                        functools.partial(_set_logger_state, logger),
                    )
                ]

    def _add_foreign_module(self, name: str, module: object) -> None:
        """Add the names of an installed module, not what is in their values."""
        if type(module) is not ModuleType:
            return
        namespace = vars(module)
        self._namespaces.append(
            Namespace(
                lambda attribute: ChangedState(f"{name}.{attribute}", ""),
                lambda: namespace,
                functools.partial(_set_item, namespace),
                dict(namespace),
            )
        )

    # --- the inside of values --------------------------------------------------------------

    def _inside(self, value: object) -> list[Contents]:
        """Return the contents of a value and of all that it holds, as far as limits allow."""
        found: list[Contents] = []
        visited: set[int] = set()
        waiting = [(value, 0)]
        while waiting and len(self._kept) < MAX_OBJECTS and _now() < self._until:
            current, depth = waiting.pop()
            if id(current) in visited or not self._is_open(current, depth):
                continue
            visited.add(id(current))
            if id(current) not in self._kept:
                # Keeping the object also keeps its id from being used again.
                self._kept[id(current)] = current, list(_contents_of(current))
            contents = self._kept[id(current)][1]
            found += contents
            if depth < MAX_DEPTH:
                waiting += [(child, depth + 1) for child in _children(current, contents)]
        return found

    def _is_open(self, value: object, depth: int) -> bool:
        kind = type(value)
        if kind in ATOMS or issubclass(kind, type) or kind in (ModuleType, FunctionType):
            return False
        module = type.__getattribute__(kind, "__module__")
        if module in self._modules or kind in (dict, list, set, tuple, deque, OrderedDict):
            return True
        package = module.partition(".")[0] if isinstance(module, str) else ""
        return package not in TEST_PACKAGES and depth < MAX_FOREIGN_DEPTH


def _contents_of(value: Any) -> Iterator[Contents]:
    """Yield copies of what an object itself holds, by methods of built-in types only."""
    bases = type(value).__mro__
    if OrderedDict in bases:
        if type(value) is OrderedDict and len(value) <= MAX_ENTRIES:
            yield Contents.now(lambda: dict(value), functools.partial(_set_ordered, value))
    elif dict in bases and dict.__len__(value) <= MAX_ENTRIES:
        yield _dict_contents(value)
    elif list in bases and list.__len__(value) <= MAX_ENTRIES:
        write = functools.partial(list.__setitem__, value, slice(None))
        yield Contents.now(functools.partial(list.copy, value), write)
    elif set in bases and set.__len__(value) <= MAX_ENTRIES:
        yield Contents.now(
            lambda: frozenset(set.__iter__(value)), functools.partial(_set_members, value)
        )
    elif deque in bases and deque.__len__(value) <= MAX_ENTRIES:
        yield Contents.now(
            lambda: list(deque.__iter__(value)), functools.partial(_set_entries, value)
        )
    elif bytearray in bases and bytearray.__len__(value) <= MAX_ENTRIES:
        write = functools.partial(bytearray.__setitem__, value, slice(None))
        yield Contents.now(lambda: bytes(value), write)
    for base in bases:
        attributes = vars(base)
        descriptor = attributes.get("__dict__")
        if type(descriptor) is GetSetDescriptorType:
            yield _dict_contents(descriptor.__get__(value))
        if "__slots__" in attributes:
            for member in attributes.values():
                if type(member) is MemberDescriptorType:
                    yield _slot_contents(value, member)


def _dict_contents(value: dict[Any, Any]) -> Contents:
    def write(saved: dict[Any, Any]) -> None:
        dict.clear(value)
        dict.update(value, saved)

    return Contents.now(functools.partial(dict.copy, value), write)


def _slot_contents(value: object, member: MemberDescriptorType) -> Contents:
    def read() -> Any:
        try:
            return member.__get__(value)
        except AttributeError:
            return ABSENT

    def write(saved: Any) -> None:
        if saved is not ABSENT:
            member.__set__(value, saved)
        elif read() is not ABSENT:
            member.__delete__(value)

    return Contents.now(read, write)


def _children(value: Any, contents: Iterable[Contents]) -> Iterator[Any]:
    if type(value) in (tuple, frozenset):
        yield from value
    for each in contents:
        saved = each.saved
        if type(saved) is dict:
            yield from saved.values()
        elif type(saved) in (list, frozenset):
            yield from saved
        else:
            yield saved


def _is_same(value: Any, before: Any) -> bool:
    """Return whether two values are the same object, or equal and of a simple type."""
    if value is before:
        return True
    kind = type(value)
    if kind is not type(before):
        return False
    if kind in ATOMS:
        return bool(value == before)
    if kind in (tuple, list):
        return len(value) == len(before) and all(map(_is_same_entry, value, before))
    if kind is dict:
        return list(value) == list(before) and all(
            map(_is_same_entry, value.values(), before.values())
        )
    if kind is frozenset:
        return bool(value == before)
    return False


def _is_same_entry(value: Any, before: Any) -> bool:
    # Entries that are containers have contents of their own, and may contain themselves.
    if type(value) in (list, dict):
        return value is before
    return _is_same(value, before)


# --- writing -------------------------------------------------------------------------------


def _set_item(namespace: dict[str, Any], name: str, value: Any) -> None:
    if value is ABSENT:
        namespace.pop(name, None)
    else:
        namespace[name] = value


def _set_class_attribute(owner: Any, name: str, value: Any) -> None:
    if value is ABSENT:
        type.__delattr__(owner, name)
    else:
        type.__setattr__(owner, name, value)


def _set_ordered(value: OrderedDict[Any, Any], saved: dict[Any, Any]) -> None:
    value.clear()
    value.update(saved)


def _set_members(value: set[Any], saved: frozenset[Any]) -> None:
    set.clear(value)
    set.update(value, saved)


def _set_entries(value: deque[Any], saved: list[Any]) -> None:
    deque.clear(value)
    deque.extend(value, saved)


def _variables() -> dict[str, str]:
    variables = dict(os.environ)
    variables.pop("PYTEST_CURRENT_TEST", None)
    return variables


def _set_variable(name: str, value: Any) -> None:
    if value is ABSENT:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
    if name == "TZ" and hasattr(time, "tzset"):
        time.tzset()


def _logger_state(logger: logging.Logger) -> tuple[Any, ...]:
    handlers, filters = tuple(logger.handlers), tuple(logger.filters)
    return logger.level, logger.disabled, logger.propagate, handlers, filters


def _set_logger_state(logger: logging.Logger, state: tuple[Any, ...]) -> None:
    level, logger.disabled, logger.propagate, handlers, filters = state
    logger.handlers[:], logger.filters[:] = handlers, filters
    logger.setLevel(level)
