"""Finds the address or host name that a failed connection was made to."""

from __future__ import annotations

import ast
import re
import types
from collections.abc import Callable, Iterator, Mapping

from pytest_starcoder.explain.equality import attributes
from pytest_starcoder.explain.raise_site import RaiseSite
from pytest_starcoder.text.reprs import safe_str

Holds = Callable[[str], bool]
"""Returns whether a file is the project's own."""

HOST = r"[A-Za-z0-9_.:-]+"

ADDRESS_FORMS = (
    # asyncio, socketserver: ('127.0.0.1', 5432)
    re.compile(rf"\('(?P<host>{HOST})', (?P<port>\d+)[,)]"),
    # urllib3: host='localhost', port=5432
    re.compile(rf"host='(?P<host>{HOST})', port=(?P<port>\d+)"),
    # libpq: server at "localhost" (127.0.0.1), port 5432
    re.compile(rf"server at \"(?P<host>{HOST})\"[^,]*, port (?P<port>\d+)"),
    # redis: connecting to localhost:6379; MongoDB: localhost:27017: [Errno 111]; gRPC: ipv4:…
    re.compile(r"(?:connecting to |ipv4:|^)(?P<host>[\w.-]+):(?P<port>\d+)\b"),
)
"""How Python and client libraries write an address in their messages."""

UNKNOWN_HOST = re.compile(rf"(?:host name|host) [\"'](?P<host>{HOST})[\"']")


def find_address(exc: BaseException, holds: Holds) -> tuple[str, str] | None:
    """Return the host and port of a failed connection or server; None if they are unknown.

    `holds` returns whether a file is the project's own.
    """
    return next(_addresses(exc, holds), None)


def _addresses(exc: BaseException, holds: Holds) -> Iterator[tuple[str, str]]:
    """Yield the possible addresses, the most certain one first."""
    yield from _from_attributes(vars(exc))
    for entry in reversed(list(traceback_entries(exc))):
        if holds(entry.tb_frame.f_code.co_filename):
            # Other variables of project code may belong to another server.
            for argument in _call_arguments(entry):
                yield from _from_pair(argument)
            break
        yield from _from_frame(entry.tb_frame.f_locals)
    text = safe_str(exc)
    for form in ADDRESS_FORMS:
        match = form.search(text)
        if match:
            yield match["host"], match["port"]


def find_host(exc: BaseException, holds: Holds) -> str:
    """Return the host name that did not resolve; empty if it is unknown."""
    for entry in list(traceback_entries(exc))[-1:]:
        host = _requested_host(entry, holds)
        if host is not None:
            return host
    match = UNKNOWN_HOST.search(safe_str(exc))
    return match["host"] if match else ""


def _requested_host(entry: types.TracebackType, holds: Holds) -> str | None:
    """Return the host that the call at a traceback entry asks for; None if it is unknown."""
    frame = entry.tb_frame
    host: object = None
    if holds(frame.f_code.co_filename):
        host = next(_call_arguments(entry), None)
    elif frame.f_globals.get("__name__") == "socket":
        host = frame.f_locals.get("host")
    # Not `isinstance`, which may run code of the user's class.
    return host if type(host) is str else None


def traceback_entries(exc: BaseException) -> Iterator[types.TracebackType]:
    """Yield the traceback entries of an exception, the one that raised last."""
    entry = exc.__traceback__
    while entry is not None:
        yield entry
        entry = entry.tb_next


def _from_frame(variables: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the addresses in the variables of a client's or a server's function."""
    for name in ("address", "sa", "server_address", "addr"):
        yield from _from_pair(variables.get(name))
    yield from _from_attributes(variables)
    members = attributes(variables.get("self"))
    yield from _from_attributes(members)
    yield from _from_pair(members.get("server_address"))


def _from_pair(value: object) -> Iterator[tuple[str, str]]:
    if type(value) is tuple and len(value) >= 2:
        host, port = value[:2]
        if type(host) is str and type(port) is int:
            yield host, str(port)


def _from_attributes(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for host_name, port_name in (("host", "port"), ("_host", "_port")):
        yield from _from_pair((values.get(host_name), values.get(port_name)))


def _call_arguments(entry: types.TracebackType) -> Iterator[object]:
    """Yield the arguments of the call that failed, if its frame is the last of the traceback."""
    frame = entry.tb_frame
    if entry.tb_next is not None:
        return
    site = RaiseSite(Exception(), frame, entry.tb_lineno, entry.tb_lasti)
    for call in site.nodes(ast.Call):
        for argument in call.args:
            if isinstance(argument, ast.Tuple):
                yield tuple(site.value(part) for part in argument.elts)
            else:
                yield site.value(argument)
        return
