"""Escapes text for GitHub's Markdown, so that it never becomes markup."""

from __future__ import annotations

import re

from pytest_starcoder.text.display import one_line, printable

_MARKUP = re.compile(r"[\\`*_{}\[\]()<>#+!|~@&$:-]")

_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;", "#": "&#35;", ":": "&#58;"}
"""Characters that GitHub reads even behind a backslash."""

_ISSUE = re.compile(r"(?i)\b(GH)\\-(?=\d)")
"""The start of a reference such as GH-12, its hyphen escaped."""


def escape(text: str) -> str:
    """Return `text` on one line, without markup, HTML, mentions, links or references to issues."""
    # GH-12 and www.example.org become links without any of these characters.
    escaped = _MARKUP.sub(_escape_character, one_line(text, 2000))
    return _ISSUE.sub(r"\1&#45;", escaped).replace("www.", "www&#46;")


def _escape_character(match: re.Match[str]) -> str:
    character = match[0]
    return _ENTITIES.get(character, "\\" + character)


def code_span(text: str) -> str:
    """Return `text` as a code span on one line; it may contain backticks."""
    line = one_line(text, 500)
    ticks = "`" * (_longest_backticks(line) + 1)
    if not line or line.startswith("`") or line.endswith("`"):
        line = f" {line} "  # CommonMark strips one space on each side
    return f"{ticks}{line}{ticks}"


def code_block(text: str, language: str) -> list[str]:
    """Return the lines of a fenced code block; `text` may contain fences."""
    length = max(3, _longest_backticks(text) + 1)
    fence = "`" * length
    code = printable(text, tabs=True)
    return [f"{fence}{language}", code.rstrip("\n"), fence]


def _longest_backticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
