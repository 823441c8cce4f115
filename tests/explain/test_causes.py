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


def nodeids_of(failures: list[Failure]) -> list[list[str]]:
    causes = group_failures(failures)
    return [[failure.nodeid for failure in cause.failures] for cause in causes]


def test_same_line() -> None:
    first = failure("a", "ValueError", ("test_a.py", 1), ("shop.py", 5), message="1 is bad")
    second = failure("b", "ValueError", ("test_b.py", 9), ("shop.py", 5), message="2 is bad")
    assert nodeids_of([first, second]) == [["a", "b"]]


def test_different_line_file_or_exception() -> None:
    failures = [
        failure("a", "ValueError", ("shop.py", 5)),
        failure("b", "ValueError", ("shop.py", 6)),
        failure("c", "ValueError", ("cart.py", 5)),
        failure("d", "KeyError", ("shop.py", 5)),
    ]
    assert nodeids_of(failures) == [["a"], ["b"], ["c"], ["d"]]


def test_no_frames() -> None:
    failures = [failure("a", message="x"), failure("b", message="y"), failure("c", message="x")]
    assert nodeids_of(failures) == [["a", "c"], ["b"]]


def test_order_of_causes() -> None:
    failures = [
        failure(name, "ValueError", (name[0], 1))
        for name in ("a1", "b1", "c1", "c2", "b2", "d1", "c3")
    ]
    assert nodeids_of(failures) == [["c1", "c2", "c3"], ["b1", "b2"], ["a1"], ["d1"]]


def test_no_failures() -> None:
    assert group_failures([]) == []


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(1, 3))))
def test_any_failures(rows: list[tuple[str, str, int]]) -> None:
    failures = [
        failure(str(n), exception, (path, line)) for n, (exception, path, line) in enumerate(rows)
    ]
    grouped = group_failures(failures)
    assert sorted(each.nodeid for cause in grouped for each in cause.failures) == sorted(
        each.nodeid for each in failures
    )
    assert [len(cause.failures) for cause in grouped] == sorted(
        (len(c.failures) for c in grouped), reverse=True
    )
    assert all(cause.first is cause.failures[0] for cause in grouped)
