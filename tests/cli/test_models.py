"""`starcoder models`: what is there and where, and the way to remove it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from support.servers import FakeOllama, closed_port

from pytest_starcoder.cli import main
from pytest_starcoder.model.backends import choice
from pytest_starcoder.model.backends.coder_model import CODER
from pytest_starcoder.model.backends.demo_model import DEMO
from pytest_starcoder.model.backends.packaged_model import assemble
from pytest_starcoder.model.backends.prompt_states import states_folder

CONTENT = b"GGUF and so on"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache; the coder model has a few bytes, the demo model is not there."""

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
    assert lines[3] == f"embedded            {path} cannot be read (No such file or directory)"
    path.write_bytes(bytes(2_000_000))
    _, lines, _ = models(capsys, option)
    assert lines[3] == f"embedded            {path}, 2 MB"


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
            "No model is named. Name coder or demo; Ollama's are removed with `ollama rm NAME`.",
        ),
        (
            ["remove", "starcoder2:7b"],
            "There is no model 'starcoder2:7b' to remove. Name coder or demo; Ollama's are removed "
            "with `ollama rm NAME`.",
        ),
        (["list", "coder"], "`starcoder models list` takes no name. It lists all models."),
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
