"""Runs git for hooks, without the import cost of GitPython."""

from __future__ import annotations

import os


def ask_git(*arguments: str) -> str | None:
    """Return the output of git in the current folder, or None if it fails or is not installed.

    Never fetches objects.
    """
    variables = {**os.environ, "GIT_NO_LAZY_FETCH": "1"}
    if not hasattr(os, "posix_spawnp"):
        return _ask_by_subprocess(arguments, variables)
    reading, writing = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, writing, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    try:
        process = os.posix_spawnp("git", ["git", *arguments], variables, file_actions=actions)
    except OSError:
        os.close(reading)
        return None
    finally:
        os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        printed = pipe.read()
    _, status = os.waitpid(process, 0)
    return printed.decode("utf-8", "surrogateescape") if status == 0 else None


def is_reachable(commit: str, folder: str | os.PathLike[str]) -> bool:
    """Return whether `commit` is reachable from a ref or a worktree's HEAD at `folder`.

    True if git cannot tell: reading the commit will then report why.
    """
    here = ("-C", os.fspath(folder))
    refs = ask_git(*here, "for-each-ref", "--count=1", f"--contains={commit}")
    if refs is None:  # git fails, or the commit is no longer there
        return ask_git(*here, "rev-parse", "HEAD") is None
    if refs:
        return True
    worktrees = (ask_git(*here, "worktree", "list", "--porcelain") or "").splitlines()
    heads = [line.removeprefix("HEAD ") for line in worktrees if line.startswith("HEAD ")]
    return any(
        ask_git(*here, "merge-base", "--is-ancestor", commit, head) is not None for head in heads
    )


def other_parents(commit: str, folder: str | os.PathLike[str]) -> list[str]:
    """Return the parents of a merge except the first; empty if it is not a merge."""
    answer = ask_git("-C", os.fspath(folder), "rev-list", "--parents", "--max-count=1", commit)
    return (answer or "").split()[2:]


def _ask_by_subprocess(arguments: tuple[str, ...], variables: dict[str, str]) -> str | None:
    import subprocess  # imported late: slower to import than git is to answer

    try:
        done = subprocess.run(["git", *arguments], env=variables, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None
