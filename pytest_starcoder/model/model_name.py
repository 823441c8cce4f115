"""What the name of a model says about its training."""

from __future__ import annotations

import re

_WORD = r"(?:^|[-_.: ])(?:{})(?:[-_.: ]|$)"
_INSTRUCT = re.compile(_WORD.format("instruct|chat|it|assistant") + "|^starchat")
_STARCODER_INSTRUCT = re.compile(_WORD.format("instruct"))
_BASE = re.compile(_WORD.format("base"))


def is_instruct_name(name: str) -> bool:
    """Return whether a model of that name follows instructions."""
    return _INSTRUCT.search(name.lower()) is not None


def is_starcoder_instruct_name(name: str) -> bool:
    """Return whether a StarCoder2 of that name is the instruct model of its publisher."""
    return _STARCODER_INSTRUCT.search(name.lower()) is not None


def is_base_name(name: str) -> bool:
    """Return whether the name says that the model only continues text."""
    return _BASE.search(name.lower()) is not None
