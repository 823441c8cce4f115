"""The values that travel between the parts: frozen, comparable, without behaviour of their own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Prompt:
    """What a model is asked to continue.

    `text` is sent to the letter: a sentinel in it *is* a sentinel. `stop` holds
    texts at which the answer ends; those that are control tokens of the model
    stand in `stop_tokens`. `max_tokens` bounds the answer. `schema` is a JSON
    schema that the answer must follow, for servers that can enforce one. With
    `chat` the text is a message instead, around which the server puts the
    template of its chat model. `likelihood` asks how likely the answer was.
    """

    text: str
    stop: tuple[str, ...] = ()
    max_tokens: int = 500
    schema: Mapping[str, Any] | None = None
    stop_tokens: tuple[str, ...] = ()
    chat: bool = False
    likelihood: bool = False


@dataclass(frozen=True)
class Completion:
    """What a model wrote.

    Token counts are the server's; `cached_tokens` of the prompt's needed no work.
    `truncated`: the answer ended because a limit or the server cut it, not
    because the model was done. `from_cache`: no model was asked this time.
    `likelihood` is the mean natural logarithm of its tokens' probabilities, None
    where that was not asked for, or the server does not tell.
    """

    text: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    truncated: bool = False
    from_cache: bool = False
    likelihood: float | None = None


@dataclass(frozen=True)
class Model:
    """What a server tells about its model.

    `digest` changes whenever the model does. `architecture` is llama.cpp's name
    ("starcoder2", "gemma3", …), empty where the server does not tell. `window`
    is the most tokens that prompt and answer may have together. `chat`: the
    server has a template of messages for it; False also where it does not tell.
    """

    name: str
    digest: str
    architecture: str
    window: int
    chat: bool = False


@dataclass(frozen=True)
class Deadline:
    """A point in time, `limit` seconds after it was made, set by the setting of that name. Never extended."""

    limit: float
    at: float
    setting: str = "timeout"

    @classmethod
    def after(cls, seconds: float, setting: str = "timeout") -> Self:
        return cls(seconds, time.monotonic() + seconds, setting)

    def remaining(self) -> float:
        """Seconds left; zero or less once it has passed."""
        return self.at - time.monotonic()


@dataclass(frozen=True)
class Frame:
    """One project frame of a traceback, or a project function that the failing line calls.

    `path` is relative to the project's root, with forward slashes; `line` is
    1-based and the line that was being run; `source` is the enclosing function
    as `first_line` and following.
    """

    path: str
    line: int
    function: str
    first_line: int
    source: str

    @property
    def statement(self) -> str:
        """The line that was being run, without its indentation."""
        lines = self.source.splitlines()
        index = self.line - self.first_line
        return lines[index].strip() if 0 <= index < len(lines) else ""


@dataclass(frozen=True)
class Failure:
    """One failed test, seen live: nothing in it depends on how pytest printed the traceback.

    `phase` is pytest's: setup, call, teardown or collect. `frames` run from the
    test to where it failed; `callees` are project functions that the failing
    line calls and that are not on the traceback.
    """

    nodeid: str
    phase: str
    exception: str
    message: str
    seen: str
    frames: tuple[Frame, ...] = ()
    callees: tuple[Frame, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Builtin types only, so that xdist can carry it on a report."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        frames = {key: tuple(Frame(**frame) for frame in fields[key]) for key in ("frames", "callees")}
        return cls(**{**fields, **frames})


@dataclass(frozen=True)
class Cause:
    """Failures that share a cause, in the order in which they happened; never empty."""

    failures: tuple[Failure, ...]

    @property
    def first(self) -> Failure:
        return self.failures[0]


@dataclass(frozen=True)
class Explanation:
    """Why a test failed.

    `seen` was observed. `why` is a guess of `model`, empty where no model gave
    one; `note` then says in one sentence why not.
    """

    seen: str
    why: str = ""
    model: str = ""
    note: str = ""
    truncated: bool = False
    from_cache: bool = False


@dataclass(frozen=True)
class Code:
    """Code that a model wrote, and nothing else.

    `checked`: it parses (Python) or is a whole page (HTML); False for languages
    that nothing here can check. `cut`: the answer met a limit, and what it left
    unfinished is not in `text`.
    """

    text: str
    language: str
    model: str
    checked: bool
    cut: bool = False


@dataclass(frozen=True)
class Rewrite:
    """One file before and after a change of a model's, whole texts both.

    `inserted` is what the model wrote into it. `problem` says why the new text
    should not be kept, empty where nothing speaks against it; a file that did not
    parse before may still not.
    """

    path: str
    before: str
    after: str
    inserted: str
    model: str
    problem: str = ""
