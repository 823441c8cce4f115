"""Runs `starcoder-review` in this process: a real one takes most of a second to start."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
from pathlib import Path
from unittest.mock import patch

from pytest_starcoder_hooks import review

COMMENT = "An empty list divides by zero."


def comment(prompt: str) -> str:
    """Answer as a StarCoder2 that comments on every hunk."""
    return "changes_required" if prompt.endswith("_state>") else f" {COMMENT}"


def run_review(
    folder: Path, *arguments: str, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in `folder`, and return its exit status and output."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        patch.dict(os.environ, environment),
        patch("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()))),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            status = review.main([*arguments])
        except SystemExit as exc:
            status = int(exc.code or 0)
    return subprocess.CompletedProcess([], status, stdout.getvalue(), stderr.getvalue())
