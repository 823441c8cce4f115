"""Modules imported from other texts than those of their files, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.runs import write_files

SERVE = """
import json, sys
sys.path.insert(0, ".")
sys.dont_write_bytecode = False
from pytest_starcoder.runner.edited_source import serve_changed
{before}
serve_changed(json.loads(sys.argv[1]))
{code}
"""


def run(
    folder: Path,
    files: Mapping[str, str],
    served: Mapping[str, str | None],
    code: str,
    before: str = "",
) -> str:
    """Run `code` in a project of `files` where other texts are served; return what it prints."""
    write_files(folder, files)
    texts = {str(folder / path): text for path, text in served.items()}
    script = SERVE.format(before=before, code=code)
    command = [sys.executable, "-W", "error", "-c", script, json.dumps(texts)]
    ended = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    if ended.returncode:
        return ended.stderr.strip().splitlines()[-1]
    return ended.stdout.strip()


@pytest.mark.parametrize(
    ("files", "served", "code", "expected"),
    [
        ({"a.py": "x = 1"}, {"a.py": "x = 2"}, "import a; print(a.x)", "2"),
        ({"a.py": "x = 1"}, {"a.py": "\ufeffx = 2"}, "import a; print(a.x)", "2"),
        (
            {"a.py": "x = 1"},
            {"a.py": "def f():\n    raise ValueError"},
            "import a, traceback\ntry: a.f()\nexcept ValueError as e: "
            "print(e.__traceback__.tb_next.tb_lineno, a.__file__.endswith('a.py'))",
            "2 True",
        ),
        (
            {"a.py": "x = 1", "a/__init__.py": "x = 2"},
            {"a/__init__.py": None},
            "import a; print(a.x)",
            "1",
        ),
        (
            {"a.py": "x = 1", "a/__init__.py": "x = 2"},
            {"a/__init__.py": None, "a.py": None},
            "import a; print(a.__file__)",
            "None",
        ),
        (
            {"a.py": "import b\nx = b.x", "b.py": "x = 1"},
            {"b.py": "x = 3"},
            "from a import x; print(x)",
            "3",
        ),
        (
            {"a.py": "x = 1"},
            {"a.py": "x = 2"},
            "import runpy; print(runpy.run_path('a.py')['x'], runpy.run_module('a')['x'])",
            "2 2",
        ),
        ({}, {"gone.py": "x = 4"}, "import gone; print(gone.x)", "4"),
        ({"p/__init__.py": ""}, {"p/gone.py": "x = 5"}, "from p import gone; print(gone.x)", "5"),
        ({}, {"p/__init__.py": "x = 6"}, "import p; print(p.x)", "6"),
        (
            {},
            {"p/__init__.py": "from p.q import x", "p/q.py": "x = 7"},
            "import p, p.q; print(p.x, p.q.__name__, len(p.__path__))",
            "7 p.q 1",
        ),
        (
            {},
            {"n/s/a.py": "from . import b\nx = b.x", "n/s/b.py": "x = 8"},
            "from n.s.a import x; print(x)",
            "8",
        ),
        ({"n/a.py": "x = 9"}, {"n/b.py": "from n.a import x"}, "import n.b; print(n.b.x)", "9"),
        (
            {"new.py": ""},
            {"new.py": None},
            "import new",
            "ModuleNotFoundError: No module named 'new'",
        ),
        (
            {"p/__init__.py": "", "p/new.py": ""},
            {"p/new.py": None},
            "from p import new",
            "ImportError: cannot import name 'new' from 'p'",
        ),
        (
            {"colorsys.py": "x = 1"},
            {"colorsys.py": None},
            "import colorsys; print(callable(colorsys.rgb_to_hsv))",
            "True",
        ),
        (
            {"p/__init__.py": "x = 1", "p/a.py": "y = 2"},
            {"p/__init__.py": None},
            "import p, p.a; print(hasattr(p, 'x'), p.a.y)",
            "False 2",
        ),
        (
            {"p/__init__.py": "x = 1"},
            {"p/__init__.py": None, "p.py": "x = 'module'"},
            "import p; print(p.x)",
            "module",
        ),
        (
            {"n/a.py": "x = 1"},
            {"n.py": "x = 'module'"},
            "import n; print(n.x)",
            "module",
        ),
        (
            {"old.py": "x = 1"},
            {"old.py": None, "renamed.py": "x = 2"},
            "import renamed, importlib.util as u; print(renamed.x, u.find_spec('old'))",
            "2 None",
        ),
    ],
    ids=[
        *(
            "changed",
            "byte order mark",
            "lines",
            "package before module",
            "package and module",
            "imported by another",
            "script",
            "removed",
            "in a package",
        ),
        *("package", "package with modules", "namespace", "in a namespace", "added"),
        *("added to a package", "shadows", "package file added", "module before package"),
        *("module before namespace", "renamed"),
    ],
)
def test_import(
    tmp_path: Path,
    files: dict[str, str],
    served: dict[str, str | None],
    code: str,
    expected: str,
) -> None:
    assert run(tmp_path, files, served, code).startswith(expected)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.py")} == set(files)


def test_folder_remembered_as_missing(tmp_path: Path) -> None:
    before = "sys.path.insert(0, 'lib')\ntry: import gone\nexcept ImportError: pass"
    printed = run(tmp_path, {}, {"lib/gone.py": "x = 1"}, "import gone; print(gone.x)", before)
    assert printed == "1"


def test_no_bytecode_of_served_text(tmp_path: Path) -> None:
    run(tmp_path, {"a.py": "x = 1"}, {"a.py": "x = 2", "gone.py": ""}, "import a, gone")
    assert not list(tmp_path.rglob("*.pyc"))


def test_old_bytecode_is_ignored(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.py": "x = 1"})
    subprocess.run([sys.executable, "-c", "import a"], cwd=tmp_path, check=True)
    assert run(tmp_path, {}, {"a.py": "x = 2"}, "import a; print(a.x)") == "2"
