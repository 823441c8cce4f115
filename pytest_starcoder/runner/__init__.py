"""Runs tests of the user's again, as the user ran them, in a child of its own: node ids in, outcomes out.

The child has the user's plugins, environment and configuration, minus this
plugin, xdist, coverage and whatever changes the order; it keeps no cache of
pytest's and writes no report file.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pytest_starcoder.edits import edited
from pytest_starcoder.runner.arguments import kept
from pytest_starcoder.runner.confine import Confinement, Level, environment, readable
from pytest_starcoder.values.asked import Deadline
from pytest_starcoder.values.failure import Call
from pytest_starcoder.values.fix import Edit
from pytest_starcoder.values.run import Outcome

LEFT_OUT = ("PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
"""Variables that the child shall not have: the first is among its arguments, coverage would measure it."""

LEFT_OUT_KINDS = ("PYTEST_XDIST_", "COV_CORE_")


@dataclass(frozen=True)
class Launch:
    """How the user's pytest was started.

    `arguments` are all options that were in force, from the command line, the
    variable and the ini file; `positionals` those of them that name tests.
    `folder` is where it was started, `here_first` whether that stood first on
    `sys.path`, as with `python -m pytest`; `environment` what the variables
    were before any test could change them, empty for those of this process.
    """

    folder: Path
    root: Path
    ini: Path | None = None
    arguments: tuple[str, ...] = ()
    positionals: tuple[str, ...] = ()
    here_first: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def run(
    launch: Launch,
    tests: Sequence[str],
    deadline: Deadline,
    trace: Sequence[str] = (),
    values: Sequence[str] = (),
    edits: Sequence[Edit] = (),
    policy: Literal["trusted", "confined"] = "trusted",
    least: Level = Level.NONE,
    *,
    steps: bool = False,
) -> list[Outcome]:
    """What became of `tests` (node ids), run in that order in one child until `deadline`.

    Those of `trace` tell which lines they executed, with `steps` in which order, those of `values` their calls as well.
    With `edits` the project is imported with them; no file is changed. *Trusted*
    tests run as the user runs them, *confined* ones as docs/confinement.md
    says; where `least` cannot be had they do not run, and there are no outcomes.

    A test that had not ended by then is not among the outcomes; nor is one that
    pytest could not collect again. Nothing is raised but KeyboardInterrupt, and
    OSError where no child can be started.
    """
    with tempfile.TemporaryDirectory(prefix="starcoder-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        job: dict[str, Any] = {
            "trace": sorted({*trace, *values}),
            "values": sorted(set(values)),
            "steps": steps,
            "root": str(launch.root),
            "outcomes": str(folder / "outcomes.jsonl"),
            "files": changed(launch.root, edits),
            "confinement": None,
        }
        variables = environment_of(launch)
        if policy == "confined":
            job["confinement"] = Confinement(folder, readable(launch.root), least).to_json()
            variables = environment(variables, folder)
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
        own = ["-p", "pytest_starcoder.runner.child", f"--starcoder-job={folder / 'job.json'}"]
        if _rewritten(edits, tests):
            own.append("--assert=plain")  # pytest reads the files that it rewrites itself
        with (
            child_of(pytest_command(launch, folder, tests, own), launch.folder, variables) as child,
            contextlib.suppress(subprocess.TimeoutExpired),
        ):  # what has ended by then counts
            child.wait(max(deadline.remaining(), 0.1))
        return list(_outcomes(folder / "outcomes.jsonl"))


def changed(root: Path, edits: Sequence[Edit]) -> dict[str, str]:
    """The texts of the files below `root` that the edits change, by absolute path. Raises OSError."""
    by_path: dict[str, list[Edit]] = {}
    for edit in edits:
        by_path.setdefault(str(root / edit.path), []).append(edit)
    return {file: edited(Path(file).read_text("utf-8"), own) for file, own in by_path.items()}


def _rewritten(edits: Sequence[Edit], tests: Sequence[str]) -> bool:
    """Whether the edits change a file whose assertions pytest rewrites."""
    files = {nodeid.partition("::")[0] for nodeid in tests}
    return any(edit.path in files or edit.path.endswith("conftest.py") for edit in edits)


def pytest_command(launch: Launch, folder: Path, tests: Sequence[str], own: Sequence[str]) -> list[str]:
    """The command that runs `tests` as the user did, with our `own` options; what pytest keeps goes into `folder`."""
    return [
        *(sys.executable, *([] if launch.here_first else ["-P"]), "-m", "pytest"),
        *kept(launch.arguments, launch.positionals),
        *(["-c", str(launch.ini)] if launch.ini else []),
        f"--rootdir={launch.root}",
        *("-o", "addopts=", "-o", "log_file=", "-o", f"cache_dir={folder / 'cache'}", f"--basetemp={folder / 'tmp'}"),
        *("--maxfail=0", "--no-starcoder"),
        *own,
        *(_address(launch.root, nodeid) for nodeid in tests),
    ]


def _address(root: Path, nodeid: str) -> str:
    path, colons, rest = nodeid.partition("::")
    return f"{root / path}{colons}{rest}"


@contextlib.contextmanager
def child_of(
    command: list[str], folder: Path, variables: Mapping[str, str], descriptors: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """A child in a group of its own, which is gone with all its children at the end of the block.

    It has the open `descriptors` of ours besides none.
    """
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=descriptors,
    )
    try:
        yield child
    finally:
        end(child)


def environment_of(launch: Launch) -> dict[str, str]:
    """The variables that the user's tests had, without those that would measure the child or change its options."""
    return {
        name: value
        for name, value in (launch.environment or os.environ).items()
        if name not in LEFT_OUT and not name.startswith(LEFT_OUT_KINDS)
    }


def end(child: subprocess.Popen[bytes]) -> None:
    """Ends a child that was started in a session of its own, and all that it has started there."""
    with contextlib.suppress(OSError):  # all of the group have ended
        if sys.platform == "win32":
            child.kill()
        else:
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _outcomes(path: Path) -> Iterator[Outcome]:
    """The outcomes that the child has written, without a last line that it was killed in."""
    try:
        text = path.read_text("utf-8")
    except OSError:
        return
    imported: dict[str, frozenset[int]] | None = None
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            return
        fields = json.loads(line)
        if imported is None:
            imported = _numbers(fields)
            continue
        lines, calls = _numbers(fields.pop("lines")), tuple(Call(**call) for call in fields.pop("calls"))
        types = {(path, line): _kinds(names) for path, line, names in fields.pop("types")}
        steps = {path: frozenset((before, after) for before, after in own) for path, own in fields.pop("steps").items()}
        fields["secrets"] = tuple(fields["secrets"])
        yield Outcome(**fields, lines=lines, steps=steps, calls=calls, types=types, imported=imported)


def _kinds(names: Mapping[str, list[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(kinds) for name, kinds in names.items()}


def _numbers(lines: Mapping[str, list[int]]) -> dict[str, frozenset[int]]:
    return {file: frozenset(numbers) for file, numbers in lines.items()}
