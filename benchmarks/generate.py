"""Measures mutants killed and code covered by generated tests, ours and those of other tools.

`python -m benchmarks.generate PROJECT FILE [--backend B --model M] [--suite TEST ...]
[--rivals FOLDER]` works in a copy of the project without its tests. Each row adds a source of
drafts: doctests, properties, documented exceptions and type hints, a model, characterisation.
Coverage is measured by coverage.py with the written tests, mutants by our own runner. With
`--rivals`, Pynguin and CoverUp are installed into environments in FOLDER and write tests of the
same file. `--rival` is a test file that another tool wrote. These and `--suite`, the project's own
tests, are judged by the same mutants.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.writers import Written, attempts, coverup, pynguin
from pytest_starcoder.generate.draft import Origin, Target, TargetKind
from pytest_starcoder.generate.goals import find_mutants
from pytest_starcoder.generate.job import GenerationJob
from pytest_starcoder.generate.locations import Location, targets_at
from pytest_starcoder.generate.placement import accepted_test, insert_tests
from pytest_starcoder.generate.result import Generated
from pytest_starcoder.generate.targets import module_name
from pytest_starcoder.report.bar_chart import Bars
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.settings import Settings, load_settings

WITHOUT_MODEL = (Origin.DOCTEST, Origin.RAISES, Origin.PROPERTY, Origin.TYPE_HINT)

MAX_REQUESTS = 20
"""Requests to a model: a third of what the settings allow, to keep the benchmark short."""

TESTS = "tests/test_written_here.py"

PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:starcoder"]


@dataclass(frozen=True)
class Worth:
    """The mutants that the tests of one tool kill, and the percentage of code they cover."""

    name: str
    killed: int
    mutants: int
    covered: float
    tests: int
    seconds: float
    remark: str = ""
    is_ours: bool = True

    @property
    def share(self) -> float:
        return 100 * self.killed / max(1, self.mutants)

    def rows(self) -> list[Row]:
        kills = f"{self.killed} of {self.mutants} ({self.share:.1f} %)"
        coverage = f"{self.covered:.1f} %, {self.tests} tests, {self.seconds:.1f} s"
        if self.remark:
            coverage += f", {self.remark}"
        return [
            Row(f"{self.name}: mutants killed", kills),
            Row(f"{self.name}: lines and branches", coverage),
        ]


@dataclass(frozen=True)
class Subject:
    """The file that tests are written for, in a project without tests."""

    root: Path
    path: str
    targets: Sequence[Target]

    def generate(
        self,
        settings: Settings,
        origins: Collection[Origin],
        suite: Sequence[str] = (),
        *,
        characterise: bool = False,
    ) -> Generated:
        launch = Launch(self.root, self.root, None, here_first=True)
        job = GenerationJob(
            launch, settings, self.targets, suite, origins=origins, characterise=characterise
        )
        return job.run()

    def settings(self, backend: str = "none", model: str = "") -> Settings:
        settings = load_settings(self.root)
        return replace(
            settings,
            backend=backend,
            model=model or settings.model,
            confinement="none",
            generate_timeout=1200.0,
            generate_requests=MAX_REQUESTS,
            # The last row repeats the requests of the one before it.
            cache=str(self.root.parent / "cache"),
        )

    def coverage(self, tests: Sequence[str]) -> float:
        """Return the percentage of lines and branches that test files cover."""
        coverage = [sys.executable, "-m", "coverage"]
        run = [*coverage, "run", "--branch", f"--include={self.root / self.path}", *PYTEST]
        done = subprocess.run(
            [*run, "-p", "no:cov", *tests],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 5), done.stdout
        report = self.root / "c.json"
        subprocess.run([*coverage, "json", "-q", "-o", report], cwd=self.root, check=False)
        if not report.exists():
            return 0.0
        totals = json.loads(report.read_text())["totals"]
        report.unlink()
        return float(totals["percent_covered"])

    def generated_worth(self, name: str, generated: Generated) -> Worth:
        """Measure generated tests as they are written into a file of their own."""
        tests = list(map(accepted_test, generated.kept))
        file = self.root / TESTS
        file.parent.mkdir(exist_ok=True)
        file.write_text(insert_tests("", tests) if tests else "", "utf-8")
        coverage = self.coverage([TESTS])
        file.unlink()
        usage = generated.usage
        remarks = [generated.note or generated.remark]
        if usage.requests:
            remarks.insert(0, f"{usage.requests} requests, {usage.tokens} tokens")
        return Worth(
            name,
            sum(score.after.mutants for score in generated.scores),
            sum(score.total.mutants for score in generated.scores),
            coverage,
            len(tests),
            generated.seconds,
            "; ".join(filter(None, remarks)),
        )

    def suite_worth(self, name: str, tests: Sequence[str]) -> Worth:
        """Measure existing tests; the seconds are those of trying all mutants."""
        collected = subprocess.run(
            [sys.executable, *PYTEST, "--collect-only", *tests],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        suite = [line for line in collected.stdout.splitlines() if "::" in line]
        started = time.perf_counter()
        scores = self.generate(self.settings(), (), suite).scores
        seconds = time.perf_counter() - started
        return Worth(
            name,
            sum(score.before.mutants for score in scores),
            sum(score.total.mutants for score in scores),
            self.coverage(tests),
            len(suite),
            seconds,
            is_ours=False,
        )

    def rival_worth(self, written: Written) -> Worth:
        """Measure the tests of a rival, copied into the project in the meantime."""
        if not written.tests:
            return Worth(written.name, 0, 0, 0.0, 0, written.seconds, is_ours=False)
        copies = [Path(shutil.copy(test, self.root / test.name)) for test in written.tests]
        worth = self.suite_worth(written.name, [copy.name for copy in copies])
        for copy in copies:
            copy.unlink()
        return worth


def copy_project(project: Path, folder: Path, *, with_tests: bool) -> Path:
    """Copy a project into a new folder `folder`/project."""
    ignored = shutil.ignore_patterns(".git")
    root = Path(shutil.copytree(project, folder / "project", ignore=ignored))
    if not with_tests:
        for pattern in ("test_*.py", "*_test.py", "conftest.py"):
            for test in list(root.rglob(pattern)):
                test.unlink()
    return root


def mutant_rows(subject: Subject) -> list[Row]:
    """Return the number of mutants, in total and by kind."""
    source = (subject.root / subject.path).read_text("utf-8")
    kinds: Counter[str] = Counter()
    for target, mutants in find_mutants(source, subject.targets).items():
        if target.kind is TargetKind.FUNCTION:
            kinds.update(mutant.kind for mutant in mutants)
    rows = [Row("mutants before equal ones are removed", str(kinds.total()))]
    return rows + [Row(f"  {kind}", str(count)) for kind, count in kinds.most_common()]


def run_rivals(
    environments: Path, whole: Path, subject: Subject, folder: Path
) -> tuple[list[Written], list[Row]]:
    """Return what Pynguin and CoverUp write, and rows on that."""
    module = subject.targets[0].module

    def run_pynguin() -> list[Written]:
        root = copy_project(whole, folder / "pynguin", with_tests=False)
        return [pynguin(environments, root, module)]

    def run_coverup() -> list[Written]:
        root = copy_project(whole, folder / "coverup", with_tests=False)
        return coverup(environments, root, subject.path)

    written, missing = attempts((("Pynguin", run_pynguin), ("CoverUp", run_coverup)))
    rows = [Row(name, reason) for name, reason in missing]
    return written, rows + list(map(rival_row, written))


def rival_row(rival: Written) -> Row:
    """Return the seconds that a rival took, and why it wrote nothing."""
    remarks = [f"{rival.seconds:.0f}"]
    if rival.model_use:
        remarks.append(rival.model_use)
    if rival.tests:
        return Row(f"{rival.name}: seconds to write", ", ".join(remarks))
    remarks.append(f"last line: {rival.last_line}")
    return Row(f"{rival.name}: no tests, seconds", ", ".join(remarks))


def measure_ours(subject: Subject, arguments: argparse.Namespace) -> tuple[list[Worth], list[Row]]:
    """Return the worth of our tests, one source of drafts after the other, and rows on them."""
    settings = subject.settings()
    doctests = subject.generate(settings, [Origin.DOCTEST])
    free = subject.generate(settings, WITHOUT_MODEL)
    worths = [
        subject.generated_worth("ours: doctests alone", doctests),
        subject.generated_worth("ours: + free seeds", free),
    ]
    origins: Collection[Origin] = WITHOUT_MODEL
    if arguments.backend != "none":
        origins = tuple(Origin)
        settings = subject.settings(arguments.backend, arguments.model)
        model = demo_model(arguments) or arguments.model or arguments.backend
        generated = subject.generate(settings, origins)
        worths.append(subject.generated_worth(f"ours: + {model}", generated))
    last = subject.generate(settings, origins, characterise=True)
    worths.append(subject.generated_worth("ours: + characterisation", last))
    characterising = sum(test.draft.origin is Origin.CHARACTERISATION for test in last.kept)
    judged = len(free.drafts)
    seconds = free.seconds / max(1, judged)
    rows = [Row("of the last row of ours characterise", str(characterising))]
    for bug in last.suspected:
        rows.append(Row("suspected bug", f"{bug.draft.because}: {bug.reason}"))
    rows.append(Row("a judged draft, amortised, s", f"{seconds:.2f}, {judged} drafts", "<= 1"))
    return worths, rows


def demo_model(arguments: argparse.Namespace) -> str:
    return "gemma-3-270m" if arguments.model == "demo" else ""


def chart(module: str, worths: Sequence[Worth]) -> Bars:
    """Return the percentages of killed mutants and covered code, one row per tool."""
    rows = [(worth.name, (round(worth.share, 1), round(worth.covered, 1))) for worth in worths]
    return Bars(
        f"Tests of {module}",
        "%",
        ("mutants killed", "lines and branches"),
        tuple(rows),
        highlighted=frozenset(worth.name for worth in worths if worth.is_ours),
    )


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("file")
    parser.add_argument("--backend", default="none")
    parser.add_argument("--model", default="")
    parser.add_argument("--suite", action="append", default=[])
    parser.add_argument("--rival", action="append", type=Path, default=[])
    parser.add_argument(
        "--rivals", type=Path, metavar="FOLDER", help="environments of Pynguin and CoverUp"
    )
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        whole = copy_project(arguments.project, folder / "whole", with_tests=True)
        root = copy_project(whole, folder / "bare", with_tests=False)
        targets = targets_at([Location(arguments.file, tests=TESTS)], root, ())
        subject = Subject(root, arguments.file, targets)
        module = module_name(arguments.file, root)
        rows = [Row("module", f"{module}, {len(targets)} definitions"), *mutant_rows(subject)]
        others = []
        if arguments.suite:
            with_tests = replace(subject, root=whole)
            suite = with_tests.suite_worth("the project's own tests", arguments.suite)
            others.append(suite)
            rate = suite.mutants / suite.seconds
            rows.append(Row("mutants a second with them", f"{rate:.1f}", ">= 14"))
        for test in arguments.rival:
            written = Written(f"{test.parent.name}/{test.name}", [test], 0.0)
            others.append(subject.rival_worth(written))
        if arguments.rivals:
            rivals, rival_rows = run_rivals(arguments.rivals, whole, subject, folder)
            rows += rival_rows
            others += map(subject.rival_worth, rivals)
        worths, our_rows = measure_ours(subject, arguments)
        worths += others
        for worth in worths:
            if worth.mutants:
                rows += worth.rows()
        rows += our_rows
    rows.append(wall_time(started))
    outcome = Outcome("generate", rows, [chart(module, worths)], demo_model(arguments))
    publish(outcome, arguments)


if __name__ == "__main__":
    main()
