"""The tree of errors in the docstring, and their texts."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from pytest_starcoder import errors
from pytest_starcoder.errors import BackendError, StarcoderError, how_to_install

CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if cls.__module__ == errors.__name__
]


def documented_parents() -> dict[str, str]:
    """Return the parent of each class in the tree of the docstring."""
    parents: dict[str, str] = {}
    ancestors = ["Exception"]
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([│├└─ ]*)([A-Z]\w+)", line)
        if match and (match[1] or match[2] == "StarcoderError"):
            depth = len(match[1]) // 4 + 1
            ancestors[depth:] = [match[2]]
            parents[match[2]] = ancestors[depth - 1]
    return parents


def test_documented_tree() -> None:
    assert documented_parents() == {
        cls.__name__: cls.__base__.__name__ for cls in CLASSES if cls.__base__
    }


def test_documented_sentences() -> None:
    for cls in set(CLASSES) - {StarcoderError, errors.ConfigError}:
        first = (cls.__doc__ or "").splitlines()[0].rstrip(".")
        assert first.lower() in (errors.__doc__ or "").lower(), cls


def test_error_text() -> None:
    assert str(StarcoderError("It broke.", "Fix it.")) == "It broke. Fix it."
    assert str(StarcoderError("It broke.")) == "It broke."


@pytest.mark.parametrize("cls", CLASSES)
def test_pickled_error(cls: type[StarcoderError]) -> None:
    error = pickle.loads(pickle.dumps(cls("It broke.", "Fix it.")))
    assert (type(error), error.message, error.hint) == (cls, "It broke.", "Fix it.")


def test_retry_after() -> None:
    assert BackendError("Busy.", retry_after=2.0).retry_after == 2.0
    assert BackendError("Broken.").retry_after is None


def test_missing_extra_in_a_terminal() -> None:
    assert (
        how_to_install("demo", environ={})
        == "Install it with `pip install 'pytest-starcoder[demo]'`."
    )


def test_missing_extra_in_a_hook() -> None:
    assert how_to_install("demo", environ={"PRE_COMMIT": "1"}) == (
        "This hook runs in its own environment: add "
        "`additional_dependencies: ['pytest-starcoder[demo]']` to it in .pre-commit-config.yaml."
    )
