"""Runs one program that nobody has read, confined, in a process of its own: source in, what became of it out."""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder import interpreter
from pytest_starcoder.runner.child_process import ChildProcess
from pytest_starcoder.runner.sandbox import Level, Sandbox, environment

GRACE = 5.0
"""Seconds that starting a process and confining it may take besides, on a busy machine."""

MAX_SAID = 1 << 16
"""Maximum bytes to read of the program's verdict."""


@dataclass(frozen=True)
class Ended:
    """`said` is "passed", "timed out", the exception as a line, or how the process ended; `level` what was in force."""

    said: str
    level: str


def run_program(source: str, seconds: float, least: Level = Level.NONE) -> Ended:
    """What became of `source` as a main module within `seconds`, without input, its output thrown away.

    It sees the standard library and what is installed, writes into a temporary
    folder and reaches no network, as docs/confinement.md says; nothing that it
    started is left. Where `least` cannot be had it does not run, and that is said.
    """
    with tempfile.TemporaryDirectory(prefix="starcoder-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary).resolve()
        # Only lines that begin with the token count, so not the program's own output.
        token, said = secrets.token_hex(16), folder / "said"
        installed = (
            Path(sys.prefix),
            Path(sys.base_prefix),
            *(Path(entry) for entry in sys.path if entry),
        )
        confinement = Sandbox(folder, tuple(path.resolve() for path in installed), least)
        job = {
            "program": source,
            "seconds": seconds,
            "said": str(said),
            "token": token,
            "confinement": confinement.to_json(),
        }
        (folder / "job.json").write_text(json.dumps(job), "ascii")
        alone = str(Path(__file__).with_name("alone.py"))
        command, variables = interpreter.start("-I", alone, str(folder / "job.json"))
        with said.open("x+b") as file:  # before the program can replace it
            with (
                ChildProcess(
                    command, folder, environment(variables, folder), temporary=folder
                ) as child,
                contextlib.suppress(subprocess.TimeoutExpired),
            ):
                child.wait(seconds + GRACE)
            file.seek(0)
            lines = file.read(MAX_SAID).decode("utf-8", "replace").splitlines()
        answers = [line.removeprefix(token) for line in lines if line.startswith(token)]
        if not answers:
            return Ended("not run", "")
        level, *rest = answers
        if rest:
            return Ended(rest[0], level)
        timed_out = child.returncode in (
            -getattr(signal, "SIGALRM", 0),
            -getattr(signal, "SIGKILL", 0),
        )
        return Ended("timed out" if timed_out else f"ended with status {child.returncode}", level)
