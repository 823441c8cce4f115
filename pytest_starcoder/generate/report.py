"""What generating tests has come to: lines for a terminal, JSON, Markdown; values in, text out."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.result import Generated, Kept, Tally
from pytest_starcoder.report.markdown import escape
from pytest_starcoder.text.display import counted, one_line

VERSION = 1
"""Of the schema: another number where a reader of the old one would misread."""

SHOWN = 12
"""Tests that are named; the others are counted."""


def lines_of(generated: Generated, *, everything: bool = False) -> Iterator[str]:
    """A line a file, what was kept and for what, what was not and why, and suspected bugs.

    With `everything` each draft that was not kept is named, and each mutant that no test notices.
    """
    if generated.note:
        yield f"No test was generated: {generated.note}."
        return
    files = {
        path: own
        for path, own in _by_path(generated.tallies).items()
        if sum(tally.lines for tally in own)
    }
    if not files:
        yield "There is no code to generate tests for."
    for path, tallies in files.items():
        yield _file(path, tallies, generated, len(files))
    for kept in generated.kept[:SHOWN]:
        yield f"  kept           {kept.draft.name}  ({kept.draft.origin}: {added(kept)})"
    if len(generated.kept) > SHOWN:
        yield f"                 and {len(generated.kept) - SHOWN} more"
    reasons = Counter(rejected.reason for rejected in generated.rejected)
    if reasons:
        yield f"  rejected       {', '.join(_several(reason, count) for reason, count in reasons.most_common())}"
    for suspected in generated.suspected:
        told = one_line(suspected.draft.because or suspected.draft.body[-1], 100)
        name, promise = _name(suspected.draft.target), promised(suspected.draft)
        yield f"  suspected bug  {name}: {told} {one_line(suspected.reason, 120)}; {promise}"
    drafts = [found.draft for found in generated.kept]
    drafts += [found.draft for found in (*generated.rejected, *generated.suspected)]
    drafted = {draft.target.name for draft in drafts}
    bare = [
        _name(tally.target)
        for tally in generated.tallies
        if tally.mutants and tally.target.name not in drafted
    ]
    if bare:
        more = f" and {len(bare) - SHOWN} more" if len(bare) > SHOWN else ""
        told = one_line(", ".join(bare[:SHOWN]), 200) + more
        yield f"  no draft       {told}: no example, and no types that say enough"
    if everything:
        yield from _rest(generated)
    if generated.model and not generated.spent.requests:
        yield f"  asked          {generated.model}: all its answers were remembered"
    if generated.spent.requests:
        spent = generated.spent
        yield (
            f"  asked          {generated.model}: {counted(spent.requests, 'request')}, "
            f"{counted(spent.tokens, 'token')}, {spent.seconds:.1f} s"
        )
    if len(files) > 1:
        yield f"  in all         {counted(len(generated.kept), 'test')} kept, {generated.seconds:.1f} s"
    if generated.over:
        yield f"Not all was tried: {generated.over}."
    if generated.remark:
        asked = "No model was asked further" if generated.spent.requests else "No model wrote tests"
        yield f"{asked}: {generated.remark}{'' if generated.remark.endswith('.') else '.'}"


def _rest(generated: Generated) -> Iterator[str]:
    for left in generated.rejected:
        yield f"  not kept       {left.draft.name}: {left.reason}"
    for tally in generated.tallies:
        for mutant in tally.living:
            told = f"`{one_line(mutant.after, 60)}` in the place of `{one_line(mutant.before, 60)}`"
            yield f"  unnoticed      {_name(tally.target)}, line {mutant.line}: {told}"


def added(kept: Kept) -> str:
    """What a test adds: "kills 2 mutants, covers lines 3-5"."""
    told = [f"kills {counted(len(kept.kills), 'mutant')}"] if kept.kills else []
    if kept.lines:
        told.append(f"covers {_ranges(sorted(kept.lines))}")
    elif kept.branches:
        told.append(f"takes another way at {_ranges(sorted({line for line, _ in kept.branches}))}")
    return ", ".join(told) or "covers other code"


def promised(draft: Draft) -> str:
    """What a draft rests on that the code breaks: "its docstring promises 3"."""
    if draft.origin is Origin.SMOKE:
        return "its type hints allow that"
    match ast.parse(draft.body[-1]).body:
        case [ast.Assert(test=ast.Compare(comparators=[value]))] | [
            ast.With(items=[ast.withitem(context_expr=ast.Call(args=[value, *_]))])
        ]:
            return f"its docstring promises {one_line(ast.unparse(value), 80)}"
    return "its docstring promises that"


def to_json(generated: Generated) -> str:
    """As JSON, by the schema that is shipped beside this module."""
    record = {
        "version": VERSION,
        "tool": f"pytest-starcoder {version('pytest-starcoder')}",
        "model": generated.model,
        "notice": notice(generated),
        "confinement": generated.level,
        "note": generated.note or ". ".join(filter(None, [generated.over, generated.remark])),
        "seconds": round(generated.seconds, 3),
        "requests": generated.spent.requests,
        "tokens": generated.spent.tokens,
        "targets": [
            {
                "path": tally.target.path,
                "name": tally.target.name,
                "kind": str(tally.target.kind),
                "line": tally.target.first,
                "mutants": tally.mutants,
                "mutants_killed_before": tally.killed_before,
                "mutants_killed": tally.killed,
                "lines": tally.lines,
                "lines_covered_before": tally.covered_before,
                "lines_covered": tally.covered,
                "branches": tally.branches,
                "branches_taken_before": tally.taken_before,
                "branches_taken": tally.taken,
                "living": [
                    {
                        "line": edit.line,
                        "before": edit.before,
                        "after": edit.after,
                        "kind": edit.kind,
                    }
                    for edit in tally.living
                ],
            }
            for tally in generated.tallies
        ],
        "kept": [
            {
                **_draft(kept.draft),
                "tests": kept.draft.target.tests,
                "kills": len(kept.kills),
                "covers": sorted(kept.lines),
                "takes": sorted({line for line, _ in kept.branches}),
                "source": kept.draft.source,
            }
            for kept in generated.kept
        ],
        "rejected": [{**_draft(left.draft), "reason": left.reason} for left in generated.rejected],
        "suspected": [
            {**_draft(left.draft), "reason": left.reason} for left in generated.suspected
        ],
    }
    return json.dumps(record, indent=2, ensure_ascii=True) + "\n"


def schema() -> dict[str, Any]:
    """The JSON schema that `to_json` follows."""
    found: dict[str, Any] = json.loads(
        (Path(__file__).parent / "generated.schema.json").read_text("utf-8")
    )
    return found


def to_markdown(generated: Generated) -> str:
    """As GitHub's Markdown: a table of the targets, and the tests."""
    if generated.note:
        return f"## StarCoder: no test was generated\n\n{escape(generated.note)}\n"
    lines = [f"## StarCoder: {counted(len(generated.kept), 'test')} kept", ""]
    lines += ["| function | lines and branches | mutants killed |", "| --- | --- | --- |"]
    for tally in generated.tallies:
        if not tally.lines:
            continue
        lines.append(
            f"| {escape(tally.target.path)} `{_name(tally.target)}` | {_coverage([tally]).replace('->', '→')} "
            f"| {tally.killed_before} → {tally.killed} of {tally.mutants} |"
        )
    for left in generated.suspected:
        told = one_line(left.draft.because or left.draft.body[-1], 100).replace("`", "'")
        why = f"{escape(left.reason)}; {escape(promised(left.draft))}"
        lines += ["", f"- *suspected bug* `{_name(left.draft.target)}`: `{told}` {why}"]
    for kept in generated.kept:
        lines += [
            "",
            f"`{kept.draft.name}`, from {kept.draft.origin}:",
            "",
            "```python",
            kept.draft.source.rstrip("\n"),
            "```",
        ]
    reasons = Counter(rejected.reason for rejected in generated.rejected)
    if reasons:
        counts = ", ".join(_several(reason, count) for reason, count in reasons.most_common())
        lines += ["", f"Not kept: {escape(counts)}."]
    for sentence in filter(None, [generated.over, generated.remark, notice(generated)]):
        lines += ["", escape(sentence)]
    return "\n".join(lines) + "\n"


def notice(generated: Generated) -> str:
    """The sentence that says which tests a model wrote; empty where it wrote none of them."""
    models = {kept.draft.because for kept in generated.kept if kept.draft.origin is Origin.MODEL}
    return (
        f"Tests from model are machine-generated by {' and '.join(sorted(models))}; they were run."
        if models
        else ""
    )


def _draft(draft: Draft) -> dict[str, str]:
    return {
        "name": draft.name,
        "origin": str(draft.origin),
        "path": draft.target.path,
        "target": draft.target.name,
        "because": draft.because,
    }


def _file(path: str, tallies: Sequence[Tally], generated: Generated, files: int) -> str:
    kept = sum(found.draft.target.path == path for found in generated.kept)
    mutants = sum(tally.mutants for tally in tallies)
    killed_before, killed = (
        sum(tally.killed_before for tally in tallies),
        sum(tally.killed for tally in tallies),
    )
    drafts = [found.draft for found in (*generated.rejected, *generated.suspected)]
    tried = sum(draft.target.path == path for draft in drafts) + kept
    return (
        f"{one_line(path, 120)}  coverage {_coverage(tallies)}   "
        f"mutants killed {killed_before} -> {killed} of {mutants}   {counted(kept, 'test')} kept of {tried} tried"
        f"{f'   {generated.seconds:.1f} s' if files == 1 else ''}"
    )


_VERBS = {"is": "are", "was": "were", "does": "do", "passes": "pass"}
"""Words of the reasons of `jobs.gate` and `jobs.generate` that are others of several drafts."""


def _several(reason: str, count: int) -> str:
    """ "1 fails", "2 fail"."""
    if count == 1:
        return f"1 {reason}"
    words = reason.split(" ")
    at = 1 if words[0] == "never" else 0
    words[at] = _VERBS.get(words[at], words[at].removesuffix("s"))
    return f"{count} {' '.join(words)}"


def _coverage(tallies: Sequence[Tally]) -> str:
    """Lines and branches, before and after."""
    every = sum(tally.lines + tally.branches for tally in tallies)
    before = sum(tally.covered_before + tally.taken_before for tally in tallies)
    after = sum(tally.covered + tally.taken for tally in tallies)
    return f"{_percent(before, every)} -> {_percent(after, every)}"


def _name(target: Target) -> str:
    return target.name or target.module


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
