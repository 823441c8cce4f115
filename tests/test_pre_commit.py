"""The hooks under the real pre-commit and the real prek, from this tree's manifest."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAYS = "starcoder-review: nothing was reviewed"


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def hook_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of what a wheel is built from, as pre-commit would clone it."""
    folder = tmp_path_factory.mktemp("hooks")
    for name in ("pytest_starcoder", "hooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "hooks")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with one staged file."""
    git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("a = 1\n")
    git(tmp_path, "add", "-A")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("program", ["pre-commit", "prek"])
def test_the_gate_says_that_nothing_was_reviewed_and_does_not_pass(
    program: str, hook_repository: Path, project: Path
) -> None:
    command = [str(Path(sys.executable).with_name(program)), "try-repo", str(hook_repository), "starcoder-review"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert SAYS in done.stdout
    assert "exit code: 2" in done.stdout.lower()


@pytest.mark.slow
def test_the_advisory_hook_never_fails(hook_repository: Path, project: Path) -> None:
    program = str(Path(sys.executable).with_name("pre-commit"))
    command = [program, "try-repo", str(hook_repository), "starcoder-review-advisory", "--verbose"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert SAYS in done.stdout
