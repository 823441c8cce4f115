"""Finds values at the position of their name in a list: tuples, parametrize, SQL, CSV, tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pytest_starcoder.redaction.expressions import MAX_GROUP
from pytest_starcoder.redaction.literals import (
    LITERAL,
    QUOTES,
    Budget,
    Span,
    content_span,
    is_word_character,
)
from pytest_starcoder.redaction.patterns import lazy_pattern
from pytest_starcoder.redaction.secret_names import Naming, rate_name
from pytest_starcoder.redaction.secret_values import is_random, is_secret_value

_TUPLE = lazy_pattern(
    r"^[ \t]*(?P<names>[A-Za-z_][\w.]*(?:[ \t]*,[ \t]*[A-Za-z_][\w.]*)+)"
    r"[ \t]*(?:=(?!=)|:=|in)[ \t]*\(?",
    re.MULTILINE,
)
_PARAMETRIZE = lazy_pattern(
    r"\bparametrize\(\s*(?P<names>\(?\[?(?:[\"'][\w\s,.-]+[\"'][,\s]*)+\]?\)?)\s*,\s*"
)
_ROWS_WITH_HEADER = lazy_pattern(
    r"[(\[]\s*(?P<names>(?:[\"']\w{1,40}[\"'],?\s*){2,20})[)\]]\s*,\s*(?=[(\[])"
)
_INSERT = lazy_pattern(
    r"\binsert\s+into\s+[\w.\"`\[\]]+\s*\((?P<names>[^()]{1,1000})\)\s*values\s*", re.IGNORECASE
)
_ROW_FORMS = (
    (_PARAMETRIZE, Naming.HINT),
    # Such rows are frequent in data without secrets, so hints do not suffice.
    (_ROWS_WITH_HEADER, Naming.WEAK),
    (_INSERT, Naming.HINT),
)
"""Names before rows of values, and the minimum that one of the names must suggest."""

_PANDAS_HEADER = lazy_pattern(
    r"^(?:E[ ]+|[ ]+)(?P<names>[A-Za-z_]\w*(?:[ ]+[A-Za-z_]\w*)+)[ ]*$", re.MULTILINE
)
_PANDAS_ROW = lazy_pattern(r"\r?\n(?:E[ ]+)?(?P<cells>[^\n]{3,1000})")
_PANDAS_CELL = lazy_pattern(r"\S+")
_CSV_HEADER = lazy_pattern(
    r"[\"']?[A-Za-z][\w -]{0,40}[\"']?(?P<separator>[,;\t])[\"']?[A-Za-z][\w -]{0,40}[\"']?"
    r"(?:(?P=separator)[\"']?[\w -]{1,40}[\"']?){0,30}"
)
_CREDENTIALS = lazy_pattern(
    r"\b(?:auth|credentials|creds|basic_auth|basicAuth|HTTPBasicAuth|HTTPDigestAuth|BasicAuth"
    r"|Credentials|NetworkCredential|UsernamePasswordCredentials|login|authenticate|log_in|sign_in"
    r"|signIn|SetBasicAuth)(?P<sign>[ \t]*=[ \t]*)?"
    r"\(\s*(?:(?:username|user)\s*=\s*)?(?P<user>[^\s,()]{1,80})\s*,\s*"
    r"(?P<quote>[\"'])(?P<value>[^\"'\n]{6,200})(?P=quote)"
)
_SIGNATURE = lazy_pattern(
    r"\b(?:def|function|func|fn|fun|sub)[ \t]+(?P<name>\w+)[ \t]*(?:<[^<>\n]*>)?"
    r"\((?P<parameters>[^()]{1,600})\)"
)
_PARAMETER = lazy_pattern(
    r"[ \t\n$&*]*(?:(?:mut|const|final|val|var|_|this\.)[ \t]+)?\**(?P<name>\w+)"
)
_TOKEN = lazy_pattern(
    r"(?P<blank>\s+)|(?P<comment>#[^\n]*)|(?P<open>[\w.]*[(\[{])|(?P<close>[)\]}])|(?P<comma>,)"
    r"|(?P<word>[^\s,()\[\]{}\"'`]+|.)"
)
_NEXT_ROW = lazy_pattern(r"\s*,\s*\(")
_WORD = lazy_pattern(r"[\w.-]+")

_MAX_TUPLE = 1000
"""Maximum number of characters of the values of one tuple."""

_MAX_PANDAS_ROWS = 60


def column_spans(text: str) -> Iterator[Span]:
    """Yield the values at the position of a secret name."""
    # One budget: a text with many lists must not take longer than one with few.
    budget = Budget(text)
    yield from _tuple_values(text, budget)
    for form, minimum in _ROW_FORMS:
        for match in form.finditer(text):
            names = [rate_name(name) for name in _WORD.findall(match["names"])]
            if names and max(names) >= minimum:
                yield from _Rows(text, names, budget).spans(match.end())
    yield from _credentials(text)
    yield from _csv_cells(text)
    for match in _PANDAS_HEADER.finditer(text):
        names = [rate_name(name) for name in match["names"].split()]
        if max(names) > Naming.HINT:
            yield from _pandas_cells(text, match.end(), names)


def _tuple_values(text: str, budget: Budget) -> Iterator[Span]:
    """Yield the password in `user, password = "me", "x"`."""
    for match in _TUPLE.finditer(text):
        names = []
        for name in match["names"].split(","):
            _, _, last_part = name.strip().rpartition(".")
            names.append(rate_name(last_part))
        if max(names) > Naming.HINT:
            yield from _Row(text, names, budget).spans(match.end())


def find_functions(text: str) -> dict[str, tuple[Naming, ...]]:
    """Return the functions in `text` with secret parameters, and how secret each parameter is."""
    functions: dict[str, tuple[Naming, ...]] = {}
    for match in _SIGNATURE.finditer(text):
        namings = []
        for parameter in match["parameters"].split(","):
            name = _PARAMETER.match(parameter)
            if name and name["name"] not in ("self", "cls"):
                namings.append(rate_name(name["name"]))
        if namings and max(namings) > Naming.HINT:
            functions[match["name"]] = tuple(namings)
    return functions


def argument_spans(text: str, functions: Mapping[str, tuple[Naming, ...]]) -> Iterator[Span]:
    """Yield arguments of these functions at the position of a secret parameter."""
    budget = Budget(text)
    for name, namings in functions.items():
        call = f"{name}("
        start = text.find(call)
        while start >= 0:
            is_whole_name = not is_word_character(text, start - 1)
            if is_whole_name:
                for first, last in _Row(text, namings, budget).spans(start + len(call)):
                    value = text[first:last]
                    if is_random(value) or not value.isidentifier():
                        yield first, last
            start = text.find(call, start + 1)


class _Row:
    """Reads the values of one row: a tuple, or the arguments of a call."""

    max_length = _MAX_TUPLE

    def __init__(self, text: str, names: Sequence[Naming], budget: Budget) -> None:
        self._text = text
        self._names = names
        self._budget = budget
        self._is_single = len(names) == 1
        self._depth = 0
        self._column = 0

    def spans(self, position: int) -> Iterator[Span]:
        """Yield the secret literals of the row at `position`, to its end."""
        text = self._text
        end = min(position + self.max_length, len(text))
        while position < end and not self._budget.is_spent:
            literal = None
            if text[position] in QUOTES or text[position + 1 : position + 2] in QUOTES:
                literal = LITERAL.match(text, position)
            if literal:
                start, stop = content_span(literal)
                if self._is_secret(text[start:stop]):
                    yield start, stop
                token = literal
            else:
                match = _TOKEN.match(text, position)
                if match is None or not self._read(match):
                    return
                token = match
            self._budget.spend(token.end() - position)
            position = token.end()

    def _is_secret(self, value: str) -> bool:
        column = 0 if self._is_single else self._column
        if not self._is_in_row() or column >= len(self._names):
            return False
        return is_secret_value(value, self._names[column])

    def _is_in_row(self) -> bool:
        return self._depth >= 1 if self._is_single else self._depth <= 2

    def _read(self, token: re.Match[str]) -> bool:
        """Read a token that is no literal; return whether the values go on."""
        if token["open"]:
            self._depth += 1
        elif token["close"]:
            self._depth -= 1
            return not self._is_finished(token.end())
        elif token["comma"]:
            self._column += 1
        elif token["blank"] and self._depth == 0 and "\n" in token[0]:
            return False
        return True

    def _is_finished(self, end: int) -> bool:
        """Return whether the bracket that was closed before `end` is the last."""
        return self._depth < 0 or (self._depth == 0 and not _NEXT_ROW.match(self._text, end))


class _Rows(_Row):
    """Reads rows in brackets: cases of parametrize, values of an INSERT."""

    max_length = MAX_GROUP

    def _is_in_row(self) -> bool:
        return self._depth >= 1 if self._is_single else self._depth in (1, 2)

    def _read(self, token: re.Match[str]) -> bool:
        if token["open"]:
            self._depth += 1
            self._column = 0
        elif token["close"]:
            self._depth -= 1
            self._column = 0
            return not self._is_finished(token.end())
        elif token["comma"]:
            follows_row = self._text[token.start() - 1] in ")]}"
            is_between_rows = follows_row and self._depth <= 1 and not self._is_single
            self._column = 0 if is_between_rows else self._column + 1
        return True


def _credentials(text: str) -> Iterator[Span]:
    """Yield the password in `auth=("me", "x")` and `login("me", "x")`."""
    for match in _CREDENTIALS.finditer(text):
        value = match["value"]
        is_certain = match["sign"] or is_random(value) or not re.fullmatch(r"[a-z_]+", value)
        if is_certain and is_secret_value(value, Naming.STRONG):
            yield match.span("value")


def _csv_cells(text: str) -> Iterator[Span]:
    """Yield the cells of CSV columns whose header is a secret name."""
    start = 0
    names: list[Naming] = []
    separator = ","
    for line in text.split("\n"):
        cells = line.rstrip("\r").split(separator)
        is_code = "(" in line or line.lstrip().startswith("=")
        if names and len(cells) == len(names) and not is_code:
            yield from _secret_cells(cells, names, start)
        elif header := _CSV_HEADER.fullmatch(line.rstrip("\r")):
            separator = header["separator"]
            names = _csv_names(line.split(separator))
        else:
            names = []
        start += len(line) + 1


def _csv_names(cells: Sequence[str]) -> list[Naming]:
    """Return how secret each column is; nothing if none is."""
    names = [rate_name(cell.strip().strip("\"'")) for cell in cells]
    return names if max(names) > Naming.HINT else []


def _secret_cells(cells: Sequence[str], names: Sequence[Naming], start: int) -> Iterator[Span]:
    """Yield the spans of secret cells in a line that begins at `start`."""
    for cell, naming in zip(cells, names, strict=True):
        value = cell.strip().strip("\"'")
        if value and _is_secret_cell(value, naming):
            offset = start + cell.index(value)
            yield offset, offset + len(value)
        start += len(cell) + 1


def _is_secret_cell(value: str, naming: Naming) -> bool:
    if naming is Naming.NOTHING:
        return False
    if is_random(value):
        return True
    is_secret = naming is Naming.STRONG and is_secret_value(value, naming)
    return is_secret and re.search(r"[\d-]", value) is not None


def _pandas_cells(text: str, position: int, names: Sequence[Naming]) -> Iterator[Span]:
    """Yield the random words below the secret names of a table that pandas prints."""
    for _ in range(_MAX_PANDAS_ROWS):
        row = _PANDAS_ROW.match(text, position)
        if row is None:
            return
        cells = list(_PANDAS_CELL.finditer(text, row.start("cells"), row.end()))
        index_columns = len(cells) - len(names)
        if index_columns not in (0, 1):
            return
        for cell, naming in zip(cells[index_columns:], names, strict=True):
            if naming > Naming.HINT and is_random(cell[0]):
                yield cell.span()
        position = row.end()
