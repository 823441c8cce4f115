"""Runs git with options that keep it from writing, fetching or starting other programs.

git waits for hooks that import this module, so it imports neither `subprocess` nor `pathlib`:
either takes longer to import than git takes to answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

EMPTY_VARIABLE = "PYTEST_STARCODER_EMPTY"
"""An empty environment variable for `git --config-env`, which accepts keys that `git -c` cannot."""

# The repository's configuration may name programs, and files that do not exist.
OPTIONS = (
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.quotePath=false"),
    *("-c", "blame.ignoreRevsFile="),
    *("-c", "diff.external="),
)
"""Options for every git that we run."""

ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "0",
    "GIT_GLOB_PATHSPECS": "0",
    "GIT_NOGLOB_PATHSPECS": "0",
    "GIT_ICASE_PATHSPECS": "0",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    # Git before 2.44 ignores GIT_NO_LAZY_FETCH, so it also gets no protocol to fetch with.
    "GIT_ALLOW_PROTOCOL": "none",
    "LC_ALL": "C",
    "LANGUAGE": "C",
    EMPTY_VARIABLE: "",
}
"""Variables for every git that we run: write nothing, fetch nothing, never ask for a password."""


def run(
    *arguments: str,
    folder: str | os.PathLike[str] = "",
    variables: Mapping[str, str] | None = None,
    timeout: float | None = None,
    standard_input: bytes = b"",
) -> tuple[int, bytes] | None:
    """Run git in `folder` and return its exit status and output.

    Return None if it cannot be started, or does not end within `timeout` seconds.
    """
    location = ["-C", os.fspath(folder)] if folder else []
    command = ["git", *location, *OPTIONS, *arguments]
    environment = {**os.environ, **ENVIRONMENT, **(variables or {})}
    if timeout is None and not standard_input and hasattr(os, "posix_spawnp"):
        return _spawn(command, environment)
    return _run_subprocess(command, environment, timeout, standard_input)


def git_output(*arguments: str) -> str | None:
    """Return the output of git in the current folder, or None if it fails or is not installed."""
    result = run(*arguments)
    if result is None or result[0] != 0:
        return None
    return result[1].decode("utf-8", "surrogateescape")


def _spawn(command: list[str], environment: dict[str, str]) -> tuple[int, bytes] | None:
    reading, writing = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, writing, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    try:
        process = os.posix_spawnp("git", command, environment, file_actions=actions)
    except OSError:
        os.close(reading)
        return None
    finally:
        os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        output = pipe.read()
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status), output


def _run_subprocess(
    command: list[str],
    environment: dict[str, str],
    timeout: float | None,
    standard_input: bytes,
) -> tuple[int, bytes] | None:
    import subprocess

    try:
        done = subprocess.run(
            command,
            env=environment,
            input=standard_input,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):  # ValueError: a NUL in an argument
        return None
    return done.returncode, done.stdout
