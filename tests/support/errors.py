"""How a test reads an error: its type, its message and its next step, each in full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_starcoder.errors import StarcoderError


@contextmanager
def told(kind: type[StarcoderError], message: str, hint: str) -> Iterator[None]:
    """The block must raise an error of exactly this kind that says exactly this."""
    with pytest.raises(StarcoderError) as caught:
        yield
    found = caught.value
    assert (type(found), found.message, found.hint) == (kind, message, hint)
