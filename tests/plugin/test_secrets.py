"""Secrets of tests, which are neither sent, printed nor written into a report."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest
from support.repositories import committed, git
from support.screens import section
from support.servers import FakeOllama

FORMS = """
password = '§'
password = "§" + ''
password: str = '§'
password = '' or '§'
password = '' if 0 else '§'
password = f'§'
password = '''§'''
password = ('§')
password = str('§')
password = bytes('§', 'utf-8')
password = ''; password += '§'
user, password = 'ann', '§'
password, user = '§', 'ann'
password = {}.get('password', '§')
password = os.getenv('X_TOKEN', '§')
password = os.environ.get('X_SECRET') or '§'
password = dict(password='§')
password = {'user': 'ann', 'password': '§'}
password = [('password', '§')]
passwords = ['§', '§']
passwords = {'ann': '§'}
api_key = '§'
access_token = '§'
client_secret = '§'
secret_key = b'§'
self_password = lambda: '§'
credentials = ('ann', '§')
headers = {'Authorization': 'Bearer §'}
headers = {'X-Api-Key': '§'}
headers = 'Authorization: Bearer §'
url = 'https://ann:§@example.org/'
url = 'postgres://ann:§@db/shop'
url = 'redis://:§@cache'
url = 'https://example.org/?access_token=§&page=2'
dsn = 'Server=db;Uid=ann;Pwd=§;'
dsn = 'host=db user=ann password=§'
command = 'curl -u ann:§ https://example.org'
command = 'mysql -uroot -p§ shop'
command = 'tool --password § --verbose'
command = 'tool --api-key=§'
line = 'export API_TOKEN=§'
line = 'login failed: password=§'
line = 'the password is §'
line = 'password: §'
line = '{"password": "§"}'
line = "{'token': '§'}"
line = '<password>§</password>'
line = "IDENTIFIED BY '§'"
allowed('§', 2)
allowed(password='§', tries=2)
monkeypatch.setenv('API_TOKEN', '§')
os.environ.setdefault('APP_SECRET', '§')
raise ValueError('login failed: password=§')
raise ValueError({'password': '§'})
raise KeyError('token=§')
password = 'x'; assert '§' == password
password = 'x'; assert password == '§'
assert Login('§').password == 'x'
assert vars(Login('§')) == {}
password = '§'; assert {'a': [password]} == {}
""".strip().split("\n")

HEAD = """
import os
from dataclasses import dataclass

@dataclass
class Login:
    password: str

def allowed(password, tries):
    return tries > 3
"""

SETTINGS = {"CAUSES": "60", "SESSION_TIMEOUT": "300", "FIX": "off"}


def make_secret(number: int) -> str:
    chance = random.Random(number)
    return (
        "Zq8"
        + "".join(chance.choices(string.ascii_letters, k=4))
        + f"7{number:02}m"
        + chance.choice("KLMNP")
        + "2x"
    )


def write_tests() -> tuple[str, list[str]]:
    """Return a test file with one test per form, each with its own secret."""
    tests, secrets = [HEAD], []
    for number, form in enumerate(FORMS):
        secrets.append(make_secret(number))
        body = form.replace("§", secrets[-1])
        tests.append(f"def test_{number}(monkeypatch):\n    {body}\n    assert {number} == -1\n")
    return "\n\n".join(tests), secrets


def check_nothing_shows(pytester: pytest.Pytester, model: FakeOllama) -> None:
    text, secrets = write_tests()
    pytester.makepyfile(text)
    names = ["out.json", "out.md", "out.sarif"]
    result = pytester.runpytest_subprocess(
        "--tb=no", "-v", *(f"--starcoder-report={name}" for name in names)
    )
    texts = {name: Path(name).read_text() for name in [*names, "summary.md"]}
    texts["prompts"] = "\n".join(str(request.body) for request in model.requests)
    texts["section"] = "\n".join(
        [*section(result), *(line for line in result.outlines if line.startswith("::"))]
    )
    texts["cache"] = "\n".join(
        path.read_text("utf-8", "replace") for path in Path("cache").rglob("*") if path.is_file()
    )
    assert "[redacted]" in texts["prompts"]
    assert len(model.prompts()) >= 0.9 * len(FORMS)
    shown = {
        (name, form)
        for name, output in texts.items()
        for form, secret in zip(FORMS, secrets, strict=True)
        if secret in output
    }
    assert shown == set()


@pytest.fixture
def model(
    pytester: pytest.Pytester, ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> FakeOllama:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"STARCODER_{name}", value)
    monkeypatch.setenv("STARCODER_CACHE", str(pytester.path / "cache"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    return ollama_double


@pytest.mark.slow
def test_all_forms(pytester: pytest.Pytester, model: FakeOllama) -> None:
    assert len(FORMS) == 60
    check_nothing_shows(pytester, model)


SECRETS = tuple(make_secret(number) for number in range(4))

CONNECT = """
def connect(url="", headers=None, api_key="", password=""):
    return bool(url and headers and api_key and password)
"""

WITH_SECRETS = f"""
def login():
    return connect(
        'postgres://ann:{SECRETS[0]}@db/shop',
        headers={{'Authorization': 'Bearer {SECRETS[1]}'}},
        api_key={SECRETS[2]!r},
        password=
            {SECRETS[3]!r},
    )
"""

WITHOUT_SECRETS = """
def login():
    return connect()
"""

TEST_OF_LOGIN = """
from shop import login

def test_login():
    assert login()
"""


@pytest.mark.slow
def test_lines_that_a_change_removed(pytester: pytest.Pytester, model: FakeOllama) -> None:
    pytest.importorskip("fcntl", reason="changes are undone in forks")
    folder = pytester.path
    git(folder, "init", "--quiet", "--initial-branch=main")
    committed(folder, {"shop.py": CONNECT + WITH_SECRETS, "test_shop.py": TEST_OF_LOGIN}, "first")
    (folder / "shop.py").write_text(CONNECT + WITHOUT_SECRETS)
    names = ["out.json", "out.md", "out.sarif", "out.xml"]
    reports = [f"--starcoder-report={name}" for name in names[:-1]]
    result = pytester.runpytest_subprocess("--tb=no", "-q", "--junitxml=out.xml", *reports)
    texts = {name: (folder / name).read_text() for name in [*names, "summary.md"]}
    texts["prompt"] = str(model.requests[-1].body)
    texts["terminal"] = result.stdout.str()
    for name, text in texts.items():
        assert "login" in text, name
        assert not [secret for secret in SECRETS if secret in text], name
    for name in ("out.json", "out.md", "prompt", "terminal"):
        assert "[redacted]" in texts[name], name
        assert "return connect()" in texts[name], name
