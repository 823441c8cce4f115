"""Invalid settings: a usage error with the option, a line in the report with the marker."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.screens import section
from support.servers import FakeOllama, fake_ollama

FAILING = "def test_it(): assert 1 == 2"


def usage_error(result: pytest.RunResult) -> str:
    """The error that ended a run before it began."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.outlines == []
    errors = [line for line in result.errlines if line]
    assert len(errors) == 1
    return errors[0]


def test_empty_since(pytester: pytest.Pytester) -> None:
    """A variable of a CI job may be empty."""
    pytester.makepyfile(FAILING)
    assert usage_error(pytester.runpytest("--starcoder-since=")) == (
        "ERROR: --starcoder-since is empty. Set it to a commit, branch or tag, or remove it."
    )


def test_bad_option(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FAILING)
    result = pytester.runpytest("--starcoder-explain", "--starcoder-timeout=soon")
    assert usage_error(result) == (
        "ERROR: --starcoder-timeout must be a number from 0.1 to 86400 (seconds), "
        "not 'soon'. Fix or remove it."
    )


def test_unknown_variable(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARCODER_MODLE", "starcoder2:3b")
    result = pytester.runpytest("--starcoder-explain")
    assert usage_error(result) == (
        "ERROR: STARCODER_MODLE: there is no such setting. The nearest is STARCODER_MODEL."
    )


def test_unknown_key(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml("[tool.starcoder]\nmodel = 'starcoder2:3b'\nhots = '127.0.0.1'\n")
    result = pytester.runpytest("--starcoder-explain")
    assert usage_error(result) == (
        "ERROR: pyproject.toml, line 3: there is no setting 'hots'. The nearest is 'host'."
    )


def test_unknown_backend(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest("--starcoder-explain", "--starcoder-backend=olama")
    assert (
        usage_error(result)
        == "ERROR: --starcoder-backend: there is no backend 'olama'. The nearest is 'ollama'."
    )


def test_bad_settings_without_the_option(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARCODER_MODLE", "starcoder2:3b")
    pytester.makepyfile("def test_it(): pass")
    pytester.runpytest().assert_outcomes(passed=1)
    pytester.runpytest("--no-starcoder", "--starcoder-explain").assert_outcomes(passed=1)


def test_bad_settings_with_the_marker(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARCODER_MODLE", "starcoder2:3b")
    pytester.makepyfile(f"import pytest\n@pytest.mark.starcoder_explain\n{FAILING}")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    assert (
        "why no model: STARCODER_MODLE: there is no such setting. The nearest is STARCODER_MODEL."
        in (" ".join(" ".join(section(result)).split()))
    )


def test_variable_set_by_a_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ollama_double: FakeOllama
) -> None:
    # Removes afterwards what the inner test sets in this process.
    for name in ("STARCODER_MODEL", "STARCODER_X"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    pytester.makepyfile(
        "import os\ndef test_it():\n  os.environ['STARCODER_MODEL'] = 'other'\n"
        "  os.environ['STARCODER_X'] = '1'\n"
        "  assert 1 == 2"
    )
    assert section(pytester.runpytest("--starcoder-explain"))[0].endswith(
        "(starcoder2:7b on Ollama)"
    )


def test_host_of_a_cloned_repository(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("OLLAMA_HOST")
    with fake_ollama("127.0.0.2") as elsewhere:
        pytester.makepyprojecttoml(f"[tool.starcoder]\nhost = '{elsewhere.url}'\n")
        pytester.makepyfile(FAILING)
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "Say where"]):
            subprocess.run(
                ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *command], check=True
            )
        subprocess.run(
            ["git", "clone", "-q", str(pytester.path), str(tmp_path / "clone")], check=True
        )
        monkeypatch.chdir(tmp_path / "clone")
        result = pytester.runpytest("--starcoder-explain")
        assert elsewhere.requests == []
    assert usage_error(result) == (
        "ERROR: pyproject.toml, line 2: a file tracked by git may not set "
        f"host = '{elsewhere.url}': it names another machine. "
        "Set it with --starcoder-host, STARCODER_HOST, "
        "a .env that git does not track, or your own config.toml."
    )
