"""The search for fixes of a whole session: which causes, for how long, and with which tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.fake_laboratory import FakeLaboratory, case_of

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.explain.breakage import Breakage
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.explain.explanation import Explanation
from pytest_starcoder.explain.failure import Cause
from pytest_starcoder.explain.fix_interface import FixContext, WriteOptions
from pytest_starcoder.explain.fixes import NO_FIXES, Fixes
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.fix import session as session_module
from pytest_starcoder.fix.session import FixSession
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.redaction.redactor import REDACTED
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import FinishedTest
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.conventions import Conventions

MEAN = "def mean(xs):\n    return sum(xs) / (len(xs) - 1)\n"
MEANS = "[mean([1, 2, 3]), mean([0, 0, 3, 5]), mean([1, 2])] == [2, 2, 1.5]"
FIRST, SECOND, PASSING = "t.py::test_first", "t.py::test_second", "t.py::test_passing"
TESTS = {FIRST: MEANS, SECOND: "mean([4, 4]) == 4", PASSING: "mean([0, 9]) > 4"}


class StatusLine:
    def __init__(self) -> None:
        self.shown: list[str] = []

    @contextmanager
    def show(self, label: str, activity: str) -> Iterator[Callable[[str], None]]:
        self.shown.append(f"{label} {activity}")
        yield self.shown.append


def client_of(answer: Callable[[Prompt], str]) -> Any:
    def complete(prompt: Prompt) -> Completion:
        return Completion(answer(prompt), "tiny", likelihood=-1.0)

    model = Model("tiny", "d", "starcoder2", 4096)
    return SimpleNamespace(model=lambda: model, settings=Settings(), complete=complete)


def context_of(laboratory: FakeLaboratory, cases: Sequence[Case], **changes: Any) -> FixContext:
    values: dict[str, Any] = {
        "cases": cases,
        "tests": [FinishedTest(nodeid, "passed", 0.01) for nodeid in laboratory.tests],
        "launch": Launch(Path(), Path()),
        "sources": laboratory.sources,
        "conventions": Conventions(frozenset({"t.py"})),
        "settings": Settings(),
        "client": None,
        "redact": lambda text: text,
        "show_status": StatusLine().show,
    }
    return FixContext(**{**values, **changes})


def find(case: Case, laboratory: FakeLaboratory, **changes: Any) -> Fixes:
    return FixSession(context_of(laboratory, [case], **changes), laboratory).find(case)


CASE = case_of(MEAN, [FIRST])


def test_fix_of_a_case() -> None:
    status = StatusLine()
    fixes = find(CASE, FakeLaboratory(MEAN, TESTS), show_status=status.show)
    assert fixes.passing[0].after == "    return sum(xs) / len(xs)"
    assert status.shown[:2] == ["fix trying changes", ", 1 tried"]


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": Settings(fix=False)},
        {"settings": Settings(replay=False)},
        {"tests": [FinishedTest(FIRST, "failed", 0.01, fixable=False)]},
    ],
    ids=["fix-off", "replay-off", "test-not-fixable"],
)
def test_no_search(changes: dict[str, Any]) -> None:
    assert find(CASE, FakeLaboratory(MEAN, TESTS), **changes) is NO_FIXES


COLLECTED = replace(CASE.cause.first, phase="collect")


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (
            replace(CASE, unsearched="the cause is outside the code"),
            "the cause is outside the code",
        ),
        (
            replace(CASE, breakage=Breakage(only_test=True)),
            "the code is as it was when the test passed",
        ),
        (Case(Cause((COLLECTED,))), "the file could not be collected"),
        (
            replace(CASE, replay=Replay(order=("t.py::test_passing", FIRST))),
            "the test fails only after other tests",
        ),
    ],
    ids=["unsearched", "only-test", "collection", "order"],
)
def test_reason_for_no_search(case: Case, reason: str) -> None:
    laboratory = FakeLaboratory(MEAN, TESTS)
    assert find(case, laboratory) == Fixes(note=f"not searched for: {reason}")
    session = FixSession(context_of(laboratory, [case]), laboratory)
    assert session.try_correction(case, MEAN) is NO_FIXES
    assert find(case, laboratory, settings=Settings(fix=False)) is NO_FIXES
    assert not laboratory.tried


def test_time_of_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "SESSION_FACTOR", 0)
    fixes = find(CASE, FakeLaboratory(MEAN, TESTS))
    expected = "not searched for: no time is left for further causes (setting fix_timeout)"
    assert fixes.note == expected


def test_time_of_all_explaining() -> None:
    laboratory = FakeLaboratory(MEAN, TESTS)
    fixes = find(CASE, laboratory, deadline=Deadline.after(0.5, "explain_timeout"))
    expected = "not searched for: no time is left for further causes (setting explain_timeout)"
    assert fixes.note == expected


def test_small_suite_must_pass() -> None:
    laboratory = FakeLaboratory(MEAN, {**TESTS, PASSING: "mean([1, 2, 3]) == 3"})
    assert find(CASE, laboratory).passing == ()


def test_whole_suite_confirms() -> None:
    laboratory = FakeLaboratory(MEAN, TESTS)
    slow = [FinishedTest(PASSING, "passed", 9.0), FinishedTest(FIRST, "failed", 0.01)]
    find(CASE, laboratory, tests=slow)
    assert PASSING not in laboratory.confirmed[0]
    find(CASE, laboratory, tests=slow, settings=Settings(fix_suite=True))
    assert laboratory.confirmed[-1] == [PASSING, FIRST]


def test_fix_of_an_earlier_cause() -> None:
    laboratory = FakeLaboratory(MEAN, TESTS)
    second = case_of(MEAN, [SECOND])
    session = FixSession(context_of(laboratory, [CASE, second]), laboratory)
    [first_fix, *_] = session.find(CASE).passing
    fixes = session.find(second)
    assert fixes.tried == 1
    assert fixes.passing[0].edits == first_fix.edits


LABEL = "def label(n):\n    return 'few'\n"
LABELS = {FIRST: "(label(7).split(), label(3)) == (['rather', 'many'], 'few')"}
ANSWER = "return 'few' if n < 5 else 'rather many'"


def test_model_writes_the_line() -> None:
    status = StatusLine()
    fixes = find(
        case_of(LABEL, [FIRST]),
        FakeLaboratory(LABEL, LABELS),
        client=client_of(lambda _: ANSWER),
        show_status=status.show,
    )
    [fix] = fixes.passing
    assert (fix.after, fix.model) == (f"    {ANSWER}", "tiny")
    assert fixes.tried > 1
    assert "fix asking tiny for other lines" in status.shown


@pytest.mark.parametrize("error", [StarcoderError("gone"), KeyboardInterrupt()], ids=repr)
def test_model_fails(error: BaseException) -> None:
    def fail(_: Prompt) -> str:
        raise error

    fixes = find(case_of(LABEL, [FIRST]), FakeLaboratory(LABEL, LABELS), client=client_of(fail))
    assert fixes.passing == ()
    assert fixes.tried > 0


def test_model_is_not_asked_about_setup() -> None:
    def fail(_: Prompt) -> str:
        raise AssertionError

    case = case_of(LABEL, [FIRST], phase="setup")
    assert find(case, FakeLaboratory(LABEL, LABELS), client=client_of(fail)).passing == ()


def test_useless_answer_changes_nothing() -> None:
    case, laboratory = case_of(LABEL, [FIRST]), FakeLaboratory(LABEL, LABELS)
    without_model = find(case, laboratory)
    fixes = find(case, laboratory, client=client_of(lambda _: " )]}: no"))
    assert (fixes.passing, fixes.tried) == ((), without_model.tried)


# --- a function that a model has rewritten -------------------------------------------------

LABEL_CASE = replace(
    case_of(LABEL, [FIRST]), excerpts=(Excerpt("shop.py", 1, LABEL, frozenset((1, 2))),)
)
CORRECTION = f"def label(n):\n    {ANSWER}\n"


def correct(code: str, case: Case = LABEL_CASE, **changes: Any) -> tuple[Fixes, FakeLaboratory]:
    laboratory = FakeLaboratory(LABEL, LABELS)
    values = {"client": client_of(lambda _: "")} | changes
    session = FixSession(context_of(laboratory, [case], **values), laboratory)
    return session.try_correction(case, code), laboratory


def test_correction() -> None:
    fixes, _ = correct(CORRECTION)
    [fix] = fixes.passing
    assert (fix.after, fix.model) == (f"    {ANSWER}", "tiny")
    assert fix.verdict.endswith("; written by tiny")


def test_correction_that_fails() -> None:
    fixes, _ = correct("def label(n):\n    return 'many'")
    assert (fixes.passing, fixes.tried) == ((), 1)


def test_correction_keeps_assertions() -> None:
    source = "def label(n):\n    assert n > 5\n    return 'few'\n"
    laboratory = FakeLaboratory(source, {FIRST: "label(3) == 'few'"})
    excerpt = Excerpt("shop.py", 1, source, frozenset((1, 2, 3)))
    case = replace(case_of(source, [FIRST]), excerpts=(excerpt,))
    context = context_of(laboratory, [case], client=client_of(lambda _: ""))
    fixes = FixSession(context, laboratory).try_correction(case, "def label(n):\n    return 'few'")
    assert (fixes.passing, laboratory.tried) == ((), [])


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("I do not know.", {}),
        (LABEL, {}),
        (CORRECTION.replace("'few'", f"'{REDACTED}'"), {}),
        (CORRECTION, {"client": None}),
        (CORRECTION, {"settings": Settings(fix=False)}),
        (CORRECTION, {"settings": Settings(replay=False)}),
        (CORRECTION, {"tests": [FinishedTest(FIRST, "failed", 0.01, fixable=False)]}),
        (CORRECTION, {"case": replace(LABEL_CASE, replay=Replay())}),
        (CORRECTION, {"case": replace(LABEL_CASE, breakage=Breakage(only_test=True))}),
    ],
    ids=[
        "no-code",
        "unchanged",
        "redacted",
        "no-model",
        "fix-off",
        "replay-off",
        "test-not-fixable",
        "not-run-again",
        "only-test-changed",
    ],
)
def test_correction_is_not_tried(code: str, changes: dict[str, Any]) -> None:
    fixes, laboratory = correct(code, **changes)
    assert fixes is NO_FIXES
    assert laboratory.tried == []


def test_interrupt_ends_all_searches() -> None:
    class Interrupted(FakeLaboratory):
        def open_bench(self, tests: Sequence[str], deadline: Deadline) -> Any:
            raise KeyboardInterrupt

    laboratory = Interrupted(MEAN, TESTS)
    session = FixSession(context_of(laboratory, [CASE]), laboratory)
    assert session.find(CASE).note == "interrupted"
    assert session.find(CASE) is NO_FIXES


def test_write(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(MEAN)
    (tmp_path / "t.py").write_text("")
    laboratory = FakeLaboratory(MEAN, TESTS)
    launch = Launch(tmp_path, tmp_path)
    session = FixSession(context_of(laboratory, [CASE], launch=launch), laboratory)
    session.find(CASE)
    answers = Fixes(call="mean([])", outcomes=("a", "b"), answers=("    pass\n", "    pass\n"))
    explanation = Explanation("", nodeids=(FIRST,), fixes=answers)
    assert session.write([explanation], WriteOptions(None, False, lambda *_: "1")) == []
    messages = session.write([explanation], WriteOptions("yes", True, lambda *_: "1"))
    assert messages == [
        "shop.py:2 was changed. Run the tests again; `git diff` shows the change.",
        "test_mean_1 was added to t.py. Run the tests again.",
    ]
    refused = WriteOptions("ask", False, lambda *_: "n")
    assert session.write([explanation], refused) == []
