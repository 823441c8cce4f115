"""Lines as editors split them, and diffs that git can apply and we can read."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_starcoder.source.diff import (
    changed_lines,
    make_diff,
    parse_patch_set,
    parse_path,
    split_lines,
)

texts = st.text(st.sampled_from("ab +-@\\\r\n\t\x0c\u2028é"), max_size=30)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a\n"]),
        ("a\nb", ["a\n", "b"]),
        ("a\r\nb\r\n", ["a\r\n", "b\r\n"]),
        ("a\rb", ["a\r", "b"]),
        ("\n\n", ["\n", "\n"]),
        ("a\x0cb\x0b\x1cc\u2028d\u2029e\x85f\n", ["a\x0cb\x0b\x1cc\u2028d\u2029e\x85f\n"]),
    ],
)
def test_line_ends(text: str, lines: list[str]) -> None:
    assert split_lines(text) == lines


@given(st.text())
def test_lines_join_to_the_text(text: str) -> None:
    assert "".join(split_lines(text)) == text


def test_diff_format() -> None:
    before = "def mean(xs):\n    return sum(xs) / (len(xs) - 1)\n"
    assert make_diff(before, before.replace("(len(xs) - 1)", "len(xs)"), "shop/pricing.py") == (
        "--- a/shop/pricing.py\n"
        "+++ b/shop/pricing.py\n"
        "@@ -1,2 +1,2 @@\n"
        " def mean(xs):\n"
        "-    return sum(xs) / (len(xs) - 1)\n"
        "+    return sum(xs) / len(xs)\n"
    )


def test_missing_last_newline() -> None:
    assert make_diff("a", "a\n", "f").splitlines()[2:] == [
        "@@ -1 +1 @@",
        "-a",
        "\\ No newline at end of file",
        "+a",
    ]


@given(texts)
def test_equal_texts(text: str) -> None:
    assert make_diff(text, text, "f") == ""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


@given(before=texts, after=texts)
@example(before="a\rb\nc", after="a\rd\nc\n")
@example(before="", after="a")
@example(before="a\n", after="")
@example(before="-- a\n", after="++ a\n")
def test_git_applies_the_diff(repository: Path, before: str, after: str) -> None:
    if before == after:
        return
    file = repository / "a file.txt"
    file.write_bytes(before.encode())
    command = ["git", "-c", "core.autocrlf=false", "apply", "--whitespace=nowarn", "-"]
    subprocess.run(
        command, input=make_diff(before, after, file.name).encode(), cwd=repository, check=True
    )
    assert (file.read_bytes() if file.exists() else b"") == after.encode()


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ("b/a.py", "a.py"),
        ("a.py", "a.py"),
        ("a b.py\t", "a b.py"),
        ("w/b/a.py", "b/a.py"),
        ('"b/a\\"b\\\\c.py"', 'a"b\\c.py'),
        ('"b/a b\\t.py"\t', "a b\t.py"),
        ('"b/\\033\\177.py"', "\x1b\x7f.py"),
        ('"b/caf\\303\\251 \\342\\202\\254.py"', "café €.py"),
        ('"b/café €\\t.py"', "café €\t.py"),
        ('"b/caf\\351.py"', "caf\udce9.py"),
        ('"b/caf\udce9\\t.py"', "caf\udce9\t.py"),
        ('"', '"'),
        ('"\\400\\u20ac\\q\\', '"\\400\\u20ac\\q\\'),
        ('"\\400\\u20ac\\q\\"', "400u20acq\\"),
    ],
)
def test_path_in_header(header: str, path: str) -> None:
    assert parse_path(header) == path


@pytest.mark.parametrize("quote", ["true", "false"])
def test_every_name_of_git(tmp_path: Path, quote: str) -> None:
    names = sorted(
        f"{chr(code)} {chr(code)}".encode()
        for code in (*range(1, 0x2F), *range(0x30, 0x100), 0x2028)
    )
    names += [b"caf\xe9", b"\xff\t"]
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    for name in names:
        (tmp_path / os.fsdecode(name)).write_text("x\n")
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
    command = ["git", "-c", f"core.quotePath={quote}", "diff", "--cached", "--dst-prefix=b/"]
    diff = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    headers = re.findall(rb"(?m)^\+\+\+ ([^\n]+)$", diff)
    assert sorted(os.fsencode(parse_path(os.fsdecode(header))) for header in headers) == sorted(
        names
    )


def test_changed_lines() -> None:
    diff = make_diff("keep\n-- a comment of SQL\n", "keep\n++ x\n", "q.sql") + make_diff(
        "1\n", "2\n", "b.py"
    )
    assert changed_lines(diff) == ["--- a comment of SQL", "+++ x", "-1", "+2"]


def test_damaged_diff() -> None:
    with pytest.raises(ValueError, match="Hunk is shorter than expected"):
        parse_patch_set("--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n a\n")
