"""What generating tests has come to: lines for a terminal, JSON, Markdown; values in, text out."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pytest_starcoder.text.display import counted, one_line
from pytest_starcoder.values.draft import Draft, Origin
from pytest_starcoder.values.generated import Generated, Tally

VERSION = 1
"""Of the schema: another number where a reader of the old one would misread."""

SHOWN = 12
"""Tests that are named; the others are counted."""


def lines_of(generated: Generated) -> Iterator[str]:
    """A line a file, what was kept and for what, what was not and why, and suspected bugs."""
    if generated.note:
        yield f"No test was generated: {generated.note}."
        return
    if not generated.tallies:
        yield "There is no public function to generate tests for."
    for path, tallies in _by_path(generated.tallies).items():
        yield _file(path, tallies, len([kept for kept in generated.kept if kept.draft.target.path == path]), generated)
    for kept in generated.kept[:SHOWN]:
        added = []
        if kept.kills:
            added.append(f"kills {counted(len(kept.kills), 'mutant')}")
        if kept.lines:
            added.append(f"covers {_ranges(sorted(kept.lines))}")
        yield f"  kept           {kept.draft.name}  ({kept.draft.origin}: {', '.join(added)})"
    if len(generated.kept) > SHOWN:
        yield f"                 and {len(generated.kept) - SHOWN} more"
    reasons = Counter(rejected.reason for rejected in generated.rejected)
    if reasons:
        yield f"  rejected       {', '.join(f'{count} {reason}' for reason, count in reasons.most_common())}"
    for suspected in generated.suspected:
        told = one_line(suspected.draft.because or suspected.draft.body[-1], 100)
        yield f"  suspected bug  {suspected.draft.target.name}: {told} {suspected.reason}; its docstring promises that"


def to_json(generated: Generated, model: str = "") -> str:
    """As JSON, by the schema that is shipped beside this module; `model` is who was asked, if anybody."""
    record = {
        "version": VERSION,
        "tool": f"pytest-starcoder {version('pytest-starcoder')}",
        "model": model,
        "notice": notice(generated),
        "confinement": generated.level,
        "note": generated.note or generated.remark,
        "seconds": round(generated.seconds, 3),
        "targets": [
            {
                "path": tally.target.path,
                "name": tally.target.name,
                "line": tally.target.first,
                "mutants": tally.mutants,
                "mutants_killed_before": tally.killed_before,
                "mutants_killed": tally.killed,
                "lines": tally.lines,
                "lines_covered_before": tally.covered_before,
                "lines_covered": tally.covered,
            }
            for tally in generated.tallies
        ],
        "kept": [
            {**_draft(kept.draft), "kills": len(kept.kills), "covers": sorted(kept.lines), "source": kept.draft.source}
            for kept in generated.kept
        ],
        "rejected": [{**_draft(left.draft), "reason": left.reason} for left in generated.rejected],
        "suspected": [{**_draft(left.draft), "reason": left.reason} for left in generated.suspected],
    }
    return json.dumps(record, indent=2, ensure_ascii=True) + "\n"


def schema() -> dict[str, Any]:
    """The JSON schema that `to_json` follows."""
    found: dict[str, Any] = json.loads((Path(__file__).parent / "generated.schema.json").read_text("utf-8"))
    return found


def to_markdown(generated: Generated) -> str:
    """As GitHub's Markdown: a table of the targets, and the tests."""
    if generated.note:
        return f"## StarCoder: no test was generated\n\n{_plain(generated.note)}\n"
    lines = [f"## StarCoder: {counted(len(generated.kept), 'test')} kept", ""]
    lines += ["| function | lines | mutants killed |", "| --- | --- | --- |"]
    for tally in generated.tallies:
        covered = f"{_percent(tally.covered_before, tally.lines)} → {_percent(tally.covered, tally.lines)}"
        lines.append(
            f"| {_plain(tally.target.path)} `{tally.target.name}` | {covered} "
            f"| {tally.killed_before} → {tally.killed} of {tally.mutants} |"
        )
    for left in generated.suspected:
        told = one_line(left.draft.because or left.draft.body[-1], 100).replace("`", "'")
        lines += ["", f"- *suspected bug* `{left.draft.target.name}`: `{told}` {_plain(left.reason)}"]
    for kept in generated.kept:
        lines += [
            "",
            f"`{kept.draft.name}`, from {kept.draft.origin}:",
            "",
            "```python",
            kept.draft.source.rstrip("\n"),
            "```",
        ]
    if notice(generated):
        lines += ["", _plain(notice(generated))]
    return "\n".join(lines) + "\n"


def notice(generated: Generated) -> str:
    """The sentence that says which tests a model wrote; empty where it wrote none of them."""
    models = {kept.draft.because for kept in generated.kept if kept.draft.origin is Origin.MODEL}
    return f"Tests from model are machine-generated by {' and '.join(sorted(models))}; they were run." if models else ""


def _draft(draft: Draft) -> dict[str, str]:
    return {
        "name": draft.name,
        "origin": str(draft.origin),
        "path": draft.target.path,
        "target": draft.target.name,
        "because": draft.because,
    }


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", one_line(text, 500))


def _file(path: str, tallies: Sequence[Tally], kept: int, generated: Generated) -> str:
    lines, mutants = sum(tally.lines for tally in tallies), sum(tally.mutants for tally in tallies)
    before, after = sum(tally.covered_before for tally in tallies), sum(tally.covered for tally in tallies)
    killed_before, killed = sum(tally.killed_before for tally in tallies), sum(tally.killed for tally in tallies)
    tried = len(generated.kept) + len(generated.rejected) + len(generated.suspected)
    return (
        f"{one_line(path, 120)}  lines {_percent(before, lines)} -> {_percent(after, lines)}   "
        f"mutants killed {killed_before} -> {killed} of {mutants}   {counted(kept, 'test')} kept of {tried} tried   "
        f"{generated.seconds:.1f} s"
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def _by_path(tallies: Sequence[Tally]) -> dict[str, list[Tally]]:
    found: dict[str, list[Tally]] = {}
    for tally in tallies:
        found.setdefault(tally.target.path, []).append(tally)
    return found


def _ranges(numbers: Sequence[int]) -> str:
    """'lines 3-5, 9'."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    told = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
    return f"line {told}" if len(numbers) == 1 else f"lines {told}"
