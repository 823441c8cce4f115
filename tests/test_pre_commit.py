"""The hooks of our manifest under the real pre-commit and prek, in real commits in a terminal."""

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
from typing import Any

import pytest
import yaml
from support.repositories import DIVIDES, git, repository, staged
from support.reviews import COMMENT, comment
from support.servers import FakeOllama

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
FINDING = f"shop/pricing.py:6: error: {COMMENT}"

IDENTITY = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")

pytestmark = pytest.mark.slow

# pre-commit takes twice as long; `test_finding_stops_commit` shows that it runs all hooks.
only_prek = pytest.mark.parametrize("framework", ["prek"], indirect=True)


@pytest.fixture
def model(ollama_double: FakeOllama) -> FakeOllama:
    ollama_double.answer, ollama_double.likelihood = comment, -0.1
    return ollama_double


@pytest.fixture(params=["pre-commit", "prek"])
def framework(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "pre-commit"))
    monkeypatch.setenv("PREK_HOME", str(tmp_path / "prek"))
    return str(PROGRAMS / request.param)


def install(folder: Path, framework: str, *names: str) -> None:
    """Install hooks of our manifest that run the program of this environment.

    As `language: python` each framework would build an environment: `test_try_repo` does.
    """
    hooks: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    chosen = []
    for hook in hooks:
        if hook["id"] in names:
            entry = f"{PROGRAMS}/{hook['entry']}"
            chosen.append({**hook, "language": "system", "entry": entry})
    config = {"repos": [{"repo": "local", "hooks": chosen}]}
    (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    git(folder, "add", ".pre-commit-config.yaml")
    git(folder, "commit", "--quiet", "--no-verify", "--message=hooks")
    stages = [f"--hook-type={stage}" for stage in ("pre-commit", "post-commit", "pre-push")]
    status, shown = run_command(folder, framework, "install", *stages)
    assert status == 0, shown


def run_command(folder: Path, *command: str) -> tuple[int, str]:
    """Run a command without a terminal; return its exit status and output."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def run_in_terminal(folder: Path, *command: str) -> tuple[int, str]:
    """Run a command in a new terminal; return its exit status and what the terminal shows."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(folder)
        os.execvp(command[0], command)
    shown = b""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:
                break  # on Linux, the other side is closed
            if not piece:
                break
            shown += piece
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode("utf-8", "replace"))
    return os.waitstatus_to_exitcode(status), text


def await_reviews(folder: Path) -> None:
    """Wait until no commit is queued for a background review."""
    queue = folder / ".git/starcoder/background/queue"
    deadline = time.monotonic() + 30
    while not queue.exists() or any(queue.iterdir()):
        assert time.monotonic() < deadline, "no review in the background has ended"
        time.sleep(0.1)


def add_remote(folder: Path, remote: Path, pushed: str) -> None:
    git(folder, "init", "--quiet", "--bare", str(remote))
    git(folder, "remote", "add", "origin", str(remote))
    git(folder, "push", "--quiet", "--no-verify", "origin", f"{pushed}:refs/heads/main")
    git(folder, "fetch", "--quiet", "origin")


@only_prek
def test_passing_commit(framework: str, tmp_path: Path, model: FakeOllama) -> None:
    model.answer = "approved"
    folder = repository(tmp_path / "project")
    install(folder, framework, "starcoder-review")
    (folder / "logo.png").write_bytes(b"\0")
    staged(folder, {"shop/pricing.py": DIVIDES})
    status, shown = run_in_terminal(folder, "git", *IDENTITY, "commit", "--message=divide")
    assert status == 0, shown
    assert "StarCoder: 1 of 1 hunk reviewed, no findings, " in shown
    assert "Not reviewed: logo.png (binary)." in shown
    assert "Passed" in shown
    assert git(folder, "log", "-1", "--format=%s").strip() == "divide"
    # Without a server the next one passes too, and says that nothing was reviewed.
    model.replies["/api/tags"] = (404, b"{}")
    model.replies["/api/generate"] = (404, b"{}")
    staged(folder, {"third.py": "b = 1\n"})
    status, shown = run_in_terminal(folder, "git", *IDENTITY, "commit", "--message=third")
    assert status == 0, shown
    assert "StarCoder: 0 of 1 hunk reviewed, " in shown
    assert "Not reviewed: third.py (" in shown


def test_finding_stops_commit(framework: str, tmp_path: Path, model: FakeOllama) -> None:
    folder = repository(tmp_path / "project")
    install(folder, framework, "starcoder-review", "starcoder-review-background")
    staged(folder, {"shop/pricing.py": DIVIDES})
    (folder / "shop/pricing.py").write_text(DIVIDES + "\nUNSTAGED = 1\n")
    status, shown = run_in_terminal(folder, "git", *IDENTITY, "commit", "--message=divide")
    assert status == 1, shown
    assert FINDING in shown
    assert "Skip once: SKIP=starcoder-review git commit" in shown
    assert "UNSTAGED" not in "".join(model.prompts())
    assert (folder / "shop/pricing.py").read_text().endswith("UNSTAGED = 1\n")
    assert git(folder, "log", "-1", "--format=%s").strip() == "hooks"
    # Skipped, it is reviewed in the background all the same, and the push reports it.
    git(folder, "commit", "--quiet", "--message=divide", SKIP="starcoder-review")
    await_reviews(folder)
    add_remote(folder, tmp_path / "remote", "HEAD~1")
    model.requests.clear()
    status, shown = run_in_terminal(folder, "git", "push", "origin", "main")
    assert status == 1, shown
    assert FINDING in shown
    assert not model.asked()


@only_prek
def test_background_hook(framework: str, tmp_path: Path, model: FakeOllama) -> None:
    folder = repository(tmp_path / "project")
    install(folder, framework, "starcoder-review-background")
    add_remote(folder, tmp_path / "remote", "main")
    staged(folder, {"shop/pricing.py": DIVIDES})
    _, shown = run_command(folder, "git", *IDENTITY, "commit", "--message=divide")
    assert COMMENT not in shown
    await_reviews(folder)
    model.answer = "approved"
    staged(folder, {"other.py": "a = 1\n"})
    status, shown = run_command(folder, "git", *IDENTITY, "commit", "--message=other")
    assert status == 0, shown
    assert shown.count(FINDING) == 1
    await_reviews(folder)
    status, shown = run_command(folder, "git", "push", "origin", "main")
    assert status == 1, shown
    assert shown.count(FINDING) == 1
    assert "Push again to continue" in shown
    status, shown = run_command(folder, "git", "push", "origin", "main")
    assert status == 0, shown
    assert COMMENT not in shown
    # On a terminal a clean review is reported, too.
    staged(folder, {"third.py": "b = 1\n"})
    git(folder, "commit", "--quiet", "--message=third")
    await_reviews(folder)
    staged(folder, {"fourth.py": "b = 1\n"})
    status, shown = run_in_terminal(folder, "git", *IDENTITY, "commit", "--message=fourth")
    assert status == 0, shown
    assert "StarCoder: Reviewed in the background: " in shown
    assert "third 1 of 1 hunk reviewed, no findings, " in shown


@only_prek
def test_try_repo(framework: str, tmp_path: Path, model: FakeOllama) -> None:
    """The framework builds an environment from a repository with what is in a wheel."""
    model.answer = "approved"
    hooks = tmp_path / "hooks"
    for name in ("pytest_starcoder", "hooks"):
        shutil.copytree(ROOT / name, hooks / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, hooks / name)
    git(hooks, "init", "--quiet")
    git(hooks, "add", "--all")
    git(hooks, "commit", "--quiet", "--message=hooks")
    folder = repository(tmp_path / "project")
    staged(folder, {"shop/pricing.py": DIVIDES})
    arguments = ("try-repo", str(hooks), "starcoder-review-advisory", "--verbose")
    status, shown = run_command(folder, framework, *arguments)
    assert status == 0, shown
    assert "1 of 1 hunk reviewed, no findings, " in shown
