"""Formats of report files."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.reports import BREAKAGE, EMPTY, EXPLANATION, REPORT

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.explain.breakage import Breakage, BrokenBy
from pytest_starcoder.explain.explanation import Report
from pytest_starcoder.explain.github import workflow_commands
from pytest_starcoder.explain.json_report import schema, to_json
from pytest_starcoder.explain.junit import add_explanations
from pytest_starcoder.explain.markdown import to_markdown
from pytest_starcoder.explain.report_files import FORMATS, find_writer
from pytest_starcoder.explain.sarif import to_sarif
from pytest_starcoder.redaction.nested_values import with_texts
from pytest_starcoder.report.files import write_report

HOSTILE = (
    "\x1b[31m]]> ::error:: <script>alert(1)</script> ``` \n# head\n![x](http://x/y) @user #1 "
    "\udc00 | a | `b` %0A &amp;"
)


def fill_with(text: str) -> Report:
    return with_texts(REPORT, lambda _: text or "x")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.json", to_json),
        ("a.MD", to_markdown),
        ("a.markdown", to_markdown),
        ("a.sarif", to_sarif),
        ("b/a.sarif.json", to_sarif),
    ],
)
def test_suffixes(name: str, expected: object) -> None:
    assert find_writer(Path(name)) is expected


def test_unknown_suffix() -> None:
    with pytest.raises(ConfigError) as error:
        find_writer(Path("out.txt"))
    assert str(error.value) == (
        "--starcoder-report=out.txt: the suffix '.txt' is not supported. "
        "Use one of .json, .markdown, .md, .sarif, .sarif.json."
    )


@pytest.mark.parametrize(
    "report", [REPORT, EMPTY, fill_with(HOSTILE)], ids=["full", "empty", "hostile"]
)
def test_json_schema(report: Report) -> None:
    jsonschema.validate(json.loads(to_json(report)), schema())


def test_schema_of_guesses() -> None:
    for change in ({"by": None}, {"label": "observed"}):
        record = json.loads(to_json(REPORT))
        guess = record["causes"][0]["statements"][-1]
        guess.update(change)
        if guess["by"] is None:
            del guess["by"]
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(record, schema())


def test_json() -> None:
    cause = json.loads(to_json(REPORT))["causes"][0]
    assert cause["tests"] == list(EXPLANATION.nodeids)
    assert cause["rerun"] == [EXPLANATION.nodeids[0]]
    assert cause["suspects"][0] == {
        "path": "shop/pricing.py",
        "line": 14,
        "score": 0.5,
        "source": "SUSPECTTEXT",
        "reasons": ["changed 2 days ago, 1f3c9ab"],
    }
    assert cause["not_in_the_evidence"] == ["billing.py"]


def test_sarif() -> None:
    run = json.loads(to_sarif(REPORT))["runs"][0]
    [result] = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "shop/pricing.py", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 14},
    }
    assert result["ruleId"] == run["tool"]["driver"]["rules"][0]["id"] == "AssertionError"
    assert result["message"]["text"].startswith("Observed: SEENTEXT.")
    assert (
        "Guessed by tiny:1b, machine-generated and unchecked: GUESSTEXT"
        in result["message"]["text"]
    )
    assert result["relatedLocations"][-1]["message"]["text"] == "suspect: SUSPECTTEXT"


def test_sarif_fingerprint() -> None:
    moved = replace(EXPLANATION, line=99, seen="got 3, not '7'")
    other = replace(EXPLANATION, seen="got 5, not 'x'")
    prints = [
        json.loads(to_sarif(Report((explanation,), 1)))["runs"][0]["results"][0][
            "partialFingerprints"
        ]
        for explanation in (moved, other, replace(EXPLANATION, exception="KeyError"))
    ]
    assert prints[0] == prints[1] != prints[2]


def test_sarif_without_a_place() -> None:
    text = to_sarif(Report((replace(EXPLANATION, path="", line=0),), 1))
    assert "locations" not in json.loads(text)["runs"][0]["results"][0]


@given(st.one_of(st.just(HOSTILE), st.text(max_size=200)))
@example("<`")
def test_hostile_text(text: str) -> None:
    report = fill_with(text)
    json.loads(to_json(report))
    json.loads(to_sarif(report))
    markdown = to_markdown(report)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", markdown)
    outside = re.sub(
        r"(\\.)|(`+)(?!`).*?(?<!`)\2(?!`)", r"\1", markdown, flags=re.DOTALL
    )  # `\``` begins no code
    headings = [line for line in outside.split("\n") if line.startswith("#")]
    assert len(headings) == 2, "its own two headings"
    assert not re.search(
        r"<(?!/?(?:details|summary)\b)|(?<!\\)!\[|(?<![\w;])@\w|(?<!&)#\d", outside
    )
    for line in workflow_commands(report):
        assert "\n" not in line
        assert line.startswith("::error ")
    assert ElementTree.fromstring(add_explanations(JUNIT, report)) is not None


def test_markdown_folds_many_tests() -> None:
    explanation = replace(EXPLANATION, nodeids=tuple(f"t.py::test_{number}" for number in range(7)))
    text = to_markdown(Report((explanation,), 7))
    assert "<details><summary>All 7 tests</summary>" in text
    assert all(f"t.py::test_{number}" in text for number in range(7))


def test_write_report(tmp_path: Path) -> None:
    write_report(tmp_path / "a" / "b" / "out.md", "text \udc00\n")
    assert (tmp_path / "a" / "b" / "out.md").read_text() == "text \\udc00\n"
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["out.md"]


def test_unwritable_report(tmp_path: Path) -> None:
    (tmp_path / "out.md").mkdir()
    with pytest.raises(OSError, match=r"out\.md"):
        write_report(tmp_path / "out.md", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["out.md"]


# --- JUnit ---

JUNIT = """<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest">
<testcase classname="tests.test_shop.TestShop" name="test_mean[1-a b]">
<failure message="x">y</failure></testcase>
<testcase classname="tests.test_shop" name="test_other">
<properties><property name="own" value="1"/></properties><error/></testcase>
<testcase classname="tests.test_shop" name="test_fine"/>
</testsuite></testsuites>"""


def test_junit_properties() -> None:
    root = ElementTree.fromstring(add_explanations(JUNIT, REPORT))
    found = [
        [(p.get("name"), p.get("value")) for p in case.iter("property")]
        for case in root.iter("testcase")
    ]
    assert ("starcoder.observed.seen", "SEENTEXT") in found[0]
    assert ("starcoder.checked.replay", "REPLAYTEXT") in found[0]
    guess = (
        "GUESSTEXT names billing.py (not in the evidence) (machine-generated by tiny:1b, unchecked)"
    )
    assert ("starcoder.guessed.why", guess) in found[0]
    assert found[1][0] == ("own", "1")
    assert found[1][1:] == found[0]
    assert found[2] == []


@pytest.mark.parametrize(
    "text", ["", "no xml", "<testsuites/>", "<testsuite><testcase name='a'/></testsuite>"]
)
def test_no_junit_file(text: str) -> None:
    assert add_explanations(text, REPORT) == text


@pytest.mark.parametrize(
    "options", [[], ["--junit-prefix=own.prefix"], ["-o", "junit_family=xunit1"]]
)
def test_junit_files_of_pytest(pytester: pytest.Pytester, options: list[str]) -> None:
    folder = pytester.mkdir("deep")
    (folder / "test_it.py").write_text(
        "import pytest\n"
        "class TestA:\n"
        "    @pytest.mark.parametrize('x', ['a.b::c/d[e]'])\n"
        "    def test_b(self, x): assert 0\n"
        "@pytest.fixture\n"
        "def db(): raise OSError\n"
        "def test_db(db): pass\n"
    )
    pytester.runpytest("--junitxml=out.xml", *options)
    nodeids = ("deep/test_it.py::TestA::test_b[a.b::c/d[e]]", "deep/test_it.py::test_db")
    prefix = "own.prefix" if options and "prefix" in options[0] else ""
    xml = add_explanations(
        Path("out.xml").read_text(), Report((replace(EXPLANATION, nodeids=nodeids),), 2), prefix
    )
    cases = list(ElementTree.fromstring(xml).iter("testcase"))
    assert [len(list(case.iter("properties"))) for case in cases] == [1, 1]


def test_annotations() -> None:
    [line] = workflow_commands(REPORT, "sub/")
    assert line.startswith(
        "::error file=sub/shop/pricing.py,line=14,title=AssertionError%2C 2 tests::"
        "Observed: SEENTEXT."
    )
    assert len(workflow_commands(Report((EXPLANATION,) * 30, 30))) == 10


# --- the change that broke it ---

DELETED_FILE = BrokenBy("shop/gone.py", 1, 0, "-old", whole=True)
FAILED_AT = " at shop/pricing.py%3A14"
LONG = "\n".join(f"+line {number}" for number in range(300))
NEW_FILE = BrokenBy("shop/new.py", 1, 300, LONG, whole=True)


def broken_by(*pieces: BrokenBy) -> Report:
    breakage = Breakage(pieces, since="the last commit", failing=("t.py::a",))
    return Report((replace(EXPLANATION, breakage=breakage),), 2)


def test_json_of_change() -> None:
    broke = json.loads(to_json(REPORT))["causes"][0]["broke"]
    assert broke["pieces"][0] == {
        "path": "shop/pricing.py",
        "line": 14,
        "last": 14,
        "diff": "-REMOVEDTEXT\n+ADDEDTEXT",
        "commit": "1f3c9ab SUBJECTTEXT",
    }
    assert [[piece["line"] for piece in pieces] for pieces in broke["either"]] == [[9]]
    assert broke["verdict"] == BREAKAGE.verdict
    assert broke["context"] == BREAKAGE.context
    assert broke["left_out"] == ["LEFTOUTTEXT (binary)"]
    assert (broke["runs"], broke["seconds"], broke["confinement"]) == (12, 0.512, "kernel")


def test_json_of_long_change() -> None:
    text = to_json(broken_by(NEW_FILE))
    jsonschema.validate(json.loads(text), schema())
    [piece] = json.loads(text)["causes"][0]["broke"]["pieces"]
    assert piece["diff"] == LONG


def test_markdown_of_change() -> None:
    lines = to_markdown(REPORT).split("\n")
    start = lines.index("`shop/pricing.py:14`")
    assert lines[start : start + 18] == [
        "`shop/pricing.py:14`",
        "",
        "```diff",
        "-REMOVEDTEXT",
        "+ADDEDTEXT",
        "```",
        "",
        "`tests/conftest.py:3`",
        "",
        "```diff",
        "+SUPPORTTEXT",
        "+MORETEXT",
        "```",
        "",
        "`shop/tax.py:9 (1 line deleted here)`",
        "",
        "```diff",
        "-DELETEDTEXT",
    ]


def test_markdown_of_single_change() -> None:
    text = to_markdown(broken_by(BrokenBy("shop/tax.py", 9, 9, "-old\n+new")))
    assert text.count("shop/tax.py") == 1
    assert "\n```diff\n-old\n+new\n```\n" in text


def test_markdown_of_long_change() -> None:
    text = to_markdown(broken_by(NEW_FILE))
    assert "+line 58\n… 241 more lines\n```" in text


def test_sarif_of_changes() -> None:
    [result] = json.loads(to_sarif(REPORT))["runs"][0]["results"]
    related = result["relatedLocations"]
    places = []
    for location in related:
        place = location["physicalLocation"]
        uri, line = place["artifactLocation"]["uri"], place["region"]["startLine"]
        places.append(f"{uri}:{line}")
    assert places == [
        "shop/pricing.py:14",
        "tests/conftest.py:3",
        "shop/tax.py:8",
        "shop/pricing.py:14",
    ]
    assert [location["id"] for location in related] == [1, 2, 3, 4]
    assert related[0]["message"]["text"] == "broken by:\n-REMOVEDTEXT\n+ADDEDTEXT"


def test_sarif_of_long_change() -> None:
    [result] = json.loads(to_sarif(broken_by(NEW_FILE)))["runs"][0]["results"]
    text = result["relatedLocations"][0]["message"]["text"]
    assert text.endswith("+line 18\n… 281 more lines")


def test_junit_property_of_change() -> None:
    root = ElementTree.fromstring(add_explanations(JUNIT, REPORT))
    values = []
    for entry in next(root.iter("properties")):
        if entry.get("name") == "starcoder.checked.broke":
            values.append(entry.get("value"))
    assert values == [
        "after tests/test_flags.py::test_first: it leaves STATETEXT changed",
        f"{BREAKAGE.verdict} ({BREAKAGE.context})",
    ]


@pytest.mark.parametrize(
    ("pieces", "place", "failed"),
    [
        ([BrokenBy("shop/tax.py", 3, 3, "-a\n+b")], "tax.py,line=3", FAILED_AT),
        ([BrokenBy("shop/tax.py", 9, 8, "-a")], "tax.py,line=8", FAILED_AT),
        ([BrokenBy("shop/tax.py", 1, 0, "-a")], "tax.py,line=1", FAILED_AT),
        ([DELETED_FILE, NEW_FILE], "new.py,line=1", FAILED_AT),
        ([DELETED_FILE], "pricing.py,line=14", ""),
        ([BrokenBy("shop/pricing.py", 14, 14, "-a\n+b")], "pricing.py,line=14", ""),
    ],
    ids=[
        "change",
        "deletion",
        "deletion at the start",
        "renamed file",
        "deleted file",
        "same line",
    ],
)
def test_annotation_of_change(pieces: list[BrokenBy], place: str, failed: str) -> None:
    """If it is not on the line that failed, the title has that line."""
    [line] = workflow_commands(broken_by(*pieces), "sub/")
    title = f"AssertionError{failed}%2C 2 tests"
    assert line.startswith(f"::error file=sub/shop/{place},title={title}::")
    assert "since the last commit" in line


def test_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "adding-a-report-format.md").read_text()
    assert all(f"`{suffix}`" in page for suffix in FORMATS)
