"""The suites of `shared/cases/explain`, the optional folder beside the project's root, are explained to the end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.screens import section, summary
from support.servers import FakeOllama

CASES = Path(__file__).parents[3] / "shared" / "cases" / "explain"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not CASES.is_dir(), reason="no shared/cases/explain beside the project's root"
    ),
]


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("shop", "5 failures, 5 causes"),
        ("two_causes", "110 failures, 2 causes"),
        ("collection_errors", "2 failures, 2 causes"),
        ("weird", None),  # its subtests count from pytest 9 on
    ],
)
def test_a_whole_suite_is_explained(
    pytester: pytest.Pytester, ollama_double: FakeOllama, name: str, heading: str | None
) -> None:
    shutil.copytree(CASES / name, pytester.path, dirs_exist_ok=True)
    bare = pytester.runpytest_subprocess()
    result = pytester.runpytest_subprocess("--starcoder-explain")
    lines = section(result)
    causes = len(ollama_double.prompts())
    if heading:
        assert lines[0] == f"StarCoder: {heading} (starcoder2:7b on Ollama)"
    assert "could not be explained" not in result.stdout.str()
    told = f"{causes} of {causes} causes, {causes} model calls, N s."
    assert [line for line in lines if line.startswith(told)]
    assert len([line for line in lines if line.startswith("     seen ")]) == causes
    assert result.ret == bare.ret
    assert summary(result) == summary(bare)
