"""Runs other test generators on the same file: Pynguin, and CoverUp with the demo model.

Each is installed as its users install it, into an environment of its own, without repairs. CoverUp
runs with its plain command first and, if that asks no model, with its prompt that needs no tools. A
proxy passes each request on to the demo model on llama.cpp and limits the answer, because CoverUp
sets no limit and a base model does not stop by itself.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from support.real import RealServer, running_llamacpp

from benchmarks.rivals import NotInstalled, environment, version
from pytest_starcoder.model.backends.embedded import model_file
from pytest_starcoder.settings import Settings

SEARCH = 60
"""Seconds of Pynguin's search; writing the tests comes after that."""

MAX_SECONDS = {"pynguin": 300.0, "coverup": 90.0}
"""Seconds after which a rival is killed."""

MAX_ANSWER_TOKENS = 120
"""Tokens of one answer to CoverUp."""

DANGER = "PYNGUIN_DANGER_AWARE"


@dataclass(frozen=True)
class Written:
    """The tests that one rival wrote.

    `last_line` is the last output of one that wrote nothing, `model_use` what the model did for it.
    """

    name: str
    tests: Sequence[Path]
    seconds: float
    last_line: str = ""
    model_use: str = ""


@dataclass
class RequestCount:
    """Requests of a rival to the model at `url`, and how many were answered."""

    url: str = ""
    requests: int = 0
    answers: int = 0


def pynguin(folder: Path, root: Path, module: str) -> Written:
    """Return Pynguin's tests of `module` of the project in `root`. Raises NotInstalled."""
    python = environment(folder.absolute(), "pynguin", ["pynguin"])
    out = root.parent / "pynguin"
    command = [str(python.with_name("pynguin")), "--project-path", str(root)]
    command += ["--module-name", module, "--no-rich", "--output-path", str(out)]
    command += ["--maximum-search-time", str(SEARCH), "--seed", "42"]
    variables = {DANGER: "1", "HOME": str(root.parent)}
    ended = _ended(command, root, variables, MAX_SECONDS["pynguin"])
    name = f"Pynguin {version(python, 'pynguin')}, {SEARCH} s, seed 42"
    return _written(name, sorted(out.glob("test_*.py")), *ended)


def coverup(folder: Path, root: Path, path: str) -> list[Written]:
    """Return CoverUp's tests of a file in `root` by each command tried. Raises NotInstalled."""
    python = environment(folder.absolute(), "coverup", ["coverup"])
    name, tests = f"CoverUp {version(python, 'coverup')}", root / "tests"
    tests.mkdir(exist_ok=True)
    written = []
    with (
        running_llamacpp(model_file(Settings(backend="embedded", model="demo"))) as real,
        bounded(real) as count,
    ):
        variables = {
            "OPENAI_API_KEY": real.key,
            "OPENAI_BASE_URL": count.url,
            "OPENAI_API_BASE": count.url,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the internet for prices
            "HOME": str(root.parent),
            "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        }
        plain = [
            "--package-dir",
            path.partition("/")[0],
            "--tests-dir",
            "tests",
            "--model",
            "openai/local",
            path,
        ]
        for how, more in (("plain", ()), ("prompt gpt-v1", ("--prompt", "gpt-v1"))):
            ended = _ended(
                [str(python.with_name("coverup")), *more, *plain],
                root,
                variables,
                MAX_SECONDS["coverup"],
            )
            rival = _written(f"{name}, {how}", sorted(tests.glob("test_coverup_*.py")), *ended)
            use = f"the demo model answered {count.answers} of {count.requests} requests"
            written.append(replace(rival, model_use=use))
            if count.requests:
                break
    return written


@contextmanager
def bounded(real: RealServer) -> Iterator[RequestCount]:
    """Run a proxy that passes requests on to `real`, limits the answers and counts them."""
    count = RequestCount()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            count.requests += 1
            key = {"authorization": f"Bearer {real.key}"}
            try:
                response = requests.post(
                    f"{real.url}{self.path}",
                    json=body | {"max_tokens": MAX_ANSWER_TOKENS},
                    headers=key,
                    timeout=600,
                )
            except requests.ConnectionError:
                return  # the rival has ended and the model with it
            # llama.cpp names the model by a path, other servers by its requested name.
            answer = response.json() | {"model": body["model"]}
            count.answers += response.ok
            content = json.dumps(answer).encode()
            self.send_response(response.status_code)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    count.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    try:
        yield count
    finally:
        server.shutdown()
        server.server_close()


def last_line(output: str) -> str:
    """Return the last line of output that is no progress bar, without colours."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", output).replace("\r", "\n")
    lines = [line.strip() for line in plain.splitlines()]
    return next((line for line in reversed(lines) if line and "it/s" not in line), "no output")


def attempts(
    tries: Sequence[tuple[str, Callable[[], Sequence[Written]]]],
) -> tuple[list[Written], list[tuple[str, str]]]:
    """Return what each rival wrote, and why others are missing, by name."""
    written: list[Written] = []
    missing = []
    for name, run in tries:
        try:
            written += run()
        except NotInstalled as exc:
            missing.append((name, f"not installed: {exc}"))
    return written, missing


def _ended(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], patience: float
) -> tuple[float, str]:
    """Return the seconds and the output of a program, killed with its children after `patience`."""
    started = time.perf_counter()
    running = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # to kill its children too
    )
    try:
        output, _ = running.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, 9)
        output, _ = running.communicate()
        output += f"\nended after {patience:g} s"
    return time.perf_counter() - started, output


def _written(name: str, tests: Sequence[Path], seconds: float, output: str) -> Written:
    return Written(name, tests, seconds, "" if tests else last_line(output))
