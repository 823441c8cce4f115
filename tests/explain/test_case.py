"""The evidence on a cause, and the files that are read for it."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.case import MAX_IMPORTED, Case, build_cases
from pytest_starcoder.explain.failure import Cause, Failure, Frame
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.runner.outcome import Call, Outcome
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.syntax import syntax_tree

MODULE = """\
RATE = {number}


def price_{number}(amount):
    assert amount
    return amount * RATE + {number}
"""


def assertion(name: str) -> Cause:
    nodeid = f"test_a.py::{name}"
    return Cause((Failure(nodeid, "call", "AssertionError", "", "", asserted="shop.py:1"),))


def failing_on(line: int) -> Replay:
    return Replay((Outcome("n", "failed", lines={"shop.py": frozenset({line})}),))


def cases(folder: Path, *lines: int) -> list[Case]:
    """Return the cases of two assertions, each of which executes one line."""
    return build_cases(
        [assertion("test_one"), assertion("test_two")],
        [failing_on(line) for line in lines],
        SourceFiles(lambda _path: "a = b\nc = d\ne = f + 1\n"),
        History(folder),
        frozenset({"test_a.py"}),
    )


def test_causes_with_same_prime_suspect(tmp_path: Path) -> None:
    [case] = cases(tmp_path, 3, 3)
    assert case.cause.nodeids == ("test_a.py::test_one", "test_a.py::test_two")
    assert case.replay.statements == ("2 tests failed again when rerun",)
    assert len(cases(tmp_path, 3, 1)) == 2


def results_on_line_3(folder: Path, *calls: Call) -> tuple[str, ...]:
    """Return what is said about the calls of a test that fails on line 3."""
    source = "def test_one():\n\n    assert f(3) == 9\n"
    frame = Frame("test_a.py", 3, "test_one", 1, source)
    failure = Failure("test_a.py::test_one", "call", "AssertionError", "", "", (frame,))
    [case] = build_cases(
        [Cause((failure,))],
        [Replay((Outcome("test_a.py::test_one", "failed", calls=calls),))],
        SourceFiles(lambda _path: source),
        History(folder),
        frozenset({"test_a.py"}),
    )
    return case.replay.statements


def call(x: int, line: int, outcome: str = "", *, late: bool = False) -> Call:
    return Call("shop.py", 1, "f", f"x={x}", outcome or f"returned {x}", ("test_a.py", line), late)


def test_results_of_the_failing_line(tmp_path: Path) -> None:
    """Calls of other lines, and of earlier executions of the line, are not its calls."""
    calls = (call(0, 2), call(1, 3), call(3, 3, late=True), call(4, 3, "did not return", late=True))
    elsewhere = call(5, 4, late=True)
    assert results_on_line_3(tmp_path, *calls, elsewhere) == ("in the rerun, f(x=3) returned 3",)


def test_results_at_an_unknown_time(tmp_path: Path) -> None:
    assert results_on_line_3(tmp_path, call(0, 3)) == ("in the rerun, f(x=0) returned 0",)
    assert results_on_line_3(tmp_path, call(0, 3), call(1, 3)) == ()


def test_number_of_parses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Causes share what is computed from a file, however many files there are."""
    syntax_tree.cache_clear()
    files = {f"module_{number}.py": MODULE.format(number=number) for number in range(150)}
    executed = {path: frozenset({5, 6}) for path in files}
    imported = {path: frozenset({1, 4}) for path in files}
    nodeids = [f"test_all.py::test_{number}" for number in range(3)]
    files["test_all.py"] = "".join(f"def test_{number}(): ...\n" for number in range(3))
    causes = [Cause((Failure(nodeid, "call", "KeyError", nodeid, ""),)) for nodeid in nodeids]
    replays = [
        Replay((Outcome(nodeid, "failed", lines=executed, imported=imported),))
        for nodeid in nodeids
    ]
    counts: Counter[str] = Counter()
    parse = ast.parse

    def count(source: str, *arguments: object, **options: object) -> ast.AST:
        counts[source] += 1
        return parse(source, *arguments, **options)  # type: ignore[call-overload, no-any-return]

    with monkeypatch.context() as patch:
        patch.setattr(ast, "parse", count)
        sources = SourceFiles(files.__getitem__)
        build_cases(causes, replays, sources, History(tmp_path), frozenset({"test_all.py"}))
    assert len(counts) >= 150
    assert max(counts.values()) <= 3


def test_import_time_lines(tmp_path: Path) -> None:
    """Of many imported files, those with the words of the test are ranked."""
    files = {
        f"shop/module_{number}.py": f"RATE_{number} = {number}\n"
        for number in range(2 * MAX_IMPORTED)
    }
    files["test_all.py"] = "def test_rate():\n    assert RATE_117 == 3\n"
    nodeid = "test_all.py::test_rate"
    imported = {path: frozenset({1}) for path in files}
    outcome = Outcome(nodeid, "failed", lines={"test_all.py": frozenset({2})}, imported=imported)
    causes = [Cause((Failure(nodeid, "call", "AssertionError", "", ""),))]

    def ranked(deadline: Deadline | None = None) -> set[str]:
        sources, test_files = SourceFiles(files.__getitem__), frozenset({"test_all.py"})
        replays = [Replay((outcome,))]
        [case] = build_cases(causes, replays, sources, History(tmp_path), test_files, deadline)
        return {path for path, _ in case.ranked}

    assert "shop/module_117.py" in ranked()
    assert len(ranked()) <= MAX_IMPORTED
    assert ranked(Deadline.after(-1)) <= {"test_all.py"}
