"""Programs of answers, run in a sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_starcoder.evaluate import execution
from pytest_starcoder.evaluate.execution import NotRun, run_samples
from pytest_starcoder.evaluate.pass_at_k import Problem, Sample, Verdict
from pytest_starcoder.evaluate.problems import read_problems
from pytest_starcoder.evaluate.samples import read_recorded_samples
from pytest_starcoder.runner.program import ProgramResult
from pytest_starcoder.runner.sandbox import Level

DATA = Path(__file__).parents[3] / "shared" / "data" / "codegen"
OUTPUTS = DATA / "starcoder2-outputs"
STARCODER2 = "evalplus-starcoder2-15b-instruct-v0.1"

PROGRAMS = {
    "pass": "passed",
    "assert 1 == 2, 'no'": "AssertionError: no",
    "raise SystemExit(0)": "SystemExit: 0",
    "import os; os._exit(0)": "ended with status 0",
    "input()": "EOFError: EOF when reading a line",
    "def f(:": "SyntaxError: invalid syntax (<solution>, line 2)",
    "import sys; sys.stdout.write('passed')": "passed",
}

WEAK_SANDBOX = "the sandbox level here is audit, and the setting confinement requires kernel"


def verdicts_on(programs: list[str]) -> list[Verdict]:
    problems = [Problem(str(number), "", text, ()) for number, text in enumerate(programs)]
    samples = [Sample(problem.task, 0, "") for problem in problems]
    return [verdict for verdict, _ in run_samples(problems, samples)]


def test_endings() -> None:
    endings = [verdict.ending for verdict in verdicts_on(list(PROGRAMS))]
    assert endings == list(PROGRAMS.values())


@pytest.mark.slow
def test_hazards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "MAX_SECONDS", 1.0)
    victim = tmp_path / "victim"
    shell = f"['sh', '-c', 'sleep 4; echo > {victim}']"
    verdicts = verdicts_on(
        [
            "while True: pass",
            "import time\ntry:\n    time.sleep(60)\nexcept BaseException:\n    pass",
            f"import subprocess; subprocess.Popen({shell}); assert False",
            f"open({str(victim)!r}, 'w')",
            "import socket; socket.create_connection(('192.0.2.1', 9), 2)",
        ]
    )
    assert [verdict.ending for verdict in verdicts[:2]] == ["timed out", "timed out"]
    assert not any(verdict.passed for verdict in verdicts)
    assert not victim.exists()


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            ProgramResult("not run", "", WEAK_SANDBOX),
            f"Nothing was run: {WEAK_SANDBOX}. Set confinement to audit.",
        ),
        (
            ProgramResult("not run", ""),
            "The program of t was not run: its process did not start in time. Is the machine "
            "short of memory or processes? Try again: the answers so far are saved.",
        ),
    ],
    ids=["weak-sandbox", "no-process"],
)
def test_not_run(monkeypatch: pytest.MonkeyPatch, result: ProgramResult, message: str) -> None:
    monkeypatch.setattr(execution, "run_program", lambda *_: result)
    with pytest.raises(NotRun) as raised:
        list(run_samples([Problem("t", "", "", ())], [Sample("t", 0, "")], Level.KERNEL))
    assert str(raised.value) == message


@pytest.mark.slow
@pytest.mark.skipif(not OUTPUTS.is_dir(), reason="the recorded answers are not there")
@pytest.mark.parametrize(
    ("benchmark", "file", "differing"),
    [
        ("humaneval", "HumanEval.jsonl.gz", {}),
        # EvalPlus has other tests for these; docs/evaluating.md says which.
        (
            "mbpp",
            "sanitized-mbpp.json",
            dict.fromkeys((3, 117, 312, 396, 780), "fail")
            | dict.fromkeys((87, 143, 164, 229, 249, 295, 400, 431, 442, 461, 574), "pass"),
        ),
    ],
)
def test_verdicts_of_evalplus(benchmark: str, file: str, differing: dict[int, str]) -> None:
    """Try some of the answers that EvalPlus recorded, and all with another verdict there."""
    problems = read_problems(benchmark, DATA / file)
    samples = read_recorded_samples(OUTPUTS / f"{STARCODER2}-{benchmark}.jsonl", problems)
    expected = {f"MBPP/{number}": status for number, status in differing.items()}
    chosen = [
        sample
        for number, sample in enumerate(samples)
        if number % 30 == 0 or sample.task in expected
    ]
    results = json.loads((OUTPUTS / f"{STARCODER2}-{benchmark}_eval_results.json").read_text())
    recorded = {task.lower(): rows[0]["base_status"] for task, rows in results["eval"].items()}
    actual = {}
    for verdict, _ in run_samples(problems, chosen):
        status = recorded[verdict.task.lower()]
        if verdict.passed != (status == "pass"):
            actual[verdict.task] = status
    assert actual == expected
