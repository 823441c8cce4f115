"""What servers and programs answered, read from what their responses store."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.raising import observe, raised_in

from pytest_starcoder.explain.capture import capture_failure
from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.explain.response_facts import MAX_TEXT, reply_of
from pytest_starcoder.source.project import Project

PAGE = b"<!doctype html><html><head><title>404</title></head><h1>Not&nbsp;here</h1></html>"


class Response(SimpleNamespace):
    """An object of the shape that HTTP clients return."""


def described(**fields: object) -> list[str]:
    reply = reply_of(Response(**fields))
    return [] if reply is None else list(reply.describe())


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"status_code": 404, "_content": b'{"error":"no"}'}, '{"error":"no"}'),  # httpx, requests
        ({"status_code": 404, "_container": [b"no ", b"user"]}, "no user"),  # Django
        ({"_status_code": 404, "response": [b"no"]}, "no"),  # werkzeug
        ({"status": 404, "_body": b"no"}, "no"),  # aiohttp
        ({"status_code": 404, "body": "no"}, "no"),
        ({"status_code": 404, "_content": PAGE}, "Not here"),
        ({"status_code": 404, "_content": b"\xff"}, "\ufffd"),
    ],
)
def test_bodies(fields: dict[str, Any], text: str) -> None:
    assert described(**fields) == [f"the response (404 Not Found) says: {text}"]


def test_no_body() -> None:
    assert described(status_code=404, _content=b"") == ["the response (404 Not Found) has no text"]
    assert described(status_code=404, _content=False) == []  # not read yet


def test_unknown_status() -> None:
    assert described(status_code=599, _content=b"x") == ["the response (599) says: x"]
    assert described(status_code=3, _content=b"x") == []


@pytest.mark.parametrize(
    "headers",
    [
        Response(_list=[(b"Location", b"location", b"/login")]),
        Response(_list=[("Location", "/login")]),
        Response(_store={"location": ("Location", "/login")}),
    ],
)
def test_redirects(headers: object) -> None:
    redirect = "the response (302 Found) redirects to /login"
    assert described(status_code=302, _content=b"", headers=headers) == [redirect]


def test_long_body() -> None:
    [sentence] = described(status_code=500, _content=b"word " * 100)
    assert sentence.endswith(" word…")
    assert len(sentence) < MAX_TEXT + 60


def test_body_is_cut_between_words() -> None:
    [sentence] = described(status_code=500, _content=b"a " + b"x" * 300)
    assert sentence.endswith("says: a…")


def test_streams_stay_unread() -> None:
    stream = iter([b"x"])
    described(status_code=404, response=(piece for piece in stream), _content=None)
    assert list(stream) == [b"x"]


def test_program() -> None:
    program = Response(returncode=2, stdout="", stderr="no such option: -x\n")
    reply = reply_of(program)
    assert reply is not None
    assert list(reply.describe()) == ["the program says: no such option: -x"]
    assert reply_of(Response(returncode=0, stdout="x")) is None


def response_404(**fields: object) -> Response:
    return Response(**{"status_code": 404, "_content": b"no user 3", **fields})


@pytest.mark.parametrize(
    "code",
    [
        "assert r.status_code == 200",
        "assert r.ok",
        "data = r.status_code\nassert data == 2",
        "import unittest\nunittest.TestCase().assertEqual(r.status_code, 200)",
    ],
)
def test_response_of_a_test(tmp_path: Path, code: str) -> None:
    says = "the response (404 Not Found) says: no user 3"
    assert says in observe(code, tmp_path, r=response_404())


def test_response_without_a_name(tmp_path: Path) -> None:
    says = "the response (404 Not Found) says: no user 3"
    scope = {"@py_assert1": response_404()}  # as pytest names it
    assert says in observe("assert False", tmp_path, **scope)


def test_unrelated_response(tmp_path: Path) -> None:
    found = observe("assert data == 2", tmp_path, r=response_404(), data=1)
    assert not any("says" in sentence for sentence in found)


def test_accepted_response(tmp_path: Path) -> None:
    response = response_404(status_code=200)
    says = "the response (200 OK) says: no user 3"
    assert says in observe("assert r.status_code == 404", tmp_path, r=response)
    assert says not in observe("assert r.title == 3", tmp_path, r=response)


def test_error_with_a_response(tmp_path: Path) -> None:
    exc = ValueError("404")
    vars(exc)["response"] = response_404()
    assert "the response (404 Not Found) says: no user 3" in observe("raise e", tmp_path, e=exc)


def test_failed_program(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "command = [sys.executable, '-c', 'import sys; sys.exit(\"bad input\")']\n"
        "subprocess.run(command, capture_output=True, check=True)"
    )
    assert "the program says: bad input" in observe(code, tmp_path)


def failure_beside(tmp_path: Path, error: str, **arguments: Any) -> Failure:
    """Return the failure of a line with a response, after the server raised `error`."""
    raised, _ = raised_in(tmp_path / "app.py", f"def view():\n    raise {error}\nview()")
    info = (type(raised), raised, raised.__traceback__)
    scope: dict[str, Any] = {"r": response_404()}
    if arguments.pop("is_stored", False):
        vars(scope["r"])["exc_info"] = info
    else:
        arguments["records"] = [logging.LogRecord("app", 40, "", 1, "failed", (), info)]
    exc, _ = raised_in(tmp_path / "test_app.py", "assert r.status_code == 200", **scope)
    return capture_failure(exc, "test_app.py::test", "call", Project(tmp_path), **arguments)


def test_error_of_the_server(tmp_path: Path) -> None:
    failure = failure_beside(tmp_path, "KeyError('cost')", is_stored=True)
    assert "the server raised KeyError: 'cost' at app.py:2 in view" in failure.facts
    assert (failure.callees[0].path, failure.callees[0].line) == ("app.py", 2)


def test_logged_error(tmp_path: Path) -> None:
    failure = failure_beside(tmp_path, "KeyError('cost')")
    assert "the log contains KeyError: 'cost' at app.py:2 in view" in failure.facts


def test_secrets_in_responses(tmp_path: Path) -> None:
    body = b'{"access_token": "Zq8xV3nB7mK2aa", "user": 3}'
    scope = {"r": response_404(_content=body)}
    exc, _ = raised_in(tmp_path / "test_app.py", "assert r.ok", ok=False, **scope)
    failure = capture_failure(exc, "test_app.py::test", "call", Project(tmp_path))
    assert not any("Zq8x" in fact for fact in failure.facts)
    assert any("says: " in fact for fact in failure.facts)


def test_unread_response_of_flask() -> None:
    pytest.importorskip("werkzeug")
    from werkzeug.test import Client
    from werkzeug.wrappers import Response as Answer

    reply = reply_of(Client(Answer("no user 3", status=404)).get("/"))
    assert reply is not None
    assert list(reply.describe()) == ["the response (404 Not Found) says: no user 3"]


def test_nothing_is_imported() -> None:
    before = set(sys.modules)
    described(status_code=404, _content=b"x")
    assert not {"httpx", "requests", "flask"} & (set(sys.modules) - before)
