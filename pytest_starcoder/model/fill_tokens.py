"""The special tokens with which models fill in the middle: one row a format.

| row             | published in                                                               |
| --------------- | -------------------------------------------------------------------------- |
| starcoder2      | arXiv:2402.19173, section 5                                                |
| starcoder       | the playground of BigCode (huggingface.co/spaces/bigcode/bigcode-playground) |
| qwen            | github.com/QwenLM/Qwen2.5-Coder, examples/Qwen2.5-Coder-repolevel-fim.py,  |
|                 | which also lists the stop tokens                                           |
| codellama       | github.com/meta-llama/codellama, llama/generation.py, the comment in       |
|                 | infilling_prompt_tokens; README.md says which models were trained for it   |
| codellama-piece | the same, with the tokens as llama/tokenizer.py looks them up              |
| deepseek        | github.com/deepseek-ai/DeepSeek-Coder, README.md, "Code Insertion"         |
| codestral       | github.com/mistralai/mistral-common, tokens/tokenizers/instruct.py,        |
|                 | encode_fim; mistralai/cookbook shows it as text                            |
| codegemma       | ai.google.dev/gemma/docs/codegemma/prompt-structure                        |

The order of the tokens and what stands between them is in the files `fill.txt` and
`test-fill.txt` of the row's folder in `prompts/`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_END = "<|endoftext|>"


@dataclass(frozen=True)
class FillTokens:
    """The tokens of a format, in the order of the prompt.

    `hole` are the tokens for prefix, suffix and middle; Codestral has none for the middle.
    `files` name a repository and a file, or separate files. `stops` end an answer. `names` is a
    pattern of names that alone say that a model has this format. General models of the publisher
    may have the same vocabulary: then the name of a trained one contains `word`. `instruct`: the
    publisher trained its instruct models for it, too. `architecture` tells apart formats with the
    same tokens for a hole.
    """

    hole: tuple[str, ...]
    stops: tuple[str, ...]
    files: tuple[str, ...] = ()
    names: str = ""
    word: str = ""
    architecture: str = ""
    instruct: bool = False


_STARCODER_HOLE = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
_STARCODER_STOPS = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>", _END)
_QWEN_HOLE = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
_PIECES = ("▁<PRE>", "▁<SUF>", "▁<MID>")
_DEEPSEEK_HOLE = tuple(f"<\uff5c{name}\uff5c>" for name in ("fim▁begin", "fim▁hole", "fim▁end"))

FILL_TOKENS = {
    "starcoder2": FillTokens(
        _STARCODER_HOLE,
        stops=("<file_sep>", *_STARCODER_STOPS),
        files=("<repo_name>", "<file_sep>"),
        architecture="starcoder2",
    ),
    "starcoder": FillTokens(
        _STARCODER_HOLE,
        stops=("<filename>", *_STARCODER_STOPS),
        files=("<reponame>", "<filename>"),
        architecture="starcoder",
    ),
    "qwen": FillTokens(
        _QWEN_HOLE,
        stops=("<|file_sep|>", "<|repo_name|>", *_QWEN_HOLE, "<|fim_pad|>", "<|im_end|>", _END),
        files=("<|repo_name|>", "<|file_sep|>"),
        names=r"qwen2\.5-coder",
        word="coder",
        architecture="qwen",
        instruct=True,
    ),
    # Servers that read sentencepiece's blank as a space have these names of the tokens.
    "codellama": FillTokens(
        ("<PRE>", "<SUF>", "<MID>"),
        stops=("<EOT>", "</s>"),
        names=r"code-?llama[-:](7|13)b(?!.*python)",
        instruct=True,
    ),
    "codellama-piece": FillTokens(_PIECES, stops=("▁<EOT>", "</s>"), instruct=True),
    "deepseek": FillTokens(
        _DEEPSEEK_HOLE,
        stops=(*_DEEPSEEK_HOLE, "<\uff5cend▁of▁sentence\uff5c>"),
        names=r"deepseek-coder.*base",
    ),
    "codestral": FillTokens(
        ("[SUFFIX]", "[PREFIX]"),
        stops=("[SUFFIX]", "[PREFIX]", "</s>"),
        word="codestral",
        instruct=True,
    ),
    "codegemma": FillTokens(
        _QWEN_HOLE,
        stops=("<|file_separator|>", *_QWEN_HOLE, "<eos>"),
        files=("<|file_separator|>",),
        names="codegemma",
        architecture="gemma",
    ),
}


def fill_of_vocabulary(count: Callable[[str], int], name: str) -> str:
    """Return the row whose tokens a vocabulary has, or nothing; `count` counts tokens of a text."""
    for row, tokens in FILL_TOKENS.items():
        all_tokens = tokens.hole + tokens.files
        if tokens.word in name.lower() and count("".join(all_tokens)) == len(all_tokens):
            return row
    return ""


def fill_of_template(template: str, architecture: str) -> str:
    """Return the row whose tokens stand in Ollama's template for a suffix, or nothing."""
    if ".Suffix" not in template:
        return ""
    for row, tokens in FILL_TOKENS.items():
        is_architecture = tokens.architecture in architecture
        if is_architecture and all(token in template for token in tokens.hole):
            return row
    return ""


def fill_of_name(name: str) -> str:
    """Return the row that the name of a model alone says for certain, or nothing."""
    for row, tokens in FILL_TOKENS.items():
        if tokens.names and re.search(tokens.names, name.lower()):
            return row
    return ""
