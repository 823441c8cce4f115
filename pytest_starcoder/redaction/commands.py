"""Finds secrets at fixed places in command lines, SQL and files with a grammar of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_starcoder.redaction.literals import Span, line_before
from pytest_starcoder.redaction.patterns import lazy_pattern
from pytest_starcoder.redaction.secret_names import Naming
from pytest_starcoder.redaction.secret_values import is_harmless, is_random, is_secret_value

_ARGUMENT = r"[\"']?(?P<value>[^\s\"']{5,200})"

_FORMS = {
    "curl": r"\bcurl\b.{0,400}?\s(?:-u|--user|--proxy-user|-U)[ =]?[\"']?[\w.@+-]{0,80}:"
    r"(?P<value>[^\s\"':]{3,200})",
    "mysql": r"\bmysql(?:dump|admin|import)?\b.{0,300}?\s"
    r"-p(?P<value>[^\s\"'-][^\s\"']{4,200}|[\"'][^\"'\n]{5,200})",
    "mariadb": r"\bmariadb\S*\s.{0,300}?\s-p(?P<value>[^\s\"'-][^\s\"']{4,200})",
    "sshpass": r"\bsshpass\s+-p[ ]?" + _ARGUMENT,
    "redis-cli": r"\bredis-cli\b.{0,200}?\s-a[ ]" + _ARGUMENT,
    "login": r"\blogin\b.{0,200}?\s-p[ ]?" + _ARGUMENT,
    "zip": r"\b(?:un)?zip\b.{0,100}?\s-P[ ]?" + _ARGUMENT,
    "7z": r"\b7z\b.{0,100}?\s-p" + _ARGUMENT,
    "ldap": r"\bldap\w+\b.{0,300}?\s-w[ ]" + _ARGUMENT,
    "sqlcmd": r"\bsqlcmd\b.{0,300}?\s-P[ ]?" + _ARGUMENT,
    "mongo": r"\bmongo\w*\b.{0,300}?\s-p[ ]" + _ARGUMENT,
    "htpasswd": r"\bhtpasswd\s+-\w*b\w*\s+\S+\s+\S+\s+" + _ARGUMENT,
    "pass:": r"(?:\bpass(?:in|out)?|-k)[ =]\"?pass:(?P<value>[^\s\"']{4,200})",
    "smbclient": r"\bsmbclient\b.{0,200}?\s-U[ ][\"']?[\w\\.-]+%(?P<value>[^\s\"']{5,200})",
    "net use": r"\bnet use\b.{0,200}?/user:\S+\s+" + _ARGUMENT,
    "echo": r"\becho\s+(?:-n\s+)?" + _ARGUMENT + r"[\"']?\s*\|\s*\w",
    "machine": r"\bmachine[ \t]+\S+\s+login[ \t]+\S+\s+password[ \t]+(?P<value>\S{4,200})",
    ":_": r"//[\w./:-]{1,100}/?:_(?:authToken|password|auth)\s*=\s*(?P<value>[^\s\"'$]{8,400})",
    "identified": r"\bIDENTIFIED\s+(?:WITH\s+\S+\s+)?(?:BY|AS)\s+(?:PASSWORD\s+)?"
    r"[\"'](?P<value>[^\n\"']{4,200})",
    "password": r"\bPASSWORD\s*(?:\(\s*)?N?'(?P<value>[^\n']{6,200})'",
    "cookie": r"cookie[\"']?\s*[:=,]\s*[\"']?(?:[\w.-]+=[^;\s]*;\s*)*?"
    r"[\w.-]*(?:sess|sid|auth|token|jwt)[\w.-]*=(?P<value>[A-Za-z0-9%._~+/=-]{16,})",
    "5432:": r"^[\w.*-]{1,80}:5432:[\w*.-]{1,60}:[\w*.-]{1,60}:(?P<value>[^\s:/]{6,200})$",
    ":*:": r"^[\w.*-]{1,80}:(?:\d+|\*):[\w*.-]{1,60}:[\w*.-]{1,60}:(?P<value>[^\s:/]{6,200})$",
    "pwd=": r"(?:^|[;\"'])[ ]?pwd=(?P<value>[^;\"'\s]{4,200})",
    "securestring": r"ConvertTo-SecureString\s+(?:-String\s+)?[\"'](?P<value>[^\"'\n]{4,200})",
    "-a ": r"\bhttps?\b.{0,200}?\s-a[ ][\"']?[\w.@+-]{1,80}:(?P<value>[^\s\"':/]{5,200})",
    "hmac.new": r"\bhmac\.new\(\s*b?[\"'](?P<value>[^\s\"']{8,400})[\"']",
    "getconnection": r"\bgetConnection\([^,()\n]{1,300},\s*\"[^\"\n]{1,80}\","
    r"\s*\"(?P<value>[^\"\n]{5,200})\"",
    "net user": r"\bnet user\s+[\w.-]+\s+(?P<value>[^\s/\"'*]{6,100})",
    "jwt.": r"\bjwt\.(?:sign|verify|encode|decode)\(.{1,200}?,\s*"
    r"[\"'](?P<value>[^\s\"']{8,400})[\"']",
    "-u ": r"\b(?:http|https|xh|wget|ab|hey)\b.{0,200}?\s(?:-a|-u|-A)[ ][\"']?[\w.@+-]{1,80}"
    r":(?P<value>[^\s\"':/]{5,200})",
}
"""Patterns of lines with a secret at a fixed place, by a word in such lines."""

_PATTERNS = {word: lazy_pattern(form, re.IGNORECASE) for word, form in _FORMS.items()}

_UNCERTAIN_WORDS = frozenset(
    (
        *"echo cookie 5432: :*: zip 7z login password jwt. hmac.new".split(),
        *("-u ", "-a ", "net user"),
    )
)
"""Words whose lines have other things at that place, too."""

_NO_VALUE = ("$", "-", "<", "%", "{", "@", "`")
"""How variables, options and templates begin."""

_MAX_LINE = 2000


def command_spans(text: str) -> Iterator[Span]:
    """Yield values at fixed places in commands and files: `curl -u`, `.netrc`, SQL."""
    lowered = text.lower()
    if len(lowered) != len(text):  # some letters become two when lowered
        lowered = text
    # A plain search for the word is far cheaper than matching thirty patterns everywhere.
    for word, pattern in _PATTERNS.items():
        position = lowered.find(word)
        while position >= 0:
            start = position - len(line_before(text, position, 200))
            end = text.find("\n", position, position + _MAX_LINE)
            if end < 0:
                end = min(len(text), position + _MAX_LINE)
            for match in pattern.finditer(text[start:end]):
                argument = match["value"]
                value = argument.strip("\"'")
                if _is_secret_argument(value, word):
                    offset = start + match.start("value") + argument.index(value)
                    yield offset, offset + len(value)
            position = lowered.find(word, end)


def _is_secret_argument(value: str, word: str) -> bool:
    if is_harmless(value) or value.startswith(_NO_VALUE):
        return False
    if word not in _UNCERTAIN_WORDS or is_random(value):
        return True
    return re.search(r"[\d-]", value) is not None and is_secret_value(value, Naming.STRONG)


_SECRET_MANIFEST = lazy_pattern(r"^[ \t]*[\"']?kind[\"']?\s*:\s*[\"']?Secret\b", re.MULTILINE)
_DOCUMENT = lazy_pattern(r"(?:^---|\A)(?:(?!^---)[\s\S])*", re.MULTILINE)
_DATA = lazy_pattern(
    r"^(?P<margin>[ \t]*)[\"']?(?:data|stringData)[\"']?\s*:\s*\{?[ \t]*\n", re.MULTILINE
)
_ENTRY = lazy_pattern(
    r"(?P<margin>[ \t]+)[\"']?[\w.-]+[\"']?\s*:\s*(?P<quote>[\"']?)"
    r"(?P<value>[^\s\"'{}|>][^\n\"']*?)(?P=quote),?[ \t]*(?:\n|\Z)"
)


def kubernetes_spans(text: str) -> Iterator[Span]:
    """Yield all values of a Kubernetes Secret, whose keys need not say that they are secret."""
    if not _SECRET_MANIFEST.search(text):
        return
    for document in _DOCUMENT.finditer(text):
        if not _SECRET_MANIFEST.search(document[0]):
            continue
        for section in _DATA.finditer(text, document.start(), document.end()):
            entry = _ENTRY.match(text, section.end(), document.end())
            while entry and len(entry["margin"]) > len(section["margin"]):
                if len(entry["value"]) >= 4 and not is_harmless(entry["value"]):
                    yield entry.span("value")
                entry = _ENTRY.match(text, entry.end(), document.end())
