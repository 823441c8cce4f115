"""What joins a pytest session when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_starcoder.session.options import Options
from pytest_starcoder.settings import BACKENDS, Settings, load_settings


def session_settings(config: pytest.Config, keys: Sequence[str]) -> Settings:
    """The settings of a pytest run: those of the project around its root, under the options of its command line.

    Raises ConfigError for an invalid setting, and Untrusted if a file of the
    repository sets an option that only the user may set.
    """
    options = Options(config)
    options.check()
    given = {key: config.getoption(f"starcoder_{key}") for key in keys}
    given = {key: value for key, value in given.items() if value is not None}
    option_files = {}
    for key, value in given.items():
        file = options.file_of(f"--starcoder-{key.replace('_', '-')}", value)
        if file is not None:
            option_files[key] = options.shown(file)
    settings = load_settings(config.rootpath, given, option_files=option_files)
    if (
        settings.backend not in BACKENDS
    ):  # finding out who else offers one reads all that is installed
        from pytest_starcoder.model.backends import check_backend

        check_backend(settings)
    return settings
