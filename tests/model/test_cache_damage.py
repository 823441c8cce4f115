"""A memory that something else has damaged: it tells what was put, or nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.servers import FakeOllama

from pytest_starcoder.model.cache import Cache
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.json_fields import from_fields
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings


def only_file(folder: Path) -> Path:
    (file,) = (folder / "answers").iterdir()
    return file


@given(
    damage=st.binary(max_size=200) | st.sampled_from([b"{}", b"null", b'"text"', b"[" * 100_000])
)
def test_random_file_is_a_miss(tmp_path_factory: pytest.TempPathFactory, damage: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    cache = Cache(folder)
    cache.put("value", "key")
    only_file(folder).write_bytes(damage)
    assert cache.get("key") is None


@given(at=st.integers(0, 85), byte=st.binary(min_size=1, max_size=1))
def test_changed_byte(tmp_path_factory: pytest.TempPathFactory, at: int, byte: bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "changed"
    cache = Cache(folder)
    cache.put({"text": "the value"}, "key")
    content = only_file(folder).read_bytes()
    only_file(folder).write_bytes(content[:at] + byte + content[at + 1 :])
    assert cache.get("key") in (None, {"text": "the value"})


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    cache.put("value", "key")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    cache.put("another", "another key")
    monkeypatch.undo()
    assert only_file(tmp_path)
    assert cache.get("key") == "value"


FORGED = [b"{", b"\xff", b"[" * 200_000, b"NaN nonsense"]


@pytest.mark.parametrize("content", FORGED, ids=["cut", "no-text", "nested", "words"])
def test_forged_file(tmp_path: Path, content: bytes) -> None:
    cache = Cache(tmp_path)
    cache.put("value", "key")
    only_file(tmp_path).write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    assert cache.get("key") is None


WRONG = {
    "list": [],
    "empty": {},
    "text": "text",
    "number": 5,
    "other-type": {"text": 1, "model": "m"},
    "missing": {"text": "x"},
    "unknown": {"text": "x", "model": "m", "more": 1},
}


@pytest.mark.parametrize("name", WRONG)
def test_forged_value(tmp_path: Path, ollama_double: FakeOllama, name: str) -> None:
    settings = Settings(backend="ollama", host=ollama_double.url, cache=str(tmp_path))
    prompt = Prompt("why?")
    with Client.from_settings(settings) as client:
        completion = client.complete(prompt)
    content = json.dumps(WRONG[name]).encode()
    for file in (tmp_path / "answers").iterdir():
        file.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    with Client.from_settings(settings) as client:
        assert client.complete(prompt) == completion
        assert isinstance(client.count("some text"), int)
        assert client.calls == 1


@pytest.mark.parametrize(
    "value",
    [Completion("x", "m", likelihood=-0.5), Model("m", "d", "starcoder2", 4096, chat=True)],
    ids=["told", "who"],
)
def test_fields_round_trip(value: Completion | Model) -> None:
    assert from_fields(type(value), json.loads(json.dumps(asdict(value)))) == value
