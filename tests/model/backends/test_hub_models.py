"""The models that can be pulled, and how one that was pulled is found."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.errors import raises_error
from support.hub import CONTENT, MODEL

from pytest_starcoder.errors import MissingModel
from pytest_starcoder.model.backends import hub_models, make_backend
from pytest_starcoder.model.backends.choice import PACKAGED_MODELS
from pytest_starcoder.model.backends.coder_model import CODER
from pytest_starcoder.model.backends.hub_models import HUB_MODELS, HubModel, pulled_file
from pytest_starcoder.model.backends.packaged_model import ModelFile
from pytest_starcoder.settings import Settings


def put(model: HubModel, cache: Path, content: bytes = CONTENT) -> Path:
    path = model.path(cache)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("model", HUB_MODELS.values(), ids=list(HUB_MODELS))
def test_row_is_pinned(model: HubModel) -> None:
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", model.repository)
    assert re.fullmatch("[0-9a-f]{40}", model.revision)
    assert re.fullmatch("[0-9a-f]{64}", model.sha256)
    assert re.fullmatch(r"[\w.-]+q4_k_m\.gguf", model.file_name, re.IGNORECASE)
    assert 1e9 < model.size < 5e9
    assert model.license


def test_files_are_apart() -> None:
    cache = Path("cache")
    models: tuple[ModelFile, ...] = (*HUB_MODELS.values(), *PACKAGED_MODELS.values())
    places = [model.path(cache).parent for model in models]
    assert len(set(places)) == len(places)
    assert not any(":" in str(place) for place in places)


def test_coder_is_the_same_file() -> None:
    """The coder model is the publisher's file, so both tables pin the same one."""
    pinned = HUB_MODELS["qwen2.5-coder:1.5b"]
    assert (pinned.file_name, pinned.size, pinned.sha256) == (
        CODER.file_name,
        CODER.size,
        CODER.sha256,
    )


def test_pulled_file(tmp_path: Path) -> None:
    path = put(MODEL, tmp_path)
    assert pulled_file(MODEL, tmp_path) == path


def test_damaged_file(tmp_path: Path) -> None:
    path = put(MODEL, tmp_path, CONTENT[:-1] + b"!")
    with raises_error(
        MissingModel,
        f"{path} has another SHA-256 than it should have; it is not used.",
        "Download it again with `starcoder models pull tiny:1b`.",
    ):
        pulled_file(MODEL, tmp_path)


def test_pulled_model_is_embedded(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tiny_model.read_bytes()
    model = replace(MODEL, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    path = put(model, tmp_path, content)
    monkeypatch.setitem(hub_models.HUB_MODELS, model.name, model)
    backend = make_backend(Settings(backend="embedded", model="tiny:1b", cache=str(tmp_path)))
    assert backend.place == str(path)
    backend.close()
