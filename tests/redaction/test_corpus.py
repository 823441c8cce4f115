"""Secrets and harmless texts of many formats: what is found, what is not, and how long it takes."""

from __future__ import annotations

import pytest

from benchmarks.redaction import (
    Sample,
    detected,
    large_texts,
    ours,
    package_lines,
    samples,
    seconds,
    shows,
    theirs,
)
from pytest_starcoder.redaction.redactor import REDACTED, Redactor, has_token, redact

SECRETS = samples("secrets")
HARMLESS = samples("harmless")
LARGE = large_texts()


def test_corpus_size() -> None:
    assert len(SECRETS) >= 200
    assert len({sample.format for sample in SECRETS}) >= 12
    assert len(HARMLESS) >= 400


def test_recall_and_precision() -> None:
    figures = ours(SECRETS, HARMLESS)
    assert figures.recall >= 0.97
    assert figures.false_rate <= 0.01


def test_this_package_stays() -> None:
    lines, changed = package_lines()
    assert lines > 10_000
    assert changed == 0


def missed_alone(secrets: list[Sample]) -> list[str]:
    return [
        sample.text for sample in secrets if detected(sample) and shows(redact(sample.text), sample)
    ]


def test_misses_of_detect_secrets() -> None:
    assert missed_alone(SECRETS) == []


@pytest.mark.parametrize("kind", ["held_out", "adversarial", "adversarial2"])
def test_held_out_samples(kind: str) -> None:
    secrets, harmless = samples(f"{kind}_secrets"), samples(f"{kind}_harmless")
    figures = ours(secrets, harmless)
    assert figures.recall >= 0.97
    assert figures.false_rate <= 0.01
    assert missed_alone(secrets) == []


def test_detect_secrets_recall() -> None:
    other = theirs(SECRETS[:60], HARMLESS[:60])
    assert other.recall < ours(SECRETS[:60], HARMLESS[:60]).recall


@pytest.mark.parametrize("name", list(LARGE))
def test_linear_time(name: str) -> None:
    text = LARGE[name]
    small, large = seconds(text[:10_000]), seconds(text[:50_000])
    # benchmarks.redaction measures megabytes per second; this only bounds the growth.
    assert large <= 5 * 4 * small + 0.1


HOSTILE = {
    "names in one word": "key=",
    "names in one line": "var t={password:e,key:function(){return this.secret}},",
    "objects in objects": '{"password": ',
    "texts that begin": 'password = "',
    "long texts that begin": 'password = """',
    "brackets that open": "password = (",
    "keys that begin": "-----BEGIN PRIVATE KEY-----",
    "names after colons": "key: ",
    "names before blanks": "password" + " " * 2000 + "\n",
    "blanks": " ",
    "addresses": "http://a:b",
}
"""Pieces that, repeated, make a text slow to search if time grows faster than its length."""


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_texts(name: str) -> None:
    piece = HOSTILE[name]
    assert seconds(piece * (8_000 // len(piece))) <= 1.0


@pytest.mark.parametrize(
    "text",
    [
        '{"properties": {"JwtKey": {"$ref": "#/definitions/JwtKey"}}}',
        '{"ListApiKeys": {"output_token": "nextToken", "limit_key": "maxResults"}}',
        '{"ManagedSecretConfig": {"required": ["SecretArn", "SecretVersion"]}}',
        "IID_IObjectWithPropertyKey: _win32typing.PyIID",
        "when your file has '-----BEGIN RSA PRIVATE KEY-----' and",
        "GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        '$password = Read-Host -AsSecureString "Password"',
    ],
    ids=["reference", "paginator", "schema", "annotation", "marker", "filler", "commandlet"],
)
def test_names_are_no_secrets(text: str) -> None:
    assert redact(text) == text


def test_value_in_later_texts() -> None:
    redactor = Redactor()
    assert redactor.redact("password = 'Zq8xV3nB7mK2'") == f"password = '{REDACTED}'"
    assert redactor.redact("allowed('Zq8xV3nB7mK2', 2)") == f"allowed('{REDACTED}', 2)"
    assert redactor.redact("Zq8xV3nB7mK2") == REDACTED


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("p@ss'w0rd\\x1", 'it was "p@ss\'w0rd\\\\x1"'),
        ("p@ss/w0rd 17", "?q=p%40ss%2Fw0rd%2017"),
        ("p@ss/w0rd 17", "?q=p%40ss%2Fw0rd+17"),
        ('p@ss"w0rd17', '{"x": "p@ss\\"w0rd17"}'),
        ("Zq8xV3nB7mK2", "WnE4eFYzbkI3bUsy"),
        ("Zq8xV3nB7mK2", "Basic YW5uOlpxOHhWM25CN21LMg=="),
        ("p<ss>w0rd17", "p&lt;ss&gt;w0rd17"),
    ],
    ids=["repr", "url", "form", "json", "base64", "basic", "html"],
)
def test_other_forms_of_value(value: str, text: str) -> None:
    clean = Redactor([value]).redact(text)
    assert REDACTED in clean
    assert not any(part in clean for part in (text[-8:], "w0rd", "WnE4eFYz"))


def test_ordinary_word_stays() -> None:
    redactor = Redactor()
    redactor.redact("password = 'swordfish'")
    assert redactor.redact("the swordfish swims") == "the swordfish swims"


def test_piece_of_secret() -> None:
    redactor = Redactor(["Zq8xV3nB7mK2Lp5wRt9yUi3oPa6sDf"])
    assert redactor.redact("got 'Zq8xV3nB7mK2...9yUi3oPa6sDf'") == f"got '{REDACTED}...{REDACTED}'"
    assert redactor.redact("where there is elsewhere") == "where there is elsewhere"


def test_argument_position() -> None:
    redactor = Redactor()
    redactor.learn("def allowed(password, tries):\n    return tries > 3\n")
    assert (
        redactor.redact("allowed('Zq8xV3nB7mK2', 2) returned False")
        == f"allowed('{REDACTED}', 2) returned False"
    )
    assert redactor.redact("disallowed('Zq8xV', 2)") == "disallowed('Zq8xV', 2)"


@pytest.mark.parametrize(
    "text",
    [
        '"password": "Password"',
        'TOKEN="$(get_token)"',
        "DB_PASSWORD=changeme",
        "f(\n    password=config.db_password\n)",
    ],
    ids=["translation", "command", "placeholder", "attribute"],
)
def test_commits_go_through(text: str) -> None:
    assert redact(text) == text
    assert not has_token(text)


def test_many_secrets_with_one_prefix() -> None:
    values = [f"beginning-{number:06}x" for number in range(20_000)]
    redactor = Redactor(values)
    assert redactor.redact(" ".join(values[:500])) == " ".join([REDACTED] * 500)
