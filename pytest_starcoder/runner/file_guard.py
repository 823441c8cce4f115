"""Redirects the writes of plugins' hooks into a temporary folder.

Our runs load the user's plugins, and their hooks may write reports, clear folders or count runs:
the files of the user's own run must stay. Only calls from a hook of a plugin or a conftest are
redirected; tests, fixtures and modules write where they always do. Every reader of a redirected
path in this process gets the new file.

It replaces functions of `os`, `io`, `shutil` and `sqlite3`. Writes by other programs are not seen.
"""

# pathlib would call the functions that are replaced here.
# ruff: noqa: PTH100, PTH107, PTH112, PTH118, PTH119, PTH120, PTH208

from __future__ import annotations

import builtins
import contextlib
import errno
import functools
import glob
import io
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_starcoder.runner.edited_source import Texts
from pytest_starcoder.runner.hook_callers import HookCallers

WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

CLOCK_LAG = 0.05
"""Seconds by which the clock of a file system may lag."""

CAPABILITIES = (
    os.supports_dir_fd,
    os.supports_follow_symlinks,
    os.supports_fd,
    os.supports_effective_ids,
)
"""Sets of functions of `os`; callers such as shutil look into them before they pass options."""

IGNORE = object()
"""Stands for a path when the call is to have no effect."""


def guard_files(manager: pytest.PytestPluginManager, folder: Path) -> FileGuard:
    """Redirect all writes of hooks of the plugins in `manager` into `folder` from now on."""
    guard = FileGuard(HookCallers(manager), folder)
    guard.install()
    return guard


class FileGuard:
    """Knows the redirected paths, and replaces the functions that take a path."""

    def __init__(self, callers: HookCallers, folder: Path) -> None:
        self._callers = callers
        self._folder = str(folder.absolute())
        self._started = time.time() - CLOCK_LAG
        self._redirected: dict[str, str] = {}
        self._created: set[str] = set()
        """Files and folders created by tests, and temporary ones: anyone may write them."""
        self._count = 0
        # For our own use, also after they are replaced.
        self._lstat = os.lstat
        self._mkdir = os.mkdir
        self._remove = os.remove

    def install(self) -> None:
        guarded_open = functools.wraps(builtins.open)(self._guard_open(builtins.open))
        # One function under two names, of which pathlib uses the second.
        builtins.open = io.open = guarded_open
        _replace(os, "open", self._guard_os_open)
        for name in ("stat", "lstat", "access", "readlink", "chdir"):
            self._guard(os, name, self._current)
        for name in ("utime", "chmod", "chown", "truncate", "setxattr", "removexattr"):
            self._guard(os, name, self._path_to_change)
        for name in ("remove", "unlink"):
            self._guard(os, name, self._path_to_remove)
        self._guard(shutil, "rmtree", self._path_to_remove)
        self._guard(os, "rmdir", self._folder_to_remove)
        self._guard(os, "mkdir", self._path_to_create)
        for name in ("rename", "replace"):
            _replace(os, name, self._guard_rename)
        for name in ("link", "symlink"):
            _replace(os, name, self._guard_link)
        _replace(os, "listdir", self._guard_listdir)
        _replace(os, "scandir", self._guard_scandir)
        _replace(sqlite3, "connect", self._guard_connect)
        sqlite3.dbapi2.connect = sqlite3.connect  # which Django and others call

    def serve(self, files: Texts) -> None:
        """Have every reader of these files in this process get their texts.

        Modules that exist are left alone: `serve_changed` has their texts imported, and pytest
        must find them at their own place to collect them.
        """
        for path, text in files.items():
            if path.endswith(".py") and text is not None and self._exists(path):
                continue
            place = _absolute(path)
            self._redirected[place] = target = self._new_place(place)
            if text is not None:
                with open(target, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
                    file.write(text)

    # --- paths ---

    def _current(self, path: Any) -> Any:
        """Return where `path` is now: itself unless it or a folder above it was redirected."""
        if not self._redirected or not _is_path(path):
            return path
        place = _absolute(path)
        end = len(place)
        # Called for every file that is read: it decides quickly.
        while end > 0:
            target = self._redirected.get(place[:end])
            if target is not None:
                return target + place[end:]
            end = place.rfind(os.sep, 0, end)
        return path

    def _writable(self, path: Any, *, copy: bool = True) -> Any:
        """Return where to write `path`: for a hook a new place, with a copy of the file."""
        if not _is_path(path):
            return path
        place = _absolute(path)
        current = self._current(path)
        if current is not path or self._is_unguarded(place):
            return current
        if not self._callers.is_from_hook():
            if not self._exists(place):
                self._created.add(place)
            return path
        if place in self._created or not self._is_in_folder(place):
            return path
        target = self._new_place(place)
        if copy and self._exists(place):
            with contextlib.suppress(OSError):
                shutil.copy2(place, target)
        self._redirected[place] = target
        return target

    def _is_in_folder(self, place: str) -> bool:
        """Return whether `place` can be a file: if not, the system is to report the error."""
        return self._exists(os.path.dirname(place)) and not os.path.isdir(place)

    def _hide(self, path: Any) -> bool:
        """Mark `path` as removed if a hook removes a user's file; return whether it did."""
        if not _is_path(path):
            return False
        place = _absolute(path)
        if self._current(path) is not path or self._is_unguarded(place):
            return False
        if not self._exists(place) or self._is_new(place):
            return False
        if not self._callers.is_from_hook():  # last, because it walks the stack
            return False
        self._forget_files_in(place)
        self._redirected[place] = self._new_place(place)
        return True

    def _forget_files_in(self, folder: str) -> None:
        """Remove the files of this run in a removed folder for good."""
        prefix = folder + os.sep
        for created in list(self._created):
            if created.startswith(prefix):
                with contextlib.suppress(OSError):  # a folder, or already gone
                    self._remove(created)
        for redirected in list(self._redirected):
            if redirected.startswith(prefix):
                del self._redirected[redirected]

    def _new_place(self, place: str) -> str:
        """Return an unused path in our folder with the same name."""
        self._count += 1
        folder = os.path.join(self._folder, f"{os.getpid()}-{self._count}")
        with contextlib.suppress(FileExistsError):
            self._mkdir(self._folder)
        self._mkdir(folder)
        return os.path.join(folder, os.path.basename(place))

    def _exists(self, place: str) -> bool:
        try:
            self._lstat(place)
        except (OSError, ValueError):
            return False
        return True

    def _is_unguarded(self, place: str) -> bool:
        """Return whether anyone may write: our folder, devices, Python caches, temporary files."""
        our_folder = os.path.dirname(self._folder) + os.sep
        if place.startswith((our_folder, "/dev/", "/proc/")):
            return True
        if f"{os.sep}__pycache__" in place:
            return True
        # Not `gettempdir()`, which writes a file to test whether it can.
        temporary = os.path.join(tempfile.tempdir or "/no such folder", "")
        for created in self._created:
            is_within = place == created or place.startswith(created + os.sep)
            if is_within and created.startswith(temporary):
                return True
        if place.startswith(temporary) and _is_called_by_tempfile():
            self._created.add(place)
            return True
        return False

    def _is_new(self, place: str) -> bool:
        """Return whether this run created the file: then it may be removed."""
        if place in self._created:
            return True
        # The time of a folder changes with every file in it.
        changed = self._lstat(place).st_ctime
        return changed >= self._started and not os.path.isdir(place)

    def _redirected_in(self, folder: Any) -> dict[str, str]:
        """Return the places of the redirected entries of a folder, by name."""
        if not self._redirected or not _is_path(folder):
            return {}
        folder = _absolute(folder)
        places = {}
        for original, place in self._redirected.items():
            if os.path.dirname(original) == folder:
                places[os.path.basename(original)] = place
        return places

    # --- the path to use in a call, by what the function does ---

    def _path_to_create(self, path: Any) -> Any:
        return self._writable(path, copy=False)

    def _path_to_change(self, path: Any) -> Any:
        place = _absolute(path)
        if not self._exists(place):
            return self._current(path)
        target = self._writable(path)
        is_unchanged_folder = target is path and os.path.isdir(place)
        if is_unchanged_folder and place not in self._created and not self._is_unguarded(place):
            # A user's folder cannot be copied for a hook.
            return IGNORE if self._callers.is_from_hook() else path
        return target

    def _path_to_remove(self, path: Any) -> Any:
        return IGNORE if self._hide(path) else self._current(path)

    def _folder_to_remove(self, path: Any) -> Any:
        if os.path.isdir(path) and os.listdir(path):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        return self._path_to_remove(path)

    # --- the replacements ---

    def _guard(self, module: Any, name: str, choose_path: Callable[[Any], Any]) -> None:
        """Replace a function, so that it is called with the path that `choose_path` returns."""

        def guard(real: Any) -> Any:
            def call(path: Any, *rest: Any, **options: Any) -> Any:
                # With a descriptor, the path is relative to a folder that is not known here.
                if _is_path(path) and options.get("dir_fd") is None:
                    path = choose_path(path)
                return None if path is IGNORE else real(path, *rest, **options)

            return call

        _replace(module, name, guard)

    def _guard_open(self, real: Any) -> Any:
        def open_file(file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            writes = isinstance(mode, str) and not set("wax+").isdisjoint(mode)
            # An opener calls `os.open`, which is guarded as well.
            if writes and not options.get("opener"):
                file = self._writable(file, copy="w" not in mode)
            else:
                file = self._current(file)
            return real(file, mode, *rest, **options)

        return open_file

    def _guard_os_open(self, real: Any) -> Any:
        def open_descriptor(path: Any, flags: int, *rest: Any, **options: Any) -> Any:
            if options.get("dir_fd") is None:
                if flags & WRITE_FLAGS:
                    path = self._writable(path, copy=not flags & os.O_TRUNC)
                else:
                    path = self._current(path)
            return real(path, flags, *rest, **options)

        return open_descriptor

    def _guard_rename(self, real: Any) -> Any:
        def rename(source: Any, target: Any, **options: Any) -> Any:
            has_folders = any(value is not None for value in options.values())
            if has_folders or not _is_path(source):
                return real(source, target, **options)
            current = self._current(source)
            new_target = self._writable(target, copy=False)
            is_moved = current is not source or new_target is target
            if is_moved or not self._exists(_absolute(source)):
                return real(current, new_target)
            # Our folder may be on another file system than the user's files.
            copy = shutil.copytree if os.path.isdir(source) else shutil.copy2
            copy(source, new_target)
            if not self._hide(source):
                os.remove(source)
            return None

        return rename

    def _guard_link(self, real: Any) -> Any:
        def link(source: Any, target: Any, *rest: Any, **options: Any) -> Any:
            if options.get("dir_fd") is None:
                target = self._writable(target, copy=False)
            return real(source, target, *rest, **options)

        return link

    def _guard_listdir(self, real: Any) -> Any:
        def list_folder(path: Any = ".") -> Any:
            places = self._redirected_in(path)
            entries = map(os.fsdecode, real(self._current(path)))
            names = [name for name in entries if name not in places]
            for name, place in places.items():
                if self._exists(place):
                    names.append(name)
            if isinstance(path, bytes):
                return list(map(os.fsencode, names))
            return names

        return list_folder

    def _guard_scandir(self, real: Any) -> Any:
        def scan_folder(path: Any = ".") -> Any:
            places = self._redirected_in(path)
            if not places:
                return real(self._current(path))
            with real(self._current(path)) as scanned:
                entries = [entry for entry in scanned if os.fsdecode(entry.name) not in places]
            for place in places.values():
                if self._exists(place):
                    with real(os.path.dirname(place)) as scanned:
                        entries += scanned
            return ScannedEntries(entries)

        return scan_folder

    def _guard_connect(self, real: Any) -> Any:
        def connect(database: Any, *rest: Any, **options: Any) -> Any:
            is_file = _is_path(database) and os.fsdecode(database) not in ("", ":memory:")
            if is_file and not options.get("uri"):
                database = self._writable(database)
            return real(database, *rest, **options)

        return connect


class ScannedEntries:
    """Mimics the result of `os.scandir`."""

    def __init__(self, entries: list[Any]) -> None:
        self._entries = iter(entries)

    def __iter__(self) -> Iterator[Any]:
        return self._entries

    def __next__(self) -> Any:
        return next(self._entries)

    def __enter__(self) -> ScannedEntries:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._entries = iter(())


def _replace(module: Any, name: str, guard: Callable[[Any], Any]) -> None:
    """Replace a function of a module, wherever the standard library refers to it."""
    real = getattr(module, name, None)
    if real is None:
        return
    replacement = functools.wraps(real)(guard(real))
    for functions in CAPABILITIES:
        if real in functions:
            functions.add(replacement)
    setattr(module, name, replacement)
    # Classes of `glob` in Python 3.13 hold some of the functions, and pathlib uses those classes.
    for globber in vars(glob).values():
        if not isinstance(globber, type):
            continue
        method = vars(globber).get(name)
        if isinstance(method, staticmethod) and method.__func__ is real:
            setattr(globber, name, staticmethod(replacement))


def _is_called_by_tempfile() -> bool:
    """Return whether the first caller outside this module is the module `tempfile`."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename == __file__ and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_globals.get("__name__") == "tempfile"


def _is_path(path: Any) -> bool:
    return isinstance(path, str | bytes | os.PathLike)


def _absolute(path: Any) -> str:
    return os.path.abspath(os.fsdecode(path))
