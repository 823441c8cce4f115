"""Imports what runs in this process need, which would otherwise be imported for each of them."""

from __future__ import annotations

# pytester removes from `sys.modules` what a run has added.
import pytest_starcoder.explain.capture
import pytest_starcoder.explain.explainer
import pytest_starcoder.explain.prefetch
import pytest_starcoder.fix.session
import pytest_starcoder.fixture  # noqa: F401
