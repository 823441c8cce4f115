"""Report files and annotations, in whole runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.screens import MEAN, section
from support.servers import FakeOllama

NAMES = ("deep/out.json", "out.md", "out.sarif")
OPTIONS = [f"--starcoder-report={name}" for name in NAMES]


def test_all_reports(
    pytester: pytest.Pytester, ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a plugin redacts is in none of them."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    ollama_double.answer = " it is Zanzibar and not 'Here'."
    pytester.makeconftest(
        "def pytest_starcoder_redact(text):\n    return text.replace('Zanzibar', 'CITY')"
    )
    pytester.makepyfile("def test_it():\n    where = 'Zanzibar'\n    assert where == 'Here'")
    result = pytester.runpytest(*OPTIONS, "--starcoder-replay=off", "--junitxml=out.xml")
    annotations = [line for line in result.outlines if line.startswith("::error")]
    texts = [Path(name).read_text() for name in (*NAMES, "summary.md")]
    texts += [*ollama_double.prompts(), *annotations, "\n".join(section(result))]
    assert len(texts) == 7
    for text in texts:
        assert "CITY" in text
        assert "Zanzibar" not in text
    assert "The test fails because it is CITY and not 'Here'." in Path("out.xml").read_text()
    guess = json.loads(texts[0])["causes"][0]["statements"][-1]
    assert (guess["label"], guess["by"]) == ("guessed", "starcoder2:7b")


def test_nothing_failed(pytester: pytest.Pytester, ollama_double: FakeOllama) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest(*OPTIONS)
    assert result.ret == 0
    assert json.loads(Path(NAMES[0]).read_text())["causes"] == []
    assert Path("out.md").read_text() == "## StarCoder: 0 failures, 0 causes\n"
    assert section(result) == []
    assert ollama_double.requests == []


def test_unknown_suffix(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--starcoder-report=out.txt")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert (
        "ERROR: --starcoder-report=out.txt: the suffix '.txt' is not supported. "
        "Use one of .json, .markdown, .md, .sarif, .sarif.json."
    ) in result.errlines


def test_unwritable_file(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**MEAN)
    Path("folder.json").mkdir()
    options = ("--starcoder-report=folder.json", "--starcoder-backend=none")
    result = pytester.runpytest(*options, "--starcoder-replay=off")
    file = pytester.path / "folder.json"
    assert f"StarCoder: {file} could not be written (Is a directory)." in result.outlines
    assert result.ret == 1


def test_no_reports_without_the_option(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest("--junitxml=plain.xml")
    assert "starcoder" not in Path("plain.xml").read_text()
    assert [line for line in result.outlines if line.startswith("::")] == []
