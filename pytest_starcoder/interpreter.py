"""Starts Python for our own modules, without importing from the user's repository.

`python -m` puts the current folder first on `sys.path`, and PYTHONPATH often names
it as well. A repository may have a `requests.py` or a `git.py` at its top.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping

_INSTALLED_IN = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
"""The folder this package was imported from."""

_STANDARD_LIBRARY = os.path.dirname(os.path.realpath(os.__file__))


def start(
    *arguments: str, environ: Mapping[str, str] = os.environ, root: str | os.PathLike[str] = ""
) -> tuple[list[str], dict[str, str]]:
    """Return the command and environment that start this Python with `arguments`.

    It does not import from the repository around `root` (default: the current folder).
    """
    variables = dict(environ)
    safe = _outside(_entries(environ), os.fspath(root) or _here())
    if safe:
        variables["PYTHONPATH"] = os.pathsep.join(safe)
    else:
        variables.pop("PYTHONPATH", None)
    return [sys.executable, "-P", *arguments], variables


def leave_repository() -> None:
    """Remove the repository around the current folder from `sys.path`.

    Installed packages stay, even if their folder is in the repository.
    """
    here = _here()
    suspects = {"", here, *_entries(os.environ)}
    suspects |= {os.path.abspath(entry) for entry in suspects}  # Python makes some entries absolute
    safe = {*_outside(suspects, here)}
    safe |= {entry for entry in suspects if os.path.realpath(entry) in safe}
    sys.path[:] = [entry for entry in sys.path if entry in safe or entry not in suspects]


@contextlib.contextmanager
def installed(*names: str) -> Iterator[None]:
    """Import the installed modules `names` in a block, even if the repository shadows them.

    pytest puts test folders on `sys.path`. Modules of these names that the repository has
    imported, or imports later, remain its own.
    """
    path = sys.path[:]
    theirs = {
        name: module for name, module in sys.modules.items() if _is_theirs(name, module, names)
    }
    for name in theirs:
        del sys.modules[name]
    sys.path[:] = [entry for entry in path if _is_installation(entry)]
    removed = [entry or os.curdir for entry in path if entry not in sys.path]
    try:
        yield
    finally:
        sys.path[:] = path
        shared = {name.partition(".")[0] for name in theirs}
        for entry in removed:
            shared.update(name for name in names if _has_module(entry, name))
        for name in [*sys.modules]:
            if name.partition(".")[0] in shared:
                del sys.modules[name]
        sys.modules.update(theirs)


def _is_theirs(name: str, module: object, names: Iterable[str]) -> bool:
    file = getattr(module, "__file__", None)
    is_named = name.partition(".")[0] in names
    return is_named and not (file and _is_installation(os.path.dirname(file)))


def _is_installation(entry: str) -> bool:
    """Return whether a folder is installed, holds this package, or is outside the repository."""
    folder = os.path.realpath(entry or os.curdir)
    if folder == _INSTALLED_IN or _is_inside(folder, _STANDARD_LIBRARY):
        return True
    if not {"site-packages", "dist-packages"}.isdisjoint(folder.split(os.sep)):
        return True
    return not _is_inside(folder, _top(os.path.realpath(_here())))


def _has_module(folder: str, name: str) -> bool:
    path = os.path.join(folder, name)
    return os.path.isdir(path) or os.path.isfile(f"{path}.py")


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return os.path.dirname(sys.executable)


def _entries(environ: Mapping[str, str]) -> list[str]:
    value = environ.get("PYTHONPATH", "")
    return value.split(os.pathsep) if value else []


def _outside(entries: Iterable[str], here: str) -> list[str]:
    """Return the folders outside the repository around `here`, or that contain this package."""
    top = _top(os.path.realpath(here))
    safe = []
    for entry in entries:
        folder = os.path.realpath(os.path.join(here, entry))
        if folder == _INSTALLED_IN:
            safe.append(folder)  # our dependencies may be there: `PYTHONPATH=vendor`
        elif os.path.isabs(entry) and not _is_inside(folder, top):
            safe.append(entry)
    return safe


def _is_inside(folder: str, top: str) -> bool:
    return folder == top or folder.startswith(top.rstrip(os.sep) + os.sep)


def _top(here: str) -> str:
    """Return the nearest folder from `here` upwards that holds a `.git`, else `here`."""
    folder = here
    while True:
        if os.path.exists(os.path.join(folder, ".git")):
            return folder
        above = os.path.dirname(folder)
        if above == folder:
            return here
        folder = above
