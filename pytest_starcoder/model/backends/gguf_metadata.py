"""Reads the metadata of a GGUF file, which llama.cpp's server does not report.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 64 * 2**20
"""Bytes of metadata that are read at most; vocabularies of 250,000 tokens take 10 MB."""

_STRING, _ARRAY = 8, 9
_SCALAR_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes by type of value: the integers, the floats and the boolean."""


def read_texts(path: Path, keys: frozenset[str]) -> dict[str, str]:
    """Return the texts under `keys`; those that are missing or cannot be read are left out."""
    texts: dict[str, str] = {}
    try:
        with path.open("rb") as file:
            header = file.read(24)
            magic, version, _, count = struct.unpack("<4sIQQ", header)
            if magic != b"GGUF" or version < 2:  # the first version had shorter lengths
                return texts
            for _ in range(count):
                key = _read_text(file)
                (kind,) = struct.unpack("<I", file.read(4))
                if kind == _STRING and key in keys:
                    texts[key] = _read_text(file)
                else:
                    _skip(file, kind)
                if texts.keys() == keys:
                    break
    except (OSError, ValueError, RecursionError, struct.error):
        pass  # llama.cpp says what is wrong with the file
    return texts


def _read_text(file: BinaryIO) -> str:
    return file.read(_read_length(file)).decode("utf-8", "replace")


def _read_length(file: BinaryIO) -> int:
    (length,) = struct.unpack("<Q", file.read(8))
    if file.tell() + length > MAX_BYTES:
        raise ValueError("the metadata is too long")
    return int(length)


def _skip(file: BinaryIO, kind: int) -> None:
    """Skip a value."""
    if kind == _STRING:
        file.read(_read_length(file))  # faster than to seek
    elif kind == _ARRAY:
        (element,) = struct.unpack("<I", file.read(4))
        count = _read_length(file)
        if element in _SCALAR_SIZES:
            file.seek(count * _SCALAR_SIZES[element], 1)
        else:
            for _ in range(count):
                _skip(file, element)
    elif kind in _SCALAR_SIZES:
        file.seek(_SCALAR_SIZES[kind], 1)
    else:
        raise ValueError(f"unknown type {kind}")
