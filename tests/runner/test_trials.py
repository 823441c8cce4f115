"""Changes tried in forks: the verdicts, what a bad candidate costs, and that no file and no process is left."""

# ruff: noqa: E501 - a file on a line is a row of a table

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.trials import Record, Trial, Trials, Unavailable
from pytest_starcoder.source.edits.edit import Edit

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="changes are tried in forks")


class Project:
    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.write("pytest.ini", "[pytest]\npythonpath = .\n")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(dedent(text), "utf-8")

    def edit(self, before: str, after: str, path: str = "shop.py") -> tuple[Edit, ...]:
        text = (self.root / path).read_text("utf-8")
        start = text.index(before)
        line = text[:start].count("\n") + 1
        return (Edit(path, (start, start + len(before)), before, after, "a kind", 1.0, line),)

    def bench(
        self, failing: Sequence[str], passing: Sequence[str] = (), seconds: float = 30
    ) -> Bench:
        return Bench(
            self,
            [f"test_it.py::{name}" for name in failing],
            [f"test_it.py::{name}" for name in passing],
            seconds,
        )


class Bench:
    """Trials of one project, opened for each question anew."""

    def __init__(
        self, project: Project, failing: list[str], passing: list[str], seconds: float
    ) -> None:
        self.failing, self.passing = failing, passing
        launch = Launch(project.root, project.root, project.root / "pytest.ini")
        self.trials = Trials(launch, [*failing, *passing], Deadline.after(seconds))
        self.limits = dict.fromkeys([*failing, *passing], 0.5)

    def baseline(self) -> dict[str, Record]:
        with self.trials as trials:
            return trials.baseline([*self.failing, *self.passing], 2)

    def swapped(self, *candidates: tuple[Edit, ...]) -> list[Trial]:
        with self.trials as trials:
            return self._ordered(
                candidates,
                list(trials.swapped(candidates, self.failing, self.passing, self.limits)),
            )

    def imported(self, *candidates: tuple[Edit, ...]) -> list[Trial]:
        with self.trials as trials:
            return self._ordered(
                candidates,
                list(trials.imported(candidates, self.failing, self.passing, self.limits)),
            )

    def observed(self, *candidates: tuple[Edit, ...]) -> dict[str, list[str]]:
        """What each candidate makes of each input."""
        with self.trials as trials:
            inputs, found = trials.observed(candidates, self.failing, self.passing, self.limits)
        return {
            given.text: [behaviour[number] for behaviour in found]
            for number, given in enumerate(inputs)
        }

    def _ordered(self, candidates: Sequence[tuple[Edit, ...]], trials: list[Trial]) -> list[Trial]:
        assert len(trials) == len(candidates), "each candidate has one verdict"
        return sorted(trials, key=lambda trial: candidates.index(trial.edits))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.write("shop.py", "def mean(xs):\n    return sum(xs) / (len(xs) - 1)\n")
    project.write(
        "test_it.py",
        """
        from shop import mean

        def test_mean(): assert mean([1, 2, 3]) == 2
        def test_two(): assert mean([2, 4]) > 2
        """,
    )
    return project


def test_the_code_as_it_is_tells_what_the_tests_do_and_how_long_that_takes(
    project: Project,
) -> None:
    failing, passing = project.bench(["test_mean"], ["test_two"]).baseline().values()
    assert (failing.outcome, failing.raised, passing.outcome) == (
        "failed",
        "AssertionError",
        "passed",
    )
    assert failing.place.endswith("test_it.py:4")
    assert 0 < passing.seconds < 1


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("(len(xs) - 1)", "len(xs)", "passes"),
        ("- 1", "- 2", "fails"),
        ("(len(xs) - 1)", "(len(xs) if len(xs) > 2 else 9)", "breaks"),
        ("- 1", "- (1)", "the same"),
        ("(len(xs) - 1)", "len(xs", "no Python"),
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
)
def test_each_candidate_has_a_verdict(
    project: Project, before: str, after: str, verdict: str
) -> None:
    [trial] = project.bench(["test_mean"], ["test_two"]).swapped(project.edit(before, after))
    assert trial.verdict == verdict


def test_what_one_candidate_does_the_next_does_not_notice(project: Project) -> None:
    bad = [
        "while 1: pass",
        "import os; os._exit(0)",
        "import time; time.sleep(60)",
        "raise KeyboardInterrupt",
        "import os; os.fork(); os.fork()",
        "sum = max",
        "import sys; sys.exit()",
        "xs.clear()",
    ]
    candidates = [project.edit("return", f"{text}\n    return") for text in bad]
    fix = project.edit("(len(xs) - 1)", "len(xs)")
    started = time.monotonic()
    trials = project.bench(["test_mean"], ["test_two"]).swapped(*candidates, fix)
    assert trials[-1].verdict == "passes"
    assert "passes" not in {trial.verdict for trial in trials[:-1]}
    assert time.monotonic() - started < 12


def test_candidates_with_the_same_instructions_are_run_once(project: Project) -> None:
    trials = project.bench(["test_mean"]).swapped(
        project.edit("(len(xs) - 1)", "len(xs)"), project.edit("(len(xs) - 1)", "(len(xs))")
    )
    assert [trial.verdict for trial in trials] == ["passes", "known"]


def test_parameters_that_a_candidate_changes_are_whole_again(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        import pytest
        from shop import mean

        @pytest.mark.parametrize("xs", [[1, 2, 3]])
        def test_mean(xs): assert mean(xs) == 2
        """,
    )
    trials = project.bench(["test_mean[xs0]"]).swapped(
        project.edit("return", "xs.clear()\n    return"), project.edit("(len(xs) - 1)", "len(xs)")
    )
    assert [trial.verdict for trial in trials] == ["fails", "passes"]


def test_fixtures_and_instances_are_made_anew_for_each_candidate(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        import pytest
        import shop
        from shop import mean

        @pytest.fixture(scope="session")
        def value(): return mean([1, 2, 3])

        class TestIt:
            def test_mean(self, value):
                assert not hasattr(self, "before")
                self.before = value
                assert value == 2
        """,
    )
    trials = project.bench(["TestIt::test_mean"]).swapped(
        project.edit("- 1", "- 2"),
        project.edit("(len(xs) - 1)", "len(xs)"),
        project.edit("- 1", "- 3"),
    )
    assert [trial.verdict for trial in trials] == ["fails", "passes", "fails"]


def test_what_a_cache_of_the_projects_holds_is_forgotten(project: Project) -> None:
    project.write("shop.py", "import functools\n\n@functools.cache\ndef two():\n    return 1\n")
    project.write("test_it.py", "from shop import two\ndef test_two(): assert two() == 2\ntwo()")
    trials = project.bench(["test_two"]).swapped(
        project.edit("return 1", "return 3"), project.edit("return 1", "return 2")
    )
    assert [trial.verdict for trial in trials] == ["fails", "passes"]


@pytest.mark.parametrize(
    ("shop", "before", "after"),
    [
        ("N = 1\ndef f(): return N\n", "N = 1", "N = 2"),
        ("def f(n=1): return n\n", "n=1", "n=2"),
        ("def one(g): return lambda: 1\ndef two(g): return lambda: 2\n@one\ndef f(): return 0\n", "@one", "@two"),
        ("class A:\n    n = 1\ndef f(): return A.n\n", "n = 1", "n = 2"),
        ("class A:\n    def n(self): return 1\nclass B(A):\n    def n(self): return super().n()\ndef f(): return B().n()\n", "return 1", "return 2"),
        ("import os\nf = lambda: 1\n", "lambda: 1", "lambda: 2"),
    ],
)  # fmt: skip
def test_a_change_anywhere_is_tried_by_importing_the_project_with_it(
    project: Project, shop: str, before: str, after: str
) -> None:
    project.write("shop.py", shop)
    project.write(
        "conftest.py", "from shop import f\nimport pytest\n@pytest.fixture\ndef value(): return f()"
    )
    project.write("test_it.py", "from shop import f\ndef test_f(value): assert value == f() == 2")
    trials = project.bench(["test_f"]).imported(
        project.edit(before, "syntax error"), project.edit(before, after)
    )
    assert [trial.verdict for trial in trials] == ["crashed", "passes"]


def test_unittest_xfail_and_skipped_tests_are_judged_as_pytest_does(project: Project) -> None:
    project.write(
        "test_it.py",
        """
        import pytest, unittest
        from shop import mean

        class TestIt(unittest.TestCase):
            def test_mean(self): self.assertEqual(mean([1, 2, 3]), 2)

        @pytest.mark.xfail(strict=True)
        def test_strict(): assert mean([1, 2, 3]) == 3

        def test_skipped(): pytest.skip("no")
        """,
    )
    bench = project.bench(["TestIt::test_mean", "test_strict"], ["test_skipped"])
    assert [record.outcome for record in bench.baseline().values()] == [
        "failed",
        "failed",
        "skipped",
    ]
    bench = project.bench(["TestIt::test_mean"])
    [trial] = bench.swapped(project.edit("(len(xs) - 1)", "len(xs)"))
    assert trial.verdict == "passes"


def test_a_warning_that_the_configuration_makes_an_error_fails_a_candidate(
    project: Project,
) -> None:
    project.write("pytest.ini", "[pytest]\npythonpath = .\nfilterwarnings = error\n")
    warns = project.edit(
        "return sum(xs) / (len(xs) - 1)",
        "import warnings; warnings.warn('old')\n    return sum(xs) / len(xs)",
    )
    [trial] = project.bench(["test_mean"]).swapped(warns)
    assert trial.verdict == "fails"


def test_edits_that_pass_are_told_apart_by_an_input(project: Project) -> None:
    told = project.bench(["test_mean"], ["test_two"]).observed(
        project.edit("(len(xs) - 1)", "len(xs)"), project.edit("(len(xs) - 1)", "(len(xs) or 1)")
    )
    assert told["mean([1, 2, 3])"] == ["returns 2.0", "returns 2.0"]
    assert told["mean([])"] == ["raises ZeroDivisionError", "returns 0.0"]


def test_no_file_of_the_projects_changes_whatever_is_tried(project: Project) -> None:
    def state() -> dict[str, str]:
        files = [
            path
            for path in project.root.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = state()
    project.bench(["test_mean"], ["test_two"]).swapped(
        project.edit("- 1", "- 2"), project.edit("(len(xs) - 1)", "len(xs)")
    )
    project.bench(["test_mean"]).imported(project.edit("- 1", "- 2"))
    assert state() == before


def test_tests_that_are_not_there_cannot_be_tried(project: Project) -> None:
    with pytest.raises(Unavailable, match="cannot be collected again"):
        project.bench(["test_nothing"]).baseline()


def test_a_conftest_that_needs_more_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "SHOP_NAME", "corner"
    )  # confined code has no variable but those that name a file
    project.write("conftest.py", "import os\nos.environ['SHOP_NAME']\n")
    with pytest.raises(Unavailable) as caught:
        project.bench(["test_mean"]).baseline()
    assert (
        str(caught.value)
        == "the tests cannot be collected again: KeyError: 'SHOP_NAME' (from conftest.py)"
    )


def test_too_little_time_to_collect(project: Project) -> None:
    with pytest.raises(
        Unavailable, match=r"^there was not enough time to collect the tests again$"
    ):
        project.bench(["test_mean"], seconds=0.1).baseline()


def test_when_the_time_is_over_no_process_is_left(project: Project) -> None:
    slow = project.edit("return", "import time; time.sleep(60)\n    return")
    bench = project.bench(["test_mean"], seconds=4)  # in which the tests must be collected, too
    started = time.monotonic()
    with bench.trials as trials:
        assert list(trials.swapped([slow], bench.failing, [], {bench.failing[0]: 30.0})) == []
    assert time.monotonic() - started < 8
    assert not _running(f"--rootdir={project.root}")


def _running(words: str) -> list[str]:
    listed = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in listed.splitlines() if words in line and str(os.getpid()) not in line]


KILLED = """
import sys
from pathlib import Path
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.trials import Trials
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.source.edits.edit import Edit

root = Path(sys.argv[1])
nodeid = "test_it.py::test_mean"
text = (root / "shop.py").read_text()
start = text.index("return")
slow = (Edit("shop.py", (start, start), "", "import time; time.sleep(60); ", "a kind", 1.0, 2),)
with Trials(Launch(root, root, root / "pytest.ini"), [nodeid], Deadline.after(60)) as trials:
    print("ready", flush=True)
    list(trials.swapped([slow], [nodeid], [], {nodeid: 50.0}))
"""


def test_when_the_host_is_killed_all_it_started_ends(project: Project) -> None:
    host = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(project.root)], stdout=subprocess.PIPE
    )
    assert host.stdout is not None
    assert host.stdout.readline() == b"ready\n"
    time.sleep(0.3)
    host.send_signal(signal.SIGKILL)
    host.wait()
    host.stdout.close()
    until = time.monotonic() + 5
    while _running(f"--rootdir={project.root}") and time.monotonic() < until:
        time.sleep(0.05)
    assert not _running(f"--rootdir={project.root}")


def test_importing_the_project_anew_leaves_the_rest_usable(project: Project) -> None:
    bench = project.bench(["test_mean"], ["test_two"])
    fix = project.edit("(len(xs) - 1)", "len(xs)")
    with bench.trials as trials:
        for _ in range(2):
            given = (bench.failing, bench.passing, bench.limits)
            assert [trial.verdict for trial in trials.imported([fix], *given)] == ["passes"]
        assert [trial.verdict for trial in trials.swapped([fix], *given)] == ["passes"]


def test_what_a_candidate_leaves_running_is_ended(project: Project) -> None:
    started = "import subprocess; subprocess.Popen(['sleep', '47'], start_new_session=True)"
    project.bench(["test_mean"]).swapped(project.edit("return", f"{started}\n    return"))
    assert not _running("sleep 47")


def test_swapping_works_after_a_stray_process(project: Project) -> None:
    bench = project.bench(["test_mean"])
    starts = "import subprocess; subprocess.Popen(['sleep', '46']); raise ValueError"
    stray = project.edit("return", f"{starts}\n    return")
    fix = project.edit("(len(xs) - 1)", "len(xs)")
    with bench.trials as trials:
        given = (bench.failing, bench.passing, bench.limits)
        assert [trial.verdict for trial in trials.imported([stray], *given)] == ["fails"]
        assert [trial.verdict for trial in trials.swapped([fix], *given)] == ["passes"]
    assert not _running("sleep 46")


def test_trials_go_on_after_a_caller_stops_reading(project: Project) -> None:
    bench = project.bench(["test_mean"])
    slow = project.edit("return", "import time; time.sleep(5)\n    return")
    fix = project.edit("(len(xs) - 1)", "len(xs)")
    given = (bench.failing, bench.passing, bench.limits)
    with bench.trials as trials:
        for trial in trials.swapped([project.edit("- 1", "- 3"), slow], *given):
            assert trial.verdict == "fails"
            break
        assert [(trial.edits, trial.verdict) for trial in trials.swapped([fix], *given)] == [
            (fix, "passes")
        ]


def test_lines_written_among_the_verdicts_are_no_verdicts(project: Project) -> None:
    noise = r"""import os
    for descriptor in range(3, 40):
        try: os.write(descriptor, b'{\n[[1]]\n{"number": -1, "verdict": "passes"}\n{"number": 1}\n')
        except OSError: pass
    return"""
    fix = project.edit("(len(xs) - 1)", "len(xs)")
    noisy = project.edit("return", noise)
    trials = project.bench(["test_mean"]).swapped(noisy, fix)
    assert [trial.verdict for trial in trials] == ["fails", "passes"]


def test_a_candidate_that_writes_without_end_is_ended(project: Project) -> None:
    flood = r"""import os
    while True:
        for descriptor in range(3, 40):
            try: os.write(descriptor, b'x' * 4096)
            except OSError: pass
    return"""
    fix = project.edit("(len(xs) - 1)", "len(xs)")
    trials = project.bench(["test_mean"]).swapped(project.edit("return", flood), fix)
    assert trials[0].verdict in ("hung", "crashed", "overtime")
    assert trials[1].verdict == "passes"


@pytest.mark.parametrize(
    "arguments", [(), ("-W", "error")], ids=["by the variable", "by the option"]
)
def test_threads_stop_no_fork_where_warnings_are_errors(
    project: Project, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    if not arguments:
        monkeypatch.setenv("PYTHONWARNINGS", "error")
    project.write(
        "plug.py",
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n",
    )
    monkeypatch.setenv("PYTHONPATH", str(project.root))
    bench = project.bench(["test_mean"], ["test_two"])
    launch = Launch(
        project.root, project.root, project.root / "pytest.ini", ("-p", "plug", *arguments)
    )
    bench.trials = Trials(launch, [*bench.failing, *bench.passing], Deadline.after(30))
    fix = project.edit("(len(xs) - 1)", "len(xs)")
    with bench.trials as trials:
        given = (bench.failing, bench.passing, bench.limits)
        assert [trial.verdict for trial in trials.imported([fix], *given)] == ["passes"]
        assert [trial.verdict for trial in trials.swapped([fix], *given)] == ["passes"]
