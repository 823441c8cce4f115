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
from pytest_starcoder.runner import end
from pytest_starcoder.runner.confine import Confinement, Level, environment

GRACE = 5.0
"""Seconds that starting a process and confining it may take besides, on a busy machine."""


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
        said = folder / secrets.token_hex(8)
        installed = (Path(sys.prefix), Path(sys.base_prefix), *(Path(entry) for entry in sys.path if entry))
        confinement = Confinement(folder, tuple(path.resolve() for path in installed), least)
        job = {"program": source, "seconds": seconds, "said": str(said), "confinement": confinement.to_json()}
        command, variables = interpreter.start("-I", str(Path(__file__).with_name("alone.py")))
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(variables, folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            with contextlib.suppress(subprocess.TimeoutExpired, BrokenPipeError):
                child.communicate(json.dumps(job).encode("utf-8", "surrogatepass"), timeout=seconds + GRACE)
        finally:
            end(child)
        try:
            level, *rest = said.read_text("utf-8", "replace").splitlines()
        except (OSError, ValueError):
            return Ended("not run", "")
        if rest:
            return Ended(rest[0], level)
        timed_out = child.returncode in (-getattr(signal, "SIGALRM", 0), -getattr(signal, "SIGKILL", 0))
        return Ended("timed out" if timed_out else f"ended with status {child.returncode}", level)
