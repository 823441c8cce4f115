"""Changes that make failing tests pass, found by trying: a case in, fixes out, the most likely first.

Edits of the suspicious lines are enumerated, cheapest and most suspicious
first, and each is run against the failing tests and their passing neighbours.
No model is asked.
"""

from __future__ import annotations

import builtins
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.suspicion import Line, text_of_test
from pytest_starcoder.runner.fixes import Fix, Fixes
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.rerun import rerun
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.trials import (
    LONGER,
    SHORTEST,
    Input,
    Record,
    Trial,
    Trials,
    Unavailable,
)
from pytest_starcoder.source.diff import changed_lines, unified
from pytest_starcoder.source.edits import EXTENDED, Seen, edited, enumerate_edits, pairs
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.lines import line_of, statement_at
from pytest_starcoder.source.sources import Sources
from pytest_starcoder.source.syntax import is_literal

SHOWN = 3
"""Fixes that are shown at the most, one a behaviour."""

FAILING = 8
"""Failing tests that each candidate is run against; the others are run with what passes these."""

SEARCHING = 0.75
"""Which part of the time may go by before what was found is confirmed."""

CONFIRMED = 200
"""Tests of the cause with which a fix is confirmed at the most."""

OTHERS = 24
"""Further failing tests, of the same cause and of others, with which a change that passes is run as well."""

LONG = 0.03
"""What a character more costs when one of several edits is shown that do the same."""

LEFT = 0.7
"""Which part of the time must be left to go on, where a change heals this cause and not others like it."""

ALIKE = 40
"""Passing changes that are compared by what they do."""

LINES = 80
"""Lines that are edited at the most, the most suspicious."""

FAR = 4.0
"""What an edit of the least suspicious line costs beside its own cost (measured: facts on 40 small functions)."""

HALF = 10
"""The rank at which a line is half as suspicious as the first one."""

WINDOW = 1.5
"""How much dearer than the first fix others may be that are looked for: they tell whether it is the only one."""

CHUNK = 256
"""Candidates between two looks at the clock."""

PAIRS = 4000
"""Pairs of cheap edits that are tried at the most."""

IMPORTED = 4.0
"""Seconds for edits that import the project anew, before dearer ones inside of functions are tried."""

BASELINE = 5.0
"""Seconds of processor time that one test may take with the code as it is."""


@dataclass(frozen=True)
class Passed:
    """A change that passes: what it cost, and how many tests of other causes pass with it too."""

    cost: float
    edits: tuple[Edit, ...]
    healed: int


@dataclass(frozen=True)
class Confirmed:
    """Tests that failed and pass now, that passed and still do, and of the same cause that still fail."""

    failing: tuple[str, ...]
    passing: tuple[str, ...]
    still: tuple[str, ...]


@dataclass
class Search:
    """One search for one cause, `others` are tests that fail of other causes; `progress` gets the number of trials."""

    case: Case
    launch: Launch
    ran: Sequence[str]
    others: list[str]
    suite: Sequence[str]
    least: Level
    sources: Sources
    deadline: Deadline
    confirming: Deadline
    progress: Callable[[int], None]
    proposed: Sequence[Edit] | None
    model: str
    passed: list[Passed] = field(default_factory=list)
    tried: int = 0
    limits: dict[str, float] = field(default_factory=dict)
    failing: list[str] = field(default_factory=list)
    passing: list[str] = field(default_factory=list)
    farther: list[str] = field(default_factory=list)
    elsewhere: list[tuple[float, Edit]] = field(default_factory=list)

    @property
    def kept(self) -> list[str]:
        """The tests that must still pass: the neighbours first, they are the likelier to fail."""
        return [*self.passing, *self.farther]

    def confirm(self, edits: tuple[Edit, ...]) -> Confirmed | None:
        """What tests do with the edits in a pytest of their own, in the order in which they ran; None for too little.

        What was tried must pass again, and half of the cause's tests at the least.
        """
        cause = self.case.cause.nodeids[:CONFIRMED]
        passing = list(dict.fromkeys([*self.kept, *self.suite]))
        place = {nodeid: number for number, nodeid in enumerate(self.ran)}
        tests = sorted(
            {*cause, *self.failing, *passing},
            key=lambda nodeid: (place.get(nodeid, len(place)), nodeid),
        )
        outcomes = rerun(self.launch, tests, self.confirming, edits=edits, sandbox=self.least)
        passed = {found.nodeid for found in outcomes if found.outcome == "passed"}
        healed = tuple(nodeid for nodeid in tests if nodeid in passed and nodeid not in passing)
        still = tuple(nodeid for nodeid in cause if nodeid not in passed)
        if not passed >= {*self.failing, *passing} or len(still) > len(cause) / 2:
            return None
        return Confirmed(healed, tuple(passing), still)


def fix(
    case: Case,
    launch: Launch,
    sources: Sources,
    deadline: Deadline,
    ran: Sequence[str],
    least: Level,
    others: Sequence[str] = (),
    known: Sequence[Fix] = (),
    suite: Sequence[str] = (),
    quick: Sequence[str] = (),
    progress: Callable[[int], None] = lambda tried: None,
    proposed: Sequence[Edit] | None = None,
    model: str = "",
) -> Fixes:
    """The fixes of a case, found until `deadline`; nothing is raised.

    `ran` are all tests in the order in which they ran, `suite` those of them
    with which a fix is confirmed besides, and the `quick` ones those with which
    every candidate is tried that the failing tests pass with. `others` are further failing tests,
    of this cause and of others: a change with which they pass too is likelier to be right. `known`
    are fixes of those, tried first. Where edits are `proposed`, by a `model`,
    those alone are tried.
    """
    started = time.monotonic()
    searching = Deadline.after(deadline.remaining() * SEARCHING, deadline.setting)
    search = Search(
        case,
        launch,
        ran,
        list(others)[:OTHERS],
        suite,
        least,
        sources,
        searching,
        deadline,
        progress,
        proposed,
        model,
    )
    failing = sorted(case.replay.failing, key=lambda outcome: outcome.seconds)
    passing = sorted(case.replay.passing, key=lambda outcome: outcome.seconds)
    if not failing or not _ranks(case):
        return Fixes()  # there is nothing to change
    near = [outcome.nodeid for outcome in passing]
    tests = [*(outcome.nodeid for outcome in failing), *near]
    search.others = [nodeid for nodeid in search.others if nodeid not in tests]
    search.farther = [nodeid for nodeid in quick if nodeid not in {*tests, *search.others}]
    try:
        with Trials(launch, [*tests, *search.farther, *search.others], searching, least) as trials:
            return _searched(search, trials, tests[: len(failing)], near, known, started)
    except Unavailable as exc:
        return Fixes(note=str(exc))
    except OSError as exc:
        return Fixes(note=f"no process could be started: {exc}")


def _searched(
    search: Search,
    trials: Trials,
    failing: list[str],
    passing: list[str],
    known: Sequence[Fix],
    started: float,
) -> Fixes:
    baseline = trials.baseline([*failing, *passing, *search.farther, *search.others], BASELINE)
    search.failing = [
        nodeid for nodeid in failing if _outcome(baseline, nodeid) in ("failed", "overtime")
    ][:FAILING]
    search.passing = [nodeid for nodeid in passing if _outcome(baseline, nodeid) == "passed"]
    search.farther = [nodeid for nodeid in search.farther if _outcome(baseline, nodeid) == "passed"]
    search.others = [nodeid for nodeid in search.others if _outcome(baseline, nodeid) == "failed"]
    if not search.failing:
        return Fixes(
            note="it does not fail where changes can be tried", seconds=time.monotonic() - started
        )
    for nodeid in (*search.failing, *search.kept, *search.others):
        record = baseline[nodeid]
        search.limits[nodeid] = (
            SHORTEST if record.outcome == "overtime" else SHORTEST + LONGER * record.seconds
        )
    allow = search.case.places.allow
    try:
        _try(
            search, trials, [(0.0, found.edits) for found in known if all(map(allow, found.edits))]
        )
        for _ in _stages(search, trials) if not search.passed else ():
            if _content(search) or search.deadline.remaining() <= 0:
                break
    except KeyboardInterrupt:
        pass  # what was found is told
    return _told(search, trials, started)


def _content(search: Search) -> bool:
    """Whether there is a change with which all failing tests pass, or some, and much of the time is over."""
    best = max((found.healed for found in search.passed), default=-1)
    return best == len(search.others) or (
        best >= 0 and search.deadline.remaining() < search.deadline.limit * LEFT
    )


def _outcome(baseline: Mapping[str, Record], nodeid: str) -> str:
    return baseline[nodeid].outcome if nodeid in baseline else "missing"


def _stages(search: Search, trials: Trials) -> Iterator[None]:
    """Tries kinds of candidates one after the other; after each it may end."""
    if search.proposed is not None:
        allowed = filter(search.case.places.allow, search.proposed)
        _try(search, trials, [(edit.cost, (edit,)) for edit in allowed])
        _import(search, trials, search.deadline.remaining())
        return
    ranks = _ranks(search.case)
    edits = sorted(
        _edits(search, ranks), key=lambda found: (found[0], found[1].path, found[1].span)
    )
    plain = [found for found in edits if found[1].cost < EXTENDED]
    dear = [found for found in edits if found[1].cost >= EXTENDED]
    _try(search, trials, [(cost, (edit,)) for cost, edit in plain])
    yield
    _import(search, trials, IMPORTED)
    yield
    _try(search, trials, [(cost, (edit,)) for cost, edit in dear])
    yield
    costs = {edit: cost for cost, edit in plain}
    both = [
        (costs[one] + costs[other], (one, other))
        for one, other in pairs([edit for _, edit in plain], PAIRS)
    ]
    _try(search, trials, both)
    yield
    _import(search, trials, search.deadline.remaining())
    yield


def _ranks(case: Case) -> dict[Line, int]:
    """The lines that are changed, by their rank; of the tests' own files those alone that a failing test runs."""
    tests = {nodeid.partition("::")[0] for nodeid in case.cause.nodeids}
    lines = [line for line in case.places.lines if line in case.scores or line[0] not in tests]
    return {line: rank for rank, line in enumerate(lines[:LINES])}


def _edits(search: Search, ranks: Mapping[Line, int]) -> Iterator[tuple[float, Edit]]:
    """Every edit of a suspicious line, with what it costs there."""
    strings = _strings(text_of_test(search.case.cause.first.nodeid, search.sources))
    half = search.deadline.remaining() / 2
    types: dict[Line, dict[str, frozenset[str]]] = {}
    for outcome in search.case.replay.failing:
        for function in outcome.types:
            known = types.setdefault((function.path, function.line), {})
            for name, kinds in function.names.items():
                known[name] = known.get(name, frozenset()) | kinds
    for path in dict.fromkeys(path for path, _ in ranks):
        source = search.sources(path)
        seen = Seen({line: names for (file, line), names in types.items() if file == path}, strings)
        lines = {number for other, number in ranks if other == path}
        statements: dict[int, tuple[int, int]] = {}
        for edit in enumerate_edits(source, path, lines, seen):
            if search.deadline.remaining() < half:
                return  # the rest would not be tried
            if not search.case.places.allow(edit):
                continue
            if edit.line not in statements:  # thousands of edits may start on one line
                statements[edit.line] = statement_at(source, edit.line)
            first, last = statements[edit.line]
            rank = min(
                (ranks[path, line] for line in range(first, last + 1) if (path, line) in ranks),
                default=LINES,
            )
            yield edit.cost + FAR * (1 - 1 / (1 + rank / HALF)), edit


def _strings(text: str) -> tuple[str, ...]:
    """What stands between quotes in a test."""
    return tuple(
        dict.fromkeys(match[2] for match in re.finditer(r"(['\"])([^'\"\n]{1,40})\1", text))
    )


def _try(
    search: Search, trials: Trials, candidates: Sequence[tuple[float, tuple[Edit, ...]]]
) -> None:
    """Tries candidates in their order, and for a while after the first that passes."""
    costs = {edits: cost for cost, edits in candidates}
    for start in range(0, len(candidates), CHUNK):
        if search.deadline.remaining() <= 0:
            return
        chunk = [
            edits for cost, edits in candidates[start : start + CHUNK] if cost <= _dearest(search)
        ]
        if not chunk:
            return
        tried = list(trials.swapped(chunk, search.failing, search.kept, search.limits))
        for trial in tried:
            _note(search, trials, trial, costs[trial.edits])


def _import(search: Search, trials: Trials, seconds: float) -> None:
    """Tries for some time those that must be imported."""
    until = time.monotonic() + seconds
    search.elsewhere.sort(key=lambda found: (found[0], found[1].path, found[1].span))
    while search.elsewhere and time.monotonic() < until and search.deadline.remaining() > 0:
        cost, edit = search.elsewhere.pop(0)
        if cost > _dearest(search):
            return
        for trial in trials.imported([(edit,)], search.failing, search.kept, search.limits):
            _note(search, trials, trial, cost)


def _note(search: Search, trials: Trials, trial: Trial, cost: float) -> None:
    if trial.verdict == "unswappable" and len(trial.edits) == 1:
        search.elsewhere.append((cost, trial.edits[0]))
        return
    search.tried += 1
    search.progress(search.tried)
    if trial.verdict == "passes":
        healed = 0
        if search.others:
            [records] = trials.records([trial.edits], search.others, search.limits)
            healed = sum(record.outcome == "passed" for record in records)
        search.passed.append(Passed(cost, trial.edits, healed))


def _dearest(search: Search) -> float:
    """The cost up to which candidates are tried: all, until one is found with which all failing tests pass."""
    enough = [found.cost for found in search.passed if found.healed == len(search.others)]
    return min(enough, default=float("inf")) + WINDOW


def _told(search: Search, trials: Trials, started: float) -> Fixes:
    """Of what passed one change a behaviour, and the input that tells them apart."""
    cut = search.deadline.remaining() <= 0  # others that are as simple may not have been tried
    best = max((found.healed for found in search.passed), default=0)
    passed = [found for found in search.passed if found.healed == best]
    passed.sort(
        key=lambda found: (
            _is_special(found.edits),
            found.cost,
            found.edits[0].path,
            found.edits[0].span,
        )
    )
    passed = passed[:ALIKE]
    seconds = time.monotonic() - started
    if not passed:
        return Fixes(tried=search.tried, seconds=seconds, level=str(trials.level))
    costs = {found.edits: found.cost for found in passed}
    candidates = list(costs)
    inputs, behaviours = trials.observed(candidates, search.failing, search.passing, search.limits)
    groups: dict[tuple[str, ...], list[tuple[Edit, ...]]] = {}
    for edits, behaviour in zip(candidates, behaviours, strict=True):
        key = tuple(_plain(outcome) for outcome in behaviour) if behaviour else (repr(edits),)
        groups.setdefault(key, []).append(edits)
    kept: list[tuple[tuple[str, ...], tuple[Edit, ...], Confirmed]] = []
    for key, alike in groups.items():
        simplest = min(
            alike, key=lambda edits: costs[edits] + LONG * sum(_longer(edit) for edit in edits)
        )
        if len(kept) < SHOWN and (found := search.confirm(simplest)) is not None:
            kept.append((key, simplest, found))
    told = [(key, behaviours[candidates.index(edits)]) for key, edits, _ in kept]
    call, outcomes, answers = _question(inputs, told)
    only = len(groups) == 1 and bool(inputs) and not cut
    fixes = tuple(
        _fix(search, edits, found, trials.level, checked=only) for _, edits, found in kept
    )
    note = (
        ""
        if fixes
        else "what passed one by one did not pass when all tests were run in their order"
    )
    return Fixes(
        fixes,
        call,
        outcomes,
        answers,
        search.tried,
        time.monotonic() - started,
        note,
        level=str(trials.level),
    )


def _longer(edit: Edit) -> int:
    return len(edit.after) - len(edit.before)


def _plain(outcome: str) -> str:
    """An outcome in which 2.0 and 2 are the same."""
    return re.sub(r"\b(\d+)\.0\b", r"\1", outcome)


def _question(
    inputs: Sequence[Input], told: Sequence[tuple[tuple[str, ...], tuple[str, ...]]]
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The shortest input on which the first two behaviours differ, what they are, and a test for each answer."""
    if len(told) < 2 or not inputs:
        return "", (), ()
    (one, first), (other, second) = told[:2]
    differing = [index for index in range(min(len(one), len(other))) if one[index] != other[index]]
    if not differing:
        return "", (), ()
    best = min(differing, key=lambda index: (len(inputs[index].text), index))
    outcomes = first[best], second[best]
    tests = tuple(_test(inputs[best].code, outcome) for outcome in outcomes)
    return inputs[best].text, outcomes, tests if all(tests) else ()


def _test(code: str, answer: str) -> str:
    """The body of a test that holds an answer; empty where it cannot be written down."""
    imported, _, call = code.partition("\n")
    verb, _, value = answer.partition(" ")
    if not call:
        return ""
    if verb == "raises" and isinstance(getattr(builtins, value, None), type):
        return f"    import pytest\n\n    {imported}\n\n    with pytest.raises({value}):\n        {call}\n"
    holds = verb == "returns" and is_literal(value)
    return f"    {imported}\n\n    assert {call} == {value}\n" if holds else ""


def _fix(
    search: Search, edits: tuple[Edit, ...], confirmed: Confirmed, level: Level, *, checked: bool
) -> Fix:
    first = min(edits, key=lambda edit: (edit.path, edit.span))
    source = search.sources(first.path)
    diff = ""
    for path, name in search.launch.project.names_in_diff(edit.path for edit in edits).items():
        before = search.sources(path)
        diff += unified(before, edited(before, [edit for edit in edits if edit.path == path]), name)
    changed = changed_lines(diff)
    removed = [line[1:] for line in changed if line.startswith("-")]
    added = [line[1:] for line in changed if line.startswith("+")]
    return Fix(
        edits=edits,
        diff=diff,
        path=first.path,
        line=first.line,
        before="\n".join(removed) or line_of(source, first.line),
        after="\n".join(added),
        failing=confirmed.failing,
        passing=confirmed.passing,
        checked=checked and not confirmed.still and not search.model,
        still=confirmed.still,
        level=str(level),
        model=search.model,
        special=_is_special(edits),
    )


def _is_special(edits: Sequence[Edit]) -> bool:
    """Whether a change puts in what stands in the test: it may be made for that test alone."""
    return any("of the test" in edit.kind for edit in edits)
