"""One change of one file's text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """A change of one file's text.

    `span` are the first character and the one after the last, `before` is what
    stands there; `line` (1-based) is where it begins. The lower the `cost`, the earlier it is tried.
    """

    path: str
    span: tuple[int, int]
    before: str
    after: str
    kind: str
    cost: float
    line: int
