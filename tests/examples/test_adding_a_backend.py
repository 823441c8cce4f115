"""The page on adding a backend shows what the example really is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_starcoder import errors
from pytest_starcoder.model.backends import Backend

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "starcoder-backend-command"
PAGE = (ROOT / "docs" / "adding-a-backend.md").read_text("utf-8")
PARTS = re.findall(r"<!-- part: (\S+) -->\n```\w+\n(.*?)```\n", PAGE, re.DOTALL)


def rows(page: str) -> list[str]:
    """Return the first column of the page's tables."""
    return re.findall(r"^\| `(\w+)", page, re.MULTILINE)


@pytest.mark.parametrize(
    ("file", "part"), PARTS, ids=[f"{file} {number}" for number, (file, _) in enumerate(PARTS)]
)
def test_blocks_match_the_example(file: str, part: str) -> None:
    assert part in (EXAMPLE / file).read_text("utf-8")


def test_every_block_is_in_the_example() -> None:
    assert len(re.findall(r"^```(?:python|toml)$", PAGE, re.MULTILINE)) == len(PARTS)


def test_every_member_is_described() -> None:
    members = [name for name in vars(Backend) if not name.startswith("_")]
    assert rows(PAGE)[: len(members)] == members


def test_listed_errors_exist() -> None:
    told = rows(PAGE)[len([name for name in vars(Backend) if not name.startswith("_")]) :]
    kinds = {kind.__name__ for kind in errors.BackendError.__subclasses__()}
    assert kinds | {"ConfigError", "PromptTooLong"} == set(told)


def test_links_exist() -> None:
    for path in re.findall(r"\]\(\.\./(\S+?)\)|`(tests/\S+?\.py)`", PAGE):
        assert (ROOT / "".join(path)).exists()
    assert f"pip install ./{EXAMPLE.relative_to(ROOT).as_posix()}\n" in PAGE
