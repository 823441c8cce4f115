"""The embedded engine starts at the first failure, and ends with the session."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.processes import still_alive

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")

TESTS = """
    import os, pathlib, time

    def all_engines():
        found = []
        for folder in pathlib.Path("/proc").iterdir():
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if b"engine.py" in command and int(stat[1]) in (os.getpid(), os.getppid()):
                found.append(folder.name)
        return found

    OTHERS = all_engines()  # of the process that runs pytest

    def engines():
        return [pid for pid in all_engines() if pid not in OTHERS]

    def test_before(): assert engines() == []
    def test_failure(): assert 1 == 2
    def test_after():
        pids = engines()
        pathlib.Path("pids").write_text(" ".join(pids))
        {then}
        assert len(pids) == 1
    def test_second(): assert 3 == 4
    def test_still_one(): assert len(engines()) == 1
"""


def options(model: Path) -> tuple[str, ...]:
    return ("--starcoder-explain", f"--starcoder-model={model}", "--starcoder-threads=1")


def engine_pids(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def test_engine_while_tests_run(pytester: pytest.Pytester, tiny_model: Path) -> None:
    pytester.makepyfile(TESTS.format(then=""))
    result = pytester.runpytest_subprocess(*options(tiny_model), "--starcoder-replay=off")
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(["*tiny-starcoder2.gguf*"])
    assert still_alive(engine_pids(pytester.path), seconds=5) == []


def test_passing_suite(pytester: pytest.Pytester, tiny_model: Path) -> None:
    pytester.makepyfile("""
        import sys

        def test_one(): pass

        def test_two():
            assert "pytest_starcoder.model.backends.embedded" not in sys.modules
            assert "requests" not in sys.modules
        """)
    result = pytester.runpytest_subprocess(*options(tiny_model))
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "option",
    [
        "--starcoder-show-prompt",
        "--starcoder-backend=none",
        "--starcoder-causes=0",
        "--starcoder-backend=ollama",
    ],
)
def test_no_question(pytester: pytest.Pytester, tiny_model: Path, option: str) -> None:
    pytester.makepyfile(TESTS.format(then="assert not pids"))
    pytester.runpytest_subprocess(*options(tiny_model), option, "--starcoder-replay=off")
    assert engine_pids(pytester.path) == []


def test_model_that_does_not_load(pytester: pytest.Pytester, tmp_path: Path) -> None:
    model = tmp_path / "bad.gguf"
    model.write_bytes(b"GGUF" * 50)
    pytester.makepyfile("def test_failure(): assert 1 == 2\ndef test_passes(): pass")
    result = pytester.runpytest_subprocess(*options(model), "--starcoder-replay=off")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*no model: The embedded llama.cpp cannot load*"])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_signals(pytester: pytest.Pytester, tiny_model: Path, name: str) -> None:
    pytester.makepyfile(TESTS.format(then="pathlib.Path('ready').touch(); time.sleep(60)"))
    command = [sys.executable, "-m", "pytest", *options(tiny_model)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    end = time.monotonic() + 60
    while not (pytester.path / "ready").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    run.send_signal(getattr(signal, name))
    run.communicate(timeout=60)
    pids = engine_pids(pytester.path)
    assert len(pids) == 1
    assert still_alive(pids, seconds=10) == []


@pytest.mark.parametrize("end", ["os._exit(3)", "raise SystemExit", "os.abort()"])
def test_other_ends(pytester: pytest.Pytester, tiny_model: Path, end: str) -> None:
    pytester.makepyfile(TESTS.format(then=end))
    pytester.runpytest_subprocess(*options(tiny_model), "--starcoder-replay=off")
    pids = engine_pids(pytester.path)
    assert len(pids) == 1
    assert still_alive(pids, seconds=10) == []


@pytest.mark.slow
def test_xdist(pytester: pytest.Pytester, tiny_model: Path) -> None:
    """The controller starts it; no worker does."""
    pytester.makepyfile(TESTS.format(then="").replace("test_before", "helper"))
    result = pytester.runpytest_subprocess(
        *options(tiny_model), "--starcoder-replay=off", "-n1", "--maxschedchunk=1"
    )
    result.assert_outcomes(passed=2, failed=2)
    assert still_alive(engine_pids(pytester.path), seconds=5) == []
