"""Real bugs, each in a git repository in which the fault is one of several changes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unidiff.patch import PatchSet

from benchmarks.runs import Run, pytest

ChangedLine = tuple[str, str]
"""A path, and a removed or added line of it with its sign."""

LIMIT = 300.0
"""Seconds per run of pytest."""


@dataclass(frozen=True)
class RealBug:
    """A bug of `project` in the repository `tree`, and the arguments that run its tests.

    `tests` are the node ids that fail because of `fault`, a diff from the working to the faulty
    code. Where the fault is committed, `commit` is its hash, and `base` is the first commit.
    """

    name: str
    project: str
    tree: Path
    fault: str
    tests: tuple[str, ...]
    files: tuple[str, ...]
    options: tuple[str, ...]
    python_path: tuple[str, ...]
    fixed_commit: str = ""
    commit: str = ""
    base: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        return (*self.options, *self.files)

    @property
    def venv(self) -> Path:
        """The environment with the requirements of the project."""
        return self.tree.parent / ".venvs" / self.project.replace("/", "+")

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    def environment(self, tree: Path | None) -> dict[str, str]:
        """Return the variables for tests in `tree`; None stands for the current folder."""
        paths = [str(tree / path) if tree else path for path in self.python_path]
        return {"PYTHONPATH": os.pathsep.join(paths)}

    def run(
        self,
        tree: Path,
        home: Path,
        *arguments: str,
        python: Path,
        more: Mapping[str, str] | None = None,
    ) -> Run:
        """Run pytest in `tree`; the user's settings and caches are below `home`."""
        variables = {
            **self.environment(tree),
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / ".cache"),
            **(more or {}),
        }
        return pytest(tree, *arguments, environment=variables, python=python, limit=LIMIT)


def read_bugs(rows: Iterable[Mapping[str, Any]], folder: Path, suffix: str) -> list[RealBug]:
    """Return the bugs of a list that `folder` has as NAME.SUFFIX with NAME.SUFFIX.json."""
    bugs = []
    for row in rows:
        name = f"{row['id']}.{suffix}"
        description = folder / f"{name}.json"
        if description.is_file():
            facts = json.loads(description.read_text("utf-8"))
            bugs.append(_bug(row, folder / name, facts))
    return bugs


def _bug(row: Mapping[str, Any], tree: Path, facts: Mapping[str, Any]) -> RealBug:
    deselected = [f"--deselect={nodeid}" for nodeid in row["deselect"]]
    return RealBug(
        row["id"],
        row["repo"],
        tree,
        facts["fault"],
        tuple(_from_root(nodeid, row["files"]) for nodeid in row["tests"]),
        tuple(row["files"]),
        (*row["pytest_args"], *deselected),
        tuple(row["pythonpath"]),
        row["fixed_commit"],
        facts.get("commit", ""),
        facts.get("base", ""),
    )


def _from_root(nodeid: str, files: Sequence[str]) -> str:
    """Return a node id with its path from the root of the repository.

    pytest writes it from the folder of its configuration file.
    """
    path, _, name = nodeid.partition("::")
    for file in files:
        if file.endswith(f"/{path}"):
            return f"{file}::{name}"
    return nodeid


def git(folder: Path, *arguments: str, standard_input: str = "") -> str:
    """Run git in `folder` without the settings of this user and return its output."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=_git_environment(),
        input=standard_input.encode("utf-8", "surrogateescape"),
        capture_output=True,
        check=True,
    )
    # Text mode would turn the \r\n of a diff into \n.
    return done.stdout.decode("utf-8", "surrogateescape")


def _git_environment() -> dict[str, str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = {"NAME": "Benchmark", "EMAIL": "benchmark@example.invalid"}
    for role in ("AUTHOR", "COMMITTER"):
        variables |= {f"GIT_{role}_{field}": value for field, value in identity.items()}
    # Without the lock, `git status` does not rewrite the index.
    return variables | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_OPTIONAL_LOCKS": "0"}


def applies(diff: str, tree: Path, *options: str) -> bool:
    """Apply a diff to a working tree, and return whether all of it could be applied."""
    try:
        git(tree, "apply", *options, "-", standard_input=diff)
    except subprocess.CalledProcessError:
        return False
    return True


def changed_lines(diff: str) -> Iterator[ChangedLine]:
    """Yield the removed and added lines of a diff of git that are not blank."""
    for file in PatchSet(diff):
        for hunk in file:
            for line in hunk:
                if line.line_type in "+-" and line.value.strip():
                    yield file.path, line.line_type + line.value.strip()


def signed_lines(path: str, lines: Sequence[str]) -> Iterator[ChangedLine]:
    """Yield the removed and added lines of an excerpt without headers that are not blank."""
    for line in lines:
        if line[:1] in ("+", "-") and line[1:].strip():
            yield path, line[0] + line[1:].strip()
