"""Why tests failed, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_starcoder.explain.failure import Frame
from pytest_starcoder.report.label import Label
from pytest_starcoder.runner.fixes import NO_FIXES, Fixes


@dataclass(frozen=True)
class Suspect:
    """A line that may be at fault. `score` is Ochiai's, 0 to 1; `reasons` are what else was observed of it."""

    path: str
    line: int
    source: str
    score: float = 0.0
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statement:
    """One thing that a report says, and how far it can be believed; the only words that a writer may print.

    `kind` is what it is about: seen, fact, at, suspect, replay, fix, question, extra, why.
    `by` names the model of a guess. Raises ValueError for a guess of nobody,
    and for an observation of a model's.
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
class Explanation:
    """Why a test failed.

    `why` is a guess of `model`, empty where no model gave one; `note` then says
    in one sentence why not. `unsupported` are the files, lines, names and code
    in `why` that are not in the evidence, and are marked there; `flaw` is what
    is wrong with it as a whole: "repeats the question". All else was observed,
    but for `replay`, which is what running tests again has shown; `order` holds
    the tests to run where the first one fails after others only.
    `calls` are functions that the failing line calls, where no run again has
    shown what it executes. `path` and `line` (1-based) are where it failed, empty and 0 where no line of
    the project is known. `nodeids` are all tests that fail of it.
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

    @property
    def tests_to_rerun(self) -> tuple[str, ...]:
        """Node ids with which the failure can be seen again."""
        return self.order or self.nodeids[:1]

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All that can be said of it, each with its label, in the order in which it is read."""
        said = [Statement("seen", self.seen, Label.OBSERVED)]
        said += [Statement("fact", fact, Label.OBSERVED) for fact in self.facts]
        for suspect in self.suspects:
            told = f"{suspect.path}:{suspect.line}: {suspect.source}"
            told += f" ({', '.join(suspect.reasons)})" if suspect.reasons else ""
            said.append(Statement("suspect", told, Label.OBSERVED, "", suspect.path, suspect.line))
        for frame in self.frames:
            told = f"{frame.path}:{frame.line} in {frame.function}"
            said.append(Statement("at", told, Label.OBSERVED, "", frame.path, frame.line))
        for frame in self.calls:
            told = f"{frame.path}:{frame.line} {frame.function}"
            said.append(Statement("calls", told, Label.OBSERVED, "", frame.path, frame.line))
        said += [Statement("replay", told, Label.CHECKED) for told in self.replay]
        for fix in self.fixes.found:
            before, after = (" ".join(text.split())[:200] for text in (fix.before, fix.after))
            told = f"{fix.path}:{fix.line}: {after or 'nothing'} instead of {before or 'nothing'} ({fix.verdict})"
            said.append(Statement("fix", told, Label.CHECKED, "", fix.path, fix.line))
        if self.fixes.question:
            said.append(
                Statement("question", f"which is right: {self.fixes.question}", Label.CHECKED)
            )
        said += [Statement("extra", told, Label.OBSERVED) for told in self.extra]
        if self.why:
            said.append(Statement("why", self.why, Label.GUESSED, self.model))
        return tuple(said)


@dataclass(frozen=True)
class Report:
    """What one run was told: every cause, the one with most tests first.

    `failures` counts failed reports, `calls` requests to generate, `rerun` tests
    that were run again, `seconds` all of it. `model` and `server` are empty where none was asked.
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
        guessed = any(explanation.why for explanation in self.explanations)
        if not guessed or not self.model:
            return ""
        return f"What is guessed is machine-generated by {self.model} and unchecked."

    @property
    def confinement(self) -> str:
        """How changes were confined that were run, as a sentence; empty where none were."""
        levels = {told.fixes.level for told in self.explanations} - {""}
        return (
            f"Changes were run in memory, confined by {' and '.join(sorted(levels))}."
            if levels
            else ""
        )
