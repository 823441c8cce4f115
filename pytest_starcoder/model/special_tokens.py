"""The special tokens of the models, and how they are kept out of a user's text.

Servers read `<file_sep>` and its like as special tokens wherever they stand, in the user's source
as well. A space after the `<` or `[` makes them ordinary text.
"""

from __future__ import annotations

import re

STARCODER2 = tuple(
    """
    <|endoftext|> <fim_prefix> <fim_middle> <fim_suffix> <fim_pad> <repo_name> <file_sep>
    <issue_start> <issue_comment> <issue_closed>
    <jupyter_start> <jupyter_text> <jupyter_code> <jupyter_output> <jupyter_script> <empty_output>
    <code_to_intermediate> <intermediate_to_code>
    <pr> <pr_status> <pr_is_merged> <pr_base> <pr_file> <pr_base_code> <pr_diff> <pr_diff_hunk>
    <pr_comment> <pr_event_id> <pr_review> <pr_review_state> <pr_review_comment>
    <pr_in_reply_to_review_id> <pr_in_reply_to_comment_id> <pr_diff_hunk_comment_line>
    <NAME> <EMAIL> <KEY> <PASSWORD>
    """.split()
)
"""All 38 of StarCoder2, by id (arXiv:2402.19173, Table 5, and the vocabulary file)."""

STARCODER = (
    "<filename>",
    "<gh_stars>",
    "<commit_before>",
    "<commit_msg>",
    "<commit_after>",
    "<reponame>",
)
"""Those that only the first StarCoder has; StarCoder2 reads them as text."""

FIRST_STARCODER = (*STARCODER2[:5], *STARCODER, *STARCODER2[7:14], "<empty_output>")
"""All 19 of the first StarCoder, from its vocabulary of 49,152 tokens."""

_OTHER_MODELS = (
    r"<\|[^|<>\s]{1,40}\|>"  # <|im_start|>, <|file_sep|> and their like: Qwen, Llama 3, Phi
    r"|<\uff5c[^\uff5c<>\s]{1,40}\uff5c>"  # the same with DeepSeek's full-width bars
    r"|</?s>|<(?:bos|eos|pad|unk|mask|start_of_turn|end_of_turn|start_of_image)>"  # Llama 2, Gemma
    r"|<unused\d+>"  # Gemma
    r"|<(?:PRE|SUF|MID|EOT)>"  # Code Llama
    r"|\[(?:PREFIX|SUFFIX|MIDDLE)\]"  # Codestral
    r"|<[a-z]+(?:_[a-z]+)+>"  # fim, pr, issue, jupyter, and what a later StarCoder may add
)
_SPECIAL_TOKEN = re.compile("|".join([*map(re.escape, (*STARCODER2, *STARCODER)), _OTHER_MODELS]))


def neutralize(text: str) -> str:
    """Put a space after the first character of everything that some model reads as a special token.

    Doing it twice changes nothing more.
    """
    return _SPECIAL_TOKEN.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
