"""Checks an error in full: its type, its message and its next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_starcoder.errors import StarcoderError


@contextmanager
def raises_error(kind: type[StarcoderError], message: str, hint: str) -> Iterator[None]:
    """Expect an error of exactly this type, with this message and hint."""
    with pytest.raises(StarcoderError) as caught:
        yield
    error = caught.value
    assert (type(error), error.message, error.hint) == (kind, message, hint)
