"""The value of the fixture `starcoder`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pytest

from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.explain.capture import capture_failure
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.explanation import Explanation, complete, describe_case
from pytest_starcoder.explain.failure import Cause
from pytest_starcoder.explain.question import ask_why
from pytest_starcoder.generate.result import Generated
from pytest_starcoder.model.ask import ask_client
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Completion, Prompt
from pytest_starcoder.redaction.redactor import Redactor
from pytest_starcoder.session.command_line import session_launch
from pytest_starcoder.session.project_history import project_of
from pytest_starcoder.session.settings import session_settings


class StarCoder:
    """Asks the model that the settings of a pytest run choose.

    The first question opens the connection. Every method raises a StarcoderError
    that says what to do next.
    """

    def __init__(self, config: pytest.Config, keys: Sequence[str]) -> None:
        self._config = config
        self._keys = keys
        self._open_client: Client | None = None
        self._redactor = Redactor.from_environment()
        self.nodeid = ""

    def ask(self, prompt: str) -> str:
        """Return what the model writes after `prompt`, never an empty text.

        Special tokens in `prompt` become ordinary text.
        """
        with _short_tracebacks():
            return ask_client(self._client(), prompt)

    def complete(self, prompt: Prompt) -> Completion:
        """Return what the model writes after `prompt`, unchanged, with the server's counts."""
        with _short_tracebacks():
            return self._client().complete(prompt)

    def explain(self, excinfo: pytest.ExceptionInfo[BaseException] | BaseException) -> Explanation:
        """Explain an exception: `seen` was observed, `why` is the model's guess."""
        # `pytest.raises` gives an ExceptionInfo, `except` an exception.
        exc = excinfo.value if isinstance(excinfo, pytest.ExceptionInfo) else excinfo
        if not isinstance(exc, BaseException):
            raise TypeError(
                "explain takes an exception or the result of pytest.raises, "
                f"not {type(exc).__name__}"
            )
        project = project_of(self._config)
        failure = capture_failure(exc, self.nodeid, "call", project, redactor=self._redactor)
        case = Case(Cause((failure,)))
        redact = self._redactor.redact
        with _short_tracebacks():
            answer = ask_why(case, self._client(), lambda _piece: None, redact)
        return complete(describe_case(case, redact), answer)

    def generate_tests(self, obj: object, *, characterise: bool = False) -> Generated:
        """Generate tests for a function, class or module, or for "package.module:function".

        Nothing is written. The tests of this run have not all run yet, so each generated
        test is judged by itself.
        """
        # Late, because asking needs none of it.
        from pytest_starcoder.generate.job import GenerationJob
        from pytest_starcoder.generate.locations import location_of_object, targets_at

        root = self._config.rootpath
        with _short_tracebacks():
            targets = targets_at([location_of_object(obj, root)], root, ())
            settings = session_settings(self._config, self._keys)
            launch = session_launch(self._config)
            return GenerationJob(launch, settings, targets, characterise=characterise).run()

    def close(self) -> None:
        if self._open_client is not None:
            self._open_client.close()

    def _client(self) -> Client:
        if self._open_client is None:
            settings = session_settings(self._config, self._keys)
            self._open_client = Client.from_settings(settings)
        return self._open_client


@contextlib.contextmanager
def _short_tracebacks() -> Iterator[None]:
    """Raise our errors without their cause, so that pytest shows no code of an HTTP library."""
    try:
        yield
    except StarcoderError as exc:
        raise exc.with_traceback(None) from None
