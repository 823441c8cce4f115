"""Addresses of servers, by the rules of OLLAMA_HOST, and which of them are this machine."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""The only host names that mean this machine."""

ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""Host names that mean every address of this machine, and the loopback address for each."""

_EXAMPLES = "an address such as 127.0.0.1:11434 or https://gpu-box.example"

DEFAULT_PORTS = {"http": 80, "https": 443}


def server_url(value: object, default_port: int = 11434, *, lenient: bool = False) -> str:
    """Return `value` as scheme://host:port/path, by the rules of OLLAMA_HOST.

    Without a scheme it is http and `default_port`; with one, the port of the scheme. A name
    that means every address (0.0.0.0, ::, none) becomes loopback. With `lenient`, an invalid
    port means the default one, as Ollama reads its variable. Raises ValueError.
    """
    text = _checked_text(value)
    written_scheme, has_scheme, address = text.rpartition("://")
    # Without a scheme, Ollama itself reaches only this host by https.
    default_scheme = "https" if text == "ollama.com" else "http"
    scheme = written_scheme.lower() if has_scheme else default_scheme
    if scheme not in DEFAULT_PORTS:
        raise ValueError("must begin with http:// or https://")
    if has_scheme or scheme == "https":
        default_port = DEFAULT_PORTS[scheme]
    try:
        parts = urlsplit(f"{scheme}://{_bracket_ipv6(address)}")
    except ValueError as exc:
        raise ValueError(f"must be {_EXAMPLES}") from exc
    port = _port(parts, default_port, lenient)
    if parts.query or parts.fragment:
        raise ValueError("must consist of host, port and path only; a key goes into api_key")
    if has_scheme and not parts.hostname and not lenient:
        raise ValueError("must have a host after its ://")
    host = _reachable_host(parts.hostname or "")
    return f"{scheme}://{host}:{port}{parts.path.rstrip('/')}"


def _reachable_host(name: str) -> str:
    """Return a host name as it is written in a URL; loopback for every address."""
    host = ANY_ADDRESS.get(name, name)
    return f"[{host}]" if ":" in host else host  # IPv6


def _checked_text(value: object) -> str:
    """Return the text of an address without the quotes around it. Raises ValueError."""
    text = value.strip(" \t\"'") if isinstance(value, str) else ""
    if not text:
        raise ValueError(f"must be {_EXAMPLES}")
    if re.search(r"[\s\\]", text) or not text.isprintable():
        raise ValueError("contains a character that is not allowed in an address")
    if "@" in text:
        raise ValueError("must not contain a user or password; a key goes into api_key")
    return text


def _bracket_ipv6(address: str) -> str:
    """Put a bare IPv6 address into brackets."""
    # Like Ollama: `::1` and `fe80::1/path`, but not `host:port`.
    name, slash, path = address.partition("/")
    if name.count(":") > 1 and not name.startswith("["):
        return f"[{name}]{slash}{path}"
    return address


def _port(parts: SplitResult, default: int, lenient: bool) -> int:
    try:
        return parts.port or default
    except ValueError as exc:
        if lenient:
            return default
        raise ValueError(
            "must be an address whose port is a number up to 65535, such as 127.0.0.1:11434"
        ) from exc


def is_loopback(url: str) -> bool:
    """Return whether a URL made by `server_url` names this machine."""
    return urlsplit(url).hostname in LOOPBACK
