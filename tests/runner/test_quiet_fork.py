"""Forks of processes with threads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

THREADED = """
import os, threading
from pytest_starcoder.runner.quiet_fork import fork

threading.Thread(target=threading.Event().wait, daemon=True).start()
child = fork()
if child == 0:
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.parametrize("action", ["always", "error"])
def test_fork_with_threads(action: str) -> None:
    command = [sys.executable, "-W", action, "-c", THREADED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("7\n", "")
