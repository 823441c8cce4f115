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
from support.errors import told
from support.servers import FakeOllama, closed_port, fake_ollama, hangs, raw_server

from pytest_starcoder.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    PromptTooLong,
    RateLimited,
)
from pytest_starcoder.model import client as home
from pytest_starcoder.model.backends.tokens import CHAT_TEMPLATE_TOKENS
from pytest_starcoder.model.client import ROOM, Client, cap_answer, fit
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

PROMPT = Prompt("def mean(xs):", stop=("\n\n",), max_tokens=20)
BUSY = (503, {"error": "server busy, please try again.  maximum pending requests exceeded"})
START = (
    "Start Ollama with `ollama serve`, set OLLAMA_HOST to where it runs, "
    "or set STARCODER_MODEL to a .gguf file and do without a server."
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
    """What was asked since the last look."""
    found = [request.path for request in fake.requests]
    fake.requests.clear()
    return found


# --- asking once ---------------------------------------------------------------------------


def test_a_client_that_is_not_asked_opens_no_connection(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    Client.from_settings(chosen).close()
    assert ollama_double.requests == []


def test_the_first_question_is_two_of_metadata_and_one_of_the_prompt(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    ask(chosen)
    assert paths(ollama_double) == ["/api/tags", "/api/show", "/api/generate"]


def test_the_same_question_in_one_run_asks_nothing(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    pieces: list[str] = []
    with Client.from_settings(chosen) as client:
        first = client.complete(PROMPT)
        paths(ollama_double)
        second = client.complete(PROMPT, pieces.append)
        assert client.calls == 1
    assert paths(ollama_double) == []
    assert second == replace(first, from_cache=True)
    assert pieces == [first.text]


def test_the_same_question_in_another_run_is_one_question_of_metadata(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
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


def test_the_same_question_of_another_process_is_remembered(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    ask(chosen)
    paths(ollama_double)
    command = [sys.executable, "-c", ASK, ollama_double.url, chosen.cache]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"
    assert paths(ollama_double) == ["/api/tags"]


def test_two_processes_at_once_both_get_their_answer(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
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


def test_another_digest_is_asked_and_its_facts_anew(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    ask(chosen)
    ollama_double.digest = "f" * 64
    paths(ollama_double)
    assert not ask(chosen).from_cache
    assert paths(ollama_double) == ["/api/tags", "/api/show", "/api/generate"]


def test_another_name_of_the_same_model_is_the_one_that_is_told(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    ask(chosen)
    ollama_double.model = "mine:latest"
    assert ask(replace(chosen, model="mine")).model == "mine"


def test_times_have_no_part_in_what_is_remembered(chosen: Settings) -> None:
    ask(chosen)
    assert ask(replace(chosen, timeout=11, first_token_timeout=12)).from_cache


def test_an_answer_that_the_limit_cut_is_remembered(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    ollama_double.ending = "length"
    assert ask(chosen).truncated
    again = ask(chosen)
    assert again.truncated
    assert again.from_cache


def test_an_answer_that_the_server_broke_off_is_asked_for_anew(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    ollama_double.ending = "aborted"
    assert ask(chosen).truncated
    ollama_double.ending = "done"
    assert ask(chosen) == Completion(ollama_double.answer, "starcoder2:7b", 3, 7)  # type: ignore[arg-type]


def test_an_error_is_not_remembered(ollama_double: FakeOllama, chosen: Settings) -> None:
    ollama_double.replies["/api/generate"] = [(500, {"error": "boom"})]
    with pytest.raises(BackendError):
        ask(chosen)
    assert not ask(chosen).from_cache


def test_with_the_cache_off_everything_is_asked_and_nothing_written(
    ollama_double: FakeOllama, chosen: Settings, clean_environment: Path
) -> None:
    for _ in range(2):
        assert not ask(replace(chosen, cache="off")).from_cache
    assert paths(ollama_double) == ["/api/tags", "/api/show", "/api/generate"] * 2
    assert not (clean_environment / ".cache").exists()
    assert not Path(chosen.cache).exists()


def test_the_cache_is_in_the_users_cache_folder_by_itself(
    chosen: Settings, clean_environment: Path
) -> None:
    ask(replace(chosen, cache="on"))
    assert list(clean_environment.rglob("answers"))


# --- what is remembered, as files ----------------------------------------------------------


def test_no_text_of_a_prompt_and_no_key_is_in_a_file(chosen: Settings) -> None:
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
def test_damaged_files_are_asked_for_anew(
    tmp_path_factory: pytest.TempPathFactory, damage: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged-client"
    shutil.rmtree(folder, ignore_errors=True)
    with fake_ollama() as fake:
        chosen = Settings(backend="ollama", host=fake.url, cache=str(folder))
        first = ask(chosen)
        for file in (folder / "answers").iterdir():
            file.write_bytes(damage)
        assert ask(chosen) == first
        assert ask(chosen).from_cache


def test_a_cache_that_cannot_be_written_is_no_trouble(chosen: Settings) -> None:
    Path(chosen.cache).write_text("a file where the folder should be")
    assert not ask(chosen).from_cache
    assert not ask(chosen).from_cache


def test_other_fields_are_another_format() -> None:
    """What an older version has written must not be read as one of these: a new field needs a new FORMAT."""
    assert (home.CACHE_FORMAT, [field.name for field in (*fields(Completion), *fields(Model))]) == (
        3,
        "text model prompt_tokens completion_tokens cached_tokens truncated from_cache likelihood "
        "name digest architecture window chat".split(),
    )


# --- the server away -----------------------------------------------------------------------


@pytest.fixture
def away(chosen: Settings) -> tuple[Settings, Completion]:
    """The settings of a server that answered PROMPT and then ended, and its answer."""
    with fake_ollama() as fake:
        settings = replace(chosen, host=fake.url)
        answer = ask(settings)
    return settings, answer


def test_with_the_server_away_a_known_answer_is_given_and_that_is_said(
    away: tuple[Settings, Completion],
) -> None:
    settings, answer = away
    with Client.from_settings(settings) as client:
        assert client.complete(PROMPT) == replace(answer, from_cache=True)
        assert client.outage is not None
        assert client.outage.message == f"Nothing answers at {settings.host}."
        assert client.calls == 0


def test_with_the_server_away_an_unknown_prompt_is_an_error(
    away: tuple[Settings, Completion],
) -> None:
    settings, _ = away
    with (
        Client.from_settings(settings) as client,
        told(BackendUnavailable, f"Nothing answers at {settings.host}.", START),
    ):
        client.complete(Prompt("another"))


def test_with_the_server_away_a_long_prompt_is_not_counted(
    away: tuple[Settings, Completion],
) -> None:
    settings, _ = away
    with Client.from_settings(settings) as client, pytest.raises(BackendUnavailable):
        client.fits(Prompt("another " * 3000))


def test_a_server_that_was_never_there_is_an_error() -> None:
    url = closed_port()
    with (
        Client.from_settings(Settings(backend="ollama", host=url)) as client,
        told(BackendUnavailable, f"Nothing answers at {url}.", START),
    ):
        client.complete(PROMPT)


def test_with_the_server_there_nothing_is_said_to_be_away(chosen: Settings) -> None:
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


def test_a_busy_server_is_asked_again_after_a_growing_pause(
    ollama_double: FakeOllama, chosen: Settings, pauses: list[float]
) -> None:
    ollama_double.replies["/api/generate"] = [BUSY, BUSY]
    assert ask(chosen).text == ollama_double.answer
    assert len(pauses) == 2
    assert 1 <= pauses[0] <= 1.5
    assert 2 <= pauses[1] <= 3


@pytest.mark.usefixtures("pauses")
def test_a_server_that_stays_busy_is_asked_three_times(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    ollama_double.replies["/api/generate"] = BUSY
    with Client.from_settings(chosen) as client:
        with pytest.raises(RateLimited):
            client.complete(PROMPT)
        assert client.calls == 3


def test_no_pause_is_longer_than_the_time_that_is_left(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    ollama_double.replies["/api/generate"] = BUSY
    started = time.monotonic()
    with pytest.raises(RateLimited):
        ask(replace(chosen, timeout=0.9))
    assert time.monotonic() - started < 0.9
    assert len(ollama_double.asked()) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_no_other_error_is_asked_again(
    ollama_double: FakeOllama, chosen: Settings, status: int
) -> None:
    ollama_double.replies["/api/generate"] = (status, {"error": "boom"})
    with pytest.raises(BackendError):
        ask(chosen)
    assert len(ollama_double.asked()) == 1


# --- time ----------------------------------------------------------------------------------


def test_a_run_ends_at_its_own_time_and_says_so(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    ollama_double.delay = 0.4
    started = time.monotonic()
    with Client.from_settings(replace(chosen, session_timeout=0.6)) as client:
        client.complete(Prompt("first"))
        with told(
            BackendTimeout,
            f"Ollama at {ollama_double.url} did not finish within 0.6 s.",
            "Give it longer with STARCODER_SESSION_TIMEOUT (seconds), or use a smaller model.",
        ):
            client.complete(Prompt("second"))
    assert time.monotonic() - started < 1.6


def test_a_call_ends_at_its_own_time_and_says_so(chosen: Settings) -> None:
    with raw_server(hangs) as url:
        settings = replace(chosen, host=url, timeout=0.3)
        with (
            Client.from_settings(settings) as client,
            told(
                BackendTimeout,
                f"Ollama at {url} did not finish within 0.3 s.",
                "Give it longer with STARCODER_TIMEOUT (seconds), or use a smaller model.",
            ),
        ):
            client.complete(PROMPT)


def test_the_time_of_a_run_begins_with_its_first_question(chosen: Settings) -> None:
    with Client.from_settings(replace(chosen, session_timeout=0.3)) as client:
        time.sleep(0.4)
        assert client.complete(PROMPT).text


# --- what fits -----------------------------------------------------------------------------


def test_what_does_not_fit_is_not_sent(ollama_double: FakeOllama, chosen: Settings) -> None:
    ollama_double.window = 4096
    with (
        Client.from_settings(chosen) as client,
        told(
            PromptTooLong,
            "The prompt (9000 characters) and an answer of 20 tokens do not fit the 4096 tokens of starcoder2:7b.",
            "Send less, or use a model or server with a larger window.",
        ),
    ):
        client.complete(Prompt("a(" * 4500, max_tokens=20))
    assert ollama_double.asked() == []


def test_a_limit_of_ones_own_bounds_a_prompt_and_never_beyond_the_window(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    ollama_double.window = 4096
    with Client.from_settings(chosen) as client:
        assert client.fits(Prompt("(" * 80, max_tokens=10), 100)
        assert not client.fits(Prompt("(" * 95, max_tokens=10), 100)
        assert not client.fits(Prompt("(" * 5000, max_tokens=10), 9000)


def test_a_message_leaves_room_for_the_template_around_it(chosen: Settings) -> None:
    message = Prompt("(" * 80, max_tokens=10, chat=True)
    with Client.from_settings(chosen) as client:
        assert client.fits(message, 100 + CHAT_TEMPLATE_TOKENS)
        assert not client.fits(message, 80 + CHAT_TEMPLATE_TOKENS)
        assert client.fits(replace(message, chat=False), 100)


def lines(parts: list[str]) -> Prompt:
    return Prompt("\n".join(parts), max_tokens=400)


def test_as_many_parts_as_fit_are_taken_the_most_telling_first(chosen: Settings) -> None:
    """The room is the prompt's alone, however long its answer may be."""
    parts = ["(" * 40, ")" * 40, "+" * 40]
    with Client.from_settings(chosen) as client:
        assert fit(lines, parts, client, 140) == lines(parts)
        assert fit(lines, parts, client, 90) == lines(parts[:2])
        assert fit(lines, parts, client, 60) == lines(parts[:1])


def test_a_prompt_has_its_room_and_with_its_answer_the_smallest_window_unless_told_otherwise(
    ollama_double: FakeOllama, chosen: Settings
) -> None:
    parts = ["(" * 1000] * 9
    with Client.from_settings(chosen) as client:
        prompt = fit(lines, parts, client)
        assert prompt == lines(parts[:2])
        assert ROOM + 500 + CHAT_TEMPLATE_TOKENS <= 4096
    ollama_double.digest, ollama_double.window = "e" * 64, 2048
    with Client.from_settings(chosen) as client:
        assert fit(lines, parts, client) == lines(parts[:1])


def test_a_first_part_that_is_too_long_by_itself_is_cut_in_its_middle(chosen: Settings) -> None:
    with Client.from_settings(chosen) as client:
        prompt = fit(lines, ["[" * 500 + "]" * 500, "rest"], client, 400)
        assert client.fits(prompt, 400 + prompt.max_tokens)
    assert prompt.text.startswith("[[[")
    assert prompt.text.endswith("]]]")
    assert "\n…\n" in prompt.text


def test_a_first_part_that_cannot_be_cut_short_enough_stays(chosen: Settings) -> None:
    with Client.from_settings(chosen) as client:
        assert len(fit(lines, ["[" * 500], client, 10).text) <= 200


def test_an_answer_is_as_long_as_the_settings_allow_and_its_form_wants(chosen: Settings) -> None:
    with Client.from_settings(replace(chosen, max_tokens=50)) as client:
        assert cap_answer(Prompt("", max_tokens=400), client.settings).max_tokens == 50
        assert cap_answer(Prompt("", max_tokens=40), client.settings).max_tokens == 40
        assert fit(lines, ["a"], client).max_tokens == 50
