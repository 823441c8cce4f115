"""A function that is called in a forked process."""

from __future__ import annotations

import os

import pytest

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.review.forked_call import ForkedCall


def doubled(number: int) -> tuple[int, int]:
    if number < 0:
        raise ConfigError("Negative.", "Take another.")
    return 2 * number, os.getpid()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program without threads: pytest and its plugins may have some."""
    monkeypatch.setattr("threading.active_count", lambda: 1)
    monkeypatch.setattr("warnings.showwarning", lambda *_: None)


@pytest.mark.usefixtures("alone")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_call_in_other_process() -> None:
    with ForkedCall(__name__, "doubled", ("not.there", "json")) as call:
        call.start(4)
        value, process = call.result()
    assert value == 8
    assert process != os.getpid()


@pytest.mark.usefixtures("alone")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_error_in_other_process() -> None:
    with ForkedCall(__name__, "doubled") as call:
        call.start(-1)
        with pytest.raises(ConfigError) as raised:
            call.result()
    assert (raised.value.message, raised.value.hint) == ("Negative.", "Take another.")


@pytest.mark.usefixtures("alone")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_never_called() -> None:
    with ForkedCall(__name__, "doubled") as call:
        process = call._pid
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_call_beside_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.active_count", lambda: 2)
    with ForkedCall(__name__, "doubled") as call:
        call.start(4)
        assert call.result() == (8, os.getpid())
