"""Describes captured output and logs: text on the other stream, and dropped log records."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator

from pytest_starcoder.explain.raise_site import RaiseSite
from pytest_starcoder.explain.response_facts import values_on_line
from pytest_starcoder.text.reprs import short_repr

STREAMS = {"out": "err", "err": "out"}
"""The streams of `capsys.readouterr()`, each with the other one."""

LOG_ATTRIBUTES = ("text", "records", "messages", "record_tuples")


def output_facts(site: RaiseSite) -> Iterator[str]:
    """Yield what was written to the other stream, or why there are no log records."""
    names = {node.attr for node in site.nodes(ast.Attribute)}
    for value in values_on_line(site):
        if type(value).__name__ == "CaptureResult" and type(value).__module__ == "_pytest.capture":
            yield from _other_stream(names, value)
            return
        if type(value).__name__ == "LogCaptureFixture" and names.intersection(LOG_ATTRIBUTES):
            yield from _missing_records(value)
            return


def _other_stream(names: set[str], captured: object) -> Iterator[str]:
    streams = {"out": getattr(captured, "out", ""), "err": getattr(captured, "err", "")}
    for name, other in STREAMS.items():
        if name in names and other not in names and not streams[name] and streams[other]:
            yield f"nothing was written to {name}, but {other} has {short_repr(streams[other])}"


def _missing_records(caplog: object) -> Iterator[str]:
    """Yield the level below which records are dropped, if there are no records at all."""
    # pytest's own object: reading this attribute changes nothing.
    if getattr(caplog, "records", None) != []:
        return
    level = logging.getLogger().level
    if level > logging.DEBUG:
        name = logging.getLevelName(level)
        yield f"caplog has no records; the root logger drops those below {name}"
