"""Tests run again in a child: what became of them, what they executed, and that the host does not notice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner import rerun as module
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.runner.rerun import rerun, select_outcomes
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.trace import MAX_ALL_CALLS, MAX_CALLS
from pytest_starcoder.runner.variables import sandboxed_variables
from pytest_starcoder.source import project as projects


class Project:
    """A small project, and runs of its tests."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.write("pytest.ini", "[pytest]\npythonpath = .\n")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(dedent(text))

    def run(
        self,
        *names: str,
        seconds: float = 20,
        arguments: tuple[str, ...] = (),
        warn: Callable[[str], object] = lambda _: None,
    ) -> list[Outcome]:
        launch = Launch(self.root, self.root, self.root / "pytest.ini", arguments)
        nodeids = [f"test_it.py::{name}" for name in names]
        return rerun(
            launch, nodeids, Deadline.after(seconds), trace=nodeids, values=nodeids, warn=warn
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


SHOP = """
    RATE = 3

    def double(x):
        total = x
        return total * 2

    def broken(x):
        raise KeyError(x)
"""


def test_outcomes_come_in_the_order_that_was_asked_for(project: Project) -> None:
    project.write(
        "test_it.py",
        "import pytest\ndef test_a(): assert 0\ndef test_b(): pass\ndef test_c(): pytest.skip()",
    )
    found = project.run("test_b", "test_a", "test_c")
    assert [(outcome.nodeid.partition("::")[2], outcome.outcome) for outcome in found] == [
        ("test_b", "passed"),
        ("test_a", "failed"),
        ("test_c", "skipped"),
    ]
    assert (found[1].exception, found[1].message) == ("AssertionError", "assert 0")


def test_lines_and_calls_with_their_values(project: Project) -> None:
    project.write("shop.py", SHOP)
    project.write(
        "test_it.py",
        """
        from shop import broken, double

        def test_a():
            assert double(2) == 5

        def test_b():
            broken('k')
        """,
    )
    first, second = project.run("test_a", "test_b")
    assert first.lines["shop.py"] == {5, 6}
    assert [
        (call.function, call.arguments, call.outcome)
        for call in first.calls
        if call.path == "shop.py"
    ] == [("double", "x=2", "returned 4")]
    assert [call.outcome for call in second.calls if call.function == "broken"] == [
        "raised KeyError"
    ]
    assert 2 in first.imported["shop.py"]


def test_what_a_wider_fixture_runs_counts_for_every_test_that_has_it(project: Project) -> None:
    project.write("shop.py", SHOP)
    project.write(
        "test_it.py",
        """
        import pytest
        from shop import double

        @pytest.fixture(scope="module")
        def four():
            return double(2)

        def test_a(four): pass
        def test_b(four): pass
        def test_c(): pass
        """,
    )
    assert [
        "shop.py" in outcome.lines for outcome in project.run("test_a", "test_b", "test_c")
    ] == [True, True, False]


def test_calls_in_loops_are_bounded(project: Project) -> None:
    functions = "".join(f"\ndef f{number}(): pass" for number in range(100))
    calls = "".join(f"\n        f{number}()" for number in range(100))
    project.write("test_it.py", f"{functions}\n\ndef test_a():\n    for _ in range(9):{calls}\n")
    [outcome] = project.run("test_a")
    assert len(outcome.calls) == MAX_ALL_CALLS
    assert (
        max(sum(call.function == f"f{n}" for call in outcome.calls) for n in range(100))
        <= MAX_CALLS
    )


def test_broken_and_large_values_do_no_harm(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        class Bad:
            def __repr__(self): raise RuntimeError

        def f(x): return x

        def test_a():
            f(Bad()), f("x" * 5_000_000), f(list(range(100_000)))
        """,
    )
    [outcome] = project.run("test_a")
    assert outcome.outcome == "passed"
    assert all(len(call.arguments) <= 160 for call in outcome.calls)


def test_secrets_are_not_in_what_comes_back(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        def login(word): raise OSError("no " + word)

        def test_a():
            order_password = "s3cr3t-pa55word"
            login(order_password)
        """,
    )
    assert "s3cr3t-pa55word" not in repr(project.run("test_a"))


def test_a_test_that_hangs_is_ended_and_what_came_before_it_counts(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        import pathlib, subprocess, sys, time, os

        def test_a(): pass

        def test_b():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            pathlib.Path("pids.txt").write_text(f"{os.getpid()} {child.pid}")
            time.sleep(60)
        """,
    )
    started = time.monotonic()
    assert [outcome.nodeid for outcome in project.run("test_a", "test_b", seconds=3)] == [
        "test_it.py::test_a"
    ]
    assert time.monotonic() - started < 8
    pids = (project.root / "pids.txt").read_text().split()
    for _ in range(200):
        if not any(map(alive, pids)):
            break
        time.sleep(0.02)
    assert not any(map(alive, pids))


def alive(pid: str) -> bool:
    """Whether a process runs; one that nobody waits for, as in a container, does not."""
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_test_that_ends_its_process_loses_no_outcome_before_it(project: Project) -> None:
    project.write("test_it.py", "import os\ndef test_a(): pass\ndef test_b(): os._exit(3)\n")
    assert [outcome.nodeid for outcome in project.run("test_a", "test_b")] == ["test_it.py::test_a"]


def test_other_threads_and_other_pythons_are_traced(project: Project) -> None:
    project.write("shop.py", SHOP + "\n    if __name__ == '__main__':\n        double(1)\n")
    project.write(
        "test_it.py",
        """
        import os, subprocess, sys, threading
        import shop

        def test_thread():
            thread = threading.Thread(target=shop.double, args=(1,))
            thread.start()
            thread.join()

        def test_python():
            subprocess.run([sys.executable, "shop.py"], cwd=os.path.dirname(__file__), check=True)

        def test_bare_python():
            code, env = "import shop; shop.double(1)", {"PYTHONPATH": os.path.dirname(__file__)}
            subprocess.run([sys.executable, "-c", code], check=True, env=env)

        def test_the_environment_is_as_before():
            assert "STARCODER_TRACED_ROOT" in os.environ  # only while it is traced
        """,
    )
    found = project.run(
        "test_thread", "test_python", "test_bare_python", "test_the_environment_is_as_before"
    )
    assert [outcome.outcome for outcome in found] == ["passed"] * 4
    assert [outcome.lines.get("shop.py") for outcome in found[:3]] == [{5, 6}, {5, 6}, None]


def test_a_sitecustomize_of_the_users_is_imported_in_other_pythons(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("sitecustomize.py", "import os\nos.environ['OWN'] = 'yes'\n")
    project.write(
        "test_it.py",
        """
        import subprocess, sys

        def test_a():
            command = [sys.executable, "-c", "import os; print(os.environ['OWN'])"]
            assert subprocess.run(command, capture_output=True).stdout.strip() == b"yes"
        """,
    )
    monkeypatch.setenv("PYTHONPATH", str(project.root))
    assert [outcome.outcome for outcome in project.run("test_a")] == ["passed"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "ini",
    [
        "filterwarnings = error",
        "addopts = --strict-markers -n 3",
        "addopts = -p no:cacheprovider",
        "testpaths = gone",
    ],
)
def test_the_users_configuration_does_no_harm(project: Project, ini: str) -> None:
    project.write("pytest.ini", f"[pytest]\n{ini}\n")
    project.write(
        "test_it.py", "import pytest\n@pytest.mark.starcoder_explain\ndef test_a(): pass\n"
    )
    assert [outcome.outcome for outcome in project.run("test_a")] == ["passed"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a b", "prüfung", "python3.11", "site-packages"])
def test_the_root_may_be_called_anything(tmp_path: Path, name: str) -> None:
    project = Project(tmp_path / name)
    project.write("shop.py", SHOP)
    project.write("test_it.py", "from shop import double\ndef test_a(): assert double(1) == 2\n")
    [outcome] = project.run("test_a")
    assert (outcome.outcome, outcome.lines["shop.py"]) == ("passed", {5, 6})


def test_nothing_of_the_host_is_changed(project: Project) -> None:
    project.write(
        "test_it.py", "import os\ndef test_a():\n    os.environ['NEW'] = '1'\n    os.chdir('/')\n"
    )
    before, files = dict(os.environ), sorted(path.name for path in project.root.iterdir())
    project.run("test_a")
    assert dict(os.environ) == before
    assert (
        sorted(path.name for path in project.root.iterdir() if path.name != "__pycache__") == files
    )


def test_a_debugger_of_the_projects_own_does_no_harm(project: Project) -> None:
    project.write("conftest.py", "import sys\ndef pytest_runtest_call(): sys.settrace(None)\n")
    project.write("test_it.py", "def test_a(): pass\n")
    assert [outcome.outcome for outcome in project.run("test_a")] == ["passed"]


# --- what tests replace ---

IN_OUR_PLACE = {
    "a pipe": "path.unlink(); os.mkfifo(path)",
    "a link": "path.unlink(); path.symlink_to('/dev/zero')",
    "a folder": "path.unlink(); path.mkdir()",
    "nothing": "path.unlink()",
    "a huge file": "path.write_bytes(b''); os.truncate(path, 1_500_000_000)",
    "a huge file besides": "os.truncate(path, 900_000_000)",
    "no JSON": "path.write_text('{\\n\\n[1]\\nnull\\n')",
    "no UTF-8": "path.write_bytes(b'\\xff\\n')",
    "deep JSON": "path.write_text('[' * 100_000 + '\\n' + '{\"a\":' * 100_000 + '\\n')",
    "huge numbers": 'path.write_text(\'{"Outcome": {"nodeid": "x", "outcome": "passed", "seconds": \' + \'9\' * 4000 + \'}}\\n\')',
    "wrong types": 'path.write_text(\'{"Outcome": {"nodeid": "x", "outcome": "passed", "lines": {"a.py": "b"}}}\\n\')',
    "other files": 'path.write_text(\'{"Outcome": {"nodeid": "x", "outcome": "passed", "lines": {"/etc/passwd": [1]}}}\\n\')',
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("code", IN_OUR_PLACE.values(), ids=IN_OUR_PLACE)
def test_what_a_test_puts_in_its_place_is_not_read(project: Project, code: str) -> None:
    project.write(
        "test_it.py",
        f"""
        import os, pathlib

        def test_a(): pass

        def test_b(request):
            path = pathlib.Path(request.config.getoption("starcoder_job")).with_name("outcomes.jsonl")
            {code}

        def test_c(): pass
        """,
    )
    names = [
        outcome.nodeid.partition("::")[2] for outcome in project.run("test_a", "test_b", "test_c")
    ]
    assert names in (
        ["test_a", "test_b", "test_c"],
        ["test_a"],
        ["test_b", "test_c"],
        ["test_c"],
        [],
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_what_a_test_puts_beside_traced_processes_is_not_read(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        import os, pathlib

        def test_a():
            folder = pathlib.Path(os.environ["STARCODER_TRACED_FOLDER"])
            os.mkfifo(folder / "1.json")
            (folder / "2.json").symlink_to("/dev/zero")
            (folder / "3.json").mkdir()
            (folder / "4.json").write_text("[" * 100_000)
            (folder / "5.json").write_text('{"ExecutedLines": {"lines": {"/etc/passwd": [1]}}}')
            (folder / "6.json").write_text('{"ExecutedLines": {"lines": {"a.py": [1]}}}')
            (folder / "7.json").write_text('{"ExecutedLines": {"lines": {"a.py": "b"}}}')
            (folder / "8.json").write_bytes(b"\\xff")
            (folder / "9.json").touch()
            os.truncate(folder / "9.json", 1_500_000_000)
        """,
    )
    [outcome] = project.run("test_a")
    assert outcome.outcome == "passed"
    assert list(outcome.lines) == ["test_it.py"]


# --- how it ends ---

DAEMON = """
    import os, subprocess, sys, time

    def test_a():
        sleeps = [sys.executable, "-c", "import time; time.sleep({seconds})"]
        subprocess.Popen(sleeps)
        subprocess.Popen(sleeps, start_new_session=True)
        if os.fork() == 0:  # forked twice, in its own session
            os.setsid()
            if os.fork() == 0:
                os.execv(sys.executable, sleeps)
            os._exit(0)
        os.wait()
        time.sleep(0.3)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a daemon is init's child")
@pytest.mark.parametrize("sandbox", [None, Level.NONE], ids=["trusted", "sandboxed"])
def test_what_tests_start_does_not_outlive_the_run(project: Project, sandbox: Level | None) -> None:
    seconds = "61.25" if sandbox is None else "62.25"
    project.write("test_it.py", DAEMON.replace("{seconds}", seconds))
    launch = Launch(project.root, project.root, project.root / "pytest.ini")
    outcomes = rerun(launch, ["test_it.py::test_a"], Deadline.after(20), sandbox=sandbox)
    assert [outcome.outcome for outcome in outcomes] == ["passed"]
    listed = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout
    assert f"time.sleep({seconds})" not in listed


LOCKED = """
    import pathlib, pytest, time

    @pytest.fixture(scope="session", autouse=True)
    def lock():
        path = pathlib.Path(__file__).with_name("lock")
        path.touch(exist_ok=False)
        yield
        time.sleep(0.3)
        path.unlink()

    def test_a(): pass

    def test_b():
        {stuck}
"""


@pytest.mark.parametrize(
    "stuck",
    [
        pytest.param("time.sleep(60)", id="sleeps"),
        pytest.param("while True: pass", id="loops", marks=pytest.mark.slow),
        pytest.param("__import__('os').system('sleep 60')", id="shell", marks=pytest.mark.slow),
        pytest.param(
            "__import__('subprocess').run(['sleep', '60'])", id="program", marks=pytest.mark.slow
        ),
        pytest.param("__import__('threading').Event().wait()", id="waits", marks=pytest.mark.slow),
        pytest.param(
            "try: time.sleep(60)\n        except KeyboardInterrupt: pass",
            id="catches",
            marks=pytest.mark.slow,
        ),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_fixtures_are_torn_down_when_the_time_is_over(
    project: Project, monkeypatch: pytest.MonkeyPatch, stuck: str
) -> None:
    monkeypatch.setattr(module, "GRACE", 60.0)  # ending an interpreter is slow on a busy machine
    project.write("test_it.py", LOCKED.format(stuck=stuck))
    sentences: list[str] = []
    outcomes = project.run("test_a", "test_b", seconds=2.5, warn=sentences.append)
    assert [outcome.nodeid for outcome in outcomes] == ["test_it.py::test_a"]
    assert not (project.root / "lock").exists()
    assert sentences == []


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_a_teardown_that_takes_too_long_is_said(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE", 0.5)
    endless = "while True:\n            try: time.sleep(60)\n            except BaseException: pass"
    project.write("test_it.py", LOCKED.format(stuck=endless))
    sentences: list[str] = []
    outcomes = project.run("test_a", "test_b", seconds=2.5, warn=sentences.append)
    assert [outcome.nodeid for outcome in outcomes] == ["test_it.py::test_a"]
    assert sentences == [
        "the tests run again were still tearing down after 5 s and were killed: "
        "their fixtures may have left something behind"
    ]


def outcomes_about(path: str, root: Path) -> list[Outcome]:
    outcome = Outcome("test_it.py::test_a", "passed", lines={path: frozenset({1})})
    return select_outcomes([outcome], {"test_it.py::test_a"}, projects.Project(root))


@pytest.mark.parametrize("path", ["../a.py", "a/../../b.py", "/etc/passwd"])
def test_no_foreign_file_counts(tmp_path: Path, path: str) -> None:
    assert outcomes_about("src/a..b/c.py", tmp_path)
    assert not outcomes_about(path, tmp_path)


def test_environment_of_fixtures(project: Project) -> None:
    """Each test fails as it does alone, whatever a fixture does to the environment."""
    fixtures = {
        "cleared": "with mock.patch.dict(os.environ, {'A': '1'}, clear=True): yield",
        "replaced": "monkeypatch.setattr(os, 'environ', {'A': '1'}); yield",
        "path_removed": "monkeypatch.delenv('PYTHONPATH', raising=False); yield",
        "path_changed": "monkeypatch.setenv('PYTHONPATH', 'lib', prepend=':'); yield",
        "put_back": "before = dict(os.environ); os.environ.clear(); yield; os.environ.update(before)",
        "emptied": "os.environ.clear(); yield",
    }
    text = "import os, pytest\nfrom unittest import mock\n"
    for name, body in fixtures.items():
        text += f"@pytest.fixture\ndef {name}(monkeypatch):\n    {body}\n"
        text += f"def test_{name}({name}): assert 0\n"
    project.write("test_it.py", text)
    found = project.run(*(f"test_{name}" for name in fixtures))
    assert [(outcome.outcome, outcome.message) for outcome in found] == [("failed", "assert 0")] * 6


def test_variables_do_not_stay(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    project.write(
        "conftest.py",
        """
        import os, pytest
        from unittest import mock

        @pytest.fixture(scope="session", autouse=True)
        def changed():
            with mock.patch.dict(os.environ, {"A": "1"}, clear=True):
                yield
                os.environ["PYTHONPATH"] = "lib"

        def ours():
            return [name for name in os.environ if "STARCODER" in name or name == "PYTHONPATH"]

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(item):
            try:
                return (yield)
            finally:
                pytest.seen_of_ours.append(ours())

        pytest.seen_of_ours = []
        """,
    )
    project.write(
        "test_it.py",
        "import pytest\ndef test_a(): pass\ndef test_b(): assert pytest.seen_of_ours == [[]]\n",
    )
    assert [outcome.outcome for outcome in project.run("test_a", "test_b")] == ["passed", "passed"]


def test_path_changed_by_test(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "first")
    project.write(
        "test_it.py",
        """
        import os

        def test_a(): os.environ["PYTHONPATH"] += os.pathsep + "second"
        def test_b(): assert os.environ["PYTHONPATH"].split(os.pathsep)[-2:] == ["first", "second"]
        def test_c(): del os.environ["PYTHONPATH"]
        def test_d(): assert "first" not in os.environ["PYTHONPATH"]
        """,
    )
    found = project.run("test_a", "test_b", "test_c", "test_d")
    assert [outcome.outcome for outcome in found] == ["passed"] * 4


def test_confined_variables(tmp_path: Path) -> None:
    """Confined code gets the user's pytest variables, and those that name a file or a folder."""
    given = {
        "LOG": "log.txt",
        "DATA": str(tmp_path),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "MODE": "fast",
        "API_KEY": "key.txt",
        "SERVICE": "https://example.org/x.json",
        "XDG_CACHE_HOME": str(tmp_path),
    }
    inside = tmp_path / "inside"
    inside.mkdir()
    found = sandboxed_variables(Launch(tmp_path, tmp_path, environment=given), inside)
    assert {name: found[name] for name in given if name in found} == {
        "LOG": "log.txt",
        "DATA": str(tmp_path),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
