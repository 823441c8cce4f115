"""Addresses of servers, by the rules of OLLAMA_HOST, and which of them are this machine."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""The host names that mean this machine; no other spelling does."""


def server_url(value: object, default_port: int = 11434, *, lenient: bool = False) -> str:
    """`value` as scheme://host:port/path, by the rules of OLLAMA_HOST.

    Without a scheme it is http and `default_port`; with one, the scheme's own
    port. A name that means every address (0.0.0.0, ::, none) becomes loopback.
    A port that is none means the default one if `lenient`, as Ollama reads its
    variable. Raises ValueError for what cannot be an address.
    """
    text = value.strip(" \t\"'") if isinstance(value, str) else ""
    if not text:
        raise ValueError("wants an address such as 127.0.0.1:11434 or https://gpu-box.example")
    if re.search(r"[\s\\]", text) or not text.isprintable():
        raise ValueError("has a character that no address has")
    if "@" in text:
        raise ValueError("wants no user and no password; a key goes into api_key")
    scheme, found, rest = text.rpartition("://")
    scheme = scheme.lower() if found else "https" if text == "ollama.com" else "http"
    if scheme not in ("http", "https"):
        raise ValueError("wants http:// or https://")
    if found or scheme == "https":
        default_port = {"http": 80, "https": 443}[scheme]
    name, slash, path = rest.partition("/")
    if name.count(":") > 1 and not name.startswith("["):
        rest = f"[{name}]{slash}{path}"  # a bare IPv6 address
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        host, port = parts.hostname or "", _port(parts, default_port, lenient)
    except ValueError as exc:
        raise ValueError(f"is no address ({exc})") from exc
    if parts.query or parts.fragment:
        raise ValueError("wants host, port and path alone; a key goes into api_key")
    if found and not host and not lenient:
        raise ValueError("wants a host after its ://")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}{parts.path.rstrip('/')}"


def _port(parts: SplitResult, default: int, lenient: bool) -> int:
    try:
        return parts.port or default
    except ValueError:
        if lenient:
            return default
        raise


def is_loopback(url: str) -> bool:
    """Whether a URL made by `server_url` names this machine."""
    return urlsplit(url).hostname in LOOPBACK
