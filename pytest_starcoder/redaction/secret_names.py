"""Rates by its name whether a variable, key, option or header holds a secret."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from itertools import pairwise

from pytest_starcoder.redaction.patterns import lazy_pattern


class Naming(IntEnum):
    """Strength with which a name suggests a secret; the weaker, the more its value must show."""

    NOTHING = 0
    HINT = 1
    """`cookie`, `signature`, `encryption_iv`: only a long random value is a secret."""
    WEAK = 2
    """`token`, `pass`: also words of parsers and tests, so a value of letters alone is none."""
    STRONG = 3
    """`password`, `api_key`, `client_secret`."""


_PASSWORDS = set(
    "password passwords passwd passwds passphrase passphrases passcode pwd pswd pword "
    "passwort passworte kennwort contrasena contraseña senha motdepasse wachtwoord haslo "
    "hasło lösenord losenord пароль 密码 密碼 パスワード 비밀번호".split()
)
_SECRETS = set(
    "secret secrets credential credentials cred creds apikey apikeys authtoken accesstoken "
    "secretkey privatekey accesskey authkey sharedkey masterkey signingkey bearer".split()
)
_WEAK_WORDS = set("token pass pw jwt".split())
_HINT_WORDS = set(
    "tokens key keys auth authorization cookie cookies session sessionid sid sig signature "
    "salt seed otp pin webhook dsn csrf xsrf nonce iv hmac".split()
)

_KEY_WORDS = set(
    "api access private secret auth encryption signing session client account license service "
    "shared master consumer app application db database storage aws azure gcp stripe twilio "
    "sendgrid mailgun openai anthropic jwt hmac cipher crypto deploy ssh webhook admin root "
    "subscription function host instrumentation ingest write datadog newrelic algolia maps "
    "aes des rsa hkdf fernet".split()
)
"""Words that make a `key` a secret."""

_TOKEN_WORDS = set(
    "access auth api bearer refresh bot id session csrf xsrf oauth oauth2 github gitlab slack "
    "npm pypi hf huggingface deploy vault user admin service secret personal jwt device push "
    "reset login registry ci sas discord telegram aws sts security".split()
)
"""Words that make a `token` a secret, whatever its value looks like."""

_POSITION_WORDS = set(
    "next idempotency starting request page paging continuation sync cursor marker lifecycle "
    "parser start stop end first last previous current unexpected expected lookahead eof "
    "pagination resume skip change action lock".split()
)
"""Words that make a `token` a position in a list or a text."""

_PASS_WORDS = set(
    "smtp db database mysql ssh user admin mail email ftp redis postgres pg ldap proxy root "
    "app http basic auth key wifi vpn sudo svn login rabbitmq amqp mongo sql imap pop3 sftp "
    "api service account".split()
)
"""Words that make a `pass` a password."""

_OTHER_ENDINGS = set(
    "type types count counts length len name names file filename filenames files path paths "
    "url urls uri uris field fields header headers pattern patterns regex regexp re class cls "
    "env var limit limits size kind index sock socket ids policy policies hint hints min max "
    "reset form forms expiry expires expiration ttl age format manager store storage prompt "
    "label labels error errors list map message messages msg title text help description desc "
    "placeholder validator validators validation required invalid changed updated strength "
    "rule rules template templates view page screen button link input id column table "
    "generator factory provider service handler helper parser reader writer checker hasher "
    "backend endpoint route scope scopes version algorithm encoding charset mode status state "
    "enabled disabled attempts retries lifetime duration timeout interval exp iat date time "
    "at by for from to ref dir folder arn location position offset start end line lineno col "
    "fingerprint fingerprints cost price usage budget window context types used per".split()
)
"""Last words of names that hold something else: `token_count`, `password_file`."""

_WORD = lazy_pattern(r"[A-Z]+(?![^\W_A-Z\d])|[A-Z]?[^\W_A-Z\d]+|\d+")

_INNER_WORDS = ("password", "passwd", "passwort", "apikey", "passphrase")
"""Words that also count within a longer one: `dbpassword`, `PGPASSWORD`, `mysqlpasswd`."""

_STRONG_WORDS = frozenset(_PASSWORDS | _SECRETS)
_OTHER_PAIRS = {("existing", "secret"), ("pull", "secrets")}
"""Settings of Helm charts that name a Secret."""

_STRONG_PAIRS = (
    (_KEY_WORDS, ("key", "keys")),
    (_TOKEN_WORDS, ("token",)),
    (_PASS_WORDS, ("pass",)),
    ({"de"}, ("passe",)),
)
"""Words that make the next one the name of a secret."""


def is_secret_name(name: str) -> bool:
    """Return whether a variable, key or option of that name holds a secret."""
    return rate_name(name) >= Naming.WEAK


@lru_cache(4096)
def rate_name(name: str) -> Naming:
    """Return how likely a value of that name is a secret."""
    if name in ("PWD", "OLDPWD"):
        return Naming.NOTHING
    words = [word.lower() for word in _WORD.findall(name)]
    while words and words[-1].isdigit():
        words.pop()
    if not words or _holds_something_else(words):
        return Naming.NOTHING
    if _is_strong(words):
        return Naming.STRONG
    if _has_other_pass(words):
        return Naming.NOTHING
    if _is_weak(words):
        return Naming.WEAK
    return Naming.NOTHING if _HINT_WORDS.isdisjoint(words) else Naming.HINT


def _is_weak(words: list[str]) -> bool:
    if not _WEAK_WORDS.isdisjoint(words):
        return True
    last = words[-1]
    return last.endswith(("token", "pass")) and len(last) <= 12  # `authtoken`


def _has_other_pass(words: list[str]) -> bool:
    """Return whether the "pass" in a name is no password: `pass_value`, `compass`."""
    is_verb = words[0] == "pass" and len(words) > 1 and _WEAK_WORDS.isdisjoint(words[1:])
    return is_verb or words[-1].endswith(("bypass", "compass", "trespass"))


def _holds_something_else(words: list[str]) -> bool:
    last = words[-1]
    if last in _OTHER_ENDINGS or not _OTHER_PAIRS.isdisjoint(pairwise(words)):
        return True
    if "public" in words[:-1] and last in ("key", "keys", "token"):
        return True
    return last == "token" and not _POSITION_WORDS.isdisjoint(words)


def _is_strong(words: list[str]) -> bool:
    if not _STRONG_WORDS.isdisjoint(words):
        return True
    joined = " ".join(words)
    if any(word in joined for word in _INNER_WORDS):
        return True
    for first, second in pairwise(words):
        for qualifiers, nouns in _STRONG_PAIRS:
            if first in qualifiers and second in nouns:
                return True
    return False


_PARTS = (
    "pass pwd pswd pword secret token cred key auth cookie session sid sig hmac bearer webhook jwt "
    "pw dsn csrf xsrf salt seed otp kennwort contrase senha wachtwoord haslo hasło losenord "
    "lösenord пароль 密码 密碼 パスワード 비밀번호 signature nonce"
).split()
"""Parts of all names that `rate_name` knows, to find candidates quickly."""


def candidate_positions(text: str) -> list[int]:
    """Return the positions of parts of names that may be secret, in order."""
    lowered = text.lower()
    if len(lowered) != len(text):  # some letters become two when lowered
        lowered = "".join(map(_lower_if_single, text))
    positions: set[int] = set()
    for part in _PARTS:
        position = lowered.find(part)
        while position >= 0:
            positions.add(position)
            position = lowered.find(part, position + len(part))
    return sorted(positions)


def _lower_if_single(char: str) -> str:
    lowered = char.lower()
    return lowered if len(lowered) == 1 else char
