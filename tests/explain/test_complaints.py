"""Sentences about what went wrong."""

from __future__ import annotations

import pytest

from pytest_starcoder.explain.complaints import Complaints


class Unprintable(Exception):
    def __str__(self) -> str:
        raise OSError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("boom"), "ValueError: boom"),
        (SystemExit(3), "SystemExit: 3"),
        (Unprintable(), f"{__name__}.Unprintable: <exception str() failed>"),
    ],
    ids=["error", "exit", "unprintable"],
)
def test_contain(error: BaseException, text: str) -> None:
    complaints = Complaints()
    for _ in range(2):
        with complaints.contain("test_it.py::test_it"):
            raise error
    assert list(complaints) == [f"test_it.py::test_it could not be explained ({text})."]


def test_broken_traceback_module(monkeypatch: pytest.MonkeyPatch) -> None:
    complaints = Complaints()
    monkeypatch.setattr("traceback.format_exception_only", None)
    with complaints.contain("test_it"):
        raise ValueError
    assert list(complaints) == ["test_it could not be explained (ValueError)."]


def test_ctrl_c() -> None:
    complaints = Complaints()
    with pytest.raises(KeyboardInterrupt), complaints.contain("test_it"):
        raise KeyboardInterrupt
    assert not complaints
