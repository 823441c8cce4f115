"""`ask`: one question, one answer."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from support.errors import told
from support.servers import FakeOllama, closed_port

import pytest_starcoder
from pytest_starcoder.errors import BackendUnavailable, UnknownModel, UnreadableAnswer, Untrusted
from pytest_starcoder.model.ask import ask


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, and the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_is_public() -> None:
    assert pytest_starcoder.ask is ask


def test_the_answer_is_the_models_to_the_letter(ollama_double: FakeOllama) -> None:
    ollama_double.answer = "  return sum(xs) / len(xs)\n"
    assert ask("def mean(xs):\n") == "  return sum(xs) / len(xs)\n"


def test_the_prompt_is_posted_as_it_is_with_the_defaults(ollama_double: FakeOllama) -> None:
    ask("def mean(xs):\n\t# naïve 日本\n")
    (request,) = ollama_double.asked()
    assert request.body["model"] == "starcoder2:7b"
    assert request.body["prompt"] == "def mean(xs):\n\t# naïve 日本\n"
    assert request.body["raw"] is True
    assert request.body["options"]["temperature"] == 0.2
    assert request.body["options"]["num_predict"] == 500
    assert request.body["options"]["stop"] == []


def test_a_sentinel_in_the_prompt_is_made_text(ollama_double: FakeOllama) -> None:
    ask("a <file_sep> b <|endoftext|>")
    assert ollama_double.prompts() == ["a < file_sep> b < |endoftext|>"]


def test_a_model_that_is_named_wins_over_the_settings(
    ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARCODER_MODEL", "starcoder2:15b")
    ollama_double.model = "starcoder2:3b"
    assert ask("a", model="starcoder2:3b") == ollama_double.answer


def test_the_default_model_wins_too_where_it_is_named(
    ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARCODER_MODEL", "starcoder2:15b")
    assert ask("a", model="starcoder2:7b") == ollama_double.answer
    assert inspect.signature(ask).parameters["model"].default == "starcoder2:7b"


@pytest.mark.parametrize("prompt", [5, b"", None])
def test_what_is_no_text_is_not_asked(prompt: object, ollama_double: FakeOllama) -> None:
    with pytest.raises(TypeError, match=f"ask needs a text, not {type(prompt).__name__}"):
        ask(prompt)  # type: ignore[arg-type]


def test_settings_hold_where_no_model_is_named(
    ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARCODER_MODEL", "starcoder2:3b")
    monkeypatch.setenv("STARCODER_MAX_TOKENS", "7")
    monkeypatch.setenv("STARCODER_TEMPERATURE", "0")
    ollama_double.model = "starcoder2:3b"
    ask("a")
    (request,) = ollama_double.asked()
    assert request.body["options"]["num_predict"] == 7
    assert request.body["options"]["temperature"] == 0


def test_a_model_that_is_named_is_the_users_choice_and_may_be_remote(
    ollama_double: FakeOllama, project: Path
) -> None:
    (project / "pyproject.toml").write_text('[tool.starcoder]\nmodel = "other"\n')
    ollama_double.model = "other:latest"
    ollama_double.tags = {"remote_host": "https://ollama.com"}
    with pytest.raises(Untrusted):
        ask("a")
    ollama_double.model = "mine:latest"
    assert ask("a", model="mine") == ollama_double.answer


def test_a_question_asked_twice_is_asked_once(ollama_double: FakeOllama) -> None:
    assert ask("a") == ask("a")
    assert len(ollama_double.asked()) == 1


@pytest.mark.parametrize("answer", ["", " ", "\n\n\t "])
def test_an_empty_answer_is_an_error(ollama_double: FakeOllama, answer: str) -> None:
    ollama_double.answer = answer
    with told(
        UnreadableAnswer,
        "starcoder2:7b answered with nothing.",
        "Ask in other words: a base model continues a text.",
    ):
        ask("a")


def test_a_server_that_is_away_is_an_error_with_a_next_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = closed_port()
    monkeypatch.setenv("OLLAMA_HOST", url)
    with told(
        BackendUnavailable,
        f"Nothing answers at {url}.",
        "Start Ollama with `ollama serve`, set OLLAMA_HOST to where it runs, "
        "or set STARCODER_MODEL to a .gguf file and do without a server.",
    ):
        ask("a")


def test_a_model_that_is_not_there_is_an_error_with_a_next_step(ollama_double: FakeOllama) -> None:
    message = f"Ollama at {ollama_double.url} has no model 'starcoder2:3b'."
    with told(UnknownModel, message, "Fetch it with `ollama pull starcoder2:3b`."):
        ask("a", model="starcoder2:3b")


def test_a_model_file_needs_no_server(tiny_model: Path) -> None:
    assert ask("def mean(xs):", model=str(tiny_model))
