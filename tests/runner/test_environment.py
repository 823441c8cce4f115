"""Variables that tests have when they run again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_starcoder.runner.environment import sandboxed_variables, user_variables
from pytest_starcoder.runner.launch import Launch


def test_user_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"A": "1", "PYTEST_ADDOPTS": "-x", "COV_CORE_SOURCE": ".", "PYTEST_XDIST_X": ""}
    assert user_variables(Launch(tmp_path, tmp_path, environment=environment)) == {"A": "1"}
    monkeypatch.setenv("OF_THIS_PROCESS", "1")
    assert user_variables(Launch(tmp_path, tmp_path))["OF_THIS_PROCESS"] == "1"


def test_sandboxed_variables(tmp_path: Path) -> None:
    """Sandboxed code gets pytest's variables, and those that name a file or a folder."""
    environment = {
        "LOG": "log.txt",
        "DATA": str(tmp_path),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "MODE": "fast",
        "API_KEY": "key.txt",
        "SERVICE": "https://example.org/x.json",
        "XDG_CACHE_HOME": str(tmp_path),
        "EMPTY": "",
    }
    inside = tmp_path / "inside"
    inside.mkdir()
    variables = sandboxed_variables(Launch(tmp_path, tmp_path, environment=environment), inside)
    assert {name: variables[name] for name in environment if name in variables} == {
        "LOG": "log.txt",
        "DATA": str(tmp_path),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    assert variables["HOME"] == str(inside / "home")
