"""A point in time until which work may go on."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Deadline:
    """The moment `at`, `limit` seconds after it was set, by the setting of that name."""

    limit: float
    at: float
    setting: str = "timeout"

    @classmethod
    def after(cls, seconds: float, setting: str = "timeout") -> Self:
        return cls(seconds, time.monotonic() + seconds, setting)

    def within(self, seconds: float, setting: str) -> Self:
        """Return the earlier of this deadline and one after `seconds`, which `setting` sets."""
        return min(self.after(seconds, setting), self, key=lambda deadline: deadline.at)

    def remaining(self) -> float:
        """Return the seconds until the deadline; zero or less once it has passed."""
        return self.at - time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.remaining() <= 0


NO_DEADLINE = Deadline(math.inf, math.inf)
