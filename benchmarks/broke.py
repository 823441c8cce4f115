"""Measures whether explaining names the change that broke a test, on real bugs.

`python -m benchmarks.broke FOLDER ... --bugs FILE` runs the bugs of the list FILE that are laid
out below FOLDER: ID.regression is a repository with the fault and other changes of the project
uncommitted, ID.regression.json has the fault as a diff, and .venvs/OWNER+NAME is the environment
of the project. Each is run on a copy, with this package installed in an environment of its own
on top of the project's, below FOLDER/.explained.

A bug is named if a line of the fault is among the lines of a set of changes, and named exactly
if no other line is. `--commits N` measures the bugs as one of up to N commits (ID.commits, laid
out on the first run from clones in --mirrors) and whether that commit is named. `--beside
commit-delta` runs that tool on the same trees. Results are kept in FOLDER/broke.jsonl; a bug is
measured again when this package changes.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.broke_tools import (
    COMMIT_DELTA,
    COMPARISONS,
    OURS,
    CommitDelta,
    Observation,
    Ours,
    Tool,
    unpack_this_package,
)
from benchmarks.commit_series import lay_out_commits
from benchmarks.named_changes import score
from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.real_bugs import RealBug, read_bugs
from benchmarks.rivals import NotInstalled
from benchmarks.runs import median
from pytest_starcoder.report.bar_chart import Bars


def measure(
    tools: Sequence[Tool], bugs: Sequence[RealBug], results: Path
) -> dict[str, list[tuple[RealBug, Observation]]]:
    """Return the observations of each tool; those that `results` has are not made again.

    A run that broke is repeated.
    """
    known = {
        (one.bug, one.tool, one.version): one for one in read_results(results) if not one.problem
    }
    measured: dict[str, list[tuple[RealBug, Observation]]] = {tool.name: [] for tool in tools}
    for bug in bugs:
        for tool in tools:
            observation = known.get((bug.tree.name, tool.name, tool.version))
            if observation is None:
                observation = _measured(tool, bug)
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(observation)) + "\n")
            measured[tool.name].append((bug, observation))
            line = f"{bug.tree.name} {tool.name}: {describe(bug, observation)}"
            print(line, file=sys.stderr, flush=True)
    return measured


def _measured(tool: Tool, bug: RealBug) -> Observation:
    try:
        return tool.measure(bug)
    except Exception as exc:  # noqa: BLE001 - one broken case must not cost all figures
        problem = f"{type(exc).__name__}: {exc}"
        return Observation(bug.tree.name, tool.name, tool.version, problem=problem)


def read_results(path: Path) -> list[Observation]:
    if not path.exists():
        return []
    return [Observation(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def describe(bug: RealBug, observation: Observation) -> str:
    """Return the result of one bug as a line."""
    if observation.problem:
        return f"no result: {observation.problem}"
    result = score(bug, observation.answers)
    verdict = "not named"
    if result.named:
        verdict = "named" if result.exact else "named with other lines"
    elif result.wrong_sets:
        verdict = "WRONG"
    parts = [verdict]
    if result.commit is not None:
        parts.append("commit named" if result.commit else "commit NOT named")
    parts.append(f"{result.seconds:.1f} s of search")
    parts.append(f"{observation.seconds:+.1f} s, processor {observation.cpu:+.1f} s")
    if observation.touched:
        parts.append(f"TOUCHED {', '.join(observation.touched[:3])}")
    if observation.misplaced:
        parts.append(f"{observation.misplaced} pieces on other lines")
    parts += [answer["note"] for answer in observation.answers if answer.get("note")]
    return ", ".join(parts)


def rows(tool: str, measured: Sequence[tuple[RealBug, Observation]]) -> list[Row]:
    """Return the figures of one tool."""
    scores = [score(bug, observation.answers) for bug, observation in measured]
    observations = [observation for _, observation in measured]
    ended = [observation for observation in observations if not observation.problem]
    committed = [result.commit for result in scores if result.commit is not None]
    figures = [
        Row("bugs", str(len(measured))),
        Row("runs without a result", str(len(measured) - len(ended)), "0"),
        Row("a line of the fault is named", share([s.named for s in scores]), ">= 95 %"),
        Row("and no line outside it", share([s.exact for s in scores]), ">= 90 %"),
        Row("sets without a line of the fault", str(sum(s.wrong_sets for s in scores)), "0"),
    ]
    if committed:
        figures.append(Row("the commit is named, and no other", share(committed), ">= 90 %"))
    for what, seconds in (
        ("search, s, median / p90", [result.seconds for result in scores]),
        ("added to the run, s, median / p90", [one.seconds for one in ended]),
        ("added processor time, s, median / p90", [one.cpu for one in ended]),
    ):
        if seconds:
            times = f"{median(seconds):.1f} / {ninetieth_percentile(seconds):.1f}"
            figures.append(Row(what, times, "<= 2.5 / 8"))
    figures += [
        Row("pieces on other lines", str(sum(one.misplaced for one in observations)), "0"),
        Row("changed trees", str(sum(bool(one.touched) for one in observations)), "0"),
    ]
    return [Row(f"{tool}: {row.what}", row.measured, row.asked) for row in figures]


def share(values: Sequence[bool]) -> str:
    return f"{sum(values)} of {len(values)} ({sum(values) / len(values):.0%})"


def ninetieth_percentile(values: Sequence[float]) -> float:
    """Return the smallest value that nine of ten do not exceed."""
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


def bars(measured: Mapping[str, Sequence[tuple[RealBug, Observation]]]) -> Bars:
    shares = []
    for tool, observations in measured.items():
        scores = [score(bug, observation.answers) for bug, observation in observations]
        counts = (sum(s.named for s in scores), sum(s.exact for s in scores))
        shares.append((tool, tuple(round(100 * count / len(scores)) for count in counts)))
    return Bars(
        "Naming the change that broke a test",
        "% of the bugs",
        ("a line of the fault is named", "and no line outside it"),
        tuple(shares),
        highlighted=frozenset({OURS}),
    )


def bugs_below(folders: Sequence[Path], list_file: Path, suffix: str) -> list[RealBug]:
    """Return the bugs that are laid out, the quickest first."""
    listed = sorted(json.loads(list_file.read_text("utf-8")), key=lambda row: row["seconds"])
    return [bug for folder in folders for bug in read_bugs(listed, folder.resolve(), suffix)]


def _parser() -> argparse.ArgumentParser:
    parser = options(__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--bugs", type=Path, required=True, metavar="FILE", help="list of bugs")
    parser.add_argument("--only", default="", metavar="ID,...", help="only these bugs")
    parser.add_argument("--limit", type=int, metavar="N", help="only the N quickest bugs")
    parser.add_argument("--results", type=Path, metavar="FILE", help="default: FOLDER/broke.jsonl")
    parser.add_argument("--beside", choices=[COMMIT_DELTA], help="measure this tool as well")
    parser.add_argument(
        "--commits", type=int, default=0, metavar="N", help="the fault is one of up to N commits"
    )
    parser.add_argument("--mirrors", type=Path, default=Path(), help="clones for --commits")
    parser.add_argument(
        "--comparison",
        choices=COMPARISONS,
        default=COMPARISONS[0],
        help="how --commits are compared: with the last passing run, the main branch or a ref",
    )
    return parser


def main() -> None:
    parser = _parser()
    chosen, started = parser.parse_args(), time.perf_counter()
    if chosen.commits and chosen.beside:
        parser.error(f"{chosen.beside} compares with the last commit only")
    only = tuple(filter(None, chosen.only.split(","))) or ("",)
    bugs = bugs_below(chosen.folders, chosen.bugs, "regression")
    bugs = [bug for bug in bugs if bug.name.startswith(only)][: chosen.limit]
    if chosen.commits:
        for bug in bugs:
            result = lay_out_commits(bug, chosen.mirrors.resolve(), chosen.commits)
            print(f"{bug.name}.commits: {result}", file=sys.stderr, flush=True)
        names = {bug.name for bug in bugs}
        bugs = bugs_below(chosen.folders, chosen.bugs, "commits")
        bugs = [bug for bug in bugs if bug.name in names]
    if not bugs:
        parser.error("no bug of the list is laid out there")
    folder = chosen.folders[0].resolve()
    results = chosen.results or folder / "broke.jsonl"
    package = unpack_this_package(folder / ".explained")
    tools: list[Tool] = [Ours(package, chosen.comparison if chosen.commits else "")]
    notes = []
    if chosen.beside:
        try:
            tools.append(CommitDelta.installed(folder / ".rivals"))
        except NotInstalled as reason:
            notes.append(f"{chosen.beside} is not installed: {reason}")
    measured = measure(tools, bugs, results)
    table = [row for tool, pairs in measured.items() for row in rows(tool, pairs)]
    outcome = Outcome("broke", [*table, wall_time(started)], [bars(measured)], notes=notes)
    publish(outcome, chosen)


if __name__ == "__main__":
    main()
