"""Measures the evidence against each statement that a failing test ran.

Each kind of evidence is a number, mostly from 0 to 1; `suspicion` weighs them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.source.functions import functions
from pytest_starcoder.source.line_index import LineIndex, index_lines
from pytest_starcoder.source.lines import line_of
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.words import LineWords, word_parts

Line = tuple[str, int]
"""A file, relative to the root, and a 1-based line number."""

PRINTED_FRAME = re.compile(r'File "([^"\n]+)", line (\d+)')
"""A traceback entry in the message, perhaps from a process that the test started."""

MAX_STATEMENT = 30
"""Maximum number of lines of a statement whose words count; a table may have thousands."""

ASSERTIONS = ("AssertionError", "Failed")


class Statement(NamedTuple):
    """The lines of one statement; of a compound statement only its head."""

    path: str
    first: int
    last: int


class Features(NamedTuple):
    """The evidence against one statement."""

    spectrum: float = 0.0
    """Ochiai of its most suspicious line."""
    only_failing: float = 0.0
    """1 if the failing tests run it and no passing one does."""
    passing: float = 0.0
    """The logarithm of the number of passing tests that run it."""
    guards: float = 0.0
    """How much more suspicious its most suspicious branch is, if it is a condition or loop."""
    unchecked: float = 0.0
    """1 if it ran for a value that no earlier assertion has checked."""
    at_import: float = 0.0
    """1 if it only ran while modules were imported."""
    raised: float = 0.0
    """1 if it raised the exception without being a `raise` statement."""
    traceback: float = 0.0
    """1 if it is on the traceback."""
    returns_none: float = 0.0
    """1 if it returns None and the failure mentions None."""
    file_name: float = 0.0
    """1 if its path shares a word with the name of the test's file."""
    path_words: float = 0.0
    """The number of words, at most 2, that its path shares with the test's name."""
    function_name: float = 0.0
    """The rarity of the words that its function's name shares with the test's name, at most 3."""
    function_words: float = 0.0
    """The rarity of the words that its function shares with the test's name, at most 8."""
    statement_words: float = 0.0
    """The rarity of the words that it shares with the test, at most 4."""
    message_words: float = 0.0
    """The rarity of the words that it shares with the failure's message, at most 3."""
    weight: float = 0.0
    """How many operators, constants and calls it has, which may be wrong."""
    raises: float = 0.0
    """1 if it is a `raise` statement."""
    initializer: float = 0.0
    """1 if it is in an `__init__`."""
    test_file: float = 0.0
    """1 if its file contains tests."""
    changed: float = 0.0
    """1 if it has uncommitted changes; less, the longer ago it was changed."""
    shared: float = 0.0
    """The share of the other causes whose tests run it as well."""


def find_test_source(nodeid: str, sources: SourceFiles) -> str:
    """Return the source of a test function, followed by the parameters of the test."""
    path, _, name = nodeid.partition("::")
    function, _, parameters = name.rpartition("::")[2].partition("[")
    source = sources.derive(path, _functions_by_name).get(function)
    if source is None:
        return parameters
    return f"{source}\n{parameters}"


def _functions_by_name(source: str) -> dict[str, str]:
    """Return the source of each function of a file; of the first one if a name is repeated."""
    lines = source.split("\n")
    texts: dict[str, str] = {}
    for node in functions(source):
        body = lines[node.lineno - 1 : node.end_lineno]
        texts.setdefault(node.name, "\n".join(body))
    return texts


def failure_words(failure: Failure, sources: SourceFiles) -> frozenset[str]:
    """Return the words in a failing test's name, source and message."""
    name = failure.nodeid.rpartition("::")[2]
    source = find_test_source(failure.nodeid, sources)
    return word_parts(f"{name} {source} {failure.message}")


@dataclass(frozen=True)
class Execution:
    """The lines that tests of one cause ran, with the definitions that they use.

    `scores` are the Ochiai scores of all lines that failing tests ran; `imported` are others
    that ran at import. `recency` is 1 for an uncommitted line and 0 for an old one; `shared` is
    the share of the other causes whose tests run a line.
    """

    scores: Mapping[Line, float]
    failing: Sequence[Outcome] = ()
    passing: Sequence[Outcome] = ()
    imported: Collection[Line] = ()
    recency: Mapping[Line, float] = field(default_factory=dict)
    shared: Mapping[Line, float] = field(default_factory=dict)


def measure_features(
    failure: Failure,
    execution: Execution,
    sources: SourceFiles,
    test_files: Collection[str],
    is_test: Callable[[Line], bool],
) -> dict[Statement, Features]:
    """Return the features of all statements that ran, without those of tests."""
    lines: dict[Statement, list[int]] = {}
    for line in (*execution.scores, *execution.imported):
        if not is_test(line):
            path, number = line
            statement = statement_around(path, number, sources)
            lines.setdefault(statement, []).append(number)
    measure = _Measure(failure, execution, sources, test_files, lines)
    return {statement: measure.features(statement) for statement in lines}


def statement_around(path: str, number: int, sources: SourceFiles) -> Statement:
    span = sources.derive(path, index_lines).statements.get(number)
    if span is None:
        return Statement(path, number, number)
    return Statement(path, span[0], span[-1])


class _Measure:
    """Measures the evidence against the statements of one cause."""

    def __init__(
        self,
        failure: Failure,
        execution: Execution,
        sources: SourceFiles,
        test_files: Collection[str],
        lines: Mapping[Statement, Sequence[int]],
    ) -> None:
        self._execution = execution
        self._sources = sources
        self._test_files = test_files
        self._lines = lines
        self._spectrum = _Spectrum(execution)
        self._words = _Words(failure, sources, list(lines))
        paths = {statement.path for statement in lines}
        self._traceback = _Traceback(failure, paths, test_files)
        # Later facts are about other values on the line.
        texts = (failure.message, *failure.facts[:2])
        self._mentions_none = any("None" in text for text in texts)

    def features(self, statement: Statement) -> Features:
        path, first, _ = statement
        numbers = self._lines[statement]
        index = self._sources.derive(path, index_lines)
        function = index.functions.get(first)
        text = line_of(self._sources(path), first).lstrip()
        returns_none = any(number in index.none_returns for number in numbers)
        execution = self._execution
        spectrum = self._spectrum
        words = self._words
        traceback = self._traceback
        score = spectrum.score(path, numbers)
        return Features(
            spectrum=score,
            only_failing=float(bool(execution.passing) and score > 0.999),
            passing=math.log(1 + spectrum.count_passing(path, numbers)) / 4,
            guards=spectrum.guards(path, first, index),
            unchecked=float(_ran_unchecked(execution.failing, path, numbers)),
            at_import=float(not score),
            raised=float(traceback.raised(statement)),
            traceback=float(traceback.contains(statement)),
            returns_none=float(returns_none and self._mentions_none),
            file_name=float(words.shares_file_word(path)),
            path_words=min(2, words.count_in_path(path)),
            function_name=min(3, words.shared_by_function_name(statement)),
            function_words=min(8, words.shared_by_function(statement)),
            statement_words=min(4, words.shared_with_test(statement)),
            message_words=min(3, words.shared_with_message(statement)),
            weight=min(1, sum(index.weights.get(number, 0) for number in numbers) / 10),
            raises=float(text.startswith("raise")),
            initializer=float(function is not None and function.name.endswith("__init__")),
            test_file=float(path in self._test_files),
            changed=max(execution.recency.get((path, number), 0.0) for number in numbers),
            shared=max(execution.shared.get((path, number), 0.0) for number in numbers),
        )


def _ran_unchecked(outcomes: Iterable[Outcome], path: str, numbers: Iterable[int]) -> bool:
    for outcome in outcomes:
        if not outcome.unchecked_lines.get(path, frozenset()).isdisjoint(numbers):
            return True
    return False


class _Spectrum:
    """Scores statements by which tests ran them."""

    def __init__(self, execution: Execution) -> None:
        self._scores = execution.scores
        self._passing = execution.passing

    def score(self, path: str, numbers: Iterable[int]) -> float:
        return max(self._scores.get((path, number), 0.0) for number in numbers)

    def count_passing(self, path: str, numbers: Iterable[int]) -> int:
        """Return the number of passing tests that ran the line that the fewest of them ran."""
        return min(self._count(path, number) for number in numbers)

    def _count(self, path: str, number: int) -> int:
        return sum(number in outcome.lines.get(path, ()) for outcome in self._passing)

    def guards(self, path: str, head: int, index: LineIndex) -> float:
        """Return by how much the most suspicious branch of a condition exceeds the condition."""
        head_score = self._scores.get((path, head), 0.0)
        if not head_score:
            return 0.0
        branches = [self._scores.get((path, first), 0.0) for first in index.branches.get(head, ())]
        return max([0.0, *(score - head_score for score in branches)])


class _Traceback:
    """The lines on the traceback, and on tracebacks in the message."""

    def __init__(
        self, failure: Failure, paths: Collection[str], test_files: Collection[str]
    ) -> None:
        lines = {(frame.path, frame.line) for frame in failure.frames}
        for file, number in PRINTED_FRAME.findall(failure.message):
            absolute = "/" + file.replace("\\", "/")
            # The printed path is absolute; `paths` are relative to the root.
            lines.update((path, int(number)) for path in paths if absolute.endswith(f"/{path}"))
        self._lines = lines
        outside = [frame for frame in failure.frames if frame.path not in test_files]
        self._last = outside[-1] if outside else None
        self._is_assertion = failure.exception in ASSERTIONS

    def contains(self, statement: Statement) -> bool:
        path, first, last = statement
        return any((path, number) in self._lines for number in range(first, last + 1))

    def raised(self, statement: Statement) -> bool:
        """Return whether a statement raised the exception without being a `raise` statement."""
        frame = self._last
        if frame is None or self._is_assertion or frame.statement.lstrip().startswith("raise"):
            return False
        path, first, last = statement
        return frame.path == path and first <= frame.line <= last


class _Words:
    """Words that code shares with the failing test; rare ones count more."""

    def __init__(
        self,
        failure: Failure,
        sources: SourceFiles,
        statements: Sequence[Statement],
    ) -> None:
        path, _, name = failure.nodeid.partition("::")
        self._name = word_parts(name)
        self._file = word_parts(_spaced(PurePosixPath(path).stem)) - {"test", "tests"}
        self._test = failure_words(failure, sources)
        self._message = word_parts(failure.message)
        self._sources = sources
        self._by_statement: dict[Statement, Set[str]] = {}
        self._names: dict[Line, frozenset[str]] = {}
        self._by_function: dict[Line, set[str]] = {}
        for statement in statements:
            words = self._read(statement)
            self._by_statement[statement] = words
            key = self._function(statement)
            self._by_function.setdefault(key, set(self._names[key])).update(words)
        self._statement_rarity = _rarity(self._by_statement.values())
        self._function_rarity = _rarity(self._by_function.values())

    def _read(self, statement: Statement) -> frozenset[str]:
        path, first, last = statement
        words = self._sources.derive(path, LineWords)
        numbers = range(first, min(last, first + MAX_STATEMENT) + 1)
        return frozenset().union(*map(words.on_line, numbers))

    def _function(self, statement: Statement) -> Line:
        """Return the place of a statement's function, or its own place outside functions."""
        path, first, _ = statement
        function = self._sources.derive(path, index_lines).functions.get(first)
        key = path, function.first if function else first
        if key not in self._names:
            self._names[key] = word_parts(_spaced(function.name)) if function else frozenset()
        return key

    def shares_file_word(self, path: str) -> bool:
        return not self._file.isdisjoint(word_parts(_spaced(path)))

    def count_in_path(self, path: str) -> int:
        return len(self._name & word_parts(_spaced(path)))

    def shared_by_function_name(self, statement: Statement) -> float:
        words = self._names[self._function(statement)]
        return _sum(words & self._name, self._function_rarity)

    def shared_by_function(self, statement: Statement) -> float:
        words = self._by_function[self._function(statement)]
        return _sum(words & self._name, self._function_rarity)

    def shared_with_test(self, statement: Statement) -> float:
        return _sum(self._by_statement[statement] & self._test, self._statement_rarity)

    def shared_with_message(self, statement: Statement) -> float:
        return _sum(self._by_statement[statement] & self._message, self._statement_rarity)


def _rarity(groups: Collection[Set[str]]) -> dict[str, float]:
    """Return the rarity of each word: 1 if one group has it, less if more groups do."""
    counts: Counter[str] = Counter()
    for words in groups:
        counts.update(words)
    total = max(2, len(groups))
    return {word: math.log(total / count) / math.log(total) for word, count in counts.items()}


def _sum(words: Iterable[str], values: Mapping[str, float]) -> float:
    return sum(values.get(word, 0.0) for word in words)


def _spaced(text: str) -> str:
    """Return a path or qualified name with spaces between its parts."""
    return re.sub(r"[/._]", " ", text.removesuffix(".py"))
