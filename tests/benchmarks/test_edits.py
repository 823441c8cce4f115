"""Tests of the edits that benchmarks make, and of the score of rankings with ties."""

from __future__ import annotations

import ast
import itertools
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.edits import Edit, changes, expected_top, single_edits
from benchmarks.ranking import cases, is_test, shows, split_prompts
from benchmarks.seeded_edits import places

SHOP = '''\
"""Prices of 3 things."""

from __future__ import annotations

import math as m

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from decimal import Decimal

    LIMIT_OF_TYPES = 7

RATE = 19
__all__ = ["Cart", "mean"]


class Cart:
    """A cart of at most 10."""

    size: Literal[10] = 10

    def add(self, item: "str", count: Literal[1, 2] = 1, *, twice: bool = False) -> "None":
        """Adds 1 item."""
        if twice and count > 0:
            count += count
        for name in sorted(self.items, reverse=True):
            if not name:
                continue
            self.items[0] = max(count, item, key="x")
        left: "Literal[5]" = self.size - count
        return f"{left + 1} left", left


def mean(values: list[float]) -> float:
    """The mean, 1.5 of [1, 2]."""
    "no docstring, but a text of its own"
    return sum(values) / len(values)
'''


def lines_of(source: str) -> dict[tuple[str, str], set[str]]:
    """What the edited line may be, by its text and the kind of the edit."""
    found: dict[tuple[str, str], set[str]] = {}
    for edit in single_edits(source):
        place = source.splitlines()[edit.line - 1].strip(), edit.kind
        found.setdefault(place, set()).add(edit.source.splitlines()[edit.line - 1].strip())
    return found


@pytest.mark.parametrize(
    ("line", "kind", "edited"),
    [
        ("return a < b", "comparison", {"return a <= b", "return a > b"}),
        ("return a is not b", "comparison", {"return a is b"}),
        ("return a not in b", "comparison", {"return a in b"}),
        ("return (a) - b", "arithmetic", {"return (a) + b"}),
        ("return (a) - b", "operand dropped", {"return a", "return b"}),
        ("a **= b", "arithmetic", {"a *= b"}),
        ("return a + 2", "integer", {"return a + 1", "return a + 3"}),
        ("return a[0]", "index", {"return a[1]", "return a[(-1)]"}),
        ("return a[-1:]", "index", {"return a[-2:]", "return a[-0:]"}),
        ("return True", "boolean", {"return False"}),
        ("return a and b", "and/or", {"return a or b"}),
        ("return not (a or b)", "not removed", {"return (a or b)"}),
        ("return a if b else c", "not added", {"return a if not b else c"}),
        ("return [x for x in a if x == b]", "not added", {"return [x for x in a if not (x == b)]"}),
        ("return f(a, (b), *c)", "arguments swapped", {"return f(b, (a), *c)"}),
        ("return f(a, b=1, c=2)", "keyword dropped", {"return f(a, c=2)", "return f(a, b=1)"}),
        ("return f(b=1)", "keyword dropped", {"return f()"}),
        ("return a.strip(' ,')", "string", {"return a.strip(' ')"}),
        (r"return r'\d'", "string", {"return '\\\\'"}),
        ("return min(a)", "sibling called", {"return max(a)"}),
        ("return a.lstrip()", "sibling called", {"return a.rstrip()"}),
        ("return a", "return None", {"return None"}),
        ("f(a)", "statement deleted", {"pass"}),
    ],
)
def test_each_kind_of_edit(line: str, kind: str, edited: set[str]) -> None:
    assert lines_of(f"def outer(a, b, c, f):\n    {line}\n")[line, kind] == edited


def test_a_loop_goes_on_where_it_ended_and_ends_where_it_went_on() -> None:
    source = "def f(a):\n    for x in a:\n        if x:\n            break\n        continue\n"
    found = lines_of(source)
    assert found["break", "break/continue"] == {"continue"}
    assert found["continue", "break/continue"] == {"break"}


def test_places_are_counted_in_characters_after_letters_of_several_bytes() -> None:
    assert lines_of('def f(a):\n    return "äöü", a < 1\n')[
        'return "äöü", a < 1', "comparison"
    ] == {
        'return "äöü", a <= 1',
        'return "äöü", a > 1',
    }


def test_the_line_is_that_of_the_edited_text_in_a_statement_of_several() -> None:
    edits = single_edits("def f(a):\n    return (\n        a\n        + 1\n    )\n")
    assert {edit.line for edit in edits if edit.kind == "arithmetic"} == {4}
    assert {edit.line for edit in edits if edit.kind == "statement deleted"} == {2}


def sources() -> list[str]:
    package = Path(__file__).parent.parent / "pytest_starcoder"
    own = [path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))]
    return [SHOP, *own]


def some_edits(source: str) -> list[Edit]:
    found = changes(source)
    chosen = random.Random(1).sample(found, min(3, len(found)))
    return [edit for change in chosen if (edit := change.made(source)) is not None]


def single(source: str, edit: Edit) -> bool:
    """Whether the edit is the replacement of one text that begins on its line."""
    start = sum(len(line) + 1 for line in source.split("\n")[: edit.line - 1])
    stop = start + len(source.split("\n")[edit.line - 1]) + 1
    return any(
        source[:at] + edit.after + source[at + len(edit.before) :] == edit.source
        for at in range(start, stop)
        if source.startswith(edit.before, at)
    )


@pytest.mark.slow
def test_edits_parse_and_are_the_replacement_of_one_text_in_one_statement() -> None:
    for source in sources():
        before = [ast.dump(statement) for statement in ast.parse(source).body]
        for edit in some_edits(source):
            after = [ast.dump(statement) for statement in ast.parse(edit.source).body]
            assert sum(one != other for one, other in zip(before, after, strict=True)) == 1, edit
            assert single(source, edit), edit


def unedited(source: str) -> list[str]:
    """Return the code that no edit may touch: docstrings, annotations, imports."""
    kept = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom():
                kept.append(ast.dump(node))
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                kept.append(ast.dump(node))
            case (
                ast.arg(annotation=ast.expr() as annotation) | ast.AnnAssign(annotation=annotation)
            ):
                kept.append(ast.dump(annotation))
            case ast.FunctionDef(returns=ast.expr() as returns):
                kept.append(ast.dump(returns))
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                kept.append(ast.dump(node))
    return sorted(kept)


def test_no_edit_touches_docstrings_annotations_imports_or_what_type_checkers_read() -> None:
    kept = unedited(SHOP)
    edits = single_edits(SHOP)
    assert len(kept) == 19
    assert len(edits) >= 40
    for edit in edits:
        assert set(kept) >= set(unedited(edit.source)), edit
        if edit.kind != "statement deleted":  # that may take an annotated variable with it
            assert kept == unedited(edit.source), edit


def test_constants_and_default_values_are_edited_too() -> None:
    edited = {
        (edit.line, edit.after)
        for edit in single_edits(SHOP)
        if edit.kind in ("integer", "boolean")
    }
    assert {(14, "20"), (21, "11"), (23, "True"), (23, "2")} <= edited


def library(folder: Path) -> Path:
    for name, text in (
        ("shop.py", SHOP),
        ("more.py", "def f(a):\n    return a + 1\n"),
        ("tests/test_shop.py", SHOP),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_places_are_the_same_for_the_same_seed_and_others_for_another(tmp_path: Path) -> None:
    folder = library(tmp_path)
    first, again, other = (
        list(places(folder, random.Random(seed))) for seed in ("1 a", "1 a", "2 a")
    )
    assert first == again
    assert first != other
    assert sorted(map(str, first)) == sorted(map(str, other))


def test_modules_take_turns_and_tests_are_none_of_them(tmp_path: Path) -> None:
    names = [path.name for path, _ in places(library(tmp_path), random.Random(1))]
    assert set(names) == {"shop.py", "more.py"}
    assert names[:4].count("more.py") == 2


def by_brute_force(scores: dict[str, float], truth: set[str], k: int) -> float:
    """Return the share of orders that respect the scores and have a true key in the first k."""
    orders = [
        order
        for order in itertools.permutations(scores)
        if all(scores[one] >= scores[other] for one, other in itertools.pairwise(order))
    ]
    return sum(any(key in truth for key in order[:k]) for order in orders) / len(orders)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([0.0, 0.5, 1.0])),
    st.sets(st.sampled_from("abcdefg")),
    st.integers(1, 7),
)
def test_the_expectation_under_ties_is_that_of_all_orders(
    scores: dict[str, float], truth: set[str], k: int
) -> None:
    assert expected_top(scores, truth, k) == pytest.approx(by_brute_force(scores, truth, k))


def test_a_line_is_shown_where_its_text_stands_or_its_number_is_named() -> None:
    source = "def f(a):\n    b = a\n    return b\n"
    assert shows("shop.py:\ndef f(a):\n    b = a  # fails here\n", source, ("shop.py", 2))
    assert shows("shop.py:2: b = a", source, ("shop.py", 2))
    assert not shows("shop.py:3: return b\nb = a + 1", source, ("shop.py", 2))


def test_a_text_that_is_there_twice_is_shown_only_beside_a_neighbour_of_its() -> None:
    source = "def f(a):\n    pass\n\ndef g(a):\n    pass\n"
    assert shows("def g(a):\n    pass\n", source, ("shop.py", 5))
    assert not shows("def g(a):\n    pass\n", source, ("shop.py", 2))


def test_prompts_are_read_as_they_were_printed() -> None:
    ruler = "-" * 20
    printed = [
        f"----- prompt {n} of 2 {ruler}\nline {n}\n\n----- no ruler\n----- end {ruler}"
        for n in (1, 2)
    ]
    assert split_prompts("\n     why\n".join(printed)) == [
        f"line {n}\n\n----- no ruler" for n in (1, 2)
    ]


def test_a_truth_has_either_form(tmp_path: Path) -> None:
    (tmp_path / "python_006").mkdir()
    published = cases(
        tmp_path,
        [
            {"task_id": "Python/6", "buggy_lines": [3, 4]},
            {"task_id": "Python/8", "buggy_lines": [1]},
        ],
        ["t.py"],
    )
    own = cases(
        tmp_path,
        {"python_006": {"path": "a/b.py", "line": 3, "run": [], "env": {"A": "b"}}},
        ["t.py"],
    )
    assert [(case.name, case.truth, case.run) for case in published] == [
        ("python_006", frozenset({("solution.py", 3), ("solution.py", 4)}), ("t.py",))
    ]
    [case] = own
    assert case.truth == {("a/b.py", 3)}
    assert (case.run, dict(case.env)) == ((), {"A": "b"})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/helper.py", True),
        ("toolz/tests/test_core.py", True),
        ("test_a.py", True),
        ("src/testing.py", False),
    ],
)
def test_files_of_tests_are_told_by_their_names(path: str, expected: bool) -> None:
    assert is_test(path) is expected
