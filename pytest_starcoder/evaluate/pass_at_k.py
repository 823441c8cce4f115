"""pass@k, and the values it is computed from: problems, answers and verdicts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# The titles of the benchmarks, by their names on the command line.
TITLES = {"humaneval": "HumanEval", "mbpp": "MBPP"}

# The k for which pass@k is reported.
PASS_AT = (1, 10, 100)

# The form in which base models are asked: the bare prompt.
CONTINUATION = "continuation"


@dataclass(frozen=True)
class Problem:
    """One problem of a benchmark.

    `prompt` is continued by a model, up to the first of `stop`. Prompt, answer, a newline and
    `tests` are a program that passes if it raises nothing.
    """

    task: str
    prompt: str
    tests: str
    stop: tuple[str, ...]

    def program(self, sample: Sample) -> str:
        """Return the program that checks an answer."""
        prompt = "" if sample.whole else self.prompt
        return f"{prompt}{sample.answer}\n{self.tests}\n"


@dataclass(frozen=True)
class Sampling:
    """The sampling of answers; the defaults are those of bigcode-evaluation-harness.

    A temperature of 0 is greedy. `window` limits the tokens of prompt and answer together,
    `prefix` precedes every prompt. `form` is how problems are put to the model: "continuation"
    for the bare prompt, otherwise the family of an instruct model.
    """

    samples: int = 1
    temperature: float = 0.2
    top_p: float = 0.95
    top_k: int = 0
    window: int = 512
    prefix: str = ""
    form: str = CONTINUATION


@dataclass(frozen=True)
class Sample:
    """An answer to a problem; `number` counts from 0, a `whole` program includes its prompt."""

    task: str
    number: int
    answer: str
    seconds: float = 0.0
    tokens: int = 0
    whole: bool = False


@dataclass(frozen=True)
class Verdict:
    """The ending of an answer's program: "passed", "timed out", or the exception."""

    task: str
    number: int
    ending: str

    @property
    def passed(self) -> bool:
        return self.ending == "passed"

    @property
    def kind(self) -> str:
        """The ending without the message of an exception."""
        return self.ending.partition(":")[0]


@dataclass(frozen=True)
class Evaluation:
    """A model on a benchmark, or recorded answers: then `model` and `backend` are empty.

    Attributes:
        total_problems: Problems in the benchmark; `verdicts` may be on fewer.
        seconds_asking: For all answers, those of earlier runs included.
        seconds_running: For the programs, in the sandbox `confinement`.
        is_demo: True if the demo model answered.
    """

    benchmark: str
    model: str
    backend: str
    sampling: Sampling
    verdicts: tuple[Verdict, ...]
    total_problems: int
    seconds_asking: float = 0.0
    seconds_running: float = 0.0
    tokens: int = 0
    confinement: str = ""
    is_demo: bool = False

    @property
    def title(self) -> str:
        return TITLES[self.benchmark]

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return the number of answers and of passing answers by problem."""
        counts: dict[str, tuple[int, int]] = {}
        for verdict in self.verdicts:
            answers, passed = counts.get(verdict.task, (0, 0))
            counts[verdict.task] = (answers + 1, passed + verdict.passed)
        return counts

    def pass_at(self) -> dict[int, float]:
        """Return pass@k, from 0 to 1, for each k that every problem has enough answers for."""
        counts = self.counts().values()
        # pass@k is undefined if a problem has fewer than k answers.
        fewest = min((answers for answers, _ in counts), default=0)
        means = {}
        for k in PASS_AT:
            if k <= fewest:
                chances = [pass_at(k, answers, passed) for answers, passed in counts]
                means[k] = sum(chances) / len(counts)
        return means

    def failures(self) -> dict[str, int]:
        """Return how often each kind of failure ended an answer, most frequent first."""
        kinds: Counter[str] = Counter()
        for verdict in self.verdicts:
            if not verdict.passed:
                kinds[verdict.kind] += 1
        return dict(kinds.most_common())


def pass_at(k: int, answers: int, passed: int) -> float:
    """Return the chance that one of `k` answers passes.

    This is the unbiased estimator of arXiv:2107.03374, section 2.1.
    """
    only_failing = math.comb(answers - passed, k)
    return 1.0 - only_failing / math.comb(answers, k)


@dataclass(frozen=True)
class Published:
    """A table of published results in per cent, by model and benchmark."""

    rows: Mapping[str, Mapping[str, float | None]]

    def beside(self, evaluations: Sequence[Evaluation]) -> Published:
        """Return the table with a row for each measured model."""
        rows = {name: dict(row) for name, row in self.rows.items()}
        for evaluation in evaluations:
            # One row for a model that was measured with both benchmarks.
            row = rows.setdefault(_row_name(evaluation), {})
            score = evaluation.pass_at().get(1)
            row[evaluation.benchmark] = None
            if score is not None:
                row[evaluation.benchmark] = round(100 * score, 1)
        return Published(rows)


def _row_name(evaluation: Evaluation) -> str:
    """Return the name of a measured row, which no published row has."""
    remarks = ["measured here"]
    measured = len(evaluation.counts())
    if measured < evaluation.total_problems:
        remarks.append(f"{measured} of {evaluation.total_problems} problems")
    if evaluation.is_demo:
        remarks.append("an end-to-end check")
    name = evaluation.model or "recorded answers"
    return f"{name} ({', '.join(remarks)})"
