"""What the fixture `starcoder` offers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pytest

from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.explain.capture import capture_failure
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.explanation import Explanation
from pytest_starcoder.explain.failure import Cause
from pytest_starcoder.explain.question import explain
from pytest_starcoder.generate.result import Generated
from pytest_starcoder.model.ask import ask_client
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Completion, Prompt
from pytest_starcoder.redaction.redactor import Redactor
from pytest_starcoder.session.project import project_of
from pytest_starcoder.session.settings import session_settings
from pytest_starcoder.session.tests import session_launch


class Asker:
    """Asks the model that a pytest run's settings choose; the first question opens the connection.

    Every method raises a StarcoderError that says what to do next.
    """

    def __init__(self, config: pytest.Config, keys: Sequence[str]) -> None:
        self._config = config
        self._keys = keys
        self._made: Client | None = None
        self._redactor = Redactor.from_environment()
        self.nodeid = ""

    def ask(self, prompt: str) -> str:
        """What the model writes after `prompt`, whose control tokens are made ordinary text; never empty."""
        with _plainly():
            return ask_client(self._client(), prompt)

    def complete(self, prompt: Prompt) -> Completion:
        """What the model writes after `prompt`, to the letter, with the server's counts."""
        with _plainly():
            return self._client().complete(prompt)

    def explain(self, excinfo: pytest.ExceptionInfo[BaseException] | BaseException) -> Explanation:
        """Why the exception was raised: `seen` was observed, `why` is the model's guess."""
        exc = excinfo.value if isinstance(excinfo, pytest.ExceptionInfo) else excinfo
        if not isinstance(exc, BaseException):
            raise TypeError(
                f"explain wants what pytest.raises gives, or an exception, not {type(exc).__name__}"
            )
        project = project_of(self._config)
        failure = capture_failure(exc, self.nodeid, "call", project, redactor=self._redactor)
        case = Case(Cause((failure,)))
        with _plainly():
            return explain(case, self._client(), lambda _piece: None, self._redactor.redact)

    def generate_tests(self, obj: object, *, characterise: bool = False) -> Generated:
        """Tests for a function, a class or a module, or for what "package.module:function" names; none is written.

        What the tests of this run find is not known yet: those that come back are judged by themselves.
        """
        from pytest_starcoder.generate.job import GenerationJob
        from pytest_starcoder.generate.locations import location_of_object, targets_at

        root = self._config.rootpath
        with _plainly():
            targets = targets_at([location_of_object(obj, root)], root, ())
            settings = session_settings(self._config, self._keys)
            launch = session_launch(self._config)
            return GenerationJob(launch, settings, targets, characterise=characterise).run()

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

    def _client(self) -> Client:
        if self._made is None:
            self._made = Client.from_settings(session_settings(self._config, self._keys))
        return self._made


@contextlib.contextmanager
def _plainly() -> Iterator[None]:
    """Errors of ours without what they wrap: a test's report shows the sentence, not the inside of an HTTP library."""
    try:
        yield
    except StarcoderError as exc:
        raise exc.with_traceback(None) from None
