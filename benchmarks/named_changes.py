"""The changes that a tool names for a failure, and how they compare with the real fault."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.real_bugs import RealBug, changed_lines, signed_lines


@dataclass(frozen=True)
class Piece:
    """A change that a tool names: its lines in the working tree, and the lines of its diff."""

    path: str
    line: int
    last: int
    diff: tuple[str, ...]
    commit: str = ""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Piece:
        lines = record["diff"]
        if isinstance(lines, str):
            lines = lines.splitlines()
        return cls(
            # Paths start at pytest's root folder, which is below that of the repository for some.
            re.sub(r"^(\.\./)+", "", record["path"]),
            record["line"],
            record["last"],
            tuple(lines),
            record.get("commit", "").partition(" ")[0],  # the subject follows the hash
        )


@dataclass(frozen=True)
class Answer:
    """What a tool says about one cause: one set of pieces, or several of which one is enough."""

    sets: tuple[tuple[Piece, ...], ...] = ()
    since: str = ""
    note: str = ""
    seconds: float = 0.0

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Answer:
        """Read the key `broke` of a cause."""
        sets = [record.get("pieces", []), *record.get("either", [])]
        return cls(
            tuple(tuple(map(Piece.from_json, pieces)) for pieces in sets if pieces),
            record.get("since", ""),
            record.get("note", ""),
            record.get("seconds", 0.0),
        )


@dataclass(frozen=True)
class Score:
    """Whether the answers name the fault; `commit` is None where it is not committed."""

    named: bool
    exact: bool
    wrong_sets: int
    commit: bool | None
    seconds: float


def score(bug: RealBug, records: Sequence[Mapping[str, Any]]) -> Score:
    """Compare the lines and commits in the answers of a tool with the fault."""
    fault = frozenset(changed_lines(bug.fault))
    answers = [Answer.from_json(record) for record in records]
    sets = [pieces for answer in answers for pieces in answer.sets]
    named_lines = [_lines(pieces) for pieces in sets]
    named = any(lines & fault for lines in named_lines)
    commits = {piece.commit for pieces in sets for piece in pieces}
    return Score(
        named,
        named and all(lines <= fault for lines in named_lines),
        sum(not lines & fault for lines in named_lines),
        _is_commit(bug.commit, commits) if bug.commit else None,
        sum(answer.seconds for answer in answers),
    )


def _lines(pieces: Sequence[Piece]) -> frozenset[tuple[str, str]]:
    return frozenset(line for piece in pieces for line in signed_lines(piece.path, piece.diff))


def _is_commit(commit: str, named: set[str]) -> bool:
    """Return whether `named` is this commit and no other; a name may be short."""
    return bool(named) and all(len(name) >= 7 and commit.startswith(name) for name in named)


def is_misplaced(piece: Piece, text: str) -> bool:
    """Return whether the lines of a piece in `text` lack a line that it adds.

    A pure deletion ends on the line before the one that it names.
    """
    lines = [line.strip() for line in text.splitlines()]
    added = [line[1:].strip() for line in piece.diff if line.startswith("+")]
    if not 1 <= piece.line <= len(lines) + 1 or piece.last > len(lines):
        return True
    if not added:
        return piece.last != piece.line - 1
    return not set(added) <= set(lines[piece.line - 1 : piece.last])


def pieces_of(patch: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of each file of a patch in the form of the JSON report."""
    paths: dict[str, list[str]] = {}
    for path, line in changed_lines(patch):
        paths.setdefault(path, []).append(line)
    for path, lines in paths.items():
        yield {"path": path, "line": 0, "last": 0, "diff": lines}
