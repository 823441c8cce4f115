"""Failures that share a cause become one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.explain.causes import group_failures
from pytest_starcoder.explain.failure import Failure, Frame


def failure(
    name: str, exception: str = "ValueError", *places: tuple[str, int], message: str = "m"
) -> Failure:
    frames = tuple(Frame(path, line, "f", line, "x") for path, line in places)
    return Failure(name, "call", exception, message, "seen", frames)


def named(failures: list[Failure]) -> list[list[str]]:
    return [[found.nodeid for found in cause.failures] for cause in group_failures(failures)]


def test_what_was_raised_on_one_line_has_one_cause_whatever_its_message() -> None:
    first = failure("a", "ValueError", ("test_a.py", 1), ("shop.py", 5), message="1 is bad")
    second = failure("b", "ValueError", ("test_b.py", 9), ("shop.py", 5), message="2 is bad")
    assert named([first, second]) == [["a", "b"]]


def test_another_line_or_file_or_exception_is_another_cause() -> None:
    found = [
        failure("a", "ValueError", ("shop.py", 5)),
        failure("b", "ValueError", ("shop.py", 6)),
        failure("c", "ValueError", ("cart.py", 5)),
        failure("d", "KeyError", ("shop.py", 5)),
    ]
    assert named(found) == [["a"], ["b"], ["c"], ["d"]]


def test_without_frames_the_message_decides() -> None:
    found = [failure("a", message="x"), failure("b", message="y"), failure("c", message="x")]
    assert named(found) == [["a", "c"], ["b"]]


def test_the_cause_with_most_tests_comes_first_and_then_the_one_seen_first() -> None:
    found = [
        failure(name, "ValueError", (name[0], 1))
        for name in ("a1", "b1", "c1", "c2", "b2", "d1", "c3")
    ]
    assert named(found) == [["c1", "c2", "c3"], ["b1", "b2"], ["a1"], ["d1"]]


def test_without_failures_there_are_no_causes() -> None:
    assert group_failures([]) == []


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(1, 3))))
def test_every_failure_is_in_exactly_one_cause(rows: list[tuple[str, str, int]]) -> None:
    found = [
        failure(str(n), exception, (path, line)) for n, (exception, path, line) in enumerate(rows)
    ]
    grouped = group_failures(found)
    assert sorted(each.nodeid for cause in grouped for each in cause.failures) == sorted(
        each.nodeid for each in found
    )
    assert [len(cause.failures) for cause in grouped] == sorted(
        (len(c.failures) for c in grouped), reverse=True
    )
    assert all(cause.first is cause.failures[0] for cause in grouped)
