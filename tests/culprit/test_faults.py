"""Whole runs on repositories with uncommitted faults: the right lines are named, and no others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.faults import AT_IMPORT, IN_FILES, IN_FUNCTIONS, Fault
from support.repositories import committed, git
from support.runs import Run, run_pytest

pytest.importorskip("fcntl", reason="changes are undone in forks")

pytestmark = pytest.mark.slow

OPTIONS = (
    "--starcoder-explain",
    "--starcoder-report=out.json",
    "--continue-on-collection-errors",
)

GROUPS = {
    "functions": IN_FUNCTIONS,
    "imports": AT_IMPORT,
    "files": {name: fault for name, fault in IN_FILES.items() if "::" in fault.test},
    "collection": {name: fault for name, fault in IN_FILES.items() if "::" not in fault.test},
}

CONFTEST = """
import pytest
from labels import label

@pytest.fixture(autouse=True)
def labelled():
    return label("a")
"""

HARMLESS = {
    "README.md": ("Prices.\n", "Prices and more.\n"),
    "labels.py": (
        "import os\n\nSIZE = 1\n\ndef label(name):\n    return name + '!'\n\n"
        "def other():\n    pass\n",
        "import os\nimport sys\n\nSIZE = 2\n\ndef label(name):\n    # Loud.\n"
        "    return f'{name}!'\n\ndef other():\n    return 2\n\ndef more():\n    pass\n",
    ),
}
"""Files before and after changes that break nothing."""


def state_of(folder: Path) -> dict[str, str]:
    """Return the hashes of all files, and what git knows."""
    state = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "out.json" and path.suffix != ".pyc":
            state[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return state


def run_with_faults(folder: Path, faults: Mapping[str, Fault]) -> Run:
    """Commit the files before the changes, change them, and run all tests."""
    before = {name: old for name, (old, _) in HARMLESS.items()}
    after: dict[str, str | None] = {name: new for name, (_, new) in HARMLESS.items()}
    for fault in faults.values():
        before |= fault.before
        after |= fault.after
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    ini = "[pytest]\npythonpath = .\n"
    ignored = "__pycache__\nout.json\n"
    settings = {"conftest.py": CONFTEST, "pytest.ini": ini, ".gitignore": ignored}
    committed(folder, {**before, **settings}, "first")
    for name, text in after.items():
        if text is None:
            (folder / name).unlink()
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8")
    state = state_of(folder)
    run = run_pytest(
        folder,
        {},
        OPTIONS,
        STARCODER_UNDO_TIMEOUT="100",
        STARCODER_BACKEND="none",
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert state_of(folder) == state, "the working tree, the index and all refs are as before"
    assert not list(folder.rglob("*.pyc"))
    return run


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run with all faults of the group in the parameter."""
    folder = tmp_path_factory.mktemp("faults")
    return run_with_faults(folder / "project", GROUPS[request.param])


FAULTS = [(group, name) for group, faults in GROUPS.items() for name in faults]


@pytest.mark.parametrize(("run", "name"), FAULTS, indirect=["run"], scope="module")
def test_named_lines(run: Run, name: str) -> None:
    [fault] = [faults[name] for faults in GROUPS.values() if name in faults]
    broke = run.cause(fault.test)["broke"]
    places = [f"{piece['path']}:{piece['line']}" for piece in broke["pieces"]]
    assert tuple(places) == fault.lines, broke["note"]
    assert broke["either"] == []
    assert broke["since"] == "the last commit"
