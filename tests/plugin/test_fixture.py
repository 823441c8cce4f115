"""The fixture `starcoder`."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.servers import FakeOllama


def test_methods(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_starcoder import Prompt

        def test_ask(starcoder):
            assert starcoder.ask("<file_sep> why?") == " the divisor is one too small."

        def test_complete(starcoder):
            completion = starcoder.complete(Prompt("<file_sep>def mean(", max_tokens=4))
            assert (completion.text, completion.model) == (" the divisor is", "starcoder2:7b")
            assert completion.truncated

        def test_explain(starcoder):
            with pytest.raises(ZeroDivisionError) as excinfo:
                1 / 0
            explanation = starcoder.explain(excinfo)
            assert explanation.seen == "raised ZeroDivisionError: division by zero"
            assert explanation.why == "The test fails because the divisor is one too small."
            assert explanation.model == "starcoder2:7b"
        """
    )
    result = pytester.runpytest("--strict-markers")
    result.assert_outcomes(passed=3)
    asked, completed, explained = ollama_double.prompts()
    assert asked == "< file_sep> why?"
    assert completed == "<file_sep>def mean("
    assert "::test_explain fails with ZeroDivisionError" in explained


def test_errors(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(
        f"""
        import pytest
        from pytest_starcoder import UnknownModel

        def test_it(starcoder):
            with pytest.raises(UnknownModel) as caught:
                starcoder.ask("why?")
            assert caught.value.message == "Ollama at {ollama_double.url} has no model 'other:1b'."
            assert caught.value.hint == "Fetch it with `ollama pull other:1b`."
        """
    )
    pytester.runpytest("--starcoder-model=other:1b").assert_outcomes(passed=1)


def test_bad_settings(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_starcoder import ConfigError

        def test_it(starcoder):
            with pytest.raises(ConfigError, match="--starcoder-timeout must be a number"):
                starcoder.ask("why?")
        """
    )
    pytester.runpytest("--starcoder-timeout=soon").assert_outcomes(passed=1)


def test_no_starcoder(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(
        test_it="def test_a(starcoder): assert 0\ndef test_b(starcoder): assert 0\n"
        "def test_c(): pass"
    )
    result = pytester.runpytest("--no-starcoder", "-rs")
    result.assert_outcomes(skipped=2, passed=1)
    result.stdout.fnmatch_lines(["SKIPPED * --no-starcoder: this test asks StarCoder"])
    assert ollama_double.requests == []


def test_one_client(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(
        "def test_a(starcoder): starcoder.ask('a')\ndef test_b(starcoder): starcoder.ask('b')"
    )
    pytester.runpytest("--starcoder-cache=off").assert_outcomes(passed=2)
    assert len(ollama_double.asked("/api/tags")) == 1


def test_no_connection_without_a_question(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile("def test_it(starcoder): pass")
    pytester.runpytest().assert_outcomes(passed=1)
    assert ollama_double.requests == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks a process up in /proc")
def test_embedded_engine(pytester: pytest.Pytester, tiny_model: Path) -> None:
    pytester.makepyfile(
        """
        from pathlib import Path

        def test_it(starcoder):
            starcoder.ask("def mean(")
            Path("pid").write_text(str(starcoder._client().backend._engine.pid))
        """
    )
    pytester.runpytest(f"--starcoder-model={tiny_model}").assert_outcomes(passed=1)
    assert not Path("/proc", Path("pid").read_text()).exists()


def test_uncaught_error(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_it(starcoder): starcoder.ask('why?')")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E *BackendUnavailable: Nothing answers at *. Start Ollama with *"]
    )
    assert "urllib3" not in result.stdout.str()
    assert len(result.outlines) < 80


def test_explain_argument(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_exception(starcoder):
            assert starcoder.explain(ValueError("bad")).seen == "raised ValueError: bad"

        def test_other(starcoder):
            with pytest.raises(TypeError, match="explain takes an exception .*, not NoneType"):
                starcoder.explain(None)
        """
    )
    pytester.runpytest().assert_outcomes(passed=2)
