"""The hooks under the real pre-commit and the real prek, from this tree's manifest, in real commits in a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.repositories import DIVIDES, git, repository, staged
from support.servers import FakeOllama

ROOT = Path(__file__).parents[1]
PROGRAMS = ("pre-commit", "prek")
COMMENT = "An empty list divides by zero."

pytestmark = pytest.mark.slow


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


@pytest.fixture(scope="module")
def hook_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of what a wheel is built from, as a framework would clone it."""
    folder = tmp_path_factory.mktemp("hooks")
    for name in ("pytest_starcoder", "hooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=hooks")
    return folder


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where the frameworks build what they run: once for all tests here."""
    home = tmp_path_factory.mktemp("environments")
    return {"PRE_COMMIT_HOME": str(home / "pre-commit"), "PREK_HOME": str(home / "prek")}


@pytest.fixture
def framework(
    request: pytest.FixtureRequest,
    hook_repository: Path,
    environments: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    for name, value in environments.items():
        monkeypatch.setenv(name, value)
    # An environment is built with this machine's own settings of pip, whatever the home of the tests is.
    return program(request.param)


def configured(folder: Path, hooks: Path, framework: str, *ids: str) -> None:
    """Puts the hooks into a repository and installs them for all stages that they have."""
    told = "".join(f"      - id: {name}\n" for name in ids)
    rev = git(hooks, "rev-parse", "HEAD").strip()
    config = f"repos:\n  - repo: {hooks}\n    rev: {rev}\n    hooks:\n{told}"
    (folder / ".pre-commit-config.yaml").write_text(config)
    git(folder, "add", ".pre-commit-config.yaml")
    git(folder, "commit", "--quiet", "--no-verify", "--message=hooks")
    types = [f"--hook-type={stage}" for stage in ("pre-commit", "post-commit", "pre-push")]
    done = subprocess.run(
        [framework, "install", "--install-hooks", *types],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def in_terminal(folder: Path, *command: str) -> tuple[int, str]:
    """The exit status of a command whose terminal is a new one, and what stood there."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(folder)
        os.execvp(command[0], command)
    shown = b""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.5)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:
                break  # Linux says so where nobody writes any more
            if not piece:
                break
            shown += piece
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), re.sub(
        r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode("utf-8", "replace")
    )


COMMIT = (
    "git",
    "-c",
    "user.name=Ann",
    "-c",
    "user.email=ann@example.com",
    "commit",
    "--message=divide",
)


@pytest.mark.parametrize("framework", PROGRAMS, indirect=True)
def test_a_commit_in_a_terminal_shows_how_far_the_review_went_though_it_passes(
    framework: str, hook_repository: Path, tmp_path: Path, ollama_double: FakeOllama
) -> None:
    ollama_double.answer, ollama_double.likelihood = "approved", -0.1
    folder = repository(tmp_path / "project")
    configured(folder, hook_repository, framework, "starcoder-review")
    (folder / "logo.png").write_bytes(b"\0")
    staged(folder, {"shop/pricing.py": DIVIDES})
    status, shown = in_terminal(folder, *COMMIT)
    assert status == 0, shown
    assert "StarCoder: 1 of 1 hunk reviewed, no findings, " in shown
    assert "Not reviewed: logo.png (binary)." in shown
    assert "Passed" in shown
    assert git(folder, "log", "-1", "--format=%s").strip() == "divide"
    # Without a terminal nothing can be seen, and the report is kept.
    staged(folder, {"other.py": "a = 1\n"})
    git(folder, "commit", "--quiet", "--message=other")
    last = subprocess.run(
        [program("starcoder-review"), "--last"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert last.stdout.startswith("1 of 1 hunk reviewed, no findings, ")
    # With the server away the next one passes too, and says that nothing was reviewed.
    ollama_double.replies["/api/tags"] = (404, b"{}")
    ollama_double.replies["/api/generate"] = (404, b"{}")
    staged(folder, {"third.py": "b = 1\n"})
    status, shown = in_terminal(folder, *COMMIT)
    assert status == 0, shown
    assert "StarCoder: 0 of 1 hunk reviewed, " in shown
    assert "Not reviewed: third.py (" in shown


@pytest.mark.parametrize("framework", PROGRAMS, indirect=True)
def test_a_finding_stops_the_commit_and_is_shown(
    framework: str, hook_repository: Path, tmp_path: Path, ollama_double: FakeOllama
) -> None:
    ollama_double.answer = lambda prompt: (
        "changes_required" if prompt.endswith("_state>") else f" {COMMENT}"
    )
    folder = repository(tmp_path / "project")
    configured(
        folder, hook_repository, framework, "starcoder-review", "starcoder-review-background"
    )
    staged(folder, {"shop/pricing.py": DIVIDES})
    (folder / "shop/pricing.py").write_text(DIVIDES + "\nUNSTAGED = 1\n")
    status, shown = in_terminal(folder, *COMMIT)
    assert status == 1, shown
    assert f"shop/pricing.py:6: error: {COMMENT}" in shown
    assert "Skip once: SKIP=starcoder-review git commit" in shown
    assert "UNSTAGED" not in "".join(ollama_double.prompts())
    assert (folder / "shop/pricing.py").read_text().endswith("UNSTAGED = 1\n")
    assert git(folder, "log", "-1", "--format=%s").strip() == "hooks"
    # Skipped, it is reviewed in the background all the same, and the push hears of it.
    git(folder, "commit", "--quiet", "--message=divide", SKIP="starcoder-review")
    reviewed(folder)
    remote = tmp_path / "remote"
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    git(folder, "remote", "add", "origin", str(remote))
    git(folder, "push", "--quiet", "--no-verify", "origin", "HEAD~1:refs/heads/main")
    git(folder, "fetch", "--quiet", "origin")
    asked = len(ollama_double.asked())
    status, shown = in_terminal(folder, "git", "push", "origin", "main")
    assert status == 1, shown
    assert f"shop/pricing.py:6: error: {COMMENT}" in shown
    assert len(ollama_double.asked()) == asked


def reviewed(folder: Path) -> None:
    """Wait until no commit is queued for a background review."""
    queue = folder / ".git/starcoder/background/queue"
    until = time.monotonic() + 30
    while not queue.exists() or any(queue.iterdir()):
        assert time.monotonic() < until, "no review in the background has ended"
        time.sleep(0.1)


@pytest.mark.parametrize("framework", PROGRAMS, indirect=True)
def test_the_background_hook_alone_tells(
    framework: str, hook_repository: Path, tmp_path: Path, ollama_double: FakeOllama
) -> None:
    ollama_double.answer = lambda prompt: (
        "changes_required" if prompt.endswith("_state>") else f" {COMMENT}"
    )
    ollama_double.likelihood = -0.1
    folder, remote = repository(tmp_path / "project"), tmp_path / "remote"
    configured(folder, hook_repository, framework, "starcoder-review-background")
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    git(folder, "remote", "add", "origin", str(remote))
    git(folder, "push", "--quiet", "--no-verify", "origin", "main")
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    staged(folder, {"shop/pricing.py": DIVIDES})
    assert COMMENT not in both(folder, "git", *identity, "commit", "--message=divide")[1]
    reviewed(folder)
    ollama_double.answer = "approved"
    staged(folder, {"other.py": "a = 1\n"})
    status, shown = both(folder, "git", *identity, "commit", "--message=other")
    assert status == 0, shown
    assert shown.count(f"shop/pricing.py:6: error: {COMMENT}") == 1
    reviewed(folder)
    status, shown = both(folder, "git", "push", "origin", "main")
    assert status == 1, shown
    assert shown.count(f"shop/pricing.py:6: error: {COMMENT}") == 1
    assert "Push again to go on" in shown
    status, shown = both(folder, "git", "push", "origin", "main")
    assert status == 0, shown
    assert COMMENT not in shown
    # On a terminal a clean review is reported, too.
    staged(folder, {"third.py": "b = 1\n"})
    git(folder, "commit", "--quiet", "--message=third")
    reviewed(folder)
    staged(folder, {"fourth.py": "b = 1\n"})
    status, shown = in_terminal(folder, *COMMIT)
    assert status == 0, shown
    assert "StarCoder: Reviewed in the background: " in shown
    assert "third 1 of 1 hunk reviewed, no findings, " in shown


def both(folder: Path, *command: str) -> tuple[int, str]:
    """Run a command without a terminal; return its exit status and output."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("framework", PROGRAMS, indirect=True)
def test_a_repository_can_be_tried_without_a_configuration(
    framework: str, hook_repository: Path, tmp_path: Path, ollama_double: FakeOllama
) -> None:
    ollama_double.answer, ollama_double.likelihood = "approved", -0.1
    folder = repository(tmp_path / "project")
    staged(folder, {"shop/pricing.py": DIVIDES})
    command = [
        framework,
        "try-repo",
        str(hook_repository),
        "starcoder-review-advisory",
        "--verbose",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 hunk reviewed, no findings, " in done.stdout
