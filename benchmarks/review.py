"""Measures what a review costs: time to the first request, requests and characters per hunk.

A repository with one staged hunk is reviewed against a server on loopback that answers at once.
In turns with it runs a script that imports git and requests, reads the staged diff and posts it,
and with `--rivals FOLDER` also aicr and git-sage, installed into environments there. Requests
are counted at the server. Rivals are answered that there is nothing to report, so that they ask
no more. A server that is down, and one that never answers, are measured as well.
`python -m benchmarks.review [--pairs N] [--rivals FOLDER]`
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.rivals import NotInstalled, environment, version
from benchmarks.runs import median
from pytest_starcoder.report.bar_chart import Bars

REFERENCE = """
import git, requests, sys
diff = git.Git(".").execute(["git", "diff", "--cached"], stdout_as_string=False)
requests.post(sys.argv[1] + "/api/generate", json={"prompt": diff.decode("utf-8", "replace")})
"""

REVIEW = (sys.executable, "-m", "pytest_starcoder_hooks.review")

OURS, REFERENCE_NAME = "starcoder-review", "git + requests + post"

RIVALS = {"aicr": "aicrcli", "git-sage": "git-sage"}
"""The command of each rival, and the distribution that contains it."""

DIGEST = "ab" * 32

QUESTION_PATHS = ("/api/generate", "/api/chat", "/v1/chat/completions")
"""Paths of questions: ours go to the first, git-sage's to the second, aicr's to the third."""

Start = Callable[[], subprocess.CompletedProcess[str]]
"""Runs a program and waits for its end."""


class Listener:
    """An Ollama that answers every request at once and records its time."""

    def __init__(self) -> None:
        self.requests: list[tuple[float, str, Any]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listener.requests.append((time.perf_counter(), self.path, None))
                entry = {"name": "starcoder2:7b", "model": "starcoder2:7b", "digest": DIGEST}
                self._send({"models": [entry], "version": "0.24.0"})

            def do_POST(self) -> None:
                at = time.perf_counter()
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                listener.requests.append((at, self.path, body))
                self._send(reply_to(self.path, body))

            def _send(self, body: Mapping[str, Any]) -> None:
                content = json.dumps(body).encode() + b"\n"
                self.send_response(200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def generated(self) -> list[tuple[float, Any]]:
        return [(at, body) for at, path, body in self.requests if path in QUESTION_PATHS]


def reply_to(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    if path == "/api/show":
        properties = {"general.architecture": "starcoder2", "starcoder2.context_length": 16384}
        return {"model_info": properties}
    if path != "/api/generate":
        message = {"role": "assistant", "content": "[]"}
        return {"message": message, "choices": [{"message": message, "finish_reason": "stop"}]}
    is_state = "<pr_review_state>" in str(body["prompt"])[-20:]
    answer = "changes_required" if is_state else " An empty list divides by zero."
    return {
        "response": answer,
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 900,
        "eval_count": 9,
        "logprobs": [{"token": answer, "logprob": -0.1}] if body.get("logprobs") else [],
    }


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    thread = threading.Thread(target=listener.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        listener.server.shutdown()
        listener.server.server_close()


@contextmanager
def hanging() -> Iterator[str]:
    """Provide the address of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(20)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


# --- programs -------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.com")
    command = ["git", *identity, "-c", "commit.gpgsign=false", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def repository(folder: Path) -> Path:
    """Make a repository with one staged hunk in a module of a hundred lines."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    functions = []
    for number in range(20):
        head = f'def total_{number}(xs):\n    """The total, {number} times."""\n'
        functions.append(f"{head}    return {number} * sum(xs)\n\n\n")
    (folder / "shop.py").write_text("".join(functions))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    head = 'def total_10(xs):\n    """The mean, 10 times."""\n'
    functions[10] = f"{head}    return 10 * sum(xs) / len(xs)\n\n\n"
    (folder / "shop.py").write_text("".join(functions))
    git(folder, "add", "-A")
    return folder


def run(folder: Path, url: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that finds the server at `url`, and none of this machine's settings."""
    ours = ("STARCODER_", "OLLAMA_", "GIT_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    variables["OLLAMA_HOST"] = url
    variables["HOME"] = str(folder.parent)
    variables["XDG_CACHE_HOME"] = str(folder.parent / "cache")
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )


@dataclass(frozen=True)
class Rival:
    """An installed rival; `run` reviews what is staged in a folder, with the server at `url`."""

    command: str
    program: Path
    version: str

    @property
    def name(self) -> str:
        return f"{self.command} {self.version}"

    def run(self, folder: Path, url: str) -> subprocess.CompletedProcess[str]:
        program = str(self.program)
        if self.command == "aicr":
            settings = f"provider: ollama\nmodel: starcoder2:7b\nbase_url: {url}/v1\n"
            # It looks upwards for its settings, so the repository stays as it is.
            (folder.parent / ".aicr.yaml").write_text(settings)
            return run(folder, url, program, "review", "--no-cache")
        return run(folder, url, program, "review", "--host", url, "--model", "starcoder2:7b")


def install_rivals(folder: Path | None) -> tuple[list[Rival], list[Row]]:
    """Return the rivals in environments in `folder`, and a row for each that is missing."""
    rivals: list[Rival] = []
    missing: list[Row] = []
    for command, distribution in RIVALS.items() if folder else ():
        assert folder is not None
        try:
            python = environment(folder.absolute(), command, [distribution])
        except NotInstalled as exc:
            missing.append(Row(command, f"not installed: {exc}"))
        else:
            program = python.with_name(command)
            rivals.append(Rival(command, program, version(python, distribution)))
    return rivals, missing


# --- measurements ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Requests:
    """Return the milliseconds until a review's first question, and the size of each question."""

    first: float
    sizes: tuple[int, ...]


def characters(body: Mapping[str, Any]) -> int:
    """Return the characters of a question: of its prompt, or of all its messages."""
    messages = [len(message["content"]) for message in body.get("messages", [])]
    return len(body.get("prompt", "")) + sum(messages)


def measure_requests(listener: Listener, start: Start) -> Requests:
    listener.requests.clear()
    started = time.perf_counter()
    done = start()
    questions = listener.generated()
    assert questions, done.stdout + done.stderr
    sizes = tuple(characters(body) for _, body in questions)
    return Requests((questions[0][0] - started) * 1000, sizes)


def measure_in_turns(
    listener: Listener, folder: Path, rivals: list[Rival], rounds: int
) -> dict[str, list[Requests]]:
    """Run every program in turns, each time as on the first: nothing is cached."""
    url = listener.url
    programs: dict[str, Start] = {
        REFERENCE_NAME: lambda: run(folder, url, sys.executable, "-c", REFERENCE, url),
        OURS: lambda: run(folder, url, *REVIEW, "--starcoder-cache=off"),
    }
    for rival in rivals:
        programs[rival.name] = lambda rival=rival: rival.run(folder, url)  # type: ignore[misc]
    results: dict[str, list[Requests]] = {name: [] for name in programs}
    for number in range(rounds):
        for name in list(programs)[:: -1 if number % 2 else 1]:
            results[name].append(measure_requests(listener, programs[name]))
    return results


@dataclass(frozen=True)
class Away:
    """A review without an answering server: seconds, exit status and output."""

    seconds: float
    status: int
    output: str

    @classmethod
    def of(cls, start: Start) -> Away:
        started = time.perf_counter()
        done = start()
        seconds = time.perf_counter() - started
        return cls(seconds, done.returncode, done.stdout + done.stderr)

    def __str__(self) -> str:
        return f"{self.seconds:.2f}, {self.status}"

    @property
    def is_reported(self) -> str:
        return str("Not reviewed" in self.output)


def last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"


def prompt_rows(listener: Listener, folder: Path) -> list[Row]:
    """Review one hunk, review it again, and again after it has moved."""

    def prompts() -> list[str]:
        listener.requests.clear()
        run(folder, listener.url, *REVIEW)
        return [body["prompt"] for _, body in listener.generated()]

    command = ["git", "diff", "--cached"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    limit = 2 * len(done.stdout[done.stdout.index("@@") :]) + 2000
    first, again = prompts(), prompts()
    longest = max(map(len, first))
    (folder / "shop.py").write_text("# A line above.\n\n\n" + (folder / "shop.py").read_text())
    git(folder, "add", "-A")
    moved = [text for text in prompts() if "len(xs)" in text.rpartition("<pr_diff>")[2]]
    return [
        Row(f"{OURS}: requests for one hunk", str(len(first)), "<= 3"),
        Row(f"{OURS}: longest prompt, characters", f"{longest:,}", f"<= {limit:,}"),
        Row(f"{OURS}: requests again", str(len(again)), "0"),
        Row(f"{OURS}: requests after the hunk moved", str(len(moved)), "0"),
    ]


def away_rows(folder: Path, rivals: list[Rival]) -> list[Row]:
    nowhere = "http://127.0.0.1:9"
    down = Away.of(lambda: run(folder, nowhere, *REVIEW))
    with hanging() as url:
        hung = Away.of(lambda: run(folder, url, *REVIEW, "--time-budget=3"))
    rows = [
        Row(f"{OURS}: server down, seconds, status", str(down), "<= 1.5, 0"),
        Row(f"{OURS}: it says that it was not reviewed", down.is_reported, "True"),
        Row(f"{OURS}: server hung, budget 3 s, seconds, status", str(hung), "<= 4, 0"),
        Row(f"{OURS}: it says that it was not reviewed", hung.is_reported, "True"),
    ]
    for rival in rivals:
        down = Away.of(lambda rival=rival: rival.run(folder, nowhere))  # type: ignore[misc]
        rows.append(Row(f"{rival.name}: server down, seconds, status", str(down)))
        rows.append(Row(f"{rival.name}: the last line it says then", last_line(down.output)))
    return rows


def request_rows(results: Mapping[str, list[Requests]], medians: Mapping[str, float]) -> list[Row]:
    rows = []
    for name, milliseconds in medians.items():
        rows.append(Row(f"{name}: to the first request, median ms", f"{milliseconds:.0f}"))
    for name, milliseconds in medians.items():
        if name != REFERENCE_NAME:
            ratio = f"{milliseconds / medians[REFERENCE_NAME]:.2f}"
            rows.append(Row(f"{name}: ratio to the script", ratio, "<= 1.25" * (name == OURS)))
    for name, runs in results.items():
        sizes = runs[-1].sizes
        text = f"{len(sizes)}, {sum(sizes):,}"
        rows.append(Row(f"{name}: requests, characters in all", text))
    return rows


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=15, help="rounds of every program")
    parser.add_argument(
        "--rivals", type=Path, metavar="FOLDER", help="the folder for environments of rivals"
    )
    arguments = parser.parse_args()
    started = time.perf_counter()
    rivals, missing = install_rivals(arguments.rivals)
    with tempfile.TemporaryDirectory() as temporary, listening() as listener:
        folder = repository(Path(temporary) / "timed" / "repository")
        results = measure_in_turns(listener, folder, rivals, arguments.pairs)
        prompts = prompt_rows(listener, folder)
        away = away_rows(repository(Path(temporary) / "away" / "repository"), rivals)
    medians = {name: median([entry.first for entry in runs]) for name, runs in results.items()}
    rows = [
        *request_rows(results, medians),
        *missing,
        Row("rounds, every program in each", str(arguments.pairs)),
        *prompts,
        *away,
        wall_time(started),
    ]
    charts = [
        Bars(
            "A staged hunk: from the start to the first request",
            f"milliseconds, median of {arguments.pairs} interleaved runs",
            ("ms",),
            tuple((name, (round(value),)) for name, value in medians.items()),
            highlighted=frozenset({OURS}),
        ),
        Bars(
            "The same hunk: characters sent",
            "characters of all requests together",
            ("characters",),
            tuple((name, (sum(runs[-1].sizes),)) for name, runs in results.items()),
            highlighted=frozenset({OURS}),
        ),
    ]
    publish(Outcome("review", rows, charts), arguments)


if __name__ == "__main__":
    main()
