"""The origin of our options: the user, or a file of the repository.

pytest merges `addopts`, PYTEST_ADDOPTS, the command line and the `@FILE`
arguments in all of them into one list. The result does not show whether a cloned
repository or its user set an option, and a repository may not set all of them.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_starcoder.errors import Untrusted
from pytest_starcoder.settings.sources import OPTION_HINT
from pytest_starcoder.source.git.tracking import find_repository, is_tracked

FLAGS = ("--starcoder-write", "--starcoder-write-suspected")
"""Options without a value that a file of the repository may not set."""

APPLY, APPLY_DEFAULT = "--starcoder-apply", "ask"
"""The option whose value may be omitted, and its value then."""

REPORTS = ("--starcoder-report", "--starcoder-generate-report")
"""Options that name a file to write."""


class Word(NamedTuple):
    """One word of a command line; `files` are the files it was read from, outermost first."""

    text: str
    files: tuple[Path, ...] = ()


class Options:
    """Our options in force in one run, and where each of them was set.

    git is called only if one of our options is set in a file.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._folder = Path(config.invocation_params.dir)
        self._words = list(self._read_words())
        self._are_tracked: dict[Path, bool] = {}

    def file_of(self, option: str, value: object) -> Path | None:
        """Return the file of the repository that sets `option` to this value.

        None if the user set it to this value, too.
        """
        places = []
        for name, set_value, files in self._set_options():
            if (name, set_value) == (option, value):
                places.append(files)
        if not places and self._was_read(option, value):
            # An `-o addopts=…` within addopts hides the rest: any of the files may have set it.
            every_file = [*self._ini]
            for word in self._words:
                every_file += word.files
            places = [tuple(every_file)]
        tracked = [self._tracked_file(files) for files in places]
        if not tracked or None in tracked:
            return None
        return tracked[-1]  # the last one wins in pytest, too

    def _tracked_file(self, files: Iterable[Path]) -> Path | None:
        """Return the first of `files` that belongs to the repository."""
        for file in files:
            if file not in self._are_tracked:
                self._are_tracked[file] = is_tracked(file.parent.resolve() / file.name)
            if self._are_tracked[file]:
                return file
        return None

    def _was_read(self, option: str, value: object) -> bool:
        """Return whether pytest parsed the value before any code of the project could set it."""
        early_value = getattr(self._config.known_args_namespace, _destination(option), None)
        if isinstance(early_value, list):
            return value in early_value
        return value == early_value

    def shown(self, file: Path) -> str:
        """Return the name of a file for a message."""
        root = self._config.rootpath
        if file.is_relative_to(root):
            return file.relative_to(root).as_posix()
        return str(file)

    def check(self) -> None:
        """Raise Untrusted if a file of the repository sets an option that changes files.

        A report inside the working tree is allowed.
        """
        for option in (APPLY, *FLAGS):
            value = self._get(option)
            if value:
                self._refuse(option, value, "may not change files")
        for option in REPORTS:
            for name in self._get(option):
                if self._is_outside(name):
                    self._refuse(option, name, "may not write a report outside of it")

    def _get(self, option: str) -> Any:
        return self._config.getoption(_destination(option))

    def _refuse(self, option: str, value: object, reason: str) -> None:
        """Raise Untrusted if a file of the repository sets `option` to this value."""
        file = self.file_of(option, value)
        if file is None:
            return
        setting = f"{option}={value}" if isinstance(value, str) else option
        raise Untrusted(
            f"{self.shown(file)}, {setting}: a file tracked by git {reason}.",
            OPTION_HINT.format(option=option),
        )

    def _is_outside(self, name: str) -> bool:
        """Return whether a report would be outside the working tree, following links."""
        root = self._config.rootpath
        top = (find_repository(root) or root).resolve()
        # Report names are relative to the folder in which pytest was started.
        target = (self._folder / name).resolve()
        return not target.is_relative_to(top) or ".git" in target.relative_to(top).parts

    def _set_options(self) -> Iterator[tuple[str, object, tuple[Path, ...]]]:
        """Yield our options among all words, with the value as pytest parses it and the files."""
        for number, word in enumerate(self._words, 1):
            name, equals, value = word.text.partition("=")
            if not name.startswith("--starcoder-"):
                continue
            following = self._words[number] if number < len(self._words) else Word("-")
            if name in FLAGS:
                yield name, True, word.files
            elif equals:
                yield name, value, word.files
            elif name == APPLY and following.text.startswith("-"):
                yield name, APPLY_DEFAULT, word.files
            else:
                yield name, following.text, (*word.files, *following.files)

    @property
    def _ini(self) -> tuple[Path, ...]:
        # A tuple, like the files of a word: there may be none.
        return (Path(self._config.inipath),) if self._config.inipath else ()

    def _read_words(self) -> Iterator[Word]:
        """Yield all words in pytest's order: addopts, PYTEST_ADDOPTS, command line."""
        variable = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
        line = map(str, self._config.invocation_params.args)
        # The variable is the user's, as the command line is; a file named there may not be.
        users = list(self._expand([*variable, *line]))
        files = self._ini
        # `-o addopts=…` replaces the addopts of the file, in one word or in two.
        previous = Word("")
        for word in users:
            if word.text.startswith(("-oaddopts=", "--override-ini=addopts=")):
                files = word.files
            elif word.text.startswith("addopts=") and previous.text in ("-o", "--override-ini"):
                files = (*previous.files, *word.files)
            previous = word
        yield from self._expand(self._config.getini("addopts"), files)
        yield from users

    def _expand(self, texts: Iterable[str], files: tuple[Path, ...] = ()) -> Iterator[Word]:
        """Yield the words, each `@FILE` replaced by the lines of the file, as argparse does."""
        for text in texts:
            if not text.startswith("@"):
                yield Word(text, files)
                continue
            file = self._folder / text[1:]
            # A file may name itself.
            if file not in files:
                yield from self._expand(_read_lines(file), (*files, file))


def _destination(option: str) -> str:
    """Return the name under which pytest stores an option's value."""
    return option.removeprefix("--").replace("-", "_")


def _read_lines(file: Path) -> list[str]:
    """Return the lines of an `@FILE`, decoded as argparse does."""
    try:
        text = file.read_text(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
    except OSError:
        return []
    return text.splitlines()
