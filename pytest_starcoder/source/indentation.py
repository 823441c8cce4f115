"""Finds the definition around a line by indentation, in languages that are not parsed here.

People indent what belongs together, whatever the grammar of their language: the line that
encloses another is the nearest above it with less indentation. Where that fails, git's
function context of the hunk is used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

MAX_NAME = 80
"""Characters of a definition's name, if that is a whole line."""


def _any_of(words: str) -> str:
    return "(?:" + "|".join(words.split()) + ")"


_CONTINUING = "else elif elsif rescue catch finally ensure except"

_NAMED_BY_KEYWORD = r"""
    def defp defmacro defmodule fn func function\*? fun sub class struct interface trait enum
    module namespace object protocol extension record type procedure proc method subroutine
    program macro_rules! PROCEDURE FUNCTION TRIGGER VIEW TABLE
"""

_CONTROL = re.compile(
    r"[}\])\s]*"
    + _any_of(
        _CONTINUING
        + r"""
        if elseif for foreach while until unless switch case(?!\s+(?:class|object)\b) default
        select match when with do try begin loop repeat return throw raise new await yield go
        defer lock using synchronized unsafe fixed checked guard assert delete sizeof typeof print
        puts echo then and or not in let!?
        """
    )
    + r"\b(?!\s*[:=]\s*(?:async\s+)?function)"
)
"""A line that may enclose others but defines nothing."""

_MODIFIER = _any_of(
    r"""
    pub(?:\([^)]*\))? public private protected internal static final abstract override virtual
    async export default inline extern(?:\s*\"[^\"]*\")? unsafe const constexpr open sealed data
    suspend partial readonly local fileprivate declare native explicit friend mutating operator
    infix tailrec inner companion external crate pure recursive elemental implicit case lazy
    typedef global signed unsigned CREATE OR REPLACE create or replace
    """
)
_DEFINITION = re.compile(
    rf"(?:{_MODIFIER}\s+)*"
    + _any_of(
        _NAMED_BY_KEYWORD
        + """
        defn defun define impl union constructor init deinit instance contract actor package mixin
        entity architecture rule resource
        """
    )
    + r"\b|(?:describe|context|it|test)\s*[('\"]"
)
"""A line that begins with a keyword for definitions, or a test in JavaScript or Ruby."""

_LISP = re.compile(r"\(\s*(?:defun|defn-?|defmacro|define|defmethod|defclass|defmulti|ns)\b")

_ASSIGNMENT = re.compile(
    r"(?:export\s+(?:default\s+)?)?"
    r"(?:(?:const|let|var|val|static|private|public|local)\s+)*"
    r"[\w.$]+\s*(?::[^=]+?)?\s*(?:=|<-|:)\s*(?:async\s*)?"
    r"(?:function\b|\\?\([^)]*\)?\s*(?::\s*[^=]+?)?\s*(?:=>|->)|\w+\s*=>"
    r"|fun\b|fn\b|lambda\b|\(\s*$)"
)
"""A function assigned to a name."""

_SIGNATURE = re.compile(
    r"(?!.*;\s*(?://.*)?$)"  # what ends with a semicolon is a call
    r"(?:[\w:<>,*&\[\]?.~@$]+\s+)*[*&]*(?P<name>[\w:~$]+!?|operator\s*\S+)"
    r"\s*(?:<[^>]*>)?\s*\((?!\s*\()[^;]*$"
)
"""A type, a name and arguments, as in C, Java, C# or a class of JavaScript."""

_COMMENT = re.compile(r"\s*(?://|/\*|\*(?:\s|/|$)|#(?!\[|!\[)|--(?!\w)|;;|%|\(\*|<!--|\"\"\"|''')")
_C_DIRECTIVE = re.compile(
    r"\s*#\s*(?:if|ifdef|ifndef|else|elif|endif|define|undef|include|pragma|region|endregion)\b"
)
_C_LABEL = re.compile(
    r"\s*(?:public|private|protected|signals|slots|default|case\b[^:]*|[A-Za-z_]\w*)\s*:\s*$"
)
_ATTRIBUTE = re.compile(r"\s*(?:@|#\[|\[\w|template\s*<)")

_CLOSING = re.compile(r"\s*(?:[}\])]|end\b|fi\b|done\b|esac\b|END\b|\|\}|then\b)")
_CLOSING_ARGUMENTS = re.compile(r"\)[;,]?")
_BLOCK_CONTINUES = re.compile(rf"{_any_of(_CONTINUING)}\b")
_CLOSES_AND_CONTINUES = re.compile(rf"[}}\])]+\s*(?:{_any_of(_CONTINUING)}|[{{(:]|->|=>|\|)")

_BODY_STARTS = ("{", "begin", "BEGIN", "is", "as", "AS")
_HEAD_CONTINUES = (*_BODY_STARTS, "(", ")", "where", ":", "|")

_C_SUFFIXES = (".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".m", ".mm", ".cs", ".cu")
_ML_SUFFIXES = (".hs", ".ml", ".mli", ".fs", ".elm", ".purs", ".sml")
_PROSE_SUFFIXES = tuple(".md .markdown .rst .txt .adoc .tex .html .htm .csv .tsv .log".split())
"""Files whose indentation means nothing; git knows their headings."""

_NAMES = (
    re.compile(r"\bfunc\s*\([^)]*\)\s*(?P<name>\w+)"),  # a method of Go
    re.compile(r"^(?P<name>impl\b[^{]*)"),
    re.compile(rf"{_LISP.pattern}\s*[()]*(?P<name>[^\s()]+)"),
    re.compile(rf"\b{_any_of(_NAMED_BY_KEYWORD)}\s+(?P<name>[\w.:$?!'-]+)"),
    re.compile(
        r"(?P<name>[\w.$]+)\s*(?::[^=]+?)?\s*(?:=|<-)\s*(?:async\s*)?"
        r"(?:function\b|\\?\(|\w+\s*=>|fun\b|fn\b)"
    ),
    re.compile(r"(?P<name>[\w~$]+)\s*(?:<[^>]*>)?\s*\("),
)
"""Patterns that find the name in the first line of a definition, most specific first."""


class IndentedFile:
    """The lines of a file in a language known only by its suffix; indices are 0-based.

    Properties of lines are computed once for all of them.
    """

    def __init__(self, path: str, lines: Sequence[str]) -> None:
        self._lines = lines
        self._is_c = path.endswith(_C_SUFFIXES)
        self._is_ml = path.endswith(_ML_SUFFIXES)
        self._is_prose = path.endswith(_PROSE_SUFFIXES)
        self._ends: dict[int, int] = {}
        self._context_lines: dict[tuple[str, int], int | None] = {}

    def around(
        self, line: int, context: str = "", hunk: int | None = None
    ) -> tuple[str, int, int] | None:
        """Return name, first and last line of the definition around `line`, or None.

        `context` is the function that git shows for the hunk that begins at line `hunk`.
        """
        first = None if self._is_prose else self._definitions[line]
        if first is None and context and not _CONTROL.match(context):
            # git shows the last function before the hunk, which may have ended.
            shown = self._find_context(context, line if hunk is None else hunk)
            if shown is not None and shown < line <= self._end(shown):
                first = shown
        if first is None:
            return None
        return _find_name(self._lines[self._heads[first]]), first, self._end(first)

    # --- properties of single lines ---

    @cached_property
    def _texts(self) -> list[str]:
        return [line.strip() for line in self._lines]

    @cached_property
    def _widths(self) -> list[int]:
        """Return the indentation of each line in columns."""
        expanded = [line.expandtabs(8) for line in self._lines]
        return [len(line) - len(line.lstrip(" ")) for line in expanded]

    @cached_property
    def _attributes(self) -> list[bool]:
        return [_ATTRIBUTE.match(line) is not None for line in self._lines]

    def _encloses_nothing(self, line: str) -> bool:
        """Return whether a line is empty, a comment, or a directive or label of C."""
        if not line.strip() or _COMMENT.match(line):
            is_c_code = line.strip().startswith("#") and not _C_DIRECTIVE.match(line)
            return not (self._is_c and is_c_code)
        return self._is_c and _C_LABEL.match(line) is not None

    def _defines(self, text: str) -> bool:
        """Return whether a line without its indentation has the words of a definition."""
        if _CLOSING.match(text):
            return False
        if _ASSIGNMENT.match(text) or _LISP.match(text):
            return True
        if _CONTROL.match(text):
            return False
        # In ML, a name before parentheses is a call.
        is_signature = not self._is_ml and _SIGNATURE.match(text) is not None
        return is_signature or _DEFINITION.match(text) is not None

    # --- properties that depend on neighbours ---

    @cached_property
    def _tops(self) -> list[int]:
        """Map each line to itself, or to the first decorator or attribute above it."""
        tops: list[int] = []
        for index, width in enumerate(self._widths):
            above = index - 1
            if index > 0 and self._attributes[above] and self._widths[above] == width:
                tops.append(tops[above])
            else:
                tops.append(index)
        return tops

    @cached_property
    def _heads(self) -> list[int]:
        """Map each line to itself, or to the definition line below its decorators."""
        return _skip_forward(self._attributes)

    @cached_property
    def _followers(self) -> list[int]:
        """Map each line to itself or the next one that encloses something, as for comments."""
        return _skip_forward([self._encloses_nothing(line) for line in self._lines])

    @cached_property
    def _definitions(self) -> list[int | None]:
        """Map each line to the first line of the definition around it, or None."""
        count = len(self._lines)
        around: list[int | None] = [None] * count
        # The definition around lines with the same indentation as each line, or with more.
        same: list[int | None] = [None] * count
        deeper: list[int | None] = [None] * count
        enclosing: list[int] = []  # lines above, each indented less than the next
        for index, width in enumerate(self._widths):
            if self._followers[index] != index:
                continue  # a comment gets the answer of the line below it
            while enclosing and self._widths[enclosing[-1]] > width:
                enclosing.pop()
            sibling = None
            if enclosing and self._widths[enclosing[-1]] == width:
                sibling = enclosing.pop()
            parent = enclosing[-1] if enclosing else None
            if width:
                same[index] = self._enclosed_by(parent, same, deeper)
            above = parent if sibling is None else sibling
            deeper[index] = self._enclosed_by(above, same, deeper)
            if self._begins_definition(index):
                around[index] = self._tops[index]
            elif self._closes_body(index):
                around[index] = deeper[index]
            else:
                around[index] = same[index]
            enclosing.append(index)
        return [around[follower] for follower in self._followers]

    def _closes_body(self, line: int) -> bool:
        """Return whether a line belongs to the body above it: a lone brace, or an end."""
        text = self._texts[line]
        return text == "{" or _CLOSING.match(text) is not None

    def _enclosed_by(
        self, line: int | None, same: Sequence[int | None], deeper: Sequence[int | None]
    ) -> int | None:
        """Return the definition around lines below `line` that are indented more."""
        if line is None:
            return None
        text = self._texts[line]
        is_head_end = text in _BODY_STARTS or text.startswith((")", "]", "}", "where"))
        if is_head_end or _BLOCK_CONTINUES.match(text):
            return deeper[line]  # the definition begins above, at the same depth
        is_at_margin = self._widths[line] == 0
        if is_at_margin and not _CONTROL.match(text) and not _CLOSING.match(text):
            return self._tops[line]
        if self._defines(text):
            return self._tops[line]
        return same[line]

    def _begins_definition(self, line: int) -> bool:
        """Return whether a line has the words of a definition and a body follows."""
        text = self._texts[line]
        if not self._defines(text):
            return False
        if any(pattern.match(text) for pattern in (_DEFINITION, _ASSIGNMENT, _LISP)):
            return True
        if text.endswith(("{", "(", ",")):
            return True
        following = self._texts[line + 1 : line + 2]
        return bool(following) and following[0].startswith(("{", ")"))

    def _find_context(self, context: str, hunk: int) -> int | None:
        """Return the nearest line above a hunk that starts with the context git shows."""
        key = context, hunk
        if key not in self._context_lines:
            line = min(hunk, len(self._lines)) - 1
            while line >= 0 and not self._lines[line].startswith(context):
                line -= 1
            self._context_lines[key] = line if line >= 0 else None
        return self._context_lines[key]

    def _end(self, first: int) -> int:
        """Return the last line of the definition that begins at `first`."""
        if first not in self._ends:
            self._ends[first] = self._find_end(first)
        return self._ends[first]

    def _find_end(self, first: int) -> int:
        last = head = self._heads[first]
        has_body = False
        for index in range(head + 1, len(self._lines)):
            text = self._texts[index]
            if not text or self._is_at_any_depth(index):
                continue
            if self._widths[index] < self._widths[head]:
                break
            if self._widths[index] > self._widths[head]:
                has_body = True
            elif _CLOSES_AND_CONTINUES.match(text) or self._continues(text):
                pass
            elif _CLOSING.match(text):
                return index
            elif has_body or index > last + 1 or text.endswith(";") or self._defines(text):
                # Otherwise it is a signature over several lines that are not indented.
                break
            last = index
        return last

    def _is_at_any_depth(self, line: int) -> bool:
        """Return whether the indentation of a line says nothing: a directive or label of C."""
        if not self._is_c:
            return False
        text = self._lines[line]
        return bool(_C_DIRECTIVE.match(text) or _C_LABEL.match(text))

    def _continues(self, text: str) -> bool:
        """Return whether a line with the indentation of a definition is part of it."""
        if _BLOCK_CONTINUES.match(text):
            return True
        return text.startswith(_HEAD_CONTINUES) and not _CLOSING_ARGUMENTS.fullmatch(text)


def _skip_forward(is_skipped: Sequence[bool]) -> list[int]:
    """Map each index to itself, or to the next one that is not skipped."""
    targets = list(range(len(is_skipped)))
    for index in reversed(range(len(targets) - 1)):
        if is_skipped[index]:
            targets[index] = targets[index + 1]
    return targets


def _find_name(line: str) -> str:
    """Return the name in the first line of a definition, or the line."""
    text = line.strip()
    for pattern in _NAMES:
        if match := pattern.search(text):
            return match["name"].strip()[:MAX_NAME]
    return text.rstrip("{:( ")[:MAX_NAME]
