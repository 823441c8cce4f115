"""What could only be read about a server and its model, proven on the one that is there.

Every probe asks its own few questions about texts that are written here: no
code of the user's is sent, and no word of the model's is kept.
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
from pytest_starcoder.model.prompts import family
from pytest_starcoder.model.special_tokens import FIRST_STARCODER, STARCODER2

EXPLANATION = (1500, 120)
REVIEW = (900, 80)
"""Tokens of a usual question and of its answer: of a cause to be explained, of a hunk to be reviewed."""

PATIENCE = 60.0
"""Seconds that reading the longest prompt may take."""

LATE = 2
"""Probes that may end by a timeout before nothing more is asked: a server that hangs would hang for each."""


@dataclass(frozen=True)
class Probe:
    """What one probe found: `verdict` is yes, no or unknown, `told` a sentence about it, `figures` JSON data."""

    name: str
    verdict: str
    told: str
    figures: Mapping[str, Any] = field(default_factory=dict)


def probe(client: Client) -> Iterator[Probe]:
    """Every probe that makes sense for the model of `client`, one after the other; none raises a BackendError.

    Memory would prove nothing: `client` must have no cache, and a temperature of 0 for answers that can be compared.
    """
    kind = family(client.model(), client.settings.family)

    def ask(prompt: Prompt) -> Completion:
        return client.complete(replace(prompt, chat=kind == "chat"))

    probes: list[tuple[str, Callable[[Ask], Probe]]] = [
        ("speed", _speed),
        ("stop text", _stop_text),
    ]
    if kind in SENTINELS:
        probes += [("sentinels", lambda ask: _sentinels(ask, SENTINELS[kind]))]
        probes += [("stop token", lambda ask: _stop_token(ask, kind)), ("hole", _hole)]
    if kind == "starcoder2":
        probes += [("pull request", _pull_request)]
    # The longest prompt comes last: a server may still be reading it when its time is over.
    probes += [("prefix cache", _prefix_cache), ("window", lambda ask: _window(ask, client))]
    late = 0
    for name, run in probes:
        if late == LATE:
            yield Probe(
                name,
                "unknown",
                "not asked: the server was silent too often",
                {"error": "BackendTimeout"},
            )
            continue
        try:
            yield run(ask)
        except StarcoderError as exc:
            late += isinstance(exc, BackendTimeout)
            yield Probe(name, "unknown", str(exc), {"error": type(exc).__name__})


Ask = Callable[[Prompt], Completion]

SENTINELS = {
    "starcoder2": STARCODER2,
    "starcoder2-instruct": STARCODER2,
    "starcoder": FIRST_STARCODER,
}


# --- speed ---


def _speed(ask: Ask) -> Probe:
    """Tokens a second read and written, by a prompt that nobody has seen and an answer of some length."""
    prompt = _unseen("x = 1\n" * 150)
    _timed(ask, Prompt("x = ", max_tokens=1))  # the model is loaded now
    first, seconds = _timed(ask, Prompt(prompt, max_tokens=1))
    read = first.prompt_tokens / seconds
    answer, seconds = _timed(ask, Prompt("def fibonacci(n):\n", max_tokens=64))
    written = answer.completion_tokens / seconds
    figures = {"read": round(read, 1), "written": round(written, 1)}
    if not first.prompt_tokens or not answer.completion_tokens:
        return Probe(
            "speed",
            "unknown",
            "the server does not count its tokens, or the model wrote none",
            figures,
        )
    explanation, review = (_seconds(job, read, written) for job in (EXPLANATION, REVIEW))
    told = (
        f"{read:,.0f} tokens a second read, {written:,.0f} written: "
        f"an explanation takes about {explanation:,.0f} s, the review of a hunk {review:,.0f} s"
    )
    return Probe(
        "speed",
        "yes",
        told,
        figures | {"explanation": round(explanation, 1), "review": round(review, 1)},
    )


def _seconds(job: tuple[int, int], read: float, written: float) -> float:
    return job[0] / read + job[1] / written


# --- where an answer ends ---


def _stop_text(ask: Ask) -> Probe:
    """A text that the model writes anyway is made a stop."""
    prompt = "one two three four five six seven eight nine ten one two three"
    text = ask(Prompt(prompt, max_tokens=24)).text
    pairs = (text[start : start + 2] for start in range(len(text) // 2, len(text) - 1))
    stop = next(
        (pair for pair in pairs if pair.strip() and "\ufffd" not in pair and text.index(pair) > 0),
        "",
    )
    if not stop:
        return Probe("stop text", "unknown", "the model wrote nothing that it could be stopped at")
    stopped = ask(Prompt(prompt, stop=(stop,), max_tokens=24))
    if stop in stopped.text or stopped.truncated:
        return Probe("stop text", "no", "the answer went on")
    if stopped.text != text[: text.index(stop)]:
        return Probe("stop text", "unknown", "the model wrote something else the second time")
    return Probe("stop text", "yes", "it ends the answer")


def _stop_token(ask: Ask, kind: str) -> Probe:
    """Small files in a row: what follows one is the token that begins the next."""
    token = "<filename>" if kind == "starcoder" else "<file_sep>"
    prompt = "".join(f"{token}{name}.txt\n{name * 3}" for name in "abcdefg")
    free = ask(Prompt(prompt, max_tokens=16))
    stopped = ask(Prompt(prompt, stop_tokens=(token,), max_tokens=16))
    figures = {"tokens": stopped.completion_tokens, "tokens_without": free.completion_tokens}
    if not free.truncated:
        return Probe(
            "stop token", "unknown", f"the answer ended without {token} being a stop", figures
        )
    if not stopped.truncated:
        return Probe(
            "stop token",
            "yes",
            f"{token} ended the answer after {stopped.completion_tokens} tokens",
            figures,
        )
    if token in free.text:
        return Probe(
            "stop token", "no", f"the model wrote {token}, and the answer went on", figures
        )
    return Probe(
        "stop token",
        "unknown",
        f"the answer went on; whether {token} was written cannot be seen",
        figures,
    )


# --- what the prompts are made of ---


def _sentinels(ask: Ask, sentinels: tuple[str, ...]) -> Probe:
    """The tokens that the server counts for each, by how much longer the prompt is with it."""
    bare = ask(Prompt("x", max_tokens=1)).prompt_tokens
    if not bare:
        return Probe("sentinels", "unknown", "the server does not count the prompt's tokens")

    def tokens(text: str) -> int:
        return ask(Prompt(f"x{text}", max_tokens=1)).prompt_tokens - bare

    if tokens("".join(sentinels)) == len(sentinels):
        return Probe(
            "sentinels", "yes", f"each of the {len(sentinels)} is one token", {"several": {}}
        )
    several = {name: count for name in sentinels if (count := tokens(name)) != 1}
    told = f"{len(sentinels) - len(several)} of {len(sentinels)} are one token"
    return Probe("sentinels", "no" if several else "unknown", told, {"several": several})


def _hole(ask: Ask) -> Probe:
    """Two holes in a function: each is filled, the answer ends there, and Python parses the whole."""
    closed, lengths = 0, []
    for before, after in HOLES:
        prompt = f"<fim_prefix>{before}<fim_suffix>{after}<fim_middle>"
        stops = ("<|endoftext|>", "<file_sep>", "<filename>", "<fim_prefix>", "<fim_pad>")
        filled = ask(Prompt(prompt, stop_tokens=stops, max_tokens=60))
        lengths.append(filled.completion_tokens)
        closed += (
            bool(filled.text.strip())
            and not filled.truncated
            and _parses(before + filled.text + after)
        )
    told = f"{closed} of {len(HOLES)} were filled, and the answer ended there"
    return Probe(
        "hole", "yes" if closed == len(HOLES) else "no", told, {"closed": closed, "tokens": lengths}
    )


HOLES = (
    ("def add(a, b):\n    return ", "\n\n\nprint(add(1, 2))\n"),
    ("def largest(xs):\n    best = xs[0]\n    for x in xs:\n        ", "\n    return best\n"),
)


def _parses(source: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning would show what the model wrote
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _pull_request(ask: Ask) -> Probe:
    """The form of a review, its tokens joined and each on a line: which one the model goes on with better."""
    found = {}
    for name, between in (("joined", ""), ("lines", "\n")):
        answers = [
            ask(
                Prompt(
                    between.join(REVIEWED).replace("{line}", line)
                    + between
                    + "<pr_comment>username_1:",
                    stop=("\n", "username_"),
                    stop_tokens=(
                        "<pr_event_id>",
                        "<pr_review_comment>",
                        "<pr>",
                        "<pr_comment>",
                        "<|endoftext|>",
                    ),
                    max_tokens=80,
                    likelihood=True,
                )
            )
            for line in CHANGES
        ]
        found[name] = _figures(answers)
    better = max(
        found, key=lambda name: (found[name]["ended"], _or_least(found[name]["likelihood"]))
    )
    ended = found[better]["ended"]
    told = f"{ended} of {len(CHANGES)} comments were written and ended by themselves; better {HOW[better]}"
    verdict = "yes" if ended == len(CHANGES) else "no"
    return Probe("pull request", verdict, told, found | {"better": better})


def _figures(answers: list[Completion]) -> dict[str, Any]:
    likelihoods = (answer.likelihood for answer in answers)
    told = [number for number in likelihoods if number is not None and math.isfinite(number)]
    return {
        "ended": sum(bool(answer.text.strip()) and not answer.truncated for answer in answers),
        "tokens": [answer.completion_tokens for answer in answers],
        "likelihood": round(sum(told) / len(told), 3) if told else None,
    }


def _or_least(number: float | None) -> float:
    return -math.inf if number is None else number


HOW = {"joined": "with the tokens joined", "lines": "with each token on a line of its own"}

REVIEWED = (
    "<pr>Title: Compute the mean of prices\nusername_0: The shop needs it for its report.",
    "<pr_status>opened",
    "<repo_name>shop",
    "<pr_base>",
    "<pr_file>shop/prices.py",
    "<pr_base_code>def total(xs):\n    return sum(xs)\n",
    "<pr_diff>",
    "<pr_file>shop/prices.py",
    "<pr_diff_hunk>@@ -1,2 +1,6 @@\n def total(xs):\n     return sum(xs)\n+\n+\n+def mean(xs):\n+    {line}\n",
    "<pr_review_comment>",
    "<pr_event_id>1",
    "<pr_file>shop/prices.py",
    "<pr_diff_hunk_comment_line>6",
)
CHANGES = ("return sum(xs) / (len(xs) - 1)", "return eval(xs) / len(xs)", "return sum(xs) / 0")


# --- the memory and the window of the server ---


def _prefix_cache(ask: Ask) -> Probe:
    """The same long beginning twice: the second time it needs no work."""
    beginning = _unseen("x = 1\n" * 200)
    _, cold = _timed(ask, Prompt(beginning + "first", max_tokens=1))
    second, warm = _timed(ask, Prompt(beginning + "second", max_tokens=1))
    figures = {
        "cold": round(cold, 2),
        "warm": round(warm, 2),
        "cached_tokens": second.cached_tokens,
    }
    told = f"{warm:.2f} s after {cold:.2f} s"
    if second.cached_tokens:
        told = f"{second.cached_tokens:,} of {second.prompt_tokens:,} tokens needed no work; {told}"
    if 2 * second.cached_tokens > second.prompt_tokens:
        return Probe("prefix cache", "yes", told, figures)
    if cold < 0.3:  # times this short differ by chance
        return Probe("prefix cache", "unknown", told, figures)
    return Probe("prefix cache", "yes" if warm < cold / 2 else "no", told, figures)


def _window(ask: Ask, client: Client) -> Probe:
    """A prompt that nearly fills the window, as far as that can be read in about a minute, is read to its end."""
    line = "x = 1\n"
    short, seconds = _timed(ask, Prompt(_unseen(line * 100), max_tokens=1))
    longer = ask(Prompt(_unseen(line * 200), max_tokens=1))
    a_line = (longer.prompt_tokens - short.prompt_tokens) / 100
    if a_line <= 0:
        return Probe("window", "unknown", "the server does not count the prompt's tokens")
    window = client.model().window
    tried = int(min(window - 300, max(1000, PATIENCE * short.prompt_tokens / seconds)))
    lines = int(tried / a_line)
    while lines > 200 and not client.fits(Prompt(_unseen(line * lines), max_tokens=1)):
        lines = lines * 9 // 10  # where tokens are estimated, that may be too many
    expected = short.prompt_tokens + a_line * (lines - 100)
    figures = {"window": window, "tried": round(expected)}
    try:
        read = ask(Prompt(_unseen(line * lines), max_tokens=1)).prompt_tokens
    except PromptTooLong as exc:
        return Probe("window", "no", str(exc), figures)
    told = f"{read:,} of {expected:,.0f} tokens were read; the window is said to be {window:,}"
    return Probe(
        "window", "yes" if read >= 0.98 * expected else "no", told, figures | {"read": read}
    )


def _unseen(text: str) -> str:
    """`text` behind a beginning that no server has in memory; digits, for those have always as many tokens."""
    return f"# {secrets.randbelow(10**16):016}\n{text}"


def _timed(ask: Ask, prompt: Prompt) -> tuple[Completion, float]:
    started = time.monotonic()
    completion = ask(prompt)
    return completion, max(time.monotonic() - started, 0.001)
