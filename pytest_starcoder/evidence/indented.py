"""The definition around a line in languages that nobody parses here, by how people indent.

They indent what belongs together, whatever their language's grammar is: a line
that encloses another one is the nearest above it that is indented less. Where
that fails, git's own function context says which line it would show.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST_NAME = 80
"""Characters of a definition's name, where that is a whole line."""


def around(path: str, lines: Sequence[str], at: int, context: str = "") -> tuple[str, int, int] | None:
    """The name, the first and the last line of the definition around the line `at`, all 0-based; None where none is."""
    indented = _Indented(path, lines)
    first = None if path.endswith(_PROSE) else indented.around(at)
    if first is None and context and not _CONTROL.match(context):
        # What git shows is the last function, which may have ended.
        shown = (index for index in reversed(range(at)) if lines[index].startswith(context))
        first = next((index for index in shown if indented.end(index) >= at), None)
    if first is None:
        return None
    return _name(lines[indented.head(first)]), first, indented.end(first)


_CONTROL = re.compile(
    r"[}\])\s]*(?:if|else|elif|elsif|elseif|for|foreach|while|until|unless|switch|case(?!\s+(?:class|object)\b)|default|select|match|when|with|do|"
    r"try|catch|rescue|except|ensure|finally|begin|loop|repeat|return|throw|raise|new|await|yield|go|defer|lock|using|"
    r"synchronized|unsafe|fixed|checked|guard|assert|delete|sizeof|typeof|print|puts|echo|then|and|or|not|in|let!?)\b"
    r"(?!\s*[:=]\s*(?:async\s+)?function)"
)
"""What encloses lines and defines nothing."""

_MODIFIERS = (
    r"(?:(?:pub(?:\([^)]*\))?|public|private|protected|internal|static|final|abstract|override|virtual|async|export|"
    r"default|inline|extern(?:\s*\"[^\"]*\")?|unsafe|const|constexpr|open|sealed|data|suspend|partial|readonly|local|fileprivate|declare|"
    r"native|explicit|friend|mutating|operator|infix|tailrec|inner|companion|external|crate|pure|recursive|elemental|"
    r"implicit|case|lazy|typedef|global|signed|unsigned|CREATE|OR|REPLACE|create|or|replace)\s+)*"
)
_DEFINES = re.compile(
    rf"{_MODIFIERS}(?:def|defp|defmacro|defmodule|defn|defun|define|fn|func|function\*?|fun|sub|class|struct|interface|trait|impl|enum|"
    r"module|namespace|object|protocol|extension|record|type|union|procedure|proc|method|constructor|init|deinit|"
    r"subroutine|program|instance|contract|macro_rules!|actor|package|PROCEDURE|FUNCTION|"
    r"TRIGGER|VIEW|TABLE|mixin|entity|architecture|rule|resource)\b"
    r"|(?:describe|context|it|test)\s*[('\"]"
)
"""A line that begins with the word for a definition."""

_LISP = re.compile(r"\(\s*(?:defun|defn-?|defmacro|define|defmethod|defclass|defmulti|ns)\b")

_ASSIGNED = re.compile(
    r"(?:export\s+(?:default\s+)?)?(?:(?:const|let|var|val|static|private|public|local)\s+)*[\w.$]+\s*(?::[^=]+?)?\s*(?:=|<-|:)\s*"
    r"(?:async\s*)?(?:function\b|\\?\([^)]*\)?\s*(?::\s*[^=]+?)?\s*(?:=>|->)|\w+\s*=>|fun\b|fn\b|lambda\b|\(\s*$)"
)
"""A function that is a value with a name."""

_CALLED = re.compile(
    r"(?!.*;\s*(?://.*)?$)(?:[\w:<>,*&\[\]?.~@$]+\s+)*[*&]*(?P<name>[\w:~$]+!?|operator\s*\S+)\s*(?:<[^>]*>)?\s*\((?!\s*\()[^;]*$"
)
"""A type, a name and arguments, as in C, Java, C# or a class of JavaScript; what ends in `;` is a call."""

_COMMENT = re.compile(r"\s*(?://|/\*|\*(?:\s|/|$)|#(?!\[|!\[)|--(?!\w)|;;|%|\(\*|<!--|\"\"\"|''')")
_DIRECTIVE = re.compile(r"\s*#\s*(?:if|ifdef|ifndef|else|elif|endif|define|undef|include|pragma|region|endregion)\b")
_LABEL = re.compile(r"\s*(?:public|private|protected|signals|slots|default|case\b[^:]*|[A-Za-z_]\w*)\s*:\s*$")
_CLOSER = re.compile(r"\s*(?:[}\])]|end\b|fi\b|done\b|esac\b|END\b|\|\}|then\b)")


_ATTRIBUTE = re.compile(r"\s*(?:@|#\[|\[\w|template\s*<)")
_AGAIN = re.compile(r"(?:else|elif|elsif|rescue|catch|finally|ensure|except)\b")
_C = (".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".m", ".mm", ".cs", ".cu")
_ML = (".hs", ".ml", ".mli", ".fs", ".elm", ".purs", ".sml")
_PROSE = (".md", ".markdown", ".rst", ".txt", ".adoc", ".tex", ".html", ".htm")
"""Of files whose indentation says nothing; git knows their headings."""

_GOES_ON = ("{", "begin", "BEGIN", "is", "as", "AS", "(", ")", "where", ":", "|")
_BEGINS = ("{", "begin", "BEGIN", "is", "as", "AS")


def _width(line: str) -> int:
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip(" "))


class _Indented:
    """The lines of a file in a language that is known by its suffix alone; indices are 0-based."""

    def __init__(self, path: str, lines: Sequence[str]) -> None:
        self._lines = lines
        self._c = path.endswith(_C)
        self._calls = not path.endswith(_ML)  # there a name before brackets is a call

    def around(self, at: int) -> int | None:
        """The line with which the definition around the line `at` begins."""
        lines = self._lines
        while at < len(lines) - 1 and self._encloses_nothing(lines[at]):
            at += 1  # a comment belongs to what follows it
        if self._begins(at):
            return self._first(at)
        indent = _width(lines[at]) + (1 if _CLOSER.match(lines[at]) or lines[at].strip() == "{" else 0)
        while at > 0 and indent > 0:
            at -= 1
            line, text, width = lines[at], lines[at].strip(), _width(lines[at])
            if width >= indent or self._encloses_nothing(line):
                continue
            if text in _BEGINS or text.startswith((")", "]", "}", "where")) or _AGAIN.match(text):
                indent = width + 1  # its beginning stands above, as deep as this
                continue
            if self._defines(line) or (width == 0 and not _CONTROL.match(text) and not _CLOSER.match(text)):
                return self._first(at)
            indent = width
        return None

    def head(self, first: int) -> int:
        """The line that names the definition which begins at `first`, below its decorators."""
        while first < len(self._lines) - 1 and _ATTRIBUTE.match(self._lines[first]):
            first += 1
        return first

    def end(self, first: int) -> int:
        """The last line of the definition that begins at `first`."""
        head = self.head(first)
        width, last, inside = _width(self._lines[head]), head, False
        for at in range(head + 1, len(self._lines)):
            line, text = self._lines[at], self._lines[at].strip()
            if not text or (self._c and (_DIRECTIVE.match(line) or _LABEL.match(line))):
                continue
            if _width(line) > width:
                last, inside = at, True
            elif _width(line) < width:
                break
            elif _AGAIN.match(text) or (text.startswith(_GOES_ON) and not re.fullmatch(r"\)[;,]?", text)):
                last = at
            elif _CLOSER.match(line):
                last = at
                if not re.match(
                    r"[}\])]+\s*(?:else|elif|elsif|rescue|catch|finally|ensure|except|[{(:]|->|=>|\|)", text
                ):
                    break
            elif not inside and at == last + 1 and not self._defines(line) and not text.endswith(";"):
                last = at  # a signature over several lines that are not indented
            else:
                break
        return last

    def _encloses_nothing(self, line: str) -> bool:
        """Whether a line is empty, a comment, a directive or a label of C."""
        if not line.strip() or _COMMENT.match(line):
            return not (self._c and line.strip().startswith("#") and not _DIRECTIVE.match(line))
        return self._c and _LABEL.match(line) is not None

    def _defines(self, line: str) -> bool:
        text = line.strip()
        if _CLOSER.match(text):
            return False
        if _ASSIGNED.match(text) or _LISP.match(text):
            return True
        if _CONTROL.match(text):
            return False
        return _DEFINES.match(text) is not None or (self._calls and _CALLED.match(text) is not None)

    def _begins(self, at: int) -> bool:
        """Whether a definition begins at a line: by its words, and because what follows belongs to it."""
        if not self._defines(self._lines[at]):
            return False
        text = self._lines[at].strip()
        if _DEFINES.match(text) or _ASSIGNED.match(text) or _LISP.match(text) or text.endswith(("{", "(", ",")):
            return True
        return at + 1 < len(self._lines) and self._lines[at + 1].strip().startswith(("{", ")"))

    def _first(self, at: int) -> int:
        """The line itself, or the first of the decorators or attributes above it."""
        width = _width(self._lines[at])
        while at > 0 and _width(self._lines[at - 1]) == width and _ATTRIBUTE.match(self._lines[at - 1]):
            at -= 1
        return at


_NAMED = (
    re.compile(r"\bfunc\s*\([^)]*\)\s*(?P<name>\w+)"),  # a method of Go
    re.compile(r"^(?P<name>impl\b[^{]*)"),
    _LISP,
    re.compile(
        r"\b(?:def|defp|defmacro|defmodule|fn|func|function\*?|fun|sub|class|struct|interface|trait|enum|module|namespace|"
        r"object|protocol|extension|record|type|procedure|proc|method|subroutine|program|macro_rules!|PROCEDURE|FUNCTION|"
        r"TRIGGER|VIEW|TABLE)\s+(?P<name>[\w.:$?!'-]+)"
    ),
    re.compile(r"(?P<name>[\w.$]+)\s*(?::[^=]+?)?\s*(?:=|<-)\s*(?:async\s*)?(?:function\b|\\?\(|\w+\s*=>|fun\b|fn\b)"),
    re.compile(r"(?P<name>[\w~$]+)\s*(?:<[^>]*>)?\s*\("),
)


def _name(line: str) -> str:
    text = line.strip()
    for pattern in _NAMED:
        match = pattern.search(text)
        if match and pattern is _LISP:
            return (text[match.end() :].split() or [text])[0].strip("()")[:LONGEST_NAME]
        if match:
            return match["name"].strip()[:LONGEST_NAME]
    return text.rstrip("{:( ")[:LONGEST_NAME]
