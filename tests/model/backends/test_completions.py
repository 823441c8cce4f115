"""`/v1/completions` and where its answers end; and messages to chat models, on real servers too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import EOS, FakeOpenAI, running
from support.errors import raises_error
from support.real import RealServer, create_in_ollama

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import BadResponse, StarcoderError
from pytest_starcoder.model.backends import completions, make_backend
from pytest_starcoder.model.backends.http import ErrorReply, Server
from pytest_starcoder.model.backends.stops import Ending
from pytest_starcoder.model.backends.tokens import CHAT_TEMPLATE_TOKENS
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

MODEL = Model("m", "d", "", 4096)
ANYTHING = Prompt("a")

# --- stops ---------------------------------------------------------------------------------

few_letters = st.text("ab\n", max_size=8)
answers = st.lists(few_letters, max_size=12)


def up_to_the_first(text: str, stops: list[str]) -> str:
    return text[: min((text.find(stop) for stop in stops if stop in text), default=len(text))]


@given(answers, st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=4))
def test_text_before_first_stop(pieces: list[str], stops: list[str]) -> None:
    passed: list[str] = []
    ending = Ending(stops, passed.append)
    ended = [ending.add(piece) for piece in pieces]
    text = ending.end()
    # Found as soon as it is there: no shorter beginning of the answer held a stop.
    fed = "".join(pieces[: ended.index(True) + 1]) if True in ended else "".join(pieces)
    assert text == "".join(passed) == ending.text == up_to_the_first(fed, stops)
    assert ending.reached == (True in ended) == any(stop in "".join(pieces) for stop in stops)
    assert ended == sorted(ended)
    assert all(passed)


@given(answers, st.lists(few_letters, max_size=4))
def test_only_partial_stops_wait(pieces: list[str], stops: list[str]) -> None:
    passed: list[str] = []
    ending = Ending(stops, passed.append)
    fed = ""
    for piece in pieces:
        if ending.add(piece):
            break
        fed += piece
        pending = fed.removeprefix("".join(passed))
        assert fed == "".join(passed) + pending
        assert pending == "" or any(stop.startswith(pending) and stop != pending for stop in stops)


def test_empty_stop_is_ignored() -> None:
    passed: list[str] = []
    ending = Ending(["", "x"], passed.append)
    assert not ending.add("abc")
    assert (ending.end(), passed) == ("abc", ["abc"])


def test_nothing_after_a_stop() -> None:
    ending = Ending(["x"], lambda _piece: None)
    assert ending.add("ax")
    assert ending.add("b")
    assert ending.end() == "a"


# --- the stream ----------------------------------------------------------------------------


@pytest.fixture
def double() -> Iterator[FakeOpenAI]:
    with running(FakeOpenAI()) as double:
        yield double


def complete(
    double: FakeOpenAI,
    prompt: Prompt = ANYTHING,
    on_text: Callable[[str], None] = lambda _piece: None,
) -> Completion:
    settings = Settings(first_token_timeout=5)
    server = Server(double.url, settings, name="The server", start="Start it.", to_error=to_error)
    return completions.complete(
        server,
        {"model": double.model, **completions.request_body(prompt, settings)},
        prompt,
        MODEL,
        Deadline.after(10),
        on_text,
    )


def to_error(reply: ErrorReply) -> StarcoderError:
    return BadResponse(f"It says {reply.summary}.")


def streamed(*events: Any) -> tuple[int, bytes]:
    """A reply that is a stream of these events, each text as it is."""
    lines = (
        event if isinstance(event, str) else f"data: {json.dumps(event)}\n\n" for event in events
    )
    return 200, "".join(lines).encode()


def written(text: str, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"text": text, "finish_reason": finish, **fields}]}


def test_text_and_counts(double: FakeOpenAI) -> None:
    double.cached = 3
    pieces: list[str] = []
    completion = complete(double, Prompt("def f(x):", max_tokens=20), pieces.append)
    assert pieces == [" the", " divisor", " is", " one", " too", " small."]
    assert completion == Completion(
        " the divisor is one too small.", "m", prompt_tokens=6, completion_tokens=6, cached_tokens=3
    )


def test_chat_is_one_message(double: FakeOpenAI) -> None:
    completion = complete(double, Prompt("why?", chat=True))
    assert (completion.text, completion.truncated) == (" the divisor is one too small.", False)
    (body,) = double.bodies("/v1/chat/completions")
    assert body["messages"] == [{"role": "user", "content": "why?"}]
    assert "prompt" not in body


def test_lead_in_the_question(double: FakeOpenAI) -> None:
    complete(double, Prompt("why?", chat=True, lead="It fails because"))
    (body,) = double.bodies("/v1/chat/completions")
    text = "why?\n\nGo on after these words, and write nothing else: It fails because"
    assert body["messages"] == [{"role": "user", "content": text}]


LEAD = "With `a. b` it passes, because"


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ((LEAD, " it is. So."), " it is"),
        (("With", " `a", ". b` it passes, because it is"), " it is"),
        ((" it is",), " it is"),
        (("Without it", ". So."), "Without it"),
        (("With",), "With"),
        ((LEAD,), ""),
    ],
    ids=["whole", "in-pieces", "none", "other", "partial", "nothing-else"],
)
def test_lead_is_sent_back(double: FakeOpenAI, pieces: tuple[str, ...], text: str) -> None:
    events = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    double.replies["/v1/chat/completions"] = streamed(
        *events, {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    )
    streaming: list[str] = []
    prompt = Prompt("a", (". ",), chat=True, lead=LEAD)
    completion = complete(double, prompt, streaming.append)
    assert (completion.text, "".join(streaming)) == (text, text)


@pytest.mark.parametrize("chat", [False, True])
def test_server_without_streaming(double: FakeOpenAI, chat: bool) -> None:
    double.streams = False
    pieces: list[str] = []
    completion = complete(double, Prompt("a b", chat=chat), pieces.append)
    assert pieces == [" the divisor is one too small."]
    assert (completion.text, completion.completion_tokens, completion.truncated) == (
        pieces[0],
        6,
        False,
    )


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("streams", [False, True])
def test_likelihood_is_the_mean(double: FakeOpenAI, streams: bool, chat: bool) -> None:
    double.streams = streams
    assert complete(double, Prompt("a", chat=chat, likelihood=True)).likelihood == pytest.approx(
        -0.5
    )
    assert complete(double, Prompt("a", chat=chat)).likelihood is None
    with_likelihood, without = double.requests
    assert with_likelihood.body["logprobs"] == 1  # chats say it as true
    assert "logprobs" not in without.body


def test_ignored_stop_ends_the_request(
    double: FakeOpenAI,
) -> None:
    double.replies["/v1/completions"] = streamed(
        written("a\n"), written("\nb"), written("c", "length")
    )
    pieces: list[str] = []
    completion = complete(double, Prompt("a", stop=("\n\n",)), pieces.append)
    assert pieces == ["a"]
    assert completion == Completion("a", "m", completion_tokens=2)


def test_partial_stop_is_text(double: FakeOpenAI) -> None:
    double.replies["/v1/completions"] = streamed(
        written("a\n"), written("b"), written("\n", "stop")
    )
    assert complete(double, Prompt("a", stop=("\n\n",))).text == "a\nb\n"


@pytest.mark.parametrize("finish", ["stop", "eos", "eos_token", "stop_sequence"])
def test_finished_answer(double: FakeOpenAI, finish: str) -> None:
    double.replies["/v1/completions"] = streamed(
        written("a"), written("b", finish), "data: [DONE]\n\n"
    )
    assert complete(double) == Completion("ab", "m", completion_tokens=2)


@pytest.mark.parametrize("finish", ["length", "content_filter", "abort", "tool_calls"])
def test_finish_reasons_of_cut_answers(double: FakeOpenAI, finish: str) -> None:
    double.replies["/v1/completions"] = streamed(written("a"), written("b", finish))
    assert complete(double) == Completion("ab", "m", completion_tokens=2, truncated=True)


def test_missing_end_has_no_count(double: FakeOpenAI) -> None:
    double.ending = "lost"
    assert complete(double) == Completion(" the divisor is one too small.", "m", truncated=True)


@pytest.mark.parametrize("control", [EOS, "</s>", "<eos>", "<|im_end|>"])
def test_last_token_of_tgi(double: FakeOpenAI, control: str) -> None:
    double.replies["/v1/completions"] = streamed(written("a", ""), written(control, "eos_token"))
    assert complete(double).text == "a"


@pytest.mark.parametrize("finish", ["length", "stop"])
def test_special_token_within_answer(double: FakeOpenAI, finish: str) -> None:
    double.replies["/v1/completions"] = streamed(written("a", ""), written("<b>", finish))
    assert complete(double).text == "a<b>"


def test_unstreamed_answer_of_old_tgi(double: FakeOpenAI) -> None:
    double.replies["/v1/completions"] = (200, written("a < b > c", "eos_token"))
    assert complete(double).text == "a < b > c"


def test_reasoning_is_left_out(double: FakeOpenAI) -> None:
    delta = {"delta": {"reasoning_content": "hm", "content": None}}
    double.replies["/v1/chat/completions"] = streamed(
        {"choices": [delta]}, {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}
    )
    assert complete(double, Prompt("a", chat=True)).text == "a"


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"message": "boom"}},
        {"error": "boom"},
        {"object": "error", "message": "boom", "code": 404},
        'error: {"message": "boom"}\n\n',
        'event: error\ndata: {"error": "boom"}\n\n',
    ],
)
def test_late_error(double: FakeOpenAI, event: Any) -> None:
    double.replies["/v1/completions"] = streamed(written("a"), event)
    with raises_error(BadResponse, "It says boom.", ""):
        complete(double)


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"choices": None},
        {"choices": ["a"]},
        {"choices": [{"text": None}]},
        {"choices": [{"text": 3, "logprobs": 4}]},
        {"choices": [{"delta": 3, "message": "a"}]},
        {
            "choices": [
                {"logprobs": {"content": [None, 3, {"logprob": "x"}], "token_logprobs": [None]}}
            ]
        },
        {"usage": 3},
        {"usage": {"prompt_tokens": "x", "completion_tokens": None, "prompt_tokens_details": []}},
    ],
)
def test_unexpected_field_types(double: FakeOpenAI, event: dict[str, Any]) -> None:
    double.replies["/v1/completions"] = streamed(event, written("a", "stop"))
    assert complete(double, Prompt("a", likelihood=True)) == Completion(
        "a", "m", completion_tokens=1
    )


def test_last_usage_wins(double: FakeOpenAI) -> None:
    """vLLM can count in every event, and has none in most."""
    double.replies["/v1/completions"] = streamed(
        written("a") | {"usage": {"prompt_tokens": 5, "completion_tokens": 1}},
        written("b", "stop") | {"usage": {"prompt_tokens": 5, "completion_tokens": 2}},
        {"choices": [], "usage": None},
    )
    assert complete(double) == Completion("ab", "m", prompt_tokens=5, completion_tokens=2)


@pytest.mark.parametrize(
    ("prompt", "most", "stops"),
    [
        (Prompt("a"), None, None),
        (Prompt("a", stop=("1", "2"), stop_tokens=("<3>",)), None, ["1", "2", "<3>"]),
        (
            Prompt("a", stop=("1", "2"), stop_tokens=("<3>", "<4>", "<5>")),
            4,
            ["1", "2", "<3>", "<4>"],
        ),
    ],
)
def test_limited_stops(prompt: Prompt, most: int | None, stops: list[str] | None) -> None:
    assert completions.request_body(prompt, Settings(), most).get("stop") == stops


# --- chats, on real servers ----------------------------------------------------------------


def answered(settings: Settings, prompt: Prompt) -> Completion:
    with closing(make_backend(settings)) as backend:
        deadline = Deadline.after(60)
        model = backend.inspect(backend.identify(deadline), deadline)
        return backend.complete(prompt, model, deadline, lambda _piece: None)


@pytest.mark.parametrize("name", ["llamacpp", "openai"])
def test_llamacpp_chat_template(llamacpp: RealServer, name: str) -> None:
    settings = Settings(backend=name, host=llamacpp.url, api_key=llamacpp.key, temperature=0)
    plain, message = (
        answered(settings, Prompt("why?", max_tokens=6, chat=chat)) for chat in (False, True)
    )
    assert plain.prompt_tokens == 4
    assert 4 < message.prompt_tokens <= 4 + CHAT_TEMPLATE_TOKENS
    assert (message.completion_tokens, message.truncated) == (6, True)


@pytest.mark.parametrize("chat", [False, True])
def test_llamacpp_likelihood_and_schema(llamacpp: RealServer, chat: bool) -> None:
    settings = Settings(backend="llamacpp", host=llamacpp.url, api_key=llamacpp.key, temperature=0)
    likelihood = answered(
        settings, Prompt("why?", max_tokens=6, chat=chat, likelihood=True)
    ).likelihood
    assert likelihood is not None
    assert likelihood < 0
    prompt = Prompt("why?", max_tokens=200, chat=chat, schema={"enum": ["aa", "bb"]})
    assert answered(settings, prompt).text in ('"aa"', '"bb"')


@pytest.mark.parametrize(("name", "tag"), [("ollama", ""), ("openai", ":latest")])
@pytest.mark.parametrize("chat", [False, True])
def test_ollama_chat_without_template(
    real_ollama: str, ollama_model: str, name: str, tag: str, chat: bool
) -> None:
    settings = Settings(backend=name, host=real_ollama, model=ollama_model + tag, temperature=0)
    completion = answered(settings, Prompt("why?", max_tokens=6, chat=chat))
    assert (completion.prompt_tokens, completion.completion_tokens, completion.truncated) == (
        4,
        6,
        True,
    )


def test_ollama_chat_schema(real_ollama: str, ollama_model: str) -> None:
    settings = Settings(backend="ollama", host=real_ollama, model=ollama_model, temperature=0)
    prompt = Prompt("why?", max_tokens=20, chat=True, schema={"enum": ["aa", "bb"]})
    assert answered(settings, prompt).text in ('"aa"', '"bb"')


TEMPLATE = (
    "{{- range $i, $_ := .Messages }}"
    "{{- $last := eq (len (slice $.Messages $i)) 1 }}"
    "<|im_start|>{{ .Role }}\n{{ .Content }}"
    '{{ if or (not $last) (eq .Role "user") }}<|im_end|>\n{{ end }}'
    '{{ if and $last (eq .Role "user") }}<|im_start|>assistant\n{{ end }}'
    "{{- end }}"
)
"""ChatML, with a last message of the model left open, as in Ollama's library."""

LED = Prompt("why?", max_tokens=6, chat=True, lead="It fails because")
LED_TEXT = "<|im_start|>user\nwhy?<|im_end|>\n<|im_start|>assistant\nIt fails because"


def test_llamacpp_continues_lead(llamacpp: RealServer) -> None:
    settings = Settings(backend="llamacpp", host=llamacpp.url, api_key=llamacpp.key, temperature=0)
    continued = answered(settings, LED)
    expected = answered(settings, Prompt(LED_TEXT, max_tokens=6))
    assert continued.prompt_tokens == expected.prompt_tokens
    assert continued.text == expected.text


def test_ollama_continues_lead(real_ollama: str, tiny_model: Path) -> None:
    model = create_in_ollama(real_ollama, "tiny-chat", tiny_model, TEMPLATE)
    settings = Settings(backend="ollama", host=real_ollama, model=model, temperature=0)
    continued = answered(settings, LED)
    expected = answered(settings, Prompt(LED_TEXT, max_tokens=6))
    assert continued.prompt_tokens == expected.prompt_tokens
    assert continued.text == expected.text
