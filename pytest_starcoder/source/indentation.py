"""The definition around a line in languages that nobody parses here, by how people indent.

They indent what belongs together, whatever their language's grammar is: a line
that encloses another one is the nearest above it that is indented less. Where
that fails, git's own function context says which line it would show.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

LONGEST_NAME = 80
"""Characters of a definition's name, where that is a whole line."""


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
_DIRECTIVE = re.compile(
    r"\s*#\s*(?:if|ifdef|ifndef|else|elif|endif|define|undef|include|pragma|region|endregion)\b"
)
_LABEL = re.compile(
    r"\s*(?:public|private|protected|signals|slots|default|case\b[^:]*|[A-Za-z_]\w*)\s*:\s*$"
)
_CLOSER = re.compile(r"\s*(?:[}\])]|end\b|fi\b|done\b|esac\b|END\b|\|\}|then\b)")


_ATTRIBUTE = re.compile(r"\s*(?:@|#\[|\[\w|template\s*<)")
_AGAIN = re.compile(r"(?:else|elif|elsif|rescue|catch|finally|ensure|except)\b")
_C = (".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".m", ".mm", ".cs", ".cu")
_ML = (".hs", ".ml", ".mli", ".fs", ".elm", ".purs", ".sml")
_PROSE = (
    ".md",
    ".markdown",
    ".rst",
    ".txt",
    ".adoc",
    ".tex",
    ".html",
    ".htm",
    ".csv",
    ".tsv",
    ".log",
)
"""Of files whose indentation says nothing; git knows their headings."""

_GOES_ON = ("{", "begin", "BEGIN", "is", "as", "AS", "(", ")", "where", ":", "|")
_BEGINS = ("{", "begin", "BEGIN", "is", "as", "AS")


def _width(line: str) -> int:
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip(" "))


class Indented:
    """The lines of a file in a language known only by its suffix; indices are 0-based.

    Properties of lines are computed once for all of them.
    """

    def __init__(self, path: str, lines: Sequence[str]) -> None:
        self._lines = lines
        self._c = path.endswith(_C)
        self._calls = not path.endswith(_ML)  # there a name before brackets is a call
        self._prose = path.endswith(_PROSE)
        self._ends: dict[int, int] = {}
        self._shown: dict[tuple[str, int], int | None] = {}

    def around(
        self, at: int, context: str = "", hunk: int | None = None
    ) -> tuple[str, int, int] | None:
        """Return name, first and last line of the definition around line `at`, or None.

        `context` is the function that git shows for the hunk that begins at line `hunk`.
        """
        first = None if self._prose else self._firsts[at]
        if first is None and context and not _CONTROL.match(context):
            # git shows the last function before the hunk, which may have ended.
            shown = self._line_shown(context, at if hunk is None else hunk)
            if shown is not None and shown < at <= self.end(shown):
                first = shown
        if first is None:
            return None
        return _name(self._lines[self._heads[first]]), first, self.end(first)

    def end(self, first: int) -> int:
        """The last line of the definition that begins at `first`."""
        if first not in self._ends:
            self._ends[first] = self._find_end(first)
        return self._ends[first]

    # --- what is true of each line by itself ---

    @cached_property
    def _widths(self) -> list[int]:
        return [_width(line) for line in self._lines]

    @cached_property
    def _nothing(self) -> list[bool]:
        """Return whether a line encloses nothing: empty, a comment, a C directive or label."""
        return [self._encloses_nothing(line) for line in self._lines]

    @cached_property
    def _attributes(self) -> list[bool]:
        return [_ATTRIBUTE.match(line) is not None for line in self._lines]

    # --- what is true of it by its neighbours ---

    @cached_property
    def _tops(self) -> list[int]:
        """Map each line to itself, or to the first decorator or attribute above it."""
        tops: list[int] = []
        for at, width in enumerate(self._widths):
            decorated = at > 0 and self._widths[at - 1] == width and self._attributes[at - 1]
            tops.append(tops[at - 1] if decorated else at)
        return tops

    @cached_property
    def _heads(self) -> list[int]:
        """Map each line to itself, or to the definition line below its decorators."""
        heads = list(range(len(self._lines)))
        for at in reversed(range(len(heads) - 1)):
            if self._attributes[at]:
                heads[at] = heads[at + 1]
        return heads

    @cached_property
    def _followers(self) -> list[int]:
        """Map each line to itself or the next one that encloses something, as for comments."""
        followers = list(range(len(self._lines)))
        for at in reversed(range(len(followers) - 1)):
            if self._nothing[at]:
                followers[at] = followers[at + 1]
        return followers

    @cached_property
    def _firsts(self) -> list[int | None]:
        """Map each line to the first line of its definition, or None."""
        # For each line: the answer for lines as deep as it, and for lines one level deeper.
        same: list[int | None] = []
        deeper: list[int | None] = []
        begins: list[int | None] = []
        above: list[int] = []  # enclosing lines, each indented less than the next
        for at, (line, width) in enumerate(zip(self._lines, self._widths, strict=True)):
            if self._followers[at] != at:
                for answers in (same, deeper, begins):
                    answers.append(None)
                continue
            while above and self._widths[above[-1]] > width:
                above.pop()
            within = above[-1] if above else None
            if within is not None and self._widths[within] == width:
                below = above[-2] if len(above) > 1 else None
            else:
                below = within
            same.append(self._enclosed(below, same, deeper) if width else None)
            deeper.append(self._enclosed(within, same, deeper))
            if self._begins(at):
                begins.append(self._tops[at])
            else:
                closes = _CLOSER.match(line) is not None or line.strip() == "{"
                begins.append(deeper[at] if closes else same[at])
            if within is not None and self._widths[within] == width:
                above.pop()
            above.append(at)
        return [begins[follower] for follower in self._followers]

    def _enclosed(
        self, at: int | None, same: Sequence[int | None], deeper: Sequence[int | None]
    ) -> int | None:
        """Return the answer for lines whose nearest less-indented line above is `at`."""
        if at is None:
            return None
        text = self._lines[at].strip()
        if text in _BEGINS or text.startswith((")", "]", "}", "where")) or _AGAIN.match(text):
            return deeper[at]  # it begins above, at the same depth
        at_margin = self._widths[at] == 0 and not _CONTROL.match(text) and not _CLOSER.match(text)
        if at_margin or self._defines(text):
            return self._tops[at]
        return same[at]

    def _line_shown(self, context: str, hunk: int) -> int | None:
        """Return the nearest line above a hunk that starts with the context git shows."""
        key = context, hunk
        if key not in self._shown:
            above = reversed(range(min(hunk, len(self._lines))))
            self._shown[key] = next(
                (at for at in above if self._lines[at].startswith(context)), None
            )
        return self._shown[key]

    def _find_end(self, first: int) -> int:
        head = self._heads[first]
        width, last, inside = self._widths[head], head, False
        for at in range(head + 1, len(self._lines)):
            line, text = self._lines[at], self._lines[at].strip()
            if not text or (self._c and (_DIRECTIVE.match(line) or _LABEL.match(line))):
                continue
            if self._widths[at] > width:
                last, inside = at, True
            elif self._widths[at] < width:
                break
            elif _AGAIN.match(text) or (
                text.startswith(_GOES_ON) and not re.fullmatch(r"\)[;,]?", text)
            ):
                last = at
            elif _CLOSER.match(line):
                last = at
                if not re.match(
                    r"[}\])]+\s*(?:else|elif|elsif|rescue|catch|finally|ensure|except|[{(:]|->|=>|\|)",
                    text,
                ):
                    break
            elif (
                not inside and at == last + 1 and not self._defines(line) and not text.endswith(";")
            ):
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
        if (
            _DEFINES.match(text)
            or _ASSIGNED.match(text)
            or _LISP.match(text)
            or text.endswith(("{", "(", ","))
        ):
            return True
        return at + 1 < len(self._lines) and self._lines[at + 1].strip().startswith(("{", ")"))


_NAMED = (
    re.compile(r"\bfunc\s*\([^)]*\)\s*(?P<name>\w+)"),  # a method of Go
    re.compile(r"^(?P<name>impl\b[^{]*)"),
    _LISP,
    re.compile(
        r"\b(?:def|defp|defmacro|defmodule|fn|func|function\*?|fun|sub|class|struct|interface|trait|enum|module|namespace|"
        r"object|protocol|extension|record|type|procedure|proc|method|subroutine|program|macro_rules!|PROCEDURE|FUNCTION|"
        r"TRIGGER|VIEW|TABLE)\s+(?P<name>[\w.:$?!'-]+)"
    ),
    re.compile(
        r"(?P<name>[\w.$]+)\s*(?::[^=]+?)?\s*(?:=|<-)\s*(?:async\s*)?(?:function\b|\\?\(|\w+\s*=>|fun\b|fn\b)"
    ),
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
