"""The commits that made a piece, among those that changed its file."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pytest_starcoder.culprit.commits import Region, Step, choose, steps_of
from pytest_starcoder.source.git.file_changes import FileChange

BASE = "a = 1\nb = 2\nc = 3\nd = 4\ne = 5\n"


def history(*versions: str) -> list[FileChange]:
    """Return changes "1", "2" and so on from each text to the next, the newest first."""
    changes = []
    for number, (before, after) in enumerate(pairwise(versions), 1):
        changes.append(FileChange(str(number), before, after))
    return changes[::-1]


def commits(
    changes: list[FileChange], first: int, last: int, *removed: str
) -> dict[str, tuple[str, ...]]:
    """Return the lines before each commit that changed these lines, the newest first."""
    steps = steps_of(changes, "code", Region(first - 1, last), removed)
    return {step.commit: step.before for step in steps}


def test_replaced_line() -> None:
    changes = history(
        BASE,
        "z = 0\n" + BASE,
        "z = 0\n" + BASE.replace("c = 3", "c = 30"),
        "z = 0\n" + BASE.replace("c = 3", "c = 30").replace("e = 5", "e = 50"),
    )
    assert commits(changes, 4, 4, "c = 3") == {"2": ("c = 3\n",)}
    assert commits(changes, 6, 6, "e = 5") == {"3": ("e = 5\n",)}
    assert commits(changes, 1, 1) == {"1": ()}


def test_line_changed_twice() -> None:
    middle = BASE.replace("c = 3", "c = 30")
    changes = history(BASE, middle, middle + "f = 6\n", BASE.replace("c = 3", "c = 31"))
    assert commits(changes, 3, 3, "c = 3") == {"3": ("c = 30\n",), "1": ("c = 3\n",)}


def test_removed_line() -> None:
    without = BASE.replace("c = 3\n", "")
    changes = history(BASE, BASE.replace("a = 1", "a = 10"), without, without + "f = 6\n")
    changes[1] = FileChange("2", changes[1].before, without.replace("a = 1", "a = 10"))
    assert commits(changes, 3, 2, "c = 3") == {"2": ("c = 3\n",)}


def test_other_removed_line_beside() -> None:
    without_c = BASE.replace("c = 3\n", "")
    changes = history(BASE, without_c, without_c.replace("d = 4\n", ""))
    assert commits(changes, 3, 2, "c = 3") == {"1": ("c = 3\n",)}
    assert commits(changes, 3, 2, "d = 4") == {"2": ("d = 4\n",)}


def test_changed_before_it_was_removed() -> None:
    changed = BASE.replace("c = 3", "c = 30")
    changes = history(BASE, changed, BASE.replace("c = 3\n", ""))
    assert commits(changes, 3, 2, "c = 3") == {"2": ("c = 30\n",), "1": ("c = 3\n",)}


def test_changes_of_layout_do_not_count() -> None:
    changed = BASE.replace("c = 3", "c = [3, 4]")
    formatted = changed.replace("c = [3, 4]", "c = [\n    3,\n    4,\n]")
    changes = history(BASE, changed, formatted, "# Prices.\n" + formatted)
    assert commits(changes, 4, 7, "c = 3") == {"1": ("c = 3\n",)}


def test_one_line_of_a_rewritten_hunk() -> None:
    rewritten = BASE.replace("b = 2\nc = 3\nd = 4\n", "b = 20\nc = 30\nd = 40\n")
    changes = history(BASE, rewritten, rewritten.replace("d = 40", "d = 41"))
    assert commits(changes, 3, 3, "c = 3") == {"1": ("c = 3\n",)}
    assert commits(changes, 4, 4, "d = 4") == {"2": ("d = 40\n",), "1": ("d = 4\n",)}


def test_parallel_branches() -> None:
    ours, theirs = BASE.replace("a = 1", "a = 10"), BASE.replace("e = 5", "e = 50")
    merged = ours.replace("e = 5", "e = 50")
    changes = [FileChange("ours", BASE, ours), FileChange("theirs", BASE, theirs)]
    assert commits([FileChange("merge", ours, merged), *changes], 5, 5, "e = 5") == {
        "merge": ("e = 5\n",),
        "theirs": ("e = 5\n",),
    }
    assert commits([FileChange("merge", ours, merged), *changes], 1, 1, "a = 1") == {
        "ours": ("a = 1\n",)
    }


def test_new_file() -> None:
    changes = history("", BASE, BASE.replace("c = 3", "c = 30"))
    assert commits(changes, 1, 5) == {"2": tuple(BASE.splitlines(keepends=True)), "1": ()}


def test_no_changes() -> None:
    assert commits([], 1, 1, "a = 1") == {}


@pytest.mark.parametrize("culprit", range(6))
@pytest.mark.parametrize("count", [1, 2, 6])
def test_bisecting(culprit: int, count: int) -> None:
    steps = [Step(str(number), (f"before {number}",)) for number in range(count)]
    culprit = min(culprit, count - 1)
    tried: list[str] = []

    def passes(lines: tuple[str, ...]) -> bool:
        [line] = lines
        tried.append(line)
        return int(line.split()[1]) >= culprit

    assert choose(steps, passes).commit == str(culprit)
    assert len(tried) <= 3
    assert count > 1 or not tried
