"""The kinds of servers, and the requests to each: vLLM, TGI, and an unknown one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from support.doubles import EOS, Double, FakeOpenAI, FakeTgi, FakeVllm, running

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import BadResponse
from pytest_starcoder.model.backends.dialects import OVERFLOW, Dialect, Tgi, Vllm, choose_dialect
from pytest_starcoder.model.backends.openai import OpenAI
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

SCHEMA = {"type": "object", "properties": {"line": {"enum": [3, 7]}}}
ALL = Prompt("<pr>", ("\n\n",), 7, SCHEMA, ("<pr_status>",), likelihood=True)
CHAT = Prompt("why?", max_tokens=7, schema=SCHEMA, chat=True, likelihood=True)
COMMON = {
    "stream": True,
    "stream_options": {"include_usage": True},
    "max_tokens": 7,
    "temperature": 0.2,
    "seed": 1,
    "top_p": 0.95,
}
COMPLETION = COMMON | {"prompt": "<pr>", "logprobs": 1, "stop": ["\n\n", "<pr_status>"]}
MESSAGE = COMMON | {"messages": [{"role": "user", "content": "why?"}], "logprobs": True}


def soon() -> Deadline:
    return Deadline.after(10)


@contextmanager
def asking(double: Double, **settings: Any) -> Iterator[OpenAI]:
    with (
        running(double),
        closing(OpenAI(Settings(backend="openai", host=double.url, **settings))) as backend,
    ):
        yield backend


def complete(backend: OpenAI, prompt: Prompt) -> Completion:
    return backend.complete(prompt, Model("m", "d", "", 4096), soon(), lambda _piece: None)


@pytest.mark.parametrize(
    ("entry", "dialect"),
    [
        ({"id": "m", "owned_by": "vllm"}, Vllm),
        ({"id": "vllm", "owned_by": "vllm"}, Vllm),
        ({"id": "m", "owned_by": "m"}, Tgi),
        ({"id": "m", "owned_by": "somebody"}, Dialect),
        ({"id": "m"}, Dialect),
        ({"id": "", "owned_by": ""}, Dialect),
        ({"owned_by": None}, Dialect),
        ({}, Dialect),
    ],
)
def test_kind_by_owner(entry: dict[str, Any], dialect: type[Dialect]) -> None:
    assert choose_dialect(entry) is dialect


@pytest.mark.parametrize(
    ("make", "label"),
    [(FakeVllm, "vLLM"), (FakeTgi, "TGI"), (FakeOpenAI, "the OpenAI-compatible server")],
)
def test_label_by_kind(make: Callable[[], Double], label: str) -> None:
    with asking(make()) as backend:
        assert backend.label == "the OpenAI-compatible server"
        backend.identify(soon())
        assert backend.label == label


def test_escapes_in_model_name() -> None:
    double = FakeVllm(model="\x1b[31mstar\ncoder2\x07")
    with asking(double) as backend:
        assert backend.inspect(backend.identify(soon()), soon()).name == "star coder2"
        complete(backend, Prompt("a"))
    assert double.bodies("/v1/completions")[0]["model"] == "\x1b[31mstar\ncoder2\x07"


# --- what is sent --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "prompt", "body"),
    [
        (
            FakeVllm,
            ALL,
            COMPLETION
            | {
                "model": "bigcode/starcoder2-7b",
                "top_k": 40,
                "min_p": 0.0,
                "repetition_penalty": 1.0,
                "skip_special_tokens": False,
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA},
                },
            },
        ),
        (
            FakeVllm,
            CHAT,
            MESSAGE
            | {
                "model": "bigcode/starcoder2-7b",
                "top_k": 40,
                "min_p": 0.0,
                "repetition_penalty": 1.0,
                "chat_template_kwargs": {"enable_thinking": False},
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": SCHEMA},
                },
            },
        ),
        (FakeTgi, ALL, COMPLETION | {"model": "tgi"}),
        (
            FakeTgi,
            CHAT,
            MESSAGE | {"model": "tgi", "response_format": {"type": "json", "value": SCHEMA}},
        ),
        (FakeOpenAI, ALL, COMPLETION | {"model": "bigcode/starcoder2-7b"}),
        (FakeOpenAI, CHAT, MESSAGE | {"model": "bigcode/starcoder2-7b"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_requests_by_kind(make: Callable[[], Double], prompt: Prompt, body: dict[str, Any]) -> None:
    double = make()
    with asking(double) as backend:
        complete(backend, prompt)
    assert double.bodies("/v1/chat/completions" if prompt.chat else "/v1/completions") == [body]


@pytest.mark.parametrize("make", [FakeVllm, FakeTgi, FakeOpenAI])
@pytest.mark.parametrize("chat", [False, True])
def test_optional_fields(make: Callable[[], Double], chat: bool) -> None:
    double = make()
    with asking(double) as backend:
        complete(backend, Prompt("a", chat=chat))
    (body,) = double.bodies("/v1/chat/completions" if chat else "/v1/completions")
    assert not body.keys() & {"stop", "logprobs", "response_format", "skip_special_tokens"}


@pytest.mark.parametrize("chat", [False, True])
def test_tgi_at_temperature_0(chat: bool) -> None:
    double = FakeTgi()
    with asking(double, temperature=0) as backend:
        complete(backend, Prompt("a", chat=chat))
    with asking(double, temperature=0.2) as backend:
        complete(backend, Prompt("a", chat=chat))
    assert double.sampled == [False, True]


# --- how an answer ends --------------------------------------------------------------------

STOPS = ("\n\n", "###", "\nclass ", "\ndef ")
CONTROL = ("<file_sep>", "<repo_name>", EOS)


@pytest.mark.parametrize("make", [FakeVllm, FakeTgi])
def test_stop_token(make: Callable[..., Double]) -> None:
    with asking(make(answer="one two<file_sep>three")) as backend:
        completion = complete(backend, Prompt("a", stop_tokens=("<file_sep>",)))
    assert (completion.text, completion.truncated) == ("one two", False)


def test_vllm_skips_special_tokens() -> None:
    with asking(FakeVllm(answer="one<fim_pad> two")) as backend:
        assert complete(backend, Prompt("a")).text == "one two"


@pytest.mark.parametrize("make", [FakeVllm, FakeTgi, FakeOpenAI])
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("one two\n\nthree", "one two"),
        ("one\ndef two", "one"),
        ("one two", "one two"),
        (f"one two{EOS}three", "one two"),
    ],
)
def test_more_stops_than_allowed(make: Callable[..., Double], answer: str, text: str) -> None:
    with asking(make(answer=answer)) as backend:
        completion = complete(backend, Prompt("a", stop=STOPS, stop_tokens=CONTROL))
    assert (completion.text, completion.truncated) == (text, False)


@pytest.mark.parametrize("make", [FakeVllm, FakeTgi, FakeOpenAI])
@pytest.mark.parametrize("chat", [False, True])
def test_end_of_text_token(make: Callable[..., Double], chat: bool) -> None:
    with asking(make(answer="one two")) as backend:
        completion = complete(backend, Prompt("a", chat=chat))
    assert (completion.text, completion.truncated) == ("one two", False)


@pytest.mark.parametrize("make", [FakeVllm, FakeTgi, FakeOpenAI])
@pytest.mark.parametrize("chat", [False, True])
def test_answer_cut_by_limit(make: Callable[..., Double], chat: bool) -> None:
    with asking(make(answer="one two three four")) as backend:
        completion = complete(backend, Prompt("a", max_tokens=2, chat=chat))
    assert (completion.text, completion.completion_tokens, completion.truncated) == (
        "one two",
        2,
        True,
    )


@pytest.mark.parametrize(("make", "chat"), [(FakeVllm, False), (FakeVllm, True), (FakeTgi, True)])
def test_likelihood(make: Callable[..., Double], chat: bool) -> None:
    with asking(make()) as backend:
        assert complete(
            backend, Prompt("a", chat=chat, likelihood=True)
        ).likelihood == pytest.approx(-0.5)


def test_tgi_has_no_likelihood() -> None:
    with asking(FakeTgi()) as backend:
        assert complete(backend, Prompt("a", likelihood=True)).likelihood is None


# --- windows, counts and versions ----------------------------------------------------------


@pytest.mark.parametrize(
    ("double", "window"),
    [
        (FakeVllm(window=2048), 2048),
        (FakeTgi(window=2048), 2048),
        (FakeTgi(replies={"/info": (200, {"version": "1"})}), 4096),
        (FakeOpenAI(), 4096),
        (FakeOpenAI(facts={"max_model_len": 8192}), 8192),
        (FakeOpenAI(facts={"context_length": 32768}), 32768),
        (FakeOpenAI(facts={"context_window": 131072}), 131072),
        (FakeOpenAI(facts={"max_model_len": None, "context_length": "8192"}), 4096),
        (FakeOpenAI(facts={"context_length": 0}), 4096),
    ],
)
def test_window_by_kind(double: Double, window: int) -> None:
    with asking(double) as backend:
        assert backend.inspect("d", soon()) == Model("bigcode/starcoder2-7b", "d", "", window)


@pytest.mark.parametrize(
    ("double", "fill"),
    [
        (FakeVllm(model="Qwen/Qwen2.5-Coder-7B-Instruct"), "qwen"),
        # Other servers may have only chats for instruct models.
        (FakeOpenAI(model="Qwen/Qwen2.5-Coder-7B-Instruct"), ""),
        (FakeOpenAI(model="Qwen/Qwen2.5-Coder-7B"), "qwen"),
        (FakeVllm(model="Qwen/Qwen2.5-7B-Instruct"), ""),
    ],
)
def test_fill_tokens_by_name(double: Double, fill: str) -> None:
    with asking(double) as backend:
        assert backend.inspect("d", soon()).fill == fill


def test_vllm_count() -> None:
    double = FakeVllm()
    with asking(double) as backend:
        assert backend.count("one two, three", soon()) == 4
        assert backend.count("", soon()) == 0
    assert double.bodies("/tokenize")[0] == {
        "model": "bigcode/starcoder2-7b",
        "prompt": "one two, three",
    }


@pytest.mark.parametrize(
    "reply",
    [
        (404, {"detail": "Not Found"}),
        (404, b"<html><h1>404 Not Found</h1></html>"),
        (401, {"error": "Unauthorized"}),
        (403, b"closed"),
        (405, {"detail": "Method Not Allowed"}),
        (200, b"<!doctype html>"),
        (500, {"error": "boom"}),
    ],
)
def test_vllm_behind_a_proxy(
    reply: tuple[int, Any],
) -> None:
    double = FakeVllm(replies={"/tokenize": reply})
    with asking(double) as backend:
        assert backend.count("one two, three", soon()) == estimate("one two, three")
        assert backend.count("one", soon()) == estimate("one")
    assert len(double.asked("/tokenize")) == 1


def test_tokenize_without_count() -> None:
    with asking(FakeVllm(replies={"/tokenize": (200, {"tokens": []})})) as backend:
        assert backend.count("one two", soon()) == estimate("one two")


@pytest.mark.parametrize("make", [FakeTgi, FakeOpenAI])
def test_other_kinds_estimate(make: Callable[[], Double]) -> None:
    with asking(make()) as backend:
        assert backend.count("one two, three", soon()) == estimate("one two, three")


@pytest.mark.parametrize(
    ("double", "version"),
    [
        (FakeVllm(), "0.11.0"),
        (FakeTgi(), "3.3.7"),
        (FakeOpenAI(), ""),
        (FakeVllm(replies={"/version": (404, {"detail": "Not Found"})}), ""),
        (FakeVllm(replies={"/version": (403, b"")}), ""),
        (FakeTgi(replies={"/info": (200, {"model_id": "m"})}), ""),
    ],
)
def test_version_by_kind(double: Double, version: str) -> None:
    with asking(double) as backend:
        assert backend.version(soon()) == version


def test_invalid_info_of_tgi() -> None:
    with (
        asking(FakeTgi(replies={"/info": (200, b"<html>")})) as backend,
        pytest.raises(BadResponse),
    ):
        backend.inspect("d", soon())


@pytest.mark.parametrize(
    "error",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens "
        "(4500 in the prompt, "
        "500 in the completion)",
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
        "'max_tokens' or 'max_completion_tokens' is too large: 500. This model's maximum context "
        "length is 4096 tokens",
        "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 "
        "`inputs` tokens and "
        "500 `max_new_tokens`",
        "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
        '{"code": "context_length_exceeded"}',
        "Input is too long for the context window of this model",
    ],
)
def test_overflow_messages(error: str) -> None:
    assert OVERFLOW.search(error)


@pytest.mark.parametrize(
    "error", ["Model is overloaded", "The model `m` does not exist.", "grammar is not valid: less"]
)
def test_no_overflow(error: str) -> None:
    assert not OVERFLOW.search(error)
