"""A point in time until which work may go on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Deadline:
    """A point in time, `limit` seconds after it was made, set by the setting of that name. Never extended."""

    limit: float
    at: float
    setting: str = "timeout"

    @classmethod
    def after(cls, seconds: float, setting: str = "timeout") -> Self:
        return cls(seconds, time.monotonic() + seconds, setting)

    def remaining(self) -> float:
        """Seconds left; zero or less once it has passed."""
        return self.at - time.monotonic()
