"""`starcoder eval`: measures a model on HumanEval or MBPP, as bigcode-evaluation-harness does."""

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

from pytest_starcoder.cli.answer_terminal import read_settings
from pytest_starcoder.cli.options import add_examples, add_settings
from pytest_starcoder.errors import ConfigError
from pytest_starcoder.evaluate.execution import run_samples
from pytest_starcoder.evaluate.pass_at_k import TITLES, Evaluation, Problem, Sample, Sampling
from pytest_starcoder.evaluate.problems import read_problems
from pytest_starcoder.evaluate.questions import choose_form
from pytest_starcoder.evaluate.report import plot, terminal_lines, to_json, to_markdown
from pytest_starcoder.evaluate.samples import (
    SampleFile,
    collect_samples,
    read_recorded_samples,
)
from pytest_starcoder.files import UNLINK, replace_file, resolve_target
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompts import model_family
from pytest_starcoder.report.bar_chart import check_drawable
from pytest_starcoder.report.progress import Progress
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.git.tracking import find_repository
from pytest_starcoder.text.display import printable

HELP = "Measure a model on HumanEval or MBPP: pass@k by running its answers in a sandbox"

REPORTS = {".json": to_json, ".md": to_markdown}

DEFAULT_TEMPERATURE = 0.2


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("benchmark", choices=sorted(TITLES), help="the benchmark")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="PATH",
        help="the benchmark's data file, as published",
    )
    parser.add_argument("--limit", type=_positive, metavar="N", help="only the first N problems")
    parser.add_argument(
        "--samples", type=_positive, default=1, metavar="N", help="answers per problem (1)"
    )
    parser.add_argument(
        "--temperature", type=float, metavar="T", help="sampling temperature (0.2); top-p is 0.95"
    )
    parser.add_argument(
        "--greedy", action="store_true", help="one answer per problem at temperature 0"
    )
    parser.add_argument(
        "--prompted",
        action="store_true",
        help="put the prefix of StarCoder-Prompted before each prompt",
    )
    parser.add_argument(
        "--completions", type=Path, metavar="FILE", help="score these answers and ask no model"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="file of answers, which a later run continues (SET-MODEL.jsonl)",
    )
    parser.add_argument(
        "--report",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="write a report, .json or .md; repeatable",
    )
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw the result beside the published figures: .svg, .png, .pdf",
    )
    add_settings(parser, "confinement")
    add_examples(
        parser,
        "{humaneval,mbpp} --data PATH [OPTION ...]",
        "starcoder eval humaneval --data HumanEval.jsonl.gz --limit 20",
        "starcoder eval humaneval --data HumanEval.jsonl.gz --samples 20 --report humaneval.md "
        "--plot humaneval.svg",
        "starcoder eval mbpp --data mbpp.jsonl --greedy",
        "starcoder eval humaneval --data HumanEval.jsonl.gz --completions answers.jsonl",
    )


def run(arguments: argparse.Namespace) -> int:
    """Return 0 if everything was measured. Raises StarcoderError and KeyboardInterrupt."""
    _check(arguments)
    settings = read_settings(arguments)
    problems = read_problems(arguments.benchmark, arguments.data)
    chosen = problems[: arguments.limit]
    evaluation = Evaluation(arguments.benchmark, "", "", Sampling(), (), len(problems))
    if arguments.completions:
        samples = read_recorded_samples(arguments.completions, chosen)
    else:
        evaluation, samples = _ask_model(arguments, settings, chosen, evaluation)
    evaluation = _run_samples(evaluation, chosen, samples, Level(settings.confinement))
    print(printable("\n".join(terminal_lines(evaluation))))
    for path in arguments.report:
        _write_report(path, REPORTS[path.suffix](evaluation))
    if arguments.plot:
        plot([evaluation], arguments.plot)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Raise ConfigError for invalid arguments: an hour of measuring must not end in one."""
    _check_sampling(arguments)
    for path in arguments.report:
        if path.suffix not in REPORTS:
            raise ConfigError(
                f"A report cannot be written as {path.name}.", "Use the suffix .json or .md."
            )
        _check_writable(path)
    if arguments.plot:
        check_drawable(arguments.plot)
        _check_writable(arguments.plot)


def _check_sampling(arguments: argparse.Namespace) -> None:
    temperature = arguments.temperature
    if arguments.greedy and (arguments.samples > 1 or temperature):
        raise ConfigError(
            "--greedy has one answer and no temperature.", "Leave --samples and --temperature out."
        )
    if temperature is not None and not 0 <= temperature <= 2:
        raise ConfigError(f"--temperature is {temperature:g}.", "Give one from 0 to 2.")
    if temperature == 0 and arguments.samples > 1:
        raise ConfigError(
            "A temperature of 0 gives the same answer each time.", "Leave --samples out."
        )


def _check_writable(path: Path) -> None:
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ConfigError(f"There is no folder {folder}.", "Create it, or name another file.")
    try:
        resolve_target(path, find_repository(path.absolute()))
    except OSError as exc:
        raise ConfigError(f"{path} cannot be written: {exc.strerror}.", UNLINK) from exc


def _ask_model(
    arguments: argparse.Namespace,
    settings: Settings,
    problems: Sequence[Problem],
    evaluation: Evaluation,
) -> tuple[Evaluation, list[Sample]]:
    """Return the answers of the configured model, those of earlier runs included.

    They come with `evaluation`, completed by the model and the cost of its answers.
    """
    # Cached answers would be measured as fast; the file of answers is the memory here.
    with Client.from_settings(replace(settings, cache="off")) as client:
        model = client.model()
        sampling = choose_form(
            Sampling(arguments.samples, _temperature(arguments)),
            model_family(model, settings.family),
            prompted=arguments.prompted,
        )
        path = arguments.output or _default_output(arguments.benchmark, model.name)
        file = SampleFile(path, arguments.benchmark, model, sampling)
        samples = _collect(client, problems, file)
        evaluation = replace(
            evaluation,
            model=model.name,
            backend=client.backend.label,
            sampling=sampling,
            seconds_asking=sum(sample.seconds for sample in samples),
            tokens=sum(sample.tokens for sample in samples),
            is_demo=settings.model == "demo",
        )
    return evaluation, samples


def _temperature(arguments: argparse.Namespace) -> float:
    if arguments.temperature is not None:
        return float(arguments.temperature)
    return 0.0 if arguments.greedy else DEFAULT_TEMPERATURE


def _default_output(benchmark: str, model_name: str) -> Path:
    _, _, name = model_name.rpartition("/")
    safe_name = re.sub(r"[^\w.-]+", "-", name)
    return Path(f"{benchmark}-{safe_name}.jsonl")


def _collect(client: Client, problems: Sequence[Problem], file: SampleFile) -> list[Sample]:
    """Ask for the missing answers, with a progress line."""
    tasks = {problem.task for problem in problems}
    existing = 0
    for sample in file.samples:
        # The file may have answers of a larger earlier run.
        if sample.task in tasks and sample.number < file.sampling.samples:
            existing += 1
    total = len(problems) * file.sampling.samples
    try:
        with _progress(f"asking {client.model().name}", total, existing) as progress:
            return collect_samples(client, problems, file, lambda _: progress.step())
    except KeyboardInterrupt:
        print(
            f"The answers so far are in {file.path}; run the same command again to continue.",
            file=sys.stderr,
        )
        raise


def _run_samples(
    evaluation: Evaluation, problems: Sequence[Problem], samples: Sequence[Sample], level: Level
) -> Evaluation:
    """Return the evaluation with the verdicts on the answers."""
    started = time.monotonic()
    verdicts = []
    levels = set()
    with _progress("running the answers", len(samples), 0) as progress:
        for verdict, level_in_force in run_samples(problems, samples, level):
            verdicts.append(verdict)
            levels.add(level_in_force)
            progress.step()
    return replace(
        evaluation,
        verdicts=tuple(verdicts),
        seconds_running=time.monotonic() - started,
        confinement=" and ".join(sorted(levels)),
    )


@contextmanager
def _progress(activity: str, total: int, done: int) -> Iterator[Progress]:
    """Show a progress line on standard error while the block runs."""

    def write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    width = shutil.get_terminal_size().columns
    progress = Progress(activity, total, done, write, live=sys.stderr.isatty(), width=width)
    try:
        yield progress
    finally:
        progress.end()


def _write_report(path: Path, text: str) -> None:
    try:
        replace_file(path, text.encode("utf-8"), find_repository(path.absolute()))
    except OSError as exc:
        message = f"{path} cannot be written: {exc.strerror}."
        raise ConfigError(message, "Name another file with --report.") from exc


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)
