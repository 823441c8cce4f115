"""Runs what a model wrote against the tests of its problems, and reads answers that others have recorded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.evaluation import Problem, Sample, Verdict
from pytest_starcoder.evaluate.problems import records
from pytest_starcoder.runner.program import run_program
from pytest_starcoder.runner.sandbox import Level

SECONDS = 3.0
"""Of one program, as in bigcode-evaluation-harness."""


class NotRun(ConfigError):
    """No program can be run here as confined as the settings ask."""


def verdicts(
    problems: Iterable[Problem],
    samples: Sequence[Sample],
    least: Level = Level.NONE,
) -> Iterator[tuple[Verdict, str]]:
    """Of each sample what running it showed, and how it was confined, in their order.

    As many run at once as there are cores. Raises NotRun.
    """
    by_task = {problem.task: problem for problem in problems}

    def run(sample: Sample) -> tuple[Verdict, str]:
        result = run_program(by_task[sample.task].program(sample), SECONDS, least)
        if result.obstacle:
            raise NotRun(
                f"Nothing was run: {result.obstacle}.",
                "Set confinement to audit.",
            )
        if not result.level:
            raise NotRun(
                f"The program of {sample.task} was not run: no process could be started for it in time.",
                "Is the machine short of memory or processes? Try again: no answer is asked for twice.",
            )
        return Verdict(sample.task, sample.number, result.outcome), result.level

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            yield from pool.map(run, samples)
        finally:
            pool.shutdown(cancel_futures=True)


def recorded(path: Path, problems: Sequence[Problem]) -> list[Sample]:
    """The answers of a .jsonl file, with task_id and completion, or solution for a whole program, in each line.

    Those to problems that are not asked about are left out. Raises ConfigError for a file of another kind, or
    where no answer is left.
    """
    tasks = {problem.task.lower(): problem for problem in problems}
    counts: dict[str, int] = {}
    found = []
    for number, row in enumerate(records(path), 1):
        whole = "completion" not in row
        answer = row.get("solution" if whole else "completion")
        if not isinstance(row.get("task_id"), str | int) or not isinstance(answer, str):
            raise ConfigError(
                f"{path}: entry {number} has no task_id with a completion or a solution.",
                "Give one JSON object a line, as EvalPlus writes them.",
            )
        problem = tasks.get(str(row["task_id"]).lower()) or tasks.get(f"mbpp/{row['task_id']}")
        if problem is not None:
            index = counts[problem.task] = counts.get(problem.task, -1) + 1
            found.append(Sample(problem.task, index, answer, whole=whole))
    if not found:
        raise ConfigError(
            f"{path} has no answer to any of the problems.", "Do the two files belong together?"
        )
    return found
