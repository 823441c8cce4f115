"""Special tokens never reach a model in a user's text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.model.special_tokens import FIRST_STARCODER, STARCODER, STARCODER2, neutralize

OTHERS = [
    *(
        "<|im_start|>",
        "<|im_end|>",
        "<|fim_prefix|>",
        "<|file_sep|>",
        "<|repo_name|>",
        "<|eot_id|>",
    ),
    *("<|begin_of_text|>", "<|reserved_special_token_0|>", "<|start_of_role|>", "<|assistant|>"),
    *(
        "<s>",
        "</s>",
        "<bos>",
        "<eos>",
        "<pad>",
        "<unk>",
        "<start_of_turn>",
        "<end_of_turn>",
        "<unused99>",
    ),
    *("<PRE>", "<SUF>", "<MID>", "<EOT>"),
    *("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜end▁of▁sentence｜>", "<｜User｜>"),  # noqa: RUF001 - DeepSeek's own bars
    *("[SUFFIX]", "[PREFIX]", "[MIDDLE]"),
    "<issue_reopened>",
]
TOKENS = [*STARCODER2, *FIRST_STARCODER[5:11], *OTHERS]

text_with_tokens = st.lists(
    st.one_of(st.sampled_from(TOKENS), st.text(), st.sampled_from("<>|_/"))
).map("".join)


def test_starcoder2_has_38_special_tokens() -> None:
    assert len(set(STARCODER2)) == 38


def test_first_starcoder_has_19_special_tokens() -> None:
    """By token id those of its vocabulary file, of which StarCoder2 kept all but six."""
    assert set(FIRST_STARCODER) == set(
        """
        <|endoftext|> <fim_prefix> <fim_middle> <fim_suffix> <fim_pad> <filename> <gh_stars>
        <issue_start> <issue_comment> <issue_closed>
        <jupyter_start> <jupyter_text> <jupyter_code> <jupyter_output> <empty_output>
        <commit_before> <commit_msg> <commit_after> <reponame>
        """.split()
    )
    assert len(FIRST_STARCODER) == 19
    assert set(FIRST_STARCODER) - set(STARCODER2) == set(STARCODER)


@pytest.mark.parametrize("token", TOKENS)
def test_special_token_becomes_text(token: str) -> None:
    assert neutralize(f"a{token}b") == f"a{token[0]} {token[1:]}b"


@pytest.mark.parametrize(
    "text",
    [
        "if a < b and c > d: return a << 2",
        "<html><body><div class='x'>",
        "std::vector<int> v; Map<String, List<Integer>> m;",
        "x: dict[str, int] = {}  # <- here",
        "def f(*, key: str | None = None) -> None: ...",
        "<|>",
        "",
    ],
)
def test_other_text_is_unchanged(text: str) -> None:
    assert neutralize(text) == text


@given(text_with_tokens)
def test_no_special_token_remains(text: str) -> None:
    neutralized = neutralize(text)
    assert not [token for token in TOKENS if token in neutralized]


@given(text_with_tokens)
def test_neutralize_is_idempotent(text: str) -> None:
    assert neutralize(neutralize(text)) == neutralize(text)


@given(text_with_tokens)
def test_only_spaces_are_added(text: str) -> None:
    added = re.compile(r"(?<=[<\[]) ")
    assert added.sub("", neutralize(text)) == added.sub("", text)


def test_nested_token() -> None:
    assert neutralize("<<file_sep>>") == "<< file_sep>>"
