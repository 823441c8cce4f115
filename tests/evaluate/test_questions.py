"""The forms in which problems are put to models, and what their answers are."""

from __future__ import annotations

import pytest

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.pass_at_k import CONTINUATION, Problem, Sampling
from pytest_starcoder.evaluate.questions import (
    CHAT,
    INSTRUCT_WINDOW,
    NOTICE,
    STARCODER2_INSTRUCT,
    choose_form,
    make_prompt,
    read_answer,
)

PROMPT = 'def add(a, b):\n    """The sum."""'
PROBLEM = Problem("HumanEval/0", PROMPT, "assert add(1, 2) == 3", ("\ndef", "<file_sep>"))


@pytest.mark.parametrize("family", ["starcoder", "starcoder2", "completion"])
def test_base_model_form(family: str) -> None:
    assert choose_form(Sampling(), family) == Sampling()


@pytest.mark.parametrize("family", [CHAT, STARCODER2_INSTRUCT])
def test_instruct_model_form(family: str) -> None:
    expected = Sampling(form=family, window=INSTRUCT_WINDOW)
    assert choose_form(Sampling(), family) == expected


@pytest.mark.parametrize(
    ("family", "prefix"),
    [
        ("starcoder2", f"<file_sep>solutions/solution_1.py\n{NOTICE}"),
        ("starcoder", f"<filename>solutions/solution_1.py\n{NOTICE}"),
        ("completion", NOTICE),
    ],
)
def test_prompted_prefix(family: str, prefix: str) -> None:
    assert choose_form(Sampling(), family, prompted=True) == Sampling(prefix=prefix)


def test_prompted_instruct_model() -> None:
    with pytest.raises(ConfigError) as raised:
        choose_form(Sampling(), CHAT, prompted=True)
    assert str(raised.value) == (
        "--prompted is for models that continue a text, and this one follows instructions. "
        "Leave it out, or set STARCODER_FAMILY to completion."
    )


def test_bare_prompt() -> None:
    prompt = make_prompt(PROBLEM, Sampling(prefix="# p\n"), "starcoder2")
    assert (prompt.text, prompt.chat) == (f"# p\n{PROMPT}", False)
    assert (prompt.stop, prompt.stop_tokens) == (("\ndef",), ("<file_sep>",))
    prompt = make_prompt(PROBLEM, Sampling(), "completion")
    assert (prompt.stop, prompt.stop_tokens) == (PROBLEM.stop, ())


def test_chat_message() -> None:
    prompt = make_prompt(PROBLEM, Sampling(form=CHAT), CHAT)
    assert prompt.chat
    assert prompt.text == (
        "Please provide a self-contained Python script that solves the following problem "
        f"in a markdown code block:\n```python\n{PROMPT}\n```"
    )
    assert prompt.stop == ("\n```\n\n",)


def test_starcoder2_instruct_document() -> None:
    prompt = make_prompt(PROBLEM, Sampling(form=STARCODER2_INSTRUCT), STARCODER2_INSTRUCT)
    assert not prompt.chat
    assert prompt.text.endswith(
        "\n\n### Instruction\nWrite a Python function to solve the following task:\n"
        f"```python\n{PROMPT}\n```\n\n### Response\n```python\n{PROMPT}"
    )
    assert (prompt.stop, prompt.stop_tokens) == (("\n```",), ("<|endoftext|>",))


@pytest.mark.parametrize(
    "answer",
    [
        "```python\ndef add(a, b):\n    return a + b\n",
        "Here it is:\n\n```\ndef add(a, b):\n    return a + b\n```\nIt adds the two.",
        "def add(a, b):\n    return a + b\n",
    ],
)
def test_code_in_chat_answer(answer: str) -> None:
    assert read_answer(answer, CHAT) == ("def add(a, b):\n    return a + b\n", True)


def test_chat_answer_without_code() -> None:
    assert read_answer("I cannot do that.", CHAT) == ("I cannot do that.", True)


@pytest.mark.parametrize("form", [CONTINUATION, STARCODER2_INSTRUCT])
def test_continued_function(form: str) -> None:
    assert read_answer("\n    return a + b", form) == ("\n    return a + b", False)
