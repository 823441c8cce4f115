"""Describes the response of a server or the output of a program, and the error behind it.

Responses and results are recognized by their attributes, whichever library they come from. No
stream is read that was not read before.
"""

from __future__ import annotations

import ast
import functools
import gc
import html
import itertools
import re
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pytest_starcoder.explain.codes import status_name
from pytest_starcoder.explain.equality import attributes
from pytest_starcoder.explain.raise_site import UNKNOWN, RaiseSite, assignments_in, attribute_of
from pytest_starcoder.source.callees import is_instance
from pytest_starcoder.text.display import cut_between_words

MAX_TEXT = 140
"""Maximum length of a quoted response."""

MAX_READ = 20_000
"""Maximum number of characters or bytes of a response that are read."""

MAX_OBJECTS = 40
"""Maximum number of objects that a search for a buffered text visits."""

STATUS_NAMES = ("status_code", "_status_code", "status")
STATUS_CHECKS = ("ok", "is_success", "is_error", "raise_for_status", "status_int")
BODY_NAMES = ("_content", "_container", "_body", "_app_iter", "response", "content", "body", "text")

EXIT_NAMES = ("exit_code", "returncode")
OUTPUT_NAMES = ("stderr", "stderr_bytes", "output_bytes", "stdout_bytes", "output", "stdout")

BUFFERS: tuple[type, ...] = (
    list,
    tuple,
    functools.partial,
    itertools.chain,
    type(iter([])),
    type(iter(())),
)
"""Types that may hold a buffered text; looking into them runs no user code."""


@dataclass(frozen=True)
class Reply:
    """The response of a server or the result of a program; `text` is None if it is unknown."""

    speaker: str
    title: str
    text: str | None
    is_error: bool
    location: str = ""
    error: BaseException | None = None

    def describe(self) -> Iterator[str]:
        if self.location:
            yield f"{self.title} redirects to {self.location}"
        elif self.text is None:
            return
        elif self.text.strip():
            yield f"{self.title} says: {cut_between_words(self.text, MAX_TEXT)}"
        else:
            yield f"{self.title} has no text"


def response_facts(site: RaiseSite) -> Iterator[str]:
    """Yield what the response or program on the failing line says."""
    for reply in replies(site):
        if reply.is_error or _asks_for_status(site):
            yield from reply.describe()
        return


def replies(site: RaiseSite) -> Iterator[Reply]:
    """Yield the responses and results on the failing line, or those that its values come from."""
    on_line = list(_replies_of(values_on_line(site)))
    yield from on_line or _replies_of(_sources(site))


def _sources(site: RaiseSite) -> Iterator[object]:
    """Yield failed replies that the line's variables were assigned from."""
    names = {ast.unparse(node) for node in site.names()}
    for assignment in assignments_in(site.function):
        if assignment.name not in names:
            continue
        for word in re.findall(r"\w+", assignment.statement):
            value = site.locals.get(word)
            if word != assignment.name and _is_failed_reply(value):
                yield value


def _replies_of(values: Iterable[object]) -> Iterator[Reply]:
    for value in values:
        reply = reply_of(value)
        if reply is not None:
            yield reply


def _asks_for_status(site: RaiseSite) -> bool:
    attributes_read = site.nodes(ast.Attribute)
    return any(node.attr in (*STATUS_NAMES, *STATUS_CHECKS) for node in attributes_read)


def values_on_line(site: RaiseSite) -> Iterator[object]:
    # HTTP clients keep the response in the error they raise for a bad status.
    yield attributes(site.exc).get("response")
    yield site.exc  # a CalledProcessError has the output of the program
    for node in site.names():
        yield site.value(node)
    # Values without a name, which pytest keeps until an assertion has passed.
    for name, value in site.locals.items():
        if name.startswith("@py_assert"):
            yield value


def _is_failed_reply(value: object) -> bool:
    return _number(value, STATUS_NAMES) >= 400 or _number(value, EXIT_NAMES) > 0


def _number(value: object, names: Iterable[str]) -> int:
    """Return the first attribute that is an integer, without running user code; -1 if none is."""
    if type(value).__module__ == "builtins" or is_instance(value, type, types.ModuleType):
        return -1
    for name in names:
        number = attribute_of(value, name)
        if is_instance(number, int) and type(number) is not bool:
            return int.__int__(number)
    return -1


def reply_of(value: object) -> Reply | None:
    """Return what a response or the result of a program says; None for any other object."""
    status = _number(value, STATUS_NAMES)
    if 100 <= status <= 599:
        text = _text(value, BODY_NAMES)
        if text is None and _number(value, ("_status_code",)) < 0:
            return None
        title = f"the response ({status} {status_name(status)}".rstrip() + ")"
        location = _location(value) if 300 <= status < 400 else ""
        return Reply("the server", title, text, status >= 300, location, _error(value))
    if _number(value, EXIT_NAMES) > 0:
        text = _text(value, OUTPUT_NAMES)
        error = _error(value)
        if text or error:
            return Reply("the program", "the program", text, True, error=error)
    return None


def _text(value: object, names: Iterable[str]) -> str | None:
    """Return the first text in one of the attributes; None if there is none."""
    for name in names:
        part = attributes(value).get(name, UNKNOWN)
        text = _first_text(part)
        if text is None:
            continue
        # A program may have written nothing to one of its streams.
        if text or names is BODY_NAMES:
            return _without_tags(_decoded(text))
    return None


def _first_text(value: Any) -> str | bytes | None:
    """Return the first text inside a value that buffers one; None if there is none."""
    if type(value) is list and not value:
        return b""
    waiting = [value]
    for _ in range(MAX_OBJECTS):
        if not waiting:
            return None
        value = waiting.pop(0)
        if type(value) in (str, bytes):
            text: str | bytes = value[:MAX_READ]
            return text
        kinds = set(map(type, value)) if type(value) in (list, tuple) else set()
        if kinds == {bytes}:
            return b"".join(value)[:MAX_READ]
        if type(value) in BUFFERS:
            waiting += gc.get_referents(value)
        elif type(value).__name__ == "ClosingIterator":  # of werkzeug
            waiting.append(attributes(value).get("_next"))
    return None


def _without_tags(text: str) -> str:
    """Return the text of an HTML page; other texts unchanged."""
    start = text[:200].lstrip().lower()
    if not start.startswith(("<!doctype html", "<html")):
        return text
    text = re.sub(r"(?is)<(script|style|head)\b.*?</\1\s*>", " ", text)
    return html.unescape(re.sub(r"<[^<>]*>", " ", text))


def _location(value: object) -> str:
    """Return the address that a response redirects to."""
    headers = attributes(attributes(value).get("headers"))
    # Lists of names and values, or a dict of both by the name in lower case.
    entries: list[Any] = [*(headers.get("_list") or ()), *(headers.get("_store") or {}).values()]
    for entry in entries:
        if type(entry) is tuple and _decoded(entry[:1]).lower() == "location":
            return _decoded(entry[-1:])
    return ""


def _decoded(value: object) -> str:
    text = _first_text(value) or ""
    return text if isinstance(text, str) else text.decode("utf-8", "replace")


def _error(value: object) -> BaseException | None:
    """Return the exception that a test client or a runner stored beside its result."""
    stored = attributes(value).get("exc_info")
    if type(stored) is tuple and len(stored) == 3 and is_instance(stored[1], BaseException):
        # Command-line programs end with SystemExit.
        return None if is_instance(stored[1], SystemExit) else stored[1]
    return None
