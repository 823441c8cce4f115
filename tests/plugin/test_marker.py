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

    def test_unmarked():
        assert 3 == 4
"""


@pytest.fixture(autouse=True)
def no_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARCODER_REPLAY", "off")


@pytest.mark.parametrize("parallel", [[], pytest.param(["-n", "1"], marks=pytest.mark.slow)])
def test_marked_test(
    pytester: pytest.Pytester, ollama_double: FakeOllama, parallel: list[str]
) -> None:
    pytester.makepyfile(test_it=MARKED)
    result = pytester.runpytest(*parallel)
    result.assert_outcomes(failed=2)
    assert section(result)[:3] == [
        "StarCoder: 1 failure, 1 cause (starcoder2:7b on Ollama)",
        "1/1  test_it.py:5 in test_marked · AssertionError · test_it.py::test_marked",
        "     seen      1, the test expects 2",
    ]


def test_every_phase(pytester: pytest.Pytester) -> None:
    """A marked module, class and function is explained in every phase."""
    pytester.makepyfile(
        test_module="import pytest\npytestmark = pytest.mark.starcoder_explain\n"
        "def test_it(): assert 1 == 2",
        test_phases="""
        import pytest

        @pytest.fixture
        def setup(): raise OSError("setup")

        @pytest.fixture
        def teardown():
            yield
            raise OSError("teardown")

        @pytest.mark.starcoder_explain(replay=False)
        class TestIt:
            def test_setup(self, setup): pass
            def test_teardown(self, teardown): pass
        """,
    )
    lines = section(pytester.runpytest("--strict-markers", "--starcoder-backend=none"))
    for seen in ("raised OSError: setup", "raised OSError: teardown", "1, the test expects 2"):
        assert f"     seen      {seen}" in lines


def test_passing_test(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.mark.starcoder_explain\ndef test_it(): pass\ndef test_b(): assert 0"
    )
    assert section(pytester.runpytest()) == []
    assert ollama_double.requests == []


WRONG = ("(True)", "(again=True)", "(replay='yes')", "(replay=True, again=1)")
RIGHT = ("", "()", "(replay=True)", "(replay=False, fix=False)")


@pytest.mark.parametrize("options", [[], ["--starcoder-explain", "--starcoder-backend=none"]])
def test_arguments(pytester: pytest.Pytester, options: list[str]) -> None:
    code = ["import pytest"]
    for number, arguments in enumerate((*WRONG, *RIGHT)):
        code.append(f"@pytest.mark.starcoder_explain{arguments}\ndef test_{number}(): pass")
    pytester.makepyfile(test_it="\n".join(code))
    result = pytester.runpytest(*options)
    result.assert_outcomes(errors=len(WRONG), passed=len(RIGHT))
    for number, arguments in enumerate(WRONG):
        message = (
            f"test_it.py::test_{number}: the marker starcoder_explain{arguments} takes "
            "replay=False and fix=False, and nothing else."
        )
        assert message in result.outlines


def test_no_starcoder(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(
        test_it=MARKED,
        test_bad="import pytest\n@pytest.mark.starcoder_explain(1)\ndef test_b(): pass",
    )
    result = pytester.runpytest("--no-starcoder", "--starcoder-explain", "--strict-markers")
    result.assert_outcomes(failed=2, passed=1)
    assert section(result) == []
    assert ollama_double.requests == []


def test_markers_option(pytester: pytest.Pytester) -> None:
    pytester.runpytest("--markers").stdout.fnmatch_lines(
        [
            "@pytest.mark.starcoder_explain(replay=True, fix=True): explain this test when it "
            "fails, even without --starcoder-explain; replay=False never runs it again, "
            "fix=False never runs it with changed code"
        ]
    )
