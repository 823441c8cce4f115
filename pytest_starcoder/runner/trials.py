"""Tries changes of the project's code without writing them into a file: changes in, verdicts out.

A pytest with the user's plugins and configuration collects the tests once;
each batch of changes runs in a fork of it, or of the process it was before the
project was imported. Needs `os.fork`.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.runner.channel import Channel
from pytest_starcoder.runner.child_process import ChildProcess
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.protocol import Malformed, parsed, shown_text
from pytest_starcoder.runner.sandbox import ORDER, Level, Sandbox, available, readable, weaker
from pytest_starcoder.runner.variables import sandboxed_variables
from pytest_starcoder.source.edits.edit import Edit

BATCH = 64
"""Candidates that one fork tries, one after the other."""

SHORTEST = 0.1
"""Seconds of processor time that a test has at the least."""

LONGER = 8.0
"""How much longer than with the code as it is a test may take."""

CALL = 0.1
"""Seconds of processor time that one call has whose outcome is observed."""

OVER = "not run: the time is over"

LEAVING = 2.0
"""Seconds for the child to end its forks."""

COLLECTING = 20.0
"""Seconds in which the tests must be collected."""

MAX_REASON = 300
"""Characters of the reason why they cannot be."""

VERDICTS = frozenset(
    (
        "passes",
        "fails",
        "breaks",
        "overtime",
        "hung",
        "crashed",
        "the same",
        "known",
        "unswappable",
        "no Python",
    )
)
"""All possible verdicts on a candidate."""

OUTCOMES = frozenset(("passed", "failed", "skipped", "overtime", "missing"))
"""All possible outcomes of one test."""


@dataclass(frozen=True)
class Record:
    """What became of one test.

    `outcome` is passed, failed, skipped, overtime or missing; `raised` names the exception, `place` is where it rose,
    `note` what was noted on it, or what an assertion says.
    """

    nodeid: str
    outcome: str
    seconds: float
    raised: str = ""
    place: str = ""
    note: str = ""


@dataclass(frozen=True)
class Trial:
    """What became of a candidate.

    `verdict` is "passes", "fails" (a test that should pass now does not),
    "breaks" (one that passed does not), "overtime", "hung", "crashed", or why
    it was not run: "the same", "known", "unswappable", "no Python".
    """

    edits: tuple[Edit, ...]
    verdict: str
    records: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """What became of a draft, or of several in one process.

    `problem` says why it was not run to its end, empty where it was: then `rounds`
    are the records of its tests in their order and in reverse, `lines` what each test executed, by its
    node id and by path, `steps` which lines ran one after the other, 0 for the end of a call,
    and `left` what they left otherwise than it was.
    """

    problem: str = ""
    rounds: tuple[tuple[Record, ...], ...] = ()
    lines: Mapping[str, Mapping[str, frozenset[int]]] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, frozenset[tuple[int, int]]]] = field(default_factory=dict)
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """The child's message after it has collected the tests.

    `level` is its confinement, `imported` the lines executed by imports, by path,
    `unimportable` why a module could not be imported, `missing` why a test was not collected.
    """

    collected: frozenset[str]
    level: str
    imported: Mapping[str, frozenset[int]]
    unimportable: Mapping[str, str]
    missing: Mapping[str, str] = field(default_factory=dict)


class Input(NamedTuple):
    """A call as a person writes it; `code` is what a test can run, an import and the call, empty where that is none."""

    text: str
    code: str


class Unavailable(Exception):
    """Nothing can be tried here: the reason, as a sentence."""


class Trials:
    """A bench for `tests`, open within a `with` block; `level` is the confinement in force there.

    `modules` are imported there besides what the tests import: what no test imports cannot be changed. With some,
    `ran_on_import` are the lines that importing executes, by path; what a plugin imports early is not among them;
    `unimportable` says why some could not be imported. `folders`, relative to the root, are those that drafts stand in.
    With `draws` tests of Hypothesis are judged too.
    Raises Unavailable if none of them can be collected, or confined as `least` requires; `baseline`
    lacks those that were not collected.
    """

    def __init__(
        self,
        launch: Launch,
        tests: Sequence[str],
        deadline: Deadline,
        least: Level = Level.NONE,
        modules: Sequence[str] = (),
        folders: Sequence[str] = (),
        *,
        draws: bool = False,
    ) -> None:
        if launch.obstacle:
            raise Unavailable(launch.obstacle)
        if not hasattr(os, "fork"):
            raise Unavailable("this platform cannot fork a process")
        if weaker(available(), least):
            raise Unavailable(
                f"code is confined by {available()} here, and the setting confinement is {least}"
            )
        self._launch = launch
        self._least = least
        self._tests = tests
        self._modules = modules
        self._folders = folders
        self._draws = draws
        self._deadline = deadline
        self._stack = contextlib.ExitStack()
        self._numbers = 0
        self._commands = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = Path(
                stack.enter_context(
                    tempfile.TemporaryDirectory(prefix="starcoder-", ignore_cleanup_errors=True)
                )
            )
            early, self._early = _pair(stack)
            late, self._late = _pair(stack)
            confinement = Sandbox(
                folder, readable(self._launch.root, *self._launch.around), self._least
            )
            job = {
                "tests": list(self._tests),
                "root": str(self._launch.root),
                "around": [str(around) for around in self._launch.around],
                "confinement": confinement.to_json(),
                "early": early,
                "late": late,
                "modules": list(self._modules),
                "folders": list(self._folders),
                "draws": self._draws,
            }
            (folder / "trials.json").write_text(json.dumps(job), "utf-8")
            own = ["--assert=plain", "--capture=sys", "-p", "pytest_starcoder.runner.worker"]
            own.append(f"--starcoder-trials={folder / 'trials.json'}")
            command = self._launch.command(self._tests, folder, own)
            variables = sandboxed_variables(self._launch, folder)
            child = stack.enter_context(
                ChildProcess(
                    command, self._launch.folder, variables, (early, late), temporary=folder
                )
            )
            stack.callback(self._leave, child)
            os.close(early)
            os.close(late)
            waiting = Deadline.after(min(COLLECTING, self._deadline.remaining()))
            ready = self._ready(waiting)
            if ready is None and waiting.remaining() <= 0:
                raise Unavailable("there was not enough time to collect the tests again")
            if ready is None:
                raise Unavailable("the tests cannot be collected again")
            if self._tests and not ready.collected:
                reasons = dict.fromkeys(map(shown_text, ready.missing.values()))
                raise Unavailable(f"the tests cannot be collected again: {'; '.join(reasons)}")
            self.level = Level(ready.level)
            self.ran_on_import = ready.imported
            self.unimportable = ready.unimportable
            self._stack = stack.pop_all()
        return self

    def _ready(self, waiting: Deadline) -> Ready | None:
        """Wait until the child has collected the tests; None if it does not report that."""
        message = self._late.read(waiting.remaining())
        problem = message.get("problem") if message else None
        if isinstance(problem, str):
            reason = redact(shown_text(problem[:MAX_REASON]))
            raise Unavailable(f"the tests cannot be collected again: {reason}")
        try:
            ready: Ready = parsed(message, Ready)
        except Malformed:
            return None
        return ready if ready.level in ORDER else None

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _leave(self, child: ChildProcess) -> None:
        """Close the channel; the child then ends all its forks.

        They have no grace period: fixtures are set up and torn down within a trial, and
        confined code can only create files in a temporary folder.
        """
        self._early.close()
        self._late.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(LEAVING)

    def baseline(self, tests: Sequence[str], limit: float) -> dict[str, Record]:
        """What becomes of `tests` with the code as it is, each within `limit` seconds; empty where the process ends."""
        [records] = self.records([()], tests, dict.fromkeys(tests, limit))
        return {record.nodeid: record for record in records}

    def swapped(
        self,
        candidates: Sequence[tuple[Edit, ...]],
        failing: Sequence[str],
        passing: Sequence[str],
        limits: Mapping[str, float],
    ) -> Iterator[Trial]:
        """The verdicts of edits inside of functions, in any order; those that were tried before are not run again."""
        yield from self._run(
            self._late, self._command(self._late, candidates, failing, passing, limits), candidates
        )

    def imported(
        self,
        candidates: Sequence[tuple[Edit, ...]],
        failing: Sequence[str],
        passing: Sequence[str],
        limits: Mapping[str, float],
    ) -> Iterator[Trial]:
        """The verdicts of edits anywhere: each imports the project anew."""
        yield from self._run(
            self._early,
            self._command(self._early, candidates, failing, passing, limits),
            candidates,
        )

    def records(
        self,
        candidates: Sequence[tuple[Edit, ...]],
        tests: Sequence[str],
        limits: Mapping[str, float],
    ) -> list[tuple[Record, ...]]:
        """What becomes of every one of `tests` under each of the edits; nothing where they did not come to an end."""
        command = self._command(self._late, candidates, tests, [], limits) | {
            "all": True,
            "once": False,
            "batch": 1,
        }
        seconds = 2 * sum(limits[nodeid] for nodeid in tests) + 1
        command |= {"first": seconds, "wall": seconds}
        found = {trial.edits: trial.records for trial in self._run(self._late, command, candidates)}
        return [found.get(edits, ()) for edits in candidates]

    def judged(self, drafts: Sequence[tuple[str, str]], limit: float) -> list[Judgement]:
        """What becomes of test modules that are no files; each is its path, relative to the root, and its source.

        Each runs in a fork of its own, every test for at most `limit` seconds of processor time.
        """
        return self._judged([[draft] for draft in drafts], limit)

    def together(self, drafts: Sequence[tuple[str, str]], limit: float) -> Judgement:
        """What becomes of test modules that are no files in one fork, in their order and in reverse."""
        [judgement] = self._judged([drafts], limit)
        return judgement

    def _judged(self, groups: Sequence[Sequence[tuple[str, str]]], limit: float) -> list[Judgement]:
        first = self._numbers
        self._numbers += len(groups)
        waiting = [
            {"number": first + number, "modules": self._placed(drafts), "changes": {}}
            for number, drafts in enumerate(groups)
        ]
        seconds = 4 * limit * max(map(len, groups), default=1) + 2
        command = {
            "candidates": waiting,
            "judge": limit,
            "once": False,
            "batch": 1,
            "first": seconds,
            "wall": seconds,
        }
        judgements = dict.fromkeys(range(first, self._numbers), Judgement(OVER))
        for reply in self._replies(self._late, command):
            judgements[reply["number"]] = _judgement(reply)
        return list(judgements.values())

    def distinct(self, mutants: Sequence[Edit]) -> list[Edit]:
        """Those that can be tried, without those that are the same code as another or as it is."""
        command = self._command(self._late, [(mutant,) for mutant in mutants], [], [], {})
        trials = self._run(self._late, command, [(mutant,) for mutant in mutants])
        fit = {trial.edits[0] for trial in trials if trial.verdict == "passes"}
        return [mutant for mutant in mutants if mutant in fit]

    def killers(
        self,
        mutants: Sequence[Edit],
        tests: Sequence[str],
        limits: Mapping[str, float],
        drafts: Sequence[tuple[str, str]] = (),
        *,
        every: bool = True,
    ) -> Iterator[tuple[Edit, frozenset[str]]]:
        """For each mutant the tests that fail with it, in any order; only the first of them unless `every`.

        To be read to its end.
        Each test has at most its seconds of processor time; to exceed them, or to end the process, is to fail.
        `drafts` are modules that are no files, as for `judged`, of which some of `tests` are.
        """
        if not tests:
            return
        candidates = [(mutant,) for mutant in mutants]
        command = self._command(self._late, candidates, tests, [], limits)
        seconds = 2 * sum(limits[nodeid] for nodeid in tests)
        command |= {"all": every, "once": False, "drafts": self._placed(drafts)}
        command |= {"first": seconds + 3, "wall": seconds + 1}
        for trial in self._run(self._late, command, candidates):
            [mutant] = trial.edits
            if trial.verdict in ("crashed", "hung"):
                yield mutant, frozenset(tests)
            else:
                yield (
                    mutant,
                    frozenset(
                        record.nodeid for record in trial.records if record.outcome != "passed"
                    ),
                )

    def _placed(self, drafts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(str(self._launch.root / path), source) for path, source in drafts]

    def observed(
        self,
        candidates: Sequence[tuple[Edit, ...]],
        failing: Sequence[str],
        passing: Sequence[str],
        limits: Mapping[str, float],
        drafts: Sequence[tuple[str, str]] = (),
    ) -> tuple[list[Input], list[tuple[str, ...]]]:
        """Inputs of the functions that the candidates change, and what each candidate makes of them.

        A candidate that could not be observed has none. `drafts` are modules that
        are no files, of which some of the tests are.
        """
        command = self._command(self._late, candidates, failing, passing, limits)
        command["drafts"] = self._placed(drafts)
        seconds = 2 * sum(limits.values()) + 5
        command |= {
            "observe": True,
            "once": False,
            "limit": CALL,
            "batch": len(candidates),
            "first": seconds,
            "wall": seconds,
        }
        inputs: list[Input] = []
        behaviours: dict[int, tuple[str, ...]] = {
            candidate["number"]: () for candidate in command["candidates"]
        }
        for reply in self._replies(self._late, command):
            with contextlib.suppress(Malformed):
                if "inputs" in reply:
                    inputs = [
                        Input(*texts)
                        for texts in parsed(reply["inputs"], tuple[tuple[str, str], ...])
                    ]
                elif "behaviour" in reply:
                    behaviours[reply["number"]] = parsed(reply["behaviour"], tuple[str, ...])
        # The results for each input are compared one by one.
        complete = [seen if len(seen) == len(inputs) else () for seen in behaviours.values()]
        return inputs, complete

    def _run(
        self, line: Channel, command: Mapping[str, Any], candidates: Sequence[tuple[Edit, ...]]
    ) -> Iterator[Trial]:
        numbers = [candidate["number"] for candidate in command["candidates"]]
        by_number = dict(zip(numbers, candidates, strict=True))
        tests = {nodeid for nodeid, _ in (*command["failing"], *command["passing"])}
        for reply in self._replies(line, command):
            yield _trial(by_number[reply["number"]], reply, tests)

    def _replies(self, line: Channel, command: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Send a command, and yield its answers until all have arrived or time runs out.

        Answers that are not consumed are dropped when the next command is answered: each
        carries the number of its command.
        """
        self._commands += 1
        number = self._commands
        asked_about = {candidate["number"] for candidate in command["candidates"]}
        try:
            line.write({**command, "command": number}, self._deadline.remaining())
        except OSError:
            return
        while (reply := line.read(self._deadline.remaining())) is not None:
            if reply.get("command") != number:
                continue
            if "done" in reply:
                return
            is_about_all = "inputs" in reply and "observe" in command
            if is_about_all or _is_one_of(reply.get("number"), asked_about):
                yield reply

    def _command(
        self,
        line: Channel,
        candidates: Sequence[tuple[Edit, ...]],
        failing: Sequence[str],
        passing: Sequence[str],
        limits: Mapping[str, float],
    ) -> dict[str, Any]:
        first = self._numbers
        self._numbers += len(candidates)
        longest = max((limits[nodeid] for nodeid in (*failing, *passing)), default=1.0)
        early = line is self._early
        return {
            "candidates": [
                {
                    "number": first + number,
                    **(
                        {"files": self._launch.edited_files(edits)}
                        if early
                        else self._changes(edits)
                    ),
                }
                for number, edits in enumerate(candidates)
            ],
            "failing": [(nodeid, limits[nodeid]) for nodeid in failing],
            "passing": [(nodeid, limits[nodeid]) for nodeid in passing],
            "all": False,
            "once": True,
            "batch": 1 if early else BATCH,
            "wall": 2 * longest + 1,
            "first": 2 * longest + (COLLECTING if early else 1),
        }

    def _changes(self, edits: tuple[Edit, ...]) -> dict[str, Any]:
        changes: dict[str, list[tuple[int, int, str]]] = {}
        for edit in edits:
            changes.setdefault(edit.path, []).append((*edit.span, edit.after))
        return {"changes": changes}


def _is_one_of(number: object, numbers: Collection[int]) -> bool:
    return isinstance(number, int) and number in numbers


def _trial(edits: tuple[Edit, ...], reply: Mapping[str, Any], tests: Collection[str]) -> Trial:
    verdict = str(reply.get("verdict"))
    try:
        records = parsed(reply.get("records", []), tuple[Record, ...])
    except Malformed:
        return Trial(edits, "crashed")
    if verdict not in VERDICTS or not all(
        record.outcome in OUTCOMES and record.nodeid in tests for record in records
    ):
        return Trial(edits, "crashed")
    return Trial(edits, verdict, tuple(map(_shown, records)))


def _shown(record: Record) -> Record:
    raised, place, note = map(shown_text, (record.raised, record.place, record.note))
    return replace(record, raised=raised, place=place, note=note)


def _judgement(reply: Mapping[str, Any]) -> Judgement:
    verdict = str(reply.get("verdict"))
    if verdict != "judged":
        return Judgement(verdict if verdict in VERDICTS else "crashed")
    names = {entry.name for entry in fields(Judgement)}
    try:
        judgement: Judgement = parsed(
            {name: reply[name] for name in names & reply.keys()}, Judgement
        )
    except Malformed:
        return Judgement("crashed")
    if any(record.outcome not in OUTCOMES for records in judgement.rounds for record in records):
        return Judgement("crashed")
    rounds = tuple(tuple(map(_shown, records)) for records in judgement.rounds)
    return replace(judgement, problem=shown_text(judgement.problem), rounds=rounds)


def _pair(stack: contextlib.ExitStack) -> tuple[int, Channel]:
    """The child's end of two sockets, and ours, which ends with `stack`."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours.detach())
    stack.callback(channel.close)
    return theirs.detach(), channel
