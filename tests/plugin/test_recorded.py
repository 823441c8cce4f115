"""Where nothing is run again, Python 3.12 and later records which functions of the project a test runs."""

from __future__ import annotations

import sys

import pytest
from support.screens import section

PROJECT = {
    "shop": """
        STEPS = {}

        def step(function):
            STEPS[function.__name__] = function
            return function

        @step
        def hidden(x):
            return x * 3

        def total(x):
            return STEPS["hidden"](x)
    """,
    "test_shop": """
        import pytest
        from shop import STEPS, total

        @pytest.fixture
        def prepared():
            return STEPS["hidden"](0)

        def test_total():
            result = total(1)
            assert result == 2

        def test_prepared(prepared):
            assert prepared == 1
    """,
}

recorded = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="sys.monitoring came with Python 3.12"
)


@recorded
@pytest.mark.parametrize("parallel", [[], ["-n", "2"]])
def test_functions_that_no_line_names_are_shown(
    pytester: pytest.Pytester, parallel: list[str]
) -> None:
    pytester.makepyfile(**PROJECT)
    result = pytester.runpytest_subprocess(
        "--starcoder-show-prompt", "--starcoder-replay=off", *parallel
    )
    text = result.stdout.str()
    assert text.count("return x * 3") == 2, "in both prompts, of a fixture as well"
    assert len([line for line in section(result) if line.endswith(" hidden")]) == 2


@pytest.mark.parametrize("options", [["--starcoder-replay=on"], ["--no-starcoder"], []])
def test_nothing_is_recorded_where_tests_are_run_again_or_nothing_is_asked(
    pytester: pytest.Pytester, options: list[str]
) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_tools():
            tools = getattr(sys, "monitoring", None)
            assert tools is None or [tools.get_tool(number) for number in (3, 4, 5)] == [None] * 3
        """
    )
    explain = ["--starcoder-explain"] if options else []
    pytester.runpytest_subprocess("-p", "no:hypothesispytest", *explain, *options).assert_outcomes(
        passed=1
    )
