"""A backend in memory that completes and edits files."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from pytest_starcoder.assist.complete import complete
from pytest_starcoder.assist.edit import edit
from pytest_starcoder.assist.model_code import Rewrite
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

MEAN = (
    "def mean(xs):\n    total = sum(xs)\n    return total / len(xs)\n\n\n"
    "def last(xs):\n    return xs[-1]\n"
)
INSTRUCT = ("chat", "starcoder2-instruct")


@dataclass
class Echo:
    """A backend in memory that writes `answer` up to the first stop. A token is a word."""

    answer: str | Callable[[str], str]
    truncated: bool = False
    window: int = 16384
    prompts: list[Prompt] = field(default_factory=list)
    label: str = "Echo"
    place: str = "memory"

    def identify(self, deadline: Deadline) -> str:
        return str(self.window)

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        return Model("echo:1b", digest, "starcoder2", self.window)

    def count(self, text: str, deadline: Deadline) -> int:
        return len(text.split())

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        self.prompts.append(prompt)
        text = self.answer(prompt.text) if callable(self.answer) else self.answer
        for stop in (*prompt.stop, *prompt.stop_tokens):
            text = text.partition(stop)[0]
        return Completion(text, model.name, 10, 3, truncated=self.truncated)

    def version(self, deadline: Deadline) -> str:
        return ""

    def close(self) -> None: ...


def completed(
    text: str,
    line: int,
    answer: str,
    path: str = "shop.py",
    *,
    kind: str = "starcoder2",
    truncated: bool = False,
) -> Rewrite:
    return complete(path, text, line, Client(Echo(answer, truncated), Settings(family=kind)))


def edited(
    text: str,
    lines: str,
    answer: str,
    path: str = "shop.py",
    *,
    kind: str = "starcoder2",
    truncated: bool = False,
) -> Rewrite:
    first, last = map(int, lines.split("-"))
    return edit(
        path, text, first, last, "Fix it.", Client(Echo(answer, truncated), Settings(family=kind))
    )


LINES = (
    "def f(xs):",
    "    return 1",
    "    if xs:",
    "        x = 1",
    "\tx = 2",
    "x = 1",
    "y = (",
    ")",
    "class A:",
    "    ",
    "",
    "    def g(self):",
    "```",
    "```python",
    "# é",
    "@f",
    "import os",
    "    return ",
    '"""',
    "else:",
)
CODE = st.one_of(
    st.text(
        st.sampled_from("ab=1():#'\"\\[]{},. \t\n\r\f\u2028é`<>") | st.characters(), max_size=80
    ),
    st.tuples(st.sampled_from(["\n", "\r\n"]), st.lists(st.sampled_from(LINES), max_size=9)).map(
        lambda parts: parts[0].join(parts[1])
    ),
)
PATHS = st.sampled_from(["a.py", "a.md", "a.js"])


def parses(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
