"""Code is extracted from answers unchanged, and prose is never taken for code."""

from __future__ import annotations

import ast
import gzip
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_starcoder.model.code_blocks import (
    MAX_PARSED_CHARACTERS,
    extract_code,
    file_language,
    language_name,
    parsing_prefix,
    python_problem,
    requested_language,
)
from pytest_starcoder.source.diff import split_lines

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "codegen"

ADD = "def add(a, b):\n    return a + b\n"
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Tic-Tac-Toe</title>
  <style>td { width: 3em }</style>
</head>
<body>
  <ul><li>one<li>two</ul>
  <table><tr><td>X<td>O<tr><td><br><td></table>
  <svg viewBox="0 0 1 1"><path d="M0 0"/><linearGradient id="g"></linearGradient></svg>
  <script>if (1 < 2 && "<b>") { document.write("</p>"); }</script>
</body>
</html>
"""
README = """\
# Tic Tac Toe

A simple single-page tic-tac-toe game written in HTML, CSS and JavaScript.

## Installation

```bash
git clone https://github.com/someone/tic-tac-toe.git
cd tic-tac-toe
```

## Usage

Open `index.html` in your browser.<br>
"""


# --- which language ---


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("how to add two numbers in tuple in python", "python"),
        ("Reverse a list", "python"),
        ("", "python"),
        ("single page tic-tac-toe game", "html"),
        ("Write a single-page todo list", "html"),
        ("Make me an HTML page with a function that counts in JavaScript", "javascript"),
        ("a web page with a JavaScript counter", "html"),
        ("Build a website for my band", "html"),
        ("Create index.html with a form", "html"),
        ("a function that parses HTML", "python"),
        ("website scraper", "python"),
        ("Write a Python script that finds links in HTML", "python"),
        ("a function that stores rows in SQLite", "python"),
        ("a function that runs a SQL query", "python"),
        ("a SQL query that joins two tables", "sql"),
        ("Write a function in SQL that adds a day", "sql"),
        ("A CSS rule that centres a box", "css"),
        ("a JavaScript function that escapes HTML", "javascript"),
        ("debounce in TypeScript", "typescript"),
        ("Java class for a stack", "java"),
        ("quicksort in C", "c"),
        ("quicksort in C++", "c++"),
        ("quicksort in C#", "c#"),
        ("a C program that prints primes", "c"),
        ("Go program that sums a file", "go"),
        ("hello world in Go", "go"),
        ("a Golang worker pool", "go"),
        ("go through a list and go on to the next", "python"),
        ("Where does it go in one go?", "python"),
        ("remove the rust from a list of cars", "python"),
        ("binary search in Rust", "rust"),
        ("a Ruby gem", "ruby"),
        ("a PHP login form", "php"),
        ("a bash one-liner", "bash"),
        ("a shell script that renames files", "bash"),
        ("Translate this from Python to JavaScript", "javascript"),
        ("Rewrite the Java class in Python", "python"),
        ("a javascriptlike thing, goroutine, rusty, cpython", "python"),
    ],
)
def test_requested_language(question: str, language: str) -> None:
    assert requested_language(question) == language


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a/b.py", "python"),
        ("INDEX.HTML", "html"),
        ("x.tsx", "typescript"),
        ("x.kt", "kotlin"),
        ("x.pl", "perl"),
        ("x.r", "r"),
        ("x.sql", "sql"),
        ("x.hpp", "c++"),
        ("py", ""),
        ("a/Makefile", "make"),
        (".py/x", ""),
        ("x.unknown", ""),
        ("", ""),
    ],
)
def test_file_language(path: str, language: str) -> None:
    assert file_language(path) == language


# --- fenced ---


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(f"Sure!\n\n```python\n{ADD}```\n\nIt adds.", id="backticks"),
        pytest.param(f"~~~python\n{ADD}~~~", id="tildes"),
        pytest.param(f"```py\n{ADD}```", id="py"),
        pytest.param(f"```Python3\n{ADD}```", id="Python3"),
        pytest.param(f"```python3.11\n{ADD}```", id="with a version"),
        pytest.param(f"``` python\n{ADD}```", id="space before the label"),
        pytest.param(f"```python {{.numberLines}}\n{ADD}```", id="attributes"),
        pytest.param(f"```{{.python .numberLines}}\n{ADD}```", id="label in braces"),
        pytest.param(f'```python title="add.py"\n{ADD}```', id="title"),
        pytest.param(f"```python:add.py\n{ADD}```", id="path"),
        pytest.param(f"```\n{ADD}```", id="no label"),
        pytest.param(f"Sure:\n```python\n{ADD}", id="never ends"),
        pytest.param(f"````\n```python\n{ADD}```\n````\n", id="nested, no label"),
        pytest.param(f"````markdown\n# Add\n```python\n{ADD}```\n````\n", id="nested in Markdown"),
        pytest.param(f"Here is the code: ```python\n{ADD}```", id="fence after words"),
        pytest.param(f"1. ```python\n{ADD}```", id="fence in a list"),
        pytest.param(
            "1. Add:\n\n   ```python\n   def add(a, b):\n       return a + b\n   ```\n",
            id="indented",
        ),
        pytest.param(
            "\t```python\n\tdef add(a, b):\n\t    return a + b\n\t```\n", id="indented with a tab"
        ),
        pytest.param(
            f"```python\n{ADD}```\n\nTry it:\n\n```python\nprint(add(1, 2), add(3, 4), add(5, "
            "6))\n```",
            id="use",
        ),
        pytest.param(
            f"```python\ndef add(a, b)\n    return a + b + c + d + e\n```\nor\n```python\n{ADD}```",
            id="broken",
        ),
        pytest.param(
            f"```bash\npip install add\n```\n```\n$ python add.py\n```\n```python\n{ADD}```",
            id="others",
        ),
        pytest.param(f"```python\n```\n\n```python\n{ADD}```", id="an empty one"),
        pytest.param(f"```pycon\n>>> add(1, 2)\n3\n```\n```\n{ADD}```", id="a session before"),
        pytest.param(f"{ADD}```\nThis adds two numbers.", id="the prompt had opened it"),
        pytest.param(f"\ufeff```python\n\ufeff{ADD}```", id="byte order marks"),
    ],
)
def test_fenced_block_is_extracted_unchanged(answer: str) -> None:
    assert extract_code(answer, "python") == ADD


def test_line_ends_and_tabs_stay() -> None:
    source = "def f():\r\n\treturn 1\r\n"
    assert extract_code(f"Sure:\r\n```python\r\n{source}```\r\n", "python") == source


def test_block_on_one_line() -> None:
    assert extract_code("```python print(add(1, 2))```", "python") == "print(add(1, 2))"
    assert extract_code("```print(1)``` prints", "python") == ""


def test_longer_definition_wins() -> None:
    longest = ADD + "\n\ndef twice(a):\n    return add(a, a)\n"
    assert extract_code(f"```python\n{ADD}```\nor\n```python\n{longest}```\n", "python") == longest
    assert extract_code(f"```python\n{longest}```\nor\n```python\n{ADD}```\n", "python") == longest


def test_cut_block_beats_small_example() -> None:
    cut = ADD + "\n\ndef twice(a):\n    return add(a,"
    assert extract_code(f"```python\nimport os\n```\n```python\n{cut}", "python") == cut


def test_fence_in_a_docstring() -> None:
    source = f'def f():\n    """Adds.\n\n```python\n{ADD}```\n    """\n    return 1\n'
    for answer in (
        f"```python\n{source}```\nDone.",
        f"```\n{source}```",
        f"````python\n{source}````",
        source,
    ):
        assert extract_code(answer, "python") == source


@pytest.mark.parametrize("language", ["python", "html", "javascript", "go"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(README, id="README"),
        pytest.param(README.replace("```bash", "```"), id="fence without label"),
        pytest.param(f"```\n{README}```\n", id="in a fence"),
        pytest.param(f"```markdown\n{README}```\n", id="in a Markdown fence"),
        pytest.param(f"````markdown\n{README}````\n", id="in a longer Markdown fence"),
        pytest.param(README.replace("```bash", "").replace("```", ""), id="no fence"),
        pytest.param("```bash\ngit clone https://example.org\n```", id="bash alone"),
        pytest.param("```console\n$ ls\n```\n```text\nfoo\n```", id="others alone"),
        pytest.param("", id="nothing"),
        pytest.param("```", id="a fence alone"),
        pytest.param("```python", id="a fence without newline"),
        pytest.param("Sure! Here is the code:", id="a promise"),
    ],
)
def test_readme_is_not_code(answer: str, language: str) -> None:
    assert extract_code(answer, language) == ""


@pytest.mark.parametrize(
    ("label", "language"),
    [
        ("js", "javascript"),
        ("mysql", "sql"),
        ("tsx", "typescript"),
        ("C#", "c#"),
        ("sh", "bash"),
        ("cpp", "c++"),
        ("golang", "go"),
        ("rs", "rust"),
    ],
)
def test_label_aliases(label: str, language: str) -> None:
    assert extract_code(f"```{label}\nanything\n```", language) == "anything\n"
    assert extract_code(f"```{language}\nanything\n```", label) == "anything\n"


def test_labelled_block_need_not_parse() -> None:
    for source in (
        'print "hello"\n',
        "%matplotlib inline\nx = 1\n",
        ">>> 1 + 1\n2\n",
        "if x:\n\u00a0\u00a0y = 1\n",
    ):
        assert extract_code(f"```python\n{source}```", "python") == source
        assert python_problem(source)
        assert extract_code(f"```\n{source}```", "python") == ""


# --- without a fence ---


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(ADD, ADD, id="all of it"),
        pytest.param(f"\n\n# Adds.\n\n{ADD}", f"\n\n# Adds.\n\n{ADD}", id="comments first"),
        pytest.param(f"Here is the code:\n\n{ADD}", ADD, id="preface"),
        pytest.param(f"Sure\n\n{ADD}\nEnjoy\n", ADD, id="words that parse"),
        pytest.param(
            f"Here you go:\n\n{ADD}\nThis adds a and b (really).\n", ADD + "\n", id="around"
        ),
        pytest.param(
            f"Here:\n# Adds.\n@cache\n{ADD}That's it!",
            f"# Adds.\n@cache\n{ADD}",
            id="comment and decorator",
        ),
        pytest.param(
            f"{ADD}\nAlternatively:\n\nimport x\n\n\n{ADD}",
            f"import x\n\n\n{ADD}",
            id="two alternatives",
        ),
        pytest.param(f"%matplotlib inline\n!pip install x\n{ADD}", ADD, id="magic"),
        pytest.param(f"Here is one:\n{ADD}\n\ndef broken(:\n", ADD + "\n\n", id="broken end"),
        pytest.param(">>> add(1, 2)\n3\n", "", id="session"),
        pytest.param('print "hello"\n', "", id="Python 2"),
        pytest.param(
            "All they do is\nimport taxes\nfrom abroad, every year.\n", "", id="wrapped prose"
        ),
        pytest.param("    return a + b\n", "", id="a body alone"),
    ],
)
def test_longest_unfenced_python(answer: str, code: str) -> None:
    assert extract_code(answer, "python") == code


def test_unfenced_html_page() -> None:
    assert extract_code(PAGE, "html") == PAGE
    assert (
        extract_code(f"Here is the page:\n\n{PAGE}\nOpen it in a browser.", "html") == PAGE.rstrip()
    )
    assert (
        extract_code("Sure: <HTML><body>Hi</body></HTML> Enjoy.", "html")
        == "<HTML><body>Hi</body></HTML>"
    )
    assert extract_code("İİİ <html>é</html>!", "html") == "<html>é</html>"


def test_cut_html_page_is_extracted() -> None:
    cut = "<html>\n<body>\n<table>\n<tr><td>X"
    assert extract_code(f"Here is a page:\n\n{cut}", "html").strip() == cut


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("javascript", "function add(a, b) {\n  // Adds them.\n  return a + b;\n}\n"),
        ("go", 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Println("hi")\n}\n'),
        ("c", "#include <stdio.h>\n\nint main(void) {\n    return 0;\n}\n"),
        ("ruby", 'def greet(name)\n  puts "Hello, my dear old friend."\nend\n'),
        ("rust", "fn main() {\n    let x = 1;\n}\n"),
        ("sql", "SELECT name FROM users\nWHERE age > 3\nORDER BY name\n"),
        ("bash", "#!/bin/sh\ngit clone https://example.org/x\ncd x\n"),
        ("css", "td {\n  width: 3em;\n}\n"),
    ],
)
def test_unlabelled_code_by_its_look(language: str, code: str) -> None:
    assert extract_code(code, language) == code
    assert extract_code(f"```\n{code}```", language) == code
    extracted = extract_code(
        f"This is a simple answer to that.\n\n{code}\nThis is all there is to it.", language
    )
    assert extracted.strip() == code.strip()
    assert extract_code(f"```python\n{code}```", language) == ""


SENTENCES = [
    "Sure",
    "Sure! Here is the code:",
    "Hello, world",
    "yes or no",
    "not sure",
    "Note: this",
    "Copyright (c)",
    "Enjoy (really)",
    "tic-tac-toe",
    "return home",
    "if so: stop",
    "yes if possible else no",
    "index.html",
    "someone@example.org",
    "# Tic Tac Toe",
    '"""A game."""',
    "...",
    "42",
    "I cannot help with that; it is not something that I know.",
    "First, create a file. Then (if you want) import the module and call it.",
    "For each item in the list, add it to the sum and return the result.",
    "Use the following steps: 1) open it; 2) close it.",
    "Select a cell, then click. While it runs, wait.",
    "",
    " \n\t\n",
]


@pytest.mark.parametrize("language", ["python", "html", "javascript", "sql", "go", "bash", "c"])
@pytest.mark.parametrize("text", SENTENCES)
def test_prose_is_not_code(text: str, language: str) -> None:
    for answer in (text, f"{text}\n", f"{text}\n\n{text}\n", f"```\n{text}\n```"):
        assert extract_code(answer, language) == ""


words = st.sampled_from(
    "the a game code returns import from class for while with you can it is not and or in page "
    "function value list of"
    " open print define try else".split()
)
sentences = st.lists(words, min_size=4, max_size=12).map(
    lambda chosen: " ".join(chosen).capitalize() + "."
)


@given(st.lists(sentences, min_size=1, max_size=6), st.sampled_from(["\n", "\n\n", " "]))
def test_random_sentences_are_not_code(drawn: list[str], between: str) -> None:
    text = between.join(drawn)
    for language in ("python", "html", "javascript", "go", "sql"):
        assert extract_code(text, language) == ""


# --- checked ---


@pytest.mark.parametrize(
    "code",
    [
        ADD,
        "x = 1",
        "import os",
        "print('hello')",
        "print ('hello')",
        "main()",
        "x += 1",
        "[f(x) for x in y]",
        '"\\d"; x = 1',
    ],
)
def test_python_without_problem(code: str) -> None:
    assert python_problem(code) == ""


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("x = 1\n  y = 2\n", "does not parse (line 2: unexpected indent)"),
        ("x = (\n", "does not parse (line 1: '(' was never closed)"),
        (
            "x = 1\ny = '\0'",
            "does not parse (line 2: a character that is not allowed in source code)",
        ),
        ("y = '\udce9'", "does not parse (line 1: a character that is not allowed in source code)"),
        ("-" * 50_000 + "1", "does not parse (nested too deeply)"),
        ("Sure", "is not code"),
        ('{"language": "python"}', "is not code"),
        ("# only this\n", "is not code"),
        ("x = 1\n" * 40_000, "is too long to be checked (240,000 characters)"),
    ],
)
def test_python_problem(code: str, problem: str) -> None:
    assert python_problem(code) == problem


# --- the part of a cut answer that parses ---


@pytest.mark.parametrize(
    ("code", "prefix"),
    [
        (ADD, ADD),
        (ADD + "\n\ndef twice(a):\n    return add(a,", ADD + "\n\n"),
        (ADD + "x = 1\nif x:\n    y = 1\n    z = (", ADD + "x = 1\nif x:\n    y = 1\n"),
        ('x = 1\ndef f():\n    """Never', "x = 1\n"),
        ("x = 1\ntry:\n    y = 1\n    z = 2\n", "x = 1\n"),
        ("x = 1\ntry:\n    y = 1\nz = 2\n", "x = 1\n"),
        (
            "def f():\n    x = 1\n    try:\n        y\n    finally:\n        z\n    try:\n       "
            " w",
            None,
        ),
        ("x = 1\n@cache\n", "x = 1\n"),
        ("x = 1\nif x:\n", "x = 1\n"),
        ("x = 1\r\ny = (\r\n", "x = 1\r\n"),
        ("x = 1\ny = '\0'\nz = 1\n", "x = 1\n"),
        ("x = 1\n" + "-" * 50_000 + "1", "x = 1\n"),
        ("Sure! Here it is:\n" + ADD, ""),
        ("\n\n)", ""),
        ("", ""),
    ],
)
def test_parsing_prefix(code: str, prefix: str | None) -> None:
    expected = code[: code.rindex("    try")] if prefix is None else prefix
    assert parsing_prefix(code) == expected


PIECES = (
    "x = 1/if x:/  y/  try:/    z/  finally:/try:/except E:/else:/f(/'a'/@d/def f():/  return/"
    '/#/    \\/\tw/a b/"""'
)
pieces = st.sampled_from(PIECES.split("/")).map("{}\n".format)


@settings(max_examples=200)
@given(st.lists(pieces, max_size=9).map("".join))
def test_prefix_is_the_longest(code: str) -> None:
    lines = split_lines(code)
    parsing = [
        part
        for end in range(len(lines) + 1)
        if parses(part := "".join(lines[:end])) and part.strip()
    ]
    assert parsing_prefix(code) == max(parsing, key=len, default="")


def parses(code: str) -> bool:
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


# --- any text at all ---

anything = st.text(st.characters(exclude_categories=()))  # lone surrogates as well
hostile = st.lists(
    st.one_of(
        anything,
        st.sampled_from(
            "```\n|```python\n|```html\n|~~~\n|````\n|\n|\r\n|\r|<html>|</html>|<script>|<div>|<!--|<![|</".split(
                "|"
            )
        ),
        st.sampled_from(
            [
                "x = 1\n",
                "def f():\n",
                "  y\n",
                '"""',
                "(",
                "Sure. ",
                "<p>",
                "&#",
                "\ufeff",
                "\0",
                "import a\n",
            ]
        ),
        st.sampled_from([ADD, PAGE, README]),
    )
).map("".join)
languages = st.sampled_from(["python", "html", "javascript", "sql", "bash", "", "?", "{"])


@settings(max_examples=200)
@given(hostile, languages)
def test_any_text_is_handled(text: str, language: str) -> None:
    python_problem(text)
    language_name(text)
    requested_language(text)
    file_language(text)
    code = extract_code(text, language)
    assert (
        not code
        or code in text.replace("\ufeff", "")
        or code in text
        or "```" in text
        or "~~~" in text
    )
    prefix = parsing_prefix(text)
    assert text.startswith(prefix)
    assert parses(prefix)


@settings(max_examples=200)
@given(
    hostile.map(lambda text: text.replace("python", "")),
)
def test_unlabelled_code_parses(text: str) -> None:
    code = extract_code(text, "python")
    assert not code or not python_problem(code)


sources = st.sampled_from(
    [Path(module.__file__ or "").read_text("utf-8") for module in (ast, json, random, gzip)]
)


@given(
    st.one_of(
        sources,
        st.lists(
            st.sampled_from([ADD, "x = '''\n\n'''\n", "\n", "\tif y: z\n", "a = '\u00e9'\n"])
        ).map("".join),
    )
)
def test_fenced_python_round_trips(source: str) -> None:
    if source.strip():
        assert extract_code(f"Here:\n\n```python\n{source}```\n\nThat is it.", "python") == source


HOSTILE_PIECES = {
    "fences": "```\n",
    "blocks": "```python\nx\n```\n",
    "docstrings": '```python\n"""\n```\n',
    "calls": "f(\n",
    "try": "try:\n",
    "comments": "# c\n",
    "tags": "<html>",
    "languages": "in go ",
}


@pytest.mark.slow
@pytest.mark.parametrize("piece", HOSTILE_PIECES.values(), ids=HOSTILE_PIECES)
def test_long_answers_are_fast(piece: str) -> None:
    long = piece * (300_000 // len(piece))
    short = long[: MAX_PARSED_CHARACTERS - 10]
    assert seconds(requested_language, long) < 10
    assert seconds(parsing_prefix, short) < 10
    for text in (long, short):
        for language in ("python", "html"):
            assert seconds(extract_code, text, language) < 10


def seconds(call: Callable[..., object], *arguments: str) -> float:
    begun = time.process_time()
    call(*arguments)
    return time.process_time() - begun


# --- recorded ---


def recorded() -> Iterator[str]:
    """Yield the programs of starcoder2-15b-instruct for HumanEval and MBPP."""
    with gzip.open(RECORDED / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as lines:
        prompts = {task["task_id"]: task["prompt"] for task in map(json.loads, lines)}
    for name in ("humaneval", "mbpp"):
        (path,) = (RECORDED / "starcoder2-outputs").glob(f"*-{name}.jsonl")
        for task in map(json.loads, path.read_text("utf-8").splitlines()):
            written = task.get("completion") or task["solution"]
            yield prompts.get(task["task_id"], "") + written


@pytest.mark.skipif(
    not RECORDED.is_dir(), reason="no shared/data/codegen beside the project's root"
)
def test_recorded_programs() -> None:
    programs = [program for program in recorded() if parses(program)]
    chance = random.Random(7)
    for program in programs:
        assert python_problem(program) == ""
        assert (
            extract_code(f"Here is the code:\n\n```python\n{program}```\n\nIt works.", "python")
            == program
        )
        assert extract_code(f"```\n{program}```\n", "python") == program
        assert extract_code(program, "python") == program
        assert extract_code(program, "html") == ""
        cut = program[: chance.randrange(len(program))]
        prefix = parsing_prefix(cut)
        assert cut.startswith(prefix)
        assert parses(prefix)
    assert len(programs) > 550
