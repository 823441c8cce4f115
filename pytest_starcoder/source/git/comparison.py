"""Reads what differs between a commit and the working tree, file by file, with both texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.source.git.history import History

MAX_FILES = 300
"""Maximum number of files to compare; beyond that, a change is no longer one person's day."""

MAX_FILE_BYTES = 2_000_000
"""Maximum size of a file to compare."""

REGULAR = ("100644", "100755")
"""Modes of regular files; others are symbolic links and submodules."""

LFS_POINTER = "version https://git-lfs"
"""Beginning of the text that git stores in place of a large file."""


@dataclass(frozen=True)
class ChangedFile:
    """A file with its text in both states, None where it does not exist.

    Line ends are "\\n" as when Python reads a text file.
    """

    path: Path
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Comparison:
    """The text files that differ; `left_out` are phrases on others, such as "a.bin (binary)"."""

    files: tuple[ChangedFile, ...] = ()
    left_out: tuple[str, ...] = ()


class Comparer:
    """Compares states of the repository around `folder`; git failures make results empty."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._git = History(folder)

    def commit(self, name: str) -> str:
        """Return the full hash of a commit; empty if there is none of that name."""
        query = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return self._git.query(*query).strip()

    def is_clean(self) -> bool:
        """Return whether the working tree is that of the last commit, without untracked files."""
        changes = self._git.query("diff", "--name-only", *_SAFE, "HEAD", "--")
        untracked = self._git.query("ls-files", "--others", "--exclude-standard")
        return not changes and not untracked and bool(self.commit("HEAD"))

    def is_shallow(self) -> bool:
        """Return whether the clone lacks older commits."""
        return self._git.query("rev-parse", "--is-shallow-repository").strip() == "true"

    def commits_since(self, commit: str) -> list[str]:
        """Return the commits between `commit` and HEAD, the newest first; empty if unrelated."""
        if self.merge_base(commit) != commit:
            return []
        return self._git.query("rev-list", f"{commit}..HEAD", "--").split()

    def last_change(self, base: str, path: Path, first: int, last: int) -> str:
        """Return the last commit since `base` that changed these lines, or else the file.

        Abbreviated, with the first line of its message; empty if it is not committed. The
        lines are those of the working tree, 1-based; `last` is before `first` for a gap.
        """
        name = path.relative_to(self._folder).as_posix()
        origins = self._git.blame(name) if path.exists() else {}
        lines = [origins.get(number) for number in range(first, last + 1)]
        if None in lines:
            return ""
        commits = {origin.commit for origin in lines if origin is not None}
        show = ("log", "-1", "--format=%h %s", "--no-show-signature")
        for commit in self._git.query("rev-list", f"{base}..HEAD", "--", name).split():
            if not commits or commit[:7] in commits:
                return self._git.query(*show, commit).strip()
        return ""

    def merge_base(self, name: str) -> str:
        """Return the newest common ancestor of HEAD and a branch; empty if there is none."""
        return self._git.query("merge-base", "HEAD", name).strip()

    def with_worktree(self, commit: str) -> Comparison:
        """Compare the files below the folder with those of `commit`, untracked ones included."""
        raw = self._git.query("diff", *_RAW, commit, "--")
        untracked = self._git.query("ls-files", "--others", "--exclude-standard", "-z")
        entries = [*_entries(raw), *(_Entry(name) for name in untracked.split("\0") if name)]
        return self._read(entries, in_worktree=True)

    def between(self, before: str, after: str) -> Comparison:
        """Compare two commits."""
        raw = self._git.query("diff", *_RAW, before, after, "--")
        return self._read(_entries(raw), in_worktree=False)

    def _read(self, entries: Iterator[_Entry] | list[_Entry], *, in_worktree: bool) -> Comparison:
        files: list[ChangedFile] = []
        left_out: list[str] = []
        for entry in entries:
            if len(files) == MAX_FILES:
                left_out.append(f"files after the first {MAX_FILES}")
                break
            try:
                old = self._old_text(entry)
                new = self._worktree_text(entry.name) if in_worktree else self._new_text(entry)
            except _LeftOut as reason:
                left_out.append(f"{entry.name} ({reason})")
                continue
            if old != new:
                files.append(ChangedFile(self._folder / entry.name, old, new))
            elif entry.old_mode != entry.new_mode:
                left_out.append(f"{entry.name} (only its mode changed)")
        return Comparison(tuple(files), tuple(left_out))

    def _old_text(self, entry: _Entry) -> str | None:
        return self._blob(entry.old_mode, entry.old_blob, entry)

    def _new_text(self, entry: _Entry) -> str | None:
        return self._blob(entry.new_mode, entry.new_blob, entry)

    def _blob(self, mode: str, blob: str, entry: _Entry) -> str | None:
        if entry.status == "U":
            raise _LeftOut("merge conflict")
        if not mode.strip("0"):
            return None
        if mode not in REGULAR:
            raise _LeftOut("symbolic link or submodule")
        text = self._git.query("cat-file", "blob", blob)
        return _checked_text(text)

    def _worktree_text(self, name: str) -> str | None:
        file = self._folder / name
        if file.is_symlink():
            raise _LeftOut("symbolic link or submodule")
        if not file.exists():
            return None
        if not file.is_file():
            raise _LeftOut("no regular file")
        try:
            if file.stat().st_size > MAX_FILE_BYTES:
                raise _LeftOut("too large")
            return _checked_text(file.read_bytes().decode("utf-8", "surrogateescape"))
        except OSError:
            raise _LeftOut("unreadable") from None


_SAFE = ("--ignore-submodules=all", "--no-ext-diff")

_RAW = (
    "--raw",
    "-z",
    "--no-abbrev",
    "--no-renames",
    "--relative",
    *_SAFE,
)


class _LeftOut(Exception):
    """A file whose texts cannot be compared: the reason."""


@dataclass(frozen=True)
class _Entry:
    """One line of `git diff --raw`; an untracked file has only a name."""

    name: str
    old_mode: str = "000000"
    new_mode: str = "100644"
    old_blob: str = ""
    new_blob: str = ""
    status: str = "A"


def _entries(raw: str) -> Iterator[_Entry]:
    fields = iter(raw.split("\0"))
    for head in fields:
        if not head.startswith(":"):
            continue
        old_mode, new_mode, old_blob, new_blob, status = head[1:].split(" ")
        yield _Entry(next(fields), old_mode, new_mode, old_blob, new_blob, status[0])


def _checked_text(text: str) -> str:
    """Return a text with Python's line ends. Raises _LeftOut if it is none."""
    if len(text) > MAX_FILE_BYTES:
        raise _LeftOut("too large")
    if "\0" in text or any("\udc80" <= character <= "\udcff" for character in text):
        raise _LeftOut("binary")
    if text.startswith(LFS_POINTER):
        raise _LeftOut("stored in Git LFS")
    return text.replace("\r\n", "\n").replace("\r", "\n")
