"""The contract of backends: every test runs with every kind of server."""

from __future__ import annotations

import gc
import os
import string
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.doubles import FakeHub, FakeRouter, FakeTgi, FakeVllm, running
from support.real import RealServer
from support.recordings import LLAMACPP, OLLAMA, recorded, replayed
from support.servers import FakeOllama

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.model.backends import Backend, make_backend
from pytest_starcoder.model.backends.huggingface import Router
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.model.prompts import model_family
from pytest_starcoder.settings import Settings

TEXT = "def mean(xs):"
SIGNS = "x=[3.14159,-2e-7]!=0x7f;#ü日🙂\t\n" * 10
ANSWER = "because the divisor is one too small: " + string.ascii_letters
CODE = (
    "def mean(xs):\n    return sum(xs) / (len(xs) - 1)\n\n# ключ, naïve, 日本語, 🙂\n<pr_comment>"
)


@dataclass
class Place:
    """A backend, its settings, whether it counts tokens exactly, and a function that makes it."""

    settings: Settings
    exact: bool
    make: Callable[[Settings], Backend] = make_backend

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        backend = self.make(self.settings)
        try:
            yield backend
        finally:
            backend.close()


PLACES = (
    "ollama double",
    "ollama",
    "ollama recorded",
    "llamacpp",
    "llamacpp recorded",
    "embedded",
    "openai llamacpp",
    "openai vllm double",
    "huggingface endpoint double",
    "huggingface router double",
)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with ExitStack() as stack:
        yield stood_up(request, stack)


def stood_up(request: pytest.FixtureRequest, stack: ExitStack) -> Place:
    if request.param == "ollama double":
        fake: FakeOllama = request.getfixturevalue("ollama_double")
        fake.answer = ANSWER
        return Place(Settings(backend="ollama", host=fake.url, temperature=0), exact=False)
    if request.param == "ollama":
        model = request.getfixturevalue("ollama_model")
        url = recorded(request, OLLAMA, request.getfixturevalue("real_ollama"))
        return Place(Settings(backend="ollama", host=url, model=model, temperature=0), exact=False)
    if request.param == "ollama recorded":
        url = replayed(request, OLLAMA)
        return Place(
            Settings(backend="ollama", host=url, model="tiny-starcoder2", temperature=0),
            exact=False,
        )
    if request.param == "llamacpp":
        server: RealServer = request.getfixturevalue("llamacpp")
        url = recorded(request, LLAMACPP, server.url)
        return Place(
            Settings(backend="llamacpp", host=url, api_key=server.key, temperature=0), exact=True
        )
    if request.param == "openai llamacpp":
        server = request.getfixturevalue("llamacpp")
        return Place(
            Settings(backend="openai", host=server.url, api_key=server.key, temperature=0),
            exact=True,
        )
    if request.param == "openai vllm double":
        vllm = stack.enter_context(running(FakeVllm(answer=ANSWER, key="sk-1")))
        return Place(
            Settings(backend="openai", host=vllm.url, api_key="sk-1", temperature=0), exact=True
        )
    if request.param == "huggingface endpoint double":
        tgi = stack.enter_context(running(FakeTgi(answer=ANSWER, key="hf_token")))
        return Place(
            Settings(backend="huggingface", host=tgi.url, hf_token="hf_token", temperature=0),
            exact=False,
        )
    if request.param == "huggingface router double":
        hub, router = (
            stack.enter_context(running(FakeHub())),
            stack.enter_context(running(FakeRouter(answer=ANSWER))),
        )
        settings = Settings(backend="huggingface", model=hub.model, hf_token=hub.key, temperature=0)
        return Place(
            settings, exact=False, make=lambda settings: Router(settings, hub.url, router.url)
        )
    if request.param == "llamacpp recorded":
        return Place(
            Settings(backend="llamacpp", host=replayed(request, LLAMACPP), temperature=0),
            exact=True,
        )
    file: Path = request.getfixturevalue("tiny_model")
    return Place(
        Settings(backend="embedded", model=str(file), temperature=0, threads=1), exact=True
    )


@pytest.fixture
def backend(place: Place) -> Iterator[Backend]:
    with place.backend() as backend:
        yield backend


@pytest.fixture
def model(backend: Backend) -> Model:
    return backend.inspect(backend.identify(soon()), soon())


def soon() -> Deadline:
    return Deadline.after(30)


def complete(backend: Backend, model: Model, prompt: Prompt) -> Completion:
    return backend.complete(prompt, model, soon(), lambda _piece: None)


def test_label_and_place(backend: Backend) -> None:
    assert backend.label
    assert backend.place


def test_digest_is_stable(place: Place, backend: Backend) -> None:
    with place.backend() as another:
        assert (
            backend.identify(soon()) == backend.identify(soon()) == another.identify(soon()) != ""
        )


def test_model_facts(backend: Backend) -> None:
    model = backend.inspect("its digest", soon())
    assert model.name
    assert model.digest == "its digest"
    assert model_family(model) == "starcoder2"
    assert model.window >= 4096


@pytest.mark.parametrize("text", ["a", SIGNS], ids=["letter", "signs"])
def test_count_is_never_too_low(backend: Backend, model: Model, text: str) -> None:
    """Signs and single letters: the vocabulary of the tiny model knows few words."""
    assert (
        backend.count(text, soon())
        >= complete(backend, model, Prompt(text, max_tokens=1)).prompt_tokens
    )


def test_exact_count(place: Place, backend: Backend, model: Model) -> None:
    if not place.exact:
        pytest.skip("this server does not count")
    counted = backend.count(CODE, soon())
    assert counted == complete(backend, model, Prompt(CODE, max_tokens=1)).prompt_tokens
    assert backend.count("", soon()) == 0


def test_pieces_join_to_text(backend: Backend, model: Model) -> None:
    pieces: list[str] = []
    completion = backend.complete(Prompt(TEXT, max_tokens=20), model, soon(), pieces.append)
    assert len(pieces) > 1
    assert "".join(pieces) == completion.text


def test_completion_facts(backend: Backend, model: Model) -> None:
    completion = complete(backend, model, Prompt(TEXT, max_tokens=5))
    assert completion.model == model.name
    assert completion.prompt_tokens > 0
    assert completion.completion_tokens == 5
    assert not completion.from_cache


def test_truncated_answer(backend: Backend, model: Model) -> None:
    completion = complete(backend, model, Prompt(TEXT, max_tokens=2))
    assert completion.truncated
    assert completion.completion_tokens == 2


def test_temperature_0_is_deterministic(backend: Backend, model: Model) -> None:
    prompt = Prompt(TEXT, max_tokens=20)
    assert complete(backend, model, prompt).text == complete(backend, model, prompt).text


def test_stop_text_is_excluded(backend: Backend, model: Model) -> None:
    text = complete(backend, model, Prompt(TEXT, max_tokens=60)).text
    stop = next(char for char in text[1:] if char in string.ascii_letters)
    completion = complete(backend, model, Prompt(TEXT, max_tokens=60, stop=(stop,)))
    assert completion.text == text[: text.index(stop)]
    assert not completion.truncated


def test_lone_surrogate(backend: Backend, model: Model) -> None:
    assert complete(backend, model, Prompt("a \ud800 b", max_tokens=2)).prompt_tokens > 0


def test_version_is_a_text(backend: Backend) -> None:
    assert isinstance(backend.version(soon()), str)


def test_close_leaves_nothing_open(place: Place) -> None:
    with place.backend() as backend:
        model = backend.inspect(backend.identify(soon()), soon())
        complete(backend, model, Prompt("a", max_tokens=1))
        engine = getattr(backend, "_engine", None)
    del backend
    gc.collect()  # an open socket or pipe would warn now, and warnings are errors
    assert "starcoder-deadline" not in {thread.name for thread in threading.enumerate()}
    if engine is not None:
        with pytest.raises(ProcessLookupError):
            os.kill(engine.pid, 0)


def test_close_is_idempotent(place: Place) -> None:
    with place.backend() as backend:
        backend.close()
