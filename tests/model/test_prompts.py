"""The forms: the rules for all of them, and the exact text of each family."""

from __future__ import annotations

import re
from importlib.resources import files
from string import Template

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_starcoder.model.fill_tokens import FILL_TOKENS
from pytest_starcoder.model.prompt import Model
from pytest_starcoder.model.prompts import FORMS, model_family, render
from pytest_starcoder.model.special_tokens import FIRST_STARCODER, STARCODER2
from pytest_starcoder.settings.schema import FAMILIES

by_form = pytest.mark.parametrize("form", FORMS, ids="-".join)

PARTS = {
    **dict.fromkeys(
        ("review", "review-state", "review-line"),
        ("title", "repository", "path", "base", "hunk", "until", "numbered", "line", "source"),
    ),
    "explain": ("code", "case"),
    "ask": ("question", "title"),
    "code": ("question", "request", "file", "language", "opening"),
    "describe": ("name", "code"),
    "fill": ("repository", "path", "language", "before", "after"),
    **dict.fromkeys(
        ("test", "test-fill"),
        (
            *("repository", "path", "code", "conftest", "fixtures", "file", "before", "after"),
            *("opening", "language", "name", "gaps"),
        ),
    ),
    "edit": ("path", "language", "code", "instruction"),
}
"""Parts that a form may get; each family uses the ones it needs."""

VOCABULARY = {
    "starcoder2": STARCODER2,
    "starcoder2-instruct": STARCODER2,
    "starcoder": FIRST_STARCODER,
    "chat": (),
    "completion": (),
    **{
        row: (*tokens.hole, *tokens.files, *tokens.stops)
        for row, tokens in FILL_TOKENS.items()
        if "starcoder" not in row
    },
}

SPECIAL_TOKEN = re.compile("|".join(map(re.escape, {*STARCODER2, *FIRST_STARCODER})))

pieces = [
    *STARCODER2,
    *FIRST_STARCODER,
    "<",
    ">",
    "<pr",
    "_comment>",
    "$title",
    "${lead}",
    "$$",
    "\n",
    "def",
    "\u200b",
]
nasty = st.lists(st.sampled_from(pieces) | st.text(max_size=5), max_size=8).map("".join)


def filled(form: tuple[str, str], **parts: str) -> str:
    """The text of a form, each part that is not told being empty."""
    return render(*form, **{**dict.fromkeys(PARTS[form[1]], ""), **parts}).text


def needed(form: tuple[str, str]) -> set[str]:
    """The parts that a form names; the instruct model uses the instructions for chats."""
    instructed = (
        form[0] == "starcoder2-instruct" and form[1] != "review"
    )  # a chat is asked for JSON
    names = set(
        Template(template("chat" if instructed else form[0], form[1])).get_identifiers()
    ) - {"lead"}
    fenced = (
        {"language", "opening"} & {*PARTS[form[1]]}
        if instructed and FORMS[form].stop == ("\n```",)
        else set()
    )
    return names | fenced


def template(family: str, name: str) -> str:
    return (files("pytest_starcoder.model.prompts") / family / f"{name}.txt").read_text("utf-8")


# --- every form ----------------------------------------------------------------------------


def test_every_family_has_every_form() -> None:
    shared = {(name, form) for name in FAMILIES for form in PARTS if "-" not in form}
    starcoder2_forms = {("starcoder2", "review-state"), ("starcoder2", "review-line")}
    filling = {(row, form) for row in FILL_TOKENS for form in ("fill", "test-fill")}
    assert {*FORMS} == shared | starcoder2_forms | filling


@by_form
def test_form_ends_with_lead(form: tuple[str, str]) -> None:
    lead = FORMS[form].lead
    assert filled(form).endswith(lead)
    assert lead == lead.strip()
    assert bool(lead) == (form[0] != "chat" and form[1] in ("explain", "describe"))


@by_form
def test_stops_of_forms(form: tuple[str, str]) -> None:
    prompt, shape = render(*form, **dict.fromkeys(PARTS[form[1]], "a")), FORMS[form]
    assert (prompt.stop, prompt.stop_tokens, prompt.max_tokens) == (
        shape.stop,
        shape.stop_tokens,
        shape.max_tokens,
    )
    assert prompt.chat == (form[0] == "chat")
    assert 0 < prompt.max_tokens <= 500, "Ollama from 0.30 on ignores stop tokens"


@by_form
def test_parts_are_filled_in(form: tuple[str, str]) -> None:
    text = filled(form, **{part: f"THE {part}" for part in PARTS[form[1]]})
    assert needed(form)
    assert {part for part in PARTS[form[1]] if f"THE {part}" in text} == needed(form)


@pytest.mark.parametrize("family", FAMILIES)
def test_constant_beginning_of_explanations(family: str) -> None:
    """Servers remember a prompt's beginning, so that only the rest of the next one needs work."""
    text = filled((family, "explain"), code="CODE", case="CASE")
    assert 0 < text.index("CODE") < text.index("CASE")
    assert "CASE" not in filled((family, "explain"), code="CASE", case="").partition("CASE")[0]


@by_form
def test_missing_part(form: tuple[str, str]) -> None:
    for part in needed(form) - {"opening"}:
        with pytest.raises(KeyError, match=part):
            render(*form, **{name: "a" for name in PARTS[form[1]] if name != part})


@by_form
def test_special_tokens_match_family(form: tuple[str, str]) -> None:
    shape, vocabulary = FORMS[form], set(VOCABULARY[form[0]])
    assert set(shape.stop_tokens) <= vocabulary
    assert set(SPECIAL_TOKEN.findall(filled(form))) <= vocabulary
    assert bool(shape.stop_tokens) == bool(vocabulary)
    assert not SPECIAL_TOKEN.search("".join((*shape.stop, shape.lead)))


@by_form
def test_stops_do_not_match_answers(form: tuple[str, str]) -> None:
    """An answer inside of a fence ends at its end, and may not begin with anything that ends it."""
    assert all(stop.startswith("\n") or stop in ("###", "username_") for stop in FORMS[form].stop)


any_form = st.sampled_from(list(FORMS))


@settings(max_examples=300)
@given(any_form, nasty)
def test_user_text_is_neutralized(form: tuple[str, str], text: str) -> None:
    full = filled(form, **dict.fromkeys(PARTS[form[1]], text))
    assert SPECIAL_TOKEN.findall(full) == SPECIAL_TOKEN.findall(filled(form))


@settings(max_examples=300)
@given(any_form, st.text("ab$ {}()\\%\n", max_size=30))
def test_dollar_in_text(form: tuple[str, str], text: str) -> None:
    marked = filled(form, **dict.fromkeys(PARTS[form[1]], "\0"))
    assert filled(form, **dict.fromkeys(PARTS[form[1]], text)) == marked.replace("\0", text)


# --- each family's own, to the letter ------------------------------------------------------


def test_starcoder2_explain() -> None:
    assert filled(("starcoder2", "explain"), code="def mean(): ...", case="assert 3 == 2") == (
        "<issue_start>Title: A test fails and I do not see why\n"
        "username_0: This is the code that the test runs.\n\n"
        "def mean(): ...\n\n"
        "assert 3 == 2\n\n"
        "What is the cause?<issue_comment>username_1: I had a look at the code. The test fails "
        "because"
    )


def test_starcoder2_ask() -> None:
    assert filled(("starcoder2", "ask"), question="How do I sort a list?") == (
        "<issue_start>username_0: How do I sort a list?\n<issue_comment>username_1:"
    )


def test_starcoder2_code() -> None:
    code = filled(
        ("starcoder2", "code"), file="solution_1.py", request="# Sort a list.", opening=""
    )
    assert code == "<repo_name>exercises<file_sep>solutions/solution_1.py\n# Sort a list.\n"


def test_starcoder2_fill() -> None:
    assert filled(
        ("starcoder2", "fill"),
        repository="shop",
        path="shop/a.py",
        before="def f",
        after="\n    pass",
    ) == ("<repo_name>shop<file_sep><fim_prefix>shop/a.py\ndef f<fim_suffix>\n    pass<fim_middle>")


def test_starcoder2_edit() -> None:
    edit = filled(
        ("starcoder2", "edit"),
        path="a.py",
        language="python",
        code="x = 1",
        instruction="Make it 2.",
    )
    assert edit == (
        "<issue_start>Title: Make it 2.\n"
        "username_0: In a.py we have this code.\n\n"
        "```python\nx = 1\n```\n\n"
        "Please change it: Make it 2.<issue_comment>username_1: Done. The new code:\n\n"
        "```python\n"
    )


def test_starcoder2_describe() -> None:
    assert filled(("starcoder2", "describe"), name="f", code="a.py:\ndef f(): ...") == (
        "<issue_start>Title: What does f do?\n"
        "username_0: I am reading this code and want to understand it.\n\n"
        "a.py:\ndef f(): ...\n\n"
        "What does f do, and how?<issue_comment>username_1: It"
    )


def test_starcoder_code() -> None:
    code = filled(("starcoder", "code"), file="solution_1.py", request="# Sort a list.", opening="")
    assert (
        code == "<reponame>exercises<filename>solutions/solution_1.py<gh_stars>100-1000\n"
        "# Sort a list.\n"
    )


def test_starcoder_edit() -> None:
    edit = filled(("starcoder", "edit"), code="x = 1", instruction="Make it 2")
    assert edit == "<commit_before>x = 1<commit_msg>Make it 2<commit_after>"


def test_starcoder_fill() -> None:
    assert filled(("starcoder", "fill"), path="a.py", before="def f", after="\n    pass") == (
        "<fim_prefix><filename>a.py\ndef f<fim_suffix>\n    pass<fim_middle>"
    )


def test_starcoder_ask() -> None:
    assert filled(("starcoder", "ask"), question="How do I sort a list?", title="Sort a list") == (
        "<issue_start>Sort a list\nusername_0: How do I sort a list?<issue_comment>username_1:"
    )


def test_instruct_frame() -> None:
    assert filled(("starcoder2-instruct", "ask"), question="How do I sort a list?") == (
        "<|endoftext|>You are an exceptionally intelligent coding assistant that consistently "
        "delivers accurate and "
        "reliable responses to user instructions.\n\n"
        "### Instruction\nHow do I sort a list?\n\n"
        "### Response\n"
    )


def test_instruct_code() -> None:
    parts = {"question": "Draw a page.", "language": "html", "opening": "<!DOCTYPE html>\n"}
    code = filled(("starcoder2-instruct", "code"), **parts)
    assert code.partition("### Instruction")[2] == (
        "\nDraw a page.\n\nAnswer with one block of html code and nothing else.\n\n"
        "### Response\n```html\n<!DOCTYPE html>\n"
    )


def test_chat_ask() -> None:
    assert filled(("chat", "ask"), question="How do I sort a list?") == "How do I sort a list?"


def test_completion_examples() -> None:
    text = filled(("completion", "ask"), question="How do I sort a list?")
    assert text.startswith(
        "Questions of programmers, each with a short and correct answer.\n\n---\nQuestion: "
    )
    assert text.endswith("\n---\nQuestion: How do I sort a list?\n\nAnswer:")


@pytest.mark.parametrize(
    ("form", "begins", "ends"),
    [
        ("explain", "Cause: The test fails because", "is one too small."),
        ("ask", "Answer:", '`count_words("to be or not")` is 4.'),
        ("describe", "`first`: It", "where `xs` is empty."),
        ("edit", "After:\n\n```python\n", "return sum(xs) / len(xs)"),
    ],
)
def test_stops_end_examples(form: str, begins: str, ends: str) -> None:
    answer = filled(("completion", form)).partition(begins)[2]
    stops = [answer.index(stop) for stop in FORMS["completion", form].stop if stop in answer]
    assert answer[: min(stops)].rstrip().endswith(ends)


# --- which family ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "architecture", "chat", "expected"),
    [
        # The server tells the architecture.
        ("anything", "starcoder2", False, "starcoder2"),
        ("mine-instruct", "starcoder2", False, "starcoder2-instruct"),
        ("anything", "starcoder", False, "starcoder"),
        ("gemma-3-270m", "gemma3", False, "completion"),
        ("gemma3:1b", "gemma3", True, "chat"),
        # Its name does.
        ("starcoder2:7b", "", False, "starcoder2"),
        ("starcoder2", "starcoder2", True, "starcoder2"),
        ("StarCoder2-3B-Q4_K_M.gguf", "", False, "starcoder2"),
        ("hf.co/second-state/StarCoder2-7B-GGUF:Q5_K_M", "", False, "starcoder2"),
        ("starcoder2:instruct", "starcoder2", True, "starcoder2-instruct"),
        ("bigcode/starcoder2-15b-instruct-v0.1", "", False, "starcoder2-instruct"),
        ("starcoder2-15b-instruct-v0.1.Q4_K_M.gguf", "", False, "starcoder2-instruct"),
        ("bigcode/starcoderplus", "", False, "starcoder"),
        ("bigcode/starcoderplus", "gpt_bigcode", True, "starcoder"),
        ("starcoderbase", "starcoder", False, "starcoder"),
        ("bigcode/starcoderbase-1b", "", False, "starcoder"),
        ("starcoder:15b", "", False, "starcoder"),
        ("bigcode/tiny_starcoder_py", "", False, "starcoder"),
        # Made from a StarCoder by others, who trained it to follow instructions.
        ("HuggingFaceH4/starchat2-15b-v0.1", "", False, "chat"),
        ("starchat2-15b-v0.1.gguf", "starcoder2", False, "chat"),
        ("starchat-beta", "starcoder", False, "chat"),
        ("dolphincoder:15b-starcoder2", "starcoder2", True, "chat"),
        ("granite-code:20b", "starcoder", True, "chat"),
        # All others: instruct models get instructions, base models get examples.
        ("qwen2.5-coder:7b", "qwen2", True, "chat"),
        ("qwen2.5-coder:7b", "", False, "completion"),
        ("qwen2.5-coder:7b-base", "qwen2", True, "completion"),
        ("Qwen/Qwen2.5-Coder-7B-Instruct", "", False, "chat"),
        ("llama3.1:8b", "llama", True, "chat"),
        ("llama3.1:8b", "llama", False, "completion"),
        ("gemma-3-1b-it", "", False, "chat"),
        ("gemma-3-1b-it-Q4_K_M.gguf", "gemma3", False, "chat"),
        ("italian-7b", "", False, "completion"),
        # Folders on the way to it do not.
        ("/models/chat/starcoder2-7b", "", False, "starcoder2"),
        ("/srv/instruct/gemma-3-270m", "", False, "completion"),
        ("", "", False, "completion"),
    ],
)
def test_detected_family(name: str, architecture: str, chat: bool, expected: str) -> None:
    assert model_family(Model(name, "d", architecture, 4096, chat)) == expected


@pytest.mark.parametrize("chosen", FAMILIES)
def test_chosen_family_wins(chosen: str) -> None:
    assert model_family(Model("starcoder2:7b", "d", "starcoder2", 4096), chosen) == chosen
