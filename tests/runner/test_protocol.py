"""Messages of another process either have the expected form or are dropped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from pytest_starcoder.runner.outcome import Call
from pytest_starcoder.runner.protocol import (
    MAX_FILE,
    MAX_LINE,
    MAX_LINES,
    LineFile,
    Malformed,
    decode,
    encode,
    message_of,
    messages_in,
    parsed,
    read_regular,
)
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.trials import Judgement, Record

BAD_LINES = {
    "no JSON": b"{",
    "nothing": b"",
    "a list": b"[1]",
    "a text": b'"a"',
    "nested": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a huge number": b'{"a":' + b"9" * 5000 + b"}",
    "no UTF-8": b'{"a": "\xff"}',
    "not a number": b'{"a": NaN}',
    "infinite": b'{"a": Infinity}',
    "NUL bytes": b"\0" * 100,
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_malformed(line: bytes) -> None:
    with pytest.raises(Malformed):
        message_of(line)


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_other_lines_are_read(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'{"a": 1}\n' + line + b'\n{"b": 2}\n{"cut": ')
    with path.open("rb") as file:
        assert list(messages_in(file)) == [{"a": 1}, {"b": 2}]


def test_a_line_too_long_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'{"a": "' + b"x" * MAX_LINE + b'"}\n{"b": 2}\n')
    with path.open("rb") as file:
        assert list(messages_in(file)) == [{"b": 2}]


def test_a_huge_file_is_read_in_part(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'{"a": 1}\n')
    os.truncate(path, 1_500_000_000)  # sparse: takes no disk space
    with path.open("rb") as file:
        assert list(messages_in(file)) == [{"a": 1}]
        assert file.tell() <= MAX_FILE


def test_many_lines_are_read_in_part(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"\n" * MAX_LINES + b'{"a": 1}\n')
    with path.open("rb") as file:
        assert list(messages_in(file)) == []


def test_later_lines_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'{"a": 1}\n{"b": 2}\n')
    with path.open("rb") as file:
        assert list(messages_in(file, end=9)) == [{"a": 1}]
        assert list(messages_in(file, end=12)) == [{"a": 1}]


GOOD_RECORD = {"nodeid": "a", "outcome": "passed", "seconds": 1}


WRONG_TYPES: dict[str, tuple[Any, Any]] = {
    "a number for a text": (1, str),
    "a truth for a number": (True, int),
    "below zero": (-1, int),
    "too large": (1 << 40, int),
    "a fraction": (1.5, int),
    "a text for seconds": ("1", float),
    "seconds without end": (10**400, float),
    "a truth for seconds": (True, float),
    "a list for a record": ([1], Record),
    "a field too many": ({**GOOD_RECORD, "more": 1}, Record),
    "a field too few": ({"nodeid": "a"}, Record),
    "a field of no type": ({**GOOD_RECORD, "raised": None}, Record),
    "a field of another type": ({**GOOD_RECORD, "seconds": "x"}, Record),
    "an object for a set": ({"a": [1]}, frozenset[int]),
    "texts for numbers": (["a"], frozenset[int]),
    "triples for pairs": ([[1, 2, 3]], frozenset[tuple[int, int]]),
    "a list for a mapping": ([1], Mapping[str, int]),
    "wrong deep inside": ({"a": {"b": [None]}}, Mapping[str, Mapping[str, frozenset[int]]]),
    "wrong in a field": ({"rounds": [[{}]]}, Judgement),
    "a call without an outcome": ({"path": "a"}, Call),
}


@pytest.mark.parametrize(("value", "kind"), WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_wrong_types_are_malformed(value: Any, kind: Any) -> None:
    with pytest.raises(Malformed):
        parsed(value, kind)


def test_right_types_come_back() -> None:
    assert parsed(GOOD_RECORD, Record) == Record("a", "passed", 1.0)
    judgement = {
        "rounds": [[GOOD_RECORD]],
        "lines": {"a": {"b": [1]}},
        "steps": {"a": {"b": [[1, 2]]}},
        "left": ["x"],
    }
    assert parsed(json.loads(json.dumps(judgement)), Judgement) == Judgement(
        "",
        ((Record("a", "passed", 1.0),),),
        {"a": {"b": frozenset({1})}},
        {"a": {"b": frozenset({(1, 2)})}},
        ("x",),
    )


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


@pytest.mark.parametrize(
    "message",
    [
        Hello("a"),
        Hello("a", frozenset({"red", "blue"}), "sad"),
        Parcel(Path("/tmp"), Level.AUDIT, Hello("a")),
        Parcel(Path("a\0b")),
    ],
    ids=["defaults", "set", "nested", "none"],
)
def test_encoded_message(message: Hello | Parcel) -> None:
    assert decode(encode(message), (Hello, Parcel)) == message


UNEXPECTED = {
    "another class": b'{"Other": {"name": "a"}}',
    "two classes": b'{"Hello": {"name": "a"}, "Parcel": {"folder": "a"}}',
    "no class": b"{}",
    "a list": b'{"Hello": ["a"]}',
    "another word": b'{"Hello": {"name": "a", "mood": "mad"}}',
    "a list for a word": b'{"Hello": {"name": "a", "mood": ["mad"]}}',
    "another level": b'{"Parcel": {"folder": "a", "level": "none of all"}}',
    "a number for a folder": b'{"Parcel": {"folder": 1}}',
    "a text for a message": b'{"Parcel": {"folder": "a", "hello": "b"}}',
}


@pytest.mark.parametrize("line", UNEXPECTED.values(), ids=UNEXPECTED)
def test_unexpected_message(line: bytes) -> None:
    with pytest.raises(Malformed):
        decode(line, (Hello, Parcel))


def test_a_line_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.touch()
    lines = LineFile(path)
    lines.append({"a": 1})
    lines.append({"b": 2})
    assert path.read_text() == '{"a": 1}\n{"b": 2}\n'


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("instead", ["a pipe", "a link", "another file", "a folder", "nothing"])
def test_what_takes_its_place_is_left_alone(tmp_path: Path, instead: str) -> None:
    path, other = tmp_path / "lines", tmp_path / "other"
    path.touch()
    other.write_text("mine")
    with path.open("rb") as file:
        lines = LineFile(path)
        path.unlink()
        match instead:
            case "a pipe":
                os.mkfifo(path)
            case "a link":
                path.symlink_to(other)
            case "another file":
                path.write_text("mine")
            case "a folder":
                path.mkdir()
        lines.append({"a": 1})
        assert list(messages_in(file)) == []
    assert other.read_text() == "mine"
    assert instead != "another file" or path.read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("instead", ["a pipe", "a link", "a folder", "a huge file", "nothing"])
def test_only_a_file_is_read(tmp_path: Path, instead: str) -> None:
    path = tmp_path / "lines"
    match instead:
        case "a pipe":
            os.mkfifo(path)
        case "a link":
            path.symlink_to("/dev/zero")
        case "a folder":
            path.mkdir()
        case "a huge file":
            path.touch()
            os.truncate(path, MAX_LINE + 1)
    with pytest.raises((OSError, Malformed)):
        read_regular(path)
