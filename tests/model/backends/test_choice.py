"""What the backend `auto` is, and why."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from support.servers import FakeOllama, closed_port

from pytest_starcoder.model.backends import choice as home
from pytest_starcoder.model.backends import make_backend
from pytest_starcoder.model.backends.choice import Choice, choose, is_model_file, model_name
from pytest_starcoder.settings import Settings
from pytest_starcoder.settings.address import server_url

ONLY_OLLAMA = "backend is auto: Ollama, unless the model is a file"


@pytest.fixture
def coder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra `coder` is installed."""
    monkeypatch.setattr(home, "is_coder_installed", lambda: True)


@pytest.fixture(autouse=True)
def default_address(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The address of Ollama where no host is set; nothing answers there."""
    address = [closed_port()]
    monkeypatch.setattr(
        "pytest_starcoder.model.backends.ollama.server_url", lambda _host: server_url(address[0])
    )
    return address


def chosen(settings: Settings) -> tuple[str, str, str]:
    choice = choose(settings)
    return choice.settings.backend, choice.settings.model, choice.reason


def test_named_backend() -> None:
    settings = Settings(backend="llamacpp", sources={"backend": "STARCODER_BACKEND"})
    assert choose(settings) == Choice(settings, "backend is llamacpp: STARCODER_BACKEND")


@pytest.mark.parametrize("model", ["demo", "coder", "a.gguf", "/models/a.gguf"])
@pytest.mark.usefixtures("coder")
def test_file(model: str) -> None:
    reason = "backend is auto, and the model is a file"
    assert chosen(Settings(model=model)) == ("embedded", model, reason)


@pytest.mark.usefixtures("coder")
def test_ollama_has_the_model(ollama_double: FakeOllama, default_address: list[str]) -> None:
    default_address[0] = ollama_double.url
    reason = "backend is auto, and Ollama has starcoder2:7b"
    assert chosen(Settings()) == ("ollama", "starcoder2:7b", reason)


@pytest.mark.usefixtures("coder")
def test_ollama_is_away(default_address: list[str]) -> None:
    problem = f"Nothing answers at {default_address[0]}."
    assert choose(Settings()) == Choice(
        Settings(backend="embedded", model="coder"),
        f"backend is auto, and the extra coder is installed. {problem}",
        problem,
    )


@pytest.mark.usefixtures("coder")
def test_ollama_lacks_the_model(ollama_double: FakeOllama, default_address: list[str]) -> None:
    default_address[0] = ollama_double.url
    ollama_double.model = "other:1b"
    choice = choose(Settings())
    assert choice.settings.model == "coder"
    assert choice.fallback == f"Ollama at {ollama_double.url} has no model 'starcoder2:7b'."


@pytest.mark.parametrize(
    "settings",
    [
        Settings(model="starcoder2:3b"),
        Settings(model="starcoder2:7b", sources={"model": "STARCODER_MODEL"}),
        Settings(host="127.0.0.1:1"),
    ],
)
@pytest.mark.usefixtures("coder")
def test_what_is_set_is_used(settings: Settings) -> None:
    assert chosen(settings) == ("ollama", settings.model, ONLY_OLLAMA)


def test_without_the_extra(
    ollama_double: FakeOllama, default_address: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "is_coder_installed", lambda: False)
    default_address[0] = ollama_double.url
    assert chosen(Settings()) == ("ollama", "starcoder2:7b", ONLY_OLLAMA)
    make_backend(Settings())
    assert ollama_double.requests == []


def test_extra_without_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "find_spec", lambda _name: None)
    assert not home.is_coder_installed()


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("demo", True),
        ("coder", True),
        ("a.gguf", True),
        ("A.GGUF", True),
        ("starcoder2:7b", False),
        ("demo:latest", False),
        ("coder:latest", False),
    ],
)
def test_is_model_file(model: str, file: bool) -> None:
    assert is_model_file(model) is file


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("coder", "qwen2.5-coder-1.5b-instruct"),
        ("demo", "gemma-3-270m"),
        ("starcoder2:7b", "starcoder2:7b"),
    ],
)
def test_name_without_a_server(model: str, name: str) -> None:
    assert model_name(Settings(model=model)) == name


def test_packaged_models_are_in_the_extras() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8"))
    extras = project["project"]["optional-dependencies"]
    for model in home.PACKAGED_MODELS.values():
        packages = {line.partition("==")[0] for line in extras[model.extra]}
        assert packages == {"pytest-starcoder[embedded]", *model.packages}
