"""`starcoder-review`, the command behind the hooks of `.pre-commit-hooks.yaml`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any


def main(argv: Sequence[str] | None = None) -> int:
    """0: nothing stops the commit; 1: a finding does; 2: misuse; 3: a model is required and away; 130: interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--background" in arguments and os.environ.get("PYTEST_STARCODER_DETACHED") != "1":
        return detach(arguments)
    from pytest_starcoder.commit.ahead import Ahead

    with Ahead("pytest_starcoder.commit.find", "find", ("git", "unidiff.patch")) as find:
        from pytest_starcoder.commands import alone, review

        return alone(review, "starcoder-review", arguments, find=find)


def detach(arguments: Sequence[str]) -> int:
    """Starts the review in a process of its own, which outlives the hook: a commit does not wait for it."""
    # What git tells a hook is about the commit that is over.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    separate: dict[str, Any] = {"creationflags": 0x00000208} if os.name == "nt" else {"start_new_session": True}
    subprocess.Popen(
        [sys.executable, "-m", "pytest_starcoder_hooks.review", *arguments],
        env=environment | {"PYTEST_STARCODER_DETACHED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **separate,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
