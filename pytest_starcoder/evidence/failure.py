"""A live exception becomes a `Failure`: project frames with their source, and what was seen.

Nothing here runs the user's code, but for the `repr` of compared values and
the `str` of the exception; whatever those do, a text comes out.
"""

from __future__ import annotations

import ast
import linecache
import reprlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, TracebackType

from pytest_starcoder.evidence.callees import called_functions
from pytest_starcoder.text.display import one_line
from pytest_starcoder.values import Failure, Frame

SOURCE_LINES = 40
"""Lines of one function that are kept at the most, around the line that was being run."""

FRAMES = 8
"""Project frames that are kept at the most: the test, and the last ones of a deep recursion."""


@dataclass(frozen=True)
class Comparison:
    """The two sides of a comparison that failed in an `assert`, as bounded texts."""

    op: str
    left: str
    right: str


def compared(op: str, left: object, right: object) -> Comparison:
    return Comparison(op, short_repr(left), short_repr(right))


def short_repr(value: object) -> str:
    """`repr(value)` on one line of at most some 200 characters, whatever it raises and however large it is."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 100
    short.maxdict = short.maxlist = short.maxtuple = short.maxset = 12
    try:
        return one_line(short.repr(value), 240)
    except Exception as exc:  # noqa: BLE001 - somebody's __repr__ may raise anything
        return f"<{type(value).__name__} whose repr raises {type(exc).__name__}>"


def describe(exc: BaseException, nodeid: str, phase: str, root: Path, comparison: Comparison | None = None) -> Failure:
    """The failure that `exc` is of the test `nodeid`; `comparison` is the last that failed in it, if any did."""
    live = list(_project_frames(exc.__traceback__, root))
    if not live and exc.__cause__ is not None:  # pytest's CollectError tells of the import's own error
        return describe(exc.__cause__, nodeid, phase, root, comparison)
    kept = live if len(live) <= FRAMES else [*live[:1], *live[1 - FRAMES :]]
    frames = [_frame(frame.f_code, line, root) for frame, line in kept]
    callees = _callees(live, root) if live else ()
    message = _message(exc)
    statement = _assertion(live[-1]) if live and isinstance(exc, AssertionError) else None
    if statement is not None and comparison is None:
        comparison = _told_comparison(exc)
    return Failure(
        nodeid=nodeid,
        phase=phase,
        exception=type(exc).__name__,
        message=message,
        seen=_seen(exc, message, statement, comparison),
        frames=tuple(frames),
        callees=tuple(callees),
    )


def untraced(nodeid: str, phase: str, text: str) -> Failure:
    """The failure of a test of which only pytest's report is known, because it was no exception or came too late."""
    lines = [line for line in text.splitlines() if line.strip()]
    message = one_line(lines[-1]) if lines else "failed without a message"
    return Failure(nodeid, phase, "failure", message, message)


def _message(exc: BaseException) -> str:
    return one_line(_text(exc)[:4000], 400)


def _text(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception as raised:  # noqa: BLE001 - somebody's __str__ may raise anything
        return f"<its str raises {type(raised).__name__}>"


# --- frames --------------------------------------------------------------------------------


def _project_frames(traceback: TracebackType | None, root: Path) -> Iterator[tuple[FrameType, int]]:
    """Frames and lines of the project's own code; of frames on one line (a generator expression) the outer one."""
    before = None
    while traceback is not None:
        code, line = traceback.tb_frame.f_code, traceback.tb_lineno
        if in_project(code.co_filename, root) and (code.co_filename, line) != before:
            before = code.co_filename, line
            yield traceback.tb_frame, line
        traceback = traceback.tb_next


def in_project(filename: str, root: Path) -> bool:
    """Whether a file is the project's own: below its root, and not installed there."""
    path = Path(filename)
    return path.is_relative_to(root) and not {"site-packages", "dist-packages"} & set(path.parts)


def _frame(code: CodeType, line: int, root: Path) -> Frame:
    first, source = _source(code, line)
    path = Path(code.co_filename).relative_to(root).as_posix()
    return Frame(path, line, code.co_qualname.replace(".<locals>", ""), first, source)


def _source(code: CodeType, line: int) -> tuple[int, str]:
    """First line and text of the function, or of the lines around `line` where it is long or a module."""
    lines = linecache.getlines(code.co_filename)
    if code.co_name == "<module>":
        first, last = max(1, line - 5), line
    else:
        first, last = code.co_firstlineno, max((n for _, _, n in code.co_lines() if n), default=line)
        last = max(last, line)
        if last - first >= SOURCE_LINES:
            first = max(first, line - SOURCE_LINES * 3 // 4)
            last = min(last, first + SOURCE_LINES - 1)
    return first, "".join(lines[first - 1 : last]).rstrip("\n")


def _callees(live: list[tuple[FrameType, int]], root: Path) -> Iterable[Frame]:
    frame, line = live[-1]
    known = {frame.f_code for frame, _ in live}
    for code in called_functions(frame, line, lambda filename: in_project(filename, root)):
        if code not in known:
            yield _frame(code, code.co_firstlineno, root)


# --- what was seen -------------------------------------------------------------------------


def _assertion(where: tuple[FrameType, int]) -> ast.Assert | None:
    """The `assert` statement that spans the line, with its text at hand for `_text`."""
    frame, line = where
    source = "".join(linecache.getlines(frame.f_code.co_filename))
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    spanning = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return spanning[-1] if spanning else None


def _told_comparison(exc: BaseException) -> Comparison | None:
    """The comparison in the message that pytest's rewriting wrote, where both sides can be read back."""
    first = _text(exc).partition("\n")[0]
    if not first.startswith("assert ") or len(first) > 1000:
        return None
    told = first.removeprefix("assert ")
    try:
        comparison = ast.parse(told, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None
    if not isinstance(comparison, ast.Compare) or len(comparison.ops) != 1:
        return None
    left = ast.get_source_segment(told, comparison.left) or ""
    right = ast.get_source_segment(told, comparison.comparators[0]) or ""
    return Comparison(told.removeprefix(left).removesuffix(right).strip(), left, right)


def _seen(exc: BaseException, message: str, statement: ast.Assert | None, comparison: Comparison | None) -> str:
    """One sentence on what was there and what was expected."""
    if statement is None:
        return f"raised {type(exc).__name__}: {message}" if message else f"raised {type(exc).__name__}"
    test = statement.test
    if comparison and isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _sides(test.left, test.comparators[0], comparison)
    if comparison:
        return f"{comparison.left} {comparison.op} {comparison.right} is false, the test expects it to be true"
    if statement.msg is None and message.startswith("assert ") and not isinstance(test, ast.Compare):
        value = message.removeprefix("assert ").partition(" + where ")[0].strip()
        text = one_line(ast.unparse(test), 120)
        if value and value != text:
            return f"{text} is {value}, the test expects it to be true"
    return (
        message.removeprefix("assert ") + " is false" if message.startswith("assert ") else message or "assert failed"
    )


def _sides(left: ast.expr, right: ast.expr, found: Comparison) -> str:
    """Both sides by the words of the source: 'mean([1, 2, 3]) returned 3.0, the test expects 2'."""
    got, expected, value, wanted = left, right, found.left, found.right
    if isinstance(left, ast.Constant) and not isinstance(right, ast.Constant) and found.op in ("==", "!=", "is"):
        got, expected, value, wanted = right, left, found.right, found.left
    name = one_line(ast.unparse(got), 120)
    verb = "returned" if isinstance(got, ast.Call) else "is"
    expects = {
        "==": f"the test expects {wanted}",
        "!=": f"the test expects anything but {wanted}",
        "is": f"the test expects the very object {wanted}",
        "in": f"the test expects it in {wanted}",
        "not in": f"the test expects it not in {wanted}",
    }.get(found.op, f"the test expects it {found.op} {wanted}")
    origin = one_line(ast.unparse(expected), 80)
    if not isinstance(expected, ast.Constant) and origin != wanted:
        expects += f" ({origin})"
    return f"{name} {verb} {value}, {expects}" if name != value else f"{value}, {expects}"
