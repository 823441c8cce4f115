"""Finds the string literals that make up the value of an expression, in any C-like language.

No language is parsed. Tokens, brackets and the names of called functions tell whether a literal
is the value itself, a default, the name of something, or part of a condition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import ClassVar, NamedTuple

from pytest_starcoder.redaction.literals import LITERAL, QUOTES, Budget, content_span
from pytest_starcoder.redaction.patterns import lazy_pattern
from pytest_starcoder.redaction.secret_names import Naming

MAX_GROUP = 60_000
"""Maximum number of characters to search in a bracketed expression."""

_MAX_OPEN = 2000
"""Maximum number of characters to search outside brackets."""

_MAX_OPEN_SPENT = 100
"""The same once the budget of the text is spent."""

_TOKEN = lazy_pattern(
    r"(?P<blank>[ \t]+|\\\r?\n[ \t]*)"
    r"|(?P<line>\r?\n[ \t]*)"
    r"|(?P<comment>#[^\n]*|//[^\n]*|/\*.{0,200}?\*/)"
    r"|(?P<call>[A-Za-z_][\w.:]*!?(?:<[\w, ]*>)?\()"
    r"|(?P<index>[A-Za-z_][\w.]*\[)"
    r"|(?P<keyword>[A-Za-z_]\w*[ \t]*(?:=(?![=>~])|:=)[ \t]*)"
    r"|(?P<word>[A-Za-z_$][\w.$]*(?:::\w+)*)"
    r"|(?P<number>\d[\w.]*)"
    r"|(?P<compare>[=!]==?|<=|>=|~)"
    r"|(?P<sign>=>|->|\?\?|\|\||&&|[+*%|&?:.!<>@/^-])"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<comma>,)"
)

_OPERATOR_WORDS = frozenset("else and or return not lambda await new then in is".split())

_LOOKUPS = frozenset(
    "get getenv env environ setdefault pop config getattr get_or_default getordefault var default "
    "fetch lookup getproperty getstring get_value getvalue str cast coalesce nvl ifnull isnull "
    "option".split()
)
"""Functions whose first argument is a name, and whose second is a value."""

_WRAPPERS = frozenset(
    "secretstr secretbytes secret str bytes bytearray string b64decode b64encode quote quote_plus "
    "sha256 md5 sha1 sha512 hashpw generate_password_hash make_password some ok from to_string new "
    "value password token apikey azurekeycredential credential literal string.new string::from "
    "to_owned into text urlencode dedent list tuple set frozenset array of arrayof listof setof "
    "mutablelistof deque dict repr print default converttosecurestring convertto-securestring "
    "base64.b64encode base64.b64decode pack bytes.fromhex fromhex securestring networkcredential "
    "optional.of optional.ofnullable vec objectid passwordcredential".split()
)
"""Functions that return their argument, or a form of it."""

_FIELD_FUNCTIONS = frozenset(
    "field option argument stringvar charfield mapped_column column param flag".split()
)
"""Functions that declare a field, whose default may be secret."""

_DEFAULT_KEYWORDS = frozenset(
    "default default_value fallback initial new secret password token api_key key pwd".split()
)

_OTHER_KEYWORDS = lazy_pattern(
    r"user|name|login|host|url|uri|mail|type|id$|region|port|path|label|title|descr|help|scope|env"
    r"|realm|issuer|audience",
    re.IGNORECASE,
)
"""Keywords of a call that are not about its secret."""

_CAMEL_CASE = lazy_pattern(r"[A-Za-z]?[a-z]+(?:[A-Z][a-z]+)+")
"""An identifier, which in an object is a name again: `"output_token": "nextToken"`."""

_REPEAT = lazy_pattern(r"[ \t]*\*[ \t]*(\d{1,6})")
_KEY_SIGN = lazy_pattern(r"[ \t]*(?::(?!=)|=>)")
_COMPARISON = lazy_pattern(r"[ \t]*(?:in\b|not in\b|===?|!=)")
_CONTINUATION = lazy_pattern(r"(?:[+.?:]|\|\||\?\?)[ \t]*\(?[\"'`]")


class Literal(NamedTuple):
    """A string in an expression; `is_value` if it is certainly the value or a part of it."""

    start: int
    end: int
    repeat: int
    is_value: bool


class _Group(NamedTuple):
    """An open bracket, and how far reading has come in it."""

    kind: str
    """`value`, `lookup` (a name and a default), `getattr`, `fields`, `pairs`, `call` or `index`."""
    argument: int = 0
    keyword: str = ""


def literals(text: str, position: int, naming: Naming, budget: Budget) -> Iterator[Literal]:
    """Yield the literals of the expression at `position`, to its end."""
    reader = _Reader(text, position, naming, budget)
    try:
        yield from reader.literals()
    finally:
        budget.spend(reader.position - position)


class _Reader:
    """Reads one expression, token by token."""

    def __init__(self, text: str, position: int, naming: Naming, budget: Budget) -> None:
        self.position = position
        self._text = text
        self._start = position
        self._naming = naming
        self._budget = budget
        self._groups = [_Group("value")]
        self._in_condition = False
        self._previous = "start"  # the kind of the last token

    @property
    def _is_outside(self) -> bool:
        """True while no bracket of the expression is open."""
        return len(self._groups) == 1

    def literals(self) -> Iterator[Literal]:
        end = min(self._start + MAX_GROUP, len(self._text))
        while self.position < end:
            match = self._match_literal()
            if match:
                if self._leaves_outer_literal():
                    return
                literal = self._read_literal(match)
                if literal:
                    yield literal
                continue
            token = _TOKEN.match(self._text, self.position)
            if token is None or not self._read(token):
                return
            self.position = token.end()
            if self._is_too_far():
                return

    def _match_literal(self) -> re.Match[str] | None:
        text, position = self._text, self.position
        if text[position] not in QUOTES and text[position + 1 : position + 2] not in QUOTES:
            return None
        match = LITERAL.match(text, position)
        if match and match["prefix"] and self._previous == "value":
            return None
        return match

    def _leaves_outer_literal(self) -> bool:
        """Return whether the quote before this position ends the string that contains all of it."""
        follows_value = self._previous == "value" and self._is_outside
        return follows_value and self._text[self.position - 1] in "\"'`"

    def _read_literal(self, match: re.Match[str]) -> Literal | None:
        """Return the literal if it may be the value."""
        text, group = self._text, self._groups[-1]
        start, end = content_span(match)
        literal = None
        if self._is_key(match.end()):
            self._groups[-1] = group._replace(kind="pairs", keyword=text[start:end])
        elif not self._is_compared(match.end()):
            role = _role(group)
            repeat = _REPEAT.match(text, match.end())
            if role:
                in_object = any(outer.kind == "pairs" for outer in self._groups)
                is_name = in_object and _CAMEL_CASE.fullmatch(text, start, end) is not None
                is_value = role == "value" and not is_name
                literal = Literal(start, end, int(repeat[1]) if repeat else 1, is_value)
        self.position = match.end()
        self._previous = "value"
        return literal

    def _is_key(self, end: int) -> bool:
        """Return whether the literal that ends at `end` is a key of an object."""
        if self._is_outside or self._previous == "?":
            return False
        in_object = self._groups[-1].kind in ("value", "pairs")
        return in_object and _KEY_SIGN.match(self._text, end) is not None

    def _is_compared(self, end: int) -> bool:
        if self._in_condition or self._previous == "compare":
            return True
        return _COMPARISON.match(self._text, end) is not None

    def _is_too_far(self) -> bool:
        if not self._is_outside:
            return self._budget.is_spent
        limit = _MAX_OPEN_SPENT if self._budget.is_spent else _MAX_OPEN
        return self.position - self._start > limit

    # Each of these reads one kind of token and returns whether the expression goes on.

    def _read(self, token: re.Match[str]) -> bool:
        kind = token.lastgroup or ""
        if kind == "word" and self._leaves_outer_literal():
            return False
        read = self._readers.get(kind)
        return read is None or read(self, token)

    def _read_line(self, token: re.Match[str]) -> bool:
        if not self._is_outside or self._previous in ("sign", "open", "?"):
            return True
        text, position = self._text, token.end()
        if self._previous == "start":
            return text[position : position + 1] in QUOTES
        return self._previous == "value" and _CONTINUATION.match(text, position) is not None

    def _read_call(self, token: re.Match[str]) -> bool:
        return self._open(_kind_of_call(token[0]))

    def _read_index(self, _token: re.Match[str]) -> bool:
        return self._open("index")

    def _read_open(self, token: re.Match[str]) -> bool:
        if self._is_outside and token[0] == "{" and self._naming < Naming.STRONG:
            return False
        follows_operand = self._previous in ("value", "close", "word")
        if token[0] == "[" and follows_operand and self._text[self.position - 1].strip():
            return self._open("index")
        return self._open("call" if self._groups[-1].kind == "call" else "value")

    def _open(self, kind: str) -> bool:
        self._groups.append(_Group(kind))
        self._previous = "open"
        return True

    def _read_close(self, _token: re.Match[str]) -> bool:
        if self._is_outside:
            return False
        self._groups.pop()
        self._previous = "close"
        return True

    def _read_comma(self, _token: re.Match[str]) -> bool:
        if self._is_outside:
            return False
        group = self._groups[-1]
        self._groups[-1] = group._replace(argument=group.argument + 1, keyword="")
        self._previous = "sign"
        self._in_condition = False
        return True

    def _read_keyword(self, token: re.Match[str]) -> bool:
        if self._is_outside and self._previous != "start":
            return False
        keyword = token[0].rstrip(" \t:=")
        self._groups[-1] = self._groups[-1]._replace(keyword=keyword)
        self._previous = "sign"
        return True

    def _read_word(self, token: re.Match[str]) -> bool:
        word = token[0]
        if word == "if":
            self._in_condition = True
            self._previous = "sign"
        elif word in _OPERATOR_WORDS:
            self._in_condition = self._in_condition and word != "else"
            self._previous = "compare" if word in ("in", "is") else "sign"
        elif self._is_outside and self._previous == "word":
            return False  # two words in a row are prose
        else:
            self._previous = "word"
        return True

    def _read_sign(self, token: re.Match[str]) -> bool:
        if token[0] == "?":
            self._in_condition = False
        self._previous = "?" if token[0] == "?" else "sign"
        return True

    def _read_compare(self, _token: re.Match[str]) -> bool:
        self._previous = "compare"
        return True

    def _read_number(self, _token: re.Match[str]) -> bool:
        self._previous = "value"
        return True

    _readers: ClassVar[dict[str, Callable[[_Reader, re.Match[str]], bool]]] = {
        "line": _read_line,
        "call": _read_call,
        "index": _read_index,
        "open": _read_open,
        "close": _read_close,
        "comma": _read_comma,
        "keyword": _read_keyword,
        "word": _read_word,
        "sign": _read_sign,
        "compare": _read_compare,
        "number": _read_number,
    }


def _kind_of_call(call: str) -> str:
    """Return what the arguments of a call are to the value of its expression."""
    path = re.split(r"\.|::", re.split(r"[!<(]", call)[0].lower())
    name = path[-1]
    if name in _FIELD_FUNCTIONS:
        return "fields"
    if name in _WRAPPERS or ".".join(path[-2:]) in _WRAPPERS:
        return "value"
    if name == "getattr":
        return "getattr"
    if name in _LOOKUPS or name.endswith(("getenv", "get_env", "lookupenv")):
        return "lookup"
    return "call"


def _role(group: _Group) -> str:
    """Return whether a literal in a group is the `value`, may be (`maybe`), or is not ("")."""
    kind, keyword = group.kind, group.keyword
    unrelated = _OTHER_KEYWORDS.search(keyword) is not None
    if kind == "index":
        return ""
    if kind == "pairs":
        return "maybe" if unrelated else "value"
    if kind in ("fields", "lookup", "getattr"):
        return "value" if _is_default(group) else ""
    if kind == "value" or keyword in ("default", "fallback"):
        return "value"
    return "" if keyword and unrelated else "maybe"


def _is_default(group: _Group) -> bool:
    """Return whether a literal in a group is the default of a field or a lookup."""
    if group.kind == "getattr":
        return group.argument == 2
    if group.keyword in _DEFAULT_KEYWORDS:
        return True
    return group.kind == "lookup" and group.argument >= 1 and not group.keyword
