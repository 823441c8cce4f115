"""Imported where tests of Hypothesis are judged: what its first test computes is computed here, not in every fork.

Its tests neither explain a failure nor, where it only matters that they fail, seek the simplest.
"""

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

JUDGED, KILLING = "starcoder-judged", "starcoder-killing"
"""Profiles; a test has what is in force when it is defined."""

# Traced, all is slow; how long it takes is looked at by who judges it.
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
def warm(drawn: object) -> None:
    """Draws what such tests draw."""


warm()
