"""What a review costs: time to the first request, requests and characters a hunk, and a server that is away.

A repository with one staged hunk is reviewed against a server on loopback that
answers at once; a script that imports git and requests, reads the staged diff
and posts it runs in the same minute, by turns, and with `--rivals FOLDER` so do
aicr and git-sage, installed into environments there. Requests are counted at the
server. A rival is answered that there is nothing to say, so that it asks no more.
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
from pytest_starcoder.report.bars import Bars

REFERENCE = """
import git, requests, sys
diff = git.Git(".").execute(["git", "diff", "--cached"], stdout_as_string=False)
requests.post(sys.argv[1] + "/api/generate", json={"prompt": diff.decode("utf-8", "replace")})
"""

DIGEST = "ab" * 32

ASKING = ("/api/generate", "/api/chat", "/v1/chat/completions")
"""Where questions are posted: ours to the first, git-sage's to the second, aicr's to the third."""


class Listener:
    """An Ollama that answers every question at once, and notes when it was asked what."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str, Any]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listener.asked.append((time.perf_counter(), self.path, None))
                entry = {"name": "starcoder2:7b", "model": "starcoder2:7b", "digest": DIGEST}
                self._send({"models": [entry], "version": "0.24.0"})

            def do_POST(self) -> None:
                at = time.perf_counter()
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                listener.asked.append((at, self.path, body))
                if self.path == "/api/show":
                    facts = {
                        "general.architecture": "starcoder2",
                        "starcoder2.context_length": 16384,
                    }
                    self._send({"model_info": facts})
                    return
                if self.path != "/api/generate":
                    message = {"role": "assistant", "content": "[]"}
                    self._send(
                        {
                            "message": message,
                            "choices": [{"message": message, "finish_reason": "stop"}],
                        }
                    )
                    return
                state = "<pr_review_state>" in str(body["prompt"])[-20:]
                said = "changes_required" if state else " An empty list divides by zero."
                tokens = [{"token": said, "logprob": -0.1}] if body.get("logprobs") else []
                self._send(
                    {
                        "response": said,
                        "done": True,
                        "done_reason": "stop",
                        "prompt_eval_count": 900,
                        "eval_count": 9,
                        "logprobs": tokens,
                    }
                )

            def _send(self, body: Mapping[str, Any]) -> None:
                content = json.dumps(body).encode() + b"\n"
                self.send_response(200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """It says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def generated(self) -> list[tuple[float, Any]]:
        return [(at, body) for at, path, body in self.asked if path in ASKING]


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


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def repository(folder: Path) -> Path:
    """A repository with one staged hunk in a module of a hundred lines."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    functions = [
        f'def total_{n}(xs):\n    """The total, {n} times."""\n    return {n} * sum(xs)\n\n\n'
        for n in range(20)
    ]
    (folder / "shop.py").write_text("".join(functions))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    functions[10] = (
        'def total_10(xs):\n    """The mean, 10 times."""\n    return 10 * sum(xs) / len(xs)\n\n\n'
    )
    (folder / "shop.py").write_text("".join(functions))
    git(folder, "add", "-A")
    return folder


def characters(body: Mapping[str, Any]) -> int:
    """The characters of one question: of its prompt, or of all its messages."""
    return len(body.get("prompt", "")) + sum(
        len(message["content"]) for message in body.get("messages", [])
    )


def run(folder: Path, url: str, *command: str) -> subprocess.CompletedProcess[str]:
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("STARCODER_", "OLLAMA_", "GIT_"))
    }
    here = own | {
        "OLLAMA_HOST": url,
        "HOME": str(folder.parent),
        "XDG_CACHE_HOME": str(folder.parent / "cache"),
    }
    return subprocess.run(
        command, cwd=folder, env=here, capture_output=True, text=True, check=False
    )


REVIEW = (sys.executable, "-m", "pytest_starcoder_hooks.review")

OURS, REFERENCE_NAME = "starcoder-review", "git + requests + post"

RIVALS = {"aicr": "aicrcli", "git-sage": "git-sage"}
"""The command of each rival and the distribution that has it."""


@dataclass(frozen=True)
class Rival:
    """An installed rival; `run` reviews what is staged in a folder, with the server at an address."""

    command: str
    program: Path
    version: str

    def run(self, folder: Path, url: str) -> subprocess.CompletedProcess[str]:
        if self.command == "aicr":
            told = f"provider: ollama\nmodel: starcoder2:7b\nbase_url: {url}/v1\n"
            (folder.parent / ".aicr.yaml").write_text(
                told
            )  # it looks upwards, so the repository stays as it is
            return run(folder, url, str(self.program), "review", "--no-cache")
        return run(
            folder, url, str(self.program), "review", "--host", url, "--model", "starcoder2:7b"
        )


def installed(folder: Path | None) -> tuple[list[Rival], list[Row]]:
    """The rivals in environments in `folder`, and a row for each that is not there, with the reason."""
    if folder is None:
        return [], []
    found, missing = [], []
    for command, distribution in RIVALS.items():
        try:
            python = environment(folder.absolute(), command, [distribution])
        except NotInstalled as exc:
            missing.append(Row(command, f"not installed: {exc}"))
        else:
            found.append(Rival(command, python.with_name(command), version(python, distribution)))
    return found, missing


@dataclass(frozen=True)
class Asked:
    """What one review asked: milliseconds from its start to its first question, and the characters of each."""

    first: float
    sent: tuple[int, ...]


def asked(listener: Listener, start: Callable[[], subprocess.CompletedProcess[str]]) -> Asked:
    listener.asked.clear()
    at = time.perf_counter()
    done = start()
    questions = listener.generated()
    assert questions, done.stdout + done.stderr
    return Asked((questions[0][0] - at) * 1000, tuple(characters(body) for _, body in questions))


@contextmanager
def hung() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(20)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def away(start: Callable[[], subprocess.CompletedProcess[str]]) -> tuple[float, int, str]:
    """What a review without an answering server costs in seconds, its exit status, and its output."""
    started = time.perf_counter()
    done = start()
    return time.perf_counter() - started, done.returncode, done.stdout + done.stderr


def last_line(output: str) -> str:
    return next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "nothing")


def timed(
    listener: Listener, place: Path, rivals: list[Rival], rounds: int
) -> dict[str, list[Asked]]:
    """Every program by turns, each time as on the first: nothing is remembered."""
    url = listener.url
    programs: dict[str, Callable[[], subprocess.CompletedProcess[str]]] = {
        REFERENCE_NAME: lambda: run(place, url, sys.executable, "-c", REFERENCE, url),
        OURS: lambda: run(place, url, *REVIEW, "--starcoder-cache=off"),
    }
    for rival in rivals:
        programs[f"{rival.command} {rival.version}"] = lambda rival=rival: rival.run(place, url)  # type: ignore[misc]
    found: dict[str, list[Asked]] = {name: [] for name in programs}
    for number in range(rounds):
        for name in list(programs)[:: -1 if number % 2 else 1]:
            found[name].append(asked(listener, programs[name]))
    return found


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=15, help="so many rounds of every program")
    parser.add_argument(
        "--rivals", type=Path, metavar="FOLDER", help="environments of rivals are made there"
    )
    arguments = parser.parse_args()
    begun = time.perf_counter()
    rivals, missing = installed(arguments.rivals)
    with tempfile.TemporaryDirectory() as temporary, listening() as listener:
        place = repository(Path(temporary) / "timed" / "repository")
        found = timed(listener, place, rivals, arguments.pairs)
        listener.asked.clear()
        run(place, listener.url, *REVIEW)
        prompts = [body["prompt"] for _, body in listener.generated()]
        diff = subprocess.run(
            ["git", "diff", "--cached"], cwd=place, capture_output=True, text=True, check=True
        ).stdout
        hunk = diff[diff.index("@@") :]
        listener.asked.clear()
        run(place, listener.url, *REVIEW)
        again = len(listener.generated())
        (place / "shop.py").write_text("# A line above.\n\n\n" + (place / "shop.py").read_text())
        git(place, "add", "-A")
        listener.asked.clear()
        run(place, listener.url, *REVIEW)
        moved = [
            body["prompt"]
            for _, body in listener.generated()
            if "len(xs)" in body["prompt"].rpartition("<pr_diff>")[2]
        ]
        other = repository(Path(temporary) / "away" / "repository")
        nowhere = "http://127.0.0.1:9"
        down = away(lambda: run(other, nowhere, *REVIEW))
        with hung() as url:
            held = away(lambda: run(other, url, *REVIEW, "--time-budget=3"))
        gone = {rival: away(lambda rival=rival: rival.run(other, nowhere)) for rival in rivals}  # type: ignore[misc]
    limit = 2 * len(hunk) + 2000
    first = {name: median([one.first for one in runs]) for name, runs in found.items()}
    reference = first[REFERENCE_NAME]
    rows = [
        Row(f"{name}: to the first request, median ms", f"{value:.0f}")
        for name, value in first.items()
    ]
    rows += [
        Row(
            f"{name}: ratio to the script",
            f"{value / reference:.2f}",
            "<= 1.25" if name == OURS else "",
        )
        for name, value in first.items()
        if name != REFERENCE_NAME
    ]
    rows += [
        Row(f"{name}: requests, characters in all", f"{len(runs[-1].sent)}, {sum(runs[-1].sent):,}")
        for name, runs in found.items()
    ]
    rows += missing
    rows += [
        Row("rounds, every program in each", str(arguments.pairs)),
        Row(f"{OURS}: requests for one hunk", str(len(prompts)), "<= 3"),
        Row(f"{OURS}: longest prompt, characters", f"{max(map(len, prompts)):,}", f"<= {limit:,}"),
        Row(f"{OURS}: requests again", str(again), "0"),
        Row(f"{OURS}: requests after the hunk moved", str(len(moved)), "0"),
        Row(f"{OURS}: server down, seconds, status", f"{down[0]:.2f}, {down[1]}", "<= 1.5, 0"),
        Row(f"{OURS}: it says that it was not reviewed", str("Not reviewed" in down[2]), "True"),
        Row(
            f"{OURS}: server hung, budget 3 s, seconds, status",
            f"{held[0]:.2f}, {held[1]}",
            "<= 4, 0",
        ),
        Row(f"{OURS}: it says that it was not reviewed", str("Not reviewed" in held[2]), "True"),
    ]
    for rival, (seconds, status, output) in gone.items():
        name = f"{rival.command} {rival.version}"
        rows.append(Row(f"{name}: server down, seconds, status", f"{seconds:.2f}, {status}"))
        rows.append(Row(f"{name}: the last line it says then", last_line(output)))
    charts = [
        Bars(
            "A staged hunk: from the start to the first request",
            f"milliseconds, median of {arguments.pairs} interleaved runs",
            ("ms",),
            tuple((name, (round(value),)) for name, value in first.items()),
            highlighted=frozenset({OURS}),
        ),
        Bars(
            "The same hunk: characters sent",
            "characters of all requests together",
            ("characters",),
            tuple((name, (sum(runs[-1].sent),)) for name, runs in found.items()),
            highlighted=frozenset({OURS}),
        ),
    ]
    publish(Outcome("review", [*rows, wall_time(begun)], charts), arguments)


if __name__ == "__main__":
    main()
