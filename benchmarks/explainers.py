"""Tools that explain failures, ours and its rivals, and a server that records their requests."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.doubles import FakeOpenAI, running
from support.servers import Request, fake_ollama

from benchmarks.published import Row
from benchmarks.rivals import NotInstalled, environment

VERDICT: dict[str, Any] = {
    "root_cause": "The divisor is one too small.",
    "category": "other",
    "severity": "low",
    "fix_suggestion": "Divide by the length.",
    "affected_file": None,
    "affected_line": None,
    "evidence": [],
    "confidence": 0.9,
}
"""What failscope asks for."""

TRIAGED: dict[str, Any] = {
    "category": "regression",
    "confidence": "high",
    "hypothesis": "The divisor is one too small.",
    "suggested_fix": None,
}
"""What pytest-triage asks for."""


@dataclass(frozen=True)
class Explainer:
    """A tool that asks a model about failures: how to install it, switch it on and set its server.

    `python` has it installed; `speaks` is "ollama" or "openai"; `said` is an
    answer of the form that it asks for.
    """

    name: str
    requirements: tuple[str, ...]
    on: tuple[str, ...]
    told: Callable[[str], Mapping[str, str]]
    speaks: str
    said: str
    python: Path = Path(sys.executable)

    def environment(self, url: str) -> dict[str, str]:
        """Return variables that name the server at `url`, without a cache or a proxy."""
        return {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **self.told(url)}

    @contextmanager
    def server(self, delay: float = 0.0) -> Iterator[tuple[str, list[Request]]]:
        """Yield the URL of a server that answers after `delay` seconds, and its requests."""

        def late(_prompt: str) -> str:
            time.sleep(delay)
            return self.said

        if self.speaks == "openai":
            with running(FakeOpenAI(answer=late)) as fake:
                yield fake.url, fake.requests
        else:
            with fake_ollama(answer=late) as ollama:
                yield ollama.url, ollama.requests


OURS = Explainer(
    "pytest-starcoder",
    ("-e", str(Path(__file__).parents[1])),
    ("--starcoder-explain",),
    lambda url: {"OLLAMA_HOST": url, "STARCODER_CACHE": "off"},
    "ollama",
    " the divisor is one too small.",
)

FAILSCOPE = Explainer(
    "failscope 0.3.0",
    ("failscope==0.3.0",),
    ("--failscope", "--fs-provider=ollama"),
    lambda url: {"OLLAMA_HOST": url},
    "ollama",
    json.dumps(VERDICT),
)

TRIAGE = Explainer(
    "pytest-triage 0.1.3",
    ("pytest-triage[openai]==0.1.3",),
    ("--ai-triage=on", "--ai-provider=openai"),
    lambda url: {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": "none",
        "OPENAI_MODEL": FakeOpenAI().model,
    },
    "openai",
    json.dumps(TRIAGED),
)

RIVALS = (FAILSCOPE, TRIAGE)

PYTEST = f"pytest=={pytest.__version__}"
"""The same in every environment, so that they differ in the tool alone."""


def rivals_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rivals",
        type=Path,
        metavar="FOLDER",
        help="install the rivals into environments there, and measure them too",
    )


def installed(
    folder: Path | None, wanted: Sequence[Explainer] = RIVALS
) -> tuple[list[Explainer], list[Row]]:
    """Return the tools that can be installed in `folder`, and a row with the reason for each other.

    None at all where there is no folder.
    """
    found: list[Explainer] = []
    rows: list[Row] = []
    if folder is None:
        return found, rows
    for one in wanted:
        try:
            found.append(in_environment(folder, one))
        except NotInstalled as exc:
            rows.append(Row(one.name, f"not installed: {exc}"))
    return found, rows


def in_environment(folder: Path, one: Explainer) -> Explainer:
    """`one` in an environment of its own. Raises NotInstalled."""
    python = environment(folder.absolute(), one.name.replace(" ", "-"), [PYTEST, *one.requirements])
    return replace(one, python=python)


def questions(requests: Sequence[Request]) -> list[str]:
    """Return the text of every question to a model: its prompt, or all messages of its chat."""
    return [text for request in requests if (text := _text(request.body))]


def _text(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    return str(
        body.get("prompt") or "\n".join(str(said["content"]) for said in body.get("messages", ()))
    )
