"""The command `starcoder`: its exit status, and what it says when it cannot go on."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from support.servers import FakeOllama

from pytest_starcoder.cli import doctor, main


def test_missing_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "the following arguments are required: COMMAND" in capsys.readouterr().err


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["explian"])
    assert "invalid choice: 'explian'" in capsys.readouterr().err


def test_help_lists_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "demo Explain the failures of a small broken project with a model that pip installed"
        in told
    )
    assert "doctor Show which model is used, whether it answers, and what to do next" in told


@pytest.mark.parametrize(
    ("words", "usage", "message"),
    [
        (["doctor", "--deeep"], "doctor", "there is no option --deeep; the nearest is --deep"),
        (["ask", "--coed", "x"], "ask", "there is no option --coed; the nearest is --code"),
        (
            ["review", "--formt", "json"],
            "review",
            "there is no option --formt; the nearest is --format",
        ),
        (["demo", "--foo"], "demo", "there is no option --foo; --help lists the options"),
    ],
)
def test_misspelled_option(
    capsys: pytest.CaptureFixture[str], words: list[str], usage: str, message: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    error = capsys.readouterr().err
    assert error.startswith(f"usage: starcoder {usage} ")
    assert error.endswith(f"starcoder {usage}: error: {message}\n")


def test_abbreviated_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["doctor", "--hel"])
    assert capsys.readouterr().out.startswith("usage: starcoder doctor ")


def test_help_lists_settings_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["ask", "--help"])
    help_text = capsys.readouterr().out
    assert "--starcoder-max-tokens" in help_text
    assert "--starcoder-replay" not in help_text
    assert "--starcoder-generate-tokens" not in help_text


def test_interrupt_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr() == ("", "starcoder: interrupted.\n")


def test_unencodable_output(monkeypatch: pytest.MonkeyPatch, ollama_double: FakeOllama) -> None:
    ollama_double.answer = " return 'é' # 完"
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", written)
    assert main(["doctor"]) == 0
    written.seek(0)
    assert r"return '\xe9' # \u5b8c" in written.read()


@pytest.mark.slow
def test_installed_command() -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from pytest_starcoder.cli import main; sys.exit(main())",
            "doctor",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "problem             Nothing answers at " in run.stdout
