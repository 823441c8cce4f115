"""Reads what each commit did to the text of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.source.git.blobs import read_blobs
from pytest_starcoder.source.git.comparison import (
    MAX_FILE_BYTES,
    SAFE_DIFF,
    LeftOut,
    checked_text,
    split_fields,
)
from pytest_starcoder.source.git.history import History

MAX_COMMITS = 50
"""Maximum number of commits under one name of a file."""

MAX_NAMES = 3
"""Maximum number of names that a file has had."""


@dataclass(frozen=True)
class FileChange:
    """The text of a file before and after a commit, empty where there is none.

    `commit` is a full hash, and empty for the changes of the working tree.
    """

    commit: str
    before: str
    after: str


class FileChanges:
    """The changes of files in the repository around `folder`; empty if git fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._git = History(folder)

    def since(self, base: str, path: Path) -> list[FileChange]:
        """Return the changes of a file since the commit `base`, the newest first.

        Former names of the file are followed.
        """
        name = path.relative_to(self._folder).as_posix()
        [committed] = self._texts(f"HEAD:./{name}")
        current = _current_text(path)
        changes = []
        if (committed or "") != current:
            changes.append(FileChange("", committed or "", current))
        tip = "HEAD"
        for _ in range(MAX_NAMES):
            versions = self._versions(base, tip, name)
            changes += versions
            if not versions or versions[-1].before:
                break
            oldest = versions[-1].commit
            former = self._former_name(oldest, name)
            if not former:
                break
            [before] = self._texts(f"{oldest}^:./{former}")
            changes[-1] = FileChange(oldest, before or "", versions[-1].after)
            name, tip = former, f"{oldest}^"
        return changes

    def subject(self, commit: str) -> str:
        """Return the abbreviated hash of a commit and the first line of its message."""
        options = ("-1", "--format=%h %s", "--no-show-signature")
        return self._git.query("log", *options, commit, "--").strip()

    def _versions(self, base: str, tip: str, name: str) -> list[FileChange]:
        limit = f"--max-count={MAX_COMMITS}"
        commits = self._git.query("rev-list", limit, f"{base}..{tip}", "--", name).split()
        names = [f"{commit}{parent}:./{name}" for commit in commits for parent in ("^", "")]
        texts = [text or "" for text in self._texts(*names)]
        return list(map(FileChange, commits, texts[::2], texts[1::2]))

    def _former_name(self, commit: str, name: str) -> str:
        """Return the name that a file had before a commit renamed it; empty if it is new."""
        options = ("--raw", "-z", "--find-renames", "--diff-filter=R", "--relative", *SAFE_DIFF)
        fields = split_fields(self._git.query("diff", *options, f"{commit}^", commit, "--"))
        for former, new in zip(fields[1::3], fields[2::3], strict=False):
            if new == name:
                return former
        return ""

    def _texts(self, *names: str) -> list[str | None]:
        texts: list[str | None] = []
        for content in read_blobs(self._git, names, MAX_FILE_BYTES):
            try:
                texts.append(None if content is None else checked_text(content))
            except LeftOut:
                texts.append(None)
        return texts


def _current_text(path: Path) -> str:
    try:
        return checked_text(path.read_bytes())
    except (OSError, LeftOut):
        return ""
