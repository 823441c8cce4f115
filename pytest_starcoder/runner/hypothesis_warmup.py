"""Runs one Hypothesis test on import: what the first test of a process computes is costly.

The profiles skip the phases that explain a failure or, where a test only has to fail, shrink it.
"""

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

JUDGED, KILLING = "starcoder-judged", "starcoder-killing"
"""Profiles; a test uses the one loaded when it is defined."""

# Tests are slow under trace, and their time is limited elsewhere: no health checks.
settings.register_profile(
    JUDGED,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
settings.register_profile(
    KILLING, settings.get_profile(JUDGED), phases=(Phase.explicit, Phase.generate)
)


@settings(database=None, max_examples=2, deadline=None)
@given(
    st.tuples(
        st.text(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.lists(st.binary()),
    )
)
def warm(values: object) -> None:
    """Draw what most tests draw."""


warm()
