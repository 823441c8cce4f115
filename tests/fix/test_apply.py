"""Fixes and answers in the user's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_starcoder.explain.fixes import Fix, Fixes
from pytest_starcoder.fix.apply import add_answer, add_test, apply, confirm
from pytest_starcoder.redaction.redactor import REDACTED
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.sources import SourceFiles

SOURCE = "# é\ndef f(n):\n    return n + 1\n"


def fix_of(before: str = "n + 1", after: str = "n + 2", path: str = "shop.py") -> Fix:
    start = SOURCE.index(before)
    edit = Edit(path, (start, start + len(before)), before, after, "a kind", 1.0, 3)
    return Fix((edit,), "", path, 3, before, after, ("t.py::test_f",), (), checked=True)


def write(root: Path, fixes: list[Fix], *, accepted: bool = True) -> list[str]:
    return apply(fixes, root, SourceFiles(lambda _: SOURCE), lambda _: accepted)


@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_written_fix(tmp_path: Path, ending: str) -> None:
    file = tmp_path / "shop.py"
    file.write_text(SOURCE, "utf-8", newline=ending)
    assert write(tmp_path, [fix_of()]) == [
        "shop.py:3 was changed. Run the tests again; `git diff` shows the change."
    ]
    expected = SOURCE.replace("n + 1", "n + 2").replace("\n", ending)
    assert file.read_bytes().decode() == expected


def test_refused_fix(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SOURCE, "utf-8")
    assert write(tmp_path, [fix_of()], accepted=False) == []
    assert (tmp_path / "shop.py").read_text("utf-8") == SOURCE


def test_several_fixes(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SOURCE, "utf-8")
    messages = write(tmp_path, [fix_of(), fix_of("f(n)", "f(n=1)"), fix_of(), fix_of("+ 1", "- 1")])
    assert messages[3] == "shop.py:3 was not changed: another fix has already changed these lines."
    assert (tmp_path / "shop.py").read_text("utf-8") == "# é\ndef f(n=1):\n    return n + 2\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", "it is not in UTF-8"),
        (SOURCE.replace("\n", "\r\n", 1).encode(), "it mixes line endings"),
        (b"changed\n", "it has changed since the tests ran"),
        (None, "No such file or directory"),
    ],
    ids=["encoding", "line-endings", "changed", "missing"],
)
def test_unwritable(tmp_path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / "shop.py").write_bytes(content)
    assert write(tmp_path, [fix_of()]) == [f"shop.py:3 was not changed: {reason}."]


@pytest.mark.parametrize(("answer", "accepted"), [("y", True), ("yes", True), ("", False)])
def test_confirm(answer: str, accepted: bool) -> None:
    asked = []

    def ask(question: str, hint: str) -> str:
        asked.append((question, hint))
        return answer

    assert confirm(fix_of(), ask) is accepted
    question = "Apply this fix to shop.py:3? 1 failing test passes with it. [y/N] "
    assert asked == [(question, "Use --starcoder-apply=yes.")]


def test_unclear_answer_is_asked_again() -> None:
    answers = iter(["maybe", "y"])
    questions = []

    def ask(question: str, _hint: str) -> str:
        questions.append(question)
        return next(answers)

    assert confirm(fix_of(), ask)
    assert questions[1] == f"Answer y or n. {questions[0]}"


FIXES = Fixes(
    call="f(0)",
    outcomes=("returns 1", "returns 2"),
    answers=("    assert f(0) == 1\n", "    assert f(0) == 2\n"),
)


@pytest.mark.parametrize(("answer", "value"), [("1", 1), ("2", 2)])
def test_answer(tmp_path: Path, answer: str, value: int) -> None:
    (tmp_path / "t.py").write_text("x = 1")
    questions = []

    def ask(question: str, hint: str) -> str:
        questions.append(question)
        return answer

    message = add_answer(FIXES, tmp_path, "t.py", ask)
    assert message == "test_f_1 was added to t.py. Run the tests again."
    assert questions == ["Which is right: f(0) 1. returns 1, 2. returns 2? [1/2/N] "]
    test = f"def test_f_1() -> None:\n    assert f(0) == {value}\n"
    assert (tmp_path / "t.py").read_text() == f"x = 1\n\n\n{test}"


def test_no_answer(tmp_path: Path) -> None:
    assert add_answer(FIXES, tmp_path, "t.py", lambda *_: "n") == ""


def test_answer_for_a_missing_file(tmp_path: Path) -> None:
    message = add_answer(FIXES, tmp_path, "t.py", lambda *_: "1")
    assert message == "t.py was not changed: No such file or directory."


def test_test_names_are_unique(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_bytes(b"def test_f_1() -> None:\r\n    pass\r\n")
    assert add_test(tmp_path, "t.py", "    pass\n", "f(0)").startswith("test_f_2 was added")
    assert (tmp_path / "t.py").read_bytes().endswith(b"def test_f_2() -> None:\r\n    pass\r\n")


def test_secrets_are_not_written(tmp_path: Path) -> None:
    message = add_test(tmp_path, "t.py", f"    assert f() == '{REDACTED}'\n", "f()")
    assert message.startswith("No test was written: it contains a secret.")
