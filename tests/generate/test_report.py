"""The result of generating tests in each format."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest

from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.goals import Place
from pytest_starcoder.generate.report import schema, terminal_lines, to_json, to_markdown
from pytest_starcoder.generate.result import (
    Counts,
    Generated,
    KeptTest,
    ModelUsage,
    RejectedDraft,
    TargetScore,
)
from pytest_starcoder.source.edits.edit import Edit

TARGET = Target("shop/pricing.py", "shop.pricing", "mean", 10, 15, (("xs", ""),))
PARSE = Target("shop/pricing.py", "shop.pricing", "parse", 20, 22, (("text", ""),))
MUTANT = Edit("shop/pricing.py", (0, 1), "a", "b", "a kind", 1.0, 14)


def draft(name: str, origin: Origin, because: str = "", target: Target = TARGET) -> Draft:
    return Draft(
        name,
        ("assert mean([1]) == 1",),
        ("from shop.pricing import mean",),
        origin,
        target,
        because,
    )


def places(*lines: int) -> frozenset[Place]:
    return frozenset(Place("shop/pricing.py", line) for line in lines)


GENERATED = Generated(
    kept=(
        KeptTest(
            draft("test_one", Origin.DOCTEST, ">>> mean([1])"),
            (MUTANT, MUTANT),
            places(12, 13, 15),
        ),
        KeptTest(
            draft("test_two", Origin.MODEL, "starcoder2:7b"),
            places=frozenset(
                {Place("shop/pricing.py", 14, False), Place("shop/pricing.py", 14, True)}
            ),
        ),
    ),
    rejected=(
        RejectedDraft(draft("test_three", Origin.MODEL), "fails"),
        RejectedDraft(draft("test_four", Origin.MODEL), "fails"),
    ),
    suspected=(
        RejectedDraft(
            draft("test_five", Origin.DOCTEST, '>>> parse("3|4")', PARSE), "raises IndexError"
        ),
    ),
    scores=(
        TargetScore(TARGET, Counts(8, 4, 4), Counts(2, 1, 1), Counts(5, 4, 3)),
        TargetScore(PARSE, Counts(2, 1), Counts(), Counts()),
    ),
    seconds=4.04,
    usage=ModelUsage(3, 120, 4.5),
    level="kernel",
    remark="the setting generate_requests (3) was reached",
    over="the time limit was reached (the setting generate_timeout)",
    model="starcoder2:7b",
)


def test_terminal_lines() -> None:
    assert list(terminal_lines(GENERATED)) == [
        "shop/pricing.py  coverage 22 % -> 78 %   mutants killed 2 -> 5 of 10   "
        "2 tests kept of 5 tried   4.0 s",
        "  kept           test_one  (doctest: kills 2 mutants, covers lines 12-13, 15)",
        "  kept           test_two  (model: takes another branch at line 14)",
        "  rejected       2 fail",
        '  suspected bug  parse: >>> parse("3|4") raises IndexError; its docstring promises 1',
        "  asked          starcoder2:7b: 3 requests, 120 tokens, 4.5 s",
        "Incomplete: the time limit was reached (the setting generate_timeout).",
        "The model was not asked again: the setting generate_requests (3) was reached.",
    ]


def test_reason_for_another_model() -> None:
    note = "Ollama was not used. Nothing answers at http://127.0.0.1:11434."
    assert note in list(terminal_lines(replace(GENERATED, fallback=note)))
    unasked = replace(GENERATED, fallback=note, model="")
    assert note not in list(terminal_lines(unasked))


@pytest.mark.parametrize(
    ("reason", "several"),
    [
        ("adds nothing", "2 add nothing"),
        ("does not call its target", "2 do not call its target"),
        ("passes only once", "2 pass only once"),
        ("is skipped", "2 are skipped"),
        ("never ends", "2 never end"),
        ("was not run: the time limit was reached", "2 were not run: the time limit was reached"),
        ("cannot be imported", "2 cannot be imported"),
        ("leaves the environment changed", "2 leave the environment changed"),
        ("contradicts its function's docstring", "2 contradict its function's docstring"),
    ],
)
def test_counted_reasons(reason: str, several: str) -> None:
    def lines(count: int) -> list[str]:
        rejected = tuple(
            RejectedDraft(draft(f"test_{number}", Origin.MODEL), reason) for number in range(count)
        )
        return [
            line
            for line in terminal_lines(replace(GENERATED, rejected=rejected))
            if "rejected" in line
        ]

    assert lines(1) == [f"  rejected       1 {reason}"]
    assert lines(2) == [f"  rejected       {several}"]


def test_nothing_generated() -> None:
    assert list(terminal_lines(Generated(note="the tests cannot be collected again"))) == [
        "No test was generated: the tests cannot be collected again."
    ]
    assert list(terminal_lines(Generated())) == ["There is no code to generate tests for."]


@pytest.mark.parametrize("generated", [GENERATED, Generated(), Generated(note="no")])
def test_json_schema(generated: Generated) -> None:
    record = json.loads(to_json(generated))
    jsonschema.validate(record, schema())
    assert len(record["kept"]) == len(generated.kept)


def test_json_tests() -> None:
    record = json.loads(to_json(GENERATED))
    assert record["kept"][0]["source"] == GENERATED.kept[0].draft.source
    assert [test["origin"] for test in record["kept"]] == ["doctest", "model"]
    assert (
        record["notice"]
        == "Tests from model are machine-generated by starcoder2:7b; they were run."
    )


def test_markdown() -> None:
    text = to_markdown(GENERATED)
    assert "| shop/pricing.py `mean` | 25 % → 88 % | 2 → 5 of 8 |" in text
    assert '- *suspected bug* `parse`: `>>> parse("3|4")` raises IndexError' in text
    assert (
        "```python\nfrom shop.pricing import mean\n\n\n"
        "def test_one():\n    assert mean([1]) == 1\n```" in text
    )


def test_markdown_escapes() -> None:
    text = to_markdown(
        Generated(note="@ann said <b>#1</b>: see www.example.com, [here](http://x) and *there*")
    )
    assert text.split("\n")[2] == (
        "&#64;ann said &lt;b&gt;&#35;1&lt;/b&gt;&#58; see www&#46;example.com, "
        r"\[here\]\(http&#58;//x\) and \*there\*"
    )


def test_verbose_lines() -> None:
    score = replace(GENERATED.scores[1], living=(MUTANT,))
    lines = list(terminal_lines(replace(GENERATED, scores=(score,), suspected=()), verbose=True))
    assert "  no draft       parse: no example and no usable type hints" in lines
    assert "  not kept       test_three: fails" in lines
    assert "  survived       parse, line 14: `b` instead of `a`" in lines


def test_undrafted_without_hypothesis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_starcoder.generate.report.find_spec", lambda _name: None)
    lines = list(terminal_lines(replace(GENERATED, scores=GENERATED.scores[1:], suspected=())))
    assert (
        "  no draft       parse: no example, and Hypothesis is not installed "
        "(`pip install hypothesis`)" in lines
    )


def test_undrafted_method() -> None:
    score = GENERATED.scores[1]
    method = replace(score, target=replace(score.target, name="Cart.total"))
    lines = list(terminal_lines(replace(GENERATED, scores=(method,))))
    reason = "no example, and type hints are used for public functions of a module only"
    assert any(line.startswith("  no draft") and line.endswith(reason) for line in lines)


def test_several_files() -> None:
    score = replace(GENERATED.scores[1], target=replace(PARSE, path="shop/other.py"))
    lines = list(terminal_lines(replace(GENERATED, scores=(GENERATED.scores[0], score))))
    assert lines[1].startswith("shop/other.py  coverage 0 % -> 0 %   mutants killed 0 -> 0 of 2")
    assert "  in total       2 tests kept, 4.0 s" in lines


def test_remembered_answers() -> None:
    lines = list(terminal_lines(replace(GENERATED, usage=ModelUsage())))
    assert "  asked          starcoder2:7b: all answers were cached" in lines
    assert lines[-1].startswith("No model wrote tests: ")
