"""Recordings of real servers: they are replayed exactly, and their errors become ours.

The contract runs on them too; what only this file asks is recorded with it.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from support.errors import raises_error
from support.real import RealServer
from support.recordings import (
    LLAMACPP,
    OLLAMA,
    RECORDINGS,
    Recording,
    recorded,
    recording,
    replayed,
    replaying,
)
from support.servers import DIGEST, answers, raw_server

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import AccessDenied, BadResponse, PromptTooLong, UnknownModel
from pytest_starcoder.model.backends.llamacpp import LlamaCpp
from pytest_starcoder.model.backends.ollama import Ollama
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

CHUNKS = [b'{"a": "\xc3', b'\xbc"}\n{"b"', b': "\xff\x00"}\n', '{"c": "日🙂"}\n'.encode(), b"\n"]
"""Boundaries within a character and within a line, a byte that is not UTF-8, a blank line."""


def soon() -> Deadline:
    return Deadline.after(30)


# --- recording and replaying ---------------------------------------------------------------


def streams(connection: socket.socket) -> None:
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: "
        b"chunked\r\n\r\n"
    )
    connection.sendall(
        b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in CHUNKS) + b"0\r\n\r\n"
    )


def counts() -> Callable[[socket.socket], None]:
    """A server whose answers are 1, 2, 3 and so on, each of them twice."""
    numbers = iter(range(2, 100))
    return lambda connection: answers(b"%d" % (next(numbers) // 2))(connection)


def chunks(url: str, body: dict[str, object] | None = None) -> list[bytes]:
    with requests.post(
        f"{url}/ask", json=body or {"prompt": "a"}, stream=True, timeout=10
    ) as response:
        return list(response.raw.read_chunked())


def ask_number(url: str, number: int = 0) -> str:
    return requests.post(f"{url}/ask", json={"options": {"seed": number}}, timeout=10).text


def test_stream_is_replayed_exactly(tmp_path: Path) -> None:
    made = Recording()
    with raw_server(streams) as target, recording(target, made) as url:
        assert chunks(target) == chunks(url) == CHUNKS
    made.save(tmp_path / "made.json")
    with replaying(tmp_path / "made.json") as url:
        assert chunks(url) == CHUNKS
    assert Recording.load(tmp_path / "made.json") == made


def test_replayed_status_and_headers(
    tmp_path: Path,
) -> None:
    made = Recording()
    busy = answers(
        b'{"error": "busy"}',
        "503 Busy",
        "Content-Type: application/json",
        "Retry-After: 7",
        "Server: X",
    )
    with raw_server(busy) as target, recording(target, made) as url:
        requests.get(f"{url}/ask", timeout=10)
    made.save(tmp_path / "made.json")
    with replaying(tmp_path / "made.json") as url:
        replay = requests.get(f"{url}/ask", timeout=10)
    assert (replay.status_code, replay.content) == (503, b'{"error": "busy"}')
    assert replay.headers == {
        "Content-Type": "application/json",
        "Retry-After": "7",
        "Content-Length": "17",
    }


def test_replay_order(
    tmp_path: Path,
) -> None:
    made = Recording()
    with raw_server(counts()) as target, recording(target, made) as url:
        assert [ask_number(url) for _ in range(6)] == ["1", "1", "2", "2", "3", "3"]
    made.save(tmp_path / "made.json")
    for _ in range(2):
        with replaying(tmp_path / "made.json") as url:
            assert [ask_number(url) for _ in range(5)] == ["1", "2", "3", "3", "3"]


def test_unrecorded_request(tmp_path: Path) -> None:
    made = Recording()
    with raw_server(answers(b"yes")) as target, recording(target, made) as url:
        ask_number(url, 1)
    made.save(tmp_path / "made.json")
    message = (
        "POST /ask was not recorded; the closest differs in options.seed. "
        "Record again with `cd tests && python -m support.record`. "
        'Asked was: {"options": {"seed": 2}}'
    )
    replay = ExitStack()
    url = replay.enter_context(replaying(tmp_path / "made.json"))
    assert ask_number(url, 1) == "yes"
    refused = requests.post(f"{url}/ask", json={"options": {"seed": 2}}, timeout=10)
    assert (refused.status_code, refused.json()) == (501, {"error": message})
    with pytest.raises(pytest.fail.Exception) as failed:
        replay.close()
    assert str(failed.value) == f"made.json is outdated.\n{message}"


def test_key_is_not_recorded(tmp_path: Path) -> None:
    made, heads = Recording(), []

    def listens(connection: socket.socket) -> None:
        heads.append(connection.recv(2**16))
        answers(b"yes")(connection)

    with raw_server(listens, read=False) as target, recording(target, made) as url:
        requests.get(f"{url}/ask", headers={"Authorization": "Bearer sesame"}, timeout=10)
    made.save(tmp_path / "made.json")
    assert b"Authorization: Bearer sesame" in heads[0]
    assert "sesame" not in (tmp_path / "made.json").read_text()


def test_times_are_not_recorded(tmp_path: Path) -> None:
    made = Recording()
    told_by_servers = (
        b'{"created_at":"2025-11-25T04:15:11.66Z","eval_duration":29196601,"id":"/home/me/x/tiny.gguf","created":17955,'
        b'"modelfile":"\\n\\nFROM '
        b'/home/me/models/blobs/sha256-17a5\\n","prompt_ms":0.685,"prompt_per_second":8.7e3,'
        b'"name":"chatcmpl-K1vy3Z","eval_count":4,"modified_at":"","digest":"'
        + b"17a52080" * 8
        + b'"}'
    )
    with raw_server(answers(told_by_servers)) as target, recording(target, made) as url:
        assert requests.get(url, timeout=10).text == (
            '{"created_at":"2026-01-01T00:00:00Z","eval_duration":1,"id":"/models/tiny.gguf","created":1,'
            '"modelfile":"\\n\\nFROM '
            '/models/blobs/sha256-17a5\\n","prompt_ms":1,"prompt_per_second":1,'
            '"name":"cmpl-1","eval_count":4,"modified_at":"","digest":"' + DIGEST + '"}'
        )


def test_file_is_independent_of_order(tmp_path: Path) -> None:
    for name, numbers in (("one", [1, 2, 3]), ("other", [3, 1, 2])):
        made = Recording("a server")
        with raw_server(answers(b"yes")) as target, recording(target, made) as url:
            for number in numbers:
                ask_number(url, number)
        made.save(tmp_path / name)
    assert (tmp_path / "one").read_text() == (tmp_path / "other").read_text()


@pytest.mark.parametrize("file", [OLLAMA, LLAMACPP], ids=lambda file: file.stem)
def test_recordings_are_anonymous(file: Path, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    if RECORDINGS in pytestconfig.stash:
        pytest.skip("the recordings are being made anew")
    text = file.read_text("utf-8")
    assert re.match(r"(Ollama|llama\.cpp) \w", Recording.load(file).server)
    assert len(text) < 200_000
    assert not re.search(r"/tmp/|/home/|/root/|/Users/|[A-Z]:\\\\|pytest-of|test-key|Bearer", text)
    Recording.load(file).save(tmp_path / "again")
    assert (tmp_path / "again").read_text("utf-8") == text, "it is not as the recorder writes it"


# --- errors of a real Ollama ---------------------------------------------------------------


@pytest.fixture(params=["ollama", "ollama recorded"])
def ollama_url(request: pytest.FixtureRequest) -> str:
    if request.param == "ollama recorded":
        return replayed(request, OLLAMA)
    request.getfixturevalue("ollama_model")
    return recorded(request, OLLAMA, request.getfixturevalue("real_ollama"))


def ollama(url: str, model: str = "tiny-starcoder2") -> Ollama:
    return Ollama(Settings(backend="ollama", host=url, model=model, temperature=0))


def complete(backend: Ollama | LlamaCpp, prompt: Prompt, window: int) -> Completion:
    return backend.complete(
        prompt, Model("m", "d", "starcoder2", window), soon(), lambda _piece: None
    )


def test_ollama_unknown_model(ollama_url: str) -> None:
    backend = ollama(ollama_url, "starcoder2:7b")
    for ask in (
        lambda: backend.identify(soon()),
        lambda: backend.inspect("d", soon()),
        lambda: complete(backend, Prompt("a", max_tokens=1), 16384),
    ):
        with raises_error(
            UnknownModel,
            f"Ollama at {ollama_url} has no model 'starcoder2:7b'.",
            "Fetch it with `ollama pull starcoder2:7b`.",
        ):
            ask()


def test_ollama_prompt_too_long(ollama_url: str) -> None:
    with raises_error(
        PromptTooLong,
        "The prompt does not fit the window of 'tiny-starcoder2' on Ollama: "
        "the input length exceeds the context length.",
        "Send less, or start Ollama with a larger OLLAMA_CONTEXT_LENGTH.",
    ):
        complete(ollama(ollama_url), Prompt("a" * 17_000, max_tokens=1), 16384)


def test_ollama_refuses_a_schema(ollama_url: str) -> None:
    with raises_error(
        BadResponse,
        "Ollama refuses the schema of the answer: invalid JSON schema in format.",
        "Please report this as a bug of pytest-starcoder, with Ollama's version.",
    ):
        complete(ollama(ollama_url), Prompt("a", max_tokens=1, schema={"type": "banana"}), 16384)


def test_ollama_is_not_llamacpp(ollama_url: str) -> None:
    backend = LlamaCpp(ollama_url, Settings())
    with raises_error(
        BadResponse,
        f"{ollama_url} does not answer like llama.cpp (404: 404 page not found).",
        "Is another program listening there? Set host to where llama.cpp runs.",
    ):
        backend.count("a", soon())


# --- errors of a real llama.cpp ------------------------------------------------------------


@pytest.fixture(params=["llamacpp", "llamacpp recorded"])
def llamacpp_at(request: pytest.FixtureRequest) -> RealServer:
    if request.param == "llamacpp recorded":
        return RealServer(replayed(request, LLAMACPP), "")
    server: RealServer = request.getfixturevalue("llamacpp")
    return RealServer(recorded(request, LLAMACPP, server.url), server.key)


def llamacpp(server: RealServer) -> LlamaCpp:
    return LlamaCpp(server.url, Settings(temperature=0), server.key)


def test_llamacpp_wrong_key(llamacpp_at: RealServer) -> None:
    """The prompt is this test's own: a recording knows a request by its body, never by its key."""
    backend = LlamaCpp(llamacpp_at.url, Settings(temperature=0), "wrong")
    with raises_error(
        AccessDenied,
        f"llama.cpp at {llamacpp_at.url} refuses the key (401: Invalid API Key).",
        "Set STARCODER_API_KEY to the key it was started with (--api-key).",
    ):
        complete(backend, Prompt("asked with a wrong key", max_tokens=1), 4096)


def test_llamacpp_prompt_too_long(llamacpp_at: RealServer) -> None:
    with raises_error(
        PromptTooLong,
        f"The prompt does not fit the window of the model at {llamacpp_at.url}: request (5000 "
        "tokens) exceeds the "
        "available context size (4096 tokens), try increasing it.",
        "Send less, or start llama.cpp with a larger --ctx-size.",
    ):
        complete(llamacpp(llamacpp_at), Prompt("b" * 5000, max_tokens=1), 4096)


def test_llamacpp_refuses_chat_schema(llamacpp_at: RealServer) -> None:
    with raises_error(
        BadResponse,
        f"llama.cpp at {llamacpp_at.url} failed (400: Unable to generate parser for this template. "
        "Automatic parser generation failed: JSON schema error at #: unrecognized type banana).",
        "Check its log.",
    ):
        complete(
            llamacpp(llamacpp_at),
            Prompt("a", max_tokens=1, schema={"type": "banana"}, chat=True),
            4096,
        )


def test_llamacpp_ignores_completion_schema(
    llamacpp_at: RealServer,
) -> None:
    """Without a word: who sends a schema there must still expect any text."""
    completion = complete(
        llamacpp(llamacpp_at), Prompt("a", max_tokens=3, schema={"type": "banana"}), 4096
    )
    assert completion.completion_tokens == 3


def test_llamacpp_is_not_ollama(llamacpp_at: RealServer) -> None:
    backend = Ollama(Settings(backend="ollama", host=llamacpp_at.url, api_key=llamacpp_at.key))
    with raises_error(
        BadResponse,
        f"{llamacpp_at.url} does not answer like Ollama (404: File Not Found).",
        "Is another program listening there? Set host to where Ollama runs.",
    ):
        backend.inspect("d", soon())
