"""Requests to a llama.cpp server and its answers, mostly with a real one and the tiny model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support.errors import raises_error
from support.real import RealServer, running_llamacpp
from support.servers import FakeOllama, relay
from support.tiny_model import write_tiny_model

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    AccessDenied,
    BadResponse,
    PromptTooLong,
    RateLimited,
    StarcoderError,
)
from pytest_starcoder.model.backends import make_backend
from pytest_starcoder.model.backends.llamacpp import LlamaCpp
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.model.prompts import render
from pytest_starcoder.model.special_tokens import STARCODER2, neutralize
from pytest_starcoder.settings import Settings

MODEL = Model("m", "d", "starcoder2", 4096)
REFUSES_KEY = "Set STARCODER_API_KEY to the key it was started with (--api-key)."


@pytest.fixture
def backend(llamacpp: RealServer) -> Iterator[LlamaCpp]:
    backend = LlamaCpp(llamacpp.url, Settings(temperature=0), llamacpp.key)
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def separator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A real server whose model answers nothing but `<file_sep>`."""
    file = write_tiny_model(
        tmp_path_factory.mktemp("models") / "separator.gguf", always="<file_sep>"
    )
    with running_llamacpp(file) as server:
        yield server


def soon() -> Deadline:
    return Deadline.after(30)


def complete(
    backend: LlamaCpp, prompt: Prompt, on_text: Callable[[str], None] = lambda _piece: None
) -> Completion:
    return backend.complete(prompt, MODEL, soon(), on_text)


# --- a real server -------------------------------------------------------------------------


def test_window_from_props(llamacpp: RealServer, backend: LlamaCpp) -> None:
    props = requests.get(f"{llamacpp.url}/props", headers=_key(llamacpp), timeout=5).json()
    assert (
        backend.inspect("d", soon()).window == props["default_generation_settings"]["n_ctx"] == 4096
    )


def test_window_of_smaller_model(tmp_path: Path) -> None:
    with running_llamacpp(write_tiny_model(tmp_path / "small.gguf", context=512)) as server:
        backend = LlamaCpp(server.url, Settings(), server.key)
        model = backend.inspect("d", soon())
        assert model == Model("small.gguf", "d", "starcoder2", 512, fill="starcoder2")
        backend.close()


def test_identify_takes_one_request(llamacpp: RealServer) -> None:
    with relay(llamacpp.url) as seen:
        backend = LlamaCpp(seen.url, Settings(), llamacpp.key)
        backend.identify(soon())
        backend.close()
    assert [request.path for request in seen.requests] == ["/v1/models"]


def test_digest_depends_on_model(backend: LlamaCpp, separator: RealServer) -> None:
    double_backend = LlamaCpp(separator.url, Settings(), separator.key)
    assert double_backend.identify(soon()) != backend.identify(soon())
    double_backend.close()


@pytest.mark.parametrize("special_token", STARCODER2)
def test_special_tokens_are_single_tokens(backend: LlamaCpp, special_token: str) -> None:
    assert backend.count(special_token, soon()) == 1
    assert backend.count(neutralize(special_token), soon()) > 2


def test_neutralized_code_has_no_special_token(backend: LlamaCpp) -> None:
    rendered = render("starcoder2", "explain", code="", case="MARK = '<pr_comment>'").text
    as_text, as_special_token = (
        complete(backend, Prompt(text, max_tokens=1)).prompt_tokens
        for text in (rendered, rendered.replace("< pr_comment>", "<pr_comment>"))
    )
    assert as_text - as_special_token == len("< pr_comment>") - 1


def test_count_matches_prompt_tokens(backend: LlamaCpp) -> None:
    text = "<issue_start>Title: x\nusername_0: def mean(xs):\n    return 1\n" * 5
    assert complete(backend, Prompt(text, max_tokens=1)).prompt_tokens == backend.count(
        text, soon()
    )


def test_prompt_is_cached_by_server(backend: LlamaCpp) -> None:
    complete(backend, Prompt("the constant part first " * 5, max_tokens=1))
    again = complete(
        backend, Prompt("the constant part first " * 5 + "the case last", max_tokens=1)
    )
    assert again.cached_tokens > 100


def test_stop_token(separator: RealServer) -> None:
    backend = LlamaCpp(separator.url, Settings(), separator.key)
    completion = complete(backend, Prompt("a", max_tokens=20, stop_tokens=("<file_sep>",)))
    backend.close()
    assert (completion.text, completion.completion_tokens, completion.truncated) == ("", 1, False)


def test_stop_token_must_be_preserved(
    separator: RealServer,
) -> None:
    """The reason for `preserved_tokens`, and the day this fails they may go."""
    backend = LlamaCpp(separator.url, Settings(), separator.key)
    completion = complete(backend, Prompt("a", max_tokens=20, stop=("<file_sep>",)))
    backend.close()
    assert (completion.text, completion.completion_tokens, completion.truncated) == ("", 20, True)


@pytest.mark.parametrize("key", ["", "wrong"])
def test_wrong_key(llamacpp: RealServer, key: str) -> None:
    backend = LlamaCpp(llamacpp.url, Settings(), key)
    message = f"llama.cpp at {llamacpp.url} refuses the key (401: Invalid API Key)."
    for ask in (lambda: backend.inspect("d", soon()), lambda: complete(backend, Prompt("a"))):
        with raises_error(AccessDenied, message, REFUSES_KEY):
            ask()
    backend.close()


def test_key_from_settings(llamacpp: RealServer) -> None:
    backend = make_backend(Settings(backend="llamacpp", host=llamacpp.url, api_key=llamacpp.key))
    assert backend.count("a", soon()) == 1
    backend.close()


def test_prompt_that_fills_the_window(
    llamacpp: RealServer,
) -> None:
    room = 4096 - 4
    with (
        relay(llamacpp.url) as seen,
        Client.from_settings(
            Settings(backend="llamacpp", host=seen.url, api_key=llamacpp.key)
        ) as client,
    ):
        completion = client.complete(Prompt("b" * room, max_tokens=4))
        assert completion.prompt_tokens == room
        with raises_error(
            PromptTooLong,
            f"The prompt ({room + 1} characters) and an answer of 4 tokens do not fit the 4096 "
            "tokens of "
            "tiny-starcoder2.gguf.",
            "Send less, or use a model or server with a larger window.",
        ):
            client.complete(Prompt("b" * (room + 1), max_tokens=4))
    assert len(seen.asked("/v1/completions")) == 1


def test_prompt_too_long_for_server(llamacpp: RealServer, backend: LlamaCpp) -> None:
    with raises_error(
        PromptTooLong,
        f"The prompt does not fit the window of the model at {llamacpp.url}: request (5000 "
        "tokens) exceeds the "
        "available context size (4096 tokens), try increasing it.",
        "Send less, or start llama.cpp with a larger --ctx-size.",
    ):
        complete(backend, Prompt("b" * 5000))


def test_schema_is_enforced(backend: LlamaCpp) -> None:
    schema = {"enum": ["aa", "bb"]}
    assert complete(backend, Prompt("x", max_tokens=20, schema=schema)).text in ('"aa"', '"bb"')


def test_ctrl_c_ends_the_request(llamacpp: RealServer, backend: LlamaCpp) -> None:
    def interrupt(_piece: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete(backend, Prompt("a", max_tokens=4000), interrupt)
    started = time.monotonic()
    while any(slot["is_processing"] for slot in _slots(llamacpp)):
        assert time.monotonic() - started < 1, "the server goes on with an answer that nobody reads"
        time.sleep(0.01)


def _slots(server: RealServer) -> list[dict[str, Any]]:
    slots: list[dict[str, Any]] = requests.get(
        f"{server.url}/slots", headers=_key(server), timeout=5
    ).json()
    return slots


def _key(server: RealServer) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.key}"}


# --- what servers may answer besides -------------------------------------------------------


@pytest.fixture
def double_backend(ollama_double: FakeOllama) -> Iterator[LlamaCpp]:
    """A backend at a server that answers what the test puts into `ollama_double.replies`."""
    backend = LlamaCpp(ollama_double.url, Settings())
    yield backend
    backend.close()


@pytest.mark.parametrize(
    "listed", [{}, {"data": []}, {"data": None}, {"data": ["m"]}, {"data": [{}]}]
)
def test_server_without_models(
    ollama_double: FakeOllama, double_backend: LlamaCpp, listed: dict[str, Any]
) -> None:
    ollama_double.replies["/v1/models"] = (200, listed)
    message = f"{ollama_double.url} lists no model."
    with raises_error(BadResponse, message, "Start it with `llama-server -m MODEL.gguf`."):
        double_backend.identify(soon())


def test_window_without_props(ollama_double: FakeOllama, double_backend: LlamaCpp) -> None:
    ollama_double.replies |= {
        "/v1/models": (200, {"data": [{"id": "m.gguf", "meta": {"n_ctx": 2048}}]}),
        "/props": (403, {"error": "closed"}),
        "/tokenize": (200, {"tokens": [1] * 9}),
    }
    assert double_backend.inspect("d", soon()) == Model("m.gguf", "d", "", 2048)


@pytest.mark.parametrize(
    ("path", "template", "chat"),
    [
        ("/models/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", "{{ messages }}", True),
        ("/models/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", "", False),
        ("/models/qwen2.5-coder-1.5b-q4_k_m.gguf", "{{ messages }}", False),
        ("/models/instruct/qwen2.5-coder-1.5b.gguf", "{{ messages }}", False),
    ],
)
def test_chat_from_props(
    ollama_double: FakeOllama, double_backend: LlamaCpp, path: str, template: str, chat: bool
) -> None:
    """The server has an alias for its model, so that its name says nothing."""
    settings = {"n_ctx": 2048}
    ollama_double.replies |= {
        "/v1/models": (200, {"data": [{"id": "mine"}]}),
        "/props": (
            200,
            {
                "model_path": path,
                "chat_template": template,
                "default_generation_settings": settings,
            },
        ),
        "/tokenize": (200, {"tokens": [1] * 9}),
    }
    assert double_backend.inspect("d", soon()) == Model("mine", "d", "", 2048, chat)


def test_unknown_window(ollama_double: FakeOllama, double_backend: LlamaCpp) -> None:
    ollama_double.replies |= {
        "/v1/models": (200, {"data": [{"id": "m.gguf"}]}),
        "/tokenize": (200, {"tokens": [1, 2]}),
    }
    with raises_error(
        BadResponse, f"{ollama_double.url} does not report its window.", "Update llama.cpp."
    ):
        double_backend.inspect("d", soon())


def test_server_that_cannot_count(ollama_double: FakeOllama, double_backend: LlamaCpp) -> None:
    ollama_double.replies["/tokenize"] = (200, {"count": 3})
    message = f"{ollama_double.url} does not count tokens as llama.cpp does."
    with raises_error(BadResponse, message, "Update llama.cpp."):
        double_backend.count("a", soon())


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "hint"),
    [
        (
            503,
            {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
            RateLimited,
            "llama.cpp at {url} is not ready: Loading model.",
            "It may still be loading its model: try again in a moment.",
        ),
        (
            403,
            {"error": {"code": 403, "message": "no"}},
            AccessDenied,
            "llama.cpp at {url} refuses the key (403: no).",
            REFUSES_KEY,
        ),
        (
            500,
            {"error": {"code": 500, "message": "Compute error.", "type": "server_error"}},
            BadResponse,
            "llama.cpp at {url} failed (500: Compute error).",
            "Check its log.",
        ),
        (
            200,
            b'data: {"choices": [{"text": "a"}]}\n\ndata: {"error": {"message": "boom"}}\n\n',
            BadResponse,
            "llama.cpp at {url} failed (boom).",
            "Check its log.",
        ),
        (
            200,
            b'error: {"code": 500, "message": "boom"}\n\n',
            BadResponse,
            "llama.cpp at {url} failed (boom).",
            "Check its log.",
        ),
    ],
)
def test_errors_of_the_server(
    ollama_double: FakeOllama,
    double_backend: LlamaCpp,
    status: int,
    body: Any,
    kind: type[StarcoderError],
    message: str,
    hint: str,
) -> None:
    ollama_double.replies["/v1/completions"] = (status, body)
    with raises_error(kind, message.format(url=ollama_double.url), hint):
        complete(double_backend, Prompt("a"))


def test_silent_lines_are_skipped(ollama_double: FakeOllama, double_backend: LlamaCpp) -> None:
    ollama_double.replies["/v1/completions"] = (
        200,
        b': ping\n\nevent: message\nid: 1\nretry: 10\ndata: {"choices": [{"text": "a", '
        b'"finish_reason": "stop"}]}\n\n'
        b"data: [DONE]\n\n",
    )
    assert complete(double_backend, Prompt("a")) == Completion("a", "m", completion_tokens=1)


def test_request_options(ollama_double: FakeOllama, double_backend: LlamaCpp) -> None:
    ollama_double.replies["/v1/completions"] = (200, b"data: [DONE]\n\n")
    complete(
        double_backend, Prompt("<pr>", stop=("\n\n",), max_tokens=7, stop_tokens=("<pr_status>",))
    )
    assert ollama_double.asked("/v1/completions")[0].body == {
        "prompt": "<pr>",
        "stream": True,
        "stream_options": {"include_usage": True},
        "cache_prompt": True,
        "max_tokens": 7,
        "temperature": 0.2,
        "seed": 1,
        "top_p": 0.95,
        "top_k": 40,
        "min_p": 0.0,
        "repeat_penalty": 1.0,
        "stop": ["\n\n", "<pr_status>"],
        "preserved_tokens": ["<pr_status>"],
    }
