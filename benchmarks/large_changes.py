"""Measures a review without a model of 10,000 staged lines, for ten kinds of files.

Runs the real command in its own repository, and reports wall-clock seconds and processor
seconds, which a busy machine changes less. The search for secrets in the same text is measured
separately.
`python -m benchmarks.large_changes [--lines N]`
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.review import REVIEW, git, run
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.report.bar_chart import Bars

NOWHERE = "http://127.0.0.1:9"


def python_table(lines: int) -> dict[str, str]:
    rows = "".join(
        f"    ({number}, 'name{number}', {number}.5, None),\n" for number in range(lines - 2)
    )
    return {"table.py": f"TABLE = [\n{rows}]\n"}


def python_calls(lines: int) -> dict[str, str]:
    return {"rows.py": "".join(f"row({number}, 'x')\n" for number in range(lines))}


def python_functions(lines: int) -> dict[str, str]:
    count = lines // 5
    functions = (
        f"def f{number}(x):\n    y = x + {number}\n    return y\n\n\n" for number in range(count)
    )
    return {"functions.py": "".join(functions)}


def json_rows(lines: int) -> dict[str, str]:
    rows = ",\n".join(f'  {{"id": {number}, "name": "n{number}"}}' for number in range(lines - 2))
    return {"rows.json": f"[\n{rows}\n]\n"}


def typescript_components(lines: int) -> dict[str, str]:
    components = (
        f"export function View{number}({{ name }}: Props): JSX.Element {{\n"
        f"  const [open, setOpen] = useState(false);\n"
        f"  useEffect(() => {{\n    setOpen(true);\n  }}, []);\n"
        f"  return <div className='v{number}'>{{name}}</div>;\n}}\n\n"
        for number in range(lines // 8)
    )
    return {"views.tsx": "".join(components)}


def go_functions(lines: int) -> dict[str, str]:
    functions = (
        f"func F{number}(x int) int {{\n\tif x > {number} {{\n\t\treturn x\n\t}}\n"
        f"\treturn {number}\n}}\n\n"
        for number in range(lines // 7)
    )
    return {"f.go": "package f\n\n" + "".join(functions)}


def sql_inserts(lines: int) -> dict[str, str]:
    rows = "".join(f"({number}, 'name {number}', NULL),\n" for number in range(lines - 1))
    return {"rows.sql": f"INSERT INTO t (id, name, x) VALUES\n{rows}"}


def csv_rows(lines: int) -> dict[str, str]:
    return {"rows.csv": "".join(f"{number},name{number},{number * 3}\n" for number in range(lines))}


def markdown_text(lines: int) -> dict[str, str]:
    return {
        "text.md": "".join(
            f"Line {number} of a text that says nothing.\n\n" for number in range(lines // 2)
        )
    }


def many_files(lines: int) -> dict[str, str]:
    return {
        f"m{number}.py": "".join(f"a{at} = {at}\n" for at in range(10))
        for number in range(lines // 10)
    }


KINDS: dict[str, Callable[[int], dict[str, str]]] = {
    "a table in Python": python_table,
    "calls in Python": python_calls,
    "small functions in Python": python_functions,
    "JSON": json_rows,
    "TSX": typescript_components,
    "Go": go_functions,
    "SQL": sql_inserts,
    "CSV": csv_rows,
    "Markdown": markdown_text,
    "files of ten lines": many_files,
}


@dataclass(frozen=True)
class Run:
    """The wall-clock and processor seconds of one run of the command, and its report."""

    seconds: float
    processor: float
    report: dict[str, object]

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, processor {self.processor:.2f} s"


def measure_review(files: dict[str, str]) -> Run:
    """Review a change that adds these files."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "project")
        folder.mkdir()
        git(folder, "init", "-q")
        git(folder, "commit", "-qm", "first", "--allow-empty")
        for name, text in files.items():
            (folder / name).write_text(text)
        git(folder, "add", "-A")
        started, before = time.perf_counter(), os.times()
        done = run(folder, NOWHERE, *REVIEW, "--format=json", "--starcoder-backend=none")
        seconds, after = time.perf_counter() - started, os.times()
    user = after.children_user - before.children_user
    system = after.children_system - before.children_system
    return Run(seconds, user + system, json.loads(done.stdout))


def measure_redaction(files: dict[str, str]) -> float:
    started = time.perf_counter()
    for text in files.values():
        redact(text)
    return time.perf_counter() - started


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--lines", type=int, default=10_000, help="lines in each change")
    arguments = parser.parse_args()
    started = time.perf_counter()
    rows = [Row("lines of each change", f"{arguments.lines:,}")]
    bars: list[tuple[str, tuple[float, ...]]] = []
    for name, make in KINDS.items():
        files = make(arguments.lines)
        review = measure_review(files)
        result = f"{review}, secrets {measure_redaction(files):.2f} s"
        rows.append(Row(name, result, "<= 2 s"))
        bars.append((name, (round(review.seconds, 2),)))
        print(f"{name}: {result}", file=sys.stderr)
    lines = 10 * arguments.lines
    review = measure_review({**csv_rows(lines), "small.py": "last = xs[len(xs)]\nb = 2\n"})
    result = f"{review}, {'found' if review.report['findings'] else 'missed'}"
    rows.append(Row(f"a CSV of {lines:,} lines beside a faulty one", result))
    print(f"{lines:,} lines of CSV: {result}", file=sys.stderr)
    rows.append(wall_time(started))
    chart = Bars(
        f"A review of {arguments.lines:,} staged lines without a model",
        "s",
        ("seconds",),
        tuple(bars),
    )
    publish(Outcome("large_changes", rows, [chart]), arguments)


if __name__ == "__main__":
    main()
