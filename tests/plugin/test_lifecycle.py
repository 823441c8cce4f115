"""Running failing tests again leaves nothing behind, however pytest ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.processes import still_alive
from support.screens import section

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

BARE = ("--starcoder-explain", "--starcoder-backend=none")

HANGS_AGAIN = """
    import os, pathlib, subprocess, sys, time
    import pytest

    here = pathlib.Path(__file__).parent

    @pytest.fixture(scope="session", autouse=True)
    def lock():
        (here / "lock").touch(exist_ok=False)
        yield
        (here / "lock").unlink()

    def test_it():
        ran_before = (here / "ran").exists()
        (here / "ran").touch()
        if ran_before:
            sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
            pids = [os.getpid(), subprocess.Popen(sleeps).pid]
            if sys.platform == "linux":
                pids.append(subprocess.Popen(sleeps, start_new_session=True).pid)
            (here / "pids.tmp").write_text(" ".join(map(str, pids)))
            (here / "pids.tmp").rename(here / "pids")
            {hang}
        assert 0
"""


def wait_for_pids(folder: Path) -> list[int]:
    """Return the processes of the test that runs again."""
    end = time.monotonic() + 60
    while not (folder / "pids").exists():
        assert time.monotonic() < end, "the test was not run again"
        time.sleep(0.02)
    return [int(number) for number in (folder / "pids").read_text().split()]


@pytest.mark.parametrize(
    ("name", "parallel"),
    [
        pytest.param("SIGTERM", [], id="SIGTERM"),
        pytest.param("SIGKILL", [], id="SIGKILL"),
        pytest.param("SIGINT", ["-n", "1"], id="SIGINT-xdist", marks=pytest.mark.slow),
    ],
)
def test_signals(pytester: pytest.Pytester, name: str, parallel: list[str]) -> None:
    pytester.makepyfile(test_it=HANGS_AGAIN.format(hang="time.sleep(60)"))
    command = [sys.executable, "-m", "pytest", *BARE, *parallel]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    pids = wait_for_pids(pytester.path)
    run.send_signal(getattr(signal, name))
    run.communicate(timeout=20)
    assert still_alive(pids, seconds=10) == []
    assert not (pytester.path / "lock").exists(), "fixtures were torn down"


@pytest.mark.slow
def test_timeout(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=HANGS_AGAIN.format(hang="time.sleep(60)"))
    result = pytester.runpytest_subprocess(*BARE, "--starcoder-replay-timeout=3")
    result.assert_outcomes(failed=1)
    assert not (pytester.path / "lock").exists()
    assert "killed" not in result.stdout.str()
    assert still_alive(wait_for_pids(pytester.path), seconds=1) == []


@pytest.mark.slow
def test_killed_teardown(pytester: pytest.Pytester) -> None:
    deaf = (
        "while True:\n                try: time.sleep(60)\n                "
        "except BaseException: pass"
    )
    pytester.makepyfile(test_it=HANGS_AGAIN.format(hang=deaf))
    result = pytester.runpytest_subprocess(*BARE, "--starcoder-replay-timeout=3")
    result.assert_outcomes(failed=1)
    assert (
        "the tests run again were still tearing down after 5 s and were killed: "
        "their fixtures may have left something behind"
    ) in " ".join(" ".join(section(result)).split())
    assert still_alive(wait_for_pids(pytester.path), seconds=1) == []
