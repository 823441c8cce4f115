"""Which backend the settings choose, and what is said where that one cannot be."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.errors import told

from pytest_starcoder import backends
from pytest_starcoder.backends import is_model_file, known_backends, make_backend
from pytest_starcoder.errors import BackendUnavailable, ConfigError, UnknownBackend
from pytest_starcoder.settings import Settings

Plant = Callable[[str, str], None]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    """Installs a package that offers the backend `name` and whose one module, `third_party_name`, holds `code`."""

    def plant(name: str, code: str) -> None:
        module = f"third_party_{name}"
        (tmp_path / f"{module}.py").write_text(code)
        facts = tmp_path / f"starcoder_{name}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: starcoder-{name}\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[starcoder]\n{name} = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        backends._registered.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    yield plant
    backends._registered.cache_clear()


@pytest.mark.parametrize(
    ("backend", "model", "label"),
    [
        ("auto", "starcoder2:7b", "Ollama"),
        ("ollama", "starcoder2:7b", "Ollama"),
        ("llamacpp", "starcoder2:7b", "llama.cpp"),
        ("auto", "{tiny}", "the embedded llama.cpp"),
        ("embedded", "{tiny}", "the embedded llama.cpp"),
    ],
)
def test_the_settings_choose_the_backend(tiny_model: Path, backend: str, model: str, label: str) -> None:
    made = make_backend(Settings(backend=backend, model=model.format(tiny=tiny_model)))
    made.close()
    assert made.label == label


@pytest.mark.parametrize(
    ("backend", "place"), [("ollama", "http://127.0.0.1:11434"), ("llamacpp", "http://127.0.0.1:8080")]
)
def test_without_a_host_this_machine_is_asked_at_the_servers_own_port(backend: str, place: str) -> None:
    assert make_backend(Settings(backend=backend)).place == place


@pytest.mark.parametrize(
    ("model", "file"),
    [("demo", True), ("a.gguf", True), ("A.GGUF", True), ("starcoder2:7b", False), ("demo:latest", False)],
)
def test_a_gguf_file_or_the_demo_is_a_model_file(model: str, file: bool) -> None:
    assert is_model_file(model) is file


def test_no_backend_is_no_model() -> None:
    with told(
        BackendUnavailable,
        "The setting backend is none.",
        "Set backend to auto to use Ollama, or to embedded with model=demo or a .gguf file.",
    ):
        make_backend(Settings(backend="none"))


def test_every_name_is_known() -> None:
    assert known_backends() == ["auto", "embedded", "llamacpp", "none", "ollama"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("olama", "The nearest is 'ollama'."),
        ("Ollama", "The nearest is 'ollama'."),
        ("llama.cpp", "The nearest is 'llamacpp'."),
        ("zzz", "There are auto, embedded, llamacpp, none, ollama."),
    ],
)
def test_an_unknown_backend_is_told_with_the_nearest_name(name: str, hint: str) -> None:
    settings = Settings(backend=name, sources={"backend": "pyproject.toml, line 3"})
    with told(UnknownBackend, f"pyproject.toml, line 3: there is no backend {name!r}.", hint):
        make_backend(settings)


def test_a_third_partys_backend_is_found_by_its_name(plant: Plant) -> None:
    plant(
        "parrot",
        "from pytest_starcoder.backends import hookimpl\n"
        "@hookimpl\n"
        "def starcoder_backend(name, settings):\n"
        "    return (name, settings.model)\n",
    )
    assert "parrot" in known_backends()
    assert make_backend(Settings(backend="parrot", model="m")) == ("parrot", "m")  # type: ignore[comparison-overlap]


def test_a_package_that_offers_a_name_and_no_backend_is_named(plant: Plant) -> None:
    plant("parrot", "")
    said = "The package of the backend 'parrot' does not offer it."
    with told(ConfigError, said, "Reinstall or remove that package."):
        make_backend(Settings(backend="parrot"))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_backend_that_cannot_be_imported_is_named(plant: Plant, code: str, reason: str) -> None:
    plant("parrot", code)
    with told(ConfigError, f"The backend 'parrot' cannot be loaded: {reason}.", "Reinstall or remove its package."):
        make_backend(Settings(backend="parrot"))


def test_a_broken_backend_is_no_trouble_for_another(plant: Plant) -> None:
    plant("parrot", "raise RuntimeError('boom')")
    assert make_backend(Settings(backend="ollama")).label == "Ollama"
