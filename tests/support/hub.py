"""A hub that speaks Hugging Face's HTTP, and the other host that it redirects to."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from pytest_starcoder.model.backends.hub_models import HubModel
from support.servers import Request, _serving

CONTENT = b"GGUF" + bytes(range(256)) * 10_000
"""More than two of the blocks of 1 MiB that a download is written in."""

MODEL = HubModel(
    name="tiny:1b",
    repository="someone/Tiny-GGUF",
    revision="0123456789" * 4,
    file_name="tiny-q4.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    license="MIT",
)

SIGNATURE = "signed-by-the-hub"


@dataclass
class FakeHub:
    """A hub with one file; every attribute can be changed while it runs.

    `status` and `error_code` refuse the file, `gated` only to those without `token`. It redirects
    to the `storage` server, or sends the file itself if `sends` is true. `cuts` are the numbers of
    bytes after which the next responses break off, and `held` stops one after 1.5 MiB until set.
    """

    url: str = ""
    storage: str = ""
    content: bytes = CONTENT
    claimed_sha256: str = MODEL.sha256
    claimed_size: int = MODEL.size
    status: int = 200
    error_code: str = ""
    gated: int = 0
    token: str = "hf_right"
    sends: bool = False
    knows_ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    held: threading.Event | None = None
    requests: list[Request] = field(default_factory=list)
    stored: list[Request] = field(default_factory=list)

    def refusal(self, request: Request) -> tuple[int, str]:
        """Return the status and the code of the error that answers a request; 200 if none."""
        wanted = f"/{MODEL.repository}/resolve/{MODEL.revision}/{MODEL.file_name}"
        if request.path != wanted:
            return 404, "EntryNotFound"
        if self.gated and request.headers.get("authorization") != f"Bearer {self.token}":
            return self.gated, "GatedRepo"
        return self.status, self.error_code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        raise NotImplementedError

    def _request(self) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, self.path, None, headers)

    def _send_file(self) -> None:
        content = self.hub.content
        start = 0
        asked = self.headers.get("Range")
        if asked and self.hub.knows_ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self._write(body)

    def _write(self, body: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            if self.hub.cuts:
                self.wfile.write(body[: self.hub.cuts.pop(0)])
                self.close_connection = True
            elif self.hub.held:
                self.wfile.write(body[: 3 * 2**19])
                self.hub.held.wait(30)
            else:
                self.wfile.write(body)


class _HubHandler(_Handler):
    def _answer(self) -> None:
        request = self._request()
        self.hub.requests.append(request)
        status, code = self.hub.refusal(request)
        if status == 200 and self.command == "GET":
            self._send_file()
            return
        self.send_response(status if status != 200 or self.hub.sends else 302)
        if status == 200:
            self.send_header("X-Repo-Commit", MODEL.revision)
            self.send_header("X-Linked-ETag", f'"{self.hub.claimed_sha256}"')
            self.send_header("X-Linked-Size", str(self.hub.claimed_size))
            if not self.hub.sends:
                location = f"{self.hub.storage}/{MODEL.sha256}?signature={SIGNATURE}"
                self.send_header("Location", location)
        elif code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _StorageHandler(_Handler):
    def _answer(self) -> None:
        self.hub.stored.append(self._request())
        self._send_file()


@contextlib.contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Run a hub and its storage for the duration of the block."""
    hub = FakeHub()
    hub_handler = type("HubHandler", (_HubHandler,), {"hub": hub})
    storage_handler = type("StorageHandler", (_StorageHandler,), {"hub": hub})
    with (
        _serving(hub_handler, "127.0.0.1") as hub.url,
        _serving(storage_handler, "localhost") as hub.storage,
    ):
        yield hub
