"""The questions of one session to a model."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace

from pytest_starcoder.deadline import NO_DEADLINE, Deadline
from pytest_starcoder.errors import BackendTimeout, BackendUnavailable, StarcoderError
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.checked_change import checked_change
from pytest_starcoder.explain.explanation import Answer
from pytest_starcoder.explain.fixes import Fixes
from pytest_starcoder.explain.prefetch import PrefetchedAnswers
from pytest_starcoder.explain.question import (
    NOTHING_SEEN,
    ask_for_correction,
    ask_why,
    can_correct,
    can_try_correction,
)
from pytest_starcoder.explain.terminal_section import TerminalSection
from pytest_starcoder.model.client import Client
from pytest_starcoder.redaction.nested_values import with_texts
from pytest_starcoder.settings import Settings
from pytest_starcoder.text.display import one_line

TryCorrection = Callable[[str], Fixes]
"""Runs the tests of a cause with functions that a model has rewritten."""

MAX_UNANSWERED = 2
"""Number of causes in a row without an answer after which no more are asked about."""

INTERRUPTED = "not asked: the run was interrupted."
NO_TIME = "not asked: no time was left (setting explain_timeout)"
SEE_ABOVE = "not asked, see above"


class ModelQuestions:
    """Asks about causes one by one, and stops when further questions would be useless.

    Nothing is raised: a reason not to ask is written once, in place of the answer.
    `refusal` is such a reason that applies from the start.
    """

    def __init__(
        self,
        section: TerminalSection,
        redact: Callable[[str], str],
        prefetched: PrefetchedAnswers,
        refusal: str = "",
        make_client: Callable[[Settings], Client] = Client.from_settings,
    ) -> None:
        self._section = section
        self._redact = redact
        self._prefetched = prefetched
        self._refusal = refusal
        self._make_client = make_client
        self._client: Client | None = None
        self._deadline = NO_DEADLINE
        self._last_error = ""
        self._unanswered = 0
        self._questions = prefetched.questions
        self.model = ""
        self.answered = 0
        """Number of causes with an answer."""

    def connect(
        self, settings: Settings | StarcoderError, deadline: Deadline = NO_DEADLINE
    ) -> None:
        """Connect to the model, which may be asked until `deadline`.

        `settings` is the error itself if they could not be read.
        """
        try:
            if isinstance(settings, StarcoderError):
                raise settings
            self._client = self._make_client(settings)
            self._client.end_by(deadline)
            self._deadline = deadline
            server = self._client.backend.label
            with self._section.status("StarCoder", f"asking {server}"):
                self.model = self._client.model().name
        # Whatever happens, the observations are reported.
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001
            self._refusal = f"no model: {_describe_error(exc)}"

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    @property
    def client(self) -> Client | None:
        """The client of the model, if it can be asked."""
        return None if self._refusal else self._client

    @property
    def server(self) -> str:
        """The server of the model, empty if there is no model."""
        if self._client is None or not self.model:
            return ""
        return self._client.backend.label

    @property
    def place(self) -> str:
        """The model, its server and why they were chosen, for the heading; empty without one."""
        if self._client is None or not self.model:
            return ""
        place = f"{self.model} on {self.server}"
        if self._client.fallback:
            place += f"; {self._client.fallback.rstrip('.')}"
        return place

    @property
    def calls(self) -> int:
        """Number of requests to the model."""
        if self._client is None:
            return self._prefetched.calls
        return self._prefetched.calls + self._client.calls

    @property
    def outage(self) -> str:
        """A sentence if the server is away and only cached answers can be given."""
        if self._client is None or self._client.outage is None:
            return ""
        return f"{self._client.outage.message} The answers are those it gave before."

    def ask(self, case: Case, try_correction: TryCorrection) -> tuple[Answer, Fixes | None]:
        """Ask why a cause fails, and write the answer.

        Where nothing is checked, the model may suggest a correction instead: then the fixes are
        what trying it has shown.
        """
        prefetched = self._prefetched_answer(case)
        if prefetched is not None:
            if prefetched.flaw != NOTHING_SEEN:
                self._section.stream(prefetched.why)
            return self._end_answer(prefetched), None
        client = self._client
        if client is None or self._refusal or not self._may_ask(client):
            return self._refuse(), None
        if _has_rival_fixes(case):
            return self._withhold("other fixes may be right as well"), None
        self._questions += 1
        fixes: Fixes | None = None
        try:
            if _needs_correction(case, client):
                tried = self._ask_for_correction(case, client, try_correction)
                if not tried.passing:
                    return self._withhold(self._failure_of_correction(tried)), None
                fixes = tried
                case = replace(case, fix=fixes.passing[0])
            return self._ask_why(case, client), fixes
        # Whatever happens, the other causes are reported.
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001
            answer = self._report_error(exc, case)
            self._consider_stopping(exc, client)
            return answer, fixes

    def _may_ask(self, client: Client) -> bool:
        """Return whether time and the limit of causes allow another question."""
        if self._deadline.is_over:
            self._refusal = NO_TIME
            return False
        limit = client.settings.causes
        if self._questions < limit:
            return True
        self._refusal = (
            f"not asked: the setting causes is {limit}. Ask about more with --starcoder-causes=N."
        )
        return False

    def _prefetched_answer(self, case: Case) -> Answer | None:
        """Return the answer from while the tests ran; it knows nothing that was checked since."""
        if case.fix is not None or checked_change(case) is not None:
            return None
        # The child asked about the first failure it saw, which may not be the first here.
        for nodeid in case.cause.nodeids:
            if nodeid in self._prefetched.by_nodeid:
                return self._prefetched.by_nodeid[nodeid]
        return None

    def _ask_why(self, case: Case, client: Client) -> Answer:
        with self._section.status("why", f"asking {self.model}"):
            answer = ask_why(case, client, self._section.stream, self._redact)
        self._unanswered = 0
        return self._end_answer(answer)

    def _ask_for_correction(
        self, case: Case, client: Client, try_correction: TryCorrection
    ) -> Fixes:
        """Try what the model suggests, and write it if the tests pass with it."""
        with self._section.status("why", f"asking {self.model}"):
            correction = ask_for_correction(case, client, self._redact)
        self._unanswered = 0
        fixes = try_correction(correction)
        if fixes.passing:
            self._section.show_fixes(with_texts(fixes, self._redact))
        return fixes

    def _failure_of_correction(self, fixes: Fixes) -> str:
        if fixes.note:
            return fixes.note
        if not fixes.tried:
            return f"{self.model} suggests no change that can be tried"
        return f"the test fails with what {self.model} suggests, too"

    def _withhold(self, reason: str) -> Answer:
        note = f"none shown: {reason}"
        self._section.say("why", note)
        return Answer(note=note)

    def _end_answer(self, answer: Answer) -> Answer:
        """End the answer with the name of the model, and with what limits its worth.

        Returns what is reported of it.
        """
        if answer.flaw == NOTHING_SEEN:
            return self._withhold(f"what {answer.model} says {answer.flaw}")
        self.answered += 1
        if not answer.model:
            self._section.end_stream("")  # only what was checked
            return answer
        source = f"{answer.model}, a guess"
        if answer.from_cache:
            source += ", remembered"
        if answer.flaw:
            source += f"; it {answer.flaw}"
        ellipsis = " …" if answer.truncated else ""
        self._section.end_stream(f"{ellipsis} ({source})")
        return answer

    def _refuse(self) -> Answer:
        note = self._refusal
        self._section.say("why", note)
        self._refusal = SEE_ABOVE
        return Answer(note=note)

    def _report_error(self, exc: BaseException, case: Case) -> Answer:
        """Write why the model's answer is missing; return what is reported in its place."""
        error = _describe_error(exc)
        note = "no answer, as above" if error == self._last_error else f"no answer: {error}"
        self._last_error = error
        change = checked_change(case)
        # Nothing but the change that was checked is written before the answer is complete.
        if change is not None and self._section.end_stream("."):
            self._section.say("", note)
            return Answer(f"{self._redact(change.lead)}.", note=note)
        self._section.say("why", note)
        return Answer(note=note)

    def _consider_stopping(self, exc: BaseException, client: Client) -> None:
        """Ask no more after a Ctrl-C, or if the server is away or out of time.

        One bad answer may be followed by a good one. If only cached answers can be given
        (`client.outage`), all causes are tried: reading the cache costs nothing.
        """
        self._unanswered += 1
        is_final = isinstance(exc, BackendUnavailable | BackendTimeout)
        is_final = is_final or self._unanswered >= MAX_UNANSWERED
        if isinstance(exc, KeyboardInterrupt) or (is_final and client.outage is None):
            self._refusal = SEE_ABOVE


def _needs_correction(case: Case, client: Client) -> bool:
    """Return whether nothing is checked yet, and what the model suggests can be."""
    if checked_change(case) is not None or not can_try_correction(case, client.settings):
        return False
    return can_correct(client)


def _has_rival_fixes(case: Case) -> bool:
    """Return whether fixes were found that behave differently."""
    return case.fix is not None and checked_change(case) is None


def _describe_error(exc: BaseException) -> str:
    if isinstance(exc, KeyboardInterrupt):
        return "interrupted."
    if isinstance(exc, StarcoderError):
        return str(exc)
    error = one_line(traceback.format_exception_only(exc)[-1])
    return f"{error}. Please report this as a bug of pytest-starcoder."
