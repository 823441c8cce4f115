"""The findings that a team has accepted: a file in the repository with one per line.

It is sorted by path, so that git can merge it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

TYPE_CHECKING = False  # importing `typing` would take longer than reading the file

if TYPE_CHECKING:
    from os import PathLike
    from typing import Any

NAME = ".starcoder-baseline"

_HEADER = (
    "# Findings of starcoder-review that were accepted. "
    "Remove a line, and its finding is shown again.\n"
)


def read(path: str | PathLike[str]) -> str:
    """Return the text of a baseline; empty if it cannot be read."""
    try:
        # A hook reads it without importing pathlib.
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""


def fingerprints(text: str) -> frozenset[str]:
    """Return the fingerprints in the text of a baseline; other lines are comments."""
    return frozenset(re.findall(r"(?m)^([0-9a-f]{32})\b", text))


def add_findings(text: str, findings: Iterable[Mapping[str, Any]]) -> tuple[str, int]:
    """Return a baseline with the findings of a JSON report added, and how many were new."""
    accepted = fingerprints(text)
    new = {}
    for finding in findings:
        fingerprint = finding["fingerprint"]
        if fingerprint not in accepted:
            source = " ".join(finding["source"].split())[:100]
            new[fingerprint] = f"{fingerprint} {finding['path']}: {source}"
    lines = set(new.values())
    # Lines that people wrote stay, except comments: the header is written anew.
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            lines.add(line)
    ordered = sorted(lines, key=lambda line: line.partition(" ")[2])
    entries = "".join(f"{line}\n" for line in ordered)
    return _HEADER + entries, len(new)
