"""Explaining the failures of a session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.failures import FAILURE, MemoryBackend, Screen
from support.screens import untimed

from pytest_starcoder.errors import ConfigError, StarcoderError
from pytest_starcoder.explain import explainer
from pytest_starcoder.explain.breakage import NO_BREAKAGE, Breakage
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.explainer import Explainer, FinishedSession
from pytest_starcoder.explain.explanation import Explanation, Report
from pytest_starcoder.explain.failure import Cause, Failure
from pytest_starcoder.explain.fix_interface import FixContext, WriteOptions
from pytest_starcoder.explain.fixes import NO_FIXES, Fix, Fixes
from pytest_starcoder.explain.hooks import PluginHooks
from pytest_starcoder.explain.replay import Replay
from pytest_starcoder.model.client import Client
from pytest_starcoder.plugin import StarcoderHooks
from pytest_starcoder.report.label import Label
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.conventions import Conventions
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.sources import SourceFiles

SETTINGS = Settings(replay=False, fix=False)
SECOND = replace(
    FAILURE, nodeid="tests/test_shop.py::test_pay", exception="KeyError", seen="raised KeyError"
)
FIX = Fix((), "--- a/shop.py\n+++ b/shop.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n", "shop.py", 1,
          "x = 1", "x = 2", ("tests/test_shop.py::test_mean",), (), checked=True)  # fmt: skip


class Search:
    """A search that finds `fixes` for every case."""

    def __init__(self, context: FixContext, fixes: Fixes) -> None:
        self.context = context
        self._fixes = fixes
        self.correction = NO_FIXES
        self.corrections: list[str] = []

    def find(self, case: Case) -> Fixes:
        return self._fixes

    def try_correction(self, case: Case, code: str) -> Fixes:
        self.corrections.append(code)
        return self.correction

    def write(self, explanations: Sequence[Explanation], options: WriteOptions) -> list[str]:
        return [f"{options.apply} for {len(explanations)}"] if options.apply else []


class NoChanges:
    """A search for the change that broke a test, where nothing has changed."""

    def find(self, causes: Sequence[tuple[Cause, Replay]]) -> Sequence[Breakage]:
        return [NO_BREAKAGE] * len(causes)


class Session:
    """A session in memory; `explain` and `show_prompts` write to `screen`."""

    def __init__(
        self,
        tmp_path: Path,
        failures: Sequence[Failure] = (FAILURE,),
        settings: Settings | StarcoderError = SETTINGS,
        *,
        fixes: Fixes = NO_FIXES,
        **options: Any,
    ) -> None:
        self.screen = Screen(120)
        self.backend = MemoryBackend()
        self.plugins = pytest.PytestPluginManager()
        self.plugins.add_hookspecs(StarcoderHooks)
        self.searches: list[Search] = []

        def make_search(context: FixContext) -> Search:
            self.searches.append(Search(context, fixes))
            return self.searches[-1]

        self.explainer = Explainer(
            FinishedSession(
                failures,
                [],
                settings,
                Launch(tmp_path, tmp_path),
                SourceFiles.below(tmp_path),
                History(tmp_path),
                Conventions(),
                lambda nodeids: [*nodeids],
                **options,
            ),
            self.screen.section,
            lambda heading: self.screen.writes.append(f"== {heading}\n"),
            PluginHooks(self.plugins, self.screen.writes.append),
            make_search,
            lambda context: NoChanges(),
            lambda settings: Client(self.backend, settings),
        )

    def explain(self, apply: str | None = None) -> Report:
        return self.explainer.explain(None, WriteOptions(apply, False, no_answer))


def no_answer(question: str, hint: str) -> str:
    return ""


@pytest.fixture
def session(tmp_path: Path) -> Callable[..., Session]:
    def make(*failures: Failure, **options: object) -> Session:
        return Session(tmp_path, failures or (FAILURE,), **options)  # type: ignore[arg-type]

    return make


def test_section(session: Callable[..., Session]) -> None:
    made = session()
    report = made.explain()
    assert [untimed(line) for line in made.screen.lines] == [
        "== StarCoder: 1 failure, 1 cause (tiny:1b on Memory)",
        "1/1  shop.py:11 in mean · AssertionError · tests/test_shop.py::test_mean",
        "     seen      mean([1, 2, 3]) returned 3.0, the test expects 2",
        "     at        tests/test_shop.py:2 in test_mean",
        "                   assert mean(XS) == 2",
        "               shop.py:11 in mean",
        "                   return sum(xs) / (len(xs) - 1)",
        "     why       The test fails because the divisor is 2, one too small. (tiny:1b, a guess)",
        "     rerun     pytest tests/test_shop.py::test_mean",
        "1 of 1 cause, 1 model call, N s.",
        "`why` is a guess, machine-generated by tiny:1b and unchecked; "
        "everything else was observed.",
    ]
    [explanation] = report.explanations
    assert explanation.why == "The test fails because the divisor is 2, one too small."
    assert (report.failures, report.model, report.server) == (1, "tiny:1b", "Memory")


def test_one_question_per_cause(session: Callable[..., Session]) -> None:
    repeated = replace(FAILURE, nodeid="tests/test_shop.py::test_mean_again")
    made = session(FAILURE, SECOND, repeated)
    report = made.explain()
    assert made.screen.lines[0].startswith("== StarCoder: 3 failures, 2 causes")
    assert [len(explanation.nodeids) for explanation in report.explanations] == [2, 1]
    assert len(made.backend.prompts) == 2


def test_fix_is_explained(session: Callable[..., Session]) -> None:
    made = session(fixes=Fixes((FIX,), tried=3))
    report = made.explain()
    [prompt] = made.backend.prompts
    assert "With this change the test passes:\n```diff\n-x = 1\n+x = 2\n```" in prompt.text
    [explanation] = report.explanations
    assert explanation.why == (
        "With `x = 2` instead of `x = 1` the test passes, because the divisor is 2, one too small."
    )
    assert explanation.fixes.passing == (FIX,)
    screen = " ".join(made.screen.text.split())
    assert f"fix {FIX.verdict} shop.py:1 -x = 1 +x = 2 why With `x = 2` instead" in screen


def test_only_what_was_checked(session: Callable[..., Session]) -> None:
    made = session(fixes=Fixes((FIX,), tried=3))
    made.backend.answer = (" `zap` is 17.",)
    report = made.explain()
    [explanation] = report.explanations
    assert explanation.why == "With `x = 2` instead of `x = 1` the test passes."
    [why] = [statement for statement in explanation.statements if statement.kind == "why"]
    assert (why.label, why.by) == (Label.CHECKED, "")
    assert report.notice == ""
    assert "a guess" not in made.screen.text
    assert untimed(made.screen.lines[-1]) == "1 of 1 cause, 1 model call, N s."


def test_fixes_that_behave_differently(session: Callable[..., Session]) -> None:
    made = session(fixes=Fixes((replace(FIX, checked=False),), tried=3))
    report = made.explain()
    assert report.explanations[0].note == "none shown: other fixes may be right as well"
    assert made.backend.prompts == []


@pytest.mark.parametrize("passes", [True, False])
def test_correction(
    session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch, passes: bool
) -> None:
    monkeypatch.setattr(explainer, "Replayer", FakeReplayer)
    made = session(settings=Settings(family="chat"))
    correction = Fixes((replace(FIX, model="tiny:1b"),), tried=1) if passes else Fixes(tried=1)
    answers = iter([("```python\nx = 2\n```",), (" the divisor is 2, one too small.",)])

    def answer_next() -> None:
        made.searches[0].correction = correction
        made.backend.answer = next(answers)

    made.backend.before_answer = answer_next
    [explanation] = made.explain().explanations
    assert made.searches[0].corrections == ["x = 2\n"]
    assert len(made.backend.prompts) == (2 if passes else 1)
    assert explanation.fixes.passing == correction.passing
    assert bool(explanation.why) is passes
    if passes:
        assert f"     fix       {correction.passing[0].verdict}" in made.screen.lines


# --- many causes ---------------------------------------------------------------------------


def causes(number: int) -> list[Failure]:
    """Return failures of so many causes, the first with the most tests."""
    failures = []
    for cause in range(1, number + 1):
        for test in range(number + 1 - cause):
            nodeid = f"tests/test_{cause}.py::test_{test}"
            frames = (replace(FAILURE.frames[0], path=f"tests/test_{cause}.py"),)
            failures.append(
                replace(FAILURE, nodeid=nodeid, exception=f"Error{cause}", frames=frames)
            )
    return failures


def test_more_causes_than_are_shown(session: Callable[..., Session]) -> None:
    made = session(*causes(12), fixes=Fixes((FIX,), tried=2))
    report = made.explain()
    heading = "== StarCoder: 78 failures, 12 causes, the first 10 in full (tiny:1b on Memory)"
    lines = made.screen.lines
    assert lines[0] == heading
    start = lines.index("2 other causes (-v shows all in full):")
    assert lines[start + 1 : start + 3] == [
        "11/12 Error11 · tests/test_11.py:2 in test_mean · 2 tests",
        "12/12 Error12 · tests/test_12.py:2 in test_mean · 1 test",
    ]
    assert sum(line.startswith("     seen") for line in lines) == 10
    assert len(made.backend.prompts) == 10
    assert [len(each.fixes.passing) for each in report.explanations] == [1] * 10 + [0] * 2
    reason = "not asked: only the first 10 causes are explained in full (-v: all)"
    assert [each.note for each in report.explanations[10:]] == [reason] * 2
    assert report.explanations[11].seen == FAILURE.seen


def test_fixes_for_a_report_file(session: Callable[..., Session]) -> None:
    made = session(*causes(11), fixes=Fixes((FIX,), tried=2), fixes_all=True)
    report = made.explain()
    assert all(each.fixes.passing for each in report.explanations)
    assert made.screen.lines.count(f"     fix       {FIX.verdict}") == 10


def test_all_causes_in_full(session: Callable[..., Session]) -> None:
    made = session(*causes(11), shows_all=True)
    made.explain()
    assert made.screen.lines[0] == "== StarCoder: 66 failures, 11 causes (tiny:1b on Memory)"
    assert len(made.backend.prompts) == 11


def test_no_time_left(session: Callable[..., Session]) -> None:
    made = session(*causes(3), settings=replace(SETTINGS, explain_timeout=0.0))
    report = made.explain()
    lines = made.screen.lines
    start = lines.index("explain_timeout has expired; 2 other causes:")
    assert lines[start - 3 : start + 3] == [
        "     why       not asked: no time was left (setting explain_timeout)",
        "     tests     tests/test_1.py::test_0, tests/test_1.py::test_1, tests/test_1.py::test_2",
        "     rerun     pytest tests/test_1.py::test_0",
        "explain_timeout has expired; 2 other causes:",
        "2/3  Error2 · tests/test_2.py:2 in test_mean · 2 tests",
        "3/3  Error3 · tests/test_3.py:2 in test_mean · 1 test",
    ]
    assert made.backend.prompts == []
    reason = "not asked: no time was left (setting explain_timeout)"
    assert [each.note for each in report.explanations] == [reason] * 3


def test_other_limits_end_with_the_time(session: Callable[..., Session]) -> None:
    made = session(settings=replace(SETTINGS, explain_timeout=30.0))
    made.explain()
    [search] = made.searches
    deadline = search.context.deadline
    assert deadline.setting == "explain_timeout"
    assert deadline.within(60, "fix_timeout") is deadline
    assert deadline.within(1, "fix_timeout").setting == "fix_timeout"


def test_only_prompts_of_many_causes(session: Callable[..., Session]) -> None:
    made = session(*causes(11))
    report = made.explainer.show_prompts()
    assert len(report.explanations) == 11
    assert "1 other cause (-v shows all in full):" in made.screen.lines
    assert not any(line.startswith("----- prompt 11") for line in made.screen.lines)


def test_only_breakages_of_many_causes(session: Callable[..., Session]) -> None:
    made = session(*causes(11))
    assert len(made.explainer.show_breakages().explanations) == 11
    assert "11/11 Error11 · tests/test_11.py:2 in test_mean · 1 test" in made.screen.lines


def test_messages_about_written_fixes(session: Callable[..., Session]) -> None:
    made = session()
    made.explain(apply="yes")
    assert made.screen.lines[-1] == "yes for 1"


def test_hooks(session: Callable[..., Session]) -> None:
    class Plugin:
        def __init__(self) -> None:
            self.explanations: list[Explanation] = []

        def pytest_starcoder_redact(self, text: str) -> str:
            return text.replace("mean", "m**n")

        def pytest_starcoder_explained(self, explanation: Explanation) -> None:
            self.explanations.append(explanation)

    plugin = Plugin()
    made = session()
    made.plugins.register(plugin)
    report = made.explain()
    assert list(report.explanations) == plugin.explanations
    assert "mean" not in made.backend.prompts[0].text
    assert "mean" not in repr(report)


def test_bad_settings(session: Callable[..., Session]) -> None:
    made = session(FAILURE, SECOND, settings=ConfigError("No such setting."))
    made.explainer._settings = SETTINGS  # no test is run again
    report = made.explain()
    notes = [explanation.note for explanation in report.explanations]
    assert notes == ["no model: No such setting.", "not asked, see above"]
    assert made.screen.lines[-1].startswith("     rerun ")


def test_interrupted(session: Callable[..., Session]) -> None:
    made = session(settings=Settings(), interrupted=True)
    report = made.explain()
    assert report.explanations[0].note == "not asked: the run was interrupted."
    assert made.backend.prompts == []
    settings = made.searches[0].context.settings
    assert (settings.replay, settings.fix) == (False, False)


def test_show_prompts(session: Callable[..., Session]) -> None:
    made = session(FAILURE, SECOND)
    report = made.explainer.show_prompts()
    assert made.backend.prompts == []
    assert {explanation.note for explanation in report.explanations} == {
        "not asked: --starcoder-show-prompt"
    }
    rulers = [line.split(" -")[0] for line in made.screen.lines if line.startswith("-----")]
    assert rulers == [
        "----- prompt 1 of 2",
        "----- end",
        "----- prompt 2 of 2",
        "----- end",
    ]
    sent = session(FAILURE, SECOND)
    sent.explain()
    assert [prompt.text in made.screen.text for prompt in sent.backend.prompts] == [True, True]


class FakeReplayer:
    """Runs nothing; every test failed again."""

    def __init__(self, *_: object, max_unshortened: int) -> None: ...

    def replay(self, grouped: Sequence[object], sources: object) -> list[Replay]:
        outcome = Outcome(FAILURE.nodeid, "failed")
        tests = frozenset({outcome.nodeid})
        return [Replay((outcome,), statements=(STATEMENT,), tests=tests) for _ in grouped]


class InterruptedReplayer(FakeReplayer):
    def replay(self, grouped: Sequence[object], sources: object) -> list[Replay]:
        raise KeyboardInterrupt


STATEMENT = "failed again when rerun"


def test_replay(session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explainer, "Replayer", FakeReplayer)
    made = session(settings=Settings(backend="none"))
    made.explain()
    assert f"     checked   {STATEMENT}" in made.screen.lines
    remarks = " ".join(made.screen.text.split())
    assert untimed(remarks).count("1 model call, N s. Ran 1 test again.") == 1
    assert remarks.endswith(
        "; `checked` was verified by running tests again; everything else was observed."
    )


def test_ctrl_c_in_replay(session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explainer, "Replayer", InterruptedReplayer)
    assert session(settings=Settings()).explain().explanations[0].why
