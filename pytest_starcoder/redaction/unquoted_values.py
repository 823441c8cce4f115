"""Tells unquoted values that are secret from expressions: a value in a `.env` file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_starcoder.redaction.literals import Span, line_before
from pytest_starcoder.redaction.name_places import Place
from pytest_starcoder.redaction.patterns import lazy_pattern
from pytest_starcoder.redaction.secret_names import Naming
from pytest_starcoder.redaction.secret_values import (
    MIN_LENGTH,
    NAME_WITH_NUMBER,
    is_harmless,
    is_placeholder,
    is_random,
    is_secret_value,
)

UNQUOTED = lazy_pattern(r"(?:[^\s,;'\"()\[\]{}<>&`\\]|\\(?![nrt\"'])){6,4000}")

_REST_OF_LINE = lazy_pattern(r"(?P<value>[^\s'\"`]{6,4000})[ \t]*(?=\r?\n|\Z|[ \t]#)")
_LINE_HEAD = lazy_pattern(
    r"[ \t]*(?:[-+>*#;$]|//|--|export|set|env|ENV|ARG|declare -x|REM|setx|<!--|E|\d+:)?"
    r"[ \t\"'+-]*[\w.\"'$-]*$"
)
_SHELL_HEAD = lazy_pattern(r"[ \t]*(?:export|set|ENV|ARG|-)\b")
_DIGIT = lazy_pattern(r"\d")
_DOTTED_NAME = lazy_pattern(r"[A-Za-z_]\w*(?:\.\w+)+")
_IDENTIFIER = lazy_pattern(r"[A-Za-z_$]\w*")
_NUMBER = lazy_pattern(r"[\d._]+")
_INI_SECTION = lazy_pattern(r"[ \t]*\[[\w .:/-]+\][ \t]*\r?")
_INI_SETTING = lazy_pattern(r"[ \t]*(?:[#;]|[\w. -]+[=:][^()]*$)")

_ASSIGNMENTS = frozenset(("=", ":", ":=", "?="))

_TYPES = frozenset(
    "str string String int bytes bool object any Any unknown never undefined null None Optional "
    "boolean number float dict list char text varchar password email required optional true false "
    "yes no on off self cls tuple set secret token unset empty nullable sensitive hidden".split()
)
"""Words after a name that declare its type or presence."""


@dataclass(frozen=True)
class _Assignment:
    """A name, a sign and an unquoted word."""

    text: str
    place: Place
    operator: str
    has_blanks: bool
    """Whether blanks surround the operator."""
    head: str
    """What stands before the name in its line."""
    starts_line: bool
    """Whether nothing but a keyword of a shell or a list marker stands before the name."""


def unquoted_value(text: str, place: Place, sign: re.Match[str], limit: int) -> Span | None:
    """Return the span of the unquoted value after `sign`, if it is secret and no expression."""
    operator = sign["sign"].strip()
    if operator not in _ASSIGNMENTS:
        return None
    has_blanks = operator != sign["sign"]
    head = line_before(text, place.start, 300)
    starts_line = _LINE_HEAD.fullmatch(head) is not None and not head.endswith(".")
    assignment = _Assignment(text, place, operator, has_blanks, head, starts_line)
    start = sign.end()
    if starts_line:
        line = _REST_OF_LINE.match(text, start, limit)
        if line and _has_code_signs(line["value"], place):
            return line.span("value")
    word = UNQUOTED.match(text, start, limit)
    if word is None:
        return None
    # Inside a line, `!` and `?` end a sentence; at its start they belong to a password.
    value = word[0].rstrip(".,:;" if starts_line else ".,:;!?")
    end = start + len(value)
    if value and _is_secret(assignment, value, text[end : end + 1]):
        return start, end
    return None


def _is_code(value: str, following: str) -> bool:
    """Return whether an unquoted word is a type, an address, or the beginning of an expression."""
    if is_harmless(value) or value in _TYPES or "://" in value:
        return True
    if following in ("{", "<"):
        return value[-1] in "$#=%/"
    return following in ("(", "[")


def _has_code_signs(value: str, place: Place) -> bool:
    """Return whether a whole line is a password with signs that code has, too: `a;b(4)8xQ`."""
    if place.naming < Naming.WEAK or is_harmless(value):
        return False
    if not re.search(r"[,;()&]", value) or re.search(r"[(\[{]", value) or value[-1] in ",;)":
        return False
    return is_random(re.sub(r"[,;()&]", "", value))


def _is_secret(assignment: _Assignment, value: str, following: str) -> bool:
    """Return whether a word, which is `following` by a character, is a secret."""
    if _is_code(value, following):
        return False
    naming = assignment.place.naming
    if naming is Naming.HINT:
        return following not in ("'", '"') and is_secret_value(value, naming)
    if len(value) < MIN_LENGTH and not _is_short_secret(value, naming):
        return False
    if _DOTTED_NAME.fullmatch(value):
        return _has_random_part(value)
    if is_random(value):
        return True
    if _NUMBER.fullmatch(value) or "->" in value or "::" in value:
        return False
    if _IDENTIFIER.fullmatch(value):
        return _is_secret_identifier(assignment, value, following)
    return naming is Naming.STRONG and _is_passphrase(value)


def _is_short_secret(value: str, naming: Naming) -> bool:
    return _DIGIT.search(value) is not None and is_secret_value(value, naming)


def _has_random_part(dotted_name: str) -> bool:
    for part in dotted_name.split("."):
        if is_random(part) and not NAME_WITH_NUMBER.fullmatch(part):
            return True
    return False


def _is_passphrase(value: str) -> bool:
    """Return whether a word has signs that no expression has: `correct-horse-battery-staple`."""
    if value.startswith(("-", "$")):
        return False
    if re.search(r"[=*/|%]", value[:-2]) and not _DIGIT.search(value):
        return False
    return is_secret_value(value, Naming.STRONG)


def _is_secret_identifier(assignment: _Assignment, value: str, following: str) -> bool:
    """Return whether a word that could be a variable is a value all the same."""
    place = assignment.place
    if place.naming is not Naming.STRONG and not _DIGIT.search(value):
        return False
    if assignment.operator == ":":
        return re.search(r"[a-z]\d+[a-z]", value) is not None
    # Code has blanks around `=`; of the formats without quotes, only INI files do.
    if assignment.has_blanks:
        is_setting = assignment.operator == "=" and assignment.starts_line
        return is_setting and _is_in_ini(assignment.text, place.start)
    return _is_shell_value(assignment, value, following)


def _is_shell_value(assignment: _Assignment, value: str, following: str) -> bool:
    """Return whether `name=value` without blanks is a line of a shell or of a `.env` file."""
    head = assignment.head
    if assignment.starts_line:
        if assignment.place.name.isupper() or _SHELL_HEAD.match(head):
            return True
        if not head.strip():
            return _is_alone_on_line(head, value, following)
    return "_" not in value and not _is_in_expression(head, following)


def _is_alone_on_line(head: str, value: str, following: str) -> bool:
    """Return whether `name=value` is a line of a `.env` file or has another one behind it."""
    if "_" in value:
        return False
    if following == " ":
        return True
    is_whole_line = not head and following in ("\n", "\r", "")
    return is_whole_line and not is_placeholder(value)


def _is_in_expression(head: str, following: str) -> bool:
    """Return whether brackets around an assignment, or what follows it, are those of code."""
    if following and following in "),(.[]}=:":
        return True
    return head.count("(") > head.count(")") or head.count("[") > head.count("]")


def _is_in_ini(text: str, position: int) -> bool:
    """Return whether the lines above are a section `[name]` and its settings."""
    lines = text[max(position - 1500, 0) : position].split("\n")[:-1]
    for line in reversed(lines[-20:]):
        if _INI_SECTION.fullmatch(line):
            return True
        if line.strip() and not _INI_SETTING.match(line):
            return False
    return False
