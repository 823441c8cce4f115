"""One answer in words: with its lead, without the thoughts before it, and never nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises_error
from support.servers import FakeOllama

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.model.answer import answer
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

LEAD = "It"
SAID = Prompt("What does f do?", max_tokens=90)
CHAT = Prompt("What does f do?", max_tokens=90, chat=True)


class Writer:
    """A backend in memory that writes the pieces it was made with."""

    label = "Writer"
    place = "memory"

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = pieces

    def identify(self, deadline: Deadline) -> str:
        return "digest"

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        return Model("writer:1b", digest, "", 4096)

    def count(self, text: str, deadline: Deadline) -> int:
        return len(text)

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: object
    ) -> Completion:
        assert callable(on_text)
        for piece in self._pieces:
            on_text(piece)
        return Completion("".join(self._pieces), model.name, 10, len(self._pieces))

    def version(self, deadline: Deadline) -> str:
        return ""

    def close(self) -> None: ...


def answered(prompt: Prompt, lead: str, *pieces: str) -> tuple[str, str]:
    """Return the answer, and the text that was streamed."""
    streamed: list[str] = []
    completion = answer(prompt, lead, Client(Writer(pieces), Settings()), streamed.append)
    return completion.text, "".join(streamed)


# --- lead ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pieces", [(" adds", " two."), ("", " adds two."), (" ", "adds two."), (" adds two.",)]
)
def test_lead_before_first_word(pieces: tuple[str, ...]) -> None:
    assert answered(SAID, LEAD, *pieces) == ("It adds two.", "It adds two.")


def test_lead_joins_answer() -> None:
    assert answered(SAID, LEAD, "'s a sum.") == ("It's a sum.", "It's a sum.")


@pytest.mark.parametrize(
    "text", [" adds two.", "adds two.", "\nIt always adds two.", "always adds two."]
)
def test_chat_model_repeats_lead(text: str) -> None:
    assert answered(CHAT, "It always", text)[0] == "It always adds two."


def test_chat_model_only_repeats_lead() -> None:
    with pytest.raises(UnreadableAnswer):
        answered(CHAT, "It always", "It always")


def test_answer_without_lead() -> None:
    assert answered(SAID, "", "\n\n ", "\tIt adds", " two.\n") == ("It adds two.", "It adds two.\n")


def test_indentation_is_preserved() -> None:
    assert answered(SAID, "", "\nx:\n", "    y\n")[0] == "x:\n    y"


def test_pieces_are_streamed() -> None:
    streamed: list[str] = []
    answer(SAID, "", Client(Writer((" so", " it", "\n", " is")), Settings()), streamed.append)
    assert streamed == ["so", " it", "\n", " is"]


# --- thoughts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pieces",
    [
        ("<think>Let me see.</think>It adds two.",),
        ("\n<th", "ink>Let", " me see.</thi", "nk>\n\n", "It adds", " two."),
        ("<think>\n\n</think>\n\nIt adds two.",),
        ("It adds two.",),
    ],
)
def test_thoughts_are_left_out(pieces: tuple[str, ...]) -> None:
    assert answered(CHAT, "", *pieces) == ("It adds two.", "It adds two.")


def test_tag_within_answer() -> None:
    text = "A model writes <think> before and </think> after."
    assert answered(CHAT, "", "A model ", text[8:]) == (text, text)


def test_other_tag_is_not_a_thought() -> None:
    assert answered(CHAT, "", "<th", ">a</th>") == ("<th>a</th>", "<th>a</th>")


def test_base_model_has_no_thoughts() -> None:
    assert answered(SAID, "", "<think>a</think>b") == ("<think>a</think>b", "<think>a</think>b")


@given(
    text=st.text("<think>/ ab\n", max_size=40),
    cuts=st.lists(st.integers(0, 60)),
    thought=st.booleans(),
)
def test_stream_equals_answer(text: str, cuts: list[int], thought: bool) -> None:
    text = f"<think>{text}</think>so {text}" if thought else f"so {text}"
    places = [0, *sorted(cuts), len(text)]
    whole, streamed = answered(CHAT, "", *(text[start:end] for start, end in pairwise(places)))
    assert streamed.rstrip() == whole == answered(CHAT, "", text)[0]


# --- nothing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "lead", "pieces"),
    [
        (SAID, LEAD, ()),
        (SAID, "", ("",)),
        (SAID, LEAD, (" \n", "\n")),
        (CHAT, "", ("<think>All of it was a thought.</think>\n",)),
        (CHAT, "", ("<think>And this one was never", " ended")),
    ],
)
def test_empty_answer_is_an_error(prompt: Prompt, lead: str, pieces: tuple[str, ...]) -> None:
    streamed: list[str] = []
    with raises_error(
        UnreadableAnswer, "writer:1b returned an empty answer.", "Another model may do better."
    ):
        answer(prompt, lead, Client(Writer(pieces), Settings()), streamed.append)
    assert streamed == []


def test_cached_answer_has_lead(ollama_double: FakeOllama, tmp_path: object) -> None:
    settings = Settings(backend="ollama", host=ollama_double.url, cache=f"{tmp_path}/cache")
    ollama_double.answer = " adds two."
    for remembered in (False, True):
        streamed: list[str] = []
        with Client.from_settings(settings) as client:
            completion = answer(SAID, LEAD, client, streamed.append)
        assert (completion.text, "".join(streamed), completion.from_cache) == (
            "It adds two.",
            "It adds two.",
            remembered,
        )
