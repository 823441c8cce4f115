"""Exchanges with real servers, recorded in files and replayed over real HTTP.

`recording` is a proxy of a server that records requests and answers; `replaying` answers from
a file. `recorded` and `replayed` are their forms for fixtures. To record the files again, run
`python -m support.record` in tests/.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests

from support.servers import DIGEST, _serving

FOLDER = Path(__file__).parents[1] / "recordings"
OLLAMA = FOLDER / "ollama-0.24.json"
LLAMACPP = FOLDER / "llamacpp.json"

RECORD = "cd tests && python -m support.record"
"""The command that records all files again."""

HEADERS = ("Content-Type", "Retry-After", "Transfer-Encoding")
"""Headers of an answer that our client may read."""

NEUTRAL = (
    (rb'"(created_at|modified_at|expires_at)":"[^"]+"', rb'"\1":"2026-01-01T00:00:00Z"'),
    (rb'"(created|\w+_duration|\w+_ms|\w+_per_second)":[\d.e+-]+', rb'"\1":1'),
    # Ollama's digest of a model covers the path of its file.
    (rb'"digest":"[0-9a-f]{64}"', b'"digest":"%b"' % DIGEST.encode()),
    (rb'"(chat)?cmpl-\w+"', rb'"cmpl-1"'),
    (rb"<__media_\w+__>", rb"<__media__>"),
    (rb'[^"\s]+/blobs/', rb"/models/blobs/"),
    (rb'[^"\s]+/([\w-]+\.gguf)', rb"/models/\1"),
)
"""Text that differs between runs or machines (times, paths, ids), and its replacement."""


@dataclass(frozen=True)
class Asked:
    """A request; `body` is its JSON with sorted keys."""

    method: str
    path: str
    body: str

    @classmethod
    def of(cls, method: str, path: str, body: Any) -> Asked:
        return cls(method, path, json.dumps(body, sort_keys=True))


@dataclass(frozen=True)
class Answer:
    """A server's answer; a body that was not chunked is a single chunk."""

    status: int
    headers: Mapping[str, str]
    chunks: tuple[bytes, ...]


@dataclass
class Recording:
    """Requests, each with its answers in order; `server` is its name and version."""

    server: str = ""
    answers: dict[Asked, list[Answer]] = field(default_factory=dict)

    def add(self, asked: Asked, answer: Answer) -> None:
        """Add an answer, unless it equals the last one to the same request."""
        answers = self.answers.setdefault(asked, [])
        if answers[-1:] != [answer]:
            answers.append(answer)

    def save(self, file: Path) -> None:
        """Write the exchanges sorted by request, so that diffs are readable."""
        exchanges = [
            {
                "request": {
                    "method": asked.method,
                    "path": asked.path,
                    "body": json.loads(asked.body),
                },
                "answers": [
                    {
                        "status": answer.status,
                        "headers": answer.headers,
                        "body": [_written(c) for c in answer.chunks],
                    }
                    for answer in self.answers[asked]
                ],
            }
            for asked in sorted(
                self.answers, key=lambda asked: (asked.path, asked.method, asked.body)
            )
        ]
        text = json.dumps({"server": self.server, "exchanges": exchanges}, indent=1)
        file.write_text(text + "\n", "utf-8")

    @classmethod
    def load(cls, file: Path) -> Recording:
        content = json.loads(file.read_text("utf-8"))
        answers = {
            Asked.of(**exchange["request"]): [
                Answer(
                    answer["status"],
                    answer["headers"],
                    tuple(_read(chunk) for chunk in answer["body"]),
                )
                for answer in exchange["answers"]
            ]
            for exchange in content["exchanges"]
        }
        return cls(content["server"], answers)

    def missing(self, asked: Asked) -> str:
        """Return a message about an unrecorded request that names the closest recorded one."""
        differences: list[list[str]] = []
        for recorded_request in self.answers:
            address = (recorded_request.method, recorded_request.path)
            if address == (asked.method, asked.path):
                differences.append(_differences(asked, recorded_request))
        closest = ""
        if differences:
            fewest = sorted(differences, key=len)[0]
            closest = f"; the closest differs in {', '.join(fewest)}"
        request = f"{asked.method} {asked.path} was not recorded{closest}."
        return f"{request} Record again with `{RECORD}`. Asked was: {asked.body[:1000]}"


# --- recording and replaying ---------------------------------------------------------------


@contextmanager
def recording(target: str, into: Recording) -> Iterator[str]:
    """Yield the URL of a proxy of `target` that adds every exchange to a recording.

    Answers are passed on whole, with neutral values, as they are recorded. Request headers,
    such as a key, are not recorded.
    """

    def answer(asked: Asked, content: bytes, headers: Mapping[str, str]) -> Answer:
        passed = {
            name: value
            for name, value in headers.items()
            if name.lower() not in ("host", "content-length")
        }
        with requests.request(
            asked.method,
            target + asked.path,
            data=content,
            headers=passed,
            stream=True,
            allow_redirects=False,
            timeout=60,
        ) as response:
            raw = response.raw
            if raw.chunked:
                chunks = raw.read_chunked(decode_content=False)
            else:
                chunks = [raw.read(decode_content=False)]
            shown = {name: response.headers[name] for name in HEADERS if name in response.headers}
            neutral = tuple(_neutral(chunk) for chunk in chunks)
            recorded_answer = Answer(response.status_code, shown, neutral)
        into.add(asked, recorded_answer)
        return recorded_answer

    with _answering(answer) as url:
        yield url


@contextmanager
def replaying(file: Path) -> Iterator[str]:
    """Yield the URL of a server that gives the answers in `file`, repeating the last of each.

    A request that was not recorded is answered with 501 and fails the test at the end of the
    block, even if the test expects an error.
    """
    known_exchanges = Recording.load(file)
    turns: Counter[Asked] = Counter()
    missed: list[str] = []

    def answer(asked: Asked, _content: bytes, _headers: Mapping[str, str]) -> Answer:
        if asked not in known_exchanges.answers:
            missed.append(known_exchanges.missing(asked))
            text = json.dumps({"error": missed[-1]})
            return Answer(501, {"Content-Type": "application/json"}, (text.encode(),))
        answers = known_exchanges.answers[asked]
        turns[asked] += 1
        return answers[min(turns[asked], len(answers)) - 1]

    with _answering(answer) as url:
        yield url
    if missed:
        message = "\n".join([f"{file.name} is outdated.", *missed])
        pytest.fail(message, pytrace=False)


@contextmanager
def _answering(answer: Callable[[Asked, bytes, Mapping[str, str]], Answer]) -> Iterator[str]:
    """Yield the URL of a server that sends the result of `answer(request, body, headers)`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            self._send(b"")

        def do_POST(self) -> None:
            self._send(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _send(self, content: bytes) -> None:
            asked = Asked.of(self.command, self.path, json.loads(content or b"null"))
            reply = answer(asked, content, dict(self.headers))
            chunked = "Transfer-Encoding" in reply.headers
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if not chunked:
                self.send_header("Content-Length", str(sum(map(len, reply.chunks))))
            with contextlib.suppress(ConnectionError):
                self.end_headers()
                for chunk in reply.chunks:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
                self.wfile.write(b"0\r\n\r\n" if chunked else b"")

    with _serving(Handler, "127.0.0.1") as url:
        yield url


def _neutral(chunk: bytes) -> bytes:
    for pattern, instead in NEUTRAL:
        chunk = re.sub(pattern, instead, chunk)
    return chunk


def _written(chunk: bytes) -> str | dict[str, str]:
    try:
        return chunk.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(chunk).decode()}


def _read(chunk: str | dict[str, str]) -> bytes:
    return chunk.encode() if isinstance(chunk, str) else base64.b64decode(chunk["base64"])


def _differences(first: Asked, second: Asked) -> list[str]:
    """Return the dotted names of the fields in which two bodies differ."""
    first_fields = dict(_fields(json.loads(first.body)))
    second_fields = dict(_fields(json.loads(second.body)))
    differences = []
    for name in sorted(first_fields.keys() | second_fields):
        if first_fields.get(name) != second_fields.get(name):
            differences.append(name or "its body")
    return differences


def _fields(body: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(body, dict) and body:
        for key, value in body.items():
            yield from _fields(value, f"{name}.{key}" if name else key)
    else:
        yield name, json.dumps(body)


# --- for fixtures --------------------------------------------------------------------------

RECORDINGS = pytest.StashKey[dict[Path, Recording]]()
"""The recordings in pytest's configuration; only a run of `support.record` has them."""


def recorded(request: pytest.FixtureRequest, file: Path, url: str) -> str:
    """Return `url`, or that of a recording proxy before it during a run of `support.record`."""
    recordings = request.config.stash.get(RECORDINGS, None)
    if recordings is None:
        return url
    return _entered(request, recording(url, recordings.setdefault(file, Recording())))


def replayed(request: pytest.FixtureRequest, file: Path) -> str:
    """Return the URL of a replay of `file`; skips the test during a run of `support.record`."""
    if RECORDINGS in request.config.stash:
        pytest.skip("the recordings are being made again")
    return _entered(request, replaying(file))


def _entered(request: pytest.FixtureRequest, server: AbstractContextManager[str]) -> str:
    stack = ExitStack()
    request.addfinalizer(stack.close)
    return stack.enter_context(server)
