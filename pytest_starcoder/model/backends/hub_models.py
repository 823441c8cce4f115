"""The models that `starcoder models pull` downloads from Hugging Face, and where they are then.

A row is here only if public sources give its repository, revision, file, size and SHA-256. The
publisher's page https://huggingface.co/REPOSITORY/blob/REVISION/FILE shows the last two. They
were read on 2026-12-01 in public projects that pin the same files, not on those pages: several
independent projects for Qwen's three files and for starcoder2:3b, versions of a single one for
starcoder2:7b. For starcoder2:15b and starcoder2:15b-instruct no source was found, so they are not
here. Licences are those of the model cards; Qwen's model of 3B has another than its siblings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.errors import MissingModel
from pytest_starcoder.model.backends.packaged_model import is_intact

OPENRAIL = "BigCode OpenRAIL-M v1, which restricts some uses"


@dataclass(frozen=True)
class HubModel:
    """A GGUF file on Hugging Face; `name` is the value of the setting `model`, as in Ollama."""

    name: str
    repository: str
    revision: str
    file_name: str
    size: int
    sha256: str
    license: str

    def path(self, cache: Path) -> Path:
        """Return the place of the file once it is pulled."""
        folder = self.name.replace(":", "-")  # Windows allows no colon
        return cache / folder / self.file_name

    def partial_path(self, cache: Path) -> Path:
        """Return the place of the file while it is downloaded."""
        path = self.path(cache)
        return path.with_name(f".{path.name}.partial")


HUB_MODELS = {
    model.name: model
    for model in (
        HubModel(
            name="starcoder2:3b",
            repository="second-state/StarCoder2-3B-GGUF",
            revision="7fca3e2da2ce31df411461e2cb9cae2d2b492f35",
            file_name="starcoder2-3b-Q4_K_M.gguf",
            size=1_848_976_448,
            sha256="d8fb39287a463549b80d97473b0a7595c3a5a6da3ae2604ca33906a1a43f7175",
            license=OPENRAIL,
        ),
        HubModel(
            name="starcoder2:7b",
            repository="QuantFactory/starcoder2-7b-GGUF",
            revision="673788033750e9a7a677072a5184e3c923c19355",
            file_name="starcoder2-7b.Q4_K_M.gguf",
            size=4_461_280_384,
            sha256="c6f8a3f618bfc1c2cf2172a6d28d43d1e3c3b0489544fd13ef3a73939728d943",
            license=OPENRAIL,
        ),
        HubModel(
            name="qwen2.5-coder:1.5b",
            repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            revision="f86cb2c1fa58255f8052cc32aeede1b7482d4361",
            file_name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            size=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            license="Apache-2.0",
        ),
        HubModel(
            name="qwen2.5-coder:3b",
            repository="Qwen/Qwen2.5-Coder-3B-Instruct-GGUF",
            revision="f74adce6aa16316c625447af059dbebe4983757c",
            file_name="qwen2.5-coder-3b-instruct-q4_k_m.gguf",
            size=2_104_932_800,
            sha256="724fb256bec1ff062b2f65e4569e871ad2e95ab2a3989723d1769c54294730b7",
            license="Qwen Research License, which excludes commercial use",
        ),
        HubModel(
            name="qwen2.5-coder:7b",
            repository="Qwen/Qwen2.5-Coder-7B-Instruct-GGUF",
            revision="13fb94bfda8c8cf22497dc57b78f391a9acb426a",
            file_name="qwen2.5-coder-7b-instruct-q4_k_m.gguf",
            size=4_683_073_536,
            sha256="509287f78cb4d4cf6b3843734733b914b2c158e43e22a7f4bf5e963800894d3c",
            license="Apache-2.0",
        ),
    )
}
"""The models that can be pulled, by the setting `model`."""


def pulled_file(model: HubModel, cache: Path) -> Path:
    """Return the file of a model that was pulled. Raises MissingModel."""
    path = model.path(cache)
    if is_intact(path, model):
        return path
    if path.is_file():
        raise MissingModel(
            f"{path} has another SHA-256 than it should have; it is not used.",
            f"Download it again with `starcoder models pull {model.name}`.",
        )
    raise MissingModel(
        f"{model.name} is not downloaded.",
        f"Download it with `starcoder models pull {model.name}`, "
        "or set model to the path of a .gguf file.",
    )
