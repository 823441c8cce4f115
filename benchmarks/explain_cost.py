"""Measures what explaining costs a run: connections, added seconds, repeated questions.

Added seconds are relative to the same failing run without the option, as medians of interleaved
runs, without the cache and the search for fixes. Our tool is also measured without running the
failing tests again. With `--rivals FOLDER`, ours, failscope and pytest-triage are each installed
into an environment there and run in turn. For the hung server, tools with a setting for it (ours
and pytest-triage) wait 3 s; the others are killed after 30 s. The 110 failures are generated: 60
of one faulty line, from 11 files, and 50 of one fixture.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from support.servers import FakeOllama, closed_port, fake_ollama, hangs, raw_server

from benchmarks.explainers import (
    OURS,
    RIVALS,
    TRIAGE,
    Explainer,
    install,
    questions,
    rivals_option,
)
from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.runs import median, pytest, suite
from pytest_starcoder.report.bar_chart import Bars

DEADLINE = 3.0

# Seconds after which a tool without such a setting is killed.
CAP = 30.0

ONCE = replace(
    OURS,
    name=f"{OURS.name}, replay off",
    variables=lambda url: {**OURS.variables(url), "STARCODER_REPLAY": "off"},
)
"""Our tool without running the tests again, which no rival does."""

PAY = """
import pytest
from pay import pay


@pytest.mark.parametrize("n", range({tests}))
def test_pay_{file}(n):
    assert pay(n + 1, "EUR") == n + 2
"""

FIXTURE = """
import pytest


@pytest.fixture
def server():
    raise ConnectionRefusedError(111, "Connection refused: 127.0.0.1:5432")


@pytest.mark.parametrize("n", range(50))
def test_uses(server, n):
    assert server
"""


def two_causes(folder: Path) -> Path:
    """Create a project with 110 failures of two causes: a faulty line and a fixture."""
    folder.mkdir(parents=True)
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    rates = 'RATES = {"EUR": "1.0"}'
    (folder / "pay.py").write_text(
        f"{rates}\n\n\ndef pay(amount, currency):\n    return amount * RATES[currency] + 1\n"
    )
    for file, tests in enumerate([50, *[1] * 10]):
        (folder / f"test_pay_{file}.py").write_text(PAY.format(file=file, tests=tests))
    (folder / "test_server.py").write_text(FIXTURE)
    return folder


@dataclass(frozen=True)
class Server:
    """A kind of server, good or bad; `at` starts one for a tool and gives its URL."""

    name: str
    at: Callable[[Explainer], AbstractContextManager[str]]
    bound: str
    repeats: int | None = None


@contextmanager
def _slow(tool: Explainer) -> Iterator[str]:
    with tool.server(delay=2.0) as (url, _):
        yield url


SERVERS = (
    Server("a server that takes 2.0 s", _slow, "<= 2.2"),
    Server("a closed port", lambda _tool: nullcontext(closed_port()), "<= 1"),
    Server(
        f"a hung server, told {DEADLINE:g} s",
        lambda _tool: raw_server(hangs),
        f"<= {DEADLINE + 1:g}",
        3,
    ),
)


def limit_waiting(tool: Explainer) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return arguments and variables that limit waiting to DEADLINE, if a tool can."""
    arguments = (f"--ai-timeout={DEADLINE:g}",) if tool.name == TRIAGE.name else ()
    return (*tool.options, *arguments), {
        "STARCODER_TIMEOUT": f"{DEADLINE:g}",
        "STARCODER_FIX": "off",
    }


def added_seconds(
    folder: Path, tools: Sequence[Explainer], server: Server, repeats: int
) -> dict[str, float | None]:
    """Return the median seconds that each tool adds to a failing run; None if it was killed."""
    without: dict[str, list[float]] = {tool.name: [] for tool in tools}
    with_it: dict[str, list[float]] = {tool.name: [] for tool in tools}
    killed: set[str] = set()
    for number in range(repeats + 1):
        for tool in tools:
            if tool.name in killed:
                continue
            arguments, environment = limit_waiting(tool)
            plain = pytest(folder, python=tool.python)
            with server.at(tool) as url:
                environment |= tool.environment(url)
                run = pytest(
                    folder, *arguments, environment=environment, python=tool.python, limit=CAP
                )
            if run.status is None:
                killed.add(tool.name)
            elif number:  # the first round also compiles modules
                without[tool.name].append(plain.wall)
                with_it[tool.name].append(run.wall)
    seconds: dict[str, float | None] = dict.fromkeys(killed)
    for name in without.keys() - killed:
        seconds[name] = median(with_it[name]) - median(without[name])
    return {tool.name: seconds[tool.name] for tool in tools}


def count_questions(folder: Path, tool: Explainer) -> tuple[int, int]:
    """Return the number of questions about two causes, and how many causes they mention."""
    with tool.server() as (url, requests):
        arguments, environment = limit_waiting(tool)
        environment |= tool.environment(url)
        pytest(folder, "-q", *arguments, environment=environment, python=tool.python)
        texts = "\n".join(questions(requests))
        count = len(questions(requests))
    return count, ("TypeError" in texts) + ("ConnectionRefusedError" in texts)


def passing_suite_connections(folder: Path) -> int:
    with fake_ollama() as server:
        pytest(folder, "--starcoder-explain", environment={"OLLAMA_HOST": server.url})
        return len(server.requests)


def run_twice(folder: Path) -> tuple[FakeOllama, int]:
    """Return the server after two equal runs, and the number of requests of the second."""
    with fake_ollama() as server:
        for _ in range(2):
            before = len(server.requests)
            pytest(folder, "--starcoder-explain", environment={"OLLAMA_HOST": server.url})
        return server, len(server.requests) - before


def open_clone_naming_server(folder: Path) -> tuple[int, str]:
    """Return the connections to a server named by a clone's pyproject.toml, and its output."""
    origin = suite(folder / "origin", 1, failing=True)
    clone = folder / "clone"
    with fake_ollama(host="127.0.0.2") as server:
        (origin / "pyproject.toml").write_text(f'[tool.starcoder]\nhost = "{server.url}"\n')
        for command in (
            ["init", "-q"],
            ["add", "-A"],
            ["-c", "user.name=n", "-c", "user.email=e@e", "commit", "-qm", "m"],
        ):
            subprocess.run(["git", "-C", str(origin), *command], check=True)
        subprocess.run(["git", "clone", "-q", str(origin), str(clone)], check=True)
        run = pytest(clone, "--starcoder-explain")
        return len(server.requests), run.output.strip().splitlines()[-1]


def measure(folder: Path, tools: Sequence[Explainer], repeats: int) -> tuple[list[Row], list[Bars]]:
    failing = suite(folder / "failing", 1, failing=True)
    two = two_causes(folder / "two_causes")
    seconds = {
        server: added_seconds(failing, tools, server, server.repeats or repeats)
        for server in SERVERS
    }
    calls = {tool.name: count_questions(two, tool) for tool in tools}
    rows = []
    for server, by_tool in seconds.items():
        for name, value in by_tool.items():
            text = f"killed after {CAP:g} s" if value is None else f"{value:.2f}"
            bound = server.bound if name == ONCE.name else ""
            rows.append(Row(f"{name}: added by {server.name}, s", text, bound))
    for name, (count, causes) in calls.items():
        subject = f"{name}: questions for 110 failures of two causes"
        bound = "2" if name.startswith(OURS.name) else ""
        rows.append(Row(subject, f"{count}, about {causes} of the causes", bound))
    names = [tool.name for tool in tools]
    ours = frozenset({OURS.name, ONCE.name})
    charts = [
        Bars(
            f"Seconds that explaining one failure adds (killed after {CAP:g} s)",
            "seconds over the same run without it",
            tuple(server.name for server in SERVERS),
            tuple(
                (name, tuple(_bar(seconds[server][name]) for server in SERVERS)) for name in names
            ),
            highlighted=ours,
        ),
        Bars(
            "Questions to the model for 110 failures of two causes",
            "questions",
            ("questions", "causes they are about"),
            tuple((name, calls[name]) for name in names),
            highlighted=ours,
        ),
    ]
    return rows, charts


def _bar(seconds: float | None) -> float:
    return CAP if seconds is None else round(seconds, 2)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    rivals_option(parser)
    chosen = parser.parse_args()
    started = time.perf_counter()
    tools, missing = install(chosen.rivals, (OURS, *RIVALS))
    if not tools or tools[0].name != OURS.name:
        tools.insert(0, OURS)
    tools.insert(1, replace(ONCE, python=tools[0].python))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows, charts = measure(folder, tools, chosen.repeats)
        connections = passing_suite_connections(suite(folder / "passing", 20))
        server, repeated = run_twice(suite(folder / "twice", 1, failing=True))
        reached, message = open_clone_naming_server(folder)
    rows = [
        Row("connections of a passing suite", str(connections), "0"),
        *rows,
        *missing,
        Row("generate requests of two equal runs", str(len(server.asked())), "1"),
        Row("requests of the second run", str(repeated), "<= 1"),
        Row("connections to a server that a clone names", str(reached), "0"),
        wall_time(started),
    ]
    publish(
        Outcome("explain_cost", rows, charts, notes=[f"The clone's run says: {message}"]), chosen
    )


if __name__ == "__main__":
    main()
