"""The ends of answers: every form of every family, on every kind of server, by each rule.

| rule          | llama.cpp                 | Ollama up to 0.24 | Ollama from 0.30     |
| ------------- | ------------------------- | ----------------- | -------------------- |
| text          | ends                      | ends              | ends                 |
| stop token    | ends, being preserved     | ends, being text  | does not             |
| limit         | ends                      | ends              | ends                 |

A model that answers one token for ever shows the stops that are that token, or a
repetition of it; its vocabulary is StarCoder2's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.real import create_in_ollama, running_llamacpp
from support.tiny_model import write_tiny_model

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.model.backends import Backend
from pytest_starcoder.model.backends.llamacpp import LlamaCpp
from pytest_starcoder.model.backends.ollama import Ollama
from pytest_starcoder.model.prompt import Completion, Prompt
from pytest_starcoder.model.prompts import FORMS, render
from pytest_starcoder.model.special_tokens import STARCODER2
from pytest_starcoder.settings import Settings

LIMIT = 12

by_form = pytest.mark.parametrize("form", FORMS, ids="-".join)
CONTROL = [
    (form, token)
    for form, shape in FORMS.items()
    for token in dict.fromkeys(shape.stop_tokens[:1] + shape.stop_tokens[-1:])
    if token in STARCODER2
]
REPEATED = [
    (form, stop)
    for form, shape in FORMS.items()
    for stop in shape.stop
    if stop == stop[0] * len(stop)
]
PARTS = dict.fromkeys(
    (
        "title case question request file language opening name code repository path before "
        "after instruction "
        "base hunk until numbered line source gaps conftest fixtures"
    ).split(),
    "a",
)


@pytest.fixture(params=["ollama", "llamacpp"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Answering:
    """Backends of one kind, each with a model that answers nothing but one token; made once."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request = request
        self._folder = folder
        self._made: dict[tuple[str, str], Backend] = {}
        self.stack = contextlib.ExitStack()

    def with_token(self, kind: str, token: str) -> Backend:
        if (kind, token) not in self._made:
            file = write_tiny_model(self._folder / f"{len(self._made)}.gguf", always=token)
            self._made[kind, token] = (
                self._ollama(file) if kind == "ollama" else self._llamacpp(file)
            )
        return self._made[kind, token]

    def _ollama(self, file: Path) -> Backend:
        url = self._request.getfixturevalue("real_ollama")
        model = create_in_ollama(url, f"always-{file.stem}", file)
        backend = Ollama(Settings(backend="ollama", host=url, model=model, temperature=0))
        self.stack.callback(backend.close)
        return backend

    def _llamacpp(self, file: Path) -> Backend:
        server = self.stack.enter_context(running_llamacpp(file))
        backend = LlamaCpp(server.url, Settings(temperature=0), server.key)
        self.stack.callback(backend.close)
        return backend


@pytest.fixture(scope="module")
def answering(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Answering]:
    answering = Answering(request, tmp_path_factory.mktemp("models"))
    with answering.stack:
        yield answering


def complete(backend: Backend, prompt: Prompt) -> Completion:
    deadline = Deadline.after(60)
    model = backend.inspect(backend.identify(deadline), deadline)
    return backend.complete(replace(prompt, max_tokens=LIMIT), model, deadline, lambda _piece: None)


def prompt(form: tuple[str, str]) -> Prompt:
    return render(*form, **PARTS)


def stop_id(value: str | tuple[str, ...]) -> str:
    return "-".join(value) if isinstance(value, tuple) else value.replace("\n", "newline ").strip()


@pytest.mark.parametrize(("form", "stop"), REPEATED, ids=stop_id)
def test_stop_text(kind: str, form: tuple[str, str], stop: str, answering: Answering) -> None:
    """A model that repeats line breaks or number signs is stopped at the second or third."""
    completion = complete(answering.with_token(kind, stop[0].replace("\n", "Ċ")), prompt(form))
    assert (completion.text, completion.truncated) == ("", False)
    assert completion.completion_tokens <= len(stop)


@pytest.mark.slow
@pytest.mark.parametrize(("form", "token"), CONTROL, ids=stop_id)
def test_stop_token_if_supported(
    kind: str, form: tuple[str, str], token: str, answering: Answering
) -> None:
    backend = answering.with_token(kind, token)
    completion = complete(backend, prompt(form))
    version = backend.version(Deadline.after(10))
    if (
        kind == "ollama"
        and token != "<|endoftext|>"
        and tuple(map(int, version.split(".")[:2])) >= (0, 30)
    ):
        assert completion.truncated
    else:
        assert (completion.text, completion.truncated) == ("", False)


@pytest.mark.slow
@by_form
def test_token_limit(kind: str, form: tuple[str, str], answering: Answering) -> None:
    completion = complete(answering.with_token(kind, "def"), prompt(form))
    assert completion.text == "def" * LIMIT
    assert completion.truncated
