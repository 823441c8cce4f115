"""A real Ollama, if one is installed, with a tiny model that has StarCoder2's special tokens."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from support.errors import raises_error
from support.real import create_in_ollama, running_ollama
from support.servers import relay
from support.tiny_model import write_tiny_model

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import PromptTooLong, UnknownModel
from pytest_starcoder.model.backends.ollama import Ollama
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.model.special_tokens import neutralize
from pytest_starcoder.settings import Settings

SPECIAL_TOKENS = "<pr_diff_hunk><pr_comment>def"


@pytest.fixture
def backend(real_ollama: str, ollama_model: str) -> Iterator[Ollama]:
    backend = made(real_ollama, ollama_model)
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def separator_model(real_ollama: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a model that answers nothing but `<file_sep>`."""
    file = write_tiny_model(
        tmp_path_factory.mktemp("models") / "separator.gguf", always="<file_sep>"
    )
    return create_in_ollama(real_ollama, "separator", file)


def made(url: str, model: str) -> Ollama:
    return Ollama(Settings(backend="ollama", host=url, model=model, temperature=0))


def soon() -> Deadline:
    return Deadline.after(60)


def complete(backend: Ollama, prompt: Prompt) -> Completion:
    model = backend.inspect(backend.identify(soon()), soon())
    return backend.complete(prompt, model, soon(), lambda _piece: None)


def test_architecture_and_window(backend: Ollama) -> None:
    digest = backend.identify(soon())
    assert len(digest) == 64
    assert backend.inspect(digest, soon()) == Model("tiny-starcoder2", digest, "starcoder2", 16384)


def test_version(backend: Ollama) -> None:
    assert backend.version(soon()).split(".")[0] == "0"


def test_missing_model(real_ollama: str) -> None:
    backend = made(real_ollama, "starcoder2:7b")
    message = f"Ollama at {real_ollama} has no model 'starcoder2:7b'."
    with raises_error(UnknownModel, message, "Fetch it with `ollama pull starcoder2:7b`."):
        backend.identify(soon())
    with raises_error(UnknownModel, message, "Fetch it with `ollama pull starcoder2:7b`."):
        backend.inspect("d", soon())
    backend.close()


def test_special_tokens_are_single_tokens(backend: Ollama) -> None:
    assert complete(backend, Prompt(SPECIAL_TOKENS, max_tokens=1)).prompt_tokens == 3
    assert complete(backend, Prompt(neutralize(SPECIAL_TOKENS), max_tokens=1)).prompt_tokens > 20


def test_prompt_without_template(backend: Ollama) -> None:
    assert complete(backend, Prompt("a", max_tokens=1)).prompt_tokens == 1


def test_stop_token_up_to_0_24(real_ollama: str, separator_model: str) -> None:
    backend = made(real_ollama, separator_model)
    version = tuple(int(part) for part in backend.version(soon()).split(".")[:2])
    stopped = complete(backend, Prompt("a", max_tokens=20, stop_tokens=("<file_sep>",)))
    endless = complete(backend, Prompt("a", max_tokens=20))
    backend.close()
    assert (endless.completion_tokens, endless.truncated) == (20, True)
    if version <= (0, 24):
        assert (stopped.text, stopped.completion_tokens, stopped.truncated) == ("", 1, False)
    else:
        assert (stopped.completion_tokens, stopped.truncated) == (20, True)


def test_larger_window_is_requested(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_CONTEXT_LENGTH", "512")
    program = shutil.which("ollama")
    if program is None:
        pytest.skip("no `ollama` on PATH")
    with running_ollama(program, tmp_path) as url, relay(url) as seen:
        backend = made(seen.url, create_in_ollama(url, "tiny", tiny_model))
        completion = complete(backend, Prompt("a" * 600, max_tokens=1))
        backend.close()
    assert completion.prompt_tokens == 600
    assert [request.body["options"].get("num_ctx") for request in seen.asked("/api/generate")] == [
        None,
        1024,
    ]


def test_prompt_beyond_the_window(backend: Ollama) -> None:
    with raises_error(
        PromptTooLong,
        "The prompt does not fit the window of 'tiny-starcoder2' on Ollama: "
        "the input length exceeds the context length.",
        "Send less, or start Ollama with a larger OLLAMA_CONTEXT_LENGTH.",
    ):
        complete(backend, Prompt("a " * 10_000, max_tokens=1))


def test_ctrl_c_ends_the_request(real_ollama: str, backend: Ollama) -> None:
    """A server that finishes the answer of 3000 tokens would delay the next one."""

    def interrupt(_piece: str) -> None:
        raise KeyboardInterrupt

    model = backend.inspect(backend.identify(soon()), soon())
    with pytest.raises(KeyboardInterrupt):
        backend.complete(Prompt("a", max_tokens=3000), model, soon(), interrupt)
    started = time.monotonic()
    requests.post(
        f"{real_ollama}/api/generate",
        json={
            "model": "tiny-starcoder2",
            "prompt": "b",
            "raw": True,
            "stream": False,
            "options": {"num_predict": 1},
        },
        timeout=60,
    )
    assert time.monotonic() - started < 2
