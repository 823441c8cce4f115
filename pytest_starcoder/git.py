"""The questions asked of git; the only home of GitPython."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.text.diff import named_path

BASES = ("@{upstream}", "origin/HEAD", "origin/main", "origin/master", "main", "master")
"""The branches that a branch may have left, the likeliest first."""

PATIENCE = 5.0
"""Seconds that one question may take."""

_QUIET = (
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.quotePath=false",
    "-c",
    "blame.ignoreRevsFile=",
    "-c",
    "diff.external=",
)
"""The repository's configuration may name programs, and files that are not there."""

LARGEST_CHANGE = 8_000_000
"""Bytes of a change's text that are kept; the files after that are not reviewed."""

LARGEST_FILE = 1_000_000
"""Bytes of a file that is read for what surrounds a change of it, and of the change of one file."""

_FIXED = (
    *("-c", "diff.noprefix=false"),
    *("-c", "diff.mnemonicPrefix=false"),
    *("-c", "diff.suppressBlankEmpty=false"),
    *("-c", "core.safecrlf=false"),  # a warning a file could fill a pipe that nobody reads
)
"""What has no option of `git diff` and would change what it prints."""

_LANGUAGES = Path(__file__).with_name("languages.gitattributes")

_DIFF = (
    "diff",
    f"-O{os.devnull}",
    *"--raw --patch -z --full-index --no-abbrev --no-color --no-ext-diff --no-textconv --no-relative".split(),
    *"--src-prefix=a/ --dst-prefix=b/ --find-renames --unified=3 --inter-hunk-context=0".split(),
    *"--diff-algorithm=myers --indent-heuristic --submodule=short --ignore-submodules=dirty".split(),
)

_HUNK = re.compile(r"@@ -[0-9,]+ \+(?P<first>[0-9]+)(?:,(?P<count>[0-9]+))? @@")


def repository(path: Path) -> Path | None:
    """The nearest folder above `path` that holds a `.git`, or None."""
    return next((folder for folder in path.parents if (folder / ".git").exists()), None)


def is_tracked(path: Path) -> bool:
    """Whether git tracks `path`, an absolute path, or anything on the way where that is a symbolic link.

    False outside a repository. True where there is a repository and git cannot
    tell, as where it is not installed: who asks wants to know whether the file
    may be trusted.
    """
    if _in_index(path):
        return True
    if not path.is_symlink():
        return False
    target = path.parent / path.readlink()
    return is_tracked(target.parent.resolve() / target.name)


def _in_index(path: Path) -> bool:
    top = repository(path)
    if top is None:
        return False
    try:
        import git
    except ImportError:  # GitPython raises it where there is no git program
        return True
    git_dir = _git_dir(top)
    command = [
        "git",
        *("-c", "core.fsmonitor=false"),  # it would run a program that the repository's configuration names
        f"--git-dir={git_dir}",
        f"--work-tree={top}",
        # In any case: a file system that ignores it opens a tracked .ENV as .env.
        *("ls-files", "--error-unmatch", "--", f":(top,icase,literal){path.relative_to(top).as_posix()}"),
    ]
    environment = {
        # A hook's names the index of its commit, perhaps of another repository.
        "GIT_INDEX_FILE": str(git_dir / "index"),
        # It would make the words before the path a part of it.
        "GIT_LITERAL_PATHSPECS": "0",
    }
    try:
        status, _, _ = git.Git(str(top)).execute(
            command, env=environment, with_extended_output=True, with_exceptions=False
        )
    except git.GitCommandNotFound:  # GIT_PYTHON_REFRESH keeps the import from raising
        return True
    return status != 1  # 1: not tracked; 128: git cannot tell


def _opened(root: Path) -> Any:
    """GitPython's Git for the folder `root`, or None where that is not in a repository or git is not there."""
    if repository(root / "_") is None:
        return None
    try:
        import git
    except ImportError:
        return None
    return git.Git(str(root))


def _git_dir(top: Path) -> Path:
    """The `.git` of a repository; in a worktree or submodule that is a file which names the folder."""
    entry = top / ".git"
    if entry.is_file():
        named = entry.read_text("utf-8", "replace").removeprefix("gitdir:").strip()
        return top / named
    return entry


class History:
    """What git tells of the files below `root`; everything is empty where there is no repository, or no git.

    Nothing of the repository's configuration is run, and nothing is written:
    neither its hooks nor its filters, nor the index that `git status` refreshes.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._repository = _opened(root)

    def changed(self, *, untracked: bool = False) -> dict[str, set[int]]:
        """The lines of tracked files that differ from the last commit, by path relative to the root, 1-based.

        With `untracked` all lines of files that git neither tracks nor ignores.
        """
        found = self._lines("HEAD")
        if untracked:
            for path in self._git("ls-files", "--others", "--exclude-standard", "-z").split("\0"):
                with contextlib.suppress(OSError):
                    if path:
                        found[path] = {*range(1, (self._root / path).read_bytes().count(b"\n") + 2)}
        return found

    def changed_since_base(self) -> tuple[str, dict[str, set[int]]]:
        """The branch that this one left, and the lines that differ from there; ("", {}) on that branch itself."""
        for branch in BASES:
            base = self._git("merge-base", "HEAD", branch).strip()
            if base:
                head = self._git("rev-parse", "HEAD").strip()
                return ("", {}) if base == head else (branch, self._lines(base))
        return "", {}

    def blamed(self, path: str) -> dict[int, tuple[str, float]]:
        """For each line of a file the commit that wrote it last, abbreviated, and when, in seconds since the epoch.

        Lines that are not committed have none.
        """
        told = self._git("blame", "--no-textconv", "--porcelain", "--", path)
        times: dict[str, float] = {}
        found: dict[int, tuple[str, float]] = {}
        commit, line = "", 0
        for text in told.split("\n"):
            words = text.split(" ")
            if text.startswith("\t"):
                if commit.strip("0"):
                    found[line] = commit[:7], times.get(commit, 0.0)
            elif words[0] == "committer-time":
                times[commit] = float(words[1])
            elif len(words) >= 3 and len(words[0]) >= 40 and words[2].isdigit():
                commit, line = words[0], int(words[2])
        return found

    def _lines(self, since: str) -> dict[str, set[int]]:
        """New line numbers of the differences between `since` and the files as they are."""
        found: dict[str, set[int]] = {}
        lines: set[int] = set()
        told = self._git("diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
                         "--relative", "--src-prefix=a/", "--dst-prefix=b/", since, "--")  # fmt: skip
        in_head = True
        for text in told.split("\n"):
            if text.startswith("diff --git "):
                in_head = True
            elif in_head and text.startswith("+++ "):  # in a hunk it is an added line `++ …`
                lines = found.setdefault(named_path(text.removeprefix("+++ ")), set())
            elif match := _HUNK.match(text):
                in_head = False
                first, count = int(match["first"]), int(match["count"] or 1)
                lines.update(range(first, first + count) if count else (first, first + 1))
        return found

    def _git(self, *arguments: str) -> str:
        """What git says, empty where it says nothing, fails or takes more than some seconds."""
        if self._repository is None:
            return ""
        import git

        command = ["git", *_QUIET, *arguments]
        environment = {"GIT_OPTIONAL_LOCKS": "0", "GIT_LITERAL_PATHSPECS": "1", "GIT_CONFIG_NOSYSTEM": "1"}
        try:
            status, told, _ = self._repository.execute(
                command,
                env=environment,
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                kill_after_timeout=PATIENCE if sys.platform != "win32" else None,
            )
        except (git.GitCommandNotFound, git.GitCommandError, OSError):
            return ""
        text = told if isinstance(told, str) else told.decode("utf-8", "surrogateescape")
        return text if status == 0 else ""


class Entry(NamedTuple):
    """One file of a change.

    `status` is git's letter: A, C, D, M, R, T (another type) or U (unmerged).
    `modes` and `blobs` are those before and after, in full. `patch` is the text
    of its diff from `diff --git` on, None where there is none to be had.
    """

    path: str
    status: str
    modes: tuple[str, str]
    blobs: tuple[str, str]
    patch: bytes | None = None


class Repository:
    """The repository around the folder `start`, asked with fixed flags: no configuration changes what it answers.

    `top` is its working tree, `folder` its git directory. The variables of a hook,
    such as the index of the commit that is being made, are git's own to read.
    Raises ConfigError outside a repository, in one without a working tree, and
    where there is no git.
    """

    def __init__(self, start: Path) -> None:
        try:
            import git
        except ImportError as exc:
            raise ConfigError("There is no git on PATH.", "Install it, or mend PATH.") from exc
        self._git = git.Git(str(start))
        told = self._run("rev-parse", "--show-toplevel", "--absolute-git-dir")
        lines = told.decode("utf-8", "surrogateescape").splitlines() if told is not None else []
        if len(lines) != 2:
            raise ConfigError(
                f"{start} is not in the working tree of a git repository, or git does not trust it.",
                "Go into one; `git status` there says what is wrong.",
            )
        self.top, self.folder = Path(lines[0]), Path(lines[1])

    def staged(self) -> list[Entry]:
        """What the next commit changes: the index against HEAD, all of it in a repository without a commit."""
        return self._diff("--cached")

    def between(self, before: str, after: str) -> list[Entry]:
        """What differs from one commit or tree to another."""
        return self._diff(before, after)

    def against(self, commit: str) -> list[Entry]:
        """The index against `commit`."""
        return self._diff("--cached", commit)

    def merged(self) -> list[str]:
        """The other parents of the merge that is being committed, none where it is no merge."""
        heads = self.folder / "MERGE_HEAD"
        found = heads.read_text("ascii").split() if heads.is_file() else []
        # Before the hook of a merge without a conflict git has not written them yet; it says so in the environment.
        return found or [
            name.removeprefix("GITHEAD_") for name in os.environ if re.fullmatch("GITHEAD_[0-9a-f]{40,64}", name)
        ]

    def commit(self, name: str) -> str:
        """The full hash of the commit `name`; raises ConfigError where there is none."""
        told = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if told is None:
            raise ConfigError(
                f"There is no commit {name!r} here.",
                "Check the name; in CI fetch the whole history (fetch-depth: 0, or GIT_DEPTH: 0).",
            )
        return told.decode("ascii").strip()

    def parent(self, commit: str) -> str:
        """The first parent of `commit`, or the empty tree for the first commit of all."""
        told = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^1")
        return told.decode("ascii").strip() if told is not None else self._empty_tree()

    def merge_base(self, one: str, other: str) -> str:
        """The commit at which two commits parted; raises ConfigError where none is known."""
        told = self._run("merge-base", one, other)
        if told is None:
            raise ConfigError(
                f"{one} and {other} have no common commit here.",
                "Fetch the whole history (fetch-depth: 0, or GIT_DEPTH: 0).",
            )
        return told.decode("ascii").split("\n")[0]

    def subject(self, commit: str) -> str:
        """The first line of its message."""
        told = self._run("show", "--no-patch", "--no-show-signature", "--format=%h %s", commit)
        return (told or b"").decode("utf-8", "replace").strip()

    def text(self, commit: str, path: str) -> str | None:
        """A file, its path relative to the top, as it is in `commit`; None where it is not there."""
        told = self._run("cat-file", "blob", f"{commit}:{path}")
        return None if told is None else told.decode("utf-8", "replace")

    def blobs(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """What the blobs hold; those that cannot be read, or have more than LARGEST_FILE bytes, are left out."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return {}
        found: dict[str, bytes] = {}
        running = self._start("cat-file", "--batch")
        try:
            for name in wanted:
                # One at a time: neither side waits for a pipe that the other does not read.
                running.stdin.write(f"{name}\n".encode("ascii"))
                running.stdin.flush()
                head = running.stdout.readline().split()
                if len(head) != 3:  # "<name> missing"
                    continue
                size = int(head[2])
                content = running.stdout.read(size)
                running.stdout.read(1)
                if len(content) == size <= LARGEST_FILE:
                    found[name] = content
        except OSError:
            return found  # git has died at a damaged one
        finally:
            self._end(running)
        return found

    def _empty_tree(self) -> str:
        told = self._run("hash-object", "-t", "tree", os.devnull)
        return (told or b"").decode("ascii").strip()

    def _diff(self, *what: str) -> list[Entry]:
        asked = ("-c", f"core.attributesFile={_LANGUAGES}", *_FIXED, *_DIFF)
        records, patches, status = self._changes([*asked, *what, "--"])
        if status and len(patches) < sum(_sections(record) for record in records):
            # It stops at a file that it cannot read: the others are asked for one by one.
            alone = [self._changes([*asked, *what, "--", f":(top,literal){record.path}"]) for record in records]
            return [
                Entry(record.path, record.status, record.modes, record.blobs, b"".join(found[1]) or None)
                for record, found in zip(records, alone, strict=True)
            ]
        entries = []
        for record in records:
            own, patches = patches[: _sections(record)], patches[_sections(record) :]
            entries.append(Entry(record.path, record.status, record.modes, record.blobs, b"".join(own) or None))
        return entries

    def _changes(self, arguments: list[str]) -> tuple[list[Entry], list[bytes], int]:
        """The records of a raw diff, the texts that follow, one a file, and git's exit status."""
        running = self._start(*arguments)
        try:
            begun = b""
            # The records end with an empty one; a change that only renames has nothing after them.
            for line in running.stdout:
                if b"\0diff --git " in line:
                    records, line = _records(begun + line)
                    return records, _patches(line, running.stdout), self._end(running)
                begun += line
            return _records(begun)[0], [], self._end(running)
        finally:
            self._end(running)

    def _start(self, *arguments: str) -> Any:
        return self._git.execute(
            ["git", *_QUIET, *arguments],
            istream=subprocess.PIPE,
            as_process=True,
            env=_UNCHANGING,
        )

    def _end(self, running: Any) -> int:
        """Ends a process of `_start`; its exit status."""
        for pipe in (running.stdin, running.stdout):
            pipe.close()
        if running.poll() is None:
            try:
                running.proc.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                running.proc.kill()
                running.proc.wait()
        running.stderr.close()
        return int(running.proc.returncode or 0)

    def _run(self, *arguments: str) -> bytes | None:
        """What git says, None where it fails."""
        import git

        try:
            status, told, _ = self._git.execute(
                ["git", *_QUIET, *arguments],
                env=_UNCHANGING,
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
            )
        except (git.GitCommandNotFound, git.GitCommandError, OSError):
            return None
        return bytes(told) if status == 0 else None


_UNCHANGING = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "0",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_LAZY_FETCH": "1",
}
"""For questions: nothing is written, nothing is fetched."""


def _sections(record: Entry) -> int:
    """The texts that git's diff has of it: two where a file has become a link."""
    return {"U": 0, "T": 2}.get(record.status, 1)


def _patches(first: bytes, lines: Iterable[bytes]) -> list[bytes]:
    """The texts of the files, one after the other; empty for one that is too large, or comes after too much."""
    found: list[list[bytes]] = []
    kept = size = 0
    whole = True
    for line in chain([first], lines):
        if line.startswith(b"diff --git "):
            found.append([])
            kept, size, whole = kept + (size if whole else 0), 0, True
        size += len(line)
        whole = whole and size <= LARGEST_FILE and kept + size <= LARGEST_CHANGE
        if whole:
            found[-1].append(line)
        else:
            found[-1].clear()
    return [b"".join(part) for part in found]


def _records(told: bytes) -> tuple[list[Entry], bytes]:
    """The records at the beginning of `git diff --raw -z --patch`, and the texts after them."""
    records = []
    while told.startswith(b":"):
        head, _, rest = told.partition(b"\0")
        words = head[1:].decode("ascii").split(" ")
        count = 2 if words[4][0] in "RC" else 1
        *paths, told = rest.split(b"\0", count)
        path = os.fsdecode(paths[-1])
        records.append(Entry(path, words[4][0], (words[0], words[1]), (words[2], words[3])))
    return records, told.removeprefix(b"\0")
