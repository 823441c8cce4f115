"""Ctrl-C in a test that never ends."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("options", [(), ("--starcoder-show-prompt",)], ids=["explain", "prompt"])
def test_interrupted_test(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytester.makepyfile(
        shop="""
        def count(n):
            steps = 0
            while n != 1:
                steps += 1
                if steps > 5:
                    raise KeyboardInterrupt
        """,
        test_shop="""
        from shop import count
        def test_count(): count(4)
        """,
    )
    result = pytester.runpytest_subprocess(
        "--starcoder-explain", "--starcoder-backend=none", *options
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "StarCoder: test_shop.py::test_count was interrupted at shop.py:6 in count: "
            "raise KeyboardInterrupt",
            "StarCoder: stopped in the loop `while n != 1` (shop.py:3) with n = 4, steps = 6",
        ]
    )


def test_interrupt_elsewhere(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\ndef test_a(): pass\n")
    pytester.makeconftest("def pytest_collection_modifyitems(): raise KeyboardInterrupt\n")
    result = pytester.runpytest_subprocess("--starcoder-explain", "--starcoder-backend=none")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "StarCoder" not in result.stdout.str()
