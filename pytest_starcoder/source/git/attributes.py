"""Makes git read attributes from a commit instead of the change under review."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pytest_starcoder.source.git.patches import read_records
from pytest_starcoder.source.git.worktree import WorkTree

_LANGUAGES = Path(__file__).with_name("languages.gitattributes")


class AttributeSource(NamedTuple):
    """The place where git reads attributes, with the options and variables that say so."""

    tree: Path
    options: tuple[str, ...]
    variables: dict[str, str]


@contextlib.contextmanager
def use_attributes(worktree: WorkTree, commit: str) -> Iterator[AttributeSource]:
    """Provide a folder in which git reads attributes from `commit`, not from the change.

    git reads them from the working tree, or from the index if a file is missing there. So its
    working tree is a folder with only the attribute files in which the index differs from
    `commit`. From git 2.41 on, `--attr-source` does the same.
    """
    options = ("--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff")
    pathspec = ":(top,glob,icase)**/.gitattributes"
    entries, _ = read_records(worktree.read("diff", *options, commit, "--", pathspec))
    with tempfile.TemporaryDirectory(prefix="starcoder-", ignore_cleanup_errors=True) as temporary:
        tree = Path(temporary, "tree")
        tree.mkdir()
        for entry in entries:
            path = tree / entry.path
            # git validates names at checkout, not here.
            if ".." in path.parts or not path.is_relative_to(tree):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            # Regular files only: git reads no attributes through a link.
            path.write_bytes(worktree.read_file(commit, entry.path, (b"100",)) or b"")
        lowest = Path(temporary, "attributes")
        lowest.write_bytes(_LANGUAGES.read_bytes() + _user_attributes(worktree))
        variables = {"GIT_DIR": str(worktree.folder), "GIT_WORK_TREE": str(tree)}
        index = os.environ.get("GIT_INDEX_FILE")
        if index:  # git takes a hook's index as relative to the top
            variables["GIT_INDEX_FILE"] = str(worktree.top / index)
        yield AttributeSource(tree, ("-c", f"core.attributesFile={lowest}"), variables)


def _user_attributes(worktree: WorkTree) -> bytes:
    """Return the user's global attributes file, never one that the repository configures."""
    query = ("config", "--global", "--type=path", "--get", "core.attributesFile")
    path = worktree.run(*query).text().strip()
    if not path:
        base = os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
        path = f"{base}/git/attributes"
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError):
        return b""
