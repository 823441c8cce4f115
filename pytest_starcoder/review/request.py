"""What a review is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Asked(NamedTuple):
    """Settings of the command line by key, the range, and what standard input holds where that is a diff."""

    options: Mapping[str, str] = {}
    from_ref: str = ""
    to_ref: str = ""
    diff: bytes | None = None
