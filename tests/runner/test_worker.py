"""The forks in which changes are tried: which of them are ended, and which live on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from support.processes import still_alive

pytest.importorskip("fcntl", reason="changes are tried in forks")

from pytest_starcoder.runner import worker
from pytest_starcoder.runner.supervisor import descendants

SLEEPS = "import time; time.sleep(60)"

STARTS_ONE = f"""
import subprocess, sys
sleeper = subprocess.Popen([sys.executable, '-c', '{SLEEPS}'])
print('started', flush=True)
sleeper.wait()
"""


@contextmanager
def running(code: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as child:
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found by /proc")
def test_the_other_fork_lives_on() -> None:
    with ExitStack() as stack:
        other = stack.enter_context(running(SLEEPS))
        candidate = stack.enter_context(running(STARTS_ONE))
        assert candidate.stdout is not None
        assert candidate.stdout.readline() == b"started\n"
        [sleeper] = descendants(candidate.pid)
        worker.end(candidate.pid, other.pid)
        assert still_alive([sleeper], seconds=5) == []
        assert other.poll() is None
