"""What the plugin costs a run that does not ask for it; looked at when the interpreter ends, summary included."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.servers import FakeOllama

OURS = {"pytest_starcoder", "pytest_starcoder.plugin"}
PASSING = "def test_it(): pass"
FAILING = "def test_it(): assert [1] == [2]\ndef test_other(): raise OSError"

WITNESS = """
import atexit, json, logging, os, sys
if os.path.basename(sys.argv[0]) != "-c":  # not a worker of xdist's
    events, before = [], dict(os.environ)

    def note(event, arguments):
        if event in ("socket.connect", "_thread.start_new_thread"):
            events.append(event)

    @atexit.register
    def write():
        seen = {
            "modules": sorted(sys.modules),
            "events": events,
            "changed": sorted(name for name in before if os.environ.get(name) != before[name]),
            "added": sorted(set(os.environ) - set(before)),
            "handlers": [type(handler).__name__ for handler in logging.getLogger().handlers],
        }
        with open(WITNESSED, "w") as file:
            json.dump(seen, file)

    sys.addaudithook(note)
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs pytest and returns what was there as the interpreter ended; the first argument is the test's code."""
    witnessed = pytester.path.parent / f"{pytester.path.name}-witnessed.json"
    folder = pytester.path.parent / f"{pytester.path.name}-site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WITNESS.replace("WITNESSED", repr(str(witnessed))))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def run(code: str, *arguments: str) -> tuple[dict[str, Any], pytest.RunResult]:
        pytester.makepyfile(test_it=code)
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
        return json.loads(witnessed.read_text()), result

    return run


@pytest.mark.parametrize(
    ("code", "common", "ours"),
    [
        (PASSING, [], []),
        (FAILING, [], []),
        (FAILING, [], ["--no-starcoder"]),
        (FAILING, [], ["--no-starcoder", "--starcoder-explain", "--starcoder-model=demo"]),
        (FAILING, ["--collect-only"], []),
        pytest.param(FAILING, ["-n", "2"], [], marks=pytest.mark.slow),
    ],
)
def test_the_whole_run_imports_two_modules_more_and_does_nothing_else(
    run: Any, ollama_double: FakeOllama, code: str, common: list[str], ours: list[str]
) -> None:
    without, bare = run(code, *common, "-p", "no:starcoder")
    with_it, off = run(code, *common, *ours)
    assert off.ret == bare.ret
    assert set(with_it["modules"]) - set(without["modules"]) == OURS
    assert {key: value for key, value in with_it.items() if key != "modules"} == {
        key: value for key, value in without.items() if key != "modules"
    }
    assert ollama_double.requests == []


def test_nothing_is_written(run: Any, pytester: pytest.Pytester) -> None:
    run(FAILING)
    assert Path.home() == pytester.path  # what pytester makes the home is the folder of the run
    assert [
        path.name
        for path in pytester.path.iterdir()
        if not path.name.startswith(("runpytest-", "std"))
    ] == ["test_it.py"]


def test_a_passing_run_with_the_option_imports_no_client(run: Any) -> None:
    seen, _ = run(PASSING, "--starcoder-explain")
    assert not {"requests", "git", "dotenv", "pytest_starcoder.model.client"} & set(seen["modules"])
    assert seen["events"] == []


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the warning's text is an older one's")
def test_the_plugin_warns_of_nothing(run: Any) -> None:
    _, result = run(PASSING, "-W", "error", "--starcoder-explain")
    assert result.ret == 0
