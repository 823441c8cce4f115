"""Tools that search the change that broke a test, run on copies of real bugs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.named_changes import Answer, is_misplaced, pieces_of
from benchmarks.real_bugs import RealBug, git
from benchmarks.rivals import environment

ROOT = Path(__file__).parents[1]
EXPLAIN = ("--starcoder-explain", "--starcoder-fix=off", "--starcoder-backend=none")
OURS, COMMIT_DELTA = "pytest-starcoder", "commit-delta"
DELTA_VERSION = "0.1.0"
COMPARISONS = ("remembered", "branch", "since")
LIMIT = 600.0
"""Seconds for one search by another tool."""


@dataclass(frozen=True)
class Observation:
    """A tool's answers for a bug; `answers` has one record per cause, as in the JSON report.

    `seconds` is the wall time that the search adds to a run, `touched` are the files of the
    user's tree that it changed, and `misplaced` counts pieces whose lines do not have their text.
    """

    bug: str
    tool: str
    version: str
    answers: Sequence[Mapping[str, Any]] = ()
    seconds: float = 0.0
    touched: Sequence[str] = ()
    misplaced: int = 0
    problem: str = ""


class Tool(Protocol):
    """A tool that searches the change that broke a test."""

    @property
    def name(self) -> str:
        """Return the name for the table."""

    @property
    def version(self) -> str:
        """Return what the results of another version of the tool must not be used for."""

    def measure(self, bug: RealBug) -> Observation:
        """Run the tool on a copy of the bug's tree."""


def _misplaced(tree: Path, answers: Sequence[Mapping[str, Any]]) -> int:
    count = 0
    for record in answers:
        for pieces in Answer.from_json(record).sets:
            for piece in pieces:
                path = tree / piece.path
                text = path.read_text("utf-8", "replace") if path.is_file() else ""
                count += is_misplaced(piece, text)
    return count


def fingerprints(folder: Path) -> dict[str, str]:
    """Return mode, time and content of each file, also those of git, and what git says of them."""
    prints = {"git status": git(folder, "status", "--porcelain", "-z")}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            status = path.lstat()
            content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            text = f"{status.st_mode} {status.st_mtime_ns} {digest}"
            prints[str(path.relative_to(folder))] = text
    return prints


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the files that one of two fingerprints lacks or has otherwise."""
    paths = before.keys() | after.keys()
    return sorted(path for path in paths if before.get(path) != after.get(path))


@dataclass(frozen=True)
class Ours:
    """This package, as `wheel` has it, on top of each project's environment below `folder`."""

    wheel: Path
    folder: Path
    comparison: str = ""
    name: str = OURS
    _pythons: dict[str, Path] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Return a hash of the modules in the wheel, and the comparison that was asked for."""
        with zipfile.ZipFile(self.wheel) as archive:
            modules = [
                f"{member.filename} {member.CRC}"
                for member in archive.infolist()
                if not member.filename.partition("/")[0].endswith(".dist-info")
            ]
        digest = hashlib.sha256("\n".join(sorted(modules)).encode()).hexdigest()[:12]
        return f"{digest} {self.comparison}".strip()

    def measure(self, bug: RealBug) -> Observation:
        """Run the tests without us, with the search off, and with it on."""
        python = self._python(bug)
        with tempfile.TemporaryDirectory() as temporary:
            tree, homes = Path(temporary, bug.project.partition("/")[2]), Path(temporary, "homes")
            shutil.copytree(bug.tree, tree, symlinks=True)
            for name in ("plain", "off", "on"):
                (homes / name).mkdir(parents=True)
            report = Path(temporary, "report.json")
            explain = (*EXPLAIN, *bug.arguments)
            searching = ["--starcoder-undo=on", f"--starcoder-report={report}"]
            if bug.commit:
                searching += self._choose_comparison(bug, tree, homes / "on", python)
            # A copied index has the times of the original's files.
            git(tree, "update-index", "-q", "--refresh")
            plain = bug.run(tree, homes / "plain", *bug.arguments, python=python)
            off = bug.run(tree, homes / "off", "--starcoder-undo=off", *explain, python=python)
            before = fingerprints(tree)
            on = bug.run(tree, homes / "on", *searching, *explain, python=python)
            touched = differing(before, fingerprints(tree))
            statuses = (plain.status, off.status, on.status)
            if statuses != (1, 1, 1) or not report.is_file():
                problem = f"exit statuses {statuses}: {_last_line(on.output)}"
                return Observation(bug.tree.name, self.name, self.version, problem=problem)
            causes = json.loads(report.read_text("utf-8"))["causes"]
            answers = [cause["broke"] for cause in causes if cause.get("broke")]
            return Observation(
                bug.tree.name,
                self.name,
                self.version,
                answers,
                on.wall - off.wall,
                touched,
                _misplaced(tree, answers),
            )

    def _choose_comparison(self, bug: RealBug, tree: Path, home: Path, python: Path) -> list[str]:
        """Make the commits since the base the comparison, and return the options for it."""
        if self.comparison == "since":
            return [f"--starcoder-since={bug.base}"]
        if self.comparison == "branch":
            git(tree, "checkout", "--quiet", "-b", "topic")
            git(tree, "branch", "--force", "main", bug.base)
        else:
            git(tree, "checkout", "--quiet", bug.base)
            bug.run(tree, home, *EXPLAIN, *bug.arguments, python=python)
            git(tree, "checkout", "--quiet", "main")
        return []

    def _python(self, bug: RealBug) -> Path:
        """Return the Python that has the project's packages and this one."""
        if bug.project not in self._pythons:
            self._pythons[bug.project] = install_over(
                bug.venv, self.folder / bug.venv.name, self.wheel
            )
        return self._pythons[bug.project]


def build_wheel(folder: Path) -> Path:
    """Build a wheel of this checkout in `folder`, so that editing it disturbs no measurement."""
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True)
    return next(folder.glob("*.whl"))


def install_over(venv: Path, folder: Path, wheel: Path) -> Path:
    """Return the Python of the environment `folder`, which has `wheel` and all that `venv` has."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([str(venv / "bin" / "python"), "-m", "venv", str(folder)], check=True)
        [packages] = venv.glob("lib/python*/site-packages")
        [own_packages] = folder.glob("lib/python*/site-packages")
        line = f"import site; site.addsitedir({str(packages)!r})\n"
        (own_packages / "project.pth").write_text(line, "utf-8")
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, str(wheel)], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(wheel)], check=True)
    return python


@dataclass(frozen=True)
class CommitDelta:
    """commit-delta from PyPI, which tries sets of hunks in another worktree."""

    python: Path
    name: str = COMMIT_DELTA
    version: str = DELTA_VERSION

    @classmethod
    def installed(cls, folder: Path) -> CommitDelta:
        """Install it below `folder` if it is missing. Raises NotInstalled."""
        requirement = f"{COMMIT_DELTA}=={DELTA_VERSION}"
        return cls(environment(folder, COMMIT_DELTA, [requirement]))

    def measure(self, bug: RealBug) -> Observation:
        """Run it with the test files of the bug."""
        with tempfile.TemporaryDirectory() as temporary:
            tree, result = Path(temporary, "tree"), Path(temporary, "result.json")
            shutil.copytree(bug.tree, tree, symlinks=True)
            git(tree, "update-index", "-q", "--refresh")
            before = fingerprints(tree)
            started = time.perf_counter()
            done = subprocess.run(
                [
                    *(str(self.python), "-m", "commit_delta", "--json", str(result), "--"),
                    *(str(bug.python), "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                    *bug.arguments,
                ],
                cwd=tree,
                # It runs the command in another folder, so the paths must be relative.
                env={**os.environ, **bug.environment(None)},
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=LIMIT,
                check=False,
            )
            seconds = time.perf_counter() - started
            touched = differing(before, fingerprints(tree))
            if not result.is_file():
                problem = _last_line(done.stderr)
                return Observation(
                    bug.tree.name, self.name, self.version, (), seconds, touched, problem=problem
                )
            patch = json.loads(result.read_text("utf-8"))["patch"]
        answer = {"pieces": list(pieces_of(patch)), "seconds": seconds}
        return Observation(bug.tree.name, self.name, self.version, [answer], seconds, touched)


def _last_line(output: str) -> str:
    return (output.strip().splitlines() or ["no output"])[-1]
