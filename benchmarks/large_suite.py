"""Measures what explaining adds to a suite of 3,000 tests with 400 failures from 60 causes.

The suite is generated: 60 modules, each with one planted fault that makes 6 or 7 of the 50 tests
in its test file fail. It runs bare, explained without fixes and explained with fixes, but never
with a model. The faults are committed, so no change is undone; with `--uncommitted`, each fault is
a change since the last commit. CPU seconds include those of all child processes.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.runs import Run, median, pytest
from pytest_starcoder.report.bar_chart import Bars

MODULES = 60
TESTS = 50
"""Number of tests in each test file."""

MODULES_WITH_SEVEN = 40
"""Number of modules whose fault makes seven tests fail; in the others, it makes six fail."""

MODULE = '''
"""Figures of shop {number}."""

RATES_{number} = {{"EUR": 100, "USD": 108, "GBP": 86, "JPY": 16200, "CHF": 94, "SEK": 1130}}


def shares_{number}(amount, parts):
    """Divide an amount into parts that differ by one at most."""
    share, rest = divmod(amount, parts)
    shares = []
    for part in range(parts):
        extra = 1 if part < rest else 0
        shares.append(share + extra)
    return shares


def convert_{number}(amount, currency):
    """Return an amount in another currency, rounded down."""
    rate = RATES_{number}[currency]
    return amount * rate // 100


def pages_{number}(total, size):
    """Return how many pages are needed."""
    full = total // size
    if total % size:
        return full + 1
    return full


def words_{number}(text):
    """Count the words of a text."""
    counts = {{}}
    for word in text.lower().split():
        counts[word] = counts.get(word, 0) + 1
    return counts


def clamp_{number}(value, low, high):
    """Return the value, or the nearest bound."""
    if value < low:
        return low
    if value > high:
        return high
    return value
'''


@dataclass(frozen=True)
class Fault:
    """A function in which `wrong` replaces `right`, and a check that then fails."""

    source: str
    right: str
    wrong: str
    check: str


FAULTS = (
    Fault(
        '''
def level_{number}(points):
    """Return the level for points: one more per full hundred."""
    level = 1
    while points >= 100:
        points -= 100
        level += 1
    return level
''',
        "points >= 100",
        "points > 100",
        "level_{number}(value * 100) == value + 1",
    ),
    Fault(
        '''
def total_{number}(prices):
    """Return the sum of prices, with shipping below 50."""
    total = sum(prices)
    if total < 50:
        total += 5
    return total
''',
        "total += 5",
        "total -= 5",
        "total_{number}([value, 2]) == value + 7",
    ),
    Fault(
        '''
def initials_{number}(name):
    """Return the initials of a name."""
    letters = []
    for part in name.split():
        letters.append(part[0])
    return "".join(letters).upper()
''',
        "part[0]",
        "part[1]",
        "initials_{number}('x ' * value) == 'X' * value",
    ),
    Fault(
        '''
def units_{number}(deliveries):
    """Return the price of one piece of each delivery, 0 if it is empty."""
    units = []
    for price, pieces in deliveries:
        unit = price // pieces if pieces else 0
        units.append(unit)
    return units
''',
        "price // pieces if pieces else 0",
        "price // pieces",
        "units_{number}([(value, 1), (value, 0)]) == [value, 0]",
    ),
    Fault(
        '''
def stock_{number}(moves):
    """Return what is left of each article after all moves."""
    stock = {{}}
    for article, pieces in moves:
        before = stock.get(article, 0)
        stock[article] = before + pieces
    return stock
''',
        "stock.get(article, 0)",
        "stock[article]",
        "stock_{number}([('pen', value), ('pen', 1)])['pen'] == value + 1",
    ),
    Fault(
        '''
def middle_{number}(values):
    """Return the value in the middle."""
    ordered = sorted(values)
    index = len(ordered) // 2
    return ordered[index]
''',
        "sorted(values)",
        "list(values)",
        "middle_{number}([value + 1, value + 2, value]) == value + 1",
    ),
)

PASSING = (
    "sum(shares_{number}(value + 7, 3)) == value + 7",
    "convert_{number}(value * 100, 'USD') == value * 108",
    "pages_{number}(value * 10, 10) == value",
    "words_{number}('a b a')['a'] == 2",
    "clamp_{number}(value + 20, 0, 9) == 9",
)

TEST = """

@pytest.mark.parametrize("value", range(1, {end}))
def test_{name}_{number}(value):
    assert {check}
"""

ONLY_OBSERVED = {"STARCODER_BACKEND": "none", "STARCODER_FIX": "off"}
WITH_FIXES = {"STARCODER_BACKEND": "none"}


def write_suite(folder: Path, modules: int = MODULES, *, uncommitted: bool = False) -> Path:
    """Create a repository with `modules` modules, a fault in each, and their tests."""
    (folder / "shop").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\ntestpaths = tests\n")
    (folder / ".gitignore").write_text("__pycache__/\n.cache/\n")
    (folder / "shop" / "__init__.py").touch()
    for number in range(modules):
        (folder / "tests" / f"test_module_{number}.py").write_text(_test_file(number))
    _write_modules(folder, modules, faulty=not uncommitted)
    _commit(folder)
    _write_modules(folder, modules, faulty=True)
    return folder


def _write_modules(folder: Path, modules: int, *, faulty: bool) -> None:
    for number in range(modules):
        fault = FAULTS[number % len(FAULTS)]
        function = fault.source
        if faulty:
            function = function.replace(fault.right, fault.wrong)
        text = (MODULE + "\n" + function).format(number=number).lstrip()
        (folder / "shop" / f"module_{number}.py").write_text(text)


def _commit(folder: Path) -> None:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "Add the shop"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def _test_file(number: int) -> str:
    """Return a test file: a few tests that fail because of the fault, and many that pass."""
    failing = 7 if number < MODULES_WITH_SEVEN else 6
    text = f"import pytest\n\nfrom shop.module_{number} import *\n"
    text += _test("fault", number, failing, FAULTS[number % len(FAULTS)].check)
    remaining = TESTS - failing
    for index, check in enumerate(PASSING):
        tests = remaining // (len(PASSING) - index)
        text += _test(f"passing_{index}", number, tests, check)
        remaining -= tests
    return text


def _test(name: str, number: int, tests: int, check: str) -> str:
    check = check.format(number=number)
    return TEST.format(name=name, number=number, end=tests + 1, check=check)


@dataclass(frozen=True)
class Medians:
    """Medians over identical runs, and the output of the last one."""

    wall: float
    cpu: float
    output: str

    @classmethod
    def of(cls, runs: list[Run]) -> Medians:
        wall = median([run.wall for run in runs])
        return cls(wall, median([run.cpu for run in runs]), runs[-1].output)

    @property
    def lines(self) -> int:
        """Number of lines in the section of explanations."""
        section = self.output.partition(" StarCoder: ")[2]
        return section.partition(" short test summary info ")[0].count("\n")


def measure(folder: Path, repeats: int, *, fixes: bool) -> dict[str, Medians]:
    """Run the suite in each mode, alternating between them."""
    modes: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
        "bare": ((), {}),
        "explained": (("--starcoder-explain",), ONLY_OBSERVED),
    }
    if fixes:
        modes["with fixes"] = (("--starcoder-explain",), WITH_FIXES)
    runs: dict[str, list[Run]] = {name: [] for name in modes}
    pytest(folder)  # compiles the modules
    for _ in range(repeats):
        for name, (arguments, environment) in modes.items():
            runs[name].append(pytest(folder, *arguments, environment=environment))
    return {name: Medians.of(each) for name, each in runs.items()}


def rows_of(medians: dict[str, Medians]) -> list[Row]:
    """Return the figures of one suite."""
    bare, explained = medians["bare"], medians["explained"]
    summary = bare.output.rstrip().rpartition("\n")[2].strip("= ")
    rows = [
        Row("the suite", summary.partition(" in ")[0]),
        Row("bare: wall seconds", f"{bare.wall:.1f}"),
        Row("bare: CPU seconds", f"{bare.cpu:.1f}"),
        Row("explained without fixes: wall seconds", f"{explained.wall:.1f}"),
        Row("explained without fixes: CPU seconds", f"{explained.cpu:.1f}"),
        Row("ratio of the wall seconds", f"{explained.wall / bare.wall:.2f}", "<= 2"),
        Row("ratio of the CPU seconds", f"{explained.cpu / bare.cpu:.2f}"),
        Row("lines of the section", str(explained.lines)),
    ]
    if "with fixes" in medians:
        fixed = medians["with fixes"]
        more = fixed.wall - explained.wall
        rows += [
            Row("more wall seconds with fixes", f"{more:.1f}", "<= 60"),
            Row("more CPU seconds with fixes", f"{fixed.cpu - explained.cpu:.1f}"),
            Row("lines of the section with fixes", str(fixed.lines)),
        ]
    return rows


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each kind (3)")
    parser.add_argument("--no-fixes", action="store_true", help="skip the runs with fixes")
    parser.add_argument(
        "--uncommitted", action="store_true", help="make each fault a change since the last commit"
    )
    chosen = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_suite(Path(temporary) / "project", uncommitted=chosen.uncommitted)
        medians = measure(folder, chosen.repeats, fixes=not chosen.no_fixes)
    bars = tuple((name, (each.wall,)) for name, each in medians.items())
    chart = Bars("A suite with 400 failures from 60 causes", "s", ("pytest-starcoder",), bars)
    rows = [*rows_of(medians), wall_time(started)]
    publish(Outcome("large_suite", rows, [chart]), chosen)


if __name__ == "__main__":
    main()
