"""Which kind of server listens, and what each kind is asked: vLLM, TGI, and one of which nothing is known."""

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
def test_the_owner_in_the_list_of_models_tells_the_kind(
    entry: dict[str, Any], dialect: type[Dialect]
) -> None:
    assert choose_dialect(entry) is dialect


@pytest.mark.parametrize(
    ("make", "label"),
    [(FakeVllm, "vLLM"), (FakeTgi, "TGI"), (FakeOpenAI, "the OpenAI-compatible server")],
)
def test_the_kind_is_called_by_its_name_once_it_is_known(
    make: Callable[[], Double], label: str
) -> None:
    with asking(make()) as backend:
        assert backend.label == "the OpenAI-compatible server"
        backend.identify(soon())
        assert backend.label == label


def test_a_name_that_no_terminal_should_see_is_asked_for_as_it_is_and_shown_without_its_escapes() -> (
    None
):
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
def test_each_kind_is_asked_in_its_own_way(
    make: Callable[[], Double], prompt: Prompt, body: dict[str, Any]
) -> None:
    double = make()
    with asking(double) as backend:
        complete(backend, prompt)
    assert double.bodies("/v1/chat/completions" if prompt.chat else "/v1/completions") == [body]


@pytest.mark.parametrize("make", [FakeVllm, FakeTgi, FakeOpenAI])
@pytest.mark.parametrize("chat", [False, True])
def test_what_a_prompt_does_not_want_is_not_sent(make: Callable[[], Double], chat: bool) -> None:
    double = make()
    with asking(double) as backend:
        complete(backend, Prompt("a", chat=chat))
    (body,) = double.bodies("/v1/chat/completions" if chat else "/v1/completions")
    assert not body.keys() & {"stop", "logprobs", "response_format", "skip_special_tokens"}


@pytest.mark.parametrize("chat", [False, True])
def test_tgi_is_told_no_top_p_at_temperature_0_for_then_it_would_sample(chat: bool) -> None:
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
def test_a_control_token_ends_the_answer(make: Callable[..., Double]) -> None:
    with asking(make(answer="one two<file_sep>three")) as backend:
        completion = complete(backend, Prompt("a", stop_tokens=("<file_sep>",)))
    assert (completion.text, completion.truncated) == ("one two", False)


def test_a_control_token_that_nobody_named_is_no_text_of_vllms() -> None:
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
def test_more_stops_than_a_server_takes_end_the_answer_all_the_same(
    make: Callable[..., Double], answer: str, text: str
) -> None:
    with asking(make(answer=answer)) as backend:
        completion = complete(backend, Prompt("a", stop=STOPS, stop_tokens=CONTROL))
    assert (completion.text, completion.truncated) == (text, False)


@pytest.mark.parametrize("make", [FakeVllm, FakeTgi, FakeOpenAI])
@pytest.mark.parametrize("chat", [False, True])
def test_the_end_of_the_text_is_an_end_and_no_text(make: Callable[..., Double], chat: bool) -> None:
    with asking(make(answer="one two")) as backend:
        completion = complete(backend, Prompt("a", chat=chat))
    assert (completion.text, completion.truncated) == ("one two", False)


@pytest.mark.parametrize("make", [FakeVllm, FakeTgi, FakeOpenAI])
@pytest.mark.parametrize("chat", [False, True])
def test_an_answer_that_the_limit_cut_is_truncated(make: Callable[..., Double], chat: bool) -> None:
    with asking(make(answer="one two three four")) as backend:
        completion = complete(backend, Prompt("a", max_tokens=2, chat=chat))
    assert (completion.text, completion.completion_tokens, completion.truncated) == (
        "one two",
        2,
        True,
    )


@pytest.mark.parametrize(("make", "chat"), [(FakeVllm, False), (FakeVllm, True), (FakeTgi, True)])
def test_the_likelihood_is_told(make: Callable[..., Double], chat: bool) -> None:
    with asking(make()) as backend:
        assert complete(
            backend, Prompt("a", chat=chat, likelihood=True)
        ).likelihood == pytest.approx(-0.5)


def test_tgi_tells_no_likelihood_of_a_completion() -> None:
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
def test_the_window_is_the_one_that_the_server_tells_or_a_small_one(
    double: Double, window: int
) -> None:
    with asking(double) as backend:
        assert backend.inspect("d", soon()) == Model("bigcode/starcoder2-7b", "d", "", window)


def test_vllm_counts() -> None:
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
def test_where_something_before_vllm_lets_v1_through_alone_an_estimate_counts_and_nobody_asks_again(
    reply: tuple[int, Any],
) -> None:
    double = FakeVllm(replies={"/tokenize": reply})
    with asking(double) as backend:
        assert backend.count("one two, three", soon()) == estimate("one two, three")
        assert backend.count("one", soon()) == estimate("one")
    assert len(double.asked("/tokenize")) == 1


def test_an_answer_of_tokenize_without_a_count_is_none() -> None:
    with asking(FakeVllm(replies={"/tokenize": (200, {"tokens": []})})) as backend:
        assert backend.count("one two", soon()) == estimate("one two")


@pytest.mark.parametrize("make", [FakeTgi, FakeOpenAI])
def test_the_others_do_not_count(make: Callable[[], Double]) -> None:
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
def test_the_version_is_told_where_the_server_tells_it(double: Double, version: str) -> None:
    with asking(double) as backend:
        assert backend.version(soon()) == version


def test_a_tgi_whose_info_is_no_json_is_an_error() -> None:
    with (
        asking(FakeTgi(replies={"/info": (200, b"<html>")})) as backend,
        pytest.raises(BadResponse),
    ):
        backend.inspect("d", soon())


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4500 in the prompt, "
        "500 in the completion)",
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
        "'max_tokens' or 'max_completion_tokens' is too large: 500. This model's maximum context length is 4096 tokens",
        "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and "
        "500 `max_new_tokens`",
        "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
        '{"code": "context_length_exceeded"}',
        "Input is too long for the context window of this model",
    ],
)
def test_a_window_that_is_too_small_is_known_by_the_words_of_each_server(said: str) -> None:
    assert OVERFLOW.search(said)


@pytest.mark.parametrize(
    "said", ["Model is overloaded", "The model `m` does not exist.", "grammar is not valid: less"]
)
def test_other_errors_are_not_taken_for_that(said: str) -> None:
    assert not OVERFLOW.search(said)
