"""Cost of explaining: connections, seconds added by good and bad servers, repeated questions.

Seconds added are those over the same failing run without the option, medians
of interleaved runs; nothing is remembered, and fixes are not looked for. Ours is
measured also without running the failing tests again. With `--rivals FOLDER`
ours, failscope and pytest-triage are each installed into an environment there
and run in turn. Before the hung server a tool is told to wait 3 s where it can be
told (ours and pytest-triage); one that cannot is killed after 30 s. The 110
failures are generated: 60 of one faulty line, from 11 files, and 50 of one
fixture.
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
    installed,
    questions,
    rivals_option,
)
from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.runs import median, pytest, suite
from pytest_starcoder.report.bars import Bars

DEADLINE, CAP = 3.0, 30.0

ONCE = replace(
    OURS,
    name=f"{OURS.name}, replay off",
    told=lambda url: {**OURS.told(url), "STARCODER_REPLAY": "off"},
)
"""Ours, without running the tests again, which no rival does."""

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
    """Write a project with 110 failures: 60 of one line, from 11 files, 50 of one fixture."""
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
    """A server that answers well, badly or not at all; `at` gives its URL during the block."""

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


def waiting(tool: Explainer) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return arguments and environment that limit a tool to DEADLINE, as far as it has options."""
    arguments = (f"--ai-timeout={DEADLINE:g}",) if tool.name == TRIAGE.name else ()
    return (*tool.on, *arguments), {"STARCODER_TIMEOUT": f"{DEADLINE:g}", "STARCODER_FIX": "off"}


def added(
    folder: Path, tools: Sequence[Explainer], server: Server, repeats: int
) -> dict[str, float | None]:
    """Median seconds that each tool adds to its own failing run, None where it had to be killed."""
    without: dict[str, list[float]] = {tool.name: [] for tool in tools}
    with_it: dict[str, list[float]] = {tool.name: [] for tool in tools}
    killed: set[str] = set()
    for number in range(repeats + 1):
        for tool in [tool for tool in tools if tool.name not in killed]:
            arguments, told = waiting(tool)
            plain = pytest(folder, python=tool.python)
            with server.at(tool) as url:
                told |= tool.environment(url)
                run = pytest(folder, *arguments, environment=told, python=tool.python, limit=CAP)
            if run.status is None:
                killed.add(tool.name)
            elif number:  # in the first, Python compiles what it has not compiled yet
                without[tool.name].append(plain.wall)
                with_it[tool.name].append(run.wall)
    return {
        name: None if name in killed else median(with_it[name]) - median(walls)
        for name, walls in without.items()
    }


def asked_of_two_causes(folder: Path, tool: Explainer) -> tuple[int, int]:
    """Questions for 110 failures, and how many of their two causes these are about."""
    with tool.server() as (url, requests):
        arguments, told = waiting(tool)
        pytest(
            folder,
            "-q",
            *arguments,
            environment={**told, **tool.environment(url)},
            python=tool.python,
        )
        asked = questions(requests)
    return len(asked), sum(
        any(word in text for text in asked) for word in ("TypeError", "ConnectionRefusedError")
    )


def connections_of_a_passing_suite(folder: Path) -> int:
    with fake_ollama() as server:
        pytest(folder, "--starcoder-explain", environment={"OLLAMA_HOST": server.url})
        return len(server.requests)


def asked_twice(folder: Path) -> tuple[FakeOllama, int]:
    """The server after two equal runs, and the requests of the second."""
    with fake_ollama() as server:
        for _ in range(2):
            before = len(server.requests)
            pytest(folder, "--starcoder-explain", environment={"OLLAMA_HOST": server.url})
        return server, len(server.requests) - before


def clone_that_names_a_server(folder: Path) -> tuple[int, str]:
    """Count connections to the server of a cloned pyproject.toml; return pytest's output."""
    origin, clone = suite(folder / "origin", 1, failing=True), folder / "clone"
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


def measured(
    folder: Path, tools: Sequence[Explainer], repeats: int
) -> tuple[list[Row], list[Bars]]:
    failing, two = suite(folder / "failing", 1, failing=True), two_causes(folder / "two_causes")
    seconds = {
        server: added(failing, tools, server, server.repeats or repeats) for server in SERVERS
    }
    calls = {tool.name: asked_of_two_causes(two, tool) for tool in tools}
    rows = []
    for server, told in seconds.items():
        for name, value in told.items():
            shown = f"killed after {CAP:g} s" if value is None else f"{value:.2f}"
            rows.append(
                Row(
                    f"{name}: added by {server.name}, s",
                    shown,
                    server.bound if name == ONCE.name else "",
                )
            )
    for name, (asked, causes) in calls.items():
        shown = f"{asked}, about {causes} of the causes"
        rows.append(
            Row(
                f"{name}: questions for 110 failures of two causes",
                shown,
                "2" if name.startswith(OURS.name) else "",
            )
        )
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
    chosen, started = parser.parse_args(), time.perf_counter()
    found, missing = installed(chosen.rivals, (OURS, *RIVALS))
    tools = found if found and found[0].name == OURS.name else [OURS, *found]
    tools.insert(1, replace(ONCE, python=tools[0].python))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        rows, charts = measured(folder, tools, chosen.repeats)
        connections = connections_of_a_passing_suite(suite(folder / "passing", 20))
        server, second = asked_twice(suite(folder / "twice", 1, failing=True))
        reached, said = clone_that_names_a_server(folder)
    rows = [
        Row("connections of a passing suite", str(connections), "0"),
        *rows,
        *missing,
        Row("generate requests of two equal runs", str(len(server.asked())), "1"),
        Row("requests of the second run", str(second), "<= 1"),
        Row("connections to a server that a clone names", str(reached), "0"),
        wall_time(started),
    ]
    publish(Outcome("explain_cost", rows, charts, notes=[f"The clone's run says: {said}"]), chosen)


if __name__ == "__main__":
    main()
