"""`starcoder-review`, the command behind the hooks of `.pre-commit-hooks.yaml`."""

from __future__ import annotations

import os
import sys


def main(argv: list[str] | None = None) -> int:
    """0: nothing stops the commit; 1: a finding does; 2: misuse; 3: a model is required and away; 130: interrupted."""
    arguments = sys.argv[1:] if argv is None else argv
    if "--background" in arguments and os.environ.get("PYTEST_STARCODER_DETACHED") != "1":
        return detach(arguments)
    from pytest_starcoder.commit.ahead import Ahead

    with Ahead("pytest_starcoder.commit.find", "find", ("git", "unidiff.patch")) as find:
        from pytest_starcoder.commands import alone, review

        return alone(review, "starcoder-review", arguments, find=find)


def detach(arguments: list[str]) -> int:
    """Starts the review in a process of its own, which outlives the hook: a commit does not wait for it."""
    command = [sys.executable, "-m", "pytest_starcoder_hooks.review", *arguments]
    # What git tells a hook is about the commit that is over.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["PYTEST_STARCODER_DETACHED"] = "1"
    if os.name == "posix":  # subprocess takes longer to import than this takes
        from pytest_starcoder.forks import fork

        if not fork():
            try:
                os.setsid()
                os.nice(10)  # the commit goes first
                for stream in (0, 1, 2):
                    os.dup2(os.open(os.devnull, os.O_RDWR), stream)
                os.execve(command[0], command, environment)
            finally:
                os._exit(127)
        return 0
    import subprocess

    flags = 0x00000208  # DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP
    null = subprocess.DEVNULL
    subprocess.Popen(command, env=environment, stdin=null, stdout=null, stderr=null, creationflags=flags)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
