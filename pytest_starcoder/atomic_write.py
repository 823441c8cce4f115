"""Replaces a file in one step; hooks that git waits for import this, so it imports only `os`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

TYPE_CHECKING = False  # importing `typing` would take longer than writing a file

if TYPE_CHECKING:
    from typing import BinaryIO


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file that replaces `path` when the block ends, or leave `path` alone if it raises.

    The new file is readable only by its owner. Raises OSError.
    """
    folder, name = os.path.split(path)
    # Cut, because file systems limit names to 255 bytes.
    suffix = os.urandom(6).hex()
    partial = os.path.join(folder, f".{name[:100]}.{suffix}")
    try:
        with open(partial, "xb", opener=_open_private) as file:
            yield file
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
