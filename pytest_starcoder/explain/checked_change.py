"""Says in half a sentence what a checked change is; a model goes on after its 'because'."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile

from pytest_starcoder.explain.case import Case
from pytest_starcoder.source.diff import changed_lines

MAX_QUOTED = 80
"""Maximum characters of a line that is quoted in full; of a longer one, the part that differs."""

MAX_PART = 100
"""Maximum characters of a part that is quoted."""

CONTEXT = 3
"""Words and signs that are quoted on each side of what differs."""

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True)
class CheckedChange:
    """The code that fails and the code that passes, each empty where there is none."""

    failing: str
    passing: str
    place: str

    @property
    def lead(self) -> str:
        """The beginning of the explanation, which running the test has shown to be true."""
        failing, passing = _differing_parts(self.failing, self.passing)
        if max(len(failing), len(passing)) > MAX_PART or "`" in failing + passing:
            return f"With the change at {self.place} the test passes"
        if failing == passing:
            return f"With `{passing}` where it was before the test passes"
        if not failing:
            return f"With `{passing}` added the test passes"
        if not passing:
            return f"Without `{failing}` the test passes"
        return f"With `{passing}` instead of `{failing}` the test passes"


def checked_change(case: Case) -> CheckedChange | None:
    """Return the change that makes the test of a case pass, if running has shown which it is."""
    if case.breakage.pieces:
        first = case.breakage.pieces[0]
        diff = [line for piece in case.breakage.pieces for line in piece.diff.split("\n")]
        # The change broke the test, so that what it added is what fails.
        return CheckedChange(_code(diff, "+"), _code(diff, "-"), f"{first.path}:{first.line}")
    # Of several fixes that behave differently, the first one may not be the right one.
    if case.fix is not None and (case.fix.checked or case.fix.model):
        diff = changed_lines(case.fix.diff)
        return CheckedChange(_code(diff, "-"), _code(diff, "+"), f"{case.fix.path}:{case.fix.line}")
    return None


def _code(diff: list[str], sign: str) -> str:
    lines = [line[1:].strip() for line in diff if line.startswith(sign)]
    return " ".join(filter(None, lines))


def _differing_parts(failing: str, passing: str) -> tuple[str, str]:
    """Return both texts, shortened to what differs and a little more if they are long."""
    if max(len(failing), len(passing)) <= MAX_QUOTED or not failing or not passing:
        return failing, passing
    old, new = _TOKEN.findall(failing), _TOKEN.findall(passing)
    start = _common_length(old, new)
    end = _common_length(old[start:][::-1], new[start:][::-1])
    start = max(0, start - CONTEXT)
    end = max(0, end - CONTEXT)
    parts = []
    for tokens in (old, new):
        text = "".join(tokens[start : len(tokens) - end]).strip()
        parts.append(f"{'… ' if start else ''}{text}{' …' if end else ''}")
    return parts[0], parts[1]


def _common_length(old: list[str], new: list[str]) -> int:
    """Return how many tokens at the beginning are the same."""
    pairs = zip(old, new, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
