"""Reads from the environment of CI what a run was started for: a pull request or a push."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

LAST_PUSH = "the last push"
TARGET = "the target branch"


def ci_bases(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield names of commits to compare with, and their names in a sentence.

    These commits may not be in the clone, and HEAD may not be a descendant of them.
    """
    if environment.get("GITHUB_ACTIONS") == "true":
        if environment.get("GITHUB_BASE_REF"):
            yield f"origin/{environment['GITHUB_BASE_REF']}", TARGET
        elif environment.get("GITHUB_EVENT_NAME") == "push":
            yield _commit_before(environment.get("GITHUB_EVENT_PATH", "")), LAST_PUSH
    elif environment.get("GITLAB_CI") == "true":
        # GitLab sets only the first one for merge requests, and the other one to zeros.
        yield environment.get("CI_MERGE_REQUEST_DIFF_BASE_SHA", ""), TARGET
        yield environment.get("CI_COMMIT_BEFORE_SHA", ""), LAST_PUSH


def _commit_before(event_file: str) -> str:
    """Return the last commit of the branch before the push; empty if the event has none."""
    try:
        event = json.loads(Path(event_file).read_bytes())
    except (OSError, ValueError, RecursionError):
        return ""
    before = event.get("before") if isinstance(event, dict) else None
    return before if isinstance(before, str) else ""
