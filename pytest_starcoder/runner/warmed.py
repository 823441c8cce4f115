"""Imported where tests of Hypothesis are judged: its tables of characters are made here once, not in every fork."""

from hypothesis import given, settings
from hypothesis import strategies as st


@settings(database=None, max_examples=2, deadline=None)
@given(st.tuples(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.lists(st.binary())))
def warm(drawn: object) -> None:
    """Draws what such tests draw."""


warm()
