"""Writes a GGUF file of 394 kB with StarCoder2's architecture, and its special tokens or others.

Its weights are random and its answers noise, but a real llama.cpp and a real Ollama treat its
tokens, window, stops and capabilities like those of the real model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np

from pytest_starcoder.model.special_tokens import STARCODER2

MERGES = ("d e", "de f", "r e", "re t", "Ġ Ġ", "ĠĠ ĠĠ")
MERGED = ("de", "def", "re", "ret", "ĠĠ", "ĠĠĠĠ")
EMBEDDING, FEED_FORWARD, HEADS, KV_HEADS, BLOCKS = 64, 128, 4, 2, 2


def write_tiny_model(
    path: Path,
    *,
    always: str | None = None,
    context: int = 16384,
    finetune: str = "",
    template: str = "",
    special_tokens: Sequence[str] = STARCODER2,
    sentencepiece: bool = False,
) -> Path:
    """Write the model to `path`; if `always` is given, it only ever answers with that token.

    `finetune` and `template` are what the metadata of an instruct model says. The first of
    `special_tokens` ends an answer. Other tokens are bytes and merges as GPT-2 has them, or as
    `sentencepiece` has them.
    """
    writer = gguf.GGUFWriter(path, "starcoder2")
    writer.add_name("tiny starcoder2")
    if finetune:
        writer.add_finetune(finetune)
    writer.add_context_length(context)
    writer.add_embedding_length(EMBEDDING)
    writer.add_block_count(BLOCKS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_eps(1e-5)
    if sentencepiece:
        tokens = _add_sentencepiece_tokens(writer, special_tokens)
    else:
        tokens = _add_gpt2_tokens(writer, special_tokens)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(False)
    if template:
        writer.add_chat_template(template)
    random = np.random.default_rng(0)

    def tensor(name: str, *shape: int, fill: float | None = None) -> None:
        values = random.normal(0, 0.3, shape) if fill is None else np.full(shape, fill)
        writer.add_tensor(name, values.astype(np.float32))

    tensor("token_embd.weight", len(tokens), EMBEDDING)
    if always is None:
        tensor("output.weight", len(tokens), EMBEDDING)
        tensor("output_norm.weight", EMBEDDING, fill=1)
        tensor("output_norm.bias", EMBEDDING, fill=0)
    else:
        # The last norm ignores its input, and one row of the output matches its constant.
        output = np.zeros((len(tokens), EMBEDDING), np.float32)
        output[tokens.index(always)] = 1
        writer.add_tensor("output.weight", output)
        tensor("output_norm.weight", EMBEDDING, fill=0)
        tensor("output_norm.bias", EMBEDDING, fill=1)
    key_value = EMBEDDING // HEADS * KV_HEADS
    for number in range(BLOCKS):
        block = f"blk.{number}"
        for name in ("attn_norm", "ffn_norm"):
            tensor(f"{block}.{name}.weight", EMBEDDING, fill=1)
            tensor(f"{block}.{name}.bias", EMBEDDING, fill=0)
        for name, rows, columns in (
            ("attn_q", EMBEDDING, EMBEDDING),
            ("attn_k", key_value, EMBEDDING),
            ("attn_v", key_value, EMBEDDING),
            ("attn_output", EMBEDDING, EMBEDDING),
            ("ffn_up", FEED_FORWARD, EMBEDDING),
            ("ffn_down", EMBEDDING, FEED_FORWARD),
        ):
            tensor(f"{block}.{name}.weight", rows, columns)
            tensor(f"{block}.{name}.bias", rows, fill=0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_gpt2_tokens(writer: gguf.GGUFWriter, special_tokens: Sequence[str]) -> list[str]:
    """Write and return the tokens of a vocabulary like StarCoder's."""
    ordinary = [*_byte_characters(), *MERGED]
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("starcoder")
    writer.add_token_list([*special_tokens, *ordinary])
    writer.add_token_types([control] * len(special_tokens) + [normal] * len(ordinary))
    writer.add_token_merges(MERGES)
    return [*special_tokens, *ordinary]


def _add_sentencepiece_tokens(writer: gguf.GGUFWriter, special_tokens: Sequence[str]) -> list[str]:
    """Write and return the tokens of a vocabulary like Llama's."""
    kinds = dict.fromkeys(special_tokens, gguf.TokenType.CONTROL)
    kinds |= dict.fromkeys([f"<0x{byte:02X}>" for byte in range(256)], gguf.TokenType.BYTE)
    kinds |= dict.fromkeys(["\u2581", "d", "e", "de"], gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([*kinds])
    writer.add_token_scores([0.0] * len(kinds))
    writer.add_token_types([*kinds.values()])
    return [*kinds]


def _byte_characters() -> list[str]:
    """Return GPT-2's character for each byte: itself if printable, else one from 256 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    substitutes = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(substitutes)) for byte in range(256)]
