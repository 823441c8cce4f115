"""All queries to git; the only module that uses GitPython.

Reviews use GitPython. Inside the user's pytest the plugin uses subprocess instead:
importing GitPython there would shadow a module `git` of the tests.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from pytest_starcoder.errors import ConfigError, GitFailed
from pytest_starcoder.source.diff import named_path

BASES = ("@{upstream}", "origin/HEAD", "origin/main", "origin/master", "main", "master")
"""The branches that a branch may have left, the likeliest first."""

PATIENCE = 5.0
"""Seconds that one question may take."""

REVIEW_PATIENCE = 60.0
"""Seconds that one question of a review may take, where nobody says another number."""

_EMPTY = "PYTEST_STARCODER_EMPTY"
"""An environment variable for `git --config-env`, which accepts keys that `git -c` cannot."""

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

HARDENED = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "0",
    "GIT_GLOB_PATHSPECS": "0",
    "GIT_NOGLOB_PATHSPECS": "0",
    "GIT_ICASE_PATHSPECS": "0",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    # Git before 2.44 ignores that, so it also gets no protocol to fetch with.
    "GIT_ALLOW_PROTOCOL": "none",
    _EMPTY: "",
}
"""For every git we run: write nothing, fetch nothing, never prompt for a password."""

OTHER_VERSION_CONTROLS = (".hg", ".svn", ".jj", ".bzr", "_darcs", ".fslckout")
"""Markers of other version control systems, whose trees may lie in a git repository."""

MAX_LINKS = 40
"""Maximum number of symbolic links to follow, as on Linux."""

LARGEST_CHANGE = 8_000_000
"""Bytes of a change's text that are kept; the files after that are not reviewed."""

MOST_ALONE = 500
"""Maximum number of files to read one by one if git fails to read the whole change."""

LARGEST_FILE = 1_000_000
"""Bytes of a file that is read for what surrounds a change of it, and of the change of one file."""

_FIXED = (
    *("-c", "diff.noprefix=false"),
    *("-c", "diff.mnemonicPrefix=false"),
    *("-c", "diff.suppressBlankEmpty=false"),
    *("-c", "core.bigFileThreshold=512m"),  # to git a larger file is binary
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
    """Return the nearest folder above `path` that holds a `.git`, or None."""
    return next((folder for folder in path.parents if (folder / ".git").exists()), None)


def is_versioned(path: Path) -> bool:
    """Return whether a git repository can tell who owns the file `path`."""
    for folder in path.parents:
        if (folder / ".git").exists():
            return True
        if any((folder / name).exists() for name in OTHER_VERSION_CONTROLS):
            return False
    return bool(os.environ.get("GIT_DIR"))


def is_tracked(path: Path) -> bool:
    """Return whether the absolute `path`, or a file it links to, belongs to the project.

    That means git tracks it. Callers decide whether to trust the file, so the answer
    is also True if unknown: outside any repository (an unpacked archive, another
    version control system), and if git fails.
    """
    if not is_versioned(path):
        return True
    names = [path]
    while names[-1].is_symlink() and len(names) <= MAX_LINKS:
        target = names[-1].parent / names[-1].readlink()
        names.append(target.parent.resolve() / target.name)
    return len(names) > MAX_LINKS or any(_in_index(name) for name in names)


def _in_index(path: Path) -> bool:
    """Return whether `path` is tracked by the repository around it, or by the one in GIT_DIR."""
    top = repository(path)
    if top is not None:
        return _tracks(_git_dir(top), top, "literal", path.relative_to(top).as_posix())
    elsewhere = os.environ.get("GIT_DIR")
    if not elsewhere:
        return False
    # The top of its work tree is uncertain, so any file of that name counts.
    name = re.sub(r"([*?\[\]\\])", r"\\\1", path.name)
    return _tracks(Path.cwd() / elsewhere, path.parent, "glob", f"**/{name}")


def _tracks(git_dir: Path, top: Path, magic: str, pattern: str) -> bool:
    """Return whether the index of `git_dir` matches the pathspec; True if git cannot tell."""
    arguments = [
        f"--git-dir={git_dir}",
        f"--work-tree={top}",
        # In any case: a file system that ignores it opens a tracked .ENV as .env.
        *("ls-files", "--error-unmatch", "--", f":(top,icase,{magic}){pattern}"),
    ]
    # In a hook, GIT_INDEX_FILE is that of its commit, perhaps of another repository.
    environment = {**HARDENED, "GIT_INDEX_FILE": str(git_dir / "index")}
    answer = _ask_git(top, arguments, environment)
    # 1: not tracked; 128: git cannot tell
    return answer is None or answer.returncode != 1


def _ask_git(
    folder: Path, arguments: Iterable[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes] | None:
    """Run git in `folder`; None if there is no git or it takes more than a few seconds."""
    try:
        return subprocess.run(
            ["git", *_QUIET, *arguments],
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", "LANGUAGE": "C", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):  # ValueError: a NUL in an argument
        return None


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
        self._is_repository = repository(root / "_") is not None
        self._filters: list[str] | None = None

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
        # For submodules, git would start a process that obeys their own configuration.
        told = self._git("diff", "--unified=0", "--inter-hunk-context=0", "--no-color", "--no-ext-diff",
                         "--no-textconv", "--no-renames", "--ignore-submodules=all", "--submodule=short",
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
        if self._filters is None:
            self._filters = without_filters(
                self._asked("config", "--null", "--name-only", "--list")
            )
        return self._asked(*self._filters, *arguments)

    def _asked(self, *arguments: str) -> str:
        if not self._is_repository:
            return ""
        environment = {**HARDENED, "GIT_LITERAL_PATHSPECS": "1", "GIT_CONFIG_NOSYSTEM": "1"}
        answer = _ask_git(self._root, arguments, environment)
        if answer is None or answer.returncode:
            return ""
        return answer.stdout.decode("utf-8", "surrogateescape")


def without_filters(names: str) -> list[str]:
    """Return git's options that switch off every filter among the configuration's NUL-separated `names`.

    Without them git runs `filter.<driver>.clean` on a file of the working tree
    before comparing it, and the repository's attributes choose the driver.
    """
    drivers = {name.rpartition(".")[0] for name in names.split("\0") if name.startswith("filter.")}
    options: list[str] = []
    for driver in sorted(drivers):
        for key in (f"{driver}.clean", f"{driver}.process", f"{driver}.required"):
            # `git -c` ends a key at its first equals sign; `--config-env` needs git 2.31.
            options += [f"--config-env={key}={_EMPTY}"] if "=" in key else ["-c", f"{key}="]
    return options


class Entry(NamedTuple):
    """One file of a change.

    `status` is git's letter: A, C, D, M, R, T (another type) or U (unmerged).
    `modes` and `blobs` are those before and after, in full. `patch` is the text
    of its diff from `diff --git` on, None where there is none to be had: because
    it is too large, or else `problem` is what git says of it.
    """

    path: str
    status: str
    modes: tuple[str, str]
    blobs: tuple[str, str]
    patch: bytes | None = None
    problem: str = ""


class _Answer(NamedTuple):
    """The result of a git call: exit status, standard output and standard error."""

    status: int
    output: bytes
    complaint: str
    is_late: bool = False


class _Changes(NamedTuple):
    """A diff, perhaps incomplete: its records, their patches, and how git ended."""

    records: list[Entry]
    patches: list[bytes]
    answer: _Answer

    @property
    def is_whole(self) -> bool:
        return not self.answer.status and len(self.patches) == sum(map(_sections, self.records))


class Repository:
    """The repository around the folder `start`, asked with fixed flags: no configuration changes what it answers.

    `top` is its working tree, `folder` its git directory. The variables of a hook,
    such as the index of the commit that is being made, are git's own to read.
    Raises ConfigError outside a repository, in one without a working tree, and
    if there is no git. Every query raises GitFailed if git fails, or takes more than
    `patience` seconds.
    """

    def __init__(self, start: Path, patience: float = REVIEW_PATIENCE) -> None:
        self.patience = patience
        try:
            import git
        except ImportError as exc:
            raise _no_git() from exc
        self._git = git.Git(str(start))
        answer = self._ask("rev-parse", "--show-toplevel", "--absolute-git-dir")
        is_inside = repository(start.absolute() / "_") is not None or "GIT_DIR" in os.environ
        if answer.status and not is_inside:
            raise ConfigError(
                f"{start} is not in the working tree of a git repository.",
                "Go into one; `git status` there says what is wrong.",
            )
        if answer.status:
            raise _failure("rev-parse", answer)
        lines = answer.output.decode("utf-8", "surrogateescape").splitlines()
        self.top, self.folder = Path(lines[0]), Path(lines[-1])

    def staged(self) -> list[Entry]:
        """Return what the next commit changes: the index against HEAD, or all of a first commit.

        The attributes in force are those of HEAD.
        """
        return self._diff(self.head(), "--cached")

    def between(self, before: str, after: str, attributes: str = "") -> list[Entry]:
        """Return the differences between two commits or trees, with the attributes of a commit."""
        return self._diff(attributes or before, before, after)

    def against(self, commit: str) -> list[Entry]:
        """Return the index against `commit`, with the attributes of HEAD."""
        return self._diff(self.head(), "--cached", commit)

    def head(self) -> str:
        """Return the commit of HEAD, or the empty tree in a repository without commits."""
        commit = self._if_there("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if commit is not None:
            return commit.decode("ascii").strip()
        # A damaged branch is not an empty one, but `git diff` cannot tell them apart.
        answer = self._ask("log", "-1", "--format=%H")
        if "does not have any commits yet" not in answer.complaint:
            raise self._failed("log", answer)
        return self._empty_tree()

    def merged(self) -> list[str]:
        """The other parents of the merge that is being committed, none where it is no merge."""
        heads = self.folder / "MERGE_HEAD"
        found = heads.read_text("ascii", "replace").split() if heads.is_file() else []
        # Before the hook of a merge without a conflict git has not written them yet; it says so in the environment.
        return found or [
            name.removeprefix("GITHEAD_")
            for name in os.environ
            if re.fullmatch("GITHEAD_[0-9a-f]{40,64}", name)
        ]

    def commit(self, name: str) -> str:
        """The full hash of the commit `name`; raises ConfigError where there is none."""
        commit = self._if_there(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
        )
        if commit is None:
            raise ConfigError(
                f"There is no commit {name!r} here.",
                "Check the name; in CI fetch the whole history (fetch-depth: 0, or GIT_DEPTH: 0).",
            )
        return commit.decode("ascii").strip()

    def parent(self, commit: str) -> str:
        """The first parent of `commit`, or the empty tree for the first commit of all."""
        parent = self._if_there(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^1"
        )
        return parent.decode("ascii").strip() if parent is not None else self._empty_tree()

    def merge_base(self, one: str, other: str) -> str:
        """The commit at which two commits parted; raises ConfigError where none is known."""
        base = self._if_there("merge-base", one, other)
        if base is None:
            raise ConfigError(
                f"{one} and {other} have no common commit here.",
                "Fetch the whole history (fetch-depth: 0, or GIT_DEPTH: 0).",
            )
        return base.decode("ascii").split("\n")[0]

    def subject(self, commit: str) -> str:
        """The first line of its message."""
        line = self._output("show", "--no-patch", "--no-show-signature", "--format=%h %s", commit)
        return line.decode("utf-8", "replace").strip()

    def text(self, commit: str, path: str) -> str | None:
        """A file, its path relative to the top, as it is in `commit`; None where it is not there."""
        content = self._content(commit, path, (b"100", b"120"))
        return None if content is None else content.decode("utf-8", "replace")

    def blobs(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """Return the contents of blobs, except missing ones and those larger than LARGEST_FILE."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return {}
        contents: dict[str, bytes] = {}
        with self._start("cat-file", "--batch") as running, contextlib.suppress(BrokenPipeError):
            for name in wanted:
                # One at a time: neither side waits for a pipe that the other does not read.
                running.stdin.write(f"{name}\n".encode("ascii"))
                running.stdin.flush()
                head = running.stdout.readline().split()
                if not head:
                    break  # git died; its status will tell
                if len(head) != 3:  # "<name> missing"
                    continue
                size = int(head[2])
                content = running.stdout.read(size)
                running.stdout.read(1)
                if len(content) == size <= LARGEST_FILE:
                    contents[name] = content
        if running.answer.status:
            raise self._failed("cat-file", running.answer)
        return contents

    def _empty_tree(self) -> str:
        return self._output("hash-object", "-t", "tree", os.devnull).decode("ascii").strip()

    def _content(self, commit: str, path: str, kinds: tuple[bytes, ...]) -> bytes | None:
        """Return a file of a commit or tree whose mode starts with one of `kinds`, or None."""
        listed = self._output("ls-tree", "-z", "--full-tree", commit, "--", path)
        mode, _, named = listed.partition(b" ")
        if mode[:3] not in kinds:
            return None
        blob = named.partition(b" ")[2].partition(b"\t")[0]
        return self._output("cat-file", "blob", blob.decode("ascii"))

    # --- differences ---

    def _diff(self, attributes: str, *what: str) -> list[Entry]:
        """Return the files that differ, with the attributes of the commit or tree `attributes`.

        Raises GitFailed if git returns none of them. An entry that git cannot read has the
        reason in `problem`.
        """
        with self._attributes(attributes) as environment:
            lowest = Path(environment["GIT_WORK_TREE"]).with_name("attributes")
            asked = ["-c", f"core.attributesFile={lowest}", *_FIXED, *_DIFF, *what]
            changes = self._changes([*asked, "--"], environment)
            if changes.is_whole:
                return _with_patches(changes)
            failure = self._failed("diff", changes.answer, *what)
            if changes.answer.is_late:
                raise failure
            return self._one_by_one(asked, changes.records, environment, failure)

    def _one_by_one(
        self,
        asked: list[str],
        records: list[Entry],
        environment: Mapping[str, str],
        failure: GitFailed,
    ) -> list[Entry]:
        """Return the files of a failed diff: those git can read, and why it cannot read others."""
        if not records:  # git reads contents to find renames before it prints anything
            asked = [*asked, "--no-renames"]
            raw = [argument for argument in asked if argument != "--patch"]
            records = self._changes([*raw, "--"], environment).records
        if not 0 < len(records) <= MOST_ALONE:
            raise failure
        until = time.monotonic() + self.patience
        entries = []
        for record in records:
            if time.monotonic() < until:
                entries.append(self._alone(asked, record, environment))
            else:
                entries.append(
                    record._replace(problem="it took too long to ask for every file by itself")
                )
        if all(entry.problem for entry in entries):
            raise failure
        return entries

    def _alone(self, asked: list[str], record: Entry, environment: Mapping[str, str]) -> Entry:
        changes = self._changes([*asked, "--", f":(top,literal){record.path}"], environment)
        if changes.answer.status:
            return record._replace(problem=_sentence(changes.answer))
        return record._replace(patch=b"".join(changes.patches) or None)

    def _changes(self, arguments: list[str], environment: Mapping[str, str]) -> _Changes:
        records: list[Entry] = []
        patches: list[bytes] = []
        with self._start(*arguments, environment=environment) as running:
            begun = b""
            # The records end with an empty one; a change that only renames has nothing after them.
            for line in running.stdout:
                if b"\0diff --git " in line:
                    records, first_line = _records(begun + line)
                    patches = _patches(first_line, running.stdout)
                    begun = b""
                    break
                begun += line
            if begun:
                records, _ = _records(begun)
        return _Changes(records, patches, running.answer)

    @contextlib.contextmanager
    def _attributes(self, commit: str) -> Iterator[Mapping[str, str]]:
        """Provide an environment in which git reads attributes from `commit`, not the change.

        git reads them from the working tree, or from the index if a file is missing
        there. So its working tree is a folder with only the files in which the index
        differs from `commit`. From git 2.41 on, `--attr-source` does the same.
        """
        pathspec = ":(top,glob,icase)**/.gitattributes"
        raw = (
            "diff",
            "--cached",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
            "--no-ext-diff",
            commit,
        )
        records, _ = _records(self._output(*raw, "--", pathspec))
        with tempfile.TemporaryDirectory(
            prefix="starcoder-", ignore_cleanup_errors=True
        ) as temporary:
            tree = Path(temporary, "tree")
            tree.mkdir()
            for record in records:
                path = tree / record.path
                if ".." in path.parts or not path.is_relative_to(tree):
                    # git validates names at checkout, not here
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                # git reads no attributes through a link.
                path.write_bytes(self._content(commit, record.path, (b"100",)) or b"")
            lowest = Path(temporary, "attributes")
            lowest.write_bytes(_LANGUAGES.read_bytes() + self._attributes_of_user())
            yield {
                "GIT_DIR": str(self.folder),
                "GIT_WORK_TREE": str(tree),
                **self._absolute_index(),
            }

    def _attributes_of_user(self) -> bytes:
        """Return the user's global attributes file, never one that this repository configures."""
        answer = self._ask("config", "--global", "--type=path", "--get", "core.attributesFile")
        configured = answer.output.decode("utf-8", "surrogateescape").strip()
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
        try:
            return Path(configured or f"{base}/git/attributes").read_bytes()
        except (OSError, ValueError):
            return b""

    def _absolute_index(self) -> dict[str, str]:
        """Return the absolute path of a hook's index; git takes it as relative to the top."""
        index = os.environ.get("GIT_INDEX_FILE")
        return {"GIT_INDEX_FILE": str(self.top / index)} if index else {}

    # --- processes ---

    def _output(self, *arguments: str) -> bytes:
        """Return the output of git. Raises GitFailed."""
        answer = self._ask(*arguments)
        if answer.status:
            raise self._failed(arguments[0], answer)
        return answer.output

    def _if_there(self, *arguments: str) -> bytes | None:
        """Return the output of git; None if there is no such object (exit status 1, no message)."""
        answer = self._ask(*arguments)
        if answer.status == 1 and not answer.complaint.strip():
            return None
        if answer.status:
            raise self._failed(arguments[0], answer)
        return answer.output

    def _ask(self, *arguments: str) -> _Answer:
        with self._start(*arguments) as running:
            running.stdin.close()
            output = running.stdout.read()
        return running.answer._replace(output=output)

    def _start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> _Running:
        import git

        asked = self._git if environment is None else git.Git(environment["GIT_WORK_TREE"])
        try:
            process = asked.execute(
                ["git", *_QUIET, *arguments],
                istream=subprocess.PIPE,
                as_process=True,
                env={**HARDENED, **(environment or {})},
                start_new_session=True,  # what git has started can be ended with it
            )
        except git.GitCommandNotFound as exc:  # GIT_PYTHON_REFRESH keeps the import from raising
            raise _no_git() from exc
        return _Running(process, self.patience)

    def _failed(self, command: str, answer: _Answer, *what: str) -> GitFailed:
        """Return the error for a failed git; in a partial clone, with how to fetch the objects."""
        promised = self._ask(
            "config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$"
        )
        if promised.status:
            return _failure(command, answer)
        fetch = " ".join(["git diff --stat", *what]) if what else "git fetch --refetch --no-filter"
        return _failure(
            command,
            answer,
            f"This is a partial clone: `{fetch}` fetches the missing objects, as in a clone without --filter.",
        )


class _Running:
    """A running git whose output is read; `answer` is the result, after the `with` block.

    A thread reads its standard error, so git never blocks on a full pipe.
    After `patience` seconds it is killed, with what it has started.
    """

    def __init__(self, process: Any, patience: float) -> None:
        self.stdin = process.stdin
        self.stdout = process.stdout
        self.answer = _Answer(0, b"", "")
        self._process = process
        self._complaint = b""
        self._reader = threading.Thread(target=self._read_complaint, daemon=True)
        self._reader.start()
        self._patience = patience
        self._is_late = False
        self._timer = threading.Timer(patience, self._end_late)
        self._timer.daemon = True
        self._timer.start()

    def __enter__(self) -> _Running:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):  # it ended with unread output
            self.stdin.close()
        self.stdout.close()
        process = self._process.proc
        try:
            process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._kill()
            process.wait()
        self._timer.cancel()
        self._reader.join(PATIENCE)
        self._process.stderr.close()
        complaint = self._complaint.decode("utf-8", "replace")
        if self._is_late:
            complaint = f"it took more than {self._patience:.3g} s"
        self.answer = _Answer(int(process.returncode or 0), b"", complaint, self._is_late)

    def _end_late(self) -> None:
        self._is_late = True
        self._kill()

    def _kill(self) -> None:
        process = self._process.proc
        if os.name != "posix":
            process.kill()
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    def _read_complaint(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for piece in iter(lambda: self._process.stderr.read(65536), b""):
                self._complaint = (self._complaint + piece)[-65536:]


def _no_git() -> ConfigError:
    return ConfigError("There is no git on PATH.", "Install it, or fix PATH.")


def _failure(command: str, answer: _Answer, hint: str = "") -> GitFailed:
    lines = [line.strip() for line in answer.complaint.splitlines() if line.strip()]
    if not hint and "dubious ownership" in answer.complaint:
        hint = f"If you trust it: {lines[-1]}"
    return GitFailed(
        f"git {command} failed: {_sentence(answer).rstrip('.')}.",
        hint or "Run `git status` or `git fsck` for details.",
    )


def _sentence(answer: _Answer) -> str:
    """Return git's error message as one line."""
    lines = [line.strip() for line in answer.complaint.splitlines() if line.strip()]
    for begin in ("fatal:", "error:", ""):
        for line in lines:
            if line.startswith(begin) and not line.startswith("warning:"):
                return line
    if answer.status < 0:
        with contextlib.suppress(ValueError):
            return f"it was killed ({signal.Signals(-answer.status).name})"
    return f"exit status {answer.status}"


def _with_patches(changes: _Changes) -> list[Entry]:
    entries = []
    at = 0
    for record in changes.records:
        end = at + _sections(record)
        entries.append(record._replace(patch=b"".join(changes.patches[at:end]) or None))
        at = end
    return entries


def _sections(record: Entry) -> int:
    """The texts that git's diff has of it: two where a file has become a link."""
    return {"U": 0, "T": 2}.get(record.status, 1)


def _patches(first: bytes, lines: Iterable[bytes]) -> list[bytes]:
    """Return the texts of the files in order; empty for one that is too large.

    If the whole change is too large, the smallest texts are kept.
    """
    patches: list[bytes] = []
    largest: list[tuple[int, int]] = []  # a heap: sizes as negative numbers, with their indices
    total = size = 0
    patch: list[bytes] = []
    for line in chain([first], lines, [_END]):
        if line.startswith(b"diff --git "):
            if patch or size:
                text = b"".join(patch)
                heapq.heappush(largest, (-len(text), len(patches)))
                patches.append(text)
                total += len(text)
            while total > LARGEST_CHANGE:
                negative, index = heapq.heappop(largest)
                patches[index] = b""
                total += negative
            patch, size = [], 0
        size += len(line)
        if size <= LARGEST_FILE:
            patch.append(line)
        else:
            patch.clear()
    return patches


_END = b"diff --git "
"""Marks the end of the last text."""


def _records(told: bytes) -> tuple[list[Entry], bytes]:
    """The records at the beginning of `git diff --raw -z --patch`, and the texts after them."""
    records = []
    at = 0
    while record := _RECORD.match(told, at):
        before, after, old, new, letter = (part.decode("ascii") for part in record.groups()[:5])
        path = os.fsdecode(record["path"])
        records.append(Entry(path, letter, (before, after), (old, new)))
        at = record.end()
    return records, told[at:].removeprefix(b"\0")


_RECORD = re.compile(
    rb":(\d+) (\d+) ([0-9a-f]+) ([0-9a-f]+) ([A-Z])\d*"
    rb"(?:(?<= [RC]\d\d\d)\0[^\0]+)?\0(?P<path>[^\0]+)\0"  # git writes the score with three digits
)
"""A whole record; of a rename or copy the second path counts."""
