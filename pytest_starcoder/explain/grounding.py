"""Marks references in a model's answer to things that the model was not shown.

Files, lines, code and names are checked; numbers and prose are not. Nothing is removed, so
that the reader sees what was invented.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Container, Mapping
from pathlib import PurePosixPath

NOT_SEEN = " (not in the evidence)"
SUGGESTED = " (a suggestion)"

MAX_DELAY = 300
"""Maximum number of characters that are held back until a reference in them is complete."""

_PYTHON_NAMES = {
    *dir(builtins),
    *keyword.kwlist,
    *keyword.softkwlist,
    "self",
    "cls",
    "pytest",
    "unittest",
    "pdb",
}
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_SUFFIXES = (
    "pyi?|pyx|toml|cfg|ini|json|ya?ml|txt|md|rst|html?|css|jsx?|tsx?|cpp|rs|go|java|rb|sh|sql|csv"
    "|env|lock|ipynb"
)
_FILE = rf"(?:[\w.-]+[\\/])*[\w-][\w.-]*\.(?:{_SUFFIXES})\b"


class Evidence:
    """All texts that a model was shown, and the line numbers shown of each file."""

    def __init__(self, text: str, files: Mapping[str, Container[int]]) -> None:
        self._text = " ".join(text.split())
        self._squeezed = "".join(text.split())
        self._files = files
        self._words = frozenset(_IDENTIFIER.findall(text))

    def has_file(self, path: str) -> bool:
        """Return whether a file was shown, or its name occurs in the texts.

        `path` may be the last parts of a path.
        """
        relative = path.removeprefix("./")
        if any(_ends_with(file, relative) for file in self._files):
            return True
        # A whole path: `cart.py` is not in `shopping-cart.py`.
        pattern = rf"(?<![\w.-]){re.escape(path)}(?![\w-])"
        return re.search(pattern, self._text) is not None

    def has_line(self, number: int, path: str = "") -> bool:
        """Return whether a line of the file `path`, or of any file, was shown."""
        for file, numbers in self._files.items():
            if number in numbers and _ends_with(file, path):
                return True
        return False

    def has_code(self, code: str) -> bool:
        """Return whether code was shown, ignoring whitespace."""
        squeezed = "".join(code.split())
        return bool(squeezed) and squeezed in self._squeezed

    def has_name(self, name: str) -> bool:
        """Return whether every part of a dotted name was shown or is built into Python."""
        for part in name.split("."):
            if part not in self._words and part not in _PYTHON_NAMES:
                return False
        return True


def _ends_with(file: str, path: str) -> bool:
    """Return whether `file` ends with the parts of `path`; always true for an empty path."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    if not parts:
        return True
    last_parts = PurePosixPath(file).parts[-len(parts) :]
    return last_parts == parts


_NOUN = (
    r"(?:functions?|methods?|class(?:es)?|variables?|modules?|fixtures?|attributes?|arguments?"
    r"|parameters?|helpers?)"
)
_PLAIN_WORDS = frozenset(
    """
    a an the this that these those which who whose and or but nor so of to in on at for with
    from by as if when while is was are were be been being has have had does do did not no it
    its itself they them their can could should would will may might must call calls called
    name named body definition signature object value result return test tests under above
    below here there only also then than too more one two first last same other another own new
    old wrong right correct instead because since before after into onto over out up down used
    using expects expected expecting given passed defined returned raised takes returns raises
    gets fails uses needs wants makes adds divides multiplies subtracts checks loops ignores
    forgets misses handles python pytest
    """.split()
)
"""Words that may follow 'the function' in a sentence without being its name."""

_QUOTE = r"['\"\u2018\u201c]"
_UNQUOTE = r"['\"\u2019\u201d]"
_BARE = (
    r"(?<![\w.@])(?!(?:e\.g|i\.e|a\.k|cf)\b)(?:[^\W\d]\w*\.)+[^\W\d]\w*(?:\(\))?"  # dotted
    r"|(?<![\w.])[^\W\d]\w*\(\)?"  # called
    r"|(?<![\w.])[^\W\d]*_\w+(?:\(\))?"  # snake_case
    r"|(?<![\w.])[A-Za-z][a-z0-9]+[A-Z]\w*(?:\(\))?"  # camelCase
    r"|(?<![\w.])_*[a-z]\w*\d\w*"  # with a digit
)
"""Code names that cannot be English words."""

_PLACE = r":\d+(?::\d+)?|::[\w.:\[\]-]+|\"?,? (?:at |on )?lines? #?\d+"
_RANGE = r"(?:\s*(?:-|\u2013|to|and|,)\s*#?\d+)*"

_REFERENCE = re.compile(
    r"(?P<fence>```[^\n]*\n(?P<fenced>[\s\S]*?)```)"
    r"|(?P<ticks>`+)(?P<code>[^`\n]+)(?P=ticks)"
    rf"|(?P<quoted>[\"\u201c](?P<inner>{_FILE})[\"\u201d])"
    rf"|(?P<file>(?<![\w.]){_FILE})(?P<place>{_PLACE})?"
    rf"|(?P<lines>\b[Ll]ines?\s+#?\d+{_RANGE}|\bL\d+\b|(?<=\s)#L\d+)"
    rf"|(?P<name>{_BARE})"
    rf"|(?P<noun>\b(?:[Tt]he|[Aa]n?|[Ii]ts) {_NOUN}(?: named| called)? {_QUOTE}?)"
    r"(?P<described>[^\W\d]\w*)"
    rf"|(?P<word>\b(?:called|named) {_QUOTE}?)(?P<introduced>[^\W\d]\w*)"
    r"|(?P<single>(?<!\w)['\u2018](?P<literal>[^\W\d][\w.]*\(?\)?)['\u2019](?!\w))"
)
"""References in a text, all of which are checked. URLs match as dotted names and files."""


class Grounding:
    """Marks a text that arrives in pieces; where it is split does not affect the result.

    `unsupported` lists the references that were marked as not in the evidence, each once.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._pending = ""
        self._file = ""
        self.unsupported: list[str] = []

    def add(self, piece: str) -> str:
        """Return the text that is now complete, with marks; it may be empty."""
        pending = self._pending + piece
        end = _complete_length(pending)
        self._pending = pending[end:]
        return self._mark_text(pending[:end])

    def end(self) -> str:
        """Return the rest of the text."""
        text, self._pending = self._pending, ""
        return self._mark_text(text)

    def _mark_text(self, text: str) -> str:
        pieces: list[str] = []
        start = 0
        for match in _REFERENCE.finditer(text):
            mark = self._check(match)
            if not mark:
                continue
            end = match.end()
            if match[0].endswith("(") and not match["single"]:
                end -= 1  # the mark of a call comes before its arguments
            is_word = match["described"] or match["introduced"]
            if is_word and re.match(_UNQUOTE, text[end:]):
                end += 1  # the mark comes after a closing quote
            pieces += [text[start:end], mark]
            start = end
        pieces.append(text[start:])
        return "".join(pieces)

    def _check(self, match: re.Match[str]) -> str:
        """Return the mark of a reference; empty if it is in the evidence."""
        code = match["code"] or match["fenced"]
        if code:
            return self._check_code(code)
        file = match["inner"] or match["file"]
        if file:
            return self._check_file(file, match["place"] or "")
        if match["lines"]:
            return self._check_lines(match["lines"])
        if _is_prose(match):
            return ""
        return self._check_name(match)

    def _check_name(self, match: re.Match[str]) -> str:
        for group in ("described", "introduced", "literal", "name"):
            name = match[group]
            if name and not self._evidence.has_name(name.strip("()")):
                return self._unseen(name.rstrip("("))
        return ""

    def _check_lines(self, reference: str) -> str:
        # Line numbers refer to the file that the answer named last.
        for number in re.findall(r"\d+", reference):
            if not self._evidence.has_line(int(number), self._file):
                return self._unseen(reference)
        return ""

    def _check_file(self, path: str, place: str) -> str:
        if not self._evidence.has_file(path):
            self._file = ""
            return self._unseen(path)
        self._file = path
        if place.startswith("::"):
            for name in _IDENTIFIER.findall(place):
                if not self._evidence.has_name(name):
                    return self._unseen(path + place)
            return ""
        number = re.search(r"\d+", place)
        if number and not self._evidence.has_line(int(number[0]), path):
            return self._unseen(f"{path}:{number[0]}")
        return ""

    def _check_code(self, code: str) -> str:
        reference = re.fullmatch(rf"\s*(?P<file>{_FILE})(?P<place>:\d+(?::\d+)?|::\S+)?\s*", code)
        if reference:
            return self._check_file(reference["file"], reference["place"] or "")
        if self._evidence.has_code(code):
            return ""
        # The words in a string are not names.
        without_strings = re.sub(r"(['\"])(?:\\.|(?!\1).)*\1", "''", code)
        names = _IDENTIFIER.findall(without_strings)
        if not names:
            return self._unseen(code.strip())
        for name in names:
            if not self._evidence.has_name(name):
                return self._unseen(name)
        # New code of shown names is a suggestion, a single name is not.
        if len(_IDENTIFIER.findall(code)) > 1 or re.search(r"[^\w\s]", code):
            return SUGGESTED
        return ""

    def _unseen(self, reference: str) -> str:
        reference = " ".join(reference.split())[:100]
        if reference not in self.unsupported:
            self.unsupported.append(reference)
        return NOT_SEEN


def _is_prose(match: re.Match[str]) -> bool:
    """Return whether a word after 'the function' or 'called' is not a name."""
    word = match["described"] or match["introduced"] or ""
    if word.lower() in _PLAIN_WORDS:
        return True
    # In 'the function divides', the word is a verb.
    is_verb = word.endswith("s") and "_" not in word and word.islower()
    return bool(match["described"]) and is_verb


_INCOMPLETE = re.compile(
    r"(?:\b[Ll]ines?(?:\s+#?\d+(?:\s*(?:-|\u2013|to|and|,)\s*#?\d+)*)?|\bL|#"
    rf"|\b(?:[Tt]he|[Aa]n?|[Ii]ts)(?: {_NOUN})?(?: named| called)?"
    rf"|\b(?:called|named)|\b(?:at|on)|,|-|\u2013|\bto|\band|{_FILE}\S*)\s*$"
)
"""The end of a text whose last reference may continue."""


def _complete_length(text: str) -> int:
    """Return the length of `text` up to the last whitespace without an open reference before it."""
    end = _last_space(text) + 1
    if len(text) - end > MAX_DELAY:
        return len(text)
    while end > 0:
        complete = text[:end]
        opening = _open_code(complete)
        if opening is not None and len(text) - opening <= MAX_DELAY:
            end = opening
        elif _INCOMPLETE.search(complete[-80:]) and not complete.endswith("\n\n"):
            shorter = _last_space(complete.rstrip()) + 1
            if shorter == end:
                break
            end = shorter
        else:
            break
    return end


def _last_space(text: str) -> int:
    return max(text.rfind(" "), text.rfind("\n"))


def _open_code(text: str) -> int | None:
    """Return the start of unfinished code: a fence, or a backtick on the last line."""
    fences = text.count("```")
    is_fence_open = fences % 2 == 1
    if is_fence_open:
        return text.rfind("```")
    start = text.rfind("\n") + 1
    line = text[start:]
    # The backticks of a closing fence are no inline code.
    if fences and "```" in line:
        return None
    if line.count("`") % 2:
        return start + line.rfind("`")
    return None
