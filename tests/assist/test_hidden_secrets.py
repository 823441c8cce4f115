"""The model does not see secrets, and the file keeps them."""

from __future__ import annotations

import pytest
from support.errors import raises_error
from support.rewrites import Echo

from pytest_starcoder.assist.complete import complete
from pytest_starcoder.assist.edit import edit
from pytest_starcoder.errors import UnreadableAnswer
from pytest_starcoder.model.client import Client
from pytest_starcoder.settings import Settings

LOGIN = "user = 'ann'\npassword = 'Zq8xV3nB7mK2'\nport = 1\n"

NOT_SHOWN = (
    UnreadableAnswer,
    "echo:1b wrote [redacted] where there was no secret before.",
    "Choose lines without secrets, or change these by hand.",
)


def rewritten(answer: str, text: str = LOGIN, last: int = 3) -> str:
    client = Client(Echo(answer), Settings(family="starcoder2-instruct"))
    return edit("app.py", text, 1, last, "Use port 2.", client).after


def test_kept_secret() -> None:
    answer = "user = 'ann'\npassword = '[redacted]'\nport = 2\n"
    assert rewritten(answer) == LOGIN.replace("port = 1", "port = 2")


def test_moved_secret() -> None:
    answer = "port = 2\nlogin('ann', password='[redacted]')\n"
    assert rewritten(answer) == "port = 2\nlogin('ann', password='Zq8xV3nB7mK2')\n"


def test_unclear_secret() -> None:
    text = "password = 'Zq8xV3nB7mK2'\napi_token = 'Wm4kP9rT2vX6'\n"
    with raises_error(*NOT_SHOWN):
        rewritten("secrets = ['[redacted]']\n", text, 2)


def test_new_secret() -> None:
    client = Client(Echo("password = '[redacted]'"), Settings(family="starcoder2"))
    with raises_error(*NOT_SHOWN):
        complete("app.py", "user = 'ann'\n\n", 2, client)


@pytest.mark.parametrize("line", [1, 3])
def test_no_secret_is_sent(line: int) -> None:
    backend = Echo("x = 2")
    complete("app.py", LOGIN, line, Client(backend, Settings(family="starcoder2")))
    assert ["Zq8xV3nB7mK2" in prompt.text for prompt in backend.prompts] == [False]
