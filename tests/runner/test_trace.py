"""Traced lines and arcs, and the files of traced processes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from pytest_starcoder.runner.outcome import ExecutedLines
from pytest_starcoder.runner.protocol import encode
from pytest_starcoder.runner.trace import (
    TracedEnvironment,
    Tracer,
    hide_traces,
    read_processes,
    trace_process,
)

HERE = __file__


@pytest.fixture(autouse=True)
def trace_function() -> Iterator[None]:
    """Restore the trace function of a debugger, or of coverage."""
    trace, thread_trace = sys.gettrace(), threading.gettrace()
    yield
    sys.settrace(trace)
    threading.settrace(thread_trace)


def branches(values: Iterable[int]) -> int:
    total = 0
    for value in values:
        if value > 1:
            total += value
    return total


def fails() -> None:
    try:
        int("x")
    except ValueError:
        raise TypeError from None


def traced(function: Callable[[], object], *, arcs: bool = False) -> Tracer:
    tracer = Tracer(lambda filename: filename == HERE, record_arcs=arcs)
    tracer.start()
    try:
        function()
    except TypeError:
        pass
    finally:
        tracer.stop()
    return tracer


FIRST = branches.__code__.co_firstlineno


def test_lines() -> None:
    tracer = traced(lambda: branches([1]))
    assert {line - FIRST for line in tracer.lines[HERE]} >= {1, 2, 3, 5}
    assert FIRST + 4 not in tracer.lines[HERE]


def test_arcs() -> None:
    tracer = traced(lambda: branches([2]), arcs=True)
    arcs = {(a - FIRST, b - FIRST if b else 0) for a, b in tracer.arcs[HERE]}
    assert arcs >= {(1, 2), (2, 3), (3, 4), (4, 2), (2, 5), (5, 0)}


def test_arcs_after_exception() -> None:
    first = fails.__code__.co_firstlineno
    arcs = traced(fails, arcs=True).arcs[HERE]
    assert (first + 1, first + 2) in arcs
    assert not [arc for arc in arcs if arc[0] == first + 2], "the exception breaks the flow"


def test_no_trace_of_broken_filter() -> None:
    def broken(_filename: str) -> bool:
        raise OSError("null character")

    tracer = Tracer(broken)
    tracer.start()
    branches([1])
    tracer.stop()
    assert tracer.lines == {}


def test_cleared_tracer() -> None:
    tracer = traced(lambda: branches([1]), arcs=True)
    tracer.clear()
    assert (tracer.lines, tracer.arcs) == ({}, {})


def test_hidden_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "gettrace", sys.gettrace)  # restored at the end, like the other
    monkeypatch.setattr(sys, "settrace", sys.settrace)
    hide_traces(lambda filename: filename == HERE)

    def other(*_: object) -> None: ...

    seen: list[object] = []

    def trace_itself() -> None:
        seen.append(sys.gettrace())
        sys.settrace(other)
        seen.append(sys.gettrace())
        sys.settrace(None)
        branches([1])

    tracer = traced(trace_itself)
    assert seen == [None, other]
    assert FIRST + 1 in tracer.lines[HERE]
    assert sys.gettrace() is None


def test_other_trace_function_stays() -> None:
    def other(*_: object) -> None: ...

    tracer = Tracer(lambda filename: filename == HERE)
    tracer.start()
    sys.settrace(other)
    tracer.stop()
    assert sys.gettrace() is other


# --- processes that a test starts ---


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    traced_environment = TracedEnvironment(tmp_path, tmp_path / "processes")
    variables = {"PYTHONPATH": "lib", "A": "1"}
    traced_environment.add_to(variables)
    assert variables["PYTHONPATH"].endswith(f"startup{os.pathsep}lib")
    assert variables["STARCODER_TRACED_ROOT"] == str(tmp_path)
    traced_environment.remove_from(variables)
    assert variables == {"PYTHONPATH": "lib", "A": "1"}


@pytest.mark.parametrize("before", [None, ""], ids=["unset", "empty"])
def test_path_after_removal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if before is not None:
        monkeypatch.setenv("PYTHONPATH", before)
    traced_environment = TracedEnvironment(tmp_path, tmp_path)
    variables: dict[str, str] = {}
    traced_environment.add_to(variables)
    traced_environment.remove_from(variables)
    assert variables.get("PYTHONPATH") == before


def test_untraced_process() -> None:
    trace_process({})
    trace_process({"STARCODER_TRACED_ROOT": "/project", "STARCODER_TRACED_FOLDER": ""})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_files_of_processes(tmp_path: Path) -> None:
    lines = {"a.py": frozenset({1, 2})}
    os.mkfifo(tmp_path / "1.json")
    (tmp_path / "2.json").symlink_to("/dev/zero")
    (tmp_path / "3.json").mkdir()
    (tmp_path / "4.json").write_text("[" * 100_000)
    (tmp_path / "5.json").write_text('{"ExecutedLines": {"lines": {"a.py": "b"}}}')
    (tmp_path / "6.json").write_bytes(b"\xff")
    (tmp_path / "7.json").touch()
    os.truncate(tmp_path / "7.json", 1_500_000_000)
    (tmp_path / "8.json").write_bytes(encode(ExecutedLines(lines)))
    assert dict(read_processes(tmp_path)) == lines
    assert not (tmp_path / "8.json").exists()
    assert dict(read_processes(tmp_path)) == {}
