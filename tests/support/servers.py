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
    """A server with Ollama's API; every attribute can be changed while it runs.

    It streams `answer` word by word within `num_predict` and `stop`, after `delay` seconds.
    `replies` overrides the reply (status, body) of a path, or lists its next replies.
    `likelihood` is the log probability of every word; None if the server reports none.
    `requests` are all requests so far.
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
        replies = self.replies.get(path)
        if isinstance(replies, list):
            return replies.pop(0) if replies else None
        return replies

    def reply(self, request: Request) -> tuple[int, bytes]:
        if request.path == "/api/chat":  # not streamed: other tools ask for it, ours never does
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
            chunk: dict[str, Any] = {"model": self.model, "response": word, "done": False}
            if self.likelihood is not None:
                chunk["logprobs"] = [{"token": word, "logprob": self.likelihood}]
            yield chunk
        evaluated = self.evaluated
        if evaluated is None:
            evaluated = max(1, len(prompt) // 4, len(prompt.split()))
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
    """Run a server on `host`, an address of this machine, for the duration of the block."""
    fake = FakeOllama(**attributes)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(json.loads(content or b"null"))

        def _answer(self, body: Any) -> None:
            request = Request(self.command, self.path, body, dict(self.headers))
            fake.requests.append(request)
            with contextlib.suppress(ConnectionError):
                override = fake.other_reply(self.path)
                if override is not None:
                    status, content = override
                    if not isinstance(content, bytes):
                        content = json.dumps(content).encode()
                    self._whole(status, content)
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
    """A proxy of a real server that records all `requests`."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]


@contextlib.contextmanager
def relay(target: str) -> Iterator[Relay]:
    """Run a relay before the server at the URL `target`."""
    proxy = Relay()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            self._pass_on(b"")

        def do_POST(self) -> None:
            self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

        def _pass_on(self, body: bytes) -> None:
            proxy.requests.append(
                Request(self.command, self.path, json.loads(body or b"null"), dict(self.headers))
            )
            connection = http.client.HTTPConnection(urlsplit(target).netloc, timeout=30)
            with contextlib.closing(connection):
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                self.send_response(answer.status)
                self.end_headers()
                while block := answer.read1(2**16):
                    self.wfile.write(block)

    with _serving(Handler, "127.0.0.1") as proxy.url:
        yield proxy


class _Server(ThreadingHTTPServer):
    """A server that does not complain about clients that disconnect."""

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
    """Yield the URL of a server that calls `behave` with each connection.

    The request is read before that if `read` is true.
    """
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
    """Read a whole request: closing earlier resets the connection, which may lose the answer."""
    with connection.makefile("rb") as file:
        length = 0
        while (line := file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        file.read(length)


def closed_port() -> str:
    """Return a URL at which nothing listens."""
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
    """Return the behaviour of a server that answers every request alike."""
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
    """Return the behaviour of a server whose answer never ends.

    The number of bytes of each chunk is added to `sent`.
    """

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
