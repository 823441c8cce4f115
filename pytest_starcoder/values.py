"""The values that travel between the parts: frozen, comparable, without behaviour of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from enum import IntEnum, StrEnum
from typing import Any, Self, TypeVar

Value = TypeVar("Value")


def with_texts(value: Value, change: Callable[[str], str]) -> Value:
    """`value`, one of those below, a text or a tuple, with `change` made to every text in it; mappings stay."""
    if isinstance(value, str):
        changed: Any = value if isinstance(value, StrEnum) else change(value)
    elif isinstance(value, tuple):
        changed = tuple(with_texts(part, change) for part in value)
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {entry.name: with_texts(getattr(value, entry.name), change) for entry in fields(value)}
        changed = replace(value, **parts)
    else:
        changed = value
    return changed  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Prompt:
    """What a model is asked to continue.

    `text` is sent to the letter: a sentinel in it *is* a sentinel. `stop` holds
    texts at which the answer ends; those that are control tokens of the model
    stand in `stop_tokens`. `max_tokens` bounds the answer. `schema` is a JSON
    schema that the answer must follow, for servers that can enforce one. With
    `chat` the text is a message instead, around which the server puts the
    template of its chat model. `likelihood` asks how likely the answer was.
    """

    text: str
    stop: tuple[str, ...] = ()
    max_tokens: int = 500
    schema: Mapping[str, Any] | None = None
    stop_tokens: tuple[str, ...] = ()
    chat: bool = False
    likelihood: bool = False


@dataclass(frozen=True)
class Completion:
    """What a model wrote.

    Token counts are the server's; `cached_tokens` of the prompt's needed no work.
    `truncated`: the answer ended because a limit or the server cut it, not
    because the model was done. `from_cache`: no model was asked this time.
    `likelihood` is the mean natural logarithm of its tokens' probabilities, None
    where that was not asked for, or the server does not tell.
    """

    text: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    truncated: bool = False
    from_cache: bool = False
    likelihood: float | None = None


@dataclass(frozen=True)
class Model:
    """What a server tells about its model.

    `digest` changes whenever the model does. `architecture` is llama.cpp's name
    ("starcoder2", "gemma3", …), empty where the server does not tell. `window`
    is the most tokens that prompt and answer may have together. `chat`: the
    server has a template of messages for it; False also where it does not tell.
    """

    name: str
    digest: str
    architecture: str
    window: int
    chat: bool = False


@dataclass(frozen=True)
class Deadline:
    """A point in time, `limit` seconds after it was made, set by the setting of that name. Never extended."""

    limit: float
    at: float
    setting: str = "timeout"

    @classmethod
    def after(cls, seconds: float, setting: str = "timeout") -> Self:
        return cls(seconds, time.monotonic() + seconds, setting)

    def remaining(self) -> float:
        """Seconds left; zero or less once it has passed."""
        return self.at - time.monotonic()


@dataclass(frozen=True)
class Frame:
    """One project frame of a traceback, or a project function that the failing line calls.

    `path` is relative to the project's root, with forward slashes; `line` is
    1-based and the line that was being run; `source` is the enclosing function
    as `first_line` and following.
    """

    path: str
    line: int
    function: str
    first_line: int
    source: str

    @property
    def statement(self) -> str:
        """The line that was being run, without its indentation."""
        lines = self.source.splitlines()
        index = self.line - self.first_line
        return lines[index].strip() if 0 <= index < len(lines) else ""


@dataclass(frozen=True)
class Failure:
    """One failed test, seen live: nothing in it depends on how pytest printed the traceback.

    `phase` is pytest's: setup, call, teardown or collect. `frames` run from the
    test to where it failed; `callees` are project functions that the failing
    line calls, or that the test was recorded to execute, and that are not on
    the traceback. `facts` are sentences on what was observed, `extra` what
    other plugins know of it; `fixture` is the one whose setup or teardown
    failed; `asserted` names the one project function whose outcome an assertion
    found wrong. Secrets are not in it.
    """

    nodeid: str
    phase: str
    exception: str
    message: str
    seen: str
    frames: tuple[Frame, ...] = ()
    callees: tuple[Frame, ...] = ()
    facts: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    fixture: str = ""
    asserted: str = ""

    def to_json(self) -> dict[str, Any]:
        """Builtin types only, so that xdist can carry it on a report."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        frames = {key: tuple(Frame(**frame) for frame in fields[key]) for key in ("frames", "callees")}
        texts = {key: tuple(fields[key]) for key in ("facts", "extra")}
        return cls(**{**fields, **frames, **texts})


@dataclass(frozen=True)
class Cause:
    """Failures that share a cause, in the order in which they happened; never empty."""

    failures: tuple[Failure, ...]

    @property
    def first(self) -> Failure:
        return self.failures[0]

    @property
    def nodeids(self) -> tuple[str, ...]:
        """The tests, each once: several subtests are one."""
        return tuple(dict.fromkeys(failure.nodeid for failure in self.failures))


@dataclass(frozen=True)
class Call:
    """One call of a project function in a traced run: what went in and what came out, as bounded texts.

    `outcome` is "returned 3.0" or "raised ValueError: …"; `line` is that of the `def`, 1-based.
    """

    path: str
    line: int
    function: str
    arguments: str
    outcome: str


QUICK = 3.0
"""Seconds that a test may have taken to be run again."""


@dataclass(frozen=True)
class Ran:
    """One test of the session: pytest's outcome, the seconds of all its phases, and the xdist worker that ran it.

    `allowed` is False for a test that is marked never to be run again, `fixable`
    for one that is never to be run with changed code.
    """

    nodeid: str
    outcome: str
    seconds: float
    worker: str = ""
    allowed: bool = True
    fixable: bool = True

    @property
    def quick(self) -> bool:
        """Whether it may be run again."""
        return self.allowed and self.seconds <= QUICK


@dataclass(frozen=True)
class Outcome:
    """One test that was run again: pytest's outcome of it, and what it executed where it was traced.

    `lines` maps each project file, relative to the root, to its executed lines,
    `imported` to those that ran while tests were collected, the same for all
    tests of a run; `types` gives the names of the types that the variables of a
    function had, by its path and first line; `seconds` is the duration of all phases.
    """

    nodeid: str
    outcome: str
    seconds: float = 0.0
    exception: str = ""
    message: str = ""
    lines: Mapping[str, frozenset[int]] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    types: Mapping[tuple[str, int], Mapping[str, frozenset[str]]] = field(default_factory=dict)
    imported: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"


@dataclass(frozen=True)
class Edit:
    """A change of one file's text.

    `span` are the first character and the one after the last, `before` is what
    stands there; `line` (1-based) is where it begins. The lower the `cost`, the earlier it is tried.
    """

    path: str
    span: tuple[int, int]
    before: str
    after: str
    kind: str
    cost: float
    line: int


@dataclass(frozen=True)
class Fix:
    """A change with which the tests pass that failed, and those still pass that passed.

    `diff` is unified, and what `git apply` takes at the root; `before` and
    `after` are the changed lines. `failing` and `passing` are the tests that
    were run with it. `checked`: no other change as simple behaves differently on
    any input that was tried; `level` is the confinement it ran in. `model` wrote
    it, where it was not found by enumeration. `special`: it holds a text of the
    test's. `still` are tests of the cause that fail with it all the same.
    """

    edits: tuple[Edit, ...]
    diff: str
    path: str
    line: int
    before: str
    after: str
    failing: tuple[str, ...]
    passing: tuple[str, ...]
    checked: bool
    level: str = ""
    model: str = ""
    special: bool = False
    still: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """What running tests with it has shown, and how far that goes."""
        failed, passed = len(self.failing), len(self.passing)
        told = f"{failed} failing test{' passes' if failed == 1 else 's pass'}"
        if passed:
            told += f", {passed} neighbour{' still passes' if passed == 1 else 's still pass'}"
        if self.still:
            told += f", {len(self.still)} of the same cause still fail{'s' if len(self.still) == 1 else ''}"
        if self.model:
            told += f"; written by {self.model}"
        if self.special:
            told += "; it holds a text of the test's"
        return f"checked: {told}" if self.checked else f"passes the tests you have: {told}"


@dataclass(frozen=True)
class Fixes:
    """What a search for fixes found: at most three, one a behaviour.

    `call` is an input on which they differ, `outcomes` what the first two make
    of it; `answers` are the bodies of two tests, for either outcome, where those
    can be written down. `note` says why there is no fix, as a sentence; `level`
    is the confinement in which changes were run, empty where none were.
    """

    found: tuple[Fix, ...] = ()
    call: str = ""
    outcomes: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    tried: int = 0
    seconds: float = 0.0
    note: str = ""
    level: str = ""

    @property
    def question(self) -> str:
        """Which of them is right, by what they do; empty where nothing tells them apart."""
        return f"{self.call} {', or '.join(self.outcomes)}?" if self.call else ""


class Severity(IntEnum):
    """How much a finding matters, the least first."""

    INFO = 1
    WARNING = 2
    ERROR = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Hunk:
    """A part of a change that is asked about at once: a hunk of git's, or a part of one that is long.

    `lines` have the signs of a diff and no ends; the first of them is line `old` of the
    file before and `new` of the file after, 1-based. `added` are the lines of the
    file after that the change is answerable for. `definition` names the function
    or class around it, empty at the top of a file; `base` is that definition as it
    was before. `number` counts git's hunks of the whole change from 0 on.
    """

    path: str
    lines: tuple[str, ...]
    old: int
    new: int
    added: tuple[int, ...]
    number: int
    definition: str = ""
    base: str = ""

    @property
    def header(self) -> str:
        """Its `@@` line."""
        before = sum(line[:1] != "+" for line in self.lines)
        after = sum(line[:1] != "-" for line in self.lines)
        return f"@@ -{self.old},{before} +{self.new},{after} @@ {self.definition}".rstrip()

    @property
    def text(self) -> str:
        return "\n".join((self.header, *self.lines))

    def line(self, number: int) -> str:
        """The text of a line of the file after, without its sign."""
        return next((line[1:] for at, line in self.numbered() if at == number and line[:1] != "-"), "")

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Each line with its number in the file after; a line that is taken away has that of the next one."""
        at = self.new
        for line in self.lines:
            yield at, line
            at += line[:1] != "-"


@dataclass(frozen=True)
class Unreviewed:
    """What a model has not looked at, and why: a file, or some hunks of git's in it where `hunks` is not 0."""

    path: str
    reason: str
    hunks: int = 0


@dataclass(frozen=True)
class Change:
    """What is to be reviewed: the hunks, and what of the change is none, with the reason.

    `what` says which change it is, as the end of a sentence: "what is staged".
    `files` counts all that it touches; `texts` are the files after it that have
    hunks, by path, as far as they can be read; `secrets` are the lines from which
    a secret was taken out, and whether it had the shape of a service's token.
    Secrets are nowhere else in it.
    """

    what: str
    hunks: tuple[Hunk, ...] = ()
    skipped: tuple[Unreviewed, ...] = ()
    files: int = 0
    texts: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[int, bool]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Hunks as git counts them."""
        return len({hunk.number for hunk in self.hunks}) + sum(skipped.hunks for skipped in self.skipped)


@dataclass(frozen=True)
class Finding:
    """One remark on one added line (1-based) of a change; `source` is that line.

    `rule` is "comment" for a model's words, which `model` wrote, else the name of
    the construct that was observed; then `guess` is what a model says besides.
    `placed` tells how the line was chosen: "observed" (a construct, or a linter
    points at it), "chosen" by the model, "only" one, or merely the "first" added one.
    """

    path: str
    line: int
    severity: Severity
    message: str
    rule: str = "comment"
    model: str = ""
    guess: str = ""
    source: str = ""
    placed: str = "observed"
    definition: str = ""

    @property
    def label(self) -> Label:
        return Label.GUESSED if self.rule == "comment" else Label.OBSERVED

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits, the same wherever its line stands in its definition and whatever is said of it."""
        import hashlib

        key = "\0".join((self.path, self.definition, self.rule, " ".join(self.source.split())))
        return hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()[:32]


@dataclass(frozen=True)
class Review:
    """What a review of a change has come to.

    Of `total` hunks, as git counts them, a model has looked at `reviewed`;
    `unreviewed` says of everything else why not. `findings` are those that are shown, worst
    first; `more` others were found, `accepted` and `ignored` ones are known and left
    out. `failed`: a finding is as severe as what stops a commit. `away`: why no
    model was asked, as a sentence. `notes` are sentences on what else is to be known.
    """

    what: str
    findings: tuple[Finding, ...] = ()
    total: int = 0
    reviewed: int = 0
    files: int = 0
    unreviewed: tuple[Unreviewed, ...] = ()
    more: int = 0
    accepted: int = 0
    ignored: int = 0
    failed: bool = False
    away: str = ""
    model: str = ""
    server: str = ""
    calls: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suspect:
    """A line that may be at fault. `score` is Ochiai's, 0 to 1; `reasons` are what else was observed of it."""

    path: str
    line: int
    source: str
    score: float = 0.0
    reasons: tuple[str, ...] = ()


class Label(StrEnum):
    """How far a statement can be believed."""

    OBSERVED = "observed"
    """Seen in the run that failed, in the code or in git."""
    CHECKED = "checked"
    """Found by running code again."""
    GUESSED = "guessed"
    """Written by a model, and checked by nobody."""


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
    fixes: Fixes = Fixes()

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
            said.append(Statement("question", f"which is right: {self.fixes.question}", Label.CHECKED))
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
    def confinement(self) -> str:
        """How changes were confined that were run, as a sentence; empty where none were."""
        levels = {told.fixes.level for told in self.explanations} - {""}
        return f"Changes were run in memory, confined by {' and '.join(sorted(levels))}." if levels else ""


@dataclass(frozen=True)
class Code:
    """Code that a model wrote, and nothing else.

    `checked`: it parses (Python) or is a whole page (HTML); False for languages
    that nothing here can check. `cut`: the answer met a limit, and what it left
    unfinished is not in `text`.
    """

    text: str
    language: str
    model: str
    checked: bool
    cut: bool = False


@dataclass(frozen=True)
class Rewrite:
    """One file before and after a change of a model's, whole texts both.

    `inserted` is what the model wrote into it. `problem` says why the new text
    should not be kept, empty where nothing speaks against it; a file that did not
    parse before may still not.
    """

    path: str
    before: str
    after: str
    inserted: str
    model: str
    problem: str = ""
