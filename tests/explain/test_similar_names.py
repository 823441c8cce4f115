"""The nearest key to a missing one."""

from __future__ import annotations

import time

import pytest

from pytest_starcoder.explain.similar_names import nearest_key, nearest_name


def test_nearest_key_speed() -> None:
    began = time.monotonic()
    nearest_key("key" * 100 + "!", [f"{number:03}key" * 50 for number in range(10_000)])
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("key", "keys", "nearest"),
    [
        ("usr", ["name", "user"], "'user'"),
        ("USER", ["used", "user"], "'user'"),
        ("1", [1, 2], "1 as a number"),
        (1, ["1"], "the string '1'"),
        (b"a", ["a"], "the string 'a'"),
        ("xyz", ["user"], ""),
        (None, ["None"], ""),
    ],
)
def test_nearest_key(key: object, keys: list[object], nearest: str) -> None:
    assert nearest_key(key, keys) == nearest


def test_nearest_name() -> None:
    assert nearest_name("totl", ["total", "__total__"]) == "total"
    assert nearest_name("__totl__", ["__total__"]) == "__total__"
    assert nearest_name("total", ["total"]) == ""
    assert nearest_name(3, ["3"]) == ""
