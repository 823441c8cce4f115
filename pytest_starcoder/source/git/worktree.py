"""The working tree in which a review runs git."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pytest_starcoder.errors import ConfigError, GitFailed
from pytest_starcoder.source.git.process import GitResult, run_git
from pytest_starcoder.source.git.tracking import find_repository

REVIEW_TIMEOUT = 60.0
"""Default number of seconds that one query of a review may take."""


class WorkTree:
    """Runs git in the working tree around the folder `start`; no configuration affects results.

    `top` is the top of the working tree, `folder` its git folder. git reads the variables
    that a hook sets, such as the index of the commit in progress.
    Raises ConfigError outside a repository, in one without a working tree, and if git is not
    installed. Every query raises GitFailed if git fails or takes more than `timeout` seconds.
    """

    def __init__(self, start: Path, timeout: float = REVIEW_TIMEOUT) -> None:
        self.timeout = timeout
        self._start = start
        result = self.run("rev-parse", "--show-toplevel", "--absolute-git-dir")
        if (
            result.status
            and find_repository(start.absolute()) is None
            and "GIT_DIR" not in os.environ
        ):
            raise ConfigError(
                f"{start} is not in the working tree of a git repository.",
                "Change into one; `git status` there says what is wrong.",
            )
        if result.status:
            raise result.error("rev-parse")
        lines = result.text().splitlines()
        self.top, self.folder = Path(lines[0]), Path(lines[-1])

    def run(
        self,
        *arguments: str,
        folder: Path | None = None,
        variables: Mapping[str, str] | None = None,
        standard_input: bytes = b"",
    ) -> GitResult:
        """Run git, whatever its exit status."""
        return run_git(
            arguments, folder or self._start, variables or {}, self.timeout, standard_input
        )

    def read(self, *arguments: str) -> bytes:
        """Return the output of git."""
        result = self.run(*arguments)
        if result.status:
            raise self.failure(arguments[0], result)
        return result.output

    def read_line(self, *arguments: str) -> str | None:
        """Return the first line of the output; None if git finds nothing (status 1, no message)."""
        result = self.run(*arguments)
        if result.status == 1 and not result.messages.strip():
            return None
        if result.status:
            raise self.failure(arguments[0], result)
        return result.text().partition("\n")[0].strip()

    def read_file(self, commit: str, path: str, mode_prefixes: tuple[bytes, ...]) -> bytes | None:
        """Return the content of a file in a commit or tree.

        Return None if it is missing or its mode starts with none of the prefixes.
        """
        listing = self.read("ls-tree", "-z", "--full-tree", commit, "--", path)
        mode, _, entry = listing.partition(b" ")
        if mode[:3] not in mode_prefixes:
            return None
        blob = entry.partition(b" ")[2].partition(b"\t")[0]
        return self.read("cat-file", "blob", blob.decode("ascii"))

    def failure(self, command: str, result: GitResult, *compared: str) -> GitFailed:
        """Return the error for a failed git; in a partial clone, with how to fetch the objects."""
        keys = r"^(extensions\.partialclone|remote\..*\.promisor)$"
        if self.run("config", "--get-regexp", keys).status:
            return result.error(command)
        fetch = "git fetch --refetch --no-filter"
        if compared:
            fetch = " ".join(["git diff --stat", *compared])
        return result.error(
            command,
            f"This is a partial clone: `{fetch}` fetches the missing objects, "
            "as in a clone without --filter.",
        )
