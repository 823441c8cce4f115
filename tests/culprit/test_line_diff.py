"""Equal and different ranges of two lists of lines."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.culprit import line_diff
from pytest_starcoder.culprit.line_diff import opcodes

LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n"]), max_size=12)


def check(old: list[str], new: list[str]) -> int:
    """Check that the ranges cover both lists, and return how many lines differ."""
    old_position = new_position = differing = 0
    was_equal = True
    for is_equal, old_start, old_end, new_start, new_end in opcodes(old, new):
        assert (old_start, new_start) == (old_position, new_position)
        if is_equal:
            assert old[old_start:old_end] == new[new_start:new_end] != []
        else:
            assert was_equal
            differing += old_end - old_start + new_end - new_start
        was_equal = is_equal
        old_position, new_position = old_end, new_end
    assert (old_position, new_position) == (len(old), len(new))
    return differing


@given(LINES, LINES)
def test_ranges(old: list[str], new: list[str]) -> None:
    check(old, new)
    assert check(old, old) == 0


@given(LINES, LINES)
def test_ranges_of_long_lists(old: list[str], new: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_diff, "MIN_LONG", 0)
        shortest = check(old, new)
    assert shortest <= check(old, new)


def test_long_lists_are_compared_quickly() -> None:
    old = [f"{number % 7},{number % 5}\n" for number in range(50_000)]
    new = list(old)
    new[10] = "first\n"
    del new[20_000:20_100]
    new[-10] = "last\n"
    started = time.process_time()
    assert check(old, new) == 104
    assert check(old, [*new[::-1], "end\n"]) == len(old) + len(new) + 1
    assert time.process_time() - started < 4
