"""Tests worth keeping: drafts in, and out come those that pass alone and again, and find something nothing else finds.

A draft earns its place by a mutant that no test kills yet, or by a line that
none runs yet. It runs confined, twice and in reverse, and under another hash
seed; what leaves anything behind, or does not assert on its target, is not kept.
"""

from __future__ import annotations

import ast
import builtins
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.evidence.documented import exceptions_of
from pytest_starcoder.evidence.mutants import lines_of, mutants_of
from pytest_starcoder.evidence.siblings import values_of, with_values
from pytest_starcoder.runner import Launch, run
from pytest_starcoder.runner.confine import Level
from pytest_starcoder.runner.trials import Input, Judgement, Trials, Unavailable
from pytest_starcoder.values.asked import Deadline
from pytest_starcoder.values.draft import Draft, Origin, Target
from pytest_starcoder.values.fix import Edit
from pytest_starcoder.values.generated import Generated, Kept, Rejected, Tally

LIMIT = 0.5
"""Seconds of processor time that one draft's test may take."""

CONFIRMING = 30.0
"""Seconds for running what is kept under another hash seed, whatever time is left."""

TOGETHER = 32
"""Properties that are run in one fork to see which of them hold."""

CALLERS = 12
"""Tests from which the inputs of a function are taken."""

CHARACTERISED = '"""Characterisation: what the code did when this was written, right or not."""'

FOLDER = "tests"
"""Where a draft stands that has no test file yet to go into."""

ATTEMPTS = 3
"""Answers that a model gives for one target at the most."""

Sources = Callable[[str], str]

Write = Callable[[Target, int, str], Sequence[Draft]]
"""Drafts for a target at an attempt; the text says what no test tests. Raises a StarcoderError."""


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
    write: Write | None = None,
    characterise: bool = False,
) -> Generated:
    """Of `drafts` those that are worth keeping, beside the passing tests `suite`; nothing is raised.

    `write` asks a model for more, for a target that has gaps, at an attempt counted from 0.
    With `characterise` tests are added that hold what the code does now, right or
    not, where a mutant is still alive.
    """
    started = time.monotonic()
    try:
        modules = list(dict.fromkeys(target.module for target in targets))
        with Trials(launch, suite, deadline, least, modules) as trials:
            work = _Work(launch, trials, targets, sources, deadline)
            progress("what the tests that are there find")
            work.measure(suite)
            before = work.state()
            for origin in Origin:
                own = [draft for draft in drafts if draft.origin is origin]
                if own and deadline.remaining() > 0:
                    progress(f"{len(own)} drafts from {origin}")
                    work.take(work.holding(own) if origin is Origin.SIBLING else own)
            progress("inputs for the exceptions that docstrings name")
            work.raising()
            if write is not None:
                work.write(write, progress)
            if characterise:
                progress("what the code does where a change of it goes unseen")
                work.characterise()
            work.confirm(least)
            return Generated(
                tuple(work.kept),
                tuple(work.rejected),
                tuple(work.suspected),
                tuple(work.tallies(before)),
                Counter(str(draft.origin) for draft in drafts),
                time.monotonic() - started,
                str(trials.level),
                remark=work.note,
            )
    except Unavailable as exc:
        return Generated(note=str(exc), seconds=time.monotonic() - started)
    except OSError as exc:
        return Generated(note=f"no process could be started: {exc}", seconds=time.monotonic() - started)


def module_of(draft: Draft) -> tuple[str, str]:
    """The path and the source of a draft as a module that is no file."""
    return f"{FOLDER}/{draft.name}_drafted.py", draft.source


def nodeid_of(draft: Draft) -> str:
    return f"{module_of(draft)[0]}::{draft.name}"


class _Work:
    """What is killed and covered so far, and by what."""

    def __init__(
        self, launch: Launch, trials: Trials, targets: Sequence[Target], sources: Sources, deadline: Deadline
    ) -> None:
        self._launch = launch
        self._trials = trials
        self._deadline = deadline
        self._targets = targets
        self.kept: list[Kept] = []
        self.rejected: list[Rejected] = []
        self.suspected: list[Rejected] = []
        self.note = ""
        self._mutants: dict[Edit, Target] = {}
        self._lines: dict[Target, frozenset[int]] = {}
        for path in dict.fromkeys(target.path for target in targets):
            source = sources(path)
            own = [target for target in targets if target.path == path]
            self._mutants |= {mutant: target for target, found in mutants_of(source, own).items() for mutant in found}
            self._lines |= {target: lines_of(source, target) for target in own}
        self._living = set(self._mutants)
        self._covered: dict[str, set[int]] = {}
        self._ran: dict[str, Mapping[str, frozenset[int]]] = {}

    # --- what is there already ---

    def measure(self, suite: Sequence[str]) -> None:
        """What the tests that are there kill and run; mutants that are none are forgotten."""
        distinct = set(self._trials.distinct(list(self._mutants)))
        self._mutants = {mutant: target for mutant, target in self._mutants.items() if mutant in distinct}
        self._living = set(self._mutants)
        lines = self._executed(suite)
        self._ran |= lines
        for tests_lines in lines.values():
            self._cover(tests_lines)
        for mutant, tests in self._found(sorted(self._living, key=lambda edit: edit.span), lines, {}, every=False):
            if tests:
                self._living.discard(mutant)

    def _executed(self, suite: Sequence[str]) -> dict[str, Mapping[str, frozenset[int]]]:
        if not suite:
            return {}
        outcomes = run(self._launch, suite, self._deadline, trace=suite)
        return {outcome.nodeid: outcome.lines for outcome in outcomes if outcome.outcome == "passed"}

    # --- drafts ---

    def holding(self, guesses: Sequence[Draft]) -> list[Draft]:
        """Of properties that nobody has claimed those that hold; many are run in one fork."""
        found: list[Draft] = []
        for start in range(0, len(guesses), TOGETHER):
            batch = guesses[start : start + TOGETHER]
            imports = dict.fromkeys(line for draft in batch for line in draft.imports)
            source = "\n".join([*imports, *(draft.source.partition("\n\n\n")[2] for draft in batch)])
            [judgement] = self._trials.judged([(f"{FOLDER}/properties_drafted.py", source)], LIMIT / 2)
            passed = {
                record.nodeid.rpartition("::")[2]
                for records in judgement.rounds[:1]
                for record in records
                if record.outcome == "passed"
            }
            found += [draft for draft in batch if draft.name in passed or judgement.problem]
        return found

    def take(self, drafts: Sequence[Draft]) -> None:
        """Judges drafts, and keeps those that add something, the one that adds most first."""
        judged = dict(zip(drafts, self._trials.judged([module_of(draft) for draft in drafts], LIMIT), strict=True))
        good = {draft: judgement for draft, judgement in judged.items() if self._is_good(draft, judgement)}
        lines = {nodeid_of(draft): judgement.lines.get(nodeid_of(draft), {}) for draft, judgement in good.items()}
        modules = {nodeid_of(draft): module_of(draft) for draft in good}
        kills: dict[str, set[Edit]] = {nodeid: set() for nodeid in modules}
        for mutant, tests in self._found(sorted(self._living, key=lambda edit: edit.span), lines, modules):
            for nodeid in tests:
                kills[nodeid].add(mutant)
        waiting = list(good)
        while waiting:
            best = max(waiting, key=lambda draft: self._worth(draft, kills, lines))
            found, new = kills[nodeid_of(best)] & self._living, self._new(best, lines)
            if not found and not new:
                break
            waiting.remove(best)
            if not found and not self._tells(best, lines, modules):
                self.rejected.append(Rejected(best, "asserts nothing about it"))
                continue
            shown = self._reduced(best, found, lines) if best.origin is Origin.SIBLING and not new else best
            self.kept.append(Kept(shown, tuple(sorted(found, key=lambda edit: edit.span)), frozenset(new)))
            self._living -= found
            self._cover(lines[nodeid_of(best)])
            self._ran[nodeid_of(best)] = lines[nodeid_of(best)]
        self.rejected += [Rejected(draft, "adds nothing") for draft in waiting]

    def raising(self) -> None:
        """Adds tests for exceptions that docstrings name, on inputs on which the code raises them."""
        for target in self._targets:
            promised = exceptions_of(target)
            mutant = next((edit for edit, own in self._mutants.items() if own == target), None)
            if not promised or mutant is None or self._deadline.remaining() <= 0:
                continue
            inputs, (now, *_) = self._observed(target, [(), (mutant,)])
            for name in promised:
                fit = [
                    given for given, told in zip(inputs, now, strict=False) if given.code and told == f"raises {name}"
                ]
                if fit:
                    given = min(fit, key=lambda given: (len(given.code), given.code))
                    importing, _, call = given.code.partition("\n")
                    body = (f"with pytest.raises({name}):\n    {call}",)
                    test = f"test_{target.name.lower().replace('.', '_')}_raises_{name.lower()}"
                    imports = ("import pytest", "", importing)
                    self.take([Draft(test, body, imports, Origin.RAISES, target, f"Raises: {name}")])

    def _observed(
        self, target: Target, candidates: Sequence[tuple[Edit, ...]]
    ) -> tuple[list[Input], list[tuple[str, ...]]]:
        """Inputs of a target, like those of the tests that call it, and what becomes of them under each candidate."""
        modules = {nodeid_of(kept.draft): module_of(kept.draft) for kept in self.kept}
        tests = [nodeid for nodeid, lines in self._ran.items() if _within(lines, target)][:CALLERS]
        if not tests:
            return [], [()] * len(candidates)
        drafts = [modules[nodeid] for nodeid in tests if nodeid in modules]
        return self._trials.observed(candidates, [], tests, dict.fromkeys(tests, LIMIT), drafts)

    def write(self, write: Write, progress: Callable[[str], None]) -> None:
        """Asks a model for the targets that have most left to find, until it fails or nothing is left."""
        tried: set[tuple[str, ...]] = set()
        for attempt in range(ATTEMPTS):
            for target in sorted(self._targets, key=lambda target: -len(self._left(target))):
                gaps = self._left(target)
                if not gaps or self._deadline.remaining() <= 0:
                    continue
                progress(f"a model for {target.name}, attempt {attempt + 1}")
                try:
                    found = write(target, attempt, ", ".join(gaps[:5]))
                except StarcoderError as exc:
                    self.note = str(exc)
                    return
                new = [draft for draft in found if draft.body not in tried]
                tried |= {draft.body for draft in new}
                if new:
                    self.take(new)

    def _left(self, target: Target) -> list[str]:
        """What no test finds in a target, in words."""
        uncovered = sorted(self._lines[target] - self._covered.get(target.path, set()))
        living = sorted((edit for edit in self._living if self._mutants[edit] == target), key=lambda edit: edit.span)
        told = [f"line {line}" for line in uncovered]
        return told + [f"`{edit.after}` in the place of `{edit.before}`" for edit in living if len(edit.after) < 60]

    def _reduced(self, draft: Draft, found: set[Edit], lines: Mapping[str, Mapping[str, frozenset[int]]]) -> Draft:
        """A property said of no more inputs than its mutants take, and of two at the least."""
        singles = {f"{draft.name}_{at}": value for at, value in enumerate(values_of(draft))}
        alone = {name: replace(with_values(draft, [value]), name=name) for name, value in singles.items()}
        modules = {nodeid_of(one): module_of(one) for one in alone.values()}
        own = dict.fromkeys(modules, lines[nodeid_of(draft)])
        kills: dict[str, set[Edit]] = {name: set() for name in alone}
        for mutant, tests in self._found(sorted(found, key=lambda edit: edit.span), own, modules):
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

    def _tells(
        self,
        draft: Draft,
        lines: Mapping[str, Mapping[str, frozenset[int]]],
        modules: Mapping[str, tuple[str, str]],
    ) -> bool:
        """Whether a draft that runs new lines would fail if any of what it runs were otherwise."""
        own = {nodeid_of(draft): lines[nodeid_of(draft)]}
        mutants = [mutant for mutant, target in self._mutants.items() if target == draft.target]
        found = list(self._found(mutants, own, modules))
        return any(tests for _, tests in found)

    def characterise(self) -> None:
        """Adds tests that hold what the code does on inputs on which a living mutant does something else."""
        for target in self._targets:
            living = [mutant for mutant in self._living if self._mutants[mutant] == target]
            if living and self._deadline.remaining() > 0:
                self.take(list(self._characterisations(target, sorted(living, key=lambda edit: edit.span))))

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
                if given.code and _asserted(given.code, now[at])
            ]
            count, _, at = max(told, default=(0, 0, 0))
            if not count:
                return
            left = {mutant for mutant in left if others[mutant][at] == now[at]}
            number += 1
            importing, _, call = inputs[at].code.partition("\n")
            name = f"test_{target.name.lower().replace('.', '_')}_characterised_{number}"
            body = (CHARACTERISED, _asserted(inputs[at].code, now[at]))
            imports = (*(("import pytest", "") if "pytest.raises" in body[1] else ()), importing)
            yield Draft(name, body, imports, Origin.CHARACTERISATION, target, call)

    def confirm(self, least: Level) -> None:
        """Runs what is kept under another hash seed; what does not pass there is not kept."""
        if not self.kept:
            return
        environment = {**(self._launch.environment or os.environ), "PYTHONHASHSEED": "4711"}
        other = replace(self._launch, environment=environment)
        modules = list(dict.fromkeys(target.module for target in self._targets))
        with Trials(other, [], Deadline.after(CONFIRMING), least, modules) as trials:
            again = trials.judged([module_of(kept.draft) for kept in self.kept], LIMIT)
        for kept, judgement in zip(list(self.kept), again, strict=True):
            if _failure(judgement):
                self.kept.remove(kept)
                self.rejected.append(Rejected(kept.draft, "depends on the hash seed"))

    def _is_good(self, draft: Draft, judgement: Judgement) -> bool:
        reason = _failure(judgement) or self._unfit(draft, judgement)
        if not reason:
            return True
        promised = draft.origin in (Origin.DOCTEST, Origin.RAISES)
        if promised and reason == "fails":
            raised = judgement.rounds[0][0].raised
            self.suspected.append(Rejected(draft, f"raises {raised}" if raised != "AssertionError" else "is not so"))
        else:
            self.rejected.append(Rejected(draft, reason))
        return False

    def _unfit(self, draft: Draft, judgement: Judgement) -> str:
        target = draft.target
        executed = judgement.lines.get(nodeid_of(draft), {}).get(target.path, frozenset())
        if not executed & frozenset(range(target.first, target.last + 1)):
            return "does not call its target"
        return "" if asserts(draft.body) else "asserts nothing"

    def _worth(
        self, draft: Draft, kills: Mapping[str, set[Edit]], lines: Mapping[str, Mapping[str, frozenset[int]]]
    ) -> tuple[int, int, int]:
        return len(kills[nodeid_of(draft)] & self._living), len(self._new(draft, lines)), -len("".join(draft.body))

    def _new(self, draft: Draft, lines: Mapping[str, Mapping[str, frozenset[int]]]) -> set[int]:
        path = draft.target.path
        executed = lines[nodeid_of(draft)].get(path, frozenset())
        return set(executed & self._lines[draft.target]) - self._covered.get(path, set())

    def _cover(self, lines: Mapping[str, frozenset[int]]) -> None:
        for path, numbers in lines.items():
            self._covered.setdefault(path, set()).update(numbers)

    def _found(
        self,
        mutants: Sequence[Edit],
        lines: Mapping[str, Mapping[str, frozenset[int]]],
        modules: Mapping[str, tuple[str, str]],
        *,
        every: bool = True,
    ) -> Iterator[tuple[Edit, frozenset[str]]]:
        """Which of the tests kills each mutant: only those can that run its line, and they are run alone."""
        groups: dict[tuple[str, ...], list[Edit]] = {}
        for mutant in mutants:
            tests = tuple(nodeid for nodeid, own in lines.items() if mutant.line in own.get(mutant.path, ()))
            groups.setdefault(tests, []).append(mutant)
        for tests, group in groups.items():
            if self._deadline.remaining() <= 0:
                return
            drafts = [modules[nodeid] for nodeid in tests if nodeid in modules]
            yield from self._trials.killers(group, tests, LIMIT, drafts, every=every)

    # --- what it has come to ---

    def state(self) -> tuple[set[Edit], dict[str, set[int]]]:
        return set(self._living), {path: set(lines) for path, lines in self._covered.items()}

    def tallies(self, before: tuple[set[Edit], dict[str, set[int]]]) -> Iterator[Tally]:
        living, covered = before
        for target in self._targets:
            own = [mutant for mutant, of in self._mutants.items() if of == target]
            lines = self._lines[target]
            yield Tally(
                target,
                len(own),
                sum(mutant not in living for mutant in own),
                sum(mutant not in self._living for mutant in own),
                len(lines),
                len(lines & covered.get(target.path, set())),
                len(lines & self._covered.get(target.path, set())),
            )


def _within(lines: Mapping[str, frozenset[int]], target: Target) -> bool:
    return bool(lines.get(target.path, frozenset()) & frozenset(range(target.first, target.last + 1)))


def _asserted(code: str, outcome: str) -> str:
    """The statement that holds an outcome of a call; empty where no test can hold it."""
    call = code.partition("\n")[2]
    kind, _, told = outcome.partition(" ")
    if kind == "raises":
        return f"with pytest.raises({told}):\n    {call}" if isinstance(getattr(builtins, told, None), type) else ""
    if kind != "returns":
        return ""
    try:
        value = ast.literal_eval(told)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ""
    return f"assert {call} is {told}" if value is None or isinstance(value, bool) else f"assert {call} == {told}"


def _failure(judgement: Judgement) -> str:
    """Why a draft's run does not count, empty where all its tests passed every time and left all as it was."""
    if judgement.problem:
        return {"crashed": "ends the process", "hung": "never ends"}.get(judgement.problem, "cannot be imported")
    first, second = ({record.nodeid: record.outcome for record in records} for records in judgement.rounds)
    if "overtime" in (*first.values(), *second.values()):
        return "never ends"
    if set(first.values()) != {"passed"}:
        return "fails" if "failed" in first.values() else "is skipped"
    if first != second:
        return "passes only once"
    return f"leaves {judgement.left[0]} changed" if judgement.left else ""


def asserts(body: Sequence[str]) -> bool:
    """Whether statements assert something that could be false, or expect an exception."""
    for statement in body:
        for node in ast.walk(ast.parse(statement)):
            if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
                return True
            if isinstance(node, ast.With) and any("raises" in ast.unparse(item.context_expr) for item in node.items):
                return True
    return False
