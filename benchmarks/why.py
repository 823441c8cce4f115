"""Measures how often a model's `why` is true, on planted faults with labelled answers.

The faults are those of benchmarks/why_labels.py. Each is explained under three conditions: with
observations alone, where the fix that was found is withheld; with that fix; and with the change
that broke the test, which undoing it has shown. A statement is judged by its key words. On
observations alone, a model that follows instructions corrects a function, and its statement counts
only if the tests pass with that.

The model is the configured one, for example of STARCODER_MODEL=coder; what it was asked before
comes from the cache. The folder `--keep` keeps the evidence, so that a second run only asks.
`--answers` writes every answer with its verdict, to be read by hand.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish
from benchmarks.runs import median, pytest
from benchmarks.why_evidence import read_evidence
from benchmarks.why_labels import LabelledFault, read_cases
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.explain.breakage import NO_BREAKAGE
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.case_text import code_to_show
from pytest_starcoder.explain.checked_change import checked_change
from pytest_starcoder.explain.fixes import Fix
from pytest_starcoder.explain.question import ask_for_correction, ask_why, can_correct
from pytest_starcoder.fix.corrections import correction_edits
from pytest_starcoder.model.client import Client
from pytest_starcoder.report.bar_chart import Bars
from pytest_starcoder.settings import load_settings
from pytest_starcoder.source.diff import make_diff
from pytest_starcoder.source.edits import apply_edits
from pytest_starcoder.source.sources import SourceFiles

CONDITIONS = {
    "alone": "observations alone",
    "fix": "with the fix",
    "change": "with the change that broke it",
}

MAX_SECONDS = 120


@dataclass(frozen=True)
class Judgement:
    """An answer on one fault under one condition; one marked or dropped is not `is_shown`."""

    fault: str
    condition: str
    text: str
    is_true: bool
    is_shown: bool
    seconds: float


def gather(fault: LabelledFault, keep: Path) -> None:
    """Save the evidence on a fault: once committed, with a fix, and once as an open change."""
    for state in ("committed", "changed"):
        evidence = keep / f"{fault.name}.{state}.pickle"
        if evidence.exists():
            continue
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "project"
            fault.write(folder, with_fault=state == "committed")
            _commit(folder)
            fault.write(folder, with_fault=True)
            environment = {
                "PYTHONPATH": str(Path(__file__).parents[1]),
                "WHY_EVIDENCE": str(evidence),
                "STARCODER_BACKEND": "none",
                # What is found must not depend on how busy the machine is.
                "STARCODER_REPLAY_TIMEOUT": "60",
                "STARCODER_UNDO_TIMEOUT": "60",
                "STARCODER_FIX_TIMEOUT": "40",
                "STARCODER_UNDO": str(state == "changed"),
                "STARCODER_FIX": str(state == "committed"),
            }
            plugin = ("-p", "benchmarks.why_evidence", "--starcoder-explain")
            pytest(folder, "-q", *plugin, environment=environment, limit=MAX_SECONDS)


def _commit(folder: Path) -> None:
    identity = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@localhost")
    for arguments in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "All")):
        subprocess.run(("git", *arguments), cwd=folder, check=True, stdout=subprocess.DEVNULL)


def cases_of(fault: LabelledFault, keep: Path) -> Iterator[tuple[str, Case]]:
    """Yield the case of a fault under each condition for which there is evidence."""
    for state in ("committed", "changed"):
        path = keep / f"{fault.name}.{state}.pickle"
        cases = read_evidence(path) if path.exists() else []
        for case in cases:
            if not _is_about(case, fault.test):
                continue
            if state == "committed":
                yield "alone", replace(case, fix=None, breakage=NO_BREAKAGE)
            if case.fix is not None:
                yield "fix", replace(case, breakage=NO_BREAKAGE)
            if case.breakage.pieces:
                yield "change", case
            break


def _is_about(case: Case, test: str) -> bool:
    return any(test in (nodeid, nodeid.partition("[")[0]) for nodeid in case.cause.nodeids)


def judge(fault: LabelledFault, condition: str, case: Case, client: Client) -> Judgement:
    """Ask about a fault, and judge the answer."""
    started = time.monotonic()
    client.allow(10 * MAX_SECONDS)
    text, is_shown = "", False
    try:
        if condition == "alone" and can_correct(client):
            text = ask_for_correction(case, client, str)
            case = try_correction(fault, case, text)
        if checked_change(case) is not None or not can_correct(client):
            answer = ask_why(case, client, lambda _piece: None, str)
            text, is_shown = answer.why, not (answer.unsupported or answer.flaw)
    except StarcoderError as error:
        text = f"({error})"
    seconds = time.monotonic() - started
    is_true = bool(is_shown or not can_correct(client)) and is_true_of(fault, case, text)
    return Judgement(fault.name, condition, text, is_true, is_shown, seconds)


def is_true_of(fault: LabelledFault, case: Case, text: str) -> bool:
    """Return whether a statement is true; one on a change that undoes the fault names the cause."""
    if case.breakage.pieces or (case.fix is not None and undoes(fault, case.fix)):
        return not fault.contradicts(text)
    return fault.is_true(text)


def undoes(fault: LabelledFault, fix: Fix) -> bool:
    """Return whether a fix restores the code without the fault."""
    right = fault.files[fault.file]
    faulty = right.replace(fault.right, fault.faulty, 1)
    edits = [edit for edit in fix.edits if edit.path == fault.file]
    fixed = apply_edits(faulty, edits)
    return ast.dump(ast.parse(fixed)) == ast.dump(ast.parse(right))


def try_correction(fault: LabelledFault, case: Case, code: str) -> Case:
    """Return the case with the correction as its fix, if all tests of the project pass with it."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        fault.write(folder, with_fault=True)
        sources = SourceFiles.below(folder)
        for edit in correction_edits(code, code_to_show(case), sources):
            source = sources(edit.path)
            edited = apply_edits(source, [edit])
            (folder / edit.path).write_text(edited, "utf-8")
            if pytest(folder, "-q", limit=MAX_SECONDS).status == 0:
                diff = make_diff(source, edited, edit.path)
                fix = Fix(
                    (edit,), diff, edit.path, edit.line, edit.before, edit.after, (), (), False
                )
                return case.with_fix(fix, sources)
            (folder / edit.path).write_text(source, "utf-8")
    return case


def rows(judgements: Sequence[Judgement]) -> list[Row]:
    """Return the figures of each condition."""
    figures = []
    for condition, title in CONDITIONS.items():
        group = [each for each in judgements if each.condition == condition]
        if not group:
            continue
        true = [each for each in group if each.is_true]
        false = [each for each in group if not each.is_true]
        hidden_true = sum(not each.is_shown for each in true)
        hidden_false = sum(not each.is_shown for each in false)
        figures += [
            Row(f"{title}: true", _share(len(true), len(group)), ">= 70 %"),
            Row(
                f"{title}: false ones marked or dropped",
                _share(hidden_false, len(false)),
                ">= 80 %",
            ),
            Row(f"{title}: true ones marked or dropped", _share(hidden_true, len(true)), "<= 5 %"),
            Row(f"{title}: seconds, median", f"{median([each.seconds for each in group]):.1f}"),
        ]
    return figures


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.0%})" if whole else "none"


def main() -> None:
    chosen = _parse()
    chosen.keep.mkdir(parents=True, exist_ok=True)
    faults = read_cases(chosen.faults)
    with ThreadPoolExecutor(chosen.jobs) as pool:
        list(pool.map(lambda fault: gather(fault, chosen.keep), faults))
    questions = []
    for fault in faults:
        for condition, case in cases_of(fault, chosen.keep):
            if condition in chosen.conditions:
                questions.append((fault, condition, case))
    settings = load_settings(Path.cwd())

    def answer(question: tuple[LabelledFault, str, Case]) -> Judgement:
        with Client.from_settings(settings) as client:
            judgement = judge(*question, client)
        _show(judgement)
        return judgement

    with ThreadPoolExecutor(chosen.parallel) as pool:
        judgements = list(pool.map(answer, questions))
    with Client.from_settings(settings) as client:
        model = client.model().name
    if chosen.answers:
        lines = [json.dumps(asdict(each), ensure_ascii=False) for each in judgements]
        chosen.answers.write_text("\n".join(lines) + "\n", "utf-8")
    publish(
        Outcome("why", rows(judgements), [_chart(judgements)], notes=[f"model: {model}"]), chosen
    )


def _parse() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("faults", nargs="*", metavar="NAME", help="only these faults")
    parser.add_argument(
        "--keep", type=Path, default=Path("why-evidence"), help="the folder of the evidence"
    )
    parser.add_argument("--answers", type=Path, metavar="FILE", help="write the answers to FILE")
    parser.add_argument(
        "--parallel", type=int, default=1, help="questions at once, for a server that batches"
    )
    parser.add_argument("--jobs", type=int, default=2, help="projects that are run at once")
    parser.add_argument(
        "--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS), metavar="NAME"
    )
    return parser.parse_args()


def _show(judgement: Judgement) -> None:
    verdict = "true" if judgement.is_true else "FALSE"
    shown = "shown" if judgement.is_shown else "not shown"
    head = f"{judgement.condition:7}{judgement.fault:22}{verdict:6}{shown:10}"
    print(f"{head}{judgement.seconds:5.1f} s  {judgement.text}", flush=True)


def _chart(judgements: Sequence[Judgement]) -> Bars:
    bars = []
    for condition, title in CONDITIONS.items():
        group = [each for each in judgements if each.condition == condition]
        if group:
            true = sum(each.is_true for each in group)
            bars.append((title, (round(100 * true / len(group), 1),)))
    return Bars("True explanations", "per cent", ("true",), tuple(bars))


if __name__ == "__main__":
    main()
