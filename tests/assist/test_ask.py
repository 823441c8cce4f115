"""Questions to a model, answered in words or with code."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises_error

from pytest_starcoder.assist.ask import ask, ask_for_code
from pytest_starcoder.assist.model_code import Code
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import PromptTooLong, UnreadableAnswer
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.code_blocks import python_problem
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.model.special_tokens import STARCODER2
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.schema import FAMILIES

FIBONACCI = "def fibonacci(n):\n    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)\n"
AGAIN = "Reword the question, or ask another model."


@dataclass
class Echo:
    """A backend in memory: it writes `answer` and records prompts; a token is a word."""

    answer: str
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
        on_text(self.answer)
        return Completion(self.answer, model.name, 10, 3, truncated=self.truncated)

    def version(self, deadline: Deadline) -> str:
        return ""

    def close(self) -> None: ...


def coded(
    answer: str, language: str = "python", *, kind: str = "auto", truncated: bool = False
) -> Code:
    return ask_for_code("Why?", language, Client(Echo(answer, truncated), Settings(family=kind)))


def prompted(question: str, language: str, kind: str) -> str:
    """The prompt for code."""
    backend = Echo(FIBONACCI)
    with_page = "<html></html>" if language == "html" else FIBONACCI
    backend.answer = f"```{language}\n{with_page}\n```" if kind == "chat" else with_page
    ask_for_code(question, language, Client(backend, Settings(family=kind)))
    return backend.prompts[0].text


def test_answer_in_words() -> None:
    said: list[str] = []
    completion = ask(" Why? \n", Client(Echo("  Because. \n"), Settings()), said.append)
    assert (completion.text, said) == ("Because.", ["Because. \n"])


@pytest.mark.parametrize("kind", FAMILIES)
def test_special_tokens_in_question(kind: str) -> None:
    for question in ("Why?", "".join(STARCODER2)):
        backend = Echo(" Because.")
        client = Client(backend, Settings(family=kind))
        ask(question, client, lambda _piece: None)
        assert ("< file_sep>" in backend.prompts[0].text) == (question != "Why?")
    harmless = prompted("Why?", "python", kind)
    hostile = prompted("".join(STARCODER2), "python", kind)
    assert [hostile.count(token) for token in STARCODER2] == [
        harmless.count(token) for token in STARCODER2
    ]


def test_question_too_long() -> None:
    backend = Echo(" Because.", window=1000)
    with raises_error(
        PromptTooLong,
        "The prompt (2051 characters) and an answer of 500 tokens do not fit the 1000 tokens of "
        "echo:1b.",
        "Send less, or use a model or server with a larger window.",
    ):
        ask("a " * 1000, Client(backend, Settings()), lambda _piece: None)
    assert backend.prompts == []


# --- how code is asked for ---


@pytest.mark.parametrize(
    ("kind", "language", "end"),
    [
        (
            "starcoder2",
            "python",
            "<file_sep>solutions/solution_1.py\n"
            "# Here is the correct implementation of the code exercise\n# Greet.\n#\n# Twice.\n\n",
        ),
        (
            "starcoder",
            "python",
            "<filename>solutions/solution_1.py<gh_stars>100-1000\n"
            "# Here is the correct implementation of the code exercise\n# Greet.\n#\n# Twice.\n\n",
        ),
        ("completion", "python", '"""Greet.\n\nTwice."""\n\n'),
        ("completion", "javascript", "// Greet.\n//\n// Twice.\n\n"),
        ("completion", "sql", "-- Greet.\n--\n-- Twice.\n\n"),
        ("completion", "css", "/*\nGreet.\n\nTwice.\n*/\n"),
        (
            "starcoder2",
            "html",
            "solutions/index.html\n<!--\nGreet.\n\nTwice.\n-->\n<!DOCTYPE html>\n",
        ),
        ("starcoder2-instruct", "html", "### Response\n```html\n<!DOCTYPE html>\n"),
        ("starcoder2-instruct", "python", "### Response\n```python\n"),
        (
            "chat",
            "python",
            "Greet.\n\nTwice.\n\nAnswer with one block of python code and nothing else.",
        ),
    ],
)
def test_end_of_prompt(kind: str, language: str, end: str) -> None:
    if language in ("javascript", "sql", "css"):
        backend = Echo("let x = 1;\n")
        ask_for_code("Greet.\n\nTwice.", language, Client(backend, Settings(family=kind)))
        assert backend.prompts[0].text == end
    else:
        assert prompted("Greet.\n\nTwice.", language, kind).endswith(end)


def test_quotes_in_question() -> None:
    text = prompted('Print """a"""\\', "python", "completion")
    assert text == "\"\"\"Print '''a'''\\\\\"\"\"\n\n"
    ast.parse(text)


# --- what comes back ---


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        pytest.param("starcoder2", FIBONACCI, id="alone"),
        pytest.param("starcoder2", f"\n\n{FIBONACCI}\n\n", id="blank lines"),
        pytest.param("starcoder2", FIBONACCI.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(
            "starcoder2", f"{FIBONACCI}\nThis is how it works: one calls it.\n", id="prose after"
        ),
        pytest.param(
            "starcoder2", f"Here it is, as you wanted it.\n\n{FIBONACCI}", id="prose before"
        ),
        pytest.param("chat", f"Sure!\n\n```python\n{FIBONACCI}```\nIt works.", id="fenced"),
        pytest.param("chat", f"```\n{FIBONACCI}```", id="fence without a language"),
        pytest.param(
            "chat", f"```bash\npip install x\n```\n```py\n{FIBONACCI}```", id="two blocks"
        ),
        pytest.param(
            "chat",
            f"import os is needed.\n```python\n{FIBONACCI}```",
            id="prose that looks like code",
        ),
        pytest.param(
            "chat",
            f"import os\n\nHere is the code:\n```python\n{FIBONACCI}```",
            id="code before the fence",
        ),
        pytest.param("chat", f"<think>x = 1</think>```python\n{FIBONACCI}```", id="a thought"),
        pytest.param("chat", f"```python\n{FIBONACCI}", id="a fence that never ends"),
    ],
)
def test_code_is_extracted(kind: str, answer: str) -> None:
    code = coded(answer, kind=kind)
    assert (code.text, code.checked, code.model) == (FIBONACCI, True, "echo:1b")


@pytest.mark.parametrize("kind", FAMILIES)
def test_cut_line_is_dropped(kind: str) -> None:
    answer = f"{FIBONACCI}x = fibo"
    code = coded(f"```python\n{answer}" if kind == "chat" else answer, kind=kind, truncated=True)
    assert (code.text, code.cut) == (FIBONACCI, True)


def test_html_page() -> None:
    page = "<html><body><p>X</body></html>"
    assert coded(page, "html").text == f"<!DOCTYPE html>\n{page}\n"
    for own in (f"<!doctype html>\n{page}", f"Here it is:\n\n<!doctype html>\n{page}\nEnjoy!"):
        assert coded(own, "html").text == f"<!doctype html>\n{page}\n"
    assert not coded(page, "html").checked


def test_unchecked_language() -> None:
    code = coded("```rust\nfn main() {}\n```", "rust", kind="chat")
    assert (code.text, code.checked, code.cut) == ("fn main() {}\n", False, False)


@given(
    st.text(max_size=60)
    | st.lists(
        st.sampled_from(
            [
                "def f():",
                "    return 1",
                "Sure, here it is.",
                "```python",
                "```",
                "x = (",
                "<html>",
                "</html>",
            ]
        )
    ).map("\n".join),
    st.sampled_from(["python", "html"]),
    st.sampled_from(FAMILIES),
    st.booleans(),
)
def test_checked_code_parses(answer: str, language: str, kind: str, truncated: bool) -> None:
    try:
        code = coded(answer, language, kind=kind, truncated=truncated)
    except UnreadableAnswer:
        return
    assert code.checked == (language == "python")
    if code.checked:
        assert not python_problem(code.text)
    assert code.text.endswith("\n")
