"""Protects the files of other plugins: what their hooks write or remove goes to a temporary folder.

Our runs load the user's plugins, and some of them write reports, clear folders or count runs, in
any hook. Tests, fixtures and modules write where they always do; only calls from a hook of a
plugin or a conftest are redirected. Every reader of such a path in the same process then sees the
redirected file.

It replaces functions of `os`, `io`, `shutil` and `sqlite3`. Writes by other programs are not seen.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import functools
import glob
import inspect
import io
import os
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

RUNS_TESTS = frozenset(
    """
    pytest_runtest_setup pytest_runtest_call pytest_runtest_teardown pytest_pyfunc_call pytest_fixture_setup
    pytest_make_collect_report pytest_pycollect_makemodule pytest_pycollect_makeitem pytest_generate_tests
    pytest_collect_file pytest_collect_directory pytest_make_parametrize_id pytest_runtest_makereport
    pytest_assertrepr_compare pytest_sessionfinish
    """.split()
)
"""Hooks in which pytest itself runs tests and fixtures; the last one tears down the rest."""

CALLS_TESTS = frozenset({"pytest_pyfunc_call", "pytest_fixture_setup"})
"""Those hooks in which a plugin may run tests instead, such as asyncio plugins."""

OURS = os.path.join(os.path.dirname(__file__), "")  # noqa: PTH118, PTH120
"""The folder of the hooks that are our own."""

MAX_WRAPPED = 20
"""Functions that are looked into for the test that they wrap."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

EARLIER = 0.05
"""Seconds by which the clock of a file system may lag."""


def guard_files(manager: pytest.PytestPluginManager, folder: Path) -> None:
    """Redirect all writes of hooks of the plugins in `manager` into `folder` from now on."""
    Aside(manager, folder).install()


class Aside:
    """Knows the redirected paths, and provides the replacement functions."""

    def __init__(self, manager: pytest.PytestPluginManager, folder: Path) -> None:
        self._manager = manager
        self._folder = str(folder.absolute())
        self._since = time.time() - EARLIER
        self._moved: dict[str, str] = {}
        self._born: set[str] = set()
        self._count = 0
        self._real = {name: getattr(os, name) for name in ("lstat", "mkdir", "remove")}

    # --- callers ---

    def _is_from_hook(self) -> bool:
        """Return whether the current call comes from a plugin's hook, and not from a test."""
        called: list[CodeType] = []
        is_from_hook = self._of_hook(sys._getframe(1), called)
        if is_from_hook is None and threading.current_thread() is not threading.main_thread():
            main = sys._current_frames().get(threading.main_thread().ident or 0)
            is_from_hook = self._of_hook(main, called)
        return is_from_hook is not False  # outside any hook: at a plugin's import, or at exit

    def _of_hook(self, frame: FrameType | None, called: list[CodeType]) -> bool | None:
        """Return the same for the innermost hook call; None outside any.

        The codes that run below that hook are appended to `called`, innermost first.
        """
        while frame is not None:
            code = frame.f_code
            if code.co_name == "_multicall" and self._is_ours(frame):
                given = frame.f_locals.get("caller_kwargs", {})
                return not _runs_test(str(frame.f_locals.get("hook_name")), given, called[::-1])
            if code.co_name == "<module>" and code.co_filename.endswith("conftest.py"):
                return True
            called.append(code)
            frame = frame.f_back
        return None

    def _is_ours(self, frame: FrameType) -> bool:
        """Return whether this pytest calls the hook: the code under test may have hooks, too."""
        if not str(frame.f_globals.get("__name__")).startswith("pluggy"):
            return False
        caller = frame.f_back
        for _ in range(4):
            manager = caller.f_locals.get("self") if caller is not None else None
            if caller is None or hasattr(manager, "get_plugins"):
                return caller is None or manager is self._manager
            caller = caller.f_back
        return True

    # --- paths ---

    def view(self, path: Any) -> Any:
        """Return where `path` is now: itself unless it was redirected."""
        if not self._moved or not _is_path(path):
            return path
        place = _absolute(path)
        rest = ""
        while True:
            if place in self._moved:
                return self._moved[place] + rest
            parent = os.path.dirname(place)  # noqa: PTH120
            if parent == place:
                return path
            rest, place = place[len(parent.rstrip(os.sep)) :] + rest, parent

    def written(self, path: Any, *, copied: bool = True) -> Any:
        """Return where to write `path`: for a hook, a copy or a new place."""
        if not _is_path(path):
            return path
        place, now = _absolute(path), self.view(path)
        if now is not path or self._is_free(place):
            return now
        if not self._is_from_hook():
            if not self._exists(place):
                self._born.add(place)
            return path
        if place in self._born or not self._exists(os.path.dirname(place)) or os.path.isdir(place):  # noqa: PTH112, PTH120
            return path  # let the system report that it cannot be written
        there = self._away(place)
        if copied and self._exists(place):
            with contextlib.suppress(OSError):
                shutil.copy2(place, there)
        self._moved[place] = there
        return there

    def gone(self, path: Any) -> bool:
        """Mark `path` as removed if a hook removes a user's file; return whether it did."""
        if not _is_path(path):
            return False
        place = _absolute(path)
        if self.view(path) is not path or self._is_free(place) or not self._exists(place):
            return False
        if self._is_new(place) or not self._is_from_hook():
            return False
        for made in [made for made in self._born if made.startswith(place + os.sep)]:
            with contextlib.suppress(OSError):  # a folder, or already gone
                self._real["remove"](made)
        for below in [known for known in self._moved if known.startswith(place + os.sep)]:
            del self._moved[below]
        self._moved[place] = self._away(place)
        return True

    def _away(self, place: str) -> str:
        """Return an unused path in our folder with the same name."""
        self._count += 1
        folder = os.path.join(self._folder, f"{os.getpid()}-{self._count}")  # noqa: PTH118
        with contextlib.suppress(FileExistsError):
            self._real["mkdir"](self._folder)
        self._real["mkdir"](folder)
        return os.path.join(folder, os.path.basename(place))  # noqa: PTH118, PTH119

    def _exists(self, place: str) -> bool:
        try:
            self._real["lstat"](place)
        except (OSError, ValueError):
            return False
        return True

    def _is_free(self, place: str) -> bool:
        """Return whether anyone may write: our folder, devices, Python caches, temporary files."""
        if place.startswith((os.path.dirname(self._folder) + os.sep, "/dev/", "/proc/")):  # noqa: PTH120
            return True
        if f"{os.sep}__pycache__" in place:
            return True
        if any(
            place == made or place.startswith(made + os.sep) for made in self._born_in_temporary()
        ):
            return True
        if place.startswith(_temporary()) and _is_tempfile(sys._getframe(1)):
            self._born.add(place)
            return True
        return False

    def _born_in_temporary(self) -> Iterator[str]:
        temporary = _temporary()
        return (made for made in self._born if made.startswith(temporary))

    def _is_new(self, place: str) -> bool:
        """Return whether this run created the file: then it may be removed."""
        if place in self._born:
            return True
        state = self._real["lstat"](place)
        return bool(state.st_ctime >= self._since and not os.path.isdir(place))  # noqa: PTH112

    # --- the functions ---

    def install(self) -> None:
        opened = self._open(builtins.open)
        builtins.open = opened
        io.open = opened
        self._replace(os, "open", self._os_open)
        for name in ("stat", "lstat", "access", "readlink", "chdir"):
            self._replace(os, name, self._reading)
        for name in ("utime", "chmod", "chown", "truncate", "setxattr", "removexattr"):
            self._replace(os, name, self._changing)
        for name in ("remove", "unlink"):
            self._replace(os, name, self._removing)
        self._replace(os, "rmdir", self._removing_folder)
        self._replace(shutil, "rmtree", self._removing)
        self._replace(os, "mkdir", self._making)
        for name in ("rename", "replace"):
            self._replace(os, name, self._renaming)
        for name in ("link", "symlink"):
            self._replace(os, name, self._linking)
        self._replace(os, "listdir", self._listing)
        self._replace(os, "scandir", self._scanning)
        connect = self._connecting(sqlite3.connect)
        sqlite3.connect = sqlite3.dbapi2.connect = connect

    def _replace(self, module: Any, name: str, wrapped: Callable[[Any], Any]) -> None:
        real = getattr(module, name, None)
        if real is None:
            return
        ours = functools.wraps(real)(wrapped(real))
        for able in (
            os.supports_dir_fd,
            os.supports_follow_symlinks,
            os.supports_fd,
            os.supports_effective_ids,
        ):
            if real in able:
                able.add(ours)
        setattr(module, name, ours)
        for kind in vars(glob).values():  # globbers of Python 3.13 captured some of them
            held = vars(kind).get(name) if isinstance(kind, type) else None
            if isinstance(held, staticmethod) and held.__func__ is real:
                setattr(kind, name, staticmethod(ours))

    def _open(self, real: Any) -> Any:
        @functools.wraps(real)
        def open_file(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            if isinstance(mode, str) and set(mode) & set("wax+") and not options.get("opener"):
                file = self.written(file, copied="w" not in mode)
            else:
                file = self.view(file)
            return real(file, mode, *rest, **options)

        return open_file

    def _os_open(self, real: Any) -> Any:
        def open_descriptor(path: Any, flags: int, *rest: Any, **options: Any) -> Any:
            if options.get("dir_fd") is None:
                path = (
                    self.written(path, copied=not flags & os.O_TRUNC)
                    if flags & WRITING
                    else self.view(path)
                )
            return real(path, flags, *rest, **options)

        return open_descriptor

    def _reading(self, real: Any) -> Any:
        def read(path: Any, *rest: Any, **options: Any) -> Any:
            if self._moved and options.get("dir_fd") is None:
                path = self.view(path)
            return real(path, *rest, **options)

        return read

    def _changing(self, real: Any) -> Any:
        def change(path: Any, *rest: Any, **options: Any) -> Any:
            if options.get("dir_fd") is None:
                exists = _is_path(path) and self._exists(_absolute(path))
                now = self.written(path) if exists else self.view(path)
                if now is path and exists and self._is_kept_folder(path):
                    return None
                path = now
            return real(path, *rest, **options)

        return change

    def _is_kept_folder(self, path: Any) -> bool:
        """Return whether it is a user's folder, which cannot be copied for a hook."""
        place = _absolute(path)
        is_theirs = os.path.isdir(place) and not self._is_free(place) and place not in self._born  # noqa: PTH112
        return is_theirs and self._is_from_hook()

    def _removing(self, real: Any) -> Any:
        def remove(path: Any, *rest: Any, **options: Any) -> Any:
            if options.get("dir_fd") is not None:
                return real(path, *rest, **options)
            if self.gone(path):
                return None
            return real(self.view(path), *rest, **options)

        return remove

    def _removing_folder(self, real: Any) -> Any:
        removing = self._removing(real)

        def remove_folder(path: Any, *rest: Any, **options: Any) -> Any:
            is_folder = _is_path(path) and os.path.isdir(path)  # noqa: PTH112
            if options.get("dir_fd") is None and is_folder and os.listdir(path):  # noqa: PTH208
                raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
            return removing(path, *rest, **options)

        return remove_folder

    def _making(self, real: Any) -> Any:
        def make(path: Any, *rest: Any, **options: Any) -> Any:
            exists = _is_path(path) and self._exists(_absolute(self.view(path)))
            if options.get("dir_fd") is None and not exists:
                path = self.written(path, copied=False)
            return real(self.view(path), *rest, **options)

        return make

    def _renaming(self, real: Any) -> Any:
        def rename(source: Any, target: Any, **options: Any) -> Any:
            if not (_is_path(source) and _is_path(target)) or any(
                value is not None for value in options.values()
            ):
                return real(source, target, **options)
            now, there = self.view(source), self.written(target, copied=False)
            if now is not source or there is target or not self._exists(_absolute(source)):
                return real(now, there)
            # Our folder may be on another file system than the user's files.
            copy = shutil.copytree if os.path.isdir(source) else shutil.copy2  # noqa: PTH112
            copy(source, there)
            if not self.gone(source):
                os.remove(source)  # noqa: PTH107
            return None

        return rename

    def _linking(self, real: Any) -> Any:
        def link(source: Any, target: Any, *rest: Any, **options: Any) -> Any:
            if options.get("dir_fd") is None:
                target = self.written(target, copied=False)
            return real(source, target, *rest, **options)

        return link

    def _listing(self, real: Any) -> Any:
        def list_folder(path: Any = ".") -> Any:
            if not self._moved or not _is_path(path):
                return real(path)
            names = dict.fromkeys(real(self.view(path)))
            for place, there in self._below(path):
                name: Any = os.path.basename(place)  # noqa: PTH119
                name = os.fsencode(name) if isinstance(path, bytes) else name
                names.pop(name, None)
                if self._exists(there):
                    names[name] = None
            return list(names)

        return list_folder

    def _scanning(self, real: Any) -> Any:
        def scan_folder(path: Any = ".") -> Any:
            if not self._moved or not _is_path(path) or not self._below(path):
                return real(self.view(path))
            moved = dict(self._below(path))
            entries = []
            with real(self.view(path)) as found:
                entries += [
                    entry for entry in found if self._absolute_in(path, entry.name) not in moved
                ]
            for there in moved.values():
                if self._exists(there):
                    with real(os.path.dirname(there)) as found:  # noqa: PTH120
                        entries += list(found)
            return _Entries(entries)

        return scan_folder

    def _absolute_in(self, folder: Any, name: Any) -> str:
        return os.path.join(_absolute(folder), os.fsdecode(name))  # noqa: PTH118

    def _below(self, folder: Any) -> list[tuple[str, str]]:
        """Return the redirected files in a folder: original path and new place."""
        place = _absolute(folder)
        return [entry for entry in self._moved.items() if os.path.dirname(entry[0]) == place]  # noqa: PTH120

    def _connecting(self, real: Any) -> Any:
        @functools.wraps(real)
        def connect(database: Any, *rest: Any, **options: Any) -> Any:
            if (
                _is_path(database)
                and not options.get("uri")
                and os.fsdecode(database) not in ("", ":memory:")
            ):
                database = self.written(database)
            return real(database, *rest, **options)

        return connect


class _Entries:
    """Mimics the result of `os.scandir`."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[Any]:
        return self._entries

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries = iter(())


def _runs_test(hook: str, given: Mapping[str, Any], called: list[CodeType]) -> bool:
    """Return whether test code runs below a hook that was `given` these arguments.

    `called` are the codes from the hook inwards, its implementation first.
    """
    if not called:
        return False
    implementation = called[0]
    if implementation.co_filename.startswith(OURS):
        return True  # drafts and calls that are observed: what they may write, the sandbox says
    if hook not in RUNS_TESTS:
        return False
    if f"{os.sep}_pytest{os.sep}" in implementation.co_filename:
        return True
    if hook not in CALLS_TESTS or implementation.co_flags & inspect.CO_GENERATOR:
        return False
    codes = _codes_of(given)
    return not codes or not codes.isdisjoint(called)


def _codes_of(given: Mapping[str, Any]) -> set[CodeType]:
    """The code of the test or fixture that a hook was given, and of the functions that decorators wrap."""
    function = getattr(given.get("fixturedef"), "func", None) or getattr(
        given.get("pyfuncitem"), "obj", None
    )
    codes: set[CodeType] = set()
    while function is not None and len(codes) < MAX_WRAPPED:
        function = getattr(function, "__func__", function)
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType):
            codes.add(code)
        function = getattr(function, "__wrapped__", None)
    return codes


def _temporary() -> str:
    """Return the known folder for temporary files; `gettempdir()` would write there."""
    return os.path.join(tempfile.tempdir or "/no such folder", "")  # noqa: PTH118


def _is_tempfile(frame: FrameType | None) -> bool:
    """Return whether the caller is the module `tempfile`."""
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__") == "tempfile"


def _is_path(path: Any) -> bool:
    return isinstance(path, str | bytes | os.PathLike)


def _absolute(path: Any) -> str:
    return os.path.abspath(os.fsdecode(path))  # noqa: PTH100
