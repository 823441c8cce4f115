"""The errors that Ollama v0.12 to v0.33 sends, and our messages for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.errors import raises_error
from support.servers import FakeOllama

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    AccessDenied,
    BackendUnavailable,
    BadResponse,
    PromptTooLong,
    RateLimited,
    StarcoderError,
    UnknownModel,
)
from pytest_starcoder.model.backends.ollama import Ollama
from pytest_starcoder.model.prompt import Model, Prompt
from pytest_starcoder.settings import Settings

LLAMA_SERVER = json.dumps(
    {
        "error": {
            "code": 400,
            "message": "request (5000 tokens) exceeds the available context size (4096 tokens), "
            "try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 5000,
            "n_ctx": 4096,
        }
    }
)
NOT_THERE = (
    "Ollama at {url} has no model 'starcoder2:7b'.",
    "Fetch it with `ollama pull starcoder2:7b`.",
)
TOO_LONG = "The prompt does not fit the window of 'starcoder2:7b' on Ollama: "
SEND_LESS = "Send less, or start Ollama with a larger OLLAMA_CONTEXT_LENGTH."
OUR_BUG = "Please report this as a bug of pytest-starcoder, with the model's name."
OUR_OPTION = "Please report this as a bug of pytest-starcoder, with Ollama's version."
NO_ROOM = (
    "Free memory, use a smaller model such as starcoder2:3b, or update Ollama; its log says more."
)

TABLE: list[tuple[int, Any, type[StarcoderError], str, str]] = [
    (404, "model 'starcoder2:7b' not found", UnknownModel, *NOT_THERE),
    (404, 'model "starcoder2:7b" not found, try pulling it first', UnknownModel, *NOT_THERE),
    (
        400,
        "missing request body",
        BadResponse,
        "Ollama does not support the request for 'starcoder2:7b': missing request body.",
        OUR_BUG,
    ),
    (
        400,
        "registry.ollama.ai/library/test:latest does not support insert",
        BadResponse,
        "Ollama does not support the request for 'starcoder2:7b': "
        "registry.ollama.ai/library/test:latest does not support insert.",
        OUR_BUG,
    ),
    (
        400,
        '"starcoder2:7b" does not support thinking',
        BadResponse,
        "Ollama does not support the request for 'starcoder2:7b': \"starcoder2:7b\" does not "
        "support thinking.",
        OUR_BUG,
    ),
    (
        400,
        "raw mode does not support template, system, or context",
        BadResponse,
        "Ollama does not support the request for 'starcoder2:7b': "
        "raw mode does not support template, system, or context.",
        OUR_BUG,
    ),
    (
        400,
        '"starcoder2:7b" does not support generate',
        UnknownModel,
        "The model 'starcoder2:7b' on Ollama does not generate text.",
        "Choose one that does: `ollama pull starcoder2:7b`.",
    ),
    (
        503,
        "server busy, please try again.  maximum pending requests exceeded",
        RateLimited,
        "Ollama has too many requests waiting.",
        "Try again in a moment, or start it with a larger OLLAMA_MAX_QUEUE.",
    ),
    (
        429,
        "too many requests",
        RateLimited,
        "Ollama has too many requests waiting.",
        "Try again in a moment, or start it with a larger OLLAMA_MAX_QUEUE.",
    ),
    (
        499,
        "request canceled",
        BadResponse,
        "Ollama says that the request was canceled.",
        "Ask again.",
    ),
    (
        400,
        "the input length exceeds the context length",
        PromptTooLong,
        TOO_LONG + "the input length exceeds the context length.",
        SEND_LESS,
    ),
    (
        400,
        "the prompt is longer than the context length currently available to the model; shorten "
        "the prompt, "
        "adjust the context length in settings, or use a model with a longer context length",
        PromptTooLong,
        TOO_LONG + "the prompt is longer than the context length currently available to the model; "
        "shorten the prompt, "
        "adjust the context length in settings, or use a model with a longer context length.",
        SEND_LESS,
    ),
    (
        400,
        LLAMA_SERVER,
        PromptTooLong,
        TOO_LONG + "request (5000 tokens) exceeds the available context size (4096 tokens), try "
        "increasing it.",
        SEND_LESS,
    ),
    (
        500,
        'invalid format: "x"; expected "json" or a valid JSON Schema object',
        BadResponse,
        'Ollama refuses the schema of the answer: invalid format: "x"; expected "json" or a '
        "valid JSON Schema object.",
        OUR_OPTION,
    ),
    (
        500,
        "invalid JSON schema in format",
        BadResponse,
        "Ollama refuses the schema of the answer: invalid JSON schema in format.",
        OUR_OPTION,
    ),
    (
        500,
        'option "top_k" must be of type integer',
        BadResponse,
        'Ollama refuses an option: option "top_k" must be of type integer.',
        OUR_OPTION,
    ),
    (
        500,
        "llama-server process has terminated: signal: killed",
        BackendUnavailable,
        "Ollama cannot load 'starcoder2:7b': llama-server process has terminated: signal: killed.",
        NO_ROOM,
    ),
    (
        500,
        "model runner has unexpectedly stopped, this may be due to resource limitations or an "
        "internal error, "
        "check ollama server logs for details",
        BackendUnavailable,
        "Ollama cannot load 'starcoder2:7b': model runner has unexpectedly stopped, this may be "
        "due to resource "
        "limitations or an internal error, check ollama server logs for details.",
        NO_ROOM,
    ),
    (
        500,
        "llama runner: this model may be incompatible with your version of Ollama. Please update.",
        BackendUnavailable,
        "Ollama cannot load 'starcoder2:7b': llama runner: this model may be incompatible with "
        "your version "
        "of Ollama. Please update.",
        NO_ROOM,
    ),
    (
        500,
        "model requires more system memory (9.1 GiB) than is available (3.2 GiB)",
        BackendUnavailable,
        "Ollama cannot load 'starcoder2:7b': model requires more system memory (9.1 GiB) than is "
        "available (3.2 GiB).",
        NO_ROOM,
    ),
    (
        401,
        "unauthorized",
        AccessDenied,
        "Ollama requires you to sign in for 'starcoder2:7b' (401: unauthorized).",
        "Sign in with `ollama signin`, set STARCODER_API_KEY if the server needs a key, "
        "or choose a model that runs on this machine.",
    ),
    (
        403,
        "remote inference is unavailable",
        AccessDenied,
        "Ollama at {url} refuses: remote inference is unavailable.",
        "Set host to 127.0.0.1, or start Ollama with an OLLAMA_HOST that accepts other names.",
    ),
    (
        403,
        b"",
        AccessDenied,
        "Ollama at {url} refuses: it does not serve that host name.",
        "Set host to 127.0.0.1, or start Ollama with an OLLAMA_HOST that accepts other names.",
    ),
    (
        405,
        b"405 method not allowed",
        BadResponse,
        "{url} does not answer like Ollama (405: 405 method not allowed).",
        "Is another program listening there? Set host to where Ollama runs.",
    ),
    (500, b"", BadResponse, "Ollama at {url} failed (500).", "Check its log."),
]


@pytest.mark.parametrize(
    ("status", "error", "kind", "message", "hint"), TABLE, ids=lambda value: str(value)[:30]
)
def test_errors_of_ollama(
    ollama_double: FakeOllama,
    status: int,
    error: Any,
    kind: type[StarcoderError],
    message: str,
    hint: str,
) -> None:
    body = error if isinstance(error, bytes) else {"error": error}
    ollama_double.replies["/api/generate"] = (status, body)
    backend = Ollama(Settings(backend="ollama", host=ollama_double.url))
    model = Model("starcoder2:7b", "d", "starcoder2", 16384)
    with raises_error(kind, message.format(url=ollama_double.url), hint):
        backend.complete(Prompt("a"), model, Deadline.after(10), lambda _piece: None)


def test_sign_in_page_is_left_out(ollama_double: FakeOllama) -> None:
    ollama_double.replies["/api/show"] = (
        401,
        {"error": "unauthorized", "signin_url": "https://ollama.com/connect"},
    )
    backend = Ollama(Settings(backend="ollama", host=ollama_double.url))
    with pytest.raises(AccessDenied, match=r"\(401: unauthorized\)"):
        backend.inspect("d", Deadline.after(10))
