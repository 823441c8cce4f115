"""Whole runs of `pytest --starcoder-generate`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import libcst  # noqa: F401 - or each run in this process would import it anew
import pytest
from support.repositories import git
from support.runs import environment, home_of
from support.servers import FakeOllama

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="drafts are judged in forks")

SHOP = '''
def mean(xs):
    """The mean.

    >>> mean([1, 2, 3])
    2.0
    """
    return sum(xs) / len(xs)


def twice(text):
    return text + text


def broken(text):
    """The number.

    >>> broken("3")
    3
    """
    return int(text[1:])
'''

MARKED = """
import pytest

pytestmark = pytest.mark.starcoder_generate("shop:mean")


class TestTwice:
    pytestmark = pytest.mark.starcoder_generate("shop:twice")
"""

GENERATE = ("--starcoder-generate=shop.py", "--starcoder-backend=none")
HINT = "Nothing was written. Add --starcoder-write to put 1 test into tests/test_shop.py."


def write_project(folder: Path) -> Path:
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (folder / "shop.py").write_text(SHOP)
    (folder / "tests").mkdir()
    (folder / "tests/test_there.py").write_text("def test_there():\n    pass\n")
    return folder


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    return write_project(pytester.path)


def content(project: Path) -> dict[Path, bytes]:
    """Return all files but those that pytester, Python and caches write."""
    files = {}
    for path in project.rglob("*"):
        is_cache = not {".cache", "__pycache__"}.isdisjoint(path.parts)
        if path.is_file() and not is_cache and path.name not in ("stdout", "stderr"):
            files[path] = path.read_bytes()
    return files


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in this process; what it generates is judged in others."""
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


# --- one run without a model -------------------------------------------------------------------


@dataclass(frozen=True)
class FinishedRun:
    """A run of pytest in `folder`, and the files that it added or changed."""

    folder: Path
    lines: list[str]
    status: int
    changed: set[str]


@pytest.fixture(scope="module")
def verbose_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A run with a worker, reports and all details; its own tests fail."""
    folder = write_project(tmp_path_factory.mktemp("project"))
    (folder / "tests/test_there.py").write_text("def test_there():\n    assert False\n")
    before = content(folder)
    reports = [f"--starcoder-generate-report=out/r{suffix}" for suffix in (".json", ".md")]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "-n", "1"]
    done = subprocess.run(
        [*command, *GENERATE, "-k", "there", *reports],
        cwd=folder,
        env=environment(home_of(folder)),
        capture_output=True,
        text=True,
        check=False,
    )
    after = content(folder)
    changed = {path for path in after if after[path] != before.get(path)}
    names = {path.relative_to(folder).as_posix() for path in changed}
    return FinishedRun(folder, done.stdout.splitlines(), done.returncode, names)


@pytest.mark.parametrize(
    "line",
    [
        r"=+ StarCoder: generated tests =+",
        r"shop\.py  coverage 0 % -> .* %   mutants killed 0 -> .*   1 test kept of .* tried.*",
        r"  kept           test_mean_example_1  \(doctest: kills .* mutants, covers line 8\)",
        r'  suspected bug  broken: >>> broken\("3"\) raises ValueError; its docstring promises 3',
        r"No model wrote tests: The backend is set to none\. .*",
        r"  no draft       twice: no example and no usable type hints",
        r"  survived       twice, line 12: .*",
        r"\+def test_mean_example_1\(\):",
        re.escape(HINT),
    ],
)
def test_shown_line(verbose_run: FinishedRun, line: str) -> None:
    assert any(re.fullmatch(line, shown) for shown in verbose_run.lines)


def test_status_and_files(verbose_run: FinishedRun) -> None:
    assert verbose_run.status == 1  # of the failing test, not of the generation
    assert verbose_run.changed == {"out/r.json", "out/r.md"}


def test_reports(verbose_run: FinishedRun) -> None:
    record = json.loads((verbose_run.folder / "out/r.json").read_text())
    assert [test["name"] for test in record["kept"]] == ["test_mean_example_1"]
    text = (verbose_run.folder / "out/r.md").read_text()
    assert text.startswith("## StarCoder: 1 test kept\n")


# --- what is written ---------------------------------------------------------------------------


@pytest.mark.slow
def test_written_tests(pytester: pytest.Pytester, project: Path) -> None:
    (project / "tests/test_marked.py").write_text(
        "import pytest\n\n"
        'pytestmark = pytest.mark.starcoder_generate("shop:mean", "other:f", "nowhere:f")\n'
    )
    (project / "other.py").write_text("def f():\n    return 1\n")
    result = run(pytester, *GENERATE, "--starcoder-write-suspected")
    # Without the option for markers, they only place the tests.
    result.stdout.fnmatch_lines(["Written: tests/test_marked.py"])
    result.stdout.no_fnmatch_line("*other.py*")
    written = content(project)
    run(pytester, *GENERATE, "--starcoder-write-suspected").assert_outcomes(passed=2, xfailed=1)
    assert content(project) == written
    (project / "shop.py").write_text(SHOP.replace("text[1:]", "text"))
    run(pytester).assert_outcomes(passed=2, failed=1)  # the bug is fixed


def test_markers(pytester: pytest.Pytester, project: Path, ollama_double: FakeOllama) -> None:
    (project / "tests/test_marked.py").write_text(MARKED)
    ollama_double.answer = "():\n    assert twice('ab') == 'abab'\n"
    options = ("--starcoder-write", "--starcoder-require")
    result = run(pytester, "--starcoder-generate", *options)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "  kept           test_twice_written_1_1  (model: kills *",
            "  asked          starcoder2:7b: * request*, * token*, * s",
            "Written: tests/test_marked.py",
            "Written: tests/test_marked.py::TestTwice",
        ]
    )
    written = (project / "tests/test_marked.py").read_text()
    assert "\ndef test_mean_example_1():\n" in written
    method = r"class TestTwice:\n.*\n    def test_twice_written_1_1\(self\):\n"
    assert re.search(method, written, re.S)
    run(pytester).assert_outcomes(passed=3)


# --- what is generated for ---------------------------------------------------------------------


@pytest.mark.slow
def test_changed_files(pytester: pytest.Pytester, project: Path) -> None:
    git(project, "init", "--quiet")
    (project / ".gitignore").write_text("ignored.py\n")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message=first")
    arguments = ("--starcoder-generate-changed", "--starcoder-backend=none")
    result = run(pytester, *arguments)
    result.stdout.fnmatch_lines(["StarCoder: Only tests have changed since the last commit, *"])
    (project / "shop.py").write_text(
        SHOP.replace("return sum(xs) / len(xs)", "n = len(xs)\n    return sum(xs) / n")
    )
    (project / "ignored.py").write_text(SHOP)
    (project / "new.py").write_text("def f():\n    return 1\n")
    result = run(pytester, *arguments)
    result.stdout.fnmatch_lines(["  kept           test_mean_example_1*"])
    result.stdout.fnmatch_lines(["new.py  coverage *"])
    result.stdout.no_fnmatch_line("*broken*")
    result.stdout.no_fnmatch_line("*ignored.py*")


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        (
            'pytestmark = pytest.mark.starcoder_generate("nowhere:mean")',
            'StarCoder: tests/test_marked.py: the marker starcoder_generate("nowhere:mean") names '
            'no module of this project. Write it as "package.module:function".',
        ),
        (
            "pytestmark = pytest.mark.starcoder_generate()",
            'StarCoder: tests/test_marked.py: the marker starcoder_generate("") names no module *',
        ),
        ("", "StarCoder: Nothing is marked with starcoder_generate. Name a file, *"),
    ],
    ids=["unknown-module", "no-argument", "no-marker"],
)
def test_marker_error(pytester: pytest.Pytester, project: Path, marker: str, message: str) -> None:
    (project / "tests/test_marked.py").write_text(f"import pytest\n\n{marker}\n")
    result = pytester.runpytest_inprocess("--starcoder-generate", "--starcoder-backend=none")
    assert result.ret == 0
    result.stdout.fnmatch_lines([message])


def test_unused_marker(pytester: pytest.Pytester, project: Path) -> None:
    (project / "tests/test_marked.py").write_text(MARKED)
    result = pytester.runpytest_inprocess("--strict-markers")
    result.stdout.no_fnmatch_line("*StarCoder*")


@pytest.mark.parametrize("option", ["--no-starcoder", "--collect-only"])
def test_switched_off(pytester: pytest.Pytester, project: Path, option: str) -> None:
    result = pytester.runpytest_inprocess(*GENERATE, option)
    result.stdout.no_fnmatch_line("*generated tests*")


def test_fixture(pytester: pytest.Pytester, project: Path) -> None:
    (project / "tests/test_there.py").write_text(
        "import pytest\nimport shop\n\n\n"
        "def test_there(starcoder):\n"
        "    generated = starcoder.generate_tests(shop.mean)\n"
        "    assert [test.draft.name for test in generated.kept] == ['test_mean_example_1']\n"
        "    with pytest.raises(Exception, match='has no file below'):\n"
        "        starcoder.generate_tests(len)\n"
    )
    before = content(project)
    run(pytester, "--starcoder-backend=none").assert_outcomes(passed=1)
    assert content(project) == before


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--starcoder-generate=nowhere.py"], "*: there is no file nowhere.py. Name a file, *"),
        (["--starcoder-generate=shpo.py"], "*: there is no file shpo.py. Is it shop.py?"),
        (["--starcoder-generate=shop.py::maen"], "*shop.py has no function or class maen. *"),
        (
            ["--starcoder-generate=shop.py", "--starcoder-generate-report=r.txt"],
            "*--starcoder-generate-report=r.txt: the suffix '.txt' is not supported. "
            "Use .json or .md.*",
        ),
        (
            ["--starcoder-characterise"],
            "*--starcoder-characterise has no effect without generated tests. "
            "Add --starcoder-generate=FILE.",
        ),
    ],
    ids=["no-file", "similar-file", "unknown-name", "suffix", "no-generation"],
)
def test_usage_error(
    pytester: pytest.Pytester, project: Path, arguments: list[str], message: str
) -> None:
    result = pytester.runpytest_inprocess(*arguments)
    assert result.ret == 4
    result.stderr.fnmatch_lines([message])


def test_libcst_missing(
    pytester: pytest.Pytester, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_starcoder.generate.placement.find_spec", lambda _: None)
    result = pytester.runpytest_inprocess(*GENERATE, "--starcoder-write")
    result.stderr.fnmatch_lines(
        ["*Writing tests needs libcst, which is not installed. Install it with *"]
    )


def test_required_model(pytester: pytest.Pytester, project: Path) -> None:
    (project / "shop.py").write_text("def f():\n    return 1\n")
    result = pytester.runpytest_inprocess(*GENERATE, "--starcoder-require")
    result.stdout.fnmatch_lines(["No model wrote tests: *"])
    assert result.ret == 1


def test_internal_error(
    pytester: pytest.Pytester, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("of ours")

    monkeypatch.setattr("pytest_starcoder.generate.job.GenerationJob.run", fail)
    result = pytester.runpytest_inprocess(*GENERATE)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["StarCoder: no test was generated (RuntimeError: of ours)."])


@pytest.mark.slow
def test_interrupted(pytester: pytest.Pytester, project: Path, ollama_double: FakeOllama) -> None:
    ollama_double.answer = "():\n    assert twice('ab') == 'x'\n"
    ollama_double.delay = 1.0
    before = content(project)
    target = "--starcoder-generate=shop.py::twice"
    child = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", target, "--starcoder-write"],
        cwd=project,
        stdout=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while len(ollama_double.asked()) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate(timeout=60)
    reason = "the run was interrupted; the model's answers are cached"
    assert f"Incomplete: {reason}." in output
    assert "shop.py  coverage" in output
    first = ollama_double.prompts()[0]
    ollama_double.delay = 0.0
    run(pytester, target)
    assert ollama_double.prompts().count(first) == 1
    assert content(project) == before


# --- other plugins -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def asyncio_and_mock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pytest-asyncio and pytest-mock, which would disturb all other tests here."""
    folder = tmp_path_factory.mktemp("plugins")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
    command += ["--disable-pip-version-check", "--target", str(folder)]
    command += ["pytest-asyncio>=1", "pytest-mock>=3.12"]
    if subprocess.run(command, check=False).returncode != 0:
        pytest.skip("pytest-asyncio and pytest-mock cannot be installed from here")
    return folder


@pytest.mark.slow
def test_fixtures_of_other_plugins(
    pytester: pytest.Pytester,
    ollama_double: FakeOllama,
    asyncio_and_mock: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(asyncio_and_mock)
    paths = [str(asyncio_and_mock), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    pytester.makeini("[pytest]\npythonpath = .\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(
        client="""
        import asyncio

        async def price(fetch, item):
            await asyncio.sleep(0)
            return 2 * fetch(item)
        """,
        conftest="""
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def item():
            return "tea"
        """,
        test_there="""
        async def helper():
            return 1

        def test_there(mocker):
            mocker.patch("os.sep", "/")
        """,
    )
    ollama_double.answer = (
        "(mocker, item):\n    fetch = mocker.Mock(return_value=3)\n"
        "    assert await price(fetch, item) == 6\n    fetch.assert_called_once_with('tea')\n"
    )
    result = run(pytester, "--starcoder-generate=client.py", "--starcoder-write")
    result.stdout.fnmatch_lines(
        ["  kept           test_price_written_1_1  (model: kills *", "Written: test_client.py"]
    )
    prompt = ollama_double.prompts()[0]
    assert "async def item():" in prompt
    assert prompt.endswith("@pytest.mark.asyncio\nasync def test_price")
    run(pytester).assert_outcomes(passed=2)
