"""Measures on real bugs whether the faulty line is shown and suspected, and how long that takes.

`python -m benchmarks.real_lines FOLDER --bugs LIST` measures the bugs in LIST whose trees are in
FOLDER. Each FOLDER/ID is a git repository with one commit whose tests fail; the environments of
the projects are in FOLDER/.venvs. The tests run once without and once with explanations. What the
second run collects is kept in `--records`, so that lines can be ranked again without it.

A suspect is faulty if it is in the statement of a removed line, or in the statement before or after
an insertion. The baselines are the line that raised, the last line of the traceback outside tests,
and Ochiai on the lines outside tests, with ties broken by chance.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.broke_tools import install_over, unpack_this_package
from benchmarks.edits import expected_top
from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.ranking import RECORDER, TOP, Line, is_test, read_recorded, shows
from benchmarks.real_bugs import RealBug
from benchmarks.runs import median
from pytest_starcoder.explain import suspicion
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.question import preview_prompt
from pytest_starcoder.explain.suspicion import ochiai
from pytest_starcoder.report.bar_chart import Bars
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.lines import has_code, statement_at
from pytest_starcoder.source.sources import SourceFiles

EXPLAIN = ("--starcoder-explain", "--starcoder-backend=none", "--starcoder-fix=off")
OURS, RAISED, LAST, OCHIAI = (
    "ours",
    "the line that raised",
    "the last line of the traceback outside tests",
    "Ochiai, ties by chance",
)
RANKINGS = (OURS, RAISED, LAST, OCHIAI)

EVIDENCE: Mapping[str, tuple[str, ...]] = {
    "which tests run it": ("spectrum", "only_failing", "passing", "guards", "at_import"),
    "what earlier assertions checked": ("unchecked",),
    "the traceback": ("raised", "traceback"),
    "names of files": ("file_name", "path_words"),
    "words of the function": ("function_name", "function_words"),
    "words of the statement": ("statement_words", "message_words"),
    "the kind of statement": ("weight", "raises", "initializer"),
}
"""The kinds of evidence that are left out, each in a row of the table."""


@dataclass(frozen=True)
class Record:
    """The seconds of a bug's plain and explained runs; `problem` is why nothing was recorded."""

    bug: str
    plain: float = 0.0
    explained: float = 0.0
    problem: str = ""


@dataclass(frozen=True)
class Result:
    """How one bug was ranked; `hits` are chances of a faulty line in the top 1, 3 and 5."""

    bug: str
    hits: Mapping[str, tuple[float, ...]]
    rank: int | None
    shown: bool
    characters: int
    executed: bool


def plain_bugs(rows: Sequence[Mapping[str, Any]], folder: Path) -> list[RealBug]:
    """Return the bugs of a list whose trees are in `folder`, each with one commit."""
    bugs = []
    for row in rows:
        tree = folder / row["id"]
        if not tree.is_dir():
            continue
        deselected = [f"--deselect={nodeid}" for nodeid in row["deselect"]]
        bugs.append(
            RealBug(
                row["id"],
                row["repo"],
                tree,
                fault="",
                tests=tuple(row["tests"]),
                files=tuple(row["files"]),
                options=(*row["pytest_args"], *deselected),
                python_path=tuple(row["pythonpath"]),
            )
        )
    return bugs


def faulty_lines(path: str, row: Mapping[str, Any], source: str) -> frozenset[Line]:
    """Return the lines of the statements that the fix removes or between which it inserts lines.

    `path` is the path of the faulty file from pytest's root.
    """
    lines = source.splitlines()
    numbers = set(row["removed"])
    for number in row["inserted_before"]:
        above = range(number - 1, 0, -1)
        below = range(number, len(lines) + 1)
        for side in (above, below):
            numbers.update(next(([each] for each in side if has_code(lines[each - 1])), []))
    faulty: set[Line] = set()
    for number in numbers:
        first, last = statement_at(source, number)
        faulty.update((path, each) for each in range(first, last + 1))
    return frozenset(faulty)


def record_run(bug: RealBug, package: Path, records: Path) -> Record:
    """Run the tests of a bug without and with explanations, and keep what the latter collects."""
    python = install_over(bug.venv, package)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tree = folder / bug.project.partition("/")[2]
        shutil.copytree(bug.tree, tree, symlinks=True)
        (folder / "recorder.py").write_text(RECORDER, encoding="utf-8")
        recorded = folder / "recorded"
        paths = [bug.environment(tree)["PYTHONPATH"], str(folder)]
        variables = {"PYTHONPATH": os.pathsep.join(paths), "RECORDED": str(recorded)}
        plain = bug.run(tree, folder, *bug.arguments, python=python)
        explain = (*EXPLAIN, "-p", "recorder", *bug.arguments)
        explained = bug.run(tree, folder, *explain, python=python, more=variables)
        if not recorded.is_file():
            return Record(bug.name, problem=explained.output[-300:])
        shutil.copyfile(recorded, records / f"{bug.name}.pickle")
        (records / f"{bug.name}.txt").write_text(explained.output, encoding="utf-8")
    return Record(bug.name, plain.wall, explained.wall)


ALL = "all evidence"

Results = dict[str, Result]
"""How a bug was ranked with all evidence, and without each kind."""


def rank(bug: RealBug, row: Mapping[str, Any], records: Path) -> Results:
    """Rank the lines of a recorded run; the result is empty if the run has no failure."""
    recorded = read_recorded(records / f"{bug.name}.pickle")
    sources = recorded.sources(bug.tree)  # shared, because parsing takes most of the time
    path = relative(row["source"], recorded.root)
    faulty = faulty_lines(path, row, sources(path))
    results = {}
    for kind, names in {ALL: (), **EVIDENCE}.items():
        with without(names):
            cases = recorded.cases(bug.tree, sources)
        if cases:
            first = next((case for case in cases if is_of_bug(case, bug)), cases[0])
            results[kind] = _judge(bug, first, faulty, sources)
    return results


def _judge(bug: RealBug, case: Case, faulty: Collection[Line], sources: SourceFiles) -> Result:
    suspects = [(suspect.path, suspect.line) for suspect in case.suspects]
    place = next((place for place, line in enumerate(suspects, 1) if line in faulty), None)
    prompt = preview_prompt(case, Settings(), lambda text: text).text
    hits = _baselines(case, faulty)
    hits[OURS] = tuple(float(place is not None and place <= k) for k in TOP)
    return Result(
        bug.name,
        hits,
        place,
        any(shows(prompt, sources(path), (path, line)) for path, line in faulty),
        len(prompt),
        any(line in case.scores for line in faulty),
    )


def relative(path: str, root: str) -> str:
    """Return a path of the repository as pytest's root sees it."""
    return os.path.relpath(path, root)


def is_of_bug(case: Case, bug: RealBug) -> bool:
    ends = {nodeid.rpartition("::")[2] for nodeid in bug.tests}
    return any(nodeid.rpartition("::")[2] in ends for nodeid in case.cause.nodeids)


def _baselines(case: Case, faulty: Collection[Line]) -> dict[str, tuple[float, ...]]:
    frames = [(frame.path, frame.line) for frame in case.cause.first.frames]
    raised = frames[-1:]
    outside = [line for line in frames if not is_test(line[0])][-1:]
    all_scores = ochiai(case.replay.failing, case.replay.passing)
    scores = {line: score for line, score in all_scores.items() if not is_test(line[0])}
    return {
        RAISED: (float(bool(raised) and raised[0] in faulty),) * len(TOP),
        LAST: (float(bool(outside) and outside[0] in faulty),) * len(TOP),
        OCHIAI: tuple(expected_top(scores, faulty, k) for k in TOP),
    }


@contextlib.contextmanager
def without(names: Sequence[str]) -> Iterator[None]:
    """Rank without some kinds of evidence inside the block."""
    before = suspicion.WEIGHTS
    suspicion.WEIGHTS = before._replace(**dict.fromkeys(names, 0.0))
    try:
        yield
    finally:
        suspicion.WEIGHTS = before


def read_records(path: Path) -> dict[str, Record]:
    if not path.is_file():
        return {}
    lines = path.read_text("utf-8").splitlines()
    records = [Record(**json.loads(line)) for line in lines]
    return {record.bug: record for record in records}


def share(values: Sequence[float]) -> str:
    return f"{sum(values) / max(len(values), 1):.0%}"


def tops(results: Sequence[Result], ranking: str) -> str:
    return " / ".join(
        share([result.hits[ranking][index] for result in results]) for index in range(len(TOP))
    )


def table(results: Sequence[Result], records: Mapping[str, Record]) -> list[Row]:
    added = sorted(records[r.bug].explained - records[r.bug].plain for r in results)
    shown = sum(result.shown for result in results)
    characters = median([result.characters for result in results])
    rows = [
        Row("bugs", str(len(results))),
        Row("a faulty line in the prompt", f"{shown} of {len(results)}", ">= 90 %"),
        Row("characters of the prompt, median", f"{characters:.0f}", "<= 3000"),
        Row("a faulty line executed by the failing tests", share([r.executed for r in results])),
    ]
    for ranking in RANKINGS:
        asked = ">= 35 % / - / >= 65 %" if ranking == OURS else ""
        rows.append(Row(f"top-1/3/5, {ranking}", tops(results, ranking), asked))
    rows.append(Row("added to the run, median, s", f"{median(added):.1f}", "<= 6"))
    ninetieth = added[int(0.9 * (len(added) - 1))]
    rows.append(Row("added to the run, 90th percentile, s", f"{ninetieth:.1f}", "<= 15"))
    return rows


def describe(result: Result) -> str:
    place = result.rank or "-"
    shown = "shown" if result.shown else "not shown"
    executed = "" if result.executed else ", not executed"
    return f"{result.bug}: rank {place}, {shown}, {result.characters} characters{executed}"


def parser(description: str | None) -> argparse.ArgumentParser:
    parser = options(description)
    parser.add_argument("folder", type=Path, help="folder with the trees of the bugs")
    parser.add_argument("--bugs", type=Path, required=True, metavar="LIST")
    parser.add_argument("--records", type=Path, metavar="FOLDER", help="default: in FOLDER")
    parser.add_argument(
        "--only", default="", metavar="ID,...", help="prefixes of the ids to measure"
    )
    return parser


def main() -> None:
    arguments = parser(__doc__).parse_args()
    started = time.perf_counter()
    chosen = tuple(arguments.only.split(","))
    rows = {row["id"]: row for row in json.loads(arguments.bugs.read_text("utf-8"))}
    folder = arguments.folder.resolve()
    bugs = [bug for bug in plain_bugs(list(rows.values()), folder) if bug.name.startswith(chosen)]
    records = (arguments.records or folder / ".lines").resolve()
    records.mkdir(exist_ok=True)
    done = record_missing(bugs, folder, records)
    recorded = [bug for bug in bugs if bug.name in done and not done[bug.name].problem]
    ranked = []
    for bug in recorded:
        of_bug = rank(bug, rows[bug.name], records)
        if of_bug:
            ranked.append(of_bug)
            print(describe(of_bug[ALL]), file=sys.stderr, flush=True)
    results = [of_bug[ALL] for of_bug in ranked]
    table_rows = table(results, done)
    for kind in EVIDENCE:
        others = tops([of_bug[kind] for of_bug in ranked], OURS)
        table_rows.append(Row(f"top-1/3/5, without {kind}", others))
    left_out = Row("left out: no failure was recorded", str(len(bugs) - len(results)))
    charts = [chart(results)]
    publish(Outcome("real_lines", [*table_rows, left_out, wall_time(started)], charts), arguments)


def record_missing(bugs: Sequence[RealBug], folder: Path, records: Path) -> dict[str, Record]:
    """Run the bugs without a record; return the records of all bugs by name."""
    log = records / "times.jsonl"
    done = read_records(log)
    waiting = [bug for bug in bugs if bug.name not in done]
    if not waiting:
        return done
    package = unpack_this_package(folder / ".explained")
    with log.open("a", encoding="utf-8") as file:
        for bug in waiting:
            record = record_run(bug, package, records)
            done[bug.name] = record
            file.write(json.dumps(vars(record)) + "\n")
            file.flush()
            seconds = f"{record.plain:.1f} s, explained {record.explained:.1f} s"
            print(f"{bug.name}: {record.problem or seconds}", file=sys.stderr, flush=True)
    return done


def chart(results: Sequence[Result]) -> Bars:
    bars = []
    for ranking in RANKINGS:
        columns = zip(*(result.hits[ranking] for result in results), strict=True)
        shares = tuple(round(100 * sum(column) / len(results)) for column in columns)
        bars.append((ranking, shares))
    return Bars(
        f"At which rank the faulty line of a real bug is suspected ({len(results)} bugs)",
        "% of the bugs with a faulty line among the first",
        tuple(f"top-{k}" for k in TOP),
        tuple(bars),
        highlighted=frozenset({OURS}),
    )


if __name__ == "__main__":
    main()
