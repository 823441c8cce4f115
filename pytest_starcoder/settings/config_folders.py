"""Folders of the project and of the user."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_starcoder.settings.schema import Settings


def project_root(start: Path) -> Path:
    """Return the nearest folder from `start` upwards with a `pyproject.toml`.

    That is not above the git repository: without one, it is the repository's top, and without
    a repository `start`.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() or (folder / ".git").exists():
            return folder
    return start


def settings_folders(start: Path) -> list[Path]:
    """Return the folders that may hold settings, nearest first, up to the repository's top.

    Without a repository that is the nearest folder with a `pyproject.toml`, else `start`.
    """
    start = start.resolve()
    folders = [start, *start.parents]
    for is_top in (_is_repository, is_project):
        for number, folder in enumerate(folders, 1):
            if is_top(folder):
                return folders[:number]
    return [start]


def _is_repository(folder: Path) -> bool:
    return os.path.exists(folder / ".git")  # noqa: PTH110 - Path.exists can raise


def is_project(folder: Path) -> bool:
    """Return whether a folder has a `pyproject.toml`."""
    return os.path.isfile(folder / "pyproject.toml")  # noqa: PTH113 - Path.is_file can raise


def user_file() -> Path:
    """Return the user's own `config.toml`, which may not exist."""
    file = _user_folder("user_config_path") / "config.toml"
    if sys.platform == "darwin" and not file.exists():
        # Version 0.1.0 looked there on every Unix.
        previous_file = Path.home() / ".config" / "starcoder" / "config.toml"
        return previous_file if previous_file.exists() else file
    return file


def cache_folder(settings: Settings) -> Path:
    """Return the folder of cached answers, which may not exist yet."""
    if settings.cache not in ("on", "off"):
        return Path(settings.cache)
    return _user_folder("user_cache_path")


def _user_folder(kind: str) -> Path:
    """Return a folder for this package, by the name of its attribute in platformdirs."""
    import platformdirs  # takes long, and most runs need no settings

    # On Windows, these options select the folders of version 0.1.0.
    folders = platformdirs.PlatformDirs("starcoder", appauthor=False, roaming=True, opinion=False)
    try:
        folder = Path(getattr(folders, kind))
    except RuntimeError:  # no home, as in some containers
        folder = Path()
    # Older versions return a relative folder, which could be one of the repository.
    return folder if folder.is_absolute() else Path(os.sep, "starcoder")
