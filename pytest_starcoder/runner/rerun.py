"""Runs the user's tests again, in a child process: node ids in, outcomes out.

The child has the user's plugins, environment and configuration, without this plugin. Plugins
do not distribute, repeat, shuffle or measure tests there. No report or cache is written.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner.child_process import ChildProcess
from pytest_starcoder.runner.edited_source import Texts
from pytest_starcoder.runner.environment import sandboxed_variables, user_variables
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import MISSING, ExecutedLines, Lines, Outcome
from pytest_starcoder.runner.protocol import (
    MAX_FILE,
    Malformed,
    read_messages,
    read_regular,
    shown_text,
)
from pytest_starcoder.runner.rerun_job import NO_TRACING, RerunJob, Tracing
from pytest_starcoder.runner.sandbox import Level, Sandbox, readable
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.project import Project

GRACE = 5.0
"""Seconds for an interrupted run to tear down its fixtures, such as stopping a container."""

# Maximum bytes of outcomes, per test and in total; parsed, they take ten times as much.
MAX_OUTCOME = 1 << 17
MAX_OUTCOMES = 1 << 28

MAX_REASON = 300
"""Characters of the reason why pytest could not be started."""

STILL_RUNNING = (
    f"the tests run again were still tearing down after {GRACE:g} s and were killed: "
    "their fixtures may have left something behind"
)


def rerun(
    launch: Launch,
    tests: Sequence[str],
    deadline: Deadline,
    *,
    tracing: Tracing = NO_TRACING,
    edits: Sequence[Edit] = (),
    files: Texts | None = None,
    sandbox: Level | None = None,
    warn: Callable[[str], object] = lambda _: None,
) -> list[Outcome]:
    """Run `tests` (node ids) in that order in one child until `deadline`; return their outcomes.

    With `edits`, the project is imported with them, and with `files` as in
    `Trials.run_with_files`; no file is changed. With `sandbox`, the tests run in a sandbox of at
    least that level as described in docs/sandbox.md, and there are no outcomes if it is not
    available.

    A test that has not finished by then has no outcome. One that pytest could not collect
    again is MISSING, with the reason as its message. The run is then interrupted and has
    `GRACE` seconds to tear down its fixtures; `warn` gets a sentence if that was not enough.
    Sandboxed tests are killed at once, because they only write to a temporary folder.
    Raises only KeyboardInterrupt, and OSError if no child can be started.
    """
    if launch.obstacle:
        return _all_missing(tests, launch.obstacle)
    with tempfile.TemporaryDirectory(prefix="starcoder-", ignore_cleanup_errors=True) as temporary:
        job = RerunJob(
            tests=tuple(tests),
            tracing=tracing,
            root=launch.root,
            around=launch.around,
            folder=Path(temporary),
            files={**launch.edited_files(edits), **(files or {})},
            sandbox=_make_sandbox(launch, Path(temporary), sandbox),
        )
        # Opened before any test can replace it.
        with job.outcomes.open("x+b") as file:
            child = _start(launch, job)
            try:
                with child:
                    max_bytes = _wait(child, deadline, file, len(tests) + len(tracing.twice))
            finally:
                if child.was_killed:
                    warn(STILL_RUNNING)
            messages = read_messages(file, (ExecutedLines, Outcome), max_bytes)
            outcomes = select_outcomes(messages, tests, launch.project)
        if outcomes or deadline.remaining() <= 0 or sandbox is not None:
            return outcomes
        return _all_missing(tests, _problem(job.problem, child.returncode))


def select_outcomes(
    messages: Iterable[object], tests: Collection[str], project: Project
) -> list[Outcome]:
    """Return the outcomes of `tests`, except any that name files outside the project."""
    outcomes: dict[str, Outcome] = {}
    imported: Lines = {}
    for message in messages:
        match message:
            case ExecutedLines(lines=lines):
                if _are_of_project(lines, project):
                    imported = lines
            case Outcome(nodeid=nodeid) if nodeid in tests:
                paths = _paths_in(message)
                # Tests can forge outcomes, and the text of these files will be read and shown.
                if _are_of_project(paths, project):
                    outcomes[nodeid] = _shown(message, imported)
    return list(outcomes.values())


def _make_sandbox(launch: Launch, folder: Path, level: Level | None) -> Sandbox | None:
    if level is None:
        return None
    return Sandbox(folder, readable(launch.root, *launch.around), level)


def _start(launch: Launch, job: RerunJob) -> ChildProcess:
    options = [f"--starcoder-job={job.write()}", "-p", "pytest_starcoder.runner.recorder"]
    # Rendering the traceback of a failure takes longer than most tests.
    options.append("--tb=no")
    if job.files:
        # To rewrite its assertions, pytest would read the unedited file itself.
        options += launch.plain_assertions
    variables: Mapping[str, str]
    if job.sandbox is None:
        variables, grace = user_variables(launch), GRACE
    else:
        variables, grace = sandboxed_variables(launch, job.folder), 0.0
    command = launch.command(job.tests, job.folder, options)
    return ChildProcess(command, launch.folder, variables, grace=grace, temporary=job.folder)


def _wait(child: ChildProcess, deadline: Deadline, file: BinaryIO, tests: int) -> int:
    """Wait for the child to exit; return the number of bytes in its file that count."""
    max_bytes = min(MAX_FILE + MAX_OUTCOME * tests, MAX_OUTCOMES)
    try:
        child.wait(max(deadline.remaining(), 0.1))
    except subprocess.TimeoutExpired:
        # Only tests finished by now count: the outcome of an interrupted one is unknown.
        return min(max_bytes, os.fstat(file.fileno()).st_size)
    return max_bytes


def _all_missing(tests: Sequence[str], reason: str) -> list[Outcome]:
    return [Outcome(nodeid, MISSING, message=reason) for nodeid in tests]


def _problem(path: Path, status: int | None) -> str:
    """Return why no test finished in a child, from the file in which it may have said so."""
    with contextlib.suppress(OSError, Malformed):
        text = read_regular(path).decode("utf-8", "replace")
        return f"pytest could not be started again: {shown_text(text)[:MAX_REASON]}"
    return f"pytest exited with status {status} before the first test had finished"


def _paths_in(outcome: Outcome) -> set[str]:
    paths = {*outcome.lines, *outcome.arcs, *outcome.only_first}
    paths.update(outcome.late_lines, outcome.unchecked_lines)
    paths.update(path for path, _ in outcome.entered)
    for call in outcome.calls:
        caller, _ = call.caller
        paths.update({call.path, caller or call.path})
    return paths


def _are_of_project(paths: Iterable[str], project: Project) -> bool:
    files = map(str, map(project.file, paths))
    return all(map(project.holds, files))


def _shown(outcome: Outcome, imported: Lines) -> Outcome:
    """Return an outcome with its imported lines, and with texts that can be shown."""
    calls = []
    for call in outcome.calls:
        shown = replace(
            call,
            function=shown_text(call.function),
            arguments=shown_text(call.arguments),
            outcome=shown_text(call.outcome),
        )
        calls.append(shown)
    return replace(
        outcome,
        exception=shown_text(outcome.exception),
        message=shown_text(outcome.message),
        calls=tuple(calls),
        imported=_united(imported, outcome.only_first),
    )


def _united(lines: Lines, more: Lines) -> Lines:
    if not more:
        return lines  # one dictionary for most outcomes
    united = dict(lines)
    for path, numbers in more.items():
        united[path] = united.get(path, frozenset()) | numbers
    return united
