"""Tries edits of the project's code in memory: candidates in, verdicts out.

A pytest process with the user's plugins and configuration collects the tests once. Each
batch of candidates runs in a fork of it, or of the process before it imported the project.
Needs `os.fork`.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.runner.channel import Channel
from pytest_starcoder.runner.child_process import ChildProcess
from pytest_starcoder.runner.edited_source import Texts
from pytest_starcoder.runner.environment import sandboxed_variables
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import Lines
from pytest_starcoder.runner.protocol import encode, shown_text
from pytest_starcoder.runner.sandbox import (
    Level,
    Sandbox,
    SandboxUnavailable,
    available,
    check_level,
    readable,
)
from pytest_starcoder.runner.worker_messages import (
    REPLIES,
    Behaviour,
    Candidate,
    CandidateReply,
    ChangedState,
    Checks,
    Command,
    Done,
    DraftModule,
    DraftVerdict,
    Input,
    JudgeDrafts,
    Judgement,
    NotReady,
    Observe,
    ObservedInputs,
    Ready,
    Record,
    Replacement,
    Reply,
    TryEdits,
    Verdict,
    VerdictWord,
    WorkerJob,
)
from pytest_starcoder.source.edits.edit import Edit

Edits = tuple[Edit, ...]
"""The edits of one candidate."""

BATCH_SIZE = 64
"""Candidates that one fork tries, one after another."""

MIN_TEST_SECONDS = 0.1
"""Minimum limit of a test, in seconds of processor time."""

SLOWDOWN = 8.0
"""How many times longer a test may take with a candidate than without."""

CALL_SECONDS = 0.1
"""Limit of one observed call, in seconds of processor time."""

CALLS_SECONDS = 4.0
"""Additional time for all observed calls."""

DRAFT_SECONDS = 2.0
"""Additional time to collect the tests of drafts."""

STATE_SECONDS = 3.0
"""Additional time to look through the state of all modules."""

OUT_OF_TIME = "not run: time ran out"
"""Problem of a draft that was not judged before the deadline."""

SHUTDOWN_SECONDS = 2.0
"""Time for the worker to end its forks."""

COLLECTION_SECONDS = 20.0
"""Time to collect the tests."""

MAX_REASON = 300
"""Characters of the reason why tests cannot be collected."""


@dataclass(frozen=True)
class Trial:
    """The result of one candidate.

    `verdict` is "passes", "fails" (a failing test still fails), "breaks" (a passing test
    fails), "overtime", "hung" or "crashed"; or why it was not run: "unchanged", "duplicate",
    "unswappable" (not only inside functions) or "invalid" (a syntax error).
    """

    edits: Edits
    verdict: VerdictWord
    records: tuple[Record, ...] = ()


@dataclass(frozen=True)
class SessionRun:
    """The records of tests that ran one after another.

    `changed` is the state that all but the last one left changed.
    """

    records: tuple[Record, ...] = ()
    changed: tuple[ChangedState, ...] = ()


class Unavailable(Exception):
    """Nothing can be tried here: the reason, as a sentence."""


class Trials:
    """A worker process that tries candidates against `tests`; use it as a context manager.

    It also imports `modules`, since only imported code can be edited. Then `ran_on_import` has
    the lines executed by imports, per path, except imports by earlier plugins, and
    `unimportable` gives the reasons of failed imports. Drafts are placed in `folders`, relative
    to the root; with `draws` they may be Hypothesis tests. `level` is the sandbox level in force.

    Entering it raises Unavailable if the platform lacks fork or a sandbox of `min_level`, or
    if no test can be collected.
    """

    level: Level
    ran_on_import: Lines
    unimportable: Mapping[str, str]

    def __init__(
        self,
        launch: Launch,
        tests: Sequence[str],
        deadline: Deadline,
        min_level: Level = Level.NONE,
        modules: Sequence[str] = (),
        folders: Sequence[str] = (),
        *,
        draws: bool = False,
    ) -> None:
        if launch.obstacle:
            raise Unavailable(launch.obstacle)
        if not hasattr(os, "fork"):
            raise Unavailable("this platform cannot fork a process")
        try:
            check_level(available(), min_level)
        except SandboxUnavailable as exc:
            raise Unavailable(str(exc)) from None
        self._launch = launch
        self._min_level = min_level
        self._tests = tuple(tests)
        self._modules = tuple(modules)
        self._folders = tuple(folders)
        self._draws = draws
        self._deadline = deadline
        self._stack = contextlib.ExitStack()
        self._next_candidate = 0
        self._next_command = 1

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._start_worker(stack)
            ready = self._wait_until_ready()
            self.level = ready.level
            self.ran_on_import = ready.imported
            self.unimportable = ready.unimportable
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- candidates ------------------------------------------------------------------------

    def baseline(self, tests: Sequence[str], limit: float) -> dict[str, Record]:
        """Run `tests` without edits, for `limit` seconds each; empty if the process crashes."""
        [records] = self.run_tests([()], dict.fromkeys(tests, limit))
        return {record.nodeid: record for record in records}

    def try_in_functions(self, candidates: Sequence[Edits], checks: Checks) -> Iterator[Trial]:
        """Try edits inside functions; yield trials in any order. Duplicates are not run."""
        command = self._try_command(candidates, checks, batch=BATCH_SIZE, skips_duplicates=True)
        return self._trials(self._late, command, candidates)

    def try_on_import(self, candidates: Sequence[Edits], checks: Checks) -> Iterator[Trial]:
        """Try edits anywhere: each candidate imports the project anew, which is slower."""
        command = self._try_command(
            candidates, checks, in_functions=False, startup=COLLECTION_SECONDS
        )
        return self._trials(self._early, command, candidates)

    def run_with_files(
        self,
        candidates: Sequence[Texts],
        limits: Mapping[str, float],
        *,
        in_session: bool = False,
    ) -> list[tuple[Record, ...]]:
        """Run all tests in `limits` with other texts of files; no records if they did not finish.

        Each candidate imports the project anew. Its texts are by absolute path, None for a file
        that is to be missing. A file among the tests passes if it can be collected. With
        `in_session`, the tests share fixtures of wider scope.
        """
        wait = _wall_time(sum(limits.values()))
        command = TryEdits(
            number=self._new_command_number(),
            candidates=self._number([{"files": dict(files)} for files in candidates]),
            first_wait=wait + COLLECTION_SECONDS,
            wait=wait,
            checks=Checks(limits),
            every=True,
            in_session=in_session,
        )
        records: dict[int, tuple[Record, ...]] = {}
        for reply in self._replies(self._early, command):
            if isinstance(reply, Verdict) and _are_among(reply.records, limits):
                records[reply.number] = tuple(map(_printable, reply.records))
        return [records.get(candidate.number, ()) for candidate in command.candidates]

    def run_tests(
        self, candidates: Sequence[Edits], limits: Mapping[str, float]
    ) -> list[tuple[Record, ...]]:
        """Run all tests in `limits` with each candidate; no records if they did not finish."""
        trials = self.try_all(candidates, limits)
        return [trials[edits].records if edits in trials else () for edits in candidates]

    def try_all(
        self,
        candidates: Sequence[Edits],
        limits: Mapping[str, float],
        *,
        in_session: bool = False,
    ) -> dict[Edits, Trial]:
        """Run all tests in `limits` with each candidate, whatever fails; return those that ran.

        With `in_session`, the tests share fixtures of wider scope.
        """
        wait = _wall_time(sum(limits.values()))
        command = self._try_command(
            candidates, Checks(limits), wait=wait, every=True, in_session=in_session
        )
        return {trial.edits: trial for trial in self._trials(self._late, command, candidates)}

    def run_session(
        self,
        limits: Mapping[str, float],
        restored: Sequence[tuple[ChangedState, ...]] = ((),),
        *,
        reports_state: bool = False,
    ) -> list[SessionRun]:
        """Run tests in order in a process of their own, once for each entry of `restored`.

        Before the last test, that state is set to what it was before the first. A run that did
        not finish has no records.
        """
        wait = _wall_time(sum(limits.values())) + STATE_SECONDS
        command = TryEdits(
            number=self._new_command_number(),
            candidates=self._number([{"restored": states} for states in restored]),
            first_wait=wait,
            wait=wait,
            checks=Checks(limits),
            every=True,
            in_session=True,
            reports_state=reports_state,
        )
        runs: dict[int, SessionRun] = {}
        for reply in self._replies(self._late, command):
            if isinstance(reply, Verdict) and _are_among(reply.records, limits):
                records = tuple(map(_printable, reply.records))
                changed = [state for state in reply.changed if self._is_of_project(state.path)]
                runs[reply.number] = SessionRun(records, tuple(map(_shown_state, changed)))
        return [runs.get(candidate.number, SessionRun()) for candidate in command.candidates]

    def _is_of_project(self, path: str) -> bool:
        """Return whether a path from the worker is empty or the project's: it will be read."""
        project = self._launch.project
        return not path or project.holds(str(project.file(path)))

    def distinct(self, mutants: Sequence[Edit]) -> list[Edit]:
        """Return the mutants that can be run, without equivalents of others or of the code."""
        candidates = [(mutant,) for mutant in mutants]
        # Without checks, every candidate that can be run passes.
        command = self._try_command(candidates, Checks({}), batch=BATCH_SIZE, skips_duplicates=True)
        runnable = set()
        for trial in self._trials(self._late, command, candidates):
            if trial.verdict == "passes":
                runnable.add(trial.edits[0])
        return [mutant for mutant in mutants if mutant in runnable]

    def find_killers(
        self,
        mutants: Sequence[Edit],
        limits: Mapping[str, float],
        drafts: Sequence[DraftModule] = (),
        *,
        every: bool = True,
    ) -> Iterator[tuple[Edit, frozenset[str]]]:
        """Yield each mutant with the tests that fail, in any order; read it to its end.

        Only the first failing test is returned unless `every` is set. A test that exceeds its
        limit or ends the process fails. Some of the tests may be those of `drafts`.
        """
        if not limits:
            return
        candidates = [(mutant,) for mutant in mutants]
        command = self._try_command(
            candidates,
            Checks(limits),
            wait=_wall_time(sum(limits.values())),
            startup=DRAFT_SECONDS,
            batch=BATCH_SIZE,
            every=every,
            drafts=self._absolute(drafts),
        )
        for trial in self._trials(self._late, command, candidates):
            failed = set()
            for record in trial.records:
                if record.outcome != "passed":
                    failed.add(record.nodeid)
            if trial.verdict in ("crashed", "hung"):
                failed = set(limits)
            yield trial.edits[0], frozenset(failed)

    def observe(
        self, candidates: Sequence[Edits], checks: Checks, drafts: Sequence[DraftModule] = ()
    ) -> tuple[list[Input], list[tuple[str, ...]]]:
        """Return inputs of the changed functions, and each candidate's outcome for each of them.

        A candidate that could not be observed has no outcomes. Some of the tests may be those of
        `drafts`.
        """
        wait = _wall_time(sum(checks.limits.values())) + CALLS_SECONDS
        command = Observe(
            number=self._new_command_number(),
            candidates=self._number(map(_changes_in_functions, candidates)),
            first_wait=wait,
            wait=wait,
            batch=len(candidates),
            checks=checks,
            limit=CALL_SECONDS,
            drafts=self._absolute(drafts),
        )
        inputs: list[Input] = []
        outcomes: dict[int, tuple[str, ...]] = {}
        for reply in self._replies(self._late, command):
            if isinstance(reply, ObservedInputs):
                inputs = list(reply.inputs)
            elif isinstance(reply, Behaviour):
                outcomes[reply.number] = reply.outcomes
        behaviours = []
        for candidate in command.candidates:
            behaviour = outcomes.get(candidate.number, ())
            # Callers compare behaviours input by input, so an incomplete one is none.
            if len(behaviour) != len(inputs):
                behaviour = ()
            behaviours.append(behaviour)
        return inputs, behaviours

    # --- drafts ----------------------------------------------------------------------------

    def judge(self, drafts: Sequence[DraftModule], limit: float) -> list[Judgement]:
        """Judge test modules that are not files, each in its own fork.

        Paths are relative to the root. Each test has `limit` seconds of processor time.
        """
        return self._judge([(draft,) for draft in drafts], limit)

    def judge_together(self, drafts: Sequence[DraftModule], limit: float) -> Judgement:
        """Judge test modules that are not files, all in one fork."""
        [judgement] = self._judge([drafts], limit)
        return judgement

    def _judge(self, groups: Sequence[Sequence[DraftModule]], limit: float) -> list[Judgement]:
        modules = max(map(len, groups), default=1)
        rounds = 2 * modules  # each module runs twice, the second time in reverse order
        wait = _wall_time(limit * rounds) + 1
        payloads = [{"modules": self._absolute(group)} for group in groups]
        command = JudgeDrafts(
            number=self._new_command_number(),
            candidates=self._number(payloads),
            first_wait=wait,
            wait=wait,
            limit=limit,
        )
        numbers = [candidate.number for candidate in command.candidates]
        judgements = dict.fromkeys(numbers, Judgement(OUT_OF_TIME))
        for reply in self._replies(self._late, command):
            if isinstance(reply, DraftVerdict):
                judgements[reply.number] = _printable_judgement(reply.judgement)
            elif isinstance(reply, Verdict):
                judgements[reply.number] = Judgement(reply.verdict)
        return list(judgements.values())

    def _absolute(self, drafts: Sequence[DraftModule]) -> tuple[DraftModule, ...]:
        modules = []
        for path, source in drafts:
            absolute = self._launch.root / path
            modules.append((str(absolute), source))
        return tuple(modules)

    # --- commands and replies --------------------------------------------------------------

    def _try_command(
        self,
        candidates: Sequence[Edits],
        checks: Checks,
        *,
        in_functions: bool = True,
        wait: float | None = None,
        startup: float = 0.0,
        **options: Any,
    ) -> TryEdits:
        """Return the command; by default, replies are awaited as long as the longest test takes.

        The first reply of each fork may take `startup` seconds more.
        """
        if wait is None:
            wait = _wall_time(max(checks.limits.values(), default=1.0))
        if in_functions:
            payloads = list(map(_changes_in_functions, candidates))
        else:
            payloads = [{"files": self._launch.edited_files(edits)} for edits in candidates]
        return TryEdits(
            number=self._new_command_number(),
            candidates=self._number(payloads),
            first_wait=wait + startup,
            wait=wait,
            checks=checks,
            **options,
        )

    def _number(self, payloads: Iterable[dict[str, Any]]) -> tuple[Candidate, ...]:
        """Number the candidates, uniquely for this worker."""
        candidates = []
        for payload in payloads:
            candidates.append(Candidate(self._next_candidate, **payload))
            self._next_candidate += 1
        return tuple(candidates)

    def _new_command_number(self) -> int:
        self._next_command += 1
        return self._next_command - 1

    def _trials(
        self, channel: Channel, command: TryEdits, candidates: Sequence[Edits]
    ) -> Iterator[Trial]:
        numbers = [candidate.number for candidate in command.candidates]
        edits_by_number = dict(zip(numbers, candidates, strict=True))
        tests = command.checks.limits.keys()
        for reply in self._replies(channel, command):
            if not isinstance(reply, Verdict):
                continue
            edits = edits_by_number[reply.number]
            if _are_among(reply.records, tests):
                records = tuple(map(_printable, reply.records))
                yield Trial(edits, reply.verdict, records)
            else:
                yield Trial(edits, "crashed")

    def _replies(self, channel: Channel, command: Command) -> Iterator[Reply]:
        """Send a command and yield its replies, until the last one or until time runs out.

        Replies that nobody reads are skipped when the next command is sent: each reply carries
        the number of its command.
        """
        numbers = {candidate.number for candidate in command.candidates}
        try:
            channel.send(command, self._deadline.remaining())
        except OSError:
            return
        while (reply := channel.receive(REPLIES, self._deadline.remaining())) is not None:
            if reply.command != command.number:
                continue
            if isinstance(reply, Done):
                return
            # Code under test can forge replies, also about candidates of other commands.
            if not isinstance(reply, CandidateReply) or reply.number in numbers:
                yield reply

    # --- start and end ---------------------------------------------------------------------

    def _start_worker(self, stack: contextlib.ExitStack) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="starcoder-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(temporary))
        early, self._early = _open_channel(stack)
        late, self._late = _open_channel(stack)
        may_read = readable(self._launch.root, *self._launch.around)
        job = WorkerJob(
            tests=self._tests,
            root=self._launch.root,
            around=self._launch.around,
            sandbox=Sandbox(folder, may_read, self._min_level),
            early=early,
            late=late,
            modules=self._modules,
            folders=self._folders,
            draws=self._draws,
        )
        file = folder / "trials.json"
        file.write_bytes(encode(job))
        # Plain assertions are compiled like edited ones, so that their code can be compared.
        options = [*self._launch.plain_assertions, "--capture=sys"]
        options += ["-p", "pytest_starcoder.runner.worker", f"--starcoder-trials={file}"]
        command = self._launch.command(self._tests, folder, options)
        variables = sandboxed_variables(self._launch, folder)
        descriptors = (early, late)
        child = ChildProcess(command, self._launch.folder, variables, descriptors, temporary=folder)
        stack.enter_context(child)
        stack.callback(self._shut_down, child)
        # The child has its own copies; ours would keep the channels open when it ends.
        os.close(early)
        os.close(late)

    def _wait_until_ready(self) -> Ready:
        seconds = min(COLLECTION_SECONDS, self._deadline.remaining())
        limit = Deadline.after(seconds)
        message = self._late.receive((Ready, NotReady), seconds)
        if message is None and limit.remaining() <= 0:
            raise Unavailable("there was not enough time to collect the tests again")
        if message is None:
            raise Unavailable("the tests cannot be collected again")
        if isinstance(message, NotReady):
            reason = redact(shown_text(message.reason[:MAX_REASON]))
            raise Unavailable(f"the tests cannot be collected again: {reason}")
        assert isinstance(message, Ready)
        # A file among the tests is there to be collected once it is edited.
        expects_tests = any("::" in nodeid for nodeid in self._tests)
        if expects_tests and not message.collected:
            # Tests of one file mostly have the same reason.
            reasons = dict.fromkeys(map(shown_text, message.missing.values()))
            raise Unavailable(f"the tests cannot be collected again: {'; '.join(reasons)}")
        return message

    def _shut_down(self, child: ChildProcess) -> None:
        """Close the channels; the worker then ends all its forks.

        They have no grace period: fixtures are set up and torn down within a trial, and
        sandboxed code can only create files in a temporary folder.
        """
        self._early.close()
        self._late.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(SHUTDOWN_SECONDS)


def _wall_time(seconds: float) -> float:
    """Return how long to wait for work that may use so many seconds of processor time."""
    return 2 * seconds + 1


def _are_among(records: Iterable[Record], tests: Collection[str]) -> bool:
    """Return whether the records are of these tests; else, code under test forged them."""
    return all(record.nodeid in tests for record in records)


def _changes_in_functions(edits: Edits) -> dict[str, Any]:
    changes: dict[str, list[Replacement]] = {}
    for edit in edits:
        replacement = *edit.span, edit.after
        changes.setdefault(edit.path, []).append(replacement)
    return {"changes": changes}


def _printable(record: Record) -> Record:
    return replace(
        record,
        raised=shown_text(record.raised),
        place=shown_text(record.place),
        note=shown_text(record.note),
    )


def _shown_state(state: ChangedState) -> ChangedState:
    return ChangedState(shown_text(state.name), shown_text(state.path))


def _printable_judgement(judgement: Judgement) -> Judgement:
    rounds = []
    for records in judgement.rounds:
        rounds.append(tuple(map(_printable, records)))
    return replace(judgement, problem=shown_text(judgement.problem), rounds=tuple(rounds))


def _open_channel(stack: contextlib.ExitStack) -> tuple[int, Channel]:
    """Return the worker's end of a socket pair, and our channel, which `stack` closes."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours.detach())
    stack.callback(channel.close)
    return theirs.detach(), channel
