"""The message to a child that runs tests again: which ones, and what to record of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.runner.protocol import decode, encode
from pytest_starcoder.runner.sandbox import Sandbox


@dataclass(frozen=True)
class Tracing:
    """What tests report besides their outcomes.

    Those in `lines` report the lines they executed, with `arcs` also the transitions between
    them. Those in `calls` report their calls as well, and must be among `lines`.

    Those in `twice` run once more at the end if they fail. If they fail in the same way, that
    second trace counts: what runs only the first time, such as imports inside functions, did
    not make them fail. To leave time for this until `until` (`time.time()`, or 0 for no limit),
    other tests may be skipped.
    """

    lines: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    arcs: bool = False
    twice: frozenset[str] = frozenset()
    until: float = 0.0


NO_TRACING = Tracing()


@dataclass(frozen=True)
class RerunJob:
    """The tests to run, and what to record of them.

    `files` are texts to use in place of files, by absolute path; None hides a file. `folder` is
    temporary, and holds the files `outcomes.jsonl` and, if the run cannot start, `problem.txt`.
    """

    tests: tuple[str, ...]
    tracing: Tracing
    root: Path
    around: tuple[Path, ...]
    folder: Path
    files: Mapping[str, str | None]
    sandbox: Sandbox | None

    def write(self) -> Path:
        """Write the job into its folder, and return the file."""
        path = self.folder / "job.json"
        path.write_bytes(encode(self))
        return path

    @classmethod
    def read(cls, path: str) -> RerunJob:
        return decode(Path(path).read_bytes(), (cls,))

    @property
    def outcomes(self) -> Path:
        return self.folder / "outcomes.jsonl"

    @property
    def problem(self) -> Path:
        return self.folder / "problem.txt"
