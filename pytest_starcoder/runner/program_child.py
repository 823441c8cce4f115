"""The child process that runs one untrusted program; it is started by path, in isolated mode.

An alarm ends the process, because the program could catch an exception. The job and the report
are removed from their folder before the program starts, and only report lines with the job's
token count. So a program cannot report its own verdict by accident or by guessing, but one that
searches our frames for the token can: nothing is hidden within one process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.runner.protocol import decode
from pytest_starcoder.runner.sandbox import (
    Sandbox,
    SandboxUnavailable,
    enter_sandbox,
    limit_forks,
)

MAX_OUTCOME = 300
"""Characters of the reported outcome."""


@dataclass(frozen=True)
class ProgramJob:
    """The program's source and seconds, the file and token of the report, and the sandbox."""

    source: str
    seconds: float
    report: Path
    token: str
    sandbox: Sandbox


def main() -> None:
    job_file = Path(sys.argv[1])
    job = decode(job_file.read_bytes(), (ProgramJob,))
    descriptor = os.open(job.report, os.O_WRONLY | os.O_APPEND)
    for path in (job_file, job.report):
        with contextlib.suppress(OSError):  # Windows cannot remove an open file
            path.unlink()

    # Saved, because the program may replace these functions.
    write, leave = os.write, os._exit

    def report(text: str) -> None:
        line = f"\n{job.token}{text}\n"
        write(descriptor, line.encode("utf-8", "replace"))

    os.chdir(job.sandbox.folder)
    try:
        level = enter_sandbox(job.sandbox)
    except SandboxUnavailable as exc:
        report("")
        report(str(exc))
        return
    report(level)
    _prepare_process(job.seconds)
    try:
        exec(compile(job.source, "<solution>", "exec"), {"__name__": "__main__"})
    except BaseException as exc:  # noqa: BLE001 - whatever ends the program is the outcome
        message = type(exc).__name__
        if str(exc):
            message = f"{message}: {exc}".splitlines()[0]
        report(message[:MAX_OUTCOME])
    else:
        report("passed")
    leave(0)  # threads left by the program must not keep running


def _prepare_process(seconds: float) -> None:
    """Limit forks and time, and hide how this process was started."""
    if hasattr(os, "fork"):
        limit_forks()
    sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - the program uses it until its end
    # Python puts the folder of this script first.
    our_folder = Path(__file__).parent
    sys.path[:] = [entry for entry in sys.path if Path(entry) != our_folder]
    sys.argv = ["solution"]
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    main()
