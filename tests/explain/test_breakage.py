"""Sentences on the change that broke tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.failures import FAILURE

from pytest_starcoder.explain.breakage import NO_BREAKAGE, Breakage, BrokenBy, listed_tests
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.explanation import describe_case
from pytest_starcoder.explain.failure import Cause
from pytest_starcoder.explain.question import Question
from pytest_starcoder.redaction.redactor import redact

A = BrokenBy("a.py", 3, 3, "-old\n+new")
B = BrokenBy("b.py", 7, 8, "-old\n+new\n+more")
C = BrokenBy("c.py", 1, 1, "-old\n+new")
DELETED_LINE = BrokenBy("a.py", 3, 2, "-old")
DELETED_LINES = BrokenBy("a.py", 3, 2, "-old\n-more")
NEW_FILE = BrokenBy("new.py", 1, 1, "+new", whole=True)
DELETED_FILE = BrokenBy("gone.py", 1, 0, "-old", whole=True)

BROKEN = Breakage((A,), since="the last commit", failing=("t.py::one",))


def nodeids(number: int) -> tuple[str, ...]:
    return tuple(f"t.py::test_{index}" for index in range(number))


def committed(piece: BrokenBy, commit: str) -> BrokenBy:
    return replace(piece, commit=commit)


# --- the change ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "change"),
    [
        ((A,), "a.py:3, changed since the last commit: undoing it"),
        ((A, B), "a.py:3 and b.py:7, changed since the last commit: undoing both"),
        ((A, B, C), "a.py:3, b.py:7 and c.py:1, changed since the last commit: undoing all 3"),
        (
            tuple(replace(A, line=line, last=line) for line in range(1, 8)),
            "a.py:1, a.py:2, a.py:3, a.py:4 and 3 other places, changed since the last commit: "
            "undoing all 7",
        ),
        ((DELETED_LINE,), "a.py:3, where a line was deleted since the last commit: undoing it"),
        (
            (DELETED_LINES,),
            "a.py:3, where 2 lines were deleted since the last commit: undoing it",
        ),
        (
            (DELETED_LINE, DELETED_LINES),
            "a.py:3 (1 line deleted here) and a.py:3 (2 lines deleted here), changed since the "
            "last commit: undoing both",
        ),
        ((NEW_FILE,), "new.py, added since the last commit: undoing it"),
        ((DELETED_FILE,), "gone.py, deleted since the last commit: undoing it"),
        (
            (DELETED_FILE, NEW_FILE),
            "gone.py (deleted) and new.py (new file), changed since the last commit: undoing both",
        ),
    ],
)
def test_change(pieces: tuple[BrokenBy, ...], change: str) -> None:
    assert replace(BROKEN, pieces=pieces).verdict == f"{change}, 1 failing test passes"


@pytest.mark.parametrize(
    ("pieces", "change"),
    [
        ((committed(A, "1f3c9ab Sum all"),), "a.py:3, changed in 1f3c9ab (Sum all)"),
        (
            (committed(DELETED_LINE, "1f3c9ab Sum all"),),
            "a.py:3, where a line was deleted in 1f3c9ab (Sum all)",
        ),
        (
            (committed(A, "1f3c9ab Sum all"), committed(B, "1f3c9ab Sum all")),
            "a.py:3 and b.py:7, changed in 1f3c9ab (Sum all)",
        ),
        (
            (committed(A, "1f3c9ab Sum all"), committed(B, "2a3c9ab Round")),
            "a.py:3 and b.py:7, changed in 1f3c9ab (Sum all) and 2a3c9ab (Round)",
        ),
        (
            (committed(A, "1f3c9ab Sum all"), B),
            "a.py:3 and b.py:7, changed in 1f3c9ab (Sum all) and the working tree",
        ),
    ],
)
def test_commits(pieces: tuple[BrokenBy, ...], change: str) -> None:
    assert replace(BROKEN, pieces=pieces).verdict.startswith(f"{change}: undoing ")


@pytest.mark.parametrize(
    ("either", "change"),
    [
        (((B,),), "a.py:3, or b.py:7, changed since the last commit: undoing either"),
        (
            ((B, C),),
            "a.py:3, or b.py:7 and c.py:1, changed since the last commit: undoing either",
        ),
        (
            ((B,), (DELETED_LINE,)),
            "a.py:3, or b.py:7, or a.py:3 (1 line deleted here), changed since the last commit: "
            "undoing any of them",
        ),
    ],
)
def test_either(either: tuple[tuple[BrokenBy, ...], ...], change: str) -> None:
    assert replace(BROKEN, either=either).verdict == f"{change}, 1 failing test passes"


def test_commits_of_either() -> None:
    first, second = committed(A, "1f3c9ab Sum all"), committed(B, "2a3c9ab Round")
    assert replace(BROKEN, pieces=(first,), either=((second,),)).verdict == (
        "a.py:3, or b.py:7, changed in 1f3c9ab (Sum all) and 2a3c9ab (Round): undoing either, "
        "1 failing test passes"
    )


# --- what undoing it has shown -------------------------------------------------------------


@pytest.mark.parametrize(
    ("failing", "passing", "shown"),
    [
        (nodeids(1), (), "1 failing test passes"),
        (nodeids(6), (), "6 failing tests pass"),
        (nodeids(1), nodeids(1), "1 failing test passes and 1 neighbour still does"),
        (nodeids(6), nodeids(14), "6 failing tests pass and 14 neighbours still do"),
        (("t.py",), (), "1 file can be collected"),
        (("t.py", "u.py"), (), "2 files can be collected"),
        (
            ("t.py", *nodeids(2)),
            nodeids(1),
            "1 file can be collected, 2 failing tests pass and 1 neighbour still does",
        ),
    ],
)
def test_shown(failing: tuple[str, ...], passing: tuple[str, ...], shown: str) -> None:
    verdict = replace(BROKEN, failing=failing, passing=passing).verdict
    assert verdict == f"a.py:3, changed since the last commit: undoing it, {shown}"


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        (
            {"needing": nodeids(1), "passing": nodeids(13)},
            "13 neighbours still do; 1 of 14 needs it",
        ),
        (
            {"needing": nodeids(2), "passing": nodeids(12)},
            "12 neighbours still do; 2 of 14 need it",
        ),
        ({"needing": nodeids(1)}, "1 failing test passes; 1 neighbour needs it"),
        ({"needing": nodeids(2)}, "1 failing test passes; 2 neighbours need it"),
        ({"needing": nodeids(2), "pieces": (A, B)}, "; 2 neighbours need them"),
        ({"needing": nodeids(2), "either": ((B,),)}, "; 2 neighbours need the first"),
        ({"still": nodeids(1)}, "1 failing test passes; 1 of the same cause still fails"),
        ({"still": nodeids(2)}, "1 failing test passes; 2 of the same cause still fail"),
        (
            {"needing": nodeids(1), "still": nodeids(2)},
            "; 1 neighbour needs it; 2 of the same cause still fail",
        ),
    ],
)
def test_exceptions(changes: dict[str, Any], end: str) -> None:
    assert replace(BROKEN, **changes).verdict.endswith(end)


# --- the other changes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("breakage", "context"),
    [
        (replace(BROKEN, total=1, files=1, harmless=True), ""),
        (
            replace(BROKEN, total=2, files=1, harmless=True),
            "1 of 2 changes in 1 file; the other makes no difference",
        ),
        (
            replace(BROKEN, total=17, files=5, harmless=True),
            "1 of 17 changes in 5 files; the other 16 make no difference",
        ),
        (replace(BROKEN, total=17, files=5), "1 of 17 changes in 5 files"),
        (replace(BROKEN, pieces=(A, B), total=17, files=5), "2 of 17 changes in 5 files"),
        (replace(BROKEN, either=((B,), (A, C)), total=17, files=5), "3 of 17 changes in 5 files"),
        (
            replace(BROKEN, pieces=(replace(A, path="t.py"),), total=17, only_test=True),
            "only the test changed; the code is as committed",
        ),
        (
            replace(BROKEN, pieces=(replace(A, path="conftest.py"),), total=17, only_test=True),
            "only support code of the tests changed; the code is as committed",
        ),
    ],
)
def test_context(breakage: Breakage, context: str) -> None:
    assert breakage.context == context


@pytest.mark.parametrize(
    ("left_out", "text"),
    [
        ((), ""),
        (("a.bin (binary)",), "not undone: a.bin (binary)"),
        (("a.bin (binary)", "b"), "not undone: a.bin (binary) and b"),
        (("a.bin (binary)", "b", "c", "d"), "not undone: a.bin (binary), b and 2 more"),
    ],
)
def test_not_undone(left_out: tuple[str, ...], text: str) -> None:
    assert Breakage(left_out=left_out).not_undone == text


# --- earlier tests -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "state", "order"),
    [
        ((), "", ""),
        (("t.py::a",), "", "after t.py::a"),
        (("t.py::a",), "DEFAULTS", "after t.py::a: it leaves DEFAULTS changed"),
        (
            ("t.py::a", "t.py::b"),
            "DEFAULTS",
            "after t.py::a and t.py::b: together they leave DEFAULTS changed",
        ),
    ],
)
def test_order(after: tuple[str, ...], state: str, order: str) -> None:
    assert replace(BROKEN, after=after, state=state).order == order


def test_listed_tests() -> None:
    assert listed_tests([]) == ""
    assert listed_tests(["a"]) == "a"
    assert listed_tests(["a", "b", "c"]) == "a, b and c"
    assert listed_tests(["a", "b", "c", "d"]) == "the 4 tests before it"


# --- lines ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("piece", "line"),
    [(A, 3), (DELETED_LINE, 2), (BrokenBy("a.py", 1, 0, "-old"), 1), (DELETED_FILE, 1)],
    ids=["change", "deletion", "deletion at the start", "deleted file"],
)
def test_shown_line(piece: BrokenBy, line: int) -> None:
    assert piece.shown_line == line


@pytest.mark.parametrize(
    ("removed", "added", "shown"),
    [
        (2, 2, ["-0", "-1", "+0", "+1"]),
        (0, 9, ["+0", "+1", "+2", "… 6 more lines"]),
        (9, 0, ["-0", "-1", "-2", "… 6 more lines"]),
        (9, 1, ["-0", "-1", "… 7 more lines", "+0"]),
        (1, 9, ["-0", "+0", "+1", "… 7 more lines"]),
        (9, 9, ["-0", "… 8 more lines", "+0", "… 8 more lines"]),
    ],
)
def test_shown_diff(removed: int, added: int, shown: list[str]) -> None:
    lines = [f"-{number}" for number in range(removed)] + [f"+{number}" for number in range(added)]
    assert replace(A, diff="\n".join(lines)).shown_diff(4) == shown


# --- secrets -------------------------------------------------------------------------------

SECRET = "Zq8abcd01mK2x"
SECRET_LINES = [
    f"-password = '{SECRET}'\n+password = os.environ['X']",
    f'-    "password": "{SECRET}",',
    f"-    password=\n-        '{SECRET}',",
    f"-login(\n-    password=(\n-        '{SECRET}'))\n+login()",
    f"-password = '''\n-{SECRET}\n-'''",
    f"+url = 'postgres://ann:{SECRET}@db/shop'",
    f"-{'x = 1; ' * 12}password = '{SECRET}'",
]


@pytest.mark.parametrize("diff", SECRET_LINES)
def test_secrets_in_lines(diff: str) -> None:
    breakage = replace(
        BROKEN,
        pieces=(replace(A, diff=diff, commit=f"1f3c9ab Use password={SECRET}"),),
        either=((replace(B, diff=diff),),),
    )
    case = Case(Cause((FAILURE,)), breakage=breakage)
    explanation = describe_case(case, redact)
    assert SECRET not in repr(explanation)
    assert SECRET not in Question(case, redact).text
    redacted = explanation.breakage.pieces[0].diff
    assert redacted.count("\n") == diff.count("\n")
    assert [line[0] for line in redacted.split("\n")] == [line[0] for line in diff.split("\n")]


def test_nothing_to_redact() -> None:
    assert BROKEN.redacted(redact) == BROKEN
    assert NO_BREAKAGE.redacted(redact) == NO_BREAKAGE
