"""The labels of statements in reports."""

from __future__ import annotations

from enum import StrEnum


class Label(StrEnum):
    """Degree to which a statement can be believed."""

    OBSERVED = "observed"
    """Seen in the run that failed, in the code or in git."""
    CHECKED = "checked"
    """Found by running code again."""
    GUESSED = "guessed"
    """Written by a model, and not checked."""
