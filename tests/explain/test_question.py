"""Why a test failed, asked of a model that is handed in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.explain.explanation import Explanation, Suspect
from pytest_starcoder.explain.failure import Cause, Failure, Frame
from pytest_starcoder.explain.question import (
    ROOM,
    Question,
    explain,
    observed,
    prompt_of,
    shared_code,
)
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.model.prompts import FORMS
from pytest_starcoder.model.special_tokens import STARCODER2
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.runner.outcome import Call, Outcome
from pytest_starcoder.settings import Settings

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

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        self.asked.append(prompt)
        for piece in self.answer:
            on_text(piece)
        return Completion(
            "".join(self.answer), model.name, 10, len(self.answer), truncated=self.truncated
        )

    def version(self, deadline: Deadline) -> str:
        return ""

    def close(self) -> None: ...


def frame(path: str, function: str, first: int = 1, words: int = 3) -> Frame:
    return Frame(path, first + 1, function, first, f"def {function}():\n    return {'x ' * words}")


SETTINGS = Settings()
FAILURE = Failure(
    nodeid="tests/test_shop.py::test_mean",
    phase="call",
    exception="AssertionError",
    message="assert 3.0 == 2",
    seen="mean([1, 2, 3]) returned 3.0, the test expects 2",
    frames=(frame("tests/test_shop.py", "test_mean"), frame("shop.py", "deepest", 10)),
    callees=(frame("shop.py", "mean"),),
)


def excerpt(path: str, first: int, words: int = 3) -> Excerpt:
    return Excerpt(
        path, first, f"def f{first}():\n    return {'x ' * words}", frozenset((first, first + 1))
    )


def told(
    backend: Echo, case: Case | Failure = FAILURE, settings: Settings = SETTINGS
) -> Explanation:
    case = case if isinstance(case, Case) else Case(Cause((case,)))
    return explain(case, Client(backend, settings), lambda _piece: None, redact)


def asked(backend: Echo, case: Case | Failure = FAILURE) -> str:
    told(backend, case)
    return backend.asked[-1].text


def test_the_explanation_is_what_was_seen_and_what_the_model_wrote_after_the_lead() -> None:
    found = told(Echo())
    assert found.seen == FAILURE.seen
    assert found.why == f"{LEAD} the divisor is one too small."
    assert (found.model, found.truncated, found.from_cache) == ("echo:1b", False, False)


def test_a_cut_answer_is_told_to_be_cut() -> None:
    assert told(Echo(truncated=True)).truncated


@pytest.mark.parametrize("answer", [(" a", " b"), ("", " a b"), (" ", "a b"), (" a b",)])
def test_the_lead_is_said_once_and_before_the_first_word(answer: tuple[str, ...]) -> None:
    said: list[str] = []
    explain(Case(Cause((FAILURE,))), Client(Echo(answer), Settings()), said.append, redact)
    assert said[0].startswith(LEAD)
    assert "".join(said).count(LEAD) == 1
    assert "".join(said).split() == [*LEAD.split(), "a", "b"]


@pytest.mark.parametrize("answer", [(), ("",), (" \n", "\n")])
def test_an_answer_without_a_word_is_an_error_and_nothing_is_said(answer: tuple[str, ...]) -> None:
    said: list[str] = []
    with pytest.raises(UnreadableAnswer):
        explain(Case(Cause((FAILURE,))), Client(Echo(answer), Settings()), said.append, redact)
    assert said == []


def test_one_cause_is_one_question_about_its_first_failure() -> None:
    backend = Echo()
    others = [replace(FAILURE, nodeid=f"test_{number}") for number in range(5)]
    told(backend, Case(Cause((FAILURE, *others))))
    assert len(backend.asked) == 1
    assert "tests/test_shop.py::test_mean fails with AssertionError" in backend.asked[0].text
    assert "test_1" not in backend.asked[0].text


@pytest.mark.parametrize(
    ("architecture", "family"),
    [("starcoder2", "starcoder2"), ("starcoder", "starcoder"), ("gemma3", "completion")],
)
def test_the_model_decides_the_form_and_its_ends(architecture: str, family: str) -> None:
    backend = Echo(architecture=architecture)
    text = asked(backend)
    form = FORMS[family, "explain"]
    assert text.endswith(LEAD)
    assert text.startswith("<issue_start>") == (family != "completion")
    sent = backend.asked[0]
    assert (sent.stop, sent.stop_tokens, sent.max_tokens) == (
        form.stop,
        form.stop_tokens,
        form.max_tokens,
    )


def test_the_setting_family_wins_over_the_model() -> None:
    backend = Echo()
    told(backend, settings=Settings(family="completion"))
    assert backend.asked[0].text.startswith("Failing Python tests")


def test_a_chat_model_is_asked_by_a_message_and_answers_without_a_lead() -> None:
    backend = Echo((" The divisor is one too small. ",))
    found = told(backend, settings=Settings(family="chat"))
    assert found.why == "The divisor is one too small."
    assert backend.asked[0].chat
    assert LEAD not in backend.asked[0].text


def test_the_setting_max_tokens_caps_the_answer() -> None:
    backend = Echo()
    told(backend, settings=Settings(max_tokens=7))
    assert backend.asked[0].max_tokens == 7


# --- what is asked -------------------------------------------------------------------------

CASE = Case(
    Cause((FAILURE,)),
    Replay(
        failing=(
            Outcome("n", "failed", calls=(Call("shop.py", 10, "f10", "xs=[1]", "returned 3.0"),)),
        ),
        statements=("failed again when it was run again",),
        order=("before", "tests/test_shop.py::test_mean"),
    ),
    suspects=(Suspect("shop.py", 11, "return x", 1.0), Suspect("shop.py", 1, "def f", 0.5)),
    excerpts=(excerpt("shop.py", 10), excerpt("shop.py", 1)),
    changed=("changed since the last commit and executed: shop.py:11",),
)


def test_the_question_is_the_code_by_file_and_then_the_case() -> None:
    text = asked(Echo(), CASE).removeprefix(
        "<issue_start>Title: A test fails and I do not see why\nusername_0: This is the code that the test runs.\n\n"
    )
    assert text == (
        "shop.py:\n```python\ndef f1():\n    return x x x \n\ndef f10():\n    return x x x \n```\n\n"
        "Test: tests/test_shop.py::test_mean fails with AssertionError at line 2:\n"
        "```python\ndef test_mean():\n    return x x x   # fails here\n```\n\n"
        "Seen: mean([1, 2, 3]) returned 3.0, the test expects 2\n\n"
        "Calls:\nf10(xs=[1]) returned 3.0\n\n"
        "Suspicious lines:\nshop.py:11: return x\nshop.py:1: def f\n\n"
        "What is the cause?<issue_comment>username_1: I had a look at the code. The test fails because"
    )


def test_what_is_known_without_a_model_is_in_the_explanation() -> None:
    found = observed(CASE, redact)
    assert found.path == "shop.py"
    assert (found.line, found.function, found.exception) == (11, "deepest", "AssertionError")
    assert found.facts == CASE.changed
    assert found.suspects == CASE.suspects
    assert found.replay == ("failed again when it was run again",)
    assert found.order == ("before", "tests/test_shop.py::test_mean")
    assert found.calls == ()  # what it executed is known better
    assert observed(Case(Cause((FAILURE,))), redact).calls == FAILURE.callees
    assert found.why == found.model == ""


def test_a_message_that_was_seen_is_not_said_twice() -> None:
    failure = Failure("n", "call", "ValueError", "bad", "raised ValueError: bad")
    assert Question(Case(Cause((failure,))), redact, ()).parts == [
        "Test: n fails with ValueError\n\nSeen: raised ValueError: bad"
    ]


def test_a_frame_without_source_is_no_code() -> None:
    failure = replace(FAILURE, frames=(Frame("gone.py", 1, "f", 1, ""),), callees=())
    text = Question(Case(Cause((failure,))), redact, ()).text
    assert "gone.py, line 1" in text
    assert "```" not in text


def test_two_causes_of_one_file_begin_their_questions_alike() -> None:
    other = replace(
        CASE,
        cause=Cause((replace(FAILURE, nodeid="tests/test_shop.py::test_x"),)),
        excerpts=(excerpt("shop.py", 20),),
    )
    shared = shared_code([CASE, other])["tests/test_shop.py"]
    first, second = (prompt_of(case, Settings(), redact, shared).text for case in (CASE, other))
    beginning = first.partition("Test: ")[0]
    assert beginning == second.partition("Test: ")[0]
    assert all(f"def f{number}()" in beginning for number in (1, 10, 20))


def test_code_that_is_too_much_to_share_is_not_shared() -> None:
    long = replace(CASE, excerpts=(excerpt("shop.py", 1, 2000), excerpt("shop.py", 10, 2000)))
    assert shared_code([long]) == {"tests/test_shop.py": ()}


def test_the_prompt_that_is_shown_is_the_one_that_is_sent() -> None:
    assert prompt_of(CASE, Settings(), redact).text == asked(Echo(), CASE)


def test_what_a_model_names_and_was_not_shown_is_marked() -> None:
    said: list[str] = []
    backend = Echo((" line 99", "9 of bil", "ling.py calls `zap`."))
    found = explain(CASE, Client(backend, Settings()), said.append, redact)
    marked = f"{LEAD} line 999 (not in the evidence) of billing.py (not in the evidence) calls `zap` (not in the evidence)."
    assert found.why == "".join(said) == marked
    assert found.unsupported == ("line 999", "billing.py", "zap")


def test_an_answer_that_repeats_the_question_is_called_that() -> None:
    assert (
        told(Echo((" mean([1, 2, 3]) returned 3.0, the test expects 2",)), CASE).flaw
        == "repeats the question"
    )
    assert told(Echo(), CASE).flaw == ""


def test_the_words_come_out_of_the_json_that_a_chat_model_wraps_them_in() -> None:
    said: list[str] = []
    backend = Echo(('{"cause": "The divisor', ' is off.", "severity": "high"}'))
    found = explain(CASE, Client(backend, Settings(family="chat")), said.append, redact)
    assert found.why == "".join(said) == "The divisor is off."


def test_secrets_are_in_nothing_that_is_sent_or_told() -> None:
    secret = "s3cr3t-pa55word"
    failure = replace(FAILURE, message=f"password={secret}", facts=(f"with password = '{secret}'",))
    backend = Echo((f" it logs in with password={secret}",))
    found = told(backend, replace(CASE, cause=Cause((failure,))))
    assert secret not in backend.asked[0].text
    assert secret not in repr(found)


def test_what_does_not_fit_is_left_out_the_least_telling_first() -> None:
    text = asked(
        Echo(), replace(CASE, excerpts=(excerpt("shop.py", 10), excerpt("shop.py", 1, ROOM)))
    )
    assert "def f10" in text
    assert "def f1()" not in text


@pytest.mark.parametrize("window", [16384, 2048, 700])
@pytest.mark.parametrize("words", [10, 2_000, 50_000])
@pytest.mark.parametrize("architecture", ["starcoder2", "gemma3"])
def test_the_prompt_fits_its_room_and_with_the_answer_the_window(
    architecture: str, words: int, window: int
) -> None:
    backend = Echo(architecture=architecture, window=window)
    asked(
        backend,
        replace(CASE, excerpts=tuple(excerpt("shop.py", number, words) for number in (1, 10, 20))),
    )
    sent = backend.asked[0]
    assert len(sent.text.split()) <= ROOM
    assert len(sent.text.split()) + sent.max_tokens <= window


def test_a_long_test_is_shown_around_the_line_that_failed() -> None:
    source = (
        "def test_it():\n"
        + "".join(f"    step({number})\n" for number in range(60))
        + "    assert 0"
    )
    failure = replace(FAILURE, frames=(Frame("tests/test_shop.py", 41, "test_it", 1, source),))
    text = asked(Echo(), failure)
    assert "def test_it():\n    ...\n" in text
    assert "    step(39)  # fails here\n" in text
    assert "step(10)" not in text


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
    assert {token: text.count(token) for token in STARCODER2} == {
        token: harmless.count(token) for token in STARCODER2
    }
