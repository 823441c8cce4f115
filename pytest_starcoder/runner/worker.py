"""The pytest plugin of the process that tries edits, each in a fork; no file is changed.

`--starcoder-trials=FILE` names the job that `Trials` wrote. Two processes serve its commands:
`early` is forked before the project is imported, and its forks import edited source; `late`
has collected the tests, and its forks swap the code of functions.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NoReturn

import pytest

from pytest_starcoder.runner.behaviour import Inputs, code_of, outcome_of, outermost
from pytest_starcoder.runner.channel import Channel
from pytest_starcoder.runner.code_swap import (
    FileCode,
    Swap,
    Unswappable,
    functions_alive,
    identity,
    install,
    installed_code,
)
from pytest_starcoder.runner.draft_judge import judge_drafts
from pytest_starcoder.runner.draft_modules import collect_items, extend_import_path
from pytest_starcoder.runner.edited_source import serve_changed
from pytest_starcoder.runner.file_guard import FileGuard, guard_files
from pytest_starcoder.runner.fork_server import Task, exit_if_forked, serve
from pytest_starcoder.runner.item_runner import MAX_NOTE, ItemRunner, limit_processor_time
from pytest_starcoder.runner.protocol import decode
from pytest_starcoder.runner.quiet_fork import fork
from pytest_starcoder.runner.result_caches import project_caches
from pytest_starcoder.runner.sandbox import (
    adopt_orphans,
    die_with_parent,
    enter_sandbox,
    limit_forks,
)
from pytest_starcoder.runner.selection import Selection, StableNodeIds
from pytest_starcoder.runner.shared_state import Snapshot
from pytest_starcoder.runner.trace import Tracer
from pytest_starcoder.runner.worker_messages import (
    Behaviour,
    Candidate,
    ChangedState,
    Checks,
    Command,
    Done,
    DraftVerdict,
    Input,
    JudgeDrafts,
    NotReady,
    Observe,
    ObservedInputs,
    Ready,
    Record,
    TryEdits,
    Verdict,
    VerdictWord,
    WorkerJob,
)
from pytest_starcoder.source.project import Project
from pytest_starcoder.text.display import one_line

HYPOTHESIS_WARMUP = "pytest_starcoder.runner.hypothesis_warmup"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--starcoder-trials", help="internal")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    file = Path(early_config.known_args_namespace.starcoder_trials)
    job = decode(file.read_bytes(), (WorkerJob,))
    plugins = early_config.pluginmanager
    _give_descriptors(plugins)
    guard = guard_files(plugins, job.sandbox.folder / "redirected")
    worker = Worker(job, guard)
    plugins.register(worker, "starcoder-worker")
    plugins.register(StableNodeIds(worker.project), "starcoder-node-ids")
    plugins.register(worker.selection, "starcoder-selection")
    worker.warm_up()
    worker.split()
    try:
        return (yield)
    except Exception as exc:
        worker.report_failure(exc)
        raise


def _give_descriptors(plugins: pytest.PytestPluginManager) -> None:
    """Give pytest's fast in-memory streams the descriptors of the streams they replace."""

    def fileno(stream: object) -> int:
        return 2 if stream is sys.stderr else 1

    capture: Any = plugins.get_plugin("capture")  # the one of pytest itself
    if capture is not None:
        capture.CaptureIO.fileno = fileno


class Worker:
    """Serves commands in two processes, and runs tests in their forks."""

    def __init__(self, job: WorkerJob, guard: FileGuard) -> None:
        self._job = job
        self._guard = guard
        self.project = Project(job.root, job.around)
        self.selection = Selection(job.tests)
        # Commands may be long: they hold whole files, and come from our own process.
        self._early = Channel(job.early, sys.maxsize)
        self._late = Channel(job.late, sys.maxsize)
        self._imported: dict[str, frozenset[int]] = {}
        self._unimportable: dict[str, str] = {}
        self._task: Task | None = None
        self._runner = ItemRunner()
        self._level = enter_sandbox(job.sandbox)

    def warm_up(self) -> None:
        """Import Hypothesis before any fork; each would need it, and under trace it is slow."""
        if self._job.draws:
            self._import(HYPOTHESIS_WARMUP)

    def split(self) -> None:
        """Fork the late process. Returns there, and in each fork that imports edited source."""
        late = fork()
        adopt_orphans()
        if late == 0:
            die_with_parent()
            self._early.close()
            return
        self._late.close()
        self._task = serve(self._early, _run_all, late)
        files = self._task.candidates[0].files
        serve_changed(files)
        self._guard.serve(files)

    def report_failure(self, exc: Exception) -> None:
        """Report that the project's own plugins cannot be loaded."""
        if self._task is not None:
            return  # an edit may have caused it: the server reports the candidate as crashed
        reason = str(exc).replace(f"{self._job.root}{os.sep}", "")
        with contextlib.suppress(OSError):  # nobody waits for it any more
            self._late.send(NotReady(one_line(reason, MAX_NOTE)))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Import the modules of the job, and record the lines that all imports execute."""
        if not self._job.modules:
            return (yield)
        tracer = Tracer(self.project.holds)
        tracer.start()
        try:
            return (yield)
        finally:
            for folder in self._job.folders:
                extend_import_path(session.config, self._job.root / folder)
            for name in self._job.modules:
                self._import(name)
            tracer.stop()
            _load_hypothesis_profile("JUDGED")  # after the project has loaded its own
            for file, lines in tracer.lines.items():
                self._imported[self.project.path_of(file)] = frozenset(lines)

    def _import(self, name: str) -> None:
        try:
            importlib.import_module(name)
        except BaseException as exc:  # noqa: BLE001 - a module may raise anything, SystemExit too
            reason = f"{type(exc).__name__}: {exc}"
            self._unimportable[name] = one_line(reason, MAX_NOTE)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> NoReturn:
        """Run one candidate and exit if it was imported with edits; else serve commands."""
        self._runner.start(session, self.project, self.selection.problems)
        if self._task is not None:
            Trial(session, self._runner, self._task, self.project).run()
        # Looking through all objects takes long, so it is done once, before any fork.
        compiler = SwapCompiler(self.project)
        caches = project_caches(self.project)
        ready = Ready(
            collected=frozenset(self._runner.items),
            level=self._level,
            imported=self._imported,
            unimportable=self._unimportable,
            missing=self.selection.missing,
        )
        self._late.send(ready)
        task = serve(self._late, compiler.prepare)
        Trial(session, self._runner, task, self.project, compiler.swaps, caches).run()

    @pytest.hookimpl
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport:
        """Create a report without its text: rendering it takes longer than many a test."""
        self._runner.note_exception(call)
        outcome: Any = "passed"
        longrepr: Any = None
        if call.excinfo is not None:
            if isinstance(call.excinfo.value, pytest.skip.Exception):
                outcome, longrepr = "skipped", (str(item.path), 1, "")
            else:
                outcome, longrepr = "failed", call.excinfo.typename
        return pytest.TestReport(
            item.nodeid,
            item.location,
            keywords={},
            outcome=outcome,
            longrepr=longrepr,
            when=call.when,  # type: ignore[arg-type]  # never "collect" here
            duration=call.duration,
            start=call.start,
            stop=call.stop,
        )

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._runner.note_report(report)


def _run_all(command: Command) -> tuple[list[Verdict], list[Candidate]]:
    return [], list(command.candidates)


def _load_hypothesis_profile(profile: str) -> None:
    """Load a profile of the warm-up module, if drafts may be Hypothesis tests."""
    warmup = sys.modules.get(HYPOTHESIS_WARMUP)
    if warmup is not None:
        warmup.settings.load_profile(getattr(warmup, profile))


class SwapCompiler:
    """Compiles candidates before the fork, so that equal ones are run once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._functions: dict[str, list[Any]] = {}
        for filename, functions in functions_alive(project.holds).items():
            # Imports from `.` or `..` leave such parts in the names of files.
            path = os.path.normpath(filename)
            self._functions.setdefault(path, []).extend(functions)
        self._files: dict[str, FileCode] = {}
        self._tried: set[object] = set()
        self.swaps: dict[int, Swap] = {}
        """The candidates of the current command that can be run, by number."""

    def prepare(self, command: Command) -> tuple[list[Verdict], list[Candidate]]:
        """Return the verdicts on candidates that need not run, and the candidates to run."""
        self.swaps = {}
        skips_duplicates = isinstance(command, TryEdits) and command.skips_duplicates
        verdicts, runnable = [], []
        for candidate in command.candidates:
            verdict = self._compile(candidate, skips_duplicates)
            if verdict is None:
                runnable.append(candidate)
            else:
                verdicts.append(Verdict(candidate.number, verdict))
        return verdicts, runnable

    def _compile(self, candidate: Candidate, skips_duplicates: bool) -> VerdictWord | None:
        """Add the candidate to `swaps`, or return why it need not run."""
        swap: dict[Any, CodeType] = {}
        try:
            for path, changes in candidate.changes.items():
                swap |= self._file(path).swap(changes)
        except Unswappable:
            return "unswappable"
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return "invalid"
        if candidate.changes:
            code = identity(swap)
            if code == identity(installed_code(swap)):
                return "unchanged"
            if skips_duplicates and code in self._tried:
                return "duplicate"
            self._tried.add(code)
        self.swaps[candidate.number] = swap
        return None

    def _file(self, path: str) -> FileCode:
        if path not in self._files:
            file = self._project.file(path)
            try:
                source = file.read_text("utf-8")
            except OSError:
                raise Unswappable("it cannot be read") from None
            functions = self._functions.get(str(file), [])
            self._files[path] = FileCode(str(file), source, functions)
        return self._files[path]


class Trial:
    """Tries the candidates of one fork, sends the replies, and exits."""

    def __init__(
        self,
        session: pytest.Session,
        runner: ItemRunner,
        task: Task,
        project: Project,
        swaps: Mapping[int, Swap] | None = None,
        caches: Sequence[Any] = (),
    ) -> None:
        self._session = session
        self._runner = runner
        self._task = task
        self._project = project
        self._swaps = swaps or {}
        self._caches = caches
        self._results = Channel(task.results)

    def run(self) -> NoReturn:
        limit_forks()
        limit_processor_time()
        match self._task.command:
            case TryEdits() as command:
                self._add_drafts(command.drafts)
                self._try_edits(command)
            case Observe() as command:
                self._add_drafts(command.drafts)
                self._observe(command)
            case JudgeDrafts() as command:
                self._judge(command)
        self._results.send(Done())
        os._exit(0)

    def _add_drafts(self, drafts: Sequence[tuple[str, str]]) -> None:
        """Collect the tests of drafts, without Hypothesis simplifying their failures."""
        _load_hypothesis_profile("KILLING")
        for path, source in drafts:
            for item in collect_items(self._session, Path(path), source):
                self._runner.items[item.nodeid] = item

    def _try_edits(self, command: TryEdits) -> None:
        process = os.getpid()
        for candidate in self._task.candidates:
            # A cache may hold what other code has computed.
            for cache in self._caches:
                cache.cache_clear()
            original = install(self._swaps.get(candidate.number, {}))
            changed: list[ChangedState] = []
            if command.in_session:
                verdict, records, changed = self._run_session(candidate, command)
            else:
                verdict, records = self._check(command.checks, every=command.every)
            install(original)
            exit_if_forked(process)
            self._results.send(Verdict(candidate.number, verdict, tuple(records), tuple(changed)))
            if verdict == "overtime":
                break  # pytest was interrupted somewhere: its state is unknown

    def _check(self, checks: Checks, *, every: bool) -> tuple[VerdictWord, list[Record]]:
        records = []
        for nodeid, limit in checks.limits.items():
            record = self._runner.run(nodeid, limit)
            records.append(record)
            if record.outcome == "overtime":
                return "overtime", [record]
            if record.outcome != "passed" and not every:
                return "fails" if nodeid in checks.failing else "breaks", [record]
        return "passes", records

    def _run_session(
        self, candidate: Candidate, command: TryEdits
    ) -> tuple[VerdictWord, list[Record], list[ChangedState]]:
        """Run the checks as in a session; also return the state that differs before the last."""
        snapshot: Snapshot | None = None
        if command.reports_state or candidate.restored:
            snapshot = Snapshot(self._project)
            self._session.config.pluginmanager.register(snapshot, "starcoder-snapshot")
        records: list[Record] = []
        changed: list[ChangedState] = []
        verdict: VerdictWord = "passes"
        limits = command.checks.limits
        for nodeid, following in zip_longest(limits, list(limits)[1:], fillvalue=""):
            if not following and snapshot is not None:
                changed = snapshot.changed()
                snapshot.restore(candidate.restored)
            record = self._runner.run(nodeid, limits[nodeid], following, in_session=True)
            records.append(record)
            if record.outcome == "overtime":
                return "overtime", records, changed
            if record.outcome != "passed":
                verdict = "breaks"
        return verdict, records, changed

    def _observe(self, command: Observe) -> None:
        """Record the inputs of the tests, then call the functions of each candidate with them."""
        functions: set[FunctionType] = set()
        for swap in self._swaps.values():
            functions.update(outermost(swap))
        inputs = Inputs(functions)
        first_swap = self._swaps[min(self._swaps)]
        # The first candidate may reach calls that the original code does not.
        for recorded_swap in ({}, first_swap):
            original = install(recorded_swap)
            for nodeid, limit in command.checks.limits.items():
                with inputs.recording():
                    self._runner.run(nodeid, limit)
            install(original)
        calls = inputs.with_variations()
        for candidate in self._task.candidates:
            original = install(self._swaps[candidate.number])
            outcomes = tuple(outcome_of(call, command.limit) for call in calls)
            install(original)
            self._results.send(Behaviour(candidate.number, outcomes))
        observed = []
        for call in calls:
            observed.append(Input(call.text, code_of(call)))
        self._results.send(ObservedInputs(tuple(observed)))

    def _judge(self, command: JudgeDrafts) -> None:
        for candidate in self._task.candidates:
            judgement = judge_drafts(
                self._session, candidate.modules, self._run_items, command.limit
            )
            self._results.send(DraftVerdict(candidate.number, judgement))

    def _run_items(self, items: Sequence[pytest.Item], limit: float) -> list[Record]:
        self._runner.items = {item.nodeid: item for item in items}
        return [self._runner.run(item.nodeid, limit) for item in items]
