"""The cost of the plugin for a run that does not use it, seen when the interpreter ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.runs import Run, home_of, run_pytest
from support.servers import FakeOllama, fake_ollama

OURS = {"pytest_starcoder", "pytest_starcoder.plugin"}
PASSING = "def test_it(): pass\n"
FAILING = "def test_it(): assert [1] == [2]\ndef test_error(): raise OSError\n"

WITNESS = """
import atexit, json, logging, os, sys
if os.path.basename(sys.argv[0]) != "-c":  # not a worker of xdist's
    events, before = [], dict(os.environ)

    def note(event, arguments):
        if event in ("socket.connect", "_thread.start_new_thread"):
            events.append(event)

    @atexit.register
    def write():
        state = {
            "modules": sorted(sys.modules),
            "events": events,
            "changed": sorted(name for name in before if os.environ.get(name) != before[name]),
            "added": sorted(set(os.environ) - set(before)),
            "handlers": [type(handler).__name__ for handler in logging.getLogger().handlers],
        }
        with open(os.environ["WITNESS"], "w") as file:
            json.dump(state, file)

    sys.addaudithook(note)
"""

State = dict[str, Any]


@pytest.fixture(scope="module")
def double() -> Iterator[FakeOllama]:
    with fake_ollama() as server:
        yield server


@pytest.fixture(scope="module")
def witness(
    tmp_path_factory: pytest.TempPathFactory, double: FakeOllama
) -> Callable[..., tuple[State, Run]]:
    """Runs pytest, and returns the state of the interpreter at its end; each run is made once."""
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(WITNESS)

    @cache
    def run(code: str, *options: str) -> tuple[State, Run]:
        state = tmp_path_factory.mktemp("state") / "state.json"
        variables = {
            "OLLAMA_HOST": double.url,
            "PYTHONPATH": str(site),
            "PYTHONDONTWRITEBYTECODE": "1",
            "WITNESS": str(state),
        }
        folder = tmp_path_factory.mktemp("off")
        ended = run_pytest(folder, {"test_it.py": code}, options, **variables)
        return json.loads(state.read_text()), ended

    return run


@pytest.mark.parametrize(
    ("code", "common", "options"),
    [
        pytest.param(PASSING, [], [], id="passing"),
        pytest.param(FAILING, [], [], id="failing"),
        pytest.param(
            FAILING,
            [],
            ["--no-starcoder", "--starcoder-explain", "--starcoder-model=demo"],
            id="no-starcoder",
        ),
        pytest.param(FAILING, ["--collect-only"], [], id="collect-only", marks=pytest.mark.slow),
        pytest.param(FAILING, ["-n", "1"], [], id="xdist", marks=pytest.mark.slow),
    ],
)
def test_two_modules(
    witness: Callable[..., tuple[State, Run]],
    double: FakeOllama,
    code: str,
    common: Sequence[str],
    options: Sequence[str],
) -> None:
    without, bare = witness(code, *common, "-p", "no:starcoder")
    state, run = witness(code, *common, *options)
    assert run.result.ret == bare.result.ret
    assert set(state["modules"]) - set(without["modules"]) == OURS
    for key in ("events", "changed", "added", "handlers"):
        assert state[key] == without[key]
    assert double.requests == []


def test_no_files(witness: Callable[..., tuple[State, Run]]) -> None:
    _, run = witness(FAILING)
    assert [path.name for path in run.folder.iterdir()] == ["test_it.py"]
    assert list(home_of(run.folder).iterdir()) == []


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the warning's text is an older one's")
def test_passing_run_with_the_option(witness: Callable[..., tuple[State, Run]]) -> None:
    """It warns of nothing, and imports no client."""
    state, run = witness(PASSING, "--starcoder-explain", "-W", "error")
    assert run.result.ret == 0
    modules = set(state["modules"])
    assert not {"requests", "git", "dotenv", "pytest_starcoder.model.client"} & modules
    assert state["events"] == []


def test_hook_specifications(pytester: pytest.Pytester) -> None:
    """Hooks may be implemented while the plugin is off; their arguments are checked."""
    pytester.makeconftest("def pytest_starcoder_redact(text): return text")
    pytester.makepyfile("def test_it(): pass")
    pytester.runpytest("-W", "error").assert_outcomes(passed=1)
    Path("conftest.py").write_text("def pytest_starcoder_redact(words): return words")
    result = pytester.runpytest()
    assert "PluginValidationError" in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize("name", ["starcoder_evidence", "starcoder_redact", "starcoder_explained"])
def test_deprecated_hooks(pytester: pytest.Pytester, name: str) -> None:
    """The old names still work: one line says that they are deprecated, and nothing warns."""
    pytester.makeconftest(f"def {name}(): open('called', 'w').close()")
    pytester.makepyfile("def test_it(): assert 1 == 2")
    options = ("--starcoder-explain", "--starcoder-backend=none", "--starcoder-replay=off")
    result = pytester.runpytest(*options, "-W", "error")
    result.assert_outcomes(failed=1)
    assert Path("called").exists()
    assert [line for line in result.outlines if line.startswith("StarCoder: ")] == [
        f"StarCoder: {name} of {pytester.path / 'conftest.py'} has a deprecated name; "
        f"rename it to pytest_{name}."
    ]
