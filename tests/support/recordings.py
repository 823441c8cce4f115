"""Real exchanges with a real server, kept in a file and replayed over real HTTP.

`recording` stands before a server and keeps what is asked and answered,
`replaying` answers from a file. `kept` and `replayed` are these two for a
fixture; `python -m support.record`, run in tests/, makes the files anew.
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
"""The command that makes every recording anew."""

HEADERS = ("Content-Type", "Retry-After", "Transfer-Encoding")
"""Of an answer's headers, those that a client of ours may read."""

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
"""What is another at each run or on each machine (times, paths, names of the moment), and what stands there instead."""


@dataclass(frozen=True)
class Asked:
    """A request; `body` is its JSON in one spelling. Two are the same where all three are."""

    method: str
    path: str
    body: str

    @classmethod
    def of(cls, method: str, path: str, body: Any) -> Asked:
        return cls(method, path, json.dumps(body, sort_keys=True))


@dataclass(frozen=True)
class Answer:
    """What a server answered; `chunks` are its own where the body was chunked, and otherwise one."""

    status: int
    headers: Mapping[str, str]
    chunks: tuple[bytes, ...]


@dataclass
class Recording:
    """Requests and what answered each, in the order of the answers; `server` says what gave them."""

    server: str = ""
    answers: dict[Asked, list[Answer]] = field(default_factory=dict)

    def keep(self, asked: Asked, answer: Answer) -> None:
        """Adds an answer that is another than the last one to the same request."""
        known = self.answers.setdefault(asked, [])
        if known[-1:] != [answer]:
            known.append(answer)

    def save(self, file: Path) -> None:
        """One block a request, sorted, so that a difference shows what changed."""
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
        found = json.loads(file.read_text("utf-8"))
        answers = {
            Asked.of(**exchange["request"]): [
                Answer(
                    answer["status"],
                    answer["headers"],
                    tuple(_read(chunk) for chunk in answer["body"]),
                )
                for answer in exchange["answers"]
            ]
            for exchange in found["exchanges"]
        }
        return cls(found["server"], answers)

    def missing(self, asked: Asked) -> str:
        """What to say of a request that is not here, with what tells it from the closest that is."""
        others = [
            other
            for other in self.answers
            if (other.method, other.path) == (asked.method, asked.path)
        ]
        differences = sorted((_differences(asked, other) for other in others), key=len)
        closest = f"; the closest differs in {', '.join(differences[0])}" if differences else ""
        request = f"{asked.method} {asked.path} was not recorded{closest}."
        return f"{request} Record anew with `{RECORD}`. Asked was: {asked.body[:1000]}"


# --- recording and replaying ---------------------------------------------------------------


@contextmanager
def recording(target: str, into: Recording) -> Iterator[str]:
    """The URL of a relay before the server at `target`: what is asked there goes `into` a recording.

    An answer is passed on once it is whole, and as it is kept: neutral. Of the
    request's headers, such as a key, nothing is kept.
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
            chunks = (
                raw.read_chunked(decode_content=False)
                if raw.chunked
                else [raw.read(decode_content=False)]
            )
            found = {name: response.headers[name] for name in HEADERS if name in response.headers}
            into.keep(
                asked, kept := Answer(response.status_code, found, tuple(map(_neutral, chunks)))
            )
        return kept

    with _answering(answer) as url:
        yield url


@contextmanager
def replaying(file: Path) -> Iterator[str]:
    """The URL of a server that gives the answers in `file`, the last to a request again and again.

    What was not recorded is answered with 501, and fails the test at the end of
    the block, even one that took the 501 for an error it waited for.
    """
    known = Recording.load(file)
    turns: Counter[Asked] = Counter()
    missed: list[str] = []

    def answer(asked: Asked, _content: bytes, _headers: Mapping[str, str]) -> Answer:
        if asked not in known.answers:
            missed.append(known.missing(asked))
            text = json.dumps({"error": missed[-1]})
            return Answer(501, {"Content-Type": "application/json"}, (text.encode(),))
        answers = known.answers[asked]
        turns[asked] += 1
        return answers[min(turns[asked], len(answers)) - 1]

    with _answering(answer) as url:
        yield url
    if missed:
        pytest.fail(
            "\n".join([f"{file.name} is not what is asked any more.", *missed]), pytrace=False
        )


@contextmanager
def _answering(answer: Callable[[Asked, bytes, Mapping[str, str]], Answer]) -> Iterator[str]:
    """The URL of a server that sends what `answer` makes of a request, its bytes and its headers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            self._send(b"")

        def do_POST(self) -> None:
            self._send(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _send(self, content: bytes) -> None:
            asked = Asked.of(self.command, self.path, json.loads(content or b"null"))
            found = answer(asked, content, dict(self.headers))
            chunked = "Transfer-Encoding" in found.headers
            self.send_response_only(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            if not chunked:
                self.send_header("Content-Length", str(sum(map(len, found.chunks))))
            with contextlib.suppress(ConnectionError):
                self.end_headers()
                for chunk in found.chunks:
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


def _differences(one: Asked, other: Asked) -> list[str]:
    """The names of the fields in which two bodies differ, those within an object behind its own."""
    ours, theirs = dict(_fields(json.loads(one.body))), dict(_fields(json.loads(other.body)))
    return [
        name or "its body"
        for name in sorted(ours.keys() | theirs)
        if ours.get(name) != theirs.get(name)
    ]


def _fields(body: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(body, dict) and body:
        for key, value in body.items():
            yield from _fields(value, f"{name}.{key}" if name else key)
    else:
        yield name, json.dumps(body)


# --- for fixtures --------------------------------------------------------------------------

RECORDINGS = pytest.StashKey[dict[Path, Recording]]()
"""Where a run of `support.record` has its recordings in pytest's configuration; no other run has any."""


def kept(request: pytest.FixtureRequest, file: Path, url: str) -> str:
    """`url`, a real server's; where recordings are being made, that of a relay that keeps what is asked for `file`."""
    recordings = request.config.stash.get(RECORDINGS, None)
    if recordings is None:
        return url
    return _entered(request, recording(url, recordings.setdefault(file, Recording())))


def replayed(request: pytest.FixtureRequest, file: Path) -> str:
    """The URL of a replay of `file` that lasts as long as the fixture; skipped where recordings are being made."""
    if RECORDINGS in request.config.stash:
        pytest.skip("the recordings are being made anew")
    return _entered(request, replaying(file))


def _entered(request: pytest.FixtureRequest, server: AbstractContextManager[str]) -> str:
    stack = ExitStack()
    request.addfinalizer(stack.close)
    return stack.enter_context(server)
