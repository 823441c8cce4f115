"""An engine that is started before it is asked."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from support.processes import is_alive, still_alive
from support.servers import closed_port

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.model.backends import warm_engine
from pytest_starcoder.model.backends.warm_engine import WarmEngine, likely_settings
from pytest_starcoder.model.prompt import Prompt
from pytest_starcoder.settings import Settings

linux = pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")


def child(engine: WarmEngine) -> int:
    process = engine._backend._engine
    assert process is not None
    return process.pid


def test_engine_is_used(tiny_model: Path) -> None:
    settings = Settings(model=str(tiny_model), threads=1, cache="off")
    engine = WarmEngine.start(settings)
    assert engine is not None
    started = child(engine)
    with engine.make_client(settings) as client:
        assert client.complete(Prompt("def f():", max_tokens=2)).completion_tokens
        assert child(engine) == started
    assert not is_alive(started)
    engine.close()


def test_unused_engine_ends(tiny_model: Path) -> None:
    engine = WarmEngine.start(Settings(model=str(tiny_model), threads=1))
    assert engine is not None
    started = child(engine)
    engine.close()
    assert not is_alive(started)


def test_other_settings(tiny_model: Path) -> None:
    engine = WarmEngine.start(Settings(model=str(tiny_model), threads=1))
    assert engine is not None
    client = engine.make_client(Settings(model=str(tiny_model), threads=2))
    assert client.backend is not engine._backend
    engine.close()


def test_start_is_short(tiny_model: Path) -> None:
    """The answer of the engine is not waited for."""
    engine = WarmEngine.start(Settings(model=str(tiny_model), threads=1))
    assert engine is not None
    assert engine._backend._server is None
    assert engine._backend.count("a", Deadline.after(60)) == 1
    engine.close()


@linux
def test_fork_of_the_parent(tiny_model: Path, tmp_path: Path) -> None:
    """A fork holds the pipe to the engine open, but the engine ends with its parent."""
    pids = tmp_path / "pids"
    parent = os.fork()
    if not parent:
        engine = WarmEngine.start(Settings(model=str(tiny_model), threads=1))
        assert engine is not None
        engine._backend.count("a", Deadline.after(60))
        fork = os.fork()
        if not fork:
            time.sleep(30)
            os._exit(0)
        pids.write_text(f"{child(engine)} {fork}")
        os._exit(0)
    os.waitpid(parent, 0)
    started, fork = map(int, pids.read_text().split())
    assert still_alive([started], seconds=10) == []
    os.kill(fork, 9)


@pytest.mark.parametrize(
    ("settings", "backend"),
    [
        (Settings(model="x.gguf"), "embedded"),
        (Settings(backend="embedded", model="x.gguf"), "embedded"),
        (Settings(model="coder"), "embedded"),
        (Settings(), "embedded"),
        (Settings(model="starcoder2:3b"), ""),
        (Settings(host="127.0.0.1"), ""),
        (Settings(backend="none"), ""),
        (Settings(backend="ollama", model="x.gguf"), ""),
    ],
)
def test_likely_settings(monkeypatch: pytest.MonkeyPatch, settings: Settings, backend: str) -> None:
    monkeypatch.setattr(warm_engine, "is_coder_installed", lambda: True)
    monkeypatch.setattr(warm_engine, "server_url", lambda _host: closed_port())
    likely = likely_settings(settings)
    assert (likely.backend if likely else "") == backend


def test_ollama_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_engine, "is_coder_installed", lambda: True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(warm_engine, "server_url", lambda _host: url)
        assert likely_settings(Settings()) is None


def test_no_coder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_engine, "is_coder_installed", lambda: False)
    assert likely_settings(Settings()) is None


def test_model_that_is_not_assembled(tmp_path: Path) -> None:
    """Joining a gigabyte would stop the tests for seconds."""
    assert WarmEngine.start(Settings(model="coder", cache=str(tmp_path))) is None
    assert not list(tmp_path.iterdir())
