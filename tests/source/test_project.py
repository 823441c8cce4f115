"""The project's own files and their names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_starcoder.source.project import Project, _is_foreign


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a repository with `tests` as pytest's root, a nested repository and an environment."""
    for folder in ("tests", "src", "vendored/.git", "environment"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "environment" / "pyvenv.cfg").touch()
    _is_foreign.cache_clear()
    return Project(tmp_path / "tests", (tmp_path,))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("tests/test_shop.py", "test_shop.py"),
        ("tests/../src/shop.py", "../src/shop.py"),
        ("src/shop.py", "../src/shop.py"),
        ("setup.py", "../setup.py"),
        ("vendored/shop.py", ""),
        ("environment/shop.py", ""),
        (".tox/py/shop.py", ""),
        ("env/lib/site-packages/shop.py", ""),
        ("tests/site-packages/shop.py", ""),
        ("../shop.py", ""),
    ],
    ids=[
        "root",
        "dotted",
        "beside",
        "top",
        "repository",
        "environment",
        "hidden",
        "installed",
        "installed-below",
        "elsewhere",
    ],
)
def test_own_files(project: Project, name: str, path: str) -> None:
    file = os.path.join(project.around[0], name)  # noqa: PTH118 - as an entry of sys.path may be
    assert project.holds(file) is bool(path)
    if path:
        assert project.path_of(file) == path
        assert project.file(path) == Path(os.path.normpath(file))


def test_addresses_of_tests(project: Project) -> None:
    beside, within = project.around[0] / "src" / "test_shop.py", project.root / "test_shop.py"
    assert project.address_of("test_shop.py::test_a[::]", within) == "test_shop.py::test_a[::]"
    assert project.address_of("::test_a[::]", beside) == "../src/test_shop.py::test_a[::]"
    assert project.address_of("test_shop.py", beside) == "../src/test_shop.py"


def test_names_in_a_diff(project: Project) -> None:
    assert project.names_in_diff(["test_shop.py"]) == {"test_shop.py": "test_shop.py"}
    names = project.names_in_diff(["test_shop.py", "../src/shop.py"])
    assert names == {"test_shop.py": "tests/test_shop.py", "../src/shop.py": "src/shop.py"}
