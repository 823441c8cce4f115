"""Imported by every Python that a traced test starts: its folder stands on their PYTHONPATH.

Traces that process as the test is traced, and goes on with the `sitecustomize` that would have been imported.
"""

import contextlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent

with contextlib.suppress(Exception):  # a test's process must not fail for our sake
    from pytest_starcoder.runner.trace import trace_process

    trace_process(os.environ)

_spec = importlib.machinery.PathFinder.find_spec(
    "sitecustomize", [folder for folder in sys.path if Path(folder).resolve() != _HERE]
)
if _spec is not None and _spec.loader is not None:
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["sitecustomize"] = _module
    _spec.loader.exec_module(_module)
