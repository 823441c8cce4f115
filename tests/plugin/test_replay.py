"""Running failing tests again, in whole runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.runs import Run, run_pytest
from support.screens import MEAN, section

BARE = ("--starcoder-explain", "--starcoder-backend=none")

FILES = {
    "shop.py": '''
        def price(kind, amount):
            """
            >>> price("cheap", 2)
            5
            """
            if kind == "cheap":
                return amount * 2
            total = amount
            total -= 1
            return total
        ''',
    "test_shop.py": """
        from shop import price

        def test_cheap(): assert price("cheap", 2) == 4
        def test_cheaper(): assert price("cheap", 1) == 2
        def test_dear(): assert price("dear", 3) == 3
        """,
    "test_order.py": """
        STATE = []

        def test_first(): pass
        def test_guilty(): STATE.append(1)
        def test_between(): pass
        def test_victim(): assert STATE == []
        """,
    "test_environment.py": """
        import os

        def test_guilty(): os.environ["SHOP_MODE"] = "x"
        def test_fine(): pass
        def test_victim(): assert "SHOP_MODE" not in os.environ
        """,
    "test_flaky.py": """
        import pathlib

        def test_once(tmp_path):
            (tmp_path / "kept.txt").write_text(str(tmp_path))
            file = pathlib.Path(__file__).parent / "once.txt"
            with file.open("a") as once:
                once.write(f"{tmp_path}\\n")
            assert len(file.read_text().split()) > 1
        """,
    "counting.py": """
        import pathlib

        def count(name):
            with open(pathlib.Path(__file__).parent / "counts.txt", "a") as file:
                file.write(name + "\\n")
        """,
    "test_marked.py": """
        import pytest
        from counting import count

        @pytest.mark.starcoder_explain(replay=False)
        def test_function(): count("function"); assert 0

        @pytest.mark.starcoder_explain(replay=False)
        def test_neighbour(): count("neighbour")

        @pytest.mark.starcoder_explain(replay=False)
        class TestClass:
            def test_method(self): count("method"); assert 0

        def test_free(): count("free"); assert 1 == 2
        """,
    "test_marked_module.py": """
        import pytest
        from counting import count

        pytestmark = pytest.mark.starcoder_explain(replay=False)
        STATE = []

        def test_module(): count("module"); assert 0
        def test_guilty(): count("guilty"); STATE.append(1)
        """,
    "test_marked_guilty.py": """
        import pytest
        from counting import count

        STATE = []

        @pytest.mark.starcoder_explain(replay=False)
        def test_guilty(): count("guilty"); STATE.append(1)

        def test_harmless(): pass
        def test_victim(): assert STATE == []
        """,
    "test_slow.py": """
        from counting import count

        def test_slow(): count("slow"); assert 0
        """,
    "test_kinds.py": """
        import unittest
        import pytest

        class TestOld(unittest.TestCase):
            def test_old(self):
                self.assertEqual(1, 2)

        @pytest.mark.parametrize("text", ["a b", "x[y]", "é::z", "/p"])
        def test_text(text):
            assert text == ""

        @pytest.fixture
        def db():
            raise OSError("no db")

        def test_db(db):
            pass
        """,
    "tool.py": """
        def main():
            amount = 3
            print(amount - 1)

        if __name__ == "__main__":
            main()
        """,
    "test_tool.py": """
        import pathlib, subprocess, sys

        TOOL = pathlib.Path(__file__).parent / "tool.py"

        def test_tool():
            out = subprocess.run([sys.executable, str(TOOL)], capture_output=True, text=True).stdout
            assert out.strip() == "3"
        """,
    "test_names.py": """
        import uuid
        import pytest

        @pytest.mark.parametrize("name", [str(uuid.uuid4()) for _ in range(2)])
        def test_named(name):
            assert not name
        """,
    "test_import.py": """
        import pathlib

        ONCE = pathlib.Path(__file__).parent / "imported.txt"
        if ONCE.exists(): raise RuntimeError("only once")

        def test_import(): ONCE.touch(); assert 1 == 3
        """,
    "conftest.py": """
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item):
            report = yield
            if item.name == "test_slow":
                report.duration = 3.1
            return report
        """,
    "test_log.py": """
        import logging

        def test_log():
            logging.getLogger().info("of the test that failed")
            assert 0
        """,
}
"""Tests of which each shows something else when it runs again."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    options = [
        *(*BARE, "--starcoder-report=out.json", "--starcoder-replay-timeout=60"),
        *("--junitxml=out.xml", "--basetemp=own", "--log-file=run.log", "--log-level=INFO"),
        *("--doctest-modules", "-W", "error"),
    ]
    folder = tmp_path_factory.mktemp("replay")
    return run_pytest(folder, FILES, options, PYTEST_ADDOPTS="-p no:hypothesispytest")


def replays(cause: dict[str, Any]) -> list[str]:
    """What running again has shown of a cause."""
    return [entry["text"] for entry in cause["statements"] if entry["kind"] == "replay"]


def counts(run: Run) -> Counter[str]:
    return Counter((run.folder / "counts.txt").read_text().split())


def test_suspects(run: Run) -> None:
    cause = run.cause("::test_dear")
    [suspect, *_] = cause["suspects"]
    assert (suspect["path"], suspect["source"]) == ("shop.py", "total -= 1")
    assert re.fullmatch(r"none of \d+ passing neighbours runs it", suspect["reasons"][-1])
    first, second = replays(cause)
    assert re.fullmatch(r"failed again when rerun; \d+ neighbours? passed", first)
    assert second.startswith("in the rerun, price(kind='dear', amount=3)")


@pytest.mark.parametrize("name", ["order", "environment"])
def test_order(run: Run, name: str) -> None:
    cause = run.cause(f"test_{name}.py::test_victim")
    assert replays(cause) == [
        f"passes alone and fails after test_{name}.py::test_guilty: dependent on the order"
    ]
    assert cause["rerun"] == [f"test_{name}.py::test_guilty", f"test_{name}.py::test_victim"]


def test_marked_guilty(run: Run) -> None:
    """The order is not searched for with a test that may not run again."""
    cause = run.cause("test_marked_guilty.py::test_victim")
    assert replays(cause)[0].startswith("passed when rerun")
    assert counts(run)["guilty"] == 2  # of two files, once each


def test_flaky(run: Run) -> None:
    [statement] = replays(run.cause("::test_once"))
    assert statement.startswith("passed when rerun")
    assert "flaky" in statement


@pytest.mark.parametrize("name", ["function", "neighbour", "method", "module", "slow"])
def test_not_run_again(run: Run, name: str) -> None:
    assert counts(run)[name] == 1
    assert counts(run)["free"] > 1


@pytest.mark.parametrize("test", ["::test_old", "::test_text[/p]", "::test_db", "shop.price"])
def test_kinds_of_tests(run: Run, test: str) -> None:
    assert "failed again" in replays(run.cause(test))[0]


def test_started_process(run: Run) -> None:
    suspects = run.cause("::test_tool")["suspects"]
    places = [(suspect["path"], suspect["line"]) for suspect in suspects]
    assert places[:2] == [("tool.py", 3), ("tool.py", 2)]


def test_new_names(run: Run) -> None:
    [cause] = [cause for cause in run.causes if "test_named" in cause["tests"][0]]
    assert replays(cause) == [
        "2 tests could not be run again: the parameters have different names at each collection"
    ]
    assert "rerun pytest --rootdir" not in run.text


def test_import_error(run: Run) -> None:
    assert replays(run.cause("::test_import")) == [
        "test_import.py::test_import could not be run again: "
        "test_import.py cannot be collected: RuntimeError: only once"
    ]


def test_temporary_folders(run: Run) -> None:
    own, *again = (run.folder / "once.txt").read_text().split()
    assert own == str(run.folder / "own" / "test_once0")
    assert Path(own, "kept.txt").read_text() == own, "the folder of the run itself stays"
    assert again
    assert not any(Path(folder).exists() for folder in again)


def test_files_of_the_run(run: Run) -> None:
    """The cache, the log and the JUnit file know only the run itself."""
    cache = run.folder / ".pytest_cache" / "v" / "cache"
    failed = json.loads((cache / "lastfailed").read_text())
    assert "test_shop.py::test_dear" in failed
    assert not [nodeid for nodeid in failed if "test_cheap" in nodeid]
    suite = next(ElementTree.parse(run.folder / "out.xml").iter("testsuite"))
    outcomes = run.result.parseoutcomes()
    assert int(suite.get("failures", 0)) == outcomes["failed"]
    assert (run.folder / "run.log").read_text().count("of the test that failed") == 1
    written = {"own", "out.json", "out.xml", "run.log", "once.txt", "counts.txt", "imported.txt"}
    present = {path.name for path in run.folder.iterdir()}
    assert present - {"__pycache__", ".pytest_cache"} == written | set(FILES)


@pytest.fixture(scope="module")
def parallel_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    options = [*BARE, "--starcoder-report=out.json", "-n", "2", "--dist=loadfile"]
    chosen = ("counting.py", "test_marked.py", "test_marked_module.py", "test_order.py")
    files = {name: FILES[name] for name in chosen}
    return run_pytest(tmp_path_factory.mktemp("parallel"), files, options)


def test_marks_with_xdist(parallel_run: Run) -> None:
    names = {name: count for name, count in counts(parallel_run).items() if name != "free"}
    assert set(names.values()) == {1}
    assert counts(parallel_run)["free"] > 1


def test_order_with_xdist(parallel_run: Run) -> None:
    cause = parallel_run.cause("test_order.py::test_victim")
    assert replays(cause)[0].startswith("passes alone and fails after test_order.py::test_guilty")


def explain(pytester: pytest.Pytester, *options: str) -> str:
    return " ".join(" ".join(section(pytester.runpytest(*BARE, *options))).split())


def test_switched_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(counting=FILES["counting.py"], test_free=FILES["test_marked.py"])
    for option in ("--starcoder-replay=off", "--no-starcoder"):
        text = explain(pytester, option)
        assert "checked" not in text
        assert "suspect" not in text
    names = (pytester.path / "counts.txt").read_text().split()
    assert set(Counter(names).values()) == {2}


HANGS = """
    import os, pathlib, time

    FILE = pathlib.Path(__file__).parent / "pids.txt"

    def test_it():
        with FILE.open("a") as file:
            file.write(f"{os.getpid()}\\n")
        if len(FILE.read_text().split()) > 1:
            time.sleep(60)
        assert 0
"""
"""A test that hangs when it runs again."""


def test_hanging_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=HANGS)
    start = time.monotonic()
    text = explain(pytester, "--starcoder-replay-timeout=2")
    assert time.monotonic() - start < 10
    assert "seen 0 is false" in text
    assert (
        "checked test_it.py::test_it could not be run again: time ran out (setting replay_timeout)"
    ) in text


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=HANGS)
    pids = pytester.path / "pids.txt"
    command = [sys.executable, "-m", "pytest", *BARE]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not pids.exists() or len(pids.read_text().splitlines()) < 2:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert "     seen      0 is false, the test expects it to be true" in output
    assert "checked" not in output
    assert "short test summary info" in output
    assert process.returncode == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(pids.read_text().split()[1]), 0)


def test_coverage(pytester: pytest.Pytester) -> None:
    """Coverage measures the run alone."""
    pytester.makepyfile(
        shop="""
        import pathlib

        def total():
            again = pathlib.Path(__file__).parent / "again.txt"
            if again.exists():
                return 2
            again.touch()
            return 1
        """,
        test_shop="from shop import total\ndef test_total(): assert total() == 3",
    )
    pytester.makefile(".ini", coveragerc="[run]\nparallel = true\npatch = subprocess\n")
    coverage = [sys.executable, "-m", "coverage"]
    options = ["--rcfile=coveragerc.ini", "--include=shop.py"]
    pytester.run(*coverage, "run", *options, "-m", "pytest", *BARE)
    assert Path("again.txt").exists()
    pytester.run(*coverage, "combine", "-q")
    pytester.run(*coverage, "json", "-q", "-o", "cov.json")
    file = json.loads(Path("cov.json").read_text())["files"]["shop.py"]
    assert 6 in file["missing_lines"], "only running it again returns 2"
    assert 8 in file["executed_lines"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("-x", "-p", "no:cacheprovider", "-p", "no:tmpdir", "-W", "error", "-k", "mean"),
        ("--maxfail=1", "-n", "1", "--durations", "3", "-q", "test_pricing.py"),
        ("--import-mode=importlib", "-o", "pythonpath=.", "-c", "own.ini", "--ff", "--sw"),
    ],
    ids=["quick", "xdist", "ini"],
)
def test_user_options(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytester.makepyfile(**MEAN)
    Path("own.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    text = explain(pytester, *options)
    outcome = "in the rerun, mean(xs=[1, 2, 3]) returned 3.0"
    assert f"checked failed again when rerun {outcome}" in text


@pytest.mark.slow
def test_working_tree(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**MEAN)
    pytester.run("git", "init", "-q")
    Path(".gitignore").write_text("__pycache__\n.pytest_cache\nstd*\nrunpytest*\n")
    pytester.run("git", "add", "-A")
    index = (pytester.path / ".git" / "index").read_bytes()
    explain(pytester)
    # Read before `git status`, which refreshes the index.
    assert (pytester.path / ".git" / "index").read_bytes() == index
    status = pytester.run("git", "status", "--porcelain").outlines
    assert status == ["A  .gitignore", "A  pricing.py", "A  test_pricing.py"]


@pytest.mark.slow
def test_reordering_conftest(pytester: pytest.Pytester) -> None:
    """A conftest file may reorder and deselect tests the second time."""
    pytester.makepyfile(
        test_order=FILES["test_order.py"],
        conftest="""
        import pathlib

        def pytest_collection_modifyitems(items):
            if pathlib.Path("ran").exists():
                items[:] = items[::-1][:2]

        def pytest_runtest_logfinish():
            pathlib.Path("ran").touch()
        """,
    )
    assert "passes alone and fails after test_order.py::test_guilty" in explain(pytester)


@pytest.mark.slow
def test_conftest_that_imports_once(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_it(): open('ran', 'w').close(); assert 1 == 2\n")
    pytester.makeconftest("import os\nif os.path.exists('ran'): raise RuntimeError('only once')\n")
    assert (
        "checked test_it.py::test_it could not be run again: pytest could not be started again: "
        "RuntimeError: only once (from conftest.py)"
    ) in explain(pytester)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plugins", "statement"),
    [
        (
            "[Own()]",
            "test_it.py::test_it could not be run again: "
            "pytest.main() was given a plugin object (Own, ",
        ),
        ("[own]", "failed again when rerun"),
    ],
    ids=["object", "module"],
)
def test_plugins_of_main(pytester: pytest.Pytester, plugins: str, statement: str) -> None:
    fixture = "@pytest.fixture\ndef value(): return 1\n"
    pytester.makepyfile(
        own=f"import pytest\n{fixture}",
        test_it="def test_it(value): assert value == 2\n",
        run=f"""
        import pytest, own

        class Own:
            @pytest.fixture
            def value(self): return 1

        pytest.main({[*BARE, "test_it.py"]!r}, plugins={plugins})
        """,
    )
    text = " ".join(" ".join(section(pytester.runpython(Path("run.py")))).split())
    assert f"checked {statement}" in text
