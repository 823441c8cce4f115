"""A whole answer judged: what is wrong with it, if anything, and its words without a loop or a wrapping.

A base model may repeat the question, the worked example or itself; a chat model
may wrap its words in JSON. Words that can be used are never thrown away.
"""

from __future__ import annotations

import json
import re

KEYS = (
    "cause",
    "root_cause",
    "why",
    "reason",
    "explanation",
    "answer",
    "summary",
    "description",
    "message",
    "text",
)
"""Under which chat models write what was asked for, the likeliest first."""

_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"[^.!?\n]*[.!?\n]+\s*|[^.!?\n]+$")
_PLACEHOLDER = re.compile(
    r"[\s\"'`]*(?:the test fails because)?[\s\"'`:]*"
    r"(?:<[^<>]{1,60}>|\[[^\[\]]{1,60}\]|\{\{?[^{}]{1,60}\}?\}|\.{2,}|…|_{3,}|TODO\b.*|TBD\b.*|N/?A"
    r"|(?:\w+\s*\|\s*){2,}\w+|(?:your|insert|the) (?:answer|reason|cause|explanation)(?: here)?)[\s\"'`.]*",
    re.IGNORECASE,
)

RUN = 5
"""Words in a row that are told from a coincidence."""


def judge(text: str, prompt: str, examples: str = "") -> str:
    """What is wrong with an answer to `prompt`, as the end of a sentence that begins 'it …'; empty where nothing is.

    `examples` are the worked examples that the prompt began with.
    """
    text = _unwrapped(text.strip())
    words = _words(text)
    if not words:
        return "says nothing"
    if _PLACEHOLDER.fullmatch(text.strip()):
        return "is a placeholder"
    letters = sum(char.isalpha() for char in text)
    if letters < len("".join(text.split())) / 3:
        return "is no sentence"
    said = words[3:] if words[:4] == ["the", "test", "fails", "because"] else words
    if len(said) >= RUN and _taken(said, _words(examples)) >= 0.9:
        return "repeats a worked example"
    if len(said) >= RUN and _taken(said, _words(prompt)) >= 0.9:
        return "repeats the question"
    if _loops(text):
        return "repeats itself"
    return ""


def clean_answer(text: str) -> str:
    """The words of an answer: out of the JSON or the fence that they are wrapped in, and a loop only once."""
    text = _unwrapped(text.strip())
    kept: list[str] = []
    seen: set[str] = set()
    for sentence in _SENTENCE.findall(text):
        plain = " ".join(_words(sentence))
        if plain and plain in seen and len(plain) > 12:
            break  # a loop: what comes is the same again
        seen.add(plain)
        kept.append(sentence)
    return _run_once("".join(kept).strip() or text)


def _loops(text: str) -> bool:
    plain = [" ".join(_words(sentence)) for sentence in _SENTENCE.findall(text)]
    return len(set(plain)) < len(plain) or _run_once(text.strip()) != text.strip()


def _run_once(text: str) -> str:
    """`text` up to where a run of words begins for the third time in a row."""
    words = list(_WORD.finditer(text))
    plain = [word[0].lower() for word in words]
    for length in range(1, min(30, len(plain) // 3) + 1):
        if length == 1 and len(plain) < 8:
            continue
        same = 0
        for at in range(length, len(plain)):
            same = same + 1 if plain[at] == plain[at - length] else 0
            if same >= 2 * length and (length > 1 or same >= 4):
                return text[: words[at - same + 1].start()].rstrip(" ,;:") or text
    return text


def _taken(words: list[str], source: list[str]) -> float:
    """The part of `words` that stands in `source` in runs of several, 0 to 1."""
    runs = {tuple(source[at : at + RUN]) for at in range(len(source) - RUN + 1)}
    covered = [False] * len(words)
    for at in range(len(words) - RUN + 1):
        if tuple(words[at : at + RUN]) in runs:
            covered[at : at + RUN] = [True] * RUN
    return sum(covered) / len(words)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _unwrapped(text: str) -> str:
    """The words in a JSON object or a fence around all of `text`; `text` where there is none, or none can be read."""
    fenced = re.fullmatch(r"```[\w-]*\n?([\s\S]*?)(?:\n?```[\s\S]*)?", text)
    inner = fenced[1].strip() if fenced else text
    if not inner.startswith("{"):
        return inner if fenced and inner else text
    try:
        found = json.loads(inner)
    except ValueError:
        found = dict(re.findall(r'"(\w+)"\s*:\s*"((?:[^"\\]|\\.)*)', inner))
        found = {
            key: value.replace('\\"', '"').replace("\\n", "\n") for key, value in found.items()
        }
    except RecursionError:
        return text
    told = _told(found)
    return told or text


def _told(found: object) -> str:
    """The text under the likeliest key, or else the longest one."""
    if not isinstance(found, dict):
        return ""
    texts = {
        str(key).lower(): value
        for key, value in found.items()
        if isinstance(value, str) and value.strip()
    }
    for key in KEYS:
        if key in texts:
            return texts[key].strip()
    inner = [_told(value) for value in found.values()]
    return max([*texts.values(), *inner], key=len, default="").strip()
