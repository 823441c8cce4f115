"""What generating tests has come to, as lines for a terminal; values in, lines out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_starcoder.text.display import counted, one_line
from pytest_starcoder.values.generated import Generated, Tally

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
