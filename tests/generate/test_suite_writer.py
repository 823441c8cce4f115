"""Tests shown as diffs, and written into test files."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.repositories import git
from support.shop import shop_draft, target_named

from pytest_starcoder.generate.draft import Draft, Origin
from pytest_starcoder.generate.placement import NewTest, accepted_test
from pytest_starcoder.generate.result import Generated, KeptTest, RejectedDraft
from pytest_starcoder.generate.suite_writer import SuiteWriter, places_of, write_hint

DRAFT = shop_draft("assert mean([1]) == 1", name="test_mean_example_1", origin=Origin.DOCTEST)
PLACE = "tests/test_shop.py"


class Screen:
    """The text that a SuiteWriter shows."""

    def __init__(self) -> None:
        self.text = ""

    def show(self, text: str) -> None:
        self.text += text


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    return tmp_path


def put(root: Path, *, writes: bool = True, place: str = PLACE, draft: Draft = DRAFT) -> str:
    """Put a test into its place; return what is shown."""
    screen = Screen()
    writer = SuiteWriter(root, screen.show, lambda text: text.replace("secret", "***"), writes)
    writer.put({place: [accepted_test(KeptTest(draft))]})
    return screen.text


def test_diff_only(root: Path) -> None:
    shown = put(root, writes=False)
    assert "+def test_mean_example_1():\n" in shown
    assert "Written" not in shown
    assert not (root / PLACE).exists()


def test_written_once(root: Path) -> None:
    assert put(root).endswith("Written: tests/test_shop.py\n")
    written = (root / PLACE).read_text()
    assert "def test_mean_example_1():\n" in written
    assert put(root) == ""
    assert (root / PLACE).read_text() == written


def test_new_folder(root: Path) -> None:
    put(root, place="new/tests/test_shop.py")
    assert (root / "new/tests/test_shop.py").is_file()


def test_secret(root: Path) -> None:
    draft = shop_draft("assert mean('secret')")
    shown = put(root, draft=draft)
    assert "***" in shown
    assert "secret" not in shown


def test_line_ends_mode_and_link(root: Path) -> None:
    real = root / "real.py"
    real.write_bytes(b"def test_there():\r\n    pass\r\n")
    real.chmod(0o640)
    (root / PLACE).symlink_to(real)
    put(root)
    assert (root / PLACE).is_symlink()
    written = real.read_bytes()
    assert b"def test_mean_example_1():\r\n" in written
    assert written.count(b"\n") == written.count(b"\r\n")
    assert real.stat().st_mode & 0o777 == 0o640


def test_link_outside(root: Path) -> None:
    git(root, "init", "--quiet")
    outside = root.parent / f"{root.name}-home.py"
    outside.write_text("# mine\n")
    (root / PLACE).symlink_to(outside)
    assert put(root).endswith(
        f"{PLACE} was not changed: a link leads to {outside}, which is not a file of {root}. "
        "Remove the link, or name its target.\n"
    )
    assert outside.read_text() == "# mine\n"


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        (b"def test_(:\n", PLACE, "it cannot be parsed."),
        (b"x = 1\n", f"{PLACE}::TestMean", "it has no class TestMean."),
        (b"# \xff\n", PLACE, "'utf-8' codec can't decode byte 0xff in position 2: "),
    ],
)
def test_unchanged_file(root: Path, content: bytes, place: str, reason: str) -> None:
    (root / PLACE).write_bytes(content)
    assert put(root, place=place).startswith(f"{place} was not changed: {reason}")
    assert (root / PLACE).read_bytes() == content


def test_libcst_missing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_starcoder.generate.placement.find_spec", lambda _: None)
    assert put(root) == f"\n{DRAFT.code}\n"
    assert not (root / PLACE).exists()


def test_places() -> None:
    bug = RejectedDraft(shop_draft("assert parse('3') == 3", target_named("parse")), "is wrong")
    generated = Generated(kept=(KeptTest(DRAFT),), suspected=(bug,))
    default = "tests/test_generated.py"
    [test] = places_of(generated, with_suspected=False)[default]
    assert test.draft == DRAFT
    _, suspected = places_of(generated, with_suspected=True)[default]
    assert suspected.draft.decorators[0].startswith("@pytest.mark.xfail(strict=True")


def test_write_hint() -> None:
    test = NewTest(DRAFT, "")
    assert write_hint({"a.py": [test]}) == (
        "Nothing was written. Add --starcoder-write to put 1 test into a.py."
    )
    assert write_hint({"a.py": [test, test], "b.py": [test], "c.py::T": [test]}) == (
        "Nothing was written. Add --starcoder-write to put 2 tests into a.py, 1 test into b.py "
        "and 1 test into c.py::T."
    )
