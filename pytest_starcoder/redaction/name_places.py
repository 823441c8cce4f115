"""Finds the places in a text where a name stands whose value may be secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from pytest_starcoder.redaction.patterns import lazy_pattern
from pytest_starcoder.redaction.secret_names import Naming, candidate_positions, rate_name

_MAX_NAME = 80

_REST_OF_NAME = lazy_pattern(r"[\w.$-]{0,80}")
_SEPARATOR = lazy_pattern(r"[.]|->|::")


class Place(NamedTuple):
    """A name that may hold a secret, and where it stands."""

    start: int
    end: int
    naming: Naming
    name: str


def find_places(text: str) -> Iterator[Place]:
    """Yield every name in `text` whose value may be secret, in order."""
    done = 0
    for position in candidate_positions(text):
        if position < done:
            continue
        rest = _REST_OF_NAME.match(text, position)
        end = rest.end() if rest else position
        start = _start_of_name(text, position, done)
        done = end
        if text[end - 1] in ".-":
            end -= 1
        name = text[start:end].lstrip(".-$")
        start = end - len(name)
        following = text[end : end + 1]
        naming, last_part = _rate(name, is_call=following == "(")
        # `"AWS::IAM::AccessKey"` is a type, not a value.
        is_type = following == '"' and text.endswith("::", 0, start)
        if naming is not Naming.NOTHING and not is_type:
            yield Place(start, end, naming, last_part)


def _start_of_name(text: str, position: int, minimum: int) -> int:
    start = position
    while start > minimum and position - start < _MAX_NAME:
        previous = text[start - 1]
        if not (previous.isalnum() or previous in "_.-$"):
            break
        start -= 1
    return start


def _rate(name: str, *, is_call: bool) -> tuple[Naming, str]:
    """Return how secret a dotted name is, and its last part."""
    last_part = re.split(_SEPARATOR.pattern, name)[-1]
    naming = rate_name(last_part)
    is_plain_attribute = "." in name and "_" not in last_part and not is_call
    if naming is Naming.NOTHING and is_plain_attribute:
        naming = rate_name(name.replace(".", "_"))  # `password.admin`
    return naming, last_part
