"""Folders of the project and of the user."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs
import pytest

from pytest_starcoder.settings import (
    Settings,
    cache_folder,
    load_settings,
    project_root,
    user_file,
)
from pytest_starcoder.settings.config_folders import settings_folders

posix_only = pytest.mark.skipif(os.name == "nt", reason="XDG folders are POSIX")


# --- the project ---


def test_root_is_nearest_pyproject(tmp_path: Path) -> None:
    inner = tmp_path / "outer" / "inner"
    (inner / "src" / "deep").mkdir(parents=True)
    (tmp_path / "outer" / "pyproject.toml").touch()
    assert project_root(inner / "src" / "deep") == tmp_path / "outer"
    (inner / "pyproject.toml").touch()
    assert project_root(inner / "src" / "deep") == inner


def test_root_is_within_repository(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "repository" / "src").mkdir()
    assert project_root(tmp_path / "repository" / "src") == tmp_path / "repository"


def test_root_of_worktree(tmp_path: Path) -> None:
    (tmp_path / "tree" / "src").mkdir(parents=True)
    (tmp_path / "tree" / ".git").write_text("gitdir: /elsewhere")
    assert project_root(tmp_path / "tree" / "src") == tmp_path / "tree"


def test_root_without_markers(tmp_path: Path) -> None:
    assert project_root(tmp_path) == tmp_path


def test_folder_called_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "sub" / "pyproject.toml").mkdir(parents=True)
    assert project_root(tmp_path / "sub") == tmp_path


def test_settings_folders(tmp_path: Path) -> None:
    deep = tmp_path / "top" / "service" / "src"
    deep.mkdir(parents=True)
    assert settings_folders(deep) == [deep]
    (deep.parent / "pyproject.toml").touch()
    assert settings_folders(deep) == [deep, deep.parent]
    (tmp_path / "top" / ".git").mkdir()
    assert settings_folders(deep) == [deep, deep.parent, tmp_path / "top"]


# --- the user ---


@posix_only
def test_user_file(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "darwin":
        assert user_file() == clean_environment / ".config" / "starcoder" / "config.toml"
    monkeypatch.setenv("XDG_CONFIG_HOME", "/conf")
    assert user_file() == Path("/conf/starcoder/config.toml")


@posix_only
def test_user_cache_folder(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform != "darwin":
        assert cache_folder(Settings()) == clean_environment / ".cache" / "starcoder"
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_folder(Settings()) == Path("/cache/starcoder")
    assert cache_folder(Settings(cache="/mine")) == Path("/mine")


@posix_only
def test_relative_folders_are_ignored(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would be folders of the project."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "conf")
    monkeypatch.setenv("XDG_CACHE_HOME", ".")
    assert user_file().is_relative_to(clean_environment)
    assert cache_folder(Settings()).is_relative_to(clean_environment)


def test_previous_user_file(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_folder = clean_environment / "Library" / "starcoder"
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platformdirs.PlatformDirs, "user_config_path", new_folder)
    assert user_file() == new_folder / "config.toml"
    previous = clean_environment / ".config" / "starcoder" / "config.toml"
    previous.parent.mkdir(parents=True)
    previous.touch()
    assert user_file() == previous
    new_folder.mkdir(parents=True)
    (new_folder / "config.toml").touch()
    assert user_file() == new_folder / "config.toml"


def test_older_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs.PlatformDirs, "user_config_path", Path("conf/starcoder"))
    assert user_file().is_absolute()


def test_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs.PlatformDirs, "user_config_path", property(fail))
    monkeypatch.setattr(platformdirs.PlatformDirs, "user_cache_path", property(fail))
    assert load_settings(tmp_path, {}, {}) == Settings()
    assert cache_folder(Settings()).name == "starcoder"
