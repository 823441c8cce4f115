"""Installs other tools into environments of their own, to measure them by the same command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class NotInstalled(Exception):
    """A rival could not be installed; the text is the last line of pip's output."""


def environment(folder: Path, name: str, requirements: Sequence[str]) -> Path:
    """Return the Python of the environment `folder/name`, created with `requirements` if missing.

    Pip is run with the user's own configuration. Raises NotInstalled.
    """
    python = folder / name / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = folder / name / "requirements.txt"
    content = "\n".join(requirements) + "\n"
    if ready.is_file() and ready.read_text("utf-8") == content:
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / name)], check=True)
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", *requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotInstalled((done.stderr.strip().splitlines() or ["pip said nothing"])[-1])
    ready.write_text(content, "utf-8")
    return python


def version(python: Path, distribution: str) -> str:
    """Return the version of an installed distribution."""
    code = f"from importlib.metadata import version; print(version({distribution!r}))"
    return subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
