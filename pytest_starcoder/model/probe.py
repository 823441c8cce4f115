"""Tests of a server and its model, for `starcoder doctor --deep`.

Each probe asks a few questions about texts that are written here: no code of the user is sent, and
no word of the model is kept.
"""

from __future__ import annotations

import ast
import math
import secrets
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_starcoder.errors import BackendTimeout, PromptTooLong, StarcoderError
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Completion, Prompt
from pytest_starcoder.model.prompts import model_family
from pytest_starcoder.model.special_tokens import FIRST_STARCODER, STARCODER2

EXPLANATION_TOKENS = (1500, 120)
REVIEW_TOKENS = (900, 80)
"""Tokens of a typical prompt and of its answer: to explain a cause, to review a hunk."""

READING_SECONDS = 60.0
"""Maximum time that the server may take to read the longest prompt."""

MAX_TIMEOUTS = 2
"""Probes that may time out before the rest is skipped: a server that hangs does so for each."""

SPECIAL_TOKENS = {
    "starcoder2": STARCODER2,
    "starcoder2-instruct": STARCODER2,
    "starcoder": FIRST_STARCODER,
}

Ask = Callable[[Prompt], Completion]


@dataclass(frozen=True)
class ProbeResult:
    """The result of a probe: a verdict (yes, no or unknown), a sentence, and JSON data."""

    name: str
    verdict: str
    summary: str
    figures: Mapping[str, Any] = field(default_factory=dict)


def run_probes(client: Client) -> Iterator[ProbeResult]:
    """Run every probe that makes sense for the model; none raises a BackendError.

    `client` must not have a cache, since cached answers prove nothing, and needs a temperature of
    0, so that answers can be compared.
    """
    kind = model_family(client.model(), client.settings.family)

    def ask(prompt: Prompt) -> Completion:
        return client.complete(replace(prompt, chat=kind == "chat"))

    timeouts = 0
    for name, probe in _probes(client, kind):
        if timeouts == MAX_TIMEOUTS:
            summary = "not asked: the server was silent too often"
            yield ProbeResult(name, "unknown", summary, {"error": "BackendTimeout"})
            continue
        try:
            yield probe(ask)
        except StarcoderError as exc:
            timeouts += isinstance(exc, BackendTimeout)
            yield ProbeResult(name, "unknown", str(exc), {"error": type(exc).__name__})


def _probes(client: Client, kind: str) -> list[tuple[str, Callable[[Ask], ProbeResult]]]:
    probes: list[tuple[str, Callable[[Ask], ProbeResult]]] = [
        ("speed", _probe_speed),
        ("stop text", _probe_stop_text),
    ]
    if kind in SPECIAL_TOKENS:
        special_tokens = SPECIAL_TOKENS[kind]
        # Named "sentinels" since the first report format.
        probes.append(("sentinels", lambda ask: _probe_special_tokens(ask, special_tokens)))
        probes.append(("stop token", lambda ask: _probe_stop_token(ask, kind)))
        probes.append(("hole", _probe_hole))
    if kind == "starcoder2":
        probes.append(("pull request", _probe_pull_request))
    probes.append(("prefix cache", _probe_prefix_cache))
    # The longest prompt is last: the server may still be reading it after the timeout.
    probes.append(("window", lambda ask: _probe_window(ask, client)))
    return probes


# --- speed ---


def _probe_speed(ask: Ask) -> ProbeResult:
    """Measure tokens per second, with an unseen prompt and an answer of some length."""
    _timed(ask, Prompt("x = ", max_tokens=1))  # loads the model
    reading, seconds = _timed(ask, _lines_prompt(150))
    read = reading.prompt_tokens / seconds
    writing, seconds = _timed(ask, Prompt("def fibonacci(n):\n", max_tokens=64))
    written = writing.completion_tokens / seconds
    figures = {"read": round(read, 1), "written": round(written, 1)}
    if not reading.prompt_tokens or not writing.completion_tokens:
        summary = "the server does not count its tokens, or the model wrote none"
        return ProbeResult("speed", "unknown", summary, figures)

    def expected_seconds(tokens: tuple[int, int]) -> float:
        return tokens[0] / read + tokens[1] / written

    explanation = expected_seconds(EXPLANATION_TOKENS)
    review = expected_seconds(REVIEW_TOKENS)
    figures |= {"explanation": round(explanation, 1), "review": round(review, 1)}
    summary = (
        f"{read:,.0f} tokens a second read, {written:,.0f} written: "
        f"an explanation takes about {explanation:,.0f} s, the review of a hunk {review:,.0f} s"
    )
    return ProbeResult("speed", "yes", summary, figures)


# --- the end of an answer ---


def _probe_stop_text(ask: Ask) -> ProbeResult:
    """Use two letters as a stop that the model writes anyway."""
    name = "stop text"
    prompt = "one two three four five six seven eight nine ten one two three"
    text = ask(Prompt(prompt, max_tokens=24)).text
    stop = _later_pair(text)
    if not stop:
        return ProbeResult(name, "unknown", "the model wrote no text to use as a stop sequence")
    stopped = ask(Prompt(prompt, stop=(stop,), max_tokens=24))
    if stop in stopped.text or stopped.truncated:
        return ProbeResult(name, "no", "the answer went on")
    if stopped.text != text[: text.index(stop)]:
        return ProbeResult(name, "unknown", "the model wrote something else the second time")
    return ProbeResult(name, "yes", "it ends the answer")


def _later_pair(text: str) -> str:
    """Return two letters of the second half of `text`; empty if there are none."""
    for start in range(len(text) // 2, len(text) - 1):
        pair = text[start : start + 2]
        if pair.strip() and "\ufffd" not in pair and text.index(pair) > 0:
            return pair
    return ""


def _probe_stop_token(ask: Ask, kind: str) -> ProbeResult:
    """Let the model continue a row of small files: the next one begins with a special token."""
    name = "stop token"
    token = "<filename>" if kind == "starcoder" else "<file_sep>"
    files = [f"{token}{letter}.txt\n{letter * 3}" for letter in "abcdefg"]
    prompt = "".join(files)
    free = ask(Prompt(prompt, max_tokens=16))
    stopped = ask(Prompt(prompt, stop_tokens=(token,), max_tokens=16))
    figures = {"tokens": stopped.completion_tokens, "tokens_without": free.completion_tokens}
    if not free.truncated:
        summary = f"the answer ended without {token} being a stop"
        return ProbeResult(name, "unknown", summary, figures)
    if not stopped.truncated:
        summary = f"{token} ended the answer after {stopped.completion_tokens} tokens"
        return ProbeResult(name, "yes", summary, figures)
    if token in free.text:
        summary = f"the model wrote {token}, and the answer went on"
        return ProbeResult(name, "no", summary, figures)
    summary = f"the answer went on; whether {token} was written cannot be seen"
    return ProbeResult(name, "unknown", summary, figures)


# --- the special tokens of the prompts ---


def _probe_special_tokens(ask: Ask, special_tokens: tuple[str, ...]) -> ProbeResult:
    """Count each special token by how much longer a prompt is with it."""
    name = "sentinels"
    # A server may add a token at the beginning of every prompt.
    without = ask(Prompt("x", max_tokens=1)).prompt_tokens
    if not without:
        return ProbeResult(name, "unknown", "the server does not count the prompt's tokens")

    def count(text: str) -> int:
        return ask(Prompt(f"x{text}", max_tokens=1)).prompt_tokens - without

    total = len(special_tokens)
    # All at once first: one question instead of 38 on most servers.
    if count("".join(special_tokens)) == total:
        return ProbeResult(name, "yes", f"each of the {total} is one token", {"several": {}})
    counts = {token: count(token) for token in special_tokens}
    several = {token: tokens for token, tokens in counts.items() if tokens != 1}
    summary = f"{total - len(several)} of {total} are one token"
    # Together they are more tokens than one by one: a part of the prompt was not counted.
    verdict = "no" if several else "unknown"
    return ProbeResult(name, verdict, summary, {"several": several})


HOLES = (
    ("def add(a, b):\n    return ", "\n\n\nprint(add(1, 2))\n"),
    ("def largest(xs):\n    best = xs[0]\n    for x in xs:\n        ", "\n    return best\n"),
)
_HOLE_STOPS = ("<|endoftext|>", "<file_sep>", "<filename>", "<fim_prefix>", "<fim_pad>")


def _probe_hole(ask: Ask) -> ProbeResult:
    """Let the model fill two holes in functions, so that the whole parses."""
    filled = 0
    tokens = []
    for before, after in HOLES:
        prompt = f"<fim_prefix>{before}<fim_suffix>{after}<fim_middle>"
        answer = ask(Prompt(prompt, stop_tokens=_HOLE_STOPS, max_tokens=60))
        tokens.append(answer.completion_tokens)
        has_ended = answer.text.strip() and not answer.truncated
        if has_ended and _parses(before + answer.text + after):
            filled += 1
    summary = f"{filled} of {len(HOLES)} were filled, and the answer ended there"
    figures = {"closed": filled, "tokens": tokens}
    return ProbeResult("hole", _yes_or_no(filled == len(HOLES)), summary, figures)


def _parses(source: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning would show what the model wrote
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


PULL_REQUEST = (
    "<pr>Title: Compute the mean of prices\nusername_0: The shop needs it for its report.",
    "<pr_status>opened",
    "<repo_name>shop",
    "<pr_base>",
    "<pr_file>shop/prices.py",
    "<pr_base_code>def total(xs):\n    return sum(xs)\n",
    "<pr_diff>",
    "<pr_file>shop/prices.py",
    "<pr_diff_hunk>@@ -1,2 +1,6 @@\n def total(xs):\n     return sum(xs)\n"
    "+\n+\n+def mean(xs):\n+    {line}\n",
    "<pr_review_comment>",
    "<pr_event_id>1",
    "<pr_file>shop/prices.py",
    "<pr_diff_hunk_comment_line>6",
)
FAULTY_LINES = (
    "return sum(xs) / (len(xs) - 1)",
    "return eval(xs) / len(xs)",
    "return sum(xs) / 0",
)
_COMMENT_STOPS = ("<pr_event_id>", "<pr_review_comment>", "<pr>", "<pr_comment>", "<|endoftext|>")


def _probe_pull_request(ask: Ask) -> ProbeResult:
    """Let the model comment on faulty lines in the form of a review."""
    ended = 0
    tokens = []
    likelihoods = []
    for line in FAULTY_LINES:
        document = "".join(PULL_REQUEST).replace("{line}", line)
        prompt = Prompt(
            f"{document}<pr_comment>username_1:",
            stop=("\n", "username_"),
            stop_tokens=_COMMENT_STOPS,
            max_tokens=80,
            likelihood=True,
        )
        comment = ask(prompt)
        tokens.append(comment.completion_tokens)
        if comment.text.strip() and not comment.truncated:
            ended += 1
        if comment.likelihood is not None and math.isfinite(comment.likelihood):
            likelihoods.append(comment.likelihood)
    likelihood = round(sum(likelihoods) / len(likelihoods), 3) if likelihoods else None
    figures = {"ended": ended, "tokens": tokens, "likelihood": likelihood}
    total = len(FAULTY_LINES)
    summary = f"{ended} of {total} comments were written and ended by themselves"
    return ProbeResult("pull request", _yes_or_no(ended == total), summary, figures)


# --- the memory and the window of the server ---


def _probe_prefix_cache(ask: Ask) -> ProbeResult:
    """Send the same long beginning twice: the second time it need not be read again."""
    name = "prefix cache"
    beginning = _unseen("x = 1\n" * 200)
    _, cold = _timed(ask, Prompt(beginning + "first", max_tokens=1))
    second, warm = _timed(ask, Prompt(beginning + "second", max_tokens=1))
    cached = second.cached_tokens
    figures = {"cold": round(cold, 2), "warm": round(warm, 2), "cached_tokens": cached}
    summary = f"{warm:.2f} s after {cold:.2f} s"
    if cached:
        summary = f"{cached:,} of {second.prompt_tokens:,} tokens came from the cache; {summary}"
    if 2 * cached > second.prompt_tokens:
        return ProbeResult(name, "yes", summary, figures)
    if cold < 0.3:  # times this short differ by chance
        return ProbeResult(name, "unknown", summary, figures)
    return ProbeResult(name, _yes_or_no(warm < cold / 2), summary, figures)


def _probe_window(ask: Ask, client: Client) -> ProbeResult:
    """Check that a prompt that nearly fills the window is read to its end.

    The prompt is shorter if the server would take longer than about a minute.
    """
    name = "window"
    short, seconds = _timed(ask, _lines_prompt(100))
    long = ask(_lines_prompt(200))
    tokens_per_line = (long.prompt_tokens - short.prompt_tokens) / 100
    if tokens_per_line <= 0:
        return ProbeResult(name, "unknown", "the server does not count the prompt's tokens")
    window = client.model().window
    readable = max(1000, READING_SECONDS * short.prompt_tokens / seconds)
    lines = int(min(window - 300, readable) / tokens_per_line)
    # If tokens are estimated, that may be too many.
    while lines > 200 and not client.fits(_lines_prompt(lines)):
        lines = lines * 9 // 10
    expected = short.prompt_tokens + tokens_per_line * (lines - 100)
    figures = {"window": window, "tried": round(expected)}
    try:
        read = ask(_lines_prompt(lines)).prompt_tokens
    except PromptTooLong as exc:
        return ProbeResult(name, "no", str(exc), figures)
    summary = f"{read:,} of {expected:,.0f} tokens were read; the window is said to be {window:,}"
    figures["read"] = read
    return ProbeResult(name, _yes_or_no(read >= 0.98 * expected), summary, figures)


def _lines_prompt(count: int) -> Prompt:
    """Return a prompt of `count` equal lines; one token of answer, to measure reading alone."""
    return Prompt(_unseen("x = 1\n" * count), max_tokens=1)


def _yes_or_no(passed: bool) -> str:
    return "yes" if passed else "no"


def _unseen(text: str) -> str:
    """Put a random comment before `text`, so that no server has it in memory.

    Digits are one token each: the length in tokens is always the same.
    """
    return f"# {secrets.randbelow(10**16):016}\n{text}"


def _timed(ask: Ask, prompt: Prompt) -> tuple[Completion, float]:
    started = time.monotonic()
    completion = ask(prompt)
    return completion, max(time.monotonic() - started, 0.001)
