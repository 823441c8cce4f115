"""Failures, cases and a model in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.failure import Cause, Failure, Frame
from pytest_starcoder.explain.fixes import Fix
from pytest_starcoder.explain.terminal_section import TerminalSection
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.prompt import Completion, Model, Prompt


@dataclass
class MemoryBackend:
    """A backend that writes `answer` piece by piece and records prompts; a token is a word.

    `before_answer` is called before each answer, and may raise.
    """

    answer: tuple[str, ...] = (" the divisor", " is 2, one too small.")
    architecture: str = "starcoder2"
    window: int = 16384
    truncated: bool = False
    before_answer: Callable[[], None] = lambda: None
    after_pieces: Callable[[], None] = lambda: None
    prompts: list[Prompt] = field(default_factory=list)
    label: str = "Memory"
    place: str = "memory"

    def identify(self, deadline: Deadline) -> str:
        return f"{self.architecture} {self.window}"

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        return Model("tiny:1b", digest, self.architecture, self.window)

    def count(self, text: str, deadline: Deadline) -> int:
        return len(text.split())

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        self.prompts.append(prompt)
        self.before_answer()
        for piece in self.answer:
            on_text(piece)
        self.after_pieces()
        text = "".join(self.answer)
        return Completion(text, model.name, 10, len(self.answer), truncated=self.truncated)

    def version(self, deadline: Deadline) -> str:
        return ""

    def close(self) -> None: ...


class Screen:
    """A section and everything it wrote."""

    def __init__(self, width: int = 80, *, live: bool = False) -> None:
        self.writes: list[str] = []
        self.section = TerminalSection(self.writes.append, width, live=live)

    @property
    def text(self) -> str:
        return "".join(self.writes)

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


FAILURE = Failure(
    nodeid="tests/test_shop.py::test_mean",
    phase="call",
    exception="AssertionError",
    message="assert 3.0 == 2",
    seen="mean([1, 2, 3]) returned 3.0, the test expects 2",
    frames=(
        Frame(
            "tests/test_shop.py", 2, "test_mean", 1, "def test_mean():\n    assert mean(XS) == 2"
        ),
        Frame("shop.py", 11, "mean", 10, "def mean(xs):\n    return sum(xs) / (len(xs) - 1)"),
    ),
)


def make_case(name: str = "test_mean") -> Case:
    """Return a case of one failure, of the test of that name."""
    frame = Frame(f"tests/{name}.py", 2, name, 1, f"def {name}():\n    assert {name[5:]} == 2")
    failure = Failure(
        f"tests/test_shop.py::{name}", "call", "AssertionError", "", f"saw {name}", (frame,)
    )
    return Case(Cause((failure,)))


def make_fix(lines: str, *, checked: bool = True) -> Fix:
    """Return a fix of line 11 of shop.py, given the removed and added lines of its diff."""
    diff = f"--- a/shop.py\n+++ b/shop.py\n@@ -11 +11 @@\n{lines}\n"
    return Fix((), diff, "shop.py", 11, "", "", (FAILURE.nodeid,), (), checked)
