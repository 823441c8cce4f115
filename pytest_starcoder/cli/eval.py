"""`starcoder eval`: a model measured on HumanEval or MBPP, as bigcode-evaluation-harness measures it."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pytest_starcoder.cli.model_session import read_settings
from pytest_starcoder.cli.options import add_examples, add_settings
from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.evaluation import TITLES, Evaluation, Problem, Sample, Sampling
from pytest_starcoder.evaluate.execution import recorded, verdicts
from pytest_starcoder.evaluate.problems import read_problems
from pytest_starcoder.evaluate.report import as_json, as_markdown, lines, plot
from pytest_starcoder.evaluate.samples import SampleFile, prefix_for, sample
from pytest_starcoder.files import UNLINK, replace_file, target_of
from pytest_starcoder.model.client import Client
from pytest_starcoder.report.bars import drawable
from pytest_starcoder.report.progress import Progress
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.git.tracking import find_repository
from pytest_starcoder.text.display import printable

HELP = "Measure a model on HumanEval or MBPP: pass@k by running what it writes, confined"

REPORTS = {".json": as_json, ".md": as_markdown}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("benchmark", choices=sorted(TITLES), help="the set of problems")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="PATH", help="its file, as it was published"
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="the first N problems alone")
    parser.add_argument(
        "--samples", type=_positive, default=1, metavar="N", help="answers to each problem (1)"
    )
    parser.add_argument(
        "--temperature", type=float, metavar="T", help="of the sampling (0.2); the top-p is 0.95"
    )
    parser.add_argument(
        "--greedy", action="store_true", help="one answer, the likeliest words alone: temperature 0"
    )
    parser.add_argument(
        "--prompted",
        action="store_true",
        help="the prefix of StarCoder-Prompted before each prompt",
    )
    parser.add_argument(
        "--completions", type=Path, metavar="FILE", help="score these answers, and ask nobody"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="where answers are kept, and found again (SET-MODEL.jsonl)",
    )
    parser.add_argument(
        "--report",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a .json or .md; repeatable",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="a picture beside the published figures: .svg, .png, .pdf",
    )
    add_settings(parser)
    add_examples(
        parser,
        "{humaneval,mbpp} --data PATH [OPTION ...]",
        "starcoder eval humaneval --data HumanEval.jsonl.gz --limit 20",
        "starcoder eval humaneval --data HumanEval.jsonl.gz --samples 20 --report humaneval.md --plot humaneval.svg",
        "starcoder eval mbpp --data mbpp.jsonl --greedy",
        "starcoder eval humaneval --data HumanEval.jsonl.gz --completions answers.jsonl",
    )


def run(arguments: argparse.Namespace) -> int:
    """0 if all was measured; 130 if interrupted, with what was answered kept. Raises StarcoderError."""
    _check(arguments)
    settings = read_settings(arguments)
    problems = read_problems(arguments.benchmark, arguments.data)
    chosen = problems[: arguments.limit]
    if arguments.completions:
        evaluation = Evaluation(arguments.benchmark, "", "", Sampling(), (), len(problems))
        answers = recorded(arguments.completions, chosen)
    else:
        evaluation, answers = _asked(arguments, settings, chosen, len(problems))
    evaluation = _run(evaluation, chosen, answers, Level(settings.confinement))
    print(printable("\n".join(lines(evaluation))))
    for path in arguments.report:
        _written(path, REPORTS[path.suffix](evaluation))
    if arguments.plot:
        plot([evaluation], arguments.plot)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """What can be known to be wrong before anything long is begun."""
    if arguments.greedy and (arguments.samples > 1 or arguments.temperature):
        raise ConfigError(
            "--greedy has one answer and no temperature.", "Leave --samples and --temperature out."
        )
    if arguments.temperature is not None and not 0 <= arguments.temperature <= 2:
        raise ConfigError(f"--temperature is {arguments.temperature:g}.", "Give one from 0 to 2.")
    if arguments.temperature == 0 and arguments.samples > 1:
        raise ConfigError(
            "A temperature of 0 gives the same answer each time.", "Leave --samples out."
        )
    for path in arguments.report:
        if path.suffix not in REPORTS:
            raise ConfigError(
                f"A report cannot be written as {path.name}.", "Give it the ending .json or .md."
            )
    for path in (*arguments.report, *([drawable(arguments.plot)] if arguments.plot else [])):
        if not path.absolute().parent.is_dir():
            raise ConfigError(
                f"There is no folder {path.absolute().parent}.", "Make it, or name another file."
            )
        try:
            target_of(path, find_repository(path.absolute().parent))
        except OSError as exc:
            raise ConfigError(f"{path} cannot be written: {exc.strerror}.", UNLINK) from exc


def _asked(
    arguments: argparse.Namespace, settings: Settings, problems: Sequence[Problem], of: int
) -> tuple[Evaluation, list[Sample]]:
    """The answers of the model in force, those that are there and those that it gives now."""
    temperature = (
        0.0 if arguments.greedy else 0.2 if arguments.temperature is None else arguments.temperature
    )
    # The file of answers is the memory: what is remembered elsewhere would be measured as fast.
    with Client.from_settings(replace(settings, cache="off")) as client:
        model = client.model()
        prefix = prefix_for(model, settings.family) if arguments.prompted else ""
        sampling = Sampling(arguments.samples, temperature, prefix=prefix)
        name = re.sub(r"[^\w.-]+", "-", model.name.rpartition("/")[2])
        path = arguments.output or Path(f"{arguments.benchmark}-{name}.jsonl")
        file = SampleFile(path, arguments.benchmark, model, sampling)
        wanted = {
            (problem.task, number) for problem in problems for number in range(sampling.samples)
        }
        there = sum((one.task, one.number) in wanted for one in file.known)
        try:
            with _progress(f"asking {model.name}", len(wanted), there) as progress:
                answers = sample(client, problems, file, lambda _answer: progress.step())
        except KeyboardInterrupt:
            print(
                f"The answers so far are in {path}; the same command goes on from there.",
                file=sys.stderr,
            )
            raise
        evaluation = Evaluation(
            arguments.benchmark,
            model.name,
            client.backend.label,
            sampling,
            (),
            of,
            asked=sum(answer.seconds for answer in answers),
            tokens=sum(answer.tokens for answer in answers),
            smoke=settings.model == "demo",
        )
    return evaluation, answers


def _run(
    evaluation: Evaluation, problems: Sequence[Problem], answers: Sequence[Sample], least: Level
) -> Evaluation:
    started = time.monotonic()
    found, levels = [], set()
    with _progress("running what was written", len(answers), 0) as progress:
        for verdict, level in verdicts(problems, answers, least):
            found.append(verdict)
            levels.add(level)
            progress.step()
    return replace(
        evaluation,
        verdicts=tuple(found),
        ran=time.monotonic() - started,
        confinement=" and ".join(sorted(levels)),
    )


@contextmanager
def _progress(what: str, total: int, done: int) -> Iterator[Progress]:
    """A line on standard error while the block runs."""

    def write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    live = sys.stderr.isatty()
    progress = Progress(
        what, total, done, write, live=live, width=shutil.get_terminal_size().columns
    )
    try:
        yield progress
    finally:
        progress.end()


def _written(path: Path, text: str) -> None:
    try:
        replace_file(path, text.encode("utf-8"), find_repository(path.absolute().parent))
    except OSError as exc:
        raise ConfigError(
            f"{path} cannot be written: {exc.strerror}.", "Name another file with --report."
        ) from exc


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("it begins at 1")
    return value
