"""What CI services run: the steps of the action and the example for GitLab, as far as they go without the service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.repositories import DIVIDES, committed, git, repository
from support.servers import FakeOllama

ROOT = Path(__file__).parents[2]
COMMENT = "An empty list divides by zero."


@pytest.fixture
def top(tmp_path: Path, ollama_double: FakeOllama) -> Path:
    """A repository with a branch to review, and a model that comments on it."""
    ollama_double.answer = lambda prompt: "changes_required" if prompt.endswith("_state>") else f" {COMMENT}"
    folder = repository(tmp_path / "project")
    git(folder, "checkout", "--quiet", "-b", "feature")
    committed(folder, {"shop/pricing.py": DIVIDES}, "divide")
    return folder


def in_shell(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, **environment}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def review_step(**inputs: str) -> tuple[str, dict[str, str]]:
    """The script of the action's review, and its variables with the inputs filled in."""
    action: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    given = {name: str(told.get("default", "")) for name, told in action["inputs"].items()} | inputs
    step = next(step for step in action["runs"]["steps"] if step["name"] == "Review")

    def filled(value: str) -> str:
        return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: given[match[1]], value)

    return step["run"], {name: filled(value) for name, value in step["env"].items()}


def test_the_action_annotates_fails_and_writes_sarif(top: Path) -> None:
    script, variables = review_step(**{"from-ref": "main", "sarif": "review.sarif"})
    done = in_shell(script, top, **variables)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error file=shop/pricing.py,line=6,title=StarCoder (starcoder2%3A7b)::")
    results = json.loads((top / "review.sarif").read_text())["runs"][0]["results"]
    assert [result["message"]["text"] for result in results] == [COMMENT]


@pytest.mark.slow
def test_the_action_can_be_told_never_to_fail(top: Path) -> None:
    script, variables = review_step(**{"from-ref": "main", "fail-on": "never"})
    assert in_shell(script, top, **variables).returncode == 0


@pytest.mark.slow
def test_the_action_can_require_a_model(top: Path) -> None:
    script, variables = review_step(**{"from-ref": "main", "backend": "none", "require-model": "true"})
    assert in_shell(script, top, **variables).returncode == 3


def test_no_input_of_the_action_is_read_as_code() -> None:
    action: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    assert all("${{" not in step["run"] for step in action["runs"]["steps"])


@pytest.mark.slow
def test_the_example_for_gitlab_writes_a_code_quality_report(top: Path) -> None:
    job = yaml.safe_load((ROOT / "examples/gitlab-review.yml").read_text("utf-8"))["starcoder-review"]
    script = "\n".join(line for line in job["script"] if not line.startswith("pip install"))
    variables = {name: str(value) for name, value in job["variables"].items()}
    done = in_shell(script, top, CI_MERGE_REQUEST_DIFF_BASE_SHA=git(top, "rev-parse", "main").strip(), **variables)
    assert done.returncode == 0, done.stderr
    report = json.loads((top / job["artifacts"]["reports"]["codequality"]).read_text())
    assert [(entry["location"]["path"], entry["location"]["lines"]["begin"]) for entry in report] == [
        ("shop/pricing.py", 6)
    ]
