"""Secrets are taken out of what is sent, cached or reported: text in, the same text with `[redacted]` in their place.

Found by the names that they are given, by the shapes that services give their
tokens, by their place in a URL, and where one is known already. The number of
lines never changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from urllib.parse import quote

REDACTED = "[redacted]"

SHORTEST = 8
"""Characters from which on a named value is a secret: `USER=demo` is none."""

LONG = 24
"""Characters from which on a secret may be shown in part."""

_SECRET = set(
    "password passwords passwd passphrase pwd pass secret secrets token credential credentials "
    "apikey authtoken accesstoken".split()
)
_PAIRS = {
    "api",
    "access",
    "private",
    "secret",
    "auth",
    "encryption",
    "signing",
    "session",
    "client",
    "account",
    "license",
}
"""Words that make a secret of a `key`."""

_OTHER = set(
    "type types count counts length len name names file filename files path paths url uri field fields header headers "
    "pattern regex re class cls env var limit size kind index sock socket id ids policy hint min max reset form "
    "expiry expires ttl age format manager store storage prompt label error errors list map".split()
)
"""Last words of names that hold something else: `token_count`, `password_file`."""

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def is_secret_name(name: str) -> bool:
    """Whether a variable, key or option of that name holds a secret, judged by its words."""
    if name in ("PWD", "OLDPWD"):
        return False
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or words[-1] in _OTHER:
        return False
    return any(word in _SECRET for word in words) or any(
        first in _PAIRS and second in ("key", "keys") for first, second in pairwise(words)
    )


def secret_values(named: Mapping[str, object]) -> Iterator[str]:
    """The texts of at least 8 characters that secret-looking names hold, also those inside a dict."""
    for name, value in list(named.items()):
        if not isinstance(name, str):
            continue
        if type(value) is dict:
            yield from secret_values(
                {key: inner for key, inner in list(value.items())[:200] if type(inner) is not dict}
            )
        elif is_secret_name(name):
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            if isinstance(text, str) and SHORTEST <= len(text) <= 10_000 and not text.isdigit():
                yield str(text)


def redact(text: str, known: Iterable[str] = ()) -> str:
    """`text` without secrets; those of `known` that have 8 characters are secret wherever they stand.

    A value is a secret by its name where it is quoted, in a name's own place,
    or where nothing in Python's syntax could stand there unquoted: the code
    `password = get_password()` stays as it is.
    """
    found: set[str] = set()
    text = _KEY_BLOCK.sub(lambda match: match["head"] + REDACTED + "\n" * match["body"].count("\n"), text)
    text = _URL.sub(_in_url, text)
    text = _SHAPES.sub(REDACTED, text)
    text = _named(text, found)
    for secret in sorted({*found, *known}, key=len, reverse=True):
        text = _everywhere(text, secret)
    return text


def has_token(text: str) -> bool:
    """Whether something in `text` has the shape that a service gives its tokens, or begins a private key."""
    return _SHAPES.search(text) is not None or "PRIVATE KEY-----" in text


def _everywhere(text: str, secret: str) -> str:
    """`text` without `secret`, as it is, escaped or quoted for a URL, where it is not part of a longer word."""
    if len(secret) < SHORTEST or secret == REDACTED:
        return text
    for form in dict.fromkeys((secret, repr(secret)[1:-1], quote(secret, safe=""))):
        if form in text:
            text = re.sub(rf"(?<!\w){re.escape(form)}(?!\w)", REDACTED, text)
    return _pieces(text, secret) if len(secret) >= LONG else text


def _pieces(text: str, secret: str) -> str:
    """`text` without pieces of a long secret, of which only the beginning or the end may have been shown."""
    parts = {secret[at : at + SHORTEST] for at in range(len(secret) - SHORTEST + 1)}
    found: list[str] = []
    done = at = 0
    while at <= len(text) - SHORTEST:
        if text[at : at + SHORTEST] not in parts:
            at += 1
            continue
        end = at + SHORTEST
        while text[end - SHORTEST + 1 : end + 1] in parts and end < len(text):
            end += 1
        found += [text[done:at], REDACTED + "\n" * text.count("\n", at, end)]
        done = at = end
    return "".join([*found, text[done:]])


# --- by their shape ---

_SHAPES = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}"  # GitHub
    r"|glpat-[A-Za-z0-9_-]{16,}"  # GitLab
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}"  # Slack
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"  # Amazon
    r"|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}"  # Google
    r"|hf_[A-Za-z0-9]{20,}"  # Hugging Face
    r"|sk-[A-Za-z0-9_-]{16,}|[rsp]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9]{16,}"  # OpenAI, Anthropic, Stripe
    r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"  # JSON web tokens
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"  # SendGrid
    r"|dop_v1_[a-f0-9]{32,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{24,}"  # DigitalOcean, Shopify
    r"|(?<=Bearer )[A-Za-z0-9._~+/=-]{8,}"
    r"|(?<=bearer )[A-Za-z0-9._~+/=-]{8,}|(?<=Basic )(?=[a-z]*[A-Z0-9+/=])[A-Za-z0-9+/=]{12,}"
    r")"
)

_KEY_BLOCK = re.compile(
    r"(?P<head>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)(?P<body>(?:(?!-----BEGIN )[\s\S])*?)(?=-----END|\Z)"
)

_URL = re.compile(
    r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]{0,30}://)(?P<user>[^\s:/@'\"]{0,100}):(?P<password>[^\s/'\"]{1,200})@"
)


def _in_url(match: re.Match[str]) -> str:
    password = match["password"]
    if re.fullmatch(r"\{[^{}]*\}|%\(?\w*\)?s|\$\{?\w+\}?|<[^<>]*>|\*+|\[redacted\]", password):
        return match[0]  # code that puts it there, or somebody has hidden it
    return f"{match['scheme']}{match['user']}:{REDACTED}@"


# --- by their name ---

_NAMES = re.compile(
    r"(?<![A-Za-z0-9_])(?P<name>[A-Za-z_][A-Za-z0-9_.-]{0,80})(?P<quote>['\"]?\]?)"
    r"(?P<sign>[ \t]{0,8}(?::[ \t]?[A-Za-z_][\w.\[\], |]{0,60}[ \t]?=(?!=)|[=!]=|:=|=>|[=:])[ \t]{0,8}"
    r"(?:\([ \t\n]{0,80})?)"
    r"|--(?P<option>[a-z][a-z-]{0,80})[ ](?=[^\s-])"
)
"""A name and the sign before its value: of a variable, a key, an option."""

_LITERAL = re.compile(
    r"[A-Za-z]{0,2}(?:(?P<long>\"\"\"|''')(?P<lines>(?:\\[\s\S]|(?!(?P=long))[\s\S]){0,20000}?)(?P=long)"
    r"|(?P<short>\"|')(?P<line>(?:\\.|(?!(?P=short))[^\n\\]){0,20000}?)(?P=short))"
)

_BETWEEN = re.compile(r"[ \t]*(?:\+|\*[ \t]*(?P<times>\d{1,6}))?[ \t]*(?:\\?\n[ \t]*)?(?:\+[ \t]*)?")

_BARE = re.compile(r"[^\s,;'\"()\[\]{}<>&]{8,}")

_EXPRESSION = re.compile(r"[A-Za-z_][\w.]*|[\d_.]+|None|True|False|\$\{?\w+\}?|%\(?\w*\)?s|\*+|\[redacted\]")
"""What can stand there in code, and what somebody has hidden already."""


def _named(text: str, found: set[str]) -> str:
    """`text` with the values of secret names redacted; `found` gets them."""
    pieces: list[str] = []
    done = 0
    for match in _NAMES.finditer(text):
        name = match["option"] or match["name"].rpartition(".")[2]
        if match.start() < done or not is_secret_name(name):
            continue
        at = match.end()
        literals = list(_literals(text, at, inside=match[0].rstrip().endswith("(")))
        if literals:
            values = [text[start:end] for start, end, _ in literals]
            if sum((end - start) * times for start, end, times in literals) < SHORTEST or all(
                _harmless(value) for value in values
            ):
                continue
            found.add("".join(values))
            found.update(value for value in values if len(value) >= SHORTEST and not _harmless(value))
            for start, end, _ in literals:
                pieces += [text[done:start], REDACTED + "\n" * text.count("\n", start, end) if end > start else ""]
                done = end
            continue
        bare = _BARE.match(text, at)
        if bare and _is_bare_secret(match, bare[0], text):
            value = bare[0].rstrip(".,:;!?")
            if len(value) < SHORTEST:
                continue
            found.add(value)
            pieces += [text[done:at], REDACTED]
            done = at + len(value)
    pieces.append(text[done:])
    return "".join(pieces)


def _literals(text: str, at: int, *, inside: bool) -> Iterator[tuple[int, int, int]]:
    """Where the texts of a string expression stand that begins at `at`, and how often; over lines `inside` brackets."""
    while True:
        literal = _LITERAL.match(text, at)
        if literal is None:
            return
        between = _BETWEEN.match(text, literal.end())
        times = int(between["times"] or 1) if between else 1
        yield *literal.span("lines" if literal["long"] else "line"), times
        at = between.end() if between else literal.end()
        if not inside and "\n" in text[literal.end() : at] and "\\" not in text[literal.end() : at]:
            return


def _harmless(value: str) -> bool:
    """Whether a quoted value is no secret: the name of a variable, a format, words of a sentence, hidden already."""
    return (
        value.isdigit()
        or (value.isidentifier() and value.islower() and is_secret_name(value))  # "password" is a name itself
        or re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|(\{[^{}]*\}|%s|\*|•|x|\.|\s|\[redacted\])*", value) is not None
        or re.search(r"%[-0-9.]*[sdrxf]", value) is not None
        or len(value.split()) > 6
    )


def _is_bare_secret(match: re.Match[str], value: str, text: str) -> bool:
    """Whether an unquoted value is a secret, not an expression: glued to its name, or nothing that code could be."""
    if _EXPRESSION.fullmatch(value.rstrip(".,:;!?")) is None:
        return any(char.isdigit() or not char.isalnum() for char in value) and not _CODE.search(value)
    if any(char.isdigit() for char in value) and any(char.isalpha() for char in value) and "." not in value:
        return _glued(match)
    before = text[max(0, match.start() - 1) : match.start()]
    return _glued(match) and before not in ("(", ",") and _call_end(text, match.end()) not in (")", ",", "(", ".", "[")


_CODE = re.compile(r"^[\w.]+[\[(]|^lambda\b|^[\w.]+\.\w+\(")


def _glued(match: re.Match[str]) -> bool:
    return match["sign"] in ("=", ":") if match["sign"] is not None else True


def _call_end(text: str, at: int) -> str:
    """The character after the bare word at `at`."""
    bare = _BARE.match(text, at)
    end = bare.end() if bare else at
    return text[end : end + 1]
