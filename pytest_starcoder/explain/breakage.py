"""The change that broke tests: what undoing the user's changes has shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from pytest_starcoder.redaction.nested_values import with_texts
from pytest_starcoder.text.display import counted
from pytest_starcoder.text.node_ids import file_of

MAX_LISTED_TESTS = 3
"""Maximum number of earlier tests that a sentence names."""

MAX_LISTED_PLACES = 4
"""Maximum number of changed places that a sentence names."""

MAX_LISTED_FILES = 2
"""Maximum number of changes that were left out and that a sentence names."""


@dataclass(frozen=True)
class BrokenBy:
    """One piece of a change: lines of a file that replaced others.

    `line` and `last` are its lines in the working tree, 1-based; where lines were only removed,
    `line` is the one after the gap, and `last` the one before. `diff` are the removed and added
    lines with their signs. `commit` is the commit that made the change, and empty for one that
    is not committed. `in_test`: the file holds tests or their support code. `whole`: the file
    was added or deleted.
    """

    path: str
    line: int
    last: int
    diff: str
    commit: str = ""
    in_test: bool = False
    whole: bool = False

    @property
    def removed(self) -> list[str]:
        """The removed lines, without their signs and ends."""
        return [line[1:] for line in self.diff.split("\n") if line.startswith("-")]

    @property
    def is_deletion(self) -> bool:
        """True if lines, or the whole file, were only removed."""
        return self.last < self.line

    @property
    def shown_line(self) -> int:
        """A line that exists in the working tree: for a deletion at the end, the last one."""
        return max(self.last if self.is_deletion else self.line, 1)

    @property
    def place(self) -> str:
        """The place in the working tree, and what happened if nothing is left to see there."""
        if self.whole:
            return f"{self.path} ({'deleted' if self.is_deletion else 'new file'})"
        place = f"{self.path}:{self.line}"
        if self.is_deletion:
            lines = counted(len(self.diff.split("\n")), "line")
            place += f" ({lines} deleted here)"
        return place

    def shown_diff(self, limit: int) -> list[str]:
        """Return at most `limit` lines of the diff; where it is cut, one says how many follow.

        Of a long diff, the first removed and the first added lines are shown.
        """
        lines = self.diff.split("\n")
        if len(lines) <= limit:
            return lines
        removed = [line for line in lines if line.startswith("-")]
        added = [line for line in lines if not line.startswith("-")]
        room_for_removed = min(len(removed), max(limit // 2, limit - len(added)))
        return [*_cut(removed, room_for_removed), *_cut(added, limit - room_for_removed)]


@dataclass(frozen=True)
class Breakage:
    """The smallest set of changes whose undoing makes failing tests pass.

    If there are several such sets, `either` are the others. `since` says what the working tree
    was compared with, such as "the last commit". With the pieces undone, `failing` tests pass and
    `still` are those that fail even so; of the neighbours, `passing` still pass and `needing`
    fail. `total` counts all changes, which are in `files` files. `harmless`: with all others
    undone, the tests fail as before. `only_test`: no code that the tests execute has changed.

    `after` is the shortest list of earlier tests without which the test passes; they run first
    when changes are undone. `state` names what they leave changed, if restoring it makes the
    test pass.

    Without pieces, `note` gives the reason; it is empty if there was nothing to compare.
    `left_out` are phrases on changes that were not undone. `tried` counts the runs, `seconds` is
    the time they took, and `level` the sandbox level.
    """

    pieces: tuple[BrokenBy, ...] = ()
    either: tuple[tuple[BrokenBy, ...], ...] = ()
    since: str = ""
    failing: tuple[str, ...] = ()
    still: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()
    needing: tuple[str, ...] = ()
    total: int = 0
    files: int = 0
    harmless: bool = False
    only_test: bool = False
    after: tuple[str, ...] = ()
    state: str = ""
    note: str = ""
    left_out: tuple[str, ...] = ()
    tried: int = 0
    seconds: float = 0.0
    level: str = ""

    @property
    def verdict(self) -> str:
        """A sentence on where the change is, and what undoing it has shown."""
        text = f"{self._change}: {self._undoing}, {self._shown}"
        if self.needing:
            verb = "needs" if len(self.needing) == 1 else "need"
            count = counted(len(self.needing), "neighbour")
            if self.passing:
                count = f"{len(self.needing)} of {len(self.passing) + len(self.needing)}"
            text += f"; {count} {verb} {self._object}"
        if self.still:
            verb = "fails" if len(self.still) == 1 else "fail"
            text += f"; {len(self.still)} of the same cause still {verb}"
        return text

    @property
    def _change(self) -> str:
        """The places that changed, how, and since when or in which commits."""
        when = f"since {self.since}"
        ways = (self.pieces, *self.either)
        commits = dict.fromkeys(piece.commit for piece in chain.from_iterable(ways))
        if any(commits):
            names = [_commit_name(commit) for commit in commits]
            when = f"in {_listed(names)}"
        if self.either or len(self.pieces) > 1:
            places = [_places(pieces) for pieces in ways]
            return f"{', or '.join(places)}, changed {when}"
        [piece] = self.pieces
        if piece.whole:
            return f"{piece.path}, {'deleted' if piece.is_deletion else 'added'} {when}"
        place = f"{piece.path}:{piece.line}"
        if piece.is_deletion:
            count = len(piece.diff.split("\n"))
            lines = "a line was" if count == 1 else f"{count} lines were"
            return f"{place}, where {lines} deleted {when}"
        return f"{place}, changed {when}"

    @property
    def _undoing(self) -> str:
        if len(self.either) == 1:
            return "undoing either"
        if self.either:
            return "undoing any of them"
        if len(self.pieces) == 1:
            return "undoing it"
        return "undoing both" if len(self.pieces) == 2 else f"undoing all {len(self.pieces)}"

    @property
    def _object(self) -> str:
        """The changes that were undone when the neighbours ran, as the object of a verb."""
        if self.either:
            return "the first"
        return "it" if len(self.pieces) == 1 else "them"

    @property
    def _shown(self) -> str:
        """The tests that pass with the pieces undone, as a phrase."""
        files = [nodeid for nodeid in self.failing if "::" not in nodeid]
        tests = len(self.failing) - len(files)
        parts = []
        if files:
            parts.append(f"{counted(len(files), 'file')} can be collected")
        if tests or not files:
            verb = "passes" if tests == 1 else "pass"
            parts.append(f"{counted(tests, 'failing test')} {verb}")
        if self.passing:
            verb = "does" if len(self.passing) == 1 else "do"
            parts.append(f"{counted(len(self.passing), 'neighbour')} still {verb}")
        return _listed(parts)

    @property
    def order(self) -> str:
        """The earlier tests after which it fails, and what they leave changed."""
        if not self.after:
            return ""
        text = f"after {listed_tests(self.after)}"
        if self.state:
            leaves = "it leaves" if len(self.after) == 1 else "together they leave"
            text += f": {leaves} {self.state} changed"
        return text

    @property
    def context(self) -> str:
        """The relation of the pieces to other changes; empty if there are no others."""
        if self.only_test:
            files = {file_of(nodeid) for nodeid in self.failing}
            is_test = any(piece.path in files for piece in self.pieces)
            changed = "the test" if is_test else "support code of the tests"
            return f"only {changed} changed; the code is as committed"
        named = {*self.pieces}.union(*self.either)
        others = self.total - len(named)
        if others <= 0:
            return ""
        changes = counted(self.total, "change")
        text = f"{len(named)} of {changes} in {counted(self.files, 'file')}"
        if self.harmless:
            rest = "the other makes" if others == 1 else f"the other {others} make"
            text += f"; {rest} no difference"
        return text

    @property
    def not_undone(self) -> str:
        """The changes that were left out, the first few by name; empty if there are none."""
        if not self.left_out:
            return ""
        names = list(self.left_out[:MAX_LISTED_FILES])
        others = len(self.left_out) - len(names)
        if others:
            names.append(f"{others} more")
        return f"not undone: {_listed(names)}"

    def redacted(self, redact: Callable[[str], str]) -> Breakage:
        """Return the same result without secrets, also in the removed and added lines."""
        pieces = _redacted(self.pieces, redact)
        either = tuple(_redacted(each, redact) for each in self.either)
        return with_texts(replace(self, pieces=pieces, either=either), redact)


NO_BREAKAGE = Breakage()
"""The result where nothing was undone."""


def listed_tests(nodeids: Sequence[str]) -> str:
    """Return the names of a few tests, or the number of many that precede another."""
    if len(nodeids) > MAX_LISTED_TESTS:
        return f"the {len(nodeids)} tests before it"
    return _listed(nodeids)


def _commit_name(commit: str) -> str:
    """Return a hash and a subject as `hash (subject)`."""
    if not commit:
        return "the working tree"
    abbreviated, _, subject = commit.partition(" ")
    return f"{abbreviated} ({subject})"


def _places(pieces: Sequence[BrokenBy]) -> str:
    places = [piece.place for piece in pieces]
    others = len(places) - MAX_LISTED_PLACES
    if others > 1:
        places[MAX_LISTED_PLACES:] = [f"{others} other places"]
    return _listed(places)


def _listed(texts: Sequence[str]) -> str:
    """Return texts as a list in a sentence: `a, b and c`."""
    if len(texts) < 2:
        return "".join(texts)
    *first, last = texts
    return f"{', '.join(first)} and {last}"


def _cut(lines: Sequence[str], limit: int) -> list[str]:
    """Return at most `limit` lines, the last of which says how many more there are."""
    if len(lines) <= limit:
        return list(lines)
    shown = lines[: max(limit - 1, 0)]
    return [*shown, f"… {len(lines) - len(shown)} more lines"]


def _redacted(pieces: Sequence[BrokenBy], redact: Callable[[str], str]) -> tuple[BrokenBy, ...]:
    return tuple(replace(piece, diff=_redacted_diff(piece.diff, redact)) for piece in pieces)


def _redacted_diff(diff: str, redact: Callable[[str], str]) -> str:
    """Redact the removed and the added lines, each as a text of its own.

    With signs before its lines, code that goes over several of them cannot be recognized.
    """
    texts: dict[str, list[str]] = {"-": [], "+": []}
    for line in diff.split("\n"):
        texts["-" if line.startswith("-") else "+"].append(line[1:])
    lines: list[str] = []
    for sign, code in texts.items():
        if code:
            lines += [sign + line for line in redact("\n".join(code)).split("\n")]
    return "\n".join(lines)
