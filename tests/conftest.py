"""Fixtures for all tests: a clean environment, a tiny model, and real servers that run it."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from support.real import RealServer, create_in_ollama, running_llamacpp, running_ollama
from support.servers import FakeOllama, closed_port, fake_ollama
from support.tiny_model import write_tiny_model

pytest_plugins = ["pytester"]


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Keep bytes out of test ids: compressed data may contain a timestamp."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of all later garbage collections."""
    gc.collect()
    gc.freeze()


# The time that an example takes depends on how busy the machine is.
settings.register_profile("loaded", deadline=None)
settings.load_profile("loaded")

# For `benchmarks`; last, so that the package is the installed one.
sys.path.append(str(Path(__file__).parents[1]))


# Children would compile every module again, and pytest rewrite it: half the time of a run.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

HIDDEN_PREFIXES = (
    *("STARCODER_", "PYTEST_ADDOPTS", "GIT_", "XDG_", "HF_", "HUGGING", "COLUMNS"),
    *("CI", "BUILD_NUMBER"),
)
"""Variables that change what pytest, git and this plugin do."""


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all home folders: making each with tmp_path would list all others."""
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, homes: Path) -> Path:
    """Hide the developer's settings, caches and servers; return a new home folder."""
    for name in os.environ:
        if name.startswith(HIDDEN_PREFIXES) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    home = Path(tempfile.mkdtemp(dir=homes))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("OLLAMA_HOST", closed_port())
    return home


@pytest.fixture(scope="session", autouse=True)
def signals() -> None:
    """Let Ctrl-C and a closed terminal end what tests start.

    A run that a shell has put into the background, or that nohup has started, ignores them.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def pytester(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.Pytester]:
    """Run pytest without Hypothesis' plugin and the search for fixes, which take seconds."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    monkeypatch.setenv("STARCODER_FIX", "off")
    yield pytester
    _forget_removed_modules()


def _forget_removed_modules() -> None:
    """Remove from our packages the modules that are no longer in `sys.modules`.

    A run in this process restores `sys.modules`, and not what importing did to packages:
    a later test would patch a module that nobody imports any more.
    """
    for name, package in list(sys.modules.items()):
        if name.partition(".")[0] != "pytest_starcoder":
            continue
        for child, value in list(vars(package).items()):
            is_module = getattr(value, "__name__", "") == f"{name}.{child}"
            if is_module and f"{name}.{child}" not in sys.modules:
                delattr(package, child)


@pytest.fixture
def ollama_double(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeOllama]:
    """Yield a scripted server that speaks Ollama; the settings point at it."""
    with fake_ollama() as fake:
        monkeypatch.setenv("OLLAMA_HOST", fake.url)
        yield fake


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a GGUF file of StarCoder2's shape whose answers are noise."""
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny-starcoder2.gguf")


@pytest.fixture(scope="session")
def llamacpp(tiny_model: Path) -> Iterator[RealServer]:
    """Yield a real llama.cpp server with the tiny model."""
    with running_llamacpp(tiny_model) as server:
        yield server


@pytest.fixture(scope="session")
def real_ollama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a real Ollama with its own models; skips the test without `ollama`."""
    program = shutil.which("ollama")
    if program is None:
        pytest.skip("no `ollama` on PATH: these tests run against a real one where it is installed")
    with running_ollama(program, tmp_path_factory.mktemp("ollama")) as url:
        yield url


@pytest.fixture(scope="session")
def ollama_model(real_ollama: str, tiny_model: Path) -> str:
    """Return the name of the tiny model in the real Ollama."""
    return create_in_ollama(real_ollama, "tiny-starcoder2", tiny_model)
