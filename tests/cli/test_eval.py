"""`starcoder eval`: requests, output and files, wrong options, interruption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.servers import FakeOllama

from pytest_starcoder.cli import main
from pytest_starcoder.evaluate.report import published_results

PROBLEMS = [
    {
        "task_id": f"HumanEval/{number}",
        "prompt": f'def add_{number}(a, b):\n    """The sum."""\n',
        "test": f"def check(candidate):\n    assert candidate(1, {number}) == {1 + number}",
        "entry_point": f"add_{number}",
    }
    for number in range(2)
]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "HumanEval.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PROBLEMS))
    return str(path)


def half_right(prompt: str) -> str:
    return "\n    return a + b\n" if "add_0" in prompt else "\n    return a - b\n"


def test_every_report_form(
    data: str, tmp_path: Path, ollama_double: FakeOllama, capsys: pytest.CaptureFixture[str]
) -> None:
    ollama_double.answer = half_right
    arguments = ["eval", "humaneval", "--data", data, "--report", "r.json", "--report", "r.md"]
    assert main(arguments) == 0
    screen = capsys.readouterr()
    head, *rest = screen.out.splitlines()
    assert head == "HumanEval: starcoder2:7b on Ollama"
    assert rest[:4] == [
        "  score     pass@1 50.0 %",
        "  problems  2 of 2, 1 solved, 1 answer each",
        "  sampling  temperature 0.2, top-p 0.95, seeds from 1, prompt and answer at most 512 "
        "tokens, bare prompt",
        "  failed    1 AssertionError",
    ]
    assert rest[4].startswith("  time      0 s asking, ")
    assert "asking starcoder2:7b [....................] 0/2\n" in screen.err
    assert "running the answers [####################] 2/2" in screen.err
    told = json.loads((tmp_path / "r.json").read_text())
    assert (told["pass_at"], told["problems"], told["of"]) == ({"1": 0.5}, 2, 2)
    assert [one["said"] for one in told["verdicts"]] == ["passed", "AssertionError"]
    text = (tmp_path / "r.md").read_text()
    assert "| StarCoder | 33.6 | 52.7 |\n" in text
    assert "| starcoder2:7b \\(measured here\\) | 50.0 |  |\n" in text.replace("&#58;", ":")
    asked = len(ollama_double.asked())
    assert main(arguments) == 0
    assert len(ollama_double.asked()) == asked, "the answers are there"


def test_more_answers_are_added(
    data: str, ollama_double: FakeOllama, capsys: pytest.CaptureFixture[str]
) -> None:
    ollama_double.answer = half_right
    for samples in ("1", "3"):
        assert (
            main(["eval", "humaneval", "--data", data, "--limit", "1", "--samples", samples]) == 0
        )
    assert [request.body["options"]["seed"] for request in ollama_double.asked()] == [1, 2, 3]
    assert "  problems  1 of 2, 1 solved, 3 answers each\n" in capsys.readouterr().out


def test_sampling_kinds_stay_apart(
    data: str, ollama_double: FakeOllama, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["eval", "humaneval", "--data", data, "--limit", "1", "--greedy", "--prompted"]) == 0
    )
    shown = (
        "  sampling  greedy, prompt and answer at most 512 tokens, bare prompt, "
        "with the StarCoder prefix\n"
    )
    assert shown in capsys.readouterr().out
    [request] = ollama_double.asked()
    assert request.body["options"]["temperature"] == 0
    assert request.body["prompt"].startswith(
        "<file_sep>solutions/solution_1.py\n# Here is the correct"
    )
    assert main(["eval", "humaneval", "--data", data]) == 2
    assert (
        "has answers of another evaluation: temperature and prefix differ."
        in capsys.readouterr().err
    )


def test_instruct_model(
    data: str,
    tmp_path: Path,
    ollama_double: FakeOllama,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def answer(prompt: str) -> str:
        assert prompt.startswith("Please provide a self-contained Python script")
        code = prompt.partition("```python\n")[2].partition("\n```")[0]
        return f"```python\n{code}{half_right(prompt)}```\n\nThis adds the two numbers."

    ollama_double.model, ollama_double.architecture = "qwen2.5-coder:1.5b-instruct", "qwen2"
    ollama_double.answer = answer
    monkeypatch.setenv("STARCODER_MODEL", ollama_double.model)
    arguments = ["eval", "humaneval", "--data", data, "--greedy", "--report", "r.json"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[1:4] == [
        "  score     pass@1 50.0 %",
        "  problems  2 of 2, 1 solved, 1 answer each",
        "  sampling  greedy, prompt and answer at most 1280 tokens, prompt in a chat message",
    ]
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["sampling"]["form"] == "chat"


def test_recorded_answers_without_model(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STARCODER_BACKEND", "none")
    (tmp_path / "a.jsonl").write_text(
        '{"task_id": "HumanEval/1", "completion": "\\n    return a + b"}\n'
    )
    assert main(["eval", "humaneval", "--data", data, "--completions", "a.jsonl"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(
        "HumanEval: recorded answers\n  score     pass@1 100.0 %\n  problems  1 of 2, 1 solved, 1 "
        "answer each\n"
        "  time      "
    )


def test_interrupt_keeps_answers(
    data: str, tmp_path: Path, ollama_double: FakeOllama, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(prompt: str) -> str:
        return half_right(prompt)

    ollama_double.answer = answer
    with pytest.MonkeyPatch.context() as patch:
        from pytest_starcoder.report.progress import Progress

        def interrupt(_self: Progress) -> None:
            raise KeyboardInterrupt

        patch.setattr(Progress, "step", interrupt)
        assert main(["eval", "humaneval", "--data", data, "--output", "kept.jsonl"]) == 130
    assert capsys.readouterr().err.endswith(
        "The answers so far are in kept.jsonl; run the same command again to continue.\nstarcoder: "
        "interrupted.\n"
    )
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == 2
    assert main(["eval", "humaneval", "--data", data, "--output", "kept.jsonl"]) == 0
    assert len(ollama_double.asked()) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--greedy", "--samples", "2"],
            "--greedy has one answer and no temperature. Leave --samples and --temperature out.",
        ),
        (["--temperature", "3"], "--temperature is 3. Give one from 0 to 2."),
        (
            ["--temperature", "0", "--samples", "2"],
            "A temperature of 0 gives the same answer each time. Leave --samples out.",
        ),
        (
            ["--report", "r.html"],
            "A report cannot be written as r.html. Use the suffix .json or .md.",
        ),
        (
            ["--report", "away/r.md"],
            "There is no folder {folder}/away. Create it, or name another file.",
        ),
        (
            ["--plot", "p.gif"],
            "A picture cannot be drawn as p.gif. Use one of the suffixes .svg, .png, .pdf.",
        ),
    ],
)
def test_early_errors(
    data: str,
    tmp_path: Path,
    ollama_double: FakeOllama,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    assert main(["eval", "humaneval", "--data", data, *options]) == 2
    assert capsys.readouterr().err == f"starcoder: {said.format(folder=tmp_path)}\n"
    assert not ollama_double.requests


@pytest.mark.parametrize("wrong", [["--samples", "0"], ["--limit", "x"], ["--data"], []])
def test_mistyped_option(data: str, capsys: pytest.CaptureFixture[str], wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(
            [
                "eval",
                "humaneval",
                *(["--data", data] if "--data" not in wrong and wrong else []),
                *wrong,
            ]
        )
    assert raised.value.code == 2
    assert "usage: starcoder eval {humaneval,mbpp} --data PATH" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--limit", "--samples"])
@pytest.mark.parametrize("value", ["x", "0", "1.5"])
def test_count_options(
    data: str, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["eval", "humaneval", "--data", data, option, value])
    message = f"argument {option}: must be a whole number above 0, not {value!r}\n"
    assert capsys.readouterr().err.endswith(message)


def test_message_without_model(
    data: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STARCODER_BACKEND", "none")
    assert main(["eval", "humaneval", "--data", data]) == 1
    assert capsys.readouterr().err.startswith(
        "starcoder: The backend is set to none. Set backend to auto"
    )


@pytest.mark.slow
def test_picture_rows(data: str, tmp_path: Path, ollama_double: FakeOllama) -> None:
    ollama_double.answer = half_right
    assert main(["eval", "humaneval", "--data", data, "--plot", "p.svg"]) == 0
    text = (tmp_path / "p.svg").read_text()
    for name in (*published_results().rows, "starcoder2:7b (measured here)"):
        assert f">{name}<" in text
