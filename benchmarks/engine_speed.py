"""Measures the embedded engine: loading, tokens a second in and out, memory, and a resumed prompt.

The variants are run in turns, each in a new engine, and their medians are shown. A busy process
is a Python loop. Texts of a variant are compared with those of the default, at temperature 0.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from benchmarks.published import Outcome, Row, options, publish, wall_time
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.model.backends.cpu_cores import count_cores
from pytest_starcoder.model.backends.embedded import WINDOW, Embedded
from pytest_starcoder.model.prompt import Prompt
from pytest_starcoder.report.bar_chart import Bars
from pytest_starcoder.settings import Settings

MODULE = """
RATES = {"EUR": 1.0, "USD": "1.08"}


def mean(values):
    return sum(values) / (len(values) - 1)


def total(items, currency="EUR"):
    amount = 0
    for _name, price, quantity in items:
        amount += price * quantity * RATES[currency]
    return amount


def quantity(text):
    parts = text.split("x")
    return int(parts[1])


def cheapest(items):
    best = None
    for name, price, _quantity in items:
        if best is None or price > best[1]:
            best = name, price
    return best[0]
"""

PLAIN = (f"{MODULE}\nWhat does this module do? Describe it for a newcomer in three sentences.", 40)
QUOTING = (f"{MODULE}\nRepeat the functions `mean` and `total` exactly, in a code block.", 80)
"""Questions and the tokens of their answers; the second mostly repeats its prompt."""


@dataclass(frozen=True)
class Variant:
    """An engine with other `fields` of its parameters, or other environment `variables`.

    `speculation` also asks the quoting question. `once`: it is only run in the first round.
    """

    name: str
    threads: int = 0
    fields: Mapping[str, object] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    busy: bool = False
    speculation: bool = False
    once: bool = False


def speculative(kind: str) -> Mapping[str, object]:
    return {"speculative.types": [f"common_speculative_type.COMMON_SPECULATIVE_TYPE_{kind}"]}


SPINNING = {"OMP_WAIT_POLICY": "active"}

QUANTISED = dict.fromkeys(("cache_type_k", "cache_type_v"), "ggml_type.GGML_TYPE_Q8_0")

DEFAULT = Variant("default", speculation=True)

VARIANTS = (
    DEFAULT,
    Variant("threads that spin", variables=SPINNING),
    Variant("one thread", threads=1, once=True),
    Variant("beside a busy process", busy=True),
    Variant("threads that spin, beside a busy process", variables=SPINNING, busy=True, once=True),
    Variant("KV cache in 8 bits", fields=QUANTISED, once=True),
    Variant("speculation ngram_simple", fields=speculative("NGRAM_SIMPLE"), speculation=True),
    Variant("speculation ngram_mod", fields=speculative("NGRAM_MOD"), speculation=True),
)


@dataclass(frozen=True)
class Sample:
    """The figures of one engine; speeds are in tokens a second, memory in MB."""

    load: float
    read: float
    write: float
    quote: float
    cpu: float
    memory: float
    texts: tuple[str, ...]


# --- the engine, in a child process ---


def run_engine(fields: Mapping[str, Any]) -> None:
    """Run the embedded engine, with some fields of its parameters changed."""
    import xllamacpp

    from pytest_starcoder.model.backends import engine

    make_server = xllamacpp.Server

    def make_changed_server(params: Any) -> Any:
        for path, value in fields.items():
            *owners, name = path.split(".")
            target = params
            for owner in owners:
                target = getattr(target, owner)
            setattr(target, name, constant(xllamacpp, value))
        return make_server(params)

    xllamacpp.Server = make_changed_server
    engine.main()


def constant(module: Any, value: Any) -> Any:
    """Return the constant that a text names, or those of a list."""
    if isinstance(value, list):
        return [constant(module, name) for name in value]
    for name in value.split("."):
        module = getattr(module, name)
    return module


@contextmanager
def busy_process(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(variant: Variant, model: Path) -> Sample | None:
    """Start an engine, ask it, and end it; None if it does not load this model."""
    command = [sys.executable, "-m", "benchmarks.engine_speed", "--engine"]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", **variant.variables}
    order = {
        "model": str(model),
        "key": "benchmark",
        "threads": variant.threads or count_cores(),
        "gpu_layers": None,
        "window": WINDOW,
        "states": "",
    }
    with busy_process(variant.busy):
        started = time.perf_counter()
        engine = subprocess.Popen(
            [*command, json.dumps(variant.fields)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert engine.stdin is not None
        assert engine.stdout is not None
        engine.stdin.write(json.dumps(order) + "\n")
        engine.stdin.flush()
        line = engine.stdout.readline()
        if not line:
            engine.communicate()
            return None
        load = time.perf_counter() - started
        url = json.loads(line)["url"]
        text, timings = ask(url, *PLAIN)
        texts = [text]
        quote = 0.0
        if variant.speculation:
            text, quoting = ask(url, *QUOTING)
            texts.append(text)
            quote = quoting["predicted_per_second"]
        engine.stdin.close()
        _, _, usage = os.wait4(engine.pid, 0)
        engine.returncode = 0
    return Sample(
        load,
        timings["prompt_per_second"],
        timings["predicted_per_second"],
        quote,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1000,
        tuple(texts),
    )


def ask(url: str, text: str, tokens: int) -> tuple[str, dict[str, float]]:
    """Return an answer, and what the engine says of its speed."""
    with requests.Session() as session:
        session.trust_env = False
        reply = session.post(
            f"{url}/v1/chat/completions",
            json={
                "messages": [{"role": "user", "content": text}],
                "max_tokens": tokens,
                "temperature": 0,
            },
            headers={"Authorization": "Bearer benchmark"},
            timeout=600,
        ).json()
    return reply["choices"][0]["message"]["content"], reply["timings"]


# --- a prompt whose end has changed, after a restart ---


def resume(model: Path, folder: Path) -> list[Row]:
    """Ask two engines, one after the other, about prompts that differ at their end."""
    settings = Settings(
        backend="embedded", model=str(model), cache=str(folder), temperature=0, timeout=600
    )
    rows: list[Row] = []
    for label, end in (("first run", "mean([1, 2]) is 3"), ("next run", "total([]) is None")):
        backend = Embedded(settings)
        deadline = Deadline.after(600)
        facts = backend.inspect("", deadline)
        prompt = Prompt(f"{MODULE * 2}\nWhy? {end}.", max_tokens=1, chat=facts.chat)
        started = time.perf_counter()
        completion = backend.complete(prompt, facts, deadline, lambda _piece: None)
        seconds = time.perf_counter() - started
        closing = time.perf_counter()
        backend.close()
        closing = time.perf_counter() - closing
        fresh = completion.prompt_tokens - completion.cached_tokens
        share = 100 * fresh / max(completion.prompt_tokens, 1)
        asked = "<= 15 %" if rows else ""
        what = f"{label}: tokens of the prompt read, s to the first token, s to close"
        figures = f"{fresh} ({share:.0f} %), {seconds:.2f}, {closing:.2f}"
        rows.append(Row(what, figures, asked))
        print(f"  {what}: {figures}", flush=True)
    return rows


# --- the table ---


def rows_of(variant: Variant, samples: list[Sample], reference: Sample) -> list[Row]:
    def middle(name: str) -> float:
        return float(statistics.median(getattr(sample, name) for sample in samples))

    speeds = f"{middle('read'):.1f}, {middle('write'):.1f}"
    rows = [
        Row(f"{variant.name}: tokens/s read, written", speeds),
        Row(
            f"{variant.name}: s to load, CPU s in all, MB",
            f"{middle('load'):.1f}, {middle('cpu'):.1f}, {middle('memory'):.0f}",
        ),
    ]
    if variant.speculation:
        same = all(sample.texts == reference.texts for sample in samples)
        figures = f"{middle('quote'):.1f}, {'yes' if same else 'no'}"
        rows.append(Row(f"{variant.name}: tokens/s when quoting, same answers", figures))
    return rows


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("model", type=Path, nargs="?", help="a .gguf file of an instruct model")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="default: %(default)s")
    parser.add_argument("--engine", metavar="FIELDS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        run_engine(json.loads(arguments.engine))
        return
    if arguments.model is None:
        parser.error("name a .gguf file")
    begun = time.perf_counter()
    samples: dict[str, list[Sample]] = {variant.name: [] for variant in VARIANTS}
    for number in range(arguments.rounds):
        for variant in VARIANTS:
            if number and variant.once:
                continue
            sample = measure(variant, arguments.model)
            if sample is None:
                print(f"  {variant.name}: does not load", flush=True)
                continue
            samples[variant.name].append(sample)
            print(
                f"  {variant.name}: load {sample.load:.1f} s, read {sample.read:.1f}/s, "
                f"written {sample.write:.1f}/s, quoting {sample.quote:.1f}/s, "
                f"CPU {sample.cpu:.1f} s, {sample.memory:.0f} MB",
                flush=True,
            )
    with tempfile.TemporaryDirectory() as folder:
        resumed = resume(arguments.model, Path(folder))
    if not samples[DEFAULT.name]:
        raise SystemExit(f"The engine does not load {arguments.model}.")
    reference = samples[DEFAULT.name][0]
    rows = []
    bars = []
    for variant in VARIANTS:
        measured = samples[variant.name]
        if not measured:
            rows.append(Row(variant.name, "does not load"))
            continue
        rows += rows_of(variant, measured, reference)
        read = statistics.median(sample.read for sample in measured)
        write = statistics.median(sample.write for sample in measured)
        bars.append((variant.name, (read, write)))
    chart = Bars("Speed of the embedded engine", "tokens/s", ("read", "written"), tuple(bars))
    outcome = Outcome("engine_speed", [*rows, *resumed, wall_time(begun)], [chart])
    publish(outcome, arguments)


if __name__ == "__main__":
    main()
