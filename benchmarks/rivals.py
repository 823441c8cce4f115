"""Other tools in environments of their own, so that the same command measures them beside ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class NotInstalled(Exception):
    """The rival could not be installed; the text is the last line of what pip said."""


def environment(folder: Path, name: str, requirements: Sequence[str]) -> Path:
    """The Python of the environment `folder/name` with `requirements` in it; made where it is not there yet.

    Pip is run with the user's own configuration. Raises NotInstalled.
    """
    python = folder / name / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = folder / name / "requirements.txt"
    wanted = "\n".join(requirements) + "\n"
    if ready.is_file() and ready.read_text("utf-8") == wanted:
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
    ready.write_text(wanted, "utf-8")
    return python


def version(python: Path, distribution: str) -> str:
    """The version of what `environment` has installed."""
    asked = f"from importlib.metadata import version; print(version({distribution!r}))"
    return subprocess.run(
        [str(python), "-c", asked], capture_output=True, text=True, check=True
    ).stdout.strip()
