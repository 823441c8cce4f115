"""The search for fixes in a session, one cause after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.case_text import code_to_show
from pytest_starcoder.explain.explanation import Explanation
from pytest_starcoder.explain.fix_interface import FixContext, WriteOptions
from pytest_starcoder.explain.fixes import NO_FIXES, Fix, Fixes
from pytest_starcoder.explain.line_features import Line
from pytest_starcoder.explain.neighbours import spread
from pytest_starcoder.explain.question import can_correct
from pytest_starcoder.fix.apply import add_answer, apply, confirm
from pytest_starcoder.fix.corrections import correction_edits
from pytest_starcoder.fix.edit_sites import PlaceFinder
from pytest_starcoder.fix.laboratory import Laboratory, PytestLaboratory
from pytest_starcoder.fix.proposals import proposals
from pytest_starcoder.fix.search import EditSearch, Query, Suite
from pytest_starcoder.model.client import Client
from pytest_starcoder.redaction.redactor import REDACTED
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.text.node_ids import file_of

MAX_COMPARED_SUSPECTS = 5
"""Suspects per cause; causes that share one of them may have the same fault."""

SESSION_FACTOR = 4
"""Limit for all causes together, as a multiple of the limit for one."""

MIN_SECONDS = 1.0
"""Minimum number of seconds for which a search is worth starting."""

MAX_MORE_FAILING = 12
"""Further failing tests of a cause to run with a change that passes."""

SMALL_SUITE_SECONDS, SMALL_SUITE_TESTS = 0.5, 150
"""Limits of a suite whose passing tests are all run with every promising change."""


class FixSession:
    """Searches for fixes of the cases of one session, if the settings allow it."""

    def __init__(self, context: FixContext, laboratory: Laboratory | None = None) -> None:
        self._context = context
        self._laboratory = laboratory or PytestLaboratory(
            context.launch, Level(context.settings.confinement)
        )
        self._settings = context.settings
        self._unfixable = set()
        self._quick = set()
        for test in context.tests:
            if not test.fixable:
                self._unfixable.add(test.nodeid)
            elif test.quick:
                self._quick.add(test.nodeid)
        self._suite = _suite_of(context)
        self._finder = PlaceFinder(
            context.sources, context.conventions, _executed_files(context.cases)
        )
        seconds = SESSION_FACTOR * self._settings.fix_timeout
        self._end = context.deadline.within(seconds, "fix_timeout")
        self._stopped = not (self._settings.fix and self._settings.replay)
        self._best: list[Fix] = []

    def find(self, case: Case) -> Fixes:
        """Search for fixes of a case, by enumeration and then by asking the model."""
        if not self._can_try(case):
            reason = self._reason_not_to_search(case)
            return Fixes(note=f"not searched for: {reason}") if reason else NO_FIXES
        fixes = self._search(case)
        self._best += fixes.passing[:1]
        return fixes

    def try_correction(self, case: Case, code: str) -> Fixes:
        """Return the fixes of a case after trying the functions in `code`, written by a model."""
        client = self._context.client
        if client is None or not self._can_try(case) or REDACTED in code:
            return NO_FIXES
        edits = correction_edits(code, code_to_show(case), self._context.sources)
        if not edits:
            return NO_FIXES
        deadline = self._context.deadline.within(self._settings.fix_timeout, "fix_timeout")
        more_tests = self._more_failing_tests(case)
        fixes = self._try_edits(case, deadline, more_tests, edits, client.model().name)
        self._best += fixes.passing[:1]
        return fixes

    def write(self, explanations: Sequence[Explanation], options: WriteOptions) -> list[str]:
        """Write the best fix of each case, and answers as tests; return messages."""
        root = self._context.launch.root
        messages = []
        if options.apply is not None and self._best:

            def accept(fix: Fix) -> bool:
                return options.apply == "yes" or confirm(fix, options.ask)

            messages += apply(self._best, root, self._context.sources, accept)
        if options.add_tests:
            for explanation in explanations:
                if explanation.fixes.answers:
                    path = file_of(explanation.nodeids[0])
                    messages.append(add_answer(explanation.fixes, root, path, options.ask))
        return list(filter(None, messages))

    def _can_try(self, case: Case) -> bool:
        """Return whether the tests of a case may run with changes."""
        if self._stopped or not case.replay.failing or self._reason_not_to_search(case):
            return False
        return self._unfixable.isdisjoint(case.cause.nodeids)

    def _reason_not_to_search(self, case: Case) -> str:
        """Return why no change is tried; empty if one may help, or if the user wants no search."""
        if self._stopped or not self._unfixable.isdisjoint(case.cause.nodeids):
            return ""  # the user has switched the search off, here or for all
        if case.unsearched:
            return case.unsearched
        if case.breakage.only_test:
            return "the code is as it was when the test passed"
        if case.cause.first.phase == "collect":
            return "the file could not be collected"
        if len(case.replay.order) > 1:
            return "the test fails only after other tests"
        return ""

    def _search(self, case: Case) -> Fixes:
        deadline = self._end.within(self._settings.fix_timeout, "fix_timeout")
        if deadline.remaining() < MIN_SECONDS:
            no_time = f"no time is left for further causes (setting {deadline.setting})"
            return Fixes(note=f"not searched for: {no_time}")
        more_tests = self._more_failing_tests(case)
        fixes = self._try_edits(case, deadline, more_tests)
        client = self._context.client
        if fixes.passing or self._stopped or client is None:
            return fixes
        if case.cause.first.phase != "call" or not fixes.tried or can_correct(client):
            return fixes  # a model that can correct a function is asked for that, later
        proposed = self._try_proposals(case, client, deadline, more_tests)
        if not proposed.passing:
            return fixes
        return replace(proposed, tried=fixes.tried + proposed.tried)

    def _more_failing_tests(self, case: Case) -> list[str]:
        """Return failing tests that a fix should make pass besides those that were run again."""
        candidates = self._quick.difference(case.replay.failing_ids)
        same_cause = [nodeid for nodeid in case.cause.nodeids if nodeid in candidates]
        more = spread(same_cause, MAX_MORE_FAILING)
        suspects = _first_suspects(case)
        for another in self._context.cases:
            if another is not case and suspects & _first_suspects(another):
                more += another.replay.failing_ids
        return more

    def _try_proposals(
        self, case: Case, client: Client, deadline: Deadline, more_tests: Sequence[str]
    ) -> Fixes:
        """Try what the model writes in place of the suspicious lines."""
        context = self._context
        places = self._finder.places(case)
        model = client.model().name
        try:
            with context.show_status("fix", f"asking {model} for other lines"):
                edits = proposals(places, client, context.sources, context.redact)
        except StarcoderError:
            # Reported later, when the model is asked to explain the failure.
            return NO_FIXES
        except KeyboardInterrupt:
            self._stopped = True
            return NO_FIXES
        if not edits:
            return NO_FIXES
        return self._try_edits(case, deadline, more_tests, edits, model)

    def _try_edits(
        self,
        case: Case,
        deadline: Deadline,
        more_tests: Sequence[str],
        proposed: Sequence[Edit] | None = None,
        model: str = "",
    ) -> Fixes:
        query = Query(
            case, self._finder.places(case), more_tests, tuple(self._best), proposed, model
        )
        with self._context.show_status("fix", "trying changes") as show_progress:
            search = EditSearch(
                self._laboratory,
                self._context.sources,
                self._suite,
                lambda tried: show_progress(f", {tried} tried"),
            )
            try:
                return search.find(query, deadline)
            except KeyboardInterrupt:
                self._stopped = True
                return Fixes(note="interrupted")


def _suite_of(context: FixContext) -> Suite:
    """Return the tests that fixes must not break."""
    passed_ids = []
    seconds = 0.0
    for test in context.tests:
        if test.outcome == "passed" and test.allowed and test.fixable:
            passed_ids.append(test.nodeid)
            seconds += test.seconds
    # A suite that runs in no time says more about a change than the nearest tests alone.
    is_small = len(passed_ids) <= SMALL_SUITE_TESTS and seconds <= SMALL_SUITE_SECONDS
    return Suite(
        order=[test.nodeid for test in context.tests],
        fast=passed_ids if is_small else (),
        confirming=passed_ids if context.settings.fix_suite else (),
    )


def _executed_files(cases: Sequence[Case]) -> Iterator[str]:
    """Yield the files that the first failing test of each case runs or imports."""
    for case in cases:
        for outcome in case.replay.failing[:1]:
            yield from (*outcome.lines, *outcome.imported)


def _first_suspects(case: Case) -> set[Line]:
    """Return the lines that are most likely at fault."""
    suspects = case.suspects[:MAX_COMPARED_SUSPECTS]
    return {(suspect.path, suspect.line) for suspect in suspects}
