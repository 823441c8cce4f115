"""Every place that CONTRIBUTING.md lists for an addition is there for what exists already."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from pytest_starcoder.explain.report_files import FORMATS
from pytest_starcoder.settings.schema import BACKENDS, SCHEMA, Settings, is_for_review
from pytest_starcoder.source.edits.kind import every_kind

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

SERVERS = [name for name in BACKENDS if name not in ("auto", "none")]
NOT_SETTINGS = {"sources", "tracked"}
"""Fields of Settings that say where its values are from."""


def text(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def test_paths_exist() -> None:
    paths = re.findall(r"`((?:pytest_starcoder|tests|docs)/[\w./-]+)`", CONTRIBUTING)
    paths += re.findall(r"\]\(([\w./-]+\.md)\)", CONTRIBUTING)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_folders_are_listed() -> None:
    package = ROOT / "pytest_starcoder"
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert set(re.findall(r"(?m)^\| `(\w+)/`", CONTRIBUTING)) == folders


@pytest.mark.parametrize("key", SCHEMA)
def test_setting(key: str) -> None:
    assert key in {field.name for field in fields(Settings)} - NOT_SETTINGS
    assert f"| `{key}` |" in README


def test_every_setting_has_a_row() -> None:
    assert {field.name for field in fields(Settings)} - NOT_SETTINGS == set(SCHEMA)


@pytest.mark.parametrize("key", [key for key in SCHEMA if not is_for_review(key)])
def test_setting_is_an_option(key: str, pytestconfig: pytest.Config) -> None:
    assert hasattr(pytestconfig.option, f"starcoder_{key}")


@pytest.mark.parametrize("name", SERVERS)
def test_backend(name: str) -> None:
    module = f"pytest_starcoder.model.backends.{name}"
    assert PROJECT["entry-points"]["starcoder"][name] == module
    assert (ROOT / f"{module.replace('.', '/')}.py").exists()
    assert name in text("tests/model/backends/test_contract.py")
    assert name in text("docs/models.md").lower()


@pytest.mark.parametrize("kind", [kind.name for kind in every_kind()])
def test_edit_kind(kind: str) -> None:
    assert f'"{kind}"' in text("tests/source/edits/test_enumerate.py")


@pytest.mark.parametrize("suffix", FORMATS)
def test_report_format(suffix: str) -> None:
    assert suffix.removeprefix(".") in text("tests/explain/test_report_files.py")
    assert f"`{suffix}`" in README + text("docs/explain.md") + text(
        "docs/adding-a-report-format.md"
    )
