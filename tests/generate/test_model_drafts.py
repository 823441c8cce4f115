# ruff: noqa: E501 - an answer on a line is a row of a table
"""Tests that a model writes: what it is asked, and what of its answer can be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.servers import FakeOllama

from pytest_starcoder.generate.docstrings import examples_of
from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.model_drafts import Author, Beside, salvaged
from pytest_starcoder.model.client import Client
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.settings import load_settings

SOURCE = 'def mean(xs):\n    """The mean.\n\n    >>> mean([1])\n    1.0\n    """\n    return sum(xs) / len(xs)\n'
FIXTURE = "@pytest.fixture\ndef xs():\n    return [1, 2]"
TARGET = Target(
    "pkg/shop.py", "pkg.shop", "mean", 1, 7, (("xs", ""),), "The mean.\n\n>>> mean([1])\n1.0\n"
)


def asked(
    fake: FakeOllama, attempt: int = 0, text: str = "", target: Target = TARGET, **settings: str
) -> tuple[Draft, ...]:
    chosen = replace(load_settings(Path.cwd()), host=fake.url, cache="off", **settings)  # type: ignore[arg-type]
    beside = Beside("tests/test_shop.py", text, "tests/conftest.py", FIXTURE)
    with Client.from_settings(chosen) as client:
        answer = author(client, beside).written(target, attempt, ["the line 7"])
    assert answer.spent.requests == 1
    return answer.drafts


def author(client: Client, beside: Beside) -> Author:
    return Author(
        client,
        lambda _path: SOURCE,
        lambda _target: beside,
        list(examples_of(TARGET, ["mean"])),
        redact,
    )


def test_a_base_model_continues_a_test_file_behind_the_file_under_test(
    ollama_double: FakeOllama,
) -> None:
    ollama_double.answer = "():\n    assert mean([1, 2, 3]) == 2\n"
    [draft] = asked(ollama_double)
    assert ollama_double.prompts() == [
        f"<repo_name>project<file_sep>pkg/shop.py\n{SOURCE}<file_sep>tests/conftest.py\n{FIXTURE}\n"
        "<file_sep>tests/test_shop.py\nimport pytest\n\n"
        "from pkg.shop import mean\n\n\ndef test_mean_example_1():\n    assert mean([1]) == 1.0\n\n\ndef test_mean"
    ]
    assert (draft.body, draft.imports) == (
        ("assert mean([1, 2, 3]) == 2",),
        ("from pkg.shop import mean",),
    )
    assert (draft.origin, draft.because) == (Origin.MODEL, "starcoder2:7b")


def test_every_attempt_begins_with_another_name_and_is_warmer(ollama_double: FakeOllama) -> None:
    ollama_double.answer = "():\n    assert mean([1]) == 1\n"
    names = {draft.name for attempt in range(3) for draft in asked(ollama_double, attempt)}
    assert names == {"test_mean_written_1_1", "test_mean_written_2_1", "test_mean_written_3_1"}
    assert len({prompt.rpartition("def ")[2] for prompt in ollama_double.prompts()}) == 3
    assert [
        round(request.body["options"]["temperature"], 1) for request in ollama_double.asked()
    ] == [0.2, 0.5, 0.8]


THERE = """import pytest
from decimal import Decimal
from pkg.shop import mean


def test_other():
    assert 1


def test_mean_of_decimals():
    assert mean([Decimal(1)]) == Decimal(1)


def test_behind():
    assert 2
"""


def test_in_a_test_file_that_is_there_the_hole_behind_the_tests_of_the_function_is_filled(
    ollama_double: FakeOllama,
) -> None:
    ollama_double.answer = "():\n    assert mean([Decimal(2)]) == 2\n"
    [draft] = asked(ollama_double, text=THERE)
    [prompt] = ollama_double.prompts()
    assert prompt.endswith(
        "<file_sep><fim_prefix>tests/test_shop.py\nimport pytest\nfrom decimal import Decimal\nfrom pkg.shop import mean"
        "\n\n\ndef test_mean_of_decimals():\n    assert mean([Decimal(1)]) == Decimal(1)\n\n\ndef test_mean"
        "<fim_suffix>\n\n\ndef test_behind():\n    assert 2<fim_middle>"
    )
    assert draft.imports == ("from decimal import Decimal", "from pkg.shop import mean")


def test_at_the_end_of_a_test_file_it_goes_on(ollama_double: FakeOllama) -> None:
    ollama_double.answer = "():\n    assert mean([2]) == 2\n"
    assert asked(ollama_double, text=THERE.partition("\n\n\ndef test_behind")[0])
    [prompt] = ollama_double.prompts()
    assert "<fim_" not in prompt


@pytest.mark.parametrize(("installed", "mark"), [(True, "asyncio"), (False, "anyio")])
def test_a_coroutine_is_awaited_by_a_test_that_is_one(
    ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch, mark: str, installed: bool
) -> None:
    monkeypatch.setattr(
        "pytest_starcoder.generate.model_drafts.find_spec", lambda _name: installed or None
    )
    ollama_double.answer = "():\n    assert await mean([2]) == 2\n"
    [draft] = asked(ollama_double, target=replace(TARGET, awaits=True))
    [prompt] = ollama_double.prompts()
    assert prompt.endswith(f"\n\n\n@pytest.mark.{mark}\nasync def test_mean")
    assert draft.function == (
        f"@pytest.mark.{mark}\nasync def test_mean_written_1_1():\n    assert await mean([2]) == 2"
    )
    assert draft.imports[0] == "import pytest"


@pytest.mark.parametrize(
    ("family", "bodies"), [("auto", [("assert mean([2, 4]) == 3.0",)]), ("chat", [])]
)
def test_what_a_call_gives_is_told_by_a_model_that_does_not_see_it(
    ollama_double: FakeOllama, family: str, bodies: list[tuple[str, ...]]
) -> None:
    ollama_double.answer = " 3.0\n    assert mean([9]) == 8\n"
    chosen = replace(load_settings(Path.cwd()), host=ollama_double.url, cache="off", family=family)
    with Client.from_settings(chosen) as client:
        answer = author(client, Beside("tests/test_shop.py", THERE)).predicted(
            TARGET, "mean([2, 4])", "=="
        )
    assert [draft.body for draft in answer.drafts] == bodies
    for prompt in ollama_double.prompts():
        assert prompt.endswith("\n\n\ndef test_mean_predicted():\n    assert mean([2, 4]) ==")


def test_secrets_are_not_sent(ollama_double: FakeOllama) -> None:
    ollama_double.answer = "():\n    assert mean([2]) == 2\n"
    asked(ollama_double, text=THERE.replace("assert 2", 'password = "hunter2hunter2"'))
    assert "hunter2" not in ollama_double.prompts()[0]


@pytest.mark.parametrize("family", ["chat", "starcoder2-instruct"])
def test_a_model_that_obeys_is_asked_for_a_block_of_code(
    ollama_double: FakeOllama, family: str
) -> None:
    ollama_double.answer = "Here:\n```python\nfrom pkg.shop import mean\n\ndef test_it():\n    assert mean([2]) == 2\n```\n"
    if family == "starcoder2-instruct":
        ollama_double.answer = "def test_it():\n    assert mean([2]) == 2\n"
    assert [draft.body for draft in asked(ollama_double, family=family)] == [
        ("assert mean([2]) == 2",)
    ]
    [prompt] = ollama_double.prompts()
    assert "line 7" in prompt
    assert FIXTURE in prompt


@pytest.mark.parametrize(
    "answer",
    [
        "from pkg.shop import mean\n\n\ndef test_it():\n    assert mean([2]) == 2\n",
        "Sure:\n```python\ndef test_it():\n    assert mean([2]) == 2\n```\nThat is all.",
    ],
)
def test_a_model_that_begins_anew_instead_of_going_on_is_read_as_well(
    ollama_double: FakeOllama, answer: str
) -> None:
    ollama_double.answer = answer
    assert [draft.body for draft in asked(ollama_double)] == [("assert mean([2]) == 2",)]


def found(text: str) -> list[tuple[str, ...]]:
    return [draft.body for draft in salvaged(text, TARGET, ["mean"], "m")]


@pytest.mark.parametrize(
    ("text", "bodies"),
    [
        ("def test_a():\n    x = [1]\n    assert mean(x) == 1\n    assert mean([2]) == 2\n    assert mean([", [
            ("x = [1]", "assert mean(x) == 1"), ("assert mean([2]) == 2",)]),
        ("def test_a():\n    assert mean([1]) == 1\n\ndef test_b():\n    assert mean([1]) == 1\n", [("assert mean([1]) == 1",)]),
        ("def test_a():\n    with pytest.raises(ValueError):\n        mean([])\n", [("with pytest.raises(ValueError):\n    mean([])",)]),
        ("def test_a(xs):\n    assert mean(xs) == 1\n", [("assert mean(xs) == 1",)]),
        ("def test_a(xs=[1]):\n    assert mean(xs) == 1\n", []),
        ("@pytest.mark.x\ndef test_a():\n    assert mean([1]) == 1\n", [("assert mean([1]) == 1",)]),
        ("@given(1)\ndef test_a():\n    assert mean([1]) == 1\n", []),
        ("def test_a():\n    unused = mean([9])\n    x = [1]\n    assert mean(x) == 1\n", [("x = [1]", "assert mean(x) == 1")]),
        ("class TestMean:\n    def test_a(self):\n        assert mean([1]) == 1\n", [("assert mean([1]) == 1",)]),
        ("@pytest.mark.parametrize('x', [1])\ndef test_a(x):\n    assert mean([x]) == 1\n    assert mean([1, x]) == 1\n", [
            ("assert mean([x]) == 1", "assert mean([1, x]) == 1")]),
        ("def test_a():\n    '''Doc.'''\n    mean([1])\n", []),
        ("class T(TestCase):\n    def test_a(self):\n        self.assertEqual(mean([1]), 1, 'x')\n", [("assert mean([1]) == 1",)]),
        ("XS = [1]\ndef double(x):\n    return XS\ndef test_a():\n    assert mean(double(1)) == 1\n", [
            ("XS = [1]", "def double(x):\n    return XS", "assert mean(double(1)) == 1")]),
        ("def mean(xs):\n    return 1\ndef test_a():\n    assert mean([1]) == 1\n", [("assert mean([1]) == 1",)]),
        ("I cannot write tests.", []),
        ("", []),
        ("\0", []),
    ],
)  # fmt: skip
def test_what_can_be_used_of_an_answer_is_used(text: str, bodies: list[tuple[str, ...]]) -> None:
    assert found(text) == bodies


@given(st.text())
def test_no_answer_is_too_odd(text: str) -> None:
    for body in found(f"def test_a():\n    assert mean([1]) == 1\n{text}"):
        assert body
