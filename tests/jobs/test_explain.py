"""Why a test failed, asked of a model that is handed in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from pytest_starcoder.backends import OnText
from pytest_starcoder.client import ROOM, Client
from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.jobs.explain import evidence, explain, question
from pytest_starcoder.prompts import FORMS
from pytest_starcoder.settings import Settings
from pytest_starcoder.text.sentinels import STARCODER2
from pytest_starcoder.values import Cause, Completion, Deadline, Failure, Frame, Model, Prompt

LEAD = "The test fails because"


@dataclass
class Echo:
    """A backend in memory: it writes `answer` piece by piece and keeps what it was asked; a token is a word."""

    answer: tuple[str, ...] = (" the divisor", " is one too small.")
    architecture: str = "starcoder2"
    window: int = 16384
    truncated: bool = False
    asked: list[Prompt] = field(default_factory=list)
    label: str = "Echo"
    place: str = "memory"

    def identify(self, deadline: Deadline) -> str:
        return f"{self.architecture} {self.window}"

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        return Model("echo:1b", digest, self.architecture, self.window)

    def count(self, text: str, deadline: Deadline) -> int:
        return len(text.split())

    def complete(self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText) -> Completion:
        self.asked.append(prompt)
        for piece in self.answer:
            on_text(piece)
        return Completion("".join(self.answer), model.name, 10, len(self.answer), truncated=self.truncated)

    def version(self, deadline: Deadline) -> str:
        return ""

    def close(self) -> None: ...


def frame(path: str, function: str, first: int = 1, words: int = 3) -> Frame:
    return Frame(path, first + 1, function, first, f"def {function}():\n    return {'x ' * words}")


FAILURE = Failure(
    nodeid="tests/test_shop.py::test_mean",
    phase="call",
    exception="AssertionError",
    message="assert 3.0 == 2",
    seen="mean([1, 2, 3]) returned 3.0, the test expects 2",
    frames=(frame("tests/test_shop.py", "test_mean"), frame("shop.py", "deepest", 10)),
    callees=(frame("shop.py", "mean"),),
)


def asked(backend: Echo, failure: Failure = FAILURE) -> str:
    explain(Cause((failure,)), Client(backend, Settings()), lambda _piece: None)
    return backend.asked[-1].text


def test_the_explanation_is_what_was_seen_and_what_the_model_wrote_after_the_lead() -> None:
    found = explain(Cause((FAILURE,)), Client(Echo(), Settings()), lambda _piece: None)
    assert found.seen == FAILURE.seen
    assert found.why == f"{LEAD} the divisor is one too small."
    assert (found.model, found.truncated, found.from_cache) == ("echo:1b", False, False)


def test_a_cut_answer_is_told_to_be_cut() -> None:
    assert explain(Cause((FAILURE,)), Client(Echo(truncated=True), Settings()), lambda _piece: None).truncated


@pytest.mark.parametrize("answer", [(" a", " b"), ("", " a b"), (" ", "a b"), (" a b",)])
def test_the_lead_is_said_once_and_before_the_first_word(answer: tuple[str, ...]) -> None:
    said: list[str] = []
    explain(Cause((FAILURE,)), Client(Echo(answer), Settings()), said.append)
    assert said[0].startswith(LEAD)
    assert "".join(said).count(LEAD) == 1
    assert "".join(said).split() == [*LEAD.split(), "a", "b"]


@pytest.mark.parametrize("answer", [(), ("",), (" \n", "\n")])
def test_an_answer_without_a_word_is_an_error_and_nothing_is_said(answer: tuple[str, ...]) -> None:
    said: list[str] = []
    with pytest.raises(UnreadableAnswer):
        explain(Cause((FAILURE,)), Client(Echo(answer), Settings()), said.append)
    assert said == []


def test_one_cause_is_one_question_about_its_first_failure() -> None:
    backend = Echo()
    others = [replace(FAILURE, nodeid=f"test_{number}") for number in range(5)]
    explain(Cause((FAILURE, *others)), Client(backend, Settings()), lambda _piece: None)
    assert len(backend.asked) == 1
    assert "tests/test_shop.py::test_mean fails with AssertionError" in backend.asked[0].text
    assert "test_1" not in backend.asked[0].text


@pytest.mark.parametrize(
    ("architecture", "family"), [("starcoder2", "starcoder2"), ("starcoder", "starcoder"), ("gemma3", "completion")]
)
def test_the_model_decides_the_form_and_its_ends(architecture: str, family: str) -> None:
    backend = Echo(architecture=architecture)
    text = asked(backend)
    form = FORMS[family, "explain"]
    assert text.endswith(LEAD)
    assert text.startswith("<issue_start>") == (family != "completion")
    sent = backend.asked[0]
    assert (sent.stop, sent.stop_tokens, sent.max_tokens) == (form.stop, form.stop_tokens, form.max_tokens)


def test_the_setting_family_wins_over_the_model() -> None:
    client = Client(Echo(), Settings(family="completion"))
    explain(Cause((FAILURE,)), client, lambda _piece: None)
    assert client.backend.asked[0].text.startswith("Failing Python tests")  # type: ignore[attr-defined]


def test_a_chat_model_is_asked_by_a_message_and_answers_without_a_lead() -> None:
    backend = Echo((" The divisor is one too small. ",))
    found = explain(Cause((FAILURE,)), Client(backend, Settings(family="chat")), lambda _piece: None)
    assert found.why == "The divisor is one too small."
    assert backend.asked[0].chat
    assert LEAD not in backend.asked[0].text


def test_the_setting_max_tokens_caps_the_answer() -> None:
    backend = Echo()
    explain(Cause((FAILURE,)), Client(backend, Settings(max_tokens=7)), lambda _piece: None)
    assert backend.asked[0].max_tokens == 7


# --- evidence ------------------------------------------------------------------------------


def test_where_it_failed_comes_first_then_what_that_calls_then_who_called_it() -> None:
    first, *others = evidence(FAILURE)
    assert first == (
        "Seen: mean([1, 2, 3]) returned 3.0, the test expects 2\nAssertionError: assert 3.0 == 2\n\n"
        "shop.py, line 11:\n```python\ndef deepest():\n    return x x x \n```"
    )
    assert [other.split(",")[0] for other in others] == ["shop.py", "tests/test_shop.py"]


def test_a_message_that_was_seen_is_not_said_twice() -> None:
    failure = Failure("n", "call", "ValueError", "bad", "raised ValueError: bad")
    assert evidence(failure) == ["Seen: raised ValueError: bad"]


def test_a_function_that_is_entered_twice_is_shown_once() -> None:
    same = frame("shop.py", "down")
    failure = replace(FAILURE, frames=(same, same, same), callees=(same,))
    assert len(evidence(failure)) == 1


def test_a_frame_without_source_is_no_evidence() -> None:
    failure = replace(FAILURE, frames=(Frame("gone.py", 1, "f", 1, ""),), callees=())
    assert evidence(failure) == [
        "Seen: mean([1, 2, 3]) returned 3.0, the test expects 2\nAssertionError: assert 3.0 == 2"
    ]


def test_what_does_not_fit_is_left_out_the_least_telling_first() -> None:
    long = replace(FAILURE, frames=(frame("tests/test_shop.py", "test_mean", words=ROOM), FAILURE.frames[1]))
    text = asked(Echo(), long)
    assert "deepest" in text
    assert "def mean" in text
    assert "def test_mean" not in text


@pytest.mark.parametrize("window", [16384, 2048, 700])
@pytest.mark.parametrize("words", [10, 2_000, 50_000])
@pytest.mark.parametrize("architecture", ["starcoder2", "gemma3"])
def test_the_prompt_fits_its_room_and_with_the_answer_the_window(architecture: str, words: int, window: int) -> None:
    backend = Echo(architecture=architecture, window=window)
    long = replace(FAILURE, frames=tuple(frame("shop.py", f"f{n}", n, words) for n in range(3)))
    asked(backend, long)
    sent = backend.asked[0]
    assert len(sent.text.split()) <= ROOM
    assert len(sent.text.split()) + sent.max_tokens <= window


def test_evidence_that_is_cut_keeps_its_beginning_and_its_end() -> None:
    source = f"def f():\n    begins()\n{'    x = 1' * 20_000}\n    ends()"
    failure = replace(FAILURE, frames=(Frame("shop.py", 4, "f", 1, source),), callees=())
    text = asked(Echo(), failure)
    assert "begins()" in text
    assert "\n…\n" in text
    assert "ends()" in text


def test_control_tokens_in_the_users_texts_are_made_ordinary_text() -> None:
    hostile = "".join(STARCODER2)
    failure = Failure(
        nodeid=f"test_x.py::test[{hostile}]",
        phase="call",
        exception="ValueError",
        message=hostile,
        seen=f"raised ValueError: {hostile}",
        frames=(Frame("x.py", 1, "f", 1, f"x = '{hostile}'"),),
    )
    harmless = asked(Echo(), replace(failure, nodeid="a", message="", seen="b", frames=()))
    text = asked(Echo(), failure)
    assert {token: text.count(token) for token in STARCODER2} == {token: harmless.count(token) for token in STARCODER2}


def test_the_question_alone_asks_nothing() -> None:
    backend = Echo()
    prompt = question(FAILURE, Client(backend, Settings()), "starcoder2")
    assert FAILURE.seen in prompt.text
    assert backend.asked == []
