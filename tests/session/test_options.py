"""Options in tracked files: a cloned repository cannot decide where code goes or is written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.screens import section
from support.servers import FakeOllama, fake_ollama

from pytest_starcoder import plugin
from pytest_starcoder.errors import Untrusted
from pytest_starcoder.session.options import FLAGS, Options
from pytest_starcoder.session.settings import session_settings
from pytest_starcoder.settings import Settings

FAILING = "def test_it(): assert 1 == 2"
EVIL = "http://evil.example"
MAY_NOT = "a file tracked by git may not"
SAY_HOST = "Remove it there, or pass --starcoder-host on the command line or in PYTEST_ADDOPTS."
HOST_REFUSED = (
    f"--starcoder-host: {MAY_NOT} set host = '{EVIL}': it names another machine. {SAY_HOST}"
)

INI = {
    "pytest.ini": "[pytest]\naddopts = {}\n",
    ".pytest.ini": "[pytest]\naddopts = {}\n",
    "tox.ini": "[pytest]\naddopts = {}\n",
    "setup.cfg": "[tool:pytest]\naddopts = {}\n",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '{}'\n",
}
TOML = {
    "pytest.toml": "[pytest]\naddopts = ['{}']\n",
    ".pytest.toml": "[pytest]\naddopts = ['{}']\n",
    "pyproject.toml": "[tool.pytest]\naddopts = ['{}']\n",
}
PYTEST_9 = int(pytest.__version__.partition(".")[0]) >= 9


def git(*arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return a git repository without files; the test decides what it tracks."""
    git("init", "-q")
    return pytester


Writer = Callable[[str, str], None]


@pytest.fixture
def tracked(project: pytest.Pytester) -> Writer:
    """Write a file of that name and add it to the index."""

    def write(name: str, text: str) -> None:
        path = project.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        git("add", "--force", name)

    return write


def read_settings(pytester: pytest.Pytester, *arguments: str) -> Settings:
    return session_settings(pytester.parseconfig(*arguments), tuple(plugin.SETTINGS))


def refusal(pytester: pytest.Pytester, *arguments: str) -> str:
    with pytest.raises(Untrusted) as caught:
        read_settings(pytester, *arguments)
    return str(caught.value)


# --- where an option may be set -------------------------------------------------------------


@pytest.mark.parametrize("name", INI)
def test_ini_files(project: pytest.Pytester, tracked: Writer, name: str) -> None:
    tracked(name, INI[name].format(f"--starcoder-host={EVIL}"))
    assert refusal(project) == f"{name}, {HOST_REFUSED}"


@pytest.mark.skipif(not PYTEST_9, reason="pytest reads them from 9.0 on")
@pytest.mark.parametrize("name", TOML)
def test_toml_files(project: pytest.Pytester, tracked: Writer, name: str) -> None:
    tracked(name, TOML[name].format(f"--starcoder-host={EVIL}"))
    assert refusal(project) == f"{name}, {HOST_REFUSED}"


@pytest.mark.parametrize(
    "words",
    [
        f"--starcoder-host {EVIL}",
        f"-v --starcoder-explain --starcoder-host={EVIL} --starcoder-causes=3",
        f"--starcoder-host=http://127.0.0.1 --starcoder-host={EVIL}",
        f"--starcoder-host={EVIL} -o addopts=",
        f"--starcoder-host={EVIL} -o addopts=--starcoder-host=http://127.0.0.1",
        f"--starcoder-host={EVIL} --",
    ],
    ids=["two-words", "among-others", "last", "hidden", "replaced", "before-the-end"],
)
def test_spellings(project: pytest.Pytester, tracked: Writer, words: str) -> None:
    tracked("pytest.ini", f"[pytest]\naddopts = {words}\n")
    assert refusal(project) == f"pytest.ini, {HOST_REFUSED}"


def test_argument_file_in_addopts(project: pytest.Pytester, tracked: Writer) -> None:
    (project.path / "arguments.txt").write_text(f"--starcoder-host={EVIL}\n")
    tracked("pytest.ini", "[pytest]\naddopts = @arguments.txt\n")
    assert refusal(project) == f"pytest.ini, {HOST_REFUSED}"


@pytest.mark.parametrize(
    "text", [f"--starcoder-host\n{EVIL}\n", "-q\n@inner.txt\n"], ids=["plain", "nested"]
)
@pytest.mark.parametrize("where", ["line", "variable", "untracked-ini"])
def test_tracked_argument_file(
    project: pytest.Pytester,
    tracked: Writer,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    where: str,
) -> None:
    (project.path / "inner.txt").write_text(f"--starcoder-host={EVIL}\n")
    tracked("arguments.txt", text)
    if where == "variable":
        monkeypatch.setenv("PYTEST_ADDOPTS", "@arguments.txt")
    elif where == "untracked-ini":
        (project.path / "pytest.ini").write_text("[pytest]\naddopts = @arguments.txt\n")
    assert (
        refusal(project, *(["@arguments.txt"] if where == "line" else []))
        == f"arguments.txt, {HOST_REFUSED}"
    )


def test_addopts_in_an_argument_file(project: pytest.Pytester, tracked: Writer) -> None:
    tracked("arguments.txt", f"-o\naddopts=--starcoder-host={EVIL}\n")
    assert refusal(project, "@arguments.txt") == f"arguments.txt, {HOST_REFUSED}"


def test_file_on_the_command_line(project: pytest.Pytester, tracked: Writer) -> None:
    tracked("conf/other.ini", f"[pytest]\naddopts = --starcoder-host={EVIL}\n")
    assert refusal(project, "-c", "conf/other.ini") == f"other.ini, {HOST_REFUSED}"


def test_link_to_a_tracked_file(project: pytest.Pytester, tracked: Writer) -> None:
    tracked("conf/team.ini", f"[pytest]\naddopts = --starcoder-host={EVIL}\n")
    (project.path / "pytest.ini").symlink_to("conf/team.ini")
    assert refusal(project) == f"pytest.ini, {HOST_REFUSED}"


def test_no_git(pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\naddopts = --starcoder-host={EVIL}\n")
    assert refusal(pytester) == f"tox.ini, {HOST_REFUSED}"


# --- what the user sets --------------------------------------------------------------------


def test_untracked_ini_file(project: pytest.Pytester) -> None:
    project.makeini(f"[pytest]\naddopts = --starcoder-host={EVIL}\n")
    found = read_settings(project)
    assert (found.host, found.source("host"), found.tracked) == (
        EVIL,
        "--starcoder-host",
        frozenset(),
    )


@pytest.mark.parametrize(
    "repeated", ["", f"--starcoder-host={EVIL}", "--starcoder-host=http://other.example"]
)
@pytest.mark.parametrize("where", ["line", "two-words", "variable", "arguments", "override"])
def test_user(
    project: pytest.Pytester,
    tracked: Writer,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    repeated: str,
) -> None:
    tracked("pytest.ini", f"[pytest]\naddopts = -q {repeated}\n")
    (project.path / "mine.txt").write_text(f"--starcoder-host={EVIL}\n")
    given = {
        "line": [f"--starcoder-host={EVIL}"],
        "two-words": ["--starcoder-host", EVIL],
        "variable": [],
        "arguments": ["@mine.txt"],
        "override": ["-o", f"addopts=--starcoder-host={EVIL}"],
    }[where]
    if where == "variable":
        monkeypatch.setenv("PYTEST_ADDOPTS", f"--starcoder-host={EVIL}")
    found = read_settings(project, *given)
    assert (found.host, found.source("host"), found.tracked) == (
        EVIL,
        "--starcoder-host",
        frozenset(),
    )


def test_conftest(project: pytest.Pytester, tracked: Writer) -> None:
    tracked("pytest.ini", "[pytest]\naddopts = -q\n")
    config = project.parseconfig()
    config.option.starcoder_host = EVIL
    assert session_settings(config, tuple(plugin.SETTINGS)).host == EVIL


def test_harmless_options(project: pytest.Pytester, tracked: Writer) -> None:
    tracked("pytest.ini", "[pytest]\naddopts = --starcoder-causes=3 --starcoder-host=127.0.0.1:9\n")
    found = read_settings(project, "--starcoder-model=mine")
    assert (found.causes, found.source("causes")) == (3, "pytest.ini, --starcoder-causes")
    assert found.tracked == {"causes", "host"}


# --- what a repository may not set ---------------------------------------------------------

REFUSED = {
    "backend": (
        "huggingface",
        "set backend = 'huggingface': that backend may send code to another machine.",
    ),
    "model": (
        "x:cloud",
        "set model = 'x:cloud': Ollama sends the prompts for a cloud model to another machine.",
    ),
    "api-key": ("sk-x", "set api_key: a key is a secret."),
    "hf-token": ("hf_x", "set hf_token: a token is a secret."),
    "cache": ("/outside", "set cache = '/outside': it names a folder."),
    "confinement": (
        "none",
        "set confinement = 'none': it may weaken the sandbox for untrusted code.",
    ),
}


@pytest.mark.parametrize("option", REFUSED)
def test_settings_that_are_refused(project: pytest.Pytester, tracked: Writer, option: str) -> None:
    value, said = REFUSED[option]
    tracked("pytest.ini", f"[pytest]\naddopts = --starcoder-{option}={value}\n")
    assert refusal(project) == (
        f"pytest.ini, --starcoder-{option}: {MAY_NOT} {said} Remove it there, "
        f"or pass --starcoder-{option} on the command line or in PYTEST_ADDOPTS."
    )


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("--starcoder-apply=yes", "--starcoder-apply=yes"),
        ("--starcoder-apply yes", "--starcoder-apply=yes"),
        ("--starcoder-apply -q", "--starcoder-apply=ask"),
        ("--starcoder-apply", "--starcoder-apply=ask"),
        *((flag, flag) for flag in FLAGS),
    ],
)
def test_options_that_change_files(
    project: pytest.Pytester, tracked: Writer, words: str, shown: str
) -> None:
    tracked("pytest.ini", f"[pytest]\naddopts = {words}\n")
    option = shown.partition("=")[0]
    assert refusal(project) == (
        f"pytest.ini, {shown}: {MAY_NOT} change files. "
        f"Remove it there, or pass {option} on the command line or in PYTEST_ADDOPTS."
    )
    assert read_settings(project, *words.split()) == read_settings(project, *words.split(), "-q")


@pytest.mark.parametrize(
    "option", ["--starcoder-report", "--starcoder-generate-report"], ids=["report", "generate"]
)
@pytest.mark.parametrize(
    "name",
    ["../r.json", "{outside}/r.json", "link/r.json", "link.json", ".git/r.json"],
    ids=["above", "absolute", "folder", "link", "git"],
)
def test_reports_outside(
    project: pytest.Pytester, tracked: Writer, tmp_path: Path, option: str, name: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (project.path / "link").symlink_to(outside)
    (project.path / "link.json").symlink_to(outside / "x.json")
    name = name.format(outside=outside)
    tracked("pytest.ini", f"[pytest]\naddopts = {option}={name} {option}=inside.json\n")
    assert refusal(project) == (
        f"pytest.ini, {option}={name}: {MAY_NOT} write a report outside of it. "
        f"Remove it there, or pass {option} on the command line or in PYTEST_ADDOPTS."
    )
    read_settings(project, f"{option}={name}")


def test_report_inside(project: pytest.Pytester, tracked: Writer) -> None:
    tracked("svc/pytest.ini", "[pytest]\naddopts = --starcoder-report=../reports/r.json\n")
    os.chdir(project.path / "svc")
    Options(project.parseconfig()).check()


# --- in whole runs -------------------------------------------------------------------------


@pytest.fixture
def elsewhere(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllama]:
    """Yield a remote server that must not receive anything, and the user's key."""
    monkeypatch.setenv("STARCODER_API_KEY", "sk-mine")
    with fake_ollama("127.0.0.3") as server:
        yield server
        assert server.requests == []


def usage_error(result: pytest.RunResult) -> str:
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    return result.stderr.str().strip()


def test_usage_error(project: pytest.Pytester, tracked: Writer, elsewhere: FakeOllama) -> None:
    tracked(
        "pytest.ini", f"[pytest]\naddopts = --starcoder-explain --starcoder-host={elsewhere.url}\n"
    )
    project.makepyfile(FAILING)
    assert usage_error(project.runpytest()) == (
        f"ERROR: pytest.ini, --starcoder-host: {MAY_NOT} set host = '{elsewhere.url}': "
        f"it names another machine. {SAY_HOST}"
    )
    project.runpytest("--no-starcoder").assert_outcomes(failed=1)


@pytest.mark.parametrize(
    "job", ["--starcoder-generate=shop.py", "--starcoder-report=r.json", "--starcoder-apply"]
)
def test_every_feature(
    project: pytest.Pytester, tracked: Writer, elsewhere: FakeOllama, job: str
) -> None:
    tracked("pytest.ini", f"[pytest]\naddopts = --starcoder-host={elsewhere.url}\n")
    project.makepyfile(FAILING, shop="def one(): return 1")
    assert f"it names another machine. {SAY_HOST}" in usage_error(project.runpytest(job))


@pytest.mark.parametrize("workers", ["", pytest.param("-n1", marks=pytest.mark.slow)])
def test_marker_and_fixture(
    project: pytest.Pytester, tracked: Writer, elsewhere: FakeOllama, workers: str
) -> None:
    tracked("pytest.ini", f"[pytest]\naddopts = --starcoder-host={elsewhere.url}\n")
    project.makepyfile(
        f"import pytest\n@pytest.mark.starcoder_explain\n{FAILING}\n"
        "def test_asking(starcoder): starcoder.ask('why?')"
    )
    result = project.runpytest(*workers.split())
    result.assert_outcomes(failed=2)
    told = " ".join(" ".join(section(result)).split())
    assert f"why no model: pytest.ini, --starcoder-host: {MAY_NOT} set host" in told
    result.stdout.fnmatch_lines(
        [f"E *Untrusted: pytest.ini, --starcoder-host: {MAY_NOT} set host*"]
    )


def test_key_of_a_loopback_host(
    project: pytest.Pytester,
    tracked: Writer,
    ollama_double: FakeOllama,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STARCODER_API_KEY", "sk-mine")
    tracked(
        "pytest.ini",
        f"[pytest]\naddopts = --starcoder-explain --starcoder-host={ollama_double.url}\n",
    )
    project.makepyfile(FAILING)
    project.runpytest()
    assert ollama_double.requests
    assert "sk-mine" not in repr([vars(request) for request in ollama_double.requests])
