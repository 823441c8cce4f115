"""Answers in words, after a lead that the prompt may already contain."""

from __future__ import annotations

from dataclasses import replace

from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Completion, Prompt


def answer(prompt: Prompt, lead: str, client: Client, on_text: OnText) -> Completion:
    """Return the model's answer with `lead` before it; `on_text` gets both as they arrive.

    The thoughts of a chat model are left out. Raises a BackendError, PromptTooLong, or
    UnreadableAnswer if the model wrote nothing.
    """
    clean = _without_thoughts if prompt.chat else str
    has_begun = False
    pending = ""

    def pass_on(piece: str) -> None:
        nonlocal has_begun, pending
        if has_begun:
            on_text(piece)
            return
        # Until the first word, it may be nothing but thoughts or white space.
        pending += piece
        words = clean(pending)
        if words.strip():
            has_begun = True
            # After a lead, the space before the first word belongs to the answer.
            on_text(lead + words if lead else words.lstrip())

    completion = client.complete(prompt, pass_on)
    words = clean(completion.text)
    if lead and prompt.chat:
        words = _without_repetition(words.lstrip(), lead)
    if not words.strip():
        raise UnreadableAnswer(
            f"{completion.model} returned an empty answer.", "Another model may do better."
        )
    if lead and prompt.chat and not words[0].isspace():
        words = f" {words}"
    text = lead + words.rstrip() if lead else words.strip()
    return replace(completion, text=text)


def _without_repetition(words: str, lead: str) -> str:
    """Return an answer without the lead, or the end of it, with which some models begin."""
    answered, leading = words.split(" "), lead.split(" ")
    for start in range(len(leading)):
        count = len(leading) - start
        if answered[:count] == leading[start:]:
            return " ".join(answered[count:])
    return words


def _without_thoughts(text: str) -> str:
    """Return `text` after its thoughts; empty while there may be nothing else yet."""
    start = text.lstrip()
    if start.startswith("<think>"):
        return start.partition("</think>")[2]
    return "" if "<think>".startswith(start) else text
