"""Reads from git which lines changed and who wrote them, during the user's test run."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import NamedTuple

from pytest_starcoder.source.diff import parse_patch_set, parse_path
from pytest_starcoder.source.git.command import EMPTY_VARIABLE, run
from pytest_starcoder.source.git.tracking import TIMEOUT, find_repository

BASE_BRANCHES = ("@{upstream}", "origin/HEAD", "origin/main", "origin/master", "main", "master")
"""Branches that the current one may have started from, likeliest first."""

_DIFF = (
    "diff",
    "--unified=0",
    "--inter-hunk-context=0",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    # For submodules, git would start a process that obeys their own configuration.
    "--ignore-submodules=all",
    "--submodule=short",
    "--relative",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)


_ORIGIN = re.compile(r"[^ ]{40,} [^ ]* \d+(?: |$)")
"""The first line of an entry of `git blame --porcelain`: a commit, and the old and new line."""


class LineOrigin(NamedTuple):
    """The abbreviated commit that last changed a line, and its time in seconds since the epoch."""

    commit: str
    time: float


class History:
    """The history of the files below `root`; empty without a repository or without git.

    Nothing is written, and no program runs that the repository's configuration names:
    no hook and no filter, and the index is not refreshed as `git status` does.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._has_repository = find_repository(root) is not None
        self._options: list[str] | None = None

    def changed_lines(self, *, untracked: bool = False) -> dict[str, set[int]]:
        """Return the lines (1-based) that differ from the last commit, by path below the root.

        With `untracked`, include all lines of files that git neither tracks nor ignores.
        """
        lines = self._lines_since("HEAD")
        if untracked:
            listing = self.query("ls-files", "--others", "--exclude-standard", "-z")
            for path in listing.split("\0"):
                if not path:
                    continue
                with contextlib.suppress(OSError):
                    content = (self._root / path).read_bytes()
                    lines[path] = set(range(1, content.count(b"\n") + 2))
        return lines

    def changed_since_base(self) -> tuple[str, dict[str, set[int]]]:
        """Return the branch that this one started from, and the lines that differ from there.

        Return ("", {}) on that branch itself.
        """
        for branch in BASE_BRANCHES:
            base = self.query("merge-base", "HEAD", branch).strip()
            if not base:
                continue
            if base == self.query("rev-parse", "HEAD").strip():
                break
            return branch, self._lines_since(base)
        return "", {}

    def blame(self, path: str) -> dict[int, LineOrigin]:
        """Return the origin of each committed line (1-based) of a file."""
        output = self.query("blame", "--no-textconv", "--porcelain", "--", path)
        times: dict[str, float] = {}
        origins: dict[int, LineOrigin] = {}
        commit, number = "", 0
        for line in output.split("\n"):
            words = line.split(" ")
            if line.startswith("\t"):
                if commit.strip("0"):  # zeros: not committed yet
                    origins[number] = LineOrigin(commit[:7], times.get(commit, 0.0))
            elif words[0] == "committer-time":
                times[commit] = float(words[1])
            elif _ORIGIN.match(line):
                commit, number = words[0], int(words[2])
        return origins

    def _lines_since(self, commit: str) -> dict[str, set[int]]:
        """Return the lines of the working tree that differ from `commit`.

        Where lines were only deleted, those before and after the gap count.
        """
        changed: dict[str, set[int]] = {}
        try:
            files = parse_patch_set(self.query(*_DIFF, commit, "--"), metadata_only=True)
        except ValueError:
            return {}
        for file in files:
            if not file:  # binary, or only its mode changed
                continue
            lines = changed.setdefault(parse_path(file.target_file), set())
            for hunk in file:
                first = hunk.target_start
                # A hunk that only deletes has no lines of its own.
                count = hunk.target_length or 2
                lines.update(range(first, first + count))
        return changed

    def query(self, *arguments: str) -> str:
        """Return git's output; empty if it fails or takes too long."""
        status, output = self.run(*arguments)
        return "" if status else output.decode("utf-8", "surrogateescape")

    def run(self, *arguments: str, standard_input: bytes = b"") -> tuple[int, bytes]:
        """Return git's exit status and output; status -1 if it does not run or takes too long."""
        if self._options is None:
            _, names = self._run("config", "--null", "--name-only", "--list")
            keys = names.decode("utf-8", "surrogateescape").split("\0")
            self._options = disable_filters(keys)
        return self._run(*self._options, *arguments, standard_input=standard_input)

    def _run(self, *arguments: str, standard_input: bytes = b"") -> tuple[int, bytes]:
        if not self._has_repository:
            return -1, b""
        variables = {"GIT_LITERAL_PATHSPECS": "1", "GIT_CONFIG_NOSYSTEM": "1"}
        result = run(
            *arguments,
            folder=self._root,
            variables=variables,
            timeout=TIMEOUT,
            standard_input=standard_input,
        )
        return result or (-1, b"")


def disable_filters(keys: list[str]) -> list[str]:
    """Return git options that switch off every filter among the configuration's `keys`.

    Otherwise git runs `filter.<driver>.clean` on a file of the working tree before
    comparing it, and the repository's attributes choose the driver.
    """
    drivers = {key.rpartition(".")[0] for key in keys if key.startswith("filter.")}
    options: list[str] = []
    for driver in sorted(drivers):
        for key in (f"{driver}.clean", f"{driver}.process", f"{driver}.required"):
            # `git -c` ends a key at its first equals sign; `--config-env` needs git 2.31.
            if "=" in key:
                options.append(f"--config-env={key}={EMPTY_VARIABLE}")
            else:
                options += ["-c", f"{key}="]
    return options
