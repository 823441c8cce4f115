"""Messages of another process either have the expected form or are dropped."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from pytest_starcoder.runner import protocol
from pytest_starcoder.runner.protocol import (
    MAX_FILE,
    MAX_LINE,
    Malformed,
    MessageFile,
    decode,
    encode,
    parse_value,
    read_messages,
    read_regular,
    shown_text,
)
from pytest_starcoder.runner.sandbox import Level


@dataclass(frozen=True)
class Hello:
    name: str
    colours: frozenset[str] = frozenset()
    mood: Literal["glad", "sad"] = "glad"


@dataclass(frozen=True)
class Parcel:
    folder: Path
    level: Level | None = None
    hello: Hello | None = None
    weights: Mapping[str, tuple[float, ...]] | None = None


KINDS = (Hello, Parcel)
ANN, BOB = Hello("Ann"), Hello("Bob", frozenset({"red", "blue"}), "sad")

BAD_LINES = {
    "no-json": b"{",
    "empty": b"",
    "list": b"[1]",
    "text": b'"a"',
    "nested-lists": b"[" * 100_000 + b"]" * 100_000,
    "nested-objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "huge-number": b'{"Hello":' + b"9" * 5000 + b"}",
    "no-utf8": b'{"Hello": {"name": "\xff"}}',
    "nan": b'{"Hello": NaN}',
    "infinity": b'{"Hello": Infinity}',
    "nul-bytes": b"\0" * 100,
    "other-class": b'{"Other": {"name": "a"}}',
    "two-classes": b'{"Hello": {"name": "a"}, "Parcel": {"folder": "a"}}',
    "no-class": b"{}",
    "no-fields": b'{"Hello": ["a"]}',
    "unknown-word": b'{"Hello": {"name": "a", "mood": "mad"}}',
    "list-as-word": b'{"Hello": {"name": "a", "mood": ["mad"]}}',
    "unknown-level": b'{"Parcel": {"folder": "a", "level": "none of all"}}',
    "number-as-path": b'{"Parcel": {"folder": 1}}',
    "text-as-message": b'{"Parcel": {"folder": "a", "hello": "b"}}',
}


@pytest.mark.parametrize(
    "message",
    [
        ANN,
        BOB,
        Parcel(Path("/tmp"), Level.AUDIT, ANN, {"a": (1.5, 2.0)}),
        Parcel(Path("a\0b")),
        Hello("\udc80"),
    ],
    ids=["defaults", "set", "nested", "nul", "surrogate"],
)
def test_encoded_message(message: Hello | Parcel) -> None:
    line = encode(message)
    assert line.endswith(b"}\n")
    assert decode(line, KINDS) == message


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_malformed_line(line: bytes) -> None:
    with pytest.raises(Malformed):
        decode(line, KINDS)


def test_unsupported_field() -> None:
    with pytest.raises(TypeError):
        encode(Hello(object()))  # type: ignore[arg-type]
    with pytest.raises(Malformed, match=r"no value of list\[int\]"):
        parse_value([], list[int])


WRONG_TYPES: dict[str, tuple[Any, Any]] = {
    "number-for-text": (1, str),
    "bool-for-number": (True, int),
    "below-zero": (-1, int),
    "too-large": (1 << 40, int),
    "fraction": (1.5, int),
    "text-for-seconds": ("1", float),
    "huge-seconds": (10**400, float),
    "bool-for-seconds": (True, float),
    "list-for-record": ([1], Hello),
    "extra-field": ({"name": "a", "more": 1}, Hello),
    "missing-field": ({"mood": "sad"}, Hello),
    "none-for-text": ({"name": None}, Hello),
    "object-for-set": ({"a": [1]}, frozenset[int]),
    "texts-for-numbers": (["a"], frozenset[int]),
    "triples-for-pairs": ([[1, 2, 3]], frozenset[tuple[int, int]]),
    "list-for-mapping": ([1], Mapping[str, int]),
    "nested": ({"a": {"b": [None]}}, Mapping[str, Mapping[str, frozenset[int]]]),
    "nested-in-field": ({"folder": "a", "hello": {}}, Parcel),
}


@pytest.mark.parametrize(("value", "kind"), WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_wrong_type(value: Any, kind: Any) -> None:
    with pytest.raises(Malformed):
        parse_value(value, kind)


def test_nested_types() -> None:
    steps = parse_value(
        {"a": {"b": [[1, 2]]}}, Mapping[str, Mapping[str, frozenset[tuple[int, int]]]]
    )
    assert steps == {"a": {"b": frozenset({(1, 2)})}}
    assert parse_value(1, float) == 1.0
    assert parse_value([True], tuple[bool, ...]) == (True,)


def test_shown_text() -> None:
    assert shown_text("a\udc80") == "a\\udc80"
    assert len(shown_text("x" * 10_000)) == 4000


# --- files ---


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "messages"
    path.touch()
    return path


def messages_in(path: Path, max_bytes: int = MAX_FILE) -> list[object]:
    with path.open("rb") as opened:
        messages: list[object] = [*read_messages(opened, KINDS, max_bytes)]
        assert opened.tell() <= max_bytes
    return messages


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_lines_around_a_malformed_one(file: Path, line: bytes) -> None:
    file.write_bytes(encode(ANN) + line + b"\n" + encode(BOB) + b'{"cut": ')
    assert messages_in(file) == [ANN, BOB]


def test_long_line_is_skipped(file: Path) -> None:
    file.write_bytes(encode(Hello("x" * MAX_LINE)) + encode(BOB))
    assert messages_in(file) == [BOB]


def test_huge_file(file: Path) -> None:
    file.write_bytes(encode(ANN))
    os.truncate(file, 1_500_000_000)  # sparse: takes no disk space
    assert messages_in(file) == [ANN]


def test_many_lines(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_LINES", 10)
    file.write_bytes(b"\n" * 9 + encode(ANN) + encode(BOB))
    assert messages_in(file) == [ANN]


def test_max_bytes(file: Path) -> None:
    size = file.write_bytes(encode(ANN))
    file.write_bytes(encode(ANN) + encode(BOB))
    assert messages_in(file, size) == [ANN]
    assert messages_in(file, size + 3) == [ANN]


def test_appended_messages(file: Path) -> None:
    message_file = MessageFile(file)
    message_file.append(ANN)
    message_file.append(BOB)
    assert file.read_bytes() == encode(ANN) + encode(BOB)


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")


@needs_pipes
@pytest.mark.parametrize("replacement", ["pipe", "link", "file", "folder", "nothing"])
def test_replaced_file_is_not_written(file: Path, replacement: str) -> None:
    elsewhere = file.with_name("elsewhere")
    elsewhere.write_text("mine")
    with file.open("rb") as opened:
        message_file = MessageFile(file)
        file.unlink()
        match replacement:
            case "pipe":
                os.mkfifo(file)
            case "link":
                file.symlink_to(elsewhere)
            case "file":
                file.write_text("mine")
            case "folder":
                file.mkdir()
        message_file.append(ANN)
        assert list(read_messages(opened, KINDS)) == []
    assert elsewhere.read_text() == "mine"
    assert replacement != "file" or file.read_text() == "mine"


@needs_pipes
@pytest.mark.parametrize("replacement", ["pipe", "link", "folder", "huge", "nothing"])
def test_only_regular_files_are_read(tmp_path: Path, replacement: str) -> None:
    path = tmp_path / "messages"
    match replacement:
        case "pipe":
            os.mkfifo(path)
        case "link":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "huge":
            path.touch()
            os.truncate(path, MAX_LINE + 1)
    with pytest.raises((OSError, Malformed)):
        read_regular(path)
