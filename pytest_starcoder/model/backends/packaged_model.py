"""Models that PyPI has in parts, since a package there may not be larger than 100 MB.

The parts are joined once, into the user's cache. The result is only used if it has the SHA-256
that this package expects, whatever the packages contain.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

from pytest_starcoder.atomic_write import atomic_write
from pytest_starcoder.errors import MissingExtra, MissingModel, how_to_install, os_reason
from pytest_starcoder.files import create_private_folder
from pytest_starcoder.report.status_line import StatusLine

BLOCK_SIZE = 2**20
"""Bytes that are read at once."""

SETTLED_SECONDS = 2.0
"""Age of a file's last change from which a later change has another time on every file system."""

ABANDONED_SECONDS = 3600.0
"""Age from which a partial file belongs to a process that was killed."""


MAX_WAIT_SECONDS = 600.0
"""Maximum time to wait for another process that joins the same model."""


class ModelFile(Protocol):
    """A model's file in the cache, and what it must be."""

    @property
    def size(self) -> int: ...

    @property
    def sha256(self) -> str: ...

    def path(self, cache: Path) -> Path:
        """Return its place, where it need not be yet."""


@dataclass(frozen=True)
class PackagedModel:
    """A model that an extra installs.

    `setting` is the value of the setting `model`, and the name of the folder in the cache. `extra`
    installs it. `packages` are the names on PyPI. `find_parts` returns the files to join, in order,
    and raises ImportError if a package is missing. `notice` is written before they are joined.
    """

    setting: str
    extra: str
    name: str
    file_name: str
    size: int
    sha256: str
    terms: str
    packages: tuple[str, ...]
    find_parts: Callable[[], Sequence[Path]]
    notice: str = ""

    def path(self, cache: Path) -> Path:
        """Return the place of the joined file, which may not exist yet."""
        return cache / self.setting / self.file_name

    def was_checked(self, cache: Path) -> bool:
        """Return whether the joined file is there and was hashed before."""
        path = self.path(cache)
        return path.is_file() and _record_path(path).is_file()

    def is_installed(self) -> bool:
        """Return whether all its packages are installed."""
        try:
            self.find_parts()
        except ImportError:
            return False
        return True


class _WrongContent(Exception):
    """The parts are not those of the model."""


def assemble(model: PackagedModel, cache: Path) -> Path:
    """Return the model's file in the folder `cache`; the first call joins it there.

    Raises MissingExtra, or MissingModel if the parts are damaged or the file cannot be written.
    """
    path = model.path(cache)
    if is_intact(path, model):
        return path
    try:
        parts = model.find_parts()
    except ImportError as exc:
        raise MissingExtra(
            f"The {model.setting} model is not installed.",
            how_to_install(model.extra, f" ({model.terms})"),
        ) from exc
    try:
        create_private_folder(path.parent.parent)
        create_private_folder(path.parent)
        with _one_at_a_time(path.parent, model):
            # Another process may have joined them meanwhile.
            if not is_intact(path, model):
                _join(parts, path, model)
    except _WrongContent:
        raise MissingModel(
            f"The installed {model.setting} model has another SHA-256 than it should have; "
            "it is not used.",
            "Install it again with "
            f"`pip install --force-reinstall 'pytest-starcoder[{model.extra}]'`.",
        ) from None
    except OSError as exc:
        raise MissingModel(
            f"The {model.setting} model ({size_text(model.size)}) cannot be written to "
            f"{path.parent} ({os_reason(exc)}).",
            "Free some space there, or set STARCODER_CACHE to another folder.",
        ) from exc
    return path


def remove(model: ModelFile, cache: Path) -> int:
    """Delete a model's files, partial ones too; return how many bytes that were. Raises OSError."""
    path = model.path(cache)
    removed = 0
    for file in _files(path):
        with contextlib.suppress(FileNotFoundError):
            size = file.stat().st_size
            file.unlink()
            removed += size
    with contextlib.suppress(OSError):  # other files are not ours to delete
        path.parent.rmdir()
    return removed


def disk_use(model: ModelFile, cache: Path) -> int:
    """Return how many bytes a model's files take, partial ones too."""
    return sum(_size(file) for file in _files(model.path(cache)))


def _files(path: Path) -> list[Path]:
    return [path, _record_path(path), *_partial_files(path)]


def size_text(size: int) -> str:
    """Return a number of bytes for people, in MB or GB."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


# --- joining ---


@contextlib.contextmanager
def _one_at_a_time(folder: Path, model: PackagedModel) -> Iterator[None]:
    """Wait while another process joins a model in `folder`: two at once need twice the space.

    After MAX_WAIT_SECONDS, and where folders cannot be locked, nothing is waited for.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            if not _try_lock(fcntl, descriptor):
                print(f"Waiting for another process that assembles {model.name}.", file=sys.stderr)
                deadline = time.monotonic() + MAX_WAIT_SECONDS
                while time.monotonic() < deadline and not _try_lock(fcntl, descriptor):
                    time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)  # this also unlocks it


def _try_lock(fcntl: ModuleType, descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _join(parts: Sequence[Path], path: Path, model: PackagedModel) -> None:
    """Write the content of `parts` to `path`, all or nothing."""
    if sum(_size(part) for part in parts) != model.size:
        raise _WrongContent
    _remove_abandoned_files(path)
    require_space(path, model.size, f"The {model.setting} model")
    if model.notice:
        print(model.notice, file=sys.stderr, flush=True)
    with (
        status_line().show(f"assembling {model.name}") as show_progress,
        atomic_write(path) as file,
    ):
        digest = hashlib.sha256()
        for part in parts:
            with part.open("rb") as source:
                while block := source.read(BLOCK_SIZE):
                    digest.update(block)
                    file.write(block)
                    show_progress(f", {100 * file.tell() // model.size} %")
        if digest.hexdigest() != model.sha256:
            raise _WrongContent
        file.flush()
        os.fsync(file.fileno())


def status_line() -> StatusLine:
    """Return the line for progress, on standard error if that is a terminal."""
    columns = shutil.get_terminal_size().columns
    return StatusLine(_write_at_once, columns, live=sys.stderr.isatty(), interval=0.2)


def _write_at_once(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()  # a line without an end would wait


def _size(part: Path) -> int:
    """Return the size of a part, 0 if it is missing."""
    try:
        return part.stat().st_size
    except OSError:
        return 0


def require_space(path: Path, size: int, name: str) -> None:
    """Raise MissingModel if there is no space for `size` more bytes at `path`."""
    existing = next(folder for folder in path.parents if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < size:
        raise MissingModel(
            f"{name} ({size_text(size)}) does not fit into {path.parent}: "
            f"{size_text(free)} are free.",
            "Free some space there, or set STARCODER_CACHE to another folder.",
        )


def _partial_files(path: Path) -> list[Path]:
    """Return the files that `atomic_write` has begun for `path`."""
    return list(path.parent.glob(f".{path.name}.*"))


def _remove_abandoned_files(path: Path) -> None:
    """Delete what killed processes have left; other processes may be writing theirs."""
    for partial in _partial_files(path):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > ABANDONED_SECONDS:
                partial.unlink()


# --- the check at each use ---


def is_intact(path: Path, model: ModelFile) -> bool:
    """Return whether the file is there and has the right SHA-256.

    Hashing a gigabyte takes seconds, so a file that has been hashed is recognised by its size,
    times and inode. They are recorded only if the file had not changed for two seconds before it
    was hashed: then every later write leaves another time, however coarse the clock is.
    """
    try:
        if _size(path) != model.size or not path.is_file():
            return False
        fingerprint = _fingerprint(path, model)
        record = _record_path(path)
        with contextlib.suppress(OSError):
            if record.read_bytes() == fingerprint:
                return True
        started = time.time()
        if file_digest(path) != model.sha256:
            return False
        status = path.stat()
    except OSError:
        return False
    is_settled = started - max(status.st_mtime, status.st_ctime) > SETTLED_SECONDS
    if is_settled and _fingerprint(path, model) == fingerprint:
        with contextlib.suppress(OSError), atomic_write(record) as file:
            file.write(fingerprint)
    return True


def _fingerprint(path: Path, model: ModelFile) -> bytes:
    status = path.stat()
    facts = (
        model.sha256,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,  # unlike the other time, no program can set it
        status.st_ino,
    )
    return " ".join(map(str, facts)).encode()


def _record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.checked")


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
