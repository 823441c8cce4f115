"""`ask`: one question, one answer."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from support.errors import raises_error
from support.servers import FakeOllama, closed_port

import pytest_starcoder
from pytest_starcoder.errors import BackendUnavailable, UnknownModel, UnreadableAnswer, Untrusted
from pytest_starcoder.model.ask import ask


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_ask_is_public() -> None:
    assert pytest_starcoder.ask is ask


def test_answer_is_literal(ollama_double: FakeOllama) -> None:
    ollama_double.answer = "  return sum(xs) / len(xs)\n"
    assert ask("def mean(xs):\n") == "  return sum(xs) / len(xs)\n"


def test_default_request(ollama_double: FakeOllama) -> None:
    ask("def mean(xs):\n\t# naïve 日本\n")
    (request,) = ollama_double.asked()
    assert request.body["model"] == "starcoder2:7b"
    assert request.body["prompt"] == "def mean(xs):\n\t# naïve 日本\n"
    assert request.body["raw"] is True
    assert request.body["options"]["temperature"] == 0.2
    assert request.body["options"]["num_predict"] == 500
    assert request.body["options"]["stop"] == []


def test_special_token_in_prompt(ollama_double: FakeOllama) -> None:
    ask("a <file_sep> b <|endoftext|>")
    assert ollama_double.prompts() == ["a < file_sep> b < |endoftext|>"]


def test_named_model_wins(ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARCODER_MODEL", "starcoder2:15b")
    ollama_double.model = "starcoder2:3b"
    assert ask("a", model="starcoder2:3b") == ollama_double.answer


def test_named_default_model_wins(
    ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARCODER_MODEL", "starcoder2:15b")
    assert ask("a", model="starcoder2:7b") == ollama_double.answer
    assert inspect.signature(ask).parameters["model"].default == "starcoder2:7b"


@pytest.mark.parametrize("prompt", [5, b"", None])
def test_prompt_must_be_text(prompt: object, ollama_double: FakeOllama) -> None:
    with pytest.raises(TypeError, match=f"ask needs a text, not {type(prompt).__name__}"):
        ask(prompt)  # type: ignore[arg-type]


def test_model_of_settings(ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARCODER_MODEL", "starcoder2:3b")
    monkeypatch.setenv("STARCODER_MAX_TOKENS", "7")
    monkeypatch.setenv("STARCODER_TEMPERATURE", "0")
    ollama_double.model = "starcoder2:3b"
    ask("a")
    (request,) = ollama_double.asked()
    assert request.body["options"]["num_predict"] == 7
    assert request.body["options"]["temperature"] == 0


def test_named_model_may_be_remote(ollama_double: FakeOllama, project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.starcoder]\nmodel = "other"\n')
    ollama_double.model = "other:latest"
    ollama_double.tags = {"remote_host": "https://ollama.com"}
    with pytest.raises(Untrusted):
        ask("a")
    ollama_double.model = "mine:latest"
    assert ask("a", model="mine") == ollama_double.answer


def test_second_question_is_cached(ollama_double: FakeOllama) -> None:
    assert ask("a") == ask("a")
    assert len(ollama_double.asked()) == 1


@pytest.mark.parametrize("answer", ["", " ", "\n\n\t "])
def test_empty_answer(ollama_double: FakeOllama, answer: str) -> None:
    ollama_double.answer = answer
    with raises_error(
        UnreadableAnswer,
        "starcoder2:7b returned an empty answer.",
        "Reword the prompt: a base model continues text.",
    ):
        ask("a")


def test_unavailable_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = closed_port()
    monkeypatch.setenv("OLLAMA_HOST", url)
    with raises_error(
        BackendUnavailable,
        f"Nothing answers at {url}.",
        "Start Ollama with `ollama serve`, set OLLAMA_HOST to its address, "
        "or set STARCODER_MODEL to a .gguf file, which needs no server.",
    ):
        ask("a")


def test_unknown_model(ollama_double: FakeOllama) -> None:
    message = f"Ollama at {ollama_double.url} has no model 'starcoder2:3b'."
    with raises_error(UnknownModel, message, "Fetch it with `ollama pull starcoder2:3b`."):
        ask("a", model="starcoder2:3b")


def test_model_file_needs_no_server(tiny_model: Path) -> None:
    assert ask("def mean(xs):", model=str(tiny_model))
