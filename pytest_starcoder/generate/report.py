"""The result of generating tests as lines for a terminal, as JSON and as Markdown."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pytest_starcoder.generate.draft import Draft, Origin
from pytest_starcoder.generate.result import Generated, KeptTest, RejectedDraft, TargetScore
from pytest_starcoder.report.markdown import escape
from pytest_starcoder.text.display import counted, one_line

SCHEMA_VERSION = 1
"""Increased when a reader of the old schema would misread the new one."""

MAX_NAMES = 12
"""Tests or functions that are named; further ones are counted."""

_PLURALS = {"is": "are", "was": "were", "does": "do", "passes": "pass"}
"""Verbs of the reasons in `rejection` that are irregular in the plural."""


def terminal_lines(generated: Generated, *, verbose: bool = False) -> Iterator[str]:
    """Yield lines on the files, the kept tests, the rejected drafts and suspected bugs.

    With `verbose` each rejected draft and each mutant that no test kills has a line.
    """
    if generated.note:
        yield f"No test was generated: {generated.note}."
        return
    files = _scores_by_file(generated)
    if not files:
        yield "There is no code to generate tests for."
    for path, scores in files.items():
        line = _file_line(path, scores, generated)
        yield line if len(files) > 1 else f"{line}   {generated.seconds:.1f} s"
    yield from _kept_lines(generated)
    if generated.rejected:
        yield f"  rejected       {_reasons(generated)}"
    for suspected in generated.suspected:
        yield f"  suspected bug  {suspected.draft.target.label}: {bug_description(suspected)}"
    yield from _no_draft_line(generated)
    if verbose:
        yield from _verbose_lines(generated)
    yield from _model_line(generated)
    if len(files) > 1:
        kept = counted(len(generated.kept), "test")
        yield f"  in all         {kept} kept, {generated.seconds:.1f} s"
    if generated.over:
        yield f"Not all was tried: {generated.over}."
    if generated.remark:
        start = "No model was asked further" if generated.usage.requests else "No model wrote tests"
        yield f"{start}: {generated.remark.removesuffix('.')}."


def _kept_lines(generated: Generated) -> Iterator[str]:
    for kept in generated.kept[:MAX_NAMES]:
        draft = kept.draft
        yield f"  kept           {draft.name}  ({draft.origin}: {added_value(kept)})"
    if len(generated.kept) > MAX_NAMES:
        yield f"                 and {len(generated.kept) - MAX_NAMES} more"


def _no_draft_line(generated: Generated) -> Iterator[str]:
    """Yield a line on the functions that have no draft at all."""
    drafted = {draft.target.name for draft in generated.drafts}
    labels = []
    for score in generated.scores:
        if score.total.mutants and score.target.name not in drafted:
            labels.append(score.target.label)
    if labels:
        names = one_line(", ".join(labels[:MAX_NAMES]), 200)
        if len(labels) > MAX_NAMES:
            names += f" and {len(labels) - MAX_NAMES} more"
        yield f"  no draft       {names}: no example, and no types that say enough"


def _verbose_lines(generated: Generated) -> Iterator[str]:
    for rejected in generated.rejected:
        yield f"  not kept       {rejected.draft.name}: {rejected.reason}"
    for score in generated.scores:
        for mutant in score.living:
            after, before = one_line(mutant.after, 60), one_line(mutant.before, 60)
            change = f"`{after}` in the place of `{before}`"
            yield f"  unnoticed      {score.target.label}, line {mutant.line}: {change}"


def _model_line(generated: Generated) -> Iterator[str]:
    usage = generated.usage
    if usage.requests:
        requests, tokens = counted(usage.requests, "request"), counted(usage.tokens, "token")
        yield f"  asked          {generated.model}: {requests}, {tokens}, {usage.seconds:.1f} s"
    elif generated.model:
        yield f"  asked          {generated.model}: all its answers were remembered"


def added_value(kept: KeptTest) -> str:
    """Return what a test adds: "kills 2 mutants, covers lines 3-5"."""
    parts = []
    if kept.kills:
        parts.append(f"kills {counted(len(kept.kills), 'mutant')}")
    if kept.lines:
        parts.append(f"covers {_line_ranges(kept.lines)}")
    elif kept.branches:
        lines = frozenset(line for line, _ in kept.branches)
        parts.append(f"takes another way at {_line_ranges(lines)}")
    return ", ".join(parts) or "covers other code"


def bug_description(suspected: RejectedDraft) -> str:
    """Return what is wrong, and what promises otherwise."""
    reason = one_line(suspected.reason, 120)
    return f"{_example(suspected.draft)} {reason}; {broken_promise(suspected.draft)}"


def broken_promise(draft: Draft) -> str:
    """Return the promise that a draft rests on: "its docstring promises 3"."""
    if draft.origin is Origin.TYPE_HINT:
        return "its type hints allow that"
    match ast.parse(draft.body[-1]).body:
        case [ast.Assert(test=ast.Compare(comparators=[value]))] | [
            ast.With(items=[ast.withitem(context_expr=ast.Call(args=[value, *_]))])
        ]:
            return f"its docstring promises {one_line(ast.unparse(value), 80)}"
    return "its docstring promises that"


def _example(draft: Draft) -> str:
    return one_line(draft.because or draft.body[-1], 100)


def to_json(generated: Generated) -> str:
    """Return the result as JSON, by the schema beside this module."""
    sentences = filter(None, [generated.over, generated.remark])
    record = {
        "version": SCHEMA_VERSION,
        "tool": f"pytest-starcoder {version('pytest-starcoder')}",
        "model": generated.model,
        "notice": model_notice(generated),
        "confinement": generated.level,
        "note": generated.note or ". ".join(sentences),
        "seconds": round(generated.seconds, 3),
        "requests": generated.usage.requests,
        "tokens": generated.usage.tokens,
        "targets": list(map(_score_record, generated.scores)),
        "kept": list(map(_kept_record, generated.kept)),
        "rejected": list(map(_rejected_record, generated.rejected)),
        "suspected": list(map(_rejected_record, generated.suspected)),
    }
    return json.dumps(record, indent=2, ensure_ascii=True) + "\n"


def _score_record(score: TargetScore) -> dict[str, Any]:
    target, total, before, after = score.target, score.total, score.before, score.after
    keys = ("line", "before", "after", "kind")
    return {
        "path": target.path,
        "name": target.name,
        "kind": str(target.kind),
        "line": target.first,
        "mutants": total.mutants,
        "mutants_killed_before": before.mutants,
        "mutants_killed": after.mutants,
        "lines": total.lines,
        "lines_covered_before": before.lines,
        "lines_covered": after.lines,
        "branches": total.branches,
        "branches_taken_before": before.branches,
        "branches_taken": after.branches,
        "living": [{key: getattr(mutant, key) for key in keys} for mutant in score.living],
    }


def _kept_record(kept: KeptTest) -> dict[str, Any]:
    return {
        **_draft_record(kept.draft),
        "tests": kept.draft.target.tests,
        "kills": len(kept.kills),
        "covers": sorted(kept.lines),
        "takes": sorted({line for line, _ in kept.branches}),
        "source": kept.draft.source,
    }


def _rejected_record(rejected: RejectedDraft) -> dict[str, str]:
    return {**_draft_record(rejected.draft), "reason": rejected.reason}


def _draft_record(draft: Draft) -> dict[str, str]:
    return {
        "name": draft.name,
        "origin": str(draft.origin),
        "path": draft.target.path,
        "target": draft.target.name,
        "because": draft.because,
    }


def schema() -> dict[str, Any]:
    """Return the JSON schema that `to_json` follows."""
    text = Path(__file__).with_name("generated.schema.json").read_text("utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def to_markdown(generated: Generated) -> str:
    """Return the result as GitHub's Markdown: a table of the targets, and the tests."""
    if generated.note:
        return f"## StarCoder: no test was generated\n\n{escape(generated.note)}\n"
    lines = [
        f"## StarCoder: {counted(len(generated.kept), 'test')} kept",
        "",
        "| function | lines and branches | mutants killed |",
        "| --- | --- | --- |",
    ]
    for score in generated.scores:
        if score.total.lines:
            name = f"{escape(score.target.path)} `{score.target.label}`"
            lines.append(f"| {name} | {_coverage([score], '→')} | {_kills([score], '→')} |")
    for suspected in generated.suspected:
        draft = suspected.draft
        example = _example(draft).replace("`", "'")
        reason = f"{escape(suspected.reason)}; {escape(broken_promise(draft))}"
        lines += ["", f"- *suspected bug* `{draft.target.label}`: `{example}` {reason}"]
    for kept in generated.kept:
        draft = kept.draft
        lines += ["", f"`{draft.name}`, from {draft.origin}:", ""]
        lines += ["```python", draft.source.rstrip("\n"), "```"]
    if generated.rejected:
        lines += ["", f"Not kept: {escape(_reasons(generated))}."]
    for sentence in (generated.over, generated.remark, model_notice(generated)):
        if sentence:
            lines += ["", escape(sentence)]
    return "\n".join(lines) + "\n"


def model_notice(generated: Generated) -> str:
    """Return the sentence on the tests that a model wrote; empty if there are none."""
    models = {kept.draft.because for kept in generated.kept if kept.draft.origin is Origin.MODEL}
    if not models:
        return ""
    names = " and ".join(sorted(models))
    return f"Tests from model are machine-generated by {names}; they were run."


def _scores_by_file(generated: Generated) -> dict[str, list[TargetScore]]:
    """Return the scores of the files that have code."""
    files: dict[str, list[TargetScore]] = {}
    for score in generated.scores:
        files.setdefault(score.target.path, []).append(score)
    return {path: scores for path, scores in files.items() if any(s.total.lines for s in scores)}


def _file_line(path: str, scores: Sequence[TargetScore], generated: Generated) -> str:
    kept = sum(kept.draft.target.path == path for kept in generated.kept)
    tried = sum(draft.target.path == path for draft in generated.drafts)
    return (
        f"{one_line(path, 120)}  coverage {_coverage(scores, '->')}   "
        f"mutants killed {_kills(scores, '->')}   {counted(kept, 'test')} kept of {tried} tried"
    )


def _kills(scores: Sequence[TargetScore], arrow: str) -> str:
    before = sum(score.before.mutants for score in scores)
    after = sum(score.after.mutants for score in scores)
    return f"{before} {arrow} {after} of {sum(score.total.mutants for score in scores)}"


def _coverage(scores: Sequence[TargetScore], arrow: str) -> str:
    """Return the covered share of lines and branches, before and after."""
    total = sum(score.total.lines + score.total.branches for score in scores)
    before = sum(score.before.lines + score.before.branches for score in scores)
    after = sum(score.after.lines + score.after.branches for score in scores)
    if not total:
        return f"- {arrow} -"
    return f"{100 * before / total:.0f} % {arrow} {100 * after / total:.0f} %"


def _reasons(generated: Generated) -> str:
    """Return how often each reason occurs, most frequent first: "1 fails, 2 add nothing"."""
    reasons = Counter(rejected.reason for rejected in generated.rejected)
    return ", ".join(_with_count(reason, count) for reason, count in reasons.most_common())


def _with_count(reason: str, count: int) -> str:
    """Return a reason with its count as the subject: "1 fails", "2 fail"."""
    if count == 1:
        return f"1 {reason}"
    words = reason.split(" ")
    verb = 1 if words[0] == "never" else 0
    words[verb] = _PLURALS.get(words[verb], words[verb].removesuffix("s"))
    return f"{count} {' '.join(words)}"


def _line_ranges(numbers: frozenset[int]) -> str:
    """Return sorted line numbers as text: "lines 3-5, 9"."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
    return f"{'line' if len(numbers) == 1 else 'lines'} {', '.join(texts)}"
