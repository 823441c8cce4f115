"""Runs answers against the tests of their problems."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.pass_at_k import Problem, Sample, Verdict
from pytest_starcoder.runner.program import run_program
from pytest_starcoder.runner.sandbox import Level

# Seconds that one program may take, as in bigcode-evaluation-harness.
MAX_SECONDS = 3.0


class NotRun(ConfigError):
    """A program cannot run here in the sandbox that the settings require."""


def run_samples(
    problems: Iterable[Problem], samples: Sequence[Sample], min_level: Level = Level.NONE
) -> Iterator[tuple[Verdict, str]]:
    """Yield the verdict on each answer, and the sandbox it ran in, in the order of `samples`.

    One program per core runs at a time. Raises NotRun.
    """
    by_task = {problem.task: problem for problem in problems}

    def run(sample: Sample) -> tuple[Verdict, str]:
        program = by_task[sample.task].program(sample)
        result = run_program(program, MAX_SECONDS, min_level)
        if result.obstacle:
            raise NotRun(f"Nothing was run: {result.obstacle}.", "Set confinement to audit.")
        if not result.level:
            raise NotRun(
                f"The program of {sample.task} was not run: its process did not start in time.",
                "Is the machine short of memory or processes? "
                "Try again: the answers so far are saved.",
            )
        return Verdict(sample.task, sample.number, result.outcome), result.level

    # Threads are enough: each only waits for the process of its program.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            yield from pool.map(run, samples)
        finally:
            pool.shutdown(cancel_futures=True)
