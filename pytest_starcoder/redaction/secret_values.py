"""Judges whether a value is a secret rather than a placeholder, name, sentence or path."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache

from pytest_starcoder.redaction.patterns import lazily
from pytest_starcoder.redaction.secret_names import Naming, naming

REDACTED = "[redacted]"

SHORTEST = 8
"""Minimum length from which any value of a secret name counts as secret."""

SHORT = 6
"""Minimum length of a secret value with letters and digits or signs: `hunter2`."""

_FILLERS = set(
    "your my the a an here this that for in of to is it not real some any this with and or no new old the use put "
    "set get from by on as per our user users me change changeme changeit replace replaceme insert enter fill add "
    "provide paste put please update configure".split()
)
_PLACEHOLDERS = set(
    "example examples sample samples placeholder dummy fake mock mocked stub test tests testing tester todo fixme "
    "tbd foo bar baz qux foobar changeme changeit default demo redacted hidden masked removed omitted none null nil "
    "undefined unset empty missing unknown xxx value string text true false yes off on local dev development "
    "staging production prod unit ci invalid wrong bad incorrect another other something whatever anything "
    "disabled enabled optional required auto inherit unused any custom basic bearer digest plain plaintext "
    "change replace insert your here xx xxxx na".split()
)
_NAMES = set(
    "password passwords passwd passphrase passcode pwd pass pw secret secrets token tokens credential credentials "
    "cred creds key keys api apikey access auth authentication authorization private public client id user username "
    "email account login session refresh csrf xsrf db database header name field form input type x hash salt "
    "encrypted encryption signing signature master root admin service app oauth oauth2 jwt bearer id openid "
    "reset forgot confirm confirmation current repeat retype verify host port code grant url uri file path env "
    "store manager provider expired request response error".split()
)
_TRANSLATIONS = set(
    "passwort kennwort losungswort geheimnis contrasena clave secreto senha segredo wachtwoord geheim lozinka heslo "
    "haslo parola sifre salasana adgangskode jelszo passord motdepasse jeton salainen secreto segreto tunnus "
    "zugangsdaten schluessel slaptazodis parool katasandi sandi matkhau codigo palavra chiave".split()
)
_LOCKED = set(
    "12 123 1234 12345 123456 1234567 12345678 123456789 1234567890 0000 00000000 11111111 1 2 3".split()
)

_ALLOWED = _FILLERS | _PLACEHOLDERS | _NAMES

_WORD = lazily(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_TEMPLATE = lazily(
    r"\$\{\{?[^{}]*\}?\}|\{\{[^{}]*\}\}|\$\([^()]*\)|<%.*?%>|#\{[^{}]*\}|\{[^{}]*\}|\[\[[^\[\]]*\]\]"
    r"|%\([\w.]+\)[-0-9.]*[a-z]|%[-0-9.]*[sdrxfiqv](?![A-Za-z0-9])|%[A-Za-z_]\w*%|%\w+\([^()]*\)%|\$[A-Za-z_]\w*|<[A-Za-z_][^<>]*>"
    r"|\\\([^()]*\)|__[A-Z][A-Z_]+__|@[A-Z_]{3,}@"
)
_OPENED = lazily(r"\{[A-Za-z_][\w.]*[(\[]?\Z")
_HIDDEN = lazily(r"(?:[*•xX#.…_?-]|\s|\[redacted\])*")
_REGEX = lazily(
    r"\\[dwsSDWb](?![a-z])|\(\?[:=!<P]|\[\^?[A-Za-z0]-[A-Za-z9]|\.\*|\.\+|\{\d+,\d*\}\$?|^\^.*\$$|\]\+|\\S"
)
_PATH = lazily(r"(?:~|\.{1,2})?/[\w.@-]+(?:/[\w.@ -]*)*|[A-Za-z]:\\\\?.*|(?:[\w-]+/)*[\w-]+\.[a-z][a-z0-9]{1,4}"
                   r"|(?:[a-z_-]+/)+[a-z_.-]+/?|\.[a-z]\w{2,}")  # fmt: skip
_REFERENCE = lazily(
    r"(?:https?|ftp|file|wss?|git|ssh)://[^\s@]*|(?:vault|ssm|env|op|arn|secret|secretsmanager|keyring|file|sops|kms|"
    r"ref\+\w+|azurekeyvault)[:/].*|#/[\w/-]+|!\w+.*|projects/.*|@Microsoft\.KeyVault.*|ENC\(.*|ENC\[.*|urn:.*",
    re.IGNORECASE,
)
_SCREAMING = lazily(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_DOTTED = lazily(r"[A-Za-z_$]\w*(?:(?:\.|->|::|\?\.)[A-Za-z_]\w*)+(?:\(.*)?", re.DOTALL)
_CMDLET = lazily(
    r"(?:Get|Read|Set|New|ConvertTo|ConvertFrom|Import|Export|Out|Write|Invoke|Select)-[A-Z][A-Za-z]+"
)
NUMBERED = lazily(r"_*[a-z]{2,}\d{1,2}[a-z]{3,}")
"""A part of a dotted name with a number in it: `_win32typing`."""

_MODULE = lazily(r"[a-z_]{2,}(?:\.[a-z_]{2,})+\.[A-Za-z]\w*")
_RULES = lazily(r"[a-z_]+(?::[\w,]+)?(?:\|[a-z_]+(?::[\w,]+)?)+")
_CALLED = lazily(
    r"[A-Za-z_][\w.]*\(.*|[\w.]+\[.*|lambda\b.*|await\s.*|new\s.*|function\b.*|&\w+|\*\w+",
    re.DOTALL,
)
_MAIL = lazily(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}")
_SELECTOR = lazily(
    r"[#.][A-Za-z][A-Za-z_-]*(?:[ >.#:][A-Za-z_-]+)*|\w*\[[\w-]+[~|^$*]?=.*\]|//\w.*|input#.*"
)
_DATE = lazily(
    r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?|\d+(?:\.\d+)+|v\d+(?:\.\d+)*(?:[-.]\w+)?"
)
_MARKUP = lazily(r"</?[a-zA-Z!][^<>]*>|&[a-z]+;")
_ALGORITHM = lazily(
    r"base-?(?:16|32|58|64)(?:url)?|utf-?\d+\w*|latin-?1|us-ascii|(?:hmac-?|scram-)?(?:sha|md|hs|rs|es|ps|aes|rsa|ripemd)-?\d+"
    r"[\w/+-]*|(?:argon2|bcrypt|scrypt|pbkdf2|blowfish|chacha20|x25519|ed25519|secp\d+\w\d|curve25519)[\w-]*",
    re.IGNORECASE,
)
_YOURS = lazily(
    r".*\byour[\s_-].*(?:here|key|token|secret|password|value)\W*|.*[_-]your[_-].*", re.IGNORECASE
)
_MIME = lazily(r"[a-z]+/[a-z0-9.+-]+(?:;.*)?")
_SOLID = lazily(r"[A-Za-z0-9!@#&*?~+_-]{8,200}")
"""Characters of a plain word: not of a template, path, call or sentence."""

_ALPHABET = lazily(r"abcdefghijklm|ABCDEFGHIJKLM|qwertyuiop")
_COMMON = set(
    "the a an is are was were be been must may can should has have had do does not no your you my our their its "
    "it this "
    "that these those of for to in on at by with from and or if then than when who which please enter type forgot "
    "reset change new old current confirm invalid incorrect wrong required missing expired too short long at least "
    "characters de la le les des du un une el los las y o et en und oder der die das ihr ein eine mit von zu zum zur "
    "per il lo gli e di da do da os as um uma com para se su tu votre vos mot passe passwort vergessen ist".split()
)


def is_harmless(value: str) -> bool:
    """Return whether a value under a secret name is none: a placeholder, a name, words, hidden."""
    if REDACTED in value or _HIDDEN.fullmatch(value):
        return True
    if len(value) >= 20 and _ALPHABET.search(value):
        return True
    bare = value.strip()
    if _SOLID.fullmatch(bare) and is_random(bare):
        return False
    if len(bare) > 3000:
        return " " in bare[:200] and "\n" not in bare[:200]
    return _is_harmless(bare)


@lru_cache(1 << 16)
def _is_harmless(value: str) -> bool:
    return (
        _is_template(value)
        or is_placeholder(value)
        or _is_sentence(value)
        or _is_label(value)
        or _is_code(value)
        or any(
            pattern.fullmatch(value)
            for pattern in (_REFERENCE, _PATH, _MAIL, _SELECTOR, _DATE, _MIME, _ALGORITHM, _YOURS)
        )
        or _OPENED.search(value) is not None
        or _MARKUP.search(value) is not None
        or (_REGEX.search(value) is not None and any(char in value for char in "\\[({^.*+"))
    )


def _is_template(value: str) -> bool:
    """Return whether the value is a template that is filled when it is used."""
    rest = _TEMPLATE.sub(" ", value)
    if rest == value:
        return False
    return not any(is_random(word) for word in re.split(r"[\s:/=;&,?]+", rest))


def is_placeholder(value: str) -> bool:
    """Return whether a value is a placeholder: `your-api-key-here`, `changeme`, `<token>`."""
    if value.startswith("<") and value.endswith(">"):
        return True
    if re.fullmatch(r"(.)\1*", value) or re.fullmatch(
        r"(?:xx+|\.\.\.|…|\*+|-)+", value, re.IGNORECASE
    ):
        return True
    joined = re.sub(r"[\s_-]", "", value).lower()
    if joined in (
        "changeme",
        "changeit",
        "replaceme",
        "notasecret",
        "yoursecret",
        "fixme",
        "insecure",
    ):
        return True
    words = [word.lower() for word in _WORD.findall(value)]
    if not words or re.search(r"[^\w\s.,:;!?<>()/'\"\[\]{}…-]|[^\x00-\x7f…]", value):
        return False
    if "".join(words) in _LOCKED:
        return True
    if re.search(r"xxx+", value, re.IGNORECASE):
        return True
    pretend = any(word in _PLACEHOLDERS or word in ("your", "change", "insert") for word in words)
    return all(word in _ALLOWED or (pretend and word in _LOCKED) for word in words)


def _is_sentence(value: str) -> bool:
    """Return whether the value is text in a human language."""
    words = value.split()
    if len(words) < 2 or (" " not in value and len(words) < 4):
        return False
    if any(is_random(word.strip(".,:;!?()'\"")) for word in words):
        return False
    if any(ord(char) > 127 and char.isalpha() for char in value):
        return True
    letters = [word.strip(".,:;!?()'\"…#@-").lower() for word in words]
    plain = sum(re.fullmatch(r"[a-z]+(?:['-][a-z]+)*", word) is not None for word in letters)
    if plain < 0.6 * len(words):
        return len(words) > 6
    if value[:1].isupper() or value[-1:] in ".?!:…," or len(words) > 6:
        return True
    known = _COMMON | _NAMES | _TRANSLATIONS
    return any(word in known for word in letters) or len(words) < 4


def _is_label(value: str) -> bool:
    """Return whether the value is one natural word: `Passwort`, `パスワード`, `Contraseña:`."""
    bare = value.rstrip(":*?!. …")
    if not bare or any(char.isdigit() for char in bare):
        return False
    if any(ord(char) > 127 for char in bare):
        return all(
            char.isalpha() or char in "-' \u2019\u0640\u200c\u200d" or ord(char) > 0x300
            for char in bare
        )
    if re.fullmatch(r"[A-Z][a-z]+(?:-[a-z]+)*", bare):
        return True
    return bare.lower() in _TRANSLATIONS


def _is_code(value: str) -> bool:
    """Return whether the value is a name: an identifier, an attribute, a call, a header."""
    if _SCREAMING.fullmatch(value):
        return not any(is_random(word) for word in value.split("_"))
    if _CMDLET.fullmatch(value) or _MODULE.fullmatch(value) or _RULES.fullmatch(value):
        return True
    if _DOTTED.fullmatch(value) or _CALLED.fullmatch(value):
        longest = max(re.split(r"\W+", value.partition("(")[0]), key=len)
        return NUMBERED.fullmatch(longest) is not None or not is_random(longest)
    if re.fullmatch(r"[A-Za-z_][A-Za-z_-]*", value) and re.search(r"[a-z]", value):
        words = [word.lower() for word in _WORD.findall(value)]
        named = (
            len(words) > 1
            and any(word in _NAMES for word in words[-1:])
            and naming(value.replace("-", "_")) > 1
        )
        return named and len(words) <= 4 and all(word.isalpha() for word in words)
    return False


def is_random(value: str) -> bool:
    """Return whether letters and digits are mixed as in no identifier: `Zq8xV3nB7mK2`."""
    if not SHORTEST <= len(value) <= 5000 or not value.isascii() or _SPACE.search(value):
        return False
    return _is_random(value)


@lru_cache(1 << 16)
def _is_random(value: str) -> bool:
    if not _DIGIT.search(value) or not _LETTER.search(value):
        return bool(_LETTER.search(value)) and _has_odd_signs(value)
    if any(
        pattern.fullmatch(value) for pattern in (_DATE, _PATH, _REFERENCE, _MAIL)
    ) or _WORDY.fullmatch(value):
        return False
    if _CALLED.fullmatch(value):
        return False
    changes = len(_CHANGES.findall(value))
    if _has_odd_signs(value) and changes >= 1:
        return True
    if changes >= 3:
        return True
    cases = bool(_LOWER.search(value)) and bool(_UPPER.search(value))
    flips = len(_FLIPS.findall(value))
    return (changes >= 2 and (cases or len(value) >= 12)) or (
        len(value) >= 16 and flips >= 4 and changes >= 1
    )


_SPACE = lazily(r"\s")
_DIGIT = lazily(r"\d")
_LETTER = lazily(r"[A-Za-z]")
_LOWER = lazily(r"[a-z]")
_UPPER = lazily(r"[A-Z]")
_FLIPS = lazily(r"[a-z][A-Z]")
_CHANGES = lazily(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_ODD = lazily(r"[A-Za-z0-9!@#$%^&*?~+=-]*[A-Za-z0-9][!@#$%^&*?~+][A-Za-z0-9!@#$%^&*?~+=-]*")
_WORDY = lazily(
    r"(?:[A-Za-z]*[a-z]{2,}|[A-Z]+|[a-z]?)\d{0,4}(?:[_.-](?:[A-Za-z]+\d{0,4}|\d{1,8}|v?\d[\w.]{0,4}|py3|x86|i\d+n))*"
    r"|[A-Z][a-z]+\d{1,4}(?:[A-Z][a-z]+\d{0,4})*|(?:utf|sha|md|base|aes|rsa|int|uint|float|i|x|h|b|s|v|win|amd|arm)\d+\w{0,12}"
)
"""Identifiers with numbers at the end of a part: `test_user_1`, `sha256sum`, `Step2Done`."""


def _has_odd_signs(value: str) -> bool:
    """Return whether a word contains signs that code does not: `tr0ub4dor&3`, `p@ssw0rd!`."""
    return _ODD.fullmatch(value) is not None


def entropy(value: str) -> float:
    """Return the Shannon entropy of a text, in bits per character."""
    size = len(value)
    return (
        -sum(count / size * math.log2(count / size) for count in Counter(value).values())
        if size
        else 0.0
    )


def is_dense(value: str) -> bool:
    """Return whether a long word is as random as a key: for weak names."""
    if (
        len(value) < 16
        or not re.fullmatch(r"[A-Za-z0-9+/=_.~%$:-]+", value)
        or _WORDY.fullmatch(value)
    ):
        return False
    return is_random(value) and entropy(value) >= 3.0


def is_secret_value(value: str, name: Naming) -> bool:
    """Return whether a quoted or unambiguous value is a secret under a name of this strength."""
    if name is Naming.NOTHING or is_harmless(value) or _is_prose(value):
        return False
    bare = value.strip()
    if name is Naming.HINT:
        return (
            is_dense(bare)
            and re.fullmatch(r"(?:0x)?[0-9a-f]+|(?:0x)?[0-9A-F]+|[0-9a-f-]{36}", bare) is None
        )
    mixed = (
        re.search(r"[A-Za-z]", bare) is not None and re.search(r"[^A-Za-z\s_]", bare) is not None
    )
    if len(bare) < SHORTEST:
        return (
            len(bare) >= SHORT
            and mixed
            and re.search(r"\d", bare) is not None
            and not bare.endswith((":", "=", " "))
        )
    if name is Naming.WEAK:
        return is_random(bare) or (mixed and re.search(r"\d", bare) is not None and _WORDY.fullmatch(bare) is None) or (
            len(bare) >= 9 and re.search(r"\d", bare) is not None and bare.isalnum())  # fmt: skip
    return True


def _is_prose(value: str) -> bool:
    """Return whether the value is lines of text or code; lines of a key have no blanks."""
    if "\n" not in value:
        return len(value) > 300 and value.count(" ") > 3
    return any(len(line.split()) > 1 for line in value.split("\n"))


def may_spread(value: str) -> bool:
    """Return whether a learned value is secret everywhere, unlike ordinary words."""
    bare = value.strip()
    if len(bare) < SHORTEST or bare.isdigit() or is_harmless(bare) or "\n" in bare:
        return False
    if len(bare.split()) > 1 and not re.search(r"\d", bare) and len(bare) < 16:
        return False
    if is_random(bare) or re.search(r"\d", bare):
        return (
            _WORDY.fullmatch(bare) is None
            or len(bare) >= 12
            or not re.fullmatch(r"[a-z_]+\d?", bare)
        )
    if re.fullmatch(r"[A-Za-z]+", bare):
        return len(bare) >= 24
    return re.fullmatch(r"[a-z]+(?:_[a-z]+)?", bare) is None
