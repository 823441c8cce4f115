"""Projects whose code is outside pytest's root."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from support.screens import section

CODE = """
def total(rows):
    return sum(rows) - 1


def names(rows):
    return list(rows)
"""

TESTS = """
from stock import names, total


def test_total():
    assert total([1, 2]) == 3


def test_names():
    assert names([1]) == [1]
"""

MORE = "from stock import names\n\n\ndef test_total():\n    assert names([]) == []\n"

BARE = ("--starcoder-explain", "--starcoder-backend=none", "-p", "no:cacheprovider")


def write_project(folder: Path, code: str, tests: str, ini: str, text: str) -> None:
    for path, content in (
        (f"{code}/stock.py", CODE),
        (f"{tests}/test_stock.py", TESTS),
        (ini, text),
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    (folder / tests / "test_more.py").write_text(MORE)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)


INI = "[pytest]\npythonpath = "

LAYOUTS = {
    "config": (
        ("lib", "tests", "config/pytest.ini", f"{INI}../lib"),
        "config",
        "",
        "-c config/pytest.ini tests/test_more.py tests/test_stock.py",
    ),
    "rootdir": (
        (".", "tests", "elsewhere/a.txt", ""),
        "elsewhere",
        "",
        "--rootdir=elsewhere tests",
    ),
    "sibling": (("src", "tests", "tests/pytest.ini", f"{INI}../src"), "tests", "tests", ""),
}
"""Folders of code, tests and settings; pytest's root, starting folder and arguments."""


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="changes are tried in forks")
def test_fix_elsewhere(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The fix is found and written, and the command to run the test again works."""
    monkeypatch.delenv("STARCODER_FIX")
    files, root, start, arguments = LAYOUTS[name]
    write_project(pytester.path, *files)
    (pytester.path / "conftest.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    monkeypatch.syspath_prepend(pytester.path)
    os.chdir(pytester.path / start)
    report = pytester.path / "report.json"
    words = shlex.split(arguments)
    result = pytester.runpytest(
        *BARE, f"--starcoder-report={report}", "--starcoder-apply=yes", *words
    )
    lines = section(result)
    [cause] = json.loads(report.read_text())["causes"]
    tests, code = pytester.path / files[1] / "test_stock.py", pytester.path / files[0] / "stock.py"
    top = pytester.path / root
    assert (top / cause["path"]).resolve() == tests.resolve()
    assert (top / cause["suspects"][0]["path"]).resolve() == code.resolve()
    assert "                 +    return sum(rows)" in lines
    assert "return sum(rows)\n" in code.read_text()
    [command] = [line.split("pytest ", 1)[1] for line in lines if line.startswith("     rerun ")]
    again = pytester.runpytest("-p", "no:cacheprovider", *shlex.split(command))
    again.assert_outcomes(passed=1)


@pytest.mark.parametrize("parallel", [[], pytest.param(["-n1"], marks=pytest.mark.slow)])
def test_paths_in_the_section(pytester: pytest.Pytester, parallel: list[str]) -> None:
    files, _, _, arguments = LAYOUTS["config"]
    write_project(pytester.path, *files)
    lines = section(pytester.runpytest(*BARE, *parallel, *shlex.split(arguments)))
    assert "     at        ../tests/test_stock.py:6 in test_total" in lines
    assert "     rerun     pytest -c config/pytest.ini tests/test_stock.py::test_total" in lines
    suspect = "     suspect   ../lib/stock.py:3: return sum(rows) - 1"
    assert [line for line in lines if line.startswith(suspect)]
