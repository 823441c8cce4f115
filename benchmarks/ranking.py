"""Measures whether a prompt shows the faulty line, and at which rank it is suspected.

`python -m benchmarks.ranking CASES --truth TRUTH` measures the projects in the folder CASES.
TRUTH is either the list of HumanEvalFix's faulty lines (with task_id and buggy_lines; the folders
are python_NNN with solution.py, made from bigcode/humanevalpack), or maps the name of a folder to
{"lines": [...]} with, if needed, "path" (default: solution.py), "run" (arguments for pytest) and
"env". benchmarks/seeded_edits.py writes such a file.

Any line of a fault counts. A line is shown if a prompt names its number or contains its text; a
line that occurs several times in the file also needs one of its neighbours. Ranks are those of the
first and largest cause. The baselines rank the lines outside tests that the same failing and
passing tests execute; ties count with their probability. Cases that break or do not end in time
are left out and counted. The search for fixes is off, because it does not change ranks.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.edits import expected_top
from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.runs import median
from pytest_starcoder.explain import case as evidence
from pytest_starcoder.explain.failure import Cause
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.explain.suspicion import ochiai
from pytest_starcoder.report.bar_chart import Bars
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.sources import SourceFiles

Line = tuple[str, int]

TOP = (1, 3, 5)
LIMIT = 60.0  # seconds of one run
SMALL = 30.0  # seconds of a small program's tests
MEMORY = 4 << 30  # a fault may turn a loop into one that fills a list for ever
EXPLAIN = ("--starcoder-explain", "--starcoder-backend=none")
OURS, OCHIAI, FRAME, RANDOM = (
    "ours",
    "Ochiai, ties by chance",
    "last frame outside tests",
    "random executed line",
)
RANKINGS = (OURS, OCHIAI, FRAME, RANDOM)

RECORDER = """
import os
import pickle

from pytest_starcoder.explain import explainer

build_cases = explainer.build_cases
roots = []


def pytest_configure(config):
    roots.append(os.path.relpath(config.rootpath))


def record(causes, replays, sources, history, test_files, *more):
    with open(os.environ["RECORDED"], "wb") as file:
        pickle.dump((roots[0], causes, replays, test_files), file)
    return build_cases(causes, replays, sources, history, test_files, *more)


explainer.build_cases = record
"""
"""A pytest plugin that keeps what the explained run has collected."""


@dataclass(frozen=True)
class Recorded:
    """What an explaining session saw: its failures by cause, and the tests that ran again.

    `root` is pytest's root, from the folder in which it was started.
    """

    root: str
    causes: Sequence[Cause]
    replays: Sequence[Replay]
    test_files: Collection[str]

    def sources(self, project: Path) -> SourceFiles:
        return SourceFiles.below(project / self.root)

    def cases(self, project: Path, sources: SourceFiles) -> list[evidence.Case]:
        """Return the cases as this version of the package builds them."""
        history = History(project / self.root)
        return evidence.build_cases(self.causes, self.replays, sources, history, self.test_files)


def read_recorded(path: Path) -> Recorded:
    return Recorded(*pickle.loads(path.read_bytes()))


@dataclass(frozen=True)
class Case:
    """A project with a fault on any of the lines `truth`, and how its tests are run."""

    name: str
    project: Path
    truth: frozenset[Line]
    run: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """A process that ended in time: its exit status, its seconds and what it printed."""

    status: int
    seconds: float
    output: str


@dataclass(frozen=True)
class Found:
    """The result of one case.

    `hits` maps each ranking to the chance that a faulty line is among its first
    1, 3 and 5; `rank` is ours, None where it is not among the suspects.
    `prompts` are the characters of each cause's prompt, `shown` whether it
    shows a faulty line. `rerun` is whether the failing test failed again when
    it was run again, `executed` whether it was seen to execute a faulty line.
    `seconds` are what explaining adds to the run. `reported` is whether the
    rank was read from the report of the run; where the plugin wrote none, it is
    that of the evidence, found in the same way outside the run.
    """

    name: str
    hits: Mapping[str, tuple[float, ...]]
    rank: int | None
    prompts: tuple[int, ...]
    shown: tuple[bool, ...]
    rerun: bool
    executed: bool
    seconds: float
    reported: bool


def cases(folder: Path, text: Any, tests: Sequence[str] = ()) -> list[Case]:
    """Return the cases of a truth that `folder` has; `tests` are arguments where it has none."""
    if isinstance(text, list):
        text = {
            f"python_{int(row['task_id'].split('/')[1]):03d}": {"lines": row["buggy_lines"]}
            for row in text
        }
    found = []
    for name, row in text.items():
        path = row.get("path", "solution.py")
        lines = frozenset((path, line) for line in row.get("lines", [row.get("line")]))
        found.append(
            Case(name, folder / name, lines, tuple(row.get("run", tests)), row.get("env", {}))
        )
    return [case for case in found if case.project.is_dir()]


def measured(case: Case, limit: float = LIMIT) -> Found | None:
    """Measure a case; None if a run does not end in time, or no test fails.

    The plain run has `limit` seconds.
    """
    plain = pytest_ended(case.project, ["-p", "no:starcoder", *case.run], case.env, limit)
    if plain is None or plain.status != 1:
        return None
    with tempfile.TemporaryDirectory() as temporary:
        explained = _explained(case, Path(temporary))
    if explained is None:
        return None
    ended, recorded, text = explained
    cases = recorded.cases(case.project, recorded.sources(case.project))
    if not cases:
        return None
    first = cases[0]
    suspects = [(suspect.path, suspect.line) for suspect in first.suspects]
    if text:
        suspects = [(suspect["path"], suspect["line"]) for suspect in text["causes"][0]["suspects"]]
    rank = next((rank for rank, line in enumerate(suspects, 1) if line in case.truth), None)
    hits, executed = _baselines(case.truth, first)
    hits[OURS] = tuple(float(rank is not None and rank <= k) for k in TOP)
    prompts = split_prompts(ended.output)
    return Found(
        case.name,
        hits,
        rank,
        prompts=tuple(map(len, prompts)),
        shown=tuple(
            any(shows(prompt, _text(case, line[0]), line) for line in case.truth)
            for prompt in prompts
        ),
        rerun=bool(first.replay.failing),
        executed=executed,
        seconds=ended.seconds - plain.seconds,
        reported=bool(text),
    )


def pytest_ended(
    project: Path, arguments: Sequence[str], env: Mapping[str, str], limit: float = LIMIT
) -> Ended | None:
    """Run pytest without the user's settings; return None after `limit` seconds."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STARCODER_", "OLLAMA_", "PYTEST_", "PYTHON"))
    }
    started = time.perf_counter()
    running = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *arguments],
        cwd=project,
        env={**own, "HOME": str(project), "STARCODER_CACHE": "off", **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )
    try:
        output, _ = running.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        return None
    return Ended(running.returncode, time.perf_counter() - started, output)


def _explained(case: Case, folder: Path) -> tuple[Ended, Recorded, dict[str, Any]] | None:
    """Run with prompts and report; return how it ended, the recording and the report."""
    (folder / "recorder.py").write_text(RECORDER, encoding="utf-8")
    recorded = folder / "recorded"
    report = folder / "report.json"
    wanted = {
        "--starcoder-show-prompt": "--starcoder-show-prompt",
        "--starcoder-report": f"--starcoder-report={report}",
    }
    options = [option for name, option in wanted.items() if has_option(name)]
    env = {
        **case.env,
        "STARCODER_FIX": "off",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), case.env.get("PYTHONPATH", "")])),
        "PYTEST_PLUGINS": "recorder",
        "RECORDED": str(recorded),
    }
    ended = pytest_ended(case.project, [*EXPLAIN, *options, *case.run], env)
    if ended is None or not recorded.is_file():
        return None
    return (
        ended,
        read_recorded(recorded),
        json.loads(report.read_text("utf-8")) if report.is_file() else {},
    )


def split_prompts(output: str) -> list[str]:
    """Return the prompts that `--starcoder-show-prompt` printed, in the order of the causes."""
    return re.findall(
        r"^----- prompt \d+ of \d+ -*\n(.*?)\n----- end -*$", output, re.MULTILINE | re.DOTALL
    )


@lru_cache
def has_option(option: str) -> bool:
    """Return whether the installed plugin has an option."""
    return (
        option
        in subprocess.run(
            [sys.executable, "-m", "pytest", "--help"], capture_output=True, text=True, check=True
        ).stdout
    )


def shows(prompt: str, source: str, line: Line) -> bool:
    """Return whether the prompt names a line of `source` by its number, or has its text.

    Where others of the file have the same text, a neighbour must stand beside it.
    """
    path, number = line
    lines = [text.strip() for text in source.splitlines()]
    wanted, above, below = (
        lines[number - 1],
        _nearest(lines[: number - 1][::-1]),
        _nearest(lines[number:]),
    )
    prompted = [
        text.strip().removesuffix("# fails here").rstrip()
        for text in prompt.splitlines()
        if text.strip()
    ]
    places = [place for place, text in enumerate(prompted) if text == wanted]
    if lines.count(wanted) == 1 and places:
        return True
    return any(text.startswith(f"{path}:{number}: ") for text in prompted) or any(
        above in prompted[max(place - 1, 0) : place] or below in prompted[place + 1 : place + 2]
        for place in places
    )


def _nearest(lines: Sequence[str]) -> str:
    return next((text for text in lines if text), "")


def _baselines(
    truth: frozenset[Line], first: evidence.Case
) -> tuple[dict[str, tuple[float, ...]], bool]:
    """Return the chances of rankings by others, on the lines that the first cause executes."""
    every = ochiai(first.replay.failing, first.replay.passing)
    scores = {line: score for line, score in every.items() if not is_test(line[0])}
    lines = [(frame.path, frame.line) for frame in first.cause.first.frames]
    last = next(
        (line for line in reversed(lines) if not is_test(line[0])), lines[-1] if lines else None
    )
    hits = {
        OCHIAI: tuple(expected_top(scores, truth, k) for k in TOP),
        FRAME: (float(last in truth),) * len(TOP),
        RANDOM: tuple(expected_top(dict.fromkeys(scores, 0.0), truth, k) for k in TOP),
    }
    return hits, not truth.isdisjoint(scores)


def is_test(path: str) -> bool:
    """Return whether a file contains tests, by its name or that of its folder."""
    parts = PurePosixPath(path).parts
    name = parts[-1]
    return (
        name.startswith(("test_", "conftest."))
        or name.endswith("_test.py")
        or bool({"test", "tests"} & {*parts[:-1]})
    )


def _text(case: Case, path: str) -> str:
    try:
        return (case.project / path).read_text(encoding="utf-8")
    except OSError:
        return ""


def rows(name: str, found: Sequence[Found]) -> list[Row]:
    """Return the figures of some cases, each named after `name`."""
    text = [Row(f"{name}: cases", str(len(found)))]
    prompted = [case for case in found if case.prompts]
    if prompted:
        text += [
            Row(f"{name}: faulty line in a prompt", _share([any(case.shown) for case in prompted])),
            Row(
                f"{name}: faulty line in the first prompt",
                _share([case.shown[0] for case in prompted]),
            ),
            Row(
                f"{name}: characters of the first prompt, median",
                f"{median([c.prompts[0] for c in prompted]):.0f}",
            ),
            Row(
                f"{name}: characters of all prompts, median",
                f"{median([sum(c.prompts) for c in prompted]):.0f}",
            ),
        ]
    if found:
        text += [
            Row(
                f"{name}: first failing test run again, and fails", _share([c.rerun for c in found])
            ),
            Row(
                f"{name}: faulty line executed by the first failing test",
                _share([c.executed for c in found]),
            ),
            Row(f"{name}: ranks read from the report", _share([c.reported for c in found])),
        ]
        for ranking, shares in tops(found).items():
            percents = " / ".join(f"{share:.0%}" for share in shares)
            text.append(Row(f"{name}: top-1/3/5, {ranking}", percents))
        text.append(
            Row(
                f"{name}: added to the run, median, s",
                f"{median([case.seconds for case in found]):.2f}",
            )
        )
    return text


def tops(found: Sequence[Found]) -> dict[str, tuple[float, ...]]:
    """Return the share of cases with a faulty line in the first 1, 3 and 5 of each ranking."""
    columns = {
        ranking: zip(*(case.hits[ranking] for case in found), strict=True) for ranking in RANKINGS
    }
    return {
        ranking: tuple(sum(column) / len(found) for column in hits)
        for ranking, hits in columns.items()
    }


def chart(title: str, found: Sequence[Found]) -> Bars:
    return Bars(
        f"{title} ({len(found)} faults)",
        "% of the faults whose line is among the first",
        tuple(f"top-{k}" for k in TOP),
        tuple(
            (ranking, tuple(round(100 * share) for share in shares))
            for ranking, shares in tops(found).items()
        ),
        highlighted=frozenset({OURS}),
    )


def _share(values: Sequence[bool]) -> str:
    return f"{sum(values)} of {len(values)}"


def line(found: Found) -> str:
    """Return the result of one case as a line."""
    shown = f"shown {'yes' if any(found.shown) else 'no'}" if found.prompts else "no prompt"
    size = f"{sum(found.prompts)} characters"
    score = f"Ochiai {found.hits[OCHIAI][0]:.2f}"
    return f"rank {found.rank or '-'}, {shown}, {size}, {score}, {found.seconds:+.2f} s"


def measure(waiting: Sequence[Case], limit: float = LIMIT) -> list[Found]:
    """Measure the cases; print each result, or the reason why a case is left out."""
    found = []
    for case in waiting:
        text = "left out: a run does not end in time, or no test fails"
        try:
            result = measured(case, limit)
        except Exception as exc:  # noqa: BLE001 - one broken case must not cost all figures
            result, text = None, f"left out, it breaks: {type(exc).__name__}: {exc}"
        print(f"{case.name}: {line(result) if result else text}", file=sys.stderr, flush=True)
        found += [result] if result else []
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument(
        "--tests",
        nargs="*",
        default=[],
        metavar="FILE",
        help="test files; default: all",
    )
    parser.add_argument("--limit", type=int, help="measure the first so many cases")
    chosen, started = parser.parse_args(), time.perf_counter()
    waiting = cases(
        chosen.cases.resolve(), json.loads(chosen.truth.read_text("utf-8")), chosen.tests
    )[: chosen.limit]
    found = measure(waiting, SMALL)
    left_out = Row(
        "left out: a run does not end in time, or no test fails", str(len(waiting) - len(found))
    )
    charts = [chart("At which rank the faulty line is suspected", found)] if found else []
    publish(Outcome("ranking", [*rows("all", found), left_out, wall_time(started)], charts), chosen)


if __name__ == "__main__":
    main()
