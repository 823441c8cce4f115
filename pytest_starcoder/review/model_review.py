"""A change reviewed: hunk by hunk a model is asked, in the form in which its family has read reviews.

StarCoder2 has read pull requests, in which the line stands before the comment:
the tool names file and line, the model writes the words. First it is asked for
the review's state, where its server tells how likely words are: what it
approves is not commented. Then for the line, where nothing observed names one,
and last for the comment: each prompt begins with the one before.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace

from pytest_starcoder.errors import (
    BackendError,
    BackendTimeout,
    BadResponse,
    PromptTooLong,
    StarcoderError,
)
from pytest_starcoder.model.cache import Cache
from pytest_starcoder.model.client import Client, capped
from pytest_starcoder.model.prompt import Completion, Prompt
from pytest_starcoder.model.prompts import family, render
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.review.finding import (
    SPENT,
    Change,
    Finding,
    Hunk,
    Review,
    Severity,
    Unreviewed,
)
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.syntax import syntax_tree
from pytest_starcoder.text.display import one_line

FORMAT = 1
"""Of what is remembered of a hunk; another number makes all of it unknown."""

SURE = 0.5
"""How likely 'approved' must have been for a hunk to be left uncommented."""

PAGE = 400
"""Files with up to this many added lines are asked about in order; larger ones come later."""

LONGEST = 300
"""Characters of a finding's message."""

Progress = Callable[[int], None]
"""Told how many hunks have been looked at."""


class Remarks:
    """What asking about a change has come to: findings, which of git's hunks a model has looked at, and why not."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.reviewed: set[int] = set()
        self.missing: dict[int, Unreviewed] = {}
        self.away: StarcoderError | None = None


def ask_about(
    change: Change,
    observed: Mapping[tuple[str, int], Finding],
    client: Client,
    known: Cache,
    repository: str,
    progress: Progress = lambda _done: None,
) -> Remarks:
    """Ask about every hunk of `change` until the client's time runs out.

    Hunks with observed findings come first, then those of the smallest files.

    `observed` are findings by path and line: where they stand is asked about.
    A hunk that was asked about before, in this form and of this model, is not
    asked about again, wherever it stands now. No error of a backend is raised.
    """
    remarks = Remarks()
    parts: dict[int, int] = {}
    sizes: dict[str, int] = {}
    for hunk in change.hunks:
        parts[hunk.number] = parts.get(hunk.number, 0) + 1
        sizes[hunk.path] = sizes.get(hunk.path, 0) + len(hunk.added)

    def order(hunk: Hunk) -> tuple[bool, int]:
        return not any((hunk.path, at) in observed for at in hunk.added), sizes[hunk.path] // PAGE

    ordered = sorted(change.hunks, key=order)
    reviewer = _Reviewer(change, observed, client, known, repository)
    for hunk in ordered:
        try:
            remarks.findings += reviewer.findings(hunk, asking=remarks.away is None)
        except (PromptTooLong, BadResponse, _Unusable) as exc:
            remarks.missing.setdefault(
                hunk.number, Unreviewed(hunk.path, one_line(str(exc.args[0]), 200), 1)
            )
        except (BackendError, _NotAsked) as exc:
            if (
                isinstance(exc, BackendTimeout)
                and client.spent() >= client.settings.session_timeout - 0.1
            ):
                remarks.away = BackendTimeout(SPENT, "Allow more with --time-budget.")
            elif isinstance(exc, BackendError):
                remarks.away = exc
            assert remarks.away is not None
            remarks.missing.setdefault(
                hunk.number, Unreviewed(hunk.path, one_line(remarks.away.message, 200), 1)
            )
        else:
            parts[hunk.number] -= 1
            if not parts[hunk.number]:
                remarks.reviewed.add(hunk.number)
        progress(len(remarks.reviewed) + len(remarks.missing))
    return remarks


def prompts_for(change: Change, kind: str, repository: str) -> Iterator[tuple[Hunk, Prompt]]:
    """What would be sent about each hunk, the last of the requests, with the first added line to comment on."""
    for hunk in change.hunks:
        yield hunk, _prompt(kind, "review", hunk, repository, hunk.added[0])


class _Unusable(Exception):
    """The model answered nothing that can be used."""


class _NotAsked(Exception):
    """The model is away, and this hunk is not remembered."""


class _Reviewer:
    def __init__(
        self,
        change: Change,
        observed: Mapping[tuple[str, int], Finding],
        client: Client,
        known: Cache,
        repository: str,
    ) -> None:
        self._change = change
        self._observed = observed
        self._client = client
        self._known = known
        self._repository = repository

    def findings(self, hunk: Hunk, *, asking: bool) -> list[Finding]:
        """What a model says of a hunk; raises what asking raises, or _NotAsked where it is not to be asked."""
        model = self._client.model()
        kind = family(model, self._client.settings.family)
        told = [at - hunk.new for at in hunk.added if (hunk.path, at) in self._observed]
        asked = (
            asdict(model),
            kind,
            self._client.settings.temperature,
            self._client.settings.max_tokens,
        )
        content = (
            hunk.path,
            hunk.lines,
            hunk.definition,
            hunk.base,
            [at - hunk.new for at in hunk.added],
            told,
        )
        key = ("review", FORMAT, *asked, *content)
        remembered = self._known.get(*key)
        if not _are_findings(remembered):
            if not asking:
                raise _NotAsked
            found = self._chat(hunk) if kind == "chat" else self._comment(hunk, kind)
            remembered = [
                [line - hunk.new, int(severity), message, placed]
                for line, severity, message, placed in found
            ]
            self._known.put(remembered, *key)
        return [
            Finding(
                hunk.path,
                line + hunk.new,
                Severity(severity),
                message,
                model=model.name,
                source=hunk.line(line + hunk.new).strip(),
                placed=placed,
                definition=hunk.definition,
            )
            for line, severity, message, placed in remembered
        ]

    # --- models that complete a document ---

    def _comment(self, hunk: Hunk, kind: str) -> list[tuple[int, Severity, str, str]]:
        state = self._state(hunk, kind)
        if state == "approved":
            return []
        line, placed = self._line(hunk, kind)
        prompt = _prompt(kind, "review", hunk, self._repository, line)
        completion = self._complete(prompt)
        message = _message(completion.text)
        if _CONTENT.match(message):
            return []
        from pytest_starcoder.model.answer_quality import judge

        flaw = judge(message, prompt.text, prompt.text.rpartition("\n---\n")[0])
        if flaw:
            raise _Unusable(f"what {completion.model} wrote {flaw}")
        severity = severity_of(message)
        if state == "commented":
            severity = min(severity, Severity.INFO)
        return [(line, severity, message, placed)]

    def _state(self, hunk: Hunk, kind: str) -> str:
        """The state that the model gives the review, empty where its server does not tell how likely that was."""
        if kind != "starcoder2":
            return ""
        prompt = _prompt(kind, "review-state", hunk, self._repository, hunk.added[0])
        completion = self._complete(replace(prompt, likelihood=True))
        if completion.likelihood is None or math.exp(completion.likelihood) < SURE:
            return ""
        return next(
            (state for state in STATES if completion.text.strip().lower().startswith(state)), ""
        )

    def _line(self, hunk: Hunk, kind: str) -> tuple[int, str]:
        """The added line to comment on, and how it was found."""
        if len(hunk.added) == 1:
            return hunk.added[0], "only"
        observed = [at for at in hunk.added if (hunk.path, at) in self._observed]
        if observed:
            return max(observed, key=lambda at: self._observed[hunk.path, at].severity), "observed"
        from pytest_starcoder.source.ruff import linted_lines

        linted = linted_lines(hunk.path, self._change.texts.get(hunk.path, "")) & {*hunk.added}
        if linted:
            return min(linted), "observed"
        if kind == "starcoder2":
            prompt = _prompt(kind, "review-line", hunk, self._repository, hunk.added[0])
            said = self._complete(
                replace(prompt, schema={"type": "integer", "enum": list(hunk.added)})
            )
            number = re.match(r"\s*(\d{1,9})(?!\d)", said.text)
            if number and int(number[1]) in hunk.added:
                return int(number[1]), "chosen"
        return _first(hunk, self._change.texts.get(hunk.path, "")), "first"

    # --- models that obey ---

    def _chat(self, hunk: Hunk) -> list[tuple[int, Severity, str, str]]:
        prompt = _prompt("chat", "review", hunk, self._repository, hunk.added[0])
        completion = self._complete(replace(prompt, schema=schema_of(hunk)))
        found = findings_in(completion.text, hunk.added)
        if found is None:
            raise _Unusable(f"what {completion.model} answered is no list of findings")
        from pytest_starcoder.model.answer_quality import judge

        usable = [(line, severity, _message(text), "chosen") for line, severity, text in found]
        return [entry for entry in usable if entry[2] and not judge(entry[2], prompt.text)]

    def _complete(self, prompt: Prompt) -> Completion:
        return self._client.complete(capped(prompt, self._client.settings))


STATES = ("approved", "changes_required", "rejected", "commented")
"""Of a review, as StarCoder2 has read them (arXiv:2402.19173, Table 5)."""

_CONTENT = re.compile(
    r"(?i)\W*(?:nothing|none|no (?:issues?|problems?|comments?|remarks?)|lgtm|looks? (?:good|fine|right|ok)|"
    r"(?:this|it|that|(?:the|this) (?:line|code|change)) (?:is|looks|seems) (?:right|correct|fine|good|ok)|"
    r"n/?a|ok(?:ay)?|nice|correct)\b\W*(?:$|to me\b|at all\b|here\b|to say\b|\.)"
    r"|\W*(?:no|yes|right|true|false)\W*$|:?\+1:?$|\s*👍"
)
"""How somebody says that nothing is wrong."""

_GRAVE = re.compile(
    r"(?i)\b(?:divi[ds]\w+ by zero|zero ?division|raises?|crash\w*|exceptions?|\w+error|overflow\w*|injection|"
    r"leaks?|deadlock\w*|"
    r"race condition|out of (?:range|bounds)|off.by.one|one past|never (?:ends|returns|terminates)|infinite|"
    r"vulnerab\w+|insecure|data loss|corrupt\w*|null pointer|segfault|use.after.free|undefined behaviou?r)\b"
)
_SMALL = re.compile(
    r"(?i)\b(?:typo|nit|nitpick|naming|rename|docstring|comment|style|format(?:ting)?|whitespace|readab\w+|"
    r"consider|maybe|perhaps|"
    r"could|might|prefer|simplif\w+|unused import|spelling|type hints?)\b"
)


def _are_findings(remembered: object) -> bool:
    """Return whether a cached value has the form that `findings` stores: it may be forged."""
    return isinstance(remembered, list) and all(
        isinstance(entry, list)
        and [type(part) for part in entry] == [int, int, str, str]
        and entry[1] in list(Severity)
        for entry in remembered
    )


def severity_of(message: str) -> Severity:
    """How much a remark matters, by its own words."""
    if _GRAVE.search(message):
        return Severity.ERROR
    return Severity.INFO if _SMALL.search(message) else Severity.WARNING


def schema_of(hunk: Hunk) -> dict[str, object]:
    """The JSON schema of a chat model's answer: a line is one of the added lines."""
    finding = {
        "type": "object",
        "properties": {
            "line": {"type": "integer", "enum": list(hunk.added)},
            "severity": {"enum": ["info", "warning", "error"]},
            "message": {"type": "string"},
        },
        "required": ["line", "severity", "message"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"findings": {"type": "array", "items": finding, "maxItems": 3}},
        "required": ["findings"],
        "additionalProperties": False,
    }


def findings_in(answer: str, added: tuple[int, ...]) -> list[tuple[int, Severity, str]] | None:
    """The findings on added lines in a chat model's answer; None where it holds no list of findings."""
    begun = re.search(r"[\[{]", answer)
    if begun is None:
        return None
    try:
        told, _ = json.JSONDecoder().raw_decode(answer[begun.start() :])
    except (ValueError, RecursionError):
        return None
    if isinstance(told, dict):
        told = told.get("findings", told.get("issues"))
    if not isinstance(told, list):
        return None
    found = []
    for entry in told:
        if not isinstance(entry, dict):
            continue
        line, message = entry.get("line"), entry.get("message")
        if isinstance(line, int) and line in added and isinstance(message, str) and message.strip():
            word = str(entry.get("severity", "")).upper()
            found.append(
                (
                    line,
                    Severity[word] if word in Severity.__members__ else severity_of(message),
                    message,
                )
            )
    return found[:3]


def _first(hunk: Hunk, text: str) -> int:
    """The first added line that does something: no import, no head of a definition, no comment, no docstring."""
    tree = syntax_tree(text) if hunk.path.endswith(".py") else None
    if tree is not None:
        doing = {
            node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.stmt)
            and not isinstance(
                node,
                ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef,
            )
            and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        }
    else:
        doing = {at for at in hunk.added if not _IDLE.match(hunk.line(at))}
    return next((at for at in hunk.added if at in doing), hunk.added[0])


_IDLE = re.compile(
    r"\s*(?:#|//|/\*|\*|--|;;|%|<!--|import\b|from\b.*\bimport\b|use\b|using\b|include\b|require\b|package\b|[{}()\[\]\s]*$|@)"
)


def _message(text: str) -> str:
    """A remark on one line, without what does not belong to it."""
    from pytest_starcoder.model.answer_quality import trimmed

    line = next((line for line in text.strip().splitlines() if line.strip()), "")
    return redact(one_line(trimmed(line), LONGEST)).strip()


def _prompt(kind: str, form: str, hunk: Hunk, repository: str, line: int) -> Prompt:
    where = f"{hunk.definition} in {hunk.path}" if hunk.definition else hunk.path
    numbered = (f"{at if sign != '-' else '':>6} {sign} {text}" for at, sign, text in _signed(hunk))
    return render(
        kind,
        form,
        title=f"Change {one_line(where, 120)}",
        repository=repository,
        path=hunk.path,
        base=hunk.base,
        hunk=hunk.text,
        until=_until(hunk, line),
        numbered="\n".join(numbered),
        line=str(line),
        source=hunk.line(line).strip(),
    )


def _signed(hunk: Hunk) -> Iterator[tuple[int, str, str]]:
    for at, line in hunk.numbered():
        yield at, line[:1] or " ", line[1:]


def _until(hunk: Hunk, line: int) -> str:
    """The hunk up to a line, as a code host shows it above a comment."""
    shown = [hunk.header]
    for at, text in hunk.numbered():
        if at > line:
            break
        shown.append(text)
    return "\n".join(shown)


# --- what is shown of it ---


def reviewed(
    change: Change,
    observed: Sequence[Finding],
    remarks: Remarks,
    settings: Settings,
    accepted: Collection[str] = (),
) -> Review:
    """The review of a change: what was observed and what a model said, without what is accepted or ignored.

    One finding a line, and one of several that say the same of one file.
    `accepted` are fingerprints. Observed findings stop a commit with or without a model.
    """
    lines: dict[tuple[str, int], Finding] = {(found.path, found.line): found for found in observed}
    said: set[tuple[str, str]] = set()
    for found in sorted(remarks.findings, key=lambda found: (found.path, found.line)):
        place, words = (
            (found.path, found.line),
            (found.path, " ".join(re.findall(r"\w+", found.message.lower()))),
        )
        if place in lines and lines[place].rule != "comment":
            lines[place] = replace(lines[place], guess=found.message, model=found.model)
        elif place not in lines and words not in said:
            lines[place] = found
        said.add(words)
    marks = _Marks(change)
    least = Severity[settings.review_min_severity.upper()]
    ignored = known = 0
    kept: list[Finding] = []
    for found in lines.values():
        if marks.ignore(found):
            ignored += 1
        elif accepted and found.fingerprint in accepted:
            known += 1
        elif found.severity >= least:
            kept.append(found)
    kept.sort(key=lambda found: (-found.severity, found.path, found.line))
    threshold = Severity.__members__.get(settings.review_fail_on.upper())
    return Review(
        change.what,
        tuple(kept[: settings.review_max_findings]),
        total=change.total,
        reviewed=len(remarks.reviewed),
        files=change.files,
        unreviewed=(*change.skipped, *change.unreached, *remarks.missing.values()),
        more=max(0, len(kept) - settings.review_max_findings),
        accepted=known,
        ignored=ignored,
        failed=threshold is not None and any(found.severity >= threshold for found in kept),
        away=str(remarks.away) if remarks.away else "",
        missed=len(remarks.missing) + len(change.unreached),
        git_error=change.git_error,
    )


_IGNORE = re.compile(
    r"(?i)(?:#|//|/\*|--|;|%|<!--|\(\*|\{-|\"|'|\bREM\b|\.\.)\s*starcoder:\s*ignore\b"
)
"""The mark, behind whatever begins a comment."""


class _Marks:
    """Finds the lines of a change with the mark that silences findings."""

    def __init__(self, change: Change) -> None:
        self._texts = change.texts
        self._files: dict[str, list[str]] = {}
        self._hunks = {
            (hunk.path, at): hunk for hunk in (*change.hunks, *change.unasked) for at in hunk.added
        }

    def ignore(self, found: Finding) -> bool:
        """Return whether the line has the mark, or a comment line above it does."""
        if _IGNORE.search(found.source):
            return True
        hunk = self._hunks.get((found.path, found.line))
        if hunk is None:
            return False
        above = hunk.line(found.line - 1).strip() or self._line(found.path, found.line - 1)
        match = _IGNORE.search(above)
        return match is not None and match.start() == 0

    def _line(self, path: str, number: int) -> str:
        if path not in self._files:
            self._files[path] = self._texts.get(path, "").split("\n")
        lines = self._files[path]
        return lines[number - 1].strip() if 1 <= number <= len(lines) else ""
