"""Reports besides the section in the terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.reports import EMPTY, EXPLANATION, REPORT
from support.repositories import git

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.explain.explanation import Report
from pytest_starcoder.explain.report_outputs import ReportOutputs

FAILED = Report((replace(EXPLANATION, nodeids=("test_it.py::test_a",)),), 1)
JUNIT = (
    '<testsuites><testsuite><testcase classname="test_it" name="test_a"><failure/></testcase>'
    "</testsuite></testsuites>"
)


class Outputs:
    """The outputs of a session in `root`, and the lines they wrote."""

    def __init__(self, root: Path, *names: str, junit: str | None = None) -> None:
        self.complaints: list[str] = []
        self.lines: list[str] = []
        self.outputs = ReportOutputs(root, root, list(names), junit, "", self.complaints.append)

    def write(self, report: Report) -> None:
        self.outputs.write(report, self.lines.append)


@pytest.fixture(autouse=True)
def no_github(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def github_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    return summary


def test_formats(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, "deep/er/out.json", "out.md", "out.sarif")
    assert outputs.outputs.has_files
    outputs.write(REPORT)
    assert len(json.loads((tmp_path / "deep/er/out.json").read_text())["causes"]) == 1
    assert "machine-generated" in (tmp_path / "out.md").read_text()
    assert json.loads((tmp_path / "out.sarif").read_text())["version"] == "2.1.0"
    assert (outputs.lines, outputs.complaints) == ([], [])


def test_nothing_failed(tmp_path: Path) -> None:
    Outputs(tmp_path, "out.json", "out.md").write(EMPTY)
    assert json.loads((tmp_path / "out.json").read_text())["causes"] == []
    assert (tmp_path / "out.md").read_text() == "## StarCoder: 0 failures, 0 causes\n"


def test_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--starcoder-report=out\.txt: the suffix"):
        Outputs(tmp_path, "out.txt")


def test_no_files(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    assert not outputs.outputs.has_files
    outputs.write(REPORT)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_files(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "file").touch()
    outputs = Outputs(tmp_path, "folder.json", "file/out.md", "good.md")
    outputs.write(REPORT)
    assert outputs.complaints == [
        f"{tmp_path / 'folder.json'} could not be written (Is a directory).",
        f"{tmp_path / 'file/out.md'} could not be written (File exists).",
    ]
    assert (tmp_path / "good.md").exists()


@pytest.mark.parametrize("versioned", [True, False], ids=["git", "no-git"])
def test_link_to_the_outside(tmp_path: Path, *, versioned: bool) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text("mine")
    root = tmp_path / "root"
    root.mkdir()
    if versioned:
        git(root, "init", "--quiet")
    (root / "out.json").symlink_to(outside)
    outputs = Outputs(root, "out.json")
    outputs.write(REPORT)
    assert outputs.complaints == [
        f"{root / 'out.json'} could not be written (a link leads to {outside}, "
        f"which is not a file of {root}). Remove the link, or name its target."
    ]
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("name", ["~/out.xml", "$HOME/out.xml", "deep/er/../out.xml"])
def test_junit_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """pytest expands variables and `~`, and resolves `..` before it writes the file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / ("deep/out.xml" if "deep" in name else "out.xml")
    file.parent.mkdir(exist_ok=True)
    file.write_text(JUNIT)
    outputs = Outputs(tmp_path, junit=name)
    monkeypatch.chdir("/")  # as a test may do
    outputs.write(FAILED)
    assert outputs.complaints == []
    assert 'name="starcoder.guessed.why"' in file.read_text()


def test_no_junit_file(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, junit=str(tmp_path / "gone.xml"))
    outputs.write(FAILED)
    assert outputs.complaints == [
        f"{tmp_path / 'gone.xml'} could not be written (No such file or directory)."
    ]


def test_github(tmp_path: Path, github_summary: Path) -> None:
    github_summary.write_text("before\n")
    outputs = Outputs(tmp_path)
    outputs.write(REPORT)
    [command] = outputs.lines
    assert command.startswith("::error file=shop/pricing.py,line=14,")
    assert github_summary.read_text().startswith("before\n## StarCoder: 2 failures, 1 cause")


def test_github_without_failures(tmp_path: Path, github_summary: Path) -> None:
    outputs = Outputs(tmp_path)
    outputs.write(EMPTY)
    assert outputs.lines == []
    assert not github_summary.exists()


def test_github_switched_off(
    tmp_path: Path, github_summary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "false")
    outputs = Outputs(tmp_path)
    outputs.write(REPORT)
    assert outputs.lines == []
    assert not github_summary.exists()


@pytest.mark.parametrize("linked", [False, True], ids=["folder", "link"])
def test_github_paths(tmp_path: Path, github_summary: Path, *, linked: bool) -> None:
    """Annotations have paths in the repository, wherever its root is reached from."""
    git(tmp_path, "init", "--quiet")
    root = tmp_path / "inner"
    root.mkdir()
    if linked:
        (tmp_path / "link").symlink_to(root)
        root = tmp_path / "link"
    outputs = Outputs(root)
    outputs.write(REPORT)
    assert outputs.lines[0].startswith("::error file=inner/shop/pricing.py,line=14,")


def test_github_summary_folder(
    tmp_path: Path, github_summary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    outputs = Outputs(tmp_path)
    outputs.write(REPORT)
    assert outputs.complaints == [f"{tmp_path} could not be written (Is a directory)."]
