"""Other tools that write tests, run on the same file: Pynguin, and CoverUp with a real server of the demo model.

Each is installed as its users do, into an environment of its own, and nothing
in it is repaired. CoverUp is run by its plain command first; where that asks
no model, again with its prompt that needs no tools. A server of ours stands
between: it hands each question on to the demo model on llama.cpp and bounds the
answer, because CoverUp sets no bound and a base model ends nowhere by itself.
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
"""Seconds that Pynguin searches; its writing comes after that."""

PATIENCE = {"pynguin": 300.0, "coverup": 90.0}
"""Seconds after which a rival is ended."""

ANSWER = 120
"""Tokens of one answer to CoverUp."""

DANGER = "PYNGUIN_DANGER_AWARE"


@dataclass(frozen=True)
class Written:
    """What one rival wrote; `said` is the last line of one that wrote nothing, `asked` what a model did for it."""

    name: str
    tests: Sequence[Path]
    seconds: float
    said: str = ""
    asked: str = ""


@dataclass
class Asked:
    """Questions that a rival put to the model at `url`, and how many were answered."""

    url: str = ""
    requests: int = 0
    answers: int = 0


def pynguin(folder: Path, root: Path, module: str) -> Written:
    """Pynguin's tests of `module` of the project in `root`. Raises NotInstalled."""
    python = environment(folder.absolute(), "pynguin", ["pynguin"])
    out = root.parent / "pynguin"
    ended = _ended(
        [str(python.with_name("pynguin")), "--project-path", str(root), "--module-name", module, "--no-rich",
         "--output-path", str(out), "--maximum-search-time", str(SEARCH), "--seed", "42"],
        root, {DANGER: "1", "HOME": str(root.parent)}, PATIENCE["pynguin"],
    )  # fmt: skip
    name = f"Pynguin {version(python, 'pynguin')}, {SEARCH} s, seed 42"
    return _written(name, sorted(out.glob("test_*.py")), *ended)


def coverup(folder: Path, root: Path, path: str) -> list[Written]:
    """CoverUp's tests of a file of the project in `root`, by each command that was tried. Raises NotInstalled."""
    python = environment(folder.absolute(), "coverup", ["coverup"])
    name, tests = f"CoverUp {version(python, 'coverup')}", root / "tests"
    tests.mkdir(exist_ok=True)
    found = []
    with (
        running_llamacpp(model_file(Settings(backend="embedded", model="demo"))) as real,
        bounded(real) as asked,
    ):
        own = {
            "OPENAI_API_KEY": real.key,
            "OPENAI_BASE_URL": asked.url,
            "OPENAI_API_BASE": asked.url,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the internet for prices, and waits
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
                [str(python.with_name("coverup")), *more, *plain], root, own, PATIENCE["coverup"]
            )
            one = _written(f"{name}, {how}", sorted(tests.glob("test_coverup_*.py")), *ended)
            found.append(
                replace(
                    one,
                    asked=f"the demo model has answered {asked.answers} of {asked.requests} requests",
                )
            )
            if asked.requests:
                break
    return found


@contextmanager
def bounded(real: RealServer) -> Iterator[Asked]:
    """A server that hands questions on to `real` with a bound of ANSWER tokens, and counts."""
    asked = Asked()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.requests += 1
            key = {"authorization": f"Bearer {real.key}"}
            try:
                told = requests.post(
                    f"{real.url}{self.path}",
                    json=body | {"max_tokens": ANSWER},
                    headers=key,
                    timeout=600,
                )
            except requests.ConnectionError:
                return  # the rival has ended and the model with it
            answer = told.json() | {
                "model": body["model"]
            }  # llama.cpp tells a path, servers elsewhere what was asked
            asked.answers += told.ok
            content = json.dumps(answer).encode()
            self.send_response(told.status_code)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """It says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    asked.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()


def last_words(output: str) -> str:
    """The last line of a tool's output that is no progress bar, without colours, or `it said nothing`."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", output).replace("\r", "\n")
    lines = [line.strip() for line in plain.splitlines()]
    return next(
        (line for line in reversed(lines) if line and "it/s" not in line), "it said nothing"
    )


def attempts(
    tries: Sequence[tuple[str, Callable[[], Sequence[Written]]]],
) -> tuple[list[Written], list[tuple[str, str]]]:
    """What each rival wrote, and by name why one is not there."""
    written: list[Written] = []
    missing = []
    for name, run in tries:
        try:
            written += run()
        except NotInstalled as exc:
            missing.append((name, f"not installed: {exc}"))
    return written, missing


def _ended(
    command: Sequence[str], folder: Path, own: Mapping[str, str], patience: float
) -> tuple[float, str]:
    """Seconds and output of a program that is ended, with all it has started, after `patience` seconds."""
    started = time.perf_counter()
    running = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **own}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = running.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, 9)
        output, _ = running.communicate()
        output += f"\nended after {patience:g} s"
    return time.perf_counter() - started, output


def _written(name: str, tests: Sequence[Path], seconds: float, output: str) -> Written:
    return Written(name, tests, seconds, "" if tests else last_words(output))
