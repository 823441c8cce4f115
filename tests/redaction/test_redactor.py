"""Secrets are taken out of any text, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.redaction.redactor import REDACTED, is_secret_name, redact, secret_values

R = REDACTED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('order_password = "s3cr3t-pa55word"', f'order_password = "{R}"'),
        ("api_key: str = 'abcd1234efgh'", f"api_key: str = '{R}'"),
        ("{'password': 'hunter2-very-secret'}", f"{{'password': '{R}'}}"),
        ('{"dbPassword": "abcdefghij"}', f'{{"dbPassword": "{R}"}}'),
        ("config['secret_key'] = b'abcdefghij'", f"config['secret_key'] = b'{R}'"),
        ('connect(password="swordfish99", user="admin")', f'connect(password="{R}", user="admin")'),
        ('assert token == "abcdefgh1"', f'assert token == "{R}"'),
        ("password=hunter2-very-secret failed", f"password={R} failed"),
        ("SMTP_PASS=correcthorse", f"SMTP_PASS={R}"),
        ("tool --token abcdef123456 run", f"tool --token {R} run"),
        ("tool --api-key=abcdef123456", f"tool --api-key={R}"),
        ("Authorization: Bearer abc.def.ghi", f"Authorization: Bearer {R}"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: Basic {R}"),
        ('API_KEY = "sk-live-" + "51Hx" + "TEST" * 5', f'API_KEY = "{R}" + "{R}" + "{R}" * 5'),
        ('KEY_SECRET = "ab" * 4', f'KEY_SECRET = "{R}" * 4'),
        ('PASSWORD = (\n    "abc"\n    "defghijk"\n)', f'PASSWORD = (\n    "{R}"\n    "{R}"\n)'),
        ('PASSWORD = """abc\ndefgh"""', f'PASSWORD = """{R}\n"""'),
        ("f(accessToken='abcdefgh')", f"f(accessToken='{R}')"),
    ],
)
def test_value_of_secret_name(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "token",
    [
        "ghp_" + "a1B2" * 9,
        "github_pat_" + "a1B2" * 6,
        "glpat-" + "a1B2" * 5,
        "xoxb-" + "1234567890-abcdef",
        "AKIA" + "ABCD1234EFGH5678",
        "AIza" + "a1B2c3D4" * 4,
        "hf_" + "aBcD" * 7,
        "sk-" + "proj-a1B2c3D4e5F6",
        "sk_live_" + "a1B2c3D4e5F6",
        "npm_" + "a1B2" * 9,
        "pypi-" + "AgEIcHlwaS5vcmc" * 3,
        "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeK",
        "SG." + "a1B2" * 4 + "." + "c3D4" * 4,
        "dop_v1_" + "0123456789abcdef" * 2,
        "shpat_" + "0123456789abcdef" * 2,
    ],
)
def test_token_format(token: str) -> None:
    assert redact(f"got {token}, and test_it[{token}]") == f"got {R}, and test_it[{R}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://admin:pw@10.0.0.5:5432/shop", f"postgres://admin:{R}@10.0.0.5:5432/shop"),
        ("redis://:pw@host/0", f"redis://:{R}@host/0"),
        ("https://u:a:b@h", f"https://u:{R}@h"),
    ],
)
def test_password_in_url(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_private_key_keeps_lines() -> None:
    text = "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----\nafter"
    assert "abc" not in redact(text)
    assert redact(text).count("\n") == text.count("\n")
    assert redact(text).endswith("after")


def test_value_is_hidden_everywhere() -> None:
    assert (
        redact("password = 'tr0ub4dor&3'\nlogin('tr0ub4dor&3')")
        == f"password = '{R}'\nlogin('{R}')"
    )


def test_known_values() -> None:
    text = "a p@ss\\nword b p%40ss%5Cnword"
    assert redact("x correct-horse y", ["correct-horse"]) == f"x {R} y"
    assert redact("production productions", ["production"]) == f"{R} productions"
    assert redact(text, ["p@ss\\nword"]) == f"a {R} b {R}"
    assert redact("short", ["short"]) == "short"


@pytest.mark.parametrize(
    "text",
    [
        "USER=demo",
        "user=admin",
        "password = get_password()",
        "token = settings.API_KEY",
        "connect(password=database_password)",
        'password = os.environ["DB_PASSWORD"]',
        "token: str",
        "def login(password, token=None): pass",
        "max_tokens = 12345678",
        'tokenizer = "whitespace"',
        'token_type = "identifier"',
        'password_file = "/etc/secrets/db"',
        'token = "+"',
        'password = "password"',
        "passed = 'all of them'",
        'author = "Somebody Else"',
        "PWD=/home/you/project",
        "the password is wrong; a password must have 8 characters",
        "commit 0123456789abcdef0123456789abcdef01234567",
        "id = '123e4567-e89b-12d3-a456-426614174000'",
        'raise E(f"postgres://admin:{password}@10.0.0.5/shop token={token}")',
        "https://example.org:8080/a@b",
        "Basic functionality",
        "primary_key = 'identifier'",
        "for token in tokens: print(token)",
        "token == self.expected_token",
    ],
)
def test_harmless_text_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "name", "password dbPassword SMTP_PASS apiKey api_key auth_token SECRET client_secret".split()
)
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", "key keyboard bypass compass tokens max_tokens token_count passwordFile PWD".split()
)
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)


def test_secrets_of_namespace() -> None:
    named = {
        "password": "s3cr3t-pa55word",
        "token": b"abcdefghij",
        "pwd": "short",
        "user": "somebody-else",
        "settings": {"api_key": "0123456789a", "debug": "yes indeed"},
        "secret": 12345678,
        "PASSWORD": "12345678",
    }
    assert list(secret_values(named)) == ["s3cr3t-pa55word", "abcdefghij", "0123456789a"]


piece = st.sampled_from(
    [
        "password",
        "=",
        " ",
        '"',
        "'",
        '"""',
        "\n",
        "token",
        ": ",
        "abcdefgh1",
        "://",
        "@",
        ":",
        "(",
        ")",
        "+",
        "* 3",
        R,
    ]
)
texts = st.one_of(
    st.text(), st.lists(st.one_of(piece, st.text(max_size=5)), max_size=30).map("".join)
)


@given(texts)
def test_lines_stay_and_idempotent(text: str) -> None:
    once = redact(text)
    assert once.count("\n") == text.count("\n")
    assert redact(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "a=" * 20_000,
        '"' * 40_000,
        "password=" * 4_000,
        'password="' * 20_000,
        "://" * 14_000,
        "x:y@" * 10_000,
        "-----BEGIN PRIVATE KEY-----" * 1_000,
        'token = "a" + ' * 4_000,
        "eyJ" * 12_000,
        "\udc00" * 20_000,
    ],
)
def test_long_text(text: str) -> None:
    assert isinstance(redact(text), str)
