"""Runs one untrusted program in a sandbox, in a process of its own."""

from __future__ import annotations

import contextlib
import secrets
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder import interpreter
from pytest_starcoder.runner.child_process import ChildProcess
from pytest_starcoder.runner.program_child import ProgramJob
from pytest_starcoder.runner.protocol import encode
from pytest_starcoder.runner.sandbox import Level, Sandbox, environment

STARTUP_SECONDS = 5.0
"""Time to start the process and enter the sandbox, on a busy machine."""

MAX_REPORT = 1 << 16
"""Bytes to read of the child's report."""

TIMEOUT_SIGNALS = (-getattr(signal, "SIGALRM", 0), -getattr(signal, "SIGKILL", 0))
"""Exit statuses of a program that ran too long: by its own alarm, or killed by us."""


@dataclass(frozen=True)
class ProgramResult:
    """The `outcome` is "passed", "timed out", an exception as one line, or how the process ended.

    `level` is the sandbox level in force, empty if nothing was run; `obstacle` may say why.
    """

    outcome: str
    level: str
    obstacle: str = ""


def run_program(source: str, seconds: float, min_level: Level = Level.NONE) -> ProgramResult:
    """Run `source` as a main module for at most `seconds`, without input or output.

    It sees the standard library and installed packages, writes into a temporary folder only,
    and has no network; see docs/sandbox.md. No process it started remains. It is not run
    where the platform provides no sandbox of `min_level`.
    """
    with tempfile.TemporaryDirectory(prefix="starcoder-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary).resolve()
        # Only lines that begin with the token count, so not the program's own output.
        token = secrets.token_hex(16)
        report = folder / "report"
        sandbox = Sandbox(folder, _installed_folders(), min_level)
        job = ProgramJob(source, seconds, report, token, sandbox)
        job_file = folder / "job.json"
        job_file.write_bytes(encode(job))
        script = str(Path(__file__).with_name("program_child.py"))
        command, variables = interpreter.start("-I", script, str(job_file))
        variables = environment(variables, folder)
        # Opened before the program can replace it.
        with report.open("x+b") as file:
            child = ChildProcess(command, folder, variables, temporary=folder)
            with child, contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(seconds + STARTUP_SECONDS)
            file.seek(0)
            text = file.read(MAX_REPORT).decode("utf-8", "replace")
    return _result(_answers(text, token), child.returncode)


def _installed_folders() -> tuple[Path, ...]:
    entries = sys.prefix, sys.base_prefix, *filter(None, sys.path)
    return tuple(Path(entry).resolve() for entry in entries)


def _answers(text: str, token: str) -> list[str]:
    """Return the lines of a report that begin with the token, without it."""
    answers = []
    for line in text.splitlines():
        if line.startswith(token):
            answers.append(line.removeprefix(token))
    return answers


def _result(answers: list[str], status: int | None) -> ProgramResult:
    """Interpret the report: the sandbox level, then the outcome."""
    if not answers:
        return ProgramResult("not run", "")
    level, *outcomes = answers
    if not level:
        return ProgramResult("not run", "", obstacle=" ".join(outcomes))
    if outcomes:
        return ProgramResult(outcomes[0], level)
    if status in TIMEOUT_SIGNALS:
        return ProgramResult("timed out", level)
    return ProgramResult(f"ended with status {status}", level)
