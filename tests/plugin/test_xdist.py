"""Under xdist the controller asks, once a cause, and shows the same section."""

from __future__ import annotations

import pytest
from support.screens import TWO_CAUSES, section, summary
from support.servers import FakeOllama

pytestmark = pytest.mark.slow


def spread(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess(
        "-n", "2", "--starcoder-explain", "--starcoder-cache=off", *options
    )


def test_the_section_and_the_questions_are_those_of_a_run_without_xdist(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(test_pay=TWO_CAUSES)
    alone = pytester.runpytest("--starcoder-explain", "--starcoder-cache=off")
    asked = ollama_double.prompts()
    ollama_double.requests.clear()
    # One worker gets all of them, so that they fail in their order.
    result = spread(pytester, "--dist=loadfile")
    assert section(result) == section(alone)
    assert ollama_double.prompts() == asked
    assert result.ret == alone.ret


def test_failures_of_several_workers_are_one_cause(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(
        shop="def pay(amount): return amount + '1'",
        **{
            f"test_{n}": f"from shop import pay\ndef test_pay(): assert pay({n}) == {n}"
            for n in range(6)
        },
    )
    assert section(spread(pytester))[1] == "1/1  shop.py:1 in pay · TypeError · 6 tests"
    assert len(ollama_double.prompts()) == 1


def test_a_passing_suite_opens_no_connection(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile("def test_it(): pass")
    assert spread(pytester).ret == 0
    assert ollama_double.requests == []


def test_collection_that_fails_is_explained_once(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(test_it="import no_such_module")
    result = spread(pytester)
    assert section(result)[:3] == [
        "StarCoder: 1 failure, 1 cause (starcoder2:7b on Ollama)",
        "1/1  test_it.py:1 in <module> · ModuleNotFoundError · test_it.py",
        "     seen      raised ModuleNotFoundError: No module named 'no_such_module'",
    ]
    assert len(ollama_double.prompts()) == 1


def test_a_worker_that_crashes_is_one_more_failure(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(
        test_it="import os\ndef test_crash(): os._exit(1)\ndef test_it(): assert 1 == 2"
    )
    bare = pytester.runpytest_subprocess("-n", "2")
    result = spread(pytester)
    assert result.ret == bare.ret == 1
    assert summary(result)[-1] == summary(bare)[-1]
    told = " ".join(" ".join(section(result)).split())
    assert "/2 failure · test_it.py::test_crash seen worker 'gw" in told
    assert "seen 1, the test expects 2" in told


def test_bad_settings_end_the_run_before_a_worker_starts(pytester: pytest.Pytester) -> None:
    result = spread(pytester, "--starcoder-timeout=soon")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.outlines == []


def test_every_worker_has_the_fixture(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.mark.parametrize('n', range(4))\n"
        "def test_it(starcoder, n): assert 'divisor' in starcoder.ask(str(n))"
    )
    spread(pytester).assert_outcomes(passed=4)
    assert len(ollama_double.prompts()) == 4
