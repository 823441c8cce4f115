"""Texts that are addresses of servers, and those that mean this machine."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_starcoder.settings.address import is_loopback, server_url


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("1.2.3.4", "http://1.2.3.4:11434"),
        ("1.2.3.4:1234", "http://1.2.3.4:1234"),
        (":1234", "http://127.0.0.1:1234"),
        ("example.com", "http://example.com:11434"),
        ("example.com:1234", "http://example.com:1234"),
        (":0", "http://127.0.0.1:11434"),
        (":66000", "http://127.0.0.1:11434"),
        (":-1", "http://127.0.0.1:11434"),
        ("box:port", "http://box:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:1337", "http://[::1]:1337"),
        ("[::]", "http://[::1]:11434"),
        ("::", "http://[::1]:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0:11434", "http://127.0.0.1:11434"),
        (" 1.2.3.4 ", "http://1.2.3.4:11434"),
        ('"1.2.3.4"', "http://1.2.3.4:11434"),
        (' " 1.2.3.4 " ', "http://1.2.3.4:11434"),
        ("'1.2.3.4'", "http://1.2.3.4:11434"),
        ("http://1.2.3.4", "http://1.2.3.4:80"),
        ("http://1.2.3.4:4321", "http://1.2.3.4:4321"),
        ("https://1.2.3.4", "https://1.2.3.4:443"),
        ("https://1.2.3.4:4321", "https://1.2.3.4:4321"),
        ("HTTPS://Example.COM", "https://example.com:443"),
        ("https://example.com/ollama", "https://example.com:443/ollama"),
        ("example.com/ollama/", "http://example.com:11434/ollama"),
        ("ollama.com", "https://ollama.com:443"),
        ("ollama.com:80", "http://ollama.com:80"),
        ("api.ollama.com", "http://api.ollama.com:11434"),
    ],
)
def test_ollama_rules(text: str, url: str) -> None:
    assert server_url(text, lenient=True) == url


def test_default_port() -> None:
    assert server_url("127.0.0.1", 8080) == "http://127.0.0.1:8080"
    assert server_url("http://127.0.0.1", 8080) == "http://127.0.0.1:80"


addresses = st.one_of(
    st.text(),
    st.text(string.ascii_letters + string.digits + ":/.[]@%?#-_'\" \\"),
    st.lists(
        st.sampled_from(
            [
                "http://",
                "https://",
                "localhost",
                "127.0.0.1",
                "::1",
                "[",
                "]",
                ":",
                "/",
                "@",
                "evil",
                "%",
                "1",
                "?",
                "#",
                "\uff10",
            ]
        )
    ).map("".join),
    st.integers(),
    st.none(),
)


@given(addresses, st.booleans())
@example("http://[::1]evil", False)
@example("evil[::1]", False)
@example("[v1.x]:1", False)
@example("\udc80", False)
@example("http://℀.example", False)
@example("https://h:443:443", True)
@example("/:", False)
@example("box:80/a:b", False)
def test_any_text(value: object, lenient: bool) -> None:
    try:
        url = server_url(value, lenient=lenient)
    except ValueError:
        return
    assert server_url(url) == url
    assert re.match(r"https?://[^/@?#\s]+:\d+(/|$)", url)


@given(addresses)
@example("/:0")
def test_loopback_names(value: object) -> None:
    try:
        url = server_url(value)
    except ValueError:
        return
    name = re.fullmatch(r"https?://([^/]*):\d+(?:/.*)?", url, re.DOTALL)
    assert name
    assert is_loopback(url) == (name[1] in ("127.0.0.1", "[::1]", "localhost"))


@pytest.mark.parametrize(
    "value", ["127.0.0.1", "localhost", "LocalHost:1", "::1", "https://[::1]:2/x", ":1", "0.0.0.0"]
)
def test_loopback(value: str) -> None:
    assert is_loopback(server_url(value))


@pytest.mark.parametrize(
    "value",
    [
        *(
            "127.0.0.2",
            "127.1",
            "0x7f000001",
            "2130706433",
            "017700000001",
            "127.0.0.1.",
            "localhost.",
        ),
        *(
            "localhost.evil.com",
            "127.0.0.1.evil.com",
            "evil.com/127.0.0.1",
            "evil.com/localhost",
            "local-host",
        ),
        *("[::ffff:127.0.0.1]", "[::2]", "[0:0:0:0:0:0:0:1]", "[::1%25eth0]", "[fe80::1]"),
        *("１２７.0.0.1", "ⓛocalhost", "lоcalhost", "127。0。0。1", "localhoſt"),  # noqa: RUF001 - lookalikes
        *("evil.com:127", "ollama.com"),
    ],
)
def test_other_spellings(value: str) -> None:
    assert not is_loopback(server_url(value))


@pytest.mark.parametrize(
    "value",
    [
        "user@localhost",
        "127.0.0.1@evil.com",
        "http://127.0.0.1:80@evil.com",
        "evil.com\\@localhost",
        "@localhost",
        "local\thost",
    ],
)
def test_ambiguous_address(value: str) -> None:
    with pytest.raises(ValueError, match=r"must not contain a user|not allowed"):
        server_url(value)


@pytest.mark.parametrize("value", ["://box", "ftp://box", "file:///x"])
def test_other_scheme(value: str) -> None:
    with pytest.raises(ValueError, match="must begin with http:// or https://"):
        server_url(value)


@pytest.mark.parametrize("value", ["http://", "https://:443", "http:///path"])
def test_missing_host(value: str) -> None:
    with pytest.raises(ValueError, match="must have a host after its ://"):
        server_url(value)
