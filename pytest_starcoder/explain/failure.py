"""Values that describe a failed test and its cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Frame:
    """One project frame of a traceback, or a project function that ran or may be called.

    `path` is relative to the project's root, with forward slashes; `line` is the 1-based line
    that was executed; `source` is the enclosing function, whose first line is `first_line`.
    """

    path: str
    line: int
    function: str
    first_line: int
    source: str

    @property
    def statement(self) -> str:
        """The executed line, without its indentation; empty if the source is missing."""
        lines = self.source.splitlines()
        index = self.line - self.first_line
        # The file may have changed since it was imported.
        if 0 <= index < len(lines):
            return lines[index].strip()
        return ""


@dataclass(frozen=True)
class Missing:
    """Something outside the code that, according to an exception, is missing, refused or in use.

    `kind` is one of: file, permission, disk, variable, address, network, host, port, program,
    locale, module, name, plugin, fixture. `detail` depends on it: the absolute path of a file,
    the port of an address, the process that uses a port, the module that lacks a name, the
    fixture with the nearest name.
    """

    kind: str
    name: str
    detail: str = ""


@dataclass(frozen=True)
class Failure:
    """One failed test, captured while it ran; pytest's traceback options do not affect it.

    `phase` is pytest's: setup, call, teardown or collect. `seen` is one sentence on what
    happened. `frames` lead from the test to the failing line; `callees` are project functions
    outside the traceback that the failing line calls or that the test was recorded to execute.
    `facts` are sentences on what was observed, `extra` those of other plugins. `fixture` is the
    fixture whose setup or teardown failed; `asserted` is the place of the project function whose
    result an assertion rejected. `missing` is what the exception says is missing outside the
    code. Secrets are removed.
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
    missing: Missing | None = None

    def to_json(self) -> dict[str, Any]:
        """Return builtin types only, so that xdist can carry them in a report."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        values: dict[str, Any] = dict(fields)
        for key in ("frames", "callees"):
            values[key] = tuple(Frame(**frame) for frame in fields[key])
        for key in ("facts", "extra"):
            values[key] = tuple(fields[key])
        if fields.get("missing"):
            values["missing"] = Missing(**fields["missing"])
        return cls(**values)


@dataclass(frozen=True)
class Cause:
    """Failures that share a cause, in order of their node ids; never empty."""

    failures: tuple[Failure, ...]

    @property
    def first(self) -> Failure:
        return self.failures[0]

    @property
    def nodeids(self) -> tuple[str, ...]:
        """The failed tests, each once: subtests have the same node id."""
        return tuple(dict.fromkeys(failure.nodeid for failure in self.failures))
