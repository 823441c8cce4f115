"""Finds flaws of a whole answer, and removes loops and wrapping from it.

A base model may repeat the question, a worked example or itself; a chat model may wrap its words
in JSON. Words that can be used are never thrown away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

ANSWER_KEYS = (
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
"""Keys under which chat models write their answer, the likeliest first."""

MIN_COPIED_WORDS = 5
"""Words in a row that are no coincidence."""

_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"[^.!?\n]*[.!?\n]+\s*|[^.!?\n]+$")
_PLACEHOLDER = re.compile(
    # <your answer>, [cause], {reason}, "...", "___", TODO, "a | b | c", "the explanation here"
    r"[\s\"'`]*(?:the test fails because)?[\s\"'`:]*"
    r"(?:<[^<>]{1,60}>|\[[^\[\]]{1,60}\]|\{\{?[^{}]{1,60}\}?\}"
    r"|\.{2,}|…|_{3,}|TODO\b.*|TBD\b.*|N/?A|(?:\w+\s*\|\s*){2,}\w+"
    r"|(?:your|insert|the) (?:answer|reason|cause|explanation)(?: here)?)[\s\"'`.]*",
    re.IGNORECASE,
)


def find_flaw(text: str, prompt: str, examples: str = "") -> str:
    """Return what is wrong with an answer, to go on from "it …"; empty if nothing is.

    `examples` are the worked examples at the beginning of the prompt.
    """
    text = _unwrap(text.strip())
    words = _words(text)
    if not words:
        return "says nothing"
    if _PLACEHOLDER.fullmatch(text.strip()):
        return "is a placeholder"
    # Numbers and signs, such as a copied diff or a table.
    letters = sum(char.isalpha() for char in text)
    if letters < len("".join(text.split())) / 3:
        return "is not a sentence"
    # The lead stands in every prompt: it is not copied by the model.
    if words[:4] == ["the", "test", "fails", "because"]:
        words = words[3:]
    if _is_copy(words, examples):
        return "repeats a worked example"
    if _is_copy(words, prompt):
        return "repeats the question"
    sentences = [" ".join(_words(sentence)) for sentence in _SENTENCE.findall(text)]
    has_repeated_sentence = len(set(sentences)) < len(sentences)
    if has_repeated_sentence or _before_third_round(text.strip()) != text.strip():
        return "repeats itself"
    return ""


def clean_answer(text: str) -> str:
    """Return an answer without the JSON or fence around it; of a loop only the first round."""
    text = _unwrap(text.strip())
    sentences: list[str] = []
    seen: set[str] = set()
    for sentence in _SENTENCE.findall(text):
        words = " ".join(_words(sentence))
        if len(words) > 12 and words in seen:
            break  # a loop: the rest is the same again
        seen.add(words)
        sentences.append(sentence)
    return _before_third_round("".join(sentences).strip() or text)


def _before_third_round(text: str) -> str:
    """Return `text` up to where some words begin for the third time in a row."""
    matches = list(_WORD.finditer(text))
    words = [match[0].lower() for match in matches]
    for length in range(1, min(30, len(words) // 3) + 1):
        if length == 1 and len(words) < 8:
            continue
        # A single word is repeated for emphasis, too: "very, very, very".
        min_repeated = 4 if length == 1 else 2 * length
        repeated = 0
        for index in range(length, len(words)):
            if words[index] == words[index - length]:
                repeated += 1
            else:
                repeated = 0
            if repeated >= min_repeated:
                end = matches[index - repeated + 1].start()
                return text[:end].rstrip(" ,;:") or text
    return text


def _is_copy(words: list[str], source: str) -> bool:
    """Return whether nine in ten of `words` are in `source`, in runs of several."""
    runs = set(_runs(_words(source)))
    copied: set[int] = set()
    for start, run in enumerate(_runs(words)):
        if run in runs:
            copied.update(range(start, start + len(run)))
    # A short answer without any run is no copy.
    return len(copied) > 0 and len(copied) >= 0.9 * len(words)


def _runs(words: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield every MIN_COPIED_WORDS words in a row."""
    for start in range(len(words) - MIN_COPIED_WORDS + 1):
        yield tuple(words[start : start + MIN_COPIED_WORDS])


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _unwrap(text: str) -> str:
    """Return the words in a JSON object or a fence around `text`, or else `text` itself."""
    fence = re.fullmatch(r"```[\w-]*\n?([\s\S]*?)(?:\n?```[\s\S]*)?", text)
    inner = fence[1].strip() if fence else text
    if not inner.startswith("{"):
        return inner or text
    try:
        answer = json.loads(inner)
    except ValueError:
        # Cut or broken: the texts in it may still be read.
        answer = {}
        for key, value in re.findall(r'"(\w+)"\s*:\s*"((?:[^"\\]|\\.)*)', inner):
            answer[key] = value.replace('\\"', '"').replace("\\n", "\n")
    except RecursionError:
        return text
    return _answer_text(answer) or text


def _answer_text(value: object) -> str:
    """Return the text under the likeliest key, or else the longest one."""
    if not isinstance(value, dict):
        return ""
    texts: dict[str, str] = {}
    for key, text in value.items():
        if isinstance(text, str) and text.strip():
            texts[str(key).lower()] = text
    for key in ANSWER_KEYS:
        if key in texts:
            return texts[key].strip()
    inner_texts = [_answer_text(inner) for inner in value.values()]
    return max([*texts.values(), *inner_texts], key=len, default="").strip()
