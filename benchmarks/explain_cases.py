"""Measures how explaining behaves on difficult suites: requests, secrets and inventions.

The argument is a folder with the suites: `two_causes` (110 failures with two causes), `shop`
(planted secrets), `weird` and `collection_errors` (failures of every kind). The server is a double
of Ollama with scripted answers that records requests; pytest is run as a user runs it.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from support.servers import fake_ollama

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.runs import median, pytest, suite
from pytest_starcoder.report.bar_chart import Bars

SECRETS = (
    "s3cr3t-pa55word",
    "hunter2-very-secret",
    "abcdefghijklmnopqrstuvwxyz0123456789",
    "51HxTEST",
    "TESTTEST00",
)
"""Secrets planted in `shop`, and parts of them."""

LIES = (
    "line 999 of billing.py calls `compute_total`, "
    "and Invoice.total_price in shop/ledger.py:77 forgets tax_rate.",
    "The function frobnicate in `zap.py` returns 'quux_value' at line 4242.",
)
"""An answer in which every file, line and name is invented."""

INVENTED = (
    "999",
    "billing.py",
    "compute_total",
    "total_price",
    "ledger.py",
    "tax_rate",
    "frobnicate",
    "zap.py",
    "quux",
    "4242",
)

MARK = "(not in the evidence)"


def requests(
    folder: Path, *arguments: str, answer: str | None = None
) -> tuple[list[str], str, str]:
    """The prompts that a run sent, its output, and what it wrote: cache and reports."""
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    with fake_ollama() as server:
        if answer is not None:
            server.answer = answer
        files = [f"--starcoder-report=out.{suffix}" for suffix in ("json", "md", "sarif")]
        run = pytest(
            folder,
            "--starcoder-explain",
            *files,
            *arguments,
            environment={"OLLAMA_HOST": server.url},
        )
        asked = server.prompts()
    written = [
        path
        for path in folder.rglob("*")
        if path.is_file() and (".cache" in path.parts or path.stem == "out")
    ]
    return asked, run.output, "\n".join(path.read_text("utf-8", "replace") for path in written)


def two_causes(folder: Path) -> list[Row]:
    rows: list[Row] = []
    first: list[str] | None = None
    for arguments in ((), ("-n", "2"), ("--tb=no",), ("--tb=long",)):
        asked, _, _ = requests(folder, *arguments)
        first = first or sorted(asked)
        same = "the same" if sorted(asked) == first else "OTHER PROMPTS"
        rows.append(
            Row(
                f"two_causes {' '.join(arguments)}: generate requests", f"{len(asked)}, {same}", "2"
            )
        )
    with fake_ollama() as server:
        for _ in range(2):
            before = len(server.asked())
            pytest(folder, "--starcoder-explain", environment={"OLLAMA_HOST": server.url})
        rows.append(
            Row(
                "two_causes again, nothing changed: generate requests",
                str(len(server.asked()) - before),
                "0",
            )
        )
    return rows


def secrets(folder: Path) -> list[Row]:
    asked, printed, written = requests(folder, "--tb=no", "-q", "-rN")
    shown = printed[printed.find("StarCoder: ") :]
    places = {"requests": "\n".join(asked), "caches and reports": written, "the section": shown}
    return [
        Row(
            f"shop: planted secrets in {place}", str(sum(secret in text for secret in SECRETS)), "0"
        )
        for place, text in places.items()
    ]


def every_failure(folder: Path) -> list[Row]:
    _, printed, _ = requests(folder, "--tb=no", "-q", "-rN")
    told = json.loads((folder / "out.json").read_text("utf-8"))
    named = {nodeid for cause in told["causes"] for nodeid in cause["tests"]}
    failed = set(_failed(folder))
    name = folder.name
    return [
        Row(f"{name}: failed items without an explanation", str(len(failed - named)), "0"),
        Row(
            f"{name}: 'could not be explained' or INTERNALERROR",
            str(len(re.findall("could not be expl|INTERNALERR", printed))),
            "0",
        ),
        Row(
            f"{name}: causes without an answer",
            str(sum(cause["statements"][-1]["label"] != "guessed" for cause in told["causes"])),
            "0",
        ),
    ]


def _failed(folder: Path) -> list[str]:
    """Return the node ids of failed tests in pytest's short summary."""
    output = pytest(folder, "--tb=no", "-q", "-rfE", environment={"COLUMNS": "4000"}).output
    found = re.findall(
        r"^(?:FAILED|ERROR|SUBFAILED\S*|SUBFAIL) (?:\([^)]*\) |\[[^\]]*\] )?(\S+)",
        output,
        re.MULTILINE,
    )
    return [nodeid for nodeid in found if "." in nodeid]


def liar(folder: Path) -> list[Row]:
    unmarked = 0
    for lie in LIES:
        _, printed, _ = requests(folder, "--tb=no", "-q", "-rN", answer=f" {lie}")
        for text in (
            printed,
            json.dumps(json.loads((folder / "out.json").read_text("utf-8"))["causes"]),
        ):
            flat = re.sub(r"\s+", " ", text)
            for thing in INVENTED:
                for found in re.finditer(re.escape(thing), flat):
                    after = flat[found.end() : found.end() + 60]
                    unmarked += (
                        MARK not in after
                        and '"not_in_the_evidence"'
                        not in flat[max(0, found.start() - 200) : found.start()]
                    )
    return [
        Row("a scripted liar: foreign files, lines and names printed unmarked", str(unmarked), "0")
    ]


def passing(folder: Path, pairs: int) -> list[Row]:
    suite(folder, 2000)
    ratios = []
    with fake_ollama() as server:
        pytest(folder, "-q")
        for number in range(pairs):
            arguments: list[tuple[str, ...]] = [("-q",), ("-q", "--starcoder-explain")]
            runs = {
                len(a): pytest(folder, *a, environment={"OLLAMA_HOST": server.url}).cpu
                for a in arguments[:: 1 if number % 2 else -1]
            }
            ratios.append(runs[2] / runs[1])
        connections = len(server.requests)
    return [
        Row(
            "2,000 passing tests, CPU with the option ÷ without", f"{median(ratios):.3f}", "<= 1.05"
        ),
        Row("2,000 passing tests: connections", str(connections), "0"),
    ]


def chart(rows: Sequence[Row]) -> Bars:
    """Count what must never happen: the rows whose bound is zero."""
    counted = tuple((row.what, (float(row.measured),)) for row in rows if row.asked == "0")
    return Bars("What may never be, and how often it was", "times", ("times",), counted)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("cases", type=Path, help="the folder with the suites")
    parser.add_argument(
        "--pairs", type=int, default=7, help="interleaved pairs of runs of the passing suite"
    )
    chosen, started = parser.parse_args(), time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("two_causes", "shop", "weird", "collection_errors"):
            shutil.copytree(
                chosen.cases / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        rows = [
            *two_causes(folder / "two_causes"),
            *secrets(folder / "shop"),
            *every_failure(folder / "weird"),
            *every_failure(folder / "collection_errors"),
            *liar(folder / "shop"),
            *passing(folder / "passing", chosen.pairs),
        ]
    publish(Outcome("explain_cases", [*rows, wall_time(started)], [chart(rows)]), chosen)


if __name__ == "__main__":
    main()
