"""A backend that runs a program on this machine, which reads the prompt and writes the answer.

The command line comes from the environment variable COMMAND_BACKEND. It is not a setting, because
a file of the repository could contain that, and a repository must not choose a program to run.
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
"""Tokens of prompt and answer together; a program cannot say how many it has room for."""

LETTERS_PER_TOKEN = 4
"""Used to limit the answer: the program knows nothing of `max_tokens`."""


@hookimpl
def starcoder_backend(name: str, settings: Settings) -> Backend | None:
    return Command(os.environ.get("COMMAND_BACKEND", "")) if name == "command" else None


class Command:
    """The program of a command line, run without a shell and in a folder of its own."""

    def __init__(self, command_line: str) -> None:
        try:
            words = shlex.split(command_line)
        except ValueError as exc:
            raise ConfigError(
                f"COMMAND_BACKEND is not a command line: {exc}.", "Close its quotes."
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
        """Return a digest of the command line and of the files that it names."""
        # A relative path would be another program in every folder.
        if not Path(self.place).is_absolute() or shutil.which(self.place) is None:
            raise self._unavailable("there is no such program")
        facts: list[object] = [self._words]
        for path in map(Path, self._words):
            if path.is_absolute() and path.is_file():
                facts.append((path.stat().st_size, path.stat().st_mtime_ns))
        return hashlib.sha256(repr(facts).encode("utf-8", "replace")).hexdigest()

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        return Model(self._name, digest, architecture="", window=WINDOW)

    def count(self, text: str, deadline: Deadline) -> int:
        """Return the bytes of `text`: no token is shorter."""
        return len(text.encode("utf-8", "replace"))

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        ending = Ending([*prompt.stop, *prompt.stop_tokens], on_text)
        remaining = LETTERS_PER_TOKEN * prompt.max_tokens
        with contextlib.closing(self._pieces(prompt.text, deadline)) as pieces:
            for piece in pieces:
                has_ended = ending.add(piece[:remaining])
                remaining -= len(piece)
                if has_ended or remaining < 0:
                    break  # closing the generator ends the program as well
        text = ending.end()
        return Completion(
            text,
            model.name,
            prompt_tokens=self.count(prompt.text, deadline),
            completion_tokens=-(-len(text) // LETTERS_PER_TOKEN),
            truncated=remaining < 0 and not ending.reached,
        )

    def version(self, deadline: Deadline) -> str:
        return ""

    def close(self) -> None:
        """Do nothing: no program outlives its question."""

    def _pieces(self, text: str, deadline: Deadline) -> Generator[str]:
        """Yield the output of the program as it is written; closing this ends the program."""
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            prompt, output, errors = (Path(folder, name) for name in ("prompt", "output", "errors"))
            prompt.write_bytes(text.encode("utf-8", "replace"))
            program = self._start(prompt, output, errors)
            try:
                yield from self._read(output, program, deadline)
            finally:
                _end(program)
            if program.returncode:
                message = errors.read_bytes()[-300:].decode("utf-8", "replace").strip()
                last_line = message.rpartition("\n")[2].rstrip(".") or "it does not say why"
                raise BadResponse(
                    f"{self._name} ended with status {program.returncode}: {last_line}.",
                    "Run it by hand on some text to see why.",
                )

    def _start(self, prompt: Path, output: Path, errors: Path) -> subprocess.Popen[bytes]:
        # Files instead of pipes: writing a prompt that nobody reads cannot block, and a child of
        # the program that keeps a pipe open cannot delay the end.
        with prompt.open("rb") as stdin, output.open("wb") as stdout, errors.open("wb") as stderr:
            try:
                return subprocess.Popen(
                    self._words,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    cwd=prompt.parent,
                    start_new_session=True,
                )
            except OSError as exc:
                raise self._unavailable(exc.strerror or str(exc)) from exc

    def _read(
        self, file: Path, program: subprocess.Popen[bytes], deadline: Deadline
    ) -> Generator[str]:
        # A character may be written in two parts.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with file.open("rb") as output:
            while True:
                # Before the read, so that everything is read once the program has ended.
                has_ended = program.poll() is not None
                piece = decoder.decode(output.read(), final=has_ended)
                if piece:
                    yield piece
                if has_ended:
                    return
                if deadline.remaining() <= 0:
                    raise BackendTimeout(
                        f"{self._name} did not finish within {deadline.limit:.3g} s.",
                        f"Give it longer with STARCODER_{deadline.setting.upper()} (seconds).",
                    )
                time.sleep(0.02)

    def _unavailable(self, reason: str) -> BackendUnavailable:
        hint = "Set COMMAND_BACKEND to a program on PATH, or to its full path."
        return BackendUnavailable(f"{self.place!r} cannot be run: {reason}.", hint)


def _end(program: subprocess.Popen[bytes]) -> None:
    """Kill a program that still runs, and everything that it has started."""
    if program.poll() is None and sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
    elif program.poll() is None:
        program.kill()
    program.wait()
