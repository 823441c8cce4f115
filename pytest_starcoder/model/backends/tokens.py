"""Estimates how many tokens a text has, for servers that cannot count."""

from __future__ import annotations

import re

CHAT_TEMPLATE_TOKENS = 200
"""Tokens that the template of a chat model may add to a message."""

_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+| {2,}| (?=\d)|[^\x00-\x7f]|[^ ]")


def estimate(text: str) -> int:
    """Return an upper estimate of the tokens of `text`.

    A token has two letters, eight spaces, a digit, a sign, or a byte outside ASCII. StarCoder2
    makes half as many of ordinary source code.
    """
    return sum(_max_tokens(piece) for piece in _PIECE.findall(text)) + 1


def _max_tokens(piece: str) -> int:
    if not piece.isascii():
        return len(piece.encode("utf-8", "replace"))
    characters = 2 if piece[-1].isalpha() else 8
    return -(-len(piece) // characters)  # rounded up
