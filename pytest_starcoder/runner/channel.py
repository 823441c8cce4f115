"""Messages between two processes, over a pipe or a pair of sockets."""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import TypeVar

from pytest_starcoder.runner.protocol import MAX_LINE, Malformed, decode, encode

M = TypeVar("M")

PIECE_SIZE = 1 << 16
"""Bytes to read at once."""


class Channel:
    """One end; `descriptor` is its file descriptor, which `close` closes once.

    A line of more than `max_line` bytes counts as the end: our processes do not write such lines.
    """

    def __init__(self, descriptor: int, max_line: int = MAX_LINE) -> None:
        self.descriptor = descriptor
        self._max_line = max_line
        self._unread = b""
        self._has_ended = False

    def receive(self, kinds: tuple[type[M], ...], seconds: float | None = None) -> M | None:
        """Return the next message; None if the other side is gone or time runs out.

        Lines that are not messages of these kinds are skipped.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while until is None or time.monotonic() < until:
            line, newline, rest = self._unread.partition(b"\n")
            if newline:
                self._unread = rest
                with contextlib.suppress(Malformed):
                    return decode(line, kinds)
            elif self._has_ended or not self._wait(select.POLLIN, until):
                return None
            else:
                self._read_piece()
        return None

    def send(self, message: object, seconds: float | None = None) -> None:
        """Write a message, within `seconds` if given.

        Raises OSError once the other side is gone.

        With `seconds`, messages that arrive in the meantime are read and discarded: they cannot
        answer this one, and the other side might block for ever if nobody read them.
        """
        line = memoryview(encode(message))
        if seconds is not None:
            self._exchange(line, time.monotonic() + seconds)
            return
        while line:
            line = line[os.write(self.descriptor, line) :]

    @property
    def is_pending(self) -> bool:
        """True if part of the next message was already read."""
        return bool(self._unread)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _exchange(self, line: memoryview, until: float) -> None:
        os.set_blocking(self.descriptor, False)
        while line and not self._has_ended:
            ready = self._wait(select.POLLIN | select.POLLOUT, until)
            if not ready:
                self._has_ended = True  # a partial message was written: no other can follow it
            if ready & ~select.POLLOUT:  # also if the other side has closed it
                self._read_piece()
                self._unread = self._unread.rpartition(b"\n")[2]
            if ready & select.POLLOUT:
                with contextlib.suppress(BlockingIOError):
                    line = line[os.write(self.descriptor, line) :]
        if line:
            raise BrokenPipeError("the other side is gone, or does not read")

    def _wait(self, events: int, until: float | None) -> int:
        """Return the ready events, 0 on timeout."""
        poll = select.poll()  # `select.select` cannot handle descriptors above 1023
        poll.register(self.descriptor, events)
        milliseconds = None
        if until is not None:
            milliseconds = max(0.0, until - time.monotonic()) * 1000
        for _, ready_events in poll.poll(milliseconds):
            return ready_events
        return 0

    def _read_piece(self) -> None:
        try:
            piece = os.read(self.descriptor, PIECE_SIZE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self._unread += piece
        line_length = len(self._unread) - self._unread.rfind(b"\n")
        self._has_ended = not piece or line_length > self._max_line
