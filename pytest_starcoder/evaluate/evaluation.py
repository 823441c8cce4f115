"""What measures a model on published problems: the problems, what it wrote, and what running that showed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TITLES = {"humaneval": "HumanEval", "mbpp": "MBPP"}
"""The sets of problems by their names on the command line."""


@dataclass(frozen=True)
class Problem:
    """`prompt` is what a model continues; prompt, answer, a newline and `tests` are a program that ends well or raises.

    An answer ends before the first of `stop`.
    """

    task: str
    prompt: str
    tests: str
    stop: tuple[str, ...]

    def program(self, sample: Sample) -> str:
        """What is run of an answer."""
        return f"{'' if sample.whole else self.prompt}{sample.answer}\n{self.tests}\n"


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn, bigcode-evaluation-harness's way by default; a temperature of 0 is greedy.

    `window` is the most tokens that prompt and answer have together, `prefix`
    what stands before every prompt.
    """

    samples: int = 1
    temperature: float = 0.2
    top_p: float = 0.95
    top_k: int = 0
    window: int = 512
    prefix: str = ""


@dataclass(frozen=True)
class Sample:
    """The `number`-th answer (from 0) to a problem, in how many seconds; a `whole` program has its prompt in it."""

    task: str
    number: int
    answer: str
    seconds: float = 0.0
    tokens: int = 0
    whole: bool = False


@dataclass(frozen=True)
class Verdict:
    """What running an answer showed: `said` is "passed", "timed out", or the exception that ended it."""

    task: str
    number: int
    said: str

    @property
    def passed(self) -> bool:
        return self.said == "passed"

    @property
    def kind(self) -> str:
        """The exception's class, or what `said` is otherwise."""
        return self.said.partition(":")[0]


@dataclass(frozen=True)
class Evaluation:
    """A model on a set of problems.

    `asked` are the seconds of asking, all runs together, `ran` those of running
    what was written, under the `confinement` named. `of` is how many problems
    the set has. `model` and `backend` are empty for answers that were recorded;
    `smoke` says that the demo model answered.
    """

    benchmark: str
    model: str
    backend: str
    sampling: Sampling
    verdicts: tuple[Verdict, ...]
    of: int
    asked: float = 0.0
    ran: float = 0.0
    tokens: int = 0
    confinement: str = ""
    smoke: bool = False

    @property
    def title(self) -> str:
        return TITLES[self.benchmark]

    def counts(self) -> dict[str, tuple[int, int]]:
        """Of each problem how many answers there are, and how many of them passed."""
        written = Counter(verdict.task for verdict in self.verdicts)
        passed = Counter(verdict.task for verdict in self.verdicts if verdict.passed)
        return {task: (count, passed[task]) for task, count in written.items()}

    def pass_at(self) -> dict[int, float]:
        """pass@k, from 0 to 1, for those of 1, 10 and 100 for which every problem has enough answers."""
        counts = self.counts().values()
        fewest = min((written for written, _ in counts), default=0)
        return {
            k: sum(pass_at(k, written, passed) for written, passed in counts) / len(counts)
            for k in (1, 10, 100)
            if k <= fewest
        }

    def failed(self) -> dict[str, int]:
        """How often what ended an answer that did not pass, most frequent first."""
        return dict(
            Counter(verdict.kind for verdict in self.verdicts if not verdict.passed).most_common()
        )


def pass_at(k: int, written: int, passed: int) -> float:
    """How likely one of `k` answers passes where `passed` of `written` do, unbiased (arXiv:2107.03374, section 2.1)."""
    return 1.0 - math.comb(written - passed, k) / math.comb(written, k)


@dataclass(frozen=True)
class Published:
    """A table of others' results in per cent, None where there is none, by model and then by set."""

    rows: Mapping[str, Mapping[str, float | None]]

    def beside(self, evaluations: Sequence[Evaluation]) -> Published:
        """The table with a row for each model that was measured."""
        rows = {name: dict(row) for name, row in self.rows.items()}
        for one in evaluations:
            found = one.pass_at().get(1)
            part = (
                "" if len(one.counts()) == one.of else f", {len(one.counts())} of {one.of} problems"
            )
            name = f"{one.model or 'recorded answers'} (measured here{part}{', a smoke run' if one.smoke else ''})"
            rows.setdefault(name, {})[one.benchmark] = (
                None if found is None else round(100 * found, 1)
            )
        return Published(rows)
