"""What joins a pytest session when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_starcoder.settings import Settings, load_settings


def session_settings(config: pytest.Config, keys: Sequence[str]) -> Settings:
    """The settings of a pytest run: those of the project around its root, under the options of its command line."""
    given = {key: config.getoption(f"starcoder_{key}") for key in keys}
    return load_settings(config.rootpath, {key: value for key, value in given.items() if value is not None})
