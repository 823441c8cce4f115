"""Files with what the embedded engine computed for prompts, for later engines.

Reading a prompt takes most of the time of a short answer. If a prompt begins like one whose state
was saved, the engine restores that state and reads only the rest. A state contains the tokens of
its prompt, from which secrets were removed before; beside it is a description with hashes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.atomic_write import atomic_write
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.files import create_private_folder
from pytest_starcoder.model.backends.llamacpp import LlamaCpp
from pytest_starcoder.model.backends.packaged_model import ABANDONED_SECONDS, file_digest
from pytest_starcoder.model.prompt import Completion, Prompt

MAX_STATES = 4
"""Maximum number of states in the folder, and of those that one engine saves."""

MAX_BYTES = 256 * 10**6
"""Maximum size of all states together."""

MIN_TOKENS = 200
"""Tokens that must have been read for a state to be worth saving."""

MIN_GAIN = 800
"""Characters that a saved state must spare for it to be restored, about MIN_TOKENS."""

BLOCK = 200
"""Characters of a prompt that are hashed together."""

SAVE_SECONDS = 3.0
RESTORE_SECONDS = 10.0


@dataclass(frozen=True)
class State:
    """A saved state: its file, the SHA-256 of that, and hashes of what its prompt begins with."""

    path: Path
    sha256: str
    blocks: tuple[str, ...]

    @classmethod
    def from_description(cls, description: Path) -> State | None:
        """Read a description; None if it is damaged or was deleted."""
        try:
            fields = json.loads(description.read_bytes())
            path = description.with_suffix(".state")
            return cls(path, str(fields["sha256"]), tuple(map(str, fields["blocks"])))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def is_intact(self) -> bool:
        # llama.cpp aborts the engine when it reads a file that was cut.
        try:
            return file_digest(self.path) == self.sha256
        except OSError:
            return False

    def delete(self) -> int:
        """Delete the state and return its size."""
        size = 0
        with contextlib.suppress(OSError):
            size = self.path.stat().st_size
        for path in (self.path.with_suffix(".json"), self.path):
            with contextlib.suppress(OSError):
                path.unlink()
        return size


class PromptStates:
    """The saved states in `folder` for one model, which `digest` stands for."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder = folder
        self._digest = digest

    def blocks(self, prompt: Prompt) -> tuple[str, ...]:
        """Return a hash for each block of a prompt, which also depends on all before."""
        last = f"{self._digest} {prompt.chat}"
        hashes = []
        for end in range(BLOCK, len(prompt.text) + 1, BLOCK):
            block = f"{last}{prompt.text[end - BLOCK : end]}"
            last = hashlib.sha256(block.encode("utf-8", "replace")).hexdigest()[:16]
            hashes.append(last)
        return tuple(hashes)

    def find(self, blocks: tuple[str, ...]) -> State | None:
        """Return the state that shares the longest beginning, or None."""
        states = saved_states(self.folder)
        best = max(states, key=lambda state: count_shared(state.blocks, blocks), default=None)
        return best if best and count_shared(best.blocks, blocks) else None

    def add(self, partial: Path, blocks: tuple[str, ...]) -> None:
        """Keep the file `partial` as the state of a prompt, and delete the oldest states."""
        name = hashlib.sha256("".join(blocks).encode()).hexdigest()[:32]
        fields = {"sha256": file_digest(partial), "blocks": blocks}
        path = self.folder / f"{name}.state"
        for state in saved_states(self.folder):
            # The new state is as good for what the old one is good for.
            if 4 * count_shared(state.blocks, blocks) >= 3 * len(state.blocks):
                state.delete()
        partial.replace(path)
        with atomic_write(path.with_suffix(".json")) as file:
            file.write(json.dumps(fields).encode())
        self._prune()

    def partial(self) -> Path:
        """Return the place of a new file, in a folder that only the user can enter."""
        create_private_folder(self.folder.parent)
        create_private_folder(self.folder)
        return self.folder / f"{secrets.token_hex(16)}.part"

    def _prune(self) -> None:
        size = 0
        for number, state in enumerate(saved_states(self.folder)):
            with contextlib.suppress(OSError):
                size += state.path.stat().st_size
            if number >= MAX_STATES or size > MAX_BYTES:
                state.delete()
        for path in self.folder.glob("*"):
            if not path.with_suffix(".json").exists() and _is_abandoned(path):
                path.unlink(missing_ok=True)


class PromptMemory:
    """Restores and saves states in the engine at `server`, as its prompts need it.

    Nothing is raised: without a state, a prompt is read from its beginning.
    """

    def __init__(self, states: PromptStates, server: LlamaCpp) -> None:
        self._states = states
        self._server = server
        self._blocks: tuple[str, ...] = ()
        self._read = 0
        self._saved = 0

    def prepare(self, prompt: Prompt) -> None:
        """Restore the state that spares most of a prompt; the engine's own may be better."""
        blocks = self._states.blocks(prompt)
        shared = count_shared(self._blocks, blocks)
        # The engine forgets what the next prompt does not share; a place is left for the last.
        if 2 * shared < len(self._blocks) and self._saved < MAX_STATES - 1:
            self.save()
        state = self._states.find(blocks)
        gain = count_shared(state.blocks, blocks) - shared if state else 0
        if state and gain * BLOCK >= MIN_GAIN:
            self._restore(state)
        self._blocks = blocks

    def add(self, completion: Completion) -> None:
        """Count what the engine has read for the prompt of `prepare`."""
        self._read += completion.prompt_tokens - completion.cached_tokens

    def save(self) -> None:
        """Save the state of the last prompt, if it took long to read."""
        if self._read < MIN_TOKENS or not self._blocks:
            return
        self._read = 0
        self._saved += 1
        with contextlib.suppress(StarcoderError, OSError):
            partial = self._states.partial()
            try:
                self._server.save_slot(partial.name, Deadline.after(SAVE_SECONDS))
                self._states.add(partial, self._blocks)
            finally:
                partial.unlink(missing_ok=True)

    def _restore(self, state: State) -> None:
        if not state.is_intact():
            state.delete()
            return
        with contextlib.suppress(StarcoderError, OSError):
            self._server.restore_slot(state.path.name, Deadline.after(RESTORE_SECONDS))
            self._read = 0
            os.utime(state.path.with_suffix(".json"))  # the oldest are deleted


def states_folder(cache: Path) -> Path:
    """Return the folder of saved states in the folder `cache`."""
    return cache / "prompts"


def remove_states(cache: Path) -> int:
    """Delete all saved states, and return how many bytes that were. Raises OSError."""
    folder = states_folder(cache)
    size = 0
    for path in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
            path.unlink()
    return size


def saved_states(folder: Path) -> list[State]:
    """Return the states in a folder, the last used first."""
    descriptions = sorted(folder.glob("*.json"), key=_modification_time, reverse=True)
    states = [State.from_description(description) for description in descriptions]
    return [state for state in states if state]


def count_shared(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    """Return the number of blocks with which both begin."""
    count = 0
    while count < min(len(first), len(second)) and first[count] == second[count]:
        count += 1
    return count


def _is_abandoned(path: Path) -> bool:
    return time.time() - _modification_time(path) > ABANDONED_SECONDS


def _modification_time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0  # another process deleted it
