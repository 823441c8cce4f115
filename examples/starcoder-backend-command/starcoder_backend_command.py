"""A backend that asks a program on this machine: it reads the prompt and writes the answer.

Its command line is the environment variable COMMAND_BACKEND. That is no
setting on purpose: a setting can stand in a file of the repository, and a
repository may not choose a program that is run.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from pytest_starcoder import (
    Backend,
    BackendTimeout,
    BackendUnavailable,
    BadResponse,
    Completion,
    ConfigError,
    Deadline,
    Ending,
    Model,
    OnText,
    Prompt,
    Settings,
    hookimpl,
)

WINDOW = 4096
"""Tokens that a program is taken to have room for: it tells none."""

LETTERS = 4
"""Letters that a token of an answer is taken to have: the program knows nothing of `max_tokens`."""


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> Backend | None:
    return Command(os.environ.get("COMMAND_BACKEND", "")) if name == "command" else None


class Command:
    """The program that `line` runs, without a shell and in a folder of its own."""

    def __init__(self, line: str) -> None:
        try:
            words = shlex.split(line)
        except ValueError as exc:
            raise ConfigError(
                f"COMMAND_BACKEND is no command line: {exc}.", "Close its quotes."
            ) from exc
        if not words:
            raise ConfigError(
                "COMMAND_BACKEND is not set.", "Set it to the command line of a program."
            )
        self.place = shutil.which(words[0]) or words[0]
        self._words = [self.place, *words[1:]]
        self._name = Path(self.place).name
        self.label = f"the program {self._name}"

    def identify(self, deadline: Deadline) -> str:
        """The command line and the files that it names; what the program reads besides, nobody can know."""
        # A relative path would be another program in every folder.
        if not Path(self.place).is_absolute() or shutil.which(self.place) is None:
            raise self._unavailable("there is no such program")
        paths = [path for path in map(Path, self._words) if path.is_absolute() and path.is_file()]
        told = [self._words, *((path.stat().st_size, path.stat().st_mtime_ns) for path in paths)]
        return hashlib.sha256(repr(told).encode("utf-8", "replace")).hexdigest()

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        return Model(self._name, digest, architecture="", window=WINDOW)

    def count(self, text: str, deadline: Deadline) -> int:
        """The bytes of `text`: no token is shorter."""
        return len(text.encode("utf-8", "replace"))

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        ending = Ending([*prompt.stop, *prompt.stop_tokens], on_text)
        left = LETTERS * prompt.max_tokens
        with contextlib.closing(self._pieces(prompt.text, deadline)) as pieces:
            for piece in pieces:
                ended = ending.add(piece[:left])
                left -= len(piece)
                if ended or left < 0:
                    break  # closing ends the program as well
        text = ending.end()
        return Completion(
            text,
            model.name,
            prompt_tokens=self.count(prompt.text, deadline),
            completion_tokens=-(-len(text) // LETTERS),
            truncated=left < 0 and not ending.reached,
        )

    def version(self, deadline: Deadline) -> str:
        return ""

    def close(self) -> None:
        """There is nothing to end: no program outlives its question."""

    def _pieces(self, text: str, deadline: Deadline) -> Generator[str]:
        """What the program writes, as it comes; closing this ends the program."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            asked, said, complaint = (Path(folder, name) for name in ("prompt", "answer", "errors"))
            asked.write_bytes(text.encode("utf-8", "replace"))
            program = self._started(asked, said, complaint)
            try:
                yield from self._written(said, program, deadline)
            finally:
                _end(program)
            if program.returncode:
                last = (
                    complaint.read_bytes()[-300:]
                    .decode("utf-8", "replace")
                    .strip()
                    .rpartition("\n")[2]
                )
                told = f"{self._name} ended with status {program.returncode}: {last or 'it does not say why'}"
                raise BadResponse(f"{told.rstrip('.')}.", "Run it by hand on some text to see why.")

    def _started(self, asked: Path, said: Path, complaint: Path) -> subprocess.Popen[bytes]:
        # Files, not pipes: nobody waits for one who does not read, nor for one who inherits a pipe and lives on.
        with asked.open("rb") as stdin, said.open("wb") as stdout, complaint.open("wb") as stderr:
            try:
                return subprocess.Popen(
                    self._words,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    cwd=asked.parent,
                    start_new_session=True,
                )
            except OSError as exc:
                raise self._unavailable(exc.strerror or str(exc)) from exc

    def _written(
        self, file: Path, program: subprocess.Popen[bytes], deadline: Deadline
    ) -> Generator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")(
            "replace"
        )  # a letter may be written in two halves
        with file.open("rb") as answer:
            while True:
                ended = (
                    program.poll() is not None
                )  # asked first: what it wrote until then is read now
                if piece := decoder.decode(answer.read(), final=ended):
                    yield piece
                if ended:
                    return
                if deadline.remaining() <= 0:
                    raise BackendTimeout(
                        f"{self._name} did not finish within {deadline.limit:.3g} s.",
                        f"Give it longer with STARCODER_{deadline.setting.upper()} (seconds).",
                    )
                time.sleep(0.02)

    def _unavailable(self, reason: str) -> BackendUnavailable:
        hint = "Set COMMAND_BACKEND to a program on PATH, or to one with its whole path."
        return BackendUnavailable(f"{self.place!r} cannot be run: {reason}.", hint)


def _end(program: subprocess.Popen[bytes]) -> None:
    """Ends a program that still runs, and what it has started."""
    if program.poll() is None and sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
    elif program.poll() is None:
        program.kill()
    program.wait()
