"""A live exception becomes a `Failure`: project frames with their source, and what was seen.

Nothing here runs the user's code, but for the `repr` of compared values and
the `str` of the exception; whatever those raise, a text comes out.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

from pytest_starcoder.explain.differences import differences
from pytest_starcoder.explain.facts import facts
from pytest_starcoder.explain.failure import Failure, Frame
from pytest_starcoder.redaction.redactor import Redactor, secret_values
from pytest_starcoder.redaction.values import with_texts
from pytest_starcoder.source.callees import called_functions
from pytest_starcoder.source.project import Project
from pytest_starcoder.source.syntax import is_literal, syntax_tree
from pytest_starcoder.text.display import one_line
from pytest_starcoder.text.reprs import ADDRESS, short_repr

SOURCE_LINES = 40
"""Lines of one function that are kept at the most, around the line that was being run."""

CALLEES = 40
"""Functions beside the traceback that are kept at the most."""

FACTS = 6
"""Facts that are kept at the most."""

FRAMES = 8
"""Project frames that are kept at the most: the test, and the last ones of a deep recursion."""


@dataclass(frozen=True)
class Comparison:
    """The two sides of a comparison that failed in an `assert`, as bounded texts.

    `differences` take the right side for the expected one, `mirrored` the left.
    """

    op: str
    left: str
    right: str
    differences: tuple[str, ...] = ()
    mirrored: tuple[str, ...] = ()


def compared(op: str, left: object, right: object) -> Comparison:
    mirrored = differences(op, right, left) if op == "==" else ()
    return Comparison(
        op, short_repr(left), short_repr(right), differences(op, left, right), mirrored
    )


def describe(
    exc: BaseException,
    nodeid: str,
    phase: str,
    project: Project | Path,
    comparison: Comparison | None = None,
    executed: Sequence[CodeType] = (),
    redactor: Redactor | None = None,
) -> Failure:
    """The failure that `exc` is of the test `nodeid`, without secrets.

    A `project` of one folder may be given as that.
    `comparison` is the last that failed in it, if any did; `executed` is the
    code that it was recorded to execute, where that is known. `redactor` learns its secrets.
    """
    if isinstance(project, Path):
        project = Project(project)
    exc = _telling(exc, project)
    live = list(_project_frames(exc, project))
    kept = live if len(live) <= FRAMES else [*live[:1], *live[1 - FRAMES :]]
    frames = [_frame(step.frame.f_code, step.line, project) for step in kept]
    message = _message(exc)
    statement = _assertion(live[-1]) if live and isinstance(exc, AssertionError) else None
    called = (
        [_frame(code, code.co_firstlineno, project) for code in _callees(live, project)]
        if live
        else []
    )
    known = {(frame.path, frame.first_line) for frame in (*frames, *called)}
    ran = [
        _frame(code, code.co_firstlineno, project)
        for code in executed
        if project.holds(code.co_filename)
    ]
    failure = Failure(
        nodeid=nodeid,
        phase=phase,
        exception=type(exc).__name__,
        message=message,
        seen=_seen(exc, message, statement, comparison),
        frames=(*frames, *_misspelt(exc, project)),
        callees=(*called, *(frame for frame in ran if (frame.path, frame.first_line) not in known))[
            :CALLEES
        ],
        facts=_facts(
            exc, live, _differences(statement, comparison) if statement and comparison else ()
        ),
        fixture=frames[0].function if frames and phase in ("setup", "teardown") else "",
        asserted=f"{called[0].path}:{called[0].first_line}"
        if called and statement is not None
        else "",
    )
    redactor = redactor or Redactor.from_environment()
    redactor.add({secret for step in live for secret in _secrets(step.frame)})
    for frame in (*failure.frames, *failure.callees):
        redactor.learn(frame.source)
    return with_texts(failure, redactor.redact)


def _secrets(frame: FrameType) -> Iterator[str]:
    yield from secret_values(frame.f_locals)
    yield from secret_values(frame.f_globals)


def _facts(exc: BaseException, live: Sequence[Step], told: tuple[str, ...]) -> tuple[str, ...]:
    """What is observed beyond the sentence: how the sides differ, and what the exception and its line tell."""
    if live:
        told = (*told, *facts(exc, live[-1].frame, live[-1].line, live[-1].lasti))
    return tuple(dict.fromkeys(told))[:FACTS]


def failure_from_report(nodeid: str, phase: str, text: str) -> Failure:
    """The failure of a test of which only pytest's report is known, because it was no exception or came too late."""
    lines = [line for line in text.splitlines() if line.strip()]
    message = one_line(lines[-1]) if lines else "failed without a message"
    message = message.replace(
        "[XPASS(strict)]", "passed, though it is marked as expected to fail (strict)"
    ).rstrip()
    return Failure(nodeid, phase, "failure", message, message)


def _telling(exc: BaseException, project: Project) -> BaseException:
    """`exc`, or the first of its causes that has project frames, or the last: pytest's CollectError has none."""
    chain = [exc]
    while chain[-1].__cause__ is not None and all(
        chain[-1].__cause__ is not other for other in chain
    ):
        chain.append(chain[-1].__cause__)
    return next((found for found in chain if any(_project_frames(found, project))), chain[-1])


def _message(exc: BaseException) -> str:
    told = [_text(exc)[:4000]]
    if isinstance(exc, BaseExceptionGroup):
        told += [f"{type(inner).__name__}: {_text(inner)[:1000]}" for inner in exc.exceptions[:3]]
    if exc.__cause__ is not None:
        told.append(f"from {type(exc.__cause__).__name__}: {_text(exc.__cause__)[:1000]}")
    return one_line(ADDRESS.sub("", ", ".join(filter(None, told))), 400)


def _text(exc: BaseException) -> str:
    missing = vars(exc).get("argname") if type(exc).__name__ == "FixtureLookupError" else None
    if isinstance(missing, str):  # pytest's own, whose str shows its inside
        return f"fixture {missing!r} not found"
    try:
        return str(exc)
    except KeyboardInterrupt:
        raise
    except BaseException as raised:  # noqa: BLE001 - somebody's __str__ may raise anything
        return f"<its str raises {type(raised).__name__}>"


# --- frames --------------------------------------------------------------------------------


class Step(NamedTuple):
    """One entry of a traceback: the frame, its 1-based line, and the index of its last instruction."""

    frame: FrameType
    line: int
    lasti: int


def _project_frames(exc: BaseException, project: Project) -> Iterator[Step]:
    """Steps through the project's own code; of those on one line (a generator expression) the outer one.

    Those of a group go on with those of its first exception.
    """
    before = None
    group: BaseException | None = exc
    while group is not None:
        traceback = group.__traceback__
        while traceback is not None:
            code, line = traceback.tb_frame.f_code, traceback.tb_lineno
            if project.holds(code.co_filename) and (code.co_filename, line) != before:
                before = code.co_filename, line
                yield Step(traceback.tb_frame, line, traceback.tb_lasti)
            traceback = traceback.tb_next
        group = group.exceptions[0] if isinstance(group, BaseExceptionGroup) else None


def _misspelt(exc: BaseException, project: Project) -> Iterator[Frame]:
    """The lines up to a syntax error in a file of the project's, which no traceback enters."""
    if (
        not isinstance(exc, SyntaxError)
        or not isinstance(exc.filename, str)
        or not isinstance(exc.lineno, int)
    ):
        return
    if project.holds(exc.filename):
        first = max(1, exc.lineno - 5)
        source = "".join(linecache.getlines(exc.filename)[first - 1 : exc.lineno]).rstrip("\n")
        yield Frame(project.path_of(exc.filename), exc.lineno, "<module>", first, source)


def _frame(code: CodeType, line: int, project: Project) -> Frame:
    first, source = _source(code, line)
    path = project.path_of(code.co_filename)
    return Frame(path, line, code.co_qualname.replace(".<locals>", ""), first, source)


def _source(code: CodeType, line: int) -> tuple[int, str]:
    """First line and text of the function, or of the lines around `line` where it is long or a module."""
    lines = linecache.getlines(code.co_filename)
    if code.co_name == "<module>":
        first, last = max(1, line - 5), line
    else:
        first, last = (
            code.co_firstlineno,
            max((n for _, _, n in code.co_lines() if n), default=line),
        )
        last = max(last, line)
        if last - first >= SOURCE_LINES:
            first = max(first, line - SOURCE_LINES * 3 // 4)
            last = min(last, first + SOURCE_LINES - 1)
    return first, "".join(lines[first - 1 : last]).rstrip("\n")


def _callees(live: Sequence[Step], project: Project) -> Iterator[CodeType]:
    known = {step.frame.f_code for step in live}
    for code in called_functions(live[-1].frame, live[-1].line, project.holds):
        if code not in known:
            yield code


# --- what was seen -------------------------------------------------------------------------


def _assertion(step: Step) -> ast.Assert | None:
    """The `assert` statement that spans the line."""
    asserts = _assertions("".join(linecache.getlines(step.frame.f_code.co_filename)))
    spanning = [
        node for node in asserts if node.lineno <= step.line <= (node.end_lineno or node.lineno)
    ]
    return spanning[-1] if spanning else None


@lru_cache(maxsize=16)
def _assertions(source: str) -> tuple[ast.Assert, ...]:
    """Every `assert` in `source`, the outer before the inner."""
    tree = syntax_tree(source)
    return tuple(node for node in ast.walk(tree) if isinstance(node, ast.Assert)) if tree else ()


def _told_comparison(exc: BaseException) -> Comparison | None:
    """The comparison in the message that pytest's rewriting wrote, where both sides can be read back."""
    first = _text(exc).partition("\n")[0]
    if not first.startswith("assert ") or len(first) > 1000:
        return None
    told = first.removeprefix("assert ")
    tree = syntax_tree(told)
    statement = tree.body[0] if tree and tree.body else None
    comparison = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(comparison, ast.Compare) or len(comparison.ops) != 1:
        return None
    left = ast.get_source_segment(told, comparison.left) or ""
    right = ast.get_source_segment(told, comparison.comparators[0]) or ""
    return Comparison(told.removeprefix(left).removesuffix(right).strip(), left, right)


def _seen(
    exc: BaseException, message: str, statement: ast.Assert | None, comparison: Comparison | None
) -> str:
    """One sentence on what was there and what was expected."""
    if statement is None:
        return (
            f"raised {type(exc).__name__}: {message}" if message else f"raised {type(exc).__name__}"
        )
    test = statement.test
    if isinstance(test, ast.Compare):
        found = _found(exc, comparison)
        if found and len(test.ops) == 1:
            said = one_line(_text(exc).partition("\n")[0], 100) if statement.msg else ""
            return _sides(test.left, test.comparators[0], found) + (f" ({said})" if said else "")
        if found:
            return f"{found.left} {found.op} {found.right} is false, the test expects it to be true"
    if message and not message.startswith("assert "):
        return message
    told = message.removeprefix("assert ").partition(" + where ")[0].strip()
    expected = "true"
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, told, expected = test.operand, told.removeprefix("not "), "false"
    text = one_line(ast.unparse(test), 120)
    if isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp) or told in ("", text):
        contrary = "true" if expected == "false" else "false"
        return f"{told or text} is {contrary}, the test expects it to be {expected}"
    return f"{text} is {told}, the test expects it to be {expected}"


def _found(exc: BaseException, comparison: Comparison | None) -> Comparison | None:
    """The comparison that failed: the live one, unless it was of an earlier assertion, or the one told."""
    if comparison and "assert " in _text(
        exc
    ):  # pytest wrote that, having told `comparison` of this assertion
        return comparison
    return _told_comparison(exc)


FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _expected_first(left: ast.expr, right: ast.expr) -> bool:
    return is_literal(left) and not is_literal(right)


def _differences(statement: ast.Assert, comparison: Comparison) -> tuple[str, ...]:
    """How the value that the test looks at differs from the one that it expects."""
    test = statement.test
    if (
        isinstance(test, ast.Compare)
        and comparison.mirrored
        and _expected_first(test.left, test.comparators[0])
    ):
        return comparison.mirrored
    return comparison.differences


def _sides(left: ast.expr, right: ast.expr, found: Comparison) -> str:
    """Both sides by the words of the source: 'mean([1, 2, 3]) returned 3.0, the test expects 2'."""
    got, expected, value, wanted, op = left, right, found.left, found.right, found.op
    if _expected_first(left, right) and op not in ("in", "not in"):
        got, expected, value, wanted, op = right, left, found.right, found.left, FLIPPED.get(op, op)
    name = one_line(ast.unparse(got), 120)
    verb = "returned" if isinstance(got, ast.Call) else "is"
    expects = {
        "==": f"the test expects {wanted}",
        "!=": f"the test expects anything but {wanted}",
        "is": f"the test expects the very object {wanted}",
        "is not": f"the test expects anything but the very object {wanted}",
        "in": f"the test expects it in {wanted}",
        "not in": f"the test expects it not in {wanted}",
    }.get(op, f"the test expects it {op} {wanted}")
    origin = one_line(ast.unparse(expected), 80)
    if not is_literal(expected) and origin != wanted:
        expects += f" ({origin})"
    return f"{name} {verb} {value}, {expects}" if name != value else f"{value}, {expects}"
