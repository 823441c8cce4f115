"""Definitions, statements and weights of lines."""

from __future__ import annotations

from textwrap import dedent

from pytest_starcoder.source.line_index import index_lines
from pytest_starcoder.source.lines import statement_at

# --- lines and definitions ---

TABLE = dedent(
    """
    RATE = 3
    UNUSED = 4
    FORMATS = {
        "plain": make(
            1,
        ),
        "rich": make(2),
    }

    class Shop:
        limit = 5

        def price(
            self, amount=RATE,
        ):
            return amount + self.limit

        def show(self, name):
            return FORMATS[name]
    """
).lstrip()


def test_used_definitions() -> None:
    lines = TABLE.split("\n")
    result = index_lines(TABLE).with_definitions({16})
    assert {lines[number - 1].strip() for number in result} == {
        "return amount + self.limit", "limit = 5", "self, amount=RATE,", "RATE = 3",
    }  # fmt: skip


def test_table_entries() -> None:
    lines = TABLE.split("\n")
    plain = {
        lines[number - 1].strip() for number in index_lines(TABLE).with_definitions({19}, {"plain"})
    }
    assert '"plain": make(' in plain
    assert '"rich": make(2),' not in plain
    everything = {
        lines[number - 1].strip() for number in index_lines(TABLE).with_definitions({19}, {"other"})
    }
    assert {'"plain": make(', '"rich": make(2),'} <= everything


def test_long_statement() -> None:
    source = "x = [\n    1,\n    'a',\n]\nif (x and\n        y):\n    pass\n"
    assert index_lines(source).with_definitions({1}) == {1, 2, 3, 4}
    assert statement_at(source, 3) == (1, 4)
    assert statement_at(source, 6) == (5, 6)
    assert statement_at(source, 7) == (7, 7)


def test_weights() -> None:
    result = index_lines(
        '"""Doc."""\nimport os\ndef f(x=1):\n    """Doc."""\n    return x < 2\n'
    ).weights
    assert set(result) == {5}
    assert index_lines("def f():\n    return\n    return None\n    return 0\n").none_returns == {
        2,
        3,
    }
