"""Tests worth keeping: drafts in, and out come those that pass alone and again, and find something nothing else finds.

A draft earns its place by a mutant that no test kills yet, or by a line or a
branch that none runs yet. It runs confined, twice and in reverse, then among all that
is kept and under another hash seed; what leaves anything behind, or does not assert on its target, is not kept.
"""

from __future__ import annotations

import ast
import builtins
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.generate.docstrings import exceptions_of
from pytest_starcoder.generate.draft import Draft, Kind, Origin, Target
from pytest_starcoder.generate.gate import NOT_SO, contradicted, failure, unfit
from pytest_starcoder.generate.model_drafts import Author
from pytest_starcoder.generate.result import Answer, Generated, Kept, Rejected, Spent
from pytest_starcoder.generate.score import (
    Executed,
    Score,
    Sources,
    folder_of,
    module_of,
    nodeid_of,
)
from pytest_starcoder.generate.siblings import values_of, with_values
from pytest_starcoder.generate.type_hints import thorough
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.rerun import rerun
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.trials import OVER, Input, Judgement, Trials, Unavailable
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.syntax import is_literal
from pytest_starcoder.text.display import one_line

LIMIT = 0.5
"""Seconds of processor time that one draft's test may take."""

DRAWING = 3.0
"""Seconds of it for a test that draws its inputs: of one that fails Hypothesis seeks the simplest."""

CONFIRMING = 30.0
"""Seconds for running what is kept together and under another hash seed, whatever time is left."""

TOGETHER = 32
"""Properties that are run in one fork to see which of them hold."""

MEASURING = 0.5
"""Of the time, how much may go into finding out what the tests that are there find."""

FEW = 8
"""Mutants that are tried at once to see whether a draft kills any."""

CALLERS = 12
"""Tests from which the inputs of a function are taken."""

CHARACTERISED = '"""Characterisation: what the code did when this was written, right or not."""'

PREDICTED = 4
"""Calls of one target of which a model is asked what they give."""

ATTEMPTS = 3
"""Answers that a model gives for one target at the most."""


UNCLAIMED = (Origin.MODEL, Origin.CHARACTERISATION)
"""Origins of drafts that may make what is wrong a test: not where it is known that something is."""


@dataclass(frozen=True)
class Budget:
    """What asking a model may come to: requests, and tokens that it writes."""

    requests: int = 60
    tokens: int = 20_000

    def is_spent(self, spent: Spent) -> str:
        """Which of the settings bites, empty where none does."""
        if spent.requests >= self.requests:
            return f"the setting generate_requests ({self.requests}) was reached"
        return (
            f"the setting generate_tokens ({self.tokens}) was reached"
            if spent.tokens >= self.tokens
            else ""
        )


def generate(
    launch: Launch,
    targets: Sequence[Target],
    suite: Sequence[str],
    drafts: Sequence[Draft],
    sources: Sources,
    deadline: Deadline,
    least: Level,
    progress: Callable[[str], None] = lambda what: None,
    *,
    author: Author | None = None,
    budget: Budget | None = None,
    characterise: bool = False,
) -> Generated:
    """Of `drafts` those that are worth keeping, beside the passing tests `suite`; nothing is raised.

    `author` has a model write more for targets that have gaps, within `budget`. With
    `characterise` tests are added that hold what the code does now, right or not,
    where a mutant is still alive.
    """
    started = time.monotonic()
    try:
        modules = [*dict.fromkeys(target.module for target in targets)]
        folders = list(dict.fromkeys(folder_of(target) for target in targets))
        draws = any(draft.origin is Origin.SMOKE for draft in drafts)
        with Trials(launch, suite, deadline, least, modules, folders, draws=draws) as trials:
            told = "; ".join(
                f"{name} cannot be imported ({why})" for name, why in trials.unimportable.items()
            )
            if targets and all(target.module in trials.unimportable for target in targets):
                raise Unavailable(told)
            progress("what the tests that are there find")
            score = Score(trials, targets, sources, deadline, LIMIT)
            work = _Work(launch, trials, score, targets, deadline, progress)
            before = score.state()
            over = ""
            try:
                work.measure(suite)
                before = score.state()
                for origin in Origin:
                    work.take_from(
                        origin, [work.named(draft) for draft in drafts if draft.origin is origin]
                    )
                if author is not None:
                    work.write(author, budget or Budget())
                if characterise:
                    progress("what the code does where a change of it goes unseen")
                    work.characterise()
            except KeyboardInterrupt:  # a second one ends the rest as well
                over = "it was interrupted; what a model has answered is remembered"
            if deadline.remaining() <= 0:
                over = f"the time was over (the setting {deadline.setting})"
            work.confirm(
                lambda other: Trials(
                    other, [], Deadline.after(CONFIRMING), least, modules, folders, draws=draws
                )
            )
            return Generated(
                tuple(work.kept),
                tuple(work.rejected),
                tuple(work.suspected),
                tuple(score.tallies(before)),
                time.monotonic() - started,
                work.spent,
                str(trials.level),
                remark=". ".join(filter(None, [told, work.note])),
                over="; ".join(filter(None, [over, work.left])),
                model=work.model,
            )
    except Unavailable as exc:
        return Generated(note=str(exc), seconds=time.monotonic() - started)
    except OSError as exc:
        return Generated(
            note=f"no process could be started: {exc}", seconds=time.monotonic() - started
        )


class _Work:
    """What is kept so far, what is not, and why."""

    def __init__(
        self,
        launch: Launch,
        trials: Trials,
        score: Score,
        targets: Sequence[Target],
        deadline: Deadline,
        progress: Callable[[str], None],
    ) -> None:
        self._launch = launch
        self._trials = trials
        self._score = score
        self._targets = targets
        self._deadline = deadline
        self._progress = progress
        self._ran: dict[str, Executed] = {}
        self._names: dict[str, Draft] = {}
        self.kept: list[Kept] = []
        self.rejected: list[Rejected] = []
        self.suspected: list[Rejected] = []
        self._broken: set[Target] = set()
        self._tried: set[tuple[str, ...]] = set()
        self.spent = Spent()
        self.model = self.note = self.left = ""

    def measure(self, suite: Sequence[str]) -> None:
        """What the tests that are there kill and run."""
        if not suite:
            return
        incomplete: list[str] = []
        outcomes = rerun(
            self._launch, suite, self._deadline, trace=suite, arcs=True, warn=incomplete.append
        )
        passed = {outcome.nodeid: outcome for outcome in outcomes if outcome.outcome == "passed"}
        self._ran |= {
            nodeid: Executed(outcome.lines, outcome.arcs, outcome.seconds)
            for nodeid, outcome in passed.items()
        }
        self._score.add(self._ran)
        found = dict(
            self._score.kills(list(self._score.living), self._ran, {}, every=False, share=MEASURING)
        )
        untried = self._score.living - found.keys()
        self._score.forget(untried)
        self._score.living -= {mutant for mutant, tests in found.items() if tests}
        if untried:
            untried_mutants = (
                f"{len(untried)} mutants were not tried with the existing tests, for lack of time"
            )
            incomplete.append(untried_mutants)
        self.left = "; ".join(incomplete)

    # --- drafts ---

    def take_from(self, origin: Origin, drafts: Sequence[Draft]) -> None:
        """Takes the drafts of one origin; those that draw their inputs after the exceptions that docstrings name."""
        if origin is Origin.RAISES:
            self._progress("inputs for the exceptions that docstrings name")
            self.raising()
        if drafts and self._deadline.remaining() > 0:
            self._progress(f"{len(drafts)} drafts from {origin}")
            sift = {Origin.SIBLING: self.holding, Origin.SMOKE: self.passing}.get(origin, list)
            self.take(sift(drafts))

    def named(self, draft: Draft) -> Draft:
        """With a name that no other draft has; functions of two modules may be called alike."""
        named, number = draft, 1
        while self._names.setdefault(named.name, named) != named:
            number += 1
            named = replace(draft, name=f"{draft.name}_{number}")
        return named

    def holding(self, guesses: Sequence[Draft]) -> list[Draft]:
        """Of properties that nobody has claimed those that hold; many are run in one fork."""
        found: list[Draft] = []
        for start in range(0, len(guesses), TOGETHER):
            batch = guesses[start : start + TOGETHER]
            judgement = self._trials.together([module_of(draft) for draft in batch], LIMIT / 2)
            passed = {
                record.nodeid
                for records in judgement.rounds[:1]
                for record in records
                if record.outcome == "passed"
            }
            found += [draft for draft in batch if nodeid_of(draft) in passed or judgement.problem]
        return found

    def passing(self, drafts: Sequence[Draft]) -> list[Draft]:
        """Of tests that draw their inputs those that pass on many."""
        judged = self._judged(self._trials, [thorough(draft) for draft in drafts])
        tests = {
            draft: Executed.of_all(_executed(judgement).values())
            for draft, judgement in judged.items()
        }
        good = {
            draft.name
            for draft, judgement in judged.items()
            if self._is_good(draft, judgement, tests[draft])
        }
        return [draft for draft in drafts if draft.name in good]

    def take(self, drafts: Sequence[Draft]) -> None:
        """Judges drafts, and keeps those that add something, the one that adds most first."""
        drafts = [self.named(draft) for draft in drafts]
        judged = self._judged(self._trials, drafts)
        each = {draft: _executed(judgement) for draft, judgement in judged.items()}
        tests = {draft: Executed.of_all(own.values()) for draft, own in each.items()}
        good = [draft for draft in drafts if self._is_good(draft, judged[draft], tests[draft])]
        by_test = {nodeid: draft for draft in good for nodeid in each[draft]}
        kills: dict[Draft, set[Edit]] = {draft: set() for draft in good}
        executed = {nodeid: each[draft][nodeid] for nodeid, draft in by_test.items()}
        modules = {nodeid: module_of(draft) for nodeid, draft in by_test.items()}
        for mutant, nodeids in self._score.kills(list(self._score.living), executed, modules):
            for nodeid in nodeids:
                kills[by_test[nodeid]].add(mutant)
        waiting = list(good)
        while waiting:
            best = max(waiting, key=lambda draft: self._worth(draft, kills, tests))
            found, new = kills[best] & self._score.living, self._score.new(tests[best])
            if not found and not len(new):
                break
            waiting.remove(best)
            if not found and (best.origin is Origin.SMOKE or not self._tells(best, each[best])):
                self.rejected.append(Rejected(best, "asserts nothing about it"))
                continue
            shown = (
                self._reduced(best, found, tests[best])
                if best.origin is Origin.SIBLING and not len(new)
                else best
            )
            path = best.target.path
            lines = frozenset(line for file, line in new.lines if file == path)
            ways = frozenset(way for file, way in new.branches if file == path)
            self.kept.append(
                Kept(shown, tuple(sorted(found, key=lambda edit: edit.span)), lines, ways)
            )
            self._score.living -= found
            self._score.add(each[best])
            self._ran |= each[best]
        self.rejected += [Rejected(draft, "adds nothing") for draft in waiting]

    def _judged(self, trials: Trials, drafts: Sequence[Draft]) -> dict[Draft, Judgement]:
        found: dict[Draft, Judgement] = {}
        for drawn, limit in ((False, LIMIT), (True, DRAWING)):
            own = [draft for draft in drafts if (draft.origin is Origin.SMOKE) is drawn]
            if own:
                found |= zip(
                    own, trials.judged([module_of(draft) for draft in own], limit), strict=True
                )
        return found

    def raising(self) -> None:
        """Adds tests for exceptions that docstrings name, on inputs on which the code raises them."""
        for target in self._targets:
            promised = exceptions_of(target)
            mutant = self._score.mutant_of(target)
            if not promised or mutant is None or target.awaits or self._deadline.remaining() <= 0:
                continue
            inputs, (now, *_) = self._observed(target, [(), (mutant,)])
            for name in promised:
                fit = [
                    given
                    for given, told in zip(inputs, now, strict=False)
                    if given.code and told == f"raises {name}"
                ]
                if fit:
                    given = min(fit, key=lambda given: (len(given.code), given.code))
                    importing, _, call = given.code.partition("\n")
                    body = (f"with pytest.raises({name}):\n    {call}",)
                    test = f"test_{target.stem}_raises_{name.lower()}"
                    imports = ("import pytest", "", importing)
                    self.take(
                        [Draft(test, body, imports, Origin.RAISES, target, f"Raises: {name}")]
                    )

    def _observed(
        self, target: Target, candidates: Sequence[tuple[Edit, ...]]
    ) -> tuple[list[Input], list[tuple[str, ...]]]:
        """Inputs of a target, like those of the tests that call it, and what becomes of them under each candidate."""
        modules = {nodeid_of(kept.draft): module_of(kept.draft) for kept in self.kept}
        drawn = {nodeid_of(kept.draft) for kept in self.kept if kept.draft.origin is Origin.SMOKE}
        tests = [nodeid for nodeid, executed in self._ran.items() if executed.runs(target)]
        written = [
            nodeid for nodeid in tests if nodeid not in drawn
        ]  # what people write reads better
        tests = (written or tests)[:CALLERS]
        if not tests:
            return [], [()] * len(candidates)
        drafts = [
            modules[own]
            for own in dict.fromkeys(nodeid.partition("[")[0] for nodeid in tests)
            if own in modules
        ]
        limits = {nodeid: self._score.limit(self._ran[nodeid]) for nodeid in tests}
        return self._trials.observed(candidates, [], tests, limits, drafts)

    def write(self, author: Author, budget: Budget) -> None:
        """Asks a model for the targets that have most left to find, until it fails, or nothing or no budget is left.

        First what calls give on which a living mutant does something else, then for tests as it likes.
        """
        try:
            for target in self._by_need():
                for call, comparison in self._telling(target)[:PREDICTED]:
                    told = f"a model for what {one_line(call, 40)} gives"
                    if self._score.living_in(target) and not self._asked(
                        partial(author.predicted, target, call, comparison), budget, told
                    ):
                        return
            for attempt in range(ATTEMPTS):
                for target in self._by_need():
                    gaps = self._score.gaps(target)
                    told = f"a model for {target.name or target.module}, attempt {attempt + 1}"
                    if gaps and not self._asked(
                        partial(author.written, target, attempt, gaps), budget, told
                    ):
                        return
        except StarcoderError as exc:
            self.note = str(exc)

    def _by_need(self) -> list[Target]:
        """Public functions first, those with most left to find before the others."""
        order = {Kind.FUNCTION: 0, Kind.PRIVATE: 1, Kind.CLASS: 2, Kind.MODULE: 3}
        return sorted(self._targets, key=lambda own: (order[own.kind], -len(self._score.gaps(own))))

    def _asked(self, ask: Callable[[], Answer], budget: Budget, told: str) -> bool:
        """Judges one answer; False where time or budget is over."""
        self.note = budget.is_spent(self.spent)
        if self.note or self._deadline.remaining() <= 0:
            return False
        self._progress(f"{told}; {len(self.kept)} kept so far")
        answer = ask()
        self.spent, self.model = self.spent + answer.spent, answer.model
        new = [draft for draft in answer.drafts if draft.body not in self._tried]
        self._tried |= {draft.body for draft in new}
        if new:
            self.take(new)
        return True

    def _telling(self, target: Target) -> list[tuple[str, str]]:
        """Calls on which a living mutant does something else than the code, and how what they give is compared."""
        living = self._score.living_in(target)
        if not living:
            return []
        return [
            (call, comparison)
            for call, comparison in (
                _split(draft.body[-1]) for draft in self._characterisations(target, living)
            )
            if call
        ]

    def characterise(self) -> None:
        """Adds tests that hold what the code does on inputs on which a living mutant does something else."""
        for target in self._targets:
            living = self._score.living_in(target)
            if living and self._deadline.remaining() > 0:
                self.take(list(self._characterisations(target, living)))

    def _characterisations(self, target: Target, living: Sequence[Edit]) -> Iterator[Draft]:
        candidates: list[tuple[Edit, ...]] = [(mutant,) for mutant in living]
        inputs, behaviours = self._observed(target, [(), *candidates])
        now, *others = behaviours
        left = {number for number, behaviour in enumerate(others) if behaviour}
        number = 0
        while left and now:
            told = [
                (sum(others[mutant][at] != now[at] for mutant in left), -len(given.code), at)
                for at, given in enumerate(inputs)
                if given.code and _held(given.code, now[at], target)
            ]
            count, _, at = max(told, default=(0, 0, 0))
            if not count:
                return
            left = {mutant for mutant in left if others[mutant][at] == now[at]}
            number += 1
            importing, _, call = inputs[at].code.partition("\n")
            statement = _held(inputs[at].code, now[at], target)
            needed = [line for line in ("asyncio", "pytest") if f"{line}." in statement]
            imports = (*(f"import {line}" for line in needed), *([""] if needed else []), importing)
            name = f"test_{target.stem}_characterised_{number}"
            yield Draft(
                name, (CHARACTERISED, statement), imports, Origin.CHARACTERISATION, target, call
            )

    def confirm(self, opened: Callable[[Launch], Trials]) -> None:
        """Runs all that is kept together, in both orders, under another hash seed; what fails there is not kept."""
        environment = {**(self._launch.environment or os.environ), "PYTHONHASHSEED": "4711"}
        other = replace(self._launch, environment=environment)
        if not self.kept:
            return
        self._progress(f"the {len(self.kept)} that are kept, together and under another hash seed")
        with opened(other) as trials:
            alone = self._judged(trials, [kept.draft for kept in self.kept])
            for kept in list(self.kept):
                judgement = alone[kept.draft]
                if reason := failure(judgement):
                    self._forget(
                        kept, reason if judgement.problem == OVER else "depends on the hash seed"
                    )
            drawn = any(kept.draft.origin is Origin.SMOKE for kept in self.kept)
            while self.kept:
                judgement = trials.together(
                    [module_of(kept.draft) for kept in self.kept], DRAWING if drawn else LIMIT
                )
                failed = {record.nodeid for records in judgement.rounds for record in records}
                failed = {nodeid.partition("[")[0] for nodeid in failed - _passing(judgement)}
                unwanted = [kept for kept in self.kept if nodeid_of(kept.draft) in failed]
                if judgement.problem and judgement.problem != OVER:
                    unwanted = self.kept[-1:]  # one of them does it, and the last added least
                for kept in unwanted:
                    self._forget(kept, "depends on the order of tests")
                if not unwanted:
                    return

    def _forget(self, kept: Kept, reason: str) -> None:
        self.kept.remove(kept)
        self.rejected.append(Rejected(kept.draft, reason))
        self._score.living |= set(kept.kills)
        for nodeid in [
            nodeid for nodeid in self._ran if nodeid.partition("[")[0] == nodeid_of(kept.draft)
        ]:
            del self._ran[nodeid]
        self._score.count(self._ran)

    # --- one draft ---

    def _is_good(self, draft: Draft, judgement: Judgement, executed: Executed) -> bool:
        reason = failure(judgement) or unfit(draft, executed)
        if not reason and draft.origin in UNCLAIMED and draft.target in self._broken:
            reason = "contradicts its function's docstring"
        if not reason:
            return True
        told = contradicted(draft, judgement, reason)
        if told == NOT_SO:
            told = self._given(draft) or told
        if told:
            self.suspected.append(Rejected(draft, told))
            if draft.origin is not Origin.SMOKE:
                self._broken.add(draft.target)
        else:
            self.rejected.append(Rejected(draft, reason))
        return False

    def _given(self, draft: Draft) -> str:
        """What a call gives that gives something else than a draft says; empty where that cannot be told."""
        match ast.parse(draft.body[-1]).body:
            case [ast.Assert(test=ast.Compare(left=call)) as statement]:
                telling = f"{ast.unparse(statement)}, repr({ast.unparse(call)})"
                [judgement] = self._trials.judged(
                    [module_of(replace(draft, body=(*draft.body[:-1], telling)))], LIMIT
                )
                found = [
                    record.note
                    for records in judgement.rounds[:1]
                    for record in records
                    if record.note
                ]
                return f"gives {found[0]}" if found else ""
        return ""

    def _worth(
        self, draft: Draft, kills: Mapping[Draft, set[Edit]], tests: Mapping[Draft, Executed]
    ) -> tuple[int, int, int]:
        new = self._score.new(tests[draft])
        return len(kills[draft] & self._score.living), len(new), -len("".join(draft.body))

    def _reduced(self, draft: Draft, found: set[Edit], executed: Executed) -> Draft:
        """A property said of no more inputs than its mutants take, and of two at the least."""
        singles = {f"{draft.name}_{at}": value for at, value in enumerate(values_of(draft))}
        alone = {
            name: replace(with_values(draft, [value]), name=name) for name, value in singles.items()
        }
        modules = {nodeid_of(one): module_of(one) for one in alone.values()}
        kills: dict[str, set[Edit]] = {name: set() for name in alone}
        for mutant, tests in self._score.kills(
            list(found), dict.fromkeys(modules, executed), modules
        ):
            for nodeid in tests:
                kills[nodeid.rpartition("::")[2]].add(mutant)
        left, chosen = set(found), list[str]()
        while left:
            best = max(alone, key=lambda name: len(kills[name] & left))
            if not kills[best] & left:
                return draft  # it takes several inputs at once
            chosen.append(best)
            left -= kills[best]
        chosen += [name for name in alone if name not in chosen][: max(0, 2 - len(chosen))]
        return with_values(draft, [singles[name] for name in alone if name in chosen])

    def _tells(self, draft: Draft, tests: Mapping[str, Executed]) -> bool:
        """Whether a draft that runs something new would fail if any of what it runs were otherwise."""
        mutants = self._score.executed_by(Executed.of_all(tests.values()))
        modules = dict.fromkeys(tests, module_of(draft))
        for start in range(0, len(mutants), FEW):
            found = list(
                self._score.kills(mutants[start : start + FEW], tests, modules, every=False)
            )
            if any(tests for _, tests in found):
                return True
        return False


def _executed(judgement: Judgement) -> dict[str, Executed]:
    """What each test of a draft executes: it may be parametrized."""
    seconds = {
        record.nodeid: record.seconds for records in judgement.rounds[:1] for record in records
    }
    return {
        nodeid: Executed(lines, judgement.steps[nodeid], seconds[nodeid])
        for nodeid, lines in judgement.lines.items()
    }


def _passing(judgement: Judgement) -> set[str]:
    """The tests that passed in every round."""
    rounds = [
        {record.nodeid for record in records if record.outcome == "passed"}
        for records in judgement.rounds
    ]
    return set.intersection(*rounds) if rounds else set()


def _split(statement: str) -> tuple[str, str]:
    """The call and the comparison of an assertion of `_held`; empty for an exception."""
    match ast.parse(statement).body[0]:
        case ast.Assert(test=ast.Compare(left=call, ops=[comparison])):
            return ast.unparse(call), "is" if isinstance(comparison, ast.Is) else "=="
    return "", ""


def _held(code: str, outcome: str, target: Target) -> str:
    """The statement that holds an outcome of a call; empty where no test can hold it."""
    call = code.partition("\n")[2]
    call = f"asyncio.run({call})" if target.awaits else call
    kind, _, told = outcome.partition(" ")
    if kind == "raises":
        return (
            f"with pytest.raises({told}):\n    {call}"
            if isinstance(getattr(builtins, told, None), type)
            else ""
        )
    if kind != "returns" or not is_literal(told):
        return ""
    return (
        f"assert {call} is {told}"
        if told in ("None", "True", "False")
        else f"assert {call} == {told}"
    )
