"""An evaluation as lines for the terminal, as JSON, as Markdown beside the published table, and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pytest_starcoder.evaluate.evaluation import TITLES, Evaluation, Published
from pytest_starcoder.report.bars import Bars, draw
from pytest_starcoder.report.markdown import escape
from pytest_starcoder.report.progress import format_duration
from pytest_starcoder.text.display import counted

DISCLAIMER = "What was run is machine-generated."


def published() -> Published:
    """The table of Hugging Face's post on StarCoder; per cent, pass@1."""
    told = json.loads(Path(__file__).with_name("published.json").read_text("utf-8"))
    return Published(told["rows"])


def lines(evaluation: Evaluation) -> list[str]:
    """What the terminal shows."""
    counts = evaluation.counts()
    most = max((written for written, _ in counts.values()), default=0)
    who = f"{evaluation.model} on {evaluation.backend}" if evaluation.model else "recorded answers"
    solved = sum(passed > 0 for _, passed in counts.values())
    at = ", ".join(f"pass@{k} {100 * value:.1f} %" for k, value in evaluation.pass_at().items())
    told = [
        f"{evaluation.title}: {who}{', a smoke run with the demo model' if evaluation.smoke else ''}",
        f"  score     {at}",
        f"  problems  {len(counts)} of {evaluation.of}, {solved} solved, {counted(most, 'answer')} each",
    ]
    if evaluation.model:
        told.append(f"  sampling  {sampled(evaluation)}")
    if failed := evaluation.failed():
        told.append(f"  failed    {', '.join(f'{count} {kind}' for kind, count in failed.items())}")
    asked = (
        f"{format_duration(evaluation.asked)} asking, {evaluation.tokens} tokens; "
        if evaluation.model
        else ""
    )
    told.append(
        f"  time      {asked}{format_duration(evaluation.ran)} running, confined by {evaluation.confinement}"
    )
    return told


def sampled(evaluation: Evaluation) -> str:
    """How the answers were drawn, in words."""
    one = evaluation.sampling
    how = (
        "greedy"
        if one.temperature == 0
        else f"temperature {one.temperature:g}, top-p {one.top_p:g}, seeds from 1"
    )
    prefix = ", with the StarCoder prefix" if one.prefix else ""
    return f"{how}, prompt and answer at most {one.window} tokens{prefix}"


def as_json(evaluation: Evaluation) -> str:
    """All of it, pass@k from 0 to 1, with the verdict on every answer."""
    counts = evaluation.counts()
    told = {
        "benchmark": evaluation.benchmark,
        "model": evaluation.model,
        "backend": evaluation.backend,
        "smoke_run": evaluation.smoke,
        "pass_at": {str(k): value for k, value in evaluation.pass_at().items()},
        "problems": len(counts),
        "of": evaluation.of,
        "sampling": asdict(evaluation.sampling),
        "seconds_asking": round(evaluation.asked, 1),
        "seconds_running": round(evaluation.ran, 1),
        "tokens": evaluation.tokens,
        "confinement": evaluation.confinement,
        "failed": evaluation.failed(),
        "verdicts": [asdict(verdict) for verdict in evaluation.verdicts],
    }
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def as_markdown(evaluation: Evaluation) -> str:
    """The lines of the terminal, and the published table with the row that was measured."""
    head, *rest = lines(evaluation)
    facts = [
        f"- {name}: {escape(value.strip())}"
        for name, _, value in (line.strip().partition(" ") for line in rest)
    ]
    table = markdown_table(published().beside([evaluation]))
    return "\n".join([f"# {escape(head)}", "", *facts, "", *table, "", DISCLAIMER, ""])


def markdown_table(table: Published) -> list[str]:
    """Rows of a Markdown table."""
    return [
        f"| model | {' | '.join(TITLES.values())} |",
        f"| --- |{' ---: |' * len(TITLES)}",
        *(
            f"| {escape(name)} | {' | '.join(_cell(row.get(one)) for one in TITLES)} |"
            for name, row in table.rows.items()
        ),
    ]


def plot(evaluations: Sequence[Evaluation], path: Path) -> None:
    """Draws the published table and the rows that were measured. Raises what `draw` raises."""
    known = published()
    table = known.beside(evaluations)
    rows = tuple((name, tuple(row.get(one) for one in TITLES)) for name, row in table.rows.items())
    measured = frozenset(table.rows) - frozenset(known.rows)
    draw(
        [
            Bars(
                "Published figures, and what was measured here",
                "pass@1, per cent",
                tuple(TITLES.values()),
                rows,
                highlighted=measured,
            )
        ],
        path,
    )


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
