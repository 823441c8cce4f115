"""Reads many objects of a repository with few processes."""

from __future__ import annotations

import io
from collections.abc import Sequence

from pytest_starcoder.source.git.history import History

MAX_MISSING = 50
"""Maximum number of missing objects after which git is started again."""


def read_blobs(git: History, names: Sequence[str], max_bytes: int) -> list[bytes | None]:
    """Return the contents of objects; None for one that is missing or larger than `max_bytes`.

    A name is a hash, or a commit and a path as in `HEAD:./shop.py`.
    """
    small = []
    for name, size in zip(names, _sizes(git, names), strict=True):
        if size is not None and size <= max_bytes:
            small.append(name)
    if not small:
        return [None] * len(names)
    _, output = git.run("cat-file", "--batch", standard_input=_request(small))
    contents = dict(zip(small, _parse_contents(output), strict=False))
    return [contents.get(name) for name in names]


def _sizes(git: History, names: Sequence[str]) -> list[int | None]:
    sizes: list[int | None] = []
    # In a clone that lacks objects, git ends at the first one that it would have to fetch.
    for _ in range(MAX_MISSING):
        request = _request(names[len(sizes) :])
        _, output = git.run("cat-file", "--batch-check", standard_input=request)
        sizes += _parse_sizes(output)
        if len(sizes) >= len(names):
            return sizes[: len(names)]
        sizes.append(None)
    return sizes + [None] * (len(names) - len(sizes))


def _request(names: Sequence[str]) -> bytes:
    # git reads one name a line, so one with a line end in it stands for a missing object.
    lines = [name if "\n" not in name else "-" for name in names]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _parse_sizes(output: bytes) -> list[int | None]:
    """Return a size for each line, None where it says that the object is missing."""
    sizes: list[int | None] = []
    for line in output.splitlines():
        words = line.split(b" ")
        is_blob = len(words) == 3 and words[1] == b"blob" and words[2].isdigit()
        sizes.append(int(words[2]) if is_blob else None)
    return sizes


def _parse_contents(output: bytes) -> list[bytes | None]:
    contents: list[bytes | None] = []
    stream = io.BytesIO(output)
    while head := stream.readline():
        words = head.split()
        if len(words) != 3 or not words[2].isdigit():
            contents.append(None)
            continue
        contents.append(stream.read(int(words[2])))
        stream.read(1)  # a line end
    return contents
