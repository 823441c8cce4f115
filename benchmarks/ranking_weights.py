"""Fits the weights of the evidence to real bugs that benchmarks/real_lines.py has recorded.

The probability of a statement is the softmax of its weighted evidence; the weights maximise that of
the faulty statements, with a penalty on large ones. Each project is also ranked with weights that
were fitted to the other projects alone, which is what to expect of a project that nobody has seen.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.ranking import TOP, read_recorded
from benchmarks.real_bugs import RealBug
from benchmarks.real_lines import (
    EVIDENCE,
    faulty_lines,
    is_of_bug,
    parser,
    plain_bugs,
    relative,
)
from pytest_starcoder.explain import suspicion
from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.explain.line_features import Features, Statement, measure_features

PENALTY = 0.05
STEPS = 400
RATE = 0.1

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """The evidence against each statement of a bug, in rows, and which of them are faulty."""

    project: str
    evidence: Matrix
    faulty: NDArray[np.bool_]


def read_sample(bug: RealBug, row: Mapping[str, Any], records: Path) -> Sample | None:
    """Return the evidence on a bug; None if no faulty statement ran outside test files."""
    recorded = read_recorded(records / f"{bug.name}.pickle")
    sources = recorded.sources(bug.tree)
    path = relative(row["source"], recorded.root)
    faulty = faulty_lines(path, row, sources(path))
    kept: dict[str, Mapping[Statement, Features]] = {}

    def measure(failure: Failure, *arguments: Any) -> dict[Statement, Features]:
        features = measure_features(failure, *arguments)
        kept[failure.nodeid] = features
        return features

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suspicion, "measure_features", measure)
        cases = recorded.cases(bug.tree, sources)
    first = next((case for case in cases if is_of_bug(case, bug)), cases[0])
    rows, truth = [], []
    for statement, features in kept[first.cause.first.nodeid].items():
        if not features.weight or features.test_file:
            continue
        numbers = range(statement.first, statement.last + 1)
        rows.append(features)
        truth.append(any((statement.path, number) in faulty for number in numbers))
    if not any(truth):
        return None
    return Sample(bug.project, np.array(rows, dtype=np.float64), np.array(truth))


def fit(samples: Sequence[Sample], fitted: Collection[str]) -> Matrix:
    """Return the weights of all features, 0 for those that are not `fitted`. Uses Adam."""
    active = np.array([float(name in fitted) for name in Features._fields])
    weights = np.zeros(len(active))
    mean = np.zeros(len(active))
    square = np.zeros(len(active))
    for step in range(1, STEPS + 1):
        gradient = PENALTY * weights
        for sample in samples:
            gradient = gradient + _gradient(sample, weights) / len(samples)
        gradient = gradient * active
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        direction = (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        weights = weights - RATE * direction
    return weights


def _gradient(sample: Sample, weights: Matrix) -> Matrix:
    scores = sample.evidence @ weights
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    wanted = np.where(sample.faulty, chances, 0.0)
    wanted /= wanted.sum()
    gradient: Matrix = (chances - wanted) @ sample.evidence
    return gradient


def count_hits(samples: Sequence[Sample], weights: Matrix) -> list[int]:
    """Return how many samples have a faulty statement in the top 1, 3 and 5; ties count as hits."""
    hits = [0] * len(TOP)
    for sample in samples:
        scores = sample.evidence @ weights
        better = int((scores > scores[sample.faulty].max() + 1e-9).sum())
        for index, top in enumerate(TOP):
            hits[index] += better < top
    return hits


def main() -> None:
    arguments = parser(__doc__).parse_args()
    rows = {row["id"]: row for row in json.loads(arguments.bugs.read_text("utf-8"))}
    folder = arguments.folder.resolve()
    records = (arguments.records or folder / ".lines").resolve()
    bugs = plain_bugs(list(rows.values()), folder)
    samples = []
    for bug in bugs:
        if (records / f"{bug.name}.pickle").is_file():
            sample = read_sample(bug, rows[bug.name], records)
            samples += [sample] if sample else []
    fitted = {name for names in EVIDENCE.values() for name in names}
    weights = fit(samples, fitted)
    for name, weight in zip(Features._fields, weights, strict=True):
        if name in fitted:
            print(f"{name}: {weight:.2f}")
    print("faulty statement in the top 1/3/5, fitted to all:", count_hits(samples, weights))
    others = [0] * len(TOP)
    for project in {sample.project for sample in samples}:
        without = fit([sample for sample in samples if sample.project != project], fitted)
        of_project = [sample for sample in samples if sample.project == project]
        for index, hits in enumerate(count_hits(of_project, without)):
            others[index] += hits
    print("the same, each project with the weights of the others:", others)
    print(f"of {len(bugs)} bugs; {len(samples)} have a faulty statement that ran")


if __name__ == "__main__":
    main()
