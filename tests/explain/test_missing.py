"""What an exception says is missing outside the code."""

from __future__ import annotations

import asyncio
import errno
import locale
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import requests
from support.servers import closed_port

from pytest_starcoder.explain.failure import Missing
from pytest_starcoder.explain.missing import find_missing

PORT = int(closed_port().rpartition(":")[2])


EMPTY: dict[str, str] = {}


def is_own(file: str) -> bool:
    return file == __file__


def missing(run: Callable[[], object]) -> Missing | None:
    """Return what is missing according to the exception that `run` raises."""
    try:
        run()
    except Exception as exc:  # noqa: BLE001 - whatever it is
        return find_missing(exc, is_own)
    raise AssertionError("nothing was raised")


def connect() -> None:
    socket.create_connection(("localhost", PORT))


def connect_in_project() -> None:
    with socket.socket() as client:
        client.connect(("127.0.0.1", PORT))


def connect_in_asyncio() -> None:
    asyncio.run(asyncio.open_connection("127.0.0.1", PORT))


def connect_for_urllib() -> None:
    urllib.request.urlopen(f"http://localhost:{PORT}/prices")


def connect_for_requests() -> None:
    requests.get(f"http://localhost:{PORT}/prices", timeout=5)


def connect_and_wrap() -> None:
    try:
        connect()
    except OSError as exc:
        raise RuntimeError("the gateway is down") from exc


@pytest.mark.parametrize(
    "run",
    [
        connect,
        connect_in_project,
        connect_in_asyncio,
        connect_for_urllib,
        connect_for_requests,
        connect_and_wrap,
    ],
)
def test_refused_connection(run: Callable[[], object]) -> None:
    refused = missing(run)
    assert refused is not None
    assert (refused.kind, refused.detail) == ("address", str(PORT))
    assert refused.name in ("localhost", "127.0.0.1")


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        (
            'connection to server at "db.shop" (10.0.0.7), port 5432 failed: Connection refused',
            "db.shop",
            "5432",
        ),
        ("Error 111 connecting to cache:6379. Connection refused.", "cache", "6379"),
        ("mongo:27017: [Errno 111] Connection refused", "mongo", "27017"),
    ],
)
def test_client_in_words(text: str, name: str, port: str) -> None:
    """Clients that are written in C, or hide the system's error, name the address in words."""
    client = compile_installed("class Refused(Exception): ...\ndef call(text): raise Refused(text)")
    assert missing(lambda: client["call"](text)) == Missing("address", name, port)


def compile_installed(source: str) -> dict[str, Any]:
    """Return the names of a module that is not the project's own."""
    scope: dict[str, Any] = {"__name__": "installed"}
    exec(compile(source, "/site-packages/installed.py", "exec"), scope)
    return scope


def raise_in_test() -> None:
    raise ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 5432)")


def raise_in_mock() -> None:
    mock.Mock(side_effect=FileNotFoundError(2, "No such file", "prices.csv"))()


def raise_while_handling() -> None:
    try:
        connect()
    except OSError:
        EMPTY["prices"]


def throw() -> None:
    generator: Iterator[None] = (_ for _ in ())
    generator.throw(PermissionError(13, "Permission denied", "prices.csv"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("run", [raise_in_test, raise_in_mock, raise_while_handling, throw])
def test_raised_by_code(run: Callable[[], object]) -> None:
    """What a test double raises, or code in an `except` block, is not the environment."""
    assert missing(run) is None


@pytest.mark.parametrize(
    ("code", "expected"),
    [(socket.EAI_NONAME, Missing("host", "db.shop")), (socket.EAI_SERVICE, None)],
)
def test_host(code: int, expected: Missing | None) -> None:
    resolver = compile_installed(
        "import socket\ndef call(host, code): raise socket.gaierror(code, 'not known')\n"
    )
    resolver["__name__"] = "socket"
    assert missing(lambda: resolver["call"]("db.shop", code)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "failed to resolve host 'db.shop': [Errno -2] Name or service not known",
        'could not translate host name "db.shop" to address',
    ],
)
def test_host_in_words(text: str) -> None:
    client = compile_installed("class Unknown(Exception): ...\ndef call(t): raise Unknown(t)")
    assert missing(lambda: client["call"](text)) == Missing("host", "db.shop")


def test_network() -> None:
    client = compile_installed("def call(error, address): raise error")
    error = OSError(errno.ENETUNREACH, "Network is unreachable")
    expected = Missing("network", "10.0.0.7", "5432")
    assert missing(lambda: client["call"](error, ("10.0.0.7", 5432))) == expected


def test_locale() -> None:
    name = "xx_XX.UTF-8"
    assert missing(lambda: locale.setlocale(locale.LC_ALL, name)) == Missing("locale", name)


def test_coroutine() -> None:
    text = "async def functions are not natively supported.\nYou need to install …"
    with pytest.raises(pytest.fail.Exception) as failed:
        pytest.fail(text)
    assert find_missing(failed.value, is_own) == Missing("plugin", "async")


def test_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_KEY", raising=False)
    assert missing(lambda: os.environ["SHOP_KEY"]) == Missing("variable", "SHOP_KEY")
    assert missing(lambda: EMPTY["SHOP_KEY"]) is None


def test_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = Missing("file", "prices.csv", str(tmp_path / "prices.csv"))
    assert missing(lambda: os.stat("prices.csv")) == found  # noqa: PTH116 - a relative path
    assert missing(lambda: Path("prices.csv").read_text()) == found


def test_permission() -> None:
    opener = compile_installed(
        "def call(path): raise PermissionError(13, 'Permission denied', path)"
    )
    assert missing(lambda: opener["call"]("/etc/key")) == Missing(
        "permission", "/etc/key", "/etc/key"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_disk() -> None:
    def write() -> None:
        with Path("/dev/full").open("w") as file:
            file.write("x")

    assert missing(write) == Missing("disk", "", str(Path.cwd()))


def test_program(tmp_path: Path) -> None:
    assert missing(lambda: subprocess.check_call(["no-such-program"])) == Missing(
        "program", "no-such-program"
    )
    folder = str(tmp_path / "missing")
    run = [sys.executable, "-V"]
    assert missing(lambda: subprocess.check_call(run, cwd=folder)) == Missing(
        "file", folder, folder
    )


def import_missing() -> None:
    import no_such_module  # type: ignore[import-not-found]  # noqa: F401


def import_submodule() -> None:
    import json.no_such_module  # type: ignore[import-not-found]  # noqa: F401


def import_name() -> None:
    from json import no_such_name  # type: ignore[attr-defined]  # noqa: F401


def test_import(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing(import_missing) == Missing("module", "no_such_module")
    assert missing(import_submodule) == Missing("module", "json.no_such_module")
    assert missing(import_name) == Missing("name", "no_such_name", "json")
    monkeypatch.setitem(sys.modules, "no_such_module", None)
    assert missing(import_missing) is None  # blocked by the test


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "fixture 'tmp_pth' not found\n available fixtures: capsys, tmp_path",
            Missing("fixture", "tmp_pth", "tmp_path"),
        ),
        (" recursive dependency involving fixture 'shop' detected\n available fixtures: a", None),
    ],
)
def test_fixture(text: str, expected: Missing | None) -> None:
    class FixtureLookupError(LookupError):
        def formatrepr(self) -> SimpleNamespace:
            return SimpleNamespace(errorstring=text)

    assert find_missing(FixtureLookupError(), is_own) == expected


def bind(port: int) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))


def test_port_of_this_run() -> None:
    """A port that the run itself has left open is a fault of the code."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert missing(lambda: bind(port)) is None


def test_port_of_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_starcoder.explain.missing.port_owner", lambda port: "web (PID 7)")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert missing(lambda: bind(port)) == Missing("port", str(port), "web (PID 7)")


def test_odd_exception() -> None:
    class Odd(OSError):
        @property
        def errno(self) -> int:  # type: ignore[override]
            raise RuntimeError

    def call() -> None:
        raise Odd

    assert missing(call) is None
    assert find_missing(Odd(), is_own) is None
