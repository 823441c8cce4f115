"""What is promised to others, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import pytest_starcoder

PROMISED = """
    AccessDenied Backend BackendError BackendTimeout BackendUnavailable BadResponse Client Completion
    ConfigError Deadline Ending Explanation Failure Finding Frame Label MissingExtra Model OnText Prompt PromptTooLong
    RateLimited Settings StarcoderError Statement Suspect UnknownBackend UnknownModel UnreadableAnswer Untrusted
    ask hookimpl
""".split()


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_promised_names_are_these() -> None:
    assert pytest_starcoder.__all__ == PROMISED


@pytest.mark.parametrize("name", PROMISED)
def test_each_promised_name_can_be_imported_and_is_the_one_of_its_home(name: str) -> None:
    home = import_module(f"pytest_starcoder.{pytest_starcoder._HOMES[name]}")
    assert getattr(pytest_starcoder, name) is getattr(home, name)


def test_no_name_has_a_home_that_is_not_promised() -> None:
    assert sorted(pytest_starcoder._HOMES) == sorted(PROMISED)


def test_a_star_import_gives_them_all() -> None:
    found: dict[str, object] = {}
    exec("from pytest_starcoder import *", found)
    assert set(PROMISED) <= set(found)


def test_an_unknown_name_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(
        AttributeError, match=r"^module 'pytest_starcoder' has no attribute 'explian'$"
    ):
        pytest_starcoder.explian  # noqa: B018


def test_dir_lists_the_promised_names() -> None:
    assert set(PROMISED) <= set(dir(pytest_starcoder))


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import pytest_starcoder; "
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    assert python(code) == "['pytest_starcoder']"


def test_importing_the_errors_imports_no_library() -> None:
    code = (
        "import sys; from pytest_starcoder import BackendTimeout; "
        "print({'requests', 'git', 'dotenv', 'pluggy', 'pytest'} & set(sys.modules))"
    )
    assert python(code) == "set()"


def test_importing_the_settings_imports_no_library_that_a_project_may_not_need() -> None:
    code = (
        "import sys, pytest_starcoder.settings; "
        "print({'requests', 'git', 'dotenv', 'pluggy', 'pytest'} & set(sys.modules))"
    )
    assert python(code) == "set()"
