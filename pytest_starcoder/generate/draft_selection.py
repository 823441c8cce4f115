"""Selects the drafts that are worth keeping.

A draft must kill a mutant, or run a line or branch, that no other test reaches yet. It runs in a
sandbox, alone, twice and in reverse order, and at the end together with all kept tests and under
another hash seed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.executed_code import ExecutedCode, JudgedDraft
from pytest_starcoder.generate.goals import Place
from pytest_starcoder.generate.properties import MIN_INPUTS, input_values, with_values
from pytest_starcoder.generate.rejection import (
    FAILS,
    WRONG,
    broken_promise,
    missing_check,
    run_failure,
)
from pytest_starcoder.generate.result import KeptTest, RejectedDraft
from pytest_starcoder.generate.suite_score import SuiteScore, position
from pytest_starcoder.generate.type_hints import judged_version
from pytest_starcoder.runner.trials import OUT_OF_TIME, Trials
from pytest_starcoder.runner.worker_messages import Record
from pytest_starcoder.source.edits.edit import Edit

# Seconds of processor time that the test of one draft may take.
DRAFT_SECONDS = 0.5

# The same for a test of Hypothesis, which looks for the simplest failing input.
DRAWING_SECONDS = 3.0

# Properties that run in one process to see which of them hold.
MAX_PROPERTIES = 32

# Mutants that are tried at once to see whether a draft kills any.
MUTANT_BATCH = 8

# Origins of drafts that may assert wrong behaviour: not accepted for a target with a bug.
UNPROMISED = (Origin.MODEL, Origin.CHARACTERISATION)


@dataclass(frozen=True)
class _Candidate:
    """A draft that passes, with the mutants it kills and the places it covers."""

    judged: JudgedDraft
    kills: set[Edit]
    places: set[Place]


class DraftSelection:
    """Judges drafts on `trials` and keeps those that improve `score`.

    `executions` is the code that the suite and the kept tests execute, by node id.
    """

    def __init__(self, trials: Trials, score: SuiteScore) -> None:
        self.trials = trials
        self.score = score
        self._names: dict[str, Draft] = {}
        self._broken_targets: set[Target] = set()
        self.executions: dict[str, ExecutedCode] = {}
        self.kept: list[KeptTest] = []
        self.rejected: list[RejectedDraft] = []
        self.suspected: list[RejectedDraft] = []

    def add_suite(self, executions: Mapping[str, ExecutedCode]) -> None:
        """Add the tests that exist already."""
        self.executions.update(executions)
        self.score.covered |= self.score.places_of(executions.values())

    def add(self, drafts: Iterable[Draft]) -> None:
        """Judge drafts of one origin, and keep those that add something, the best first."""
        unique = list(map(self._with_unique_name, drafts))
        origins = {draft.origin for draft in unique}
        if Origin.PROPERTY in origins:
            unique = self._holding(unique)
        if Origin.TYPE_HINT in origins:
            unique = self._thoroughly_passing(unique)
        passing = list(filter(self._passes, judge(self.trials, unique)))
        waiting = self._candidates(passing)
        while waiting:
            best = max(waiting, key=self._worth)
            killed = best.kills & self.score.living
            gain = best.places - self.score.covered
            if not killed and not gain:
                break
            waiting.remove(best)
            if killed or self._checks_its_code(best.judged):
                self._keep(best, killed, gain)
            else:
                self._reject(best.judged.draft, "asserts nothing about it")
        for candidate in waiting:
            self._reject(candidate.judged.draft, "adds nothing")

    def confirm(self, trials: Trials) -> None:
        """Run the kept tests once more on other trials, alone and together in both orders.

        Those that fail there are rejected.
        """
        tests = list(self.kept)
        drafts = [test.draft for test in tests]
        for test, judged in zip(tests, judge(trials, drafts), strict=True):
            failure = run_failure(judged.judgement)
            if not failure:
                continue
            # Without an outcome, nothing is known about the hash seed.
            if judged.judgement.problem != OUT_OF_TIME:
                failure = "depends on the hash seed"
            self._drop(test, failure)
        # Each test that is dropped changes what the others run after.
        while self.kept:
            failing = self._failing_together(trials)
            if not failing:
                return
            for test in failing:
                self._drop(test, "depends on the order of tests")

    # --- which drafts pass ---

    def _with_unique_name(self, draft: Draft) -> Draft:
        """Return the draft with a name that no other has: two modules may define one name."""
        unique = draft
        number = 1
        while self._names.setdefault(unique.name, unique) != unique:
            number += 1
            unique = replace(draft, name=f"{draft.name}_{number}")
        return unique

    def _holding(self, guesses: Sequence[Draft]) -> list[Draft]:
        """Return the properties that hold.

        The others are not listed as rejected drafts: no documentation promises them.
        """
        holding: list[Draft] = []
        for start in range(0, len(guesses), MAX_PROPERTIES):
            batch = guesses[start : start + MAX_PROPERTIES]
            judgement = self.trials.judge_together(_modules(batch), DRAFT_SECONDS / 2)
            if judgement.problem:
                holding += batch  # one of them is to blame; each is judged alone later
                continue
            passed = _passed_tests(judgement.rounds[:1])
            for draft in batch:
                if draft.nodeid in passed:
                    holding.append(draft)
        return holding

    def _thoroughly_passing(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Return the tests of Hypothesis that pass with many inputs."""
        thorough = list(map(judged_version, drafts))
        passing = []
        for draft, judged in zip(drafts, judge(self.trials, thorough), strict=True):
            if self._passes(judged):
                passing.append(draft)
        return passing

    def _passes(self, judged: JudgedDraft) -> bool:
        """Return whether a draft passes and tests its target; otherwise record the reason."""
        draft = judged.draft
        reason = run_failure(judged.judgement)
        if reason == FAILS and self._is_suspected_bug(judged):
            return False
        reason = reason or missing_check(judged)
        is_unpromised = draft.origin in UNPROMISED
        if is_unpromised and not reason and draft.target in self._broken_targets:
            reason = "contradicts its function's docstring"
        if reason:
            self._reject(draft, reason)
        return not reason

    def _is_suspected_bug(self, judged: JudgedDraft) -> bool:
        """Record a suspected bug if a failing draft breaks a promise of the code."""
        draft = judged.draft
        bug = broken_promise(draft, judged.judgement)
        if not bug:
            return False
        if bug == WRONG:
            bug = self._actual_value(draft) or bug
        self.suspected.append(RejectedDraft(draft, bug))
        # An error for odd inputs says nothing about the usual ones.
        if not draft.draws_inputs:
            self._broken_targets.add(draft.target)
        return True

    def _actual_value(self, draft: Draft) -> str:
        """Return "gives 7" if a draft compares a call with another value; empty if unknown."""
        match ast.parse(draft.body[-1]).body:
            case [ast.Assert(test=ast.Compare(left=call)) as statement]:
                # The message of a failing assertion comes back as the note of its record.
                message = f"{ast.unparse(statement)}, repr({ast.unparse(call)})"
            case _:
                return ""
        probe = replace(draft, body=(*draft.body[:-1], message))
        [judgement] = self.trials.judge([probe.module], DRAFT_SECONDS)
        for record in chain(*judgement.rounds[:1]):
            if record.note:
                return f"gives {record.note}"
        return ""

    def _reject(self, draft: Draft, reason: str) -> None:
        self.rejected.append(RejectedDraft(draft, reason))

    # --- which drafts add something ---

    def _candidates(self, passing: Sequence[JudgedDraft]) -> list[_Candidate]:
        tests: dict[str, ExecutedCode] = {}
        for judged in passing:
            tests.update(judged.tests)
        # All drafts in one go: starting a process for each mutant is what takes the time.
        kills = self.score.kills_by_test(self.score.living, tests)
        candidates = []
        for judged in passing:
            killed: set[Edit] = set()
            for nodeid in judged.tests:
                killed |= kills[nodeid]
            places = self.score.places_of(judged.tests.values())
            candidates.append(_Candidate(judged, killed, places))
        return candidates

    def _worth(self, candidate: _Candidate) -> tuple[int, int, int]:
        """Return the key of the best candidate: most kills, most new code, shortest."""
        kills = candidate.kills & self.score.living
        gain = candidate.places - self.score.covered
        length = len("".join(candidate.judged.draft.body))
        return len(kills), len(gain), -length

    def _checks_its_code(self, judged: JudgedDraft) -> bool:
        """Return whether a draft that only runs new code would notice any change of it."""
        # The type of a result says little: such a test has to kill a mutant.
        if judged.draft.draws_inputs:
            return False
        mutants = self.score.mutants_executed_by(judged.tests.values())
        for start in range(0, len(mutants), MUTANT_BATCH):
            batch = mutants[start : start + MUTANT_BATCH]
            # To be read to its end: the trials answer one command after the other.
            kills = dict(self.score.kills(batch, judged.tests, every=False))
            if any(kills.values()):
                return True
        return False

    def _keep(self, candidate: _Candidate, killed: set[Edit], gain: set[Place]) -> None:
        judged = candidate.judged
        draft = judged.draft
        if draft.origin is Origin.PROPERTY and not gain:
            draft = self._with_fewer_inputs(judged, killed)
        # Reports name the gain by its lines, which say nothing about other files.
        in_file = set()
        for place in gain:
            if place.path == draft.target.path:
                in_file.add(place)
        kills = tuple(sorted(killed, key=position))
        self.kept.append(KeptTest(draft, kills, frozenset(in_file)))
        self.executions.update(judged.tests)
        self.score.living -= killed
        self.score.covered |= gain

    def _with_fewer_inputs(self, judged: JudgedDraft, killed: set[Edit]) -> Draft:
        """Return a property with the inputs that its kills need, and at least two."""
        draft = judged.draft
        [executed] = judged.tests.values()
        values: dict[str, str] = {}
        tests: dict[str, ExecutedCode] = {}
        for number, value in enumerate(input_values(draft)):
            single = with_values(draft, [value])
            single = replace(single, name=f"{draft.name}_{number}")
            values[single.nodeid] = value
            tests[single.nodeid] = replace(executed, draft=single)
        kills = self.score.kills_by_test(killed, tests)
        remaining = set(killed)
        chosen: set[str] = set()
        most_kills_first = sorted(values, key=lambda nodeid: -len(kills[nodeid]))
        for nodeid in most_kills_first:
            if len(chosen) < MIN_INPUTS or kills[nodeid] & remaining:
                chosen.add(nodeid)
                remaining -= kills[nodeid]
        if remaining:
            return draft  # some mutant is killed by several inputs at once
        needed = []
        for nodeid, value in values.items():
            if nodeid in chosen:
                needed.append(value)
        return with_values(draft, needed)

    # --- which kept tests stay ---

    def _failing_together(self, trials: Trials) -> list[KeptTest]:
        """Return the kept tests that fail when all run in one process."""
        drafts = [test.draft for test in self.kept]
        judgement = trials.judge_together(_modules(drafts), _time_limit(drafts))
        if judgement.problem and judgement.problem != OUT_OF_TIME:
            return self.kept[-1:]  # one of them is to blame; the last adds least
        passed = _passed_tests(judgement.rounds)
        failed = set()
        for record in chain(*judgement.rounds):
            if record.nodeid not in passed:
                failed.add(_without_parameters(record.nodeid))
        return [test for test in self.kept if test.draft.nodeid in failed]

    def _drop(self, test: KeptTest, reason: str) -> None:
        self.kept.remove(test)
        self._reject(test.draft, reason)
        self.score.living.update(test.kills)
        for nodeid in list(self.executions):
            if _without_parameters(nodeid) == test.draft.nodeid:
                del self.executions[nodeid]
        self.score.reset(self.executions.values())


def judge(trials: Trials, drafts: Sequence[Draft]) -> list[JudgedDraft]:
    """Run each draft in a process of its own."""
    judgements = trials.judge(_modules(drafts), _time_limit(drafts))
    return list(map(JudgedDraft.of, drafts, judgements))


def _modules(drafts: Sequence[Draft]) -> list[tuple[str, str]]:
    return [draft.module for draft in drafts]


def _time_limit(drafts: Sequence[Draft]) -> float:
    if any(draft.draws_inputs for draft in drafts):
        return DRAWING_SECONDS
    return DRAFT_SECONDS


def _without_parameters(nodeid: str) -> str:
    """Return the node id of the function of a parametrized test."""
    return nodeid.partition("[")[0]


def _passed_tests(rounds: Sequence[Sequence[Record]]) -> set[str]:
    """Return the tests that pass in every round."""
    tests: set[str] = set()
    failed: set[str] = set()
    for record in chain(*rounds):
        tests.add(record.nodeid)
        if record.outcome != "passed":
            failed.add(record.nodeid)
    return tests - failed
