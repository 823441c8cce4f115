"""Captured output and logs that are not where the test looks."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from support.raising import observe


def test_other_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print("total: 3", file=sys.stderr)
    captured = capsys.readouterr()
    sentence = "nothing was written to out, but err has 'total: 3\\n'"
    assert sentence in observe("assert captured.out == 'x'", tmp_path, captured=captured)
    assert sentence not in observe("assert captured.err == 'x'", tmp_path, captured=captured)


def test_no_records(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sentence = "caplog has no records; the root logger drops those below WARNING"
    with caplog.at_level(logging.WARNING):
        assert sentence in observe("assert 'x' in caplog.text", tmp_path, caplog=caplog)
        logging.getLogger().error("z")
        assert sentence not in observe("assert 'nothing' in caplog.text", tmp_path, caplog=caplog)
