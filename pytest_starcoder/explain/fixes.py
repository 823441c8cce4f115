"""Fixes: edits with which failing tests pass."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.text.display import counted


@dataclass(frozen=True)
class Fix:
    """Edits that make failing tests pass, and no passing test fail.

    `diff` is unified and applies with `git apply` at the root; `before` and `after` are the
    changed lines. `failing` and `passing` are the tests it was run with, `still` those of the
    cause that fail nevertheless. `checked`: every equally simple fix behaves the same on all
    inputs tried. `level` is the sandbox level it ran at. `model` is the name of the model that
    wrote it, or empty. `special`: it contains a text of the test, and may fit that test only.
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
        """The tests that ran with the fix, and the limits of what they show."""
        tests = counted(len(self.failing), "failing test")
        verb = "passes" if len(self.failing) == 1 else "pass"
        parts = [f"{tests} {verb}"]
        if self.passing:
            neighbours = counted(len(self.passing), "neighbour")
            verb = "passes" if len(self.passing) == 1 else "pass"
            parts.append(f"{neighbours} still {verb}")
        if self.still:
            verb = "fails" if len(self.still) == 1 else "fail"
            parts.append(f"{len(self.still)} of the same cause still {verb}")
        verdict = ", ".join(parts)
        if self.model:
            verdict += f"; written by {self.model}"
        if self.special:
            verdict += "; contains a text of the test"
        label = "checked" if self.checked else "passes the tests you have"
        return f"{label}: {verdict}"


@dataclass(frozen=True)
class Fixes:
    """The result of a search: `passing` are at most three fixes that behave differently.

    `call` is an input for which the first two differ, `outcomes` are theirs, and `answers` the
    bodies of a test for each outcome, if they can be written. `note` is why there is no fix, as
    a sentence; `level` is the sandbox level, empty if nothing was run.
    """

    passing: tuple[Fix, ...] = ()
    call: str = ""
    outcomes: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    tried: int = 0
    seconds: float = 0.0
    note: str = ""
    level: str = ""

    @property
    def question(self) -> str:
        """The question which of two fixes is right; empty if no input tells them apart."""
        if not self.call:
            return ""
        return f"{self.call} {', or '.join(self.outcomes)}?"


NO_FIXES = Fixes()
"""The result where no search was made."""
