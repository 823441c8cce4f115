"""The problems in the published files of the benchmarks."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from support.problems import ADD, TWICE, write_rows

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.pass_at_k import Problem
from pytest_starcoder.evaluate.problems import HUMANEVAL_STOPS, MBPP_STOPS, read_problems


def test_humaneval_problem(
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


def test_mbpp_problem(tmp_path: Path) -> None:
    [problem] = read_problems("mbpp", write_rows(tmp_path / "mbpp.jsonl", TWICE))
    assert problem == Problem(
        "MBPP/11",
        '"""\nWrite a function to double a number.\nassert twice(2) == 4\n"""\n',
        "assert twice(2) == 4\nassert twice(0) == 0",
        MBPP_STOPS,
    )


def test_other_files_of_mbpp(
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
    [problem] = read_problems("mbpp", write_rows(tmp_path / "MbppPlus.jsonl", plus))
    assert problem.prompt == '"""\nWrite it.\nassert f() == 1\n"""\n'
    assert problem.tests == "import math\nassert f() == 1\nassert f() > 0"


def test_test_set_of_mbpp(tmp_path: Path) -> None:
    rows = [TWICE | {"task_id": number} for number in range(1, 975)]
    problems = read_problems("mbpp", write_rows(tmp_path / "mbpp.jsonl", *rows))
    tasks = [problem.task for problem in problems]
    assert (len(tasks), tasks[0], tasks[-1]) == (500, "MBPP/11", "MBPP/510")


PUBLISHED = "Pass the path of the published file."


def error_of(benchmark: str, path: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        read_problems(benchmark, path)
    return str(raised.value).removeprefix(f"{path.parent}/")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("away.jsonl", None, "away.jsonl cannot be read: No such file or directory."),
        (
            "cut.jsonl.gz",
            gzip.compress(b"{}" * 99, mtime=0)[:20],
            "cut.jsonl.gz cannot be read: it is not UTF-8 text, or it is incomplete.",
        ),
        (
            "broken.jsonl",
            b'{"task_id": 1}\n{"task_id": \n',
            "broken.jsonl, line 2: this is not JSON (Expecting value: line 1 column 13 (char 12)).",
        ),
        (
            "deep.jsonl",
            json.dumps(TWICE).encode() + b"\n" + b"[" * 200_000,
            "deep.jsonl, line 2: this is not JSON (it is nested too deeply).",
        ),
        ("odd.jsonl", b"3\n", "odd.jsonl, line 1: this is not an object."),
        ("odd.json", b"[{}, 3]", "odd.json, entry 2: this is not an object."),
    ],
    ids=["missing", "incomplete", "no-json", "deep", "no-object", "no-object-in-list"],
)
def test_unreadable_file(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert error_of("humaneval", tmp_path / name) == f"{message} {PUBLISHED}"


def test_file_of_other_benchmark(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "mbpp.jsonl", TWICE)
    assert error_of("humaneval", path) == (
        "mbpp.jsonl: problem 1 has no prompt and no test and no entry_point, "
        "so it does not belong to HumanEval. "
        "Give HumanEval.jsonl.gz of github.com/openai/human-eval."
    )


def test_file_without_problems(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(ConfigError, match=r"empty\.jsonl has no problems\. Give HumanEval"):
        read_problems("humaneval", tmp_path / "empty.jsonl")


@pytest.mark.parametrize("tests", [[], 5])
def test_wrong_tests(tmp_path: Path, tests: object) -> None:
    path = write_rows(tmp_path / "m.jsonl", {"task_id": 1, "prompt": "f", "test_list": tests})
    assert error_of("mbpp", path) == (
        "m.jsonl: problem 1 is not in the format of MBPP. Give mbpp.jsonl or sanitized-mbpp.json "
        "of github.com/google-research/google-research (mbpp)."
    )
