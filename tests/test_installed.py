"""In CI, the tests and their child processes run against an installed wheel of this tree."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import pytest_starcoder_hooks

import pytest_starcoder

ROOT = Path(__file__).parents[1]
PLACES = {
    pytest_starcoder: ROOT / "pytest_starcoder",
    pytest_starcoder_hooks: ROOT / "hooks/pytest_starcoder_hooks",
}

pytestmark = pytest.mark.skipif(
    "PYTEST_STARCODER_INSTALLED" not in os.environ,
    reason="this may be an editable installation: .ci/run makes a real one",
)


def files(folder: Path) -> dict[str, bytes]:
    found = [
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_installed_package_is_tested(tmp_path: Path) -> None:
    names = [package.__name__ for package in PLACES]
    code = f"import {', '.join(names)}\nfor name in {names}: print(eval(name).__file__)"
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    site = Path(sysconfig.get_path("purelib"))
    expected = [str(site / name / "__init__.py") for name in names]
    assert [package.__file__ for package in PLACES] == expected
    assert output.stdout.splitlines() == expected


@pytest.mark.parametrize("package", PLACES, ids=lambda package: package.__name__)
def test_installed_files(package: object) -> None:
    assert files(Path(package.__file__).parent) == files(PLACES[package])  # type: ignore[attr-defined, index]
