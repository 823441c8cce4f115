"""Lines are changed by an instruction, and nothing else of the file changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises_error
from support.rewrites import CODE, MEAN, PATHS, Echo, completed, edited, parses

from pytest_starcoder.assist.edit import edit
from pytest_starcoder.errors import ConfigError, UnreadableAnswer
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.special_tokens import STARCODER2
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.schema import FAMILIES
from pytest_starcoder.source.diff import split_lines


@pytest.mark.parametrize(
    ("text", "lines", "answer", "after"),
    [
        pytest.param(
            "x = 1\ny = 2\nz = 3\n", "2-2", "y = 4\n", "x = 1\ny = 4\nz = 3\n", id="one line"
        ),
        pytest.param(
            MEAN,
            "2-3",
            "return max(xs)\n",
            MEAN.replace("total = sum(xs)\n    return total / len(xs)", "return max(xs)"),
            id="indented",
        ),
        pytest.param(
            MEAN,
            "2-3",
            "    return 1\n",
            MEAN.replace("total = sum(xs)\n    return total / len(xs)", "return 1"),
            id="by the model too",
        ),
        pytest.param(
            "if x:\n\tif y:\n\t\tz = 1\n",
            "2-3",
            "if y:\n\tz = 2",
            "if x:\n\tif y:\n\t\tz = 2\n",
            id="tabs",
        ),
        pytest.param("x = 1", "1-1", "x = 2\n", "x = 2", id="no newline at the end"),
        pytest.param(
            "x = 1\r\ny = 2\r\n", "1-2", "x = 3\n\ny = 4", "x = 3\r\n\r\ny = 4\r\n", id="CRLF"
        ),
        pytest.param(
            "x = 1\r\ny = 2", "2-2", "y = 3\nz = 4", "x = 1\r\ny = 3\r\nz = 4", id="CRLF, no end"
        ),
        pytest.param("x = 1\ry = 2\r", "1-1", "x = 2", "x = 2\ry = 2\r", id="CR"),
        pytest.param(
            "x = 1\n\n\ny = 2\n", "1-3", "x = 2\n\n", "x = 2\n\n\ny = 2\n", id="blank lines after"
        ),
        pytest.param(
            "x = 1\n\n\ny = 2\n", "2-4", "\ny = 3\n", "x = 1\n\n\ny = 3\n", id="blank lines before"
        ),
        pytest.param(
            "def f(:\n    pass\n",
            "1-1",
            "def f():",
            "def f():\n    pass\n",
            id="mends what did not parse",
        ),
    ],
)
def test_only_these_lines_change(text: str, lines: str, answer: str, after: str) -> None:
    rewrite = edited(text, lines, answer)
    assert rewrite.after == after
    assert (rewrite.before, rewrite.problem) == (text, "")


@pytest.mark.parametrize("kind", FAMILIES)
def test_prompt_per_family(kind: str) -> None:
    backend = Echo("```python\nreturn 1\n```" if kind == "chat" else "return 1\n")
    edit("shop.py", MEAN, 2, 3, "Return 1.", Client(backend, Settings(family=kind)))
    (sent,) = backend.prompts
    assert "total = sum(xs)\nreturn total / len(xs)" in sent.text
    assert "Return 1." in sent.text
    assert "def last" not in sent.text


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("chat", "Sure! Here is the new code:\n\n```python\nreturn 1\n```\n\nIt returns 1."),
        ("chat", "```python\nreturn 1\n```"),
        ("chat", "```\n    return 1\n```"),
        ("starcoder2-instruct", "return 1\n```\nIt returns 1."),
        ("starcoder2", "return 1\n```\n\nusername_0: Thanks!"),
        ("completion", "return 1\n```\n\n---\nChange: Another."),
        ("starcoder", "return 1\n"),
    ],
)
def test_fences_and_prose_are_removed(kind: str, answer: str) -> None:
    assert edited(MEAN, "2-3", answer, kind=kind).inserted == "    return 1\n"


@pytest.mark.parametrize("answer", ["", "\n\n", "```\nusername_0: ?", "```"])
def test_answer_without_code(answer: str) -> None:
    with raises_error(
        UnreadableAnswer,
        "echo:1b wrote nothing in place of these lines.",
        "Reword the instruction, or ask another model.",
    ):
        edited(MEAN, "2-3", answer)


@pytest.mark.parametrize(
    "answer",
    [
        "total = sum(xs)\nreturn total / len(xs)\n",
        "    total = sum(xs)\n    return total / len(xs)\n\n",
    ],
)
def test_unchanged_lines(answer: str) -> None:
    with raises_error(
        UnreadableAnswer,
        "echo:1b wrote these lines as they are.",
        "Reword the instruction, or ask another model.",
    ):
        edited(MEAN, "2-4", answer)


def test_blank_lines() -> None:
    with raises_error(
        ConfigError,
        "shop.py has only blank lines there.",
        "Use `starcoder complete`.",
    ):
        edited(MEAN, "4-5", "x = 1")


def test_truncated_answer() -> None:
    rewrite = edited(MEAN, "2-3", "return 1", truncated=True)
    assert rewrite.problem == (
        "the answer was cut (allow it more tokens with STARCODER_MAX_TOKENS, or name fewer lines)"
    )


def test_syntax_error_is_a_problem() -> None:
    assert (
        edited(MEAN, "2-3", "return (").problem
        == "the file would not parse any more (line 2: '(' was never closed)"
    )


@pytest.mark.parametrize(
    ("kind", "good"), [("starcoder2", False), ("chat", False), ("starcoder", True)]
)
def test_lines_with_fence(kind: str, good: bool) -> None:
    answer = "```\nb\n```" if kind == "chat" else "b\n"
    rewrite = edited("```\na\n```\n", "1-3", answer, "README.md", kind=kind)
    assert rewrite.problem == ("" if good else "these lines contain ```, at which an answer ends")


@pytest.mark.parametrize("kind", FAMILIES)
def test_special_tokens_come_back(
    kind: str,
) -> None:
    hostile = "".join(STARCODER2)
    text = f'A = "{hostile}"\nB = 1\n'
    harmless, backend = Echo("B = 2"), Echo(f'A = "{hostile.replace("<", "< ")}2"')
    if kind == "chat":
        backend.answer, harmless.answer = (
            f"```python\n{backend.answer}\n```",
            "```python\nB = 2\n```",
        )
    edit("a.py", text, 2, 2, "Mend.", Client(harmless, Settings(family=kind)))
    rewrite = edit("a.py", text, 1, 1, f"Mend. {hostile}", Client(backend, Settings(family=kind)))
    for token in STARCODER2:
        assert backend.prompts[0].text.count(token) == harmless.prompts[0].text.count(token), token
    assert rewrite.after == f'A = "{hostile}2"\nB = 1\n'


def test_control_characters_are_removed() -> None:
    answer = "x = 2  # \x1b[2Kharmless\u202e\x07\n"
    assert edited("x = 1\n", "1-1", answer).after == "x = 2  # harmless\n"
    assert completed("x = 1\n", 1, "\n" + answer).after == "x = 1\nx = 2  # harmless\n"


def test_lone_surrogate() -> None:
    edited("x = 1\n", "1-1", "x = '\ud83d'\n").after.encode("utf-8")
    completed("# Shop\n", 1, " \ud83d", "a.md").after.encode("utf-8")


@given(
    CODE.filter(bool),
    CODE,
    st.integers(1, 100),
    st.integers(0, 5),
    PATHS,
    st.sampled_from(FAMILIES),
)
def test_other_lines_stay(
    text: str, answer: str, first: int, more: int, path: str, kind: str
) -> None:
    lines = split_lines(text)
    first = (first - 1) % len(lines) + 1
    last = min(first + more, len(lines))
    try:
        rewrite = edited(text, f"{first}-{last}", answer, path, kind=kind)
    except (UnreadableAnswer, ConfigError):
        return
    before, after = "".join(lines[: first - 1]), "".join(lines[last:])
    assert rewrite.after.startswith(before)
    assert rewrite.after.endswith(after)
    assert len(rewrite.after) >= len(before) + len(after)
    assert rewrite.problem or path != "a.py" or parses(rewrite.after) or not parses(text)
