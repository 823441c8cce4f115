"""The repository of a review: its commits, the contents of its files and its changes."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Mapping

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.source.git.changes import read_changes
from pytest_starcoder.source.git.patches import MAX_FILE_BYTES, Entry
from pytest_starcoder.source.git.worktree import WorkTree

_FIND_COMMIT = ("rev-parse", "--verify", "--quiet", "--end-of-options")


class Repository(WorkTree):
    """A repository with a working tree: commits, contents of files, and changes."""

    # --- commits ---

    def head(self) -> str:
        """Return the commit of HEAD, or the empty tree in a repository without commits."""
        commit = self.read_line(*_FIND_COMMIT, "HEAD^{commit}")
        if commit is not None:
            return commit
        # A damaged branch is not an empty one, but `git diff` cannot tell them apart.
        result = self.run("log", "-1", "--format=%H")
        if "does not have any commits yet" not in result.messages:
            raise self.failure("log", result)
        return self._empty_tree()

    def commit(self, name: str) -> str:
        """Return the full hash of the commit `name`. Raises ConfigError if there is none."""
        commit = self.read_line(*_FIND_COMMIT, f"{name}^{{commit}}")
        if commit is None:
            raise ConfigError(
                f"There is no commit {name!r} here.",
                "Check the name; in CI fetch the whole history (fetch-depth: 0, or GIT_DEPTH: 0).",
            )
        return commit

    def parent(self, commit: str) -> str:
        """Return the first parent of `commit`, or the empty tree for a first commit."""
        return self.read_line(*_FIND_COMMIT, f"{commit}^1") or self._empty_tree()

    def merged_parents(self, commit: str) -> list[str]:
        """Return the parents of a merge except the first; empty if it is not a merge."""
        parents = self.read("rev-list", "--parents", "--max-count=1", commit).decode("ascii")
        return parents.split()[2:]

    def merge_heads(self) -> list[str]:
        """Return the other parents of the merge in progress; empty if there is none."""
        heads = self.folder / "MERGE_HEAD"
        if heads.is_file() and (commits := heads.read_text("ascii", "replace").split()):
            return commits
        # In a merge without conflicts, git writes the file after the hook has run.
        pattern = re.compile("GITHEAD_([0-9a-f]{40,64})")
        return [match[1] for name in os.environ if (match := pattern.fullmatch(name))]

    def merge_base(self, first: str, second: str) -> str:
        """Return the newest common ancestor. Raises ConfigError if none is known."""
        base = self.read_line("merge-base", first, second)
        if base is None:
            raise ConfigError(
                f"{first} and {second} have no common commit here.",
                "Fetch the whole history (fetch-depth: 0, or GIT_DEPTH: 0).",
            )
        return base

    def is_reachable(self, commit: str) -> bool:
        """Return whether `commit` is reachable from a ref or from the HEAD of a worktree.

        True if git cannot tell: reading the commit will then report why.
        """
        refs = self.run("for-each-ref", "--count=1", f"--contains={commit}")
        if refs.status:  # the commit no longer exists, or git fails
            return self.run("rev-parse", "HEAD").status != 0
        if refs.output:
            return True
        for line in self.run("worktree", "list", "--porcelain").text().splitlines():
            name, _, head = line.partition(" ")
            if name == "HEAD" and not self.run("merge-base", "--is-ancestor", commit, head).status:
                return True
        return False

    def subject(self, commit: str) -> str:
        """Return the abbreviated hash of a commit and the first line of its message."""
        line = self.read("show", "--no-patch", "--no-show-signature", "--format=%h %s", commit)
        return line.decode("utf-8", "replace").strip()

    def _empty_tree(self) -> str:
        return self.read("hash-object", "-t", "tree", os.devnull).decode("ascii").strip()

    # --- contents ---

    def text(self, commit: str, path: str) -> str | None:
        """Return the text of a file in `commit`, by its path below the top; None if missing."""
        content = self.read_file(commit, path, (b"100", b"120"))
        return None if content is None else content.decode("utf-8", "replace")

    def blobs(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """Return the contents of blobs by name, except missing and very large ones."""
        unique_names = list(dict.fromkeys(names))
        if not unique_names:
            return {}
        request = "".join(f"{name}\n" for name in unique_names).encode("ascii")
        result = self.run("cat-file", "--batch", standard_input=request)
        if result.status:
            raise self.failure("cat-file", result)
        contents: dict[str, bytes] = {}
        output = io.BytesIO(result.output)
        for name in unique_names:
            head = output.readline().split()
            if len(head) != 3:  # "<name> missing"
                continue
            content = output.read(int(head[2]))
            output.read(1)  # a newline
            if len(content) <= MAX_FILE_BYTES:
                contents[name] = content
        return contents

    # --- changes ---

    def staged(self) -> list[Entry]:
        """Return what the next commit changes: the index against HEAD, or all of a first commit.

        The attributes in force are those of HEAD.
        """
        return read_changes(self, self.head(), "--cached")

    def staged_against(self, commit: str) -> list[Entry]:
        """Return the index against `commit`, with the attributes of HEAD."""
        return read_changes(self, self.head(), "--cached", commit)

    def between(self, before: str, after: str, attributes: str = "") -> list[Entry]:
        """Return the changes between two commits or trees, with the attributes of a commit."""
        return read_changes(self, attributes or before, before, after)
