"""Commands to the worker process, and its replies.

`Trials` sends a command, and the worker replies about each of its candidates. Replies come
from a process in which unreviewed code runs, so `decode` in protocol.py checks their types,
and `Trials` checks that they answer the command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pytest_starcoder.runner.outcome import Arcs, Lines
from pytest_starcoder.runner.sandbox import Level, Sandbox

Replacement = tuple[int, int, str]
"""Start and end of a range of characters in a file, and the text that replaces it."""

DraftModule = tuple[str, str]
"""Path and source of a test module that need not exist as a file."""

VerdictWord = Literal[
    "passes",
    "fails",
    "breaks",
    "overtime",
    "hung",
    "crashed",
    "unchanged",
    "duplicate",
    "unswappable",
    "invalid",
]


# --- the start of the worker ---------------------------------------------------------------


@dataclass(frozen=True)
class WorkerJob:
    """The setup of the worker: `early` and `late` are the descriptors of its two channels.

    It imports `modules` besides the tests. `folders` are those of drafts, and `draws` says
    whether drafts may be Hypothesis tests.
    """

    tests: tuple[str, ...]
    root: Path
    around: tuple[Path, ...]
    sandbox: Sandbox
    early: int
    late: int
    modules: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    draws: bool = False


@dataclass(frozen=True)
class Ready:
    """Sent once the tests are collected.

    `imported` are the lines executed by imports, per path. `unimportable` and `missing` give
    the reason why a module could not be imported, or a test was not collected.
    """

    collected: frozenset[str]
    level: Level
    imported: Lines
    unimportable: Mapping[str, str]
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NotReady:
    """Sent if the project's plugins or conftests cannot be loaded."""

    reason: str


# --- commands ------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChangedState:
    """Something that tests left changed, such as DEFAULTS in flags.py.

    `path` is that of its module; empty if it is not the project's own.
    """

    name: str
    path: str

    @property
    def text(self) -> str:
        return f"{self.name} in {self.path}" if self.path else self.name


@dataclass(frozen=True)
class Checks:
    """The tests that judge a candidate, each with its limit in seconds of processor time.

    A fix makes the `failing` tests pass, and does not break the `passing` ones.
    """

    failing: Mapping[str, float]
    passing: Mapping[str, float] = field(default_factory=dict)

    @property
    def limits(self) -> dict[str, float]:
        return {**self.failing, **self.passing}


@dataclass(frozen=True)
class Candidate:
    """One thing to try: changes inside functions, other files, or modules of drafts.

    `files` are texts by absolute path, None for a file that is to be missing. Modules among
    them are imported from these texts, and whatever opens one of the files reads its text.
    `restored` is what gets its first state back before the last test of a session.
    """

    number: int
    changes: Mapping[str, tuple[Replacement, ...]] = field(default_factory=dict)
    files: Mapping[str, str | None] = field(default_factory=dict)
    modules: tuple[DraftModule, ...] = ()
    restored: tuple[ChangedState, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Command:
    """A request to try candidates, at most `batch` of them in each fork.

    A fork has `first_wait` seconds for its first reply and `wait` seconds for each further one.
    """

    number: int
    candidates: tuple[Candidate, ...]
    first_wait: float
    wait: float
    batch: int = 1


@dataclass(frozen=True, kw_only=True)
class TryEdits(Command):
    """Run the checks with each candidate, up to the first failure unless `every` is set.

    With `skips_duplicates`, code that was tried before is not run again. Checks may be tests
    of `drafts`. With `in_session`, all of them run one after another as in a session, where
    fixtures of wider scope are shared, and with `reports_state` also the state is reported
    that differs before the last one.
    """

    checks: Checks
    every: bool = False
    skips_duplicates: bool = False
    drafts: tuple[DraftModule, ...] = ()
    in_session: bool = False
    reports_state: bool = False


@dataclass(frozen=True, kw_only=True)
class Observe(Command):
    """Call the changed functions with inputs like those of the tests, for `limit` seconds each."""

    checks: Checks
    limit: float
    drafts: tuple[DraftModule, ...] = ()


@dataclass(frozen=True, kw_only=True)
class JudgeDrafts(Command):
    """Run the tests of draft modules twice, each for at most `limit` seconds."""

    limit: float


COMMANDS: tuple[type[Command], ...] = (TryEdits, Observe, JudgeDrafts)


# --- replies -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Record:
    """The outcome of one test.

    `raised` names the exception, `place` is where it was raised (path and line), in the function
    of that name, and `note` holds the notes of the exception, or an assertion's message.
    """

    nodeid: str
    outcome: Literal["passed", "failed", "skipped", "overtime", "missing"]
    seconds: float
    raised: str = ""
    place: str = ""
    note: str = ""
    function: str = ""


@dataclass(frozen=True)
class Judgement:
    """The result of running a draft, or several together.

    `problem` is why it did not finish, or empty. `rounds` are the records of its tests, first
    in order, then in reverse. `lines` and `arcs` are those of the first round, by node id.
    `side_effects` names the state that the tests changed and did not restore.
    """

    problem: str = ""
    rounds: tuple[tuple[Record, ...], ...] = ()
    lines: Mapping[str, Lines] = field(default_factory=dict)
    arcs: Mapping[str, Arcs] = field(default_factory=dict)
    side_effects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Input:
    """A call as a person writes it; `code` is an import and the call, if a test can run it."""

    text: str
    code: str


@dataclass(frozen=True)
class Reply:
    """Part of the answer to the command of that number."""

    command: int = field(default=0, kw_only=True)


@dataclass(frozen=True)
class CandidateReply(Reply):
    """The result of one candidate."""

    number: int


@dataclass(frozen=True)
class Verdict(CandidateReply):
    """The result of the checks with a candidate, or the reason why it was not run.

    `changed` is the state that the tests before the last one left changed.
    """

    verdict: VerdictWord
    records: tuple[Record, ...] = ()
    changed: tuple[ChangedState, ...] = ()


@dataclass(frozen=True)
class Behaviour(CandidateReply):
    """The outcome of the changed functions for each input, as text."""

    outcomes: tuple[str, ...]


@dataclass(frozen=True)
class DraftVerdict(CandidateReply):
    judgement: Judgement


@dataclass(frozen=True)
class ObservedInputs(Reply):
    """The inputs that all behaviours of the command refer to."""

    inputs: tuple[Input, ...]


@dataclass(frozen=True)
class Done(Reply):
    """The last reply of a fork to its part of a command, and of the worker to the command."""


REPLIES: tuple[type[Reply], ...] = (Verdict, Behaviour, DraftVerdict, ObservedInputs, Done)
