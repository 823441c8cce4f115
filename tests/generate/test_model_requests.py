"""Requests to a model, and the limits on them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.shop import generate, shop_draft, target_named, targets_in

from pytest_starcoder.errors import BackendUnavailable
from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.model_requests import Budget
from pytest_starcoder.generate.result import ModelAnswer, ModelUsage

CALLS = {"calls": {"mean": ["mean([])", "mean([2, 7])"]}}
FOUR = shop_draft("assert mean([4]) == 4", name="test_four", origin=Origin.DOCTEST)


class ScriptedAuthor:
    """A double of an author, which writes `bodies`."""

    def __init__(self, *bodies: str) -> None:
        self.bodies = [*bodies]
        self.requests: list[tuple[str, str | int]] = []

    def predict_result(self, target: Target, assertion: str) -> ModelAnswer:
        self.requests.append((target.name, assertion))
        draft = shop_draft(f"{assertion} 3", target)
        return ModelAnswer((draft,), ModelUsage(1, 10), "scripted")

    def write_tests(self, target: Target, attempt: int, gaps: Sequence[str]) -> ModelAnswer:
        self.requests.append((target.name, attempt))
        drafts: list[Draft] = []
        if self.bodies:
            drafts.append(shop_draft(self.bodies.pop(0), target))
        return ModelAnswer(tuple(drafts), ModelUsage(1, 10), "scripted")


def test_requests_for_gaps() -> None:
    author = ScriptedAuthor("assert mean([1, 2]) == 1.5")
    generated = generate([FOUR], [target_named("mean")], author=author, bench=CALLS)
    assert author.requests[0] == ("mean", "assert mean([2, 7]) ==")
    assert ("mean", 0) in author.requests
    assert any(test.draft.body == ("assert mean([1, 2]) == 1.5",) for test in generated.kept)
    assert generated.usage == ModelUsage(len(author.requests), 10 * len(author.requests))
    assert generated.model == "scripted"


def test_nothing_left() -> None:
    source = "def one():\n    return 1\n"
    targets = targets_in(source)
    author = ScriptedAuthor()
    draft = shop_draft("assert one() == 1", targets[0])
    assert generate([draft], targets, source, author=author).kept
    assert not author.requests


def test_same_answer_twice() -> None:
    author = ScriptedAuthor("assert mean([9]) == 8", "assert mean([9]) == 8")
    generated = generate([], [target_named("mean")], author=author)
    assert [rejected.reason for rejected in generated.rejected] == ["fails"]


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(100, 15), "the setting generate_tokens (15) was reached"),
        (Budget(2, 100), "the setting generate_requests (2) was reached"),
    ],
)
def test_budget(budget: Budget, reason: str) -> None:
    author = ScriptedAuthor()
    generated = generate([], [target_named("mean")], author=author, budget=budget)
    assert len(author.requests) == 2
    assert generated.remark == reason


def test_failing_model() -> None:
    class FailingAuthor(ScriptedAuthor):
        def write_tests(self, target: Target, attempt: int, gaps: Sequence[str]) -> ModelAnswer:
            raise BackendUnavailable("Ollama is not running.", "Start it.")

    generated = generate([FOUR], [target_named("mean")], author=FailingAuthor())
    assert generated.kept
    assert generated.remark == "Ollama is not running. Start it."


def test_public_functions_first() -> None:
    source = "def _f(x):\n    return x + 1\n\n\ndef g(x):\n    return x + 1\n"
    author = ScriptedAuthor()
    generate([], targets_in(source), source, author=author)
    assert [name for name, _ in author.requests[:2]] == ["g", "_f"]
