"""Lines of JSON between two processes, over a pipe or a pair of sockets."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Mapping
from typing import Any


class Channel:
    """One end; `descriptor` is its file descriptor, which `close` closes once."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._left = b""

    def read(self, seconds: float | None = None) -> dict[str, Any] | None:
        """The next line; None once the other side is gone, or the seconds are over."""
        until = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._left:
            left = None if until is None else max(0.0, until - time.monotonic())
            ready, _, _ = select.select([self.descriptor], [], [], left)
            try:
                more = os.read(self.descriptor, 1 << 16) if ready else b""
            except OSError:
                more = b""
            if not more:
                return None
            self._left += more
        line, _, self._left = self._left.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def write(self, value: Mapping[str, Any]) -> None:
        """One line. Raises OSError once the other side is gone."""
        text = memoryview(json.dumps(value).encode() + b"\n")
        while text:
            text = text[os.write(self.descriptor, text) :]

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
