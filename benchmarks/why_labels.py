"""Reads the cases of the benchmark `why`: small projects with a planted fault, and key words.

Each file of `benchmarks/why_cases` is one case in TOML. `[files]` is the project without the
fault; in `file`, the text `right` becomes `faulty`, and then `test` fails. A true answer matches
each of the regular expressions `must` and none of `must_not`. `true` and `false` are answers to
check them with.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).with_name("why_cases")


@dataclass(frozen=True)
class LabelledFault:
    """A project with a planted fault, and what tells a true answer from a false one."""

    name: str
    kind: str
    files: dict[str, str]
    file: str
    right: str
    faulty: str
    test: str
    must: tuple[str, ...]
    must_not: tuple[str, ...]
    true: tuple[str, ...]
    false: tuple[str, ...]

    def write(self, folder: Path, *, with_fault: bool) -> None:
        """Write the files of the project."""
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        if with_fault:
            path = folder / self.file
            path.write_text(path.read_text("utf-8").replace(self.right, self.faulty, 1), "utf-8")

    def is_true(self, answer: str) -> bool:
        """Return whether an answer names the cause of the failure and claims nothing false."""
        text = " ".join(answer.split())
        return not self.contradicts(text) and all(_has(text, pattern) for pattern in self.must)

    def contradicts(self, answer: str) -> bool:
        """Return whether an answer claims something false."""
        text = " ".join(answer.split())
        return any(_has(text, pattern) for pattern in self.must_not)


def read_case(path: Path) -> LabelledFault:
    data = tomllib.loads(path.read_text("utf-8"))
    return LabelledFault(
        name=path.stem,
        kind=data["kind"],
        files=data["files"],
        file=data["file"],
        right=data["right"],
        faulty=data["faulty"],
        test=data["test"],
        must=tuple(data["must"]),
        must_not=tuple(data["must_not"]),
        true=tuple(data["true"]),
        false=tuple(data["false"]),
    )


def read_cases(names: Sequence[str] = ()) -> list[LabelledFault]:
    """Return all cases, or those with `names`, sorted by name."""
    cases = [read_case(path) for path in sorted(CASES.glob("*.toml"))]
    return [case for case in cases if not names or case.name in names]


def _has(text: str, pattern: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None
