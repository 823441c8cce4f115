"""Measures how often a model's `why` is true, on planted faults with labelled answers.

The faults are those of benchmarks/why_labels.py. Each is explained under three conditions: with
nothing but observations in the prompt, the fix that was found withheld; with that fix; and with the
change that broke the test, which undoing it has shown. The statement is judged by its key words,
and so is what a reader is shown: a statement may be marked, or left out.

The model is the configured one, for example of STARCODER_MODEL=coder; answers come from the cache
if the same was asked before. With `--keep`, the folder keeps the evidence, so that a second run only
asks; `--answers` writes every answer with its verdict, to be read by hand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.runs import median, pytest
from benchmarks.why_evidence import read_evidence
from benchmarks.why_labels import LabelledFault, read_cases
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.explain.breakage import NO_BREAKAGE
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.question import ask_why
from pytest_starcoder.model.client import Client
from pytest_starcoder.settings import load_settings

CONDITIONS = ("nothing checked", "fix", "change")


@dataclass(frozen=True)
class Statement:
    """An answer to one case under one condition; `shown` is what a reader gets to see of it."""

    name: str
    condition: str
    text: str
    is_true: bool
    is_marked: bool
    seconds: float
    prompt_tokens: int = 0


def gather(case: LabelledFault, keep: Path) -> None:
    """Save the evidence on a fault: once committed, with a fix, and once as an open change."""
    for state in ("committed", "changed"):
        evidence = keep / f"{case.name}.{state}.pickle"
        if evidence.exists():
            continue
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "project"
            case.write(folder, with_fault=state == "committed")
            _commit(folder)
            case.write(folder, with_fault=True)
            pytest(
                folder,
                "-q",
                "-p",
                "benchmarks.why_evidence",
                "--starcoder-explain",
                environment={
                    "PYTHONPATH": str(Path(__file__).parents[1]),
                    "WHY_EVIDENCE": str(evidence),
                    "STARCODER_BACKEND": "none",
                    "STARCODER_UNDO": str(state == "changed"),
                    "STARCODER_FIX": str(state == "committed"),
                },
                limit=120,
            )


def _commit(folder: Path) -> None:
    identity = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@localhost")
    for arguments in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "All")):
        subprocess.run(("git", *arguments), cwd=folder, check=True, stdout=subprocess.DEVNULL)


def evidence_by_condition(case: LabelledFault, keep: Path) -> Iterator[tuple[str, Case]]:
    """Yield the conditions for which there is evidence."""
    for state, conditions in (("committed", CONDITIONS[:2]), ("changed", CONDITIONS[2:])):
        path = keep / f"{case.name}.{state}.pickle"
        if not path.exists():
            continue
        for found in read_evidence(path):
            if case.test not in [nodeid.partition("[")[0] for nodeid in found.cause.nodeids] + list(found.cause.nodeids):
                continue
            for condition in conditions:
                if condition == "nothing checked":
                    yield condition, replace(found, fix=None, breakage=NO_BREAKAGE)
                elif condition == "fix" and found.fix is not None:
                    yield condition, found
                elif condition == "change" and found.breakage.pieces:
                    yield condition, found
            break


def ask(label: LabelledFault, condition: str, case: Case, client: Client) -> Statement:
    started = time.monotonic()
    client.allow(600)
    try:
        answer = ask_why(case, client, lambda _piece: None, str)
    except StarcoderError as error:
        return Statement(label.name, condition, f"({error})", False, True, time.monotonic() - started)
    marked = bool(answer.unsupported or answer.flaw)
    return Statement(
        label.name, condition, answer.text, label.is_true(answer.text), marked,
        time.monotonic() - started,
    )


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--conditions", default=",".join(CONDITIONS))
    parser.add_argument("cases", nargs="*")
    chosen, started = parser.parse_args(), time.perf_counter()
    cases = read_cases(chosen.cases)
    chosen.keep.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(chosen.jobs) as pool:
        list(pool.map(lambda case: gather(case, chosen.keep), cases))
    wanted = chosen.conditions.split(",")
    statements = []
    with Client.from_settings(load_settings(Path.cwd())) as client:
        for label in cases:
            for condition, case in evidence_by_condition(label, chosen.keep):
                if condition not in wanted:
                    continue
                statement = ask(label, condition, case, client)
                statements.append(statement)
                verdict = "true " if statement.is_true else "FALSE"
                print(f"{verdict} {'marked' if statement.is_marked else '      '} {condition:16}{label.name:24}{statement.seconds:5.1f} s  {statement.text}", flush=True)
    for condition in wanted:
        group = [s for s in statements if s.condition == condition]
        print(condition, len(group), sum(s.is_true for s in group), "marked false", sum(s.is_marked and not s.is_true for s in group), "marked true", sum(s.is_marked and s.is_true for s in group))


if __name__ == "__main__":
    main()
