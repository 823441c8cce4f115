"""Runs `starcoder demo`, which explains the failures of a small broken project."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from pytest_starcoder import interpreter
from pytest_starcoder.model.backends import make_backend
from pytest_starcoder.model.backends.coder_model import CODER
from pytest_starcoder.model.backends.demo_model import DEMO
from pytest_starcoder.settings import Settings

COMMAND = ("pytest", "--starcoder-explain", "--starcoder-backend=embedded")

HELP = "Explain the failures of a small broken project with a model that pip installed"

INTRODUCTIONS = {
    "demo": (
        "The demo model, gemma-3-270m, is small and often wrong. StarCoder on Ollama is better.\n"
        "Its license: https://ai.google.dev/gemma/terms"
    ),
    "coder": (
        "The coder model, Qwen2.5-Coder-1.5B-Instruct, is small and may be wrong.\n"
        "Its license: https://www.apache.org/licenses/LICENSE-2.0"
    ),
}
"""What is said about each model that the demo can use, by the variable STARCODER_MODEL."""

_USER_SETTINGS = ("STARCODER_", "PYTEST_")
"""Variables for the user's own tests and model; the demo's tests run without them."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add no options: the demo shows one thing."""


def run(_arguments: argparse.Namespace) -> int:
    """Return 0 if the demo's tests fail, as they should.

    Raises MissingExtra without the engine or the model.
    """
    model = os.environ.get("STARCODER_MODEL", "")
    if model not in INTRODUCTIONS:
        model = _installed_model()
    print(INTRODUCTIONS[model], flush=True)
    make_backend(Settings(backend="embedded", model=model)).close()
    project = Path(tempfile.mkdtemp(prefix="starcoder-demo-"))
    without_caches = shutil.ignore_patterns("__pycache__")
    with as_file(files(__package__) / "demo_project") as source:
        shutil.copytree(source, project, dirs_exist_ok=True, ignore=without_caches)
    arguments = (*COMMAND, f"--starcoder-model={model}")
    print(f"\n$ cd {project}\n$ {' '.join(arguments)}", flush=True)
    environment = {}
    for name, value in os.environ.items():
        if not name.startswith(_USER_SETTINGS):
            environment[name] = value
    command, environment = interpreter.start("-m", *arguments, environ=environment)
    status = subprocess.run(command, cwd=project, env=environment, check=False).returncode
    print(f"\nThe project stays in {project} until you delete it.")
    print("Fix pricing.py there, and run the tests again:")
    print(f"cd {project} && {shlex.join(command)}")
    return 0 if status == 1 else 1


def _installed_model() -> str:
    """Return the best model whose extra is installed, and the best one if none is."""
    if not CODER.is_installed() and DEMO.is_installed():
        return DEMO.setting
    return CODER.setting
