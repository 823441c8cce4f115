"""A file of the user's: read as it is, written whole or not at all."""

from __future__ import annotations

import codecs
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.errors import ConfigError


@dataclass(frozen=True)
class Source:
    """The text of a file with its line ends as they are, without a byte order mark; `shown` is its name in prompts."""

    path: Path
    shown: str
    text: str
    marked: bool

    def write(self, text: str) -> None:
        """Replaces the text at once; ConfigError where the file has changed since, or cannot be written."""
        if read_source(str(self.path)).text != self.text:
            raise ConfigError(f"{self.shown} has changed meanwhile; nothing was written.", "Ask again.")
        target = self.path.resolve()
        content = (codecs.BOM_UTF8 if self.marked else b"") + text.encode("utf-8")
        partial = None
        try:
            descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            partial = Path(name)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            shutil.copymode(target, partial)
            partial.replace(target)
        except OSError as exc:
            raise ConfigError(f"{self.shown} cannot be written: {exc.strerror or exc}.", "Make it writable.") from exc
        finally:
            if partial is not None:
                partial.unlink(missing_ok=True)


def read_source(name: str) -> Source:
    """The file called `name`; ConfigError where it cannot be read as UTF-8."""
    path = Path(name)
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"{name} cannot be read: {exc.strerror or exc}.", "Name a file that is there.") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{name} is not UTF-8: {exc.reason} at byte {exc.start}.", "Save it as UTF-8.") from exc
    try:
        shown = path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        shown = path.name
    return Source(path, shown, text, content.startswith(codecs.BOM_UTF8))
