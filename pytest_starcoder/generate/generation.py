"""Generates the tests of a few targets: measures the suite, judges drafts, confirms the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.generate.bench import DraftBench
from pytest_starcoder.generate.draft import Draft, Origin
from pytest_starcoder.generate.draft_selection import DraftSelection
from pytest_starcoder.generate.model_requests import Author, Budget, ModelRequests
from pytest_starcoder.generate.observed_calls import characterisation_drafts, exception_drafts
from pytest_starcoder.generate.result import Generated
from pytest_starcoder.generate.suite_score import ReadSource, SuiteScore
from pytest_starcoder.runner.trials import Trials, Unavailable

# Seconds for confirming the kept tests, however much time is left.
CONFIRM_SECONDS = 30.0

# Share of the time that measuring the suite may take.
MEASURE_SHARE = 0.5

# Any seed other than the one of the first run.
OTHER_HASH_SEED = "4711"

# Shows a sentence on the current step.
ShowProgress = Callable[[str], None]


@dataclass(frozen=True)
class Generation:
    """Generates tests for the targets of `bench`.

    Attributes:
        author: A model that writes drafts for the remaining gaps, within `budget`.
        characterise: Also assert what the code does now, right or wrong, where mutants live.
    """

    bench: DraftBench
    read: ReadSource
    deadline: Deadline
    progress: ShowProgress = lambda _: None
    author: Author | None = None
    budget: Budget = field(default_factory=Budget)
    characterise: bool = False

    def run(self, drafts: Sequence[Draft], suite: Sequence[str] = ()) -> Generated:
        """Return the drafts worth keeping beside the passing tests `suite`. Raises nothing."""
        started = time.monotonic()
        try:
            with self.bench.open(self.deadline, suite) as trials:
                generated = self._run(trials, drafts, suite)
        except Unavailable as exc:
            generated = Generated(note=str(exc))
        except OSError as exc:
            generated = Generated(note=f"no process could be started: {exc}")
        return replace(generated, seconds=time.monotonic() - started)

    def _run(self, trials: Trials, drafts: Sequence[Draft], suite: Sequence[str]) -> Generated:
        targets = self.bench.targets
        unimportable = _import_errors(trials)
        if targets and all(target.module in trials.unimportable for target in targets):
            return Generated(note=unimportable)
        self.progress("measuring the existing tests")
        score = SuiteScore(trials, targets, self.read, self.deadline)
        selection = DraftSelection(trials, score)
        requests = ModelRequests(selection, self.author, self.budget, self.deadline, self.progress)
        before = score.counts()
        endings: list[str] = []
        try:
            endings += self._measure(selection, suite)
            # The suite counts as "before"; an interrupted measurement counts as nothing.
            before = score.counts()
            self._add_drafts(selection, drafts)
            requests.run()
            self._characterise(selection)
        except KeyboardInterrupt:  # a second one ends the whole run
            endings.insert(0, "the run was interrupted; the model's answers are cached")
        if self.deadline.is_over:
            endings.insert(0, f"the time limit was reached (the setting {self.deadline.setting})")
        self._confirm(selection)
        remarks = filter(None, [unimportable, requests.stop_reason])
        return Generated(
            tuple(selection.kept),
            tuple(selection.rejected),
            tuple(selection.suspected),
            tuple(score.scores(before)),
            usage=requests.usage,
            level=str(trials.level),
            remark=". ".join(remarks),
            over="; ".join(endings),
            model=requests.model,
        )

    def _measure(self, selection: DraftSelection, suite: Sequence[str]) -> list[str]:
        """Measure what the suite kills and covers; return sentences on what was not tried."""
        if not suite:
            return []
        score = selection.score
        warnings: list[str] = []
        # The trials report on single drafts only, so the suite is traced in a child of its own.
        executions = self.bench.trace(suite, self.deadline, warnings.append)
        selection.add_suite(executions)
        kills = dict(score.kills(score.living, executions, every=False, share=MEASURE_SHARE))
        untried = score.living - kills.keys()
        score.ignore(untried)
        for mutant, tests in kills.items():
            if tests:
                score.living.discard(mutant)
        if untried:
            count = len(untried)
            warnings.append(
                f"{count} mutants were not tried with the existing tests because time ran out"
            )
        return warnings

    def _add_drafts(self, selection: DraftSelection, drafts: Sequence[Draft]) -> None:
        """Add the drafts that need no model, one origin after the other."""
        for origin in Origin:
            if origin is Origin.RAISES:
                self._add_exception_drafts(selection)
            group = [draft for draft in drafts if draft.origin is origin]
            if group and not self.deadline.is_over:
                self.progress(f"{len(group)} drafts from {origin}")
                selection.add(group)

    def _add_exception_drafts(self, selection: DraftSelection) -> None:
        self.progress("looking for inputs that raise the documented exceptions")
        for target in self.bench.targets:
            if self.deadline.is_over:
                return
            for draft in exception_drafts(selection, target):
                selection.add([draft])

    def _characterise(self, selection: DraftSelection) -> None:
        if not self.characterise:
            return
        self.progress("asserting current behaviour where mutants survive")
        for target in self.bench.targets:
            if self.deadline.is_over:
                return
            selection.add(characterisation_drafts(selection, target))

    def _confirm(self, selection: DraftSelection) -> None:
        if not selection.kept:
            return
        count = len(selection.kept)
        self.progress(f"running the {count} kept tests together and under another hash seed")
        deadline = Deadline.after(CONFIRM_SECONDS)
        with self.bench.open(deadline, hash_seed=OTHER_HASH_SEED) as trials:
            selection.confirm(trials)


def _import_errors(trials: Trials) -> str:
    """Return the modules that cannot be imported, with the reasons."""
    errors = []
    for module, reason in trials.unimportable.items():
        errors.append(f"{module} cannot be imported ({reason})")
    return "; ".join(errors)
