"""What running failing tests again shows, and that it is run only where it may be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import pytest
from support.screens import MEAN, section
from support.servers import FakeOllama

BARE = ("--starcoder-explain", "--starcoder-backend=none")

ORDER = """
    STATE = []

    def test_first():
        pass

    def test_guilty():
        STATE.append(1)

    def test_between():
        pass

    def test_victim():
        assert STATE == []
"""

COUNTED = """
    import pathlib
    import pytest

    def ran(name):
        with open(pathlib.Path(__file__).parent / "ran.txt", "a") as file:
            file.write(name + "\\n")
"""


def told(result: pytest.RunResult) -> str:
    return " ".join(" ".join(section(result)).split())


def ran(pytester: pytest.Pytester) -> list[str]:
    return (pytester.path / "ran.txt").read_text().split()


def test_lines_that_only_failing_tests_run_are_suspected(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop="""
        def price(kind, amount):
            if kind == "cheap":
                return amount * 2
            total = amount
            total -= 1
            return total
        """,
        test_shop="""
        from shop import price

        def test_cheap(): assert price("cheap", 2) == 4
        def test_cheaper(): assert price("cheap", 1) == 2
        def test_dear(): assert price("dear", 3) == 3
        """,
    )
    text = told(pytester.runpytest_subprocess(*BARE))
    assert "suspect shop.py:5: total -= 1 (none of 2 passing neighbours runs it)" in text
    assert (
        "checked failed again when it was run again; 2 neighbours passed there, price(kind='dear', amount=3)"
        in text
    )
    assert "Ran 3 tests again." in text


def test_a_failure_that_depends_on_the_order_names_the_guilty_test(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(test_order=ORDER)
    text = told(pytester.runpytest_subprocess(*BARE))
    assert (
        "checked passes alone and fails after test_order.py::test_guilty: dependent on the order"
        in text
    )
    assert "rerun pytest test_order.py::test_guilty test_order.py::test_victim" in text
    again = ("test_order.py::test_guilty", "test_order.py::test_victim")
    pytester.runpytest_subprocess(*again).assert_outcomes(passed=1, failed=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("guilty", "victim"),
    [
        ("os.environ['SHOP_MODE'] = 'x'", "'SHOP_MODE' not in os.environ"),
        ("os.chdir('/')", "os.getcwd() != '/'"),
        ("sys.path.insert(0, '/nowhere')", "'/nowhere' not in sys.path"),
    ],
    ids=["environment", "folder", "path"],
)
def test_what_a_test_does_to_the_process_is_found_as_the_order(
    pytester: pytest.Pytester, guilty: str, victim: str
) -> None:
    pytester.makepyfile(
        test_it=f"import os, sys\ndef test_guilty(): {guilty}\ndef test_fine(): pass\n"
        f"def test_victim(): assert {victim}"
    )
    text = told(pytester.runpytest_subprocess(*BARE))
    assert (
        "checked passes alone and fails after test_it.py::test_guilty: dependent on the order"
        in text
    )


@pytest.mark.slow
def test_the_order_is_that_of_the_worker(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_order=ORDER)
    text = told(pytester.runpytest_subprocess(*BARE, "-n", "1"))
    assert "fails after test_order.py::test_guilty: dependent on the order" in text


def test_a_test_that_may_not_be_run_again_is_not_run_to_find_the_order_either(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_it=COUNTED
        + """
    STATE = []

    @pytest.mark.starcoder_explain(replay=False)
    def test_guilty():
        ran("guilty")
        STATE.append(1)

    def test_harmless():
        ran("harmless")

    def test_victim():
        ran("victim")
        assert STATE == []
"""
    )
    text = told(pytester.runpytest_subprocess(*BARE))
    assert ran(pytester).count("guilty") == 1
    assert ran(pytester).count("harmless") > 1
    assert "dependent on the order" not in text
    assert "checked passed when it was run again" in text


def test_a_test_that_fails_once_is_called_flaky(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pathlib

        def test_once():
            file = pathlib.Path(__file__).parent / "once.txt"
            first = not file.exists()
            file.write_text("x")
            assert not first
        """
    )
    text = told(pytester.runpytest_subprocess(*BARE))
    assert "checked passed when it was run again: flaky, or dependent on what is outside it" in text


def test_a_marked_test_is_never_run_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it=COUNTED
        + """
    @pytest.mark.starcoder_explain(replay=False)
    def test_marked():
        ran("marked")
        assert 0

    @pytest.mark.starcoder_explain(replay=False)
    def test_marked_neighbour():
        ran("neighbour")

    def test_free():
        ran("free")
        assert 1 == 2
"""
    )
    pytester.runpytest_subprocess(*BARE)
    assert sorted(ran(pytester)) == ["free", "free", "marked", "neighbour"]


@pytest.mark.parametrize("parallel", [[], pytest.param(["-n", "2"], marks=pytest.mark.slow)])
@pytest.mark.parametrize("place", ["pytestmark = ", "@", "class"])
def test_the_mark_counts_wherever_it_stands_and_in_every_process(
    pytester: pytest.Pytester, place: str, parallel: list[str]
) -> None:
    mark = "pytest.mark.starcoder_explain(replay=False)"
    lines = {
        "pytestmark = ": f"pytestmark = {mark}\ndef test_it(): ran('it'); assert 0\ndef test_b(): ran('b')\n",
        "@": f"@{mark}\ndef test_it(): ran('it'); assert 0\n@{mark}\ndef test_b(): ran('b')\n",
        "class": f"@{mark}\nclass TestAll:\n"
        "    def test_it(self): ran('it'); assert 0\n    def test_b(self): ran('b')\n",
    }
    pytester.makepyfile(test_it=dedent(COUNTED) + lines[place])
    result = pytester.runpytest_subprocess(*BARE, *parallel)
    assert sorted(ran(pytester)) == ["b", "it"]
    assert "checked" not in told(result)
    assert "suspect" not in told(result)


def test_switched_off_the_functions_that_the_line_calls_are_named(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(**MEAN)
    text = told(pytester.runpytest_subprocess(*BARE, "--starcoder-replay=off"))
    assert "calls pricing.py:1 mean" in text
    assert "suspect" not in text
    assert "checked" not in text
    assert "again" not in text


@pytest.mark.parametrize("options", [["--starcoder-replay=off"], ["--no-starcoder"]])
def test_switched_off_nothing_is_run_again(pytester: pytest.Pytester, options: list[str]) -> None:
    pytester.makepyfile(
        test_it=COUNTED + "\n    def test_it():\n        ran('it')\n        assert 0\n"
    )
    pytester.runpytest_subprocess(*BARE, *options)
    assert ran(pytester) == ["it"]


@pytest.mark.slow
def test_a_slow_test_is_not_run_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it=COUNTED
        + "\n    def test_it():\n        ran('it')\n        __import__('time').sleep(3.1)\n        assert 0\n"
    )
    pytester.runpytest_subprocess(*BARE)
    assert ran(pytester) == ["it"]


@pytest.mark.slow
def test_a_test_that_hangs_the_second_time_is_ended_and_the_rest_is_told(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        test_it=COUNTED
        + """
    def test_it():
        ran("it")
        if len(open(pathlib.Path(__file__).parent / "ran.txt").readlines()) > 1:
            __import__("time").sleep(60)
        assert 0
"""
    )
    started = time.monotonic()
    result = pytester.runpytest_subprocess(*BARE, "--starcoder-replay-timeout=2")
    assert time.monotonic() - started < 10
    assert "seen 0 is false" in told(result)
    assert (
        "checked test_it.py::test_it could not be run again: "
        "it had not ended when the seconds of replay_timeout were over"
    ) in told(result)
    assert result.ret == 1


LEAVES = (
    COUNTED
    + """
    def test_once(tmp_path):
        (tmp_path / "kept.txt").write_text(str(tmp_path))
        (pathlib.Path(__file__).parent / "tmp_path.txt").open("a").write(f"{tmp_path}\\n")
        ran("once")
        assert len(open(pathlib.Path(__file__).parent / "ran.txt").readlines()) > 1

    def test_fine():
        pass
"""
)
"""A test that passes when it is run again, and leaves a file in its folder."""


def test_what_the_run_leaves_is_as_without_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=LEAVES)
    pytester.runpytest_subprocess(*BARE, "--junitxml=out.xml", "--basetemp=own")
    assert ran(pytester) == ["once"] * len(ran(pytester))
    assert len(ran(pytester)) > 1, "it was run again"
    cache = pytester.path / ".pytest_cache" / "v" / "cache"
    assert json.loads((cache / "lastfailed").read_text()) == {"test_it.py::test_once": True}
    assert json.loads((cache / "nodeids").read_text()) == [
        "test_it.py::test_fine",
        "test_it.py::test_once",
    ]
    suite = next(ElementTree.parse("out.xml").iter("testsuite"))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    own, *again = Path("tmp_path.txt").read_text().split()
    assert own == str(pytester.path / "own" / "test_once0")
    assert Path(own, "kept.txt").read_text() == own, "the folders of the run itself are left alone"
    assert not any(Path(folder).exists() for folder in again)
    pytesters = {"runpytest-0", "runpytest-1", "runpytest-current", "stdout", "stderr"}
    left = {path.name for path in pytester.path.iterdir()} - pytesters
    written = {
        "test_it.py",
        "out.xml",
        "own",
        "ran.txt",
        "tmp_path.txt",
        ".pytest_cache",
        "__pycache__",
    }
    assert left - {"__pycache__"} == written - {"__pycache__"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ini", "options"), [("", ["--log-file=run.log"]), ("log_file = run.log", [])]
)
def test_the_log_of_the_run_is_the_runs(
    pytester: pytest.Pytester, ini: str, options: list[str]
) -> None:
    pytester.makeini(f"[pytest]\nlog_file_level = INFO\n{ini}\n")
    pytester.makepyfile(
        """
        import logging

        def test_it():
            logging.getLogger().info("of the test that failed")
            assert 0

        def test_fine(tmp_path):
            logging.getLogger().info("of all tests %s", tmp_path.parent.name)
        """
    )
    assert "checked failed again" in told(
        pytester.runpytest_subprocess(*BARE, *options, "--basetemp=own")
    )
    log = Path("run.log").read_text()
    assert log.count("of the test that failed") == 1
    assert "of all tests own" in log, "its folders are those of the run, not of the one after it"


@pytest.mark.slow
def test_options_in_a_file_do_not_disturb_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it=COUNTED
        + """
    @pytest.mark.starcoder_explain(replay=False)
    def test_marked():
        ran("marked")

    def test_free():
        ran("free")
        assert 1 == 2
"""
    )
    Path("args.txt").write_text("-q\n--junitxml=out.xml\ntest_it.py\n")
    text = told(pytester.runpytest_subprocess(*BARE, "@args.txt"))
    assert sorted(ran(pytester)) == ["free", "free", "marked"]
    assert "checked failed again" in text
    assert next(ElementTree.parse("out.xml").iter("testsuite")).get("tests") == "2"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_a_ctrl_c_ends_running_again_and_the_rest_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_it=COUNTED
        + """
    def test_it():
        ran(str(__import__("os").getpid()))
        if len(open(pathlib.Path(__file__).parent / "ran.txt").readlines()) > 1:
            __import__("time").sleep(60)
        assert 0
"""
    )
    command = [sys.executable, "-m", "pytest", *BARE]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not Path("ran.txt").exists() or len(ran(pytester)) < 2:
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=20)
    assert "     seen      0 is false, the test expects it to be true" in output
    assert "checked" not in output
    assert "short test summary info" in output
    assert run.returncode == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(ran(pytester)[1]), 0)


@pytest.mark.slow
def test_the_folders_of_earlier_runs_are_left_alone(pytester: pytest.Pytester) -> None:
    """A run has three of them, and makes room for its own."""
    pytester.makepyfile(test_it="def test_it(tmp_path): (tmp_path / 'x').touch(); assert 0")
    for _ in range(2):
        pytester.runpytest_subprocess(*BARE)
    kept = sorted(path.name for path in pytester.path.glob("runpytest-[0-9]*"))
    assert len(kept) == 2


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--lf", "--ff", "--sw", "--nf"])
def test_options_that_choose_by_an_earlier_run_do_not_disturb_it(
    pytester: pytest.Pytester, option: str
) -> None:
    pytester.makepyfile(**MEAN, test_other="def test_other(): assert 0\ndef test_fine(): pass")
    pytester.runpytest_subprocess()
    result = pytester.runpytest_subprocess(*BARE, option)
    assert "checked failed again when it was run again" in told(result)
    assert json.loads(Path(".pytest_cache/v/cache/lastfailed").read_text()).keys() == {
        "test_pricing.py::test_mean",
        "test_other.py::test_other",
    }


def test_coverage_measures_the_run_alone(pytester: pytest.Pytester) -> None:
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
    pytester.run(
        sys.executable,
        "-m",
        "coverage",
        "run",
        "--rcfile=coveragerc.ini",
        "--include=shop.py",
        "-m",
        "pytest",
        *BARE,
    )
    assert Path("again.txt").exists()
    pytester.run(sys.executable, "-m", "coverage", "combine", "-q")
    pytester.run(sys.executable, "-m", "coverage", "json", "-q", "-o", "cov.json")
    file = json.loads(Path("cov.json").read_text())["files"]["shop.py"]
    assert 6 in file["missing_lines"], "only running it again returns 2"
    assert 8 in file["executed_lines"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        *(
            ["-x"],
            ["--maxfail=1"],
            ["-n", "2"],
            ["-p", "no:cacheprovider"],
            ["-W", "error"],
            ["-p", "no:tmpdir"],
        ),
        *(
            ["-k", "mean"],
            ["test_pricing.py"],
            ["test_pricing.py::test_mean"],
            ["--durations", "3"],
            ["-q"],
        ),
        *(
            ["--import-mode=importlib", "-o", "pythonpath=."],
            ["-c", "own.ini"],
            ["--junitxml", "out.xml"],
        ),
    ],
    ids=" ".join,
)
def test_the_users_options_do_not_disturb_it(pytester: pytest.Pytester, options: list[str]) -> None:
    pytester.makepyfile(**MEAN)
    Path("own.ini").write_text("[pytest]\n")
    text = told(pytester.runpytest_subprocess(*BARE, *options))
    assert (
        "checked failed again when it was run again there, mean(xs=[1, 2, 3]) returned 3.0" in text
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "ini",
    [
        "addopts = -n 2 --strict-markers",
        "filterwarnings = error",
        "addopts = --import-mode=importlib\npythonpath = .",
    ],
)
def test_the_users_configuration_does_not_disturb_it(pytester: pytest.Pytester, ini: str) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    pytester.makepyfile(**MEAN)
    assert "checked failed again" in told(pytester.runpytest_subprocess(*BARE))


def test_other_kinds_of_tests_are_run_again_as_well(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
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
        """
    )
    text = told(pytester.runpytest_subprocess(*BARE))
    assert text.count("checked failed again when it was run again") == 2
    assert "checked 4 tests failed again" in text


def test_doctests_are_run_again_as_well(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        shop='def double(x):\n    """\n    >>> double(2)\n    5\n    """\n    return x * 2'
    )
    text = told(pytester.runpytest_subprocess(*BARE, "--doctest-modules"))
    assert "checked failed again when it was run again" in text


def test_code_that_a_test_starts_as_another_python_is_ranked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        tool="""
        def main():
            amount = 3
            print(amount - 1)

        if __name__ == "__main__":
            main()
        """,
        test_tool="""
        import pathlib, subprocess, sys

        TOOL = pathlib.Path(__file__).parent / "tool.py"

        def test_tool():
            out = subprocess.run([sys.executable, str(TOOL)], capture_output=True, text=True).stdout
            assert out.strip() == "3"
        """,
    )
    assert "suspect tool.py:3: print(amount - 1) tool.py:2: amount = 3" in told(
        pytester.runpytest_subprocess(*BARE)
    )


def test_assertions_on_one_faulty_function_are_one_cause(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    pytester.makepyfile(
        shop="def double(x):\n    return x * 3\n\ndef half(x):\n    return x // 3\n",
        test_shop="""
        from shop import double, half

        def test_one(): assert double(1) == 2
        def test_two(): assert double(2) == 4
        def test_half(): assert half(4) == 2
        """,
    )
    lines = section(pytester.runpytest_subprocess("--starcoder-explain"))
    assert lines[0] == "StarCoder: 3 failures, 2 causes (starcoder2:7b on Ollama)"
    assert "     tests     test_shop.py::test_one, test_shop.py::test_two" in lines
    assert len(ollama_double.prompts()) == 2
    first, second = (prompt.partition("Test: ")[0] for prompt in ollama_double.prompts())
    assert first == second, "the questions begin alike"


def test_the_working_tree_is_not_changed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(**MEAN)
    pytester.run("git", "init", "-q")
    Path(".gitignore").write_text("__pycache__\n.pytest_cache\nstd*\nrunpytest*\n")
    pytester.run("git", "add", "-A")
    index = (pytester.path / ".git" / "index").read_bytes()
    pytester.runpytest_subprocess(*BARE)
    assert (
        pytester.path / ".git" / "index"
    ).read_bytes() == index  # before `git status` refreshes it
    assert pytester.run("git", "status", "--porcelain").outlines == [
        "A  .gitignore",
        "A  pricing.py",
        "A  test_pricing.py",
    ]


NEW_NAMES = """
    import uuid
    import pytest

    @pytest.mark.parametrize("name", [str(uuid.uuid4()) for _ in range(2)])
    def test_named(name):
        assert not name

    def test_plain():
        assert 1 == 2

    def test_fine():
        pass
"""


def test_new_names_each_time(pytester: pytest.Pytester) -> None:
    """Tests that cannot be collected again are listed, and the rest are run again."""
    pytester.makepyfile(test_it=NEW_NAMES)
    text = told(pytester.runpytest_subprocess(*BARE))
    assert (
        "checked 2 tests could not be run again: the parameters have different names at each collection"
        in text
    )
    assert "rerun pytest test_it.py::test_named 2/2" in text
    assert "checked failed again when it was run again; 1 neighbour passed" in text
    pytester.runpytest_subprocess("test_it.py::test_named").assert_outcomes(failed=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("test_once.py", "test_once.py cannot be collected: RuntimeError: only once"),
        (
            "conftest.py",
            "pytest could not be started again: RuntimeError: only once (from conftest.py)",
        ),
    ],
)
def test_files_that_import_once(pytester: pytest.Pytester, name: str, reason: str) -> None:
    Path(name).write_text("import os\nif os.path.exists('ran'): raise RuntimeError('only once')\n")
    with Path("test_once.py").open("a") as file:
        file.write("def test_once(): open('ran', 'w').close(); assert 1 == 2\n")
    pytester.makepyfile(test_other="def test_other(): assert 1 == 3\n")
    text = told(pytester.runpytest_subprocess(*BARE))
    assert f"checked test_once.py::test_once could not be run again: {reason}" in text
    assert text.count("failed again") == (1 if name == "test_once.py" else 0)


@pytest.mark.slow
def test_order_is_kept_and_nothing_deselected(pytester: pytest.Pytester) -> None:
    """A conftest may shuffle or deselect tests the second time."""
    pytester.makepyfile(
        test_order=ORDER,
        conftest="""
        import pathlib

        def pytest_collection_modifyitems(items):
            if pathlib.Path("ran").exists():
                items[:] = items[::-1][:2]

        def pytest_sessionstart():
            pass

        def pytest_runtest_logfinish():
            pathlib.Path("ran").touch()
        """,
    )
    text = told(pytester.runpytest_subprocess(*BARE))
    assert (
        "checked passes alone and fails after test_order.py::test_guilty: dependent on the order"
        in text
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plugins", "expected"),
    [
        (
            "[Own()]",
            "checked test_it.py::test_it could not be run again: pytest.main() was given a plugin object (Own, ",
        ),
        ("[own]", "checked failed again when it was run again"),
        ("['own']", "checked failed again when it was run again"),
    ],
    ids=["object", "module", "name"],
)
def test_plugins_given_to_main(pytester: pytest.Pytester, plugins: str, expected: str) -> None:
    fixture = "@pytest.fixture\ndef thing(): return 1\n"
    pytester.makepyfile(
        own=f"import pytest\n{fixture}",
        test_it="def test_it(thing): assert thing == 2\n",
        run=f"""
        import pytest, own

        class Own:
            @pytest.fixture
            def thing(self): return 1

        pytest.main({[*BARE, "test_it.py"]!r}, plugins={plugins})
        """,
    )
    assert expected in told(pytester.runpython("run.py"))
