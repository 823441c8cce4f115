"""The question to a model and its answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.failures import MemoryBackend

from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.explain.breakage import Breakage, BrokenBy
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.explain.explanation import Answer, Suspect, describe_case
from pytest_starcoder.explain.failure import Cause, Failure, Frame
from pytest_starcoder.explain.question import (
    MAX_PROMPT_TOKENS,
    Question,
    ask_why,
    preview_prompt,
    shared_code,
)
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.model.backends.tokens import estimate
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
    assert answer.why == f"{LEAD} the divisor is one too small."
    assert (answer.model, answer.truncated, answer.from_cache) == ("tiny:1b", False, False)


def test_truncated_answer() -> None:
    assert ask(MemoryBackend(truncated=True)).truncated


@pytest.mark.parametrize("answer", [(" a", " b"), ("", " a b"), (" ", "a b"), (" a b",)])
def test_lead(answer: tuple[str, ...]) -> None:
    pieces: list[str] = []
    ask_why(
        Case(Cause((FAILURE,))), Client(MemoryBackend(answer), Settings()), pieces.append, redact
    )
    assert pieces[0].startswith(LEAD)
    assert "".join(pieces).count(LEAD) == 1
    assert "".join(pieces).split() == [*LEAD.split(), "a", "b"]


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
        form.stop,
        form.stop_tokens,
        form.max_tokens,
    )


def test_setting_family() -> None:
    backend = MemoryBackend()
    ask(backend, settings=Settings(family="completion"))
    assert backend.prompts[0].text.startswith("Failing Python tests")


def test_chat_model() -> None:
    backend = MemoryBackend((" The divisor is one too small. ",))
    answer = ask(backend, settings=Settings(family="chat"))
    assert answer.why == "The divisor is one too small."
    assert backend.prompts[0].chat
    assert LEAD not in backend.prompts[0].text


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
        "Seen: mean([1, 2, 3]) returned 3.0, the test expects 2\n\n"
        "Calls:\nf10(xs=[1]) returned 3.0\n\n"
        "Suspicious lines:\nshop.py:11: return x\nshop.py:1: def f\n\n"
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


def test_message_in_the_observation() -> None:
    failure = Failure("n", "call", "ValueError", "bad", "raised ValueError: bad")
    assert Question(Case(Cause((failure,))), redact, ()).parts == [
        "Test: n fails with ValueError\n\nSeen: raised ValueError: bad"
    ]


def test_frame_without_source() -> None:
    failure = replace(FAILURE, frames=(Frame("gone.py", 1, "f", 1, ""),), callees=())
    text = Question(Case(Cause((failure,))), redact, ()).text
    assert "gone.py, line 1" in text
    assert "```" not in text


def test_shared_beginning() -> None:
    other = replace(
        CASE,
        cause=Cause((replace(FAILURE, nodeid="tests/test_shop.py::test_x"),)),
        excerpts=(excerpt("shop.py", 20),),
    )
    shared = shared_code([CASE, other])["tests/test_shop.py"]
    first, second = (
        preview_prompt(case, Settings(), redact, shared).text for case in (CASE, other)
    )
    beginning = first.partition("Test: ")[0]
    assert beginning == second.partition("Test: ")[0]
    assert all(f"def f{number}()" in beginning for number in (1, 10, 20))


def test_too_much_shared_code() -> None:
    long = replace(CASE, excerpts=(excerpt("shop.py", 1, 2000), excerpt("shop.py", 10, 2000)))
    assert shared_code([long]) == {"tests/test_shop.py": ()}


def test_preview() -> None:
    assert preview_prompt(CASE, Settings(), redact).text == prompt_text(MemoryBackend(), CASE)


def test_marks() -> None:
    pieces: list[str] = []
    backend = MemoryBackend((" line 99", "9 of bil", "ling.py calls `zap`."))
    answer = ask_why(CASE, Client(backend, Settings()), pieces.append, redact)
    mark = "(not in the evidence)"
    marked = f"{LEAD} line 999 {mark} of billing.py {mark} calls `zap` {mark}."
    assert answer.why == "".join(pieces) == marked
    assert answer.unsupported == ("line 999", "billing.py", "zap")


def test_flaw() -> None:
    assert (
        ask(MemoryBackend((" mean([1, 2, 3]) returned 3.0, the test expects 2",)), CASE).flaw
        == "repeats the question"
    )
    assert ask(MemoryBackend(), CASE).flaw == ""


def test_json_answer() -> None:
    pieces: list[str] = []
    backend = MemoryBackend(('{"cause": "The divisor', ' is off.", "severity": "high"}'))
    answer = ask_why(CASE, Client(backend, Settings(family="chat")), pieces.append, redact)
    assert answer.why == "".join(pieces) == "The divisor is off."


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


def test_long_test() -> None:
    source = (
        "def test_it():\n"
        + "".join(f"    step({number})\n" for number in range(60))
        + "    assert 0"
    )
    failure = replace(FAILURE, frames=(Frame("tests/test_shop.py", 41, "test_it", 1, source),))
    text = prompt_text(MemoryBackend(), failure)
    assert "def test_it():\n    ...\n" in text
    assert "    step(39)  # fails here\n" in text
    assert "step(10)" not in text


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


# --- the change that broke it --------------------------------------------------------------

CHANGE = BrokenBy("shop.py", 11, 11, "-    return sum(xs) / len(xs)\n+    return sum(xs) / 2")


def change_in(case: Case) -> list[str]:
    """Return the lines of the prompt on the change that broke the test."""
    text = Question(case, redact, ()).text
    _, _, after = text.partition(", the test passes:\n```diff\n")
    change, _, _ = after.partition("\n```")
    return change.split("\n")


def test_change_in_question() -> None:
    case = replace(CASE, breakage=Breakage((CHANGE,), since="the last commit"))
    text = prompt_text(MemoryBackend(), case)
    assert (
        "Calls:\nf10(xs=[1]) returned 3.0\n\n"
        "This change broke it; without it, the test passes:\n"
        "```diff\n"
        "@@ shop.py:11\n"
        "-    return sum(xs) / len(xs)\n"
        "+    return sum(xs) / 2\n"
        "```\n\n"
        "Suspicious lines:\n"
    ) in text


def test_no_change_in_question() -> None:
    case = replace(CASE, breakage=Breakage(note="no change was undone"))
    assert "change" not in Question(case, redact, ()).text


def test_several_changes_in_question() -> None:
    pieces = tuple(replace(CHANGE, line=line, last=line) for line in range(1, 9))
    case = replace(CASE, breakage=Breakage(pieces))
    assert (
        "These changes broke it; without them, the test passes:" in Question(case, redact, ()).text
    )
    change = change_in(case)
    assert [line for line in change if line.startswith("@@")] == [
        f"@@ shop.py:{line}" for line in range(1, 5)
    ]
    assert len(change) == 12


def test_long_change_in_question() -> None:
    lines = [f"-old {number} {'x' * 200}" for number in range(300)]
    lines += [f"+new {number} {'x' * 200}" for number in range(300)]
    case = replace(CASE, breakage=Breakage((replace(CHANGE, diff="\n".join(lines)),)))
    change = change_in(case)
    assert len(change) == 13
    assert max(map(len, change)) == 100
    assert change[6] == "… 295 more lines"
    prompt = preview_prompt(case, Settings(), redact)
    assert estimate(prompt.text) <= MAX_PROMPT_TOKENS


def test_names_in_change_are_evidence() -> None:
    removed = replace(CHANGE, diff="-    return settle(xs)\n+    return sum(xs)")
    case = replace(CASE, breakage=Breakage((removed,)))
    answer = ask(MemoryBackend((" line 11 no longer calls `settle`.",)), case)
    assert answer.unsupported == ()
