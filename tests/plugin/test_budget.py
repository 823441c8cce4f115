"""How much is asked at the most."""

from __future__ import annotations

import pytest
from support.screens import TWO_CAUSES, section
from support.servers import FakeOllama


def test_no_more_causes_are_asked_about_than_allowed(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(test_pay=TWO_CAUSES)
    lines = section(pytester.runpytest("--starcoder-explain", "--starcoder-causes=1"))
    assert len(ollama_double.prompts()) == 1
    told = " ".join(" ".join(lines).split())
    assert (
        "why not asked: the setting causes is 1. Ask about more with --starcoder-causes=N." in told
    )
    assert "1 of 2 causes, 1 model call" in told
    assert told.index("(starcoder2:7b, a guess)") < told.index("2/2 ") < told.index("why not asked")


def test_that_no_more_are_asked_about_is_said_once(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile("\n".join(f"def test_{n}(): assert {n} == 9" for n in range(4)))
    told = " ".join(
        " ".join(section(pytester.runpytest("--starcoder-explain", "--starcoder-causes=1"))).split()
    )
    assert told.count("not asked: the setting causes is 1.") == 1
    assert told.count("why not asked, see above") == 2
    assert len(ollama_double.prompts()) == 1


def test_zero_causes_ask_nothing_and_tell_what_was_seen(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(test_pay=TWO_CAUSES)
    lines = section(pytester.runpytest("--starcoder-explain", "--starcoder-causes=0"))
    assert ollama_double.prompts() == []
    assert "     seen      [], the test expects [1]" in lines


def test_the_largest_cause_is_asked_about_first(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(test_pay=TWO_CAUSES.replace("def test_three", "def test_a_three"))
    pytester.runpytest("--starcoder-explain", "--starcoder-causes=1")
    assert "unsupported operand" in ollama_double.prompts()[0]


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 2])
def test_what_is_asked_about_while_tests_run_counts_as_well(
    pytester: pytest.Pytester, ollama_double: FakeOllama, most: int
) -> None:
    pytester.makepyfile("\n".join(f"def test_{n}(): assert {n} == 9" for n in range(5)))
    options = (
        "--starcoder-explain",
        "--starcoder-early=on",
        f"--starcoder-causes={most}",
        "--starcoder-cache=off",
    )
    pytester.runpytest(*options)
    assert len(ollama_double.prompts()) == most
