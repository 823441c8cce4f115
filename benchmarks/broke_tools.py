"""Tools that search the change that broke a test, run on copies of real bugs."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import Distribution
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

    `seconds` and `cpu` are the wall and processor time that the search adds to a run, `touched`
    are the files of the user's tree that it changed, and `misplaced` counts pieces whose lines do
    not have their text.
    """

    bug: str
    tool: str
    version: str
    answers: Sequence[Mapping[str, Any]] = ()
    seconds: float = 0.0
    cpu: float = 0.0
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
    """This package, unpacked in `package`, on top of the environment of each project."""

    package: Path
    comparison: str = ""
    name: str = OURS

    @property
    def version(self) -> str:
        """Return the hash of the package, and the comparison that was asked for."""
        return f"{self.package.parent.name} {self.comparison}".strip()

    def measure(self, bug: RealBug) -> Observation:
        """Run the tests without us, with the search off, and with it on."""
        python = install_over(bug.venv, self.package)
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
            observation = Observation(
                bug.tree.name,
                self.name,
                self.version,
                seconds=on.wall - off.wall,
                cpu=on.cpu - off.cpu,
                touched=differing(before, fingerprints(tree)),
            )
            statuses = (plain.status, off.status, on.status)
            if statuses != (1, 1, 1) or not report.is_file():
                problem = f"exit statuses {statuses}: {_last_line(on.output)}"
                return replace(observation, problem=problem)
            causes = json.loads(report.read_text("utf-8"))["causes"]
            answers = [cause["broke"] for cause in causes if cause.get("broke")]
            return replace(observation, answers=answers, misplaced=_misplaced(tree, answers))

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


def unpack_this_package(folder: Path) -> Path:
    """Return `folder/HASH/package` with this checkout as a wheel installs it.

    Editing the checkout then disturbs no measurement.
    """
    with tempfile.TemporaryDirectory() as temporary:
        pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", temporary]
        subprocess.run([*pip, str(ROOT)], check=True)
        [wheel] = Path(temporary).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            members = sorted(f"{member.filename} {member.CRC}" for member in archive.infolist())
            digest = hashlib.sha256("\n".join(members).encode()).hexdigest()[:12]
            package = folder / digest / "package"
            archive.extractall(package)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(package)], check=True)
    return package


def install_over(venv: Path, package: Path) -> Path:
    """Return the Python of an environment with all that `venv` has, and the unpacked `package`.

    The dependencies of the package are installed into another one, once for all its versions.
    """
    folder = package.parent / venv.name
    dependencies = package.parents[1] / "dependencies" / venv.name
    [metadata] = package.glob("*.dist-info")
    requirements = Distribution.at(metadata).requires or []
    required = [line for line in requirements if "extra ==" not in line]
    installed = dependencies / "requirements.txt"
    if not installed.is_file() or installed.read_text("utf-8").splitlines() != required:
        _create_environment(venv, dependencies, [venv])
        pip = [str(dependencies / "bin" / "python"), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, "--disable-pip-version-check", *required], check=True)
        installed.write_text("\n".join(required) + "\n", "utf-8")
    if not folder.exists():
        _create_environment(venv, folder, [dependencies, venv], package, pip=False)
    return folder / "bin" / "python"


def _create_environment(
    venv: Path, folder: Path, others: Sequence[Path], *paths: Path, pip: bool = True
) -> None:
    """Create an environment with the Python of `venv` that also has what `others` have."""
    options = ["--clear"] if pip else ["--clear", "--without-pip"]
    command = [str(venv / "bin" / "python"), "-m", "venv", *options, str(folder)]
    subprocess.run(command, check=True)
    lines = [str(path) for path in paths]
    for other in others:
        [packages] = other.glob("lib/python*/site-packages")
        lines.append(f"import site; site.addsitedir({str(packages)!r})")
    [own_packages] = folder.glob("lib/python*/site-packages")
    (own_packages / "others.pth").write_text("\n".join(lines) + "\n", "utf-8")


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
            command = [str(self.python), "-m", "commit_delta", "--json", str(result), "--"]
            command += [str(bug.python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
            started, cpu_before = time.perf_counter(), children_seconds()
            done = subprocess.run(
                [*command, *bug.arguments],
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
            observation = Observation(
                bug.tree.name,
                self.name,
                self.version,
                seconds=time.perf_counter() - started,
                cpu=children_seconds() - cpu_before,
                touched=differing(before, fingerprints(tree)),
            )
            if not result.is_file():
                return replace(observation, problem=_last_line(done.stderr))
            patch = json.loads(result.read_text("utf-8"))["patch"]
        answer = {"pieces": list(pieces_of(patch)), "seconds": observation.seconds}
        return replace(observation, answers=[answer])


def children_seconds() -> float:
    """Return the processor seconds of all processes that have ended below this one."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _last_line(output: str) -> str:
    return (output.strip().splitlines() or ["no output"])[-1]
