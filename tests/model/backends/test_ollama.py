"""Requests to Ollama and its answers, with a double of its API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises_error
from support.servers import DIGEST, FakeOllama

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import BadResponse, PromptTooLong, UnknownModel, Untrusted
from pytest_starcoder.model.backends.ollama import Ollama
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

MODEL = Model("starcoder2:7b", DIGEST, "starcoder2", 16384)
LONG = "word " * 2500
"""Longer by estimate than the 4096 tokens that Ollama gives a model."""
TOO_LONG: tuple[int, dict[str, Any]] = (
    400,
    {"error": "the input length exceeds the context length"},
)
CUT_HINT = "Update Ollama, or start it with a larger OLLAMA_CONTEXT_LENGTH."


@pytest.fixture
def backend(ollama_double: FakeOllama) -> Iterator[Ollama]:
    backend = made(ollama_double)
    yield backend
    backend.close()


def made(fake: FakeOllama, **settings: Any) -> Ollama:
    return Ollama(Settings(backend="ollama", host=fake.url, **settings))


def soon() -> Deadline:
    return Deadline.after(10)


def complete(backend: Ollama, prompt: Prompt | str, model: Model = MODEL) -> Completion:
    prompt = Prompt(prompt) if isinstance(prompt, str) else prompt
    return backend.complete(prompt, model, soon(), lambda _piece: None)


def windows(fake: FakeOllama) -> list[int | None]:
    """The `num_ctx` of every question."""
    return [request.body["options"].get("num_ctx") for request in fake.asked()]


# --- what is sent --------------------------------------------------------------------------


def test_request_body(ollama_double: FakeOllama, backend: Ollama) -> None:
    complete(
        backend, Prompt("<file_sep>a", stop=("\n\n",), max_tokens=7, stop_tokens=("<file_sep>",))
    )
    (request,) = ollama_double.asked()
    assert request.headers["Content-Type"] == "application/json"
    assert request.body == {
        "model": "starcoder2:7b",
        "prompt": "<file_sep>a",
        "raw": True,
        "stream": True,
        "truncate": False,
        "options": {
            "temperature": 0.2,
            "seed": 1,
            "top_p": 0.95,
            "top_k": 40,
            "min_p": 0.0,
            "repeat_penalty": 1.0,
            "num_predict": 7,
            "stop": ["\n\n", "<file_sep>"],
        },
    }


def test_schema_is_the_format(ollama_double: FakeOllama, backend: Ollama) -> None:
    complete(backend, Prompt("a", schema={"type": "object"}))
    assert ollama_double.asked()[0].body["format"] == {"type": "object"}


def test_identify_is_the_first_request(ollama_double: FakeOllama, backend: Ollama) -> None:
    assert ollama_double.requests == []
    assert backend.identify(soon()) == DIGEST
    assert [request.path for request in ollama_double.requests] == ["/api/tags"]


# --- which model ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "listed"),
    [
        ("starcoder2:7b", "starcoder2:7b"),
        ("tiny", "tiny:latest"),
        ("tiny:latest", "tiny:latest"),
        ("hf.co/someone/model-GGUF:Q4_K_M", "hf.co/someone/model-GGUF:Q4_K_M"),
        ("localhost:5000/team/model", "localhost:5000/team/model:latest"),
    ],
)
def test_model_by_name(ollama_double: FakeOllama, wanted: str, listed: str) -> None:
    ollama_double.model = listed
    assert made(ollama_double, model=wanted).identify(soon()) == DIGEST


@pytest.mark.parametrize(
    ("wanted", "listed"), [("starcoder2", "starcoder2:7b"), ("tiny:q4", "tiny:latest")]
)
def test_tag_is_part_of_the_name(ollama_double: FakeOllama, wanted: str, listed: str) -> None:
    ollama_double.model = listed
    with raises_error(
        UnknownModel,
        f"Ollama at {ollama_double.url} has no model {wanted!r}.",
        f"Fetch it with `ollama pull {wanted}`.",
    ):
        made(ollama_double, model=wanted).identify(soon())


@pytest.mark.parametrize("body", [{}, {"models": None}, {"models": {"name": "starcoder2:7b"}}])
def test_server_without_list(
    ollama_double: FakeOllama, backend: Ollama, body: dict[str, Any]
) -> None:
    ollama_double.replies["/api/tags"] = (200, body)
    with raises_error(
        BadResponse,
        f"{ollama_double.url} lists no models.",
        "Is another program listening there? Set host to where Ollama runs.",
    ):
        backend.identify(soon())


def test_odd_entries_are_skipped(ollama_double: FakeOllama, backend: Ollama) -> None:
    entries = [None, "starcoder2:7b", {}, {"name": "starcoder2:7b", "digest": "d"}]
    ollama_double.replies["/api/tags"] = (200, {"models": entries})
    assert backend.identify(soon()) == "d"


def test_tracked_remote_model(
    ollama_double: FakeOllama,
) -> None:
    ollama_double.tags = {"remote_host": "https://ollama.com:443"}
    source = {"model": "pyproject.toml, line 3"}
    with raises_error(
        Untrusted,
        "pyproject.toml, line 3: 'starcoder2:7b' is answered by another machine, "
        "https://ollama.com:443, "
        "and a file tracked by git may not choose that.",
        "Set it with STARCODER_MODEL, a .env that git does not track, or your own config.toml.",
    ):
        made(ollama_double, tracked=frozenset({"model"}), sources=source).identify(soon())


def test_chosen_remote_model(ollama_double: FakeOllama, backend: Ollama) -> None:
    ollama_double.tags = {"remote_host": "https://ollama.com:443"}
    assert backend.identify(soon()) == DIGEST


def test_model_facts(ollama_double: FakeOllama, backend: Ollama) -> None:
    ollama_double.architecture, ollama_double.window = "gemma3", 32768
    assert backend.inspect("d", soon()) == Model("starcoder2:7b", "d", "gemma3", 32768)


@pytest.mark.parametrize(
    ("template", "finetune", "chat"),
    [
        ("{{ range .Messages }}{{ .Content }}{{ end }}", "", True),
        ("{{ .System }} {{ .Prompt }}", "", True),
        ("{{ .Prompt }}", "", False),
        # What the GGUF file says about itself.
        ("{{ range .Messages }}{{ .Content }}{{ end }}", "Instruct", True),
        ("{{ range .Messages }}{{ .Content }}{{ end }}", "Base", False),
        ("<user>{{ .Prompt }}<model>", "Instruct-GGUF", True),
        ("{{ .Prompt }}", "Instruct", False),
        ("", "Instruct", False),
    ],
)
def test_chat_template(
    ollama_double: FakeOllama, backend: Ollama, template: str, finetune: str, chat: bool
) -> None:
    info = {"general.finetune": finetune} if finetune else {}
    ollama_double.replies["/api/show"] = (200, {"template": template, "model_info": info})
    assert backend.inspect("d", soon()).chat is chat


def test_fill_tokens_of_template(ollama_double: FakeOllama, backend: Ollama) -> None:
    shown = {
        "template": "{{ .System }} [SUFFIX]{{ .Suffix }}[PREFIX] {{ .Prompt }}",
        "model_info": {"general.architecture": "llama"},
    }
    ollama_double.replies["/api/show"] = (200, shown)
    assert backend.inspect("d", soon()).fill == "codestral"


def test_list_models(ollama_double: FakeOllama, backend: Ollama) -> None:
    models = [{"name": "a:1b", "size": 7}, {"name": "b"}]
    ollama_double.replies["/api/tags"] = (200, {"models": models})
    assert backend.list_models(soon()) == [("a:1b", 7), ("b", 0)]


@pytest.mark.parametrize(
    "shown", [{}, {"model_info": None}, {"model_info": {"general.architecture": "llama"}}]
)
def test_default_window(ollama_double: FakeOllama, backend: Ollama, shown: dict[str, Any]) -> None:
    ollama_double.replies["/api/show"] = (200, shown)
    assert backend.inspect("d", soon()).window == 4096


# --- the window ----------------------------------------------------------------------------


def test_short_prompt_requests_no_window(ollama_double: FakeOllama, backend: Ollama) -> None:
    complete(backend, "short")
    assert windows(ollama_double) == [None]
    assert ollama_double.asked("/api/ps") == []


def test_loaded_window_too_small(ollama_double: FakeOllama, backend: Ollama) -> None:
    ollama_double.loaded = 4096
    complete(backend, LONG)
    assert windows(ollama_double) == [6144]


def test_loaded_window_is_enough(ollama_double: FakeOllama, backend: Ollama) -> None:
    ollama_double.loaded = 16384
    complete(backend, LONG)
    assert windows(ollama_double) == [None]


def test_model_not_loaded(ollama_double: FakeOllama, backend: Ollama) -> None:
    complete(backend, LONG)
    assert windows(ollama_double) == [6144]


def test_requested_window_is_reused(ollama_double: FakeOllama, backend: Ollama) -> None:
    for prompt in (LONG, "short", LONG * 2, LONG):
        complete(backend, prompt, Model("starcoder2:7b", DIGEST, "starcoder2", 32768))
    assert windows(ollama_double) == [6144, 6144, 11264, 11264]
    assert len(ollama_double.asked("/api/ps")) == 1


def test_window_is_limited_by_model(ollama_double: FakeOllama, backend: Ollama) -> None:
    complete(backend, LONG, Model("starcoder2:7b", DIGEST, "starcoder2", 5000))
    assert windows(ollama_double) == [5000]


def test_refused_prompt_is_resent(ollama_double: FakeOllama, backend: Ollama) -> None:
    ollama_double.replies["/api/generate"] = [TOO_LONG]
    assert complete(backend, "a" * 3000).text == ollama_double.answer
    assert windows(ollama_double) == [None, 4096]  # a token a byte, and the answer


def test_prompt_refused_twice(ollama_double: FakeOllama, backend: Ollama) -> None:
    ollama_double.replies["/api/generate"] = TOO_LONG
    with pytest.raises(PromptTooLong):
        complete(backend, LONG)
    assert windows(ollama_double) == [6144, 13312]


def test_refused_with_full_window(ollama_double: FakeOllama, backend: Ollama) -> None:
    ollama_double.replies["/api/generate"] = TOO_LONG
    with pytest.raises(PromptTooLong):
        complete(backend, LONG, Model("starcoder2:7b", DIGEST, "starcoder2", 5000))
    assert windows(ollama_double) == [5000]


# --- what is made of the answer ------------------------------------------------------------


def test_counts_of_ollama(ollama_double: FakeOllama, backend: Ollama) -> None:
    ollama_double.answer, ollama_double.evaluated = " one two", 3
    assert complete(backend, "a b c") == Completion(" one two", "starcoder2:7b", 3, 3)


@pytest.mark.parametrize("ending", ["length", "aborted"])
def test_aborted_answer_is_truncated(
    ollama_double: FakeOllama, backend: Ollama, ending: str
) -> None:
    """After 31 equal tokens, white space among them, Ollama ends the stream without `done`."""
    ollama_double.ending = ending
    assert complete(backend, "a").truncated


def test_error_within_answer(ollama_double: FakeOllama, backend: Ollama) -> None:
    ollama_double.ending = "error"
    with raises_error(
        BadResponse,
        f"Ollama at {ollama_double.url} failed (an error was encountered while running the model).",
        "Check its log.",
    ):
        complete(backend, "a")


def test_connection_breaks_off(ollama_double: FakeOllama, backend: Ollama) -> None:
    ollama_double.ending = "cut"
    with raises_error(
        BadResponse,
        f"Ollama at {ollama_double.url} broke off in the middle of its answer.",
        "Check its log.",
    ):
        complete(backend, "a")


@pytest.mark.parametrize(("evaluated", "loaded"), [(1100, 16384), (16384, 16384), (2050, 4096)])
def test_silently_cut_prompt(
    ollama_double: FakeOllama, backend: Ollama, evaluated: int, loaded: int
) -> None:
    ollama_double.evaluated, ollama_double.loaded = evaluated, loaded
    with raises_error(
        PromptTooLong,
        f"Ollama read {evaluated} tokens of a prompt of 12500 characters and cut the rest.",
        CUT_HINT,
    ):
        complete(backend, LONG)
    assert len(ollama_double.asked()) == 1  # the answer was shown already: no second one after it


def test_answer_without_counts(ollama_double: FakeOllama, backend: Ollama) -> None:
    ollama_double.evaluated = 0
    assert complete(backend, LONG).prompt_tokens == 0


# --- counting ------------------------------------------------------------------------------


@given(
    st.text(
        st.characters(exclude_categories=["L", "Cs"]) | st.sampled_from("abcXYZ   "), max_size=60
    )
)
def test_estimate_of_parts(text: str) -> None:
    half = len(text) // 2
    assert estimate(text[:half]) + estimate(text[half:]) >= estimate(text)


@given(st.text("0123456789()[]{}=+-*/<>!,.;:\n\t" + "éя日🙂", max_size=60))
def test_estimate_of_signs(text: str) -> None:
    assert estimate(text) >= len(text.encode())


@given(st.text(max_size=60))
def test_estimate_is_below_bytes(text: str) -> None:
    assert 1 <= estimate(text) <= len(text.encode("utf-8", "replace")) + 1
