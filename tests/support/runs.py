"""Whole pytest runs for fixtures of a module; `pytester` works for one test only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from support.screens import section
from support.servers import closed_port

FOREIGN_VARIABLES = ("STARCODER_", "PYTEST_ADDOPTS", "GIT_", "XDG_", "HF_", "HUGGING", "COLUMNS")


@dataclass(frozen=True)
class Run:
    """A finished run in `folder`."""

    folder: Path
    result: pytest.RunResult

    @property
    def section(self) -> list[str]:
        return section(self.result)

    @property
    def text(self) -> str:
        """The section on one line."""
        return " ".join(" ".join(self.section).split())

    @property
    def causes(self) -> list[dict[str, Any]]:
        """The causes of the report out.json."""
        causes: list[dict[str, Any]] = json.loads((self.folder / "out.json").read_text())["causes"]
        return causes

    def cause(self, test: str) -> dict[str, Any]:
        """Return the cause of the test whose node id ends with `test`."""
        for cause in self.causes:
            if any(nodeid.endswith(test) for nodeid in cause["tests"]):
                return cause
        raise LookupError(f"no cause of {test}")


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"))


def home_of(folder: Path) -> Path:
    """Return the home folder of runs in `folder`, where their caches are."""
    return folder.parent / f"{folder.name}-home"


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return an environment without the developer's settings, and with no server."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FOREIGN_VARIABLES) and name not in ("CI", "BUILD_NUMBER")
    }
    return {
        **inherited,
        "HOME": str(home),
        "OLLAMA_HOST": closed_port(),
        "PYTEST_ADDOPTS": "-p no:hypothesispytest -p no:cacheprovider",
        "STARCODER_FIX": "off",
        **variables,
    }


def run_pytest(
    folder: Path, files: Mapping[str, str], options: Sequence[str], **variables: str
) -> Run:
    """Write the files into a new folder and run pytest there."""
    write_files(folder, files)
    home = home_of(folder)
    home.mkdir(exist_ok=True)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    outlines, errlines = ended.stdout.splitlines(), ended.stderr.splitlines()
    return Run(folder, pytest.RunResult(ended.returncode, outlines, errlines, 0.0))
