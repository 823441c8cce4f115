"""Explanations of failed tests, and the report of a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.failure import Frame
from pytest_starcoder.explain.suspicion import Suspect
from pytest_starcoder.redaction.values import with_texts
from pytest_starcoder.report.label import Label
from pytest_starcoder.runner.fixes import NO_FIXES, Fixes
