"""Tests of the figures of benchmarks, and of the rows of rivals without results."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from support.real import RealServer

from benchmarks import fixes, generate, writers
from benchmarks.review import characters, last_line
from benchmarks.review_lines import Tally, charts, faulty_lines
from benchmarks.rivals import NotInstalled


def test_of_the_fixes_the_first_and_any_are_counted_apart() -> None:
    found = [
        fixes.FaultResult("a", True, (True,), (True,), searched=1.0),
        fixes.FaultResult(
            "b", True, (False, True), (False, False), "f(1) gives 1, or 2?", searched=3.0
        ),
        fixes.FaultResult("c", True, searched=2.0),
        fixes.FaultResult("d", False),
    ]
    assert [(row.what, row.measured) for row in fixes.rows(found)] == [
        ("faults measured", "4"),
        ("did not end", "1"),
        ("a fix is shown", "2 of 4"),
        ("the first fix is right", "1 of 2"),
        ("a shown fix is right", "2 of 2"),
        ("labelled checked", "1 of 2"),
        ("labelled checked and right", "1 of 1"),
        ("first is wrong, with a question", "1 of 1"),
        ("seconds of search, median / max", "2.00 / 3.00"),
    ]
    assert [values for _, values in fixes.bars(found, "all tests").rows] == [
        (4,),
        (2,),
        (2,),
        (1,),
        (1,),
        (1,),
    ]


def test_worth_of_tests() -> None:
    free = generate.Worth("with free seeds", 3, 4, 97.06, 12, 4.5)
    rival = generate.Worth("Pynguin", 0, 0, 0.0, 0, 60.0, is_ours=False)
    assert [(row.what, row.measured) for row in free.rows()] == [
        ("with free seeds: mutants killed", "3 of 4 (75.0 %)"),
        ("with free seeds: lines and branches", "97.1 %, 12 tests, 4.5 s"),
    ]
    chart = generate.chart("inflection", [free, rival])
    assert chart.rows == (("with free seeds", (75.0, 97.1)), ("Pynguin", (0.0, 0.0)))
    assert chart.highlighted == {"with free seeds"}


def test_rival_without_tests() -> None:
    output = "\x1b[31mTraceback\x1b[0m\nKeyError: no price\n\r 0%| | 0/13 [00:23<?, ?it/s, G=0]\n\n"
    use = "the demo model answered 1 of 13 requests"
    rival = writers.Written("CoverUp 0.6.3", [], 23.4, writers.last_line(output), use)
    row = generate.rival_row(rival)
    assert row.measured == f"23, {use}, last line: KeyError: no price"
    assert writers.last_line("\n") == "no output"


def test_rival_not_installed() -> None:
    def fails() -> list[writers.Written]:
        raise NotInstalled("ERROR: No matching distribution found for pynguin")

    there = writers.Written("CoverUp", [], 1.0)
    written, missing = writers.attempts([("Pynguin", fails), ("CoverUp", lambda: [there])])
    assert written == [there]
    assert missing == [
        ("Pynguin", "not installed: ERROR: No matching distribution found for pynguin")
    ]


def test_endless_rival(tmp_path: Path) -> None:
    started = time.perf_counter()
    _, output = writers._ended(["sh", "-c", "echo begun; exec sleep 60"], tmp_path, {}, 1.0)
    assert time.perf_counter() - started < 20
    assert output == "begun\n\nended after 1 s"


@pytest.fixture
def model() -> Iterator[tuple[RealServer, list[dict[str, Any]]]]:
    """A server that is asked as llama.cpp is, and what it was asked."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            content = json.dumps({"model": "somewhere/model.gguf", "choices": []}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """It says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    ).start()
    yield RealServer(f"http://127.0.0.1:{server.server_port}", "key"), seen
    server.shutdown()
    server.server_close()


def test_proxy_of_model(model: tuple[RealServer, list[dict[str, Any]]]) -> None:
    real, seen = model
    with writers.bounded(real) as count:
        response = requests.post(
            f"{count.url}/chat/completions", json={"model": "local", "messages": []}, timeout=5
        )
    assert response.json() == {"model": "local", "choices": []}
    assert seen == [{"model": "local", "messages": [], "max_tokens": writers.MAX_ANSWER_TOKENS}]
    assert (count.requests, count.answers) == (1, 1)


def test_characters_are_those_of_the_prompt_or_of_all_messages() -> None:
    assert characters({"prompt": "four", "stream": False}) == 4
    assert (
        characters(
            {"messages": [{"role": "system", "content": "ab"}, {"role": "user", "content": "cde"}]}
        )
        == 5
    )
    assert last_line("one\n two \n\n") == "two"


def test_lines_that_differ_from_the_right_program_are_the_faulty_ones() -> None:
    assert faulty_lines("a\nb\nc", "a\nx\nc") == {2}


def test_findings_are_set_beside_chance_where_there_are_any() -> None:
    quiet, told = (
        Tally(programs=2, chances=[0.5, 0.0]),
        Tally(programs=4, with_finding=3, hits=2, chances=[0.1, 0.1, 0.1, 0.1]),
    )
    assert len(charts({"change": quiet})) == 1
    counted, beside = charts({"change": quiet, "new file": told})
    assert counted.rows == (("change", (2, 0, 0)), ("new file", (4, 3, 2)))
    assert beside.rows == (("new file", (67, 10)),)
