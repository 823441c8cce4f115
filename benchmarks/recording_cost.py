"""Measures what recording executed functions costs a passing suite, on Python 3.12 and later.

CPU seconds of a generated suite of small tests are compared in interleaved
pairs, each with the recording and without; the order within a pair alternates.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.runs import Run, median, pytest
from pytest_starcoder.report.bar_chart import Bars

CONFTEST = """
import os
from pathlib import Path

ROOT = str(Path(__file__).parent)

class Recorded:
    def __init__(self, recording):
        self.recording = recording

    def pytest_runtest_setup(self):
        self.recording.begin()

def pytest_configure(config):
    if os.environ.get("RECORDED"):
        from pytest_starcoder.explain.recording import Recording
        recording = Recording.start(lambda filename: filename.startswith(ROOT))
        config.pluginmanager.register(Recorded(recording))
"""

PROJECT = """
class Basket:
    def __init__(self, prices):
        self.prices = [checked(price) for price in prices]

    def total(self):
        return sum(taxed(price) for price in self.prices)

    def __len__(self):
        return len(self.prices)


def checked(price):
    if price < 0:
        raise ValueError(price)
    return price


def taxed(price):
    return price + price // 5


def steps(n):
    return 1 if n < 2 else steps(n - 1) + steps(n - 2)


def flat(nested):
    for part in nested:
        if isinstance(part, list):
            yield from flat(part)
        else:
            yield part


def words(text):
    found = {}
    for word in text.lower().split():
        found[word.strip(".,")] = found.get(word.strip(".,"), 0) + 1
    return found
"""

TESTS = """

def test_total_{n}():
    assert Basket(range({few})).total() >= {few} - 1


def test_steps_{n}():
    assert steps({small}) >= 1


def test_flat_{n}():
    assert list(flat([1, [2, [3, [{n}]]], 4])) == [1, 2, 3, {n}, 4]


def test_words_{n}():
    assert words("A few words, and a few more words: {n}.")["few"] == 2
"""


def suite(folder: Path, tests: int) -> Path:
    """Create a project with passing tests, each of a function that loops, recurses or yields."""
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "basket.py").write_text(PROJECT)
    body = "".join(TESTS.format(n=n, few=n % 30, small=n % 9) for n in range(tests // 4))
    (folder / "test_basket.py").write_text(f"from basket import Basket, flat, steps, words\n{body}")
    return folder


def cpu(folder: Path, recorded: bool) -> float:
    run: Run = pytest(folder, "-q", environment={"RECORDED": "1"} if recorded else {})
    if run.status:
        raise SystemExit(run.output)
    return run.cpu


def pairs(folder: Path, count: int) -> tuple[list[float], list[float]]:
    """Return the CPU seconds without the recording and with it."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    cpu(folder, True)  # Python compiles what it has not compiled yet
    for number in range(count):
        for recorded in (bool(number % 2), not number % 2):
            seconds[recorded].append(cpu(folder, recorded))
    return seconds[False], seconds[True]


def main() -> None:
    if sys.version_info < (3, 12):
        raise SystemExit("there is no recording before Python 3.12")
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--tests", type=int, default=2000)
    arguments, started = parser.parse_args(), time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        without, recorded = pairs(
            suite(Path(temporary) / "timed", arguments.tests), arguments.pairs
        )
    ratios = [with_it / without_it for with_it, without_it in zip(recorded, without, strict=True)]
    rows = [
        Row(f"CPU of {arguments.tests} tests, not recorded, median s", f"{median(without):.3f}"),
        Row(f"CPU of {arguments.tests} tests, recorded, median s", f"{median(recorded):.3f}"),
        Row(f"ratio, median of {arguments.pairs} pairs", f"{median(ratios):.4f}", "<= 1.08"),
        Row("ratio of the medians", f"{median(recorded) / median(without):.4f}", "<= 1.08"),
        Row("ratio of the minima", f"{min(recorded) / min(without):.4f}", "<= 1.08"),
        wall_time(started),
    ]
    chart = Bars(
        f"CPU of {arguments.tests} passing tests, recorded, against not recorded",
        "ratio, median of interleaved pairs",
        ("ratio",),
        (("recorded", (round(median(ratios), 3),)),),
        bound=1.08,
    )
    publish(Outcome("recording_cost", rows, [chart]), arguments)


if __name__ == "__main__":
    main()
