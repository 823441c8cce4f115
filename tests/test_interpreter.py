"""None of our processes starts with the repository on `sys.path`."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_starcoder_hooks
from support.repositories import DIVIDES, committed, repository
from support.servers import FakeOllama

import pytest_starcoder
from pytest_starcoder import interpreter
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.prefetch import Prefetch
from pytest_starcoder.settings import Settings

PACKAGE = Path(pytest_starcoder.__file__).parent
HOOKS = Path(pytest_starcoder_hooks.__file__).parent
INSTALLED = str(PACKAGE.resolve().parent)

STANDARD = "json types random argparse typing dataclasses subprocess socket queue".split()
OTHERS = "requests git unidiff dotenv pluggy urllib3 sitecustomize usercustomize".split()
OTHERS.append("pytest_starcoder/__init__")

PERMITTED = {
    ("runner/launch.py", "command"),  # the user's own tests, run as the user did
    (
        "runner/child_process.py",
        "_supervisor",
    ),  # the supervisor: isolated, and without site-packages
    ("source/ruff.py", "find_ruff"),  # the folder beside it
}
"""Places outside `interpreter` that may use `sys.executable`."""


def uses(path: Path) -> Iterator[str]:
    """Yield the functions of a module that use `sys.executable`."""
    text = path.read_text("utf-8")
    if "executable" not in text:
        return  # parsing every module takes a second
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute) and node.attr in (
                    "executable",
                    "_base_executable",
                ):
                    yield function.name


def test_uses_of_executable() -> None:
    files = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    files |= {f"hooks/{path.name}": path for path in HOOKS.glob("*.py")}
    del files["interpreter.py"]
    assert {
        (name, function) for name, path in files.items() for function in uses(path)
    } == PERMITTED


def shadowed(top: Path, names: list[str]) -> Path:
    """Put traps at the top of a repository; return the file in which they report imports."""
    imports = top.parent / "imported"
    for name in names:
        path = top / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"open({str(imports)!r}, 'a').write({name!r} + '\\n')\n")
    return imports


def test_current_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imports = shadowed(tmp_path, [*STANDARD, *OTHERS])
    monkeypatch.chdir(tmp_path)
    for entries in ("", ".", ":", f"{tmp_path}:.:", f"{tmp_path}/../{tmp_path.name}"):
        monkeypatch.setenv("PYTHONPATH", entries)
        command, variables = interpreter.start(
            "-c", "import json, random, requests, git, pytest_starcoder"
        )
        assert "PYTHONPATH" not in variables
    subprocess.run(command, env=variables, check=True)
    assert not imports.exists()


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param("{top}", None, id="top"),
        pytest.param("{top}/src", None, id="below"),
        pytest.param("src", None, id="relative"),
        pytest.param("{top}/../project", None, id="dots"),
        pytest.param("{link}", None, id="link"),
        pytest.param("{other}", "{other}", id="elsewhere"),
        pytest.param("{top}2", "{top}2", id="similar-name"),
        pytest.param(".:{other}::{top}", "{other}", id="mixed"),
        pytest.param("{installed}", "{installed}", id="our-own-installation"),
    ],
)
def test_pythonpath_without_the_repository(
    tmp_path: Path, entries: str, expected: str | None
) -> None:
    top, link = tmp_path / "project", tmp_path / "link"
    (top / ".git").mkdir(parents=True)
    (top / "src").mkdir()
    link.symlink_to(top)
    names = {"top": top, "link": link, "other": tmp_path / "other", "installed": INSTALLED}
    environ = {"PYTHONPATH": entries.format(**names)}
    _, variables = interpreter.start(environ=environ, root=top / "src")
    assert variables.get("PYTHONPATH") == (expected.format(**names) if expected else None)


def test_installation_in_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "vendor").symlink_to(INSTALLED)
    monkeypatch.chdir(tmp_path)
    _, variables = interpreter.start(environ={"PYTHONPATH": "vendor"})
    assert variables == {"PYTHONPATH": INSTALLED}
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), INSTALLED, "/elsewhere"])
    monkeypatch.setenv("PYTHONPATH", INSTALLED)
    interpreter.leave_repository()
    assert sys.path == [INSTALLED, "/elsewhere"]


def test_missing_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    command, variables = interpreter.start("-c", "", environ={"PYTHONPATH": "."})
    assert (command, variables) == ([sys.executable, "-P", "-c", ""], {})


def test_imports_of_early_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ollama_double: FakeOllama
) -> None:
    imports = shadowed(tmp_path, [*STANDARD, *OTHERS])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ".")
    early = Prefetch(Settings(early="on", host=ollama_double.url), tmp_path)
    early.answers(Deadline.after(20.0))
    assert early._child.returncode == 0
    assert not imports.exists()


@pytest.mark.parametrize(
    ("pythonpath", "names"),
    [
        pytest.param("", [*STANDARD, *OTHERS], id="plain"),
        # If the user's PYTHONPATH names it, Python imports some of it before our first line.
        pytest.param(".", ["json", "random", "argparse", *OTHERS[:5], OTHERS[-1]], id="pythonpath"),
        pytest.param(
            "SRC", ["src/pytest_starcoder", "src/requests", "src/json"], id="folder-in-it"
        ),
    ],
)
def test_imports_of_review(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ollama_double: FakeOllama,
    pythonpath: str,
    names: list[str],
) -> None:
    ollama_double.answer, ollama_double.likelihood = "approved", -0.1
    top = repository(tmp_path / "project")
    imports = shadowed(top, names)
    committed(top, {"shop/pricing.py": DIVIDES}, "divide")
    if pythonpath:
        monkeypatch.setenv("PYTHONPATH", pythonpath.replace("SRC", str(top / "src")))
    program = str(Path(sys.executable).with_name("starcoder-review"))
    subprocess.run([program, "--background"], cwd=top, check=True, capture_output=True)
    new = top / ".git/starcoder/background/new"
    until = time.monotonic() + 30
    while not (new.exists() and any(new.iterdir())):
        assert time.monotonic() < until, "no report was written"
        time.sleep(0.05)
    (report,) = new.iterdir()
    assert json.loads(report.read_text())["summary"].startswith(
        f"{len(names) + 1} of {len(names) + 1} hunks reviewed"
    )
    subprocess.run([program, "--from-ref", "HEAD~1"], cwd=top, check=True, capture_output=True)
    assert not imports.exists()


def test_review_of_own_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(INSTALLED)
    program = str(Path(sys.executable).with_name("starcoder-review"))
    completed = subprocess.run([program, "--help"], check=False, capture_output=True, text=True)
    assert (completed.returncode, completed.stderr) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="a program is a script here")
def test_ruff_of_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_starcoder.source.ruff import find_ruff

    program = tmp_path / "ruff"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join([".", "", "bin", os.environ["PATH"]]))
    assert find_ruff() is None or Path(str(find_ruff())).parent != tmp_path
    monkeypatch.setenv("PATH", f"{tmp_path}")
    assert find_ruff() == str(program)
