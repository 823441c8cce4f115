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
            {stuck}
        assert 0
"""


def pids(folder: Path) -> list[int]:
    until = time.monotonic() + 60
    while not (folder / "pids").exists():
        assert time.monotonic() < until, "the test was not run again"
        time.sleep(0.02)
    return [int(number) for number in (folder / "pids").read_text().split()]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGKILL", "SIGHUP", "SIGINT"])
@pytest.mark.parametrize(
    "parallel", [[], pytest.param(["-n", "2"], marks=pytest.mark.slow)], ids=["alone", "xdist"]
)
def test_nothing_outlives_a_signal(
    pytester: pytest.Pytester, number: str, parallel: list[str]
) -> None:
    pytester.makepyfile(test_it=HANGS_AGAIN.format(stuck="time.sleep(60)"))
    command = [sys.executable, "-m", "pytest", *BARE, *parallel]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    running = pids(pytester.path)
    run.send_signal(getattr(signal, number))
    run.communicate(timeout=20)
    assert still_alive(running, seconds=10) == []
    assert not (pytester.path / "lock").exists(), (
        "its fixtures were torn down, and the next run can begin"
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_the_next_run_can_begin(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=HANGS_AGAIN.format(stuck="time.sleep(60)"))
    result = pytester.runpytest_subprocess(*BARE, "--starcoder-replay-timeout=3")
    result.assert_outcomes(failed=1)
    assert not (pytester.path / "lock").exists()
    assert "killed" not in result.stdout.str()
    assert still_alive(pids(pytester.path), seconds=1) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_killed_teardown_is_reported(pytester: pytest.Pytester) -> None:
    deaf = "while True:\n                try: time.sleep(60)\n                except BaseException: pass"
    pytester.makepyfile(test_it=HANGS_AGAIN.format(stuck=deaf))
    result = pytester.runpytest_subprocess(*BARE, "--starcoder-replay-timeout=3")
    result.assert_outcomes(failed=1)
    assert (
        "the tests run again were still tearing down after 5 s and were killed: "
        "their fixtures may have left something behind"
    ) in " ".join(" ".join(section(result)).split())
    assert still_alive(pids(pytester.path), seconds=1) == []
