"""HumanEval and MBPP: what is asked, what is run, what it is worth, and the verdicts that others have recorded."""

from __future__ import annotations

import gzip
import json
import math
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.servers import FakeOllama

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.evaluation import (
    Evaluation,
    Problem,
    Sample,
    Sampling,
    Verdict,
    pass_at,
)
from pytest_starcoder.evaluate.execution import NotRun, recorded, verdicts
from pytest_starcoder.evaluate.problems import HUMANEVAL_STOPS, MBPP_STOPS, read_problems
from pytest_starcoder.evaluate.samples import SampleFile, prefix_for, sample
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Model
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.settings import Settings

DATA = Path(__file__).parents[3] / "shared" / "data" / "codegen"
OUTPUTS = DATA / "starcoder2-outputs"

ADD = {
    "task_id": "HumanEval/0",
    "prompt": 'def add(a, b):\n    """The sum."""\n',
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3",
    "entry_point": "add",
}
TWICE = {
    "task_id": 11,
    "text": "Write a function to double a number.",
    "test_list": ["assert twice(2) == 4", "assert twice(0) == 0"],
    "test_setup_code": "",
}
MODEL = Model("starcoder2:7b", "d1", "starcoder2", 16384)


def written(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


# --- problems ---


def test_a_problem_of_humaneval_is_asked_without_the_space_around_it_and_checked_by_its_function(
    tmp_path: Path,
) -> None:
    path = tmp_path / "HumanEval.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(ADD).encode()))
    [problem] = read_problems("humaneval", path)
    assert problem == Problem(
        "HumanEval/0",
        'def add(a, b):\n    """The sum."""',
        "def check(candidate):\n    assert candidate(1, 2) == 3\ncheck(add)",
        HUMANEVAL_STOPS,
    )


def test_a_problem_of_mbpp_is_asked_as_a_docstring_with_its_first_assertion(tmp_path: Path) -> None:
    [problem] = read_problems("mbpp", written(tmp_path / "mbpp.jsonl", TWICE))
    assert problem == Problem(
        "MBPP/11",
        '"""\nWrite a function to double a number.\nassert twice(2) == 4\n"""\n',
        "assert twice(2) == 4\nassert twice(0) == 0",
        MBPP_STOPS,
    )


def test_the_sanitized_file_has_imports_and_evalplus_has_assertions_of_its_own(
    tmp_path: Path,
) -> None:
    clean = tmp_path / "sanitized-mbpp.json"
    row = {
        "task_id": 7,
        "prompt": "Write it.",
        "test_imports": ["import math"],
        "test_list": ["assert f() == math.pi"],
    }
    clean.write_text(json.dumps([row]))
    [problem] = read_problems("mbpp", clean)
    assert (problem.task, problem.tests) == ("MBPP/7", "import math\nassert f() == math.pi")
    plus = {
        "task_id": "Mbpp/7",
        "prompt": "'''\nWrite it.\n'''\n",
        "assertion": "\nassert f() == 1\nassert f() > 0\n",
    }
    [problem] = read_problems("mbpp", written(tmp_path / "MbppPlus.jsonl", plus))
    assert problem.prompt == '"""\nWrite it.\nassert f() == 1\n"""\n'
    assert problem.tests == "import math\nassert f() == 1\nassert f() > 0"


def test_of_the_whole_mbpp_the_test_set_is_asked(tmp_path: Path) -> None:
    rows = [TWICE | {"task_id": number} for number in range(1, 975)]
    tasks = [
        problem.task for problem in read_problems("mbpp", written(tmp_path / "mbpp.jsonl", *rows))
    ]
    assert (len(tasks), tasks[0], tasks[-1]) == (500, "MBPP/11", "MBPP/510")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "away.jsonl",
            None,
            "away.jsonl cannot be read: No such file or directory. Give the file as it was published.",
        ),
        (
            "cut.jsonl.gz",
            gzip.compress(b"{}" * 99, mtime=0)[:20],
            "cut.jsonl.gz cannot be read: it is no UTF-8 text, or not whole. Give the file as it was published.",
        ),
        (
            "broken.jsonl",
            b'{"task_id": 1}\n{"task_id": \n',
            "broken.jsonl, line 2: this is not JSON (Expecting value: line 1 column 13 (char 12)). "
            "Give the file as it was published.",
        ),
        (
            "odd.jsonl",
            b"3\n",
            "odd.jsonl, line 1: this is no object. Give the file as it was published.",
        ),
        (
            "mbpp.jsonl",
            json.dumps(TWICE).encode(),
            "mbpp.jsonl: problem 1 has no prompt and no test and no entry_point, so it is none of HumanEval. "
            "Give HumanEval.jsonl.gz of github.com/openai/human-eval.",
        ),
    ],
)
def test_a_file_that_is_not_the_sets_is_said_to_be_none(
    tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        read_problems("humaneval", tmp_path / name)
    assert str(raised.value) == f"{tmp_path}/{said}"


DEEP = "[" * 200_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            DEEP,
            "sets.jsonl, line 1: this is not JSON (it is nested too deeply). Give the file as it was published.",
        ),
        (
            json.dumps(TWICE) + '\n{"task_id": 1, "prompt": ' + DEEP,
            "sets.jsonl, line 2: this is not JSON (it is nested too deeply). Give the file as it was published.",
        ),
        (
            json.dumps({"task_id": 1, "prompt": "f", "test_list": []}),
            "sets.jsonl: problem 1 is not in the format of MBPP. Give mbpp.jsonl or sanitized-mbpp.json of "
            "github.com/google-research/google-research (mbpp).",
        ),
        (
            json.dumps({"task_id": 1, "prompt": "f", "test_list": 5}),
            "sets.jsonl: problem 1 is not in the format of MBPP. Give mbpp.jsonl or sanitized-mbpp.json of "
            "github.com/google-research/google-research (mbpp).",
        ),
    ],
    ids=["deep", "deep-line", "no-tests", "number"],
)
def test_a_file_of_another_shape_is_a_clean_error(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "sets.jsonl").write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_problems("mbpp", tmp_path / "sets.jsonl")
    assert str(raised.value) == f"{tmp_path}/{said}"


# --- answers ---


def client(double: FakeOllama) -> Client:
    return Client.from_settings(
        Settings(backend="ollama", host=double.url, model=double.model, cache="off")
    )


def test_each_answer_has_a_seed_of_its_own_and_the_harness_sampling(
    tmp_path: Path, ollama_double: FakeOllama
) -> None:
    ollama_double.answer = "\n    return a + b\n\ndef other(): ..."
    problems = read_problems("humaneval", written(tmp_path / "h.jsonl", ADD))
    with client(ollama_double) as asked:
        file = SampleFile(
            tmp_path / "answers.jsonl", "humaneval", asked.model(), Sampling(samples=2)
        )
        found = sample(asked, problems, file)
    assert [(one.number, one.answer) for one in found] == [
        (0, "\n    return a + b\n"),
        (1, "\n    return a + b\n"),
    ]
    options = [request.body["options"] for request in ollama_double.asked()]
    assert [one["seed"] for one in options] == [1, 2]
    assert {(one["temperature"], one["top_p"], one["top_k"]) for one in options} == {(0.2, 0.95, 0)}
    assert ollama_double.prompts() == ['def add(a, b):\n    """The sum."""'] * 2
    assert set(options[0]["stop"]) == set(HUMANEVAL_STOPS)
    assert 480 < options[0]["num_predict"] < 512


def test_a_run_goes_on_where_another_was_killed(tmp_path: Path, ollama_double: FakeOllama) -> None:
    problems = [Problem(f"t/{number}", f"# {number}\n", "", ()) for number in range(4)]
    path = tmp_path / "answers.jsonl"
    with client(ollama_double) as asked:
        model = asked.model()
        sample(asked, problems[:2], SampleFile(path, "mbpp", model, Sampling()))
        path.write_bytes(path.read_bytes()[:-5])  # killed while it wrote the second
        new: list[str] = []
        found = sample(
            asked,
            problems,
            SampleFile(path, "mbpp", model, Sampling()),
            lambda one: new.append(one.task),
        )
        assert new == ["t/1", "t/2", "t/3"]
        assert (
            sample(
                asked,
                problems,
                SampleFile(path, "mbpp", model, Sampling()),
                lambda one: new.append(""),
            )
            == found
        )
    assert len(new) == 3
    assert len(path.read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("sampling", "model", "differs"),
    [
        (Sampling(temperature=0.8), MODEL, "temperature"),
        (Sampling(prefix="# p\n"), Model("other", "d2", "", 4096), "model and digest and prefix"),
    ],
)
def test_answers_to_something_else_are_not_mixed_with_these(
    tmp_path: Path, sampling: Sampling, model: Model, differs: str
) -> None:
    path = tmp_path / "answers.jsonl"
    SampleFile(path, "mbpp", MODEL, Sampling()).add(Sample("t/0", 0, ""))
    assert SampleFile(path, "mbpp", MODEL, Sampling(samples=9)).known == [Sample("t/0", 0, "")]
    with pytest.raises(ConfigError) as raised:
        SampleFile(path, "mbpp", model, sampling)
    assert str(raised.value) == (
        f"{path} holds answers of another evaluation: not the same {differs}. "
        "Name another file with --output, or delete this one."
    )


@pytest.mark.parametrize("content", ["no newline", "[1]\n", "{}\n{}\n", "x\n"])
def test_a_file_that_is_none_of_answers_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)
    with pytest.raises(ConfigError, match="no file of answers"):
        SampleFile(path, "mbpp", MODEL, Sampling())
    assert path.read_text() == content


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    path = tmp_path / "away" / "answers.jsonl"
    with pytest.raises(ConfigError) as raised:
        SampleFile(path, "mbpp", MODEL, Sampling()).add(Sample("t/0", 0, ""))
    assert str(raised.value) == (
        f"The answers cannot be written to {path}: No such file or directory. Name another file with --output."
    )


def test_the_prefix_is_a_file_in_the_models_own_form() -> None:
    notice = "# Here is the correct implementation of the code exercise\n"
    assert prefix_for(MODEL, "auto") == f"<file_sep>solutions/solution_1.py\n{notice}"
    assert prefix_for(MODEL, "starcoder") == f"<filename>solutions/solution_1.py\n{notice}"
    assert prefix_for(Model("gemma", "", "gemma3", 4096), "auto") == notice


# --- verdicts ---

HAZARDS = {
    "pass": "passed",
    "assert 1 == 2, 'no'": "AssertionError: no",
    "raise SystemExit(0)": "SystemExit: 0",
    "import os; os._exit(0)": "ended with status 0",
    "input()": "EOFError: EOF when reading a line",
    "def f(:": "SyntaxError: invalid syntax (<solution>, line 2)",
    "import sys; sys.stdout.write('passed')": "passed",
}


def test_what_a_program_does_is_its_verdict() -> None:
    problems = [Problem(code, "", code, ()) for code in HAZARDS]
    found = [
        verdict.said for verdict, _ in verdicts(problems, [Sample(code, 0, "") for code in HAZARDS])
    ]
    assert found == list(HAZARDS.values())


@pytest.mark.slow
def test_a_program_that_does_not_end_or_starts_another_is_ended_and_writes_nowhere(
    tmp_path: Path,
) -> None:
    victim = tmp_path / "victim"
    code = [
        "while True: pass",
        "import time\ntry:\n    time.sleep(60)\nexcept BaseException:\n    pass",
        f"import subprocess; subprocess.Popen(['sh', '-c', 'sleep 4; echo > {victim}']); assert False",
        f"open({str(victim)!r}, 'w')",
        "import socket; socket.create_connection(('192.0.2.1', 9), 2)",
    ]
    problems = [Problem(str(number), "", text, ()) for number, text in enumerate(code)]
    found = [
        verdict for verdict, _ in verdicts(problems, [Sample(one.task, 0, "") for one in problems])
    ]
    assert [verdict.said for verdict in found[:2]] == ["timed out", "timed out"]
    assert not any(verdict.passed for verdict in found)
    assert not victim.exists()


def test_where_code_cannot_be_confined_as_asked_none_is_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pytest_starcoder.evaluate import execution
    from pytest_starcoder.runner.program import ProgramResult

    obstacle = "the sandbox level here is audit, and the setting confinement requires kernel"
    monkeypatch.setattr(execution, "run_program", lambda *_: ProgramResult("", "", obstacle))
    with pytest.raises(NotRun) as raised:
        list(verdicts([Problem("t", "", "", ())], [Sample("t", 0, "")], Level.KERNEL))
    assert str(raised.value) == (
        "Nothing was run: the sandbox level here is audit, and the setting confinement requires kernel. "
        "Set confinement to audit."
    )
    monkeypatch.setattr(execution, "run_program", lambda *_: ProgramResult("", ""))
    with pytest.raises(NotRun) as raised:
        list(verdicts([Problem("t", "", "", ())], [Sample("t", 0, "")]))
    assert str(raised.value) == (
        "The program of t was not run: no process could be started for it in time. "
        "Is the machine short of memory or processes? Try again: no answer is asked for twice."
    )


def test_recorded_answers_are_completions_or_whole_programs(tmp_path: Path) -> None:
    problems = read_problems("humaneval", written(tmp_path / "h.jsonl", ADD))
    answers = written(
        tmp_path / "a.jsonl",
        {"task_id": "HumanEval/0", "completion": "\n    return a + b"},
        {"task_id": "humaneval/0", "solution": "add = sum"},
        {"task_id": "HumanEval/99", "completion": ""},
    )
    found = recorded(answers, problems)
    assert [(one.number, one.whole) for one in found] == [(0, False), (1, True)]
    assert [verdict.kind for verdict, _ in verdicts(problems, found)] == ["passed", "TypeError"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"task_id": 1},
            ": entry 1 has no task_id with a completion or a solution. "
            "Give one JSON object a line, as EvalPlus writes them.",
        ),
        (
            {"task_id": "X/1", "completion": ""},
            " has no answer to any of the problems. Do the two files belong together?",
        ),
    ],
)
def test_a_file_without_answers_to_these_problems_is_said(
    tmp_path: Path, row: object, said: str
) -> None:
    path = written(tmp_path / "a.jsonl", row)
    with pytest.raises(ConfigError) as raised:
        recorded(path, [Problem("HumanEval/0", "", "", ())])
    assert str(raised.value) == f"{path}{said}"


def agreement(benchmark: str, data: Path, name: str) -> tuple[int, dict[str, str]]:
    """How many recorded answers pass here, and of which tasks the recorded verdict is another."""
    problems = read_problems(benchmark, data)
    found = [
        verdict for verdict, _ in verdicts(problems, recorded(OUTPUTS / f"{name}.jsonl", problems))
    ]
    told = json.loads((OUTPUTS / f"{name}_eval_results.json").read_text())["eval"]
    known = {task.lower(): row[0]["base_status"] for task, row in told.items()}
    other = {
        one.task: known[one.task.lower()]
        for one in found
        if one.passed != (known[one.task.lower()] == "pass")
    }
    return sum(one.passed for one in found), other


@pytest.mark.slow
@pytest.mark.skipif(not OUTPUTS.is_dir(), reason="the recorded answers are not there")
def test_the_recorded_answers_have_the_verdicts_that_evalplus_recorded() -> None:
    name = "evalplus-starcoder2-15b-instruct-v0.1"
    assert agreement("humaneval", DATA / "HumanEval.jsonl.gz", f"{name}-humaneval") == (119, {})
    passed, other = agreement("mbpp", DATA / "sanitized-mbpp.json", f"{name}-mbpp")
    assert passed == 294
    # EvalPlus has other tests for these; docs/evaluating.md says which.
    failed_there = [f"MBPP/{number}" for number in (3, 117, 312, 396, 780)]
    passed_there = [
        f"MBPP/{number}" for number in (87, 143, 164, 229, 249, 295, 400, 431, 442, 461, 574)
    ]
    assert other == dict.fromkeys(failed_there, "fail") | dict.fromkeys(passed_there, "pass")


# --- what it is worth ---


@given(st.integers(1, 7), st.data())
def test_pass_at_k_is_the_share_of_choices_of_k_with_one_that_passes(
    written: int, data: st.DataObject
) -> None:
    passed, k = data.draw(st.integers(0, written)), data.draw(st.integers(1, written))
    choices = list(combinations([True] * passed + [False] * (written - passed), k))
    assert math.isclose(pass_at(k, written, passed), sum(map(any, choices)) / len(choices))


def test_only_those_k_are_told_for_which_every_problem_has_enough_answers() -> None:
    said = [Verdict("a", number, "passed" if number < 3 else "timed out") for number in range(10)]
    one = Evaluation(
        "mbpp",
        "",
        "",
        Sampling(),
        (*said, *(Verdict("b", n, "AssertionError: x") for n in range(10))),
        2,
    )
    assert one.pass_at() == pytest.approx({1: 0.15, 10: 0.5})
    assert one.failed() == {"AssertionError": 10, "timed out": 7}
    assert Evaluation(
        "mbpp", "", "", Sampling(), (*said, Verdict("b", 0, "passed")), 2
    ).pass_at() == pytest.approx({1: 0.65})
    assert Evaluation("mbpp", "", "", Sampling(), (), 2).pass_at() == {}
