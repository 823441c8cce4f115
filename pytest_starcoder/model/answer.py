"""One answer of a model in words: its first ones the prompt may have said already."""

from __future__ import annotations

from dataclasses import replace

from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Completion, Prompt


def answer(prompt: Prompt, lead: str, client: Client, on_text: OnText) -> Completion:
    """What the model answers, `lead` included; `on_text` gets it as it is written, from its first word on.

    What a chat model thinks before it answers is left out. Raises a
    BackendError, PromptTooLong, or UnreadableAnswer where the model wrote nothing.
    """
    begun, held = False, ""

    def say(piece: str) -> None:
        nonlocal begun, held
        if begun:
            on_text(piece)
            return
        held += piece
        words = _spoken(held) if prompt.chat else held
        if words.strip():
            begun = True
            on_text(lead + words if lead else words.lstrip())

    completion = client.complete(prompt, say)
    words = _spoken(completion.text) if prompt.chat else completion.text
    if not words.strip():
        raise UnreadableAnswer(
            f"{completion.model} answered with nothing.", "Another model may do better."
        )
    return replace(completion, text=lead + words.rstrip() if lead else words.strip())


def _spoken(text: str) -> str:
    """`text` after the thought that it begins with; empty as long as it may be nothing else."""
    begun = text.lstrip()
    if begun.startswith("<think>"):
        return begun.partition("</think>")[2]
    return "" if "<think>".startswith(begun) else text
