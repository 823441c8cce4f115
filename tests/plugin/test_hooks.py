"""What a conftest.py adds to explanations, and that a broken one harms nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.screens import MEAN, section
from support.servers import FakeOllama

CONFTEST = """
    import pathlib

    def starcoder_evidence(item, failure):
        return [f"the query of {item.name} in {failure.phase}: SELECT 1"]

    def starcoder_redact(text):
        return text.replace("mean", "m**n")

    def starcoder_explained(explanation):
        with open(pathlib.Path(__file__).parent / "told.txt", "a") as file:
            file.write(explanation.why)
"""


@pytest.mark.parametrize("parallel", [[], ["-n", "2"]])
def test_a_conftest_adds_evidence_redacts_and_is_told(
    pytester: pytest.Pytester, ollama_double: FakeOllama, parallel: list[str]
) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(**MEAN)
    lines = section(pytester.runpytest_subprocess("--starcoder-report=out.json", *parallel))
    assert "     also      the query of test_m**n in call: SELECT 1" in lines
    [prompt] = ollama_double.prompts()
    assert "SELECT 1" in prompt
    assert "mean" not in prompt
    assert "mean" not in json.dumps(json.loads(Path("out.json").read_text()))
    assert Path("told.txt").read_text() == "The test fails because the divisor is one too small."


@pytest.mark.parametrize("hook", ["starcoder_evidence", "starcoder_redact", "starcoder_explained"])
def test_one_that_raises_is_named_and_ignored(pytester: pytest.Pytester, ollama_double: FakeOllama, hook: str) -> None:
    pytester.makeconftest(f"def {hook}(**given):\n    raise ValueError('boom')\n")
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest_subprocess("--starcoder-explain")
    complaints = [line for line in result.outlines if line.startswith("StarCoder: starcoder_")]
    assert len(complaints) == 1
    assert complaints[0].startswith(f"StarCoder: {hook} of ")
    assert "raised " in complaints[0]
    assert complaints[0].endswith("; it is ignored.")
    assert "     why       The test fails because the divisor is one too small." in section(result)
    assert result.ret == 1


def test_evidence_is_asked_of_the_folders_above_the_test_alone(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    for folder in ("one", "other"):
        pytester.mkpydir(folder)
        Path(folder, "conftest.py").write_text(f"def starcoder_evidence():\n    return 'of {folder}'\n")
        Path(folder, f"test_{folder}.py").write_text("def test_it():\n    assert 0\n")
    told = " ".join(section(pytester.runpytest_subprocess("--starcoder-explain")))
    assert told.count("also      of one") == told.count("also      of other") == 1
