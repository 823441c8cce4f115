"""What is a literal: what can be written down, compared and read back without running anything."""

from __future__ import annotations

import ast

import pytest

from pytest_starcoder.source.syntax import Offsets, is_literal


@pytest.mark.parametrize(
    "code", ["1", "-1.5", "'a'", "None", "[1, {'a': (2, b'c')}]", "{1, 2}", r"'\d'"]
)
def test_what_can_be_read_without_running_it_is_a_literal(code: str) -> None:
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
def test_what_must_be_run_or_cannot_be_read_is_none(code: str) -> None:
    assert not is_literal(code)


def test_a_part_of_a_tree_will_do() -> None:
    call = ast.parse("f([1], x)").body[0].value  # type: ignore[attr-defined]
    assert [is_literal(argument) for argument in call.args] == [True, False]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_places_are_found_whichever_way_lines_end(end: str) -> None:
    source = end.join(["a = 'é'", "é = b", "", "c"])
    for last in ("", end):
        offsets = Offsets(source + last)
        names = [node for node in ast.walk(ast.parse(source + last)) if isinstance(node, ast.Name)]
        found = [source[offsets.of(node.lineno, node.col_offset)] for node in names]
        assert sorted(found) == ["a", "b", "c", "é"]
        assert [offsets.line(number) for number in range(1, 5)] == ["a = 'é'", "é = b", "", "c"]
