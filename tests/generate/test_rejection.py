"""The reasons that records of a run give against a draft."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from support.shop import shop_draft

from pytest_starcoder.generate.draft import Draft, Origin
from pytest_starcoder.generate.rejection import broken_promise, has_assertion, run_failure
from pytest_starcoder.runner.worker_messages import Judgement, Record

DRAFT = shop_draft("assert mean([1]) == 1")
PASSED = Record(DRAFT.nodeid, "passed", 0.0)


RoundOutcome = Literal["passed", "failed", "skipped", "overtime"]


def judgement(first: RoundOutcome, second: RoundOutcome, *leftovers: str) -> Judgement:
    rounds = ((replace(PASSED, outcome=first),), (replace(PASSED, outcome=second),))
    return Judgement("", rounds, side_effects=leftovers)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (judgement("passed", "passed"), ""),
        (judgement("failed", "failed"), "fails"),
        (judgement("skipped", "skipped"), "is skipped"),
        (judgement("passed", "failed"), "passes only once"),
        (judgement("passed", "overtime"), "never ends"),
        (judgement("overtime", "passed"), "never ends"),
        (judgement("passed", "passed", "a thread", "a process"), "leaves a thread changed"),
    ],
    ids=["good", "fails", "skipped", "once", "late", "endless", "thread"],
)
def test_run_failure(result: Judgement, reason: str) -> None:
    assert run_failure(result) == reason


@pytest.mark.parametrize(
    ("origin", "raised", "place", "note", "reason"),
    [
        (Origin.DOCTEST, "AssertionError", "shop.py:3", "", "is wrong"),
        (Origin.DOCTEST, "IndexError", "shop.py:3", "", "raises IndexError"),
        (Origin.DOCTEST, "PermissionError", "shop.py:3", "", ""),
        (Origin.DOCTEST, "ModuleNotFoundError", "shop.py:3", "", ""),
        (Origin.DOCTEST, "NameError", f"{DRAFT.module[0]}:3", "", ""),
        (Origin.DOCTEST, "NameError", "shop.py:3", "", "raises NameError"),
        (Origin.MODEL, "AssertionError", "shop.py:3", "", ""),
        (
            Origin.TYPE_HINT,
            "IndexError",
            "shop.py:3",
            "Falsifying example: test_f_of_any_input( text='', )",
            "raises IndexError for text=''",
        ),
        (
            Origin.TYPE_HINT,
            "AssertionError",
            f"{DRAFT.module[0]}:3",
            "Falsifying example: test_f_of_any_input( x=0, # or any other generated value y=1, )",
            "is wrong for x=0, y=1",
        ),
        (Origin.TYPE_HINT, "ValueError", "shop.py:3", "example: test_f( x=0, )", ""),
        (Origin.TYPE_HINT, "TypeError", f"{DRAFT.module[0]}:3", "example: test_f( x=0, )", ""),
        (Origin.TYPE_HINT, "IndexError", "shop.py:3", "", ""),
    ],
)
def test_broken_promise(origin: Origin, raised: str, place: str, note: str, reason: str) -> None:
    failed = Record(DRAFT.nodeid, "failed", 0.0, raised, place, note)
    result = Judgement("", ((failed,), (failed,)))
    assert broken_promise(replace(DRAFT, origin=origin), result) == reason


@pytest.mark.parametrize(
    ("draft", "asserts"),
    [
        (DRAFT, True),
        (shop_draft("with pytest.raises(ValueError):\n    mean([])"), True),
        (shop_draft("assert True"), False),
        (shop_draft("mean([1])"), False),
    ],
    ids=["assertion", "exception", "constant", "call"],
)
def test_has_assertion(draft: Draft, asserts: bool) -> None:
    assert has_assertion(draft) is asserts
