"""A model's remark on a line, and how it is read from an answer."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.review.change import Hunk
from pytest_starcoder.review.finding import Severity
from pytest_starcoder.text.display import one_line

MAX_MESSAGE = 300
"""Characters of a remark's message."""

MAX_REMARKS = 3
"""Remarks of a chat model on one hunk."""


class Remark(NamedTuple):
    """A remark on line `line`; `placed` tells how the line was chosen, as in `Finding`."""

    line: int
    severity: Severity
    message: str
    placed: str


_PRAISE = re.compile(
    r"(?i)\W*(?:nothing|none|no (?:issues?|problems?|comments?|remarks?)|lgtm"
    r"|looks? (?:good|fine|right|ok)"
    r"|(?:this|it|that|(?:the|this) (?:line|code|change)) (?:is|looks|seems) "
    r"(?:right|correct|fine|good|ok)"
    r"|n/?a|ok(?:ay)?|nice|correct)\b\W*(?:$|to me\b|at all\b|here\b|to say\b|\.)"
    r"|\W*(?:no|yes|right|true|false)\W*$|:?\+1:?$|\s*👍"
)

_GRAVE = re.compile(
    r"(?i)\b(?:divi[ds]\w+ by zero|zero ?division|raises?|crash\w*|exceptions?|\w+error"
    r"|overflow\w*|injection|leaks?|deadlock\w*|race condition|out of (?:range|bounds)"
    r"|off.by.one|one past|never (?:ends|returns|terminates)|infinite|vulnerab\w+|insecure"
    r"|data loss|corrupt\w*|null pointer|segfault|use.after.free|undefined behaviou?r)\b"
)

_MINOR = re.compile(
    r"(?i)\b(?:typo|nit|nitpick|naming|rename|docstring|comment|style|format(?:ting)?"
    r"|whitespace|readab\w+|consider|maybe|perhaps|could|might|prefer|simplif\w+"
    r"|unused import|spelling|type hints?)\b"
)


def is_praise(message: str) -> bool:
    """Return whether a remark says that nothing is wrong."""
    return _PRAISE.match(message) is not None


def rate_severity(message: str) -> Severity:
    """Return the severity of a remark by its words."""
    if _GRAVE.search(message):
        return Severity.ERROR
    return Severity.INFO if _MINOR.search(message) else Severity.WARNING


def clean_message(answer: str) -> str:
    """Return the first line of an answer without secrets and repetitions."""
    from pytest_starcoder.model.answer_quality import clean_answer

    lines = [line for line in answer.splitlines() if line.strip()]
    if not lines:
        return ""
    message = one_line(clean_answer(lines[0]), MAX_MESSAGE)
    return redact(message).strip()


def answer_schema(hunk: Hunk) -> dict[str, object]:
    """Return the JSON schema for the answer of a chat model: remarks on added lines."""
    remark = {
        "type": "object",
        "properties": {
            "line": {"type": "integer", "enum": list(hunk.added)},
            "severity": {"enum": ["info", "warning", "error"]},
            "message": {"type": "string"},
        },
        "required": ["line", "severity", "message"],
        "additionalProperties": False,
    }
    remarks = {"type": "array", "items": remark, "maxItems": MAX_REMARKS}
    return {
        "type": "object",
        "properties": {"findings": remarks},
        "required": ["findings"],
        "additionalProperties": False,
    }


def parse_remarks(answer: str, added: tuple[int, ...]) -> list[Remark] | None:
    """Return a chat model's remarks on added lines; None if the answer has no list of them."""
    # Models like to put their JSON into a sentence or a fence.
    start = re.search(r"[\[{]", answer)
    if start is None:
        return None
    try:
        content, _ = json.JSONDecoder().raw_decode(answer[start.start() :])
    except (ValueError, RecursionError):  # thousands of brackets
        return None
    if isinstance(content, dict):
        # Without the schema, which some servers ignore, models also call the list "issues".
        content = content.get("findings", content.get("issues"))
    if not isinstance(content, list):
        return None
    remarks = []
    for entry in content:
        remark = _parse_remark(entry)
        if remark is not None and remark.line in added:
            remarks.append(remark)
    return remarks[:MAX_REMARKS]


def _parse_remark(entry: Any) -> Remark | None:
    if not isinstance(entry, dict):
        return None
    line, message = entry.get("line"), entry.get("message")
    if not isinstance(line, int) or not isinstance(message, str):
        return None
    if not message.strip():
        return None
    word = str(entry.get("severity", ""))
    severity = Severity.__members__.get(word.upper())
    return Remark(line, severity or rate_severity(message), message, "chosen")
