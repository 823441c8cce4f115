"""Where the project, the user's own file and the cache are."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pytest_starcoder.settings.schema import Settings


def project_root(start: Path) -> Path:
    """The nearest folder from `start` upwards with a `pyproject.toml`, not above the git repository.

    Without one, the repository's top; without a repository, `start`.
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
    tops = [folder for folder in folders if os.path.exists(folder / ".git")]  # noqa: PTH110 - Path.exists can raise
    tops = tops or [folder for folder in folders if is_project(folder)] or [start]
    return folders[: folders.index(tops[0]) + 1]


def is_project(folder: Path) -> bool:
    """Return whether a folder has a `pyproject.toml`."""
    return os.path.isfile(folder / "pyproject.toml")  # noqa: PTH113 - Path.is_file can raise


def user_file(environ: Mapping[str, str]) -> Path:
    """Where the user's own `config.toml` is looked for on this platform."""
    home = _home(environ)
    if sys.platform == "win32":
        base = _folder(environ, "APPDATA") or home / "AppData" / "Roaming"
    else:
        base = _folder(environ, "XDG_CONFIG_HOME") or home / ".config"
    return base / "starcoder" / "config.toml"


def cache_folder(settings: Settings, environ: Mapping[str, str] = os.environ) -> Path:
    """Where answers are kept; the folder may not exist yet."""
    if settings.cache not in ("on", "off"):
        return Path(settings.cache)
    home = _home(environ)
    if sys.platform == "win32":
        base = _folder(environ, "LOCALAPPDATA") or home / "AppData" / "Local"
    else:
        usual = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
        base = _folder(environ, "XDG_CACHE_HOME") or usual
    return base / "starcoder"


def _home(environ: Mapping[str, str]) -> Path:
    """Return the user's home; the root folder if there is none, as in some containers."""
    try:
        return _folder(environ, "HOME") or Path.home()
    except RuntimeError:
        return Path(os.sep)


def _folder(environ: Mapping[str, str], name: str) -> Path | None:
    """The folder that a variable names; a relative one would be wherever the program was started, so it is none."""
    folder = Path(environ.get(name, ""))
    return folder if folder.is_absolute() else None
