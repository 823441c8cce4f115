"""The command `starcoder`: its exit status, and what it says when it cannot go on."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from support.servers import FakeOllama

from pytest_starcoder.cli import doctor, main


def test_without_a_command_it_says_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "the following arguments are required: COMMAND" in capsys.readouterr().err


def test_an_unknown_command_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["explian"])
    assert "invalid choice: 'explian'" in capsys.readouterr().err


def test_the_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "demo Explain the failures of a small broken project with the demo model" in told
    assert "doctor Say which model would be asked, whether it answers, and what to do next" in told


def test_a_ctrl_c_is_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr() == ("", "starcoder: interrupted.\n")


def test_words_that_the_terminal_cannot_show_are_written_otherwise(
    monkeypatch: pytest.MonkeyPatch, ollama_double: FakeOllama
) -> None:
    ollama_double.answer = " return 'é' # 完"
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", written)
    assert main(["doctor"]) == 0
    written.seek(0)
    assert r"return '\xe9' # \u5b8c" in written.read()


@pytest.mark.slow
def test_the_installed_command_is_the_same() -> None:
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
