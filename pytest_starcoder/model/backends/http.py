"""The one way to speak HTTP to a model server, and the one place where its failures become ours.

A path and a JSON body go in; a JSON object or a stream of lines comes out,
inside a deadline that a silent, dripping or endless server cannot stretch.
Redirects are never followed: code and keys go to the named host alone.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import BackendTimeout, BackendUnavailable, BadResponse, StarcoderError
from pytest_starcoder.interpreter import installed
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
"""Bytes of one answer that are read at the most; no answer of ours comes near."""


class Refused:
    """An answer that is an error: a status, or 200 and an error in its stream; the server's backend knows the meaning.

    `error` is what `text`, the body, calls the error, in one line. The names of
    `headers` are in any case.
    """

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.text = text
        self.error = error_text(text).rstrip(".")
        self.headers = {name.lower(): value for name, value in (headers or {}).items()}

    @property
    def told(self) -> str:
        """Status and error for a message; a 200 says nothing."""
        return f"{self.status}: {self.error}".removeprefix("200: ").removesuffix(": ")

    @property
    def retry_after(self) -> float | None:
        """Seconds that the server wants to be left alone, by its header; None where it tells none."""
        told = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d*)?", told):
            return float(told)
        try:
            return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None


def error_text(body: str) -> str:
    """The message in a JSON error body, in one line; the body itself where there is none.

    Servers put a text there, an object with a message, or a text that is such an object.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return one_line(body)
    while isinstance(found, dict):
        found = found.get("error") or found.get("message")
    return error_text(found) if isinstance(found, str) else one_line(body)


def longer(deadline: Deadline) -> str:
    """The next step where `deadline` was too short."""
    return f"Give it longer with STARCODER_{deadline.setting.upper()} (seconds), or use a smaller model."


def whole(body: Mapping[str, Any], key: str) -> int:
    """The whole number that a server tells under `key`; 0 where it tells none."""
    value = body.get(key)
    return value if isinstance(value, int) else 0


def mean(numbers: list[float]) -> float | None:
    """Their mean, None where there are none."""
    return sum(numbers) / len(numbers) if numbers else None


class Server:
    """A model server at `url` (made by `settings.server_url`), called `name` in every message.

    `start` is the sentence that says how to get it running, `moved` what to do
    about a redirect; `meaning` gives the error of ours for an answer that is
    one. Every method raises a StarcoderError.
    Nothing is open between two requests. Not for use from two threads at once.
    """

    def __init__(
        self,
        url: str,
        settings: Settings,
        *,
        name: str,
        start: str,
        meaning: Callable[[Refused], StarcoderError],
        api_key: str = "",
        moved: str = "",
    ) -> None:
        self.url = url
        self.name = name
        self.start = start
        self._meaning = meaning
        self._key = api_key
        self._moved = moved or f"Set host to where {name} really runs."
        self._settings = settings
        self._sockets: list[socket.socket] = []
        self._session = requests.Session()
        # This machine is asked directly; elsewhere the user's proxy holds, but never a login from .netrc.
        self._session.trust_env = not is_loopback(url)
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        self._session.auth = _no_login
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.headers["Connection"] = "close"
        if api_key:
            self._session.headers["Authorization"] = f"Bearer {api_key}"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._sockets))

    def get(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """The JSON object at `path`."""
        return self._object("GET", path, None, deadline)

    def post(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """The JSON object that answers `body`."""
        return self._object("POST", path, body, deadline)

    def lines(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> Generator[str]:
        """The lines that answer `body`, each as it arrives, without blank ones; there is at least one.

        Closing the generator ends the request at the server as well.
        """
        rest = bytearray()
        empty = True
        with self._answer("POST", path, body, deadline) as chunks:
            for chunk in chunks:
                rest += chunk
                if b"\n" in chunk:
                    *lines, rest = rest.split(b"\n")
                    for line in filter(bytes.strip, map(bytes, lines)):
                        empty = False
                        yield self._text(line)
            if rest.strip():
                yield self._text(bytes(rest))
            elif empty:
                raise BadResponse(
                    f"{self.name} at {self.url} gave an empty answer.", "Look into its log."
                )

    def _object(
        self, method: str, path: str, body: Mapping[str, Any] | None, deadline: Deadline
    ) -> dict[str, Any]:
        with self._answer(method, path, body, deadline) as chunks:
            text = self._text(b"".join(chunks))
        return self.parse(text)

    def _text(self, content: bytes) -> str:
        """What a server says, without our key: one that repeats it shall not have it shown."""
        text = content.decode("utf-8", "replace")
        return text.replace(self._key, "…") if self._key else text

    def parse(self, text: str) -> dict[str, Any]:
        """A JSON object out of `text`; BadResponse where it holds none."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            kind = "a web page" if text.lstrip()[:1] == "<" else "something else"
            raise BadResponse(
                f"{self.url} answered with {kind} where {self.name} answers with JSON: {one_line(text, 80)!r}.",
                f"Is another program listening there? Set host to where {self.name} runs.",
            )
        return found

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        deadline: Deadline,
    ) -> Iterator[Iterator[bytes]]:
        """The body of the answer in chunks, with everything that can go wrong as one of our errors."""
        if deadline.remaining() <= 0:
            raise self._late(deadline)
        connect = min(self._settings.connect_timeout, deadline.remaining())
        silence = self._settings.first_token_timeout
        # A lone surrogate, which some servers refuse as JSON, is sent as a question mark.
        content = (
            None
            if body is None
            else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        )
        self._sockets.clear()
        # Nothing is kept open: a server may close a connection at the very moment it is used again.
        with closing(self._session), self._translated(deadline, silence), self._watched(deadline):
            response = self._session.request(
                method,
                self.url + path,
                data=content,
                headers={"Content-Type": "application/json"} if content else None,
                stream=True,
                allow_redirects=False,
                timeout=(connect, silence),
            )
            with response:
                chunks = self._chunks(response, deadline)
                if 300 <= response.status_code < 400:
                    raise self._redirect(response)
                if response.status_code >= 400:
                    told = {
                        name: self._text(value.encode()) for name, value in response.headers.items()
                    }
                    raise self._meaning(
                        Refused(response.status_code, self._text(b"".join(chunks)), told)
                    )
                yield chunks

    def _chunks(self, response: requests.Response, deadline: Deadline) -> Iterator[bytes]:
        """The body as it arrives, up to MAX_BODY bytes."""
        size = 0
        # A chunked body comes chunk by chunk; of any other, a read waits until it has what it asked for.
        for chunk in response.iter_content(65536 if response.raw.chunked else 512):
            size += len(chunk)
            if size > MAX_BODY:
                raise BadResponse(
                    f"The answer of {response.url} is larger than {MAX_BODY // 2**20} MiB.",
                    "Is another program listening there?",
                )
            yield chunk
        if deadline.remaining() <= 0:  # what was cut can look like an answer that ended
            raise self._late(deadline)

    @contextmanager
    def _translated(self, deadline: Deadline, silence: float) -> Iterator[None]:
        try:
            yield
        except (requests.RequestException, HTTPError, OSError, ValueError) as exc:
            # ValueError: requests reads where a redirect goes even if it does not follow.
            raise self._error(exc, deadline, silence) from exc

    def _error(self, exc: Exception, deadline: Deadline, silence: float) -> Exception:
        kinds = _kinds(exc)
        if deadline.remaining() <= 0:
            return self._late(deadline)
        if requests.exceptions.ProxyError in kinds:
            return BackendUnavailable(
                f"The proxy on the way to {self.url} does not answer.",
                "Check HTTP_PROXY and NO_PROXY.",
            )
        if ssl.SSLCertVerificationError in kinds:
            return BackendUnavailable(
                f"{self.url} has no certificate that this machine trusts.",
                "Set REQUESTS_CA_BUNDLE to the file of your own authority.",
            )
        if requests.exceptions.SSLError in kinds:
            return BackendUnavailable(
                f"What listens at {self.url} does not speak HTTPS.",
                "Write http:// in front of the host.",
            )
        if kinds & {requests.exceptions.ReadTimeout, ReadTimeoutError}:
            return BackendTimeout(
                f"{self.name} at {self.url} was silent for {silence:.3g} s.",
                "Is it still loading the model? Give it longer with STARCODER_FIRST_TOKEN_TIMEOUT (seconds).",
            )
        if MaxRetryError in kinds:  # urllib3's word for a connection that never came to be
            return BackendUnavailable(f"Nothing answers at {self.url}.", self.start)
        return BadResponse(
            f"{self.name} at {self.url} broke off in the middle of its answer.",
            "Look into its log.",
        )

    def _late(self, deadline: Deadline) -> BackendTimeout:
        return BackendTimeout(
            f"{self.name} at {self.url} did not finish within {deadline.limit:.3g} s.",
            longer(deadline),
        )

    def _redirect(self, response: requests.Response) -> Exception:
        try:
            target = urlsplit(response.headers.get("location", ""))
        except ValueError:
            target = urlsplit("")
        where = f"{target.scheme}://{target.netloc}" if target.netloc else "another page"
        return BadResponse(
            f"{self.url} redirects to {one_line(where, 100)}, and redirects are not followed.",
            self._moved,
        )

    @contextmanager
    def _watched(self, deadline: Deadline) -> Iterator[None]:
        """Cuts the connection when the deadline passes, whatever it is doing.

        A read's own timeout starts anew with every byte, so a dripping server would outlast it.
        """
        over = threading.Event()

        def watch() -> None:
            while not over.wait(max(0.05, min(1.0, deadline.remaining()))):
                if deadline.remaining() <= 0:
                    self._cut()  # again and again: a connection may only now be coming to be

        watcher = threading.Thread(target=watch, name="starcoder-deadline", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _cut(self) -> None:
        for connection in list(self._sockets):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed already


def _no_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _kinds(exc: BaseException | None) -> set[type]:
    """The types of an exception and of all that it wraps: requests and urllib3 wrap each other's."""
    kinds: set[type] = set()
    while exc is not None and type(exc) not in kinds:
        kinds |= set(type(exc).__mro__)
        wrapped = (*exc.args, getattr(exc, "reason", None), exc.__cause__)
        exc = next((inner for inner in wrapped if isinstance(inner, BaseException)), None)
    return kinds


def _acknowledge_at_once(connection: Any) -> None:
    """A server that writes head and body apart waits for our acknowledgement in between, 40 ms on Linux."""
    if hasattr(socket, "TCP_QUICKACK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class _Adapter(HTTPAdapter):
    """Remembers the sockets it opens, so that a deadline can close them from outside."""

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
                _acknowledge_at_once(self.sock)
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
