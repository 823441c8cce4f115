"""The flaws of answers, and answers without loops and wrapping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.model.answer_quality import clean_answer, find_flaw
from pytest_starcoder.model.prompts import render

EXAMPLES = render("completion", "explain", code="", case="").text
QUESTION = (
    "Test: tests/test_shop.py::test_mean fails\n"
    "Seen: mean([1, 2, 3]) returned 3.0, the test expects 2"
)


@pytest.mark.parametrize(
    ("answer", "flaw"),
    [
        ("", "says nothing"),
        (" ...\n", "says nothing"),
        ("The test fails because <cause>", "is a placeholder"),
        ("The test fails because ...", "is a placeholder"),
        ("critical|high|medium|low", "is a placeholder"),
        ("[your reason here]", "is a placeholder"),
        ("TODO", "is a placeholder"),
        ('{"severity": "critical|high|medium|low"}', "is a placeholder"),
        (
            "The test fails because mean([1, 2, 3]) returned 3.0, the test expects 2.",
            "repeats the question",
        ),
        (
            "The test fails because `count_items` subtracts 1 from the number of items, so every "
            "count is "
            "one too small.",
            "repeats a worked example",
        ),
        (
            "It is wrong, and it is bad. It is wrong, and it is bad. It is wrong, and it is bad.",
            "repeats itself",
        ),
        ("the value of the value of the value of the value of", "repeats itself"),
        ("{}[]();:=+ {}[]();:=+ a", "is no sentence"),
    ],
)
def test_flawed_answer(answer: str, flaw: str) -> None:
    assert find_flaw(answer, QUESTION, EXAMPLES) == flaw


@pytest.mark.parametrize(
    "answer",
    [
        "The test fails because the divisor is one too small.",
        "The test fails because `mean` divides by `len(xs) - 1`.",
        "mean([1, 2, 3]) returned 3.0 since it divides by 2, not by 3.",
        "An empty list divides by zero. A guard is missing.",
        "The rate is the text '1.08', which is then added to a number.",
        "RATES['USD'] is a str.",
    ],
)
def test_good_answer_is_unchanged(answer: str) -> None:
    assert find_flaw(answer, QUESTION, EXAMPLES) == ""
    assert clean_answer(answer) == answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ('{"cause": "the divisor is off", "severity": "high"}', "the divisor is off"),
        ('```json\n{"explanation": "the divisor is off"}\n```', "the divisor is off"),
        ('{"result": {"why": "the divisor is off"}, "ok": true}', "the divisor is off"),
        ('{"note": "short", "other": "the longer of the two"}', "the longer of the two"),
        ('{"cause": "the divisor is', "the divisor is"),
        ('{"cause": "says \\"no\\"", "x": ', 'says "no"'),
        ("```\nthe divisor is off\n```", "the divisor is off"),
        ("{broken", "{broken"),
        ('{"a": 1}', '{"a": 1}'),
        ("It is off by one. It is off by one. It is off by one.", "It is off by one."),
        (
            "A good sentence first. Then a loop of it. Then a loop of it.",
            "A good sentence first. Then a loop of it.",
        ),
    ],
)
def test_usable_words_are_extracted(answer: str, words: str) -> None:
    assert clean_answer(answer) == words


@given(st.text(max_size=400))
def test_any_text_can_be_judged(text: str) -> None:
    assert isinstance(find_flaw(text, text, text), str)
    assert bool(clean_answer(text)) == bool(text.strip())
