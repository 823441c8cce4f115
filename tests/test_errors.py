"""The errors: a tree that its docstring draws, each a sentence and a next step."""

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


def drawn() -> dict[str, str]:
    """Each class of the docstring's tree with the class that it hangs from."""
    parents: dict[str, str] = {}
    way: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"([│├└─ ]*)([A-Z]\w+)", line):
            depth = len(found[1]) // 4
            if found[2] == "StarcoderError" or found[1]:
                way[depth:] = [found[2]]
                parents[found[2]] = way[depth - 1] if depth else "Exception"
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    assert drawn() == {cls.__name__: cls.__base__.__name__ for cls in CLASSES if cls.__base__}


def test_the_docstring_says_of_each_class_what_the_class_says() -> None:
    for cls in set(CLASSES) - {StarcoderError, errors.ConfigError}:
        first = (cls.__doc__ or "").splitlines()[0].rstrip(".")
        assert first.lower() in (errors.__doc__ or "").lower(), cls


def test_an_error_reads_as_its_message_and_its_hint() -> None:
    assert str(StarcoderError("It broke.", "Mend it.")) == "It broke. Mend it."
    assert str(StarcoderError("It broke.")) == "It broke."


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_survives_being_sent_to_another_process(cls: type[StarcoderError]) -> None:
    error = pickle.loads(pickle.dumps(cls("It broke.", "Mend it.")))
    assert (type(error), error.message, error.hint) == (cls, "It broke.", "Mend it.")


def test_only_a_backends_error_says_when_asking_again_can_help() -> None:
    assert BackendError("Busy.", retry_after=2.0).retry_after == 2.0
    assert BackendError("Broken.").retry_after is None


def test_missing_extra_in_a_terminal() -> None:
    assert (
        how_to_install("demo", environ={})
        == "Install it with `pip install 'pytest-starcoder[demo]'`."
    )


def test_missing_extra_in_a_hook() -> None:
    assert how_to_install("demo", environ={"PRE_COMMIT": "1"}) == (
        "This hook runs in its own environment: add `additional_dependencies: ['pytest-starcoder[demo]']` "
        "to it in .pre-commit-config.yaml."
    )
