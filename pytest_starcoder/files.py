"""Finds and replaces the user's files, but never through a link that leads out of the project."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from pytest_starcoder.atomic_write import atomic_write

UNLINK = "Remove the link, or name its target."
"""Hint for LeadsOutside."""


class LeadsOutside(OSError):
    """A path seems to be in a working tree, but a link leads out of it; `strerror` says where."""

    def __init__(self, target: Path, tree: Path) -> None:
        super().__init__(errno.ELOOP, f"a link leads to {target}, which is not a file of {tree}")


def nearest_file(name: str) -> str:
    """Return the file in the same folder whose name is most similar; empty if none is."""
    import difflib  # only for errors

    path = Path(name)
    try:
        names = [file.name for file in path.parent.iterdir() if file.is_file()]
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return ""
    for match in difflib.get_close_matches(path.name, names, n=1, cutoff=0.75):
        return path.with_name(match).as_posix()
    return ""


def replace_file(path: Path, content: bytes, tree: Path | None = None) -> None:
    """Write `content` to the file `path` atomically, keeping its mode and owner.

    Symbolic links are followed, so the target is replaced. Other hard links to
    the file keep the old content. Raises OSError, and LeadsOutside as `resolve_target`.
    """
    target = resolve_target(path, tree)
    if target.exists() and not target.is_file():
        _write_into(target, content)
        return
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "it is read-only")
    with atomic_write(target) as file:
        file.write(content)
        file.flush()  # a write after `chmod` would clear the set-group-ID bit
        _copy_permissions(target, Path(file.name))


def resolve_target(path: Path, tree: Path | None = None) -> Path:
    """Return the file that writing to `path` would change, following all links.

    Raises LeadsOutside if `path` seems to be in the working tree `tree` but the
    file is not, or is one of git's own. Raises OSError for a loop of links.
    """
    target = _follow_links(path)
    if tree is None:
        return target
    top = tree.resolve()
    seeming = Path(os.path.abspath(path))  # noqa: PTH100 - must not resolve links
    seems_inside = seeming.is_relative_to(tree) or seeming.is_relative_to(top)
    is_gits_own = ".git" in target.parts and ".git" not in seeming.parts
    if seems_inside and (is_gits_own or not target.is_relative_to(top)):
        raise LeadsOutside(target, tree)
    return target


def create_private_folder(folder: Path) -> None:
    """Create a folder that only its owner can enter, whatever the umask. Raises OSError."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)


def _follow_links(path: Path) -> Path:
    try:
        target = path.resolve()
        is_loop = target.is_symlink()  # since Python 3.13
    except RuntimeError:  # before Python 3.13
        is_loop = True
    if is_loop:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _write_into(target: Path, content: bytes) -> None:
    """Write into a device or a pipe, which cannot be replaced. Raises OSError for a folder.

    So does a pipe that nobody reads: opening it would block for ever.
    """
    descriptor = os.open(target, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "wb") as file:
        os.set_blocking(descriptor, True)
        file.write(content)


def _copy_permissions(target: Path, partial: Path) -> None:
    """Give `partial` the owner and mode of `target`, or the defaults of a new file."""
    if not target.exists():
        partial.chmod(0o666 & ~_umask())
        return
    status = target.stat()
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):  # only root can change the owner
            os.chown(partial, status.st_uid, status.st_gid)
    partial.chmod(status.st_mode & 0o7777)  # last: changing the owner clears bits


def _umask() -> int:
    """Return the umask of the process, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
