"""What explaining costs a run: connections, seconds added by good and bad servers, questions asked twice.

Seconds added are those over the same failing run without the option, medians
of interleaved runs.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from support.servers import FakeOllama, closed_port, fake_ollama, hangs, raw_server

from benchmarks.runs import median, pytest, report, suite

DEADLINE = 3.0


def added(folder: Path, repeats: int, environment: Mapping[str, str]) -> float:
    """Median seconds that `--starcoder-explain` adds to the failing run, nothing remembered."""
    forgetful = {**environment, "STARCODER_CACHE": "off"}
    pytest(folder, "--starcoder-explain", environment=forgetful)  # Python compiles what it has not compiled yet
    without, with_it = [], []
    for _ in range(repeats):
        without.append(pytest(folder).wall)
        with_it.append(pytest(folder, "--starcoder-explain", environment=forgetful).wall)
    return median(with_it) - median(without)


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
    """Connections to the server that a cloned repository's pyproject.toml names, and what pytest says."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        failing = suite(folder / "failing", 1, failing=True)
        connections = connections_of_a_passing_suite(suite(folder / "passing", 20))
        with fake_ollama(delay=2.0) as server:
            slow = added(failing, repeats, {"OLLAMA_HOST": server.url})
        closed = added(failing, repeats, {"OLLAMA_HOST": closed_port()})
        with raw_server(hangs) as url:
            hung = added(failing, 3, {"OLLAMA_HOST": url, "STARCODER_TIMEOUT": str(DEADLINE)})
        server, second = asked_twice(failing)
        reached, said = clone_that_names_a_server(folder)
    report(
        "explain_cost",
        [
            ("connections of a passing suite", str(connections), "0"),
            ("added by a server that takes 2.0 s, s", f"{slow:.2f}", "<= 2.2"),
            ("added by a closed port, s", f"{closed:.2f}", "<= 1"),
            (f"added by a hung server, deadline {DEADLINE:g} s, s", f"{hung:.2f}", f"<= {DEADLINE + 1:g}"),
            ("generate requests of two equal runs", str(len(server.asked())), "1"),
            ("requests of the second run", str(second), "<= 1"),
            ("connections to a server that a clone names", str(reached), "0"),
        ],
    )
    print(f"The clone's run says: {said}")


if __name__ == "__main__":
    main()
