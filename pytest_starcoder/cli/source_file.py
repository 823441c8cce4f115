"""Reads a source file as it is, and replaces it atomically."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.errors import ConfigError, os_reason
from pytest_starcoder.files import UNLINK, LeadsOutside, nearest_file, replace_file
from pytest_starcoder.source.diff import split_lines
from pytest_starcoder.source.git.tracking import find_repository


@dataclass(frozen=True)
class SourceFile:
    """The text of a file with its line ends as they are; `shown` is its name in prompts."""

    path: Path
    shown: str
    text: str
    has_byte_order_mark: bool

    def check_lines(self, first: int, last: int) -> None:
        """Raise ConfigError unless the file has the 1-based lines `first` to `last`."""
        count = len(split_lines(self.text))
        if not count:
            raise ConfigError(f"{self.path} is empty.", 'Start it with `starcoder ask --code "…"`.')
        if not 1 <= first <= last <= count:
            lines = f"line {first}" if first == last else f"lines {first}-{last}"
            raise ConfigError(f"{self.path} has no {lines}.", f"Its lines are 1 to {count}.")

    def write(self, text: str) -> None:
        """Replace the text.

        Raises ConfigError if the file has changed since it was read, or cannot be written.
        """
        if read_source(str(self.path)) != self:
            raise ConfigError(
                f"{self.path} has changed meanwhile; nothing was written.", "Ask again."
            )
        content = text.encode("utf-8")
        if self.has_byte_order_mark:
            content = codecs.BOM_UTF8 + content
        try:
            replace_file(self.path, content, find_repository(self.path.absolute().parent))
        except OSError as exc:
            is_link = isinstance(exc, LeadsOutside)
            raise ConfigError(
                f"{self.path} cannot be written ({os_reason(exc)}); it is as it was.",
                UNLINK if is_link else "Make the file and its folder writable.",
            ) from exc


def read_source(name: str) -> SourceFile:
    """Return the file called `name`; raises ConfigError if it cannot be read as UTF-8 text."""
    path = Path(name)
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except IsADirectoryError as exc:
        raise ConfigError(f"{name} is a folder.", "Name a file in it.") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(
            f"{name} is not UTF-8: {exc.reason} at byte {exc.start}.", "Save it as UTF-8."
        ) from exc
    except (OSError, ValueError) as exc:  # ValueError: a null byte in the name
        reason = os_reason(exc) if isinstance(exc, OSError) else exc
        nearest = nearest_file(name)
        hint = f"Is it {nearest}?" if nearest else "Name a file that exists."
        raise ConfigError(f"{name} cannot be read: {reason}.", hint) from exc
    if "\0" in text:
        raise ConfigError(f"{name} is not a text file.", "Name a file of source code.")
    here = Path.cwd().resolve()
    target = path.resolve()
    shown = path.name  # a model need not know the folders of this machine
    if target.is_relative_to(here):
        shown = target.relative_to(here).as_posix()
    return SourceFile(path, shown, text, content.startswith(codecs.BOM_UTF8))
