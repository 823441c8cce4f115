"""Tests of the rivals in benchmarks: their servers, their questions, and missing ones."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest
from support.servers import Request

from benchmarks import explainers
from benchmarks.evidence import Sent, charts, rows, unmarked
from benchmarks.explain_cost import two_causes
from benchmarks.explainers import FAILSCOPE, OURS, RIVALS, TRIAGE, Explainer, install, questions
from benchmarks.published import Row
from benchmarks.ranking import FRAME, OCHIAI, RANDOM, Found, chart, tops
from benchmarks.ranking import OURS as RANKED_BY_US
from benchmarks.rivals import NotInstalled


def posted(url: str, body: object) -> dict[str, object]:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return dict(json.load(answer))


@pytest.mark.parametrize(
    ("tool", "path", "told"),
    [(FAILSCOPE, "/api/chat", "OLLAMA_HOST"), (TRIAGE, "/chat/completions", "OPENAI_BASE_URL")],
)
def test_a_rivals_question_is_answered_in_its_form_and_kept(
    tool: Explainer, path: str, told: str
) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
    with tool.server() as (url, requests):
        environment = tool.environment(url)
        model = environment.get("OPENAI_MODEL", "any")
        answer = posted(
            environment[told] + path, {"model": model, "messages": chat, "max_tokens": 99}
        )
    assert questions(requests) == ["Be brief.\nWhy?"]
    assert json.dumps(json.loads(tool.answer)["category"]) in json.dumps(answer).replace("\\", "")


def test_a_question_is_a_prompt_or_all_messages_and_other_requests_are_none() -> None:
    bodies = [None, {"model": "starcoder2"}, {"prompt": "def f():"}]
    assert questions([Request("POST", "/", body, {}) for body in bodies]) == ["def f():"]


def test_a_rival_that_cannot_be_installed_is_a_row_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_folder: Path, name: str, requirements: list[str]) -> Path:
        if name.startswith("failscope"):
            raise NotInstalled("No matching distribution found for failscope==0.3.0")
        return tmp_path / name / requirements[0]

    monkeypatch.setattr(explainers, "environment", refused)
    found, missing = install(tmp_path)
    assert [tool.name for tool in found] == ["pytest-triage 0.1.3"]
    assert missing == [
        Row(
            "failscope 0.3.0", "not installed: No matching distribution found for failscope==0.3.0"
        ),
    ]


def test_without_a_folder_no_rival_is_installed() -> None:
    assert install(None, RIVALS) == ([], [])


def test_the_marks_before_lines_of_a_traceback_are_left_out() -> None:
    assert (
        unmarked(">       return a\nE       Error\n\n  > b\nEnd")
        == "        return a\n        Error\n\n  > b\nEnd"
    )


def test_evidence_is_counted_by_the_program() -> None:
    found = [
        {"ours": Sent(True, 100), "other": Sent(False, 300)},
        {"ours": Sent(True, 200), "other": Sent(True, 900)},
    ]
    assert [row.measured for row in rows("other", [row["other"] for row in found])] == [
        "1 of 2",
        "600 / 900",
    ]
    tools = [Explainer(name, (), (), lambda _url: {}, "ollama", "") for name in ("ours", "other")]
    assert [chart.rows for chart in charts(found, tools)] == [
        (("ours", (2,)), ("other", (1,))),
        (("ours", (150, 200)), ("other", (600, 900))),
    ]


def test_the_generated_suite_has_110_tests_of_two_causes_in_12_files(tmp_path: Path) -> None:
    folder = two_causes(tmp_path / "two")
    texts = [path.read_text("utf-8") for path in folder.glob("test_*.py")]
    assert len(texts) == 12
    assert sum("range(1)" in text for text in texts) == 10
    assert sum("range(50)" in text for text in texts) == 2


def test_a_chart_of_ranks_has_the_shares_in_percent() -> None:
    def found(ours: float) -> Found:
        others = dict.fromkeys((OCHIAI, FRAME, RANDOM), (0.0, 0.5, 1.0))
        hits = {RANKED_BY_US: (ours, 1.0, 1.0), **others}
        return Found(
            "a", hits, 1, (9,), (True,), rerun=True, executed=True, seconds=1.0, reported=True
        )

    cases = [found(1.0), found(0.0)]
    assert tops(cases)[RANKED_BY_US] == (0.5, 1.0, 1.0)
    assert chart("Ranks", cases).rows[0] == (RANKED_BY_US, (50, 100, 100))


def test_ours_is_measured_as_it_stands_here() -> None:
    assert (Path(OURS.requirements[1]) / "pyproject.toml").is_file()
