"""Candidates tried in real forks: verdicts, isolation, and cleaning up."""

# ruff: noqa: E501 - a candidate on a line is a row of a table

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent

import pytest

pytest.importorskip("fcntl", reason="candidates are tried in forks")

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner import trials as trials_module
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.trials import Edits, Trials, Unavailable
from pytest_starcoder.runner.worker_messages import Checks
from pytest_starcoder.source.edits.edit import Edit

SHOP = "def mean(xs):\n    return sum(xs) / (len(xs) - 1)\n"

TESTS = """
from shop import mean

def test_mean(): assert mean([1, 2, 3]) == 2
def test_two(): assert mean([2, 4]) > 2
"""

MEAN, TWO = "test_it.py::test_mean", "test_it.py::test_two"
CHECKS = Checks({MEAN: 0.2}, {TWO: 0.2})  # the wall-clock limit is 1.4 s, even on a busy machine


class Project:
    def __init__(self, root: Path, shop: str = SHOP, tests: str = TESTS) -> None:
        root.mkdir(exist_ok=True)
        self.root = root
        self.write("pytest.ini", "[pytest]\npythonpath = .\n")
        self.write("shop.py", shop)
        self.write("test_it.py", tests)

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(dedent(text), "utf-8")

    def edit(self, before: str, after: str) -> Edits:
        text = (self.root / "shop.py").read_text("utf-8")
        start = text.index(before)
        line = text[:start].count("\n") + 1
        return (Edit("shop.py", (start, start + len(before)), before, after, "a kind", 1.0, line),)

    def trials(self, *tests: str, seconds: float = 60, arguments: Sequence[str] = ()) -> Trials:
        launch = Launch(self.root, self.root, self.root / "pytest.ini", tuple(arguments))
        return Trials(launch, tests, Deadline.after(seconds))

    def state(self) -> dict[str, str]:
        files = [path for path in self.root.rglob("*.*") if "__pycache__" not in path.parts]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


class Bench:
    """One worker on the project of a wrong mean, for many tests."""

    def __init__(self, project: Project, trials: Trials) -> None:
        self.project = project
        self.trials = trials
        self._numbers = itertools.count()

    def fix(self) -> Edits:
        """Return a fix whose instructions no other one has."""
        number = next(self._numbers)
        return self.project.edit("(len(xs) - 1)", f"(len(xs) + {number} - {number})")

    def verdict(self, before: str, after: str) -> str:
        return self.verdicts(self.project.edit(before, after))[0]

    def verdicts(self, *candidates: Edits) -> list[str]:
        trials = list(self.trials.try_in_functions(candidates, CHECKS))
        assert len(trials) == len(candidates), "each candidate has one verdict"
        trials.sort(key=lambda trial: candidates.index(trial.edits))
        return [trial.verdict for trial in trials]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    project = Project(tmp_path_factory.mktemp("bench"))
    before = project.state()
    with project.trials(MEAN, TWO, seconds=300) as trials:
        yield Bench(project, trials)
    assert project.state() == before, "no file of the project changes"


def test_code_that_asks_for_descriptors(tmp_path: Path) -> None:
    shop = f"import sys\nOUT, ERR = sys.stdout.fileno(), sys.stderr.fileno()\n{SHOP}"
    tests = f"{TESTS}\nfrom shop import ERR, OUT\ndef test_out(): assert (OUT, ERR) == (1, 2)\n"
    project = Project(tmp_path / "project", shop, tests)
    with project.trials("test_it.py::test_out") as trials:
        record = trials.baseline(["test_it.py::test_out"], 2)["test_it.py::test_out"]
    assert record.outcome == "passed"


# --- verdicts ------------------------------------------------------------------------------


def test_baseline(bench: Bench) -> None:
    records = bench.trials.baseline([MEAN, TWO], 2)
    failing, passing = records[MEAN], records[TWO]
    assert (failing.outcome, failing.raised) == ("failed", "AssertionError")
    assert failing.place.endswith("test_it.py:4")
    assert passing.outcome == "passed"
    assert 0 < passing.seconds < 1


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("(len(xs) - 1)", "len(xs)", "passes"),
        ("- 1", "- 2", "fails"),
        ("(len(xs) - 1)", "(len(xs) if len(xs) > 2 else 9)", "breaks"),
        ("- 1", "- (1)", "unchanged"),
        ("(len(xs) - 1)", "len(xs", "invalid"),
        ("(xs):", "(xs, n=1):", "unswappable"),
        ("return", "while 1: pass\n    return", "overtime"),
        ("return", "import os; os._exit(0)\n    return", "crashed"),
        ("return", "import os; os.kill(os.getpid(), 9)\n    return", "crashed"),
        ("return", "raise SystemExit(0)\n    return", "fails"),
        ("return", "raise KeyboardInterrupt\n    return", "overtime"),
        ("return", "raise BaseException\n    return", "fails"),
        ("return", "mean(xs)\n    return", "fails"),
        ("return", "import pytest; pytest.skip()\n    return", "fails"),
        ("return", "import pytest; pytest.exit('over', 0)\n    return", "overtime"),
    ],
)  # fmt: skip
def test_verdict(bench: Bench, before: str, after: str, verdict: str) -> None:
    assert bench.verdict(before, after) == verdict


def test_duplicates(bench: Bench) -> None:
    first = bench.project.edit("(len(xs) - 1)", "(len(xs) - 0)")
    same = bench.project.edit("(len(xs) - 1)", "((len(xs)) - (0))")
    assert bench.verdicts(first, same) == ["passes", "duplicate"]


def test_bad_candidates_are_isolated(bench: Bench) -> None:
    bad = [
        "while True: pass",
        "import os; os._exit(1)",
        "import time; time.sleep(60)",
        "import os; os.fork(); os.fork()",
        "sum = max",
        "xs.clear()",
    ]
    candidates = [bench.project.edit("return", f"{text}\n    return") for text in bad]
    started = time.monotonic()
    *verdicts, last = bench.verdicts(*candidates, bench.fix())
    assert last == "passes"
    assert "passes" not in verdicts
    assert time.monotonic() - started < 12


def test_observe(bench: Bench) -> None:
    fix = bench.project.edit("(len(xs) - 1)", "len(xs)")
    variant = bench.project.edit("(len(xs) - 1)", "(len(xs) or 1)")
    inputs, behaviours = bench.trials.observe([fix, variant], CHECKS)
    outcomes = {observed.text: pair for observed, *pair in zip(inputs, *behaviours, strict=True)}
    assert outcomes["mean([1, 2, 3])"] == ["returns 2.0", "returns 2.0"]
    assert outcomes["mean([])"] == ["raises ZeroDivisionError", "returns 0.0"]


def test_forged_lines(bench: Bench) -> None:
    noise = r"""import os
    for descriptor in range(3, 40):
        try: os.write(descriptor, b'{\n[[1]]\n{"Verdict": {"number": 0, "verdict": "passes"}}\n{"number": 1}\n')
        except OSError: pass
    return"""
    noisy = bench.project.edit("return", noise)
    assert bench.verdicts(noisy, bench.fix()) == ["fails", "passes"]


def test_endless_output(bench: Bench) -> None:
    flood = r"""import os
    while True:
        for descriptor in range(3, 40):
            try: os.write(descriptor, b'x' * 4096)
            except OSError: pass
    return"""
    verdict, after = bench.verdicts(bench.project.edit("return", flood), bench.fix())
    assert verdict in ("hung", "crashed", "overtime")
    assert after == "passes"


def test_stray_process_is_killed(bench: Bench) -> None:
    stray = "import subprocess; subprocess.Popen(['sleep', '47'], start_new_session=True)"
    bench.verdict("return", f"{stray}\n    return")
    assert not running("sleep 47")


def test_import_then_swap(bench: Bench) -> None:
    stray = "import subprocess; subprocess.Popen(['sleep', '46']); raise ValueError"
    candidates = [bench.project.edit("return", f"{stray}\n    return"), bench.fix()]
    imported = [
        trial.verdict
        for candidate in candidates
        for trial in bench.trials.try_on_import([candidate], CHECKS)
    ]
    assert imported == ["fails", "passes"]
    assert bench.verdicts(bench.fix()) == ["passes"]
    assert not running("sleep 46")


def test_reading_may_stop_early(bench: Bench) -> None:
    slow = bench.project.edit("return", "import time; time.sleep(5)\n    return")
    wrong = bench.project.edit("- 1", "- 3")
    assert next(iter(bench.trials.try_in_functions([wrong, slow], CHECKS))).verdict == "fails"
    assert bench.verdicts(bench.fix()) == ["passes"]


# --- kinds of tests ------------------------------------------------------------------------

KINDS_SHOP = """
import functools

def mean(xs): return sum(xs) / (len(xs) - 1)

@functools.cache
def two(): return 1
"""

KINDS_TESTS = """
import pytest, unittest, warnings
from shop import mean, two

@pytest.mark.parametrize("xs", [[1, 2, 3]])
def test_parameter(xs): assert mean(xs) == 2

@pytest.fixture(scope="session")
def value(): return mean([1, 2, 3])

class TestClass:
    def test_method(self, value):
        assert not hasattr(self, "before")
        self.before = value
        assert value == 2

class TestCase(unittest.TestCase):
    def test_unittest(self): self.assertEqual(mean([1, 2, 3]), 2)

@pytest.mark.xfail(strict=True)
def test_strict(): assert mean([1, 2, 3]) == 3

def test_skipped(): pytest.skip("no")

def test_cached(): assert two() == 2

two()
"""


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Trials]]:
    project = Project(tmp_path_factory.mktemp("kinds"), KINDS_SHOP, KINDS_TESTS)
    project.write("pytest.ini", "[pytest]\npythonpath = .\nfilterwarnings = error\n")
    names = [
        "test_parameter[xs0]",
        "TestClass::test_method",
        "TestCase::test_unittest",
        "test_strict",
        "test_skipped",
        "test_cached",
    ]
    with project.trials(*(f"test_it.py::{name}" for name in names), seconds=300) as trials:
        yield project, trials


@pytest.mark.parametrize(
    ("test", "candidates", "verdicts"),
    [
        ("test_parameter[xs0]", [("return sum", "xs.clear(); return sum"), ("(len(xs) - 1)", "(len(xs) + 1 - 1)")], ["fails", "passes"]),
        ("TestClass::test_method", [("- 1", "- 2"), ("(len(xs) - 1)", "(len(xs) + 2 - 2)"), ("- 1", "- 3")], ["fails", "passes", "fails"]),
        ("TestCase::test_unittest", [("(len(xs) - 1)", "(len(xs) + 3 - 3)")], ["passes"]),
        ("test_cached", [("return 1", "return 3"), ("return 1", "return 2")], ["fails", "passes"]),
        ("TestCase::test_unittest", [("return sum(xs) / (len(xs) - 1)", "import warnings; warnings.warn('old'); return sum(xs) / len(xs)")], ["fails"]),
    ],
    ids=["parameter", "fixture-and-instance", "unittest", "cache", "warning-is-error"],
)  # fmt: skip
def test_state_of_tests(
    kinds: tuple[Project, Trials],
    test: str,
    candidates: Sequence[tuple[str, str]],
    verdicts: Sequence[str],
) -> None:
    project, trials = kinds
    checks = Checks({f"test_it.py::{test}": 0.5})
    edits = [project.edit(before, after) for before, after in candidates]
    assert [trial.verdict for trial in trials.try_in_functions(edits, checks)] == verdicts


def test_xfail_and_skip(kinds: tuple[Project, Trials]) -> None:
    records = kinds[1].baseline(["test_it.py::test_strict", "test_it.py::test_skipped"], 2)
    assert [record.outcome for record in records.values()] == ["failed", "skipped"]


ANYWHERE_SHOP = """
N = 1
def constant(): return N

def default(n=1): return n

def one(g): return lambda: 1
def two(g): return lambda: 2
@one
def decorated(): return 0

class A:
    n = 1
def attribute(): return A.n

anonymous = lambda: 1
"""

ANYWHERE = {
    "constant": ("N = 1", "N = 2"),
    "default": ("n=1", "n=2"),
    "decorated": ("@one", "@two"),
    "attribute": ("    n = 1", "    n = 2"),
    "anonymous": ("anonymous = lambda: 1", "anonymous = lambda: 2"),
}


def test_edits_outside_functions(tmp_path: Path) -> None:
    tests = ["import shop"]
    for name in ANYWHERE:
        tests.append(f"def test_{name}(fixed): assert shop.{name}() == fixed.{name}() == 2")
    project = Project(tmp_path / "project", ANYWHERE_SHOP, "\n".join(tests))
    fixture = "import pytest, shop\n@pytest.fixture\ndef fixed(): return shop\n"
    project.write("conftest.py", fixture)
    nodeids = {name: f"test_it.py::test_{name}" for name in ANYWHERE}
    verdicts = []
    with project.trials(*nodeids.values()) as trials:
        for name, (before, after) in ANYWHERE.items():
            checks = Checks({nodeids[name]: 0.5})
            [trial] = trials.try_on_import([project.edit(before, after)], checks)
            verdicts.append(trial.verdict)
        [trial] = trials.try_on_import([project.edit("N = 1", "syntax error")], checks)
    assert verdicts == ["passes"] * len(ANYWHERE)
    assert trial.verdict == "crashed"


# --- start and end -------------------------------------------------------------------------


def test_unknown_tests(project: Project) -> None:
    with pytest.raises(Unavailable) as caught, project.trials("test_it.py::test_nothing"):
        pass
    assert str(caught.value) == "the tests cannot be collected again: it was not collected again"


def test_failing_conftest(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    # Sandboxed code gets no variables except those that name a file.
    monkeypatch.setenv("SHOP_NAME", "corner")
    project.write("conftest.py", "import os\nos.environ['SHOP_NAME']\n")
    with pytest.raises(Unavailable) as caught, project.trials(MEAN):
        pass
    reason = "KeyError: 'SHOP_NAME' (from conftest.py)"
    assert str(caught.value) == f"the tests cannot be collected again: {reason}"


def test_too_little_time(project: Project) -> None:
    with pytest.raises(Unavailable) as caught, project.trials(MEAN, seconds=0.1):
        pass
    assert str(caught.value) == "there was not enough time to collect the tests again"


def test_weak_sandbox(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials_module, "available", lambda: Level.AUDIT)
    launch = Launch(project.root, project.root)
    with pytest.raises(Unavailable) as caught:
        Trials(launch, [MEAN], Deadline.after(1), Level.KERNEL)
    reason = "the sandbox level here is audit, and the setting confinement requires kernel"
    assert str(caught.value) == reason


def test_launch_obstacle(project: Project) -> None:
    launch = Launch(project.root, project.root, obstacle="no file was found")
    with pytest.raises(Unavailable, match=r"^no file was found$"):
        Trials(launch, [MEAN], Deadline.after(1))


def test_no_process_after_the_deadline(project: Project) -> None:
    slow = project.edit("return", "import time; time.sleep(60)\n    return")
    started = time.monotonic()
    with project.trials(MEAN) as trials:
        trials._deadline = Deadline.after(0.5)  # collecting the tests may take long
        assert list(trials.try_in_functions([slow], Checks({MEAN: 30.0}))) == []
    assert time.monotonic() - started < 30
    assert not running(f"--rootdir={project.root}")


HOST = """
import sys
from pathlib import Path
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.worker_messages import Checks
from pytest_starcoder.runner.trials import Trials
from pytest_starcoder.source.edits.edit import Edit

root = Path(sys.argv[1])
nodeid = "test_it.py::test_mean"
text = (root / "shop.py").read_text()
start = text.index("return")
slow = (Edit("shop.py", (start, start), "", "import time; time.sleep(60); ", "a kind", 1.0, 2),)
with Trials(Launch(root, root, root / "pytest.ini"), [nodeid], Deadline.after(60)) as trials:
    print("ready", flush=True)
    list(trials.try_in_functions([slow], Checks({nodeid: 50.0})))
"""


def test_killed_host(project: Project) -> None:
    command = [sys.executable, "-c", HOST, str(project.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == b"ready\n"
        time.sleep(0.3)
        host.send_signal(signal.SIGKILL)
    until = time.monotonic() + 5
    while running(f"--rootdir={project.root}") and time.monotonic() < until:
        time.sleep(0.05)
    assert not running(f"--rootdir={project.root}")


def test_threads_and_warnings_as_errors(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(
        "plug.py",
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n",
    )
    monkeypatch.setenv("PYTHONPATH", str(project.root))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    fix = project.edit("(len(xs) - 1)", "len(xs)")
    with project.trials(MEAN, TWO, arguments=["-p", "plug", "-W", "error"]) as trials:
        assert [trial.verdict for trial in trials.try_on_import([fix], CHECKS)] == ["passes"]
        assert [trial.verdict for trial in trials.try_in_functions([fix], CHECKS)] == ["passes"]


def running(words: str) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    own = str(os.getpid())
    return [line for line in listed.stdout.splitlines() if words in line and own not in line]
