from __future__ import annotations

import pytest


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Without the plugin of Hypothesis, which imports all of itself at the end of every run: most of a small one.

    Without looking for fixes too, which takes a second or two of every run; test_fixes.py does.
    """
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    monkeypatch.setenv("STARCODER_FIX", "off")
    return pytester
