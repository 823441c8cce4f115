"""Edits that a model writes in place of suspicious lines."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_starcoder.fix.edit_sites import Places
from pytest_starcoder.fix.proposals import proposals
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.redaction.redactor import REDACTED
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.sources import SourceFiles

SOURCE = "def label(n):\n    few = 'few'\n    return few\n"
PLACES = Places((("shop.py", 3), ("shop.py", 2)))


def propose(
    answer: Callable[[Prompt], str],
    *,
    chat: bool = False,
    fill: str = "",
    places: Places = PLACES,
    redact: Callable[[str], str] = lambda text: text,
) -> tuple[list[Edit], list[Prompt]]:
    """Return the edits of a model, and the prompts it was asked."""
    prompts: list[Prompt] = []
    model = Model("tiny", "d", "" if chat else "starcoder2", 4096, chat, fill)

    def complete(prompt: Prompt) -> Completion:
        prompts.append(prompt)
        return Completion(answer(prompt), "tiny", likelihood=-1.0 / len(prompts))

    client: Any = SimpleNamespace(model=lambda: model, settings=Settings(), complete=complete)
    return proposals(places, client, SourceFiles(lambda _: SOURCE), redact), prompts


def test_edits_are_sorted_by_likelihood() -> None:
    edits, prompts = propose(lambda prompt: "return 'many'" if prompt.stop[-1:] == ("\n",) else "")
    assert [(edit.line, edit.after, edit.cost) for edit in edits] == [
        (2, "return 'many'", 0.5),
        (3, "return 'many'", 1.0),
    ]
    assert [edit.before for edit in edits] == ["few = 'few'", "return few"]
    assert edits[0].kind == "written by a model"
    assert all(prompt.likelihood and prompt.max_tokens == 80 for prompt in prompts)


def test_margin_of_further_lines() -> None:
    edits, _ = propose(
        lambda _: "if n:\n        return 1\n    return 2", places=Places(PLACES.lines[:1])
    )
    assert edits[0].after == "if n:\n        return 1\n    return 2"


def test_chat_model_answers_in_a_block() -> None:
    edits, _ = propose(lambda _: "```python\nreturn 'many'\n```", chat=True)
    assert {edit.after for edit in edits} == {"return 'many'"}


def test_chat_model_with_fill_tokens() -> None:
    edits, prompts = propose(lambda _: "return 'many'", chat=True, fill="qwen")
    assert {edit.after for edit in edits} == {"return 'many'"}
    for prompt in prompts:
        assert "<|fim_prefix|>def label(n):\n    " in prompt.text
        assert not prompt.chat


@pytest.mark.parametrize("answer", ["", f"return '{REDACTED}'"])
def test_useless_answers(answer: str) -> None:
    edits, _ = propose(lambda prompt: answer if prompt.stop[-1:] == ("\n",) else "")
    assert edits == []


def test_unchanged_line() -> None:
    edits, _ = propose(lambda prompt: "return few" if prompt.stop[-1:] == ("\n",) else "")
    assert [edit.before for edit in edits] == ["few = 'few'"]


def test_only_code_under_test_is_asked_about() -> None:
    places = Places(PLACES.lines, may_change=lambda line: line[1] == 2)
    edits, prompts = propose(lambda _: "pass", places=places)
    assert [edit.line for edit in edits] == [2]
    assert len(prompts) == 1


def test_prompts_are_redacted() -> None:
    _, prompts = propose(lambda _: "pass", redact=lambda text: text.replace("label", "hidden"))
    assert all("label" not in prompt.text for prompt in prompts)
    assert "hidden" in prompts[0].text
