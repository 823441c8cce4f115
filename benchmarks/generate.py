"""What generated tests are worth: mutants killed, and lines and branches covered, in four rows.

`python -m benchmarks.generate PROJECT FILE [--backend B --model M] [--suite TEST ...] [--rival TEST ...]`
works in a copy of the project without its tests. The rows add up: doctests alone, with properties, documented
exceptions and type hints, with what a model writes, with characterisation.
Coverage is measured by coverage.py over the tests as they are written, mutants
by the project's own. `--rival` is a test file of another tool's, put beside; it
and `--suite`, the project's own tests, are rows of their own on the same mutants.
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
from dataclasses import replace
from pathlib import Path

from benchmarks.runs import report
from pytest_starcoder.evidence.mutants import mutants_of
from pytest_starcoder.evidence.targets import module_name
from pytest_starcoder.jobs.place import placed
from pytest_starcoder.jobs.wanted import Wanted, generated_for, targets_for
from pytest_starcoder.runner import Launch
from pytest_starcoder.settings import Settings, load_settings
from pytest_starcoder.values.draft import Kind, Origin, Target
from pytest_starcoder.values.generated import Generated

FREE = (Origin.DOCTEST, Origin.RAISES, Origin.SIBLING, Origin.SMOKE)

REQUESTS = 30
"""Questions to a model: half of what the settings allow, for a benchmark that ends."""

TESTS = "tests/test_written_here.py"

Row = tuple[str, str, str]


def covered(root: Path, path: str, tests: Sequence[str]) -> str:
    """The lines and branches of a file that test files cover, in percent."""
    command = [sys.executable, "-m", "coverage", "run", "--branch", f"--include={root / path}", "-m", "pytest", "-q"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:starcoder", "-p", "no:cov", *tests],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 5), done.stdout
    subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", "c.json"], cwd=root, check=False)
    if not (root / "c.json").exists():
        return "0 %"
    totals = json.loads((root / "c.json").read_text())["totals"]
    (root / "c.json").unlink()
    return f"{totals['percent_covered']:.1f} %"


def row(name: str, root: Path, path: str, generated: Generated) -> Row:
    killed, mutants = sum(t.killed for t in generated.tallies), sum(t.mutants for t in generated.tallies)
    told = f"{killed} of {mutants} mutants ({100 * killed / max(1, mutants):.1f} %)"
    (root / TESTS).parent.mkdir(exist_ok=True)
    (root / TESTS).write_text(placed("", generated.kept) if generated.kept else "", "utf-8")
    coverage = covered(root, path, [TESTS])
    (root / TESTS).unlink()
    asked = (
        f", {generated.spent.requests} requests, {generated.spent.tokens} tokens" if generated.spent.requests else ""
    )
    remark = f" [{generated.note or generated.remark}]" if generated.note or generated.remark else ""
    tests = f"{len(generated.kept)} tests, {generated.seconds:.1f} s{asked}{remark}"
    return name, told, f"{coverage} lines and branches, {tests}"


def suite_row(name: str, root: Path, path: str, targets: Sequence[Target], tests: Sequence[str]) -> list[Row]:
    """What tests that are there kill of the same mutants, and how many mutants a second are tried with them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:starcoder"]
    collected = subprocess.run(
        [*command, *tests], cwd=root, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    suite = [line for line in collected.splitlines() if "::" in line]
    started = time.perf_counter()
    generated = generated_for(launch_in(root), targets, suite, settings_in(root, "none", ""), origins=())
    seconds = time.perf_counter() - started
    killed, mutants = sum(t.killed_before for t in generated.tallies), sum(t.mutants for t in generated.tallies)
    told = f"{killed} of {mutants} mutants ({100 * killed / max(1, mutants):.1f} %)"
    rate = f"{covered(root, path, tests)} lines and branches, {len(suite)} tests, {seconds:.1f} s"
    return [(name, told, rate), (f"mutants a second with it ({name})", f"{mutants / seconds:.1f}", ">= 14")]


def launch_in(root: Path) -> Launch:
    return Launch(root, root, None, here_first=True)


def settings_in(root: Path, backend: str, model: str) -> Settings:
    cache = str(root.parent / "cache")  # the last row asks what the one before it has asked, and nobody else has
    settings = replace(load_settings(root), backend=backend, confinement="none", generate_timeout=1200.0, cache=cache)
    settings = replace(settings, generate_requests=REQUESTS)
    return replace(settings, model=model) if model else settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("file")
    parser.add_argument("--backend", default="none")
    parser.add_argument("--model", default="")
    parser.add_argument("--suite", action="append", default=[])
    parser.add_argument("--rival", action="append", type=Path, default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(
            shutil.copytree(options.project, Path(temporary) / "project", ignore=shutil.ignore_patterns(".git"))
        )
        rows: list[Row] = []
        targets = targets_for([Wanted(options.file, tests=TESTS)], root, ())
        kinds = Counter(
            edit.kind
            for target, found in mutants_of((root / options.file).read_text("utf-8"), targets).items()
            for edit in found
            if target.kind is Kind.FUNCTION
        )
        rows.append(("module", module_name(options.file, root), f"{len(targets)} definitions"))
        rows.append(("mutants before equal ones go", str(sum(kinds.values())), ""))
        rows += [(f"  {kind}", str(count), "") for kind, count in kinds.most_common()]
        if options.suite:
            rows += suite_row("the project's own tests", root, options.file, targets, options.suite)
        for test in [*root.rglob("test_*.py"), *root.rglob("*_test.py"), *root.rglob("conftest.py")]:
            test.unlink()
        for rival in options.rival:
            shutil.copy(rival, root / rival.name)
            rows += suite_row(f"rival {rival.parent.name}/{rival.name}", root, options.file, targets, [rival.name])
            (root / rival.name).unlink()

        def generated(origins: Collection[Origin], *, hold: bool = False) -> Generated:
            backend = options.backend if Origin.MODEL in origins else "none"
            settings = settings_in(root, backend, options.model)
            return generated_for(launch_in(root), targets, (), settings, origins=origins, characterise=hold)

        rows.append(row("doctests alone", root, options.file, generated([Origin.DOCTEST])))
        rows.append(row("with free seeds", root, options.file, free := generated(FREE)))
        judged = len(free.kept) + len(free.rejected) + len(free.suspected)
        every: Collection[Origin] = FREE
        if options.backend != "none":
            every = tuple(Origin)
            rows.append(row(f"with {options.model or options.backend}", root, options.file, generated(every)))
        rows.append(row("with characterisation", root, options.file, last := generated(every, hold=True)))
        held = [kept for kept in last.kept if kept.draft.origin is Origin.CHARACTERISATION]
        rows.append(("of the last row characterise", str(len(held)), ""))
        rows += [("suspected bug", bug.draft.because, bug.reason) for bug in last.suspected]
        rows.append(("a judged draft, amortised", f"{free.seconds / max(1, judged):.2f} s", f"{judged} drafts, <= 1 s"))
    report("generate", rows)


if __name__ == "__main__":
    main()
