"""The text of a case, as a model reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.failures import FAILURE, make_fix

from pytest_starcoder.explain.breakage import Breakage, BrokenBy
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.case_text import (
    code_by_file,
    code_to_show,
    describe,
)
from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.explain.failure import Cause, Failure, Frame
from pytest_starcoder.explain.question import MAX_PROMPT_TOKENS, preview_prompt
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.runner.outcome import Call, Outcome
from pytest_starcoder.settings import Settings


def excerpt(path: str, first: int, size: int = 40) -> Excerpt:
    return Excerpt(path, first, f"def f{first}(): {'x' * size}", frozenset((first,)))


CALLS = (
    Call("shop.py", 10, "f10", "xs=[0]", "returned 0.0"),
    Call("shop.py", 10, "f10", "xs=[1]", "returned 3.0", late=True),
)
CASE = Case(
    Cause((FAILURE,)),
    Replay(failing=(Outcome("n", "failed", calls=CALLS),)),
    excerpts=(excerpt("shop.py", 10), excerpt("shop.py", 1)),
)
FIX = make_fix("-    return total / 3\n+    return total / 2")
CHANGE = BrokenBy("shop.py", 11, 11, "-    return total / 2\n+    return total / 3")
SEEN = "Seen: mean([1, 2, 3]) returned 3.0, the test expects 2"


def about(exception: str = "ValueError", message: str = "", seen: str = "saw it") -> str:
    """Describe a failure without frames."""
    return describe(Case(Cause((Failure("n", "call", exception, message, seen),))))


# --- code ----------------------------------------------------------------------------------


def test_most_suspicious_code() -> None:
    test = excerpt("tests/test_shop.py", 1)
    case = replace(CASE, excerpts=(test, *CASE.excerpts))
    assert code_to_show(case) == (*CASE.excerpts, test), "that of the test comes last"


def test_code_of_the_test_file_last() -> None:
    path = CASE.cause.first.nodeid.partition("::")[0]
    own = excerpt(path, 1)
    case = replace(CASE, excerpts=(own, excerpt("shop.py", 9)))
    assert code_to_show(case) == (excerpt("shop.py", 9), own)


def test_code_around_a_checked_change() -> None:
    around = (excerpt("shop.py", 11),)
    case = replace(CASE, changed_code=around)
    assert code_to_show(replace(case, fix=FIX)) == around
    assert code_to_show(replace(case, fix=replace(FIX, checked=False))) == CASE.excerpts
    assert code_to_show(replace(CASE, fix=FIX)) == CASE.excerpts


def test_code_by_file() -> None:
    places = {"def b(): 1": ("shop.py", 9), "def a(): 2": ("shop.py", 1), "x = 3": ("cart.py", 1)}
    assert code_by_file(places, places) == (
        "cart.py:\n```python\nx = 3\n```\n\nshop.py:\n```python\ndef a(): 2\n\ndef b(): 1\n```"
    )


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (
            ("class A:\n    x: int", "class A:\n    y: int"),
            "class A:\n    x: int\n    y: int",
        ),
        (
            ("class A:\n    x: int", "class A:\n    def f(self):\n        return 1"),
            "class A:\n    x: int\n\n    def f(self):\n        return 1",
        ),
        (
            ("class A:\n    x: int", "class B:\n    x: int"),
            "class A:\n    x: int\n\nclass B:\n    x: int",
        ),
        (("def f():\n    1", "def f():\n    2"), "def f():\n    1\n\ndef f():\n    2"),
    ],
    ids=["fields", "method", "two-classes", "functions"],
)
def test_members_of_a_class(texts: tuple[str, ...], joined: str) -> None:
    places = {text: ("shop.py", number) for number, text in enumerate(texts)}
    assert code_by_file(texts, places) == f"shop.py:\n```python\n{joined}\n```"


# --- the test and what was seen ------------------------------------------------------------


def test_what_was_seen_comes_last() -> None:
    facts = ("the value is too large by 1",)
    case = replace(CASE, cause=Cause((replace(FAILURE, facts=facts, extra=("log: x",)),)))
    assert describe(case) == (
        "Test: tests/test_shop.py::test_mean fails with AssertionError at line 2:\n"
        "```python\ndef test_mean():\n    assert mean(XS) == 2  # fails here\n```\n\n"
        "Calls:\nf10(xs=[1]) returned 3.0\n\n"
        f"{SEEN}\nthe value is too large by 1\nlog: x"
    )


def test_message() -> None:
    assert about(message="bad").endswith("Seen: saw it\nValueError: bad")
    assert about(message="bad", seen="raised ValueError: bad").endswith(
        "Seen: raised ValueError: bad"
    )


@pytest.mark.parametrize("message", ["assert 3.0 == 2\n where 3.0 = mean()", ""])
def test_message_of_an_assertion_repeats_what_was_seen(message: str) -> None:
    assert about(exception="AssertionError", message=message).endswith("\n\nSeen: saw it")


def test_message_after_an_assertion() -> None:
    assert about(exception="AssertionError", message="wrong mean").endswith(
        "Seen: saw it\nAssertionError: wrong mean"
    )


def test_failure_in_another_file() -> None:
    failure = replace(FAILURE, frames=(Frame("gone.py", 1, "f", 1, ""),))
    text = describe(Case(Cause((failure,))))
    assert text.startswith(
        "Test: tests/test_shop.py::test_mean fails with AssertionError at gone.py, line 1\n\nSeen"
    )


def test_long_test() -> None:
    steps = "".join(f"    step({number})\n" for number in range(60))
    source = f"def test_it():\n{steps}    assert 0"
    failure = replace(FAILURE, frames=(Frame("tests/test_shop.py", 41, "test_it", 1, source),))
    text = describe(Case(Cause((failure,))))
    assert "def test_it():\n    ...\n" in text
    assert "    step(39)  # fails here\n" in text
    assert "step(10)" not in text


# --- what was checked ----------------------------------------------------------------------


def test_fix() -> None:
    text = describe(replace(CASE, fix=FIX))
    assert text.endswith(
        "With this change the test passes:\n"
        "```diff\n-    return total / 3\n+    return total / 2\n```\n\n"
        f"{SEEN}"
    )
    assert "Calls:" not in text


def test_change_that_broke_it() -> None:
    text = describe(replace(CASE, fix=FIX, breakage=Breakage((CHANGE,))))
    assert text.endswith(
        "This change broke it; without it, the test passes:\n"
        "```diff\n@@ shop.py:11\n-    return total / 2\n+    return total / 3\n```\n\n"
        f"{SEEN}"
    )


def test_no_change_that_broke_it() -> None:
    assert "change" not in describe(replace(CASE, breakage=Breakage(note="nothing undone")))


def change_in(case: Case) -> list[str]:
    """Return the lines of the change that broke the test."""
    _, _, after = describe(case).partition(", the test passes:\n```diff\n")
    return after.partition("\n```")[0].split("\n")


def test_several_changes() -> None:
    pieces = tuple(replace(CHANGE, line=line, last=line) for line in range(1, 9))
    case = replace(CASE, breakage=Breakage(pieces))
    assert "These changes broke it; without them, the test passes:" in describe(case)
    change = change_in(case)
    places = [line for line in change if line.startswith("@@")]
    assert places == [f"@@ shop.py:{line}" for line in range(1, 5)]
    assert len(change) == 12


def test_long_change() -> None:
    lines = [f"-old {number} {'x' * 200}" for number in range(300)]
    lines += [f"+new {number} {'x' * 200}" for number in range(300)]
    case = replace(CASE, breakage=Breakage((replace(CHANGE, diff="\n".join(lines)),)))
    change = change_in(case)
    assert (len(change), max(map(len, change))) == (13, 100)
    assert change[6] == "… 295 more lines"
    prompt = preview_prompt(case, Settings(), redact)
    assert estimate(prompt.text) <= MAX_PROMPT_TOKENS
