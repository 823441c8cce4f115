"""The code of ours inside a pytest that tries changes of the project's code: each in a fork, none in a file.

A pytest plugin. `--starcoder-trials=FILE` names what `Trials` wrote. Two forks
serve: `early` was taken before the project was imported, and imports it with
changed source; `late` has collected the tests, and swaps the code of functions.
Commands come as lines of JSON, and so do verdicts, one a candidate.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
import importlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, NoReturn

import pytest

from pytest_starcoder.runner.behaviour import Inputs, outcome_of, outermost, written
from pytest_starcoder.runner.channel import Channel
from pytest_starcoder.runner.code_swap import (
    Swap,
    Swappable,
    Unswappable,
    functions_alive,
    identity,
    put,
)
from pytest_starcoder.runner.draft_judge import judged
from pytest_starcoder.runner.draft_modules import items_of, reach
from pytest_starcoder.runner.edited_source import serve_changed
from pytest_starcoder.runner.file_guard import guard_files
from pytest_starcoder.runner.forks import fork
from pytest_starcoder.runner.protocol import MAX_LINE, Malformed, message_of
from pytest_starcoder.runner.sandbox import (
    Sandbox,
    adopt_orphans,
    confine,
    die_with_parent,
    limit_forks,
)
from pytest_starcoder.runner.selection import ItemProtocol, Selection, StableNodeIds
from pytest_starcoder.runner.supervisor import descendants
from pytest_starcoder.runner.trace import Tracer
from pytest_starcoder.source.project import Project
from pytest_starcoder.text.display import one_line

ROUNDS = 50
"""How often the processes of a fork are looked for, that start others while they are ended."""

TICK = 0.05
"""Seconds of processor time after which a candidate that swallowed its time-out meets it again."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--starcoder-trials", help="internal")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    job = json.loads(Path(early_config.known_args_namespace.starcoder_trials).read_text("utf-8"))
    guard_files(early_config.pluginmanager, Path(job["confinement"]["folder"]) / "aside")
    worker = Worker(job)
    early_config.pluginmanager.register(worker, "starcoder-worker")
    early_config.pluginmanager.register(StableNodeIds(worker.project), "starcoder-node-ids")
    early_config.pluginmanager.register(worker.selection, "starcoder-selection")
    worker.warm()
    worker.split()
    try:
        return (yield)
    except Exception as exc:
        worker.give_up(exc)
        raise


@dataclass
class Task:
    """What a fork is to do: `command` for `candidates`, verdicts into the pipe `results`."""

    command: dict[str, Any]
    candidates: list[dict[str, Any]]
    results: int


WARMED = "pytest_starcoder.runner.hypothesis_warmup"

NOTE = 300
"""Characters of what is noted on an exception."""


class Overtime(BaseException):
    """Raised in a test that has had its processor time."""


class Worker:
    """Serves commands in two forks; in the forks of those it runs tests."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._root = Path(job["root"])
        self.project = Project(self._root, tuple(map(Path, job["around"])))
        self.selection = Selection(job["tests"])
        self._modules: list[str] = job["modules"]
        self._draws: bool = job["draws"]
        # Our own messages: whole files to import, for each of many candidates.
        self._early, self._late = (Channel(job[name], sys.maxsize) for name in ("early", "late"))
        self._folders: list[str] = job["folders"]
        self._imported: dict[str, list[int]] = {}
        self._unimportable: dict[str, str] = {}
        self._task: Task | None = None
        self._bench = Bench()
        self._level = confine(Sandbox.from_json(job["confinement"]))

    def warm(self) -> None:
        """Before anything is forked or traced, which would make it take many times as long."""
        if self._draws:
            try:
                importlib.import_module(WARMED)
            except Exception as exc:  # noqa: BLE001 - its tests fail then; what needs no Hypothesis goes on
                self._unimportable[WARMED] = one_line(f"{type(exc).__name__}: {exc}", NOTE)

    def split(self) -> None:
        """Returns in the fork that goes on to collect the tests, and in each one that tries a changed source."""
        late = fork()
        adopt_orphans()
        if late == 0:
            die_with_parent()
            self._early.close()
            return
        self._late.close()
        self._task = serve(self._early, lambda command: command["candidates"], late)
        serve_changed(self._task.candidates[0]["files"])

    def give_up(self, exc: Exception) -> None:
        """Say why the project's own plugins cannot be loaded here; a candidate says nothing."""
        if self._task is None:
            reason = one_line(str(exc).replace(str(self._root) + os.sep, ""), NOTE)
            with contextlib.suppress(OSError):
                self._late.write({"problem": reason})

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Where modules are to be imported, what that executes of the project is kept."""
        if not self._modules:
            return (yield)
        tracer = Tracer(self.project.holds)
        tracer.start(values=False)
        try:
            return (yield)
        finally:
            for folder in self._folders:
                reach(session.config, self._root / folder)
            for name in self._modules:
                try:
                    importlib.import_module(name)
                except BaseException as exc:  # noqa: BLE001 - a module may raise anything, SystemExit too
                    self._unimportable[name] = one_line(f"{type(exc).__name__}: {exc}", NOTE)
            tracer.stop()
            _draw("JUDGED")  # after the project's own profile
            self._imported = {
                self.project.path_of(file): sorted(lines) for file, lines in tracer.lines.items()
            }

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> NoReturn:
        self._bench.items = {item.nodeid: item for item in session.items}
        self._bench.session = session
        self._bench.protocol = ItemProtocol(session.config, self.project)
        if self._task is not None:
            self._bench.work(self._task, {})
        swaps = Swaps(self.project)
        self._bench.caches = _caches(self.project)
        found = {
            "collected": list(self._bench.items),
            "level": str(self._level),
            "imported": self._imported,
        }
        found["unimportable"] = self._unimportable
        found["missing"] = self.selection.missing
        self._late.write(found)
        task = serve(self._late, swaps.prepared)
        self._bench.work(task, swaps.ready)

    @pytest.hookimpl
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport:
        """A report without a text, which nobody reads and which takes longer than many a test."""
        self._bench.note(call)
        outcome: Any = "passed"
        told: Any = None
        if call.excinfo is not None:
            skipped = isinstance(call.excinfo.value, pytest.skip.Exception)
            outcome = "skipped" if skipped else "failed"
            told = (str(item.path), 1, "") if skipped else call.excinfo.typename
        when: Any = call.when
        times = call.duration, call.start, call.stop
        return pytest.TestReport(item.nodeid, item.location, {}, outcome, told, when, (), *times)

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect what a test itself reports, such as subtests."""
        self._bench.outcomes.append(report.outcome)


def _draw(profile: str) -> None:
    """Puts a profile of Hypothesis in force, where its tests are judged at all."""
    if (warmed := sys.modules.get(WARMED)) is not None:
        warmed.settings.load_profile(getattr(warmed, profile))


def serve(channel: Channel, prepared: Any, other: int = 0) -> Task:
    """Answers commands until the other side is gone; returns in each fork, with what it is to do.

    At the end it waits for the `other` process, which has heard the same.
    """
    while (command := channel.read()) is not None:
        replies = Replies(channel, command["command"])
        waiting = list(prepared(command))
        for unfit in [candidate for candidate in waiting if "verdict" in candidate]:
            replies.write({"number": unfit["number"], "verdict": unfit["verdict"]})
        waiting = [candidate for candidate in waiting if "verdict" not in candidate]
        while waiting:
            results, write = os.pipe()
            child = fork()
            if child == 0:
                die_with_parent()
                os.close(results)
                channel.close()
                os.setsid()
                return Task(command, waiting[: command.get("batch", 1)], write)
            os.close(write)
            told = watch(child, results, replies, command, waiting, other)
            waiting = waiting[told:]
        replies.write({"done": True})
    if other:
        os.waitpid(other, 0)
    os._exit(0)


@dataclass(frozen=True)
class Replies:
    """Answers one command on a channel.

    Each answer carries the command's number, so it cannot be taken for a later command's.
    """

    channel: Channel
    command: int

    def write(self, reply: Mapping[str, Any]) -> None:
        self.channel.write({**reply, "command": self.command})

    @property
    def are_unwanted(self) -> bool:
        """Whether another command has arrived, or the other side is gone."""
        ready, _, _ = select.select([self.channel.descriptor], [], [], 0)
        return bool(ready) or self.channel.is_pending


def watch(
    child: int,
    results: int,
    replies: Replies,
    command: dict[str, Any],
    waiting: Sequence[dict[str, Any]],
    other: int,
) -> int:
    """Passes on the verdicts of a fork, and ends it when one takes too long; how many candidates have one now."""
    told, left, verdict = 0, b"", ""
    until = time.monotonic() + command["first"]
    numbers = [candidate["number"] for candidate in waiting]
    descriptors = [results, replies.channel.descriptor]
    try:
        while not verdict:
            ready, _, _ = select.select(descriptors, [], [], max(0.0, until - time.monotonic()))
            if replies.are_unwanted:
                return len(waiting)
            if not ready:
                verdict = "hung"
                break
            more = os.read(results, 1 << 16)
            *lines, left = (left + more).split(b"\n")
            for line in lines:
                found = reply_of(line)
                if "ended" in found:
                    verdict = "ended"
                    if "inputs" in found:
                        replies.write(found)
                    break
                # The tests run in the same process and may have written to the channel.
                if told == len(numbers) or found.get("number") != numbers[told]:
                    continue
                replies.write(found)
                told += 1
                until = time.monotonic() + command["wall"]
            if not more or len(left) > MAX_LINE:
                verdict = verdict or "crashed"
            elif time.monotonic() > until:  # it writes endlessly without an answer
                verdict = verdict or "hung"
    finally:
        end(child, other)
        os.close(results)
    if verdict == "ended" and not told:
        verdict = "crashed"  # it tried nothing, and asking again would not help
    if verdict != "ended" and told < len(numbers):
        replies.write({"number": numbers[told], "verdict": verdict})
        told += 1
    return told


def reply_of(line: bytes) -> dict[str, Any]:
    """Return the message in a line; empty if it is not one or too long for the reader."""
    if len(line) > MAX_LINE:
        return {}
    try:
        return message_of(line)
    except Malformed:
        return {}


def end(child: int, other: int = 0) -> None:
    """Ends a fork and all that it has started, also what has left its group; the `other` fork and its own live on."""
    for _ in range(ROUNDS):
        started = descendants(child)
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)
        for process in started:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        if not started:
            break
    with contextlib.suppress(OSError):
        os.waitpid(child, 0)
    spared = {other, *descendants(other)} if other else set()
    for orphan in descendants(os.getpid()):  # what it left behind is this process's own by now
        if orphan not in spared:
            with contextlib.suppress(OSError):
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)


class Swaps:
    """The candidates of the late fork as code, compiled before it forks: equal ones are run once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._alive: dict[str, list[FunctionType]] = {}
        for filename, functions in functions_alive(project.holds).items():
            self._alive.setdefault(os.path.normpath(filename), []).extend(functions)
        self._files: dict[str, Swappable] = {}
        self._known: set[object] = set()
        self.ready: dict[int, Swap] = {}

    def prepared(self, command: dict[str, Any]) -> list[dict[str, Any]]:
        """The candidates of a command; those that need not run have their verdict."""
        self.ready = {}
        return [
            {**candidate, **self._prepared(candidate, command["once"])}
            for candidate in command["candidates"]
        ]

    def _prepared(self, candidate: dict[str, Any], once: bool) -> dict[str, str]:
        swap: dict[Any, CodeType] = {}
        try:
            for path, changes in candidate["changes"].items():
                swap |= self._file(path).swap([tuple(change) for change in changes])
        except Unswappable:
            return {"verdict": "unswappable"}
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return {"verdict": "no Python"}
        if candidate["changes"]:
            key = identity(swap)
            if key == identity({function: function.__code__ for function in swap}):
                return {"verdict": "the same"}
            if once and key in self._known:
                return {"verdict": "known"}
            self._known.add(key)
        self.ready[candidate["number"]] = swap
        return {}

    def _file(self, path: str) -> Swappable:
        if path not in self._files:
            file = self._project.file(path)
            filename = str(file)
            try:
                source = file.read_text("utf-8")
            except OSError:
                raise Unswappable("it cannot be read") from None
            self._files[path] = Swappable(filename, source, self._alive.get(filename, []))
        return self._files[path]


class Bench:
    """Runs items, again and again, as pytest runs them."""

    def __init__(self) -> None:
        self.caches: list[Any] = []
        self.items: dict[str, pytest.Item] = {}
        self.session: pytest.Session | None = None
        self.protocol: ItemProtocol | None = None
        self.outcomes: list[str] = []
        self._raised: tuple[str, str, str] = ("", "", "")
        self._limit = 0.0

    def note(self, call: pytest.CallInfo[None]) -> None:
        """Remembers the first exception of a test, and where it came from."""
        if call.excinfo is not None and not self._raised[0]:
            last = call.excinfo.traceback[-1] if call.excinfo.traceback else None
            place = f"{last.path}:{last.lineno + 1}" if last else ""
            noted = " ".join(getattr(call.excinfo.value, "__notes__", ()))
            if not noted and type(call.excinfo.value) is AssertionError:
                noted = str(call.excinfo.value)
            self._raised = call.excinfo.typename, place, one_line(noted, NOTE)

    def work(self, task: Task, swaps: Mapping[int, Swap]) -> NoReturn:
        """Tries the candidates, writes their verdicts, and ends the process."""
        limit_forks()
        signal.signal(signal.SIGVTALRM, _overtime)
        out, own = Channel(task.results), os.getpid()
        if "drafts" in task.command and self.session is not None:
            _draw("KILLING")
            for path, source in task.command["drafts"]:
                self.items |= {
                    item.nodeid: item for item in items_of(self.session, Path(path), source)
                }
        if "observe" in task.command:
            self._observe(task, swaps, out)
        if "judge" in task.command:
            self._judge(task, out)
        for candidate in task.candidates:
            for cache in self.caches:
                cache.cache_clear()
            before = put(swaps.get(candidate["number"], {}))
            verdict, records = self._tried(task.command)
            put(before)
            if os.getpid() != own:
                os._exit(0)  # the candidate forked, and this is not the process that was to try it
            out.write({"number": candidate["number"], "verdict": verdict, "records": records})
            if verdict == "overtime":
                break  # what pytest was in the midst of nobody knows
        out.write({"ended": True})
        os._exit(0)

    def _observe(self, task: Task, swaps: Mapping[int, Swap], out: Channel) -> NoReturn:
        """Writes what the changed functions do under each candidate, on inputs like those of the tests."""
        changed = [function for swap in swaps.values() for function in outermost(swap)]
        inputs = Inputs(dict.fromkeys(changed))
        first = min(swaps)
        for number in (None, first):
            before = put(swaps[number] if number is not None else {})
            for nodeid, limit in (*task.command["failing"], *task.command["passing"]):
                with inputs.kept():
                    self._record(nodeid, limit)
            put(before)
        told = inputs.varied()
        for candidate in task.candidates:
            before = put(swaps[candidate["number"]])
            behaviour = [outcome_of(call, task.command["limit"]) for call in told]
            put(before)
            out.write(
                {"number": candidate["number"], "verdict": "observed", "behaviour": behaviour}
            )
        out.write({"inputs": [(call.text, written(call)) for call in told], "ended": True})
        os._exit(0)

    def _judge(self, task: Task, out: Channel) -> NoReturn:
        """Writes what the tests of drafts do, twice, the second time in reverse, and what they leave behind."""
        assert self.session is not None
        for drafts in task.candidates:
            told = judged(self.session, drafts["modules"], self._judged, task.command["judge"])
            out.write({"number": drafts["number"], "verdict": "judged", **told})
        out.write({"ended": True})
        os._exit(0)

    def _judged(self, items: Sequence[pytest.Item], limit: float) -> list[dict[str, Any]]:
        self.items = {item.nodeid: item for item in items}
        return [self._record(item.nodeid, limit) for item in items]

    def _tried(self, command: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
        records = []
        for kind in ("failing", "passing"):
            for nodeid, limit in command[kind]:
                record = self._record(nodeid, limit)
                records.append(record)
                if record["outcome"] == "overtime":
                    return "overtime", records[-1:]
                if not command["all"] and record["outcome"] != "passed":
                    return ("fails" if kind == "failing" else "breaks"), records[-1:]
        return "passes", records

    def _record(self, nodeid: str, limit: float) -> dict[str, Any]:
        """Runs one test, for at most `limit` seconds of processor time."""
        item = self.items.get(nodeid)
        if item is None:
            return {
                "nodeid": nodeid,
                "outcome": "missing",
                "seconds": 0.0,
                "raised": "",
                "place": "",
                "note": "",
            }
        self.outcomes, self._raised = [], ("", "", "")
        started = time.perf_counter()
        outcome = ""
        with _parameters(item):
            try:
                signal.setitimer(signal.ITIMER_VIRTUAL, limit, TICK)
                assert self.protocol is not None
                self.outcomes += [report.outcome for report in self.protocol.run(item)]
            except BaseException:  # noqa: BLE001 - a candidate may raise anything, KeyboardInterrupt too
                outcome = "overtime"
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        item.session.shouldstop = item.session.shouldfail = False
        if self._raised[0] == "Overtime":
            outcome = "overtime"
        found = set(self.outcomes)
        outcome = outcome or next(
            (known for known in ("failed", "skipped", "passed") if known in found), "failed"
        )
        return {
            "nodeid": nodeid,
            "outcome": outcome,
            "seconds": time.perf_counter() - started,
            "raised": self._raised[0],
            "place": self._raised[1],
            "note": self._raised[2],
        }


@contextlib.contextmanager
def _parameters(item: pytest.Item) -> Iterator[None]:
    """Parameters of its own for one run of a test, which a function under test may change, and an own instance."""
    call = getattr(item, "callspec", None)
    before = call.params if call is not None else None
    if call is not None:
        with contextlib.suppress(Exception):
            object.__setattr__(call, "params", copy.deepcopy(before))
    try:
        yield
    finally:
        if call is not None:
            object.__setattr__(call, "params", before)
        for name in ("_instance", "_obj"):
            item.__dict__.pop(name, None)


def _overtime(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Overtime


def _caches(project: Project) -> list[Any]:
    """The `functools.cache`s of the project: what they hold was computed by other code."""
    wrapped = [thing for thing in gc.get_objects() if type(thing) is functools._lru_cache_wrapper]
    codes = [
        (thing, getattr(getattr(thing, "__wrapped__", None), "__code__", None)) for thing in wrapped
    ]
    return [thing for thing, code in codes if code is not None and project.holds(code.co_filename)]
