"""Real git repositories for the tests of reviews."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PRICING = '''"""Prices."""


def mean(xs):
    """The mean of xs."""
    return sum(xs) / max(1, len(xs))


def last(xs):
    return xs[-1]
'''


def git(folder: Path, *arguments: str, **environment: str) -> str:
    """Run git in `folder` and return its output; raises CalledProcessError."""
    settings = (
        "user.name=Ann",
        "user.email=ann@example.com",
        "commit.gpgsign=false",
        "protocol.file.allow=always",
    )
    command = ["git"]
    for setting in settings:
        command += ["-c", setting]
    command += arguments
    done = subprocess.run(
        command,
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, **environment},
    )
    return done.stdout


def repository(folder: Path, files: dict[str, str] | None = None) -> Path:
    """Create a repository with one commit of `files`."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    staged(folder, {"shop/pricing.py": PRICING} if files is None else files)
    git(folder, "commit", "--quiet", "--allow-empty", "--message=first")
    return folder


def written(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))


def staged(folder: Path, files: dict[str, str]) -> None:
    written(folder, files)
    git(folder, "add", "--all")


def committed(folder: Path, files: dict[str, str], message: str) -> str:
    """Commit `files` and return the hash."""
    staged(folder, files)
    git(folder, "commit", "--quiet", "--allow-empty", f"--message={message}")
    return git(folder, "rev-parse", "HEAD").strip()


DIVIDES = PRICING.replace("max(1, len(xs))", "len(xs)")
"""PRICING with a fault: one hunk, whose added line 6 divides by zero for an empty list."""
