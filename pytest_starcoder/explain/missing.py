"""Finds out from an exception what is missing: what the system, Python or pytest lacks or refuses.

Only exceptions that they raised themselves count: a test double that raises ConnectionRefusedError
says nothing about the machine. No user code runs.
"""

from __future__ import annotations

import dis
import errno
import locale
import os
import re
import socket
import types
from collections.abc import Iterator
from typing import Any

from pytest_starcoder.explain.addresses import Holds, find_address, find_host, traceback_entries
from pytest_starcoder.explain.failure import Missing
from pytest_starcoder.explain.ports import port_owner
from pytest_starcoder.explain.similar_names import nearest_name
from pytest_starcoder.source.callees import is_instance
from pytest_starcoder.text.reprs import safe_str

TEST_DOUBLES = frozenset(
    {
        "aioresponses",
        "fakeredis",
        "httpretty",
        "mock",
        "mockito",
        "moto",
        "pook",
        "pyfakefs",
        "pytest_httpx",
        "pytest_localserver",
        "pytest_socket",
        "requests_mock",
        "responses",
        "respx",
        "vcr",
    }
)
"""Packages that replace parts of the environment in tests, besides `unittest.mock`."""

UNRESOLVED = (socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL)
"""Error numbers of a name that does not resolve; others are about the port or address family."""

MAX_LINKS = 12
"""Maximum number of exceptions in a chain that are examined."""

CANNOT_IMPORT = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")

UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH)

NO_ASYNC = "async def functions are not natively supported"
"""Beginning of pytest's message about a coroutine that no plugin runs."""

NO_FIXTURE = re.compile(r"fixture '(\w+)' not found")

AVAILABLE = re.compile(r"available fixtures: (.*)")

NO_MODULE = re.compile(r"No module named '([\w.]+)'$")


def find_missing(exc: BaseException, holds: Holds) -> Missing | None:
    """Return what an exception says is missing; None if it says nothing of the kind. Never raises.

    `holds` returns whether a file is the project's own.
    """
    try:
        for link in _chain(exc, holds):
            missing = _read(link, holds)
            if missing is not None:
                return missing
    except Exception:  # noqa: BLE001 - exceptions of user code may have any attributes
        pass
    return None


def _read(exc: BaseException, holds: Holds) -> Missing | None:
    if type(exc).__name__ == "FixtureLookupError":
        return _fixture(exc)
    if type(exc).__name__ == "Failed" and safe_str(exc).startswith(NO_ASYNC):
        return Missing("plugin", "async")
    if not _is_genuine(exc, holds):
        return None
    if is_instance(exc, ImportError):
        return _import(exc)
    if is_instance(exc, KeyError):
        return _variable(exc)
    if is_instance(exc, socket.gaierror):
        host = find_host(exc, holds) if exc.errno in UNRESOLVED else ""
        return Missing("host", host) if host else None
    if is_instance(exc, OSError):
        return _system(exc, holds)
    if is_instance(exc, locale.Error):
        return _locale(exc)
    return _refusal(exc, holds) if not is_instance(exc, AssertionError) else None


# --- genuine exceptions ------------------------------------------------------------------------


def _chain(exc: BaseException, holds: Holds) -> Iterator[BaseException]:
    """Yield an exception and those it was raised from.

    The exception that was being handled counts only for an installed package: one that project
    code raises while it handles another may be a fault of that code.
    """
    seen: list[BaseException] = []
    waiting: list[object] = [exc]
    while waiting and len(seen) < MAX_LINKS:
        link = waiting.pop(0)
        if not is_instance(link, BaseException) or any(link is each for each in seen):
            continue
        assert isinstance(link, BaseException)
        seen.append(link)
        yield link
        waiting.append(link.__cause__)
        entry = _deepest(link)
        if entry is not None and not holds(entry.tb_frame.f_code.co_filename):
            waiting.append(link.__context__)


def _deepest(exc: BaseException) -> types.TracebackType | None:
    entry = exc.__traceback__
    while entry is not None and entry.tb_next is not None:
        entry = entry.tb_next
    return entry


def _is_genuine(exc: BaseException, holds: Holds) -> bool:
    """Return whether installed code, Python itself or the system raised an exception."""
    deepest = _deepest(exc)
    if deepest is None or any(map(_is_test_double, traceback_entries(exc))):
        return False
    code = deepest.tb_frame.f_code
    if not holds(code.co_filename):
        return True
    # Project code counts only where a built-in function or an import raised, not a `raise`.
    operation = dis.opname[code.co_code[deepest.tb_lasti]]
    return operation.startswith(("CALL", "PRECALL", "IMPORT", "BEFORE_WITH"))


def _is_test_double(entry: types.TracebackType) -> bool:
    name = str(entry.tb_frame.f_globals.get("__name__"))
    return name == "unittest.mock" or name.partition(".")[0] in TEST_DOUBLES


# --- kinds -------------------------------------------------------------------------------------


def _fixture(exc: Any) -> Missing | None:
    """Return the fixture that pytest did not find, with the nearest one that the test could use.

    Returns None for a recursive dependency, which raises the same exception.
    """
    text = exc.formatrepr().errorstring
    absent = NO_FIXTURE.search(text)
    if absent is None:
        return None
    available = AVAILABLE.search(text)
    names = available[1].split(", ") if available else []
    return Missing("fixture", absent[1], nearest_name(absent[1], names))


def _import(exc: BaseException) -> Missing | None:
    text = safe_str(exc)
    if is_instance(exc, ModuleNotFoundError):
        absent = NO_MODULE.match(text)
        # Other messages are those of blocked imports: `sys.modules["yaml"] = None`.
        if absent is None or absent[1] != getattr(exc, "name", None):
            return None
        return Missing("module", absent[1])
    absent = CANNOT_IMPORT.match(text)
    return Missing("name", absent[1], absent[2]) if absent else None


def _variable(exc: BaseException) -> Missing | None:
    entry = _deepest(exc)
    assert entry is not None
    frame = entry.tb_frame
    if frame.f_code is not type(os.environ).__getitem__.__code__:
        return None
    [key] = exc.args[:1] or [None]
    if frame.f_locals.get("self") is not os.environ or type(key) is not str:
        return None
    return Missing("variable", key)


def _locale(exc: BaseException) -> Missing | None:
    entry = _deepest(exc)
    assert entry is not None
    name = entry.tb_frame.f_locals.get("locale")
    return Missing("locale", name) if type(name) is str and name else None


def _system(exc: BaseException, holds: Holds) -> Missing | None:
    """Return what an error of the operating system is about."""
    assert isinstance(exc, OSError)
    number = exc.errno
    if number == errno.ECONNREFUSED or is_instance(exc, ConnectionRefusedError):
        return _address(exc, holds)
    if number in UNREACHABLE:
        address = find_address(exc, holds)
        return Missing("network", *address) if address else None
    if number == errno.EADDRINUSE:
        return _port(exc, holds)
    path = os.fsdecode(exc.filename) if isinstance(exc.filename, str | bytes) else ""
    if number in (errno.ENOSPC, errno.EDQUOT):
        return Missing("disk", path, os.path.abspath(path))  # noqa: PTH100 - may be empty
    if not path:
        # Clients pass on what they tried as a text: aiohttp, asyncio.
        return _refusal(exc, holds)
    if number == errno.ENOENT:
        return _file(exc, path)
    if number in (errno.EACCES, errno.EPERM):
        return Missing("permission", path, os.path.abspath(path))  # noqa: PTH100
    return None


def _file(exc: BaseException, path: str) -> Missing:
    entry = _deepest(exc)
    in_subprocess = entry is not None and entry.tb_frame.f_globals.get("__name__") == "subprocess"
    # The missing file may also be the folder in which the program was to run.
    if in_subprocess and os.path.basename(path) == path:  # noqa: PTH119 - a plain name
        return Missing("program", path)
    return Missing("file", path, os.path.abspath(path))  # noqa: PTH100 - no user code runs


def _refusal(exc: BaseException, holds: Holds) -> Missing | None:
    """Return what a client describes in words: a refused connection or an unknown host."""
    if type(exc).__module__ == "builtins" and not is_instance(exc, OSError):
        return None
    text = safe_str(exc).lower()
    if "resolve host" in text or "translate host name" in text:
        host = find_host(exc, holds)
        return Missing("host", host) if host else None
    if "connection refused" in text or "connect call failed" in text:
        return _address(exc, holds)
    return None


def _address(exc: BaseException, holds: Holds) -> Missing | None:
    address = find_address(exc, holds)
    return Missing("address", *address) if address else None


def _port(exc: BaseException, holds: Holds) -> Missing | None:
    address = find_address(exc, holds)
    if address is None:
        return None
    _, port = address
    owner = port_owner(int(port))
    # If this run itself holds the port, its own code has not closed it.
    return Missing("port", port, owner) if owner else None
