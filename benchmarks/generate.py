"""What generated tests are worth: mutants killed, and lines and branches covered, beside what other tools write.

`python -m benchmarks.generate PROJECT FILE [--backend B --model M] [--suite TEST ...] [--rivals FOLDER]`
works in a copy of the project without its tests. The rows add up: doctests alone, with properties, documented
exceptions and type hints, with what a model writes, with characterisation.
Coverage is measured by coverage.py over the tests as they are written, mutants
by the project's own. With `--rivals` Pynguin and CoverUp are installed into
environments in FOLDER and write tests of the same file. `--rival` is a test file
that another tool has written. They and `--suite`, the project's own tests, are
judged on the same mutants.
"""

from __future__ import annotations

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
from pytest_starcoder.generate.job import GenerationJob
from pytest_starcoder.generate.locations import Location, targets_at
from pytest_starcoder.generate.mutants import find_mutants
from pytest_starcoder.generate.placement import accepted_test, insert_tests
from pytest_starcoder.generate.result import Generated
from pytest_starcoder.generate.targets import module_name
from pytest_starcoder.report.bars import Bars
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.settings import Settings, load_settings

FREE = (Origin.DOCTEST, Origin.RAISES, Origin.PROPERTY, Origin.TYPE_HINT)

REQUESTS = 20
"""Questions to a model: a third of what the settings allow, for a benchmark that ends."""

TESTS = "tests/test_written_here.py"


@dataclass(frozen=True)
class Worth:
    """What the tests of one tool kill and cover; `covered` is in percent."""

    name: str
    killed: int
    mutants: int
    covered: float
    tests: int
    seconds: float
    remark: str = ""
    ours: bool = True

    @property
    def share(self) -> float:
        return 100 * self.killed / max(1, self.mutants)

    def rows(self) -> list[Row]:
        remark = f", {self.remark}" if self.remark else ""
        return [
            Row(
                f"{self.name}: mutants killed",
                f"{self.killed} of {self.mutants} ({self.share:.1f} %)",
            ),
            Row(
                f"{self.name}: lines and branches",
                f"{self.covered:.1f} %, {self.tests} tests, {self.seconds:.1f} s{remark}",
            ),
        ]


def covered(root: Path, path: str, tests: Sequence[str]) -> float:
    """The lines and branches of a file that test files cover, in percent."""
    command = [
        sys.executable,
        "-m",
        "coverage",
        "run",
        "--branch",
        f"--include={root / path}",
        "-m",
        "pytest",
        "-q",
    ]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:starcoder", "-p", "no:cov", *tests],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 5), done.stdout
    subprocess.run(
        [sys.executable, "-m", "coverage", "json", "-q", "-o", "c.json"], cwd=root, check=False
    )
    if not (root / "c.json").exists():
        return 0.0
    totals = json.loads((root / "c.json").read_text())["totals"]
    (root / "c.json").unlink()
    return float(totals["percent_covered"])


def ours(name: str, root: Path, path: str, generated: Generated) -> Worth:
    """What generated tests are worth, as they are written into a file of their own."""
    (root / TESTS).parent.mkdir(exist_ok=True)
    (root / TESTS).write_text(
        insert_tests("", list(map(accepted_test, generated.kept))) if generated.kept else "",
        "utf-8",
    )
    percent = covered(root, path, [TESTS])
    (root / TESTS).unlink()
    spent = generated.usage
    asked = f"{spent.requests} requests, {spent.tokens} tokens" if spent.requests else ""
    return Worth(
        name,
        sum(score.after.mutants for score in generated.scores),
        sum(score.total.mutants for score in generated.scores),
        percent,
        len(generated.kept),
        generated.seconds,
        "; ".join(filter(None, (asked, generated.note or generated.remark))),
    )


def theirs(
    name: str, root: Path, path: str, targets: Sequence[Target], tests: Sequence[str]
) -> Worth:
    """What tests that are there kill of the same mutants; the seconds are those of trying all mutants with them."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:starcoder",
    ]
    collected = subprocess.run(
        [*command, *tests], cwd=root, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    suite = [line for line in collected.splitlines() if "::" in line]
    started = time.perf_counter()
    generated = GenerationJob(
        launch_in(root), settings_in(root, "none", ""), targets, suite, origins=()
    ).run()
    seconds = time.perf_counter() - started
    return Worth(
        name,
        sum(score.before.mutants for score in generated.scores),
        sum(score.total.mutants for score in generated.scores),
        covered(root, path, tests),
        len(suite),
        seconds,
        ours=False,
    )


def rival(written: Written, root: Path, path: str, targets: Sequence[Target]) -> Worth:
    """What a rival has written, put into the project for as long as it is judged."""
    if not written.tests:
        return Worth(written.name, 0, 0, 0.0, 0, written.seconds, ours=False)
    copies = [Path(shutil.copy(test, root / test.name)) for test in written.tests]
    worth = theirs(written.name, root, path, targets, [copy.name for copy in copies])
    for copy in copies:
        copy.unlink()
    return worth


def no_tests(written: Written) -> Row:
    asked = f"{written.asked}; " if written.asked else ""
    return Row(
        f"{written.name}: tests written",
        f"0 in {written.seconds:.0f} s; {asked}it said: {written.said}",
    )


def without_tests(project: Path, folder: Path) -> Path:
    """A copy of the project in `folder` without its tests."""
    root = Path(shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".git")))
    for test in [*root.rglob("test_*.py"), *root.rglob("*_test.py"), *root.rglob("conftest.py")]:
        test.unlink()
    return root


def launch_in(root: Path) -> Launch:
    return Launch(root, root, None, here_first=True)


def settings_in(root: Path, backend: str, model: str) -> Settings:
    cache = str(
        root.parent / "cache"
    )  # the last row asks what the one before it has asked, and nobody else has
    settings = replace(
        load_settings(root),
        backend=backend,
        confinement="none",
        generate_timeout=1200.0,
        cache=cache,
    )
    settings = replace(settings, generate_requests=REQUESTS)
    return replace(settings, model=model) if model else settings


def chart(module: str, worths: Sequence[Worth]) -> Bars:
    """Percent of mutants killed and of lines and branches covered, a row each."""
    return Bars(
        f"Tests of {module}",
        "%",
        ("mutants killed", "lines and branches"),
        tuple((worth.name, (round(worth.share, 1), round(worth.covered, 1))) for worth in worths),
        highlighted=frozenset(worth.name for worth in worths if worth.ours),
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
        "--rivals", type=Path, metavar="FOLDER", help="environments of Pynguin and CoverUp go there"
    )
    arguments = parser.parse_args()
    begun, path = time.perf_counter(), arguments.file
    smoke = "gemma-3-270m" if arguments.model == "demo" else ""
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        whole = Path(
            shutil.copytree(
                arguments.project, here / "whole" / "project", ignore=shutil.ignore_patterns(".git")
            )
        )
        root = without_tests(whole, here / "bare" / "project")
        targets = targets_at([Location(path, tests=TESTS)], root, ())
        module = module_name(path, root)
        kinds = Counter(
            edit.kind
            for target, found in find_mutants((root / path).read_text("utf-8"), targets).items()
            for edit in found
            if target.kind is TargetKind.FUNCTION
        )
        rows = [
            Row("module", f"{module}, {len(targets)} definitions"),
            Row("mutants before equal ones go", str(sum(kinds.values()))),
            *(Row(f"  {kind}", str(count)) for kind, count in kinds.most_common()),
        ]
        others = []
        if arguments.suite:
            others.append(
                suite := theirs("the project's own tests", whole, path, targets, arguments.suite)
            )
            rows.append(
                Row("mutants a second with them", f"{suite.mutants / suite.seconds:.1f}", ">= 14")
            )
        others += [
            rival(Written(f"{test.parent.name}/{test.name}", [test], 0.0), root, path, targets)
            for test in arguments.rival
        ]
        written: list[Written] = []
        if folder := arguments.rivals:
            tries = (
                (
                    "Pynguin",
                    lambda: [
                        pynguin(folder, without_tests(whole, here / "pynguin" / "project"), module)
                    ],
                ),
                (
                    "CoverUp",
                    lambda: coverup(
                        folder, without_tests(whole, here / "coverup" / "project"), path
                    ),
                ),
            )
            written, missing = attempts(tries)
            rows += [Row(name, reason) for name, reason in missing]
            rows += [
                Row(
                    f"{one.name}: seconds to write",
                    f"{one.seconds:.0f}{one.asked and ', ' + one.asked}",
                )
                for one in written
                if one.tests
            ]
            rows += [no_tests(one) for one in written if not one.tests]
        others += [rival(one, root, path, targets) for one in written]

        def generated(origins: Collection[Origin], *, hold: bool = False) -> Generated:
            backend = arguments.backend if Origin.MODEL in origins else "none"
            settings = settings_in(root, backend, arguments.model)
            return GenerationJob(
                launch_in(root), settings, targets, origins=origins, characterise=hold
            ).run()

        worths = [
            ours("ours: doctests alone", root, path, generated([Origin.DOCTEST])),
            ours("ours: + free seeds", root, path, free := generated(FREE)),
        ]
        judged = len(free.kept) + len(free.rejected) + len(free.suspected)
        every: Collection[Origin] = FREE
        if arguments.backend != "none":
            every = tuple(Origin)
            worths.append(
                ours(
                    f"ours: + {smoke or arguments.model or arguments.backend}",
                    root,
                    path,
                    generated(every),
                )
            )
        worths.append(
            ours("ours: + characterisation", root, path, last := generated(every, hold=True))
        )
        held = [kept for kept in last.kept if kept.draft.origin is Origin.CHARACTERISATION]
        rows += [row for worth in (*worths, *others) if worth.mutants for row in worth.rows()]
        rows.append(Row("of the last row of ours characterise", str(len(held))))
        rows += [
            Row("suspected bug", f"{bug.draft.because}: {bug.reason}") for bug in last.suspected
        ]
        rows.append(
            Row(
                "a judged draft, amortised, s",
                f"{free.seconds / max(1, judged):.2f}, {judged} drafts",
                "<= 1",
            )
        )
    outcome = Outcome(
        "generate", [*rows, wall_time(begun)], [chart(module, [*worths, *others])], smoke
    )
    publish(outcome, arguments)


if __name__ == "__main__":
    main()
