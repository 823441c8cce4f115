"""What a review costs: time to the first request, requests and prompts a hunk, and what a server that is away costs.

A repository with one staged hunk is reviewed against a server on loopback that
answers at once; a script that imports git and requests, reads the staged diff
and posts it runs in the same minute, by turns. Requests are counted at the
server. `python -m benchmarks.review [--pairs N]`
"""

from __future__ import annotations

import argparse
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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.runs import median, report

REFERENCE = """
import git, requests, sys
diff = git.Git(".").execute(["git", "diff", "--cached"], stdout_as_string=False)
requests.post(sys.argv[1] + "/api/generate", json={"prompt": diff.decode("utf-8", "replace")})
"""

DIGEST = "ab" * 32


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
                    facts = {"general.architecture": "starcoder2", "starcoder2.context_length": 16384}
                    self._send({"model_info": facts})
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
        return [(at, body) for at, path, body in self.asked if path == "/api/generate"]


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
        f'def total_{n}(xs):\n    """The total, {n} times."""\n    return {n} * sum(xs)\n\n\n' for n in range(20)
    ]
    (folder / "shop.py").write_text("".join(functions))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    functions[10] = 'def total_10(xs):\n    """The mean, 10 times."""\n    return 10 * sum(xs) / len(xs)\n\n\n'
    (folder / "shop.py").write_text("".join(functions))
    git(folder, "add", "-A")
    return folder


def run(folder: Path, url: str, *command: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("STARCODER_", "OLLAMA_", "GIT_"))}
    environment = own | {"OLLAMA_HOST": url, "HOME": str(folder.parent), "XDG_CACHE_HOME": str(folder.parent / "cache")}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


REVIEW = ("-m", "pytest_starcoder_hooks.review")


def first_request(listener: Listener, start: Callable[[], object]) -> float:
    """Milliseconds from the start of a program to its first question."""
    listener.asked.clear()
    at = time.perf_counter()
    start()
    return (listener.generated()[0][0] - at) * 1000


@contextmanager
def hung() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(20)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, listening() as listener:
        place = repository(Path(temporary) / "timed" / "repository")
        ours, reference = [], []
        for number in range(options.pairs):
            for mine in (bool(number % 2), not number % 2):
                if mine:
                    # Each time as on the first: nothing is remembered.
                    ours.append(
                        first_request(listener, lambda: run(place, listener.url, *REVIEW, "--starcoder-cache=off"))
                    )
                else:
                    reference.append(
                        first_request(listener, lambda: run(place, listener.url, "-c", REFERENCE, listener.url))
                    )
        listener.asked.clear()
        run(place, listener.url, *REVIEW)
        prompts = [body["prompt"] for _, body in listener.generated()]
        diff = subprocess.run(["git", "diff", "--cached"], cwd=place, capture_output=True, text=True, check=True).stdout
        hunk = diff[diff.index("@@") :]
        listener.asked.clear()
        run(place, listener.url, *REVIEW)
        again = len(listener.generated())
        (place / "shop.py").write_text("# A line above.\n\n\n" + (place / "shop.py").read_text())
        git(place, "add", "-A")
        listener.asked.clear()
        run(place, listener.url, *REVIEW)
        moved = [
            body["prompt"] for _, body in listener.generated() if "len(xs)" in body["prompt"].rpartition("<pr_diff>")[2]
        ]
        other = repository(Path(temporary) / "away" / "repository")
        started = time.perf_counter()
        down = run(other, "http://127.0.0.1:9", *REVIEW)
        down_seconds = time.perf_counter() - started
        with hung() as url:
            started = time.perf_counter()
            held = run(other, url, *REVIEW, "--time-budget=3")
            held_seconds = time.perf_counter() - started
    limit = 2 * len(hunk) + 2000
    report(
        "review",
        [
            ("to the first request, median ms", f"{median(ours):.0f}", ""),
            ("git + requests + post, median ms", f"{median(reference):.0f}", ""),
            ("ratio", f"{median(ours) / median(reference):.2f}", "<= 1.25"),
            ("requests for one hunk", str(len(prompts)), "<= 3"),
            ("longest prompt, characters", f"{max(map(len, prompts)):,}", f"<= {limit:,}"),
            ("requests again", str(again), "0"),
            ("requests after it moved", str(len(moved)), "0"),
            ("server down, seconds, status", f"{down_seconds:.2f}, {down.returncode}", "<= 1.5, 0"),
            ("it says so", str("Not reviewed" in down.stdout), "True"),
            ("server hung, budget 3 s, seconds, status", f"{held_seconds:.2f}, {held.returncode}", "<= 4, 0"),
            ("it says so", str("Not reviewed" in held.stdout), "True"),
        ],
    )


if __name__ == "__main__":
    main()
