"""A file changed by a model that is handed in: holes filled, lines rewritten."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.errors import told

from pytest_starcoder.assist.rewrite import complete, edit
from pytest_starcoder.assist.written_code import Rewrite
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import ConfigError, UnreadableAnswer
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.client import ROOM, Client
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.model.special_tokens import STARCODER2
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.schema import FAMILIES
from pytest_starcoder.source.diff import lines_of

MEAN = "def mean(xs):\n    total = sum(xs)\n    return total / len(xs)\n\n\ndef last(xs):\n    return xs[-1]\n"
OBEY = ("chat", "starcoder2-instruct")


@dataclass
class Echo:
    """A backend in memory: it writes `answer` up to the first stop and keeps what it was asked; a token is a word."""

    answer: str | Callable[[str], str]
    truncated: bool = False
    window: int = 16384
    asked: list[Prompt] = field(default_factory=list)
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
        self.asked.append(prompt)
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
        path, text, first, last, "Mend it.", Client(Echo(answer, truncated), Settings(family=kind))
    )


# --- complete ---


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
def test_what_is_written_stands_at_the_end_of_the_line(
    text: str, line: int, answer: str, after: str
) -> None:
    rewrite = completed(text, line, answer)
    assert rewrite.after == after
    assert (rewrite.before, rewrite.problem, rewrite.model) == (text, "", "echo:1b")


def test_the_model_sees_the_file_up_to_the_end_of_the_line_and_what_follows() -> None:
    backend = Echo("m(xs)")
    complete("shop/pricing.py", MEAN, 2, Client(backend, Settings(family="starcoder2")))
    before, after = MEAN.split(" = sum(xs)")
    assert backend.asked[0].text == (
        f"<repo_name>shop<file_sep><fim_prefix>shop/pricing.py\n{before} = sum(xs)<fim_suffix>{after}<fim_middle>"
    )


def test_the_model_sees_no_carriage_return() -> None:
    backend = Echo("\nz = 3")
    complete("a.py", "x = 1\r\ny = 2\r\n", 1, Client(backend, Settings(family="starcoder2")))
    assert "\r" not in backend.asked[0].text


def test_what_the_file_goes_on_with_ends_the_answer() -> None:
    backend = Echo(
        "\n    shown(total)\n    return total / len(xs)\n\n\ndef last(xs):\n    return xs[-1]\n"
    )
    rewrite = complete("shop.py", MEAN, 2, Client(backend, Settings(family="starcoder2")))
    assert backend.asked[0].stop == ("\n    return total / len(xs)\n",)
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
def test_lines_that_follow_anyway_are_not_said_again(
    text: str, line: int, answer: str, inserted: str
) -> None:
    assert completed(text, line, answer, kind="completion").inserted == inserted


def test_in_other_languages_too() -> None:
    rewrite = completed("function f() {\n  x();\n}\n", 2, "\n  return 1;\n}\n", "a.js")
    assert rewrite.after == "function f() {\n  x();\n  return 1;\n}\n"


@pytest.mark.parametrize("kind", ["starcoder2", "starcoder", "completion"])
def test_of_too_long_an_answer_the_longest_part_stays_with_which_the_file_parses(kind: str) -> None:
    answer = "\n    total = max(xs)\n    if total:\n        total = 0\n    for x in"
    rewrite = completed(MEAN, 1, answer, kind=kind)
    assert rewrite.inserted == "\n    total = max(xs)\n    if total:\n        total = 0"
    assert rewrite.problem == ""


def test_of_a_cut_answer_the_line_that_was_cut_is_left_out() -> None:
    cut = completed(MEAN, 2, "\n    a = 1\n    b = to", truncated=True)
    assert cut.inserted == "\n    a = 1"
    assert completed("a {\n", 1, "\n  b;\n  c", "a.css", truncated=True).inserted == "\n  b;"
    assert completed("x = 1\ny = \n", 2, "1234", truncated=True).inserted == "1234"


def test_what_keeps_a_file_from_being_parsed_is_told() -> None:
    rewrite = completed(MEAN, 2, "\n  )(")
    assert rewrite.after == MEAN.replace("sum(xs)\n", "sum(xs)\n  )(\n")
    assert (
        rewrite.problem
        == "the file would not parse any more (line 3: unindent does not match any outer indentation level)"
    )


def test_a_file_that_did_not_parse_before_may_still_not() -> None:
    assert completed("def f(:\nx = 1\n", 2, "\ny = 2").problem == ""


def test_a_file_that_is_not_python_is_not_parsed() -> None:
    rewrite = completed("# Shop\n\nSells.\n", 3, " Things (and\n  more", "README.md")
    assert rewrite.after == "# Shop\n\nSells. Things (and\n  more\n"
    assert rewrite.problem == ""


@pytest.mark.parametrize(
    "answer", ["", "\n", "  \n\t\n", "\n    return total / len(xs)\n\n\ndef last(xs):"]
)
def test_an_answer_with_nothing_new_is_an_error(answer: str) -> None:
    with told(
        UnreadableAnswer, "echo:1b wrote nothing there.", "Choose another line, or another model."
    ):
        completed(MEAN, 2, answer)


def test_a_file_of_ten_thousand_lines_is_shown_where_it_matters() -> None:
    lines = [f"x{number} = {number}  # line {number} of many\n" for number in range(10_000)]
    backend = Echo("\ny = 1")
    rewrite = complete(
        "big.py", "".join(lines), 5000, Client(backend, Settings(family="starcoder2"))
    )
    (sent,) = backend.asked
    assert len(sent.text.split()) <= ROOM
    assert (
        "".join(lines[4900:5000]).rstrip("\n") + "<fim_suffix>\n" + "".join(lines[5000:5050])
        in sent.text
    )
    assert rewrite.after == "".join([*lines[:5000], "y = 1\n", *lines[5000:]])


@pytest.mark.parametrize("line", [1, 3])
@pytest.mark.parametrize("kind", FAMILIES)
def test_a_line_that_is_longer_than_the_window_is_cut_in_the_prompt_alone(
    kind: str, line: int
) -> None:
    text = f"a = [{'1, ' * 9000}]\nb = 1\nc = [{'2, ' * 9000}]\n"
    backend = Echo("\nd = 1", window=4096)
    rewrite = complete("a.py", text, line, Client(backend, Settings(family=kind)))
    assert len(backend.asked[0].text.split()) < 4096
    assert rewrite.after.replace("d = 1\n", "", 1) == text


@pytest.mark.parametrize("kind", OBEY)
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
def test_a_block_of_code_is_put_where_the_line_wants_it(
    kind: str, text: str, line: int, answer: str, after: str
) -> None:
    answer = (
        f"Here it is:\n\n```python\n{answer}\n```\nDone."
        if kind == "chat"
        else f"{answer}\n```\nDone."
    )
    assert completed(text, line, answer, kind=kind).after == after


@pytest.mark.parametrize("kind", OBEY)
def test_a_block_in_another_language_goes_on_or_below(kind: str) -> None:
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
def test_without_holes_what_stands_in_a_block_ends_where_something_else_begins(
    text: str, line: int, ends: bool
) -> None:
    rewrite = completed(text, line, "\n    return 1\n\n\ndef g():\n    return 2", kind="completion")
    assert ("def g" in rewrite.inserted) != ends


# --- edit ---


@pytest.mark.parametrize(
    ("text", "lines", "answer", "after"),
    [
        pytest.param(
            "x = 1\ny = 2\nz = 3\n", "2-2", "y = 4\n", "x = 1\ny = 4\nz = 3\n", id="one line"
        ),
        pytest.param(
            MEAN,
            "2-3",
            "return max(xs)\n",
            MEAN.replace("total = sum(xs)\n    return total / len(xs)", "return max(xs)"),
            id="indented",
        ),
        pytest.param(
            MEAN,
            "2-3",
            "    return 1\n",
            MEAN.replace("total = sum(xs)\n    return total / len(xs)", "return 1"),
            id="by the model too",
        ),
        pytest.param(
            "if x:\n\tif y:\n\t\tz = 1\n",
            "2-3",
            "if y:\n\tz = 2",
            "if x:\n\tif y:\n\t\tz = 2\n",
            id="tabs",
        ),
        pytest.param("x = 1", "1-1", "x = 2\n", "x = 2", id="no newline at the end"),
        pytest.param(
            "x = 1\r\ny = 2\r\n", "1-2", "x = 3\n\ny = 4", "x = 3\r\n\r\ny = 4\r\n", id="CRLF"
        ),
        pytest.param(
            "x = 1\r\ny = 2", "2-2", "y = 3\nz = 4", "x = 1\r\ny = 3\r\nz = 4", id="CRLF, no end"
        ),
        pytest.param("x = 1\ry = 2\r", "1-1", "x = 2", "x = 2\ry = 2\r", id="CR"),
        pytest.param(
            "x = 1\n\n\ny = 2\n", "1-3", "x = 2\n\n", "x = 2\n\n\ny = 2\n", id="blank lines after"
        ),
        pytest.param(
            "x = 1\n\n\ny = 2\n", "2-4", "\ny = 3\n", "x = 1\n\n\ny = 3\n", id="blank lines before"
        ),
        pytest.param(
            "def f(:\n    pass\n",
            "1-1",
            "def f():",
            "def f():\n    pass\n",
            id="mends what did not parse",
        ),
    ],
)
def test_the_lines_are_replaced_and_nothing_else(
    text: str, lines: str, answer: str, after: str
) -> None:
    rewrite = edited(text, lines, answer)
    assert rewrite.after == after
    assert (rewrite.before, rewrite.problem) == (text, "")


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_family_is_shown_the_lines_and_the_instruction(kind: str) -> None:
    backend = Echo("```python\nreturn 1\n```" if kind == "chat" else "return 1\n")
    edit("shop.py", MEAN, 2, 3, "Return 1.", Client(backend, Settings(family=kind)))
    (sent,) = backend.asked
    assert "total = sum(xs)\nreturn total / len(xs)" in sent.text
    assert "Return 1." in sent.text
    assert "def last" not in sent.text


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("chat", "Sure! Here is the new code:\n\n```python\nreturn 1\n```\n\nIt returns 1."),
        ("chat", "```python\nreturn 1\n```"),
        ("chat", "```\n    return 1\n```"),
        ("starcoder2-instruct", "return 1\n```\nIt returns 1."),
        ("starcoder2", "return 1\n```\n\nusername_0: Thanks!"),
        ("completion", "return 1\n```\n\n---\nChange: Another."),
        ("starcoder", "return 1\n"),
    ],
)
def test_fences_and_prose_do_not_reach_the_file(kind: str, answer: str) -> None:
    assert edited(MEAN, "2-3", answer, kind=kind).inserted == "    return 1\n"


@pytest.mark.parametrize("answer", ["", "\n\n", "```\nusername_0: ?", "```"])
def test_an_answer_without_code_is_an_error(answer: str) -> None:
    with told(
        UnreadableAnswer,
        "echo:1b wrote nothing in place of these lines.",
        "Say it in other words, or ask another model.",
    ):
        edited(MEAN, "2-3", answer)


@pytest.mark.parametrize(
    "answer",
    [
        "total = sum(xs)\nreturn total / len(xs)\n",
        "    total = sum(xs)\n    return total / len(xs)\n\n",
    ],
)
def test_the_same_lines_again_are_an_error(answer: str) -> None:
    with told(
        UnreadableAnswer,
        "echo:1b wrote these lines as they are.",
        "Say it in other words, or ask another model.",
    ):
        edited(MEAN, "2-4", answer)


def test_blank_lines_cannot_be_edited() -> None:
    with told(
        ConfigError,
        "shop.py has nothing to change there: blank lines alone.",
        "Use `starcoder complete`.",
    ):
        edited(MEAN, "4-5", "x = 1")


def test_a_cut_answer_is_no_good() -> None:
    rewrite = edited(MEAN, "2-3", "return 1", truncated=True)
    assert rewrite.problem == (
        "the answer was cut (allow it more tokens with STARCODER_MAX_TOKENS, or name fewer lines)"
    )


def test_a_change_with_which_the_file_does_not_parse_is_no_good() -> None:
    assert (
        edited(MEAN, "2-3", "return (").problem
        == "the file would not parse any more (line 2: '(' was never closed)"
    )


@pytest.mark.parametrize(
    ("kind", "good"), [("starcoder2", False), ("chat", False), ("starcoder", True)]
)
def test_lines_with_a_fence_in_them_are_edited_by_forms_without_one_alone(
    kind: str, good: bool
) -> None:
    answer = "```\nb\n```" if kind == "chat" else "b\n"
    rewrite = edited("```\na\n```\n", "1-3", answer, "README.md", kind=kind)
    assert rewrite.problem == (
        "" if good else "these lines have ``` in them, at which an answer ends"
    )


@pytest.mark.parametrize("kind", FAMILIES)
def test_control_tokens_in_instruction_and_lines_are_made_text_and_come_back_as_they_were(
    kind: str,
) -> None:
    hostile = "".join(STARCODER2)
    text = f'A = "{hostile}"\nB = 1\n'
    harmless, backend = Echo("B = 2"), Echo(f'A = "{hostile.replace("<", "< ")}2"')
    if kind == "chat":
        backend.answer, harmless.answer = (
            f"```python\n{backend.answer}\n```",
            "```python\nB = 2\n```",
        )
    edit("a.py", text, 2, 2, "Mend.", Client(harmless, Settings(family=kind)))
    rewrite = edit("a.py", text, 1, 1, f"Mend. {hostile}", Client(backend, Settings(family=kind)))
    for token in STARCODER2:
        assert backend.asked[0].text.count(token) == harmless.asked[0].text.count(token), token
    assert rewrite.after == f'A = "{hostile}2"\nB = 1\n'


def test_what_a_terminal_would_obey_reaches_neither_screen_nor_file() -> None:
    answer = "x = 2  # \x1b[2Kharmless\u202e\x07\n"
    assert edited("x = 1\n", "1-1", answer).after == "x = 2  # harmless\n"
    assert completed("x = 1\n", 1, "\n" + answer).after == "x = 1\nx = 2  # harmless\n"


def test_half_a_surrogate_pair_can_be_written() -> None:
    edited("x = 1\n", "1-1", "x = '\ud83d'\n").after.encode("utf-8")
    completed("# Shop\n", 1, " \ud83d", "a.md").after.encode("utf-8")


# --- whatever file, whatever answer ---

LINES = (
    "def f(xs):", "    return 1", "    if xs:", "        x = 1", "\tx = 2", "x = 1", "y = (", ")", "class A:", "    ",
    "", "    def g(self):", "```", "```python", "# é", "@f", "import os", "    return ", '"""', "else:",
)  # fmt: skip
CODE = st.one_of(
    st.text(
        st.sampled_from("ab=1():#'\"\\[]{},. \t\n\r\f\u2028é`<>") | st.characters(), max_size=80
    ),
    st.tuples(st.sampled_from(["\n", "\r\n"]), st.lists(st.sampled_from(LINES), max_size=9)).map(
        lambda it: it[0].join(it[1])
    ),
)
PATHS = st.sampled_from(["a.py", "a.md", "a.js"])


@given(
    CODE.filter(bool), CODE, st.integers(1, 100), PATHS, st.sampled_from(FAMILIES), st.booleans()
)
def test_complete_changes_nothing_but_what_it_inserts(
    text: str, answer: str, line: int, path: str, kind: str, truncated: bool
) -> None:
    lines = lines_of(text)
    line = (line - 1) % len(lines) + 1
    try:
        rewrite = completed(text, line, answer, path, kind=kind, truncated=truncated)
    except UnreadableAnswer:
        return
    before = "".join(lines[: line - 1]) + lines[line - 1].rstrip("\r\n")
    assert rewrite.after == before + rewrite.inserted + text[len(before) :]
    assert rewrite.inserted.strip()
    assert rewrite.problem or path != "a.py" or parses(rewrite.after) or not parses(text)


@given(
    CODE.filter(bool),
    CODE,
    st.integers(1, 100),
    st.integers(0, 5),
    PATHS,
    st.sampled_from(FAMILIES),
)
def test_edit_changes_nothing_but_the_lines_it_was_given(
    text: str, answer: str, first: int, more: int, path: str, kind: str
) -> None:
    lines = lines_of(text)
    first = (first - 1) % len(lines) + 1
    last = min(first + more, len(lines))
    try:
        rewrite = edited(text, f"{first}-{last}", answer, path, kind=kind)
    except (UnreadableAnswer, ConfigError):
        return
    before, after = "".join(lines[: first - 1]), "".join(lines[last:])
    assert rewrite.after.startswith(before)
    assert rewrite.after.endswith(after)
    assert len(rewrite.after) >= len(before) + len(after)
    assert rewrite.problem or path != "a.py" or parses(rewrite.after) or not parses(text)


def parses(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


# --- secrets: the model does not see them, and the file keeps them ---

LOGIN = "user = 'ann'\npassword = 'Zq8xV3nB7mK2'\nport = 1\n"

NOT_SHOWN = (
    UnreadableAnswer,
    "echo:1b wrote [redacted] where there was no secret before.",
    "Choose lines without secrets, or change these by hand.",
)


def rewritten(answer: str, text: str = LOGIN, last: int = 3) -> str:
    client = Client(Echo(answer), Settings(family="starcoder2-instruct"))
    return edit("app.py", text, 1, last, "Use port 2.", client).after


def test_a_kept_secret_goes_back() -> None:
    answer = "user = 'ann'\npassword = '[redacted]'\nport = 2\n"
    assert rewritten(answer) == LOGIN.replace("port = 1", "port = 2")


def test_a_moved_secret_goes_back() -> None:
    answer = "port = 2\nlogin('ann', password='[redacted]')\n"
    assert rewritten(answer) == "port = 2\nlogin('ann', password='Zq8xV3nB7mK2')\n"


def test_an_unclear_secret_is_refused() -> None:
    text = "password = 'Zq8xV3nB7mK2'\napi_token = 'Wm4kP9rT2vX6'\n"
    with told(*NOT_SHOWN):
        rewritten("secrets = ['[redacted]']\n", text, 2)


def test_a_new_secret_is_refused() -> None:
    client = Client(Echo("password = '[redacted]'"), Settings(family="starcoder2"))
    with told(*NOT_SHOWN):
        complete("app.py", "user = 'ann'\n\n", 2, client)


@pytest.mark.parametrize("line", [1, 3])
def test_no_secret_is_sent(line: int) -> None:
    backend = Echo("x = 2")
    complete("app.py", LOGIN, line, Client(backend, Settings(family="starcoder2")))
    assert ["Zq8xV3nB7mK2" in prompt.text for prompt in backend.asked] == [False]
