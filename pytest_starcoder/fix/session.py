"""The fixes of a session: searched for cause by cause, told as they are found, kept to be applied."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.explanation import Explanation
from pytest_starcoder.explain.replay import spread
from pytest_starcoder.explain.section import Section
from pytest_starcoder.fix.proposals import proposals
from pytest_starcoder.fix.search import fix
from pytest_starcoder.model.client import Client
from pytest_starcoder.redaction.values import with_texts
from pytest_starcoder.runner.fixes import Fix, Fixes
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import FinishedTest
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.edits.edit import Edit
from pytest_starcoder.source.sources import Sources

PRIME = 5
"""Suspects of which two causes must share one to be taken for the same fault, perhaps."""

ALL = 4
"""How many times the time for one cause all of them may take together."""

OWN = 12
"""Further failing tests of the same cause with which a change that passes is run as well."""

QUICK_SUITE, SMALL_SUITE = 0.5, 150
"""Seconds that all passing tests may have taken, and their number, for changes to be tried with all of them."""


class Fixing:
    """Looks for fixes of `cases`, where the settings want that; what is told has passed `redact`."""

    def __init__(
        self,
        cases: Sequence[Case],
        launch: Launch,
        ran: Sequence[FinishedTest],
        sources: Sources,
        settings: Settings,
        section: Section,
        redact: Callable[[str], str],
        client: Client | None = None,
    ) -> None:
        self._cases = cases
        self._launch = launch
        self._ran = [test.nodeid for test in ran]
        self._unfixable = {test.nodeid for test in ran if not test.fixable}
        self._quickly = {test.nodeid for test in ran if test.quick and test.fixable}
        passed = [
            test for test in ran if test.outcome == "passed" and test.allowed and test.fixable
        ]
        self._passed = [test.nodeid for test in passed]
        # A suite that takes no time tells more than its nearest tests.
        quick = len(passed) <= SMALL_SUITE and sum(test.seconds for test in passed) <= QUICK_SUITE
        self._quick = self._passed if quick else []
        self._sources = sources
        self._settings = settings
        self._section = section
        self._redact = redact
        self._client = client
        self._until = time.monotonic() + ALL * settings.fix_timeout
        self._least = Level(settings.confinement)
        self._off = not (settings.fix and settings.replay)
        self.found: list[Fix] = []

    def fixed(self, case: Case, told: Explanation) -> tuple[Case, Explanation]:
        """Both with what was found of the case."""
        if (
            self._off
            or not case.replay.failing
            or not self._unfixable.isdisjoint(case.cause.nodeids)
        ):
            return case, told
        found = self._searched(case)
        self.found += found.found[:1]
        shown = with_texts(found, self._redact)
        self._section.fixes(shown)
        return replace(case, fix=found.found[0] if found.found else None), replace(
            told, fixes=shown
        )

    def _searched(self, case: Case) -> Fixes:
        seconds = min(self._settings.fix_timeout, self._until - time.monotonic())
        if seconds < 1:
            return Fixes(
                note="not looked for: the time for all causes is over (the setting fix_timeout)"
            )
        places = _places(case)
        more = set(case.cause.nodeids) - set(case.replay.failing_ids)
        others = spread(
            [nodeid for nodeid in case.cause.nodeids if nodeid in more & self._quickly], OWN
        )
        others += [
            nodeid
            for other in self._cases
            if other is not case and not places.isdisjoint(_places(other))
            for nodeid in other.replay.failing_ids
        ]
        deadline = Deadline.after(seconds, "fix_timeout")
        found = self._tried(case, deadline, others)
        if (
            found.found
            or self._off
            or self._client is None
            or case.cause.first.phase != "call"
            or not found.tried
        ):
            return found
        written = self._written(case, self._client, deadline, others)
        return replace(written, tried=found.tried + written.tried) if written.found else found

    def _written(
        self, case: Case, client: Client, deadline: Deadline, others: Sequence[str]
    ) -> Fixes:
        """What the model writes in the place of the suspicious lines, where that passes."""
        try:
            with self._section.waiting("fix", f"{client.model().name} for other lines"):
                edits = proposals(case, client, self._sources, self._redact)
        except StarcoderError:  # it will be told where the model is asked why
            return Fixes()
        except KeyboardInterrupt:
            self._off = True
            return Fixes()
        return self._tried(case, deadline, others, edits, client.model().name) if edits else Fixes()

    def _tried(
        self,
        case: Case,
        deadline: Deadline,
        others: Sequence[str],
        proposed: Sequence[Edit] | None = None,
        model: str = "",
    ) -> Fixes:
        with self._section.waiting("fix", "the tests which change makes them pass") as far:

            def progress(tried: int) -> None:
                far(f", {tried} tried")

            try:
                return fix(
                    case,
                    self._launch,
                    self._sources,
                    deadline,
                    self._ran,
                    self._least,
                    others=others,
                    known=self.found,
                    suite=self._passed if self._settings.fix_suite else (),
                    quick=self._quick,
                    progress=progress,
                    proposed=proposed,
                    model=model,
                )
            except KeyboardInterrupt:
                self._off = True
                return Fixes(note="interrupted")


def _places(case: Case) -> set[tuple[str, int]]:
    """The lines of which one is most likely at fault."""
    return {(suspect.path, suspect.line) for suspect in case.suspects[:PRIME]}
