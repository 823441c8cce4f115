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
    safe = _outside_repository(_python_path(environ), os.fspath(root) or _current_folder())
    if safe:
        variables["PYTHONPATH"] = os.pathsep.join(safe)
    else:
        variables.pop("PYTHONPATH", None)
    return [sys.executable, "-P", *arguments], variables


def leave_repository() -> None:
    """Remove the repository around the current folder from `sys.path`.

    Installed packages stay, even if their folder is in the repository.
    """
    here = _current_folder()
    entries = _python_path(os.environ)
    # Python adds the current folder and PYTHONPATH, and makes some of these entries absolute.
    added = {"", here, *entries, *map(os.path.abspath, entries)}
    safe = _outside_repository(added, here)
    for entry in added:
        if entry not in safe and os.path.realpath(entry) not in safe:
            sys.path[:] = [folder for folder in sys.path if folder != entry]


@contextlib.contextmanager
def installed(*names: str) -> Iterator[None]:
    """Import the installed modules `names` in a block, even if the repository shadows them.

    pytest puts test folders on `sys.path`. Modules of these names that the repository has
    imported, or imports later, remain its own.
    """
    path = sys.path[:]
    shadowing = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in names and not _is_installed(module):
            shadowing[name] = sys.modules.pop(name)
    sys.path[:] = [entry for entry in path if _is_installation(entry)]
    removed = [entry or os.curdir for entry in path if entry not in sys.path]
    try:
        yield
    finally:
        sys.path[:] = path
        # Only if the repository has a module of that name, the installed one must not stay.
        shadowed = {name.partition(".")[0] for name in shadowing}
        for name in names:
            if any(_has_module(entry, name) for entry in removed):
                shadowed.add(name)
        for name in list(sys.modules):
            if name.partition(".")[0] in shadowed:
                del sys.modules[name]
        sys.modules.update(shadowing)


def _is_installed(module: object) -> bool:
    file: str = getattr(module, "__file__", None) or ""
    return file != "" and _is_installation(os.path.dirname(file))


def _is_installation(entry: str) -> bool:
    """Return whether a folder is installed, holds this package, or is outside the repository."""
    folder = os.path.realpath(entry or os.curdir)
    if folder == _INSTALLED_IN or _is_inside(folder, _STANDARD_LIBRARY):
        return True
    if not {"site-packages", "dist-packages"}.isdisjoint(folder.split(os.sep)):
        return True
    return not _is_inside(folder, _repository(_current_folder()))


def _has_module(folder: str, name: str) -> bool:
    path = os.path.join(folder, name)
    return os.path.isdir(path) or os.path.isfile(f"{path}.py")


def _current_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return os.path.dirname(sys.executable)


def _python_path(environ: Mapping[str, str]) -> list[str]:
    value = environ.get("PYTHONPATH", "")
    return value.split(os.pathsep) if value else []


def _outside_repository(entries: Iterable[str], here: str) -> list[str]:
    """Return the folders outside the repository around `here`, or that contain this package."""
    repository = _repository(here)
    safe = []
    for entry in entries:
        folder = os.path.realpath(os.path.join(here, entry))
        if folder == _INSTALLED_IN:
            safe.append(folder)  # our dependencies may be there: `PYTHONPATH=vendor`
        elif os.path.isabs(entry) and not _is_inside(folder, repository):
            safe.append(entry)
    return safe


def _is_inside(folder: str, top: str) -> bool:
    return folder == top or folder.startswith(top.rstrip(os.sep) + os.sep)


def _repository(here: str) -> str:
    """Return the nearest folder from `here` upwards that has a `.git`, else `here`."""
    here = folder = os.path.realpath(here)
    while not os.path.exists(os.path.join(folder, ".git")):
        if folder == os.path.dirname(folder):
            return here
        folder = os.path.dirname(folder)
    return folder
