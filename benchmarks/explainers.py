"""Our tool and its rivals behind one interface, with a server that records their requests."""

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
"""The JSON that failscope expects."""

TRIAGED: dict[str, Any] = {
    "category": "regression",
    "confidence": "high",
    "hypothesis": "The divisor is one too small.",
    "suggested_fix": None,
}
"""The JSON that pytest-triage expects."""


@dataclass(frozen=True)
class Explainer:
    """A tool that asks a model about failures.

    `options` switch it on, `variables` are the environment variables for the URL of a server,
    `api` is "ollama" or "openai", `answer` has the form that it expects. It is installed for
    `python`.
    """

    name: str
    requirements: tuple[str, ...]
    options: tuple[str, ...]
    variables: Callable[[str], Mapping[str, str]]
    api: str
    answer: str
    python: Path = Path(sys.executable)

    def environment(self, url: str) -> dict[str, str]:
        """Return the environment variables for the server at `url`, without a proxy."""
        return {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **self.variables(url)}

    @contextmanager
    def server(self, delay: float = 0.0) -> Iterator[tuple[str, list[Request]]]:
        """Start a double that answers after `delay` seconds; yield its URL and its requests."""

        def answer_late(_prompt: str) -> str:
            time.sleep(delay)
            return self.answer

        if self.api == "openai":
            with running(FakeOpenAI(answer=answer_late)) as fake:
                yield fake.url, fake.requests
        else:
            with fake_ollama(answer=answer_late) as ollama:
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
"""The same version in every environment, so that only the tools differ."""


def rivals_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rivals",
        type=Path,
        metavar="FOLDER",
        help="install the rivals into environments there, and measure them too",
    )


def install(
    folder: Path | None, tools: Sequence[Explainer] = RIVALS
) -> tuple[list[Explainer], list[Row]]:
    """Install tools into environments in `folder`; without a folder, none.

    Returns the installed tools, and a row with the reason for each of the rest.
    """
    installed: list[Explainer] = []
    rows: list[Row] = []
    if folder is None:
        return installed, rows
    for tool in tools:
        requirements = [PYTEST, *tool.requirements]
        try:
            python = environment(folder.absolute(), tool.name.replace(" ", "-"), requirements)
        except NotInstalled as exc:
            rows.append(Row(tool.name, f"not installed: {exc}"))
        else:
            installed.append(replace(tool, python=python))
    return installed, rows


def questions(requests: Sequence[Request]) -> list[str]:
    """Return the texts of the requests that ask a model: prompts, or all messages of a chat."""
    texts = (_text(request.body) for request in requests)
    return list(filter(None, texts))


def _text(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    if body.get("prompt"):
        return str(body["prompt"])
    messages = body.get("messages", ())
    return "\n".join(str(message["content"]) for message in messages)
