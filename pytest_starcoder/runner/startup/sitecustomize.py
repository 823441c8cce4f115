"""Imported by every Python that a traced test starts: this folder is on its PYTHONPATH.

It traces that process, and then runs the `sitecustomize` that it has replaced.
"""

import contextlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

with contextlib.suppress(Exception):  # our errors must not end a process of the test
    from pytest_starcoder.runner.trace import trace_process

    trace_process(os.environ)

_path = [folder for folder in sys.path if Path(folder).resolve() != HERE]
_spec = importlib.machinery.PathFinder.find_spec("sitecustomize", _path)
if _spec is not None and _spec.loader is not None:
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["sitecustomize"] = _module
    _spec.loader.exec_module(_module)
