"""Errors of databases, with the statement and its parameters."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.raising import observe

from pytest_starcoder.explain.exception_texts import exception_text


class StatementError(Exception):
    """An error of the shape that SQLAlchemy raises."""

    def __init__(self, statement: str, params: object, *, hide_parameters: bool = False) -> None:
        text = f"(driver) UNIQUE failed\n[SQL: {statement}]\n(Background on this error at: x)"
        super().__init__(text)
        self.statement = statement
        self.params = params
        self.orig = ValueError("UNIQUE failed")
        self.hide_parameters = hide_parameters


@pytest.mark.parametrize(
    ("code", "fact"),
    [
        ("db.execute(sql, (name,))", "the statement is INSERT INTO t VALUES (?) with ('Ada',)"),
        ("db.execute(sql, [name])", "the statement is INSERT INTO t VALUES (?) with ['Ada']"),
        ("db.execute(sql, f(name))", "the statement is INSERT INTO t VALUES (?)"),
        ("db.execute('SELECT x')", "the statement is SELECT x"),
    ],
)
def test_sqlite(code: str, fact: str, tmp_path: Path) -> None:
    scope = {"sql": "INSERT INTO t VALUES (?)", "name": "Ada", "f": lambda name: (name,)}
    with closing(sqlite3.connect(":memory:")) as db:
        assert fact in observe(code, tmp_path, db=db, **scope)


def test_sqlalchemy(tmp_path: Path) -> None:
    error = StatementError("INSERT INTO t VALUES (?)", ("Ada",))
    fact = "the statement is INSERT INTO t VALUES (?) with ('Ada',)"
    assert observe("raise error", tmp_path, error=error)[0] == fact
    assert exception_text(error) == "(driver) UNIQUE failed"


def test_hidden_parameters(tmp_path: Path) -> None:
    error = StatementError("INSERT", ("Ada",), hide_parameters=True)
    assert observe("raise error", tmp_path, error=error)[0] == "the statement is INSERT"


def test_links_of_pydantic() -> None:
    kind = type("ValidationError", (ValueError,), {"__module__": "pydantic_core"})
    text = "1 error\nage\n  bad\n    For further information visit https://x.dev/int"
    assert exception_text(kind(text)) == "1 error\nage\n  bad"
