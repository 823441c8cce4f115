"""Describes database errors: the statement and its parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_starcoder.explain.equality import attributes, plain
from pytest_starcoder.explain.raise_site import UNKNOWN, RaiseSite
from pytest_starcoder.text.display import cut_between_words, one_line
from pytest_starcoder.text.reprs import short_repr

DRIVERS = ("sqlite3", "psycopg", "psycopg2", "pymysql", "MySQLdb", "asyncpg", "duckdb", "oracledb")
"""Packages whose exceptions come from a database."""

EXECUTE_METHODS = ("execute", "executemany", "executescript")

MAX_STATEMENT = 120
"""Maximum length of a statement in a sentence."""


def sql_facts(site: RaiseSite) -> Iterator[str]:
    """Yield the statement that a database rejected."""
    members = attributes(site.exc)
    statement = plain(members.get("statement"))
    # SQLAlchemy keeps both in the error.
    if type(statement) is str and "params" in members:
        is_hidden = members.get("hide_parameters")
        yield _sentence(statement, UNKNOWN if is_hidden else members["params"])
        return
    if type(site.exc).__module__.partition(".")[0] not in DRIVERS:
        return
    for call in site.nodes(ast.Call):
        if getattr(call.func, "attr", "") not in EXECUTE_METHODS or not call.args:
            continue
        statement = site.value(call.args[0])
        parameters = site.value(call.args[1]) if len(call.args) > 1 else ()
        if type(statement) is str:
            yield _sentence(statement, parameters)
            return


def _sentence(statement: str, parameters: object) -> str:
    text = f"the statement is {one_line(statement, MAX_STATEMENT)}"
    shown = "" if parameters is UNKNOWN else short_repr(parameters)
    if shown in ("", "()", "[]", "{}", "None"):
        return text
    return f"{text} with {cut_between_words(shown, 60)}"
