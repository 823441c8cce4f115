"""What an answer names and was not shown is marked: text in pieces and evidence in, the same text with marks out.

Files, lines, code and names are checked; numbers and prose are not. Nothing is
taken away: who reads sees what was invented.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Container, Mapping
from pathlib import PurePosixPath

NOT_SEEN = " (not in the evidence)"
SUGGESTED = " (a suggestion)"

HELD = 300
"""Characters that are held back at the most, until what has begun in them ends."""

_KNOWN = {
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
_SUFFIXES = "pyi?|pyx|toml|cfg|ini|json|ya?ml|txt|md|rst|html?|css|jsx?|tsx?|cpp|rs|go|java|rb|sh|sql|csv|env|lock|ipynb"
_FILE = rf"(?:[\w.-]+[\\/])*[\w-][\w.-]*\.(?:{_SUFFIXES})\b"


class Evidence:
    """What a model was shown: all texts, and of each file the numbers of the lines in them."""

    def __init__(self, text: str, files: Mapping[str, Container[int]]) -> None:
        self._text = " ".join(text.split())
        self._squeezed = "".join(text.split())
        self._files = files
        self._words = frozenset(_IDENTIFIER.findall(text))

    def has_file(self, path: str) -> bool:
        """Whether `path` is a shown file, its end by whole parts, or stands in the texts."""
        parts = PurePosixPath(path.replace("\\", "/").removeprefix("./")).parts
        return any(
            PurePosixPath(file).parts[-len(parts) :] == parts for file in self._files
        ) or bool(re.search(rf"(?<![\w.-]){re.escape(path)}(?![\w-])", self._text))

    def has_line(self, number: int, path: str = "") -> bool:
        """Whether that line was shown, of the file `path` if it is named."""
        parts = PurePosixPath(path.replace("\\", "/")).parts
        return any(
            number in lines
            for file, lines in self._files.items()
            if not parts or PurePosixPath(file).parts[-len(parts) :] == parts
        )

    def has_code(self, code: str) -> bool:
        squeezed = "".join(code.split())
        return bool(squeezed) and squeezed in self._squeezed

    def has_name(self, name: str) -> bool:
        """Whether every part of a dotted name is a word of the texts, or Python's own."""
        return all(part in self._words or part in _KNOWN for part in name.split("."))


_NOUN = r"(?:functions?|methods?|class(?:es)?|variables?|modules?|fixtures?|attributes?|arguments?|parameters?|helpers?)"
_PLAIN = frozenset(
    """
    a an the this that these those which who whose and or but nor so of to in on at for with from by as if when while is
    was are were be been being has have had does do did not no it its itself they them their can could should would will
    may might must call calls called name named body itself definition signature object value result return test tests
    under above below here there only also then than too more one two first last same other another own new old wrong
    right correct instead because since before after into onto over out up down used using expects expected expecting
    given passed defined returned raised takes takes returns raises gets does fails uses needs wants makes adds divides
    multiplies subtracts checks loops ignores forgets misses handles itself python pytest
    """.split()
)
"""Words that follow 'the function' in a sentence and are no names."""

_QUOTE = r"['\"\u2018\u201c]"
_UNQUOTE = r"['\"\u2019\u201d]"
_BARE = (
    r"(?<![\w.@])(?!(?:e\.g|i\.e|a\.k|cf)\b)(?:[^\W\d]\w*\.)+[^\W\d]\w*(?:\(\))?"  # dotted
    r"|(?<![\w.])[^\W\d]\w*\(\)?"  # called
    r"|(?<![\w.])[^\W\d]*_\w+(?:\(\))?|(?<![\w.])[A-Za-z][a-z0-9]+[A-Z]\w*(?:\(\))?|(?<![\w.])_*[a-z]\w*\d\w*"
)
"""Names that cannot be English words."""

_THINGS = re.compile(
    r"(?P<fence>```[^\n]*\n(?P<fenced>[\s\S]*?)```)"
    r"|(?P<ticks>`+)(?P<code>[^`\n]+)(?P=ticks)"
    rf"|(?P<quoted>[\"\u201c](?P<inner>{_FILE})[\"\u201d])"
    rf"|(?P<file>(?<![\w.]){_FILE})(?P<place>:\d+(?::\d+)?|::[\w.:\[\]-]+|\"?,? (?:at |on )?lines? #?\d+)?"
    r"|(?P<lines>\b[Ll]ines?\s+#?\d+(?:\s*(?:-|\u2013|to|and|,)\s*#?\d+)*|\bL\d+\b|(?<=\s)#L\d+)"
    rf"|(?P<name>{_BARE})"
    rf"|(?P<noun>\b(?:[Tt]he|[Aa]n?|[Ii]ts) {_NOUN}(?: named| called)? {_QUOTE}?)(?P<called>[^\W\d]\w*)"
    rf"|(?P<word>\b(?:called|named) {_QUOTE}?)(?P<given>[^\W\d]\w*)"
    rf"|(?P<single>(?<!\w)['\u2018](?P<literal>[^\W\d][\w.]*\(?\)?)['\u2019](?!\w))"
)
"""Everything in a text that is checked. URLs are names with dots, and files."""


class Grounding:
    """Marks a text that arrives in pieces; however they divide it, the result is the same.

    `unsupported` lists what was marked as not in the evidence, each once.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._held = ""
        self._file = ""
        self.unsupported: list[str] = []

    def add(self, piece: str) -> str:
        """The text that can be told by now, with marks; empty while something in it is not at its end."""
        self._held += piece
        cut = _cut(self._held)
        told, self._held = self._held[:cut], self._held[cut:]
        return self._marked(told)

    def end(self) -> str:
        """The rest."""
        told, self._held = self._held, ""
        return self._marked(told)

    def _marked(self, text: str) -> str:
        pieces: list[str] = []
        done = 0
        for match in _THINGS.finditer(text):
            mark = self._mark(match)
            if mark:
                end = match.end() - (match[0].endswith("(") and not match["single"])
                if re.match(_UNQUOTE, text[end : end + 1]) and (match["called"] or match["given"]):
                    end += 1
                pieces += [text[done:end], mark]
                done = end
        return "".join([*pieces, text[done:]])

    def _mark(self, match: re.Match[str]) -> str:
        if match["code"] or match["fenced"]:
            return self._of_code(match["code"] or match["fenced"])
        if match["file"] or match["inner"]:
            return self._of_file(match["inner"] or match["file"], match["place"] or "")
        if match["lines"]:
            numbers = [int(number) for number in re.findall(r"\d+", match["lines"])]
            shown = all(self._evidence.has_line(number, self._file) for number in numbers)
            return "" if shown else self._unseen(match["lines"])
        name = match["called"] or match["given"] or match["literal"] or match["name"] or ""
        bare = name.rstrip("()")
        if (match["called"] or match["given"]) and bare.lower() in _PLAIN:
            return ""
        if match["called"] and bare.endswith("s") and "_" not in bare and bare.islower():
            return ""  # 'the function divides': a verb
        return "" if self._evidence.has_name(bare.strip("()")) else self._unseen(name.rstrip("("))

    def _of_file(self, path: str, place: str) -> str:
        self._file = path if self._evidence.has_file(path) else ""
        if not self._file:
            return self._unseen(path)
        if place.startswith("::"):
            names = _IDENTIFIER.findall(place)
            return (
                ""
                if all(self._evidence.has_name(name) for name in names)
                else self._unseen(path + place)
            )
        number = re.search(r"\d+", place)
        if number and not self._evidence.has_line(int(number[0]), path):
            return self._unseen(f"{path}:{number[0]}")
        return ""

    def _of_code(self, code: str) -> str:
        whole = re.fullmatch(rf"\s*(?P<file>{_FILE})(?P<place>:\d+(?::\d+)?|::\S+)?\s*", code)
        if whole:
            return self._of_file(whole["file"], whole["place"] or "")
        if self._evidence.has_code(code):
            return ""
        names = _IDENTIFIER.findall(re.sub(r"(['\"])(?:\\.|(?!\1).)*\1", "''", code))
        foreign = [name for name in names if not self._evidence.has_name(name)]
        if not foreign and names:
            return (
                SUGGESTED
                if len(_IDENTIFIER.findall(code)) > 1 or re.search(r"[^\w\s]", code)
                else ""
            )
        return self._unseen(foreign[0] if foreign else code.strip())

    def _unseen(self, thing: str) -> str:
        thing = " ".join(thing.split())[:100]
        if thing not in self.unsupported:
            self.unsupported.append(thing)
        return NOT_SEEN


def ground(text: str, evidence: Evidence) -> tuple[str, tuple[str, ...]]:
    """`text` with its marks, and what was not in the evidence."""
    grounded = Grounding(evidence)
    marked = grounded.add(text) + grounded.end()
    return marked, tuple(grounded.unsupported)


_WAITS = re.compile(
    r"(?:\b[Ll]ines?(?:\s+#?\d+(?:\s*(?:-|\u2013|to|and|,)\s*#?\d+)*)?|\bL|#"
    rf"|\b(?:[Tt]he|[Aa]n?|[Ii]ts)(?: {_NOUN})?(?: named| called)?"
    rf"|\b(?:called|named)|\b(?:at|on)|,|-|\u2013|\bto|\band|{_FILE}\S*)\s*$"
)
"""The end of a text after which more may belong to the same thing."""


def _cut(text: str) -> int:
    """How much of `text` can be told: up to the last white space with nothing open before it."""
    cut = max(text.rfind(" "), text.rfind("\n")) + 1
    if len(text) - cut > HELD:
        return len(text)
    while cut > 0:
        before = text[:cut]
        opened = _opened(before)
        if opened is not None and len(text) - opened <= HELD:
            cut = opened
        elif _WAITS.search(before[-80:]) and not before.endswith("\n\n"):
            shorter = max(before.rstrip().rfind(" "), before.rstrip().rfind("\n")) + 1
            if shorter == cut:
                break
            cut = shorter
        else:
            break
    return cut


def _opened(text: str) -> int | None:
    """Where code begins that has not ended: a fence, or backticks on the last line."""
    fence = text.count("```")
    if fence % 2:
        return text.rfind("```")
    line = text.rfind("\n") + 1
    last = text[line:]
    if fence and "```" in last:
        return None
    return line + last.rfind("`") if last.count("`") % 2 else None
