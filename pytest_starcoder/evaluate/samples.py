"""Asks a model for answers to problems and keeps each in a file at once, so that the next run goes on from there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.evaluation import Problem, Sample, Sampling
from pytest_starcoder.files import target_of
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.json_fields import from_fields
from pytest_starcoder.model.prompt import Model, Prompt
from pytest_starcoder.model.prompts import family
from pytest_starcoder.source.git.tracking import find_repository

NOTICE = "# Here is the correct implementation of the code exercise\n"

CONTROL = ("<file_sep>",)
"""Stops that are control tokens of StarCoder2, which servers must be told as such."""

PREFIXES = {
    "starcoder": f"<filename>solutions/solution_1.py\n{NOTICE}",
    "starcoder2": f"<file_sep>solutions/solution_1.py\n{NOTICE}",
}
"""What makes StarCoder-Prompted, by Hugging Face's post on StarCoder; the same in StarCoder2's form is unmeasured."""


def prefix_for(model: Model, chosen: str) -> str:
    """The prefix for a model; one that knows no form of a file gets its text alone."""
    return PREFIXES.get(family(model, chosen), NOTICE)


class SampleFile:
    """A file of answers, one JSON object a line; the first line says what they answer.

    Only a whole line counts: what a killed run had begun to write is written anew.
    `known` are the answers that are there already. Raises ConfigError where they
    answer something else than `model` asked by `sampling`, or the file is no such file.
    """

    def __init__(self, path: Path, benchmark: str, model: Model, sampling: Sampling) -> None:
        self.path = path
        self.sampling = sampling
        told = asdict(sampling)
        del told["samples"]  # more of the same are added to those that are there
        self._head = {"benchmark": benchmark, "model": model.name, "digest": model.digest, **told}
        self._whole = 0
        self.known = self._read()
        self._begun = False

    def add(self, sample: Sample) -> None:
        """Writes one more answer, and the first line before the first. Raises ConfigError."""
        lines = [json.dumps(asdict(sample)) + "\n"]
        if not self._whole:
            lines.insert(0, json.dumps(self._head) + "\n")
        try:
            target = target_of(self.path, find_repository(self.path.absolute().parent))
            with target.open("ab") as file:
                if not self._begun:
                    file.truncate(self._whole)
                file.write("".join(lines).encode())
        except OSError as exc:
            raise ConfigError(
                f"The answers cannot be written to {self.path}: {exc.strerror}.",
                "Name another file with --output.",
            ) from exc
        self._begun, self._whole = True, -1

    def _read(self) -> list[Sample]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise _another(f"{self.path} cannot be read: {exc.strerror}.") from exc
        self._whole = content.rfind(b"\n") + 1
        if not self._whole:
            if content:
                raise _another(f"{self.path} is no file of answers.")
            return []
        try:
            head, *rows = (json.loads(line) for line in content[: self._whole].splitlines())
            samples = [from_fields(Sample, row) for row in rows]
        except (ValueError, RecursionError) as exc:
            raise _another(f"{self.path} is no file of answers.") from exc
        if not isinstance(head, dict):
            raise _another(f"{self.path} is no file of answers.")
        differing = [key for key, value in self._head.items() if head.get(key) != value]
        if differing:
            raise _another(
                f"{self.path} holds answers of another evaluation: not the same {' and '.join(differing)}."
            )
        return samples


def _another(message: str) -> ConfigError:
    return ConfigError(message, "Name another file with --output, or delete this one.")


def sample(
    client: Client,
    problems: Sequence[Problem],
    file: SampleFile,
    on_sample: Callable[[Sample], None] = lambda _sample: None,
) -> list[Sample]:
    """The answers to `problems`, those in `file` and those that are asked for now, in the order of the problems.

    Each has a seed of its own, and all the time that the setting timeout allows. Raises a StarcoderError;
    what was answered by then is in the file.
    """
    sampling = file.sampling
    known = {(one.task, one.number): one for one in file.known}
    found = []
    for problem in problems:
        for number in range(sampling.samples):
            one = known.get((problem.task, number))
            if one is None:
                one = _asked(client, problem, number, sampling)
                file.add(one)
                on_sample(one)
            found.append(one)
    return found


def _asked(client: Client, problem: Problem, number: int, sampling: Sampling) -> Sample:
    client.allow(client.settings.timeout)
    started = time.monotonic()
    text = sampling.prefix + problem.prompt
    known = CONTROL if family(client.model(), client.settings.family) == "starcoder2" else ()
    tokens = tuple(stop for stop in problem.stop if stop in known)
    prompt = Prompt(
        text,
        stop=tuple(stop for stop in problem.stop if stop not in tokens),
        stop_tokens=tokens,
        max_tokens=max(1, sampling.window - _tokens(client, text)),
        temperature=sampling.temperature,
        seed=number + 1,
        top_k=sampling.top_k,
    )
    done = client.complete(prompt)
    return Sample(
        problem.task,
        number,
        done.text,
        round(time.monotonic() - started, 3),
        done.completion_tokens,
    )


def _tokens(client: Client, text: str) -> int:
    """The tokens of `text`; where the server does not count half of the most it can have, which ordinary code has."""
    counted = client.count(text)
    return counted // 2 if counted == estimate(text) else counted
