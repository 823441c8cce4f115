"""`--starcoder-show-prompt`: what would be sent, and nothing sent."""

from __future__ import annotations

import pytest
from support.screens import MEAN, TWO_CAUSES, section
from support.servers import FakeOllama


def shown(result: pytest.RunResult) -> str:
    return (
        result.stdout.str()
        .partition("----- prompt 1 of 1 ")[2]
        .partition("\n")[2]
        .partition("\n----- end ")[0]
    )


def test_the_prompt_is_shown_and_no_server_is_met(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest("--starcoder-show-prompt")
    assert ollama_double.requests == []
    assert shown(result).startswith("<issue_start>Title: A test fails and I do not see why\n")
    assert "    return sum(xs) / (len(xs) - 1)" in shown(result)
    assert any(" characters would be sent:" in line for line in section(result))
    assert result.ret == 1


def test_what_is_shown_is_what_is_sent(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(**MEAN)
    text = shown(pytester.runpytest("--starcoder-show-prompt"))
    pytester.runpytest("--starcoder-explain")
    assert ollama_double.prompts() == [text]


def test_no_secret_is_in_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        API_KEY = "sk-" + "abcd" * 6

        def login(name, word):
            raise ConnectionError(f"postgres://{name}:{word}@db:5432/shop refused {API_KEY}")

        def test_login():
            order_password = "s3cr3t-pa55word"
            login("admin", order_password)
        """
    )
    result = pytester.runpytest("--starcoder-show-prompt", "--tb=no", "-rN")
    assert "def login" in shown(result)
    for secret in ("s3cr3t-pa55word", "abcdabcd", '"abcd"'):
        assert secret not in result.stdout.str()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [["-n", "2"], ["--starcoder-early=on"], ["--starcoder-causes=0"]]
)
def test_nothing_is_sent_whatever_else_is_asked_for(
    pytester: pytest.Pytester, ollama_double: FakeOllama, options: list[str]
) -> None:
    pytester.makepyfile(test_pay=TWO_CAUSES)
    result = pytester.runpytest("--starcoder-show-prompt", "--starcoder-explain", *options)
    assert ollama_double.requests == []
    assert [line.split(" -")[0] for line in result.outlines if line.startswith("----- ")] == [
        "----- prompt 1 of 2",
        "----- end",
        "----- prompt 2 of 2",
        "----- end",
    ]
    assert result.ret == 1


@pytest.mark.slow
def test_what_is_shown_is_what_is_sent_of_every_cause(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(test_pay=TWO_CAUSES, **MEAN)
    output = pytester.runpytest("--starcoder-show-prompt").stdout.str()
    parts = output.split("----- prompt ")[1:]
    texts = [part.partition("\n")[2].partition("\n----- end ")[0] for part in parts]
    pytester.runpytest("--starcoder-explain")
    assert ollama_double.prompts() == texts
    assert len(texts) == 3


def test_no_server_is_needed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest("--starcoder-show-prompt", "--starcoder-backend=none")
    assert "Suspicious lines:\npricing.py:2: return sum(xs) / (len(xs) - 1)" in shown(result)
    assert "no model" not in result.stdout.str()


def test_what_a_conftest_takes_out_is_not_in_it(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "def starcoder_redact(text):\n    return text.replace('pricing', 'PRIVATE')"
    )
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest("--starcoder-show-prompt")
    assert "def mean(xs)" in shown(result)
    assert "pricing" not in shown(result)


@pytest.mark.slow
@pytest.mark.parametrize("early", ["on", "off"])
def test_no_value_of_a_secret_variable_is_shown_or_sent(
    pytester: pytest.Pytester,
    ollama_double: FakeOllama,
    monkeypatch: pytest.MonkeyPatch,
    early: str,
) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "quite-an-0rdinary-text")
    pytester.makepyfile(
        """
        import os

        def test_it():
            given = os.environ["SHOP_API_KEY"]
            raise ValueError(f"refused {given}")
        """
    )
    result = pytester.runpytest("--starcoder-show-prompt", "--tb=no", "-rN")
    assert "raised ValueError: refused [redacted]" in shown(result)
    assert "0rdinary" not in result.stdout.str()
    pytester.runpytest(
        "--starcoder-explain", f"--starcoder-early={early}", "--starcoder-replay=off"
    )
    [prompt] = ollama_double.prompts()
    assert "refused [redacted]" in prompt
    assert "0rdinary" not in prompt


LONG = "".join(f"w{number}x" for number in range(60))
"""Longer than what is shown of a value."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "assertion",
    [
        "send(SHOP_PASSWORD) == 'no'",
        "[1, send(SHOP_PASSWORD)] == [1, 'no']",
        "{'word': SHOP_PASSWORD} == {'word': SHOP_PASSWORD + '!'}",
        "SHOP_PASSWORD == SHOP_PASSWORD.replace('w30x', 'w31x')",
        "not send([SHOP_PASSWORD])",
    ],
)
def test_of_a_secret_that_is_too_long_to_be_shown_no_part_is_shown(
    pytester: pytest.Pytester, assertion: str
) -> None:
    pytester.makepyfile(
        f"""
        SHOP_PASSWORD = "".join(f"w{{number}}x" for number in range(60))

        def send(text):
            return text

        def test_it():
            assert {assertion}
        """
    )
    result = pytester.runpytest("--starcoder-show-prompt", "--tb=no", "-rN")
    told = "".join(result.stdout.str().split())
    assert "Test:test_of_a_secret" in told
    parts = {LONG[start : start + 8] for start in range(len(LONG) - 7)}
    assert sorted(part for part in parts if part in told) == []
