"""Judges whether a value is a secret rather than a placeholder, name, sentence or path."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache

from pytest_starcoder.redaction.patterns import lazy_pattern
from pytest_starcoder.redaction.secret_names import Naming, rate_name

REDACTED = "[redacted]"

MIN_LENGTH = 8
"""Minimum length from which any value of a secret name counts as secret."""

MIN_MIXED_LENGTH = 6
"""Minimum length of a secret value with letters and digits or signs: `hunter2`."""

_FILLER_WORDS = set(
    "your my the a an here this that for in of to is it not real some any this with and or no "
    "new old the use put set get from by on as per our user users me change changeme changeit "
    "replace replaceme insert enter fill add provide paste put please update configure".split()
)
_PLACEHOLDER_WORDS = set(
    "example examples sample samples placeholder dummy fake mock mocked stub test tests "
    "testing tester todo fixme tbd foo bar baz qux foobar changeme changeit default demo "
    "redacted hidden masked removed omitted none null nil undefined unset empty missing "
    "unknown xxx value string text true false yes off on local dev development staging "
    "production prod unit ci invalid wrong bad incorrect another other something whatever "
    "anything disabled enabled optional required auto inherit unused any custom basic bearer "
    "digest plain plaintext change replace insert your here xx xxxx na".split()
)
_NAME_WORDS = set(
    "password passwords passwd passphrase passcode pwd pass pw secret secrets token tokens "
    "credential credentials cred creds key keys api apikey access auth authentication "
    "authorization private public client id user username email account login session refresh "
    "csrf xsrf db database header name field form input type x hash salt encrypted encryption "
    "signing signature master root admin service app oauth oauth2 jwt bearer id openid reset "
    "forgot confirm confirmation current repeat retype verify host port code grant url uri "
    "file path env store manager provider expired request response error".split()
)
_TRANSLATIONS = set(
    "passwort kennwort losungswort geheimnis contrasena clave secreto senha segredo "
    "wachtwoord geheim lozinka heslo haslo parola sifre salasana adgangskode jelszo passord "
    "motdepasse jeton salainen secreto segreto tunnus zugangsdaten schluessel slaptazodis "
    "parool katasandi sandi matkhau codigo palavra chiave".split()
)
_NUMBERS = set(
    "12 123 1234 12345 123456 1234567 12345678 123456789 1234567890 0000 00000000 11111111 1 "
    "2 3".split()
)

_HARMLESS_WORDS = _FILLER_WORDS | _PLACEHOLDER_WORDS | _NAME_WORDS
_EXAMPLE_WORDS = _PLACEHOLDER_WORDS | {"your", "change", "insert"}

_WORD = lazy_pattern(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_TEMPLATE = lazy_pattern(
    r"\$\{\{?[^{}]*\}?\}|\{\{[^{}]*\}\}|\$\([^()]*\)|<%.*?%>|#\{[^{}]*\}|\{[^{}]*\}"
    r"|\[\[[^\[\]]*\]\]"
    r"|%\([\w.]+\)[-0-9.]*[a-z]|%[-0-9.]*[sdrxfiqv](?![A-Za-z0-9])|%[A-Za-z_]\w*%"
    r"|%\w+\([^()]*\)%|\$[A-Za-z_]\w*|<[A-Za-z_][^<>]*>"
    r"|\\\([^()]*\)|__[A-Z][A-Z_]+__|@[A-Z_]{3,}@"
)
_OPEN_TEMPLATE = lazy_pattern(r"\{[A-Za-z_][\w.]*[(\[]?\Z")
_MASKED = lazy_pattern(r"(?:[*•xX#.…_?-]|\s|\[redacted\])*")
_REGEX = lazy_pattern(
    r"\\[dwsSDWb](?![a-z])|\(\?[:=!<P]|\[\^?[A-Za-z0]-[A-Za-z9]|\.\*|\.\+|\{\d+,\d*\}\$?"
    r"|^\^.*\$$|\]\+|\\S"
)
_PATH = lazy_pattern(
    r"(?:~|\.{1,2})?/[\w.@-]+(?:/[\w.@ -]*)*|[A-Za-z]:\\\\?.*"
    r"|(?:[\w-]+/)*[\w-]+\.[a-z][a-z0-9]{1,4}|(?:[a-z_-]+/)+[a-z_.-]+/?|\.[a-z]\w{2,}"
)
_REFERENCE = lazy_pattern(
    r"(?:https?|ftp|file|wss?|git|ssh)://[^\s@]*"
    r"|(?:vault|ssm|env|op|arn|secret|secretsmanager|keyring|file|sops|kms|ref\+\w+"
    r"|azurekeyvault)[:/].*"
    r"|#/[\w/-]+|!\w+.*|projects/.*|@Microsoft\.KeyVault.*|ENC\(.*|ENC\[.*|urn:.*",
    re.IGNORECASE,
)
_CONSTANT_NAME = lazy_pattern(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_ATTRIBUTE = lazy_pattern(r"[A-Za-z_$]\w*(?:(?:\.|->|::|\?\.)[A-Za-z_]\w*)+(?:\(.*)?", re.DOTALL)
_CMDLET = lazy_pattern(
    r"(?:Get|Read|Set|New|ConvertTo|ConvertFrom|Import|Export|Out|Write|Invoke|Select)"
    r"-[A-Z][A-Za-z]+"
)
NAME_WITH_NUMBER = lazy_pattern(r"_*[a-z]{2,}\d{1,2}[a-z]{3,}")
"""A part of a dotted name with a number in it: `_win32typing`."""

_MODULE = lazy_pattern(r"[a-z_]{2,}(?:\.[a-z_]{2,})+\.[A-Za-z]\w*")
_VALIDATION_RULES = lazy_pattern(r"[a-z_]+(?::[\w,]+)?(?:\|[a-z_]+(?::[\w,]+)?)+")
_CALL = lazy_pattern(
    r"[A-Za-z_][\w.]*\(.*|[\w.]+\[.*|lambda\b.*|await\s.*|new\s.*|function\b.*|&\w+|\*\w+",
    re.DOTALL,
)
_EMAIL = lazy_pattern(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}")
_SELECTOR = lazy_pattern(
    r"[#.][A-Za-z][A-Za-z_-]*(?:[ >.#:][A-Za-z_-]+)*|\w*\[[\w-]+[~|^$*]?=.*\]|//\w.*|input#.*"
)
_DATE = lazy_pattern(
    r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?|\d+(?:\.\d+)+|v\d+(?:\.\d+)*(?:[-.]\w+)?"
)
_MARKUP = lazy_pattern(r"</?[a-zA-Z!][^<>]*>|&[a-z]+;")
_ALGORITHM = lazy_pattern(
    r"base-?(?:16|32|58|64)(?:url)?|utf-?\d+\w*|latin-?1|us-ascii"
    r"|(?:hmac-?|scram-)?(?:sha|md|hs|rs|es|ps|aes|rsa|ripemd)-?\d+[\w/+-]*"
    r"|(?:argon2|bcrypt|scrypt|pbkdf2|blowfish|chacha20|x25519|ed25519|secp\d+\w\d|curve25519)"
    r"[\w-]*",
    re.IGNORECASE,
)
_YOUR_KEY = lazy_pattern(
    r".*\byour[\s_-].*(?:here|key|token|secret|password|value)\W*|.*[_-]your[_-].*", re.IGNORECASE
)
_MIME = lazy_pattern(r"[a-z]+/[a-z0-9.+-]+(?:;.*)?")
_PLAIN_WORD = lazy_pattern(r"[A-Za-z0-9!@#&*?~+_-]{8,200}")
"""Characters of a plain word: not of a template, path, call or sentence."""

_ALPHABET = lazy_pattern(r"abcdefghijklm|ABCDEFGHIJKLM|qwertyuiop")
_COMMON_WORDS = set(
    "the a an is are was were be been must may can should has have had do does not no your "
    "you my our their its it this that these those of for to in on at by with from and or if "
    "then than when who which please enter type forgot reset change new old current confirm "
    "invalid incorrect wrong required missing expired too short long at least characters de "
    "la le les des du un une el los las y o et en und oder der die das ihr ein eine mit von "
    "zu zum zur per il lo gli e di da do da os as um uma com para se su tu votre vos mot "
    "passe passwort vergessen ist".split()
)

_SPACE = lazy_pattern(r"\s")
_DIGIT = lazy_pattern(r"\d")
_LETTER = lazy_pattern(r"[A-Za-z]")
_LOWER = lazy_pattern(r"[a-z]")
_UPPER = lazy_pattern(r"[A-Z]")
_CASE_CHANGES = lazy_pattern(r"[a-z][A-Z]")
_DIGIT_CHANGES = lazy_pattern(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_WITH_SIGNS = lazy_pattern(
    r"[A-Za-z0-9!@#$%^&*?~+=-]*[A-Za-z0-9][!@#$%^&*?~+][A-Za-z0-9!@#$%^&*?~+=-]*"
)
_NUMBERED_NAME = lazy_pattern(
    r"(?:[A-Za-z]*[a-z]{2,}|[A-Z]+|[a-z]?)\d{0,4}"
    r"(?:[_.-](?:[A-Za-z]+\d{0,4}|\d{1,8}|v?\d[\w.]{0,4}|py3|x86|i\d+n))*"
    r"|[A-Z][a-z]+\d{1,4}(?:[A-Z][a-z]+\d{0,4})*"
    r"|(?:utf|sha|md|base|aes|rsa|int|uint|float|i|x|h|b|s|v|win|amd|arm)\d+\w{0,12}"
)
"""Identifiers with numbers at the end of a part: `test_user_1`, `sha256sum`, `Step2Done`."""

_SENTENCE_WORDS = _COMMON_WORDS | _NAME_WORDS | _TRANSLATIONS

_CODE_PATTERNS = (_CMDLET, _MODULE, _VALIDATION_RULES)
_HARMLESS_PATTERNS = (
    _REFERENCE,
    _PATH,
    _EMAIL,
    _SELECTOR,
    _DATE,
    _MIME,
    _ALGORITHM,
    _YOUR_KEY,
)
_STRUCTURED_PATTERNS = (_DATE, _PATH, _REFERENCE, _EMAIL, _NUMBERED_NAME, _CALL)
"""Values that mix letters and digits and are not random."""

_FIXED_PLACEHOLDERS = frozenset(
    "changeme changeit replaceme notasecret yoursecret fixme insecure".split()
)
_REPEATED = lazy_pattern(r"(.)\1*|(?:xx+|\.\.\.|…|\*+|-)+", re.IGNORECASE)
_NO_PLACEHOLDER = lazy_pattern(r"[^\w\s.,:;!?<>()/'\"\[\]{}…-]|[^\x00-\x7f…]")
_PUNCTUATION = ".,:;!?()'\""
_PLAIN_SPELLING = lazy_pattern(r"[a-z]+(?:['-][a-z]+)*")
_CAPITALIZED = lazy_pattern(r"[A-Z][a-z]+(?:-[a-z]+)*")
_HYPHENATED_NAME = lazy_pattern(r"[A-Za-z_][A-Za-z_-]*")
_KEY_CHARACTERS = lazy_pattern(r"[A-Za-z0-9+/=_.~%$:-]+")
_CHECKSUM = lazy_pattern(r"(?:0x)?[0-9a-f]+|(?:0x)?[0-9A-F]+|[0-9a-f-]{36}")
_SIGN = lazy_pattern(r"[^A-Za-z\s_]")


def is_harmless(value: str) -> bool:
    """Return whether a value under a secret name is no secret.

    Such values are placeholders, names, words, templates, or hidden already.
    """
    if REDACTED in value or _MASKED.fullmatch(value):
        return True
    if len(value) >= 20 and _ALPHABET.search(value):
        return True
    stripped = value.strip()
    # Most secrets are plain random words, so the costlier patterns are rarely needed.
    if _PLAIN_WORD.fullmatch(stripped) and is_random(stripped):
        return False
    # The patterns would be slow for long values: these are prose, or else secret.
    if len(stripped) > 3000:
        return " " in stripped[:200] and "\n" not in stripped[:200]
    return _is_harmless(stripped)


@lru_cache(1 << 16)
def _is_harmless(value: str) -> bool:
    for is_kind in (_is_template, is_placeholder, _is_sentence, _is_label, _is_name_in_code):
        if is_kind(value):
            return True
    if any(pattern.fullmatch(value) for pattern in _HARMLESS_PATTERNS):
        return True
    if _OPEN_TEMPLATE.search(value) or _MARKUP.search(value):
        return True
    return _REGEX.search(value) is not None and any(char in value for char in "\\[({^.*+")


def _is_template(value: str) -> bool:
    """Return whether the value is a template that is filled when it is used."""
    rest = _TEMPLATE.sub(" ", value)
    if rest == value:
        return False
    return not any(is_random(word) for word in re.split(r"[\s:/=;&,?]+", rest))


def is_placeholder(value: str) -> bool:
    """Return whether a value is a placeholder: `your-api-key-here`, `changeme`, `<token>`."""
    is_in_brackets = value.startswith("<") and value.endswith(">")
    if is_in_brackets or _REPEATED.fullmatch(value):
        return True
    if re.sub(r"[\s_-]", "", value).lower() in _FIXED_PLACEHOLDERS:
        return True
    words = [word.lower() for word in _WORD.findall(value)]
    if not words or _NO_PLACEHOLDER.search(value):
        return False
    if "".join(words) in _NUMBERS or re.search(r"xxx+", value, re.IGNORECASE):
        return True
    return _are_harmless(set(words))


def _are_harmless(words: set[str]) -> bool:
    unusual = words - _HARMLESS_WORDS
    if not unusual:
        return True
    # Numbers are harmless in `test-key-123`, but not in `token-123`.
    return unusual <= _NUMBERS and not _EXAMPLE_WORDS.isdisjoint(words)


def _is_sentence(value: str) -> bool:
    """Return whether the value is text in a human language."""
    words = value.split()
    if len(words) < 2 or (" " not in value and len(words) < 4):
        return False
    if any(is_random(word.strip(_PUNCTUATION)) for word in words):
        return False
    has_foreign_letter = any(char.isalpha() and not char.isascii() for char in value)
    return len(words) > 6 or has_foreign_letter or _is_short_sentence(value, words)


def _is_short_sentence(value: str, words: list[str]) -> bool:
    """Return whether two to six English words are a sentence or a label, not a passphrase."""
    lowered = [word.strip(_PUNCTUATION + "…#@-").lower() for word in words]
    plain = [word for word in lowered if _PLAIN_SPELLING.fullmatch(word)]
    if len(plain) < 0.6 * len(words):
        return False
    # Four to six lower-case words without a common one are a passphrase.
    is_passphrase = len(words) >= 4 and _SENTENCE_WORDS.isdisjoint(lowered)
    has_sentence_case = value[:1].isupper() or value[-1:] in ".?!:…,"
    return has_sentence_case or not is_passphrase


def _is_label(value: str) -> bool:
    """Return whether the value is one natural word: `Passwort`, `パスワード`, `Contraseña:`."""
    word = value.rstrip(":*?!. …")
    if not word or any(char.isdigit() for char in word):
        return False
    if not word.isascii():
        marks = "-' \u2019\u0640\u200c\u200d"
        return all(char.isalpha() or char in marks or ord(char) > 0x300 for char in word)
    return _CAPITALIZED.fullmatch(word) is not None or word.lower() in _TRANSLATIONS


def _is_name_in_code(value: str) -> bool:
    """Return whether the value is an identifier, an attribute, a call, a header."""
    if _CONSTANT_NAME.fullmatch(value):
        return not any(is_random(word) for word in value.split("_"))
    if any(pattern.fullmatch(value) for pattern in _CODE_PATTERNS):
        return True
    if _ATTRIBUTE.fullmatch(value) or _CALL.fullmatch(value):
        longest = max(re.split(r"\W+", value.partition("(")[0]), key=len)
        return NAME_WITH_NUMBER.fullmatch(longest) is not None or not is_random(longest)
    return _is_secret_name(value)


def _is_secret_name(value: str) -> bool:
    """Return whether the value is itself the name of a secret: `x-api-key`, `userPassword`."""
    if not _HYPHENATED_NAME.fullmatch(value) or not _LOWER.search(value):
        return False
    words = [word.lower() for word in _WORD.findall(value)]
    if not 2 <= len(words) <= 4 or words[-1] not in _NAME_WORDS:
        return False
    return rate_name(value.replace("-", "_")) > Naming.HINT


def is_random(value: str) -> bool:
    """Return whether letters and digits are mixed as in no identifier: `Zq8xV3nB7mK2`."""
    if not MIN_LENGTH <= len(value) <= 5000 or not value.isascii() or _SPACE.search(value):
        return False
    return _is_random(value)


@lru_cache(1 << 16)
def _is_random(value: str) -> bool:
    if not _LETTER.search(value):
        return False
    has_signs = _WITH_SIGNS.fullmatch(value) is not None  # `tr0ub4dor&3`, `p@ssw0rd!`
    if not _DIGIT.search(value):
        return has_signs
    if any(pattern.fullmatch(value) for pattern in _STRUCTURED_PATTERNS):
        return False
    changes = len(_DIGIT_CHANGES.findall(value))
    if has_signs:
        return changes > 0
    return _is_irregular(value, changes)


def _is_irregular(value: str, changes: int) -> bool:
    """Return whether letters and digits, which alternate `changes` times, follow no pattern."""
    # The more often they alternate, the shorter a random value may be.
    if changes == 1:
        return len(value) >= 16 and len(_CASE_CHANGES.findall(value)) >= 4
    if changes == 2:
        has_both_cases = _LOWER.search(value) and _UPPER.search(value)
        return len(value) >= 12 or bool(has_both_cases)
    return changes >= 3


def entropy(value: str) -> float:
    """Return the Shannon entropy of a text, in bits per character."""
    bits = 0.0
    for count in Counter(value).values():
        share = count / len(value)
        bits -= share * math.log2(share)
    return bits


def is_secret_value(value: str, naming: Naming) -> bool:
    """Return whether a quoted or unambiguous value is a secret under a name of this strength."""
    if naming is Naming.NOTHING or is_harmless(value) or _is_prose(value):
        return False
    stripped = value.strip()
    if naming is Naming.HINT:
        return _is_dense(stripped) and _CHECKSUM.fullmatch(stripped) is None
    if len(stripped) < MIN_LENGTH:
        return _is_short_secret(stripped)
    return naming is Naming.STRONG or is_random(stripped) or _is_no_word(stripped)


def _is_no_word(value: str) -> bool:
    """Return whether a value is no word of a parser, as those that its tests call `token`."""
    if not _DIGIT.search(value):
        return False
    if _is_mixed(value) and not _NUMBERED_NAME.fullmatch(value):
        return True
    return len(value) >= 9 and value.isalnum()


def _is_short_secret(value: str) -> bool:
    """Return whether a short value is like `hunter2`."""
    if len(value) < MIN_MIXED_LENGTH or value[-1] in ":=":
        return False
    return _is_mixed(value) and _DIGIT.search(value) is not None


def _is_mixed(value: str) -> bool:
    """Return whether letters stand beside digits or signs."""
    return _LETTER.search(value) is not None and _SIGN.search(value) is not None


def _is_dense(value: str) -> bool:
    """Return whether a long word is as random as a key."""
    if len(value) < 16 or not _KEY_CHARACTERS.fullmatch(value):
        return False
    return is_random(value) and entropy(value) >= 3.0


def _is_prose(value: str) -> bool:
    """Return whether the value is lines of text or code; lines of a key have no blanks."""
    if "\n" not in value:
        return len(value) > 300 and value.count(" ") > 3
    return any(len(line.split()) > 1 for line in value.split("\n"))


def may_spread(value: str) -> bool:
    """Return whether a learned value is secret everywhere, unlike ordinary words."""
    stripped = value.strip()
    if len(stripped) < MIN_LENGTH or stripped.isdigit() or "\n" in stripped:
        return False
    if is_harmless(stripped):
        return False
    if _DIGIT.search(stripped) or is_random(stripped):
        is_name = _NUMBERED_NAME.fullmatch(stripped) and re.fullmatch(r"[a-z_]+\d?", stripped)
        return not is_name or len(stripped) >= 12
    return not _may_be_words(stripped)


def _may_be_words(value: str) -> bool:
    """Return whether a value without digits may also stand in ordinary text."""
    if re.fullmatch(r"[A-Za-z]+", value):
        return len(value) < 24
    is_phrase = len(value) < 16 and len(value.split()) > 1
    return is_phrase or re.fullmatch(r"[a-z]+_[a-z]+", value) is not None
