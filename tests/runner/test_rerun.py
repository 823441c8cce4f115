"""Tests run again in a child: outcomes, executed lines, endings, and no effect on the host."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest
from support.processes import still_alive

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner import rerun as module
from pytest_starcoder.runner.call_log import MAX_ALL_CALLS, MAX_CALLS
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import Call, ExecutedLines, Outcome
from pytest_starcoder.runner.rerun import rerun, select_outcomes
from pytest_starcoder.runner.rerun_job import Tracing
from pytest_starcoder.source import project as projects

STRICT_INI = """
    [pytest]
    filterwarnings = error
    addopts = --strict-markers -n 3 -p no:cacheprovider
    testpaths = gone
    pythonpath = .
"""


class Project:
    """A small project, and reruns of its tests."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.write("pytest.ini", "[pytest]\npythonpath = .\n")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(dedent(text))

    def rerun(
        self,
        *names: str,
        seconds: float = 60,
        variables: Mapping[str, str] | None = None,
        warn: Callable[[str], object] = lambda _: None,
        twice: Collection[str] = (),
        until: float = 0.0,
    ) -> list[Outcome]:
        environment = {**os.environ, **(variables or {})}
        launch = Launch(self.root, self.root, self.root / "pytest.ini", environment=environment)
        tests = [f"test_it.py::{name}" for name in names]
        deadline = Deadline.after(seconds)
        tracing = Tracing(
            lines=frozenset(tests),
            calls=frozenset(tests),
            twice=frozenset(f"test_it.py::{name}" for name in twice),
            until=until,
        )
        return rerun(launch, tests, deadline, tracing=tracing, warn=warn)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


# --- outcomes and traces: one run, many looks at it ---

SHOP = """
    RATE = 3

    def double(x):
        total = x
        return total * 2

    def broken(x):
        raise KeyError(x)

    if __name__ == "__main__":
        double(1)
"""

MANY = 100
FUNCTIONS = "".join(f"def f{number}(): pass\n" for number in range(MANY))
CALLS = "".join(f"        f{number}()\n" for number in range(MANY))

TESTS = f"""
import os, subprocess, sys, threading
import pytest
import shop
from shop import broken, double

@pytest.mark.starcoder_explain
def test_fails():
    assert double(2) == 5

def test_raises(): broken("k")
def test_skips(): pytest.skip("no tools")
def test_passes(): pass

@pytest.fixture(scope="module")
def four():
    return double(2)

def test_first_user(four): pass
def test_second_user(four): pass

{FUNCTIONS}
def test_loops():
    for _ in range(9):
{CALLS}

class Bad:
    def __repr__(self): raise RuntimeError

def identity(x): return x

def test_values():
    identity(Bad()), identity("x" * 5_000_000), identity(list(range(100_000)))

def login(word): raise OSError("no " + word)

def test_secret():
    order_password = "s3cr3t-pa55word"
    login(order_password)

def test_thread():
    thread = threading.Thread(target=shop.double, args=(1,))
    thread.start()
    thread.join()

def test_process():
    subprocess.run([sys.executable, "shop.py"], cwd=os.path.dirname(__file__), check=True)

def test_bare_process():
    code, env = "import shop; shop.double(1)", {{"PYTHONPATH": os.path.dirname(__file__)}}
    subprocess.run([sys.executable, "-S", "-c", code], check=True, env=env)

def test_traced_environment():
    assert "STARCODER_TRACED_ROOT" in os.environ  # only while it is traced

def test_sitecustomize():
    command = [sys.executable, "-c", "import os; print(os.environ['CUSTOM'])"]
    assert subprocess.run(command, capture_output=True).stdout.strip() == b"yes"

def test_adds_to_path(): os.environ["PYTHONPATH"] += os.pathsep + "second"
def test_has_path(): assert os.environ["PYTHONPATH"].split(os.pathsep)[-1] == "second"
def test_removes_path(): del os.environ["PYTHONPATH"]
def test_has_no_path(): assert "second" not in os.environ["PYTHONPATH"]

def test_changes_process():
    os.environ["NEW"] = "1"
    os.chdir("/")
"""

NAMES = [line[4:].partition("(")[0] for line in TESTS.splitlines() if line.startswith("def test_")]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project below a folder with an odd name, whose tests ran again."""
    project = Project(tmp_path_factory.mktemp("odd") / "a prüfung" / "site-packages")
    project.write("pytest.ini", STRICT_INI)
    project.write("shop.py", SHOP)
    project.write("sitecustomize.py", "import os\nos.environ['CUSTOM'] = 'yes'\n")
    project.write("test_it.py", TESTS)
    return project


@pytest.fixture(scope="module")
def files_before(traced: Project) -> list[str]:
    return sorted(path.name for path in traced.root.iterdir())


@pytest.fixture(scope="module")
def outcomes(traced: Project, files_before: list[str]) -> dict[str, Outcome]:
    assert files_before
    variables = dict(os.environ)
    finished = traced.rerun(*NAMES, variables={"PYTHONPATH": str(traced.root)})
    assert dict(os.environ) == variables
    return {outcome.nodeid.partition("::")[2]: outcome for outcome in finished}


def test_outcomes_in_order(outcomes: dict[str, Outcome]) -> None:
    assert list(outcomes) == NAMES
    failed = {"test_fails", "test_raises", "test_secret"}
    assert {name for name in NAMES if outcomes[name].failed} == failed
    skipped = outcomes["test_skips"]
    assert (skipped.outcome, skipped.exception, skipped.message) == ("skipped", "", "no tools")
    assert outcomes["test_passes"].outcome == "passed"


def test_exception(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["test_fails"]
    assert (outcome.exception, outcome.message) == (
        "AssertionError",
        "assert 4 == 5\n +  where 4 = double(2)",
    )


def test_lines(outcomes: dict[str, Outcome]) -> None:
    assert outcomes["test_fails"].lines["shop.py"] == {5, 6}
    assert outcomes["test_fails"].late_lines["shop.py"] == {5, 6}
    assert outcomes["test_fails"].entered[-1] == ("shop.py", 4)
    assert 2 in outcomes["test_fails"].imported["shop.py"]


def test_calls(outcomes: dict[str, Outcome]) -> None:
    [call] = [call for call in outcomes["test_fails"].calls if call.path == "shop.py"]
    caller = ("test_it.py", 9)
    assert call == Call("shop.py", 4, "double", "x=2", "returned 4", caller, late=True)
    [broken] = [call for call in outcomes["test_raises"].calls if call.function == "broken"]
    assert broken.outcome == "raised KeyError"


def test_types(outcomes: dict[str, Outcome]) -> None:
    [double] = [types for types in outcomes["test_fails"].types if types.path == "shop.py"]
    assert double.line == 4
    assert double.names == {"x": frozenset({"int"}), "total": frozenset({"int"})}


def test_lines_of_wider_fixture(outcomes: dict[str, Outcome]) -> None:
    names = ("test_first_user", "test_second_user", "test_passes")
    assert ["shop.py" in outcomes[name].lines for name in names] == [True, True, False]


def test_calls_in_loops_are_bounded(outcomes: dict[str, Outcome]) -> None:
    functions = [call.function for call in outcomes["test_loops"].calls]
    assert len(functions) == MAX_ALL_CALLS
    assert max(functions.count(f"f{number}") for number in range(MANY)) <= MAX_CALLS


def test_broken_and_large_values(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["test_values"]
    assert outcome.outcome == "passed"
    assert all(len(call.arguments) <= 160 for call in outcome.calls)


def test_secrets_are_redacted(outcomes: dict[str, Outcome]) -> None:
    assert "s3cr3t-pa55word" not in repr(outcomes["test_secret"])
    assert "s3cr3t-pa55word" in outcomes["test_secret"].secrets


def test_threads_and_processes(outcomes: dict[str, Outcome]) -> None:
    names = ("test_thread", "test_process", "test_bare_process")
    assert [outcomes[name].lines.get("shop.py") for name in names] == [{5, 6}, {5, 6}, None]


def test_host_is_unchanged(
    outcomes: dict[str, Outcome], traced: Project, files_before: list[str]
) -> None:
    assert outcomes["test_changes_process"].outcome == "passed"
    names = {path.name for path in traced.root.iterdir()} - {"__pycache__"}
    assert sorted(names) == files_before


# --- tests that run twice ---

LAZY = """
    CACHE = {}

    def load():
        if not CACHE:
            CACHE["a"] = 1
        return CACHE

    def find(key):
        return load()[key]
"""


@pytest.fixture
def lazy(project: Project) -> Project:
    project.write("lazy.py", LAZY)
    return project


def test_second_run_counts(lazy: Project) -> None:
    lazy.write("test_it.py", "import lazy\ndef test_a(): assert lazy.find('a') == 2\n")
    [outcome] = lazy.rerun("test_a", twice=["test_a"])
    assert outcome.lines["lazy.py"] == {5, 7, 10}
    assert outcome.only_first["lazy.py"] == {6}
    assert 6 in outcome.imported["lazy.py"], "it is as little evidence as an import"
    assert {call.function for call in outcome.calls} == {"test_a", "find", "load"}


@pytest.mark.parametrize(
    "second", ["pass", "raise OSError", "assert 1 == 2"], ids=["passes", "exception", "elsewhere"]
)
def test_first_failure_counts(lazy: Project, second: str) -> None:
    lazy.write(
        "test_it.py",
        f"""
        import lazy
        def test_a():
            lazy.find("a")
            if "b" in lazy.CACHE:
                {second}
            else:
                lazy.CACHE["b"] = 1
                assert 0
        """,
    )
    [outcome] = lazy.rerun("test_a", twice=["test_a"])
    assert (outcome.outcome, outcome.message) == ("failed", "assert 0")
    assert outcome.lines["lazy.py"] == {5, 6, 7, 10}
    assert outcome.only_first == {}


def test_cached_results(project: Project) -> None:
    """A cached wrong result is computed by each test; what is to exist once stays."""
    project.write(
        "shop.py",
        """
        import functools

        @functools.lru_cache
        def double(x):
            return x * 3

        @functools.cache
        def settings():
            return object()
        """,
    )
    project.write(
        "test_it.py",
        """
        from shop import double, settings
        SETTINGS = settings()
        def test_a(): assert double(2) == 4
        def test_b():
            assert double(2) == 6
            assert settings() is SETTINGS
        """,
    )
    failed, passed = project.rerun("test_a", "test_b", twice=["test_a"])
    assert failed.lines["shop.py"] == passed.lines["shop.py"] == {6}
    assert (passed.outcome, failed.only_first) == ("passed", {})


def test_fixtures_of_second_run(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        import pytest
        LOG = []
        @pytest.fixture(scope="module")
        def module():
            LOG.append("up")
            yield
            LOG.append("down")
        class Test:
            def test_a(self, module):
                message = f"{hasattr(self, 'seen')} {LOG}"
                self.seen = True
                LOG.append("ran")
                raise OSError(message)
            def test_b(self, module): pass
        """,
    )
    outcomes = project.rerun("Test::test_a", "Test::test_b", twice=["Test::test_a"])
    assert outcomes[0].message == "False ['up', 'ran']"
    assert outcomes[1].outcome == "passed"


def test_neighbours_out_of_time(lazy: Project) -> None:
    lazy.write(
        "test_it.py",
        """
        import lazy, time
        def test_a():
            time.sleep(0.1)
            assert lazy.find("a") == 2
        def test_b(): time.sleep(1.5)
        def test_c(): pass
        """,
    )
    names = "test_a", "test_b", "test_c"
    outcomes = lazy.rerun(*names, twice=["test_a"], until=time.time() + 0.01)
    assert [outcome.nodeid for outcome in outcomes] == ["test_it.py::test_a"]
    assert 6 in outcomes[0].lines["lazy.py"], "there was no time for a second run"


def test_teardown_of_failed_test(project: Project) -> None:
    project.write("shop.py", SHOP)
    project.write(
        "test_it.py",
        """
        import pytest, shop
        @pytest.fixture
        def shown():
            yield
            shop.double(2)
        def test_a(shown): assert 0
        def test_b(shown): pass
        """,
    )
    failed, passed = project.rerun("test_a", "test_b")
    assert ("shop.py" in failed.lines, "shop.py" in passed.lines) == (False, True)


def test_environment_of_fixtures(project: Project) -> None:
    """Each test fails as it does alone, whatever a fixture does to the environment."""
    fixtures = {
        "cleared": "with mock.patch.dict(os.environ, {'A': '1'}, clear=True): yield",
        "replaced": "monkeypatch.setattr(os, 'environ', {'A': '1'}); yield",
        "path_removed": "monkeypatch.delenv('PYTHONPATH', raising=False); yield",
        "path_changed": "monkeypatch.setenv('PYTHONPATH', 'lib', prepend=':'); yield",
        "put_back": "env = dict(os.environ); os.environ.clear(); yield; os.environ.update(env)",
        "emptied": "os.environ.clear(); yield",
    }
    text = "import os, pytest\nfrom unittest import mock\n"
    for name, body in fixtures.items():
        text += f"@pytest.fixture\ndef {name}(monkeypatch):\n    {body}\n"
        text += f"def test_{name}({name}): assert 0\n"
    project.write("test_it.py", text)
    outcomes = project.rerun(*(f"test_{name}" for name in fixtures))
    messages = [(outcome.outcome, outcome.message) for outcome in outcomes]
    assert messages == [("failed", "assert 0")] * 6


def test_variables_between_tests(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
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
    outcomes = project.rerun("test_a", "test_b")
    assert [outcome.outcome for outcome in outcomes] == ["passed", "passed"]


# --- hostile tests ---


def test_tracing_switched_off_and_process_ended(project: Project) -> None:
    project.write("conftest.py", "import sys\ndef pytest_runtest_call(): sys.settrace(None)\n")
    project.write("test_it.py", "import os\ndef test_a(): pass\ndef test_b(): os._exit(3)\n")
    [outcome] = project.rerun("test_a", "test_b")
    assert (outcome.nodeid, outcome.outcome) == ("test_it.py::test_a", "passed")


def test_no_outcome_at_all(project: Project) -> None:
    project.write("test_it.py", "import os\ndef test_a(): os._exit(3)\n")
    [outcome] = project.rerun("test_a")
    assert outcome.outcome == "missing"
    assert outcome.message == "pytest exited with status 3 before the first test had finished"


def test_project_that_cannot_be_imported(project: Project) -> None:
    project.write("conftest.py", "raise OSError('no database')\n")
    [outcome] = project.rerun("test_a")
    assert outcome.message.startswith("pytest could not be started again: ")
    assert "no database" in outcome.message


def test_obstacle(tmp_path: Path) -> None:
    launch = Launch(tmp_path, tmp_path, obstacle="because")
    assert rerun(launch, ["t"], Deadline.after(1)) == [Outcome("t", "missing", message="because")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize(
    "code",
    [
        pytest.param("path.unlink(); os.mkfifo(path)", id="pipe"),
        pytest.param("os.truncate(path, 900_000_000)", id="huge", marks=pytest.mark.slow),
    ],
)
def test_replaced_outcomes_file(project: Project, code: str) -> None:
    """Replacements by a test are not read; test_protocol.py has more of that."""
    project.write(
        "test_it.py",
        f"""
        import os, pathlib

        def test_a(): pass

        def test_b(request):
            job = pathlib.Path(request.config.getoption("starcoder_job"))
            path = job.with_name("outcomes.jsonl")
            {code}

        def test_c(): pass
        """,
    )
    [outcome] = project.rerun("test_a", "test_b", "test_c")
    assert outcome.nodeid == "test_it.py::test_a"


def lines_of(path: str) -> dict[str, frozenset[int]]:
    return {path: frozenset({1})}


@pytest.mark.parametrize("path", ["../a.py", "a/../../b.py", "/etc/passwd"])
def test_files_outside_the_project(tmp_path: Path, path: str) -> None:
    project = projects.Project(tmp_path)
    inside = Outcome("t", "passed", lines=lines_of("src/a..b/c.py"))
    outside = [
        Outcome("t", "passed", lines=lines_of(path)),
        Outcome("t", "passed", arcs={path: frozenset({(1, 2)})}),
        Outcome("t", "passed", calls=(Call(path, 1, "f", "", ""),)),
        ExecutedLines(lines_of(path)),
    ]
    assert select_outcomes(outside, {"t"}, project) == []
    assert select_outcomes([inside, *outside], {"t"}, project) == [inside]


def test_selected_outcomes(tmp_path: Path) -> None:
    imported = lines_of("a.py")
    messages = [
        Outcome("other", "passed"),
        ExecutedLines(imported),
        Outcome("t", "failed", message="a\udc80", calls=(Call("a.py", 1, "f", "\udc80", ""),)),
    ]
    [outcome] = select_outcomes(messages, {"t"}, projects.Project(tmp_path))
    assert (outcome.nodeid, outcome.message, outcome.imported) == ("t", "a\\udc80", imported)
    assert outcome.calls[0].arguments == "\\udc80"


# --- endings ---

HANGS = """
    import os, pathlib, pytest, subprocess, sys, time

    @pytest.fixture(scope="session", autouse=True)
    def lock():
        path = pathlib.Path(__file__).with_name("lock")
        path.touch(exist_ok=False)
        yield
        time.sleep(0.3)
        path.unlink()

    def test_a(): pass

    def test_b():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        pathlib.Path("pids.txt").write_text(f"{os.getpid()} {child.pid}")
        {stuck}
"""

posix_only = pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")


STUCK = {
    "sleeps": "time.sleep(60)",
    "shell": "os.system('sleep 60')",
    "catches": "try: time.sleep(60)\n        except KeyboardInterrupt: pass",
}


@posix_only
def test_teardown_after_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 60.0)  # ending an interpreter is slow on a busy machine
    hung = [Project(tmp_path / name) for name in STUCK]
    for project, stuck in zip(hung, STUCK.values(), strict=True):
        project.write("test_it.py", HANGS.replace("{stuck}", stuck))
    warnings: list[str] = []

    def run(project: Project) -> list[Outcome]:
        return project.rerun("test_a", "test_b", seconds=5, warn=warnings.append)

    started = time.monotonic()
    with ThreadPoolExecutor() as pool:  # they wait for the same time limit
        finished = list(pool.map(run, hung))
    assert time.monotonic() - started < 30
    for project, outcomes in zip(hung, finished, strict=True):
        assert [outcome.nodeid for outcome in outcomes] == ["test_it.py::test_a"]
        assert not (project.root / "lock").exists()
        pids = (project.root / "pids.txt").read_text().split()
        assert still_alive(map(int, pids), seconds=4) == []
    assert warnings == []


@posix_only
@pytest.mark.slow
def test_slow_teardown_warning(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.5)
    endless = "while True:\n            try: time.sleep(60)\n            except BaseException: pass"
    project.write("test_it.py", HANGS.replace("{stuck}", endless))
    warnings: list[str] = []
    [outcome] = project.rerun("test_a", "test_b", seconds=4, warn=warnings.append)
    assert outcome.nodeid == "test_it.py::test_a"
    assert warnings == [
        "the tests run again were still tearing down after 5 s and were killed: "
        "their fixtures may have left something behind"
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a daemon is init's child")
def test_no_process_outlives_the_run(project: Project) -> None:
    """Daemons too; test_supervisor.py has more of that, and test_trials.py in the sandbox."""
    project.write(
        "test_it.py",
        """
        import os, subprocess, sys, time

        def test_a():
            sleeps = [sys.executable, "-c", "import time; time.sleep(61.25)"]
            subprocess.Popen(sleeps)
            subprocess.Popen(sleeps, start_new_session=True)
            if os.fork() == 0:  # forked twice, in its own session
                os.setsid()
                if os.fork() == 0:
                    os.execv(sys.executable, sleeps)
                os._exit(0)
            os.wait()
            time.sleep(0.3)
        """,
    )
    [outcome] = project.rerun("test_a")
    assert outcome.outcome == "passed"
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "time.sleep(61.25)" not in processes.stdout
