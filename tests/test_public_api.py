"""The public names, and the cost of importing them."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import pytest_starcoder

PUBLIC_NAMES = """
    AccessDenied Backend BackendError BackendTimeout BackendUnavailable BadResponse Client
    Completion ConfigError Deadline Ending Explanation Failure Finding Frame Label MissingExtra
    Model OnText Prompt PromptTooLong RateLimited Settings StarcoderError Statement Suspect
    UnknownBackend UnknownModel UnreadableAnswer Untrusted ask hookimpl
""".split()


def python(code: str) -> str:
    """Return the output of a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_public_names() -> None:
    assert pytest_starcoder.__all__ == PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_names_are_importable(name: str) -> None:
    home = import_module(f"pytest_starcoder.{pytest_starcoder._HOMES[name]}")
    assert getattr(pytest_starcoder, name) is getattr(home, name)


def test_no_other_names() -> None:
    assert sorted(pytest_starcoder._HOMES) == sorted(PUBLIC_NAMES)


def test_star_import() -> None:
    namespace: dict[str, object] = {}
    exec("from pytest_starcoder import *", namespace)
    assert set(PUBLIC_NAMES) <= set(namespace)


def test_unknown_name() -> None:
    with pytest.raises(
        AttributeError, match=r"^module 'pytest_starcoder' has no attribute 'explian'$"
    ):
        pytest_starcoder.explian  # noqa: B018


def test_dir() -> None:
    assert set(PUBLIC_NAMES) <= set(dir(pytest_starcoder))


def test_import_is_light() -> None:
    code = (
        "import sys; before = set(sys.modules); import pytest_starcoder; "
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(names - set(sys.stdlib_module_names)))"
    )
    assert python(code) == "['pytest_starcoder']"


def test_errors_import_no_library() -> None:
    code = (
        "import sys; from pytest_starcoder import BackendTimeout; "
        "print({'requests', 'git', 'dotenv', 'pluggy', 'pytest'} & set(sys.modules))"
    )
    assert python(code) == "set()"


def test_settings_import_is_light() -> None:
    code = (
        "import sys, pytest_starcoder.settings; "
        "print({'requests', 'git', 'dotenv', 'pluggy', 'pytest'} & set(sys.modules))"
    )
    assert python(code) == "set()"
