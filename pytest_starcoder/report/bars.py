"""Bars as a picture: one group of horizontal bars a row, drawn by matplotlib (the extra `plot`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_starcoder.errors import ConfigError, MissingExtra

FORMATS = (".svg", ".png", ".pdf")

COLOURS = ("#4c6ef5", "#adb5bd", "#f59f00", "#2b8a3e", "#e64980")
"""One a series; told apart also in grey, by their lightness."""


@dataclass(frozen=True)
class Bars:
    """`rows` are a label and one value a series, None where there is none.

    `bound` is drawn as a dashed line, and `highlighted` rows have bold labels.
    """

    title: str
    unit: str
    series: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    bound: float | None = None
    highlighted: frozenset[str] = frozenset()


def drawable(path: Path) -> Path:
    """`path`, if a picture can be drawn there.

    Raises ConfigError for an ending other than FORMATS, and MissingExtra where
    matplotlib is not installed: before anything long is begun.
    """
    if path.suffix not in FORMATS:
        raise ConfigError(
            f"A picture cannot be drawn as {path.name}.",
            f"Give it one of the endings {', '.join(FORMATS)}.",
        )
    try:
        import matplotlib  # noqa: F401
    except ImportError as exc:
        raise MissingExtra(
            "Drawing needs matplotlib, which is not installed.",
            "Install it with `pip install 'pytest-starcoder[plot]'`, or leave the picture out.",
        ) from exc
    return path


def draw(charts: Sequence[Bars], path: Path) -> None:
    """Writes the charts, one below the other, to `path`; equal charts give equal SVG files.

    Raises what `drawable` raises.
    """
    drawable(path)
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [0.9 + len(chart.rows) * (0.12 + 0.24 * len(chart.series)) for chart in charts]
    with matplotlib.rc_context(
        {"svg.hashsalt": "pytest-starcoder", "svg.fonttype": "none", "font.size": 9.0}
    ):
        figure = Figure(figsize=(8.0, sum(heights)), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(len(charts), 1, squeeze=False, height_ratios=heights)
        for chart, (axes,) in zip(charts, grid, strict=True):
            _drawn(chart, axes)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else {}, dpi=150)


def _drawn(chart: Bars, axes: Any) -> None:
    thickness = 0.8 / len(chart.series)
    for number, name in enumerate(chart.series):
        known = [
            (row, values[number])
            for row, (_, values) in enumerate(chart.rows)
            if values[number] is not None
        ]
        bars = axes.barh(
            [row - 0.4 + thickness * (number + 0.5) for row, _ in known],
            [value for _, value in known],
            height=thickness * 0.92,
            label=name if len(chart.series) > 1 else "_alone",
            color=COLOURS[number % len(COLOURS)],
        )
        axes.bar_label(
            bars,
            labels=[f"{value:g}" for _, value in known],
            padding=3,
            bbox={
                "facecolor": "white",
                "edgecolor": "none",
                "pad": 1,
            },  # legible where a bound crosses it
        )
    axes.set_yticks(range(len(chart.rows)), [label for label, _ in chart.rows])
    for tick, (label, _) in zip(axes.get_yticklabels(), chart.rows, strict=True):
        tick.set_fontweight("bold" if label in chart.highlighted else "normal")
    axes.invert_yaxis()
    axes.set_title(chart.title, loc="left", fontweight="bold")
    axes.set_xlabel(chart.unit)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    if chart.bound is not None:
        axes.axvline(
            chart.bound,
            linestyle="--",
            color="#c92a2a",
            linewidth=1,
            label=f"asked: {chart.bound:g}",
        )
    if len(chart.series) > 1 or chart.bound is not None:
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
