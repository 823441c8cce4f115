"""What is kept under the git directory, what is accepted, and the function that is called in a process of its own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.review import baseline, forked_call
from pytest_starcoder.review.finding import Finding, Review, Severity
from pytest_starcoder.review.forked_call import ForkedCall
from pytest_starcoder.review.store import ReviewStore
from pytest_starcoder.settings import Settings

FINDING = Finding(
    "shop.py",
    6,
    Severity.ERROR,
    "Divides by zero.",
    source="return sum(xs) / len(xs)",
    definition="mean",
)
REVIEW = Review(
    "what is staged", (FINDING,), total=1, reviewed=1, files=1, model="m", server="Ollama"
)


def test_the_last_report_is_kept_as_text_and_as_json(tmp_path: Path) -> None:
    kept = ReviewStore(tmp_path)
    assert (kept.load(), kept.load_record()) == (None, None)
    kept.save(REVIEW)
    text, record = kept.load(), kept.load_record()
    assert text is not None
    assert record is not None
    assert text.startswith("shop.py:6: error: Divides by zero.")
    assert record["findings"][0]["fingerprint"] == FINDING.fingerprint


def test_where_nothing_can_be_written_nothing_is_kept_and_nothing_raised(tmp_path: Path) -> None:
    (tmp_path / "starcoder").write_text("a file")
    kept = ReviewStore(tmp_path)
    kept.save(REVIEW)
    assert (kept.load(), kept.load_record()) == (None, None)


@pytest.mark.parametrize("content", ["", "{", "[1]", "\udcff"])
def test_a_damaged_report_is_none(tmp_path: Path, content: str) -> None:
    kept = ReviewStore(tmp_path)
    kept.save(REVIEW)
    (kept.folder / "last.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert kept.load_record() is None


def test_answers_are_remembered_under_the_git_directory_unless_a_setting_says_otherwise(
    tmp_path: Path,
) -> None:
    kept = ReviewStore(tmp_path)
    assert kept.cache(Settings()).folder == tmp_path / "starcoder"
    assert kept.cache(Settings(cache="off")).folder is None
    assert kept.cache(Settings(cache="/elsewhere")).folder == Path("/elsewhere")


def test_worktrees_remember_together(tmp_path: Path) -> None:
    worktree = tmp_path / "worktrees" / "other"
    worktree.mkdir(parents=True)
    (worktree / "commondir").write_text("../..\n")
    kept = ReviewStore(worktree)
    assert kept.cache(Settings()).folder == tmp_path / "starcoder"
    assert kept.folder == worktree / "starcoder"


def test_a_baseline_keeps_what_people_wrote_into_it_and_is_sorted_for_merging() -> None:
    record = {"fingerprint": FINDING.fingerprint, "path": "shop.py", "source": FINDING.source}
    text, new = baseline.add_findings("", [record])
    assert new == 1
    assert text == (
        "# Findings of starcoder-review that were accepted. Remove a line, and its finding is shown again.\n"
        f"{FINDING.fingerprint} shop.py: return sum(xs) / len(xs)\n"
    )
    assert baseline.add_findings(text, [record]) == (text, 0)
    other = {
        "fingerprint": replace(FINDING, path="a.py").fingerprint,
        "path": "a.py",
        "source": "x",
    }
    both, new = baseline.add_findings(text, [record, other])
    assert new == 1
    assert both.splitlines()[1].endswith(" a.py: x")
    assert baseline.fingerprints(both) == {record["fingerprint"], other["fingerprint"]}


# --- a function in a process of its own -----------------------------------------------------


def doubled(number: int) -> tuple[int, int]:
    if number < 0:
        raise ConfigError("Negative.", "Take another.")
    return 2 * number, os.getpid()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program without threads: pytest and its plugins may have some."""
    monkeypatch.setattr(forked_call.threading, "active_count", lambda: 1)
    monkeypatch.setattr("warnings.showwarning", lambda *_: None)


@pytest.mark.usefixtures("alone")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_function_is_called_in_a_process_of_its_own() -> None:
    with ForkedCall(__name__, "doubled", ("not.there", "json")) as call:
        call.start(4)
        value, process = call.result()
    assert value == 8
    assert process != os.getpid()


@pytest.mark.usefixtures("alone")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_what_it_raises_is_raised_with_its_hint() -> None:
    with ForkedCall(__name__, "doubled") as call:
        call.start(-1)
        with pytest.raises(ConfigError) as raised:
            call.result()
    assert (raised.value.message, raised.value.hint) == ("Negative.", "Take another.")


@pytest.mark.usefixtures("alone")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_function_that_is_not_called_leaves_no_process() -> None:
    with ForkedCall(__name__, "doubled") as call:
        process = call._pid
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_beside_other_threads_it_is_called_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked_call.threading, "active_count", lambda: 2)
    with ForkedCall(__name__, "doubled") as call:
        call.start(4)
        assert call.result() == (8, os.getpid())
