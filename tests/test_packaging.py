"""What is built and installed: exactly two names, all their files, and commands that start."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import entry_points, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution of this tree."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


@pytest.mark.slow
def test_the_wheel_installs_exactly_two_names_and_every_file_of_theirs(built: Path) -> None:
    names = set(zipfile.ZipFile(only(built, "*.whl")).namelist())
    tops = {name.split("/")[0] for name in names}
    assert tops == {"pytest_starcoder", "pytest_starcoder_hooks", "pytest_starcoder-0.1.0.dist-info"}
    for source, installed in (
        (ROOT / "pytest_starcoder", "pytest_starcoder"),
        (ROOT / "hooks" / "pytest_starcoder_hooks", "pytest_starcoder_hooks"),
    ):
        files = {path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
        expected = {f"{installed}/{path.relative_to(source).as_posix()}" for path in files}
        assert {name for name in names if name.startswith(f"{installed}/")} == expected
    assert {"pytest_starcoder/py.typed", "pytest_starcoder/prompts/starcoder2/explain.txt"} <= names
    assert "pytest_starcoder/report/explanations.schema.json" in names
    assert "pytest_starcoder/runner/startup/sitecustomize.py" in names


@pytest.mark.slow
def test_the_source_distribution_has_what_the_tests_need(built: Path) -> None:
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"README.md", "LICENSE", "CHANGELOG.md", ".pre-commit-hooks.yaml", "pyproject.toml"}
    assert needed | {"tests/conftest.py", "benchmarks/off_cost.py", "hooks/pytest_starcoder_hooks/review.py"} <= names


@pytest.mark.slow
def test_the_wheel_works_where_it_is_installed(built: Path, tmp_path: Path) -> None:
    """Its dependencies come from this environment: only the package itself is the wheel's."""
    site = tmp_path / "site"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(site),
        str(only(built, "*.whl")),
    ]
    subprocess.run(command, check=True)
    (tmp_path / "test_it.py").write_text("def test_it():\n    left = 1\n    assert left == 2\n")
    environment = {**os.environ, "PYTHONPATH": str(site), "STARCODER_BACKEND": "none"}
    run = [sys.executable, "-m", "pytest", "--starcoder-explain", "test_it.py"]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "seen      left is 1, the test expects 2" in done.stdout
    where = [sys.executable, "-c", "import pytest_starcoder; print(pytest_starcoder.__file__)"]
    printed = subprocess.run(where, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert printed.strip() == str(site / "pytest_starcoder" / "__init__.py")


def test_entry_points_and_commands_are_declared() -> None:
    groups = ("pytest11", "starcoder", "console_scripts")
    found = {(group, entry.name) for group in groups for entry in entry_points(group=group)}
    assert {
        ("pytest11", "starcoder"),
        ("starcoder", "ollama"),
        ("starcoder", "llamacpp"),
        ("starcoder", "embedded"),
        ("console_scripts", "starcoder"),
        ("console_scripts", "starcoder-review"),
    } <= found


def test_the_run_time_needs_nothing_but_the_packages_agreed_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {requirement.split(">")[0].split("=")[0] for requirement in project["dependencies"]}
    assert names == {"pytest", "pluggy", "requests", "python-dotenv", "gitpython", "unidiff"}
    assert metadata("pytest-starcoder")["Requires-Python"] == ">=3.11"
