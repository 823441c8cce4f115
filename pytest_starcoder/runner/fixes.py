"""Changes of code, and those with which failing tests pass."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_starcoder.source.edits.edit import Edit


@dataclass(frozen=True)
class Fix:
    """A change with which the tests pass that failed, and those still pass that passed.

    `diff` is unified, and what `git apply` takes at the root; `before` and
    `after` are the changed lines. `failing` and `passing` are the tests that
    were run with it. `checked`: no other change as simple behaves differently on
    any input that was tried; `level` is the confinement it ran in. `model` wrote
    it, where it was not found by enumeration. `special`: it holds a text of the
    test's. `still` are tests of the cause that fail with it all the same.
    """

    edits: tuple[Edit, ...]
    diff: str
    path: str
    line: int
    before: str
    after: str
    failing: tuple[str, ...]
    passing: tuple[str, ...]
    checked: bool
    level: str = ""
    model: str = ""
    special: bool = False
    still: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """What running tests with it has shown, and how far that goes."""
        failed, passed = len(self.failing), len(self.passing)
        told = f"{failed} failing test{' passes' if failed == 1 else 's pass'}"
        if passed:
            told += f", {passed} neighbour{' still passes' if passed == 1 else 's still pass'}"
        if self.still:
            told += f", {len(self.still)} of the same cause still fail{'s' if len(self.still) == 1 else ''}"
        if self.model:
            told += f"; written by {self.model}"
        if self.special:
            told += "; it holds a text of the test's"
        return f"checked: {told}" if self.checked else f"passes the tests you have: {told}"


@dataclass(frozen=True)
class Fixes:
    """What a search for fixes found: at most three, one a behaviour.

    `call` is an input on which they differ, `outcomes` what the first two make
    of it; `answers` are the bodies of two tests, for either outcome, where those
    can be written down. `note` says why there is no fix, as a sentence; `level`
    is the confinement in which changes were run, empty where none were.
    """

    found: tuple[Fix, ...] = ()
    call: str = ""
    outcomes: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    tried: int = 0
    seconds: float = 0.0
    note: str = ""
    level: str = ""

    @property
    def question(self) -> str:
        """Which of them is right, by what they do; empty where nothing tells them apart."""
        return f"{self.call} {', or '.join(self.outcomes)}?" if self.call else ""


NO_FIXES = Fixes()
"""Where none were looked for."""
