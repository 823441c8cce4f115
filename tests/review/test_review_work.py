"""Reading a change takes linear work, counted in executed lines rather than seconds."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import pytest_starcoder
from benchmarks.large_changes import KINDS
from pytest_starcoder.review.change_reader import read_change
from pytest_starcoder.review.file_patch import FilePatch
from pytest_starcoder.review.finding import Review
from pytest_starcoder.review.model_review import ModelReview
from pytest_starcoder.review.request import ReviewInput
from pytest_starcoder.review.reviewer import compose_review
from pytest_starcoder.review.rules import find_faults
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.diff import make_diff
from pytest_starcoder.source.git.patches import Entry

OURS = str(Path(pytest_starcoder.__file__).parent)
NOT_COUNTED = str(Path(OURS, "text"))  # the search for secrets has its own test

Texts = dict[str, tuple[str, str]]
"""Files before and after a change, by path."""


def added(make: Callable[[int], dict[str, str]]) -> Callable[[int], Texts]:
    return lambda lines: {path: ("", text) for path, text in make(lines).items()}


def interleaved(path: str) -> Callable[[int], Texts]:
    def make(lines: int) -> Texts:
        before = "".join(f"x{number} = {number};\n" for number in range(2 * lines))
        after = "".join(
            f"x{number} = {number}{'+1' * (number % 2)};\n" for number in range(2 * lines)
        )
        return {path: (before, after)}

    return make


def appended(path: str, line: str) -> Callable[[int], Texts]:
    return lambda lines: {path: (f"{line}\n" * lines, f"{line}\n" * 2 * lines)}


def faulty(lines: int) -> Texts:
    return {"a.py": ("", "".join(f"a = x{number}[len(x{number})]\n" for number in range(lines)))}


def branches(lines: int) -> Texts:
    rest = "".join(f"elif x == {number}:\n    y = {number}\n" for number in range(lines // 8))
    return {"a.py": ("", f"if x:\n    y = 0\n{rest}")}


SHAPES: dict[str, Callable[[int], Texts]] = {
    **{name: added(make) for name, make in KINDS.items()},
    "every second line of Python": interleaved("a.py"),
    "every second line of Go": interleaved("a.go"),
    "the same line in C": appended("a.c", "abc"),
    "the same call in Go": appended("a.go", "row(x)"),
    "decorators": lambda lines: {"a.ts": ("", "@a\n" * lines + "class A {\n}\n")},
    "labels of C": lambda lines: {
        "a.c": ("", "void f()\n{\n" + "a:\n    x = 1;\n" * lines + "}\n")
    },
    "lines taken away": lambda lines: {"a.go": ("x()\n" * lines + "y()\n", "z()\n")},
    "a fault a line": faulty,
    "branches": branches,
}


def entries_of(texts: Texts) -> tuple[list[Entry], dict[str, bytes]]:
    entries = []
    for path, (before, after) in texts.items():
        diff = make_diff(before, after, path)
        patch = f"diff --git a/{path} b/{path}\n{diff}".encode()
        entries.append(Entry(path, "M", ("100644", "100644"), ("", path), patch))
    return entries, {path: after.encode() for path, (_, after) in texts.items()}


def review(entries: list[Entry], blobs: dict[str, bytes]) -> Review:
    change = read_change("x", [FilePatch(entry) for entry in entries], blobs)
    source = ReviewInput(change, Settings(), tuple(find_faults(change)))
    return compose_review(source, ModelReview())


def work(texts: Texts) -> int:
    """Count the executed lines of this package for a review of that change."""
    entries, blobs = entries_of(texts)
    count = 0

    def line(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return line

    def call(frame: FrameType, _event: str, _argument: object) -> Any:
        path = frame.f_code.co_filename
        return line if path.startswith(OURS) and not path.startswith(NOT_COUNTED) else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        review(entries, blobs)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_linear_work(shape: str) -> None:
    make = SHAPES[shape]
    work(make(100))  # imports and compiles what is needed once
    few, many = work(make(150)), work(make(600))
    assert many < 5 * few


def test_python_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = ast.parse

    def counted(source: str) -> ast.Module:
        parsed.append(source)
        return parse(source)

    monkeypatch.setattr(ast, "parse", counted)
    source = "".join(f"name_{number} = {number}\n" for number in range(3000))
    review(*entries_of({"parsed_once.py": ("", source)}))
    assert len(parsed) == 1
