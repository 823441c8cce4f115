"""Finds the smallest set of pieces whose undoing makes a failing test pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pytest_starcoder.culprit.bench import Bench, Oracle, OutOfTime, Verdict
from pytest_starcoder.culprit.pieces import Piece, Pieces, in_order
from pytest_starcoder.runner.outcome import Lines

_WORD = re.compile(r"\w{3,}")

H = TypeVar("H", bound=Hashable)

MAX_WAYS = 3
"""Maximum number of sets that are reported, each a way to make the test pass."""

MAX_PAIRED = 24
"""Maximum number of pieces of which all pairs are tried."""

MAX_SINGLE_IMPORTS = 12
"""Maximum number of pieces outside functions that are undone one by one: each takes an import."""


@dataclass(frozen=True)
class SearchResult:
    """The result of a search: sets of pieces, each of which makes the test pass when undone.

    `harmless`: with all other pieces undone, the test fails as before. Without a set, `all`
    is the verdict with everything undone. `timed_out`: time ran out before a set was found;
    `unfinished` are the pieces that the culprit is among, if that much is known.
    """

    ways: tuple[Pieces, ...] = ()
    harmless: bool = False
    all: Verdict = Verdict.UNKNOWN
    unfinished: Pieces = frozenset()
    timed_out: bool = False


class Search:
    """Searches the pieces of one comparison by one failing test.

    `executed` are the lines that the test runs, and those that ran when it was imported.
    """

    def __init__(self, bench: Bench, oracle: Oracle, executed: Lines) -> None:
        self._bench = bench
        self._oracle = oracle
        self._executed = executed
        self._suspected: Pieces = frozenset()

    def find(self) -> SearchResult:
        """Return the smallest sets of code, or of tests or data if no code alone is to blame."""
        pieces = self._in_order()
        try:
            for candidates in self._stages(pieces):
                ways = self._ways(candidates)
                if ways:
                    return self._finish(ways, pieces)
            verdict = self._oracle.judge(frozenset(pieces)) if pieces else Verdict.UNKNOWN
            if verdict is Verdict.PASSES:
                return self._finish([self._minimize(pieces)], pieces)
            return SearchResult(all=verdict)
        except OutOfTime:
            return SearchResult(unfinished=self._suspected, timed_out=True)

    def _stages(self, pieces: Sequence[Piece]) -> Iterable[list[Piece]]:
        for kind in ("code", "test", "data"):
            yield [piece for piece in pieces if piece.kind == kind]

    def _in_order(self) -> list[Piece]:
        """Return all pieces, those that the test runs first."""
        pieces: list[Piece] = []
        for file in self._bench.files.values():
            pieces += file.pieces
        return sorted(pieces, key=lambda piece: not self.is_executed(piece))

    def is_executed(self, piece: Piece) -> bool:
        """Return whether the test runs lines of a piece, or lines next to removed ones."""
        return piece.is_among(self._executed)

    def is_any_executed(self) -> bool:
        """Return whether the test runs any changed line."""
        return any(map(self.is_executed, self._in_order()))

    def is_only_test(self, result: SearchResult) -> bool:
        """Return whether tests or data are to blame, and no code that the test runs changed."""
        kinds = {piece.kind for pieces in result.ways for piece in pieces}
        if kinds != {"test"}:
            return False
        return not any(
            piece.kind == "code" and self.is_executed(piece) for piece in self._in_order()
        )

    def _ways(self, pieces: Sequence[Piece]) -> list[Pieces]:
        """Return the smallest sets among pieces of one kind."""
        if not pieces:
            return []
        singles = [frozenset([piece]) for piece in pieces]
        others = self._oracle.judge_in_functions(singles)
        ways = self._passing(singles)
        if ways:
            return ways
        everything = frozenset(pieces)
        if self._oracle.passes(everything):
            return [self._minimize(pieces)]
        # What ran before functions were swapped may have used the changed ones.
        if self._oracle.judge_afresh(everything) is Verdict.PASSES:
            self._oracle.stop_swapping_functions()
            return [self._minimize(pieces)]
        # Today's tests may need some of the changes, so that undoing all gives no answer.
        self._oracle.judge_all(others[:MAX_SINGLE_IMPORTS])
        return self._passing(singles) or self._passing_groups(pieces)

    def _passing(self, sets: Iterable[Pieces]) -> list[Pieces]:
        verdicts = self._oracle.verdicts
        return [pieces for pieces in sets if verdicts.get(pieces) is Verdict.PASSES]

    def _passing_groups(self, pieces: Sequence[Piece]) -> list[Pieces]:
        """Try pieces that belong together: pairs that the test runs, and those of one file."""
        executed = [piece for piece in pieces if self.is_executed(piece)][:MAX_PAIRED]
        pairs = []
        for index, first in enumerate(executed):
            pairs += [frozenset([first, second]) for second in executed[index + 1 :]]
        self._oracle.judge_in_functions(pairs)
        ways = self._passing(pairs)
        if ways:
            return ways
        groups: list[Pieces] = []
        if len(executed) > 2:
            groups.append(frozenset(executed))
        for path in dict.fromkeys(piece.path for piece in executed):
            group = frozenset(piece for piece in pieces if piece.path == path)
            if len(group) > 1:
                groups.append(group)
        for group in groups:
            if self._oracle.passes(group):
                return [self._minimize([piece for piece in pieces if piece in group])]
        return []

    def _minimize(self, pieces: Sequence[Piece]) -> Pieces:
        """Return a smallest set, given one that makes the test pass."""
        self._suspected = frozenset(pieces)
        likely = [piece for piece in pieces if self.is_executed(piece)]
        likely = likely or [piece for piece in pieces if self._is_mentioned(piece)]
        if 0 < len(likely) < len(pieces) and self._passes(frozenset(likely)):
            pieces = likely
        smallest = minimize(pieces, self._passes)
        # What ran at import may have used a function that was swapped later: see Oracle.
        for piece in smallest if len(smallest) > 1 and not self._oracle.imported else ():
            if self._oracle.judge_afresh(smallest - {piece}) is Verdict.PASSES:
                smallest -= {piece}
        return smallest

    def _is_mentioned(self, piece: Piece) -> bool:
        """Return whether the message of the failure has a word of a piece, as import errors do."""
        words = set(_WORD.findall(self._oracle.before.note))
        text = "".join([piece.path, *piece.old, *piece.new])
        return not words.isdisjoint(_WORD.findall(text))

    def _passes(self, pieces: Pieces) -> bool:
        passes = self._oracle.passes(pieces)
        if passes:
            self._suspected = pieces
        return passes

    def _finish(self, ways: Sequence[Pieces], pieces: Sequence[Piece]) -> SearchResult:
        """Narrow each set down to lines, and find out what the other pieces do."""
        involved: Pieces = frozenset().union(*ways)
        self._suspected = involved
        rest = frozenset(pieces) - involved
        narrowed = [self._narrow(way) for way in ways[:MAX_WAYS]]
        harmless = False
        try:
            verdict = self._oracle.judge(rest) if rest else Verdict.UNKNOWN
            harmless = verdict is Verdict.FAILS
            # A former expectation may pass today, but tests are undone only if no code explains it.
            kinds = {"code", "data"} | {piece.kind for piece in involved}
            others = [piece for piece in pieces if piece in rest and piece.kind in kinds]
            has_room = verdict is Verdict.PASSES and len(narrowed) < MAX_WAYS
            if has_room and others and self._oracle.passes(frozenset(others)):
                narrowed.append(self._narrow(self._minimize(others)))
            if not all(self._oracle.is_steady(way) for way in narrowed):
                return SearchResult()
        except OutOfTime:
            pass
        return SearchResult(tuple(dict.fromkeys(map(self._bench.joined, narrowed))), harmless)

    def _narrow(self, way: Pieces) -> Pieces:
        """Return the part of a set that is needed, in lines instead of hunks."""
        try:
            for piece in in_order(way):
                parts = self._bench.split(piece)
                if len(parts) < 2:
                    continue
                rest = way - {piece}
                way = rest | minimize(parts, partial(self._passes_with, rest))
        except OutOfTime:
            pass
        return way

    def _passes_with(self, rest: Pieces, part: Pieces) -> bool:
        return self._oracle.passes(rest | part)


def minimize(pieces: Sequence[H], passes: Callable[[frozenset[H]], bool]) -> frozenset[H]:
    """Return a subset that passes although no piece can be left out, by delta debugging.

    All `pieces` together pass. The algorithm is ddmin of Zeller and Hildebrandt (2002).
    """
    current = list(pieces)
    parts = 2
    while len(current) >= 2:
        chunks = _divide(current, parts)
        smaller = _first_passing(chunks, passes)
        if smaller is not None:
            current, parts = smaller, 2
            continue
        complements = [_without(current, chunk) for chunk in chunks]
        # With two chunks, each complement is the other chunk.
        smaller = _first_passing(complements, passes) if parts > 2 else None
        if smaller is not None:
            current, parts = smaller, max(parts - 1, 2)
        elif parts == len(current):
            break
        else:
            parts = min(2 * parts, len(current))
    return frozenset(current)


def _divide(pieces: Sequence[H], parts: int) -> list[list[H]]:
    chunks = []
    for index in range(parts):
        start, end = len(pieces) * index // parts, len(pieces) * (index + 1) // parts
        chunks.append(list(pieces[start:end]))
    return chunks


def _without(pieces: Sequence[H], excluded: Collection[H]) -> list[H]:
    return [piece for piece in pieces if piece not in excluded]


def _first_passing(
    candidates: Iterable[list[H]], passes: Callable[[frozenset[H]], bool]
) -> list[H] | None:
    for candidate in candidates:
        if candidate and passes(frozenset(candidate)):
            return candidate
    return None
