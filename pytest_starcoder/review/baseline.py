"""What a team has accepted: a file of fingerprints at the top of the repository, one a line, which git can merge."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

NAME = ".starcoder-baseline"

_HEAD = "# Findings of starcoder-review that were accepted. Remove a line, and its finding is shown again.\n"


def fingerprints(text: str) -> frozenset[str]:
    """Those in the text of a baseline; other lines are remarks."""
    return frozenset(re.findall(r"(?m)^([0-9a-f]{32})\b", text))


def with_findings(text: str, findings: Iterable[Mapping[str, Any]]) -> tuple[str, int]:
    """The text of a baseline with those findings of a JSON report accepted as well, and how many of them are new."""
    known = fingerprints(text)
    new = {
        found[
            "fingerprint"
        ]: f"{found['fingerprint']} {found['path']}: {' '.join(found['source'].split())[:100]}"
        for found in findings
        if found["fingerprint"] not in known
    }
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    lines = sorted({*lines, *new.values()}, key=lambda line: line.partition(" ")[2])
    return _HEAD + "".join(f"{line}\n" for line in lines), len(new)
