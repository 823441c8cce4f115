"""The choice of the backend, and the errors if it cannot be made."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.errors import raises_error

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    BackendUnavailable,
    BadResponse,
    ConfigError,
    RateLimited,
    UnknownBackend,
)
from pytest_starcoder.model.backends import Backend, external, make_backend
from pytest_starcoder.model.backends.external import backend_names
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

Plant = Callable[[str, str], None]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    """Install a package with the backend `name`, whose module `third_party_name` is `code`."""

    def plant(name: str, code: str) -> None:
        module = f"third_party_{name}"
        (tmp_path / f"{module}.py").write_text(code)
        facts = tmp_path / f"starcoder_{name}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: starcoder-{name}\nVersion: 1.0\n"
        )
        (facts / "entry_points.txt").write_text(f"[starcoder]\n{name} = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        external._entry_points.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    yield plant
    external._entry_points.cache_clear()


@pytest.mark.parametrize(
    ("backend", "model", "label"),
    [
        ("auto", "starcoder2:7b", "Ollama"),
        ("ollama", "starcoder2:7b", "Ollama"),
        ("llamacpp", "starcoder2:7b", "llama.cpp"),
        ("openai", "", "the OpenAI-compatible server"),
        ("huggingface", "", "Hugging Face"),
        ("auto", "{tiny}", "the embedded llama.cpp"),
        ("embedded", "{tiny}", "the embedded llama.cpp"),
    ],
)
def test_chosen_backend(tiny_model: Path, backend: str, model: str, label: str) -> None:
    made = make_backend(Settings(backend=backend, model=model.format(tiny=tiny_model)))
    made.close()
    assert made.label == label


@pytest.mark.parametrize(
    ("backend", "place"),
    [
        ("ollama", "http://127.0.0.1:11434"),
        ("llamacpp", "http://127.0.0.1:8080"),
        ("openai", "http://127.0.0.1:8000"),
    ],
)
def test_default_places(backend: str, place: str) -> None:
    assert make_backend(Settings(backend=backend)).place == place


def test_backend_none() -> None:
    with raises_error(
        BackendUnavailable,
        "The backend is set to none.",
        "Set backend to auto to use Ollama, or to embedded with model=demo or a .gguf file.",
    ):
        make_backend(Settings(backend="none"))


def test_backend_names() -> None:
    assert backend_names() == [
        "auto",
        "embedded",
        "huggingface",
        "llamacpp",
        "none",
        "ollama",
        "openai",
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("olama", "The nearest is 'ollama'."),
        ("Ollama", "The nearest is 'ollama'."),
        ("llama.cpp", "The nearest is 'llamacpp'."),
        ("zzz", "There are auto, embedded, huggingface, llamacpp, none, ollama, openai."),
    ],
)
def test_unknown_backend(name: str, hint: str) -> None:
    settings = Settings(backend=name, sources={"backend": "pyproject.toml, line 3"})
    with raises_error(
        UnknownBackend, f"pyproject.toml, line 3: there is no backend {name!r}.", hint
    ):
        make_backend(settings)


# --- backends of other packages ------------------------------------------------------------

PARROT = """
from pytest_starcoder.model.backends import hookimpl
from pytest_starcoder.errors import RateLimited
from pytest_starcoder.model.prompt import Completion, Model

class Parrot:
    label = "the parrot"
    place = "its cage"

    def __init__(self, model):
        self.model = model

    def identify(self, deadline):
        return "feathers"

    def inspect(self, digest, deadline):
        return Model(self.model, digest, "", 4096)

    def count(self, text, deadline):
        return len(text)

    def complete(self, prompt, model, deadline, on_text):
        on_text(prompt.text)
        return Completion(prompt.text, model.name)

    def version(self, deadline):
        return "1.0"

    def close(self):
        pass

{change}

@hookimpl
def starcoder_backend(name, settings):
    return Parrot(settings.model) if name == "parrot" else None
"""

ASKED: dict[str, Callable[[Backend], object]] = {
    "identify": lambda backend: backend.identify(soon()),
    "inspect": lambda backend: backend.inspect("feathers", soon()),
    "count": lambda backend: backend.count("ab", soon()),
    "complete": lambda backend: backend.complete(
        Prompt("ab"), Model("m", "d", "", 4096), soon(), lambda _: None
    ),
    "version": lambda backend: backend.version(soon()),
    "close": lambda backend: backend.close(),
}
PROMISED = {
    "identify": "str",
    "inspect": "Model",
    "count": "int",
    "complete": "Completion",
    "version": "str",
}
REPORT = "Report it to the authors of its package."

every_question = pytest.mark.parametrize("name", ASKED)


def soon() -> Deadline:
    return Deadline.after(5)


def parrot(plant: Plant, change: str = "") -> Backend:
    plant("parrot", PARROT.replace("{change}", change))
    return make_backend(Settings(backend="parrot", model="m"))


def test_external_backend(plant: Plant) -> None:
    backend = parrot(plant)
    assert "parrot" in backend_names()
    assert (backend.label, backend.place) == ("the parrot", "its cage")
    assert {name: ask(backend) for name, ask in ASKED.items()} == {
        "identify": "feathers",
        "inspect": Model("m", "feathers", "", 4096),
        "count": 2,
        "complete": Completion("ab", "m"),
        "version": "1.0",
        "close": None,
    }


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ("del Parrot.label", "label"),
        ("del Parrot.count", "count"),
        ("del Parrot.place, Parrot.version, Parrot.close", "place, version, close"),
    ],
)
def test_incomplete_backend(plant: Plant, change: str, lacks: str) -> None:
    with raises_error(ConfigError, f"The backend 'parrot' has no {lacks}.", REPORT):
        parrot(plant, change)


@every_question
def test_external_exception(plant: Plant, name: str) -> None:
    backend = parrot(plant, f"def broken(*_): raise KeyError('seed')\nParrot.{name} = broken")
    with raises_error(BadResponse, "The backend 'parrot' failed: KeyError: 'seed'.", REPORT):
        ASKED[name](backend)


@every_question
def test_external_starcoder_error(plant: Plant, name: str) -> None:
    raises = "raise RateLimited('It sleeps.', 'Wake it.', retry_after=3)"
    backend = parrot(plant, f"def asleep(*_): {raises}\nParrot.{name} = asleep")
    with raises_error(RateLimited, "It sleeps.", "Wake it."):
        ASKED[name](backend)


@pytest.mark.parametrize(("name", "kind"), PROMISED.items())
def test_external_result_types(plant: Plant, name: str, kind: str) -> None:
    backend = parrot(plant, f"Parrot.{name} = lambda *_: None")
    with raises_error(
        BadResponse, f"The backend 'parrot' returned a NoneType, not a {kind}.", REPORT
    ):
        ASKED[name](backend)


def test_result_of_close_is_ignored(plant: Plant) -> None:
    parrot(plant, "Parrot.close = lambda self: True").close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_in_external_backend(plant: Plant, error: type[BaseException]) -> None:
    backend = parrot(plant, f"def broken(*_): raise {error.__name__}\nParrot.complete = broken")
    with pytest.raises(error):
        ASKED["complete"](backend)


def test_failing_constructor(plant: Plant) -> None:
    with raises_error(
        ConfigError, "The backend 'parrot' cannot be made: OSError: no seeds.", REPORT
    ):
        parrot(plant, "def refuses(*_): raise OSError('no seeds')\nParrot.__init__ = refuses")


def test_starcoder_error_of_constructor(plant: Plant) -> None:
    with raises_error(RateLimited, "It sleeps.", ""):
        parrot(plant, "def refuses(*_): raise RateLimited('It sleeps.')\nParrot.__init__ = refuses")


def test_package_without_backend(plant: Plant) -> None:
    plant("parrot", "")
    message = "The package of the backend 'parrot' does not offer it."
    with raises_error(ConfigError, message, "Reinstall or remove its package."):
        make_backend(Settings(backend="parrot"))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise RuntimeError('boom')", "RuntimeError: boom"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_failing_import(plant: Plant, code: str, reason: str) -> None:
    plant("parrot", code)
    with raises_error(
        ConfigError,
        f"The backend 'parrot' cannot be loaded: {reason}.",
        "Reinstall or remove its package.",
    ):
        make_backend(Settings(backend="parrot"))


def test_broken_backend_is_isolated(plant: Plant) -> None:
    plant("parrot", "raise RuntimeError('boom')")
    assert make_backend(Settings(backend="ollama")).label == "Ollama"
