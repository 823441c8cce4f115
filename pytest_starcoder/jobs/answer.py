"""One answer of a model in words: its first ones the prompt may have said already."""

from __future__ import annotations

import re
from dataclasses import replace

from pytest_starcoder.backends import OnText
from pytest_starcoder.client import Client
from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.values import Completion, Prompt

_THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)


def answer(prompt: Prompt, lead: str, client: Client, on_text: OnText) -> Completion:
    """What the model answers, `lead` included; `on_text` gets it as it is written, from its first word on.

    Raises a BackendError, PromptTooLong, or UnreadableAnswer where the model wrote nothing.
    """
    begun, blank = False, ""

    def say(piece: str) -> None:
        nonlocal begun, blank
        if not begun and not piece.strip():
            blank += piece
            return
        if not begun:
            begun = True
            piece = lead + blank + piece if lead else piece.lstrip()
        on_text(piece)

    completion = client.complete(prompt, say)
    words = _THOUGHT.sub("", completion.text, count=1) if prompt.chat else completion.text
    if not words.strip():
        raise UnreadableAnswer(f"{completion.model} answered with nothing.", "Another model may do better.")
    return replace(completion, text=lead + words.rstrip() if lead else words.strip())
