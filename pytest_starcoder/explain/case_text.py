"""A case as a model reads it: the code, the failing test, what was checked and what was seen.

What was seen comes last: if only that changes between two runs, a server that caches prompts by
their beginning reads only the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_starcoder.explain.breakage import Breakage
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.checked_change import checked_change
from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.explain.failure import Failure, Frame
from pytest_starcoder.explain.fixes import Fix
from pytest_starcoder.runner.outcome import Call
from pytest_starcoder.source.diff import changed_lines
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.node_ids import file_of

MAX_TEST_LINES = 10
MAX_CALLS = 2
MAX_DIFF_LINES = 12
MAX_PIECES = 4


def code_to_show(case: Case) -> tuple[Excerpt, ...]:
    """Return the code around the change that was checked, or else the most suspicious code."""
    if checked_change(case) is not None and case.changed_code:
        return case.changed_code
    test_file = file_of(case.cause.first.nodeid)
    # A stable sort: the most suspicious code comes first, but that of the test last.
    return tuple(sorted(case.excerpts, key=lambda excerpt: excerpt.path == test_file))


def code_by_file(texts: Iterable[str], places: Mapping[str, tuple[str, int]]) -> str:
    """Return excerpts by file, in the order of their lines."""
    files: dict[str, list[str]] = {}
    # Parts come by importance; code is easier to follow in the order of the file.
    for text in sorted(texts, key=lambda text: places[text]):
        path, _ = places[text]
        files.setdefault(path, []).append(text)
    blocks = []
    for path, excerpts in files.items():
        blocks.append(f"{path}:\n{_python_block(_join(excerpts))}")
    return "\n\n".join(blocks)


def _join(excerpts: Sequence[str]) -> str:
    """Join excerpts; members of one class follow a single `class` line."""
    joined = ""
    current = ""
    for excerpt in excerpts:
        head, _, members = excerpt.partition("\n")
        if head.startswith("class ") and head == current:
            # Fields of a dataclass stand close together, methods do not.
            gap = "\n\n" if "\n" in members else "\n"
            joined += gap + members
        else:
            joined += f"\n\n{excerpt}" if joined else excerpt
        current = head
    return joined


def describe(case: Case) -> str:
    """Describe what only this case has: the test, its calls, what was checked and seen."""
    failure = case.cause.first
    paragraphs = [_describe_test(failure)]
    if case.breakage.pieces:
        paragraphs.append(_describe_breakage(case.breakage))
    elif case.fix is not None:
        paragraphs.append(_describe_fix(case.fix))
    else:
        calls = _traced_calls(case)
        if calls:
            paragraphs.append("\n".join(["Calls:", *calls]))
    paragraphs.append(_describe_observations(failure))
    return "\n\n".join(paragraphs)


def _describe_breakage(breakage: Breakage) -> str:
    """Describe the change that broke the test, as its removed and added lines."""
    pieces = breakage.pieces[:MAX_PIECES]
    limit = MAX_DIFF_LINES // len(pieces)
    lines: list[str] = []
    for piece in pieces:
        lines += [f"@@ {piece.path}:{piece.line}", *piece.shown_diff(limit)]
    title = "This change broke it; without it, the test passes"
    if len(breakage.pieces) > 1:
        title = "These changes broke it; without them, the test passes"
    return f"{title}:\n{_diff_block(lines)}"


def _describe_fix(fix: Fix) -> str:
    lines = changed_lines(fix.diff)[:MAX_DIFF_LINES]
    return f"With this change the test passes:\n{_diff_block(lines)}"


def _describe_test(failure: Failure) -> str:
    text = f"Test: {failure.nodeid} fails with {failure.exception}"
    if not failure.frames:
        return text
    frame = failure.frames[0]
    # The node id has the path already.
    if failure.nodeid.startswith(f"{frame.path}::"):
        text += f" at line {frame.line}"
    else:
        text += f" at {frame.path}, line {frame.line}"
    if not frame.source:
        return text
    return f"{text}:\n{_test_source(frame)}"


def _describe_observations(failure: Failure) -> str:
    lines = [f"Seen: {failure.seen}"]
    # pytest's message of an assertion repeats what was seen in a longer form.
    is_assertion = failure.exception == "AssertionError" and failure.message.startswith("assert ")
    if failure.message and failure.message not in failure.seen and not is_assertion:
        lines.append(f"{failure.exception}: {one_line(failure.message, 200)}")
    lines += [one_line(fact, 120) for fact in failure.facts[:3]]
    lines += [one_line(text, 200) for text in failure.extra[:2]]
    return "\n".join(lines)


def _test_source(frame: Frame) -> str:
    """Return the failing test around the line that failed, which is marked."""
    lines = frame.source.split("\n")
    # The source may be cut, so that the line is not in it.
    last = len(lines) - 1
    index = min(max(frame.line - frame.first_line, 0), last)
    lines[index] += "  # fails here"
    # Most of the lines shown are those before the one that failed.
    lines_before = MAX_TEST_LINES * 3 // 4
    last_first = len(lines) - MAX_TEST_LINES
    first = max(0, min(index - lines_before, last_first))
    excerpt = lines[first : first + MAX_TEST_LINES]
    if first > 0:
        excerpt = [lines[0], "    ...", *excerpt]
    return _python_block("\n".join(line[:100] for line in excerpt))


def _traced_calls(case: Case) -> list[str]:
    """Return a traced call of each of the most suspicious functions.

    Calls of the failing statement of the test come before others.
    """
    if not case.replay.failing:
        return []
    first_calls: dict[tuple[str, int], Call] = {}
    for call in sorted(case.replay.failing[0].calls, key=lambda call: not call.late):
        first_calls.setdefault((call.path, call.line), call)
    texts = []
    for excerpt in case.excerpts:
        place = excerpt.path, excerpt.first
        if place in first_calls:
            call = first_calls.pop(place)
            arguments = one_line(call.arguments, 80)
            outcome = one_line(call.outcome, 80)
            texts.append(f"{call.function}({arguments}) {outcome}")
    return texts[:MAX_CALLS]


def _python_block(code: str) -> str:
    return f"```python\n{code}\n```"


def _diff_block(lines: Sequence[str]) -> str:
    diff = "\n".join(line[:100] for line in lines)
    return f"```diff\n{diff}\n```"
