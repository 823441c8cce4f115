"""Nothing that a model, its server or this package does wrong harms a run."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from support.screens import MEAN, TWO_CAUSES, section, summary
from support.servers import WEB_PAGE, FakeOllama, hangs, raw_server

SEEN = "     seen      mean([1, 2, 3]) returned 3.0, the test expects 2"


def why(result: pytest.RunResult) -> str:
    """What stands after the first `why`, on one line, up to `rerun`."""
    told = " ".join(" ".join(section(result)).split())
    return re.split(r" (?:tests|rerun) ", told.partition(" why ")[2])[0]


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["describe", "compared", "causes"])
def test_an_error_of_our_own_is_one_line(
    pytester: pytest.Pytester, ollama_double: FakeOllama, broken: str
) -> None:
    pytester.makepyfile(**MEAN)
    pytester.makeconftest(
        f"""
        from pytest_starcoder.explain import capture as failure
        from pytest_starcoder.session import telling

        def boom(*_):
            raise ValueError("boom")

        ({"telling" if broken == "causes" else "failure"}).{broken} = boom
        """
    )
    bare = pytester.runpytest_subprocess()
    result = pytester.runpytest_subprocess("--starcoder-explain")
    told = {
        "describe": "StarCoder: test_pricing.py::test_mean could not be explained (ValueError: boom).",
        "compared": "StarCoder: a comparison could not be explained (ValueError: boom).",
        "causes": "StarCoder: the failures could not be explained (ValueError: boom).",
    }
    assert result.outlines.count(told[broken]) == 1
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert (result.ret, summary(result)) == (bare.ret, summary(bare))


def test_an_error_of_our_own_while_asking_leaves_what_was_seen(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(**MEAN)
    pytester.makeconftest(
        """
        from pytest_starcoder import client

        def boom(*_):
            raise ValueError("boom")

        client.Client.complete = boom
        """
    )
    result = pytester.runpytest_subprocess("--starcoder-explain")
    assert SEEN in section(result)
    assert (
        why(result)
        == "no answer: ValueError: boom. Please report this as a bug of pytest-starcoder."
    )


def test_an_error_of_our_own_whose_text_is_an_error_too_is_one_line(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(**MEAN)
    pytester.makeconftest(
        """
        from pytest_starcoder.explain import capture as failure

        class Bad(Exception):
            def __str__(self):
                raise OSError

        def boom(*_):
            raise Bad

        failure.describe = boom
        """
    )
    result = pytester.runpytest_subprocess("--starcoder-explain")
    told = "StarCoder: test_pricing.py::test_mean could not be explained (conftest.Bad: <exception str() failed>)."
    assert result.outlines.count(told) == 1
    assert result.ret == 1


@pytest.mark.parametrize(
    ("change", "marked"),
    [
        ("(sys, 'meta_path', [])", False),
        ("(sys, 'meta_path', [])", True),
        ("(re, 'compile', None)", False),
    ],
    ids=["finders", "finders-marked", "regex"],
)
def test_a_test_that_breaks_what_we_need(
    pytester: pytest.Pytester, change: str, *, marked: bool
) -> None:
    pytester.makepyfile(
        f"""
        import re, sys
        import pytest

        @pytest.fixture
        def world(monkeypatch):
            monkeypatch.setattr{change}

        @pytest.mark.starcoder_explain(replay=False)
        def test_it(world):
            assert [1] == [2]
        """
    )
    options = [] if marked else ["--starcoder-explain"]
    result = pytester.runpytest_subprocess("--starcoder-backend=none", *options)
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    if not marked:
        assert "StarCoder: 1 failure, 1 cause" in result.stdout.str()


def test_a_ctrl_c_between_two_questions_ends_only_the_section(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**MEAN)
    pytester.makeconftest(
        """
        from pytest_starcoder.session import telling

        def interrupted(*_):
            raise KeyboardInterrupt

        telling.causes = interrupted
        """
    )
    bare = pytester.runpytest_subprocess()
    result = pytester.runpytest_subprocess("--starcoder-explain")
    assert result.outlines.count("StarCoder: interrupted.") == 1
    assert (result.ret, summary(result)) == (bare.ret, summary(bare))


def test_a_passing_suite_opens_no_connection(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile("def test_it(): pass\ndef test_other(): pass")
    result = pytester.runpytest("--starcoder-explain")
    result.assert_outcomes(passed=2)
    assert section(result) == []
    assert ollama_double.requests == []


def test_a_closed_server_costs_little(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**MEAN)
    pytester.runpytest("--starcoder-explain", "--starcoder-replay=off")
    started = time.monotonic()
    pytester.runpytest("--starcoder-explain", "--starcoder-replay=off")
    assert time.monotonic() - started < 1


def test_a_server_that_never_answers_ends_at_its_deadline(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(test_pay=TWO_CAUSES)
    with raw_server(hangs) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        started = time.monotonic()
        result = pytester.runpytest(
            "--starcoder-explain", "--starcoder-timeout=1", "--starcoder-replay=off"
        )
    assert time.monotonic() - started < 2
    assert why(result) == (
        f"no model: Ollama at {url} did not finish within 1 s. "
        "Give it longer with STARCODER_TIMEOUT (seconds), or use a smaller model."
    )
    assert result.ret == 1
    assert summary(result)[-1] == "3 failed in N s"


def test_a_model_that_stays_silent_is_not_asked_again(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    ollama_double.delay = 3
    pytester.makepyfile(test_pay=TWO_CAUSES)
    result = pytester.runpytest("--starcoder-explain", "--starcoder-first-token-timeout=1")
    assert why(result) == (
        f"no answer: Ollama at {ollama_double.url} was silent for 1 s. Is it still loading the model? "
        "Give it longer with STARCODER_FIRST_TOKEN_TIMEOUT (seconds)."
    )
    assert len(ollama_double.asked()) == 1
    assert "     why       not asked, see above" in section(result)


def test_a_web_page_is_no_model(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(**MEAN)
    with raw_server(WEB_PAGE) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        result = pytester.runpytest("--starcoder-explain")
    assert SEEN in section(result)
    assert why(result).startswith(
        f"no model: {url} answered with a web page where Ollama answers with JSON: "
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (
            (500, {"error": "boom"}),
            "no answer: Ollama at URL failed (500: boom). Look into its log.",
        ),
        (
            (200, b"<html>"),
            "no answer: URL answered with a web page where Ollama answers with JSON: '<html>'. ",
        ),
        ((200, b""), "no answer: Ollama at URL gave an empty answer. Look into its log."),
    ],
)
def test_one_bad_answer_does_not_stop_the_next_question(
    pytester: pytest.Pytester, ollama_double: FakeOllama, reply: tuple[int, object], told: str
) -> None:
    ollama_double.replies["/api/generate"] = [reply]
    pytester.makepyfile(test_pay=TWO_CAUSES)
    result = pytester.runpytest("--starcoder-explain")
    assert why(result).startswith(told.replace("URL", ollama_double.url))
    assert "     why       The test fails because the divisor is one too small." in section(result)
    assert "1 of 2 causes, 2 model calls, N s. Ran 3 tests again." in section(result)


def test_after_two_bad_answers_in_a_row_no_more_are_asked_for(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    ollama_double.replies["/api/generate"] = (500, {"error": "boom"})
    pytester.makepyfile("\n".join(f"def test_{n}(): assert {n} == 9" for n in range(4)))
    result = pytester.runpytest("--starcoder-explain")
    assert len(ollama_double.asked()) == 2
    first, *others = (line for line in section(result) if line.startswith("     why"))
    assert first.startswith(f"     why       no answer: Ollama at {ollama_double.url} failed (500:")
    assert others == [
        "     why       no answer, as above",
        "     why       not asked, see above",
        "     why       not asked, see above",
    ]


def test_what_came_before_a_break_is_labelled(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    ollama_double.ending = "error"
    pytester.makepyfile(**MEAN)
    assert why(pytester.runpytest("--starcoder-explain")).startswith(
        "The test fails because the divisor is one too small. … (starcoder2:7b, a guess) "
        f"broken off: Ollama at {ollama_double.url} failed ("
    )


def test_an_empty_answer_is_said_to_be_one(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    ollama_double.answer = " "
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest("--starcoder-explain")
    assert (
        why(result)
        == "no answer: starcoder2:7b answered with nothing. Another model may do better."
    )


def test_no_escape_sequence_of_a_model_or_a_test_reaches_the_terminal(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    ollama_double.answer = " \x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2Jup \x1b[2A\u202eabc \x07\x08"
    pytester.makepyfile("def test_it(): raise ValueError('\\x1b[2J\\x1b]0;gone\\x07wiped')")
    result = pytester.runpytest("--starcoder-explain", "--tb=no", "-rN")
    assert not {"\x1b", "\x9b", "\x07", "\x08", "\u202e"} & set(result.stdout.str())
    assert why(result).startswith("The test fails because red")
    assert why(result).endswith("up abc (starcoder2:7b, a guess)")


def test_a_model_that_is_not_there_is_told_once_with_the_next_step(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(test_pay=TWO_CAUSES)
    result = pytester.runpytest("--starcoder-explain", "--starcoder-model=other:1b")
    assert section(result)[0] == "StarCoder: 3 failures, 2 causes"
    assert why(result) == (
        f"no model: Ollama at {ollama_double.url} has no model 'other:1b'. Fetch it with `ollama pull other:1b`."
    )
    assert "     why       not asked, see above" in section(result)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_while_a_model_is_asked_keeps_the_rest_of_the_report(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    ollama_double.delay = 30
    pytester.makepyfile(test_pay=TWO_CAUSES)
    result = interrupted(lambda: bool(ollama_double.asked()))
    assert why(result) == "no answer: interrupted."
    assert "     why       not asked, see above" in section(result)
    assert "     seen      [], the test expects [1]" in section(result)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_while_a_server_is_met_keeps_the_rest_of_the_report(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = threading.Event()

    def says_nothing(connection: socket.socket) -> None:
        met.set()
        hangs(connection)

    pytester.makepyfile(test_pay=TWO_CAUSES)
    with raw_server(says_nothing) as url:
        monkeypatch.setenv("OLLAMA_HOST", url)
        result = interrupted(met.is_set)
    assert why(result) == "no model: interrupted."
    assert "     seen      [], the test expects [1]" in section(result)


def interrupted(when: Callable[[], bool]) -> pytest.RunResult:
    """A run that gets a Ctrl-C once `when` holds; it does not wait for 30 s, and ends as a run with failures does."""
    command = [sys.executable, "-m", "pytest", "--starcoder-explain", "--starcoder-replay=off"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not when():
        time.sleep(0.02)
    started = time.monotonic()
    run.send_signal(signal.SIGINT)
    screen, _ = run.communicate(timeout=20)
    assert time.monotonic() - started < 10
    assert run.returncode == 1
    assert "Traceback" not in screen
    assert "KeyboardInterrupt" not in screen
    result = pytest.RunResult(run.returncode, screen.splitlines(), [], 0)
    assert summary(result)[-1] == "3 failed in N s"
    return result


SHADOWS = "git requests dotenv unidiff"


@pytest.mark.parametrize("imported", [True, False], ids=["imported", "not-imported"])
def test_modules_of_the_projects_own(
    pytester: pytest.Pytester, ollama_double: FakeOllama, *, imported: bool
) -> None:
    """Modules named like ours stay the project's, and we import the installed ones."""
    pytester.makeini("[pytest]\npythonpath = .\n")
    for name in SHADOWS.split():
        pytester.path.joinpath(f"{name}.py").write_text("OF_THE_PROJECT = True\n")
    pytester.path.joinpath(".git").mkdir()
    pytester.path.joinpath(".env").write_text("STARCODER_TEMPERATURE=0.3\n")
    pytester.makepyfile(
        test_own=f"""
        if {imported}:
            import git, requests, dotenv

        def test_before():
            assert {imported} or 1 == 2

        def test_asks(starcoder):
            assert starcoder.ask("say something")

        def test_after():
            import git, requests, dotenv
            assert git.OF_THE_PROJECT and requests.OF_THE_PROJECT and dotenv.OF_THE_PROJECT
        """
    )
    ollama_double.answer = "because"
    result = pytester.runpytest_subprocess("--starcoder-explain")
    result.assert_outcomes(passed=3 if imported else 2, failed=0 if imported else 1)
    assert "could not be explained" not in result.stdout.str()
