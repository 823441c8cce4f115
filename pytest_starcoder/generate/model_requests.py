"""Asks a model for tests of the targets with gaps, within a budget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.generate.draft import Target, TargetKind
from pytest_starcoder.generate.draft_selection import DraftSelection
from pytest_starcoder.generate.observed_calls import telling_calls
from pytest_starcoder.generate.result import ModelAnswer, ModelUsage
from pytest_starcoder.text.display import one_line

# Calls of one target whose results a model predicts.
MAX_PREDICTIONS = 4

# Answers that a model writes for one target.
MAX_ATTEMPTS = 3

# Public functions are asked about first, modules last.
KIND_ORDER = list(TargetKind)


class Author(Protocol):
    """Writes drafts. Methods raise StarcoderError."""

    def write_tests(self, target: Target, attempt: int, gaps: Sequence[str]) -> ModelAnswer:
        """Write tests for a target; `attempt` counts from 0, `gaps` describe what is untested."""

    def predict_result(self, target: Target, assertion: str) -> ModelAnswer:
        """Complete `assert call ==` without knowing what the code returns."""


@dataclass(frozen=True)
class Budget:
    """The most requests to a model, and the most tokens that it may write."""

    requests: int = 60
    tokens: int = 20_000

    def exceeded_limit(self, usage: ModelUsage) -> str:
        """Return a sentence on the setting that is reached; empty if none is."""
        if usage.requests >= self.requests:
            return f"the setting generate_requests ({self.requests}) was reached"
        if usage.tokens >= self.tokens:
            return f"the setting generate_tokens ({self.tokens}) was reached"
        return ""


class ModelRequests:
    """Asks `author` for drafts until there are no gaps, or time or budget is used up.

    `stop_reason` says why the model was asked no further; `model` is its name, once it answered.
    """

    def __init__(
        self,
        selection: DraftSelection,
        author: Author | None,
        budget: Budget,
        deadline: Deadline,
        progress: Callable[[str], None],
    ) -> None:
        self._selection = selection
        self._score = selection.score
        self._author = author
        self._budget = budget
        self._deadline = deadline
        self._progress = progress
        self._seen: set[tuple[str, ...]] = set()
        self.usage = ModelUsage()
        self.model = ""
        self.stop_reason = ""

    def run(self) -> None:
        """Ask for the results of observed calls first, then for whole tests."""
        if self._author is None:
            return
        try:
            if self._predict_results(self._author):
                self._write_tests(self._author)
        except StarcoderError as exc:
            self.stop_reason = str(exc)

    def _predict_results(self, author: Author) -> bool:
        """Return False once time or budget is used up."""
        for target in self._by_need():
            calls = [call for call in telling_calls(self._selection, target) if call.literal]
            for call in calls[:MAX_PREDICTIONS]:
                if not self._score.living_in(target):
                    break
                assertion = call.statement.removesuffix(f" {call.literal}")
                request = partial(author.predict_result, target, assertion)
                subject = f"the result of {one_line(call.expression, 40)}"
                if not self._ask(request, subject):
                    return False
        return True

    def _write_tests(self, author: Author) -> None:
        for attempt in range(MAX_ATTEMPTS):
            for target in self._by_need():
                gaps = self._score.gaps(target)
                request = partial(author.write_tests, target, attempt, gaps)
                subject = f"tests of {target.label}, attempt {attempt + 1}"
                if gaps and not self._ask(request, subject):
                    return

    def _by_need(self) -> list[Target]:
        """Return the targets, public functions and those with most gaps first."""

        def need(target: Target) -> tuple[int, int]:
            return KIND_ORDER.index(target.kind), -len(self._score.gaps(target))

        return sorted(self._score.targets, key=need)

    def _ask(self, request: Callable[[], ModelAnswer], subject: str) -> bool:
        """Add the drafts of one answer; return False if time or budget is used up."""
        self.stop_reason = self._budget.exceeded_limit(self.usage)
        if self.stop_reason or self._deadline.is_over:
            return False
        count = len(self._selection.kept)
        self._progress(f"asking a model for {subject}; {count} kept so far")
        answer = request()
        self.usage += answer.usage
        self.model = answer.model
        # At low temperatures, answers repeat.
        drafts = []
        for draft in answer.drafts:
            if draft.body not in self._seen:
                self._seen.add(draft.body)
                drafts.append(draft)
        self._selection.add(drafts)
        return True
