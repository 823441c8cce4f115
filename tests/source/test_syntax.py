"""Literals, and positions in a source."""

from __future__ import annotations

import ast

import pytest

from pytest_starcoder.source.syntax import Offsets, is_literal


@pytest.mark.parametrize(
    "code", ["1", "-1.5", "'a'", "None", "[1, {'a': (2, b'c')}]", "{1, 2}", r"'\d'"]
)
def test_literals(code: str) -> None:
    assert is_literal(code)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "a",
        "f(1)",
        "1 +",
        "a = 1",
        "{[]: 1}",
        "{{}}",
        "\0",
        "9" * 10_000,
        "(" * 500,
        "-" * 100_000 + "1",
        "1\n2",
    ],
    ids=lambda code: repr(code[:8]),
)
def test_not_literals(code: str) -> None:
    assert not is_literal(code)


def test_literal_node() -> None:
    call = ast.parse("f([1], x)").body[0].value  # type: ignore[attr-defined]
    assert [is_literal(argument) for argument in call.args] == [True, False]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_offsets_by_line_end(end: str) -> None:
    source = end.join(["a = 'é'", "é = b", "", "c"])
    for last in ("", end):
        offsets = Offsets(source + last)
        names = [node for node in ast.walk(ast.parse(source + last)) if isinstance(node, ast.Name)]
        letters = [source[offsets.of(node.lineno, node.col_offset)] for node in names]
        assert sorted(letters) == ["a", "b", "c", "é"]
        assert [offsets.line(number) for number in range(1, 5)] == ["a = 'é'", "é = b", "", "c"]
