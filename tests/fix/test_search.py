"""The policy of the search for fixes: what is tried, confirmed and reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import pytest
from support.fake_laboratory import FakeLaboratory, case_of, places_of

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.fixes import Fixes
from pytest_starcoder.fix.laboratory import Bench
from pytest_starcoder.fix.search import EditSearch, Query, Suite
from pytest_starcoder.runner.trials import Edits, Trial, Unavailable
from pytest_starcoder.runner.worker_messages import Checks, Record
from pytest_starcoder.source.edits.edit import Edit

MEAN = "def mean(xs):\n    return sum(xs) / (len(xs) - 1)\n"
LIMITED = "def limited(n, most):\n    return n < most\n"
MEANS = "[mean([1, 2, 3]), mean([0, 0, 3, 5]), mean([1, 2])] == [2, 2, 1.5]"
FIRST = "t.py::test_first"


def edit(source: str, before: str, after: str, kind: str = "a kind") -> Edit:
    start = source.index(before)
    line = source[:start].count("\n") + 1
    return Edit("shop.py", (start, start + len(before)), before, after, kind, 1.0, line)


def search(
    laboratory: FakeLaboratory,
    failing: Sequence[str],
    passing: Sequence[str] = (),
    *,
    suite: Suite | None = None,
    seconds: float = 60,
    progress: Any = lambda tried: None,
    **query: Any,
) -> Fixes:
    case = case_of(laboratory.source, failing, passing)
    finder = EditSearch(laboratory, laboratory.sources, suite or Suite(()), progress)
    deadline = Deadline.after(seconds, "fix_timeout")
    return finder.find(Query(case, places_of(case), **query), deadline)


def search_one(
    source: str,
    test: str,
    neighbours: Mapping[str, str] | None = None,
    calls: Sequence[str] = (),
    **options: Any,
) -> Fixes:
    neighbours = neighbours or {}
    laboratory = FakeLaboratory(source, {FIRST: test, **neighbours}, calls)
    return search(laboratory, [FIRST], list(neighbours), **options)


def test_only_fix_is_checked() -> None:
    fixes = search_one(MEAN, MEANS, {"t.py::test_two": "mean([0, 5]) > 2"}, ["mean([4])"])
    [fix] = fixes.passing
    assert fix.checked
    assert fix.diff == (
        "--- a/shop.py\n+++ b/shop.py\n@@ -1,2 +1,2 @@\n def mean(xs):\n"
        "-    return sum(xs) / (len(xs) - 1)\n+    return sum(xs) / len(xs)\n"
    )
    assert (fix.path, fix.line) == ("shop.py", 2)
    assert fix.before == "    return sum(xs) / (len(xs) - 1)"
    assert fix.after == "    return sum(xs) / len(xs)"
    assert fix.verdict == "checked: 1 failing test passes, 1 neighbour still passes"
    assert (fix.level, fixes.level) == ("audit", "audit")
    assert fixes.tried > 5


def test_two_behaviours() -> None:
    fixes = search_one(LIMITED, "limited(3, 3)", calls=["limited(3, 3)", "limited(0, 3)"])
    first, second, *_ = fixes.passing
    assert (first.after, second.after) == ("    return n <= most", "    return n >= most")
    assert fixes.question == "limited(0, 3) returns True, or returns False?"
    assert fixes.answers[0] == "    from shop import limited\n\n    assert limited(0, 3) == True\n"
    assert not first.checked
    assert first.verdict == "passes the tests you have: 1 failing test passes"


def test_at_most_three_fixes() -> None:
    calls = [f"limited({n}, 3)" for n in range(7)]
    assert len(search_one(LIMITED, "limited(3, 3)", calls=calls).passing) == 3


def test_neighbours_exclude_fixes() -> None:
    neighbours = {"t.py::test_less": "limited(1, 3)", "t.py::test_more": "not limited(4, 3)"}
    fixes = search_one(LIMITED, "limited(3, 3)", neighbours, ["limited(0, 3)", "limited(9, 3)"])
    assert [fix.after for fix in fixes.passing] == ["    return n <= most"]


def test_edit_outside_functions() -> None:
    source = "LIMIT = 3\ndef total():\n    return LIMIT\ndef rate():\n    return LIMIT * 2\n"
    laboratory = FakeLaboratory(source, {FIRST: "(total(), rate()) == (4, 8)"})
    fixes = search(laboratory, [FIRST])
    assert fixes.passing[0].after == "LIMIT = 4"
    assert laboratory.imported


def test_pair_of_edits() -> None:
    source = "def both(a, b):\n    return (a < 3, b < 5)\n"
    test = "[both(n, n) for n in (2, 3, 4, 5, 6)] == [(n <= 3, n <= 5) for n in (2, 3, 4, 5, 6)]"
    [fix] = search_one(source, test).passing[:1]
    assert len(fix.edits) == 2


def test_nothing_found() -> None:
    fixes = search_one("def one():\n    return 1\n", "one() == 'nothing near'.split()")
    assert fixes.passing == ()
    assert fixes.tried > 0
    assert fixes.note == ""


PAY = "def pay(amount, rate):\n    return amount * rate\n"


def test_partial_fix() -> None:
    tests = {f"t.py::test_pay[{n}]": f"pay({n}.0, 1.5) == {n} + 1.5" for n in (2, 4, 6)}
    laboratory = FakeLaboratory(PAY, {**tests, "t.py::test_round": "pay(3.0, 1.5) == 5"})
    case_failing = [*tests]
    case = case_of(PAY, [*case_failing, "t.py::test_round"])
    replay = case.replay
    object.__setattr__(replay, "failing", replay.failing[:3])  # the last one was not run again
    finder = EditSearch(laboratory, laboratory.sources, Suite(()))
    [fix, *_] = finder.find(Query(case, places_of(case)), Deadline.after(60)).passing
    assert fix.still == ("t.py::test_round",)
    assert not fix.checked
    assert fix.verdict == (
        "passes the tests you have: 3 failing tests pass, 1 of the same cause still fails"
    )


def test_related_tests_decide() -> None:
    related = "t.py::test_related"
    laboratory = FakeLaboratory(
        LIMITED, {FIRST: "limited(3, 3)", related: "limited(9, 3)"}, ["limited(0, 3)"]
    )
    [fix, *_] = search(laboratory, [FIRST], related=[related]).passing
    assert fix.after == "    return n >= most"


def test_earlier_fix_first() -> None:
    laboratory = FakeLaboratory(MEAN, {FIRST: MEANS})
    [fix] = search(laboratory, [FIRST]).passing
    again = FakeLaboratory(MEAN, {FIRST: "mean([4]) == 4"})
    fixes = search(again, [FIRST], earlier_fixes=[fix])
    assert fixes.tried == 1
    assert fixes.passing[0].edits == fix.edits


def test_proposed_edits_only() -> None:
    proposed = [edit(MEAN, "(len(xs) - 1)", "len(xs)"), edit(MEAN, "- 1", "- 2")]
    laboratory = FakeLaboratory(MEAN, {FIRST: MEANS}, ["mean([4])"])
    [fix] = search(laboratory, [FIRST], proposed=proposed, model="tiny").passing
    assert fix.verdict == "passes the tests you have: 1 failing test passes; written by tiny"
    assert laboratory.tried == [(proposed[0],), (proposed[1],)]


def test_text_of_the_test_is_special() -> None:
    special = edit(MEAN, "sum(xs) / (len(xs) - 1)", "2", "string of the test")
    [fix] = search_one(MEAN, "mean([1, 2, 3]) == 2", proposed=[special]).passing
    assert fix.special
    assert fix.verdict.endswith("; contains a text of the test")


def test_unconfirmed_fix() -> None:
    laboratory = FakeLaboratory(MEAN, {FIRST: MEANS}, unconfirmed=[FIRST])
    fixes = search(laboratory, [FIRST])
    assert fixes.passing == ()
    assert fixes.note == "no change that passed passes again with all tests in their original order"


def test_confirmation_runs_the_suite_in_order() -> None:
    tests = {FIRST: MEANS, "t.py::test_b": "True", "t.py::test_a": "True"}
    laboratory = FakeLaboratory(MEAN, tests)
    suite = Suite(["t.py::test_b", FIRST, "t.py::test_a"], confirming=["t.py::test_a"])
    [fix] = search(laboratory, [FIRST], ["t.py::test_b"], suite=suite).passing
    assert laboratory.confirmed[0] == ["t.py::test_b", FIRST, "t.py::test_a"]
    assert fix.passing == ("t.py::test_b", "t.py::test_a")


def test_fast_suite_excludes_fixes() -> None:
    tests = {FIRST: "limited(3, 3)", "t.py::test_fast": "limited(0, 3)"}
    suite = Suite([*tests], fast=["t.py::test_fast"])
    fixes = search(FakeLaboratory(LIMITED, tests), [FIRST], suite=suite)
    after = [fix.after for fix in fixes.passing]
    assert "    return n <= most" in after
    assert "    return n >= most" not in after


@pytest.mark.parametrize(
    ("failing", "note"),
    [([], ""), ([FIRST], "the failure does not occur in the sandbox where changes are tried")],
    ids=["not-run-again", "passes-in-sandbox"],
)
def test_nothing_to_fix(failing: Sequence[str], note: str) -> None:
    fixes = search(FakeLaboratory(MEAN, {FIRST: "True"}), failing)
    assert (fixes.passing, fixes.tried, fixes.note) == ((), 0, note)


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (Unavailable("this platform cannot fork a process"), "this platform cannot fork a process"),
        (OSError("no memory"), "no process could be started: no memory"),
    ],
    ids=["unavailable", "no-process"],
)
def test_no_bench(error: Exception, note: str) -> None:
    class Closed(FakeLaboratory):
        def open_bench(self, *_: object) -> AbstractContextManager[Bench]:
            raise error

    assert search(Closed(MEAN, {FIRST: "False"}), [FIRST]) == Fixes(note=note)


def test_no_time() -> None:
    late = search_one(MEAN, MEANS, seconds=0.0)
    assert (late.passing, late.tried) == ((), 0)


@pytest.mark.parametrize(
    ("seconds", "note"),
    [
        (0.0, "no change was tried: time ran out (setting fix_timeout)"),
        (20.0, "no change was tried: the failing tests do not finish in the sandbox"),
    ],
    ids=["late", "crash"],
)
def test_failing_test_that_did_not_finish(seconds: float, note: str) -> None:
    class Silent(FakeLaboratory):
        def baseline(self, tests: Sequence[str], limit: float) -> dict[str, Record]:
            return {}

    fixes = search(Silent(MEAN, {FIRST: "False"}), [FIRST], seconds=seconds)
    assert (fixes.passing, fixes.tried, fixes.note) == ((), 0, note)


def test_interrupted_search_reports_fixes() -> None:
    def interrupt(tried: int) -> None:
        if tried == 30:
            raise KeyboardInterrupt

    fixes = search_one(LIMITED, "limited(3, 3)", progress=interrupt)
    assert fixes.tried == 30
    assert fixes.passing


def test_search_cut_short_is_unchecked() -> None:
    class Slow(FakeLaboratory):
        """Uses up the time of the search with its first candidates."""

        def open_bench(
            self, tests: Sequence[str], deadline: Deadline
        ) -> AbstractContextManager[Bench]:
            self.deadline = deadline
            return super().open_bench(tests, deadline)

        def try_in_functions(self, candidates: Sequence[Edits], checks: Checks) -> Iterator[Trial]:
            yield from super().try_in_functions(candidates, checks)
            object.__setattr__(self.deadline, "at", 0.0)

    [fix] = search(Slow(MEAN, {FIRST: MEANS}, ["mean([4])"]), [FIRST]).passing
    assert fix.after == "    return sum(xs) / len(xs)"
    assert not fix.checked
