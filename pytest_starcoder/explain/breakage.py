"""The change that broke tests: what undoing the user's changes has shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_starcoder.text.display import counted

MAX_LISTED_TESTS = 3
"""Maximum number of earlier tests that a sentence names."""


@dataclass(frozen=True)
class BrokenBy:
    """One piece of a change: lines of a file that took the place of others.

    `line` and `last` are its lines in the working tree, 1-based; where lines were only removed,
    `line` is the one after the gap, and `last` the one before. `diff` are the removed and added
    lines with their signs. `commit` is the commit that made the change, and empty for one that
    is not committed. `in_test`: the file holds tests or their support code.
    """

    path: str
    line: int
    last: int
    diff: str
    commit: str = ""
    in_test: bool = False


@dataclass(frozen=True)
class Breakage:
    """The smallest set of changes whose undoing makes failing tests pass.

    If there are several such sets, `either` are the others. `since` says what the working tree
    was compared with, such as "the last commit". `failing` tests pass with the pieces undone,
    `still` fail nevertheless; `passing` neighbours still pass then, `needing` no longer do.
    `total` counts the pieces that differ, in `files` files; `harmless`: with all others undone,
    the tests fail as before. `only_test`: no code that the tests execute has changed.

    `after` is the shortest list of earlier tests without which the test passes; the changes are
    undone with these run first. `state` names what they leave changed, if restoring it makes the
    test pass.

    Without pieces, `note` gives the reason; it is empty where there was nothing to compare.
    `left_out` are phrases on changes that were not tried. `seconds` is the time it took, and
    `level` the sandbox level.
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
        """Where the change is, and what undoing it has shown."""
        places = [_place(self.pieces)]
        places += map(_place, self.either)
        change = f"{', or '.join(places)}, changed since {self.since}"
        commits = dict.fromkeys(piece.commit for piece in self.pieces)
        if any(commits):
            names = [_commit_name(commit) for commit in commits]
            change = f"{', or '.join(places)}, changed by {' and '.join(names)}"
        object_ = "it" if len(self.pieces) == 1 else "these together"
        if self.either:
            object_ = "either"
        verb = "passes" if len(self.failing) == 1 else "pass"
        shown = f"{counted(len(self.failing), 'failing test')} {verb}"
        if self.passing:
            verb = "does" if len(self.passing) == 1 else "do"
            shown += f" and {counted(len(self.passing), 'neighbour')} still {verb}"
        text = f"{change}: undoing {object_}, {shown}"
        if self.needing:
            total = len(self.passing) + len(self.needing)
            text += f"; {len(self.needing)} of {counted(total, 'neighbour')} need it"
        if self.still:
            verb = "fails" if len(self.still) == 1 else "fail"
            text += f"; {len(self.still)} of the same cause still {verb}"
        return text

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
        """How the pieces relate to the other changes; empty if there are no others."""
        if self.only_test:
            return "only the test changed; the code is as committed"
        others = self.total - len(self.pieces) - sum(map(len, self.either))
        if others <= 0:
            return ""
        changes = counted(self.total, "change")
        text = f"{len(self.pieces)} of {changes} in {counted(self.files, 'file')}"
        if self.harmless:
            effect = "makes no difference" if others == 1 else "make no difference"
            text += f"; the other {others} {effect}" if others > 1 else f"; the other {effect}"
        return text


NO_BREAKAGE = Breakage()
"""The result where nothing was undone."""


def _commit_name(commit: str) -> str:
    """Return a hash and a subject as `hash (subject)`."""
    if not commit:
        return "what is not committed"
    abbreviated, _, subject = commit.partition(" ")
    return f"{abbreviated} ({subject})"


def listed_tests(nodeids: Sequence[str]) -> str:
    """Return the names of a few tests, or the number of many that precede another."""
    if len(nodeids) > MAX_LISTED_TESTS:
        return f"the {len(nodeids)} tests before it"
    return " and ".join(nodeids)


def _place(pieces: tuple[BrokenBy, ...]) -> str:
    return ", ".join(f"{piece.path}:{piece.line}" for piece in pieces)
