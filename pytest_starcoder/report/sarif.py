"""The frame of a SARIF 2.1.0 log, which code hosts and editors show beside the code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from pytest_starcoder.text.display import one_line

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

SOURCE_ROOT = "SRCROOT"
"""The name that stands for the root of the project; all paths are relative to it."""


def render_log(
    tool: str,
    rules: Mapping[str, str],
    results: list[dict[str, Any]],
    *,
    root: str,
    properties: Mapping[str, Any],
    invocations: list[dict[str, Any]] | None = None,
) -> str:
    """Render a log of one run of `tool`.

    `rules` maps the id of each rule to its description; `root` describes the
    folder that paths are relative to.
    """
    descriptions = []
    for rule, text in rules.items():
        descriptions.append({"id": rule, "shortDescription": {"text": text}})
    driver = {
        "name": tool,
        "version": version("pytest-starcoder"),
        "rules": descriptions,
    }
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "originalUriBaseIds": {SOURCE_ROOT: {"description": {"text": root}}},
        "columnKind": "unicodeCodePoints",
    }
    if invocations is not None:
        run["invocations"] = invocations
    run["results"] = results
    run["properties"] = properties
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2) + "\n"


def sentence(text: str) -> str:
    """Return `text` on one line, with a full stop unless it ends a sentence already."""
    line = one_line(text, 1000)
    if not line.endswith((".", "!", "?")):
        line += "."
    return line


def artifact(path: str) -> dict[str, str]:
    """Return the artifact location of a file, as a quoted URI."""
    return {"uri": quote(path.encode("utf-8", "backslashreplace")), "uriBaseId": SOURCE_ROOT}


def location(path: str, line: int) -> dict[str, Any]:
    """Return the location of a line (1-based)."""
    region = {"startLine": max(line, 1)}  # SARIF has no line 0
    return {"physicalLocation": {"artifactLocation": artifact(path), "region": region}}
