"""Environment variables of the tests that run again."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from pytest_starcoder.redaction.redactor import is_secret_name
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.sandbox import environment

# The first two belong to the user's run; the others would make coverage measure ours.
EXCLUDED = (
    "PYTEST_ADDOPTS",
    "PYTEST_CURRENT_TEST",
    "COVERAGE_PROCESS_START",
    "COVERAGE_PROCESS_CONFIG",
)
EXCLUDED_PREFIXES = ("PYTEST_XDIST_", "COV_CORE_")

FILE_NAME = re.compile(r"[\w-]+(\.[\w-]+)?\.[a-z]{2,5}")


def user_variables(launch: Launch) -> dict[str, str]:
    """Return the variables that the user's tests had, without those that concern their run."""
    variables = dict(launch.environment or os.environ)
    for name in list(variables):
        if name in EXCLUDED or name.startswith(EXCLUDED_PREFIXES):
            del variables[name]
    return variables


def sandboxed_variables(launch: Launch, folder: Path) -> dict[str, str]:
    """Return the variables of sandboxed code, whose home is in `folder`.

    They include pytest's variables and those that name a file or a folder: paths are no
    secrets, and a conftest may need them.
    """
    variables = user_variables(launch)
    harmless = {}
    for name, value in variables.items():
        is_needed = name.startswith("PYTEST_") or _is_path(launch.folder, name, value)
        if is_needed and not is_secret_name(name):
            harmless[name] = value
    return harmless | environment(variables, folder)


def _is_path(folder: Path, name: str, value: str) -> bool:
    """Return whether a value names a file or folder, even one to create, but not a socket."""
    if not value or name.startswith("XDG_"):
        return False
    path = folder / value
    with contextlib.suppress(OSError, ValueError):
        if path.is_file() or path.is_dir():
            return True
        # A file to create, such as a log.
        is_file_name = FILE_NAME.fullmatch(path.name) is not None
        return is_file_name and path.parent.is_dir() and not path.exists()
    return False
