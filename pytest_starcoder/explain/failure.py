"""What failed, where, and what was called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


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
    line calls, or that the test was recorded to execute, and that are not on
    the traceback. `facts` are sentences on what was observed, `extra` what
    other plugins know of it; `fixture` is the one whose setup or teardown
    failed; `asserted` names the one project function whose outcome an assertion
    found wrong. Secrets are not in it.
    """

    nodeid: str
    phase: str
    exception: str
    message: str
    seen: str
    frames: tuple[Frame, ...] = ()
    callees: tuple[Frame, ...] = ()
    facts: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    fixture: str = ""
    asserted: str = ""

    def to_json(self) -> dict[str, Any]:
        """Builtin types only, so that xdist can carry it on a report."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        frames = {
            key: tuple(Frame(**frame) for frame in fields[key]) for key in ("frames", "callees")
        }
        texts = {key: tuple(fields[key]) for key in ("facts", "extra")}
        return cls(**{**fields, **frames, **texts})


@dataclass(frozen=True)
class Cause:
    """Failures that share a cause, in the order in which they happened; never empty."""

    failures: tuple[Failure, ...]

    @property
    def first(self) -> Failure:
        return self.failures[0]

    @property
    def nodeids(self) -> tuple[str, ...]:
        """The tests, each once: several subtests are one."""
        return tuple(dict.fromkeys(failure.nodeid for failure in self.failures))
