"""Records calls of the project's functions: arguments, results, and types of variables."""

from __future__ import annotations

import contextlib
import dis
import inspect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from pytest_starcoder.redaction.redactor import secret_values
from pytest_starcoder.text.reprs import short_repr

MAX_CALLS = 4
"""Maximum recorded calls of one function: loops call the same one thousands of times."""

MAX_ALL_CALLS = 200
"""Maximum recorded calls of one test."""

MAX_RECORDED = 1000
"""Maximum calls of one test whose values are formatted; most of these calls are dropped."""

MAX_ARGUMENTS = 160
"""Maximum characters of one call's arguments."""

MAX_YIELDED = 3
"""Maximum values of a generator that are shown."""

YIELDS = {dis.opmap["YIELD_VALUE"], dis.opmap["RESUME"]}
"""Instructions at which a generator or coroutine waits; since Python 3.13 it is the second."""

RETURNS = {dis.opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in dis.opmap}


@dataclass(eq=False)
class TracedCall:
    """One call, made on `line` of the file `caller`; `outcome` is set when it ends.

    It is `late` if the last statement of the test function made it, directly or not.
    """

    code: CodeType
    arguments: str
    caller: str
    line: int
    outcome: str = "did not return"
    late: bool = False
    raised: str = ""
    """The name of the last exception in it."""
    is_handled: bool = True
    yielded: list[str] = field(default_factory=list)

    def note_return(self, frame: FrameType, value: object) -> None:
        """Set the outcome from a `return` event, which also follows exceptions and `yield`."""
        instruction = self.code.co_code[frame.f_lasti]
        if instruction in RETURNS:
            self.outcome = self._returned(value)
        elif instruction in YIELDS and (self.is_handled or self.raised == "StopIteration"):
            if self.code.co_flags & inspect.CO_GENERATOR:
                self._note_yield(value)
        elif self.raised != "GeneratorExit":  # which closes a generator that was not finished
            self.outcome = f"raised {self.raised}"

    def _returned(self, value: object) -> str:
        if not self.code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
            return f"returned {short_repr(value)}"
        if value is not None:
            return f"returned {short_repr(value)}"
        return self.outcome if self.yielded else "ended"

    def _note_yield(self, value: object) -> None:
        if len(self.yielded) < MAX_YIELDED:
            self.yielded.append(short_repr(value))
            self.outcome = f"yielded {', '.join(self.yielded)}"
        elif not self.outcome.endswith(", …"):
            self.outcome += ", …"


class CallLog:
    """The calls of one test in the order in which they began.

    Only the first calls of each function are kept, and the first and last ones made by the last
    statement of the test.

    `types` are the names of the types that variables had when recorded calls ended. Values of
    secret-looking names in those calls and their modules are added to `secrets`.
    """

    def __init__(self, secrets: set[str]) -> None:
        self.types: dict[CodeType, dict[str, set[str]]] = {}
        self.secrets = secrets
        self._first: list[TracedCall] = []
        self._late: list[TracedCall] = []
        # By identity: hashing code takes long.
        self._first_counts: Counter[int] = Counter()
        self._late_by_code: dict[int, list[TracedCall]] = {}
        self._recorded = 0

    def record(self, frame: FrameType) -> TracedCall | None:
        """Return a new call for the frame that begins it; None if enough is recorded."""
        code = frame.f_code
        if code.co_name.startswith("<"):  # a lambda or comprehension
            return None
        self._recorded += 1
        if self._recorded > MAX_RECORDED:
            return None
        self._collect_secrets(frame.f_globals)
        caller = frame.f_back
        place = (caller.f_code.co_filename, caller.f_lineno) if caller is not None else ("", 0)
        call = TracedCall(code, _format_arguments(frame, code), *place)
        self._late.append(call)
        same = self._late_by_code.setdefault(id(code), [])
        same.append(call)
        if len(same) > MAX_CALLS:
            self._late.remove(same.pop(MAX_CALLS // 2))
        return call

    def note_end(self, call: TracedCall, frame: FrameType, value: Any) -> None:
        """Record the outcome of a call, and the types of its variables."""
        self._collect_secrets(frame.f_locals)
        names = self.types.setdefault(call.code, {})
        for name, variable in frame.f_locals.items():
            names.setdefault(name, set()).add(type(variable).__name__)
        call.note_return(frame, value)

    def begin_statement(self) -> None:
        """Start to collect the calls of another statement of the test function."""
        for call in self._late:
            self._first_counts[id(call.code)] += 1
            if self._first_counts[id(call.code)] <= MAX_CALLS and len(self._first) < MAX_ALL_CALLS:
                self._first.append(call)
        self._late = []
        self._late_by_code.clear()

    def mark(self) -> list[TracedCall]:
        """Return the calls of the current statement so far, for `forget_others`."""
        return list(self._late)

    def forget_others(self, calls: list[TracedCall]) -> None:
        """Keep only `calls` of the current statement."""
        self._late = calls

    def calls(self, *, mark_late: bool = True) -> list[TracedCall]:
        """Return the calls that were kept; pass `mark_late` if the last statement has failed."""
        late = self._late[-MAX_ALL_CALLS:]
        is_complete = self._recorded <= MAX_RECORDED  # else its last calls are missing
        for call in late:
            call.late = mark_late and is_complete
        first = self._first[: MAX_ALL_CALLS - len(late)]
        return [*first, *late]

    def _collect_secrets(self, variables: Mapping[str, Any]) -> None:
        with contextlib.suppress(Exception):  # a mapping of the test may raise anything
            self.secrets.update(secret_values(variables))


def _format_arguments(frame: FrameType, code: CodeType) -> str:
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS)
    count += bool(code.co_flags & inspect.CO_VARKEYWORDS)
    arguments = []
    for name in code.co_varnames[:count]:
        if name in frame.f_locals and name not in ("self", "cls"):
            arguments.append(f"{name}={short_repr(frame.f_locals[name])}")
    text = ", ".join(arguments)
    if len(text) > MAX_ARGUMENTS:
        text = text[: MAX_ARGUMENTS - 1] + "…"
    return text
