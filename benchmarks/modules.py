"""Measures the time that explaining one failure adds per module, for small and large projects.

One test fails and imports all modules of a generated project, of 300 lines each. The added time is
the difference to the same run without the option, as medians of interleaved runs, without a model
and without the search for fixes, which has its own time limit. A figure near 1 in the last row
means that time grows linearly with the project.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.runs import median, pytest
from pytest_starcoder.report.bar_chart import Bars

LINES = 300
"""Lines of one module."""

SIZES = (60, 800)
"""Number of modules of a small and a large project."""

FUNCTION = """
def price_{module}_{number}(amount, rate=RATE_{module}):
    total = amount * rate + {number}
    if total > 100:
        return total - 1
    return total
"""

TEST = """
from shop.mean import mean


def test_mean():
    assert mean([1, 2, 3]) == 2


def test_price():
    assert module_0.price_0_0(1) == 0
"""


def shop(folder: Path, modules: int) -> Path:
    """Create a project whose one test file imports all `modules` and has one failure."""
    package = folder / "shop"
    package.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (package / "__init__.py").touch()
    (package / "mean.py").write_text("def mean(xs):\n    return sum(xs) / (len(xs) - 1)\n")
    for module in range(modules):
        text = f'"""Prices of shop {module}."""\n\nRATE_{module} = {module}\n'
        number = 0
        while text.count("\n") < LINES:
            text += FUNCTION.format(module=module, number=number)
            number += 1
        (package / f"module_{module}.py").write_text(text)
    imports = "".join(f"from shop import module_{module}\n" for module in range(modules))
    (folder / "test_shop.py").write_text(imports + TEST)
    return folder


@dataclass(frozen=True)
class Added:
    """Medians for one project: seconds of a plain run, and seconds added by explaining."""

    modules: int
    plain: float
    added: float

    @property
    def milliseconds(self) -> float:
        """Added milliseconds per module."""
        return 1000 * self.added / self.modules


def measured(modules: int, repeats: int) -> Added:
    """Measure what explaining adds in a project of so many modules."""
    variables = {"STARCODER_FIX": "off", "STARCODER_BACKEND": "none"}
    plain, explained = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = shop(Path(temporary) / "project", modules)
        for number in range(repeats + 1):
            without = pytest(folder).wall
            with_it = pytest(folder, "--starcoder-explain", environment=variables).wall
            if number:  # in the first run Python still compiles modules
                plain.append(without)
                explained.append(with_it)
    return Added(modules, median(plain), median(explained) - median(plain))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each kind (5)")
    chosen = parser.parse_args()
    started = time.perf_counter()
    small, large = (measured(modules, chosen.repeats) for modules in SIZES)
    rows = []
    for project, bound in ((small, ""), (large, "<= 10")):
        rows.append(
            Row(f"{project.modules} modules: a plain run, median, s", f"{project.plain:.2f}")
        )
        rows.append(
            Row(f"{project.modules} modules: added, median, s", f"{project.added:.2f}", bound)
        )
        rows.append(
            Row(f"{project.modules} modules: added a module, ms", f"{project.milliseconds:.1f}")
        )
    growth = large.milliseconds / small.milliseconds
    rows += [Row("added a module, large over small", f"{growth:.2f}", "<= 1.3"), wall_time(started)]
    bars = tuple(
        (f"{project.modules} modules", (project.milliseconds,)) for project in (small, large)
    )
    chart = Bars("What explaining one failure adds, a module", "ms", ("pytest-starcoder",), bars)
    publish(Outcome("modules", rows, [chart]), chosen)


if __name__ == "__main__":
    main()
