"""The mutants that tests kill within a time, and descriptions of what they miss."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from support.in_process_trials import InProcessTrials
from support.shop import SHOP, shop_draft, target_named

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.generate.executed_code import ExecutedCode, JudgedDraft
from pytest_starcoder.generate.suite_score import SuiteScore, time_limit

PRICE = target_named("price")


@dataclass(frozen=True)
class CountingDeadline(Deadline):
    """A deadline that comes a second nearer whenever somebody looks at it."""

    looks: list[None] = field(default_factory=list)

    def remaining(self) -> float:
        self.looks.append(None)
        return self.limit - len(self.looks)


def score_with(deadline: Deadline) -> SuiteScore:
    trials = InProcessTrials({"shop.py": SHOP}, {}, {})
    return SuiteScore(trials, [PRICE], {"shop.py": SHOP}.__getitem__, deadline)


def slow_tests() -> dict[str, ExecutedCode]:
    """Return a test of `price` that takes a second."""
    draft = shop_draft("assert price(1) > 0", PRICE)
    trials = InProcessTrials({"shop.py": SHOP}, {}, {})
    [judgement] = trials.judge([draft.module], 1.0)
    tests = JudgedDraft.of(draft, judgement).tests
    return {nodeid: replace(test, seconds=1.0) for nodeid, test in tests.items()}


def test_share_of_time() -> None:
    score = score_with(CountingDeadline(4.0, 0.0))
    executed = score.mutants_executed_by(list(slow_tests().values()))
    tried = dict(score.kills(executed, slow_tests(), share=0.5))
    assert len(tried) == 3 < len(executed)
    everything = dict(score_with(Deadline.after(60)).kills(executed, slow_tests()))
    assert len(everything) == len(executed)


def test_time_limit() -> None:
    assert time_limit(ExecutedCode(seconds=1.0)) == 4.0
    assert time_limit(ExecutedCode(seconds=0.01)) == 0.5


def test_gaps() -> None:
    score = score_with(Deadline.after(60))
    assert score.gaps(PRICE)[:3] == [
        "the line `if quantity > 10:`",
        "the line `return quantity * one - 1`",
        "the line `return quantity * one`",
    ]
    score.covered |= score.places_of(slow_tests().values())
    assert score.gaps(PRICE)[:2] == [
        "the line `return quantity * one - 1`",
        "`if quantity > 10:` entered",
    ]
    assert any(" instead of " in gap for gap in score.gaps(PRICE))


def test_ignored_mutants() -> None:
    score = score_with(Deadline.after(60))
    before = score.counts()
    score.ignore(set(score.living))
    [result] = score.scores(before)
    assert (result.total.mutants, result.living) == (0, ())
