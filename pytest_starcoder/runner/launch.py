"""Runs tests of the user's again, as the user ran them, in a child of its own: node ids in, outcomes out.

The child has the user's plugins, environment and configuration, minus this
plugin; what other plugins do to a run (distribute, repeat, shuffle, measure) is
off, and no report file is written. It keeps no cache of pytest's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.redaction.redactor import is_secret_name
from pytest_starcoder.runner.arguments import kept
from pytest_starcoder.runner.outcome import MISSING, Call, Outcome
from pytest_starcoder.runner.protocol import (
    MAX_FILE,
    Malformed,
    messages_in,
    parsed,
    read_regular,
    shown_text,
)
from pytest_starcoder.runner.sandbox import Level, Sandbox, environment, readable
from pytest_starcoder.runner.supervisor import END, KILL
from pytest_starcoder.source.edits import edited
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.project import Project

LEFT_OUT = (
    "PYTEST_ADDOPTS",
    "PYTEST_CURRENT_TEST",
    "COVERAGE_PROCESS_START",
    "COVERAGE_PROCESS_CONFIG",
)
"""Variables that the child shall not have: the first is among its arguments, coverage would measure it."""

LEFT_OUT_KINDS = ("PYTEST_XDIST_", "COV_CORE_")


@dataclass(frozen=True)
class Launch:
    """How the user's pytest was started.

    `arguments` are all options that were in force, from the command line, the
    variable and the ini file; `positionals` those of them that name tests.
    Files below the folders `around` also belong to the project.
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
    around: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    obstacle: str = ""

    @property
    def project(self) -> Project:
        """The project, which knows the user's own files."""
        return Project(self.root, self.around)


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
    warn: Callable[[str], object] = lambda _: None,
) -> list[Outcome]:
    """What became of `tests` (node ids), run in that order in one child until `deadline`.

    Those of `trace` tell which lines they executed, with `steps` in which order, those of `values` their calls as well.
    With `edits` the project is imported with them; no file is changed. *Trusted*
    tests run as the user runs them, *confined* ones as docs/confinement.md
    says; where `least` cannot be had they do not run, and there are no outcomes.

    A test that has not finished by then has no outcome. One that pytest could not collect
    again is MISSING, with the reason as its message. The run is then interrupted and has
    `GRACE` seconds to tear down its fixtures; `warn` gets a sentence if that was not enough.
    *Confined* tests are killed at once, because what they create is in a temporary folder.
    Raises only KeyboardInterrupt, and OSError if no child can be started.
    """
    if launch.obstacle:
        return [Outcome(nodeid, MISSING, message=launch.obstacle) for nodeid in tests]
    with tempfile.TemporaryDirectory(prefix="starcoder-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        job: dict[str, Any] = {
            "tests": list(tests),
            "trace": sorted({*trace, *values}),
            "values": sorted(set(values)),
            "steps": steps,
            "root": str(launch.root),
            "around": [str(folder) for folder in launch.around],
            "outcomes": str(folder / "outcomes.jsonl"),
            "problem": str(folder / "problem.txt"),
            "files": changed(launch.root, edits),
            "confinement": None,
        }
        variables = environment_of(launch)
        if policy == "confined":
            job["confinement"] = Sandbox(
                folder, readable(launch.root, *launch.around), least
            ).to_json()
            variables = confined_environment(launch, folder)
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
        own = ["-p", "pytest_starcoder.runner.child", f"--starcoder-job={folder / 'job.json'}"]
        if _rewritten(edits, tests):
            own.append("--assert=plain")  # pytest reads the files that it rewrites itself
        command = pytest_command(launch, folder, tests, own)
        grace = GRACE if policy == "trusted" else 0.0
        end = min(MAX_FILE + ROOM * len(tests), MOST_ROOM)
        # Opened before any test can replace it.
        with (folder / "outcomes.jsonl").open("x+b") as outcomes:
            child = Child(command, launch.folder, variables, grace=grace, temporary=folder)
            try:
                child.wait(max(deadline.remaining(), 0.1))
            except subprocess.TimeoutExpired:
                # Only tests finished by now count: the outcome of an interrupted one is unknown.
                end = min(end, os.fstat(outcomes.fileno()).st_size)
            finally:
                try:
                    child.end()
                finally:
                    if child.was_killed:
                        warn(STILL_RUNNING)
            messages = messages_in(outcomes, end)
            by_nodeid = {
                outcome.nodeid: outcome
                for outcome in _outcomes(messages, set(tests), launch.project)
            }
        if by_nodeid or deadline.remaining() <= 0 or policy == "confined":
            return list(by_nodeid.values())
        reason = _problem(folder / "problem.txt", child.returncode)
        return [Outcome(nodeid, MISSING, message=reason) for nodeid in tests]


def _problem(path: Path, status: int | None) -> str:
    """Return why no test finished in a child."""
    with contextlib.suppress(OSError, Malformed):
        reason = shown_text(read_regular(path).decode("utf-8", "replace"))[:300]
        return f"pytest could not be started again: {reason}"
    return f"pytest exited with status {status} before the first test had finished"


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


def pytest_command(
    launch: Launch, folder: Path, tests: Sequence[str], own: Sequence[str]
) -> list[str]:
    """The command that runs `tests` as the user did, with our `own` options; what pytest keeps goes into `folder`."""
    return [
        *(sys.executable, *([] if launch.here_first else ["-P"]), "-m", "pytest"),
        *kept(launch.arguments, launch.positionals, folder / "reports"),
        *(["-c", str(launch.ini)] if launch.ini else []),
        f"--rootdir={launch.root}",
        *(
            "-o",
            "addopts=",
            "-o",
            "log_file=",
            "-o",
            f"cache_dir={folder / 'cache'}",
            f"--basetemp={folder / 'tmp'}",
        ),
        *("--maxfail=0", "--no-starcoder"),
        *own,
        *_files(launch.root, tests),
    ]


def _files(root: Path, tests: Sequence[str]) -> list[str]:
    """Return the test files, to collect them whole: test names may vary between runs."""
    files = dict.fromkeys(root / nodeid.partition("::")[0] for nodeid in tests)
    return [str(file) for file in files if file.exists()] or [str(file) for file in files]


GRACE = 5.0
"""Seconds for an interrupted run to tear down its fixtures, such as stopping a container."""

ROOM, MOST_ROOM = 1 << 17, 1 << 28
"""Maximum bytes of outcomes, per test and in total; parsed, they take ten times as much."""

ENDING = 10.0
"""Seconds after the grace period for the supervisor to end everything, even on a busy machine."""


class Child:
    """A child process in its own session, started in `folder`; it inherits only `descriptors`.

    The child and everything it started end when `end` is called, or when this process
    ends in any way. It is interrupted first and has `grace` seconds for its teardown, or is
    killed at once if there are none. `temporary` is a folder to remove with it if this
    process ends first.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        variables: Mapping[str, str],
        descriptors: Sequence[int] = (),
        grace: float = 0.0,
        temporary: Path | None = None,
    ) -> None:
        self._grace = grace
        self.was_killed = False
        """Whether the grace period was too short."""
        options: dict[str, Any] = {
            "cwd": folder,
            "env": dict(variables),
            "stdin": subprocess.DEVNULL,
        }
        if sys.platform == "win32":
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP
        else:
            numbers = ",".join(map(str, descriptors))
            script = str(Path(__file__).with_name("supervisor.py"))
            ours = (str(os.getpid()), str(grace), str(temporary or ""), numbers)
            command = [sys.executable, "-I", "-S", script, *ours, *command]
            options |= {
                "stdin": subprocess.PIPE,
                "bufsize": 0,
                "start_new_session": True,
                "pass_fds": descriptors,
            }
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet, **options)

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while the child runs."""
        return self._process.returncode

    def wait(self, seconds: float) -> None:
        """Wait for the child to exit. Raises subprocess.TimeoutExpired."""
        self._process.wait(seconds)

    def end(self) -> None:
        """End the child and everything it started.

        A second Ctrl-C in the meantime kills it at once.
        """
        try:
            if self._process.poll() is None:
                self._interrupt()
                self._process.wait(self._grace + ENDING)
                self.was_killed = self._grace > 0 and self._process.returncode in KILLED
        except subprocess.TimeoutExpired:
            self.was_killed = self._grace > 0
        except KeyboardInterrupt:  # the second Ctrl-C: do not wait for the teardown
            self.was_killed = self._grace > 0
            raise
        finally:
            self._kill()

    def _interrupt(self) -> None:
        if sys.platform != "win32":
            self._order(END)
            return
        if self._grace:
            self._process.send_signal(signal.CTRL_BREAK_EVENT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace)
                return
        self._process.kill()
        self.was_killed = self._grace > 0

    def _kill(self) -> None:
        """Kill what is left, and wait for it to end."""
        if self._process.poll() is None:
            self._order(KILL)
            try:
                self._process.wait(ENDING)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _order(self, command: bytes) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it ended just now
                self._process.stdin.write(command)


KILLED = (-signal.SIGTERM, -getattr(signal, "SIGKILL", signal.SIGTERM))


@contextlib.contextmanager
def child_of(
    command: Sequence[str],
    folder: Path,
    variables: Mapping[str, str],
    descriptors: Sequence[int] = (),
    grace: float = 0.0,
    temporary: Path | None = None,
) -> Iterator[Child]:
    """Start a Child that is ended, with everything it started, at the end of the block."""
    child = Child(command, folder, variables, descriptors, grace, temporary)
    try:
        yield child
    finally:
        child.end()


def environment_of(launch: Launch) -> dict[str, str]:
    """The variables that the user's tests had, without those that would measure the child or change its options."""
    return {
        name: value
        for name, value in (launch.environment or os.environ).items()
        if name not in LEFT_OUT and not name.startswith(LEFT_OUT_KINDS)
    }


STILL_RUNNING = (
    f"the tests run again were still tearing down after {GRACE:g} s and were killed: "
    "their fixtures may have left something behind"
)


def confined_environment(launch: Launch, folder: Path) -> dict[str, str]:
    """Return the environment of confined code.

    It includes pytest's variables and those that name a file or a folder: paths are no secrets,
    and a conftest may need them.
    """
    variables = environment_of(launch)
    harmless = {
        name: value
        for name, value in variables.items()
        if not is_secret_name(name)
        and (name.startswith("PYTEST_") or _names_path(launch.folder, name, value))
    }
    return harmless | environment(variables, folder)


def _names_path(folder: Path, name: str, value: str) -> bool:
    """Return whether a value names a file or folder, even one to create, but not a socket."""
    if not value or name.startswith("XDG_"):
        return False
    path = folder / value
    with contextlib.suppress(OSError, ValueError):
        may_be = (
            bool(_FILE_NAME.fullmatch(path.name)) and path.parent.is_dir() and not path.exists()
        )
        return may_be or path.is_file() or path.is_dir()
    return False


_FILE_NAME = re.compile(r"[\w-]+(\.[\w-]+)?\.[a-z]{2,5}")


def _outcomes(
    messages: Iterable[dict[str, Any]], tests: Collection[str], project: Project
) -> Iterator[Outcome]:
    """Return the outcomes of `tests` that the child wrote; invalid ones are skipped."""
    imported: Mapping[str, frozenset[int]] = {}
    for message in messages:
        try:
            if "imported" in message:
                executed = parsed(message["imported"], Mapping[str, frozenset[int]])
                _check_paths(executed, project)
                imported = executed
            elif parsed(message.get("nodeid"), str) in tests:
                yield _outcome(message, imported, project)
        except Malformed:
            continue


def _outcome(
    message: dict[str, Any], imported: Mapping[str, frozenset[int]], project: Project
) -> Outcome:
    """Parse one outcome. Raises Malformed."""
    types = {
        (path, line): kinds
        for path, line, kinds in parsed(
            message.pop("types", []), tuple[tuple[str, int, Mapping[str, frozenset[str]]], ...]
        )
    }
    outcome: Outcome = parsed(message, Outcome)
    if outcome.outcome not in ("passed", "failed", "skipped", MISSING):
        raise Malformed("no outcome of a test")
    called = [call.path for call in outcome.calls]
    _check_paths([*outcome.lines, *outcome.steps, *called], project)
    return replace(
        outcome,
        exception=shown_text(outcome.exception),
        message=shown_text(outcome.message),
        calls=tuple(_call(call) for call in outcome.calls),
        types=types,
        imported=imported,
    )


def _call(call: Call) -> Call:
    function, arguments, outcome = map(shown_text, (call.function, call.arguments, call.outcome))
    return replace(call, function=function, arguments=arguments, outcome=outcome)


def _check_paths(paths: Iterable[str], project: Project) -> None:
    """Raise Malformed for a file outside the project: its text would be read and shown."""
    if not all(project.holds(str(project.file(path))) for path in paths):
        raise Malformed("a file of somebody else's")
