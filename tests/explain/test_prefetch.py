"""Questions that are asked while tests are still running."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.failures import FAILURE, MemoryBackend, make_case
from support.processes import still_alive
from support.screens import section
from support.servers import FakeOllama

from pytest_starcoder.errors import BackendError, BackendUnavailable
from pytest_starcoder.explain import prefetch
from pytest_starcoder.explain.explanation import Answer
from pytest_starcoder.explain.prefetch import parse_answers, should_prefetch
from pytest_starcoder.model.client import Client
from pytest_starcoder.runner.protocol import encode
from pytest_starcoder.settings import Settings

WHY = "The test fails because the divisor is 2, one too small."


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
        (Settings(backend="none", host="http://gpu-box:11434"), False),
    ],
    ids=[
        "default",
        "loopback",
        "remote",
        "huggingface",
        "huggingface-local",
        "openai",
        "embedded",
        "on",
        "off",
        "on-none",
        "remote-none",
    ],
)
def test_should_prefetch(settings: Settings, expected: bool) -> None:
    assert should_prefetch(settings) is expected


@pytest.mark.parametrize(
    "line",
    [
        '{"Progress": {"calls": 1, "asked"',
        "[1]",
        '{"Progress": {"calls": "1", "questions": 1}}',
        '{"Progress": {"calls": 1, "questions": 1, "nodeid": "a", "answer": {"why": 3}}}',
        '{"Progress": {"calls": 1, "questions": 1, "nodeid": "a", "extra": ""}}',
        "[" * 100_000,
    ],
    ids=["cut-off", "no-object", "texts", "number", "unknown", "deep"],
)
def test_malformed_lines(line: str) -> None:
    first_line = '{"Progress": {"calls": 2, "questions": 2}}'
    answers = parse_answers(f"{first_line}\n{line}\n\n")
    assert (answers.calls, answers.questions, answers.by_nodeid) == (2, 2, {})


def test_parse_answers() -> None:
    answer = '{"why": "so", "flaw": "x"}'
    fields = f'{{"calls": 1, "questions": 1, "nodeid": "a", "answer": {answer}}}'
    answers = parse_answers(f'{{"Progress": {fields}}}')
    assert (answers.calls, answers.questions) == (1, 1)
    assert answers.by_nodeid == {"a": Answer("so", flaw="x")}


# --- in the child ---


def answer_failures(
    backend: MemoryBackend, tmp_path: Path, causes: int = 9, family: str = "auto"
) -> list[str]:
    """Return the answers about three failures of two causes, empty for none."""
    cases = [make_case("test_one"), make_case("test_two")]
    failures = [FAILURE, *(case.cause.first for case in cases), FAILURE]
    client = Client(backend, Settings(causes=causes, family=family))
    return [progress.answer.why for progress in prefetch._answer(failures, client, tmp_path)]


def test_one_question_per_cause(tmp_path: Path) -> None:
    backend = MemoryBackend()
    assert answer_failures(backend, tmp_path) == [WHY] * 3
    assert len(backend.prompts) == 3


def test_limit_of_causes(tmp_path: Path) -> None:
    backend = MemoryBackend()
    assert answer_failures(backend, tmp_path, causes=2) == [WHY] * 2


def test_model_that_will_be_asked_for_a_correction(tmp_path: Path) -> None:
    backend = MemoryBackend()
    assert answer_failures(backend, tmp_path, family="chat") == []
    assert backend.prompts == []


@pytest.mark.parametrize(
    ("error", "answers"),
    [(BackendError("It failed."), ["", "", ""]), (BackendUnavailable("Nothing answers."), [])],
    ids=["bad-answer", "away"],
)
def test_errors(tmp_path: Path, error: BackendError, answers: list[str]) -> None:
    def fail() -> None:
        raise error

    assert answer_failures(MemoryBackend(before_answer=fail), tmp_path) == answers


def test_progress_round_trip() -> None:
    progress = prefetch.Progress(1, 2, "a", Answer("so", "m", unsupported=("x",)))
    assert parse_answers(encode(progress).decode()).by_nodeid == {"a": progress.answer}


# --- whole runs ---

WAITS = """
    import time

    def test_early():
        assert [] == [1]

    def test_later():
        for _ in range(600):
            if open("asked.txt").read():
                return
            time.sleep(0.05)
        raise AssertionError("nobody has asked")
"""


@pytest.mark.parametrize("parallel", [[], pytest.param(["-n", "1"], marks=pytest.mark.slow)])
def test_question_during_a_later_test(
    pytester: pytest.Pytester, ollama_double: FakeOllama, parallel: list[str]
) -> None:
    question = pytester.path / "asked.txt"
    question.write_text("")

    def answer(_prompt: str) -> str:
        question.write_text("yes")
        return " the list [1] has 1 element."

    ollama_double.answer = answer
    pytester.makepyfile(test_it=WAITS)
    options = ("--starcoder-explain", "--starcoder-early=on", "--starcoder-replay=off", *parallel)
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(failed=1, passed=1)
    assert "               (starcoder2:7b, a guess)" in section(result)
    assert len(ollama_double.prompts()) == 1


def test_plugins_that_redact(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    """Nothing is asked early: the child does not have their hooks."""
    pytester.makeconftest(
        "def pytest_starcoder_redact(text): return text.replace('secret', 's**t')"
    )
    pytester.makepyfile("def test_it():\n    secret = 1\n    assert secret == 2")
    options = ("--starcoder-explain", "--starcoder-early=on", "--starcoder-replay=off")
    pytester.runpytest(*options)
    [prompt] = ollama_double.prompts()
    assert "secret" not in prompt


SLEEPS = "import time\ndef test_a(): assert 0\ndef test_b(): assert 1 == 2\n" + (
    "def test_c(): time.sleep(30)\n"
)


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="finds children in /proc")
@pytest.mark.parametrize(
    "name", ["SIGINT", "SIGKILL", pytest.param("SIGTERM", marks=pytest.mark.slow)]
)
def test_end_of_the_run(pytester: pytest.Pytester, ollama_double: FakeOllama, name: str) -> None:
    ollama_double.delay = 30
    pytester.makepyfile(SLEEPS)
    command = [sys.executable, "-m", "pytest", "--starcoder-explain", "--starcoder-early=on"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not ollama_double.asked():
        time.sleep(0.02)
    children = prefetch_processes(pytester.path)
    assert len(children) == 1
    start = time.monotonic()
    run.send_signal(getattr(signal, name))
    output, _ = run.communicate(timeout=60)
    assert time.monotonic() - start < 25
    assert still_alive(children, seconds=3) == []
    if name == "SIGINT":
        assert run.returncode == pytest.ExitCode.INTERRUPTED
        assert "not asked: the run was interrupted." in output


def prefetch_processes(folder: Path) -> list[int]:
    """Return the ids of the children that ask and were started in `folder`."""
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if (process / "cwd").readlink() == folder and b"explain.prefetch" in command:
                pids.append(int(process.name))
    return pids
