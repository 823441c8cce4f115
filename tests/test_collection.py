"""Collecting the suite gives the same test ids every time: xdist's workers compare them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
NOT_COPIED = shutil.ignore_patterns(".*", "build", "dist", "__pycache__")


@pytest.mark.slow
def test_stable_ids(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The second collection runs later, in a copy of the project, with another hash seed."""
    copy = tmp_path / "copy"
    shutil.copytree(PROJECT, copy, ignore=NOT_COPIED)
    (copy.parent / "shared").symlink_to(PROJECT.parent / "shared")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=copy,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    elsewhere = set(result.stdout.splitlines())
    collected_here = {item.nodeid for item in request.session.items}
    assert collected_here <= elsewhere
