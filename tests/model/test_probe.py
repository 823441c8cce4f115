"""The probes of `doctor --deep`, with servers that work well, badly, or not at all."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import pytest
from support.real import RealServer, create_in_ollama, running_llamacpp
from support.servers import FakeOllama
from support.tiny_model import write_tiny_model

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import PromptTooLong
from pytest_starcoder.model.backends import Backend, OnText
from pytest_starcoder.model.backends.llamacpp import LlamaCpp
from pytest_starcoder.model.backends.ollama import Ollama
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.probe import HOLES, PULL_REQUEST, ProbeResult, run_probes
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

TOKEN = re.compile(r"<[A-Za-z_|]+>|.", re.DOTALL)

SEVEN = Model("starcoder2:7b", "digest", "starcoder2", 4096)

FILLED = ("a + b", "best = max(best, x)")

ALL = [
    "speed",
    "stop text",
    "sentinels",
    "stop token",
    "hole",
    "pull request",
    "prefix cache",
    "window",
]


@dataclass
class Machine:
    """A backend in memory that works well by default. A token is a character or a special token.

    `hole`, `comment` and `file` are what it writes in the forms of those names,
    special tokens included; `words` in any other.
    """

    model: Model = SEVEN
    words: str = " four five six seven eight nine ten one two three four five"
    hole: Callable[[str], str] = lambda prompt: (
        FILLED[prompt.startswith(f"<fim_prefix>{HOLES[1][0]}")] + "<file_sep>x"
    )
    comment: str = " It divides by zero.<pr_event_id>2"
    file: str = "gg<file_sep>h.txt\nhhh" * 9
    counts: bool = True
    heeds_text: bool = True
    heeds_tokens: bool = True
    shows_tokens: bool = False
    several: frozenset[str] = frozenset()
    reads: int = 4096
    refuses: bool = False
    remembers: bool = True
    tells_cached: bool = True
    pace: float = 0.0
    sleep: Callable[[float], None] = time.sleep
    likelihood: Callable[[Prompt], float | None] = lambda _prompt: None
    prompts: list[Prompt] = field(default_factory=list)
    label: str = "Machine"
    place: str = "memory"

    def identify(self, deadline: Deadline) -> str:
        return self.model.digest

    def inspect(self, digest: str, deadline: Deadline) -> Model:
        return self.model

    def count(self, text: str, deadline: Deadline) -> int:
        return len(TOKEN.findall(text))

    def complete(
        self, prompt: Prompt, model: Model, deadline: Deadline, on_text: OnText
    ) -> Completion:
        tokens = TOKEN.findall(prompt.text)
        read = len(tokens) + len([token for token in tokens if token in self.several])
        if read > self.reads:
            if self.refuses:
                raise PromptTooLong("The prompt does not fit.", "Send less.")
            read = self.reads
        before = TOKEN.findall(self.prompts[-1].text) if self.prompts and self.remembers else []
        cached = len(
            [*takewhile(lambda pair: pair[0] == pair[1], zip(before, tokens, strict=False))]
        )
        self.prompts.append(prompt)
        self.sleep(self.pace * (read - cached))
        written, ended = self._written(prompt)
        text = "".join(token for token in written if self.shows_tokens or len(token) == 1)
        for stop in prompt.stop if self.heeds_text else ():
            if stop in text:
                text, ended = text.partition(stop)[0], True
        on_text(text)
        return Completion(
            text,
            model.name,
            prompt_tokens=read if self.counts else 0,
            completion_tokens=len(written) if self.counts else 0,
            cached_tokens=cached if self.tells_cached else 0,
            truncated=not ended,
            likelihood=self.likelihood(prompt) if prompt.likelihood else None,
        )

    def version(self, deadline: Deadline) -> str:
        return "1.0"

    def close(self) -> None: ...

    def _written(self, prompt: Prompt) -> tuple[list[str], bool]:
        """The tokens of an answer, and whether it has ended."""
        if prompt.text.endswith("<fim_middle>"):
            text = self.hole(prompt.text)
        elif prompt.text.endswith("<pr_comment>username_1:"):
            text = self.comment
        else:
            text = self.file if prompt.text.startswith(("<file_sep>", "<filename>")) else self.words
        tokens = TOKEN.findall(text)
        ends = [
            tokens.index(stop)
            for stop in prompt.stop_tokens
            if self.heeds_tokens and stop in tokens
        ]
        written = tokens[: min([*ends, prompt.max_tokens])]
        return written, bool(ends and min(ends) <= prompt.max_tokens) or len(
            tokens
        ) < prompt.max_tokens


def probed(backend: Backend, settings: Settings | None = None) -> dict[str, ProbeResult]:
    """Return the results of the probes by name."""
    results = list(run_probes(Client(backend, settings or Settings(temperature=0.0))))
    assert all(result.verdict in ("yes", "no", "unknown") for result in results)
    json.dumps([dict(result.figures) for result in results], allow_nan=False)
    return {result.name: result for result in results}


# --- verdicts ------------------------------------------------------------------------------


def test_good_server() -> None:
    results = probed(Machine())
    assert {name: result.verdict for name, result in results.items()} == dict.fromkeys(ALL, "yes")
    assert [results[name].summary for name in ALL[1:6]] == [
        "it ends the answer",
        "each of the 38 is one token",
        "<file_sep> ended the answer after 2 tokens",
        "2 of 2 were filled, and the answer ended there",
        "3 of 3 comments were written and ended by themselves",
    ]


@pytest.mark.parametrize(
    ("change", "name", "verdict", "summary"),
    [
        (
            {"counts": False},
            "speed",
            "unknown",
            "the server does not count its tokens, or the model wrote none",
        ),
        (
            {"counts": False},
            "sentinels",
            "unknown",
            "the server does not count the prompt's tokens",
        ),
        ({"counts": False}, "window", "unknown", "the server does not count the prompt's tokens"),
        ({"heeds_text": False}, "stop text", "no", "the answer went on"),
        (
            {"words": "a"},
            "stop text",
            "unknown",
            "the model wrote no text to use as a stop sequence",
        ),
        (
            {"words": "\ufffd" * 24},
            "stop text",
            "unknown",
            "the model wrote no text to use as a stop sequence",
        ),
        (
            {"words": "aaaaaaaa"},
            "stop text",
            "unknown",
            "the model wrote no text to use as a stop sequence",
        ),
        ({"words": "def" * 9}, "stop text", "yes", "it ends the answer"),
        (
            {"several": frozenset({"<pr_diff_hunk>", "<fim_pad>"})},
            "sentinels",
            "no",
            "36 of 38 are one token",
        ),
        (
            {"heeds_tokens": False, "shows_tokens": True},
            "stop token",
            "no",
            "the model wrote <file_sep>, and the answer went on",
        ),
        (
            {"heeds_tokens": False},
            "stop token",
            "unknown",
            "the answer went on; whether <file_sep> was written cannot be seen",
        ),
        (
            {"file": "gg"},
            "stop token",
            "unknown",
            "the answer ended without <file_sep> being a stop",
        ),
        (
            {"hole": lambda _prompt: "<file_sep>"},
            "hole",
            "no",
            "0 of 2 were filled, and the answer ended there",
        ),
        (
            {"hole": lambda _prompt: "a +<file_sep>"},
            "hole",
            "no",
            "0 of 2 were filled, and the answer ended there",
        ),
        (
            {"hole": lambda _prompt: "a + b" * 30},
            "hole",
            "no",
            "0 of 2 were filled, and the answer ended there",
        ),
        (
            {"hole": lambda _prompt: "a\0<file_sep>"},
            "hole",
            "no",
            "0 of 2 were filled, and the answer ended there",
        ),
        (
            {"hole": lambda _prompt: "'\\d'<file_sep>"},
            "hole",
            "yes",
            "2 of 2 were filled, and the answer ended there",
        ),
        (
            {"comment": "<pr_event_id>2"},
            "pull request",
            "no",
            "0 of 3 comments were written and ended by themselves",
        ),
        (
            {"comment": " and so on" * 50},
            "pull request",
            "no",
            "0 of 3 comments were written and ended by themselves",
        ),
        (
            {"reads": 2048},
            "window",
            "no",
            "2,048 of 3,811 tokens were read; the window is said to be 4,096",
        ),
        ({"reads": 2048, "refuses": True}, "window", "no", "The prompt does not fit. Send less."),
        ({"model": replace(SEVEN, window=2048)}, "window", "yes", None),
        (
            {"model": replace(SEVEN, window=900)},
            "window",
            "unknown",
            "The prompt (1219 characters) and an answer of 1 tokens do not fit the 900 tokens of "
            "starcoder2:7b. "
            "Send less, or use a model or server with a larger window.",
        ),
    ],
)
def test_other_servers(
    change: dict[str, Any], name: str, verdict: str, summary: str | None
) -> None:
    result = probed(replace(Machine(), **change))[name]
    assert result.verdict == verdict
    assert summary is None or result.summary == summary


def test_special_tokens_of_several_tokens() -> None:
    results = probed(Machine(several=frozenset({"<pr_diff_hunk>", "<fim_pad>"})))["sentinels"]
    assert results.figures == {"several": {"<fim_pad>": 2, "<pr_diff_hunk>": 2}}


class Restless(Machine):
    """Goes on counting where it stopped the last time."""

    def _written(self, prompt: Prompt) -> tuple[list[str], bool]:
        self.words = self.words[5:] + self.words[:5]
        return super()._written(prompt)


def test_answers_that_differ() -> None:
    results = probed(Restless())["stop text"]
    assert (results.verdict, results.summary) == (
        "unknown",
        "the model wrote something else the second time",
    )


def test_infinite_likelihood() -> None:
    results = probed(Machine(likelihood=lambda _prompt: -math.inf))["pull request"]
    assert results.figures["likelihood"] is None


def test_unparsable_hole() -> None:
    assert probed(Machine(hole=lambda _prompt: "(" * 59 + "<file_sep>"))["hole"].verdict == "no"
    assert probed(Machine(hole=lambda _prompt: "\ud800<file_sep>"))["hole"].verdict == "no"


@pytest.mark.parametrize(("remembers", "verdict"), [(True, "yes"), (False, "unknown")])
def test_prefix_cache_of_fast_server(remembers: bool, verdict: str) -> None:
    assert probed(Machine(remembers=remembers))["prefix cache"].verdict == verdict
    assert (
        probed(Machine(remembers=remembers, tells_cached=False))["prefix cache"].verdict
        == "unknown"
    )


class Clock:
    """A clock that only runs when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("pytest_starcoder.model.probe.time", clock)
    return clock


@pytest.mark.parametrize(("remembers", "verdict"), [(True, "yes"), (False, "no")])
def test_prefix_cache_of_slow_server(remembers: bool, verdict: str, clock: Clock) -> None:
    machine = Machine(remembers=remembers, tells_cached=False, pace=0.0003, sleep=clock.sleep)
    results = probed(machine)["prefix cache"]
    assert results.verdict == verdict
    assert re.fullmatch(r"0\.\d\d s after 0\.\d\d s", results.summary)
    assert set(results.figures) == {"cold", "warm", "cached_tokens"}


def test_window_of_slow_server(clock: Clock) -> None:
    model = replace(SEVEN, window=100_000)
    machine = Machine(model=model, reads=100_000, pace=0.001, sleep=clock.sleep)
    results = probed(machine)["window"]
    assert 59_000 <= results.figures["tried"] <= 61_000


def test_speed_summary(clock: Clock) -> None:
    results = probed(Machine(pace=0.0001, sleep=clock.sleep))["speed"]
    assert set(results.figures) == {"read", "written", "explanation", "review"}
    assert re.fullmatch(
        r"[\d,]+ tokens a second read, [\d,]+ written: "
        r"an explanation takes about \d+ s, the review of a hunk \d+ s",
        results.summary,
    )


# --- which probes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("starcoder2", ALL),
        ("starcoder2-instruct", [name for name in ALL if name != "pull request"]),
        ("starcoder", [name for name in ALL if name != "pull request"]),
        ("chat", ["speed", "stop text", "prefix cache", "window"]),
        ("completion", ["speed", "stop text", "prefix cache", "window"]),
    ],
)
def test_probes_by_family(family: str, names: list[str]) -> None:
    machine = Machine()
    assert list(probed(machine, Settings(family=family))) == names
    assert {prompt.chat for prompt in machine.prompts} == {family == "chat"}


def test_tokens_of_first_starcoder() -> None:
    machine = Machine(file="gg<filename>h.txt\nhhh" * 9)
    results = probed(machine, Settings(family="starcoder"))
    assert results["sentinels"].summary == "each of the 19 is one token"
    assert results["stop token"].summary == "<filename> ended the answer after 2 tokens"


def test_form_of_review() -> None:
    assert "".join(PULL_REQUEST) == (
        "<pr>Title: Compute the mean of prices\nusername_0: The shop needs it for its report."
        "<pr_status>opened<repo_name>shop<pr_base><pr_file>shop/prices.py"
        "<pr_base_code>def total(xs):\n    return sum(xs)\n"
        "<pr_diff><pr_file>shop/prices.py"
        "<pr_diff_hunk>@@ -1,2 +1,6 @@\n def total(xs):\n     return sum(xs)\n+\n+\n+def "
        "mean(xs):\n+    {line}\n"
        "<pr_review_comment><pr_event_id>1<pr_file>shop/prices.py<pr_diff_hunk_comment_line>6"
    )


def test_long_prompts_are_unseen() -> None:
    machine = Machine()
    probed(machine)
    long = [prompt.text for prompt in machine.prompts if prompt.text.startswith("# ")]
    beginnings = [text.partition("\n")[0] for text in long]
    assert len(long) == 6
    assert len(set(beginnings)) == 5, (
        "only the second question of the memory begins like the one before"
    )
    assert {len(beginning) for beginning in beginnings} == {18}


def test_results_contain_no_answer() -> None:
    secret = "sesame "
    machine = Machine(
        words=secret * 9,
        hole=lambda _prompt: secret,
        comment=f" {secret}<pr_event_id>",
        file=secret * 9,
    )
    assert not [
        result
        for result in probed(machine).values()
        if "sesame" in f"{result.summary} {dict(result.figures)}"
    ]


# --- servers in trouble --------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["error", "cut"])
def test_server_breaks_off(ollama_double: FakeOllama, ending: str) -> None:
    ollama_double.ending = ending
    results = probed(Ollama(Settings(host=ollama_double.url)))
    assert list(results) == ALL
    assert {result.verdict for result in results.values()} == {"unknown"}
    assert {result.figures["error"] for result in results.values()} == {"BadResponse"}


def test_hanging_server(ollama_double: FakeOllama) -> None:
    ollama_double.delay = 30
    settings = Settings(host=ollama_double.url, timeout=0.2)
    started = time.monotonic()
    results = probed(Ollama(settings), settings)
    assert time.monotonic() - started < 5
    assert [result.figures for result in results.values()] == [{"error": "BackendTimeout"}] * len(
        ALL
    )
    assert results["stop text"].summary.startswith(
        f"Ollama at {ollama_double.url} did not finish within 0.2 s."
    )
    assert {results[name].summary for name in ALL[2:]} == {
        "not asked: the server was silent too often"
    }


def test_server_that_cuts_silently(ollama_double: FakeOllama) -> None:
    ollama_double.evaluated = 100
    results = probed(Ollama(Settings(host=ollama_double.url)))
    assert (results["window"].verdict, results["window"].figures) == (
        "unknown",
        {"error": "PromptTooLong"},
    )


def test_ollama_without_counts(ollama_double: FakeOllama) -> None:
    ollama_double.evaluated = 0
    results = probed(Ollama(Settings(host=ollama_double.url)))
    assert {
        name: results[name].verdict for name in ("speed", "sentinels", "window")
    } == dict.fromkeys(("speed", "sentinels", "window"), "unknown")


# --- real servers --------------------------------------------------------------------------


def test_real_llamacpp(llamacpp: RealServer) -> None:
    results = probed(LlamaCpp(llamacpp.url, Settings(temperature=0.0), llamacpp.key))
    assert {
        name: results[name].verdict for name in ("speed", "sentinels", "prefix cache", "window")
    } == {
        "speed": "yes",
        "sentinels": "yes",
        "prefix cache": "yes",
        "window": "yes",
    }
    assert results["stop token"].verdict == "unknown"
    assert results["window"].figures["window"] == 4096
    assert results["pull request"].figures["likelihood"] < 0


class Forgetful(LlamaCpp):
    """A llama.cpp that is not told which special tokens to preserve."""

    def _request_body(self, prompt: Prompt) -> dict[str, Any]:
        return super()._request_body(prompt) | {"preserved_tokens": []}


def test_stop_token_of_real_llamacpp(
    tmp_path: Path,
) -> None:
    with running_llamacpp(
        write_tiny_model(tmp_path / "always.gguf", always="<file_sep>")
    ) as server:
        kinds = (LlamaCpp, Forgetful)
        results = [
            probed(kind(server.url, Settings(temperature=0.0), server.key))["stop token"]
            for kind in kinds
        ]
    assert [(result.verdict, result.summary) for result in results] == [
        ("yes", "<file_sep> ended the answer after 1 tokens"),
        ("unknown", "the answer went on; whether <file_sep> was written cannot be seen"),
    ]


@pytest.mark.slow
def test_real_ollama(real_ollama: str, tmp_path: Path) -> None:
    file = write_tiny_model(tmp_path / "always.gguf", always="<file_sep>")
    model = create_in_ollama(real_ollama, "starcoder2-probed", file)
    settings = Settings(backend="ollama", host=real_ollama, model=model, temperature=0.0)
    results = {
        result.name: result for result in islice(run_probes(Client(Ollama(settings), settings)), 4)
    }
    assert results["sentinels"].summary == "each of the 38 is one token"
    assert results["stop token"].verdict in ("yes", "unknown")  # from 0.30 on it ends at none
