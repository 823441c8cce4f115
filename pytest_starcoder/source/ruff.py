"""Runs ruff, where it is installed: finds suspicious lines, sorts imports, formats code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TIMEOUT = 2.0
"""Seconds that ruff may take for one file."""

RULES = "F,B,PLE,S,ASYNC"
"""Rules about what code does; none about style."""

IGNORED_RULES = "F401,F403,F405,S101,B904"
"""Rules that seldom find a fault: unused imports, assertions, exceptions without a cause."""


def linted_lines(path: str, text: str) -> frozenset[int]:
    """Return the lines (1-based) of a Python file that ruff reports; none without ruff."""
    program = find_ruff()
    if program is None or not path.endswith(".py"):
        return frozenset()
    command = [
        program,
        "check",
        "--isolated",
        "--no-cache",
        f"--select={RULES}",
        f"--ignore={IGNORED_RULES}",
        "--output-format=json",
        "--exit-zero",
        f"--stdin-filename={path.rpartition('/')[2]}",
        "-",
    ]
    try:
        done = subprocess.run(
            command,
            input=text.encode("utf-8", "replace"),
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            cwd=tempfile.gettempdir(),
        )
        findings = json.loads(done.stdout or b"[]")
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return frozenset()
    locations = [finding["location"] for finding in findings]
    return frozenset(int(location["row"]) for location in locations if location)


def sort_imports(file: Path, root: Path, text: str) -> str:
    """Return a text with its imports sorted by the settings for `file`; unchanged if ruff fails."""
    return _rewritten(text, root, ["check", "--quiet", "--select=I", "--fix"], file)


def format_code(file: Path, root: Path, text: str) -> str:
    """Return a text formatted by the settings for `file`; unchanged if ruff fails."""
    return _rewritten(text, root, ["format", "--quiet"], file)


def _rewritten(text: str, root: Path, options: list[str], file: Path) -> str:
    program = find_ruff()
    if program is None:
        return text
    # In the root, where ruff finds the settings of the project.
    done = subprocess.run(
        [program, *options, f"--stdin-filename={file}", "-"],
        input=text,
        capture_output=True,
        text=True,
        cwd=root,
        check=False,
    )
    return text if done.returncode else done.stdout or text


def find_ruff() -> str | None:
    """Return the program on PATH or beside the interpreter; None if there is none.

    Relative folders on PATH are ignored: they would find programs of the repository.
    """
    folders = [folder for folder in os.get_exec_path() if Path(folder).is_absolute()]
    folders.append(str(Path(sys.executable).parent))
    program = shutil.which("ruff", path=os.pathsep.join(folders))
    # Windows searches the current folder first, whatever PATH says.
    return program if program and Path(program).is_absolute() else None
