"""Reads the changes between two states of a repository, file by file."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from pytest_starcoder.errors import GitFailed
from pytest_starcoder.source.git.attributes import AttributeSource, use_attributes
from pytest_starcoder.source.git.patches import Entry, add_patches, read_output
from pytest_starcoder.source.git.process import GitResult
from pytest_starcoder.source.git.worktree import WorkTree

MAX_SINGLE_DIFFS = 500
"""Maximum number of files to read one by one if git fails to read the whole change."""

# Settings that `git diff` has no option for, and that would change what it prints.
_CONFIGURATION = (
    *("-c", "diff.noprefix=false"),
    *("-c", "diff.mnemonicPrefix=false"),
    *("-c", "diff.suppressBlankEmpty=false"),
    *("-c", "core.bigFileThreshold=512m"),  # to git a larger file is binary
    *("-c", "core.safecrlf=false"),  # its warnings, one a file, could fill the pipe
)

_DIFF = (
    "diff",
    f"-O{os.devnull}",
    "--raw",
    "--patch",
    "-z",
    "--full-index",
    "--no-abbrev",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-relative",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--find-renames",
    "--unified=3",
    "--inter-hunk-context=0",
    "--diff-algorithm=myers",
    "--indent-heuristic",
    "--submodule=short",
    "--ignore-submodules=dirty",
)


def read_changes(worktree: WorkTree, attributes: str, *compared: str) -> list[Entry]:
    """Return the files that differ, with the attributes of the commit or tree `attributes`.

    `compared` are the arguments of `git diff`. Raises GitFailed if git can read none of the
    files. The `problem` of an entry says why git cannot read this one.
    """
    with use_attributes(worktree, attributes) as source:
        return _Diff(worktree, source, compared).read()


class _Output(NamedTuple):
    """The output of a diff, perhaps incomplete, and its result."""

    entries: list[Entry]
    patches: list[bytes]
    result: GitResult


class _Diff:
    """A diff that is read whole, or else one file at a time."""

    def __init__(
        self, worktree: WorkTree, source: AttributeSource, compared: tuple[str, ...]
    ) -> None:
        self._worktree = worktree
        self._source = source
        self._compared = compared
        self._command = [*source.options, *_CONFIGURATION, *_DIFF, *compared]

    def read(self) -> list[Entry]:
        entries, patches, result = self._run(self._command)
        is_complete = len(patches) == sum(entry.patch_count for entry in entries)
        if not result.status and is_complete:
            return add_patches(entries, patches)
        failure = self._worktree.failure("diff", result, *self._compared)
        if result.is_late:
            raise failure
        return self._read_one_by_one(entries, failure)

    def _read_one_by_one(self, entries: list[Entry], failure: GitFailed) -> list[Entry]:
        """Read what git can read of a failed diff."""
        if not entries:
            # To find renames, git reads contents before it prints anything.
            self._command.append("--no-renames")
            raw = [argument for argument in self._command if argument != "--patch"]
            entries = self._run(raw).entries
        if not 0 < len(entries) <= MAX_SINGLE_DIFFS:
            raise failure
        deadline = time.monotonic() + self._worktree.timeout
        complete = [self._read_one(entry, deadline) for entry in entries]
        if all(entry.problem for entry in complete):
            raise failure
        return complete

    def _read_one(self, entry: Entry, deadline: float) -> Entry:
        if time.monotonic() >= deadline:
            return entry._replace(problem="it took too long to query every file separately")
        output = self._run(self._command, f":(top,literal){entry.path}")
        if output.result.status:
            return entry._replace(problem=output.result.reason())
        return entry._replace(patch=b"".join(output.patches) or None)

    def _run(self, command: list[str], *pathspecs: str) -> _Output:
        result = self._worktree.run(
            *command,
            "--",
            *pathspecs,
            folder=self._source.tree,
            variables=self._source.variables,
        )
        return _Output(*read_output(result.output), result)
