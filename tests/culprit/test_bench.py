"""Sets of changes handed to the worker, and what its records mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from support.fake_worker import BEFORE, TEST, Desk, Outcome

from pytest_starcoder.culprit.bench import OutOfTime, Verdict, is_same_failure
from pytest_starcoder.deadline import Deadline

OLD = "def f():\n    x = 1\n    y = 1\n    return x, y\n"
NEW = "def f():\n    x = 2\n    y = 2\n    return x, y\n"


def desk(outcome: Outcome = "failed", at_import: Sequence[str] = ()) -> Desk:
    old = {"a.py": OLD, "b.py": "z = 1\n"}
    new = {"a.py": NEW, "b.py": "z = 2\n"}
    return Desk(old, new, lambda texts: outcome, at_import=at_import)


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ("passed", Verdict.PASSES),
        ("failed", Verdict.FAILS),
        ("other failure", Verdict.UNKNOWN),
        ("skipped", Verdict.UNKNOWN),
        ("missing", Verdict.UNKNOWN),
    ],
)
@pytest.mark.parametrize("at_import", [[], ["a.py"]])
def test_verdicts(outcome: Outcome, verdict: Verdict, at_import: list[str]) -> None:
    fake = desk(outcome, at_import=at_import)
    [piece] = fake.bench.files["a.py"].pieces
    assert fake.oracle().judge(frozenset([piece])) is verdict
    assert (fake.worker.exchanges, fake.worker.imports) == (not at_import, len(at_import))


def test_verdicts_are_remembered() -> None:
    fake = desk()
    [piece] = fake.bench.files["a.py"].pieces
    oracle = fake.oracle()
    for _ in range(3):
        oracle.judge_all([frozenset([piece])])
    assert fake.worker.exchanges == fake.bench.tried == 1


@pytest.mark.parametrize("imported", [{}, {"a.py": frozenset({1, 2})}])
def test_lines_that_ran_at_import(imported: dict[str, frozenset[int]]) -> None:
    fake = desk()
    [piece] = fake.bench.files["a.py"].pieces
    fake.oracle(imported).judge(frozenset([piece]))
    assert fake.worker.imports == len(imported)


def test_texts() -> None:
    fake = desk()
    [first], [second] = (file.pieces for file in fake.bench.files.values())
    assert fake.bench.texts(frozenset()) == {}
    assert fake.bench.texts(frozenset([first])) == {"/project/a.py": OLD}
    assert fake.bench.texts(frozenset([first, second])) == {
        "/project/a.py": OLD,
        "/project/b.py": "z = 1\n",
    }


def test_divided_pieces() -> None:
    fake = desk()
    [piece] = fake.bench.files["a.py"].pieces
    x, y = fake.bench.split(piece)
    assert fake.bench.split(piece) == [x, y], "also a second time"
    assert fake.bench.texts(frozenset([y])) == {"/project/a.py": NEW.replace("y = 2", "y = 1")}
    assert fake.bench.texts(frozenset([piece])) == {"/project/a.py": OLD}
    [joined] = fake.bench.joined(frozenset([x, y]))
    assert joined == piece
    assert fake.bench.joined(frozenset([x])) == {x}


def test_joined_pieces_can_be_undone() -> None:
    old = "a = 1\nb = 1\nc = 1\n"
    fake = Desk({"a.py": old}, {"a.py": old.replace("1", "2")}, lambda texts: "failed")
    [piece] = fake.bench.files["a.py"].pieces
    a, b, _ = fake.bench.split(piece)
    [joined] = fake.bench.joined(frozenset([a, b]))
    assert joined.size == 4
    assert fake.bench.texts(frozenset([joined])) == {"/project/a.py": "a = 1\nb = 1\nc = 2\n"}


def test_invalid_python_is_not_run() -> None:
    old, new = "x = [\n    1,\n    2,\n]\n", "x = {\n    1,\n    2,\n}\n"
    fake = Desk({"a.py": old}, {"a.py": new}, lambda texts: "passed", at_import=["a.py"])
    pieces = fake.bench.files["a.py"].pieces
    assert fake.oracle().judge(frozenset(pieces[:1])) is Verdict.UNKNOWN
    assert fake.worker.imports == 0


def test_new_file_goes() -> None:
    fake = Desk({"new.py": None}, {"new.py": "x = 1\n"}, lambda texts: "passed")
    [piece] = fake.bench.files["new.py"].pieces
    assert fake.bench.texts(frozenset([piece])) == {"/project/new.py": None}


def test_no_time_left() -> None:
    fake = Desk({"a.py": OLD}, {"a.py": NEW}, lambda texts: "failed", deadline=Deadline.after(0))
    with pytest.raises(OutOfTime):
        fake.bench.run_afresh(frozenset(), {TEST: 1.0})
    with pytest.raises(OutOfTime):
        fake.bench.run([frozenset()], {TEST: 1.0})
    assert fake.bench.tried == 0


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"seconds": 3.0}, True),
        ({"place": "/project/test_it.py:9"}, True),
        ({"note": "assert 1 == 2"}, True),
        ({"raised": "ValueError"}, False),
        ({"function": "helper"}, False),
        ({"place": "/project/other.py:3"}, False),
        ({"outcome": "overtime"}, False),
        ({"outcome": "passed", "raised": "", "place": "", "function": ""}, False),
    ],
)
def test_same_failure(changes: dict[str, str], same: bool) -> None:
    assert is_same_failure(replace(BEFORE, **changes), BEFORE) is same  # type: ignore[arg-type]


def test_other_old_lines() -> None:
    seen: list[str | None] = []

    def run(texts: Mapping[str, str | None]) -> Outcome:
        seen.append(texts["a.py"])
        return "passed" if "x = 3" in (texts["a.py"] or "") else "failed"

    fake = Desk(
        {"a.py": OLD, "b.py": "z = 1\n"},
        {"a.py": NEW, "b.py": "z = 2\n"},
        run,
    )
    [piece] = fake.bench.files["a.py"].pieces
    [other] = fake.bench.files["b.py"].pieces
    first, second = fake.bench.split(piece)
    oracle = fake.oracle()
    for old, passes in (("    x = 3\n", True), ("    x = 4\n", False), ("", False)):
        pieces = frozenset([first, other])
        assert oracle.passes_with(pieces, first, (old,) if old else ()) is passes
        assert seen[-1] == NEW.replace("    x = 2\n", old)
    joined = fake.bench.joined(frozenset([first, second]))
    [both] = joined
    assert oracle.passes_with(joined, both, ("    x = 3\n", "    y = 3\n"))
    assert seen[-1] == NEW.replace("2", "3")
    assert not oracle.passes_with(joined, both, both.old)
    assert seen[-1] == OLD
