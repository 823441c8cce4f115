"""An evaluation as lines for a terminal, as JSON, as Markdown and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pytest_starcoder.evaluate.pass_at_k import TITLES, Evaluation, Published
from pytest_starcoder.report.bar_chart import Bars, draw
from pytest_starcoder.report.markdown import escape
from pytest_starcoder.report.progress import format_duration
from pytest_starcoder.text.display import counted

FORMS = {
    "continuation": "bare prompt",
    "chat": "prompt in a chat message",
    "starcoder2-instruct": "prompt in the form of StarCoder2-Instruct",
}

DISCLAIMER = "What was run is machine-generated."


def published_results() -> Published:
    """Return the table of Hugging Face's post on StarCoder: pass@1 in per cent."""
    text = Path(__file__).with_name("published.json").read_text("utf-8")
    return Published(json.loads(text)["rows"])


def terminal_lines(evaluation: Evaluation) -> list[str]:
    """Return the lines that the terminal shows."""
    scores = []
    for k, score in evaluation.pass_at().items():
        scores.append(f"pass@{k} {100 * score:.1f} %")
    lines = [
        f"{evaluation.title}: {_subject(evaluation)}",
        f"  score     {', '.join(scores)}",
        f"  problems  {_problem_counts(evaluation)}",
    ]
    running = format_duration(evaluation.seconds_running)
    time = f"{running} running in the {evaluation.confinement} sandbox"
    if evaluation.model:
        lines.append(f"  sampling  {sampling_description(evaluation)}")
        asking = format_duration(evaluation.seconds_asking)
        time = f"{asking} asking, {evaluation.tokens} tokens; {time}"
    failures = evaluation.failures()
    if failures:
        phrases = [f"{count} {kind}" for kind, count in failures.items()]
        lines.append(f"  failed    {', '.join(phrases)}")
    return [*lines, f"  time      {time}"]


def _subject(evaluation: Evaluation) -> str:
    if not evaluation.model:
        return "recorded answers"
    subject = f"{evaluation.model} on {evaluation.backend}"
    if evaluation.is_demo:
        subject += ", an end-to-end check with the demo model"
    return subject


def _problem_counts(evaluation: Evaluation) -> str:
    counts = evaluation.counts().values()
    most_answers = 0
    solved = 0
    for answers, passed in counts:
        most_answers = max(most_answers, answers)
        solved += passed > 0
    each = counted(most_answers, "answer")
    return f"{len(counts)} of {evaluation.total_problems}, {solved} solved, {each} each"


def sampling_description(evaluation: Evaluation) -> str:
    """Return how the answers were drawn, in words."""
    sampling = evaluation.sampling
    parts = [f"temperature {sampling.temperature:g}, top-p {sampling.top_p:g}, seeds from 1"]
    if sampling.temperature == 0:
        parts = ["greedy"]
    parts.append(f"prompt and answer at most {sampling.window} tokens")
    parts.append(FORMS[sampling.form])
    if sampling.prefix:
        parts.append("with the StarCoder prefix")
    return ", ".join(parts)


def to_json(evaluation: Evaluation) -> str:
    """Return everything as JSON: pass@k from 0 to 1, and the verdict on every answer."""
    verdicts = []
    for verdict in evaluation.verdicts:
        verdicts.append({"task": verdict.task, "number": verdict.number, "said": verdict.ending})
    record = {
        "benchmark": evaluation.benchmark,
        "model": evaluation.model,
        "backend": evaluation.backend,
        "smoke_run": evaluation.is_demo,
        "pass_at": {str(k): score for k, score in evaluation.pass_at().items()},
        "problems": len(evaluation.counts()),
        "of": evaluation.total_problems,
        "sampling": asdict(evaluation.sampling),
        "seconds_asking": round(evaluation.seconds_asking, 1),
        "seconds_running": round(evaluation.seconds_running, 1),
        "tokens": evaluation.tokens,
        "confinement": evaluation.confinement,
        "failed": evaluation.failures(),
        "verdicts": verdicts,
    }
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def to_markdown(evaluation: Evaluation) -> str:
    """Return the lines of the terminal, and the published table with the measured row."""
    title, *facts = terminal_lines(evaluation)
    lines = [f"# {escape(title)}", ""]
    for fact in facts:
        name, _, value = fact.strip().partition(" ")
        lines.append(f"- {name}: {escape(value.strip())}")
    table = markdown_table(published_results().beside([evaluation]))
    return "\n".join([*lines, "", *table, "", DISCLAIMER, ""])


def markdown_table(table: Published) -> list[str]:
    """Return the lines of a Markdown table."""
    titles = " | ".join(TITLES.values())
    alignment = " ---: |" * len(TITLES)
    lines = [f"| model | {titles} |", f"| --- |{alignment}"]
    for name, row in table.rows.items():
        cells = [escape(name)]
        for benchmark in TITLES:
            score = row.get(benchmark)
            cells.append("" if score is None else f"{score:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def plot(evaluations: Sequence[Evaluation], path: Path) -> None:
    """Draw the published table with the measured rows. Raises what `draw` raises."""
    # Measured rows are those that the published table lacks.
    published = published_results()
    table = published.beside(evaluations)
    rows = []
    for name, row in table.rows.items():
        rows.append((name, tuple(map(row.get, TITLES))))
    chart = Bars(
        "Published figures, and what was measured here",
        "pass@1, per cent",
        tuple(TITLES.values()),
        tuple(rows),
        highlighted=frozenset(table.rows.keys() - published.rows.keys()),
    )
    draw([chart], path)
