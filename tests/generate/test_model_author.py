"""The prompts for tests, and the drafts that come back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.servers import FakeOllama

from pytest_starcoder.generate.docstrings import doctest_drafts
from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.model_author import ModelAuthor, SuiteFile
from pytest_starcoder.model.client import Client
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.settings import load_settings

SOURCE = '''def mean(xs):
    """The mean.

    >>> mean([1])
    1.0
    """
    return sum(xs) / len(xs)
'''
FIXTURE = "@pytest.fixture\ndef xs():\n    return [1, 2]"
TARGET = Target(
    "pkg/shop.py", "pkg.shop", "mean", 1, 7, (("xs", ""),), "The mean.\n\n>>> mean([1])\n1.0\n"
)


def drafts_of(
    fake: FakeOllama,
    attempt: int = 0,
    text: str = "",
    target: Target = TARGET,
    source: str = SOURCE,
    **settings: str,
) -> tuple[Draft, ...]:
    chosen = replace(load_settings(Path.cwd()), host=fake.url, cache="off", **settings)  # type: ignore[arg-type]
    suite_file = SuiteFile("tests/test_shop.py", text, "tests/conftest.py", FIXTURE)
    with Client.from_settings(chosen) as client:
        answer = author(client, suite_file, source).write_tests(target, attempt, ["the line 7"])
    assert answer.usage.requests == 1
    return answer.drafts


def author(client: Client, suite_file: SuiteFile, source: str = SOURCE) -> ModelAuthor:
    return ModelAuthor(
        client,
        lambda _path: source,
        lambda _target: suite_file,
        list(doctest_drafts(TARGET, ["mean"])),
        redact,
    )


def test_prompt_without_tests(ollama_double: FakeOllama) -> None:
    ollama_double.answer = "():\n    assert mean([1, 2, 3]) == 2\n"
    [draft] = drafts_of(ollama_double)
    assert ollama_double.prompts() == [
        f"<repo_name>project<file_sep>pkg/shop.py\n{SOURCE}<file_sep>tests/conftest.py\n{FIXTURE}\n"
        "<file_sep>tests/test_shop.py\nimport pytest\n\n"
        "from pkg.shop import mean\n\n\n"
        "def test_mean_example_1():\n    assert mean([1]) == 1.0\n\n\ndef test_mean"
    ]
    assert (draft.body, draft.imports) == (
        ("assert mean([1, 2, 3]) == 2",),
        ("from pkg.shop import mean",),
    )
    assert (draft.origin, draft.because) == (Origin.MODEL, "starcoder2:7b")


def test_attempts(ollama_double: FakeOllama) -> None:
    ollama_double.answer = "():\n    assert mean([1]) == 1\n"
    names = {draft.name for attempt in range(3) for draft in drafts_of(ollama_double, attempt)}
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


def test_fill_in_test_file(ollama_double: FakeOllama) -> None:
    ollama_double.answer = "():\n    assert mean([Decimal(2)]) == 2\n"
    [draft] = drafts_of(ollama_double, text=THERE)
    [prompt] = ollama_double.prompts()
    assert prompt.endswith(
        "<file_sep><fim_prefix>tests/test_shop.py\n"
        "import pytest\nfrom decimal import Decimal\nfrom pkg.shop import mean\n\n\n"
        "def test_mean_of_decimals():\n    assert mean([Decimal(1)]) == Decimal(1)\n\n\n"
        "def test_mean"
        "<fim_suffix>\n\n\ndef test_behind():\n    assert 2<fim_middle>"
    )
    assert draft.imports == ("from decimal import Decimal", "", "from pkg.shop import mean")


def test_instruct_model_fills_by_tokens(ollama_double: FakeOllama) -> None:
    template = "{{ .System }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>"
    info = {"general.architecture": "qwen2", "qwen2.context_length": 32768}
    ollama_double.replies["/api/show"] = (200, {"template": template, "model_info": info})
    ollama_double.answer = "():\n    assert mean([Decimal(2)]) == 2\n"
    [draft] = drafts_of(ollama_double, text=THERE)
    assert draft.body == ("assert mean([Decimal(2)]) == 2",)
    [prompt] = ollama_double.prompts()
    assert prompt.endswith(
        "def test_mean<|fim_suffix|>\n\n\ndef test_behind():\n    assert 2<|fim_middle|>"
    )


def test_end_of_test_file(ollama_double: FakeOllama) -> None:
    ollama_double.answer = "():\n    assert mean([2]) == 2\n"
    assert drafts_of(ollama_double, text=THERE.partition("\n\n\ndef test_behind")[0])
    [prompt] = ollama_double.prompts()
    assert "<fim_" not in prompt


@pytest.mark.parametrize(("installed", "mark"), [(True, "asyncio"), (False, "anyio")])
def test_coroutine(
    ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch, mark: str, installed: bool
) -> None:
    monkeypatch.setattr(
        "pytest_starcoder.generate.answer_drafts.find_spec", lambda _name: installed or None
    )
    ollama_double.answer = "():\n    assert await mean([2]) == 2\n"
    [draft] = drafts_of(ollama_double, target=replace(TARGET, is_async=True))
    [prompt] = ollama_double.prompts()
    assert prompt.endswith(f"\n\n\n@pytest.mark.{mark}\nasync def test_mean")
    assert draft.code == (
        f"@pytest.mark.{mark}\nasync def test_mean_written_1_1():\n    assert await mean([2]) == 2"
    )
    assert draft.imports[0] == "import pytest"


@pytest.mark.parametrize(
    ("family", "bodies"), [("auto", [("assert mean([2, 4]) == 3.0",)]), ("chat", [])]
)
def test_predicted_result(
    ollama_double: FakeOllama, family: str, bodies: list[tuple[str, ...]]
) -> None:
    ollama_double.answer = " 3.0\n    assert mean([9]) == 8\n"
    chosen = replace(load_settings(Path.cwd()), host=ollama_double.url, cache="off", family=family)
    with Client.from_settings(chosen) as client:
        answer = author(client, SuiteFile("tests/test_shop.py", THERE)).predict_result(
            TARGET, "assert mean([2, 4]) =="
        )
    assert [draft.body for draft in answer.drafts] == bodies
    for prompt in ollama_double.prompts():
        assert prompt.endswith("\n\n\ndef test_mean_predicted():\n    assert mean([2, 4]) ==")


def test_blank_lines_change_no_prompt(ollama_double: FakeOllama) -> None:
    """A function that moves within its file is answered from the cache."""
    for source in (SOURCE, f"\n\n\n\n{SOURCE}\n"):
        drafts_of(ollama_double, source=source)
    first, second = ollama_double.prompts()
    assert first == second


def test_no_secrets_sent(ollama_double: FakeOllama) -> None:
    ollama_double.answer = "():\n    assert mean([2]) == 2\n"
    drafts_of(ollama_double, text=THERE.replace("assert 2", 'password = "hunter2hunter2"'))
    assert "hunter2" not in ollama_double.prompts()[0]


@pytest.mark.parametrize("family", ["chat", "starcoder2-instruct"])
def test_instruct_model(ollama_double: FakeOllama, family: str) -> None:
    ollama_double.answer = "def test_it():\n    assert mean([2]) == 2\n"
    if family == "chat":
        code = f"from pkg.shop import mean\n\n{ollama_double.answer}"
        ollama_double.answer = f"Here:\n```python\n{code}```\n"
    assert [draft.body for draft in drafts_of(ollama_double, family=family)] == [
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
def test_answer_that_begins_anew(ollama_double: FakeOllama, answer: str) -> None:
    ollama_double.answer = answer
    assert [draft.body for draft in drafts_of(ollama_double)] == [("assert mean([2]) == 2",)]
