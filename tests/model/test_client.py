"""The client: asks once, remembers, does not send what does not fit, and ends in time."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.errors import raises_error
from support.servers import FakeOllama, closed_port, fake_ollama, hangs, raw_server

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    PromptTooLong,
    RateLimited,
)
from pytest_starcoder.model import client as home
from pytest_starcoder.model.backends.tokens import CHAT_TEMPLATE_TOKENS
from pytest_starcoder.model.client import MAX_PROMPT_TOKENS, Client, cap_answer, fit_prompt
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

PROMPT = Prompt("def mean(xs):", stop=("\n\n",), max_tokens=20)
BUSY = (503, {"error": "server busy, please try again.  maximum pending requests exceeded"})
START = (
    "Start Ollama with `ollama serve`, set OLLAMA_HOST to its address, "
    "or set STARCODER_MODEL to a .gguf file, which needs no server."
)


@pytest.fixture
def chosen(ollama_double: FakeOllama, tmp_path: Path) -> Settings:
    """Settings that point at the double, with a cache folder of the test's own."""
    return Settings(backend="ollama", host=ollama_double.url, cache=str(tmp_path / "cache"))


def ask(settings: Settings, prompt: Prompt = PROMPT) -> Completion:
    """One question of a client of its own, as another run would ask it."""
    with Client.from_settings(settings) as client:
        return client.complete(prompt)


def paths(fake: FakeOllama) -> list[str]:
    """Return the paths requested since the last call."""
    requested = [request.path for request in fake.requests]
    fake.requests.clear()
    return requested


# --- asking once ---------------------------------------------------------------------------


def test_unused_client_opens_nothing(ollama_double: FakeOllama, chosen: Settings) -> None:
    Client.from_settings(chosen).close()
    assert ollama_double.requests == []


def test_requests_of_first_question(ollama_double: FakeOllama, chosen: Settings) -> None:
    ask(chosen)
    assert paths(ollama_double) == ["/api/tags", "/api/show", "/api/generate"]


def test_repeated_question_is_cached(ollama_double: FakeOllama, chosen: Settings) -> None:
    pieces: list[str] = []
    with Client.from_settings(chosen) as client:
        first = client.complete(PROMPT)
        paths(ollama_double)
        second = client.complete(PROMPT, pieces.append)
        assert client.calls == 1
    assert paths(ollama_double) == []
    assert second == replace(first, from_cache=True)
    assert pieces == [first.text]


def test_next_run_identifies_the_model(ollama_double: FakeOllama, chosen: Settings) -> None:
    first = ask(chosen)
    paths(ollama_double)
    assert ask(chosen) == replace(first, from_cache=True)
    assert paths(ollama_double) == ["/api/tags"]


ASK = """
import sys
from pytest_starcoder.model.client import Client
from pytest_starcoder.settings import Settings
from pytest_starcoder.model.prompt import Prompt
settings = Settings(backend="ollama", host=sys.argv[1], cache=sys.argv[2])
with Client.from_settings(settings) as client:
    print(client.complete(Prompt("def mean(xs):", stop=("\\n\\n",), max_tokens=20)).from_cache)
"""


def test_cache_is_shared_between_processes(ollama_double: FakeOllama, chosen: Settings) -> None:
    ask(chosen)
    paths(ollama_double)
    command = [sys.executable, "-c", ASK, ollama_double.url, chosen.cache]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"
    assert paths(ollama_double) == ["/api/tags"]


def test_two_processes_at_once(ollama_double: FakeOllama, chosen: Settings) -> None:
    command = [sys.executable, "-c", ASK, ollama_double.url, chosen.cache]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert all(process.communicate(timeout=30)[0] in ("True\n", "False\n") for process in both)
    assert ask(chosen).from_cache


@pytest.mark.parametrize(
    "change",
    [
        {"text": "def mean(ys):"},
        {"stop": ()},
        {"max_tokens": 21},
        {"stop_tokens": ("<file_sep>",)},
        {"schema": {"type": "object"}},
        {"chat": True},
        {"likelihood": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_prompt_is_asked(chosen: Settings, change: dict[str, Any]) -> None:
    ask(chosen)
    assert not ask(chosen, replace(PROMPT, **change)).from_cache


def test_another_temperature_is_asked(chosen: Settings) -> None:
    ask(chosen)
    assert not ask(replace(chosen, temperature=0.3)).from_cache


def test_new_digest_is_asked_again(ollama_double: FakeOllama, chosen: Settings) -> None:
    ask(chosen)
    ollama_double.digest = "f" * 64
    paths(ollama_double)
    assert not ask(chosen).from_cache
    assert paths(ollama_double) == ["/api/tags", "/api/show", "/api/generate"]


def test_renamed_model(ollama_double: FakeOllama, chosen: Settings) -> None:
    ask(chosen)
    ollama_double.model = "mine:latest"
    assert ask(replace(chosen, model="mine")).model == "mine"


def test_timeouts_do_not_affect_cache(chosen: Settings) -> None:
    ask(chosen)
    assert ask(replace(chosen, timeout=11, first_token_timeout=12)).from_cache


def test_cut_answer_is_cached(ollama_double: FakeOllama, chosen: Settings) -> None:
    ollama_double.ending = "length"
    assert ask(chosen).truncated
    again = ask(chosen)
    assert again.truncated
    assert again.from_cache


def test_aborted_answer_is_not_cached(ollama_double: FakeOllama, chosen: Settings) -> None:
    ollama_double.ending = "aborted"
    assert ask(chosen).truncated
    ollama_double.ending = "done"
    assert ask(chosen) == Completion(ollama_double.answer, "starcoder2:7b", 3, 7)  # type: ignore[arg-type]


def test_error_is_not_cached(ollama_double: FakeOllama, chosen: Settings) -> None:
    ollama_double.replies["/api/generate"] = [(500, {"error": "boom"})]
    with pytest.raises(BackendError):
        ask(chosen)
    assert not ask(chosen).from_cache


def test_cache_off(ollama_double: FakeOllama, chosen: Settings, clean_environment: Path) -> None:
    for _ in range(2):
        assert not ask(replace(chosen, cache="off")).from_cache
    assert paths(ollama_double) == ["/api/tags", "/api/show", "/api/generate"] * 2
    assert not (clean_environment / ".cache").exists()
    assert not Path(chosen.cache).exists()


def test_default_cache_folder(chosen: Settings, clean_environment: Path) -> None:
    ask(replace(chosen, cache="on"))
    assert list(clean_environment.rglob("answers"))


# --- what is remembered, as files ----------------------------------------------------------


def test_cache_has_no_prompt(chosen: Settings) -> None:
    secret = "the secret of the prompt"
    with Client.from_settings(replace(chosen, api_key="the-key")) as client:
        client.complete(
            Prompt(f"{secret} " * 700)
        )  # long enough to be counted, which is remembered as well
    contents = [file.read_bytes() for file in Path(chosen.cache).rglob("*") if file.is_file()]
    assert len(contents) == 4
    assert not [content for content in contents if b"secret" in content or b"the-key" in content]


@settings(max_examples=30)
@given(
    damage=st.binary(max_size=100)
    | st.sampled_from([b"{}", b"null", b"[]", b'"text"', b"[" * 10_000])
)
def test_damaged_files_are_ignored(tmp_path_factory: pytest.TempPathFactory, damage: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged-client"
    shutil.rmtree(folder, ignore_errors=True)
    with fake_ollama() as fake:
        chosen = Settings(backend="ollama", host=fake.url, cache=str(folder))
        first = ask(chosen)
        for file in (folder / "answers").iterdir():
            file.write_bytes(damage)
        assert ask(chosen) == first
        assert ask(chosen).from_cache


def test_unwritable_cache(chosen: Settings) -> None:
    Path(chosen.cache).write_text("a file where the folder should be")
    assert not ask(chosen).from_cache
    assert not ask(chosen).from_cache


def test_fields_define_the_format() -> None:
    """A new field needs a new CACHE_FORMAT: entries of older versions must not be read."""
    assert (home.CACHE_FORMAT, [field.name for field in (*fields(Completion), *fields(Model))]) == (
        5,
        "text model prompt_tokens completion_tokens cached_tokens truncated from_cache likelihood "
        "name digest architecture window chat fill".split(),
    )


# --- the server away -----------------------------------------------------------------------


@pytest.fixture
def away(chosen: Settings) -> tuple[Settings, Completion]:
    """The settings of a server that answered PROMPT and then ended, and its answer."""
    with fake_ollama() as fake:
        settings = replace(chosen, host=fake.url)
        answer = ask(settings)
    return settings, answer


def test_cached_answer_during_outage(
    away: tuple[Settings, Completion],
) -> None:
    settings, answer = away
    with Client.from_settings(settings) as client:
        assert client.complete(PROMPT) == replace(answer, from_cache=True)
        assert client.outage is not None
        assert client.outage.message == f"Nothing answers at {settings.host}."
        assert client.calls == 0


def test_new_prompt_during_outage(
    away: tuple[Settings, Completion],
) -> None:
    settings, _ = away
    with (
        Client.from_settings(settings) as client,
        raises_error(BackendUnavailable, f"Nothing answers at {settings.host}.", START),
    ):
        client.complete(Prompt("another"))


def test_long_prompt_during_outage(
    away: tuple[Settings, Completion],
) -> None:
    settings, _ = away
    with Client.from_settings(settings) as client, pytest.raises(BackendUnavailable):
        client.fits(Prompt("another " * 3000))


def test_outage_without_cache() -> None:
    url = closed_port()
    with (
        Client.from_settings(Settings(backend="ollama", host=url)) as client,
        raises_error(BackendUnavailable, f"Nothing answers at {url}.", START),
    ):
        client.complete(PROMPT)


def test_no_outage(chosen: Settings) -> None:
    with Client.from_settings(chosen) as client:
        client.complete(PROMPT)
        assert client.outage is None


# --- asking again --------------------------------------------------------------------------


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the client would have slept; the double's own naps are not among them."""
    pauses: list[float] = []
    monkeypatch.setattr(home, "time", SimpleNamespace(sleep=pauses.append))
    return pauses


def test_retries_with_growing_pauses(
    ollama_double: FakeOllama, chosen: Settings, pauses: list[float]
) -> None:
    ollama_double.replies["/api/generate"] = [BUSY, BUSY]
    assert ask(chosen).text == ollama_double.answer
    assert len(pauses) == 2
    assert 1 <= pauses[0] <= 1.5
    assert 2 <= pauses[1] <= 3


@pytest.mark.usefixtures("pauses")
def test_three_attempts(ollama_double: FakeOllama, chosen: Settings) -> None:
    ollama_double.replies["/api/generate"] = BUSY
    with Client.from_settings(chosen) as client:
        with pytest.raises(RateLimited):
            client.complete(PROMPT)
        assert client.calls == 3


def test_pause_respects_deadline(ollama_double: FakeOllama, chosen: Settings) -> None:
    ollama_double.replies["/api/generate"] = BUSY
    started = time.monotonic()
    with pytest.raises(RateLimited):
        ask(replace(chosen, timeout=0.9))
    assert time.monotonic() - started < 0.9
    assert len(ollama_double.asked()) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_other_errors_are_not_retried(
    ollama_double: FakeOllama, chosen: Settings, status: int
) -> None:
    ollama_double.replies["/api/generate"] = (status, {"error": "boom"})
    with pytest.raises(BackendError):
        ask(chosen)
    assert len(ollama_double.asked()) == 1


# --- time ----------------------------------------------------------------------------------


def test_session_timeout(ollama_double: FakeOllama, chosen: Settings) -> None:
    ollama_double.delay = 0.4
    started = time.monotonic()
    with Client.from_settings(replace(chosen, session_timeout=0.6)) as client:
        client.complete(Prompt("first"))
        with raises_error(
            BackendTimeout,
            f"Ollama at {ollama_double.url} did not finish within 0.6 s.",
            "Give it longer with STARCODER_SESSION_TIMEOUT (seconds), or use a smaller model.",
        ):
            client.complete(Prompt("second"))
    assert time.monotonic() - started < 1.6


def test_call_timeout(chosen: Settings) -> None:
    with raw_server(hangs) as url:
        settings = replace(chosen, host=url, timeout=0.3)
        with (
            Client.from_settings(settings) as client,
            raises_error(
                BackendTimeout,
                f"Ollama at {url} did not finish within 0.3 s.",
                "Give it longer with STARCODER_TIMEOUT (seconds), or use a smaller model.",
            ),
        ):
            client.complete(PROMPT)


def test_end_of_other_work(ollama_double: FakeOllama, chosen: Settings) -> None:
    ollama_double.delay = 0.8
    with Client.from_settings(chosen) as client:
        client.end_by(Deadline.after(0.3, "explain_timeout"))
        with pytest.raises(BackendTimeout) as caught:
            client.complete(PROMPT)
    longer = "Give it longer with STARCODER_EXPLAIN_TIMEOUT (seconds)"
    assert caught.value.hint == f"{longer}, or use a smaller model."


def test_session_starts_with_first_question(chosen: Settings) -> None:
    with Client.from_settings(replace(chosen, session_timeout=0.3)) as client:
        time.sleep(0.4)
        assert client.complete(PROMPT).text


# --- what fits -----------------------------------------------------------------------------


def test_too_long_prompt_is_not_sent(ollama_double: FakeOllama, chosen: Settings) -> None:
    ollama_double.window = 4096
    with (
        Client.from_settings(chosen) as client,
        raises_error(
            PromptTooLong,
            "The prompt (9000 characters) and an answer of 20 tokens do not fit the 4096 tokens "
            "of starcoder2:7b.",
            "Send less, or use a model or server with a larger window.",
        ),
    ):
        client.complete(Prompt("a(" * 4500, max_tokens=20))
    assert ollama_double.asked() == []


def test_limit_and_window(ollama_double: FakeOllama, chosen: Settings) -> None:
    ollama_double.window = 4096
    with Client.from_settings(chosen) as client:
        assert client.fits(Prompt("(" * 80, max_tokens=10), 100)
        assert not client.fits(Prompt("(" * 95, max_tokens=10), 100)
        assert not client.fits(Prompt("(" * 5000, max_tokens=10), 9000)


def test_chat_template_needs_room(chosen: Settings) -> None:
    message = Prompt("(" * 80, max_tokens=10, chat=True)
    with Client.from_settings(chosen) as client:
        assert client.fits(message, 100 + CHAT_TEMPLATE_TOKENS)
        assert not client.fits(message, 80 + CHAT_TEMPLATE_TOKENS)
        assert client.fits(replace(message, chat=False), 100)


def lines(parts: list[str]) -> Prompt:
    return Prompt("\n".join(parts), max_tokens=400)


def test_parts_that_fit(chosen: Settings) -> None:
    """The room is the prompt's alone, however long its answer may be."""
    parts = ["(" * 40, ")" * 40, "+" * 40]
    with Client.from_settings(chosen) as client:
        assert fit_prompt(lines, parts, client, 140) == lines(parts)
        assert fit_prompt(lines, parts, client, 90) == lines(parts[:2])
        assert fit_prompt(lines, parts, client, 60) == lines(parts[:1])


def test_default_room(ollama_double: FakeOllama, chosen: Settings) -> None:
    parts = ["(" * 1000] * 9
    with Client.from_settings(chosen) as client:
        prompt = fit_prompt(lines, parts, client)
        assert prompt == lines(parts[:2])
        assert MAX_PROMPT_TOKENS + 500 + CHAT_TEMPLATE_TOKENS <= 4096
    ollama_double.digest, ollama_double.window = "e" * 64, 2048
    with Client.from_settings(chosen) as client:
        assert fit_prompt(lines, parts, client) == lines(parts[:1])


def test_long_first_part_is_cut(chosen: Settings) -> None:
    with Client.from_settings(chosen) as client:
        prompt = fit_prompt(lines, ["[" * 500 + "]" * 500, "rest"], client, 400)
        assert client.fits(prompt, 400 + prompt.max_tokens)
    assert prompt.text.startswith("[[[")
    assert prompt.text.endswith("]]]")
    assert "\n…\n" in prompt.text


def test_first_part_is_always_included(chosen: Settings) -> None:
    with Client.from_settings(chosen) as client:
        assert len(fit_prompt(lines, ["[" * 500], client, 10).text) <= 200


def test_answer_is_capped(chosen: Settings) -> None:
    with Client.from_settings(replace(chosen, max_tokens=50)) as client:
        assert cap_answer(Prompt("", max_tokens=400), client.settings).max_tokens == 50
        assert cap_answer(Prompt("", max_tokens=40), client.settings).max_tokens == 40
        assert fit_prompt(lines, ["a"], client).max_tokens == 50
