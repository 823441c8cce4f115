"""Every fault at every backend: the result is one sentence or a cut answer, in time."""

from __future__ import annotations

import json
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from support import servers
from support.servers import answers, closed_port, raw_server

from pytest_starcoder.errors import (
    BackendTimeout,
    BackendUnavailable,
    BadResponse,
    RateLimited,
    StarcoderError,
    UnknownModel,
)
from pytest_starcoder.model.backends import Backend, make_backend
from pytest_starcoder.model.backends.huggingface import Router
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Prompt
from pytest_starcoder.settings import Settings

LIMIT = 0.7
"""Seconds that a call may take here."""

KEY = "sk-very-secret"
TOKEN = "hf_very_secret"
NAME = "bigcode/starcoder2-7b"

Behaviour = Callable[[socket.socket], None]


# --- servers that are well until they are asked --------------------------------------------


@dataclass(frozen=True)
class Column:
    """A backend: the first answers of its server, and how its stream writes a piece."""

    backend: str
    healthy: Mapping[str, Any]
    piece: Callable[[str], Any]
    last: Any
    event: str = "data: {}\n\n"

    def stream(self, *pieces: str, end: bool = True) -> bytes:
        events = [*map(self.piece, pieces), *([self.last] if end else [])]
        return "".join(self.event.format(json.dumps(event)) for event in events).encode()


def choice(text: str) -> dict[str, Any]:
    return {"choices": [{"text": text}]}


LAST = {
    "choices": [{"text": "", "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}
HUB = {
    "sha": "1",
    "inferenceProviderMapping": {
        "together": {"status": "live", "providerId": "m", "task": "text-generation"}
    },
}
COLUMNS = {
    "ollama": Column(
        "ollama",
        {
            "/api/tags": {"models": [{"name": f"{NAME}:latest", "digest": "d"}]},
            "/api/show": {
                "model_info": {
                    "general.architecture": "starcoder2",
                    "starcoder2.context_length": 16384,
                },
            },
        },
        lambda text: {"response": text},
        {
            "response": "",
            "done": True,
            "done_reason": "stop",
            "eval_count": 1,
            "prompt_eval_count": 1,
        },
        "{}\n",
    ),
    "openai": Column(
        "openai",
        {"/v1/models": {"data": [{"id": NAME, "owned_by": "vllm", "max_model_len": 16384}]}},
        choice,
        LAST,
    ),
    "llamacpp": Column(
        "llamacpp",
        {
            "/v1/models": {"data": [{"id": "m.gguf", "meta": {"n_ctx": 4096}}]},
            "/props": {"default_generation_settings": {"n_ctx": 4096}},
            "/tokenize": {"tokens": [1, 2]},
        },
        choice,
        LAST,
    ),
    "huggingface endpoint": Column(
        "huggingface",
        {"/info": {"model_id": NAME, "model_sha": "1", "max_total_tokens": 4096}},
        lambda text: {"token": {"text": text}},
        {
            "token": {"text": "", "special": True},
            "generated_text": "",
            "details": {"generated_tokens": 1},
        },
    ),
    "huggingface router": Column("huggingface", {f"/api/models/{NAME}": HUB}, choice, LAST),
}


def unless(healthy: Mapping[str, Any], misbehave: Behaviour) -> Behaviour:
    """A server that answers the paths of `healthy`, and misbehaves at all others."""

    def behave(connection: socket.socket) -> None:
        path = _path_of_request(connection)
        if path in healthy:
            answers(json.dumps(healthy[path]).encode())(connection)
        else:
            misbehave(connection)

    return behave


def _path_of_request(connection: socket.socket) -> str:
    """Reads all of it: closing before that resets the connection, and an answer can be lost."""
    with connection.makefile("rb") as file:
        path = file.readline().split()[1].decode().partition("?")[0]
        length = 0
        while (line := file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        file.read(length)
    return path


@contextmanager
def client(column: Column, url: str) -> Iterator[Client]:
    settings = Settings(
        backend=column.backend,
        host=url,
        model=NAME,
        api_key=KEY,
        hf_token=TOKEN,
        timeout=LIMIT,
        connect_timeout=0.5,
        first_token_timeout=0.4,
    )
    backend: Backend = (
        Router(settings, url, url)
        if column is COLUMNS["huggingface router"]
        else make_backend(settings)
    )
    with Client(backend, settings) as client:
        yield client


# --- what can go wrong ---------------------------------------------------------------------

ESCAPES = "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x07\r\n\u202e\x9b2J" + "x" * 5000


def error(status: str, text: str, *headers: str) -> Behaviour:
    """An error as most servers write it."""
    return answers(json.dumps({"error": text}).encode(), status, *headers)


def cuts_chunked(connection: socket.socket) -> None:
    connection.sendall(servers.OK + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"res')


def endless_line(connection: socket.socket) -> None:
    connection.sendall(servers.OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b"a" * 2**16 + b"\r\n")


FAULTS: dict[str, tuple[Behaviour | None, tuple[type[StarcoderError], ...]]] = {
    "closed": (None, (BackendUnavailable,)),
    "hung": (servers.hangs, (BackendTimeout,)),
    "dripping headers": (servers.drips_headers, (BackendTimeout,)),
    "dripping body": (servers.drips_body, (BackendTimeout,)),
    "hanging up": (servers.closes, (BadResponse,)),
    "web page": (servers.WEB_PAGE, (BadResponse,)),
    "empty": (servers.EMPTY, (BadResponse,)),
    "no HTTP": (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"), (BadResponse,)),
    "404": (servers.NOT_FOUND, (BadResponse, UnknownModel)),
    "500": (servers.ERROR_500, (BadResponse,)),
    "503": (servers.ERROR_503, (RateLimited,)),
    "cut": (servers.cuts, (BadResponse,)),
    "cut in a chunk": (cuts_chunked, (BadResponse,)),
    "truncated JSON": (answers(b'data: {"choices": [{"text": "Hel'), (BadResponse,)),
    "another JSON": (answers(b"[[1, 2], null]"), (BadResponse,)),
    "deep JSON": (answers(b"[" * 100_000), (BadResponse,)),
    "flood": (servers.floods, (BadResponse, BackendTimeout)),
    "endless line": (endless_line, (BadResponse, BackendTimeout)),
    "bad UTF-8": (servers.BAD_UTF8, (BadResponse,)),
    "escape codes in an error": (
        error(
            "400 Bad", ESCAPES, f"X-Error-Message: {ESCAPES.replace(chr(13) + chr(10), '')[:60]!a}"
        ),
        (BadResponse,),
    ),
    "escape codes after a 200": (error("200 OK", ESCAPES), (BadResponse, UnknownModel)),
    "escape codes in a status": (answers(b"", "500 \x1b[31mred"), (BadResponse,)),
    "escape codes in a redirect": (
        answers(b"", "302 Found", "Location: http://a\x1b\x9b31m.example/"),
        (BadResponse,),
    ),
    "a redirect that is no address": (
        answers(b"", "302 Found", "Location: http://[bad"),
        (BadResponse,),
    ),
    "an error without words": (answers(b"", "418 I'm a teapot"), (BadResponse,)),
    "an answer of another length": (
        lambda connection: connection.sendall(servers.OK + b"Content-Length: 99\r\n\r\n{}"),
        (BadResponse,),
    ),
}

STAGES = ("at once", "in the answer")
HTTP_FAULTS = ("hung", "dripping headers", "dripping body", "flood", "endless line")
"""Faults that take a while, and are dealt with in the HTTP client that all backends share."""


def cells() -> Iterator[tuple[str, str, str]]:
    """Yield fault, stage and column of every case."""
    for fault in FAULTS:
        for stage in STAGES:
            # A closed port is closed for every request.
            if (fault, stage) == ("closed", "in the answer"):
                continue
            columns = ["ollama" if stage == "at once" else "openai"]
            if fault not in HTTP_FAULTS:
                columns = list(COLUMNS)
            for name in columns:
                yield fault, stage, name


by_column = pytest.mark.parametrize("name", COLUMNS)
by_stage = pytest.mark.parametrize("stage", STAGES)


def one_sentence(exc: StarcoderError) -> str:
    """Return the message of the error, which must be fit for a terminal and a public log."""
    sentence = str(exc)
    assert sentence.isprintable()
    assert len(sentence) <= 600
    assert exc.hint
    shown = (
        "".join(traceback.format_exception(exc))
        + repr(exc)
        + repr(exc.__cause__)
        + repr(exc.__context__)
    )
    for secret in (KEY, TOKEN):
        assert secret not in sentence + shown
    return sentence


@pytest.mark.parametrize(("fault", "stage", "name"), list(cells()))
def test_fault(fault: str, stage: str, name: str) -> None:
    misbehave, kinds = FAULTS[fault]
    column = COLUMNS[name]
    with ExitStack() as stack:
        healthy = column.healthy if stage == "in the answer" else {}
        url = (
            stack.enter_context(raw_server(unless(healthy, misbehave), read=False))
            if misbehave
            else closed_port()
        )
        asking_client = stack.enter_context(client(column, url))
        started = time.monotonic()
        with pytest.raises(StarcoderError) as caught:
            asking_client.complete(Prompt("a"))
        took = time.monotonic() - started
    assert type(caught.value) in kinds, one_sentence(caught.value)
    one_sentence(caught.value)
    assert took < LIMIT + 1.2


@by_column
@by_stage
@pytest.mark.parametrize(
    "status", ["200 OK", "400 Bad", "401 Unauthorized", "429 Slow down", "500 Broken"]
)
def test_repeated_key_is_hidden(status: str, stage: str, name: str) -> None:
    column = COLUMNS[name]
    sent = TOKEN if column.backend == "huggingface" else KEY
    repeats = error(
        status, f"the key {sent} is odd", f"X-Error-Message: Bearer {sent}", "Retry-After: 99"
    )
    healthy = column.healthy if stage == "in the answer" else {}
    with (
        raw_server(unless(healthy, repeats), read=False) as url,
        client(column, url) as asking_client,
        pytest.raises(StarcoderError) as caught,
    ):
        asking_client.complete(Prompt("a"))
    one_sentence(caught.value)


@by_column
@by_stage
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_redirect_target_is_not_asked(status: str, stage: str, name: str) -> None:
    column = COLUMNS[name]
    with socket.create_server(("127.0.0.2", 0)) as elsewhere:
        target = f"http://127.0.0.2:{elsewhere.getsockname()[1]}"
        away = answers(b"", status, f"Location: {target}/v1/completions")
        healthy = column.healthy if stage == "in the answer" else {}
        with (
            raw_server(unless(healthy, away), read=False) as url,
            client(column, url) as asking_client,
            pytest.raises(BadResponse) as caught,
        ):
            asking_client.complete(Prompt("a"))
        assert f"redirects to {target}, and redirects are not followed." in one_sentence(
            caught.value
        )
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


@by_column
def test_missing_end_is_truncated(name: str) -> None:
    column = COLUMNS[name]
    behave = unless(column.healthy, answers(column.stream("Hello", " you", end=False)))
    with raw_server(behave, read=False) as url, client(column, url) as asking_client:
        completion = asking_client.complete(Prompt("a"))
    assert (completion.text, completion.truncated, completion.completion_tokens) == (
        "Hello you",
        True,
        0,
    )


@by_column
def test_cut_connection(
    name: str,
) -> None:
    column = COLUMNS[name]
    started = servers.OK + b"Transfer-Encoding: chunked\r\n\r\n"
    sent = column.stream("Hello", end=False)
    chunk = b"%x\r\n%b\r\n" % (len(sent), sent)
    behave = unless(column.healthy, lambda connection: connection.sendall(started + chunk))
    pieces: list[str] = []
    with (
        raw_server(behave, read=False) as url,
        client(column, url) as asking_client,
        pytest.raises(BadResponse, match="broke off in the middle of its answer") as caught,
    ):
        asking_client.complete(Prompt("a"), pieces.append)
    assert pieces == ["Hello"]
    one_sentence(caught.value)


@pytest.mark.slow
@by_column
def test_stalled_answer(name: str) -> None:
    column = COLUMNS[name]
    started = servers.OK + b"Transfer-Encoding: chunked\r\n\r\n"
    sent = column.stream("Hello", end=False)

    def stalls(connection: socket.socket) -> None:
        connection.sendall(started + b"%x\r\n%b\r\n" % (len(sent), sent))
        servers.hangs(connection)

    behave = unless(column.healthy, stalls)
    with (
        raw_server(behave, read=False) as url,
        client(column, url) as asking_client,
        pytest.raises(BackendTimeout) as caught,
    ):
        asking_client.complete(Prompt("a"))
    one_sentence(caught.value)


@by_column
@pytest.mark.parametrize(
    ("text", "came"),
    [
        ("a\x1b[31mb\x07\u202e", "a\x1b[31mb\x07\u202e"),
        ("a\udcffb", "a\udcffb"),
        ("a\0b", "a\0b"),
        ("ü🙂", "ü🙂"),
    ],
)
def test_odd_text_is_unchanged(text: str, came: str, name: str) -> None:
    """Escapes stay: the reports and commands that show a text make it printable."""
    column = COLUMNS[name]
    behave = unless(column.healthy, answers(column.stream(text)))
    with raw_server(behave, read=False) as url, client(column, url) as asking_client:
        completion = asking_client.complete(Prompt("a"))
    assert (completion.text, completion.truncated) == (came, False)


@by_column
def test_invalid_utf8(name: str) -> None:
    column = COLUMNS[name]
    sent = column.stream("a?b").replace(b"?", b"\xff")
    with (
        raw_server(unless(column.healthy, answers(sent)), read=False) as url,
        client(column, url) as asking_client,
    ):
        assert asking_client.complete(Prompt("a")).text == "a\ufffdb"


@by_column
@pytest.mark.parametrize("value", [None, True, 3, -1, 1e400, "x", [], [None], {}, "\x1b[31m"])
def test_nonsense_about_the_model(value: Any, name: str) -> None:
    """Each thing that is told in turn becomes something else: an answer, or one sentence."""
    column = COLUMNS[name]
    for healthy in nonsense(column.healthy, value):
        behave = unless(healthy, answers(column.stream("Hello")))
        with raw_server(behave, read=False) as url, client(column, url) as asking_client:
            try:
                assert asking_client.complete(Prompt("a")).text == "Hello"
            except StarcoderError as exc:
                one_sentence(exc)


def nonsense(value_type: Any, value: Any) -> Iterator[Any]:
    """`told` with each of its parts replaced by `value`, one at a time."""
    inner = (
        value_type.items()
        if isinstance(value_type, dict)
        else enumerate(value_type)
        if isinstance(value_type, list)
        else ()
    )
    for key, part in inner:
        for variant in (value, *nonsense(part, value)):
            yield (
                {**value_type, key: variant}
                if isinstance(value_type, dict)
                else [*value_type[:key], variant, *value_type[key + 1 :]]
            )


@by_column
def test_ctrl_c_at_any_piece(name: str) -> None:
    column = COLUMNS[name]

    def interrupt(_piece: str) -> None:
        raise KeyboardInterrupt

    behave = unless(column.healthy, answers(column.stream("Hello", " you")))
    with raw_server(behave, read=False) as url, client(column, url) as asking_client:
        with pytest.raises(KeyboardInterrupt):
            asking_client.complete(Prompt("a"), interrupt)
        assert asking_client.complete(Prompt("a")).text == "Hello you"
