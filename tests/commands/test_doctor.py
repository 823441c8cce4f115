"""`starcoder doctor`: which model would be asked and why, whether it answers, and what to do next."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.real import RealServer
from support.servers import FakeOllama, closed_port

from pytest_starcoder.commands import main


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def doctor(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    """Exit status and output, times and speeds replaced."""
    status = main(["doctor", *options])
    screen = capsys.readouterr()
    assert screen.err == ""
    return status, re.sub(r"\d+\.\d+ (s|a second)", r"N \1", screen.out).splitlines()


def test_a_server_that_works(capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path) -> None:
    ollama_double.answer = "\n    return n if n < 2 else fibonacci(n - 1)"
    assert doctor(capsys) == (
        0,
        [
            f"project             {project}",
            "model               starcoder2:7b   (default)",
            f"host                {ollama_double.url}   (OLLAMA_HOST)",
            f"asks                Ollama at {ollama_double.url}   "
            "(backend is auto: Ollama, unless the model is a file)",
            "version             0.24.0",
            "model               starcoder2:7b, there; prompts in the form of the family starcoder2",
            "window              16384 tokens",
            "test                asked to continue 'def fibonacci(n):'; a model that is not loaded yet takes its time",
            "answer              return n if n < 2 else fibonacci(n - 1)",
            "speed               14 tokens in N s, N a second, loading included",
            "next                It works: run `pytest --starcoder-explain` in your project.",
        ],
    )


def test_a_real_llamacpp(capsys: pytest.CaptureFixture[str], llamacpp: RealServer) -> None:
    options = (
        "--starcoder-backend=llamacpp",
        f"--starcoder-host={llamacpp.url}",
        f"--starcoder-api-key={llamacpp.key}",
    )
    status, lines = doctor(capsys, *options)
    assert status == 0
    assert lines[1:6] == [
        "backend             llamacpp   (--starcoder-backend)",
        "model               starcoder2:7b   (default)",
        f"host                {llamacpp.url}   (--starcoder-host)",
        "api_key             (set, not shown)   (--starcoder-api-key)",
        f"asks                llama.cpp at {llamacpp.url}   (backend is llamacpp: --starcoder-backend)",
    ]
    assert lines[7] == ("model               tiny-starcoder2.gguf, there; prompts in the form of the family starcoder2")
    assert lines[8] == "window              4096 tokens"
    assert lines[-1] == "next                It works: run `pytest --starcoder-explain` in your project."
    assert not [line for line in lines if llamacpp.key in line]


def test_the_embedded_engine(capsys: pytest.CaptureFixture[str], tiny_model: Path) -> None:
    status, lines = doctor(capsys, f"--starcoder-model={tiny_model}")
    assert status == 0
    assert (
        f"asks                the embedded llama.cpp at {tiny_model}   (backend is auto, and the model is a file)"
        in (lines)
    )


def test_a_closed_port(capsys: pytest.CaptureFixture[str], project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = closed_port()
    monkeypatch.setenv("OLLAMA_HOST", url)
    assert doctor(capsys) == (
        1,
        [
            f"project             {project}",
            "model               starcoder2:7b   (default)",
            f"host                {url}   (OLLAMA_HOST)",
            f"asks                Ollama at {url}   (backend is auto: Ollama, unless the model is a file)",
            f"problem             Nothing answers at {url}.",
            "next                Start Ollama with `ollama serve`, set OLLAMA_HOST to where it runs, "
            "or set STARCODER_MODEL to a .gguf file and do without a server.",
        ],
    )


def test_a_model_that_the_server_does_not_have(capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama) -> None:
    status, lines = doctor(capsys, "--starcoder-model=other:1b")
    assert status == 1
    assert lines[-2:] == [
        f"problem             Ollama at {ollama_double.url} has no model 'other:1b'.",
        "next                Fetch it with `ollama pull other:1b`.",
    ]


def test_a_model_that_says_nothing_does_not_work(capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama) -> None:
    ollama_double.answer = ""
    status, lines = doctor(capsys)
    assert status == 1
    assert lines[-2:] == [
        "problem             starcoder2:7b answered with nothing.",
        "next                Choose another model, or update the server.",
    ]


def test_no_backend(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = doctor(capsys, "--starcoder-backend=none")
    assert status == 1
    assert lines[-2:] == [
        "problem             The setting backend is none.",
        "next                Set backend to auto to use Ollama, or to embedded with model=demo or a .gguf file.",
    ]


def test_a_model_file_that_is_not_there_is_a_setting_that_cannot_be_used(
    capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    status, lines = doctor(capsys, "--starcoder-model=gone.gguf")
    assert status == 2
    assert lines[-2:] == [
        f"problem             --starcoder-model: the model file {project / 'gone.gguf'} cannot be read "
        "(No such file or directory).",
        "next                Set model to the path of a .gguf file.",
    ]


def test_a_bad_setting_is_the_whole_output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARCODER_TIMEOUT", "soon")
    assert main(["doctor"]) == 2
    assert capsys.readouterr() == (
        "",
        "starcoder: STARCODER_TIMEOUT: timeout wants a number from 0.1 to 86400 (seconds), not 'soon'. "
        "Mend or remove it.\n",
    )


def test_answers_from_memory_prove_nothing(capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama) -> None:
    doctor(capsys)
    doctor(capsys)
    assert len(ollama_double.asked()) == 2


def test_a_secret_is_never_shown(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARCODER_API_KEY", "sk-very-secret")
    ollama_double.replies["/api/generate"] = (401, {"error": "no"})
    status, lines = doctor(capsys)
    assert status == 1
    assert "api_key             (set, not shown)   (STARCODER_API_KEY)" in lines
    assert "sk-very-secret" not in "\n".join(lines)


def test_escape_sequences_of_a_model_are_not_passed_on(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama
) -> None:
    ollama_double.answer = "\x1b[31m return\x1b]0;title\x07 1"
    _, lines = doctor(capsys)
    assert "answer              return 1" in lines


def test_every_setting_is_an_option_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["doctor", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "--starcoder-first-token-timeout VALUE seconds of silence, loading included" in told
    assert "--starcoder-cache VALUE on, off or a folder" in told


def test_a_cache_that_cannot_be_written_is_said(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, project: Path
) -> None:
    (project / "file").write_text("")
    status, lines = doctor(capsys, f"--starcoder-cache={project / 'file'}")
    assert status == 0
    assert f"cache               {project / 'file'} cannot be written: nothing is remembered" in lines
