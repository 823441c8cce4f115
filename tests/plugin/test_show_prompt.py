"""`--starcoder-show-prompt`: what would be sent, and nothing sent."""

from __future__ import annotations

import pytest
from support.screens import MEAN, section
from support.servers import FakeOllama


def shown(result: pytest.RunResult) -> str:
    return result.stdout.str().partition("----- prompt 1 of 1 ")[2].partition("\n")[2].partition("\n----- end ")[0]


def test_the_prompt_is_shown_and_no_server_is_met(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest_subprocess("--starcoder-show-prompt")
    assert ollama_double.requests == []
    assert shown(result).startswith("<issue_start>Title: A test fails and I do not see why\n")
    assert "    return sum(xs) / (len(xs) - 1)" in shown(result)
    assert any(" characters would be sent:" in line for line in section(result))
    assert result.ret == 1


def test_what_is_shown_is_what_is_sent(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(**MEAN)
    text = shown(pytester.runpytest_subprocess("--starcoder-show-prompt"))
    pytester.runpytest_subprocess("--starcoder-explain")
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
    result = pytester.runpytest_subprocess("--starcoder-show-prompt", "--tb=no", "-rN")
    assert "def login" in shown(result)
    for secret in ("s3cr3t-pa55word", "abcdabcd", '"abcd"'):
        assert secret not in result.stdout.str()
