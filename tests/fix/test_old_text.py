"""Parts of replaced text, restored one at a time."""

from __future__ import annotations

import pytest

from pytest_starcoder.explain.breakage import Breakage, BrokenBy
from pytest_starcoder.fix.old_text import edits_of_old_text
from pytest_starcoder.source.edits.edit import apply_edits
from pytest_starcoder.source.sources import SourceFiles


def restored(source: str, piece: BrokenBy) -> list[str]:
    """Return the texts with each of the edits."""
    edits = edits_of_old_text(Breakage((piece,)), SourceFiles(lambda _: source))
    return [apply_edits(source, [edit]) for edit in edits]


@pytest.mark.parametrize(
    ("source", "piece", "expected"),
    [
        pytest.param(
            "x = 1\ny = f(a, 3)\n",
            BrokenBy("a.py", 2, 2, "-y = f(b, 2)\n+y = f(a, 3)"),
            ["x = 1\ny = f(b, 3)\n", "x = 1\ny = f(a, 2)\n"],
            id="operands",
        ),
        pytest.param(
            "def f():\n    return 1\n",
            BrokenBy("a.py", 2, 1, "-    commit()\n-    close()"),
            [
                "def f():\n    commit()\n    return 1\n",
                "def f():\n    close()\n    return 1\n",
            ],
            id="deleted lines",
        ),
        pytest.param("x = 1\n", BrokenBy("a.py", 1, 1, "+x = 1"), [""], id="added line"),
        pytest.param(
            "x = 1\n", BrokenBy("a.py", 1, 1, "-x = 2\n+x = 1", in_test=True), [], id="test"
        ),
        pytest.param("{}\n", BrokenBy("a.json", 1, 1, "-[]\n+{}"), [], id="data"),
        pytest.param("x = 1\n", BrokenBy("a.py", 1, 1, "-x = 0\n" * 21 + "+x = 1"), [], id="long"),
    ],
)
def test_edits(source: str, piece: BrokenBy, expected: list[str]) -> None:
    assert restored(source, piece) == expected
