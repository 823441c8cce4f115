"""Explains the failures of a session in its terminal."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.explain.breakage import Breakage
from pytest_starcoder.explain.case import Case, build_cases
from pytest_starcoder.explain.causes import group_failures
from pytest_starcoder.explain.environment import Environment
from pytest_starcoder.explain.explanation import (
    Answer,
    Explanation,
    Report,
    complete,
    describe_case,
)
from pytest_starcoder.explain.failure import Cause, Failure
from pytest_starcoder.explain.fix_interface import (
    FixContext,
    FixSearch,
    MakeFixSearch,
    WriteOptions,
)
from pytest_starcoder.explain.fixes import Fixes
from pytest_starcoder.explain.hooks import PluginHooks
from pytest_starcoder.explain.model_questions import INTERRUPTED, NO_TIME, ModelQuestions
from pytest_starcoder.explain.prefetch import Prefetch, PrefetchedAnswers
from pytest_starcoder.explain.question import preview_prompt
from pytest_starcoder.explain.replay import Replay, Replayer, add_warnings, count_tests
from pytest_starcoder.explain.terminal_section import TerminalSection
from pytest_starcoder.explain.undo_interface import MakeUndoSearch, UndoContext
from pytest_starcoder.model.client import Client
from pytest_starcoder.redaction.nested_values import with_texts
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import FinishedTest
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.conventions import Conventions
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.text.display import counted
from pytest_starcoder.text.node_ids import without_group

MAX_IN_FULL = 10
"""Maximum number of causes that are shown in full; the others take a line each."""

ONLY_LISTED = f"not asked: only the first {MAX_IN_FULL} causes are explained in full (-v: all)"

SHOW_PROMPT = "not asked: --starcoder-show-prompt"
CAN_FORK = hasattr(os, "fork")

MAX_UNSHORTENED = 60
"""Maximum number of earlier tests that are left to the search for what broke a test."""

ONLY_BROKE = "not asked: --starcoder-broke"


@dataclass(frozen=True)
class FinishedSession:
    """A session whose tests have run.

    `settings` is the error if they could not be read. `rerun_arguments` returns the arguments
    with which pytest runs some tests again. `started` is when the tests began, in seconds since
    the epoch. `since` is the commit that the user named to compare with, and `passed` are those
    at which tests have passed before, by node id. `wants_breakages`: an option asks for the
    changes that broke the tests. `shows_all`: all causes are shown in full. `fixes_all`: fixes
    are searched for all causes, because they are written to files.
    """

    failures: Sequence[Failure]
    tests: Sequence[FinishedTest]
    settings: Settings | StarcoderError
    launch: Launch
    sources: SourceFiles
    history: History
    conventions: Conventions
    rerun_arguments: Callable[[Sequence[str]], list[str]]
    interrupted: bool = False
    since: str = ""
    wants_breakages: bool = False
    started: float = math.inf
    passed: Mapping[str, str] = field(default_factory=dict)
    shows_all: bool = False
    fixes_all: bool = False


class Explainer:
    """Explains the failures of one session; the explanations are written to `section`."""

    def __init__(
        self,
        session: FinishedSession,
        section: TerminalSection,
        write_heading: Callable[[str], None],
        hooks: PluginHooks,
        make_fix_search: MakeFixSearch,
        make_undo_search: MakeUndoSearch,
        make_client: Callable[[Settings], Client] = Client.from_settings,
    ) -> None:
        self._session = session
        self._section = section
        self._write_heading = write_heading
        self._hooks = hooks
        self._make_fix_search = make_fix_search
        self._make_undo_search = make_undo_search
        self._make_client = make_client
        settings = session.settings
        self._settings = settings if isinstance(settings, Settings) else Settings()
        self._deadline = Deadline.after(self._settings.explain_timeout, "explain_timeout")
        # After a Ctrl-C the user wants the prompt back: nothing is run again.
        if session.interrupted:
            self._settings = replace(self._settings, replay=False, undo=False, fix=False)

    def explain(self, prefetch: Prefetch | None, writing: WriteOptions) -> Report:
        """Explain all causes, and write fixes and tests as far as `writing` allows."""
        start = time.monotonic()
        all_cases = self._gather_evidence()
        interrupted = self._session.interrupted
        conversation = ModelQuestions(
            self._section,
            self._hooks.redact,
            self._collect_answers(prefetch),
            INTERRUPTED if interrupted else "",
            self._make_client,
        )
        with contextlib.closing(conversation):
            if not interrupted:
                conversation.connect(self._session.settings, self._deadline)
            self._show_heading(all_cases, conversation.place)
            # The same client, so that all questions share one time limit.
            search = self._search_fixes(all_cases, conversation.client)
            explanations = self._ask_about(all_cases, search, conversation)
            report = Report(
                tuple(explanations),
                len(self._session.failures),
                conversation.model,
                conversation.server,
                conversation.calls,
                count_tests(case.replay for case in all_cases),
                time.monotonic() - start,
            )
            for remark in _closing_remarks(report, conversation.answered, conversation.outage):
                self._section.remark(remark)
        # After the report, because files may change and the user may be asked.
        for message in search.write(explanations, writing):
            self._section.remark(message)
        return report

    def _ask_about(
        self, all_cases: Sequence[Case], search: FixSearch, conversation: ModelQuestions
    ) -> list[Explanation]:
        explanations: list[Explanation] = []
        for evidence, case in self._explain_each(all_cases, search):
            answer, fixes = conversation.ask(case, partial(search.try_correction, case))
            explanation = complete(evidence, answer)
            if fixes is not None:
                explanation = replace(explanation, fixes=with_texts(fixes, self._hooks.redact))
            self._add(explanations, explanation)
        self._list_rest(all_cases, explanations, search.find)
        return explanations

    def show_prompts(self) -> Report:
        """Write the prompts instead of asking a model."""
        all_cases = self._gather_evidence()
        self._show_heading(all_cases)
        search = self._search_fixes(all_cases, client=None)
        explanations: list[Explanation] = []
        for evidence, case in self._explain_each(all_cases, search):
            prompt = preview_prompt(case, self._settings, self._hooks.redact)
            size = f"{len(prompt.text)} characters would be sent:"
            self._section.say("why", f"{SHOW_PROMPT}. {size}")
            number = len(explanations) + 1
            self._section.show_text(f"prompt {number} of {len(all_cases)}", prompt.text)
            explanation = complete(evidence, Answer(note=SHOW_PROMPT))
            self._show_tests(explanation)
            explanations.append(explanation)
        self._list_rest(all_cases, explanations, search.find)
        rerun = count_tests(case.replay for case in all_cases)
        return Report(tuple(explanations), len(self._session.failures), rerun=rerun)

    def show_breakages(self) -> Report:
        """Show what is known without a model and without fixes: what broke the tests, mostly."""
        start = time.monotonic()
        all_cases = self._gather_evidence()
        self._show_heading(all_cases)
        explanations: list[Explanation] = []
        for number, case in self._in_full(all_cases):
            evidence = describe_case(case, self._hooks.redact)
            self._section.show_evidence(number, len(all_cases), evidence)
            self._add(explanations, complete(evidence, Answer(note=ONLY_BROKE)))
        self._list_rest(all_cases, explanations)
        report = Report(
            tuple(explanations),
            len(self._session.failures),
            rerun=count_tests(case.replay for case in all_cases),
            seconds=time.monotonic() - start,
        )
        for remark in _closing_remarks(report, 0, ""):
            self._section.remark(remark)
        return report

    def _gather_evidence(self) -> list[Case]:
        """Group the failures by cause, and run their tests again."""
        session = self._session
        grouped = group_failures(session.failures)
        replays = self._replay(grouped)
        # Secrets that only the child has seen must not reach a report, either.
        for rerun in replays:
            for outcome in (*rerun.failing, *rerun.passing):
                self._hooks.redactor.add(outcome.secrets)
        cases = build_cases(
            grouped,
            replays,
            session.sources,
            session.history,
            session.conventions.files,
            self._deadline.within(self._settings.replay_timeout, "replay_timeout"),
            self._undo_changes(grouped, replays),
        )
        environment = Environment(
            session.launch,
            session.sources,
            session.conventions,
            session.history,
            session.started,
        )
        return [environment.judge(case) for case in cases]

    def _undo_changes(
        self, causes: Sequence[Cause], replays: Sequence[Replay]
    ) -> Sequence[Breakage]:
        """Find the changes that broke the tests, by running tests without them."""
        session = self._session
        context = UndoContext(
            tests=session.tests,
            launch=session.launch,
            conventions=session.conventions,
            settings=self._settings,
            show_status=self._section.status,
            since=session.since,
            is_wanted=session.wants_breakages,
            started=session.started,
            passed=session.passed,
            deadline=self._deadline,
        )
        search = self._make_undo_search(context)
        return search.find(list(zip(causes, replays, strict=True)))

    def _replay(self, grouped: Sequence[Cause]) -> list[Replay]:
        """Run failing tests again; a Ctrl-C ends that, and the explanations follow."""
        replays = [Replay() for _ in grouped]
        if not self._settings.replay:
            return replays
        session = self._session
        warnings: dict[str, None] = {}
        deadline = self._deadline.within(self._settings.replay_timeout, "replay_timeout")
        with (
            contextlib.suppress(KeyboardInterrupt),
            self._section.status("StarCoder", "running failing tests again"),
        ):
            replayer = Replayer(
                session.tests,
                session.launch,
                deadline,
                warnings.setdefault,
                # Where changes are undone, each trial takes a fork instead of a new pytest.
                max_unshortened=MAX_UNSHORTENED if self._settings.undo and CAN_FORK else 1,
            )
            replays = replayer.replay(grouped, session.sources)
        return add_warnings(replays, warnings) if warnings else replays

    def _collect_answers(self, prefetch: Prefetch | None) -> PrefetchedAnswers:
        """Return the answers to questions that were asked while tests ran."""
        if prefetch is None or self._session.interrupted:
            return PrefetchedAnswers()
        deadline = self._deadline.within(self._settings.session_timeout, "session_timeout")
        with self._section.status("StarCoder", "waiting for the rest of the answers"):
            return prefetch.answers(deadline)

    def _search_fixes(self, all_cases: Sequence[Case], client: Client | None) -> FixSearch:
        context = FixContext(
            cases=all_cases,
            tests=self._session.tests,
            launch=self._session.launch,
            sources=self._session.sources,
            conventions=self._session.conventions,
            settings=self._settings,
            client=client,
            redact=self._hooks.redact,
            show_status=self._section.status,
            deadline=self._deadline,
        )
        return self._make_fix_search(context)

    def _explain_each(
        self, all_cases: Sequence[Case], search: FixSearch
    ) -> Iterator[tuple[Explanation, Case]]:
        """Yield each explanation to show in full, without an answer, and the case with its fix."""
        redact = self._hooks.redact
        for number, case in self._in_full(all_cases):
            explanation = describe_case(case, redact)
            self._section.show_evidence(number, len(all_cases), explanation)
            # Evidence is shown first: a search can take seconds.
            fixes = search.find(case)
            # Only the texts for people are redacted: a redacted fix could not be applied.
            redacted = with_texts(fixes, redact)
            self._section.show_fixes(redacted)
            fixed = case
            if fixes.passing:
                fixed = case.with_fix(fixes.passing[0], self._session.sources)
            yield replace(explanation, fixes=redacted), fixed

    def _in_full(self, all_cases: Sequence[Case]) -> Iterator[tuple[int, Case]]:
        """Yield the causes to show in full with their numbers, as long as there is time."""
        for number, case in enumerate(all_cases[: self._max_in_full(all_cases)], 1):
            if number > 1 and self._deadline.is_over:
                return
            yield number, case

    def _max_in_full(self, all_cases: Sequence[Case]) -> int:
        return len(all_cases) if self._session.shows_all else MAX_IN_FULL

    def _list_rest(
        self,
        all_cases: Sequence[Case],
        explanations: list[Explanation],
        find_fixes: Callable[[Case], Fixes] | None = None,
    ) -> None:
        """Show the causes that are not in `explanations` on a line each, and add them."""
        rest = all_cases[len(explanations) :]
        if not rest:
            return
        is_late = len(explanations) < min(len(all_cases), self._max_in_full(all_cases))
        others = counted(len(rest), "other cause")
        if is_late:
            self._section.remark(f"explain_timeout has expired; {others}:")
        else:
            self._section.remark(f"{others} (-v shows all in full):")
        for number, case in enumerate(rest, len(explanations) + 1):
            evidence = describe_case(case, self._hooks.redact)
            self._section.show_line(number, len(all_cases), evidence)
            if find_fixes and self._session.fixes_all and not self._deadline.is_over:
                fixes = with_texts(find_fixes(case), self._hooks.redact)
                evidence = replace(evidence, fixes=fixes)
            explanation = complete(evidence, Answer(note=NO_TIME if is_late else ONLY_LISTED))
            self._hooks.report_explanation(explanation)
            explanations.append(explanation)

    def _add(self, explanations: list[Explanation], explanation: Explanation) -> None:
        """Show the tests of an explanation, pass it to the plugins, and add it."""
        self._show_tests(explanation)
        self._hooks.report_explanation(explanation)
        explanations.append(explanation)

    def _show_heading(self, all_cases: Sequence[Case], place: str = "") -> None:
        failures = counted(len(self._session.failures), "failure")
        causes = counted(len(all_cases), "cause")
        heading = f"StarCoder: {failures}, {causes}"
        in_full = self._max_in_full(all_cases)
        if len(all_cases) > in_full:
            heading += f", the first {in_full} in full"
        if place:
            heading += f" ({place})"
        self._write_heading(heading)

    def _show_tests(self, explanation: Explanation) -> None:
        self._section.show_tests(explanation.nodeids)
        tests = [without_group(nodeid) for nodeid in explanation.tests_to_rerun]
        self._section.show_command(self._session.rerun_arguments(tests))


def _closing_remarks(report: Report, answered: int, outage: str) -> list[str]:
    """Return sentences on how much was explained, its cost, and how reliable it is."""
    seconds = f"{report.seconds:.1f} s."
    rerun = checked = ""
    if report.rerun:
        rerun = f"Ran {counted(report.rerun, 'test')} again."
        checked = "`checked` was verified by running tests again; "
    remarks = []
    if answered:
        total = counted(len(report.explanations), "cause")
        summary = f"{answered} of {total}, {counted(report.calls, 'model call')}, {seconds}"
        remarks.append(" ".join(filter(None, [summary, rerun, outage])))
        guess = ""
        if report.notice:
            guess = f"`why` is a guess, machine-generated by {report.model} and unchecked; "
        if guess or checked:
            remarks.append(f"{guess}{checked}everything else was observed.")
    elif rerun:
        remarks += [f"{seconds} {rerun}", f"{checked}everything else was observed."]
    if report.confinement:
        remarks.append(report.confinement)
    return remarks
