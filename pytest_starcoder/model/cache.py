"""What is remembered between runs: small JSON files under one folder, safe for many processes at once.

Answers, model facts and token counts, each under a hash of what they depend
on; prompts are not kept. A file begins with the hash of the rest of it: one
that is damaged holds nothing. A folder that cannot be read or written means
that nothing is remembered, and is no error.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pytest_starcoder.files import create_private_folder

ENTRIES = 4000
"""Files that are kept at the most; beyond that the tenth part that was written longest ago goes."""


class Cache:
    """The cache in `folder`, or one that remembers nothing where that is None."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, *key: object) -> Any:
        """What was put under `key`, or None."""
        if self.folder is None:
            return None
        try:
            digest, _, content = self._path(key).read_bytes().partition(b"\n")
        except OSError:
            return None
        if digest != _digest(content):
            return None
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            return None  # written by something that knows our hashes

    def put(self, value: Any, *key: object) -> None:
        """Remembers `value`, JSON data, under `key`; the last one to put wins."""
        if self.folder is None:
            return
        path = self._path(key)
        content = json.dumps(value).encode()
        with contextlib.suppress(OSError):
            create_private_folder(self.folder)
            create_private_folder(path.parent)
            descriptor, name = tempfile.mkstemp(
                dir=path.parent, prefix="."
            )  # readable by its owner alone
            partial = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(_digest(content) + b"\n" + content)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
            self._prune(path.parent)

    def _path(self, key: tuple[object, ...]) -> Path:
        assert self.folder is not None
        told = json.dumps(key, sort_keys=True).encode()
        return self.folder / "answers" / _digest(told).decode()

    def _prune(self, folder: Path) -> None:
        with os.scandir(folder) as entries:
            found = list(entries)
        if len(found) <= ENTRIES:
            return
        found.sort(key=_written)
        for entry in found[: len(found) - ENTRIES + ENTRIES // 10]:
            Path(entry.path).unlink(missing_ok=True)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _written(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0  # another process removed it
