"""The question to a model and its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.failures import MemoryBackend, make_fix

from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.explain.breakage import Breakage, BrokenBy
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.explain.explanation import Answer, Suspect, describe_case
from pytest_starcoder.explain.failure import Cause, Failure, Frame
from pytest_starcoder.explain.question import (
    MAX_PROMPT_TOKENS,
    NOTHING_SEEN,
    ask_for_correction,
    ask_why,
    can_correct,
    preview_prompt,
)
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompts import FORMS
from pytest_starcoder.model.special_tokens import STARCODER2
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.runner.outcome import Call, Outcome
from pytest_starcoder.settings import Settings

LEAD = "The test fails because"


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


def ask(
    backend: MemoryBackend, case: Case | Failure = FAILURE, settings: Settings = SETTINGS
) -> Answer:
    case = case if isinstance(case, Case) else Case(Cause((case,)))
    return ask_why(case, Client(backend, settings), lambda _piece: None, redact)


def prompt_text(backend: MemoryBackend, case: Case | Failure = FAILURE) -> str:
    ask(backend, case)
    return backend.prompts[-1].text


def test_answer() -> None:
    answer = ask(MemoryBackend())
    assert answer.why == f"{LEAD} the divisor is 2, one too small."
    assert (answer.model, answer.truncated, answer.from_cache) == ("tiny:1b", False, False)


def test_truncated_answer() -> None:
    assert ask(MemoryBackend(truncated=True)).truncated


@pytest.mark.parametrize("answer", [(" `f10`", " b"), ("", " `f10` b"), (" `f10` b",)])
def test_lead(answer: tuple[str, ...]) -> None:
    pieces: list[str] = []
    ask_why(CASE, Client(MemoryBackend(answer), Settings()), pieces.append, redact)
    assert "".join(pieces) == f"{LEAD} `f10` b."


@pytest.mark.parametrize("answer", [(), ("",), (" \n", "\n")])
def test_empty_answer(answer: tuple[str, ...]) -> None:
    pieces: list[str] = []
    with pytest.raises(UnreadableAnswer):
        ask_why(
            Case(Cause((FAILURE,))),
            Client(MemoryBackend(answer), Settings()),
            pieces.append,
            redact,
        )
    assert pieces == []


def test_first_failure_of_a_cause() -> None:
    backend = MemoryBackend()
    others = [replace(FAILURE, nodeid=f"test_{number}") for number in range(5)]
    ask(backend, Case(Cause((FAILURE, *others))))
    assert len(backend.prompts) == 1
    assert "tests/test_shop.py::test_mean fails with AssertionError" in backend.prompts[0].text
    assert "test_1" not in backend.prompts[0].text


@pytest.mark.parametrize(
    ("architecture", "family"),
    [("starcoder2", "starcoder2"), ("starcoder", "starcoder"), ("gemma3", "completion")],
)
def test_form_of_the_model(architecture: str, family: str) -> None:
    backend = MemoryBackend(architecture=architecture)
    text = prompt_text(backend)
    form = FORMS[family, "explain"]
    assert text.endswith(LEAD)
    assert text.startswith("<issue_start>") == (family != "completion")
    sent = backend.prompts[0]
    assert (sent.stop, sent.stop_tokens, sent.max_tokens) == (
        (". ", ".\n", "\n", *form.stop),
        form.stop_tokens,
        form.max_tokens,
    )


def test_setting_family() -> None:
    backend = MemoryBackend()
    ask(backend, settings=Settings(family="completion"))
    assert backend.prompts[0].text.startswith("Failing Python tests")


def test_chat_model() -> None:
    backend = MemoryBackend((" The divisor is 2. ",))
    answer = ask(backend, settings=Settings(family="chat"))
    assert answer.why == f"{LEAD} The divisor is 2."
    [prompt] = backend.prompts
    assert (prompt.chat, prompt.lead) == (True, LEAD)
    assert LEAD not in prompt.text


def test_setting_max_tokens() -> None:
    backend = MemoryBackend()
    ask(backend, settings=Settings(max_tokens=7))
    assert backend.prompts[0].max_tokens == 7


# --- what is asked -------------------------------------------------------------------------

CASE = Case(
    Cause((FAILURE,)),
    Replay(
        failing=(
            Outcome("n", "failed", calls=(Call("shop.py", 10, "f10", "xs=[1]", "returned 3.0"),)),
        ),
        statements=("failed again when rerun",),
        order=("before", "tests/test_shop.py::test_mean"),
    ),
    suspects=(Suspect("shop.py", 11, "return x", 1.0), Suspect("shop.py", 1, "def f", 0.5)),
    excerpts=(excerpt("shop.py", 10), excerpt("shop.py", 1)),
    changed=("changed since the last commit and executed: shop.py:11",),
)


def test_question() -> None:
    text = prompt_text(MemoryBackend(), CASE).removeprefix(
        "<issue_start>Title: A test fails and I do not see why\n"
        "username_0: This is the code that the test runs.\n\n"
    )
    assert text == (
        "shop.py:\n```python\ndef f1():\n    return x x x \n\n"
        "def f10():\n    return x x x \n```\n\n"
        "Test: tests/test_shop.py::test_mean fails with AssertionError at line 2:\n"
        "```python\ndef test_mean():\n    return x x x   # fails here\n```\n\n"
        "Calls:\nf10(xs=[1]) returned 3.0\n\n"
        "Seen: mean([1, 2, 3]) returned 3.0, the test expects 2\n\n"
        "What is the cause?<issue_comment>username_1: I had a look at the code. "
        "The test fails because"
    )


def test_describe_case() -> None:
    explanation = describe_case(CASE, redact)
    assert explanation.path == "shop.py"
    assert (explanation.line, explanation.function) == (11, "deepest")
    assert explanation.exception == "AssertionError"
    assert explanation.facts == CASE.changed
    assert explanation.suspects == CASE.suspects
    assert explanation.replay == ("failed again when rerun",)
    assert explanation.order == ("before", "tests/test_shop.py::test_mean")
    assert explanation.calls == ()  # what it executed is known better
    assert describe_case(Case(Cause((FAILURE,))), redact).calls == FAILURE.callees
    assert explanation.why == explanation.model == ""


def test_preview() -> None:
    assert preview_prompt(CASE, Settings(), redact).text == prompt_text(MemoryBackend(), CASE)


def test_marks() -> None:
    pieces: list[str] = []
    backend = MemoryBackend((" line 99", "9 of bil", "ling.py calls `f10` and `zap`."))
    answer = ask_why(CASE, Client(backend, Settings()), pieces.append, redact)
    mark = "(not in the evidence)"
    marked = f"{LEAD} line 999 {mark} of billing.py {mark} calls `f10` and `zap` {mark}."
    assert answer.why == "".join(pieces) == marked
    assert answer.unsupported == ("line 999", "billing.py", "zap")


def test_flaw() -> None:
    assert (
        ask(MemoryBackend((" mean([1, 2, 3]) returned 3.0, the test expects 2",)), CASE).flaw
        == "repeats the question"
    )
    assert ask(MemoryBackend(), CASE).flaw == ""


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        (" `f10` divides by one too few", ""),
        (" it returns 3.0 and not 2", ""),
        (" the assertion fails", NOTHING_SEEN),
        (" the code returns a wrong value for the test", NOTHING_SEEN),
        (" `zap` is not defined", NOTHING_SEEN),
    ],
)
def test_guess_names_what_was_seen(text: str, flaw: str) -> None:
    pieces: list[str] = []
    backend = MemoryBackend((text,))
    answer = ask_why(CASE, Client(backend, Settings()), pieces.append, redact)
    assert answer.flaw == flaw
    assert bool(pieces) == (not flaw), "what names nothing is not written"


def test_secrets() -> None:
    secret = "s3cr3t-pa55word"
    failure = replace(FAILURE, message=f"password={secret}", facts=(f"with password = '{secret}'",))
    backend = MemoryBackend((f" it logs in with password={secret}",))
    answer = ask(backend, replace(CASE, cause=Cause((failure,))))
    assert secret not in backend.prompts[0].text
    assert secret not in repr(answer)


def test_least_telling_code_is_left_out() -> None:
    text = prompt_text(
        MemoryBackend(),
        replace(CASE, excerpts=(excerpt("shop.py", 10), excerpt("shop.py", 1, MAX_PROMPT_TOKENS))),
    )
    assert "def f10" in text
    assert "def f1()" not in text


@pytest.mark.parametrize("window", [16384, 2048, 700])
@pytest.mark.parametrize("words", [10, 2_000, 50_000])
@pytest.mark.parametrize("architecture", ["starcoder2", "gemma3"])
def test_size(architecture: str, words: int, window: int) -> None:
    backend = MemoryBackend(architecture=architecture, window=window)
    prompt_text(
        backend,
        replace(CASE, excerpts=tuple(excerpt("shop.py", number, words) for number in (1, 10, 20))),
    )
    sent = backend.prompts[0]
    assert len(sent.text.split()) <= MAX_PROMPT_TOKENS
    assert len(sent.text.split()) + sent.max_tokens <= window


def test_special_tokens() -> None:
    hostile = "".join(STARCODER2)
    failure = Failure(
        nodeid=f"test_x.py::test[{hostile}]",
        phase="call",
        exception="ValueError",
        message=hostile,
        seen=f"raised ValueError: {hostile}",
        frames=(Frame("x.py", 1, "f", 1, f"x = '{hostile}'"),),
    )
    harmless = prompt_text(
        MemoryBackend(), replace(failure, nodeid="a", message="", seen="b", frames=())
    )
    text = prompt_text(MemoryBackend(), failure)
    assert {token: text.count(token) for token in STARCODER2} == {
        token: harmless.count(token) for token in STARCODER2
    }


# --- a change that was checked -------------------------------------------------------------

FIX = make_fix("-    return sum(xs) / (len(xs) - 1)\n+    return sum(xs) / len(xs)")
FIXED = replace(CASE, fix=FIX)
CHECKED = (
    "With `return sum(xs) / len(xs)` instead of `return sum(xs) / (len(xs) - 1)` the test passes"
)


def explained(*answer: str, **changes: Any) -> tuple[Answer, list[str]]:
    """Return the answer about a checked change, and the pieces of it that were written."""
    pieces: list[str] = []
    client = Client(MemoryBackend(answer, **changes), Settings())
    return ask_why(FIXED, client, pieces.append, redact), pieces


def test_model_goes_on_after_the_change() -> None:
    answer, pieces = explained(" the divisor", " is `len(xs) - 1`.")
    assert answer.why == f"{CHECKED}, because the divisor is `len(xs) - 1`."
    assert (answer.model, answer.note) == ("tiny:1b", "")
    assert pieces == [CHECKED, ", because the divisor is `len(xs) - 1`."]


def test_change_is_written_before_the_model_is_asked() -> None:
    pieces: list[str] = []
    backend = MemoryBackend(before_answer=lambda: seen.extend(pieces))
    seen: list[str] = []
    ask_why(FIXED, Client(backend, Settings()), pieces.append, redact)
    assert seen == [CHECKED]


@pytest.mark.parametrize(
    ("clause", "changes", "note"),
    [
        (" the sum is 17", {}, "what tiny:1b adds mentions 17, which was not seen"),
        (" `zap` is wrong", {}, "what tiny:1b adds mentions zap, which was not shown"),
        (" it probably rounds", {}, "what tiny:1b adds is a guess by its own words"),
        (" the divisor is", {"truncated": True}, "what tiny:1b adds was cut off"),
        (" ...", {}, "what tiny:1b adds says nothing"),
    ],
)
def test_clause_is_left_out(clause: str, changes: dict[str, Any], note: str) -> None:
    answer, pieces = explained(clause, **changes)
    assert answer == Answer(f"{CHECKED}.", note=note)
    assert "".join(pieces) == answer.why


def test_lead_of_a_chat() -> None:
    backend = MemoryBackend((f"{CHECKED}, because the divisor is one less. It",))
    answer = ask(backend, FIXED, Settings(family="chat"))
    [prompt] = backend.prompts
    assert prompt.lead == f"{CHECKED}, because"
    assert answer.why.count("because") == 1


def test_secret_in_the_change() -> None:
    secret = "s3cr3t-pa55word"
    fix = make_fix(f"-    login(password='{secret}', n=1)\n+    login(password='{secret}', n=2)")
    backend = MemoryBackend((f" it logs in with password={secret}",))
    answer = ask(backend, replace(CASE, fix=fix))
    assert secret not in backend.prompts[0].text
    assert secret not in repr(answer)


def test_names_in_change_are_evidence() -> None:
    removed = BrokenBy("shop.py", 11, 11, "-    return settle(xs)\n+    return sum(xs)")
    case = replace(CASE, breakage=Breakage((removed,)))
    answer = ask(MemoryBackend((" line 11 no longer calls `settle`.",)), case)
    assert answer.why == (
        "With `return settle(xs)` instead of `return sum(xs)` the test passes, "
        "because line 11 no longer calls `settle`."
    )


def test_preview_of_a_change() -> None:
    text = preview_prompt(FIXED, Settings(), redact).text
    assert text == prompt_text(MemoryBackend(), FIXED)
    assert text.endswith(f"{CHECKED}, because")


# --- a correction --------------------------------------------------------------------------

CHAT = Settings(family="chat")


def test_correction() -> None:
    backend = MemoryBackend(("Here:\n```python\ndef f10():\n    return 2\n```\n",))
    assert ask_for_correction(CASE, Client(backend, CHAT), redact) == "def f10():\n    return 2\n"
    [prompt] = backend.prompts
    assert prompt.text.startswith("A Python test fails because of a mistake in one function")
    assert (prompt.lead, prompt.chat) == ("", True)


def test_no_code_in_correction() -> None:
    backend = MemoryBackend(("I do not know.",))
    assert ask_for_correction(CASE, Client(backend, CHAT), redact) == ""


@pytest.mark.parametrize(
    ("family", "expected"),
    [("chat", True), ("starcoder2", False), ("starcoder2-instruct", False), ("auto", False)],
)
def test_who_can_correct(family: str, expected: bool) -> None:
    assert can_correct(Client(MemoryBackend(), Settings(family=family))) is expected


@pytest.mark.parametrize(
    ("case", "settings", "is_correction"),
    [(CASE, CHAT, True), (CASE, replace(CHAT, fix=False), False), (FIXED, CHAT, False)],
    ids=["nothing-checked", "no-fixes-wanted", "fixed"],
)
def test_preview_of_a_correction(case: Case, settings: Settings, is_correction: bool) -> None:
    text = preview_prompt(case, settings, redact).text
    assert ("Write the corrected function" in text) is is_correction
