"""Modules, names and fixtures that a project does not find."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.repositories import git, repository, written

from pytest_starcoder.explain.failure import Missing
from pytest_starcoder.explain.missing_modules import MissingModules
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.project import Project

BUILD = {"pyproject.toml": "[build-system]\nrequires = []\n"}


def module(folder: Path, files: dict[str, str], name: str) -> tuple[str, bool]:
    written(folder, files)
    return MissingModules(Project(folder)).module(name)


@pytest.mark.parametrize(
    ("files", "fact", "is_outside"),
    [
        (
            BUILD | {"src/no_shop/__init__.py": ""},
            "no_shop is in src/, which is not on the import path: run `pip install -e .`, "
            'or set `pythonpath = ["src"]` in pytest\'s configuration',
            True,
        ),
        (
            {"src/no_shop/__init__.py": ""},
            "no_shop is in src/, which is not on the import path: "
            'set `pythonpath = ["src"]` in pytest\'s configuration',
            True,
        ),
        (
            {"no_shop.py": "", "tests/test_a.py": ""},
            "no_shop is in the root folder, which is not on the import path: "
            'set `pythonpath = ["."]` in pytest\'s configuration',
            True,
        ),
        (
            {"services/web/setup.py": "setup()", "services/web/no_shop/__init__.py": ""},
            "no_shop is in services/web/, which is not on the import path: "
            "run `pip install -e services/web`, "
            'or set `pythonpath = ["services/web"]` in pytest\'s configuration',
            True,
        ),
        (
            {"app/no_shop.py": ""},  # perhaps `from app import no_shop` was meant
            "no_shop is in app/, which is not on the import path: "
            'set `pythonpath = ["app"]` in pytest\'s configuration',
            False,
        ),
        (
            {"app/__init__.py": "", "app/no_shop.py": ""},
            "app/no_shop.py is the module app.no_shop",
            False,
        ),
        ({".venv/lib/no_shop.py": ""}, "", False),
    ],
)
def test_module_of_the_project(
    files: dict[str, str], fact: str, is_outside: bool, tmp_path: Path
) -> None:
    assert module(tmp_path, files, "no_shop") == (fact, is_outside)


def test_root_elsewhere(tmp_path: Path) -> None:
    """pytest's root may be beside the code, as with `-c config/pytest.ini`."""
    written(tmp_path, {"src/no_shop/__init__.py": "", "config/pytest.ini": ""})
    modules = MissingModules(Project(tmp_path / "config", (tmp_path,)))
    fact, is_outside = modules.module("no_shop")
    assert is_outside
    assert 'set `pythonpath = ["../src"]`' in fact


@pytest.mark.parametrize(
    ("name", "result"),
    [
        (
            "no_tool",
            (
                "no_tool is not installed, though requirements.txt declares it: "
                "`pip install no-tool`",
                True,
            ),
        ),
        ("selenium", ("selenium is not installed: `pip install selenium`", True)),
        ("no_tools", ("", False)),  # a misspelling, perhaps
        ("json", ("", False)),
        ("json.tools", ("", False)),
        ("_tkinter", ("", False)),
    ],
)
def test_installed_module(name: str, result: tuple[str, bool], tmp_path: Path) -> None:
    assert module(tmp_path, {"requirements.txt": "no-tool\n"}, name) == result


@pytest.mark.parametrize(
    ("missing", "fact"),
    [
        (
            Missing("fixture", "httpserver", "http_server"),
            "the fixture 'httpserver' comes from pytest-httpserver, which requirements.txt "
            "declares but which is not installed: `pip install pytest-httpserver`",
        ),
        (Missing("fixture", "postgresql"), "no fixture of this run has a similar name"),
        (Missing("fixture", "tmp_pth", "tmp_path"), "the nearest fixture is 'tmp_path'"),
    ],
)
def test_fixture(missing: Missing, fact: str, tmp_path: Path) -> None:
    written(tmp_path, {"requirements.txt": "pytest-httpserver\n"})
    assert MissingModules(Project(tmp_path)).fixture(missing) == fact


OLD = "class Warehouse:\n    pass\n\n\ndef count(): ...\n"
NEW = OLD.replace("Warehouse", "Depot")


@pytest.fixture
def stock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose module stock is imported."""
    folder = repository(tmp_path / "shop", {"stock.py": OLD})
    stock = ModuleType("stock")
    stock.__file__ = str(folder / "stock.py")
    monkeypatch.setitem(sys.modules, "stock", stock)
    return folder


def removed(folder: Path, name: str = "Warehouse") -> str:
    modules = MissingModules(Project(folder))
    return modules.removed_name(Missing("name", name, "stock"), History(folder))


def test_renamed_class(stock: Path) -> None:
    written(stock, {"stock.py": NEW})
    fact = "stock.py had the class Warehouse in the last commit; the class Depot is new there"
    assert removed(stock) == fact


def test_class_renamed_by_commit(stock: Path) -> None:
    written(stock, {"stock.py": NEW})
    git(stock, "commit", "-qam", "Rename")
    commit = git(stock, "rev-parse", "--short", "HEAD").strip()
    fact = f"stock.py had the class Warehouse before {commit} (Rename)"
    assert removed(stock) == f"{fact}; the class Depot is new there"


def test_removed_function(stock: Path) -> None:
    written(stock, {"stock.py": "class Warehouse:\n    pass\n"})
    assert removed(stock, "count") == "stock.py had the function count in the last commit"
    assert removed(stock, "never") == "stock.py defines Warehouse"
    names = "".join(f"def f{number}(): ...\n" for number in range(9))
    written(stock, {"stock.py": names})
    assert removed(stock, "never") == ""


def test_name_in_an_installed_module(tmp_path: Path) -> None:
    modules = MissingModules(Project(tmp_path))
    assert modules.removed_name(Missing("name", "never", "json"), History(tmp_path)) == ""


def test_plugin_for_coroutines(tmp_path: Path) -> None:
    modules = MissingModules(Project(tmp_path))
    assert modules.plugin() == ""
    written(tmp_path, {"requirements.txt": "pytest_tornasync\n"})
    fact = (
        "async tests need a plugin: pytest_tornasync, which requirements.txt declares but which "
        "is not installed: `pip install pytest_tornasync`"
    )
    assert MissingModules(Project(tmp_path)).plugin() == fact
