"""Asks a model about the hunks of a change.

StarCoder2 is asked in the form of the pull requests it was trained on, in up to three
prompts, each of which begins with the one before. The first asks for the state of the
review, if the server tells how likely tokens are: an approved hunk gets no comment. The
second asks for the line, if no observed finding names one, the last for the comment.
"""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pytest_starcoder.errors import (
    BackendError,
    BackendTimeout,
    BadResponse,
    PromptTooLong,
    StarcoderError,
    UnreadableAnswer,
)
from pytest_starcoder.model.cache import Cache
from pytest_starcoder.model.client import Client, cap_answer
from pytest_starcoder.model.prompt import Completion, Prompt
from pytest_starcoder.model.prompts import model_family, render
from pytest_starcoder.review.change import TIME_LIMIT_REACHED, Change, Hunk, Unreviewed
from pytest_starcoder.review.finding import Finding, Severity
from pytest_starcoder.review.remark import (
    Remark,
    answer_schema,
    clean_message,
    is_praise,
    parse_remarks,
    rate_severity,
)
from pytest_starcoder.source.syntax import syntax_tree
from pytest_starcoder.text.display import one_line

CACHE_VERSION = 1
"""Version of the cached remarks; a new one invalidates them."""

MIN_LIKELIHOOD = 0.5
"""Minimum probability of the state "approved" for a hunk to get no comment."""

FILE_SIZE_STEP = 400
"""Files with up to this many added lines are asked about in order; larger ones come later."""

Observed = Mapping[tuple[str, int], Finding]
"""The observed findings, by path and line."""

Progress = Callable[[int], None]
"""Is called with the number of finished hunks."""


class ModelReview:
    """A model's findings, the numbers of the git hunks it has seen, and why not the others."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.reviewed: set[int] = set()
        self.missing: dict[int, Unreviewed] = {}
        self.away: StarcoderError | None = None

    def miss(self, hunk: Hunk, reason: str) -> None:
        entry = Unreviewed(hunk.path, one_line(reason, 200), 1, is_missed=True)
        self.missing.setdefault(hunk.number, entry)


def review_hunks(
    change: Change,
    observed: Observed,
    client: Client,
    cache: Cache,
    repository_name: str,
    progress: Progress = lambda _done: None,
) -> ModelReview:
    """Ask about every hunk until the client's time runs out; raises no BackendError.

    Hunks with observed findings come first, then those of the smallest files. Cached answers
    are used wherever their hunk stands now.
    """
    result = ModelReview()
    reviewer = _HunkReviewer(change.texts, observed, client, cache, repository_name)
    parts_left = Counter(hunk.number for hunk in change.hunks)
    for hunk in _order(change, observed):
        findings = None
        try:
            findings = reviewer.review(hunk, may_ask=result.away is None)
        except (PromptTooLong, BadResponse, UnreadableAnswer) as exc:
            result.miss(hunk, exc.message)  # the next hunk may go better
        except BackendError as exc:
            result.away = _explain(exc, client)
        if findings is not None:
            result.findings += findings
            parts_left[hunk.number] -= 1
            if not parts_left[hunk.number]:
                result.reviewed.add(hunk.number)
        elif result.away is not None:
            result.miss(hunk, result.away.message)
        progress(len(result.reviewed) + len(result.missing))
    return result


def render_prompts(
    change: Change, kind: str, repository_name: str
) -> Iterator[tuple[Hunk, Prompt]]:
    """Yield the last prompt for each hunk, as if the model had chosen its first added line."""
    for hunk in change.hunks:
        yield hunk, _render(kind, "review", hunk, repository_name, hunk.added[0])


def _order(change: Change, observed: Observed) -> list[Hunk]:
    sizes = Counter[str]()
    for hunk in change.hunks:
        sizes[hunk.path] += len(hunk.added)

    # Sorting is stable: hunks of equal importance stay in the order of the diff.
    def importance(hunk: Hunk) -> tuple[bool, int]:
        has_finding = any((hunk.path, number) in observed for number in hunk.added)
        return not has_finding, sizes[hunk.path] // FILE_SIZE_STEP

    return sorted(change.hunks, key=importance)


def _explain(error: BackendError, client: Client) -> StarcoderError:
    """Return the error to report: the client's timeout may be the end of the time budget."""
    is_spent = client.spent() >= client.settings.session_timeout - 0.1
    if isinstance(error, BackendTimeout) and is_spent:
        return BackendTimeout(TIME_LIMIT_REACHED, "Allow more with --time-budget.")
    return error


@dataclass(frozen=True)
class _HunkReviewer:
    _texts: Mapping[str, str]
    _observed: Observed
    _client: Client
    _cache: Cache
    _repository_name: str

    def review(self, hunk: Hunk, *, may_ask: bool) -> list[Finding] | None:
        """Return a model's findings, from the cache if it was asked before.

        None if they are not cached and no model may be asked. Raises StarcoderError.
        """
        model = self._client.model()
        settings = self._client.settings
        kind = model_family(model, settings.family)
        # Everything that the prompts depend on is part of the key.
        # Line numbers are relative to the hunk, so that it may move.
        added = [number - hunk.new for number in hunk.added]
        observed = [number - hunk.new for number in self._observed_lines(hunk)]
        key = (
            *("review", CACHE_VERSION),
            *(asdict(model), kind, settings.temperature, settings.max_tokens),
            *(hunk.path, hunk.lines, hunk.definition, hunk.base, added, observed),
        )
        remarks = _load_remarks(self._cache.get(*key), hunk)
        if remarks is None:
            if not may_ask:
                return None
            if kind == "chat":
                remarks = self._ask_for_list(hunk)
            else:
                remarks = self._ask_for_comment(hunk, kind)
            movable = [remark._replace(line=remark.line - hunk.new) for remark in remarks]
            self._cache.put(movable, *key)
        return [_finding(remark, hunk, model.name) for remark in remarks]

    def _observed_lines(self, hunk: Hunk) -> list[int]:
        return [number for number in hunk.added if (hunk.path, number) in self._observed]

    # --- base models ---

    def _ask_for_comment(self, hunk: Hunk, kind: str) -> list[Remark]:
        from pytest_starcoder.model.answer_quality import find_flaw

        state = self._ask_for_state(hunk) if kind == "starcoder2" else ""
        if state == "approved":
            return []
        line, placed = self._choose_line(hunk, kind)
        prompt = _render(kind, "review", hunk, self._repository_name, line)
        completion = self._complete(prompt)
        message = clean_message(completion.text)
        if is_praise(message):
            return []
        flaw = find_flaw(message, prompt.text, prompt.text.rpartition("\n---\n")[0])
        if flaw:
            raise UnreadableAnswer(f"what {completion.model} wrote {flaw}")
        severity = rate_severity(message)
        # The model commented without requiring a change.
        if state == "commented":
            severity = min(severity, Severity.INFO)
        return [Remark(line, severity, message, placed)]

    def _ask_for_state(self, hunk: Hunk) -> str:
        """Return StarCoder2's state of the review; empty if it is unknown or unlikely."""
        prompt = _render("starcoder2", "review-state", hunk, self._repository_name, hunk.added[0])
        completion = self._complete(replace(prompt, likelihood=True))
        if completion.likelihood is None or math.exp(completion.likelihood) < MIN_LIKELIHOOD:
            return ""
        answer = completion.text.strip().lower()
        return next((state for state in STATES if answer.startswith(state)), "")

    def _choose_line(self, hunk: Hunk, kind: str) -> tuple[int, str]:
        """Return the added line to comment on, and how it was chosen."""
        from pytest_starcoder.source.ruff import linted_lines

        if len(hunk.added) == 1:
            return hunk.added[0], "only"
        observed = self._observed_lines(hunk)
        if observed:
            worst = max(observed, key=lambda at: self._observed[hunk.path, at].severity)
            return worst, "observed"
        text = self._texts.get(hunk.path, "")
        # ruff's own messages are not reported: users run it themselves.
        linted = linted_lines(hunk.path, text) & {*hunk.added}
        if linted:
            return min(linted), "observed"
        if kind == "starcoder2":
            line = self._ask_for_line(hunk)
            if line in hunk.added:
                return line, "chosen"
        return _first_statement(hunk, text), "first"

    def _ask_for_line(self, hunk: Hunk) -> int:
        """Return the line that StarCoder2 would comment on; 0 if it names none."""
        prompt = _render("starcoder2", "review-line", hunk, self._repository_name, hunk.added[0])
        schema: dict[str, object] = {"type": "integer", "enum": list(hunk.added)}
        completion = self._complete(replace(prompt, schema=schema))
        # A server may ignore the schema, so the answer may be any text.
        number = re.match(r"\s*(\d{1,9})(?!\d)", completion.text)
        return int(number[1]) if number else 0

    # --- chat models ---

    def _ask_for_list(self, hunk: Hunk) -> list[Remark]:
        from pytest_starcoder.model.answer_quality import find_flaw

        # One request: an instruct model chooses the lines itself.
        prompt = _render("chat", "review", hunk, self._repository_name, hunk.added[0])
        completion = self._complete(replace(prompt, schema=answer_schema(hunk)))
        remarks = parse_remarks(completion.text, hunk.added)
        if remarks is None:
            raise UnreadableAnswer(f"the answer of {completion.model} is not a list of findings")
        usable = []
        for remark in remarks:
            message = clean_message(remark.message)
            if message and not find_flaw(message, prompt.text):
                usable.append(remark._replace(message=message))
        return usable

    def _complete(self, prompt: Prompt) -> Completion:
        return self._client.complete(cap_answer(prompt, self._client.settings))


STATES = ("approved", "changes_required", "rejected", "commented")
"""The states of a review in StarCoder2's training (arXiv:2402.19173, Table 5)."""


def _finding(remark: Remark, hunk: Hunk, model: str) -> Finding:
    return Finding(
        hunk.path,
        remark.line,
        remark.severity,
        remark.message,
        model=model,
        source=hunk.line(remark.line).strip(),
        placed=remark.placed,
        definition=hunk.definition,
    )


def _load_remarks(content: Any, hunk: Hunk) -> list[Remark] | None:
    """Return cached remarks; None if there are none or they are damaged."""
    try:
        return [
            Remark(line + hunk.new, Severity(severity), str(message), str(placed))
            for line, severity, message, placed in content
        ]
    except (TypeError, ValueError):
        return None


# --- prompts ---


def _render(kind: str, form: str, hunk: Hunk, repository_name: str, line: int) -> Prompt:
    title = f"{hunk.definition} in {hunk.path}" if hunk.definition else hunk.path
    numbered = []
    for number, text in hunk.numbered():
        sign = text[:1] or " "
        shown = "" if sign == "-" else number
        numbered.append(f"{shown:>6} {sign} {text[1:]}")
    return render(
        kind,
        form,
        title=f"Change {one_line(title, 120)}",
        repository=repository_name,
        path=hunk.path,
        base=hunk.base,
        hunk=hunk.text,
        until=_text_until(hunk, line),
        numbered="\n".join(numbered),
        line=str(line),
        source=hunk.line(line).strip(),
    )


def _text_until(hunk: Hunk, line: int) -> str:
    """Return the hunk up to a line, as a code host shows it above a comment."""
    lines = [hunk.header]
    for number, text in hunk.numbered():
        if number > line:
            break
        lines.append(text)
    return "\n".join(lines)


# --- the line to comment on ---

_INACTIVE = re.compile(
    r"\s*(?:#|//|/\*|\*|--|;;|%|<!--|import\b|from\b.*\bimport\b|use\b|using\b|include\b"
    r"|require\b|package\b|[{}()\[\]\s]*$|@)"
)

_DECLARATIONS = (
    *(ast.Import, ast.ImportFrom),
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
)


def _first_statement(hunk: Hunk, text: str) -> int:
    """Return the first added line that does something: no import, declaration or comment."""
    tree = syntax_tree(text) if hunk.path.endswith(".py") else None
    active_lines = None if tree is None else set(_active_lines(tree))
    for number in hunk.added:
        if active_lines is not None:
            is_active = number in active_lines
        else:
            is_active = not _INACTIVE.match(hunk.line(number))
        if is_active:
            return number
    return hunk.added[0]


def _active_lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not isinstance(node, _DECLARATIONS):
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if not is_docstring:
                yield node.lineno
