"""Downloads from a hub, with the real huggingface_hub, over real HTTP."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.errors import raises_error
from support.hub import CONTENT, MODEL, SIGNATURE, FakeHub, fake_hub
from support.servers import closed_port

from pytest_starcoder.errors import (
    AccessDenied,
    BackendUnavailable,
    BadResponse,
    ConfigError,
    MissingExtra,
    MissingModel,
    RateLimited,
    StarcoderError,
    UnknownModel,
)
from pytest_starcoder.model.backends.hub_download import Hub, hub_from_environment, pull
from pytest_starcoder.model.backends.packaged_model import disk_use, remove

pytest.importorskip("huggingface_hub", reason="the extra `download` is not installed")

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes and signals")

TERMS = (
    "Accept the terms at https://huggingface.co/someone/Tiny-GGUF, and set HF_TOKEN to a token "
    "that may read it."
)
MIRROR = "Unset HF_ENDPOINT, or set it to another mirror."


@pytest.fixture
def server() -> Iterator[FakeHub]:
    with fake_hub() as hub:
        yield hub


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def hub_of(server: FakeHub, token: str = "") -> Hub:
    return hub_from_environment(token, {"HF_ENDPOINT": server.url})


def host_of(server: FakeHub) -> str:
    return server.url.removeprefix("http://")


def begin(cache: Path, content: bytes) -> Path:
    """Leave a partial file, as an interrupted download does."""
    partial = MODEL.partial_path(cache)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(content)
    return partial


def ranges(server: FakeHub) -> list[str | None]:
    return [request.headers.get("range") for request in server.stored]


# --- what is downloaded --------------------------------------------------------------------


def test_pull(server: FakeHub, cache: Path) -> None:
    path = pull(MODEL, cache, hub_of(server))
    assert path == cache / "tiny-1b" / "tiny-q4.gguf"
    assert path.read_bytes() == CONTENT
    assert [request.method for request in server.requests] == ["HEAD"]
    assert ranges(server) == [None]
    assert not MODEL.partial_path(cache).exists()


@posix
def test_modes(server: FakeHub, cache: Path) -> None:
    path = pull(MODEL, cache, hub_of(server))
    for place, mode in ((path, 0o600), (path.parent, 0o700), (cache, 0o700)):
        assert stat.S_IMODE(place.stat().st_mode) == mode


def test_pulled_model_is_not_pulled_again(server: FakeHub, cache: Path) -> None:
    pull(MODEL, cache, hub_of(server))
    pull(MODEL, cache, hub_of(server))
    assert len(server.requests) == len(server.stored) == 1


def test_damaged_file_is_replaced(server: FakeHub, cache: Path) -> None:
    path = pull(MODEL, cache, hub_of(server))
    path.write_bytes(CONTENT[:-1] + b"!")
    assert pull(MODEL, cache, hub_of(server)).read_bytes() == CONTENT


def test_mirror_that_sends_the_file(server: FakeHub, cache: Path) -> None:
    server.sends = True
    assert pull(MODEL, cache, hub_of(server)).read_bytes() == CONTENT
    assert server.stored == []


def test_only_the_file_is_requested(server: FakeHub, cache: Path) -> None:
    pull(MODEL, cache, hub_of(server))
    assert {urlpath(request.path) for request in (*server.requests, *server.stored)} == {
        f"/{MODEL.repository}/resolve/{MODEL.revision}/{MODEL.file_name}",
        f"/{MODEL.sha256}",
    }


def urlpath(path: str) -> str:
    return path.partition("?")[0]


# --- what ended early ----------------------------------------------------------------------


def test_partial_file_is_continued(server: FakeHub, cache: Path) -> None:
    begin(cache, CONTENT[:1_000_000])
    assert pull(MODEL, cache, hub_of(server)).read_bytes() == CONTENT
    assert ranges(server) == ["bytes=1000000-"]


def test_complete_partial_file(cache: Path) -> None:
    begin(cache, CONTENT)
    assert pull(MODEL, cache, Hub(closed_port())).read_bytes() == CONTENT


def test_too_long_partial_file(server: FakeHub, cache: Path) -> None:
    begin(cache, CONTENT + b"more")
    assert pull(MODEL, cache, hub_of(server)).read_bytes() == CONTENT
    assert ranges(server) == [None]


def test_server_without_ranges(server: FakeHub, cache: Path) -> None:
    server.knows_ranges = False
    begin(cache, CONTENT[:1_000_000])
    assert pull(MODEL, cache, hub_of(server)).read_bytes() == CONTENT


def test_broken_connection_is_resumed(server: FakeHub, cache: Path) -> None:
    server.cuts = [2**20 + 1000]
    assert pull(MODEL, cache, hub_of(server)).read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={2**20}-"]


def test_truncated_file(server: FakeHub, cache: Path) -> None:
    server.content = CONTENT[:2_000_000]
    with raises_error(
        BackendUnavailable,
        f"{host_of(server)} did not send all of tiny:1b; what came is kept.",
        "The same command continues it.",
    ):
        pull(MODEL, cache, hub_of(server))
    assert MODEL.partial_path(cache).read_bytes() == CONTENT[:2_000_000]
    server.content = CONTENT
    assert pull(MODEL, cache, hub_of(server)).read_bytes() == CONTENT


@posix
@pytest.mark.slow
def test_interrupt_keeps_what_came(server: FakeHub, cache: Path) -> None:
    server.held = threading.Event()
    program = (
        "from pytest_starcoder.cli import main, models; from support.hub import MODEL; "
        "models.HUB_MODELS[MODEL.name] = MODEL; "
        "raise SystemExit(main(['models', 'pull', 'tiny:1b']))"
    )
    environment = os.environ | {
        "HF_ENDPOINT": server.url,
        "STARCODER_CACHE": str(cache),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while disk_use(MODEL, cache) < 2**20 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    server.held.set()
    assert process.returncode == 130
    assert output.splitlines() == [
        f"tiny:1b: 3 MB from {host_of(server)}/someone/Tiny-GGUF. Licence: MIT.",
        "1 MB are kept; the same command continues.",
    ]
    assert errors == "starcoder: interrupted.\n"
    server.held = None
    assert pull(MODEL, cache, hub_of(server)).read_bytes() == CONTENT
    assert ranges(server) == [None, f"bytes={2**20}-"]


def test_two_downloads(server: FakeHub, cache: Path) -> None:
    from filelock import FileLock

    partial = begin(cache, b"")
    with (
        FileLock(f"{partial}.lock"),
        raises_error(
            MissingModel,
            "Another process is downloading tiny:1b.",
            "Wait until it has ended.",
        ),
    ):
        pull(MODEL, cache, hub_of(server))
    assert server.requests == []


# --- another file --------------------------------------------------------------------------


def test_corrupted_file(server: FakeHub, cache: Path) -> None:
    server.content = CONTENT[:-1] + b"!"
    with raises_error(
        BadResponse,
        "What was downloaded of tiny:1b has another SHA-256 than it should have; it is deleted.",
        "Pull it again. If that does not help, a proxy or a mirror changes it.",
    ):
        pull(MODEL, cache, hub_of(server))
    assert disk_use(MODEL, cache) == 0


@pytest.mark.parametrize("claim", [{"claimed_size": 17}, {"claimed_sha256": "0" * 64}])
def test_other_file(server: FakeHub, cache: Path, claim: dict[str, object]) -> None:
    vars(server).update(claim)
    with raises_error(
        BadResponse,
        f"{host_of(server)} has another file tiny-q4.gguf than the expected one; "
        "it is not downloaded.",
        MIRROR,
    ):
        pull(MODEL, cache, hub_of(server))
    assert server.stored == []


def test_other_etag(server: FakeHub, cache: Path) -> None:
    server.claimed_sha256 = "a-mirror's-own-tag"
    assert pull(MODEL, cache, hub_of(server)).read_bytes() == CONTENT


# --- space ---------------------------------------------------------------------------------


def test_no_space(server: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with raises_error(
        MissingModel,
        f"tiny:1b (3 MB) does not fit into {cache / 'tiny-1b'}: 1 MB are free.",
        "Free some space there, or set STARCODER_CACHE to another folder.",
    ):
        pull(MODEL, cache, hub_of(server))
    assert server.stored == []


def test_space_for_the_rest(server: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(cache, CONTENT[:2_000_000])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    assert pull(MODEL, cache, hub_of(server)).read_bytes() == CONTENT


def test_cache_is_a_file(server: FakeHub, cache: Path) -> None:
    cache.write_text("")
    with pytest.raises(MissingModel, match=r"tiny:1b cannot be written to .*tiny-1b \(.+\)\."):
        pull(MODEL, cache, hub_of(server))


# --- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
def test_gated_model(server: FakeHub, cache: Path, status: int) -> None:
    server.gated = status
    with raises_error(
        AccessDenied,
        f"{host_of(server)} requires a token for someone/Tiny-GGUF (status {status}).",
        TERMS,
    ):
        pull(MODEL, cache, hub_of(server))


def test_wrong_token(server: FakeHub, cache: Path) -> None:
    server.gated = 403
    with raises_error(
        AccessDenied,
        f"{host_of(server)} refuses the token for someone/Tiny-GGUF (status 403).",
        TERMS,
    ):
        pull(MODEL, cache, hub_of(server, "hf_wrong"))


def test_missing_file(server: FakeHub, cache: Path) -> None:
    model = replace(MODEL, file_name="gone.gguf")
    with raises_error(
        UnknownModel,
        f"{host_of(server)} does not have gone.gguf of someone/Tiny-GGUF (status 404).",
        MIRROR,
    ):
        pull(model, cache, hub_of(server))


def test_too_many_requests(server: FakeHub, cache: Path) -> None:
    server.status = 429
    with raises_error(
        RateLimited,
        f"{host_of(server)} has had too many requests from here.",
        "Try again later.",
    ):
        pull(MODEL, cache, hub_of(server))


def test_broken_hub(server: FakeHub, cache: Path) -> None:
    server.status = 503
    with raises_error(
        BackendUnavailable, f"{host_of(server)} answered with status 503.", "Try again later."
    ):
        pull(MODEL, cache, hub_of(server))


def test_nothing_listens(cache: Path) -> None:
    url = closed_port()
    with raises_error(
        BackendUnavailable,
        f"{url.removeprefix('http://')} cannot be reached, or the connection broke; "
        "what came is kept.",
        "The same command continues it.",
    ):
        pull(MODEL, cache, Hub(url))


def test_offline(server: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # the variable, once it is imported
    with raises_error(
        BackendUnavailable, "HF_HUB_OFFLINE is set, so nothing is downloaded.", "Unset it."
    ):
        pull(MODEL, cache, hub_of(server))
    assert server.requests == []


class NoLibrary(MetaPathFinder):
    """Finds every module but huggingface_hub."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "huggingface_hub":
            raise ImportError(name=name)


def forget_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] == "huggingface_hub":
            monkeypatch.delitem(sys.modules, name)


def test_missing_library(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_library(monkeypatch)
    monkeypatch.setattr(sys, "meta_path", [NoLibrary(), *sys.meta_path])
    with raises_error(
        MissingExtra,
        "huggingface_hub is not installed.",
        "Install it with `pip install 'pytest-starcoder[download]'`.",
    ):
        pull(MODEL, cache, Hub())


def test_shadowed_library(
    server: FakeHub, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "huggingface_hub.py").write_text("raise SystemExit('the repository runs')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    forget_library(monkeypatch)
    assert pull(MODEL, cache, hub_of(server)).read_bytes() == CONTENT


# --- what is sent --------------------------------------------------------------------------


def tokens(server: FakeHub) -> list[str | None]:
    """Return the Authorization header of every request, to either host."""
    requests = (*server.requests, *server.stored)
    return [request.headers.get("authorization") for request in requests]


def test_no_token_unless_gated(server: FakeHub, cache: Path) -> None:
    pull(MODEL, cache, hub_of(server, "hf_right"))
    assert tokens(server) == [None, None]


def test_token_goes_to_the_hub_alone(server: FakeHub, cache: Path) -> None:
    server.gated = 401
    pull(MODEL, cache, hub_of(server, "hf_right"))
    assert tokens(server) == [None, "Bearer hf_right", None]
    assert f"signature={SIGNATURE}" in server.stored[0].path


def test_token_for_a_mirror_that_sends_the_file(server: FakeHub, cache: Path) -> None:
    server.gated = 403
    server.sends = True
    pull(MODEL, cache, hub_of(server, "hf_right"))
    assert tokens(server) == [None, "Bearer hf_right", "Bearer hf_right"]


def test_token_is_not_sent_in_clear(
    server: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.gated = 401
    monkeypatch.setattr("pytest_starcoder.model.backends.hub_download.is_loopback", lambda _: False)
    with raises_error(
        AccessDenied,
        f"{host_of(server)} requires a token, which is not sent without encryption.",
        "Set HF_ENDPOINT to an https:// address, or unset it.",
    ):
        pull(MODEL, cache, hub_of(server, "hf_right"))
    assert tokens(server) == [None]


def test_signed_address_is_not_shown(
    server: FakeHub,
    cache: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.cuts = [2**20 + 1000]
    pull(MODEL, cache, hub_of(server))
    server.content = b""
    remove(MODEL, cache)
    with contextlib.suppress(StarcoderError):
        pull(MODEL, cache, hub_of(server))
    assert SIGNATURE not in "".join((*capfd.readouterr(), caplog.text))


# --- the user's environment ----------------------------------------------------------------


def test_hub() -> None:
    hub = hub_from_environment("", {})
    assert (hub.endpoint, hub.host, hub.token) == ("https://huggingface.co", "huggingface.co", "")


def test_variables() -> None:
    variables = {"HF_ENDPOINT": "https://mirror.example/", "HF_TOKEN": "hf_1"}
    hub = hub_from_environment("", variables)
    assert (hub.endpoint, hub.host, hub.token) == (
        "https://mirror.example",
        "mirror.example",
        "hf_1",
    )
    assert hub_from_environment("hf_own", variables).token == "hf_own"
    assert "hf_1" not in repr(hub)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("mirror.example", "must begin with http:// or https://"),
        (
            "https://me:secret@mirror.example",
            "must not contain a user or password; a key goes into api_key",
        ),
    ],
)
def test_bad_endpoint(endpoint: str, reason: str) -> None:
    with raises_error(ConfigError, f"HF_ENDPOINT {reason}.", "Fix or unset it."):
        hub_from_environment("", {"HF_ENDPOINT": endpoint})
