"""Explanations of failed tests, and the report of a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from pytest_starcoder.explain.breakage import NO_BREAKAGE, Breakage
from pytest_starcoder.explain.failure import Frame
from pytest_starcoder.explain.fixes import NO_FIXES, Fix, Fixes
from pytest_starcoder.redaction.nested_values import with_texts
from pytest_starcoder.report.label import Label

if TYPE_CHECKING:
    from pytest_starcoder.explain.case import Case


@dataclass(frozen=True)
class Suspect:
    """A line that may be at fault.

    `score` is its Ochiai score, 0 to 1; `reasons` are further observations.
    """

    path: str
    line: int
    source: str
    score: float = 0.0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statement:
    """One statement of an explanation, labeled by how reliable it is.

    `kind` is its subject: seen, fact, broke, at, calls, suspect, replay, fix, question, extra or
    why.
    `by` names the model of a guess. Raises ValueError for a guess without a model, and
    for any other statement with one.
    """

    kind: str
    text: str
    label: Label
    by: str = ""
    path: str = ""
    line: int = 0

    def __post_init__(self) -> None:
        if (self.label is Label.GUESSED) != bool(self.by):
            raise ValueError(f"{self.kind}: a guess names its model, and nothing else does")


@dataclass(frozen=True)
class Answer:
    """An answer to why a test failed; `note` gives the reason if a model's is missing.

    The fields are those of `Explanation`.
    """

    why: str = ""
    model: str = ""
    truncated: bool = False
    from_cache: bool = False
    flaw: str = ""
    unsupported: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Explanation:
    """An explanation of why tests failed.

    `why` is the guess of `model`. Without a model, it is only the change that was checked, or
    empty, and `note` gives the reason.
    `unsupported` lists the files, lines, names and code in `why` that are not in
    the evidence and are marked there; `flaw` is a defect of the whole answer, such
    as "repeats the question".

    Everything else was observed, except `breakage`, `replay` and `fixes`, which were
    checked by running tests. `order` lists the tests to run if the first one fails only after
    other tests. `calls` are the functions that the failing line calls, unless a
    replay showed what the test executes. `path` and `line` (1-based) are the place
    of the failure; empty and 0 if it is outside the project. `nodeids` are all tests
    that fail for this cause.
    """

    seen: str
    why: str = ""
    model: str = ""
    note: str = ""
    truncated: bool = False
    from_cache: bool = False
    exception: str = ""
    phase: str = ""
    path: str = ""
    line: int = 0
    function: str = ""
    nodeids: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    frames: tuple[Frame, ...] = ()
    calls: tuple[Frame, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    replay: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    flaw: str = ""
    unsupported: tuple[str, ...] = ()
    fixes: Fixes = NO_FIXES
    breakage: Breakage = NO_BREAKAGE

    @property
    def tests_to_rerun(self) -> tuple[str, ...]:
        """Node ids of the tests that reproduce the failure."""
        return self.order or self.nodeids[:1]

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Everything that reports say about the failure, in reading order."""
        return tuple(_statements(self))


def describe_case(case: Case, redact: Callable[[str], str]) -> Explanation:
    """Explain a cause without fixes and without a model."""
    failure = case.cause.first
    place = failure.frames[-1] if failure.frames else Frame("", 0, "", 0, "")
    explanation = Explanation(
        failure.seen,
        exception=failure.exception,
        phase=failure.phase,
        path=place.path,
        line=place.line,
        function=place.function,
        nodeids=case.cause.nodeids,
        facts=(*failure.facts, *case.changed),
        frames=failure.frames,
        # Suspects come from tracing, which is more precise than reading the failing line.
        calls=() if case.suspects or case.unsearched else failure.callees,
        suspects=case.suspects,
        replay=case.replay.statements,
        order=case.replay.order,
        extra=failure.extra,
    )
    return replace(with_texts(explanation, redact), breakage=case.breakage.redacted(redact))


def complete(explanation: Explanation, answer: Answer) -> Explanation:
    """Add the answer of a model to an explanation."""
    return replace(explanation, **asdict(answer))


def _statements(explanation: Explanation) -> Iterator[Statement]:
    # The order is that of the terminal, where evidence comes before conclusions.
    yield Statement("seen", explanation.seen, Label.OBSERVED)
    for fact in explanation.facts:
        yield Statement("fact", fact, Label.OBSERVED)
    yield from _broken_by(explanation.breakage)
    for suspect in explanation.suspects:
        text = f"{suspect.path}:{suspect.line}: {suspect.source}"
        if suspect.reasons:
            reasons = ", ".join(suspect.reasons)
            text += f" ({reasons})"
        yield Statement("suspect", text, Label.OBSERVED, path=suspect.path, line=suspect.line)
    for frame in explanation.frames:
        text = f"{frame.path}:{frame.line} in {frame.function}"
        yield Statement("at", text, Label.OBSERVED, path=frame.path, line=frame.line)
    for callee in explanation.calls:
        text = f"{callee.path}:{callee.line} {callee.function}"
        yield Statement("calls", text, Label.OBSERVED, path=callee.path, line=callee.line)
    yield from _conclusions(explanation)


def _broken_by(breakage: Breakage) -> Iterator[Statement]:
    if breakage.after:
        yield Statement("broke", breakage.order, Label.CHECKED)
    if breakage.pieces:
        first = breakage.pieces[0]
        text = breakage.verdict
        if breakage.context:
            text += f" ({breakage.context})"
        yield Statement("broke", text, Label.CHECKED, path=first.path, line=first.line)
    elif breakage.note:
        yield Statement("broke", breakage.note, Label.CHECKED)


def _conclusions(explanation: Explanation) -> Iterator[Statement]:
    for text in explanation.replay:
        yield Statement("replay", text, Label.CHECKED)
    for fix in explanation.fixes.passing:
        yield Statement("fix", _summary(fix), Label.CHECKED, path=fix.path, line=fix.line)
    if explanation.fixes.question:
        question = f"which is right: {explanation.fixes.question}"
        yield Statement("question", question, Label.CHECKED)
    for text in explanation.extra:
        yield Statement("extra", text, Label.OBSERVED)
    if explanation.why:
        # Without a model, it is the change with which the test passes, in words.
        label = Label.GUESSED if explanation.model else Label.CHECKED
        yield Statement("why", explanation.why, label, by=explanation.model)


def _summary(fix: Fix) -> str:
    """Return a fix on one line."""
    before = " ".join(fix.before.split())[:200] or "nothing"
    after = " ".join(fix.after.split())[:200] or "nothing"
    return f"{fix.path}:{fix.line}: {after} instead of {before} ({fix.verdict})"


@dataclass(frozen=True)
class Report:
    """The explanations of one session, the cause with most tests first.

    `failures` counts failed reports, `calls` requests to the model, and `rerun` tests
    that were run again; `seconds` is the time that explaining took. `model` and
    `server` are empty if no model was used.
    """

    explanations: tuple[Explanation, ...]
    failures: int
    model: str = ""
    server: str = ""
    calls: int = 0
    rerun: int = 0
    seconds: float = 0.0

    @property
    def notice(self) -> str:
        """A sentence that says which model guessed; empty without a guess."""
        guessed = any(explanation.model for explanation in self.explanations)
        if not guessed or not self.model:
            return ""
        return f"Guesses are machine-generated by {self.model} and unchecked."

    @property
    def confinement(self) -> str:
        """A sentence that names the sandbox of changes that were run; empty if none were."""
        levels = {explanation.fixes.level for explanation in self.explanations}
        levels |= {explanation.breakage.level for explanation in self.explanations}
        levels.discard("")
        if not levels:
            return ""
        return f"Changes were tried in memory, in the {' and '.join(sorted(levels))} sandbox."
