"""Explanations of a file or a definition."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from support.errors import raises_error

from pytest_starcoder.assist.describe import definition, describe
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import ConfigError
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.client import MAX_PROMPT_TOKENS, Client
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.schema import FAMILIES

SHOP = '''\
import functools


@functools.cache
def rate(country):
    return 0.2


class Cart:
    """A cart."""

    @property
    def total(self):
        def plus(a, b):
            return a + b

        return functools.reduce(plus, self.items, 0)

    @total.setter
    def total(self, value):
        raise AttributeError

    async def pay(self):
        pattern = "\\d"

    class Item:
        def total(self):
            return 1


if rate("DE"):

    def late():
        return "\\n\\
"
'''


@dataclass
class Echo:
    """A backend in memory: it writes `answer` and records prompts; a token is a word."""

    answer: str = " returns 1."
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
        on_text(self.answer)
        return Completion(self.answer, model.name, 10, 3)

    def version(self, deadline: Deadline) -> str:
        return ""

    def close(self) -> None: ...


def described(backend: Echo, text: str = SHOP, name: str = "", **settings: str) -> tuple[str, bool]:
    client = Client(backend, Settings(**settings))  # type: ignore[arg-type]
    completion, whole = describe("shop.py", text, name, client, lambda _piece: None)
    return completion.text, whole


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("rate", "@functools.cache\ndef rate(country):\n    return 0.2"),
        ("plus", "def plus(a, b):\n    return a + b"),
        ("Cart.total.plus", "def plus(a, b):\n    return a + b"),
        ("Cart.Item.total", "def total(self):\n    return 1"),
        ("Item.total", "def total(self):\n    return 1"),
        ("pay", 'async def pay(self):\n    pattern = "\\d"'),
        ("late", 'def late():\n        return "\\n\\\n"'),
    ],
)
def test_dotted_name(name: str, source: str) -> None:
    if name == "late":  # a line of its string stands at the margin, so nothing can be moved
        source = f"    {source}"
    assert definition("shop.py", SHOP, name) == source


def test_property_with_setter() -> None:
    found = definition("shop.py", SHOP, "Cart.total")
    assert found.startswith("@property\ndef total(self):\n    def plus(a, b):\n")
    assert found.endswith("\n\n@total.setter\ndef total(self, value):\n    raise AttributeError")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    text = 'a = "\u2028"\n# \x0c page\ndef f():\n    return 1\n\n\nb = 2\n'.replace("\n", end)
    assert definition("a.py", text, "f") == f"def f():{end}    return 1"


def test_unknown_name() -> None:
    with raises_error(
        ConfigError,
        "shop.py defines no 'Cart.totl'.",
        "It defines Cart.total, Cart.total.plus, Cart.Item.total, rate, Cart, late, Cart.pay, "
        "Cart.Item.",
    ):
        definition("shop.py", SHOP, "Cart.totl")


def test_unknown_name_among_many() -> None:
    text = "".join(f"def f{number}(): ...\n" for number in range(20)) + "def mean(): ...\n"
    with raises_error(
        ConfigError, "a.py defines no 'maen'.", "It defines mean, f0, f1, f2, f3, f4, f5, f6, …."
    ):
        definition("a.py", text, "maen")


def test_file_without_definitions() -> None:
    with raises_error(
        ConfigError,
        "a.py defines no 'f'.",
        "It defines nothing: explain the whole file without ::NAME.",
    ):
        definition("a.py", "x = 1\n", "f")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(:\n    pass\n", "line 1: invalid syntax"),
        ("<!DOCTYPE html>\n", "line 1: invalid syntax"),
        ("(" * 500, "line 1: too many nested parentheses"),
    ],
)
def test_file_with_syntax_error(text: str, reason: str) -> None:
    with raises_error(
        ConfigError,
        f"a.py cannot be parsed as Python ({reason}).",
        "Explain the whole file without ::NAME.",
    ):
        definition("a.py", text, "f")


@pytest.mark.parametrize("kind", FAMILIES)
def test_prompt_per_family(kind: str) -> None:
    backend = Echo()
    text, whole = described(backend, name="rate", family=kind)
    assert whole
    (sent,) = backend.prompts
    assert (
        "shop.py:\n```python\n@functools.cache\ndef rate(country):\n    return 0.2\n```"
        in sent.text
    )
    assert "rate" in sent.text.partition("return 0.2\n```")[2]
    assert text == ("returns 1." if kind == "chat" else "It returns 1.")


def test_long_source_is_shortened() -> None:
    backend = Echo()
    long = "first = 1\n" + "x = 2  # two\n" * 5000 + "last = 3\n"
    _, whole = described(backend, long)
    assert not whole
    (sent,) = backend.prompts
    assert "first = 1\n" in sent.text
    assert "last = 3\n" in sent.text
    assert len(sent.text.split()) <= MAX_PROMPT_TOKENS


def test_special_tokens_in_source() -> None:
    backend = Echo()
    assert described(backend, 'END = "<issue_comment>"\n') == ("It returns 1.", True)
    assert 'END = "< issue_comment>"' in backend.prompts[0].text
