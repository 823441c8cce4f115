"""Lines at which ruff points, where it is installed: to choose the line that is asked about, never to report again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PATIENCE = 2.0
"""Seconds that ruff may take for one file."""

RULES = "F,B,PLE,S,ASYNC"
"""Of ruff's: those about what code does, none about how it looks."""

QUIET = "F401,F403,F405,S101,B904"
"""Of those the ones that are seldom a fault: unused imports, assertions, causes that are not named."""


def linted_lines(path: str, text: str) -> frozenset[int]:
    """The lines (1-based) of a Python file of which ruff says something; none where there is no ruff."""
    program = ruff()
    if program is None or not path.endswith(".py"):
        return frozenset()
    command = [
        program,
        "check",
        "--isolated",
        "--no-cache",
        f"--select={RULES}",
        f"--ignore={QUIET}",
    ]
    command += ["--output-format=json", "--exit-zero"]
    try:
        told = subprocess.run(
            [*command, f"--stdin-filename={path.rpartition('/')[2]}", "-"],
            input=text.encode("utf-8", "replace"),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            cwd=tempfile.gettempdir(),
        ).stdout
        found = json.loads(told or b"[]")
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(int(entry["location"]["row"]) for entry in found if entry.get("location"))


def ruff() -> str | None:
    """Return the program on PATH or beside the interpreter; None if there is none.

    Relative folders on PATH are ignored: they would find programs of the repository.
    """
    folders = [folder for folder in os.get_exec_path() if Path(folder).is_absolute()]
    program = shutil.which(
        "ruff", path=os.pathsep.join([*folders, str(Path(sys.executable).parent)])
    )
    # Windows searches the current folder first, whatever PATH says.
    return program if program and Path(program).is_absolute() else None
