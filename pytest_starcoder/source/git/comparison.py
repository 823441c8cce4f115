"""Reads what differs between a commit and the working tree, file by file, with both texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path, PurePosixPath

from pytest_starcoder.source.git.blobs import read_blobs
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.project import INSTALLED

MAX_FILES = 300
"""Maximum number of files to compare; beyond that, a change is no longer one person's day."""

MAX_EXAMINED = 5_000
"""Maximum number of files to read, those included that turn out to be equal or binary."""

MAX_FILE_BYTES = 2_000_000
"""Maximum size of a file to compare."""

MAX_LISTED = 50
"""Maximum number of files that are listed as left out."""

MIN_COMMON = 0.5
"""Minimum share of common lines for a removed and a new file to be one that was renamed."""

NOT_OWN = {*INSTALLED, "__pycache__"}
"""Folders of files that the project's authors did not write."""

REGULAR = ("100644", "100755")
"""Modes of regular files; others are symbolic links and submodules."""

LFS_POINTER = "version https://git-lfs"
"""Beginning of the text that git stores in place of a large file."""

BINARY_HEAD = 8_000
"""Number of bytes at the beginning of which a zero makes a file binary, as in git."""


@dataclass(frozen=True)
class ChangedFile:
    """A file with its text in both states, None where it does not exist.

    Line ends are "\\n" as when Python reads a text file. Where a file was renamed and edited,
    the new one has the text of the former one as `old`, and the former one is a removed file.
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

    def clean_commit(self) -> str:
        """Return the last commit if the working tree is as committed, or else an empty string.

        Of untracked files only Python's count: tests and tools often write others.
        """
        status, changes = self._git.run("diff", "--name-only", *SAFE_DIFF, "HEAD", "--")
        if status or changes:
            return ""
        status, listing = self._git.run("ls-files", "--others", "--exclude-standard", "-z")
        untracked = split_fields(listing.decode("utf-8", "surrogateescape"))
        is_clean = not any(name.endswith(".py") and not _is_installed(name) for name in untracked)
        return self.commit("HEAD") if is_clean and not status else ""

    def is_shallow(self) -> bool:
        """Return whether the clone lacks older commits."""
        return self._git.query("rev-parse", "--is-shallow-repository").strip() == "true"

    def is_detached(self) -> bool:
        """Return whether HEAD is a commit and no branch, as in CI."""
        return self._git.query("rev-parse", "--symbolic-full-name", "HEAD").strip() == "HEAD"

    def commits_since(self, commit: str) -> list[str]:
        """Return the commits between `commit` and HEAD, the newest first; empty if unrelated."""
        if self.merge_base(commit) != commit:
            return []
        return self._git.query("rev-list", f"{commit}..HEAD", "--").split()

    def merge_base(self, name: str) -> str:
        """Return the newest common ancestor of HEAD and a branch; empty if there is none."""
        return self._git.query("merge-base", "HEAD", name).strip()

    def with_worktree(self, commit: str) -> Comparison:
        """Compare the files below the folder with those of `commit`, untracked ones included."""
        # Unlike `git diff`, it reads no contents, which a partial clone may lack.
        status, raw = self._git.run("diff-index", *_RAW, commit, "--")
        if status:
            return Comparison()
        entries: dict[str, _Entry] = {}
        untracked = self._git.query("ls-files", "--others", "--exclude-standard", "-z")
        for name in split_fields(untracked):
            entries[name] = _Entry(name)
        # A file that was removed from the index only is untracked as well.
        for entry in _entries(raw.decode("utf-8", "surrogateescape")):
            entries[entry.name] = entry
        own = [entry for entry in entries.values() if not _is_installed(entry.name)]
        # Code first, should there be too many files.
        own.sort(key=lambda entry: (not entry.name.endswith(".py"), entry.name))
        return self._read(own)

    def _read(self, entries: Sequence[_Entry]) -> Comparison:
        files: list[ChangedFile] = []
        left_out: list[str] = []
        position = 0
        while position < min(len(entries), MAX_EXAMINED) and len(files) < MAX_FILES:
            chunk = entries[position : position + MAX_FILES - len(files)]
            position += len(chunk)
            blobs = self._old_blobs(chunk)
            for entry in chunk:
                try:
                    file = self._changed_file(entry, blobs)
                except LeftOut as reason:
                    left_out.append(f"{entry.name} ({reason})")
                    continue
                if file is not None:
                    files.append(file)
        left_out = _shortened(left_out)
        if position < len(entries):
            left_out.append(f"files after the first {len(files)}")
        return Comparison(tuple(_with_former_texts(files)), tuple(left_out))

    def _old_blobs(self, entries: Sequence[_Entry]) -> dict[str, bytes | None]:
        names = [entry.old_blob for entry in entries if entry.old_mode in REGULAR]
        contents = read_blobs(self._git, names, MAX_FILE_BYTES)
        return dict(zip(names, contents, strict=True))

    def _changed_file(self, entry: _Entry, blobs: Mapping[str, bytes | None]) -> ChangedFile | None:
        """Return a file with its texts, None if they are equal. Raises LeftOut."""
        if entry.status == "U":
            raise LeftOut("merge conflict")
        new = self._worktree_text(entry.name)
        old = None
        if entry.old_mode.strip("0"):
            if entry.old_mode not in REGULAR:
                raise LeftOut("symbolic link or submodule")
            content = blobs[entry.old_blob]
            if content is None:
                raise LeftOut("too large, or not in this clone")
            old = checked_text(content)
        if old != new:
            return ChangedFile(self._folder / entry.name, old, new)
        if entry.old_mode != entry.new_mode and entry.new_mode.strip("0"):
            raise LeftOut("only its mode changed")
        return None

    def _worktree_text(self, name: str) -> str | None:
        file = self._folder / name
        try:
            if file.is_symlink():
                raise LeftOut("symbolic link or submodule")
            if not file.exists():
                return None
            if not file.is_file():
                raise LeftOut("no regular file")
            if file.stat().st_size > MAX_FILE_BYTES:
                raise LeftOut("too large")
            content = file.read_bytes()
        except OSError:
            raise LeftOut("unreadable") from None
        text = checked_text(content)
        if _has_conflict(text):
            raise LeftOut("merge conflict")
        return text


SAFE_DIFF = ("--ignore-submodules=all", "--no-ext-diff", "--no-textconv")
"""Options with which `git diff` starts no other program."""

_RAW = (
    "--raw",
    "-z",
    "--no-abbrev",
    "--no-renames",
    "--relative",
    *SAFE_DIFF,
)


class LeftOut(Exception):
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


def split_fields(listing: str) -> list[str]:
    return [field for field in listing.split("\0") if field]


def _is_installed(name: str) -> bool:
    """Return whether a file belongs to an environment or a cache that git does not ignore."""
    return not NOT_OWN.isdisjoint(PurePosixPath(name).parts)


def _shortened(phrases: list[str]) -> list[str]:
    if len(phrases) <= MAX_LISTED:
        return phrases
    return [*phrases[:MAX_LISTED], f"{len(phrases) - MAX_LISTED} other files"]


def checked_text(content: bytes) -> str:
    """Return a text with Python's line ends. Raises LeftOut if it is none."""
    if b"\0" in content[:BINARY_HEAD]:
        raise LeftOut("binary")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise LeftOut("not UTF-8") from None
    if text.startswith(LFS_POINTER):
        raise LeftOut("stored in Git LFS")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _has_conflict(text: str) -> bool:
    """Return whether a text has the marks of a conflict, whose sides are not for us to choose."""
    lines = ("\n" + text).partition("\n<<<<<<< ")[2]
    return "\n=======\n" in lines and "\n>>>>>>> " in lines


def _with_former_texts(files: Sequence[ChangedFile]) -> list[ChangedFile]:
    """Return the files, new ones with the old text of a removed one that they resemble."""
    removed = [file for file in files if file.new is None and file.old]
    added = [file for file in files if file.old is None and file.new]
    scores: list[tuple[float, ChangedFile, ChangedFile]] = []
    for former, file in product(removed, added):
        if _may_be_renamed(former, file):
            score = _share_of_common_lines(former.old or "", file.new or "")
            if score >= MIN_COMMON:
                scores.append((score, former, file))
    scores.sort(key=lambda pair: -pair[0])
    paired: dict[Path, ChangedFile] = {}
    for _, former, file in scores:
        if former.path not in paired and file.path not in paired:
            paired[former.path] = former
            paired[file.path] = replace(file, old=former.old)
    return [paired.get(file.path, file) for file in files]


def _may_be_renamed(former: ChangedFile, file: ChangedFile) -> bool:
    """Return whether a file may have been moved or renamed, and was edited then."""
    old_path, new_path = former.path, file.path
    is_near = old_path.name == new_path.name or old_path.parent == new_path.parent
    return is_near and old_path.suffix == new_path.suffix and former.old != file.new


def _share_of_common_lines(old: str, new: str) -> float:
    old_lines, new_lines = _counted_lines(old), _counted_lines(new)
    total = max(old_lines.total(), new_lines.total())
    return (old_lines & new_lines).total() / total if total else 0.0


def _counted_lines(text: str) -> Counter[str]:
    return Counter(line.strip() for line in text.split("\n") if line.strip())
