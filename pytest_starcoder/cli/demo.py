"""`starcoder demo`: the main job on a small broken project, with the demo model."""

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
from pytest_starcoder.settings import Settings

COMMAND = (
    "pytest",
    "--starcoder-explain",
    "--starcoder-backend=embedded",
    "--starcoder-model=demo",
)

HELP = "Explain the failures of a small broken project with the demo model"


def add(parser: argparse.ArgumentParser) -> None:
    """It has no options: it shows one thing."""


def run(_arguments: argparse.Namespace) -> int:
    """0 if the demo's tests fail, as they should; raises MissingExtra without the engine or the demo model."""
    print(
        "The demo model is gemma-3-270m, small, and often wrong; StarCoder on Ollama is another matter."
    )
    print("It comes under Gemma's terms: https://ai.google.dev/gemma/terms", flush=True)
    make_backend(Settings(backend="embedded", model="demo")).close()
    project = Path(tempfile.mkdtemp(prefix="starcoder-demo-"))
    with as_file(files(__package__) / "demo_project") as source:
        shutil.copytree(
            source, project, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    print(f"\n$ cd {project}\n$ {' '.join(COMMAND)}", flush=True)
    # The user's settings for another model, and options for their own tests, are not the demo's.
    own = ("STARCODER_", "PYTEST_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    command, environment = interpreter.start("-m", *COMMAND, environ=environment)
    status = subprocess.run(command, cwd=project, env=environment, check=False).returncode
    print(
        f"\nThe project stays in {project} until you delete it. Mend pricing.py there, and run it again:"
    )
    print(f"cd {project} && {shlex.join(command)}")
    return 0 if status == 1 else 1
