"""The result of generating tests as lines for a terminal, as JSON and as Markdown."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.result import (
    Counts,
    Generated,
    KeptTest,
    RejectedDraft,
    TargetScore,
)
from pytest_starcoder.report.markdown import escape
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.text.display import counted, one_line

# Increased when a reader of the old schema would misread the new one.
SCHEMA_VERSION = 1

# Tests or functions that are named; further ones are counted.
MAX_NAMES = 12

# Verbs of the reasons in `rejection` that are irregular in the plural.
_PLURALS = {"is": "are", "was": "were", "does": "do", "passes": "pass"}


# --- for a terminal ---


def terminal_lines(generated: Generated, *, verbose: bool = False) -> Iterator[str]:
    """Yield lines on the files, the kept tests, the rejected drafts and suspected bugs.

    With `verbose` each rejected draft and each mutant that no test kills has a line.
    """
    if generated.note:
        yield f"No test was generated: {generated.note}."
        return
    files = _scores_by_file(generated)
    yield from _file_lines(files, generated)
    yield from _kept_lines(generated.kept)
    if generated.rejected:
        yield f"  rejected       {_reasons(generated)}"
    for bug in generated.suspected:
        reason = one_line(bug.reason, 120)
        claim = f"{_example(bug.draft)} {reason}; {broken_promise(bug.draft)}"
        yield f"  suspected bug  {bug.draft.target.label}: {claim}"
    yield from _undrafted_lines(generated)
    if verbose:
        yield from _verbose_lines(generated)
    yield from _model_line(generated)
    if len(files) > 1:
        kept_tests = counted(len(generated.kept), "test")
        yield f"  in total       {kept_tests} kept, {generated.seconds:.1f} s"
    yield from _remarks(generated)


def _scores_by_file(generated: Generated) -> dict[str, list[TargetScore]]:
    """Return the scores of the files that have code."""
    files: dict[str, list[TargetScore]] = {}
    for score in generated.scores:
        if score.total.lines:
            files.setdefault(score.target.path, []).append(score)
    return files


def _file_lines(files: Mapping[str, Sequence[TargetScore]], generated: Generated) -> Iterator[str]:
    if not files:
        yield "There is no code to generate tests for."
    tests = Counter(test.draft.target.path for test in generated.kept)
    drafts = Counter(draft.target.path for draft in generated.drafts)
    for path, scores in files.items():
        line = (
            f"{one_line(path, 120)}  coverage {_coverage(scores)}   mutants killed "
            f"{_kills(scores)}   {counted(tests[path], 'test')} kept of {drafts[path]} tried"
        )
        # With several files, the last line of the report has the seconds.
        if len(files) == 1:
            line += f"   {generated.seconds:.1f} s"
        yield line


def _kept_lines(tests: Sequence[KeptTest]) -> Iterator[str]:
    for test in tests[:MAX_NAMES]:
        reason = f"{test.draft.origin}: {added_value(test)}"
        yield f"  kept           {test.draft.name}  ({reason})"
    further = len(tests) - MAX_NAMES
    if further > 0:
        yield f"                 and {further} more"


def _undrafted_lines(generated: Generated) -> Iterator[str]:
    """Yield a line for each reason why functions have no draft at all."""
    drafted = {draft.target.name for draft in generated.drafts}
    labels_by_reason: dict[str, list[str]] = {}
    for score in generated.scores:
        if score.total.mutants and score.target.name not in drafted:
            reason = _missing_draft_reason(score.target)
            labels_by_reason.setdefault(reason, []).append(score.target.label)
    for reason, labels in labels_by_reason.items():
        names = one_line(", ".join(labels[:MAX_NAMES]), 200)
        further = len(labels) - MAX_NAMES
        if further > 0:
            names += f" and {further} more"
        yield f"  no draft       {names}: {reason}"


def _missing_draft_reason(target: Target) -> str:
    """Return why neither an example nor type hints gave a draft."""
    if not target.is_plain_function:
        return "no example, and type hints are used for public functions of a module only"
    if find_spec("hypothesis") is None:
        return "no example, and Hypothesis is not installed (`pip install hypothesis`)"
    return "no example and no usable type hints"


def _verbose_lines(generated: Generated) -> Iterator[str]:
    for rejected in generated.rejected:
        yield f"  not kept       {rejected.draft.name}: {rejected.reason}"
    # The living mutants are what a further test could kill.
    for score in generated.scores:
        for mutant in score.living:
            after = one_line(mutant.after, 60)
            before = one_line(mutant.before, 60)
            place = f"{score.target.label}, line {mutant.line}"
            yield f"  survived       {place}: `{after}` instead of `{before}`"


def _model_line(generated: Generated) -> Iterator[str]:
    usage = generated.usage
    if usage.requests:
        requests = counted(usage.requests, "request")
        tokens = counted(usage.tokens, "token")
        cost = f"{requests}, {tokens}, {usage.seconds:.1f} s"
        yield f"  asked          {generated.model}: {cost}"
    elif generated.model:
        yield f"  asked          {generated.model}: all answers were cached"


def _remarks(generated: Generated) -> Iterator[str]:
    """Yield sentences on what was not tried, or was asked of another model."""
    if generated.fallback and generated.model:
        yield generated.fallback
    if generated.over:
        yield f"Incomplete: {generated.over}."
    if generated.remark:
        subject = "No model wrote tests"
        if generated.usage.requests:
            subject = "The model was not asked again"
        yield f"{subject}: {generated.remark.removesuffix('.')}."


def added_value(test: KeptTest) -> str:
    """Return what a test adds: "kills 2 mutants, covers lines 3-5"."""
    parts = []
    if test.kills:
        parts.append(f"kills {counted(len(test.kills), 'mutant')}")
    if test.lines:
        parts.append(f"covers {_line_ranges(test.lines)}")
    elif test.branch_lines:
        parts.append(f"takes another branch at {_line_ranges(test.branch_lines)}")
    return ", ".join(parts) or "covers other code"


def broken_promise(draft: Draft) -> str:
    """Return the promise that a draft rests on: "its docstring promises 3"."""
    if draft.draws_inputs:
        return "its type hints allow that"
    match ast.parse(draft.body[-1]).body:
        case [ast.Assert(test=ast.Compare(comparators=[value]))] | [
            ast.With(items=[ast.withitem(context_expr=ast.Call(args=[value, *_]))])
        ]:
            return f"its docstring promises {one_line(ast.unparse(value), 80)}"
    return "its docstring promises that"


# --- as JSON ---


def to_json(generated: Generated) -> str:
    """Return the result as JSON, by the schema beside this module."""
    reasons = filter(None, [generated.over, generated.remark])
    record = {
        "version": SCHEMA_VERSION,
        "tool": f"pytest-starcoder {version('pytest-starcoder')}",
        "model": generated.model,
        "notice": model_notice(generated),
        "confinement": generated.level,
        "note": generated.note or ". ".join(reasons),
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
    record: dict[str, Any] = {
        "path": score.target.path,
        "name": score.target.name,
        "kind": str(score.target.kind),
        "line": score.target.first,
    }
    for field, key in (
        ("mutants", "mutants_killed"),
        ("lines", "lines_covered"),
        ("branches", "branches_taken"),
    ):
        record[field] = getattr(score.total, field)
        record[f"{key}_before"] = getattr(score.before, field)
        record[key] = getattr(score.after, field)
    record["living"] = list(map(_mutant_record, score.living))
    return record


def _mutant_record(mutant: Edit) -> dict[str, Any]:
    return {
        "line": mutant.line,
        "before": mutant.before,
        "after": mutant.after,
        "kind": mutant.kind,
    }


def _kept_record(test: KeptTest) -> dict[str, Any]:
    return {
        **_draft_record(test.draft),
        "tests": test.draft.target.tests,
        "kills": len(test.kills),
        "covers": test.lines,
        "takes": test.branch_lines,
        "source": test.draft.source,
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


# --- as Markdown ---


def to_markdown(generated: Generated) -> str:
    """Return the result as GitHub's Markdown: a table of the targets, and the tests."""
    if generated.note:
        return f"## StarCoder: no test was generated\n\n{escape(generated.note)}\n"
    tests = counted(len(generated.kept), "test")
    lines = [f"## StarCoder: {tests} kept", ""]
    lines += _markdown_table(generated.scores)
    for bug in generated.suspected:
        example = _example(bug.draft).replace("`", "'")
        reason = escape(f"{bug.reason}; {broken_promise(bug.draft)}")
        lines += ["", f"- *suspected bug* `{bug.draft.target.label}`: `{example}` {reason}"]
    for test in generated.kept:
        draft = test.draft
        lines += ["", f"`{draft.name}`, from {draft.origin}:", ""]
        lines += ["```python", draft.source.rstrip("\n"), "```"]
    sentences = [generated.over, generated.remark, model_notice(generated)]
    if generated.rejected:
        sentences.insert(0, f"Not kept: {_reasons(generated)}.")
    for sentence in filter(None, sentences):
        lines += ["", escape(sentence)]
    return "\n".join(lines) + "\n"


def _markdown_table(scores: Sequence[TargetScore]) -> Iterator[str]:
    yield "| function | lines and branches | mutants killed |"
    yield "| --- | --- | --- |"
    for score in scores:
        if score.total.lines:
            name = f"{escape(score.target.path)} `{score.target.label}`"
            figures = f"{_coverage([score])} | {_kills([score])}"
            yield f"| {name} | {figures.replace('->', '→')} |"


# --- parts of all formats ---


def model_notice(generated: Generated) -> str:
    """Return the sentence on the tests that a model wrote; empty if there are none."""
    models = set()
    for test in generated.kept:
        if test.draft.origin is Origin.MODEL:
            models.add(test.draft.because)
    if not models:
        return ""
    names = " and ".join(sorted(models))
    return f"Tests from model are machine-generated by {names}; they were run."


def _example(draft: Draft) -> str:
    return one_line(draft.because or draft.body[-1], 100)


def _kills(scores: Sequence[TargetScore]) -> str:
    before, after, total = _sums(scores)
    return f"{before.mutants} -> {after.mutants} of {total.mutants}"


def _coverage(scores: Sequence[TargetScore]) -> str:
    """Return the covered share of lines and branches, before and after."""
    before, after, total = _sums(scores)
    if not total.places:
        return "- -> -"
    percent_before = 100 * before.places / total.places
    percent_after = 100 * after.places / total.places
    return f"{percent_before:.0f} % -> {percent_after:.0f} %"


def _sums(scores: Sequence[TargetScore]) -> tuple[Counts, Counts, Counts]:
    """Return the sums before, after and in total."""
    before = after = total = Counts()
    for score in scores:
        before += score.before
        after += score.after
        total += score.total
    return before, after, total


def _reasons(generated: Generated) -> str:
    """Return how often each reason occurs, most frequent first: "2 add nothing, 1 fails"."""
    counts = Counter(rejected.reason for rejected in generated.rejected)
    parts = []
    for reason, count in counts.most_common():
        words = _plural(reason) if count > 1 else reason
        parts.append(f"{count} {words}")
    return ", ".join(parts)


def _plural(reason: str) -> str:
    """Return a reason for several drafts: "add nothing" for "adds nothing"."""
    words = reason.split(" ")
    # "never ends" has its verb in the second place.
    verb = 1 if words[0] == "never" else 0
    words[verb] = _PLURALS.get(words[verb], words[verb].removesuffix("s"))
    return " ".join(words)


def _line_ranges(numbers: Sequence[int]) -> str:
    """Return sorted line numbers as text: "lines 3-5, 9"."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][-1] + 1:
            ranges[-1][1:] = [number]  # the ends are enough
        else:
            ranges.append([number])
    texts = ["-".join(map(str, ends)) for ends in ranges]
    noun = "lines" if len(numbers) > 1 else "line"
    return f"{noun} {', '.join(texts)}"
