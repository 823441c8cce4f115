"""Certain rules: faults that added lines show by their form, without a model or running code.

They report only what is a fault in nearly every program, and what linters do not report by
default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_starcoder.review import python_rules
from pytest_starcoder.review.change import Change, Hunk
from pytest_starcoder.review.finding import Finding
from pytest_starcoder.review.line_rules import Fault, LineRules, rate_secret
from pytest_starcoder.source.syntax import syntax_tree

_BYTE_ORDER_MARK = "\ufeff"

_SECRET = (
    "this looks like a secret, and git history keeps it forever; it was not shown to the model"
)


def find_faults(change: Change) -> list[Finding]:
    """Return the worst fault of each added line."""
    by_path: dict[str, list[Hunk]] = {}
    for hunk in (*change.hunks, *change.unasked):
        by_path.setdefault(hunk.path, []).append(hunk)
    findings: list[Finding] = []
    for path, hunks in by_path.items():
        secrets = change.secrets.get(path, {})
        findings += _find_in_file(path, hunks, change.texts.get(path), secrets)
    return findings


def _find_in_file(
    path: str, hunks: Sequence[Hunk], content: str | None, secrets: Mapping[int, bool]
) -> list[Finding]:
    lines = _added_lines(hunks)
    worst: dict[int, Fault] = {}
    for number, fault in _faults(path, lines, content, secrets):
        if number not in lines:
            continue
        if number not in worst or worst[number].severity < fault.severity:
            worst[number] = fault
    findings = []
    for number, fault in worst.items():
        hunk, line = lines[number]
        finding = Finding(
            path,
            number,
            fault.severity,
            fault.message,
            rule=fault.rule,
            source=line.strip(),
            definition=hunk.definition,
        )
        findings.append(finding)
    return findings


def _faults(
    path: str,
    lines: Mapping[int, tuple[Hunk, str]],
    content: str | None,
    secrets: Mapping[int, bool],
) -> Iterator[tuple[int, Fault]]:
    """Yield all faults of a file with their lines, which need not be added ones."""
    for number, has_token in secrets.items():
        severity = rate_secret(path, has_token=has_token)
        yield number, Fault("secret", severity, _SECRET)
    # Rules for Python need the whole file; a diff from standard input has none.
    module = _python_module(path, content)
    rules = LineRules(path)
    for number, (_, line) in lines.items():
        is_quoted = module is not None and number in module.quoted_lines
        # A byte order mark is legitimate before the first line.
        text = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        for fault in rules.check(text, is_quoted=is_quoted):
            yield number, fault
    if module is not None:
        yield from module.check()


def _added_lines(hunks: Sequence[Hunk]) -> dict[int, tuple[Hunk, str]]:
    lines = {}
    for hunk in hunks:
        added = {*hunk.added}
        for number, line in hunk.numbered():
            if number in added and not line.startswith("-"):
                lines[number] = hunk, line[1:]
    return lines


def _python_module(path: str, text: str | None) -> python_rules.PythonModule | None:
    if text is None or not path.endswith(".py"):
        return None
    tree = syntax_tree(text.removeprefix(_BYTE_ORDER_MARK))
    return None if tree is None else python_rules.PythonModule(path, tree)
