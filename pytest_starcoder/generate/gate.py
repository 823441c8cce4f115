"""Why a draft is not kept, by what running it has shown: judgements in, reasons out, empty for none."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Sequence

from pytest_starcoder.generate.draft import Draft, Origin
from pytest_starcoder.generate.score import Executed, module_of
from pytest_starcoder.runner.messages import Judgement, Record
from pytest_starcoder.runner.trials import OUT_OF_TIME

NOT_SO = "is not so"
"""What is said of a draft whose assertion fails."""

ANY = "  # or any other generated value"
"""What Hypothesis says of an input that does not matter, on one line."""

_PROBLEMS = {
    "crashed": "ends the process",
    "hung": "never ends",
    OUT_OF_TIME: "was not run, the time was over",
}

_FAULTS = (
    *("AssertionError", "AttributeError", "IndexError", "NameError", "RecursionError", "TypeError"),
    *("UnboundLocalError", "ZeroDivisionError"),
)
"""What no function may raise for what its type hints allow; others may be its way to refuse a value."""


def failure(judgement: Judgement) -> str:
    """Why a draft's run does not count; it does where all tests passed every time and left all as it was."""
    if judgement.problem:
        return _PROBLEMS.get(judgement.problem, "cannot be imported")
    first, second = (
        {record.nodeid: record.outcome for record in records} for records in judgement.rounds
    )
    if "overtime" in (*first.values(), *second.values()):
        return "never ends"
    if set(first.values()) != {"passed"}:
        return "fails" if "failed" in first.values() else "is skipped"
    if first != second:
        return "passes only once"
    return f"leaves {judgement.side_effects[0]} changed" if judgement.side_effects else ""


def unfit(draft: Draft, executed: Executed) -> str:
    """Why a draft that passes is no test of its target."""
    if not executed.runs(draft.target):
        return "does not call its target"
    return "" if asserts(draft.body) else "asserts nothing"


def contradicted(draft: Draft, judgement: Judgement, reason: str) -> str:
    """How the code breaks what it promises itself, where that is why a draft fails; empty where it is not."""
    if reason != "fails" or draft.origin not in (Origin.DOCTEST, Origin.RAISES, Origin.SMOKE):
        return ""
    record = next(record for record in judgement.rounds[0] if record.outcome == "failed")
    if _refused(record.raised) or (record.raised == "NameError" and _of_itself(record, draft)):
        return ""  # by confinement; or the example leans on what stands around it
    if draft.origin is Origin.SMOKE:
        found = re.search(r": test_\w+\((.*?),? *\)", record.note)
        own = record.raised != "AssertionError" and _of_itself(record, draft)
        if (
            record.raised not in _FAULTS or found is None or own
        ):  # what a name is that it checks nobody has looked at
            return ""
        told = NOT_SO if record.raised == "AssertionError" else f"raises {record.raised}"
        return f"{told} for {found[1].replace(ANY, '').strip()}"
    return NOT_SO if record.raised == "AssertionError" else f"raises {record.raised}"


def _refused(raised: str) -> bool:
    """Whether an exception may be a file, a network or a program that confinement refuses."""
    kind = getattr(builtins, raised, None)
    return isinstance(kind, type) and issubclass(kind, OSError | ImportError)


def _of_itself(record: Record, draft: Draft) -> bool:
    """Whether an exception was raised in the draft, not in what it calls."""
    return record.place.rpartition(":")[0].endswith(module_of(draft)[0])


def asserts(body: Sequence[str]) -> bool:
    """Whether statements assert something that could be false, or expect an exception."""
    for statement in body:
        for node in ast.walk(ast.parse(statement)):
            if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
                return True
            if isinstance(node, ast.With) and any(
                "raises" in ast.unparse(item.context_expr) for item in node.items
            ):
                return True
    return False
