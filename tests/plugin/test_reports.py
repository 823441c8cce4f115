"""Reports besides the section in the terminal: files, JUnit's, GitHub's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.repositories import git
from support.screens import MEAN, TWO_CAUSES, section
from support.servers import FakeOllama

PARALLEL = ["", pytest.param("-n2", marks=pytest.mark.slow)]


@pytest.mark.parametrize("parallel", PARALLEL)
def test_each_suffix_has_its_format(
    pytester: pytest.Pytester, ollama_double: FakeOllama, parallel: str
) -> None:
    pytester.makepyfile(test_pay=TWO_CAUSES)
    names = ("deep/er/out.json", "out.md", "out.sarif")
    options = [f"--starcoder-report={name}" for name in names]
    pytester.runpytest(*options, *filter(None, [parallel]))
    told = json.loads(Path(names[0]).read_text())
    assert [len(cause["tests"]) for cause in told["causes"]] == [2, 1]
    assert told["causes"][0]["statements"][-1] == {
        "kind": "why",
        "label": "guessed",
        "text": "The test fails because the divisor is one too small.",
        "by": "starcoder2:7b",
    }
    assert "machine-generated" in Path(names[1]).read_text()
    assert json.loads(Path(names[2]).read_text())["runs"][0]["results"][0]["ruleId"] == "TypeError"


@pytest.mark.parametrize("parallel", PARALLEL)
def test_where_nothing_failed_every_file_says_so(
    pytester: pytest.Pytester, ollama_double: FakeOllama, parallel: str
) -> None:
    pytester.makepyfile("def test_it(): pass")
    names = ("out.json", "out.md", "out.sarif")
    options = [f"--starcoder-report={name}" for name in names]
    result = pytester.runpytest(*options, *filter(None, [parallel]))
    assert json.loads(Path("out.json").read_text())["causes"] == []
    assert Path("out.md").read_text() == "## StarCoder: 0 failures, 0 causes\n"
    assert json.loads(Path("out.sarif").read_text())["runs"][0]["results"] == []
    assert ollama_double.requests == []
    assert section(result) == []
    assert result.ret == 0


def test_another_suffix_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest("--starcoder-report=out.txt")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = "ERROR: --starcoder-report=out.txt: no format has that suffix. "
    assert f"{told}There are .json, .md, .markdown, .sarif, .sarif.json." in result.errlines


def test_a_file_that_cannot_be_written_is_one_line_and_changes_no_status(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(**MEAN)
    Path("folder.json").mkdir()
    result = pytester.runpytest("--starcoder-report=folder.json", "--starcoder-backend=none")
    told = [line for line in result.outlines if "could not be written" in line]
    assert told == [
        f"StarCoder: {pytester.path / 'folder.json'} could not be written (Is a directory)."
    ]
    assert result.ret == 1
    pytester.makepyfile(test_pricing="def test_fine(): pass")
    Path("file").touch()
    result = pytester.runpytest("--starcoder-report=file/out.md", "--starcoder-report=good.md")
    told = [line for line in result.outlines if line.startswith("StarCoder: ")]
    assert told == [
        f"StarCoder: {pytester.path / 'file/out.md'} could not be written (File exists)."
    ]
    assert result.ret == 0
    assert Path("good.md").exists(), "the others are written"


@pytest.mark.parametrize("versioned", [True, False], ids=["git", "no-git"])
def test_no_report_is_written_where_a_link_leads_outside(
    pytester: pytest.Pytester, *, versioned: bool
) -> None:
    if versioned:
        git(pytester.path, "init", "--quiet")
    outside = pytester.path.parent / f"{pytester.path.name}-home.json"
    outside.write_text("mine")
    Path("out.json").symlink_to(outside)
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest("--starcoder-report=out.json", "--starcoder-backend=none")
    told = [line for line in result.outlines if "could not be written" in line]
    assert told == [
        f"StarCoder: {pytester.path / 'out.json'} could not be written (a link leads to {outside}, "
        f"which is not a file of {pytester.path}). Remove the link, or name its target."
    ]
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("parallel", [[], pytest.param(["-n2"], marks=pytest.mark.slow)])
def test_junits_file_has_the_explanation_only_where_it_is_asked_for(
    pytester: pytest.Pytester, ollama_double: FakeOllama, parallel: list[str]
) -> None:
    pytester.makepyfile(**MEAN)
    pytester.runpytest("--junitxml=plain.xml")
    pytester.runpytest("--junitxml=out.xml", "--starcoder-explain", *parallel)
    assert "starcoder" not in Path("plain.xml").read_text()
    xml = Path("out.xml").read_text()
    assert (
        '<property name="starcoder.observed.seen" value="mean([1, 2, 3]) returned 3.0, the test expects 2"'
        in xml
    )
    assert 'name="starcoder.guessed.why"' in xml
    assert re.search(
        r'name="starcoder.guessed.why" value="[^"]*machine-generated by starcoder2:7b', xml
    )


@pytest.mark.parametrize("name", ["~/out.xml", "$HOME/out.xml", "deep/er/../out.xml"])
def test_junits_file_is_found_where_pytest_writes_it(
    pytester: pytest.Pytester, ollama_double: FakeOllama, name: str
) -> None:
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest(f"--junitxml={name}", "--starcoder-explain")
    assert "could not be" not in result.stdout.str()
    [xml] = pytester.path.rglob("out.xml")  # pytester is at home in its own folder
    assert 'name="starcoder.guessed.why"' in xml.read_text()


def test_on_github_there_are_annotations_and_a_summary(
    pytester: pytest.Pytester, ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    Path("summary.md").write_text("before\n")
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest("--starcoder-explain")
    commands = [line for line in result.outlines if line.startswith("::error ")]
    assert len(commands) == 1
    assert commands[0].startswith(
        "::error file=test_pricing.py,line=4,title=AssertionError%2C 1 test::Observed: mean("
    )
    assert (
        "Guessed by starcoder2:7b, machine-generated and unchecked: The test fails because"
        in commands[0]
    )
    assert Path("summary.md").read_text().startswith("before\n## StarCoder: 1 failure, 1 cause")


@pytest.mark.parametrize("variable", [None, "false"])
def test_elsewhere_there_are_neither(
    pytester: pytest.Pytester,
    ollama_double: FakeOllama,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    if variable is not None:
        monkeypatch.setenv("GITHUB_ACTIONS", variable)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest("--starcoder-explain")
    assert [line for line in result.outlines if line.startswith("::")] == []
    assert not Path("summary.md").exists()


def test_on_github_a_run_without_failures_or_without_us_says_nothing(
    pytester: pytest.Pytester, ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    pytester.makepyfile(test_fine="def test_fine(): pass", **MEAN)
    for options in (["--starcoder-explain", "test_fine.py"], []):
        result = pytester.runpytest(*options)
        assert [line for line in result.outlines if line.startswith("::")] == []
    assert not Path("summary.md").exists()


def test_on_github_a_project_in_a_folder_is_named_with_it(
    pytester: pytest.Pytester, ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    pytester.run("git", "init", "-q")
    inner = pytester.mkdir("inner")
    (inner / "pytest.ini").write_text("[pytest]\n")
    (inner / "test_it.py").write_text("def test_it(): assert 0")
    monkeypatch.chdir(inner)
    result = pytester.runpytest("--starcoder-explain")
    [command] = [line for line in result.outlines if line.startswith("::error ")]
    assert command.startswith("::error file=inner/test_it.py,line=1,")


def test_on_github_a_project_that_is_reached_by_a_link_is_named_as_well(
    pytester: pytest.Pytester, ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    real = pytester.mkdir("real")
    (real / "inner").mkdir()
    (real / "inner" / "pytest.ini").write_text("[pytest]\n")
    (real / "inner" / "test_it.py").write_text("def test_it(): assert 0")
    pytester.run("git", "init", "-q", str(real))
    Path("link").symlink_to(real / "inner")
    result = pytester.runpytest("--starcoder-explain", "--rootdir=link", "link/test_it.py")
    assert "could not be" not in result.stdout.str()
    [command] = [line for line in result.outlines if line.startswith("::error ")]
    assert command.startswith("::error file=inner/test_it.py,line=1,")


def test_on_github_a_summary_that_cannot_be_written_is_one_line(
    pytester: pytest.Pytester, ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path))
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest("--starcoder-explain")
    assert [line for line in result.outlines if line.startswith("StarCoder: ")] == [
        f"StarCoder: {pytester.path} could not be written (Is a directory)."
    ]
    assert result.ret == 1
