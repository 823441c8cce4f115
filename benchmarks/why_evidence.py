"""A pytest plugin for the benchmark `why`: saves the evidence instead of asking a model about it.

The variable WHY_EVIDENCE names the file. It is a pickle, which only the benchmark reads.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.explanation import Answer
from pytest_starcoder.explain.fixes import Fixes
from pytest_starcoder.explain.model_questions import ModelQuestions


def read_evidence(path: Path) -> list[Case]:
    """Return the cases of the causes of one run."""
    cases: list[Case] = pickle.loads(path.read_bytes())
    return cases


def pytest_configure() -> None:
    cases: list[Case] = []

    def ask(_self: ModelQuestions, case: Case, *_: object) -> tuple[Answer, Fixes | None]:
        cases.append(case)
        Path(os.environ["WHY_EVIDENCE"]).write_bytes(pickle.dumps(cases))
        return Answer(note="saved"), None

    ModelQuestions.ask = ask  # type: ignore[assignment,method-assign]
