"""Horizontal bar charts, drawn by matplotlib (the extra `plot`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_starcoder.errors import ConfigError, MissingExtra

FORMATS = (".svg", ".png", ".pdf")

# One per series; their lightness tells them apart in grey too.
COLOURS = ("#4c6ef5", "#adb5bd", "#f59f00", "#2b8a3e", "#e64980")

BOUND_COLOUR = "#c92a2a"


@dataclass(frozen=True)
class Bars:
    """A chart with one group of bars per row.

    `rows` are a label and one value per series, None for no bar. `bound` is drawn as a dashed
    line; `highlighted` rows have bold labels.
    """

    title: str
    unit: str
    series: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    bound: float | None = None
    highlighted: frozenset[str] = frozenset()

    @property
    def height(self) -> float:
        """The height in inches."""
        return 0.9 + len(self.rows) * (0.12 + 0.24 * len(self.series))


def check_drawable(path: Path) -> None:
    """Raise ConfigError if no picture can be drawn at `path`.

    For commands to call before they measure for a long time.
    """
    if path.suffix not in FORMATS:
        raise ConfigError(
            f"A picture cannot be drawn as {path.name}.",
            f"Use one of the suffixes {', '.join(FORMATS)}.",
        )
    try:
        import matplotlib  # noqa: F401
    except ImportError as exc:
        raise MissingExtra(
            "Drawing needs matplotlib, which is not installed.",
            "Install it with `pip install 'pytest-starcoder[plot]'`, or leave the picture out.",
        ) from exc


def draw(charts: Sequence[Bars], path: Path) -> None:
    """Draw the charts one below the other; equal charts give equal SVG files.

    Raises what `check_drawable` raises.
    """
    check_drawable(path)
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [chart.height for chart in charts]
    # A fixed salt gives the same ids in every SVG; text stays text, which diffs can show.
    with matplotlib.rc_context(
        {"svg.hashsalt": "pytest-starcoder", "svg.fonttype": "none", "font.size": 9.0}
    ):
        figure = Figure(figsize=(8.0, sum(heights)), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(len(charts), 1, squeeze=False, height_ratios=heights)
        # The grid has one column.
        for chart, (axes,) in zip(charts, grid, strict=True):
            _draw_series(chart, axes)
            _label_axes(chart, axes)
        # Without a date, the same charts give the same file.
        metadata = {"Date": None} if path.suffix == ".svg" else {}
        figure.savefig(path, metadata=metadata, dpi=150)


def _draw_series(chart: Bars, axes: Any) -> None:
    thickness = 0.8 / len(chart.series)
    for number, name in enumerate(chart.series):
        offset = thickness * (number + 0.5) - 0.4
        positions = []
        values = []
        for row, (_, row_values) in enumerate(chart.rows):
            value = row_values[number]
            if value is not None:
                positions.append(row + offset)
                values.append(value)
        # A label that begins with _ is not in the legend.
        label = name if len(chart.series) > 1 else "_alone"
        bars = axes.barh(
            positions,
            values,
            height=thickness * 0.92,
            label=label,
            color=COLOURS[number % len(COLOURS)],
        )
        labels = [f"{value:g}" for value in values]
        # The white box keeps a label legible where the bound crosses it.
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.bar_label(bars, labels=labels, padding=3, bbox=box)


def _label_axes(chart: Bars, axes: Any) -> None:
    labels = [label for label, _ in chart.rows]
    axes.set_yticks(range(len(labels)), labels)
    for tick, label in zip(axes.get_yticklabels(), labels, strict=True):
        tick.set_fontweight("bold" if label in chart.highlighted else "normal")
    axes.invert_yaxis()
    axes.set_title(chart.title, loc="left", fontweight="bold")
    axes.set_xlabel(chart.unit)
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    if chart.bound is not None:
        label = f"target: {chart.bound:g}"
        axes.axvline(chart.bound, linestyle="--", color=BOUND_COLOUR, linewidth=1, label=label)
    if len(chart.series) > 1 or chart.bound is not None:
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
