"""Measures whether prompts show the faulty line, and their size, for us and for rivals.

`python -m benchmarks.evidence CASES --truth TRUTH` runs the tests of each project in the folder
CASES up to the first failure (`-x`), once with each tool, against a server on loopback that records
requests. CASES and TRUTH are those of benchmarks/ranking.py. With `--rivals FOLDER`, failscope and
pytest-triage are installed into environments there and run in turn with ours.

All tools are judged in the same way. A faulty line is shown if a prompt contains its text or names
its number; a line that occurs several times in the file also needs one of its neighbours. Any line
of a fault counts. The marks that pytest prints before lines are ignored. Characters are counted in
all messages of a run, without tool schemas. Our search for fixes is off, because it would put the
faulty line into the prompt once more.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.explainers import OURS, Explainer, install, questions, rivals_option
from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.ranking import Case, cases, shows
from benchmarks.runs import median, pytest
from pytest_starcoder.report.bar_chart import Bars

LIMIT = 30.0
"""Seconds of one run."""


@dataclass(frozen=True)
class Sent:
    """The prompts of a tool: whether they show a faulty line, and their number of characters."""

    shown: bool
    characters: int


def sent(case: Case, tool: Explainer) -> Sent | None:
    """Return what a tool sends; None if the run does not end in time, or no test fails."""
    with tool.server() as (url, requests):
        variables = {**case.env, **tool.environment(url), "STARCODER_FIX": "off"}
        run = pytest(
            case.project,
            "-x",
            *case.run,
            *tool.options,
            environment=variables,
            python=tool.python,
            limit=LIMIT,
        )
        prompts = questions(requests)
    if run.status != 1:
        return None
    sources = {path: (case.project / path).read_text("utf-8") for path, _ in case.truth}
    shown = any(
        shows(unmarked(text), sources[line[0]], line) for text in prompts for line in case.truth
    )
    return Sent(shown, sum(map(len, prompts)))


def unmarked(prompt: str) -> str:
    """Remove the `>` and `E` that pytest prints before lines of a traceback."""
    return re.sub(r"^[>E](?=\s)", " ", prompt, flags=re.MULTILINE)


def measured(waiting: Sequence[Case], tools: Sequence[Explainer]) -> list[dict[str, Sent]]:
    """Return what each tool sent, for every case that all tools completed."""
    results = []
    for number, case in enumerate(waiting):
        complete: dict[str, Sent] = {}
        for tool in tools[:: 1 if number % 2 else -1]:
            result = sent(case, tool)
            if result is None:
                break
            complete[tool.name] = result
        results += [complete] if len(complete) == len(tools) else []
        summaries = []
        for name, result in complete.items():
            shown = "shown" if result.shown else "-"
            summaries.append(f"{name} {result.characters} {shown}")
        print(f"{case.name}: {', '.join(summaries)}", file=sys.stderr, flush=True)
    return results


def rows(name: str, results: Sequence[Sent]) -> list[Row]:
    sizes = [result.characters for result in results]
    return [
        Row(
            f"{name}: programs whose faulty line the model is shown",
            f"{sum(result.shown for result in results)} of {len(results)}",
        ),
        Row(
            f"{name}: characters of a question, median / max", f"{median(sizes):.0f} / {max(sizes)}"
        ),
    ]


def charts(results: Sequence[dict[str, Sent]], tools: Sequence[Explainer]) -> list[Bars]:
    columns = {tool.name: [row[tool.name] for row in results] for tool in tools}
    sizes = {name: [result.characters for result in column] for name, column in columns.items()}
    ours = frozenset({OURS.name})
    return [
        Bars(
            f"The faulty line is in the question ({len(results)} programs, one failing test each)",
            "programs",
            ("programs",),
            tuple(
                (name, (sum(result.shown for result in column),))
                for name, column in columns.items()
            ),
            highlighted=ours,
        ),
        Bars(
            "Size of the question",
            "characters",
            ("median", "largest"),
            tuple((name, (median(size), max(size))) for name, size in sizes.items()),
            highlighted=ours,
        ),
    ]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--tests", nargs="*", default=["test_full.py"], metavar="FILE")
    parser.add_argument("--limit", type=int, help="measure the first so many cases")
    rivals_option(parser)
    chosen, started = parser.parse_args(), time.perf_counter()
    waiting = cases(
        chosen.cases.resolve(), json.loads(chosen.truth.read_text("utf-8")), chosen.tests
    )[: chosen.limit]
    rivals, missing = install(chosen.rivals)
    tools = [OURS, *rivals]
    results = measured(waiting, tools)
    if not results:
        raise SystemExit(
            f"evidence: no case of {chosen.truth} in {chosen.cases} has a failing test."
        )
    figures = [
        row for tool in tools for row in rows(tool.name, [result[tool.name] for result in results])
    ]
    left_out = Row(
        "left out: a run does not end in time, or no test fails", str(len(waiting) - len(results))
    )
    publish(
        Outcome(
            "evidence", [*figures, *missing, left_out, wall_time(started)], charts(results, tools)
        ),
        chosen,
    )


if __name__ == "__main__":
    main()
