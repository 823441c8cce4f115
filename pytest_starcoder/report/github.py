"""Workflow commands of GitHub Actions, which it shows as annotations."""

from __future__ import annotations

MAX_ANNOTATIONS = 10
"""GitHub shows no more of one kind and step."""


def escape_message(text: str) -> str:
    """Escape the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """Escape the value of a property, such as `file` or `title`."""
    text = escape_message(text.encode("utf-8", "backslashreplace").decode())
    return text.replace(":", "%3A").replace(",", "%2C")
