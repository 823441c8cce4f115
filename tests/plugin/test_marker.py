"""The marker `starcoder_explain`."""

from __future__ import annotations

import pytest
from support.screens import section
from support.servers import FakeOllama

MARKED = """
    import pytest

    @pytest.mark.starcoder_explain
    def test_marked():
        assert 1 == 2

    def test_other():
        assert 3 == 4
"""


def test_a_marked_test_is_explained_and_no_other(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(test_it=MARKED)
    result = pytester.runpytest()
    result.assert_outcomes(failed=2)
    assert section(result)[:3] == [
        "StarCoder: 1 failure, 1 cause (starcoder2:7b on Ollama)",
        "1/1  test_it.py:5 in test_marked · AssertionError · test_it.py::test_marked",
        "     seen      1, the test expects 2",
    ]


@pytest.mark.parametrize("phase", ["setup", "teardown"])
def test_a_marked_test_is_explained_in_every_phase(
    pytester: pytest.Pytester, ollama_double: FakeOllama, phase: str
) -> None:
    raising = "raise OSError('db')" if phase == "setup" else "yield; raise OSError('db')"
    pytester.makepyfile(
        f"import pytest\n@pytest.fixture\ndef db(): {raising}\n@pytest.mark.starcoder_explain\ndef test_it(db): pass"
    )
    assert "     seen      raised OSError: db" in section(pytester.runpytest())


def test_a_passing_marked_test_asks_nothing(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.mark.starcoder_explain\ndef test_it(): pass\ndef test_b(): assert 0"
    )
    result = pytester.runpytest()
    assert section(result) == []
    assert ollama_double.requests == []


def test_a_class_or_module_can_be_marked(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(
        "import pytest\npytestmark = pytest.mark.starcoder_explain\ndef test_it(): assert 1 == 2"
    )
    assert len(section(pytester.runpytest())) > 3


@pytest.mark.parametrize("arguments", ["", "()", "(replay=True)", "(replay=False)"])
def test_replay_is_accepted(
    pytester: pytest.Pytester, ollama_double: FakeOllama, arguments: str
) -> None:
    pytester.makepyfile(
        f"import pytest\n@pytest.mark.starcoder_explain{arguments}\ndef test_it(): assert 1 == 2"
    )
    result = pytester.runpytest("--strict-markers")
    result.assert_outcomes(failed=1)
    assert "     seen      1, the test expects 2" in section(result)


@pytest.mark.parametrize(
    "arguments", ["(True)", "(again=True)", "(replay='yes')", "(replay=True, again=1)"]
)
@pytest.mark.parametrize("options", [[], ["--starcoder-explain", "--starcoder-backend=none"]])
def test_misuse_is_an_error_that_names_the_test(
    pytester: pytest.Pytester, arguments: str, options: list[str]
) -> None:
    pytester.makepyfile(
        test_it=f"import pytest\n@pytest.mark.starcoder_explain{arguments}\ndef test_it(): pass"
    )
    result = pytester.runpytest(*options)
    result.assert_outcomes(errors=1)
    message = (
        f"test_it.py::test_it: the marker starcoder_explain{arguments} takes replay=False and "
        "fix=False, and nothing else."
    )
    assert message in result.outlines


def test_no_starcoder_silences_marker_and_option(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(
        test_it=MARKED,
        test_bad="import pytest\n@pytest.mark.starcoder_explain(1)\ndef test_b(): pass",
    )
    result = pytester.runpytest("--no-starcoder", "--starcoder-explain", "--strict-markers")
    result.assert_outcomes(failed=2, passed=1)
    assert section(result) == []
    assert ollama_double.requests == []


def test_the_marker_is_listed(pytester: pytest.Pytester) -> None:
    pytester.runpytest("--markers").stdout.fnmatch_lines(
        [
            "@pytest.mark.starcoder_explain(replay=True, fix=True): "
            "explain this test when it fails, with or without --starcoder-explain; "
            "replay=False keeps it from ever being run again for that, fix=False from being run with changed code"
        ]
    )


@pytest.mark.slow
def test_the_marker_works_in_workers(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(test_it=MARKED)
    alone = pytester.runpytest("--starcoder-cache=off")
    spread = pytester.runpytest("-n", "2", "--starcoder-cache=off")
    assert section(spread) == section(alone)
    assert len(ollama_double.prompts()) == 2
