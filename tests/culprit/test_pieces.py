"""Changed files split into pieces: what is undone, what is left, and where it stands."""

from __future__ import annotations

from itertools import combinations
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.culprit.pieces import ChangedText, Piece
from pytest_starcoder.source.edits.edit import apply_edits

SAVE = """\
def save(db, value):
    count = db.set(value)
    db.commit()
    return count


def load(db):
    return db.get()
"""


def changed(old: str | None, new: str | None, path: str = "shop.py") -> ChangedText:
    return ChangedText.of(path, "code" if path.endswith(".py") else "data", old, new)


def diffs(file: ChangedText) -> list[tuple[int, str]]:
    return [(piece.line, piece.diff) for piece in file.pieces]


def edited(file: ChangedText, undone: list[Piece]) -> str:
    """Return the new text with the edits that undo pieces."""
    text = file.undo(())
    assert text is not None
    return apply_edits(text, file.edits(undone))


# --- splitting and undoing -----------------------------------------------------------------


def test_changed_line() -> None:
    file = changed(SAVE, SAVE.replace("return count", "return -count"))
    assert diffs(file) == [(4, "-    return count\n+    return -count")]
    assert file.undo(file.pieces) == SAVE


def test_removed_line() -> None:
    new = SAVE.replace("    db.commit()\n", "")
    file = changed(SAVE, new)
    [piece] = file.pieces
    assert (piece.line, piece.last, piece.diff) == (3, 2, "-    db.commit()")
    assert file.undo([piece]) == SAVE


def test_added_line() -> None:
    new = SAVE.replace("    return count\n", "    print(count)\n    return count\n")
    file = changed(SAVE, new)
    assert diffs(file) == [(4, "+    print(count)")]
    assert edited(file, file.pieces) == SAVE


def test_removed_lines_stay_in_place() -> None:
    new = SAVE.replace("    db.commit()\n", "").replace("def save", "import os\n\n\ndef save")
    file = changed(SAVE, new)
    added, removed = file.pieces
    assert file.undo([removed]) == SAVE.replace("def save", "import os\n\n\ndef save")
    assert file.undo([added]) == SAVE.replace("    db.commit()\n", "")


@pytest.mark.parametrize("old", [SAVE, None])
def test_whole_file(old: str | None) -> None:
    new = None if old else SAVE
    file = changed(old, new)
    [piece] = file.pieces
    assert piece.whole
    assert file.undo([piece]) == old
    assert file.undo([]) == new


LINES = st.lists(
    st.sampled_from(["a = 1\n", "b = 2\n", "def c():\n", "    d()\n", "\n"]), max_size=9
)


@given(LINES, LINES, st.booleans(), st.booleans(), st.data())
def test_any_texts(
    old_lines: list[str],
    new_lines: list[str],
    old_ends: bool,
    new_ends: bool,
    data: st.DataObject,
) -> None:
    old, new = "".join(old_lines), "".join(new_lines)
    old = old if old_ends else old.removesuffix("\n")
    new = new if new_ends else new.removesuffix("\n")
    file = changed(old, new)
    for piece in file.pieces:
        file = file.split(piece)
    assert file.undo([]) == new
    assert file.undo(file.pieces) == old
    undone = data.draw(st.sets(st.sampled_from(file.pieces))) if file.pieces else set()
    assert edited(file, list(undone)).split() == (file.undo(undone) or "").split()
    assert edited(file, file.pieces).split() == old.split()


# --- edits inside functions ----------------------------------------------------------------


def body_of(source: str) -> tuple[int, int]:
    """Return the characters of the body of the function `save`."""
    start = source.index("    count") if "    count" in source else source.index("    db.commit")
    return start, source.index("\n\n\ndef load")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("    count = db.set(value)\n", ""),
        ("    db.commit()\n", ""),
        ("    return count\n", ""),
        ("    return count\n", "    return -count\n"),
        ("    count = db.set(value)\n", "    count = db.set([value])\n"),
        ("    return count\n", "    print(count)\n    return count\n"),
        ("    return count\n", "    return count\n    print(count)\n"),
        ("    count = db.set(value)\n", "    print(value)\n    count = db.set(value)\n"),
        ("    return count\n", "    print(count)\n    return -count\n"),
    ],
    ids=[
        "first line removed",
        "line removed",
        "last line removed",
        "last line changed",
        "first line changed",
        "line added",
        "last line added",
        "first line added",
        "lines changed",
    ],
)
def test_edits_stay_inside_a_function(before: str, after: str) -> None:
    file = changed(SAVE, SAVE.replace(before, after))
    new = file.undo([])
    assert new is not None
    if new.startswith("def save(db, value):\n    print"):
        start, end = new.index("    print"), new.index("\n\n\ndef load")
    else:
        start, end = body_of(new)
    [edit] = file.edits(file.pieces)
    assert start <= edit.span[0] <= edit.span[1] <= end
    assert new[slice(*edit.span)] == edit.before
    assert edited(file, file.pieces) == SAVE


def test_line_added_in_a_text() -> None:
    old = 'def query():\n    return """\n    select a\n    from b\n    """\n'
    file = changed(old, old.replace("    from b\n", "    from b\n    where c\n"))
    assert edited(file, file.pieces) == old, "no blank line is left in the text"


def test_line_removed_at_the_end() -> None:
    old = "def close(db):\n    db.flush()\n    db.close()\n"
    file = changed(old, old.replace("    db.close()\n", ""))
    [edit] = file.edits(file.pieces)
    assert edit.span == (29, 29)
    assert edited(file, file.pieces) == old


def test_no_newline_at_the_end() -> None:
    old = "def total(a, b):\n    return a + b"
    file = changed(old, "def total(a, b):\n    return a - b")
    assert edited(file, file.pieces) == old
    file = changed(old, old + "\n")
    assert file.undo(file.pieces) == old
    assert not file.without_layout().pieces


def test_parts_that_touch_are_one_edit() -> None:
    old = "def run(x):\n    x.one()\n    x.two()\n    x.three()\n    return x\n"
    file = changed(old, "def run(x):\n    return x\n")
    [piece] = file.pieces
    file = file.split(piece)
    one, two, three = file.pieces
    for pair in combinations([one, two, three], 2):
        assert edited(file, list(pair)) == file.undo(pair), "in their old order"
    assert edited(file, [three, one, two]) == old


# --- parts ---------------------------------------------------------------------------------


def test_parts_of_rewritten_lines() -> None:
    old = "    key = row['r']\n    result[key] = result.get(key, 0) + row['n']\n"
    new = "    key = row['region']\n    result[key] = row['n']\n"
    file = changed(old, new)
    [piece] = file.pieces
    assert diffs(file.split(piece)) == [
        (1, "-    key = row['r']\n+    key = row['region']"),
        (2, "-    result[key] = result.get(key, 0) + row['n']\n+    result[key] = row['n']"),
    ]


def test_parts_without_twins() -> None:
    old = "    lock(x)\n    total = 0\n"
    new = "    total = 1\n    for each in x: yield each\n"
    file = changed(old, new)
    [piece] = file.pieces
    assert [diff for _, diff in diffs(file.split(piece))] == [
        "-    lock(x)",
        "-    total = 0\n+    total = 1",
        "+    for each in x: yield each",
    ]


def test_joined_parts() -> None:
    old = "".join(f"value_{letter} = {letter!r}\n" for letter in "abcd")
    file = changed(old, old.replace(" = ", " = 1 + "))
    [piece] = file.pieces
    file = file.split(piece)
    a, b, _, d = file.pieces
    assert [joined.size for joined in file.joined([a, b, d])] == [4, 2]
    assert file.joined(file.pieces) == [piece]


def test_large_hunk_is_split_quickly() -> None:
    old = "".join(f"def function_{number}(): return {number}\n" for number in range(700))
    new = "".join(f"    call({number}, 'x{number * 7}')\n" for number in range(700))
    file = changed(old, new)
    [piece] = file.pieces
    parts = file.split(piece).pieces
    assert len(parts) >= 700
    assert file.split(piece).undo(parts) == old


# --- layout --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = 1\n", "# a comment\nx = 1\n"),
        ("x = 1\n", "x = 1  # a comment\n"),
        ("# old\nx = 1\n", "# new\nx = 1\n"),
        ("x = 1\ny = 2\n", "x = 1\n\n\ny = 2\n"),
        ("f(a, b)\n", "f(\n    a,\n    b,\n)\n"),
        ("x = ('a' 'b')\n", 'x = "a" "b"\n'),
        ("if x:\n  y = 1\n", "if x:\n    y = 1\n"),
        (
            "g(\n    1,\n)\nf(a, [\n    1,\n    2])\n",
            "g(1)\nf(\n    a,\n    [\n        1,\n        2,\n    ],\n)\n",
        ),
    ],
    ids=[
        "comment",
        "end of line",
        "changed comment",
        "blank lines",
        "wrapped",
        "quotes",
        "indent",
        "several hunks",
    ],
)
def test_layout_is_no_piece(old: str, new: str) -> None:
    file = changed(old, new).without_layout()
    assert file.pieces == []
    assert file.undo([]) == new


def test_layout_beside_a_change() -> None:
    old = "def f(a, b):\n    return a\n\n\nx = 1\n"
    new = "def f(\n    a,\n    b,\n):\n    return a\n\n\nx = 2\n"
    assert diffs(changed(old, new).without_layout()) == [(8, "-x = 1\n+x = 2")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('t = """\na\n"""\n', 't = """\na\n\n# b\n"""\n'),
        ("for x in y:\n    a()\nb()\n", "for x in y:\n    a()\n    b()\n"),
        ("x = 'a b'\n", "x = 'ab'\n"),
        ("x = 1,\n", "x = 1\n"),
        ('def f():\n    """One."""\n', 'def f():\n    """Two."""\n'),
    ],
    ids=["text", "indentation", "space in a text", "tuple", "docstring"],
)
def test_code_that_resembles_layout(old: str, new: str) -> None:
    assert changed(old, new).without_layout().pieces


def test_layout_of_data() -> None:
    assert changed("a\n", "a\n\n# b\n", "data.txt").without_layout().pieces


def test_file_that_is_no_python() -> None:
    file = changed("x = 1\n", "x = = 1\n# note\n").without_layout()
    assert file.pieces
    assert file.undo(file.pieces) == "x = 1\n"


# --- executed lines ------------------------------------------------------------------------


def test_is_among() -> None:
    file = changed(dedent(SAVE), SAVE.replace("    db.commit()\n", ""))
    [removed] = file.pieces
    assert removed.is_among({"shop.py": frozenset({2})}), "the line before the gap"
    assert removed.is_among({"shop.py": frozenset({3})}), "the line after it"
    assert not removed.is_among({"shop.py": frozenset({1, 4})})
    assert not removed.is_among({"other.py": frozenset({2})})
    [whole] = changed(None, SAVE).pieces
    assert whole.is_among({"shop.py": frozenset({7})})
