"""How many tokens a text can have, for servers that offer no way to count."""

from __future__ import annotations

import re

CHAT_TEMPLATE_TOKENS = 200
"""Tokens that the template of a chat model may add to a message."""


def estimate(text: str) -> int:
    """Tokens that `text` can have, rather too many.

    Two letters a token, every digit and sign one, every byte outside ASCII one.
    StarCoder2 makes half as many of ordinary source code; a vocabulary poorer
    than that is told by the server's refusal.
    """
    return sum(_most_tokens(piece) for piece in _PIECE.findall(text)) + 1


_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+| {2,}| (?=\d)|[^\x00-\x7f]|[^ ]")


def _most_tokens(piece: str) -> int:
    if not piece.isascii():
        return len(piece.encode("utf-8", "replace"))
    return -(-len(piece) // 2) if piece[-1].isalpha() else -(-len(piece) // 8)
