"""Tests of the scores, the results and the fingerprints of `benchmarks.broke`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.broke import describe, measure, ninetieth_percentile, rows
from benchmarks.broke_tools import Observation, differing, fingerprints
from benchmarks.named_changes import Piece, is_misplaced, pieces_of, score
from benchmarks.real_bugs import RealBug, changed_lines, git, read_bugs

FAULT = """\
diff --git a/src/pay.py b/src/pay.py
index 1111111..2222222 100644
--- a/src/pay.py
+++ b/src/pay.py
@@ -1,3 +1,2 @@
 def pay(amount):
-    check(amount)
-    return amount * RATE
+    return amount
"""

COMMIT = "0123456789abcdef0123456789abcdef01234567"

BUG = RealBug(
    "pay-1",
    "shop/pay",
    Path("pay-1.regression"),
    FAULT,
    ("tests/test_pay.py::test_pay",),
    ("tests/test_pay.py",),
    ("--deselect=tests/test_pay.py::test_slow",),
    ("src",),
)

RIGHT = {"path": "src/pay.py", "line": 2, "last": 1, "diff": "-    check(amount)\n", "commit": ""}
OTHER = {"path": "src/pay.py", "line": 9, "last": 9, "diff": "-    a = 1\n+    a = 2\n"}
ELSEWHERE = RIGHT | {"path": "src/other.py"}


def answer(*pieces: dict[str, Any], either: tuple[list[dict[str, Any]], ...] = ()) -> Any:
    return {"pieces": list(pieces), "either": list(either), "since": "HEAD", "seconds": 1.5}


def test_changed_lines_of_a_diff_have_path_and_sign() -> None:
    assert list(changed_lines(FAULT)) == [
        ("src/pay.py", "-check(amount)"),
        ("src/pay.py", "-return amount * RATE"),
        ("src/pay.py", "+return amount"),
    ]


@pytest.mark.parametrize(
    ("records", "named", "exact", "wrong_sets"),
    [
        ([answer(RIGHT)], True, True, 0),
        ([answer(RIGHT | {"path": "../src/pay.py"})], True, True, 0),
        ([answer(RIGHT, OTHER)], True, False, 0),
        ([answer(RIGHT), answer(OTHER)], True, False, 1),
        ([answer(ELSEWHERE)], False, False, 1),
        ([answer(either=([RIGHT], [OTHER]))], True, False, 1),
        ([answer()], False, False, 0),
        ([], False, False, 0),
    ],
    ids=[
        "fault",
        "root below",
        "more",
        "two causes",
        "other file",
        "either",
        "nothing",
        "no cause",
    ],
)
def test_score(records: list[Any], named: bool, exact: bool, wrong_sets: int) -> None:
    result = score(BUG, records)
    assert (result.named, result.exact, result.wrong_sets) == (named, exact, wrong_sets)
    assert result.seconds == 1.5 * len(records)
    assert result.commit is None


@pytest.mark.parametrize(
    ("commits", "named"),
    [
        ([COMMIT], True),
        ([COMMIT[:9]], True),
        ([f"{COMMIT[:9]} Pay twice"], True),
        ([COMMIT[:9], "f" * 40], False),
        (["f" * 40], False),
        ([""], False),
        ([], False),
    ],
)
def test_commit_score(commits: list[str], named: bool) -> None:
    pieces = [RIGHT | {"commit": commit} for commit in commits]
    assert score(replace(BUG, commit=COMMIT), [answer(*pieces)]).commit is named


@pytest.mark.parametrize(
    ("line", "last", "diff", "misplaced"),
    [
        (2, 2, ("-old", "+b"), False),
        (1, 3, ("+a", "+c"), False),
        (1, 1, ("+b",), True),
        (3, 4, ("+c",), True),
        (4, 3, ("-d",), False),
        (5, 4, ("-d",), True),
        (2, 2, ("-d",), True),
    ],
)
def test_piece_is_on_the_lines_that_it_adds(
    line: int, last: int, diff: tuple[str, ...], misplaced: bool
) -> None:
    assert is_misplaced(Piece("x.py", line, last, diff), "a\n  b\nc\n") is misplaced


def test_pieces_of_a_patch() -> None:
    assert [(piece["path"], piece["diff"]) for piece in pieces_of(FAULT)] == [
        ("src/pay.py", ["-check(amount)", "-return amount * RATE", "+return amount"])
    ]
    assert score(BUG, [{"pieces": list(pieces_of(FAULT))}]).exact


def test_rows_of_a_tool() -> None:
    measured = [
        (BUG, Observation("a", "ours", "1", [answer(RIGHT)], seconds=1.0, cpu=0.5)),
        (BUG, Observation("b", "ours", "1", [answer(OTHER)], seconds=3.0, touched=["x"])),
        (BUG, Observation("c", "ours", "1", problem="no report")),
    ]
    assert {row.what.removeprefix("ours: "): row.measured for row in rows("ours", measured)} == {
        "bugs": "3",
        "runs without a result": "1",
        "a line of the fault is named": "1 of 3 (33%)",
        "and no line outside it": "1 of 3 (33%)",
        "sets without a line of the fault": "1",
        "search, s, median / p90": "1.5 / 1.5",
        "added to the run, s, median / p90": "2.0 / 3.0",
        "added processor time, s, median / p90": "0.2 / 0.5",
        "pieces on other lines": "0",
        "changed trees": "1",
    }


def test_commits_have_a_row() -> None:
    bug = replace(BUG, commit=COMMIT)
    measured = [(bug, Observation("a", "ours", "1", [answer(RIGHT | {"commit": COMMIT})]))]
    [row] = [row for row in rows("ours", measured) if "commit" in row.what]
    assert row.measured == "1 of 1 (100%)"


def test_nine_of_ten_values_do_not_exceed_the_percentile() -> None:
    assert ninetieth_percentile(range(1, 11)) == 9
    assert ninetieth_percentile([4.0]) == 4.0


def test_description_of_a_result() -> None:
    observation = Observation("a", "ours", "1", [answer(OTHER)], 2.0, 1.0, ["x.py"], 1)
    assert describe(BUG, observation) == (
        "WRONG, 1.5 s of search, +2.0 s, processor +1.0 s, TOUCHED x.py, 1 pieces on other lines"
    )


@dataclass(frozen=True)
class FakeTool:
    """A tool that names the fault, or breaks."""

    breaks: bool = False
    version: str = "1"
    name: str = "fake"
    runs: list[str] = field(default_factory=list)

    def measure(self, bug: RealBug) -> Observation:
        self.runs.append(bug.name)
        if self.breaks:
            raise OSError("disk full")
        return Observation(bug.tree.name, self.name, self.version, [answer(RIGHT)])


def test_results_of_the_same_version_are_used_again(tmp_path: Path) -> None:
    results = tmp_path / "broke.jsonl"
    first, second, newer = FakeTool(), FakeTool(), FakeTool(version="2")
    measured = [measure([tool], [BUG], results) for tool in (first, second, newer)]
    assert [tool.runs for tool in (first, second, newer)] == [["pay-1"], [], ["pay-1"]]
    [(_, made)], [(_, read)] = measured[0]["fake"], measured[1]["fake"]
    assert read.answers == made.answers == [answer(RIGHT)]


def test_a_run_that_broke_is_repeated(tmp_path: Path) -> None:
    results = tmp_path / "broke.jsonl"
    [(_, broken)] = measure([FakeTool(breaks=True)], [BUG], results)["fake"]
    assert broken.problem == "OSError: disk full"
    assert describe(BUG, broken) == "no result: OSError: disk full"
    tool = FakeTool()
    measure([tool], [BUG], results)
    assert tool.runs == ["pay-1"]


def test_bugs_that_are_laid_out(tmp_path: Path) -> None:
    row = {
        "id": "pay-1",
        "repo": "shop/pay",
        "tests": ["test_pay.py::test_pay"],  # pytest.ini is in the folder of the tests
        "files": BUG.files,
        "deselect": ["tests/test_pay.py::test_slow"],
        "pytest_args": [],
        "pythonpath": ["src"],
        "fixed_commit": COMMIT,
    }
    facts = {"fault": FAULT, "source": "src/pay.py"}
    (tmp_path / "pay-1.regression.json").write_text(json.dumps(facts))
    [bug] = read_bugs([row, row | {"id": "pay-2"}], tmp_path, "regression")
    assert bug == replace(BUG, tree=tmp_path / "pay-1.regression", fixed_commit=COMMIT)
    assert bug.venv == tmp_path / ".venvs" / "shop+pay"
    assert bug.environment(None) == {"PYTHONPATH": "src"}


def test_fingerprints_show_every_kind_of_change(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    for name in ("same", "changed", "removed", "executable"):
        (tmp_path / name).write_text(name)
    before = fingerprints(tmp_path)
    assert differing(before, fingerprints(tmp_path)) == []
    (tmp_path / "changed").write_text("otherwise")
    (tmp_path / "removed").unlink()
    (tmp_path / "executable").chmod(0o755)
    (tmp_path / ".git" / "new").touch()
    assert differing(before, fingerprints(tmp_path)) == [
        ".git/new",
        "changed",
        "executable",
        "git status",
        "removed",
    ]
