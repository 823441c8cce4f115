"""Causes asked about while tests still run."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.processes import still_alive
from support.screens import MEAN, section
from support.servers import FakeOllama

from pytest_starcoder.explain import prefetch
from pytest_starcoder.explain.prefetch import should_prefetch
from pytest_starcoder.settings import Settings

WAITS = """
    import time, urllib.request

    def test_early():
        assert [] == [1]

    def test_waits_until_the_question_was_asked():
        for _ in range(200):
            if open("asked.txt").read():
                return
            time.sleep(0.05)
        raise AssertionError("nobody has asked")
"""


@pytest.mark.parametrize("parallel", [[], pytest.param(["-n", "2"], marks=pytest.mark.slow)])
def test_the_question_is_asked_while_a_later_test_runs(
    pytester: pytest.Pytester, ollama_double: FakeOllama, parallel: list[str]
) -> None:
    asked = pytester.path / "asked.txt"
    asked.write_text("")

    def answer(_prompt: str) -> str:
        asked.write_text("yes")
        return " the divisor is one too small."

    ollama_double.answer = answer
    pytester.makepyfile(test_it=WAITS)
    result = pytester.runpytest_subprocess("--starcoder-explain", "--starcoder-early=on", *parallel)
    result.assert_outcomes(failed=1, passed=1)
    assert "               (starcoder2:7b, a guess)" in section(result)
    assert len(ollama_double.prompts()) == 1


def test_each_cause_is_asked_about_once_and_no_more_than_allowed(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile("\n".join(f"def test_{n}(): assert {n % 3} == 9" for n in range(6)))
    options = (
        "--starcoder-explain",
        "--starcoder-early=on",
        "--starcoder-causes=2",
        "--starcoder-cache=off",
    )
    lines = section(pytester.runpytest_subprocess(*options))
    assert len([line for line in lines if line.endswith("(starcoder2:7b, a guess)")]) >= 2
    assert len(ollama_double.prompts()) == 2


def test_a_server_that_is_away_is_told_as_ever(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**MEAN)
    told = " ".join(
        " ".join(
            section(pytester.runpytest_subprocess("--starcoder-explain", "--starcoder-early=on"))
        ).split()
    )
    assert "why no model: Nothing answers at http://127.0.0.1:" in told


def test_where_others_redact_nothing_is_asked_early(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makeconftest("def starcoder_redact(text): return text.replace('mean', 'm**n')")
    pytester.makepyfile(**MEAN)
    pytester.runpytest_subprocess("--starcoder-explain", "--starcoder-early=on")
    assert all("mean" not in prompt for prompt in ollama_double.prompts())
    assert len(ollama_double.prompts()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_the_run_and_what_asks(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    ollama_double.delay = 30
    pytester.makepyfile("import time\ndef test_a(): assert 0\ndef test_b(): time.sleep(30)\n")
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--starcoder-explain", "--starcoder-early=on"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not ollama_double.asked():
        time.sleep(0.02)
    assert len(asking_in(pytester.path)) == (1 if Path("/proc").is_dir() else 0)
    started = time.monotonic()
    run.send_signal(signal.SIGINT)
    screen, _ = run.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert run.returncode == pytest.ExitCode.INTERRUPTED
    assert "not asked: the run was interrupted." in screen
    assert asking_in(pytester.path) == []


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="its children are found by /proc")
@pytest.mark.parametrize(
    "number",
    [
        "SIGKILL",
        pytest.param("SIGTERM", marks=pytest.mark.slow),
        pytest.param("SIGHUP", marks=pytest.mark.slow),
    ],
)
def test_what_asks_ends_with_the_run(
    pytester: pytest.Pytester, ollama_double: FakeOllama, number: str
) -> None:
    ollama_double.delay = 30
    pytester.makepyfile(
        "import time\ndef test_a(): assert 0\ndef test_b(): assert 1 == 2\ndef test_c(): time.sleep(30)"
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--starcoder-explain", "--starcoder-early=on"],
        stdout=subprocess.DEVNULL,
    )
    while not ollama_double.asked():
        time.sleep(0.02)
    asking = [int(pid) for pid in asking_in(pytester.path)]
    assert len(asking) == 1
    run.send_signal(getattr(signal, number))
    run.wait(timeout=20)
    assert still_alive(asking, seconds=3) == []


LINES = {
    "cut off": ('{"calls": 1, "asked"', 0),
    "no JSON object": ("[1]", 0),
    "numbers that are texts": ('{"calls": "1", "asked": 1}', 0),
    "a text that is a number": ('{"calls": 1, "asked": 1, "nodeid": "a", "why": 3}', 0),
    "an unknown field": ('{"calls": 1, "asked": 1, "nodeid": "a", "note": ""}', 0),
    "deep": ("[" * 100_000, 0),
    "an answer": ('{"calls": 1, "asked": 1, "nodeid": "a", "why": "so", "unsupported": ["x"]}', 1),
}


@pytest.mark.parametrize(("line", "count"), LINES.values(), ids=LINES)
def test_only_answers_are_read(line: str, count: int) -> None:
    answers = prefetch.parse_answers(f'{{"calls": 2, "asked": 2}}\n{line}\n\n')
    assert (answers.calls, answers.asked) == ((1, 1) if count else (2, 2))
    assert [(told.why, told.unsupported) for told in answers.by_nodeid.values()] == [
        ("so", ("x",))
    ] * count


def asking_in(folder: Path) -> list[str]:
    """The children that ask and were started in `folder`, by Linux's account."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == folder and b"explain.prefetch" in (
                process / "cmdline"
            ).read_bytes():
                found.append(process.name)
    return found


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), False),
        (Settings(host="http://127.0.0.1:11434"), False),
        (Settings(host="http://gpu-box:11434"), True),
        (Settings(backend="huggingface"), True),
        (Settings(backend="huggingface", host="http://localhost:8080"), False),
        (Settings(backend="openai", host="https://gpu-box"), True),
        (Settings(backend="embedded", model="demo"), False),
        (Settings(early="on"), True),
        (Settings(early="off", host="http://gpu-box:11434"), False),
        (Settings(early="on", backend="none"), False),
    ],
)
def test_by_itself_only_where_the_model_is_elsewhere(settings: Settings, expected: bool) -> None:
    assert should_prefetch(settings) is expected
