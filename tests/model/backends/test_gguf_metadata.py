"""Metadata of GGUF files, and whether it says that a model follows instructions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tiny_model import write_tiny_model

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.model.backends.embedded import Embedded, follows_instructions
from pytest_starcoder.model.backends.gguf_metadata import read_texts
from pytest_starcoder.model.prompts import model_family
from pytest_starcoder.settings import Settings

KEYS = frozenset({"general.name", "general.finetune", "tokenizer.chat_template", "missing"})
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"


@pytest.fixture(scope="module")
def instruct_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "mine.gguf"
    return write_tiny_model(path, finetune="Instruct-GGUF", template=TEMPLATE)


def test_texts(instruct_model: Path) -> None:
    assert read_texts(instruct_model, KEYS) == {
        "general.name": "tiny starcoder2",
        "general.finetune": "Instruct-GGUF",
        "tokenizer.chat_template": TEMPLATE,
    }


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGML" + bytes(40), b"GGUF" + b"\xff" * 40])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    assert read_texts(path, KEYS) == {}
    assert read_texts(tmp_path / "missing.gguf", KEYS) == {}


@given(cut=st.integers(24, 3000), byte=st.integers(0, 255))
def test_damaged_files(instruct_model: Path, cut: int, byte: int) -> None:
    content = bytearray(instruct_model.read_bytes()[:3000])
    content[cut - 1] = byte
    path = instruct_model.with_name("damaged.gguf")
    path.write_bytes(content[:cut])
    texts = read_texts(path, KEYS)
    assert texts.keys() <= KEYS


def test_deeply_nested_arrays(tmp_path: Path) -> None:
    array = (9).to_bytes(4, "little") + (1).to_bytes(8, "little")
    header = b"GGUF" + (3).to_bytes(4, "little") + bytes(8) + (1).to_bytes(8, "little")
    key = (1).to_bytes(8, "little") + b"k" + (9).to_bytes(4, "little")
    path = tmp_path / "m.gguf"
    path.write_bytes(header + key + array * 100_000)
    assert read_texts(path, KEYS) == {}


@pytest.mark.parametrize(
    ("finetune", "template", "expected"),
    [
        ("Instruct", TEMPLATE, True),
        ("Instruct-GGUF", TEMPLATE, True),
        ("it", TEMPLATE, True),
        # Base models come with the template of their instruct model.
        ("", TEMPLATE, False),
        ("Base", TEMPLATE, False),
        ("Instruct", "", False),
        ("", "", False),
    ],
)
def test_follows_instructions(tmp_path: Path, finetune: str, template: str, expected: bool) -> None:
    path = write_tiny_model(tmp_path / "m.gguf", finetune=finetune, template=template)
    assert follows_instructions(path) is expected


@pytest.mark.parametrize(("chosen", "family"), [("auto", "chat"), ("completion", "completion")])
def test_embedded_instruct_model(instruct_model: Path, chosen: str, family: str) -> None:
    backend = Embedded(Settings(backend="embedded", model=str(instruct_model), threads=1))
    model = backend.inspect("d", Deadline.after(30))
    backend.close()
    assert model.chat
    assert model_family(model, chosen) == family
