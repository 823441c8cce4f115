"""Collects answers: asks a model and saves each answer at once, or reads recorded answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.pass_at_k import CONTINUATION, Problem, Sample, Sampling
from pytest_starcoder.evaluate.problems import read_rows
from pytest_starcoder.evaluate.questions import make_prompt, read_answer
from pytest_starcoder.files import resolve_target
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.json_fields import from_fields
from pytest_starcoder.model.prompt import Model
from pytest_starcoder.model.prompts import model_family
from pytest_starcoder.source.git.tracking import find_repository


class SampleFile:
    """A file of answers, one JSON object per line; its first line says what they answer.

    Only complete lines count: a line that a killed run began is overwritten. `samples` are the
    answers in the file. Raises ConfigError if they answer something else than `model` with
    `sampling`, or if the file is of another kind.
    """

    def __init__(self, path: Path, benchmark: str, model: Model, sampling: Sampling) -> None:
        self.path = path
        self.sampling = sampling
        head = {"benchmark": benchmark, "model": model.name, "digest": model.digest}
        self._head = head | asdict(sampling)
        del self._head["samples"]  # more answers of the same kind may be added
        self._complete_size = 0
        self.samples = self._read()

    def add(self, sample: Sample) -> None:
        """Append an answer. Raises ConfigError."""
        lines = [json.dumps(asdict(sample))]
        if not self._complete_size:
            lines.insert(0, json.dumps(self._head))
        content = "".join(f"{line}\n" for line in lines).encode()
        try:
            target = resolve_target(self.path, find_repository(self.path.absolute()))
            # Not replaced as a whole: a run adds thousands of answers.
            with target.open("ab") as file:
                file.truncate(self._complete_size)
                file.write(content)
        except OSError as exc:
            raise ConfigError(
                f"The answers cannot be written to {self.path}: {exc.strerror}.",
                "Name another file with --output.",
            ) from exc
        self._complete_size += len(content)

    def _read(self) -> list[Sample]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise self._unusable(f"cannot be read: {exc.strerror}") from exc
        self._complete_size = content.rfind(b"\n") + 1
        # An empty file is as good as none.
        if not content:
            return []
        try:
            head, *rows = map(json.loads, content[: self._complete_size].splitlines())
            head.setdefault("form", CONTINUATION)  # the only form of earlier versions
            samples = [from_fields(Sample, row) for row in rows]
            differing = [key for key in self._head if head.get(key) != self._head[key]]
        except (ValueError, RecursionError, AttributeError) as exc:
            raise self._unusable("is not a file of answers") from exc
        if differing:
            keys = " and ".join(differing)
            raise self._unusable(f"has answers of another evaluation: {keys} differ")
        return samples

    def _unusable(self, reason: str) -> ConfigError:
        hint = "Name another file with --output, or delete this one."
        return ConfigError(f"{self.path} {reason}.", hint)


def collect_samples(
    client: Client,
    problems: Sequence[Problem],
    file: SampleFile,
    on_sample: Callable[[Sample], object] = lambda _: None,
) -> list[Sample]:
    """Return the answers in `file`, and ask for missing ones, in the order of the problems.

    Raises StarcoderError; the answers up to then are in the file.
    """
    by_number = {(sample.task, sample.number): sample for sample in file.samples}
    samples = []
    for problem in problems:
        for number in range(file.sampling.samples):
            sample = by_number.get((problem.task, number))
            if sample is None:
                sample = _ask(client, problem, number, file.sampling)
                file.add(sample)
                on_sample(sample)
            samples.append(sample)
    return samples


def read_recorded_samples(path: Path, problems: Sequence[Problem]) -> list[Sample]:
    """Return the answers in a .jsonl file that answer one of `problems`.

    Each line has a task_id and a completion, or a solution that is a whole program. Raises
    ConfigError for a file of another kind, and if there is no such answer.
    """
    by_task = {problem.task.lower(): problem for problem in problems}
    numbers = dict.fromkeys(by_task, 0)
    samples = []
    for row_number, row in enumerate(read_rows(path), 1):
        is_whole = "completion" not in row
        answer = row.get("completion", row.get("solution"))
        has_task = isinstance(row.get("task_id"), str | int)
        if not has_task or not isinstance(answer, str):
            raise ConfigError(
                f"{path}: entry {row_number} has no task_id with a completion or a solution.",
                "Give one JSON object per line, as EvalPlus writes them.",
            )
        task = str(row["task_id"]).lower()
        if task not in by_task:
            task = f"mbpp/{task}"  # MBPP's own files have plain numbers
        # A file of answers may be for more problems than are measured.
        if task in by_task:
            sample = Sample(by_task[task].task, numbers[task], answer, whole=is_whole)
            numbers[task] += 1
            samples.append(sample)
    if not samples:
        message = f"{path} has no answer to any of the problems."
        raise ConfigError(message, "Do the two files belong together?")
    return samples


def _ask(client: Client, problem: Problem, number: int, sampling: Sampling) -> Sample:
    """Return a new answer; each has its own seed, and all the time of the setting timeout."""
    client.allow(client.settings.timeout)
    started = time.monotonic()
    family = model_family(client.model(), client.settings.family)
    prompt = make_prompt(problem, sampling, family)
    prompt = replace(
        prompt,
        max_tokens=max(1, sampling.window - _count_tokens(client, prompt.text)),
        temperature=sampling.temperature,
        seed=number + 1,
        top_k=sampling.top_k,
    )
    completion = client.complete(prompt)
    seconds = round(time.monotonic() - started, 3)
    answer, whole = read_answer(completion.text, sampling.form)
    tokens = completion.completion_tokens
    return Sample(problem.task, number, answer, seconds, tokens, whole)


def _count_tokens(client: Client, text: str) -> int:
    """Return the tokens of a text.

    If the server does not count, half of the upper bound is close for ordinary code.
    """
    count = client.count(text)
    if count == estimate(text):
        count //= 2
    return count
