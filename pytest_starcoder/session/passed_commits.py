"""Remembers the newest commit at which each test passed on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from pytest_starcoder.atomic_write import atomic_write
from pytest_starcoder.files import create_private_folder

MAX_TESTS = 50_000
"""Maximum number of tests that are remembered per project; the latest count."""


_COMMIT = re.compile("[0-9a-f]{40,64}")


class PassedCommits:
    """The commits by node id, in a file below `cache_folder`; without a folder nothing is kept.

    A file that cannot be read or written is no error: nothing is remembered.
    """

    def __init__(self, cache_folder: Path | None, root: Path) -> None:
        self._file: Path | None = None
        if cache_folder is not None:
            name = hashlib.sha256(str(root).encode("utf-8", "surrogateescape")).hexdigest()[:32]
            self._file = cache_folder / "passed" / f"{name}.json"

    def read(self) -> Mapping[str, str]:
        """Return the full hash of a commit by node id."""
        if self._file is None:
            return {}
        try:
            content = json.loads(self._file.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(content, dict):
            return {}
        commits = {}
        for nodeid, commit in content.items():
            if isinstance(commit, str) and _COMMIT.fullmatch(commit):
                commits[nodeid] = commit
        return commits

    def add(self, tests: Iterable[str], commit: str) -> None:
        """Remember that these tests passed at a commit."""
        if self._file is None:
            return
        commits = dict(self.read())
        for nodeid in tests:
            commits.pop(nodeid, None)  # to the end: the latest are kept
            commits[nodeid] = commit
        latest = dict(list(commits.items())[-MAX_TESTS:])
        with contextlib.suppress(OSError):
            create_private_folder(self._file.parent.parent)
            create_private_folder(self._file.parent)
            with atomic_write(self._file) as file:
                file.write(json.dumps(latest).encode())
