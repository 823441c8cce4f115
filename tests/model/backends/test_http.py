"""Servers that misbehave: each gives one clear error in time, and no other host is asked."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from support import servers
from support.errors import raises_error
from support.servers import FakeOllama, closed_port, fake_ollama, raw_server

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    BackendTimeout,
    BackendUnavailable,
    BadResponse,
    RateLimited,
    StarcoderError,
)
from pytest_starcoder.model.backends import Backend, make_backend
from pytest_starcoder.model.backends.http import ErrorReply, error_text
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

LIMIT = 0.7
"""Seconds that a call may take here."""

NAMES = {"ollama": "Ollama", "llamacpp": "llama.cpp"}
START = {
    "ollama": "Start Ollama with `ollama serve`, set OLLAMA_HOST to its address, "
    "or set STARCODER_MODEL to a .gguf file, which needs no server.",
    "llamacpp": "Start it with `llama-server -m MODEL.gguf`, or set host to its address.",
}
ANOTHER = "Is another program listening there? Set host to where {name} runs."
LONGER = "Give it longer with STARCODER_TIMEOUT (seconds), or use a smaller model."
NO_JSON = "{url} answered with %s where {name} answers with JSON: %s."
BROKE_OFF = (
    BadResponse,
    "{name} at {url} broke off in the middle of its answer.",
    "Check its log.",
)

CELLS: dict[str, tuple[Callable[[socket.socket], None] | None, type[StarcoderError], str, str]] = {
    "closed": (None, BackendUnavailable, "Nothing answers at {url}.", "{start}"),
    "hung": (
        servers.hangs,
        BackendTimeout,
        "{name} at {url} was silent for 0.4 s.",
        "Is it still loading the model? Give it longer with STARCODER_FIRST_TOKEN_TIMEOUT "
        "(seconds).",
    ),
    "dripping headers": (
        servers.drips_headers,
        BackendTimeout,
        "{name} at {url} did not finish within 0.7 s.",
        LONGER,
    ),
    "dripping body": (
        servers.drips_body,
        BackendTimeout,
        "{name} at {url} did not finish within 0.7 s.",
        LONGER,
    ),
    "web page": (
        servers.WEB_PAGE,
        BadResponse,
        NO_JSON % ("a web page", "'<!doctype html><title>It works!</title>'"),
        ANOTHER,
    ),
    "bad UTF-8": (
        servers.BAD_UTF8,
        BadResponse,
        NO_JSON % ("something else", """'{"version": "��"'"""),
        ANOTHER,
    ),
    "404": (
        servers.NOT_FOUND,
        BadResponse,
        "{url} does not answer like {name} (404: 404 page not found).",
        ANOTHER,
    ),
    "500": (
        servers.ERROR_500,
        BadResponse,
        "{name} at {url} failed (500: boom).",
        "Check its log.",
    ),
    "cut": (servers.cuts, *BROKE_OFF),
    "closing": (servers.closes, *BROKE_OFF),
    "redirect": (
        servers.REDIRECT,
        BadResponse,
        "{url} redirects to http://127.0.0.2:9, and redirects are not followed.",
        "Set host to the address where {name} runs.",
    ),
    "redirect within": (
        servers.answers(b"", "302 Found", "Location: /login"),
        BadResponse,
        "{url} redirects to another page, and redirects are not followed.",
        "Set host to the address where {name} runs.",
    ),
}

BUSY = {
    "ollama": (
        "Ollama has too many requests waiting.",
        "Try again in a moment, or start it with a larger OLLAMA_MAX_QUEUE.",
    ),
    "llamacpp": (
        "llama.cpp at {url} is not ready: server busy, please try again. maximum pending "
        "requests exceeded.",
        "It may still be loading its model: try again in a moment.",
    ),
}


def settings(backend: str, url: str, **fields: Any) -> Settings:
    return Settings(
        backend=backend, host=url, connect_timeout=0.5, first_token_timeout=0.4, **fields
    )


@contextmanager
def asking(settings: Settings) -> Iterator[Backend]:
    backend = make_backend(settings)
    try:
        yield backend
    finally:
        backend.close()


def identify(backend: Backend, limit: float = LIMIT) -> str:
    return backend.identify(Deadline.after(limit))


def complete(backend: Backend, limit: float = LIMIT) -> Completion:
    model = Model("m", "digest", "starcoder2", 16384)
    return backend.complete(Prompt("a"), model, Deadline.after(limit), lambda _piece: None)


Call = Callable[[Backend], object]

PATHS: dict[tuple[str, object], str] = {
    ("ollama", identify): "/api/tags",
    ("ollama", complete): "/api/generate",
    ("llamacpp", identify): "/v1/models",
    ("llamacpp", complete): "/v1/completions",
}
both_backends = pytest.mark.parametrize("name", NAMES)
both_calls = pytest.mark.parametrize("call", [identify, complete])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "call"), [("ollama", identify), ("llamacpp", complete)])
@pytest.mark.parametrize("cell", CELLS)
def test_misbehaving_server(cell: str, call: Call, name: str) -> None:
    behave, kind, message, hint = CELLS[cell]
    with raw_server(behave) if behave else nullcontext(closed_port()) as url:
        facts = {"url": url, "name": NAMES[name], "start": START[name], "path": PATHS[name, call]}
        with asking(settings(name, url)) as backend:
            started = time.monotonic()
            with raises_error(kind, _filled(message, facts), _filled(hint, facts)):
                call(backend)
            assert time.monotonic() - started < LIMIT + 1


@pytest.mark.slow
@both_backends
@both_calls
def test_endless_answer_is_limited(call: Callable[..., object], name: str) -> None:
    """Counted, not timed: how long 16 MiB take says how busy the machine is."""
    sent: list[int] = []
    with raw_server(servers.flooding(sent)) as url, asking(settings(name, url)) as backend:
        message = f"The answer of {url}{PATHS[name, call]} is larger than 16 MiB."
        with raises_error(BadResponse, message, "Is another program listening there?"):
            call(backend, 60)
        in_the_pipe = 64 * 2**20  # what the two ends of a connection may hold at the most
        assert sum(sent) <= 16 * 2**20 + in_the_pipe


def _filled(text: str, facts: dict[str, str]) -> str:
    """`str.format` minds the braces of the JSON in some messages."""
    for key, value in facts.items():
        text = text.replace(f"{{{key}}}", value)
    return text


@both_backends
@both_calls
def test_busy_server(name: str, call: Callable[[Backend], object]) -> None:
    message, hint = BUSY[name]
    with raw_server(servers.ERROR_503) as url, asking(settings(name, url)) as backend:
        with raises_error(RateLimited, message.format(url=url), hint):
            call(backend)
        with pytest.raises(RateLimited) as caught:
            call(backend)
    assert caught.value.retry_after == 1.0


@both_backends
def test_error_in_stream(name: str) -> None:
    with (
        raw_server(servers.ERROR_LINE) as url,
        asking(settings(name, url)) as backend,
        raises_error(BadResponse, f"{NAMES[name]} at {url} failed (boom).", "Check its log."),
    ):
        complete(backend)


@both_backends
def test_empty_answer(name: str) -> None:
    with (
        raw_server(servers.EMPTY) as url,
        asking(settings(name, url)) as backend,
        raises_error(
            BadResponse, f"{NAMES[name]} at {url} returned an empty answer.", "Check its log."
        ),
    ):
        complete(backend)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ollama", b'{"response": "Hello"}\n'),
        ("llamacpp", b'data: {"choices": [{"text": "Hello"}]}\n'),
    ],
)
def test_stream_without_end_is_truncated(name: str, line: bytes) -> None:
    with raw_server(servers.answers(line)) as url, asking(settings(name, url)) as backend:
        assert complete(backend) == Completion("Hello", "m", truncated=True)


@both_backends
def test_invalid_utf8(name: str) -> None:
    line = {
        "ollama": b'{"response": "a\xff", "done": true}',
        "llamacpp": b'data: {"choices": [{"text": "a\xff", "finish_reason": "stop"}]}',
    }
    with raw_server(servers.answers(line[name])) as url, asking(settings(name, url)) as backend:
        assert complete(backend).text == "a\ufffd"


@both_backends
@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b'{"response": 1, "prompt_eval_count": "x", "eval_count": null}',
        b'{"choices": 1, "usage": 2}',
        b'{"choices": [], "usage": {"prompt_tokens": "x", "prompt_tokens_details": 3}}',
        b'{"choices": [null]}',
    ],
)
def test_unexpected_field_types(name: str, line: bytes) -> None:
    with raw_server(servers.answers(line)) as url, asking(settings(name, url)) as backend:
        assert complete(backend) == Completion("", "m", truncated=True)


def test_passed_deadline(ollama_double: FakeOllama) -> None:
    message = f"Ollama at {ollama_double.url} did not finish within 0 s."
    with (
        asking(settings("ollama", ollama_double.url)) as backend,
        raises_error(BackendTimeout, message, LONGER),
    ):
        backend.identify(Deadline.after(0))
    assert ollama_double.requests == []


def test_timeout_names_its_setting() -> None:
    with (
        raw_server(servers.drips_body) as url,
        asking(settings("ollama", url)) as backend,
        raises_error(
            BackendTimeout,
            f"Ollama at {url} did not finish within 0.3 s.",
            "Give it longer with STARCODER_SESSION_TIMEOUT (seconds), or use a smaller model.",
        ),
    ):
        backend.identify(Deadline.after(0.3, "session_timeout"))


@pytest.mark.skipif(sys.platform == "win32", reason="sends itself a POSIX signal")
def test_ctrl_c_hangs_up() -> None:
    hung_up = threading.Event()

    def behave(connection: socket.socket) -> None:
        if connection.recv(1) == b"":
            hung_up.set()

    main = threading.main_thread().ident
    assert main is not None
    with raw_server(behave) as url, asking(Settings(backend="ollama", host=url)) as backend:
        ctrl_c = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT))
        ctrl_c.start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            complete(backend, limit=20)
        ctrl_c.join()
        assert time.monotonic() - started < 1.5
        assert hung_up.wait(2)


# --- what is sent where --------------------------------------------------------------------


@both_backends
@both_calls
@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
def test_redirect_is_not_followed(
    status: str, call: Callable[[Backend], object], name: str
) -> None:
    with fake_ollama() as elsewhere:
        away = servers.answers(b"", status, f"Location: {elsewhere.url}/api/generate")
        with (
            raw_server(away) as url,
            asking(settings(name, url, api_key="secret")) as backend,
            pytest.raises(BadResponse),
        ):
            call(backend)
    assert elsewhere.requests == []


@both_backends
@pytest.mark.parametrize(
    ("tracked", "sent"),
    [
        ((), "Bearer secret"),
        (("model",), "Bearer secret"),
        (("host",), None),
        (("host", "model"), None),
    ],
)
def test_key_withheld_from_tracked_host(
    ollama_double: FakeOllama, name: str, tracked: tuple[str, ...], sent: str | None
) -> None:
    chosen = settings(name, ollama_double.url, api_key="secret", tracked=frozenset(tracked))
    with asking(chosen) as backend, suppress(StarcoderError):
        identify(backend)
    assert [request.headers.get("Authorization") for request in ollama_double.requests] == [sent]


@both_backends
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_no_proxy_for_loopback(
    ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch, variable: str, name: str
) -> None:
    with fake_ollama() as proxy:
        monkeypatch.setenv(variable, proxy.url)
        with asking(settings(name, ollama_double.url)) as backend, suppress(StarcoderError):
            identify(backend)
    assert proxy.requests == []
    assert len(ollama_double.requests) == 1


def test_proxy_without_netrc(
    ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch, clean_environment: Path
) -> None:
    netrc = clean_environment / ".netrc"
    netrc.write_text(
        "machine gpu-box.example login me password secret\ndefault login me password secret\n"
    )
    netrc.chmod(0o600)
    monkeypatch.setenv("HTTP_PROXY", ollama_double.url)
    with asking(settings("ollama", "http://gpu-box.example")) as backend, suppress(StarcoderError):
        identify(backend)
    (request,) = ollama_double.requests
    assert request.path == "http://gpu-box.example:80/api/tags"
    assert "Authorization" not in request.headers


def test_no_netrc_for_loopback(ollama_double: FakeOllama, clean_environment: Path) -> None:
    (clean_environment / ".netrc").write_text("default login me password secret\n")
    with asking(settings("ollama", ollama_double.url)) as backend:
        identify(backend)
    assert "Authorization" not in ollama_double.requests[0].headers


def test_unavailable_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", closed_port())
    with (
        asking(settings("ollama", "http://gpu-box.example")) as backend,
        raises_error(
            BackendUnavailable,
            "The proxy for http://gpu-box.example:80 does not answer.",
            "Check HTTP_PROXY and NO_PROXY.",
        ),
    ):
        identify(backend)


def test_connections_are_not_reused(
    ollama_double: FakeOllama,
) -> None:
    with asking(settings("ollama", ollama_double.url)) as backend:
        identify(backend)
        complete(backend)
    assert [request.headers["Connection"] for request in ollama_double.requests] == [
        "close",
        "close",
    ]


def test_kept_connection_is_closed() -> None:
    hung_up = threading.Event()

    def behave(connection: socket.socket) -> None:
        body = b'{"models": [{"name": "starcoder2:7b", "digest": "d"}]}'
        connection.sendall(servers.OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        if connection.recv(2**16) == b"":
            hung_up.set()

    with raw_server(behave) as url, asking(settings("ollama", url)) as backend:
        assert identify(backend) == "d"
        assert hung_up.wait(2)


# --- HTTPS ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of this machine's own and its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    names = "subjectAltName=IP:127.0.0.1"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    try:
        subprocess.run(
            [*command, "-addext", names, "-keyout", path, "-out", f"{path}.crt"],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no `openssl` that makes certificates")
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@contextmanager
def encrypted(certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(2**16)
            servers.answers(b'{"models": [{"name": "starcoder2:7b", "digest": "d"}]}')(secure)

    with raw_server(behave, read=False) as url:
        yield url.replace("http", "https")


def test_untrusted_certificate(certificate: Path) -> None:
    with (
        encrypted(certificate) as url,
        asking(settings("ollama", url)) as backend,
        raises_error(
            BackendUnavailable,
            f"{url} has no certificate that this machine trusts.",
            "Set REQUESTS_CA_BUNDLE to the file of your own authority.",
        ),
    ):
        identify(backend)


def test_own_authority(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{certificate}.crt")
    with encrypted(certificate) as url, asking(settings("ollama", url)) as backend:
        assert identify(backend) == "d"


def test_plain_server_behind_https(ollama_double: FakeOllama) -> None:
    url = ollama_double.url.replace("http", "https")
    with (
        asking(settings("ollama", url)) as backend,
        raises_error(
            BackendUnavailable,
            f"The server at {url} does not speak HTTPS.",
            "Write http:// in front of the host.",
        ),
    ):
        identify(backend)


# --- error bodies --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"error": "boom"}', "boom"),
        ('{"error": {"code": 400, "message": "boom", "type": "t"}}', "boom"),
        (r'{"error": "{\"error\":{\"code\":400,\"message\":\"boom\"}}"}', "boom"),
        ('{"message": "boom"}', "boom"),
        ('{"detail": "boom"}', '{"detail": "boom"}'),
        ('{"error": null}', '{"error": null}'),
        ("boom\nbang", "boom bang"),
        ("", ""),
        ("[" * 100_000, "[" * 299 + "…"),
    ],
)
def test_error_text(body: str, text: str) -> None:
    assert error_text(body) == text


@pytest.mark.parametrize(
    ("refused", "summary"),
    [
        (ErrorReply(500, "boom."), "500: boom"),
        (ErrorReply(403, ""), "403"),
        (ErrorReply(200, "boom"), "boom"),
    ],
)
def test_error_summary(refused: ErrorReply, summary: str) -> None:
    assert refused.summary == summary
