"""Trials of drafts in this process: fast, without a sandbox, to test what follows from them."""

from __future__ import annotations

import ast
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Self

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.generate.bench import DraftBench
from pytest_starcoder.generate.draft import Draft, Target
from pytest_starcoder.generate.executed_code import ExecutedCode, JudgedDraft
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.trials import Trials
from pytest_starcoder.runner.worker_messages import Checks, Input, Judgement, Record
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.syntax import syntax_tree

Arcs = dict[str, set[tuple[int, int]]]

NO_LAUNCH = Launch(Path("/nowhere"), Path("/nowhere"))


class InProcessTrials(Trials):
    """Runs drafts that import the modules `sources`, by path; `calls` are observed by target.

    `failures` are problems of drafts, by the name of the draft.
    """

    def __init__(
        self,
        sources: Mapping[str, str],
        calls: Mapping[str, Sequence[str]],
        failures: Mapping[str, str],
    ) -> None:
        self.sources = sources
        self.calls = calls
        self.failures = failures
        self.level = Level.AUDIT
        self.ran_on_import = {path: frozenset[int]() for path in sources}
        self.unimportable: dict[str, str] = {}
        try:
            with modules(sources):
                pass
        except ImportError as exc:
            reason = f"{type(exc).__name__}: {exc}"
            self.unimportable = {module_name(path): reason for path in sources}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def distinct(self, mutants: Sequence[Edit]) -> list[Edit]:
        seen = {shape_of(path, source) for path, source in self.sources.items()}
        distinct = []
        for mutant in mutants:
            source = self.mutated(mutant)[mutant.path]
            if syntax_tree(source) is None:
                continue
            shape = shape_of(mutant.path, source)
            if shape not in seen:
                seen.add(shape)
                distinct.append(mutant)
        return distinct

    def mutated(self, *edits: Edit) -> dict[str, str]:
        sources = dict(self.sources)
        for edit in edits:
            text = sources[edit.path]
            sources[edit.path] = text[: edit.span[0]] + edit.after + text[edit.span[1] :]
        return sources

    def judge(self, drafts: Sequence[tuple[str, str]], limit: float) -> list[Judgement]:
        return [self.judge_together([draft], limit) for draft in drafts]

    def judge_together(self, drafts: Sequence[tuple[str, str]], limit: float) -> Judgement:
        for path, _ in drafts:
            problem = self.failures.get(Path(path).stem.removesuffix("_drafted"))
            if problem:
                return Judgement(problem)
        lines: dict[str, dict[str, frozenset[int]]] = {}
        steps: dict[str, dict[str, frozenset[tuple[int, int]]]] = {}
        rounds: list[tuple[Record, ...]] = []
        with modules(self.sources):
            for order in (drafts, drafts[::-1]):
                records = []
                for path, source in order:
                    record, arcs = run_draft(path, source, self.sources)
                    records.append(record)
                    lines.setdefault(record.nodeid, lines_of(arcs))
                    steps.setdefault(
                        record.nodeid, {file: frozenset(pairs) for file, pairs in arcs.items()}
                    )
                rounds.append(tuple(records))
        return Judgement("", tuple(rounds), lines, steps)

    def find_killers(
        self,
        mutants: Sequence[Edit],
        limits: Mapping[str, float],
        drafts: Sequence[tuple[str, str]] = (),
        *,
        every: bool = True,
    ) -> Iterator[tuple[Edit, frozenset[str]]]:
        for mutant in mutants:
            failed = []
            sources = self.mutated(mutant)
            for path, source in drafts:
                with modules(sources):
                    record, _ = run_draft(path, source, sources)
                if record.outcome == "failed" and record.nodeid in limits:
                    failed.append(record.nodeid)
            yield mutant, frozenset(failed if every else failed[:1])

    def observe(
        self,
        candidates: Sequence[tuple[Edit, ...]],
        checks: Checks,
        drafts: Sequence[tuple[str, str]] = (),
    ) -> tuple[list[Input], list[tuple[str, ...]]]:
        [mutant] = candidates[-1]
        line = mutant.line
        tree = ast.parse(self.sources[mutant.path])
        [function] = [
            node
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or 0)
        ]
        module = module_name(mutant.path)
        inputs = [
            Input(call, f"from {module} import {function.name}\n{call}")
            for call in self.calls.get(function.name, ())
        ]
        behaviours = []
        for edits in candidates:
            with modules(self.mutated(*edits)):
                behaviours.append(tuple(outcome_of(observed.code) for observed in inputs))
        return inputs, behaviours


@dataclass(frozen=True)
class InProcessBench(DraftBench):
    """A bench whose trials run in this process; `suite` are the existing tests."""

    launch: Launch = NO_LAUNCH
    min_level: Level = Level.NONE
    targets: Sequence[Target] = ()
    draws: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    calls: Mapping[str, Sequence[str]] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    failures_at_the_end: Mapping[str, str] = field(default_factory=dict)
    suite: Sequence[Draft] = ()

    def open(
        self, deadline: Deadline, suite: Sequence[str] = (), *, hash_seed: str = ""
    ) -> InProcessTrials:
        failures = self.failures_at_the_end if hash_seed else self.failures
        return InProcessTrials(self.sources, self.calls, failures)

    def trace(
        self, suite: Sequence[str], deadline: Deadline, warn: Callable[[str], object]
    ) -> dict[str, ExecutedCode]:
        trials = self.open(deadline)
        judgements = trials.judge([draft.module for draft in self.suite], 1.0)
        executions: dict[str, ExecutedCode] = {}
        for draft, judgement in zip(self.suite, judgements, strict=True):
            executions.update(JudgedDraft.of(draft, judgement).tests)
        return executions


def shape_of(path: str, source: str) -> tuple[str, str]:
    return path, ast.dump(ast.parse(source))


def module_name(path: str) -> str:
    return path.removesuffix(".py")


@contextmanager
def modules(sources: Mapping[str, str]) -> Iterator[None]:
    """Make `sources` importable as fresh modules."""
    before = {module_name(path): sys.modules.get(module_name(path)) for path in sources}
    try:
        for path, source in sources.items():
            module = ModuleType(module_name(path))
            sys.modules[module.__name__] = module
            exec(compile(source, path, "exec"), vars(module))
        yield
    finally:
        for name, module_before in before.items():
            sys.modules.pop(name, None)
            if module_before is not None:
                sys.modules[name] = module_before


def run_draft(path: str, source: str, sources: Mapping[str, str]) -> tuple[Record, Arcs]:
    """Run the test of a draft; return its record and the lines that ran one after the other."""
    arcs: Arcs = {}
    name = Path(path).stem.removesuffix("_drafted")
    nodeid = f"{path}::{name}"
    namespace: dict[str, Any] = {}
    try:
        exec(compile(source, path, "exec"), namespace)
        with traced(sources, arcs):
            namespace[name]()
    except Exception as exc:  # noqa: BLE001 - a draft may raise anything
        frame = traceback.extract_tb(exc.__traceback__)[-1]
        note = " ".join(" ".join(getattr(exc, "__notes__", ())).split())
        if not note and type(exc) is AssertionError:
            note = str(exc)
        place = f"{frame.filename}:{frame.lineno}"
        return Record(nodeid, "failed", 0.0, type(exc).__name__, place, note), arcs
    return Record(nodeid, "passed", 0.0), arcs


@contextmanager
def traced(sources: Mapping[str, str], arcs: Arcs) -> Iterator[None]:
    """Record the lines of `sources` that run one after the other; 0 is the end of a call."""
    last: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, _: object) -> Any:
        file = frame.f_code.co_filename
        if file not in sources:
            return None
        line = 0 if event == "return" else frame.f_lineno
        if event == "line" or event == "return":
            if frame in last:
                arcs.setdefault(file, set()).add((last[frame], line))
            last[frame] = line
        return trace

    tracer = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(tracer)


def lines_of(arcs: Arcs) -> dict[str, frozenset[int]]:
    return {
        file: frozenset(line for pair in pairs for line in pair if line)
        for file, pairs in arcs.items()
    }


def outcome_of(code: str) -> str:
    """Return "returns 3" or "raises ValueError" for an import and a call."""
    imports, _, call = code.partition("\n")
    namespace: dict[str, Any] = {}
    exec(imports, namespace)
    try:
        return f"returns {eval(call, namespace)!r}"
    except Exception as exc:  # noqa: BLE001 - a call may raise anything
        return f"raises {type(exc).__name__}"
