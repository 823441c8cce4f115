"""Servers that misbehave on demand, over real HTTP on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

DIGEST = "0123456789abcdef" * 4


@dataclass
class Request:
    method: str
    path: str
    body: Any
    headers: dict[str, str]


Reply = tuple[int, bytes | dict[str, Any]]


@dataclass
class FakeOllama:
    """Speaks Ollama's API; every attribute can be changed while it runs.

    `answer` is what it writes, a chunk a word, as far as `num_predict` and `stop`
    let it; `delay` the seconds before the first. `replies` gives a path another
    reply altogether, (status, body), or a list of those for its next requests.
    `likelihood` is the logarithm that it tells of every word, None for a server
    that tells none. `requests` holds all that it was asked.
    """

    url: str = ""
    answer: str | Callable[[str], str] = " the divisor is one too small."
    delay: float = 0.0
    model: str = "starcoder2:7b"
    digest: str = DIGEST
    architecture: str = "starcoder2"
    window: int = 16384
    loaded: int | None = None
    evaluated: int | None = None
    ending: str = "done"
    likelihood: float | None = None
    tags: dict[str, Any] = field(default_factory=dict)
    replies: dict[str, Reply | list[Reply]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def asked(self, path: str = "/api/generate") -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def prompts(self) -> list[str]:
        return [request.body["prompt"] for request in self.asked()]

    def other_reply(self, path: str) -> Reply | None:
        found = self.replies.get(path)
        if isinstance(found, list):
            return found.pop(0) if found else None
        return found

    def reply(self, request: Request) -> tuple[int, bytes]:
        if request.path == "/api/chat":  # as one whole: other tools than ours ask for that
            return 200, json.dumps(self.chatted(request.body["messages"][-1]["content"])).encode()
        models = [{"name": self.model, "model": self.model, "digest": self.digest, **self.tags}]
        ps = [{**models[0], "context_length": self.loaded}] if self.loaded else []
        info = {
            "general.architecture": self.architecture,
            f"{self.architecture}.context_length": self.window,
        }
        bodies: dict[str, dict[str, Any]] = {
            "/api/version": {"version": "0.24.0"},
            "/api/tags": {"models": models},
            "/api/ps": {"models": ps},
            "/api/show": {"model_info": info, "capabilities": ["completion"]},
        }
        body = bodies.get(request.path, {"error": "404 page not found"})
        status = 404 if "error" in body else 200
        return status, json.dumps(body).encode()

    def chatted(self, prompt: str) -> dict[str, Any]:
        text = self.answer(prompt) if callable(self.answer) else self.answer
        time.sleep(self.delay)
        return {
            "model": self.model,
            "message": {"role": "assistant", "content": text},
            "done": True,
        }

    def chunks(self, prompt: str, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
        text = self.answer(prompt) if callable(self.answer) else self.answer
        for stop in options.get("stop", ()):
            text = text.partition(stop)[0]
        words = re.findall(r"^[^ ]*| [^ ]*", text)
        limit = options.get("num_predict", len(words))
        for word in words[:limit]:
            told = (
                {}
                if self.likelihood is None
                else {"logprobs": [{"token": word, "logprob": self.likelihood}]}
            )
            yield {"model": self.model, "response": word, "done": False, **told}
        evaluated = (
            max(1, len(prompt) // 4, len(prompt.split()))
            if self.evaluated is None
            else self.evaluated
        )
        reason = "length" if limit < len(words) else "stop"
        last = {"model": self.model, "response": "", "done": True, "done_reason": reason}
        counts = {"prompt_eval_count": evaluated, "eval_count": min(limit, len(words))}
        if self.ending == "done":
            yield last | counts
        elif self.ending == "length":
            yield last | counts | {"done_reason": "length"}
        elif self.ending == "error":
            yield {"error": "an error was encountered while running the model"}


@contextlib.contextmanager
def fake_ollama(host: str = "127.0.0.1", **attributes: Any) -> Iterator[FakeOllama]:
    """A server on `host`, an address of this machine, for as long as the block lasts."""
    fake = FakeOllama(**attributes)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(
                json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
            )

        def _answer(self, body: Any) -> None:
            request = Request(self.command, self.path, body, dict(self.headers))
            fake.requests.append(request)
            with contextlib.suppress(ConnectionError):
                if (other := fake.other_reply(self.path)) is not None:
                    status, content = other
                    self._whole(
                        status,
                        content if isinstance(content, bytes) else json.dumps(content).encode(),
                    )
                elif self.path == "/api/generate":
                    self._stream(body["prompt"], body.get("options", {}))
                else:
                    self._whole(*fake.reply(request))

        def _whole(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _stream(self, prompt: str, options: dict[str, Any]) -> None:
            time.sleep(fake.delay)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in fake.chunks(prompt, options):
                line = json.dumps(chunk).encode() + b"\n"
                self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
                self.wfile.flush()
            if fake.ending == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self.wfile.write(b"0\r\n\r\n")

    with _serving(Handler, host) as fake.url:
        yield fake


@dataclass
class Relay:
    """Stands before a real server, passes everything on and keeps what was asked in `requests`."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]


@contextlib.contextmanager
def relay(target: str) -> Iterator[Relay]:
    """A relay before the server at the URL `target`."""
    seen = Relay()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            self._pass_on(b"")

        def do_POST(self) -> None:
            self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

        def _pass_on(self, body: bytes) -> None:
            seen.requests.append(
                Request(self.command, self.path, json.loads(body or b"null"), dict(self.headers))
            )
            there = http.client.HTTPConnection(urlsplit(target).netloc, timeout=30)
            with contextlib.closing(there):
                there.request(self.command, self.path, body, dict(self.headers))
                answer = there.getresponse()
                self.send_response(answer.status)
                self.end_headers()
                while block := answer.read1(2**16):
                    self.wfile.write(block)

    with _serving(Handler, "127.0.0.1") as seen.url:
        yield seen


class _Server(ThreadingHTTPServer):
    """One that says nothing about a client that has gone."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def _serving(handler: type[BaseHTTPRequestHandler], host: str) -> Iterator[str]:
    server = _Server((host, 0), handler)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def raw_server(behave: Callable[[socket.socket], None], *, read: bool = True) -> Iterator[str]:
    """The URL of a server that does what `behave` does with each connection, once the request is read if `read`."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if read:
                _read_request(connection)
            behave(connection)

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _read_request(connection: socket.socket) -> None:
    """All of it: closing before that resets the connection, and an answer can be lost."""
    with connection.makefile("rb") as file:
        length = 0
        while (line := file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        file.read(length)


def closed_port() -> str:
    """A URL at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def hangs(_connection: socket.socket) -> None:
    time.sleep(30)


def drips_headers(connection: socket.socket) -> None:
    _drip(connection, OK + b"X-Slow: " + b"a" * 10_000)


def drips_body(connection: socket.socket) -> None:
    connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    _drip(connection, b"1\r\n \r\n" * 10_000)


def _drip(connection: socket.socket, content: bytes) -> None:
    for byte in content:
        connection.sendall(bytes([byte]))
        time.sleep(0.02)


def closes(_connection: socket.socket) -> None: ...


def answers(
    content: bytes, status: str = "200 OK", *headers: str
) -> Callable[[socket.socket], None]:
    """A server that gives every request the same whole answer."""
    head = "".join(
        f"{line}\r\n"
        for line in (f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers)
    )

    def behave(connection: socket.socket) -> None:
        connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + content)

    return behave


def cuts(connection: socket.socket) -> None:
    connection.sendall(OK + b"Content-Length: 1000\r\n\r\n" + b'{"response": "ha')


def floods(connection: socket.socket) -> None:
    flooding([])(connection)


def flooding(sent: list[int]) -> Callable[[socket.socket], None]:
    """A server whose answer has no end; `sent` gets how many bytes of it went out at a time."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(OK + b"\r\n")
        while True:
            connection.sendall(b"a" * 2**16)
            sent.append(2**16)

    return behave


WEB_PAGE = answers(b"<!doctype html><title>It works!</title>")
BAD_UTF8 = answers(b'{"version": "\xff\xfe"')
EMPTY = answers(b"")
REDIRECT = answers(b"", "307 Temporary Redirect", "Location: http://127.0.0.2:9/elsewhere")
ERROR_500 = answers(b'{"error": "boom"}', "500 Internal Server Error")
ERROR_503 = answers(
    b'{"error": "server busy, please try again.  maximum pending requests exceeded"}', "503 Busy"
)
ERROR_LINE = answers(b'{"error": "boom"}\n')
NOT_FOUND = answers(b"404 page not found", "404 Not Found")
