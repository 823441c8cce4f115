"""The mutants, lines and branches of targets."""

from __future__ import annotations

from support.shop import SHOP, target_named, targets_in

from pytest_starcoder.generate.goals import Place, find_branches, find_lines, find_mutants


def test_mutants_of_bodies() -> None:
    targets = targets_in(SHOP)
    mutants = find_mutants(SHOP, targets)
    assert not any(edits for target, edits in mutants.items() if target.name in ("", "Rate"))
    mean = mutants[target_named("mean")]
    assert {edit.line for edit in mean} == {16, 17, 18}
    assert len({(edit.kind, edit.span) for edit in mean}) == len(mean)


def test_no_body() -> None:
    source = 'def f():\n    """Doc."""\n'
    targets = targets_in(source)
    assert find_mutants(source, targets) == {target: [] for target in targets}


def lines_of(name: str) -> set[int]:
    return {place.line for place in find_lines(target_named(name))}


def test_lines_of_function() -> None:
    assert lines_of("mean") == {16, 17, 18}


def test_lines_of_module() -> None:
    assert lines_of("") == {2, 3, 31}


def test_lines_of_class() -> None:
    assert lines_of("Rate") == set()


def test_branches() -> None:
    source = (
        "def f(x):\n    if (x and\n            x > 1):\n        return 1\n    while True:\n"
        "        x += 1\n    for y in x:\n        pass\n    if x: return 2\n"
    )
    [target, _] = targets_in(source)
    assert find_branches(target) == {
        Place("shop.py", 2, True): (range(2, 4), 4),
        Place("shop.py", 2, False): (range(2, 4), 4),
        Place("shop.py", 7, True): (range(7, 8), 8),
        Place("shop.py", 7, False): (range(7, 8), 8),
    }
