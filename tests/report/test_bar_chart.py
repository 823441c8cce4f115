"""Bar charts: their labels and values, and errors before anything is drawn."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from pytest_starcoder.errors import ConfigError, MissingExtra
from pytest_starcoder.report.bar_chart import Bars, check_drawable, draw

CHART = Bars(
    "pass@1",
    "%",
    ("HumanEval", "MBPP"),
    (("StarCoder", (33.6, None)), ("measured here", (12.25, 8.5))),
    bound=30,
    highlighted=frozenset({"measured here"}),
)


@pytest.mark.slow
def test_labels_and_values(tmp_path: Path) -> None:
    draw([CHART, CHART], tmp_path / "one.svg")
    draw([CHART, CHART], tmp_path / "two.svg")
    text = (tmp_path / "one.svg").read_text()
    for shown in (
        "pass@1",
        "HumanEval",
        "MBPP",
        "StarCoder",
        "measured here",
        "33.6",
        "12.25",
        "8.5",
        "target: 30",
    ):
        assert text.count(f">{shown}<") >= 2, shown
    assert text == (tmp_path / "two.svg").read_text()


def test_wrong_ending() -> None:
    with pytest.raises(ConfigError) as raised:
        check_drawable(Path("plot.txt"))
    assert str(raised.value) == (
        "A picture cannot be drawn as plot.txt. Use one of the suffixes .svg, .png, .pdf."
    )


def test_matplotlib_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "matplotlib":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra) as raised:
        check_drawable(Path("plot.svg"))
    assert str(raised.value) == (
        "Drawing needs matplotlib, which is not installed. "
        "Install it with `pip install 'pytest-starcoder[plot]'`, or leave the picture out."
    )
