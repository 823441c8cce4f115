"""Code is completed at a line, and nothing else of the file changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import raises_error
from support.rewrites import CODE, INSTRUCT, MEAN, PATHS, Echo, completed, parses
from support.servers import FakeOllama

from pytest_starcoder.assist.complete import complete
from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.model.client import MAX_PROMPT_TOKENS, Client
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.schema import FAMILIES
from pytest_starcoder.source.diff import split_lines


@pytest.mark.parametrize(
    ("text", "line", "answer", "after"),
    [
        pytest.param(
            "x = 1\ny = 2\n", 1, "\nz = 3", "x = 1\nz = 3\ny = 2\n", id="after a whole line"
        ),
        pytest.param(
            "def f():\n\nx = 1\n",
            2,
            "    return 1",
            "def f():\n    return 1\nx = 1\n",
            id="blank line",
        ),
        pytest.param(
            "def f():\n    \nx = 1\n",
            2,
            "return 1",
            "def f():\n    return 1\nx = 1\n",
            id="indented blank",
        ),
        pytest.param(
            "def f(a, b):\n    return su\n",
            2,
            "m((a, b))",
            "def f(a, b):\n    return sum((a, b))\n",
            id="half",
        ),
        pytest.param(
            "def f(\n",
            1,
            "a):\n    return a",
            "def f(a):\n    return a\n",
            id="does not parse before",
        ),
        pytest.param("if x:\n\ty = 1\n", 2, "\n\tz = 2", "if x:\n\ty = 1\n\tz = 2\n", id="tabs"),
        pytest.param("x = 1", 1, "\ny = 2", "x = 1\ny = 2", id="no newline at the end"),
        pytest.param("x = 1\ny = ", 2, "2", "x = 1\ny = 2", id="last line"),
        pytest.param("x = 1\n\n", 2, "y = 2", "x = 1\ny = 2\n", id="last line, blank"),
        pytest.param("\n\nx = 1\n", 1, "import os", "import os\n\nx = 1\n", id="first line"),
        pytest.param("x = 1\n", 1, "\ny = 2\n\n\n", "x = 1\ny = 2\n", id="blank lines at the end"),
        pytest.param(
            "x = 1\r\ny = 2\r\n",
            1,
            "\nz = 3\nw = 4",
            "x = 1\r\nz = 3\r\nw = 4\r\ny = 2\r\n",
            id="CRLF",
        ),
        pytest.param(
            "x = 1\r\ny = 2", 2, "\r\nz = 3", "x = 1\r\ny = 2\r\nz = 3", id="CRLF, no end"
        ),
        pytest.param(
            "x = 1\ny = 2\r\n", 1, "\nz = 3", "x = 1\nz = 3\ny = 2\r\n", id="both line ends"
        ),
        pytest.param("x = 1\ry = 2\r", 1, "\nz = 3", "x = 1\rz = 3\ry = 2\r", id="CR"),
    ],
)
def test_code_is_inserted_at_line(text: str, line: int, answer: str, after: str) -> None:
    rewrite = completed(text, line, answer)
    assert rewrite.after == after
    assert (rewrite.before, rewrite.problem, rewrite.model) == (text, "", "echo:1b")


def test_prompt_has_both_sides() -> None:
    backend = Echo("m(xs)")
    complete("shop/pricing.py", MEAN, 2, Client(backend, Settings(family="starcoder2")))
    before, after = MEAN.split(" = sum(xs)")
    assert backend.prompts[0].text == (
        f"<repo_name>shop<file_sep><fim_prefix>shop/pricing.py\n{before} = "
        f"sum(xs)<fim_suffix>{after}<fim_middle>"
    )


def test_prompt_without_carriage_returns() -> None:
    backend = Echo("\nz = 3")
    complete("a.py", "x = 1\r\ny = 2\r\n", 1, Client(backend, Settings(family="starcoder2")))
    assert "\r" not in backend.prompts[0].text


def test_next_line_is_a_stop() -> None:
    backend = Echo(
        "\n    shown(total)\n    return total / len(xs)\n\n\ndef last(xs):\n    return xs[-1]\n"
    )
    rewrite = complete("shop.py", MEAN, 2, Client(backend, Settings(family="starcoder2")))
    assert backend.prompts[0].stop == ("\n    return total / len(xs)\n",)
    assert rewrite.inserted == "\n    shown(total)"


@pytest.mark.parametrize(
    ("text", "line", "answer", "inserted"),
    [
        (MEAN, 2, "\n    shown(total)\n    return total / len(xs)", "\n    shown(total)"),
        (
            MEAN,
            2,
            "\n    shown(total)\n    return total / len(xs)\n\n\ndef other(",
            "\n    shown(total)",
        ),
        (
            MEAN,
            5,
            "\ndef first(xs):\n    return xs[0]\n\n\ndef last(xs):",
            "\ndef first(xs):\n    return xs[0]",
        ),
        ("f(\n    1,\n)\n", 2, "\n    2,\n)\n", "\n    2,"),
        ("a = [\n\n]\nb = 1\n", 2, "    1,\n]\nb = 1", "    1,"),
    ],
)
def test_repeated_lines_are_dropped(text: str, line: int, answer: str, inserted: str) -> None:
    assert completed(text, line, answer, kind="completion").inserted == inserted


def test_repetition_in_other_languages() -> None:
    rewrite = completed("function f() {\n  x();\n}\n", 2, "\n  return 1;\n}\n", "a.js")
    assert rewrite.after == "function f() {\n  x();\n  return 1;\n}\n"


@pytest.mark.parametrize("kind", ["starcoder2", "starcoder", "completion"])
def test_longest_valid_start(kind: str) -> None:
    answer = "\n    total = max(xs)\n    if total:\n        total = 0\n    for x in"
    rewrite = completed(MEAN, 1, answer, kind=kind)
    assert rewrite.inserted == "\n    total = max(xs)\n    if total:\n        total = 0"
    assert rewrite.problem == ""


def test_cut_line_is_dropped() -> None:
    cut = completed(MEAN, 2, "\n    a = 1\n    b = to", truncated=True)
    assert cut.inserted == "\n    a = 1"
    assert completed("a {\n", 1, "\n  b;\n  c", "a.css", truncated=True).inserted == "\n  b;"
    assert completed("x = 1\ny = \n", 2, "1234", truncated=True).inserted == "1234"


def test_syntax_error_is_a_problem() -> None:
    rewrite = completed(MEAN, 2, "\n  )(")
    assert rewrite.after == MEAN.replace("sum(xs)\n", "sum(xs)\n  )(\n")
    assert (
        rewrite.problem
        == "the file would no longer parse (line 3: unindent does not match any outer "
        "indentation level)"
    )


def test_broken_file_may_stay_broken() -> None:
    assert completed("def f(:\nx = 1\n", 2, "\ny = 2").problem == ""


def test_other_languages_are_not_parsed() -> None:
    rewrite = completed("# Shop\n\nSells.\n", 3, " Things (and\n  more", "README.md")
    assert rewrite.after == "# Shop\n\nSells. Things (and\n  more\n"
    assert rewrite.problem == ""


@pytest.mark.parametrize(
    "answer", ["", "\n", "  \n\t\n", "\n    return total / len(xs)\n\n\ndef last(xs):"]
)
def test_empty_answer(answer: str) -> None:
    with raises_error(
        UnreadableAnswer, "echo:1b wrote nothing there.", "Choose another line, or another model."
    ):
        completed(MEAN, 2, answer)


def test_large_file_is_shortened() -> None:
    lines = [f"x{number} = {number}  # line {number} of many\n" for number in range(10_000)]
    backend = Echo("\ny = 1")
    rewrite = complete(
        "big.py", "".join(lines), 5000, Client(backend, Settings(family="starcoder2"))
    )
    (sent,) = backend.prompts
    assert len(sent.text.split()) <= MAX_PROMPT_TOKENS
    assert (
        "".join(lines[4900:5000]).rstrip("\n") + "<fim_suffix>\n" + "".join(lines[5000:5050])
        in sent.text
    )
    assert rewrite.after == "".join([*lines[:5000], "y = 1\n", *lines[5000:]])


@pytest.mark.parametrize("line", [1, 3])
@pytest.mark.parametrize("kind", FAMILIES)
def test_long_line_is_cut_in_prompt(kind: str, line: int) -> None:
    text = f"a = [{'1, ' * 5000}]\nb = 1\nc = [{'2, ' * 5000}]\n"
    backend = Echo("\nd = 1", window=4096)
    rewrite = complete("a.py", text, line, Client(backend, Settings(family=kind)))
    assert len(backend.prompts[0].text.split()) < 4096
    assert rewrite.after.replace("d = 1\n", "", 1) == text


@pytest.mark.parametrize("kind", INSTRUCT)
@pytest.mark.parametrize(
    ("text", "line", "answer", "after"),
    [
        pytest.param(
            "def f():\nx = 1\n",
            1,
            "return 1",
            "def f():\n    return 1\nx = 1\n",
            id="below a header",
        ),
        pytest.param(
            "def f():\n\nx = 1\n", 2, "return 1", "def f():\n    return 1\nx = 1\n", id="blank line"
        ),
        pytest.param(
            "def f():\n    \nx = 1\n",
            2,
            "y = 1\nreturn y",
            "def f():\n    y = 1\n    return y\nx = 1\n",
            id="indented",
        ),
        pytest.param(
            "def f():\n  a = 1\n", 2, "return a", "def f():\n  a = 1\n  return a\n", id="beside"
        ),
        pytest.param(
            "def f():\n\ta = 1\n\tif a:\n",
            3,
            "return a",
            "def f():\n\ta = 1\n\tif a:\n\t\treturn a\n",
            id="tabs",
        ),
        pytest.param(
            "def f():\n    return \n",
            2,
            "sum((1,\n2))",
            "def f():\n    return sum((1,\n    2))\n",
            id="half written",
        ),
        pytest.param(
            "def f():\n    return \n",
            2,
            "    return 1",
            "def f():\n    return 1\n",
            id="says the line again",
        ),
        pytest.param(
            "def f():\n    a =\n",
            2,
            "a = 1\nreturn a",
            "def f():\n    a = 1\n    return a\n",
            id="and goes on",
        ),
        pytest.param(
            "def f():\n    a = 1\n",
            2,
            "a = 1\nreturn a",
            "def f():\n    a = 1\n    return a\n",
            id="whole line again",
        ),
        pytest.param(
            "class A:\n    def f(self):\n        return 1\n",
            3,
            "    def g(self):\n        return 2",
            "class A:\n    def f(self):\n        return 1\n    def g(self):\n        return 2\n",
            id="its own margin",
        ),
        pytest.param(
            "def f():\n    return 1\n\n",
            3,
            "def g():\n    return 2",
            "def f():\n    return 1\ndef g():\n    return 2\n",
            id="back at the margin",
        ),
    ],
)
def test_block_placement(kind: str, text: str, line: int, answer: str, after: str) -> None:
    answer = (
        f"Here it is:\n\n```python\n{answer}\n```\nDone."
        if kind == "chat"
        else f"{answer}\n```\nDone."
    )
    assert completed(text, line, answer, kind=kind).after == after


def test_instruct_model_with_fill_tokens(ollama_double: FakeOllama) -> None:
    """It continues the text between its tokens; there is no block."""
    ollama_double.model, ollama_double.answer = "qwen2.5-coder:7b-instruct", "return 1"
    settings = Settings(backend="ollama", host=ollama_double.url, model=ollama_double.model)
    with Client.from_settings(replace(settings, cache="off")) as client:
        assert complete("a.py", "def f():\n    \nx = 1\n", 2, client).inserted == "return 1"
    assert ollama_double.prompts()[-1] == (
        "<|repo_name|>project\n<|file_sep|>a.py\n"
        "<|fim_prefix|>def f():\n    <|fim_suffix|>\nx = 1\n<|fim_middle|>"
    )


@pytest.mark.parametrize("kind", INSTRUCT)
def test_block_in_other_languages(kind: str) -> None:
    fenced = "```javascript\n{}\n```" if kind == "chat" else "{}\n```"
    below = completed("function f() {\n}\n", 1, fenced.format("return 1;"), "a.js", kind=kind)
    assert below.after == "function f() {\n    return 1;\n}\n"
    further = completed("let a = \n", 1, fenced.format("1;"), "a.js", kind=kind)
    assert further.after == "let a = 1;\n"


@pytest.mark.parametrize(
    ("text", "line", "ends"),
    [
        ("def f():\n    x = 1\n", 2, True),
        ("def f():\n", 1, True),
        ("def f():\n\n", 2, True),
        ("def f():\n    x = 1\n\n", 3, False),
        ("x = 1\n", 1, False),
    ],
)
def test_completion_ends_with_function(text: str, line: int, ends: bool) -> None:
    rewrite = completed(text, line, "\n    return 1\n\n\ndef g():\n    return 2", kind="completion")
    assert ("def g" in rewrite.inserted) != ends


@given(
    CODE.filter(bool), CODE, st.integers(1, 100), PATHS, st.sampled_from(FAMILIES), st.booleans()
)
def test_nothing_else_changes(
    text: str, answer: str, line: int, path: str, kind: str, truncated: bool
) -> None:
    lines = split_lines(text)
    line = (line - 1) % len(lines) + 1
    try:
        rewrite = completed(text, line, answer, path, kind=kind, truncated=truncated)
    except UnreadableAnswer:
        return
    before = "".join(lines[: line - 1]) + lines[line - 1].rstrip("\r\n")
    assert rewrite.after == before + rewrite.inserted + text[len(before) :]
    assert rewrite.inserted.strip()
    assert rewrite.problem or path != "a.py" or parses(rewrite.after) or not parses(text)
