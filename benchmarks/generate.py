"""What generated tests are worth: mutants killed, and lines and branches covered, in four rows.

`python -m benchmarks.generate PROJECT FILE [--backend B --model M] [--suite TEST ...]`
works in a copy of the project, without its tests unless --suite names some. The
rows add up: doctests alone, with properties and documented exceptions, with
what a model writes, with characterisation. Coverage is measured by coverage.py
over the tests as they are written, mutants by the project's own.
"""

from __future__ import annotations

import argparse
import ast
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.runs import report
from pytest_starcoder.client import Client
from pytest_starcoder.evidence.documented import examples_of
from pytest_starcoder.evidence.mutants import mutants_of
from pytest_starcoder.evidence.siblings import properties_of
from pytest_starcoder.evidence.targets import module_name, targets_of
from pytest_starcoder.jobs.draft import written_for
from pytest_starcoder.jobs.generate import generate
from pytest_starcoder.jobs.place import placed
from pytest_starcoder.runner import Launch
from pytest_starcoder.runner.confine import Level
from pytest_starcoder.settings import load_settings
from pytest_starcoder.values.asked import Deadline
from pytest_starcoder.values.draft import Draft, Origin, Target
from pytest_starcoder.values.generated import Generated


def covered(root: Path, path: str, text: str) -> str:
    """The lines and branches of a file that a test file of that text covers, in percent."""
    (root / "test_generated_here.py").write_text(text, "utf-8")
    command = [sys.executable, "-m", "coverage", "run", "--branch", f"--include={root / path}", "-m", "pytest", "-q"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-p", "no:starcoder", "test_generated_here.py"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 5), done.stdout
    subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", "c.json"], cwd=root, check=False)
    (root / "test_generated_here.py").unlink()
    if not (root / "c.json").exists():
        return "0 %"
    totals = json.loads((root / "c.json").read_text())["totals"]
    return f"{totals['percent_covered']:.1f} %"


def row(name: str, root: Path, path: str, generated: Generated) -> tuple[str, str, str]:
    killed, mutants = sum(t.killed for t in generated.tallies), sum(t.mutants for t in generated.tallies)
    share = 100 * killed / max(1, mutants)
    text = placed("", generated.kept) if generated.kept else ""
    told = f"{killed} of {mutants} mutants ({share:.1f} %)"
    tests = f"{len(generated.kept)} tests, {generated.seconds:.1f} s"
    return name, told, f"{covered(root, path, text)} lines and branches, {tests}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("file")
    parser.add_argument("--backend", default="none")
    parser.add_argument("--model", default="")
    parser.add_argument("--suite", action="append", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(
            shutil.copytree(options.project, Path(temporary) / "project", ignore=shutil.ignore_patterns(".git"))
        )
        for test in [*root.rglob("test_*.py"), *root.rglob("*_test.py")]:
            if test.relative_to(root).as_posix() not in options.suite:
                test.unlink()
        source = (root / options.file).read_text("utf-8")
        targets = targets_of(source, options.file, root)
        names = [node.name for node in ast.parse(source).body if hasattr(node, "name")]
        examples = [draft for target in targets for draft in examples_of(target, names)]
        everything = [*examples, *properties_of(targets, examples)]
        settings = replace(load_settings(root), backend=options.backend, session_timeout=3600.0)
        settings = replace(settings, model=options.model) if options.model else settings
        launch = Launch(root, root, None, here_first=True)

        def read(path: str) -> str:
            return (root / path).read_text("utf-8")

        def generated(drafts: Sequence[Draft], client: Client | None = None, *, hold: bool = False) -> Generated:
            def write(target: Target, attempt: int, gaps: str) -> list[Draft]:
                assert client is not None
                own = [draft for draft in examples if draft.target == target]
                return written_for(target, source, names, client, attempt, gaps, own)

            asked = write if client is not None else None
            deadline = Deadline.after(900)
            return generate(launch, targets, [], drafts, read, deadline, Level.NONE, write=asked, characterise=hold)

        rows = [
            ("module", module_name(options.file, root), f"{len(targets)} functions"),
            row("doctests alone", root, options.file, generated(examples)),
            row("with properties", root, options.file, generated(everything)),
        ]
        if options.backend != "none":
            with Client.from_settings(settings) as client:
                told = f"with {options.model or options.backend}"
                rows.append(row(told, root, options.file, generated(everything, client)))
                last = generated(everything, client, hold=True)
        else:
            last = generated(everything, hold=True)
        rows.append(row("with characterisation", root, options.file, last))
        kinds = sorted({edit.kind for found in mutants_of(source, targets).values() for edit in found})
        kept = [kept for kept in last.kept if kept.draft.origin is Origin.CHARACTERISATION]
        rows.append(("kinds of mutants", str(len(kinds)), ", ".join(kinds)))
        rows.append(("of the last row characterise", str(len(kept)), ""))
        started = time.perf_counter()
        again = generated(everything)
        judged = sum(1 for _ in (*again.kept, *again.rejected, *again.suspected))
        rows.append(("a draft, amortised", f"{(time.perf_counter() - started) / max(1, judged):.2f} s", "<= 1 s"))
    report("generate", rows)


if __name__ == "__main__":
    main()
