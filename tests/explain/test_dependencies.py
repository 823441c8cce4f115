"""The distributions that a project declares."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_starcoder.explain.dependencies import declared_distributions, distribution_of

PYPROJECT = """
[project]
dependencies = ["PyYAML>=6", "requests[socks]", "tomli; python_version < '3.11'"]
[project.optional-dependencies]
test = ["pytest-mock"]
[dependency-groups]
dev = ["ruff", {include-group = "test"}]
[tool.poetry.group.docs.dependencies]
mkdocs = "^1"
"""


def declared(folder: Path, name: str, text: str) -> dict[str, tuple[str, str]]:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return declared_distributions([folder])


def test_pyproject(tmp_path: Path) -> None:
    names = declared(tmp_path, "pyproject.toml", PYPROJECT)
    assert list(names) == ["pyyaml", "requests", "pytest-mock", "ruff", "mkdocs"]
    assert names["pyyaml"] == ("PyYAML", "pyproject.toml")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "# web\n-r base.txt\nPyYAML==6.0  # for settings\n"),
        ("requirements/dev.txt", "PyYAML\n"),
        ("setup.cfg", "[options]\ninstall_requires =\n  PyYAML\n"),
        ("setup.cfg", "[options.extras_require]\ntest = PyYAML\n"),
        ("setup.py", "from setuptools import setup\nsetup(extras_require={'a': ['PyYAML']})\n"),
        ("Pipfile", "[packages]\nPyYAML = '*'\n"),
    ],
)
def test_other_files(name: str, text: str, tmp_path: Path) -> None:
    assert list(declared(tmp_path, name, text)) == ["pyyaml"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "[project"),
        ("pyproject.toml", "project = 1"),
        ("pyproject.toml", "[project]\ndependencies = 1"),
        ("setup.cfg", "install_requires"),
        ("setup.py", "setup("),
    ],
)
def test_broken_file(name: str, text: str, tmp_path: Path) -> None:
    assert declared(tmp_path, name, text) == {}


@pytest.mark.parametrize(
    ("module", "requirement"),
    [("yaml", "PyYAML"), ("dateutil", "python-dateutil"), ("my_tool", "my.tool")],
)
def test_distribution_of_a_module(module: str, requirement: str, tmp_path: Path) -> None:
    names = declared(tmp_path, "requirements.txt", requirement)
    assert distribution_of(module, names) == (requirement, "requirements.txt")
    assert distribution_of("other", names) is None
