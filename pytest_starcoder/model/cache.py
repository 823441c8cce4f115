"""A cache of answers, model facts and token counts that many processes may use at once.

Each entry is a small JSON file, named after the hash of what it depends on; prompts are not
stored. A file begins with the hash of its content: a damaged one counts as missing. If the folder
cannot be read or written, nothing is cached, which is no error.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from pytest_starcoder.atomic_write import atomic_write
from pytest_starcoder.files import create_private_folder

MAX_ENTRIES = 4000
"""Maximum number of files; beyond it, the oldest tenth is deleted."""


class Cache:
    """The cache in `folder`; without a folder it is always empty."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, *key: object) -> Any:
        """Return the value under `key`, or None."""
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
            return None  # forged: the hash is right

    def put(self, value: Any, *key: object) -> None:
        """Store the JSON data `value` under `key`, replacing what is there."""
        if self.folder is None:
            return
        path = self._path(key)
        content = json.dumps(value).encode()
        with contextlib.suppress(OSError):
            create_private_folder(self.folder)
            create_private_folder(path.parent)
            with atomic_write(path) as file:
                file.write(_digest(content) + b"\n" + content)
            self._prune(path.parent)

    def _path(self, key: tuple[object, ...]) -> Path:
        assert self.folder is not None
        encoded = json.dumps(key, sort_keys=True).encode()
        return self.folder / "answers" / _digest(encoded).decode()

    def _prune(self, folder: Path) -> None:
        with os.scandir(folder) as iterator:
            entries = list(iterator)
        if len(entries) <= MAX_ENTRIES:
            return
        entries.sort(key=_modification_time)
        surplus = len(entries) - MAX_ENTRIES + MAX_ENTRIES // 10
        for entry in entries[:surplus]:
            Path(entry.path).unlink(missing_ok=True)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _modification_time(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0  # another process deleted it
