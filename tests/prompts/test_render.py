"""The forms: what every one of them promises, whatever a user's text holds."""

from __future__ import annotations

import re
from importlib.resources import files
from string import Template

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.prompts import FORMS, family, render
from pytest_starcoder.text.sentinels import STARCODER2
from pytest_starcoder.values import Model

by_form = pytest.mark.parametrize("form", FORMS, ids="-".join)

SENTINEL = re.compile("|".join(map(re.escape, STARCODER2)))

nasty = st.lists(
    st.sampled_from([*STARCODER2, "<", ">", "<pr", "_comment>", "$title", "${lead}", "$$", "\n", " ", "def", "\u200b"])
    | st.text(max_size=5),
    max_size=8,
).map("".join)


def template(form: tuple[str, str]) -> str:
    return (files("pytest_starcoder.prompts") / form[0] / f"{form[1]}.txt").read_text("utf-8")


@by_form
def test_a_form_ends_with_its_lead_and_nothing_after_it(form: tuple[str, str]) -> None:
    prompt = render(*form, title="a test", evidence="assert 1 == 2")
    assert prompt.text.endswith(FORMS[form].lead)
    assert FORMS[form].lead.strip() == FORMS[form].lead != ""


@by_form
def test_a_form_carries_how_its_answer_ends(form: tuple[str, str]) -> None:
    prompt, shape = render(*form, title="a", evidence="b"), FORMS[form]
    assert (prompt.stop, prompt.stop_tokens, prompt.max_tokens) == (shape.stop, shape.stop_tokens, shape.max_tokens)
    assert prompt.stop, "Ollama from 0.30 on ends at no control token"
    assert 0 < prompt.max_tokens <= 500


@by_form
def test_a_form_has_its_parts_in_it(form: tuple[str, str]) -> None:
    text = render(*form, title="THE TITLE", evidence="THE EVIDENCE").text
    assert text.index("THE TITLE") < text.index("THE EVIDENCE") < text.rindex(FORMS[form].lead)


@by_form
def test_what_is_the_same_for_every_prompt_comes_first(form: tuple[str, str]) -> None:
    """Servers remember a prompt's beginning, so that only the rest of the next one needs work."""
    found = template(form)
    assert 0 < found.index("$title") < found.index("$evidence")


@by_form
def test_a_missing_part_is_an_error_of_ours(form: tuple[str, str]) -> None:
    with pytest.raises(KeyError, match="evidence"):
        render(*form, title="a")


@by_form
def test_control_tokens_in_stops_are_those_of_the_family(form: tuple[str, str]) -> None:
    assert set(FORMS[form].stop_tokens) <= set(STARCODER2)
    assert not SENTINEL.search("".join(FORMS[form].stop))
    if form[0] != "starcoder2":
        assert not SENTINEL.search(template(form))


@by_form
@given(title=nasty, evidence=nasty)
def test_no_text_of_a_user_puts_a_sentinel_into_a_prompt(form: tuple[str, str], title: str, evidence: str) -> None:
    text = render(*form, title=title, evidence=evidence).text
    assert SENTINEL.findall(text) == SENTINEL.findall(template(form))


@by_form
@given(text=st.text("ab$ {}()\\%\n", max_size=30))
def test_a_dollar_in_a_users_text_is_a_dollar(form: tuple[str, str], text: str) -> None:
    filled = Template(template(form).removesuffix("\n")).substitute(title="t", evidence="\0", lead=FORMS[form].lead)
    assert render(*form, title="t", evidence=text).text == filled.replace("\0", text)


@pytest.mark.parametrize(
    ("architecture", "name", "chosen", "expected"),
    [
        ("starcoder2", "anything", "auto", "starcoder2"),
        ("", "starcoder2:7b", "auto", "starcoder2"),
        ("", "StarCoder2-3B.gguf", "auto", "starcoder2"),
        ("starcoder", "starcoder:7b", "auto", "completion"),
        ("gemma3", "gemma-3-270m", "auto", "completion"),
        ("", "", "auto", "completion"),
        ("starcoder2", "starcoder2:7b", "completion", "completion"),
        ("gemma3", "gemma", "starcoder2", "starcoder2"),
    ],
)
def test_the_family_is_the_architectures_or_the_names_unless_chosen(
    architecture: str, name: str, chosen: str, expected: str
) -> None:
    assert family(Model(name, "d", architecture, 4096), chosen) == expected


def test_every_family_has_every_form() -> None:
    families = {name for name, _form in FORMS}
    assert {(name, form) for name in families for _name, form in FORMS} == set(FORMS)
