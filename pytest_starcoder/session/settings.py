"""The settings of a session."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_starcoder.session.options import Options
from pytest_starcoder.settings import BACKENDS, Settings, load_settings


def session_settings(config: pytest.Config, keys: Sequence[str]) -> Settings:
    """Return the settings of the project around the root, under the options of the command line.

    Raises ConfigError for an invalid setting, and Untrusted if a file of the
    repository sets an option that only the user may set.
    """
    options = Options(config)
    options.check()
    values = {}
    option_files = {}
    for key in keys:
        value = config.getoption(f"starcoder_{key}")
        if value is None:
            continue
        values[key] = value
        file = options.file_of(f"--starcoder-{key.replace('_', '-')}", value)
        if file is not None:
            option_files[key] = options.shown(file)
    settings = load_settings(config.rootpath, values, option_files=option_files)
    if settings.backend not in BACKENDS:
        # Only now, because finding the backends of other packages reads all that is installed.
        from pytest_starcoder.model.backends import check_backend

        check_backend(settings)
    return settings
