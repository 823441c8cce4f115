"""Finds secrets by the format that services give them, whatever their name."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from itertools import pairwise

from pytest_starcoder.redaction.patterns import lazily
from pytest_starcoder.redaction.secret_values import (
    REDACTED,
    entropy,
    is_harmless,
    is_placeholder,
    is_random,
)

Span = tuple[int, int]

_TOKENS = lazily(
    r"(?<![A-Za-z0-9_])(?:"
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{20,}"  # GitHub
    r"|gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas|ffct)-[A-Za-z0-9_.-]{16,}|GR1348941[A-Za-z0-9_-]{20,}"  # GitLab
    r"|xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}"  # Slack
    r"|(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA|AIDA|AROA)[A-Z0-9]{16}(?![A-Za-z0-9])"  # Amazon
    r"|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,}|1//0[A-Za-z0-9_-]{30,}"  # Google
    r"|hf_[A-Za-z0-9]{20,}|api_org_[A-Za-z0-9]{20,}"  # Hugging Face
    r"|sk-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{16,}|[rsp]k_(?:live|test|prod)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,}"
    r"|gsk_[A-Za-z0-9]{30,}|xai-[A-Za-z0-9]{30,}|pplx-[A-Za-z0-9]{30,}|r8_[A-Za-z0-9]{30,}"  # Groq, xAI, Perplexity
    r"|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}|rubygems_[a-f0-9]{40,}|cio[A-Za-z0-9]{32}(?![A-Za-z0-9])"
    r"|eyJ[A-Za-z0-9_=-]{8,}\.(?:eyJ)?[A-Za-z0-9_=-]{4,}(?:\.[A-Za-z0-9_.+/=-]+)*"  # JSON web tokens
    r"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|xkeysib-[a-f0-9]{40,}(?:-[A-Za-z0-9]+)?"  # SendGrid, Brevo
    r"|key-[0-9a-f]{32}(?![A-Za-z0-9])|[0-9a-z]{32}-us\d{1,2}(?![A-Za-z0-9])"  # Mailgun, Mailchimp
    r"|dop_v1_[a-f0-9]{32,}|do[or]_v1_[a-f0-9]{32,}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{24,}"  # DigitalOcean, Shopify
    r"|hv[sbr]\.[A-Za-z0-9_-]{20,}|s\.(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{24}(?![A-Za-z0-9_.(])"  # Vault
    r"|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,}|dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{30,}"
    r"|dapi[a-f0-9]{32}(?:-\d)?|dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}|lin_(?:api|oauth)_[A-Za-z0-9]{30,}"
    r"|secret_[A-Za-z0-9]{40,}|ntn_[A-Za-z0-9]{40,}|fig[dou]_[A-Za-z0-9_-]{30,}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}"
    r"|pat[A-Za-z0-9]{14}\.[a-f0-9]{40,}|pul-[a-f0-9]{40}|sntry[su]_[A-Za-z0-9_=+/-]{30,}|glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}"
    r"|glc_[A-Za-z0-9+/=]{32,}|NRAK-[A-Z0-9]{27}|NRII-[A-Za-z0-9-]{32}|NRJS-[a-f0-9]{19}|sgp_[A-Za-z0-9_]{32,}"
    r"|ATATT3[A-Za-z0-9_=-]{40,}|ATCTT3[A-Za-z0-9_=-]{40,}|ATBB[A-Za-z0-9]{24,}|EAA[A-Za-z0-9]{60,}"  # Atlassian, Meta
    r"|sq0(?:csp|atp|idp)-[0-9A-Za-z\\_-]{22,}|EAAA[A-Za-z0-9_-]{56,}"  # Square
    r"|(?:AC|SK)[a-f0-9]{32}(?![A-Za-z0-9])|AKC[A-Za-z0-9]{10,}(?![A-Za-z0-9])"  # Twilio, Artifactory
    r"|AP(?=[A-Za-z]*\d)[0-9A-F][A-Za-z0-9]{30,}(?![A-Za-z0-9])"
    r"|ph[cx]_[A-Za-z0-9]{40,}|sb[ps]_[A-Za-z0-9_]{36,}|pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{30,}|tfp_[A-Za-z0-9]{40,}|PSFB[A-Za-z0-9]{20,}|CFPAT-[A-Za-z0-9_-]{40,}|CMVT[A-Za-z0-9]{30,}|live_[a-f0-9]{32,}"
    r"|rnd_[A-Za-z0-9]{28,}|fo1_[A-Za-z0-9_-]{40,}|FlyV1 fm\d[A-Za-z0-9_+/=,-]{40,}|rk_[a-z0-9]{40,}"
    r"|(?:tok|key)_(?:live|test)_[A-Za-z0-9]{16,}|access_token\$production\$[a-z0-9]{16}\$[a-f0-9]{32}"  # Braintree
    r"|AGE-SECRET-KEY-1[A-Z0-9]{50,}|LTAI[A-Za-z0-9]{16,24}(?![A-Za-z0-9])|AKID[A-Za-z0-9]{32}(?![A-Za-z0-9])"
    r"|y[01]_[A-Za-z0-9_-]{50,}|t1\.[A-Z0-9a-z_-]+[=]{0,2}\.[A-Z0-9a-z_-]{86}[=]{0,2}|oy2[a-z0-9]{43}"  # Yandex, NuGet
    r"|[a-zA-Z0-9_-]{24}\.[a-zA-Z0-9_-]{6}\.[a-zA-Z0-9_-]{27,}(?![A-Za-z0-9_])"  # Discord bots
    r"|\d{8,10}:[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"  # Telegram bots
    r"|\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}|\$(?:1|5|6|y|apr1)\$[./A-Za-z0-9=,]{1,40}\$[./A-Za-z0-9]{22,}"  # hashes
    r"|\$argon2(?:id?|d)\$[^\s'\"]{30,}|pbkdf2_sha\d+\$\d+\$[A-Za-z0-9+/=$]{20,}"
    r")"
)

_FILLED = lazily(r"([xX0.*])\1{11,}|(?:x{4,}[-_]?){3,}|1234567890{0,1}1234567890", re.IGNORECASE)
"""What documentation writes where a token has its characters."""

_ENDPOINTS = lazily(
    r"//(?:[\w.-]{0,60}\.)?"
    r"(?:hooks\.slack\.com/(?:services|workflows|triggers)/"
    r"|(?:discord|discordapp)\.com/api/(?:v\d+/)?webhooks/\d+/"
    r"|api\.telegram\.org/bot|webhook\.office\.com/webhookb2/|chat\.googleapis\.com/v1/spaces/[\w-]+/messages\?"
    r"|api\.softlayer\.com/soap/v3(?:\.1)?/|hooks\.zapier\.com/hooks/catch/|maker\.ifttt\.com/trigger/\w+/with/key/"
    r"|outlook\.office\.com/webhook/|events\.pagerduty\.com/integration/)"
    r"(?P<secret>[A-Za-z0-9_/@:=&%.+-]{8,})",
    re.IGNORECASE,
)

_HEADERS = lazily(
    r"\b(?:Bearer|token|Basic|ApiKey|Api-Key|Digest|Splunk|Negotiate|SSWS|GenieKey|Klaviyo-API-Key|DeepL-Auth-Key)"
    r"(?:[ \t]+|%20|\+)(?P<secret>[A-Za-z0-9._~+/=:-]{8,})",
    re.IGNORECASE,
)

_ASSIGNED = lazily(r"=(?P<secret>[A-Za-z0-9%+/_=.~-]{16,})")
_ASSIGNED_NAME = lazily(
    r"(?:[?&;\s'\"(,]|\\u0026|&amp;|^)(?:sig|signature|X-Amz-Signature|X-Amz-Security-Token|X-Goog-Signature|AccountKey|"
    r"SharedAccessKey|SharedAccessSignature|code|key|sv_sig|hmac|auth|apikey|api_key|access_key|subscription-key)\Z",
    re.IGNORECASE,
)

_KEY_BLOCK = lazily(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?![\"'`](?![\s,+\\]*[\"'][A-Za-z0-9+/]))(?P<body>(?:(?!-----BEGIN )[\s\S])*?)(?=-----END|\Z)"
    r"|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\s*\n(?P<ssh2>[\s\S]*?)(?=---- END|\Z)"
    r"|PuTTY-User-Key-File-\d: (?P<putty>[\s\S]*?Private-MAC: \w+|.*)"
)
_KEY_LINE = lazily(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d")

_URL = lazily(
    r"(?P<scheme>(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,30}://)"
    r"(?P<user>[^\s:/@'\"<>`]{0,100}):(?P<password>[^\s'\"<>`]{1,200})@"
)
_URL_TOKEN = lazily(
    r"https?://(?P<secret>(?=[A-Za-z]*\d)[A-Za-z0-9_-]{20,100})(?::x-oauth-basic)?@"
)

_QUOTED = lazily(r"(?P<quote>[\"'`])(?P<value>[A-Za-z0-9+/=_-]{20,300})(?P=quote)")
_PUBLIC = lazily(
    r"sha\d|hash|digest|checksum|integrity|fingerprint|etag|public|cert|commit|revision|\bid\b|uuid|guid|img|image|src|href"
    r"|data:|alphabet|charset|chars|letters|nonce|sri|cid|path|module|resolved|expected|encoded|b64|base64",
    re.IGNORECASE,
)


def shape_spans(text: str) -> Iterator[tuple[Span, bool]]:
    """Yield spans of secrets found by format or in URLs, and whether a service issued them."""
    for match in _KEY_BLOCK.finditer(text):
        for group in ("body", "ssh2", "putty"):
            if match[group] and match[group].strip() and not match[group].strip().startswith("["):
                yield match.span(group), True
    for match in _TOKENS.finditer(text):
        if _FILLED.search(match[0]):
            continue
        if "." not in match[0][:3] or _is_mixed(match[0]):
            yield match.span(), True
    for match in _ENDPOINTS.finditer(text):
        if _is_mixed(match["secret"]):
            yield match.span("secret"), True
    for match in _HEADERS.finditer(text):
        start, end = match.span("secret")
        while end > start and text[end - 1] in ".:":
            end -= 1
        if end - start >= 8 and _is_header_value(
            re.split(r"\W", match[0])[0].lower(),
            text[start:end],
            text[max(match.start() - 40, 0) : match.start()],
        ):
            yield (start, end), False
    for match in _ASSIGNED.finditer(text):
        named = _ASSIGNED_NAME.search(text[max(match.start() - 30, 0) : match.start()])
        if named and "/" in match["secret"] and named[0][-3:].lower() in ("key", "ode"):
            continue
        if (
            named
            and _is_mixed(match["secret"])
            and entropy(match["secret"]) > 3
            and not match["secret"].startswith("sha")
        ):
            yield match.span("secret"), False
    yield from ((span, False) for span in _in_urls(text))
    yield from ((span, False) for span in _by_entropy(text))


def has_shape(text: str) -> bool:
    """Return whether `text` contains a token in a service's format or starts a private key."""
    if _KEY_LINE.search(text) is not None:
        return True
    return any(is_service for _, is_service in shape_spans(text))


def _is_mixed(value: str) -> bool:
    return any(char.isdigit() for char in value) and any(char.isalpha() for char in value)


def _is_header_value(scheme: str, value: str, before: str) -> bool:
    """Return whether it is the value of an Authorization header, not a word of a sentence."""
    if REDACTED in value or is_placeholder(value):
        return False
    in_header = re.search(r"authorization|x-\w+", before, re.IGNORECASE) is not None
    if scheme == "basic":
        return _is_credentials(value) or (in_header and _is_mixed(value))
    if scheme == "bearer":
        return (
            (in_header and not value.isalpha())
            or is_random(value)
            or (not is_harmless(value) and len(value) >= 16)
        )
    return is_random(value) and len(value) >= (8 if in_header else 16)


def _is_credentials(value: str) -> bool:
    """Return whether base64 holds a user and a password."""
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except ValueError:
        return False


_NO_PASSWORDS = frozenset(
    "password passwd pass pwd secret token xxx your-password yourpassword mypassword".split()
)
"""Placeholders that documentation uses for the password in a URL."""


def _in_urls(text: str) -> Iterator[Span]:
    for match in _URL.finditer(text):
        password = match["password"]
        if "/" in password and not re.search(r"[A-Za-z0-9]", password.partition("/")[0]):
            continue
        if re.match(r"\d+/", password) or re.fullmatch(r"\d{2,5}/.*", password):
            continue  # a port, and a path containing @
        if re.fullmatch(
            r"(?:\{[^{}]*\}+|%\(?\w*\)?s|\$\{?[\w.:-]+\}?|\$\([^()]*\)|<[^<>]*>|\*+|\[\w+\]|%\w+%|#\{.*\})",
            password,
        ):
            continue  # inserted by code, or already hidden
        if re.search(r"\$\{\{?[^}]*\}|\{\{.*\}\}|^\{.*\}$", password):
            continue
        if password.lower() in _NO_PASSWORDS and match["user"]:
            continue
        at = match.start("password")
        stop = password.find("@")
        if (
            stop >= 0
            and re.match(r"[\w.-]+(?:[:/?,]|$)", password[stop + 1 :])
            and "/" in password[stop:]
        ):
            yield at, at + stop
            continue
        if "/" in password and "?" in password:
            continue
        yield match.span("password")
    for match in _URL_TOKEN.finditer(text):
        yield match.span("secret")


def _by_entropy(text: str) -> Iterator[Span]:
    """Yield quoted words random enough to be keys, unless their line suggests hashes or data."""
    for match in _QUOTED.finditer(text):
        value = match["value"]
        if entropy(value) <= 4.5 or not re.search(r"\d", value) or not re.search(r"[A-Z]", value):
            continue
        if re.match(r"sha\d+-|sha\d+:|[A-Za-z]+/[A-Za-z]+/", value) or not re.search(
            r"[a-z]", value
        ):
            continue
        if re.search(r"abcdef|ABCDEF|012345", value) or len(re.findall(r"\d", value)) < 2:
            continue
        if sum(one < other for one, other in pairwise(value)) > 0.7 * len(value):
            continue  # an alphabet
        line = text[
            max(text.rfind("\n", 0, match.start()) + 1, match.start() - 200) : match.start()
        ]
        if not _PUBLIC.search(line):
            yield match.span("value")
