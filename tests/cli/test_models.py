"""`starcoder models`: what is there and where, and the ways to get, choose and remove it."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.hub import CONTENT as HUB_CONTENT
from support.hub import MODEL, FakeHub, fake_hub
from support.servers import FakeOllama, closed_port

import pytest_starcoder
from pytest_starcoder.cli import main
from pytest_starcoder.model.backends import choice, hub_models
from pytest_starcoder.model.backends.coder_model import CODER
from pytest_starcoder.model.backends.demo_model import DEMO
from pytest_starcoder.model.backends.packaged_model import assemble
from pytest_starcoder.model.backends.prompt_states import states_folder

CONTENT = b"GGUF and so on"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache; the coder model has a few bytes, the demo model is not there,
    and the only model to pull is a small one."""

    def no_parts() -> list[Path]:
        raise ImportError

    part = tmp_path / "part"
    part.write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    coder = replace(
        CODER, size=len(CONTENT), sha256=digest, packages=("p1", "p2"), find_parts=lambda: [part]
    )
    demo = replace(DEMO, find_parts=no_parts)
    models = {"coder": coder, "demo": demo}
    monkeypatch.setattr("pytest_starcoder.cli.models.PACKAGED_MODELS", models)
    monkeypatch.setattr(choice, "PACKAGED_MODELS", models)
    for name in list(hub_models.HUB_MODELS):
        monkeypatch.delitem(hub_models.HUB_MODELS, name)
    monkeypatch.setitem(hub_models.HUB_MODELS, MODEL.name, MODEL)
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache"
    monkeypatch.setenv("STARCODER_CACHE", str(cache))
    return cache


def models(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[str], str]:
    status = main(["models", *words])
    screen = capsys.readouterr()
    return status, screen.out.splitlines(), screen.err


def coder_file(cache: Path) -> Path:
    assemble(choice.PACKAGED_MODELS["coder"], cache)
    return cache / "coder" / CODER.file_name


def test_list(capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama, cache: Path) -> None:
    ollama_double.tags = {"size": 4_000_000_000}
    path = cache / "coder" / CODER.file_name
    status, lines, _ = models(capsys)
    assert (status, lines) == (
        0,
        [
            "in use              starcoder2:7b on ollama   (backend is auto: Ollama, unless the "
            "model is a file)",
            "coder               qwen2.5-coder-1.5b-instruct, installed; the first use puts 0 MB "
            f"at {path}",
            "demo                gemma-3-270m, not installed. Install it with `pip install "
            "'pytest-starcoder[demo-small]'` (about 250 MB, under Gemma's terms).",
            "to pull             tiny:1b (3 MB)",
            f"Ollama              starcoder2:7b (4.00 GB) at {ollama_double.url}",
        ],
    )
    assert not cache.exists()


def test_list_assembled_model(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    path = coder_file(cache)
    _, lines, _ = models(capsys, "list", "--starcoder-model=coder")
    assert lines[:2] == [
        "in use              coder on embedded   (backend is auto, and the model is a file)",
        f"coder               qwen2.5-coder-1.5b-instruct, 0 MB at {path}",
    ]
    assert lines[-1].startswith("Ollama              Nothing answers at http://127.0.0.1:")


def test_list_model_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    option = f"--starcoder-model={path}"
    _, lines, _ = models(capsys, option)
    assert lines[4] == f"embedded            {path} cannot be read (No such file or directory)"
    path.write_bytes(bytes(2_000_000))
    _, lines, _ = models(capsys, option)
    assert lines[4] == f"embedded            {path}, 2 MB"


def test_list_server(capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama) -> None:
    ollama_double.replies |= {
        "/v1/models": (200, {"data": [{"id": "/models/m.gguf", "meta": {"n_ctx": 2048}}]}),
        "/tokenize": (200, {"tokens": [1, 2, 3]}),
    }
    _, lines, _ = models(
        capsys, "--starcoder-backend=llamacpp", f"--starcoder-host={ollama_double.url}"
    )
    assert lines[-1] == f"server              m.gguf at {ollama_double.url}, llama.cpp"
    url = closed_port()
    _, lines, _ = models(capsys, "--starcoder-backend=llamacpp", f"--starcoder-host={url}")
    assert lines[-1] == f"server              Nothing answers at {url}."


def test_list_server_without_its_token(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines, _ = models(capsys, "--starcoder-backend=huggingface")
    assert status == 0
    assert lines[-1] == "server              Hugging Face requires a token, and none is set."


def test_list_without_backend(capsys: pytest.CaptureFixture[str]) -> None:
    _, lines, _ = models(capsys, "--starcoder-backend=none")
    assert lines[0] == "in use              no model   (backend is none: --starcoder-backend)"


def test_ollama_without_models(
    capsys: pytest.CaptureFixture[str], ollama_double: FakeOllama
) -> None:
    ollama_double.replies["/api/tags"] = (200, {"models": []})
    _, lines, _ = models(capsys)
    assert lines[-1] == f"Ollama              no model at {ollama_double.url}"


def test_remove(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    path = coder_file(cache)
    capsys.readouterr()
    expected = [
        f"Removed {path} (0 MB).",
        "Its packages are still installed. To remove them:",
        "pip uninstall p1 p2",
    ]
    assert models(capsys, "remove", "coder") == (0, expected, "")
    assert not path.parent.exists()
    expected[0] = f"There is no {path}."
    assert models(capsys, "remove", "coder") == (0, expected, "")


def test_remove_without_packages(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    path = cache / "demo" / DEMO.file_name
    assert models(capsys, "remove", "demo") == (0, [f"There is no {path}."], "")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["remove"],
            "No model is named. The cache has none. Ollama's are removed with `ollama rm NAME`.",
        ),
        (
            ["remove", "starcoder2:7b"],
            "There is no model 'starcoder2:7b' to remove. The cache has none. Ollama's are removed "
            "with `ollama rm NAME`.",
        ),
        (["list", "coder"], "`starcoder models list` takes no name. It lists all models."),
        (
            ["pull"],
            "No model is named. Name one of tiny:1b. To use another .gguf file, set model to it.",
        ),
        (
            ["pull", "coder"],
            "There is no model 'coder' to pull. Name one of tiny:1b. To use another .gguf file, "
            "set model to it.",
        ),
        (["use"], "No model is named. `starcoder models` lists those that are there."),
        (["remvoe"], "`starcoder models` has no action 'remvoe'. The nearest is remove."),
        (
            ["tiny:1b"],
            "`starcoder models` has no action 'tiny:1b'. The actions are list, pull, use, remove.",
        ),
    ],
)
def test_misuse(capsys: pytest.CaptureFixture[str], words: list[str], error: str) -> None:
    assert models(capsys, *words) == (2, [], f"starcoder: {error}\n")


def test_remove_saved_prompts(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    folder = states_folder(cache)
    folder.mkdir(parents=True)
    (folder / "a.state").write_bytes(bytes(2_000_000))
    _, lines, _ = models(capsys, "remove", "demo")
    assert lines[-1] == "Removed the saved states of prompts (2 MB)."
    assert not list(folder.iterdir())


def test_file_that_cannot_be_removed(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    path = cache / "coder" / CODER.file_name
    path.mkdir(parents=True)
    status, _, error = models(capsys, "remove", "coder")
    assert status == 2
    assert error.startswith(f"starcoder: {path} cannot be removed (")


def test_removal_hint(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    coder_file(cache)
    put(cache)
    capsys.readouterr()
    _, _, error = models(capsys, "remove")
    assert error == (
        "starcoder: No model is named. There are coder (0 MB), tiny:1b (3 MB). Ollama's are "
        "removed with `ollama rm NAME`.\n"
    )


# --- models of the hub ---------------------------------------------------------------------


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    pytest.importorskip("huggingface_hub", reason="the extra `download` is not installed")
    with fake_hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def put(cache: Path, content: bytes = HUB_CONTENT) -> Path:
    """Put the file where it is after a download."""
    path = MODEL.path(cache)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_pull_use_remove(
    capsys: pytest.CaptureFixture[str], cache: Path, hub: FakeHub, clean_environment: Path
) -> None:
    path = MODEL.path(cache)
    host = hub.url.removeprefix("http://")
    config = clean_environment / ".config" / "starcoder" / "config.toml"
    assert models(capsys, "pull", "tiny:1b") == (
        0,
        [
            f"tiny:1b: 3 MB from {host}/someone/Tiny-GGUF. Licence: MIT.",
            f"It is at {path}. To use it: `starcoder models use tiny:1b`.",
        ],
        "",
    )
    assert models(capsys)[1][3] == f"tiny:1b             {path}, 3 MB"
    assert models(capsys, "use", "tiny:1b") == (
        0,
        [f'Wrote model = "tiny:1b" and backend = "embedded" to {config}.'],
        "",
    )
    assert models(capsys)[1][0].startswith("in use              tiny:1b on embedded   (")
    assert models(capsys, "remove", "tiny:1b") == (0, [f"Removed {path} (3 MB)."], "")
    assert not path.parent.exists()


def test_partial_download(capsys: pytest.CaptureFixture[str], cache: Path) -> None:
    partial = MODEL.partial_path(cache)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(HUB_CONTENT[:2_000_000])
    assert models(capsys)[1][3] == (
        "tiny:1b             2 MB of 3 MB are downloaded; `starcoder models pull tiny:1b` continues"
    )
    _, lines, _ = models(capsys, "remove", "tiny:1b")
    assert lines == [f"Removed {MODEL.path(cache)} (2 MB)."]
    assert not partial.exists()


def test_failed_pull(capsys: pytest.CaptureFixture[str], hub: FakeHub) -> None:
    hub.status = 500
    status, _, error = models(capsys, "pull", "tiny:1b")
    assert status == 1
    assert error.endswith("answered with status 500. Try again later.\n")


def test_dotenv_does_not_choose_the_hub(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, hub: FakeHub
) -> None:
    elsewhere = "HF_ENDPOINT=http://elsewhere.example\nHF_TOKEN=hf_theirs\n"
    (tmp_path / ".env").write_text(elsewhere)
    status, lines, _ = models(capsys, "pull", "tiny:1b")
    assert status == 0
    assert hub.url.removeprefix("http://") in lines[0]


# --- use -----------------------------------------------------------------------------------


@pytest.fixture
def config(clean_environment: Path) -> Path:
    return clean_environment / ".config" / "starcoder" / "config.toml"


@pytest.mark.parametrize(
    ("before", "name", "after"),
    [
        ("", "coder", 'model = "coder"\n'),
        ('backend = "embedded"\n', "coder", 'backend = "embedded"\nmodel = "coder"\n'),
        ('backend = "ollama"\n', "coder", 'backend = "embedded"\nmodel = "coder"\n'),
        ('backend = "auto"\n', "tiny:1b", 'backend = "embedded"\nmodel = "tiny:1b"\n'),
        ("", "starcoder2:7b", 'model = "starcoder2:7b"\n'),
        ('backend = "none"\n', "starcoder2:7b", 'backend = "ollama"\nmodel = "starcoder2:7b"\n'),
    ],
)
def test_use(
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    config: Path,
    ollama_double: FakeOllama,
    before: str,
    name: str,
    after: str,
) -> None:
    put(cache)
    config.parent.mkdir(parents=True)
    config.write_text(before)
    status, lines, error = models(capsys, "use", name)
    assert (status, error) == (0, "")
    assert config.read_text() == after
    assert len(lines) == 1


def test_use_file(capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    _, lines, _ = models(capsys, "use", "./m.gguf")
    assert lines == [f'Wrote model = "{tmp_path / "m.gguf"}" to {config}.']


def test_precedence_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARCODER_MODEL", "demo")
    _, lines, _ = models(capsys, "use", "coder")
    assert lines[1:] == ["STARCODER_MODEL takes precedence here: model is demo."]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (
            "tiny:1b",
            "tiny:1b is not downloaded. Ollama does not have tiny:1b. Download it with "
            "`starcoder models pull tiny:1b`.",
        ),
        (
            "tiny:1bb",
            "There is no model 'tiny:1bb'. Ollama does not have tiny:1bb. The nearest is tiny:1b.",
        ),
        (
            "llama",
            "There is no model 'llama'. Ollama does not have llama. `starcoder models` lists "
            "those that are there.",
        ),
        ("./no.gguf", "There is no .gguf file ./no.gguf. Name the path of a model file."),
        (
            "~nosuchuser/m.gguf",
            "There is no .gguf file ~nosuchuser/m.gguf. Name the path of a model file.",
        ),
        (
            "demo",
            "The demo model is not installed. Install it with `pip install "
            "'pytest-starcoder[demo-small]'` (about 250 MB, under Gemma's terms).",
        ),
    ],
)
def test_use_of_a_model_that_is_not_there(
    capsys: pytest.CaptureFixture[str],
    ollama_double: FakeOllama,
    config: Path,
    name: str,
    error: str,
) -> None:
    assert models(capsys, "use", name) == (2, [], f"starcoder: {error}\n")
    assert not config.exists()


def test_use_without_ollama(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, error = models(capsys, "use", "tiny:1b")
    assert error.startswith("starcoder: tiny:1b is not downloaded. Nothing answers at http://")
    assert error.endswith("Download it with `starcoder models pull tiny:1b`.\n")


# --- nothing else downloads ----------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ["models"],
        ["models", "use", "tiny:1b"],
        ["models", "remove", "tiny:1b"],
        ["doctor", "--starcoder-backend=embedded", "--starcoder-model=tiny:1b"],
        ["ask", "--starcoder-backend=embedded", "--starcoder-model=tiny:1b", "why?"],
    ],
    ids=" ".join,
)
def test_only_pull_downloads(
    capsys: pytest.CaptureFixture[str],
    hub: FakeHub,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    main(command)
    assert (hub.requests, hub.stored) == ([], [])
    assert not MODEL.path(cache).exists()


def test_only_pull_can_download() -> None:
    """The module that downloads is imported in one place: in the function for `pull`."""
    package = Path(pytest_starcoder.__file__).parent
    importers = []
    for path in package.rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if "hub_download" in ast.unparse(function) and isinstance(function, ast.ImportFrom):
                importers.append(path.relative_to(package).as_posix())
    assert importers == ["cli/models.py"]
    pull = ast.parse((package / "cli" / "models.py").read_text("utf-8"))
    functions = [node for node in pull.body if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if "hub_download" in ast.unparse(node)] == ["_pull"]
