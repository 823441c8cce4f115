"""Values computed from files are computed once per report, however many files there are."""

from __future__ import annotations

import ast
import os
from collections import Counter
from pathlib import Path

import pytest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.case import MAX_IMPORTED, build_cases
from pytest_starcoder.explain.failure import Cause, Failure
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.syntax import syntax_tree

MODULE = "RATE = {number}\n\n\ndef price_{number}(amount):\n    assert amount\n    return amount * RATE + {number}\n"


def test_each_answer_once() -> None:
    asked: list[str] = []

    def length(text: str) -> int:
        asked.append(text)
        return len(text)

    sources = SourceFiles(lambda path: asked.append(path) or path * 2)  # type: ignore[func-returns-value]
    assert [sources.derive("ab", length), sources.derive("ab", length), sources("ab")] == [
        4,
        4,
        "abab",
    ]
    assert asked == ["ab", "abab"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"x = '\xe4'\n")
    assert SourceFiles.below(tmp_path)("latin.py") == "x = '\ufffd'\n"
    assert SourceFiles.below(tmp_path)("missing.py") == ""
    assert SourceFiles.below(tmp_path)("nul\0.py") == ""


def parses(
    monkeypatch: pytest.MonkeyPatch, folder: Path, modules: int, causes: int
) -> Counter[str]:
    """Count how often each text is parsed for causes whose tests import and run all modules."""
    syntax_tree.cache_clear()
    files = {f"module_{number}.py": MODULE.format(number=number) for number in range(modules)}
    body = "".join(
        f"\n\ndef test_{number}():\n    assert run() == {number}\n" for number in range(causes)
    )
    files["test_all.py"] = "from shop import run\n" + body
    executed = {path: frozenset({5, 6}) for path in files if path != "test_all.py"}
    imported = {path: frozenset({1, 4}) for path in executed}
    found, replays = [], []
    for number in range(causes):
        nodeid = f"test_all.py::test_{number}"
        found.append(Cause((Failure(nodeid, "call", "AssertionError", f"{number}", ""),)))
        replays.append(Replay((Outcome(nodeid, "failed", lines=executed, imported=imported),)))
    counts: Counter[str] = Counter()
    parse = ast.parse

    def counting(source: str, *arguments: object, **options: object) -> ast.AST:
        counts[source] += 1
        return parse(source, *arguments, **options)  # type: ignore[call-overload, no-any-return]

    with monkeypatch.context() as patched:
        patched.setattr(ast, "parse", counting)
        build_cases(
            found,
            replays,
            SourceFiles(files.__getitem__),
            History(folder),
            frozenset({"test_all.py"}),
        )
    return counts


def test_each_file_is_parsed_a_few_times(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    counts = parses(monkeypatch, tmp_path, modules=150, causes=3)
    assert len(counts) >= 150
    assert max(counts.values()) <= 3


def test_of_many_files_the_nearest_are_ranked(tmp_path: Path) -> None:
    files = {
        f"shop/module_{number}.py": f"RATE_{number} = {number}\n"
        for number in range(2 * MAX_IMPORTED)
    }
    files["test_all.py"] = "def test_rate():\n    assert RATE_117 == 3\n"
    imported = {path: frozenset({1}) for path in files}
    outcome = Outcome(
        "test_all.py::test_rate", "failed", lines={"test_all.py": frozenset({2})}, imported=imported
    )
    cause = Cause((Failure("test_all.py::test_rate", "call", "AssertionError", "", ""),))
    asked = (SourceFiles(files.__getitem__), History(tmp_path), frozenset({"test_all.py"}))
    [case] = build_cases([cause], [Replay((outcome,))], *asked)
    assert ("shop/module_117.py", 1) in case.ranked
    assert len({path for path, _ in case.ranked}) <= MAX_IMPORTED
    [late] = build_cases([cause], [Replay((outcome,))], *asked, Deadline.after(-1))
    assert {path for path, _ in late.ranked} <= {"test_all.py"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_only_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("x = 1\n")
    (tmp_path / "link.py").symlink_to("shop.py")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    (tmp_path / "folder.py").mkdir()
    names = ("shop.py", "link.py", "pipe.py", "zero.py", "folder.py", "gone.py")
    assert [SourceFiles.below(tmp_path)(name) for name in names] == [
        "x = 1\n",
        "x = 1\n",
        "",
        "",
        "",
        "",
    ]
