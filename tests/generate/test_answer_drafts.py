"""The drafts in the answer of a model."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_starcoder.generate.answer_drafts import extract_drafts
from pytest_starcoder.generate.draft import Target

TARGET = Target("pkg/shop.py", "pkg.shop", "mean", 1, 7)


def bodies_of(text: str) -> list[tuple[str, ...]]:
    return [draft.body for draft in extract_drafts(text, TARGET, ["mean"], "m")]


@pytest.mark.parametrize(
    ("text", "bodies"),
    [
        (
            "def test_a():\n    x = [1]\n    assert mean(x) == 1\n    assert mean([2]) == 2\n"
            "    assert mean([",
            [("x = [1]", "assert mean(x) == 1"), ("assert mean([2]) == 2",)],
        ),
        (
            "def test_a():\n    assert mean([1]) == 1\n\ndef test_b():\n"
            "    assert mean([1]) == 1\n",
            [("assert mean([1]) == 1",)],
        ),
        (
            "def test_a():\n    with pytest.raises(ValueError):\n        mean([])\n",
            [("with pytest.raises(ValueError):\n    mean([])",)],
        ),
        ("def test_a(xs):\n    assert mean(xs) == 1\n", [("assert mean(xs) == 1",)]),
        ("def test_a(xs=[1]):\n    assert mean(xs) == 1\n", []),
        (
            "@pytest.mark.x\ndef test_a():\n    assert mean([1]) == 1\n",
            [("assert mean([1]) == 1",)],
        ),
        ("@given(1)\ndef test_a():\n    assert mean([1]) == 1\n", []),
        (
            "def test_a():\n    unused = mean([9])\n    x = [1]\n    assert mean(x) == 1\n",
            [("x = [1]", "assert mean(x) == 1")],
        ),
        (
            "class TestMean:\n    def test_a(self):\n        assert mean([1]) == 1\n",
            [("assert mean([1]) == 1",)],
        ),
        (
            "@pytest.mark.parametrize('x', [1])\ndef test_a(x):\n    assert mean([x]) == 1\n"
            "    assert mean([1, x]) == 1\n",
            [("assert mean([x]) == 1", "assert mean([1, x]) == 1")],
        ),
        ("def test_a():\n    '''Doc.'''\n    mean([1])\n", []),
        (
            "class T(TestCase):\n    def test_a(self):\n"
            "        self.assertEqual(mean([1]), 1, 'x')\n",
            [("assert mean([1]) == 1",)],
        ),
        (
            "XS = [1]\ndef double(x):\n    return XS\ndef test_a():\n"
            "    assert mean(double(1)) == 1\n",
            [("XS = [1]", "def double(x):\n    return XS", "assert mean(double(1)) == 1")],
        ),
        (
            "def mean(xs):\n    return 1\ndef test_a():\n    assert mean([1]) == 1\n",
            [("assert mean([1]) == 1",)],
        ),
        ("I cannot write tests.", []),
        ("", []),
        ("\0", []),
    ],
)
def test_extracted_drafts(text: str, bodies: list[tuple[str, ...]]) -> None:
    assert bodies_of(text) == bodies


@settings(max_examples=50)
@given(st.text())
def test_any_answer(text: str) -> None:
    for body in bodies_of(f"def test_a():\n    assert mean([1]) == 1\n{text}"):
        assert body


def test_imports_of_draft() -> None:
    text = (
        "import pkg\nfrom decimal import Decimal\n\n"
        "def test_a():\n    assert mean([Decimal(1)]) == pkg.ONE\n"
    )
    [draft] = extract_drafts(text, TARGET, ["mean"], "m", before="import os\n")
    assert draft.imports == (
        "from decimal import Decimal",
        "",
        "import pkg.shop",
        "from pkg.shop import mean",
    )


def test_imports_before_answer() -> None:
    text = "def test_a():\n    assert mean([1]) == os.sep\n"
    [draft] = extract_drafts(text, TARGET, ["mean"], "m", before="import os\n")
    assert draft.imports == ("import os", "", "from pkg.shop import mean")
