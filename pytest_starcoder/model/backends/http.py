"""HTTP to a model server, and the one place where its failures become our errors.

A path and a JSON body go in; a JSON object or a stream of lines comes out, within a deadline that
holds even if the server is silent, slow or endless. Redirects are not followed: code and keys go
only to the host that was configured.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import BackendTimeout, BackendUnavailable, BadResponse, StarcoderError
from pytest_starcoder.interpreter import installed
from pytest_starcoder.model.backends.tokens import estimate
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.address import is_loopback
from pytest_starcoder.text.display import one_line

with installed("requests"):
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.exceptions import HTTPError, MaxRetryError, ReadTimeoutError

MAX_BODY = 16 * 2**20
"""Maximum number of bytes read of one answer; real ones are far smaller."""

CHECK_LOG = "Check its log."


class HttpBackend:
    """Defaults for backends whose server cannot count, has no version, and stays running."""

    def count(self, text: str, deadline: Deadline) -> int:
        return estimate(text)

    def version(self, deadline: Deadline) -> str:
        return ""

    def close(self) -> None:
        """Do nothing: no connection outlives its request."""


class ErrorReply:
    """An error of a server: an error status, or an error within the stream of a 200.

    `error` is the message in the body `text`, on one line. The backend knows what it means.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.text = text
        self.error = error_text(text).rstrip(".")
        self.headers = {name.lower(): value for name, value in (headers or {}).items()}

    @property
    def summary(self) -> str:
        """Status and error for a message, without a status of 200."""
        return f"{self.status}: {self.error}".removeprefix("200: ").removesuffix(": ")

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait according to the header; None if there is none."""
        value = self.headers.get("retry-after", "").strip()
        # Model servers send seconds, not the date that HTTP allows as well.
        return float(value) if re.fullmatch(r"\d{1,9}(\.\d*)?", value) else None


def error_text(body: str) -> str:
    """Return the message in a JSON error body on one line, or else the body itself.

    Servers send a text, an object with a message, or a text that is such an object.
    """
    try:
        error = json.loads(body)
    except (ValueError, RecursionError):
        return one_line(body)
    while isinstance(error, dict):
        error = error.get("error") or error.get("message")
    return error_text(error) if isinstance(error, str) else one_line(body)


def unexpected_reply(reply: ErrorReply, place: str, label: str) -> BadResponse:
    """Return the error for a reply that has no meaning of its own."""
    if reply.status in (404, 405):
        return BadResponse(
            f"{place} does not answer like {label} ({reply.summary}).",
            f"Is another program listening there? Set host to where {label} runs.",
        )
    name = re.sub("^the ", "The ", label)
    return BadResponse(f"{name} at {place} failed ({reply.summary}).", CHECK_LOG)


def timeout_hint(deadline: Deadline) -> str:
    """Return what to do about a deadline that was too short."""
    name = f"STARCODER_{deadline.setting.upper()}"
    return f"Give it longer with {name} (seconds), or use a smaller model."


def api_key_for_host(settings: Settings) -> str:
    """Return the API key to send to `settings.host`; none if a tracked file names that host."""
    return "" if "host" in settings.tracked else settings.api_key


def digest(*facts: object) -> str:
    """Return a digest of facts about a model, for servers that have none."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Server:
    """A model server at `url` (made by `settings.server_url`), called `name` in messages.

    `start` is the hint for a server that does not answer. `to_error` translates an error of the
    server. Every method raises a StarcoderError. No connection is kept between two requests. Not
    for use from two threads at once.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        *,
        name: str,
        start: str,
        to_error: Callable[[ErrorReply], StarcoderError],
        api_key: str = "",
    ) -> None:
        self.url = url
        self.name = name
        self.to_error = to_error
        self.redirect_hint = f"Set host to the address where {name} runs."
        self._start = start
        self._key = api_key
        self._settings = settings
        self._sockets: list[socket.socket] = []
        self._session = requests.Session()
        # Elsewhere the user's proxy applies, but never a login from .netrc.
        self._session.trust_env = not is_loopback(url)
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        self._session.auth = _without_login
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.headers["Connection"] = "close"
        if api_key:
            self._session.headers["Authorization"] = f"Bearer {api_key}"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._sockets))

    def get(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """Return the JSON object at `path`."""
        return self._request_object("GET", path, None, deadline)

    def post(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Return the JSON object that answers `body`."""
        return self._request_object("POST", path, body, deadline)

    def lines(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> Generator[str]:
        """Yield the lines that answer `body` as they arrive, at least one and none blank.

        Closing the generator ends the request, and the work of the server.
        """
        rest = bytearray()
        is_empty = True
        with self._request("POST", path, body, deadline) as chunks:
            for chunk in chunks:
                rest += chunk
                # Splitting only at a newline keeps a body of one long line linear.
                if b"\n" not in chunk:
                    continue
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    if line.strip():
                        is_empty = False
                        yield self._decode(line)
            if rest.strip():
                yield self._decode(rest)
            elif is_empty:
                raise BadResponse(f"{self.name} at {self.url} returned an empty answer.", CHECK_LOG)

    def parse(self, text: str) -> dict[str, Any]:
        """Parse a JSON object. Raises BadResponse for anything else."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            kind = "a web page" if text.lstrip()[:1] == "<" else "something else"
            raise BadResponse(
                f"{self.url} answered with {kind} where {self.name} answers with JSON: "
                f"{one_line(text, 80)!r}.",
                f"Is another program listening there? Set host to where {self.name} runs.",
            )
        return value

    def _request_object(
        self, method: str, path: str, body: Mapping[str, Any] | None, deadline: Deadline
    ) -> dict[str, Any]:
        with self._request(method, path, body, deadline) as chunks:
            text = self._decode(b"".join(chunks))
        return self.parse(text)

    def _decode(self, content: bytes | bytearray) -> str:
        """Decode what a server sends, without our key: it is not shown if the server repeats it."""
        text = content.decode("utf-8", "replace")
        return text.replace(self._key, "…") if self._key else text

    @contextmanager
    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None, deadline: Deadline
    ) -> Iterator[Iterator[bytes]]:
        """Give the body of the answer in chunks; whatever fails is one of our errors."""
        if deadline.remaining() <= 0:
            raise self._timeout(deadline)
        connect_timeout = min(self._settings.connect_timeout, deadline.remaining())
        read_timeout = self._settings.first_token_timeout
        content = headers = None
        if body is not None:
            # A lone surrogate, which some servers refuse in JSON, becomes a question mark.
            content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
            headers = {"Content-Type": "application/json"}
        self._sockets.clear()
        # The session is closed each time: a server may close an idle connection
        # at the very moment it is used again.
        with closing(self._session), self._translated_errors(deadline), self._watch(deadline):
            response = self._session.request(
                method,
                self.url + path,
                data=content,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(connect_timeout, read_timeout),
            )
            with response:
                chunks = self._chunks(response, deadline)
                if 300 <= response.status_code < 400:
                    raise self._redirect(response)
                if response.status_code >= 400:
                    raise self.to_error(self._error_reply(response, chunks))
                yield chunks

    def _error_reply(self, response: requests.Response, chunks: Iterator[bytes]) -> ErrorReply:
        headers = {}
        for name, value in response.headers.items():
            headers[name] = self._decode(value.encode())
        return ErrorReply(response.status_code, self._decode(b"".join(chunks)), headers)

    def _chunks(self, response: requests.Response, deadline: Deadline) -> Iterator[bytes]:
        """Yield the body as it arrives, up to MAX_BODY bytes."""
        size = 0
        # A chunked body comes chunk by chunk; otherwise a read waits for all it asked for.
        for chunk in response.iter_content(65536 if response.raw.chunked else 512):
            size += len(chunk)
            if size > MAX_BODY:
                raise BadResponse(
                    f"The answer of {response.url} is larger than {MAX_BODY // 2**20} MiB.",
                    "Is another program listening there?",
                )
            yield chunk
        # A connection that was cut off at the deadline can look like an answer that ended.
        if deadline.remaining() <= 0:
            raise self._timeout(deadline)

    @contextmanager
    def _translated_errors(self, deadline: Deadline) -> Iterator[None]:
        try:
            yield
        except (requests.RequestException, HTTPError, OSError, ValueError) as exc:
            # ValueError: requests parses the target of a redirect even if it does not follow it.
            raise self._translate(exc, deadline) from exc

    def _translate(self, exc: Exception, deadline: Deadline) -> StarcoderError:
        kinds = _exception_types(exc)
        if deadline.remaining() <= 0:
            return self._timeout(deadline)
        if requests.exceptions.ProxyError in kinds:
            return BackendUnavailable(
                f"The proxy for {self.url} does not answer.",
                "Check HTTP_PROXY and NO_PROXY.",
            )
        if ssl.SSLCertVerificationError in kinds:
            return BackendUnavailable(
                f"{self.url} has no certificate that this machine trusts.",
                "Set REQUESTS_CA_BUNDLE to the file of your own authority.",
            )
        if requests.exceptions.SSLError in kinds:
            return BackendUnavailable(
                f"The server at {self.url} does not speak HTTPS.",
                "Write http:// in front of the host.",
            )
        if kinds & {requests.exceptions.ReadTimeout, ReadTimeoutError}:
            return BackendTimeout(
                f"{self.name} at {self.url} was silent for "
                f"{self._settings.first_token_timeout:.3g} s.",
                "Is it still loading the model? "
                "Give it longer with STARCODER_FIRST_TOKEN_TIMEOUT (seconds).",
            )
        # urllib3's error for a connection that could not be made.
        if MaxRetryError in kinds:
            return BackendUnavailable(f"Nothing answers at {self.url}.", self._start)
        return BadResponse(
            f"{self.name} at {self.url} broke off in the middle of its answer.", CHECK_LOG
        )

    def _timeout(self, deadline: Deadline) -> BackendTimeout:
        return BackendTimeout(
            f"{self.name} at {self.url} did not finish within {deadline.limit:.3g} s.",
            timeout_hint(deadline),
        )

    def _redirect(self, response: requests.Response) -> BadResponse:
        try:
            target = urlsplit(response.headers.get("location", ""))
        except ValueError:
            target = urlsplit("")
        address = f"{target.scheme}://{target.netloc}" if target.netloc else "another page"
        return BadResponse(
            f"{self.url} redirects to {one_line(address, 100)}, and redirects are not followed.",
            self.redirect_hint,
        )

    @contextmanager
    def _watch(self, deadline: Deadline) -> Iterator[None]:
        """Cut the connection at the deadline, whatever it is doing.

        The timeout of a read starts anew with every byte: a slow server would outlast it.
        """
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(max(0.05, min(1.0, deadline.remaining()))):
                if deadline.remaining() <= 0:
                    # Again and again: the connection may only just have been made.
                    self._cut_connections()

        watcher = threading.Thread(target=watch, name="starcoder-deadline", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            is_over.set()
            watcher.join()

    def _cut_connections(self) -> None:
        for connection in list(self._sockets):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed already


def _without_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _exception_types(exc: BaseException | None) -> set[type]:
    """Return the types of an exception and all that it wraps; requests and urllib3 nest them."""
    types: set[type] = set()
    while exc is not None and type(exc) not in types:
        types |= set(type(exc).__mro__)
        wrapped = (*exc.args, getattr(exc, "reason", None), exc.__cause__)
        exc = next((inner for inner in wrapped if isinstance(inner, BaseException)), None)
    return types


class _Adapter(HTTPAdapter):
    """Remembers the sockets it opens, so that another thread can close them."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        proxies = super().proxy_manager_for(*args, **kwargs)
        proxies.pool_classes_by_scheme = self._pools()
        return proxies

    def _pools(self) -> dict[str, Any]:
        sockets = self._sockets

        class PlainConnection(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock)

            def getresponse(self) -> Any:
                # A server that writes head and body separately waits in between for our
                # acknowledgement, 40 ms on Linux.
                if hasattr(socket, "TCP_QUICKACK"):
                    self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                return super().getresponse()

        class SecureConnection(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = PlainConnection

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = SecureConnection

        return {"http": PlainPool, "https": SecurePool}
