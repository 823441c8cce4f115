"""A file of the user's: read as it is, written whole or not at all."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.files import UNLINK, LeadsOutside, replace_file
from pytest_starcoder.source.diff import lines_of
from pytest_starcoder.source.git.tracking import find_repository


@dataclass(frozen=True)
class Source:
    """The text of a file with its line ends as they are, without a byte order mark; `shown` is its name in prompts."""

    path: Path
    shown: str
    text: str
    marked: bool

    def check_lines(self, first: int, last: int) -> None:
        """ConfigError where the 1-based lines `first` to `last` are not there."""
        count = len(lines_of(self.text))
        if not count:
            raise ConfigError(f"{self.path} is empty.", 'Begin it with `starcoder ask --code "…"`.')
        if not 1 <= first <= last <= count:
            named = f"line {first}" if first == last else f"lines {first}-{last}"
            raise ConfigError(f"{self.path} has no {named}.", f"Its lines are 1 to {count}.")

    def write(self, text: str) -> None:
        """Replaces the text at once; ConfigError where the file has changed since, or cannot be written."""
        if read_source(str(self.path)) != self:
            raise ConfigError(
                f"{self.path} has changed meanwhile; nothing was written.", "Ask again."
            )
        content = (codecs.BOM_UTF8 if self.marked else b"") + text.encode("utf-8")
        try:
            replace_file(self.path, content, find_repository(self.path.absolute().parent))
        except OSError as exc:
            hint = (
                UNLINK
                if isinstance(exc, LeadsOutside)
                else "Make the file and its folder writable."
            )
            raise ConfigError(
                f"{self.path} cannot be written ({exc.strerror or exc}); it is as it was.", hint
            ) from exc


def read_source(name: str) -> Source:
    """The file called `name`; ConfigError where it cannot be read as UTF-8 text."""
    path = Path(name)
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except IsADirectoryError as exc:
        raise ConfigError(f"{name} is a folder.", "Name a file in it.") from exc
    except (OSError, ValueError) as exc:
        if isinstance(exc, UnicodeDecodeError):
            raise ConfigError(
                f"{name} is not UTF-8: {exc.reason} at byte {exc.start}.", "Save it as UTF-8."
            ) from exc
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise ConfigError(
            f"{name} cannot be read: {reason}.", "Name a file that is there."
        ) from exc
    if "\0" in text:
        raise ConfigError(f"{name} is not a text file.", "Name a file of source code.")
    try:
        shown = path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        shown = path.name
    return Source(path, shown, text, content.startswith(codecs.BOM_UTF8))
