"""Answers of a model, saved as they come, and recorded answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.problems import ADD, write_rows
from support.servers import FakeOllama

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.pass_at_k import Problem, Sample, Sampling
from pytest_starcoder.evaluate.problems import HUMANEVAL_STOPS, read_problems
from pytest_starcoder.evaluate.samples import (
    SampleFile,
    collect_samples,
    read_recorded_samples,
)
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Model
from pytest_starcoder.settings import Settings

MODEL = Model("starcoder2:7b", "d1", "starcoder2", 16384)


def client_of(double: FakeOllama) -> Client:
    return Client.from_settings(
        Settings(backend="ollama", host=double.url, model=double.model, cache="off")
    )


def test_sampling(tmp_path: Path, ollama_double: FakeOllama) -> None:
    ollama_double.answer = "\n    return a + b\n\ndef other(): ..."
    problems = read_problems("humaneval", write_rows(tmp_path / "h.jsonl", ADD))
    with client_of(ollama_double) as client:
        file = SampleFile(
            tmp_path / "answers.jsonl", "humaneval", client.model(), Sampling(samples=2)
        )
        samples = collect_samples(client, problems, file)
    assert [(sample.number, sample.answer) for sample in samples] == [
        (0, "\n    return a + b\n"),
        (1, "\n    return a + b\n"),
    ]
    options = [request.body["options"] for request in ollama_double.asked()]
    assert [option["seed"] for option in options] == [1, 2]
    for option in options:
        assert (option["temperature"], option["top_p"], option["top_k"]) == (0.2, 0.95, 0)
    assert ollama_double.prompts() == ['def add(a, b):\n    """The sum."""'] * 2
    assert set(options[0]["stop"]) == set(HUMANEVAL_STOPS)
    assert 480 < options[0]["num_predict"] < 512


def test_answers_of_instruct_model(tmp_path: Path, ollama_double: FakeOllama) -> None:
    ollama_double.model = "qwen2.5-coder:1.5b-instruct"
    code = "def add(a, b):\n    return a + b"
    ollama_double.answer = f"Sure:\n\n```python\n{code}\n```\n\nIt adds the two."
    problems = read_problems("humaneval", write_rows(tmp_path / "h.jsonl", ADD))
    sampling = Sampling(form="chat", window=1280)
    with client_of(ollama_double) as client:
        file = SampleFile(tmp_path / "answers.jsonl", "humaneval", client.model(), sampling)
        [sample] = collect_samples(client, problems, file)
    assert (sample.answer, sample.whole) == (code, True)
    [request] = ollama_double.asked()
    assert "raw" not in request.body
    assert request.body["options"]["num_predict"] > 1000


def test_answers_of_earlier_version(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    SampleFile(path, "mbpp", MODEL, Sampling()).add(Sample("t/0", 0, ""))
    path.write_text(path.read_text().replace(', "form": "continuation"', ""))
    assert SampleFile(path, "mbpp", MODEL, Sampling()).samples == [Sample("t/0", 0, "")]
    with pytest.raises(ConfigError, match="form differ"):
        SampleFile(path, "mbpp", MODEL, Sampling(form="chat"))


def test_continued_run(tmp_path: Path, ollama_double: FakeOllama) -> None:
    problems = [Problem(f"t/{number}", f"# {number}\n", "", ()) for number in range(4)]
    path = tmp_path / "answers.jsonl"
    with client_of(ollama_double) as client:
        model = client.model()
        collect_samples(client, problems[:2], SampleFile(path, "mbpp", model, Sampling()))
        path.write_bytes(path.read_bytes()[:-5])  # killed while it wrote the second
        new: list[Sample] = []
        file = SampleFile(path, "mbpp", model, Sampling())
        samples = collect_samples(client, problems, file, new.append)
        assert [sample.task for sample in new] == ["t/1", "t/2", "t/3"]
        file = SampleFile(path, "mbpp", model, Sampling())
        assert collect_samples(client, problems, file, new.append) == samples
    assert len(new) == 3
    assert len(path.read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("sampling", "model", "differs"),
    [
        (Sampling(temperature=0.8), MODEL, "temperature"),
        (Sampling(form="chat"), MODEL, "form"),
        (Sampling(prefix="# p\n"), Model("other", "d2", "", 4096), "model and digest and prefix"),
    ],
)
def test_other_evaluation(tmp_path: Path, sampling: Sampling, model: Model, differs: str) -> None:
    path = tmp_path / "answers.jsonl"
    SampleFile(path, "mbpp", MODEL, Sampling()).add(Sample("t/0", 0, ""))
    assert SampleFile(path, "mbpp", MODEL, Sampling(samples=9)).samples == [Sample("t/0", 0, "")]
    with pytest.raises(ConfigError) as raised:
        SampleFile(path, "mbpp", model, sampling)
    assert str(raised.value) == (
        f"{path} has answers of another evaluation: {differs} differ. "
        "Name another file with --output, or delete this one."
    )


@pytest.mark.parametrize("content", ["no newline", "[1]\n", "{}\n{}\n", "x\n"])
def test_other_kind_of_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)
    with pytest.raises(ConfigError, match="is not a file of answers"):
        SampleFile(path, "mbpp", MODEL, Sampling())
    assert path.read_text() == content


def test_missing_folder(tmp_path: Path) -> None:
    path = tmp_path / "away" / "answers.jsonl"
    with pytest.raises(ConfigError) as raised:
        SampleFile(path, "mbpp", MODEL, Sampling()).add(Sample("t/0", 0, ""))
    assert str(raised.value) == (
        f"The answers cannot be written to {path}: No such file or directory. "
        "Name another file with --output."
    )


def test_recorded_samples(tmp_path: Path) -> None:
    problems = read_problems("humaneval", write_rows(tmp_path / "h.jsonl", ADD))
    answers = write_rows(
        tmp_path / "a.jsonl",
        {"task_id": "HumanEval/0", "completion": "\n    return a + b"},
        {"task_id": "humaneval/0", "solution": "add = sum"},
        {"task_id": "HumanEval/99", "completion": ""},
    )
    assert read_recorded_samples(answers, problems) == [
        Sample("HumanEval/0", 0, "\n    return a + b"),
        Sample("HumanEval/0", 1, "add = sum", whole=True),
    ]


def test_recorded_samples_with_numbers(tmp_path: Path) -> None:
    answers = write_rows(tmp_path / "a.jsonl", {"task_id": 11, "completion": "x"})
    problem = Problem("MBPP/11", "", "", ())
    assert read_recorded_samples(answers, [problem]) == [Sample("MBPP/11", 0, "x")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"task_id": 1},
            ": entry 1 has no task_id with a completion or a solution. "
            "Give one JSON object per line, as EvalPlus writes them.",
        ),
        (
            {"task_id": "X/1", "completion": ""},
            " has no answer to any of the problems. Do the two files belong together?",
        ),
    ],
)
def test_no_recorded_samples(tmp_path: Path, row: object, message: str) -> None:
    path = write_rows(tmp_path / "a.jsonl", row)
    with pytest.raises(ConfigError) as raised:
        read_recorded_samples(path, [Problem("HumanEval/0", "", "", ())])
    assert str(raised.value) == f"{path}{message}"
