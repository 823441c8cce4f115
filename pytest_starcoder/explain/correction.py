"""The correction of one line that a model suggests, with its reason; running it is the test of both.

The answer has three parts:

    wrong: return price * discount
    right: return price * (1 - discount)
    why: `net_price` charges the discount itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PART = re.compile(r"^[\s*`>-]*(wrong|right|why)(?: line)?[*`]*:[*`]*[ \t]*", re.IGNORECASE | re.MULTILINE)
_FENCE = re.compile(r"^\s*```\w*\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Correction:
    """A line of code as it is and as it should be, without indentation, and why."""

    wrong: str
    right: str
    why: str


def parse_correction(answer: str) -> Correction | None:
    """Return the correction in an answer; None if a part is missing or nothing changes."""
    parts: dict[str, str] = {}
    matches = list(_PART.finditer(answer))
    ends = [match.start() for match in matches[1:]] + [len(answer)]
    for match, end in zip(matches, ends, strict=True):
        parts.setdefault(match[1].lower(), answer[match.end() : end])
    if parts.keys() != {"wrong", "right", "why"}:
        return None
    wrong, right = _code(parts["wrong"]), _code(parts["right"])
    why = " ".join(parts["why"].split())
    if not wrong or not right or not why or wrong == right:
        return None
    return Correction(wrong, right, why)


def _code(text: str) -> str:
    """Return code without the fence, backticks or indentation around it."""
    code = _FENCE.sub("", text).strip()
    if code.startswith("`") and code.endswith("`"):
        code = code.strip("`").strip()
    return code
