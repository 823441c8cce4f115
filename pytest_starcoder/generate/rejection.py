"""The reasons for which a draft is rejected; an empty text means that there is none."""

from __future__ import annotations

import ast
import builtins
import re

from pytest_starcoder.generate.draft import Draft, Origin
from pytest_starcoder.generate.executed_code import JudgedDraft
from pytest_starcoder.generate.statements import expects_exception
from pytest_starcoder.runner.trials import OUT_OF_TIME
from pytest_starcoder.runner.worker_messages import Judgement, Record

# The reason of a suspected bug whose assertion fails.
WRONG = "is wrong"

FAILS = "fails"

# The remark of Hypothesis on an input that does not matter, with white space folded.
ANY_VALUE = " # or any other generated value"

_PROBLEMS = {
    "crashed": "ends the process",
    "hung": "never ends",
    OUT_OF_TIME: "was not run: the time limit was reached",
}

# Exceptions that no function should raise for inputs of the annotated types.
#
# With other exceptions it may refuse a value on purpose.
_BUGS = (
    "AssertionError",
    "AttributeError",
    "IndexError",
    "NameError",
    "RecursionError",
    "TypeError",
    "UnboundLocalError",
    "ZeroDivisionError",
)


def run_failure(judgement: Judgement) -> str:
    """Return why a run is not accepted: all tests must pass twice and leave nothing behind."""
    if judgement.problem:
        return _PROBLEMS.get(judgement.problem, "cannot be imported")
    first, second = map(_outcomes, judgement.rounds)
    outcomes = set(first.values())
    if "overtime" in outcomes.union(second.values()):
        return "never ends"
    if "failed" in outcomes:
        return FAILS
    if outcomes != {"passed"}:
        return "is skipped"
    if first != second:
        return "passes only once"
    if judgement.side_effects:
        return f"leaves {judgement.side_effects[0]} changed"
    return ""


def missing_check(judged: JudgedDraft) -> str:
    """Return why a draft that passes does not test its target."""
    if not judged.calls_target:
        return "does not call its target"
    if not has_assertion(judged.draft):
        return "asserts nothing"
    return ""


def has_assertion(draft: Draft) -> bool:
    """Return whether a draft asserts something that could be false, or expects an exception."""
    for node in ast.walk(ast.parse("\n".join(draft.body))):
        if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
            return True
        if expects_exception(node):
            return True
    return False


def broken_promise(draft: Draft, judgement: Judgement) -> str:
    """Return how the code breaks its docstring or its type hints in a run that failed.

    Empty if something else may be the cause: the sandbox, or the draft itself.
    """
    # A model or an observation promises nothing.
    if draft.origin not in (Origin.DOCTEST, Origin.RAISES, Origin.TYPE_HINT):
        return ""
    # Only the first failure counts: in the second round others may follow from it.
    failure = next(record for record in judgement.rounds[0] if record.outcome == "failed")
    raised = failure.raised
    file, _, _ = failure.place.rpartition(":")
    in_draft = file.endswith(draft.module[0])
    # An example may use names from the code around it, which the draft does not have.
    if _is_refusal(raised) or (raised == "NameError" and in_draft):
        return ""
    reason = WRONG if raised == "AssertionError" else f"raises {raised}"
    if not draft.draws_inputs:
        return reason
    # An error in the draft itself is about the annotation, which may be no class.
    is_about_code = raised == "AssertionError" or not in_draft
    arguments = _failing_arguments(failure.note)
    if raised in _BUGS and is_about_code and arguments:
        return f"{reason} for {arguments}"
    return ""


def _failing_arguments(note: str) -> str:
    """Return the arguments in a message of Hypothesis; empty if there are none."""
    match = re.search(r": test_\w+\((.*?),? *\)", note)
    if match is None:
        return ""
    return match[1].replace(ANY_VALUE, "").strip(" ,")


def _outcomes(records: tuple[Record, ...]) -> dict[str, str]:
    return {record.nodeid: record.outcome for record in records}


def _is_refusal(raised: str) -> bool:
    """Return whether the sandbox may have caused an exception by refusing a file or a network."""
    kind = getattr(builtins, raised, None)
    return isinstance(kind, type) and issubclass(kind, OSError | ImportError)
