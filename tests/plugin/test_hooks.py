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


@pytest.mark.parametrize("parallel", [[], pytest.param(["-n", "2"], marks=pytest.mark.slow)])
def test_a_conftest_adds_evidence_redacts_and_is_told(
    pytester: pytest.Pytester, ollama_double: FakeOllama, parallel: list[str]
) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(**MEAN)
    lines = section(pytester.runpytest("--starcoder-report=out.json", *parallel))
    assert "     also      the query of test_m**n in call: SELECT 1" in lines
    [prompt] = ollama_double.prompts()
    assert "SELECT 1" in prompt
    assert "mean" not in prompt
    assert "mean" not in json.dumps(json.loads(Path("out.json").read_text()))
    assert Path("told.txt").read_text() == "The test fails because the divisor is one too small."


@pytest.mark.parametrize("parallel", [[], pytest.param(["-n", "2"], marks=pytest.mark.slow)])
@pytest.mark.parametrize("hook", ["starcoder_evidence", "starcoder_redact", "starcoder_explained"])
def test_one_that_raises_is_named_and_ignored(
    pytester: pytest.Pytester, ollama_double: FakeOllama, hook: str, parallel: list[str]
) -> None:
    argument = {
        "starcoder_evidence": "item",
        "starcoder_redact": "text",
        "starcoder_explained": "explanation",
    }[hook]
    pytester.makeconftest(f"def {hook}({argument}):\n    raise ValueError('boom')\n")
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest("--starcoder-explain", *parallel)
    complaints = [line for line in result.outlines if line.startswith("StarCoder: starcoder_")]
    assert len(complaints) == 1
    assert complaints[0].startswith(f"StarCoder: {hook} of ")
    assert "conftest" in complaints[0]
    assert complaints[0].endswith(" raised ValueError: boom; it is ignored.")
    assert "     why       The test fails because the divisor is one too small." in section(result)
    assert result.ret == 1


def test_evidence_is_asked_of_the_folders_above_the_test_alone(
    pytester: pytest.Pytester, ollama_double: FakeOllama
) -> None:
    for folder in ("one", "other"):
        pytester.mkpydir(folder)
        Path(folder, "conftest.py").write_text(
            f"def starcoder_evidence():\n    return 'of {folder}'\n"
        )
        Path(folder, f"test_{folder}.py").write_text("def test_it():\n    assert 0\n")
    told = " ".join(section(pytester.runpytest("--starcoder-explain")))
    assert told.count("also      of one") == told.count("also      of other") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("returned", "shown"),
    [
        ("None", []),
        ("''", []),
        ("'one'", ["one"]),
        ("['one', '', 'two']", ["one", "two"]),
        ("('one', None, 3)", ["one"]),
        ("{'a': 1}", []),
        ("'password=s3cr3t-pa55word'", ["password=[redacted]"]),
    ],
)
def test_whatever_evidence_returns_its_texts_are_shown_without_secrets(
    pytester: pytest.Pytester, ollama_double: FakeOllama, returned: str, shown: list[str]
) -> None:
    pytester.makeconftest(f"def starcoder_evidence(item):\n    return {returned}\n")
    pytester.makepyfile(**MEAN)
    lines = section(pytester.runpytest("--starcoder-report=out.json"))
    statements = json.loads(Path("out.json").read_text())["causes"][0]["statements"]
    assert [statement["text"] for statement in statements if statement["kind"] == "extra"] == shown
    assert all(any(text in line for line in lines) for text in shown)
    [prompt] = ollama_double.prompts()
    assert all(text in prompt for text in shown)
    assert "s3cr3t-pa55word" not in prompt


def test_what_is_redacted_is_gone_from_every_report(
    pytester: pytest.Pytester, ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    ollama_double.answer = lambda _prompt: " Zanzibar is wrong."
    pytester.makeconftest(
        "def starcoder_redact(text):\n    return text.replace('Zanzibar', 'CITY')"
    )
    pytester.makepyfile("def test_it():\n    where = 'Zanzibar'\n    assert where == 'Here'")
    names = ("out.json", "out.md", "out.sarif")
    result = pytester.runpytest(*(f"--starcoder-report={name}" for name in names))
    [prompt] = ollama_double.prompts()
    for text in (prompt, *(Path(name).read_text() for name in (*names, "summary.md"))):
        assert "CITY" in text
        assert "Zanzibar" not in text
    told = "\n".join(
        [*section(result), *(line for line in result.outlines if line.startswith("::error"))]
    )
    assert "CITY" in told
    assert "Zanzibar" not in told
