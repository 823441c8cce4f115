"""Mocks: which argument differs, and what was called instead."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest import mock

import pytest
from support.raising import observe

from pytest_starcoder.explain.differences import differences
from pytest_starcoder.text.reprs import short_repr


def charge(amount: int, currency: str = "EUR") -> None:
    """A function that mocks stand for."""


class Gateway:
    def charge(self, amount: int) -> None: ...


def called(*calls: object) -> mock.Mock:
    gateway = mock.Mock()
    for argument in calls:
        gateway.charge(argument)
    return gateway


@pytest.mark.parametrize(
    ("actual", "expected", "sentences"),
    [
        (mock.call(1), mock.call(2), ["argument 1 is 1, not 2"]),
        (mock.call(to="a", x=1), mock.call(to="b", x=1), ["the argument to is 'a', not 'b'"]),
        (mock.call(to="a"), mock.call(), ["the argument to is unexpected: 'a'"]),
        (mock.call(), mock.call(1), ["argument 1 is missing: 1"]),
        (mock.call(1), mock.call(n=1), ["1 is passed by position, not by the name n"]),
        (mock.call(n=1), mock.call(1), ["1 is passed by the name n, not by position"]),
        (mock.call({"a": [1]}), mock.call({"a": [2]}), ["argument 1['a'][0] is 1, not 2"]),
        (mock.call.a(1), mock.call.b(1), ["it is a(1), not b(1)"]),
        ([mock.call(1)], [mock.call(2)], ["[0] argument 1 is 1, not 2"]),
        (mock.call(mock.ANY, 1), mock.call(5, 2), ["argument 2 is 1, not 2"]),
    ],
)
def test_calls(actual: object, expected: object, sentences: list[str]) -> None:
    assert list(differences("==", actual, expected)) == sentences


@pytest.mark.parametrize(
    ("code", "fact"),
    [
        ("g.charge.assert_called_with(6)", "argument 1 is 7, not 6"),
        ("g.charge.assert_any_call(6)", "in the closest call, argument 1 is 5, not 6"),
        ("g.charge.assert_has_calls([call(5), call(6)])", "call(6) is not among the calls"),
        ("g.assert_has_calls([call.charge(5), call.pay(6)])", "pay(6) is not among the calls"),
        (
            "g.charge.assert_has_calls([call(7), call(5)])",
            "all of these calls were made, but not consecutively in this order",
        ),
        ("g.pay.assert_called_once()", "g.pay was never called; calls on g: charge(5), charge(7)"),
        ("g.pay.assert_called_with(1)", "g.pay was never called; calls on g: charge(5), charge(7)"),
        ("assert g.pay.called", "g.pay was never called; calls on g: charge(5), charge(7)"),
        ("assert g.charge.call_count == 3", "the calls were call(5), call(7)"),
        ("g.total() + 1", "g.total() is a mock: was the return_value of g.total set?"),
    ],
)
def test_assertions(code: str, fact: str, tmp_path: Path) -> None:
    assert fact in observe(code, tmp_path, g=called(5, 7), call=mock.call)


def test_wrong_number_of_calls(tmp_path: Path) -> None:
    # The message lists the calls.
    assert observe("g.charge.assert_called_once_with(5)", tmp_path, g=called(5, 7)) == ()


def test_nothing_called(tmp_path: Path) -> None:
    found = observe("g.pay.assert_called_once()", tmp_path, g=mock.Mock())
    assert found == ("nothing was called on g",)


def test_awaits(tmp_path: Path) -> None:
    sender = mock.AsyncMock()
    sender("a").close()
    code = "sender.assert_awaited_once_with('b')"
    fact = "the mock was called, but not awaited: call('a')"
    assert observe(code, tmp_path, sender=sender)[0] == fact
    asyncio.run(sender("a"))
    assert observe(code, tmp_path, sender=sender)[0] == "argument 1 is 'a', not 'b'"


def test_signatures(tmp_path: Path) -> None:
    function = mock.create_autospec(charge)
    function(1, "USD")
    found = observe("f.assert_called_with(amount=1, currency='EUR')", tmp_path, f=function)
    assert found[0] == "the argument currency is 'USD', not 'EUR'"


def test_attributes_of_a_spec(tmp_path: Path) -> None:
    gateway = mock.Mock(spec=Gateway)
    assert observe("g.chrge(1)", tmp_path, g=gateway)[0] == "the nearest attribute is 'charge'"
    sentence = "the mock stands for Gateway, which has charge"
    assert sentence in observe("g.refund(1)", tmp_path, g=gateway)


def test_mocks_stay_as_they_are(tmp_path: Path) -> None:
    gateway = called(5)
    before = set(vars(gateway)["_mock_children"])
    observe("g.charge.assert_called_with(6)", tmp_path, g=gateway)
    observe("assert g.charge.call_count == 3", tmp_path, g=gateway)
    assert set(vars(gateway)["_mock_children"]) == before
    assert len(gateway.mock_calls) == 1


def test_texts() -> None:
    # The number of a mock differs in every run.
    assert short_repr(mock.Mock()) == "<Mock>"
    assert short_repr(mock.Mock(name="mail")) == "<Mock name='mail'>"
