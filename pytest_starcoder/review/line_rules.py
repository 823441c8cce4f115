"""Certain rules for single lines in any language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from pytest_starcoder.review.finding import Severity

_TEST_PATH = re.compile(
    r"(?:^|/)(?:tests?|testing|fixtures|examples?|docs?)(?:/|_)|(?:^|/)(?:test_|conftest\.py$)"
    r"|_test\."
)

_DUMMY = re.compile(
    r"(?i)example|placeholder|dummy|fake|sample|changeme|your[-_]|0123456|1234567|abcdef"
    r"|(?P<same>[a-z0-9])(?P=same){5}"
)


class Fault(NamedTuple):
    """A violation of a rule on some line."""

    rule: str
    severity: Severity
    message: str


def is_test_file(path: str) -> bool:
    """Return whether a path is one of tests, examples or documentation."""
    return _TEST_PATH.search(path) is not None


def is_dummy_secret(line: str) -> bool:
    """Return whether a secret in the line is visibly made up, as in tests."""
    return _DUMMY.search(line) is not None


def rate_secret(path: str, *, has_token: bool) -> Severity:
    """Return the severity of a secret; a token has the form that some service uses."""
    if has_token:
        return Severity.ERROR
    return Severity.INFO if is_test_file(path) else Severity.WARNING


class LineRules:
    """The rules that apply to lines of the file `path`."""

    def __init__(self, path: str) -> None:
        name = path.lower()
        self._is_prose = name.endswith(_PROSE)
        self._is_code = not name.endswith(_NATURAL_LANGUAGE)
        self._is_php = name.endswith(".php")
        self._is_javascript = name.endswith(_JAVASCRIPT)

    def check(self, line: str, *, is_quoted: bool = False) -> Iterator[Fault]:
        """Yield the faults of a line; `is_quoted` if it is inside a multi-line string."""
        # Most lines are ASCII, and testing for that is fast.
        if not line.isascii() and hides_code(line, is_code=self._is_code):
            message = "invisible characters make this line read differently from how it runs"
            yield Fault("hidden", Severity.ERROR, message)
        if instructs_reviewer(line):
            message = "this text tells the reviewer what to say; it was treated as data"
            yield Fault("instruction", Severity.WARNING, message)
        elif addresses_model(line):
            message = "this text addresses a language model; it was treated as data"
            yield Fault("instruction", Severity.INFO, message)
        # Documentation may show conflict markers and breakpoints.
        if is_quoted or self._is_prose:
            return
        if _CONFLICT.match(line):
            yield Fault("conflict", Severity.ERROR, "a conflict marker is left in the file")
        if self._is_code:
            yield from self._check_code(line)

    def _check_code(self, line: str) -> Iterator[Fault]:
        if _DEBUGGER.match(line) or (self._is_php and _PHP_DUMP.match(line)):
            yield Fault("debugger", Severity.WARNING, "a breakpoint is left in the code")
        if self._is_javascript and _FOCUSED_TEST.match(line):
            message = "with this, only one test runs and the others are silently skipped"
            yield Fault("focused", Severity.WARNING, message)


_PROSE = (".md", ".markdown", ".rst", ".txt", ".adoc", ".tex", ".patch", ".diff")
"""Suffixes of texts about code, which may show a conflict marker."""

_NATURAL_LANGUAGE = (
    *_PROSE,
    *(".html", ".htm", ".xml", ".svg", ".po", ".pot", ".strings", ".stringsdict", ".properties"),
    *(".arb", ".json", ".jsonl", ".json5", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".csv"),
    *(".tsv", ".srt", ".vtt", ".sub", ".xlf", ".xliff", ".resx", ".ftl", ".lang", ".plist"),
    ".ipynb",
)
"""Suffixes of files that contain natural language rather than code."""

_JAVASCRIPT = (
    *(".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts"),
    *(".vue", ".svelte"),
)

_CONFLICT = re.compile(r"(?:<{7}|>{7}|\|{7})(?: |$)")
_PHP_DUMP = re.compile(r"\s*dd\(")
_DEBUGGER = re.compile(
    r"\s*(?:breakpoint\(\)|(?:import i?pdb\s*;\s*)?(?:i?pdb|pudb)\.set_trace\(\)"
    r"|debugger;?\s*$|binding\.pry\b)"
)
_FOCUSED_TEST = re.compile(
    r"\s*(?:(?:it|test|describe|context)\.only\s*\(|(?:fit|fdescribe)\s*\(\s*['\"`])"
)

# --- invisible characters ---

_INVISIBLE = re.compile("[\u202a-\u202e\u2066-\u2069\u200b\u2060\ufeff]")
_INSIDE_ASCII = re.compile("[!-~][\u200b\u2060\ufeff]+[!-~]")
_OVERRIDES = "\u202d\u202e"
_EMBEDDINGS = "\u202a\u202b"
_ISOLATES = "\u2066\u2067\u2068"
_POP_EMBEDDING, _POP_ISOLATE = "\u202c", "\u2069"
_CLOSED_BY = {_POP_EMBEDDING: _EMBEDDINGS, _POP_ISOLATE: _ISOLATES}
"""The characters that begin a direction, by the one that ends it."""

_BOUNDARY = re.compile(r"[\"`;]|/\*|\*/|//|(?<!\w)'|'(?!\w)")
"""Starts and ends a string or a comment in most languages."""


def hides_code(line: str, *, is_code: bool) -> bool:
    """Return whether invisible characters disguise what a line does (CVE-2021-42574).

    Right-to-left text legitimately contains direction marks: a pair around such words
    is allowed. If the file `is_code`, no string or comment may begin or end in between.
    """
    if not _INVISIBLE.search(line):
        return False
    if is_code and _INSIDE_ASCII.search(line):
        return True  # no script needs one there
    if any(char in line for char in _OVERRIDES):
        return True  # they reverse even letters, which no text needs
    return _misuses_direction(line, is_code)


def _misuses_direction(line: str, is_code: bool) -> bool:
    """Return whether a direction is not closed, or spans the end of a string or comment."""
    opened: list[tuple[str, int]] = []
    for end, char in enumerate(line):
        if char in _EMBEDDINGS or char in _ISOLATES:
            opened.append((char, end))
        elif opened and opened[-1][0] in _CLOSED_BY.get(char, ""):
            _, start = opened.pop()
            if is_code and _BOUNDARY.search(line, start, end):
                return True
    # A newline ends every direction; texts of whole right-to-left lines rely on that.
    return bool(opened) and (is_code or not _is_right_to_left(line))


def _is_right_to_left(line: str) -> bool:
    return any(unicodedata.bidirectional(char) in ("R", "AL") for char in line)


# --- instructions to the reviewer ---

_REVIEWER = (
    r"(?:ai|llms?|language models?|(?:ai|automated|llm|bot) (?:code )?reviewers?|copilot"
    r"|chat ?gpt|chatbots?)"
)
_CHANGE = r"(?:change|diff|pr|pull request|merge request|commit|code|file|hunk|line|patch)"
_BEGIN = (
    r"(?:^|[.!?:;,*/#>\"'(\[{-])\s*"
    r"(?:(?:and|then|so|now|please|just|simply|important)\b[:,]?\s*){0,3}"
)
_END = r"(?=\s*(?:$|[.!?,;:)\]\"'*/-]|and\b|only\b|now\b|immediately\b|without\b|regardless\b))"

_INSTRUCTION = re.compile(
    rf"(?i){_BEGIN}(?:ignore|disregard|forget|override)\s+"
    r"(?:(?:all|any|every|each|of|the|these|those)\s+){0,3}"
    r"(?:(?:your|previous|prior|above|earlier|preceding|system|existing|original)\s+){1,3}"
    r"(?:instructions|prompts?|directions|guidelines)\b"
    rf"|\b{_REVIEWER}\b.{{0,40}}\b(?:do not|don't|must not|never|should not|shouldn't)\s+"
    r"(?:report|flag|mention|review|comment on)\b"
    rf"|{_BEGIN}(?:do not|don't|never)\s+(?:report|flag|mention|comment on)\s+"
    r"(?:any|the|these|its)?\s*"
    r"(?:issues?|bugs?|problems?|findings?|errors?|faults?|vulnerabilit\w+)\s+"
    rf"(?:in|with|about|of)\s+this\s+{_CHANGE}{_END}"
    r"|\b(?:please|just|always|simply|you must|you should)\s+(?:approve|accept|lgtm)\s+"
    rf"this\s+{_CHANGE}{_END}"
    rf"|\b{_REVIEWER}\b.{{0,12}}\b(?:must|should|please|shall)\s+"
    r"(?:approve|accept|ignore|skip|pass)\s+(?:this|these|the following)\b"
    r"|\b(?:ignore|disregard|forget)\s+(?:everything|all|anything)\s+(?:that\s+)?"
    r"(?:you\s+(?:were|have been|are)\s+(?:told|asked|given)|"
    r"(?:above|before)(?:\s+this)?\s*(?:,|;|and)\s*(?:just\s+|only\s+)?"
    r"(?:say|reply|respond|answer|approve|output|return|write)\b)"
    rf"|{_BEGIN}(?:do not|don't|never)\s+(?:review|flag)\s+this\s+{_CHANGE}{_END}"
    rf"|\bmark\s+this\s+{_CHANGE}\s+as\s+(?:approved|safe|correct|reviewed)\b"
    r"|\b(?:return|output|give|reply with|respond with|answer with)\s+(?:only\s+|just\s+)?"
    r"an\s+empty\s+(?:list of\s+)?(?:findings|issues|comments|review)\b"
    r"|\b(?:reply|respond|answer|say|write)\s+(?:(?:only|just|simply|exactly)\s+)?(?:with\s+)?"
    r"(?:(?:only|just|exactly)\s+)?[\"'`]?"
    rf"(?:lgtm|no (?:issues|problems|findings)(?: found)?|approved)[\"'`]?{_END}"
    r"|<pr_review_state>\s*approved"
)

_INSTRUCTION_WORD = re.compile(
    r"(?i)ignor|disregard|forget|override|report|flag|mention|review|comment|approve|accept"
    r"|lgtm|answer|respond|reply|mark this|empty|approved|no issues"
)
"""Every such instruction contains one of these: it rules out most lines quickly."""

_MODEL_ADDRESS = re.compile(
    r"(?i)\b(?:dear|note to|note for|attention|hey|hi)\b[ ,:]{1,3}(?:the |any |all )?"
    r"(?:ai|llms?|language models?|copilot|chatbots?|"
    r"(?:ai|automated|llm) (?:code )?(?:reviewers?|assistants?|agents?))\b"
    r"|\b(?:you are|act as) an? "
    r"(?:ai|llm|large language model|language model|helpful assistant)"
    r"(?=\s*(?:$|[.,;:!)\"']|assistant|model|reviewer|agent|code|that|who|and))"
    r"|<\|im_start\|>\s*(?:system|user|assistant)|<\|(?:system|assistant)\|>\s*\w"
    r"|<\|start_header_id\|>\s*(?:system|user|assistant)"
)
"""Programs that use language models contain this, too."""


def instructs_reviewer(line: str) -> bool:
    """Return whether a line tells its reviewer what to say."""
    return _INSTRUCTION_WORD.search(line) is not None and _INSTRUCTION.search(line) is not None


def addresses_model(line: str) -> bool:
    return _MODEL_ADDRESS.search(line) is not None
