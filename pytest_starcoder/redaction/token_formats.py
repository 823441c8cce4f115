"""Finds secrets by the format that services give them, whatever their name."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from itertools import pairwise

from pytest_starcoder.redaction.literals import Span, line_before
from pytest_starcoder.redaction.patterns import lazy_pattern
from pytest_starcoder.redaction.secret_values import (
    REDACTED,
    entropy,
    is_harmless,
    is_placeholder,
    is_random,
)

_TOKENS = lazy_pattern(
    r"(?<![A-Za-z0-9_])(?:"
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}"  # GitHub
    # GitLab
    r"|gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas|ffct)-[A-Za-z0-9_.-]{16,}"
    r"|GR1348941[A-Za-z0-9_-]{20,}"
    r"|xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}"  # Slack
    r"|(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA|AIDA|AROA)[A-Z0-9]{16}(?![A-Za-z0-9])"  # Amazon
    # Google
    r"|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,}"
    r"|1//0[A-Za-z0-9_-]{30,}"
    r"|hf_[A-Za-z0-9]{20,}|api_org_[A-Za-z0-9]{20,}"  # Hugging Face
    r"|sk-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{16,}|[rsp]k_(?:live|test|prod)_[A-Za-z0-9]{10,}"
    r"|whsec_[A-Za-z0-9+/=]{16,}"
    # Groq, xAI, Perplexity
    r"|gsk_[A-Za-z0-9]{30,}|xai-[A-Za-z0-9]{30,}|pplx-[A-Za-z0-9]{30,}|r8_[A-Za-z0-9]{30,}"
    r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}|rubygems_[a-f0-9]{40,}"
    r"|cio[A-Za-z0-9]{32}(?![A-Za-z0-9])"
    # JSON web tokens
    r"|eyJ[A-Za-z0-9_=-]{8,}\.(?:eyJ)?[A-Za-z0-9_=-]{4,}(?:\.[A-Za-z0-9_.+/=-]+)*"
    # SendGrid, Brevo
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|xkeysib-[a-f0-9]{40,}(?:-[A-Za-z0-9]+)?"
    r"|key-[0-9a-f]{32}(?![A-Za-z0-9])|[0-9a-z]{32}-us\d{1,2}(?![A-Za-z0-9])"  # Mailgun, Mailchimp
    # DigitalOcean, Shopify
    r"|dop_v1_[a-f0-9]{32,}|do[or]_v1_[a-f0-9]{32,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{24,}"
    r"|hv[sbr]\.[A-Za-z0-9_-]{20,}|s\.(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{24}(?![A-Za-z0-9_.(])"  # Vault
    r"|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}"
    r"|dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{30,}"
    r"|dapi[a-f0-9]{32}(?:-\d)?|dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}"
    r"|lin_(?:api|oauth)_[A-Za-z0-9]{30,}"
    r"|secret_[A-Za-z0-9]{40,}|ntn_[A-Za-z0-9]{40,}|fig[dou]_[A-Za-z0-9_-]{30,}"
    r"|PMAK-[a-f0-9]{24}-[a-f0-9]{34}"
    r"|pat[A-Za-z0-9]{14}\.[a-f0-9]{40,}|pul-[a-f0-9]{40}|sntry[su]_[A-Za-z0-9_=+/-]{30,}"
    r"|glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}"
    r"|glc_[A-Za-z0-9+/=]{32,}|NRAK-[A-Z0-9]{27}|NRII-[A-Za-z0-9-]{32}|NRJS-[a-f0-9]{19}"
    r"|sgp_[A-Za-z0-9_]{32,}"
    # Atlassian, Meta
    r"|ATATT3[A-Za-z0-9_=-]{40,}|ATCTT3[A-Za-z0-9_=-]{40,}|ATBB[A-Za-z0-9]{24,}"
    r"|EAA[A-Za-z0-9]{60,}"
    r"|sq0(?:csp|atp|idp)-[0-9A-Za-z\\_-]{22,}|EAAA[A-Za-z0-9_-]{56,}"  # Square
    # Twilio, Artifactory
    r"|(?:AC|SK)[a-f0-9]{32}(?![A-Za-z0-9])|AKC[A-Za-z0-9]{10,}(?![A-Za-z0-9])"
    r"|AP(?=[A-Za-z]*\d)[0-9A-F][A-Za-z0-9]{30,}(?![A-Za-z0-9])"
    r"|ph[cx]_[A-Za-z0-9]{40,}|sb[ps]_[A-Za-z0-9_]{36,}"
    r"|pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{30,}|tfp_[A-Za-z0-9]{40,}|PSFB[A-Za-z0-9]{20,}"
    r"|CFPAT-[A-Za-z0-9_-]{40,}|CMVT[A-Za-z0-9]{30,}|live_[a-f0-9]{32,}"
    r"|rnd_[A-Za-z0-9]{28,}|fo1_[A-Za-z0-9_-]{40,}|FlyV1 fm\d[A-Za-z0-9_+/=,-]{40,}"
    r"|rk_[a-z0-9]{40,}"
    # Braintree
    r"|(?:tok|key)_(?:live|test)_[A-Za-z0-9]{16,}"
    r"|access_token\$production\$[a-z0-9]{16}\$[a-f0-9]{32}"
    r"|AGE-SECRET-KEY-1[A-Z0-9]{50,}|LTAI[A-Za-z0-9]{16,24}(?![A-Za-z0-9])"
    r"|AKID[A-Za-z0-9]{32}(?![A-Za-z0-9])"
    # Yandex, NuGet
    r"|y[01]_[A-Za-z0-9_-]{50,}|t1\.[A-Z0-9a-z_-]+[=]{0,2}\.[A-Z0-9a-z_-]{86}[=]{0,2}"
    r"|oy2[a-z0-9]{43}"
    r"|[a-zA-Z0-9_-]{24}\.[a-zA-Z0-9_-]{6}\.[a-zA-Z0-9_-]{27,}(?![A-Za-z0-9_])"  # Discord bots
    r"|\d{8,10}:[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"  # Telegram bots
    # hashes
    r"|\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}"
    r"|\$(?:1|5|6|y|apr1)\$[./A-Za-z0-9=,]{1,40}\$[./A-Za-z0-9]{22,}"
    r"|\$argon2(?:id?|d)\$[^\s'\"]{30,}|pbkdf2_sha\d+\$\d+\$[A-Za-z0-9+/=$]{20,}"
    r")"
)

_FILLED = lazy_pattern(
    r"([xX0.*])\1{11,}|(?:x{4,}[-_]?){3,}|1234567890{0,1}1234567890", re.IGNORECASE
)
"""What documentation writes where a token has its characters."""

_ENDPOINTS = lazy_pattern(
    r"//(?:[\w.-]{0,60}\.)?"
    r"(?:hooks\.slack\.com/(?:services|workflows|triggers)/"
    r"|(?:discord|discordapp)\.com/api/(?:v\d+/)?webhooks/\d+/"
    r"|api\.telegram\.org/bot|webhook\.office\.com/webhookb2/"
    r"|chat\.googleapis\.com/v1/spaces/[\w-]+/messages\?"
    r"|api\.softlayer\.com/soap/v3(?:\.1)?/|hooks\.zapier\.com/hooks/catch/"
    r"|maker\.ifttt\.com/trigger/\w+/with/key/"
    r"|outlook\.office\.com/webhook/|events\.pagerduty\.com/integration/)"
    r"(?P<secret>[A-Za-z0-9_/@:=&%.+-]{8,})",
    re.IGNORECASE,
)

_HEADERS = lazy_pattern(
    r"\b(?P<scheme>Bearer|token|Basic|ApiKey|Api-Key|Digest|Splunk|Negotiate|SSWS|GenieKey"
    r"|Klaviyo-API-Key|DeepL-Auth-Key)"
    r"(?:[ \t]+|%20|\+)(?P<secret>[A-Za-z0-9._~+/=:-]{8,})",
    re.IGNORECASE,
)

_PARAMETER_VALUE = lazy_pattern(r"=(?P<secret>[A-Za-z0-9%+/_=.~-]{16,})")
_PARAMETER_NAME = lazy_pattern(
    r"(?:[?&;\s'\"(,]|\\u0026|&amp;|^)(?:sig|signature|X-Amz-Signature|X-Amz-Security-Token"
    r"|X-Goog-Signature|AccountKey|SharedAccessKey|SharedAccessSignature"
    r"|code|key|sv_sig|hmac|auth|apikey|api_key"
    r"|access_key|subscription-key)\Z",
    re.IGNORECASE,
)

_KEY_BLOCK = lazy_pattern(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?![\"'`](?![\s,+\\]*[\"'][A-Za-z0-9+/]))(?P<body>(?:(?!-----BEGIN )[\s\S])*?)(?=-----END|\Z)"
    r"|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\s*\n(?P<ssh2>[\s\S]*?)(?=---- END|\Z)"
    r"|PuTTY-User-Key-File-\d: (?P<putty>[\s\S]*?Private-MAC: \w+|.*)"
)
_KEY_LINE = lazy_pattern(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d"
)

_URL = lazy_pattern(
    r"(?P<scheme>(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,30}://)"
    r"(?P<user>[^\s:/@'\"<>`]{0,100}):(?P<password>[^\s'\"<>`]{1,200})@"
)
_URL_TOKEN = lazy_pattern(
    r"https?://(?P<secret>(?=[A-Za-z]*\d)[A-Za-z0-9_-]{20,100})(?::x-oauth-basic)?@"
)

_QUOTED_WORD = lazy_pattern(r"(?P<quote>[\"'`])(?P<value>[A-Za-z0-9+/=_-]{20,300})(?P=quote)")
_PUBLIC_CONTEXT = lazy_pattern(
    r"sha\d|hash|digest|checksum|integrity|fingerprint|etag|public|cert|commit|revision|\bid\b"
    r"|uuid|guid|img|image|src|href"
    r"|data:|alphabet|charset|chars|letters|nonce|sri|cid|path|module|resolved|expected"
    r"|encoded|b64|base64",
    re.IGNORECASE,
)


_NO_PASSWORDS = frozenset(
    "password passwd pass pwd secret token xxx your-password yourpassword mypassword".split()
)
"""Placeholders that documentation uses for the password in a URL."""

_INSERTED = lazy_pattern(
    r"(?:\{[^{}]*\}+|%\(?\w*\)?s|\$\{?[\w.:-]+\}?|\$\([^()]*\)|<[^<>]*>|\*+|\[\w+\]|%\w+%|#\{.*\})"
)
"""A password that code inserts, or that is hidden already."""

_TEMPLATE = lazy_pattern(r"\$\{\{?[^}]*\}|\{\{.*\}\}|^\{.*\}$")
_PORT_AND_PATH = lazy_pattern(r"\d+/")
_HOST = lazy_pattern(r"[\w.-]+(?:[:/?,]|$)")
_CHECKSUM = lazy_pattern(r"sha\d+-|sha\d+:|[A-Za-z]+/[A-Za-z]+/")
_SEQUENCE = lazy_pattern(r"abcdef|ABCDEF|012345")
_MIN_ENTROPY = 4.5
"""Bits per character above which a quoted word may be a key."""


def token_spans(text: str) -> Iterator[Span]:
    """Yield spans of secrets found by their format or in URLs."""
    yield from _issued_spans(text)
    yield from _header_spans(text)
    yield from _parameter_spans(text)
    yield from _url_spans(text)
    yield from _random_spans(text)


def has_token(text: str) -> bool:
    """Return whether `text` contains a token in a service's format or starts a private key."""
    if _KEY_LINE.search(text) is not None:
        return True
    return next(_issued_spans(text), None) is not None


def _issued_spans(text: str) -> Iterator[Span]:
    """Yield private keys, and tokens in the format of the service that issued them."""
    yield from _private_keys(text)
    for match in _TOKENS.finditer(text):
        has_prefix = "." not in match[0][:3]
        if not _FILLED.search(match[0]) and (has_prefix or _is_mixed(match[0])):
            yield match.span()
    for match in _ENDPOINTS.finditer(text):
        if _is_mixed(match["secret"]):
            yield match.span("secret")


def _private_keys(text: str) -> Iterator[Span]:
    for match in _KEY_BLOCK.finditer(text):
        group = match.lastgroup or "body"
        body = match[group].strip()
        if body and not body.startswith("["):  # such as [redacted]
            yield match.span(group)


def _header_spans(text: str) -> Iterator[Span]:
    """Yield the values of Authorization headers."""
    for match in _HEADERS.finditer(text):
        value = match["secret"].rstrip(".:")
        before = text[max(match.start() - 40, 0) : match.start()]
        scheme = re.split(r"\W", match["scheme"])[0].lower()
        if len(value) >= 8 and _is_header_value(scheme, value, before):
            start = match.start("secret")
            yield start, start + len(value)


def _is_header_value(scheme: str, value: str, before: str) -> bool:
    """Return whether it is the value of an Authorization header, not a word of a sentence."""
    if REDACTED in value or is_placeholder(value):
        return False
    in_header = re.search(r"authorization|x-\w+", before, re.IGNORECASE) is not None
    if scheme == "basic":
        return _is_user_and_password(value) or (in_header and _is_mixed(value))
    if scheme == "bearer":
        return _is_bearer_token(value, in_header=in_header)
    # Words such as "token" and "digest" are frequent in prose, too.
    return is_random(value) and len(value) >= (8 if in_header else 16)


def _is_bearer_token(value: str, *, in_header: bool) -> bool:
    if is_random(value) or (in_header and not value.isalpha()):
        return True
    return len(value) >= 16 and not is_harmless(value)


def _is_user_and_password(value: str) -> bool:
    """Return whether a text is the base64 of a user and a password."""
    padding = "=" * (-len(value) % 4)
    try:
        return b":" in base64.b64decode(value + padding, validate=True)
    except ValueError:
        return False


def _parameter_spans(text: str) -> Iterator[Span]:
    """Yield signatures and keys in the parameters of URLs and connection strings."""
    for match in _PARAMETER_VALUE.finditer(text):
        before = text[max(match.start() - 30, 0) : match.start()]
        name = _PARAMETER_NAME.search(before)
        value = match["secret"]
        if name is None or value.startswith("sha"):
            continue
        is_path = "/" in value and name[0].lower().endswith(("key", "code"))
        if not is_path and _is_mixed(value) and entropy(value) > 3:
            yield match.span("secret")


def _url_spans(text: str) -> Iterator[Span]:
    for match in _URL.finditer(text):
        password = match["password"]
        if _is_no_password(password, match["user"]):
            continue
        start = match.start("password")
        first, at_sign, rest = password.partition("@")
        # The greedy match may have taken the host and a path with another `@`.
        if at_sign and _HOST.match(rest) and "/" in rest:
            yield start, start + len(first)
        elif not ("/" in password and "?" in password):
            yield match.span("password")
    for match in _URL_TOKEN.finditer(text):
        yield match.span("secret")


def _is_no_password(password: str, user: str) -> bool:
    # Redis takes a password without a user, and there even such a word may be meant.
    if user and password.lower() in _NO_PASSWORDS:
        return True
    if "/" in password and not any(char.isalnum() for char in password.partition("/")[0]):
        return True
    if _PORT_AND_PATH.match(password):
        return True  # the path contains an `@`
    return bool(_INSERTED.fullmatch(password) or _TEMPLATE.search(password))


def _random_spans(text: str) -> Iterator[Span]:
    """Yield quoted words random enough to be keys, unless their line suggests hashes or data."""
    for match in _QUOTED_WORD.finditer(text):
        if not _is_random_key(match["value"]):
            continue
        if not _PUBLIC_CONTEXT.search(line_before(text, match.start(), 200)):
            yield match.span("value")


def _is_random_key(value: str) -> bool:
    if entropy(value) <= _MIN_ENTROPY or _CHECKSUM.match(value) or _SEQUENCE.search(value):
        return False
    if not re.search(r"[A-Z]", value) or not re.search(r"[a-z]", value):
        return False
    ascending = sum(first < second for first, second in pairwise(value))
    if ascending > 0.7 * len(value):
        return False  # an alphabet in another order than A to Z, a to z, 0 to 9
    return len(re.findall(r"\d", value)) >= 2


def _is_mixed(value: str) -> bool:
    return any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
