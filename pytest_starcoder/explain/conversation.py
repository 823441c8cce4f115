"""The model's part of a session's report: one client, one reason why there is none, one count of calls."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace

from pytest_starcoder.errors import BackendTimeout, BackendUnavailable, StarcoderError
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.excerpt import Excerpt
from pytest_starcoder.explain.explanation import Explanation
from pytest_starcoder.explain.prefetch import Answers, merged
from pytest_starcoder.explain.question import explain
from pytest_starcoder.explain.section import TerminalSection
from pytest_starcoder.model.client import Client
from pytest_starcoder.settings import Settings
from pytest_starcoder.text.display import one_line

PATIENCE = 2
"""Causes in a row that may go unanswered before no more are asked about."""

SEE_ABOVE = "not asked, see above"


class Asking:
    """Asks about causes one by one, and stops asking where that has no use.

    Settings that cannot be used, a server that is away, a model that it does
    not have, a Ctrl-C and the number of causes are each told once, where the
    answer would stand; nothing that goes wrong is raised.
    """

    def __init__(self, section: TerminalSection, redact: Callable[[str], str]) -> None:
        self._section = section
        self._redact = redact
        self._client: Client | None = None
        self._why_not = ""
        self._reason = ""
        self._unanswered = 0
        self._asked = 0
        self._early = Answers({})
        self.model = ""
        self.explained = 0

    def decline(self) -> None:
        """Asks nobody, for the user has ended the run."""
        self._why_not = "not asked: the run was interrupted."

    def answered(self, early: Answers) -> None:
        """Takes what was answered while the tests ran: it is not asked again, and counts."""
        self._early = early
        self._asked = early.asked

    def begin(self, settings: Settings | StarcoderError) -> None:
        """Meets the model."""
        try:
            if isinstance(settings, StarcoderError):
                raise settings
            self._client = Client.from_settings(settings)
            with self._section.waiting("StarCoder", self._client.backend.label):
                self.model = self._client.model().name
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - what was seen is reported in any case
            self._why_not = f"no model: {_told(exc)}"

    @property
    def client(self) -> Client | None:
        """Who can be asked; None where nobody can."""
        return None if self._why_not else self._client

    @property
    def server(self) -> str:
        return self._client.backend.label if self._client and self.model else ""

    @property
    def calls(self) -> int:
        return self._early.calls + (self._client.calls if self._client else 0)

    @property
    def away(self) -> str:
        """What is to be said of a server that only memory stands in for."""
        away = self._client.outage if self._client else None
        return f" {away.message} The answers are those it gave before." if away else ""

    def explain(self, case: Case, told: Explanation, shared: Sequence[Excerpt]) -> Explanation:
        """Writes the `why` of a cause, or in one sentence why there is none; `told` with either."""
        for nodeid in told.nodeids:
            if nodeid in self._early.by_nodeid:
                return self._was_answered(merged(told, self._early.by_nodeid[nodeid]))
        if self._client is None or self._why_not:
            return self._silent(told)
        most = self._client.settings.causes
        if self._asked >= most:
            self._why_not = f"not asked: the setting causes is {most}. Ask about more with --starcoder-causes=N."
            return self._silent(told)
        self._asked += 1
        try:
            with self._section.waiting("why", self.model):
                explanation = explain(
                    case, self._client, self._section.stream, self._redact, shared
                )
                explanation = replace(explanation, fixes=told.fixes)
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - the other causes are reported in any case
            note = self._broken_off(exc)
            self._give_up(exc, self._client)
            return replace(told, note=note)
        self._unanswered = 0
        return self._told(explanation)

    def _was_answered(self, explanation: Explanation) -> Explanation:
        self._section.stream(explanation.why)
        return self._told(explanation)

    def _told(self, explanation: Explanation) -> Explanation:
        """Ends what was streamed with whose words they are."""
        self.explained += 1
        source = "a guess, remembered" if explanation.from_cache else "a guess"
        flaw = f"; it {explanation.flaw}" if explanation.flaw else ""
        self._section.end(
            f"{' …' if explanation.truncated else ''} ({explanation.model}, {source}{flaw})"
        )
        return explanation

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _silent(self, told: Explanation) -> Explanation:
        self._section.say("why", self._why_not)
        note, self._why_not = self._why_not, SEE_ABOVE
        return replace(told, note=note)

    def _broken_off(self, exc: BaseException) -> str:
        """Labels what came before `exc`, and tells its reason once."""
        reason = _told(exc)
        if self._section.end(f" … ({self.model}, a guess)"):
            note = f"broken off: {reason}"
            self._section.say("", note)
        else:
            note = "no answer, as above" if reason == self._reason else f"no answer: {reason}"
            self._section.say("why", note)
        self._reason = reason
        return note

    def _give_up(self, exc: BaseException, client: Client) -> None:
        """Without a server only memory is asked, to the end; else a server away, no time left or a Ctrl-C stays so.

        One bad answer may be followed by a good one.
        """
        self._unanswered += 1
        final = isinstance(exc, BackendUnavailable | BackendTimeout) or self._unanswered >= PATIENCE
        if isinstance(exc, KeyboardInterrupt) or (final and client.outage is None):
            self._why_not = SEE_ABOVE


def _told(exc: BaseException) -> str:
    if isinstance(exc, KeyboardInterrupt):
        return "interrupted."
    if isinstance(exc, StarcoderError):
        return str(exc)
    told = one_line(traceback.format_exception_only(exc)[-1])
    return f"{told}. Please report this as a bug of pytest-starcoder."
