"""Returns the texts of exceptions without the links and statements that libraries add."""

from __future__ import annotations

import re

from pytest_starcoder.explain.equality import attributes
from pytest_starcoder.text.reprs import safe_str

PYDANTIC_LINK = re.compile(r"\n *For further information visit \S+")


def exception_text(exc: BaseException) -> str:
    """Return the text of an exception. Never raises."""
    members = attributes(exc)
    if type(exc).__name__ == "FixtureLookupError":  # its str shows pytest's internals
        fixture = members.get("argname")
        if isinstance(fixture, str):
            return f"fixture {fixture!r} not found"
    text = safe_str(exc)
    # SQLAlchemy adds a link, and the statement, which is a separate fact.
    if isinstance(members.get("statement"), str) and "orig" in members:
        return text.partition("\n[SQL: ")[0]
    if type(exc).__module__.startswith("pydantic"):
        return PYDANTIC_LINK.sub("", text)
    return text


def named_text(exc: BaseException) -> str:
    """Return the class and the text of an exception."""
    text = exception_text(exc)[:1000]
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__
