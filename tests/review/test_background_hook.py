"""The background review after commits and at pushes, with its worker run in this process."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.repositories import DIVIDES, PRICING, committed, git, repository, staged, written
from support.reviews import COMMENT, comment, run_review
from support.servers import FakeOllama

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.review import background_hook
from pytest_starcoder.review.background_worker import BackgroundWorker, review_commit
from pytest_starcoder.review.commit_queue import CommitQueue
from pytest_starcoder.review.pending_reports import PendingReports

FINDING = f"shop/pricing.py:6: error: {COMMENT}  (starcoder2:7b)"
HALVES = "def half(x, y):\n    return x / y\n"

Hook = Callable[..., tuple[int, str]]
"""Runs the background hook; returns its exit status and output."""


@pytest.fixture
def model(ollama_double: FakeOllama) -> FakeOllama:
    ollama_double.answer, ollama_double.likelihood = comment, -0.1
    return ollama_double


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository in which no worker starts by itself."""
    folder = repository(tmp_path / "project")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(background_hook, "start_worker", lambda _queue: None)
    monkeypatch.setattr(background_hook, "PUSH_PATIENCE", 0.0)
    return folder


@pytest.fixture
def hook(capsys: pytest.CaptureFixture[str]) -> Hook:
    def run(is_advisory: bool = False, **environ: str) -> tuple[int, str]:
        status = background_hook.run({}, environ, is_advisory=is_advisory)
        return status, capsys.readouterr().out

    return run


def push(top: Path, commits: int = 1) -> dict[str, str]:
    """Return the variables of pre-commit for the push of the last commits."""
    base = git(top, "rev-parse", f"HEAD~{commits}").strip()
    tip = git(top, "rev-parse", "HEAD").strip()
    return {"PRE_COMMIT": "1", "PRE_COMMIT_FROM_REF": base, "PRE_COMMIT_TO_REF": tip}


def work(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do the work of the background process."""
    queue = CommitQueue(str(top / ".git"))
    with monkeypatch.context() as patch:
        patch.chdir(queue.folder)
        BackgroundWorker(queue, PendingReports(queue), review_commit).run()


@pytest.fixture
def commit(top: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that commits files and reviews them; it returns the hook's output."""

    def function(files: dict[str, str], message: str = "divide") -> str:
        committed(top, files, message)
        _, output = hook()
        work(top, monkeypatch)
        return output

    return function


Commit = Callable[..., str]


# --- after a commit -------------------------------------------------------------------------


@pytest.mark.usefixtures("model")
def test_next_commit_prints_reports(top: Path, commit: Commit) -> None:
    assert commit({"a.py": HALVES}, "number 0") == ""
    shown = commit({"c.py": "a = 1\n"}, "last")
    assert f" number 0\na.py:2: error: {COMMENT}" in shown
    assert run_review(top, "--last").stdout.strip() == shown.strip()
    assert run_review(top, "--accept").stdout.startswith("1 finding accepted")
    assert f"a.py:2: error: {COMMENT}" not in commit({"d.py": "a = 1\n"}, "after the last")


@pytest.mark.usefixtures("model")
def test_reports_are_merged(top: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        committed(top, {f"m{number}.py": HALVES}, f"number {number}")
        hook()
    work(top, monkeypatch)
    status, shown = hook()
    assert status == 1
    for number in range(4):
        assert f" number {number}\nm{number}.py:2: error: {COMMENT}" in shown
    record = json.loads(run_review(top, "--last", "--format=json").stdout)
    assert (record["change"], len(record["findings"])) == ("4 commits", 4)
    assert run_review(top, "--accept").stdout.startswith("4 findings accepted")


def test_clean_commit_passes(commit: Commit, hook: Hook, model: FakeOllama) -> None:
    model.answer = "approved"
    commit({"shop/pricing.py": DIVIDES})
    status, shown = hook()
    assert status == 0
    assert "no findings" in shown
    assert shown.endswith(" s (starcoder2:7b on Ollama).\n")
    assert hook() == (0, "")


def test_reviewed_commit_is_not_queued(
    top: Path, commit: Commit, hook: Hook, model: FakeOllama
) -> None:
    commit({"shop/pricing.py": DIVIDES})
    hook()
    assert CommitQueue(str(top / ".git")).hashes() == set()


def test_amended_commit_is_dropped(
    top: Path, hook: Hook, model: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(top, {"a.py": HALVES}, "first")
    hook()
    staged(top, {"a.py": HALVES.replace("half", "quarter")})
    git(top, "commit", "--quiet", "--amend", "--message=again")
    hook()
    work(top, monkeypatch)
    _, shown = hook()
    assert " again\n" in shown
    assert " first\n" not in shown


def test_unavailable_model_is_retried(
    top: Path, commit: Commit, hook: Hook, model: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
        commit({"shop/pricing.py": DIVIDES.replace("xs[-1]", "xs[len(xs)]")})
    _, shown = hook()
    assert "xs[len(xs)] is one past the last element" in shown
    assert "Not reviewed: shop/pricing.py (Nothing answers at http://127.0.0.1:9" in shown
    assert "It will be tried again after the next commit." in shown
    work(top, monkeypatch)
    _, shown = hook()
    assert FINDING in shown
    assert "xs[len(xs)] is one past" not in shown


@pytest.mark.usefixtures("model")
def test_removed_worktree(
    top: Path, tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    git(top, "worktree", "add", "--quiet", str(other))
    committed(other, {"shop/pricing.py": DIVIDES}, "divide")
    monkeypatch.chdir(other)
    hook()
    monkeypatch.chdir(top)
    git(top, "worktree", "remove", "--force", str(other))
    work(top, monkeypatch)
    assert FINDING in hook()[1]


def test_merge(top: Path, hook: Hook, model: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> None:
    git(top, "checkout", "--quiet", "-b", "feature")
    committed(top, {"theirs.py": HALVES, "shop/pricing.py": PRICING + "\nA = 1\n"}, "theirs")
    git(top, "checkout", "--quiet", "main")
    committed(top, {"shop/pricing.py": PRICING + "\nB = 2\n"}, "ours")
    git(top, "merge", "--quiet", "--no-edit", "-X", "ours", "feature")
    staged(top, {"shop/pricing.py": PRICING + "\nA = 1\nB = 2\nC = len([]) / 0\n"})
    git(top, "commit", "--quiet", "--amend", "--no-edit")
    hook()
    work(top, monkeypatch)
    prompts = "".join(model.prompts())
    assert "+C = len([]) / 0" in prompts
    assert "def half" not in prompts


def test_first_commit(
    tmp_path: Path, top: Path, hook: Hook, model: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    git(folder, "init", "--quiet")
    committed(folder, {"a.py": PRICING}, "first")
    monkeypatch.chdir(folder)
    hook()
    work(folder, monkeypatch)
    assert "def mean(xs):" in "".join(model.prompts())


@pytest.mark.usefixtures("model")
def test_invalid_setting_is_reported(top: Path, commit: Commit, hook: Hook) -> None:
    written(top, {".env": "STARCODER_NONSENSE=1\n", ".gitignore": ".env\n"})
    commit({"shop/pricing.py": DIVIDES})
    assert "Not reviewed: the whole commit (" in hook()[1]


# --- at a push ------------------------------------------------------------------------------


@pytest.mark.usefixtures("model")
def test_finding_stops_push_once(top: Path, commit: Commit, hook: Hook) -> None:
    commit({"shop/pricing.py": DIVIDES})
    status, shown = hook(**push(top))
    assert status == 1
    assert FINDING in shown
    assert shown.endswith(
        "Push again to continue: a finding stops a push only once. "
        "Accept: starcoder-review --accept\n"
    )
    assert hook(**push(top)) == (0, "")


def test_fixed_finding_stops_no_push(
    top: Path, commit: Commit, hook: Hook, model: FakeOllama
) -> None:
    commit({"shop/pricing.py": DIVIDES, "half.py": HALVES})
    model.answer = "approved"
    commit({"shop/pricing.py": DIVIDES.replace("/ len(xs)", "/ (len(xs) or 1)")}, "fix")
    status, shown = hook(**push(top, commits=2))
    assert status == 1
    assert FINDING not in shown
    assert f"half.py:2: error: {COMMENT}" in shown


@pytest.mark.usefixtures("model")
def test_accepted_finding_stops_no_push(top: Path, commit: Commit, hook: Hook) -> None:
    commit({"shop/pricing.py": DIVIDES})
    hook()
    assert run_review(top, "--accept").stdout.startswith("1 finding accepted")
    assert hook(**push(top)) == (0, "")


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("fail_on", ["never", "warning"])
def test_push_need_not_be_stopped(
    top: Path, commit: Commit, hook: Hook, monkeypatch: pytest.MonkeyPatch, fail_on: str
) -> None:
    monkeypatch.setenv("STARCODER_REVIEW_FAIL_ON", fail_on)
    commit({"shop/pricing.py": DIVIDES})
    status, shown = hook(is_advisory=fail_on != "never", **push(top))
    assert status == 0
    assert FINDING in shown
    assert "Push again" not in shown


@pytest.mark.usefixtures("model")
def test_push_names_waiting_commits(top: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(top, {"shop/pricing.py": DIVIDES}, "divide")
    hook()
    status, shown = hook(**push(top))
    assert status == 0
    assert shown.startswith("Not reviewed yet: ")
    monkeypatch.setenv("STARCODER_REVIEW_REQUIRE_MODEL", "on")
    status, shown = hook(**push(top))
    assert status == 3
    assert shown.endswith(" divide\n")


@pytest.mark.usefixtures("model")
def test_invalid_setting_hides_no_report(
    top: Path, commit: Commit, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit({"shop/pricing.py": DIVIDES})
    with monkeypatch.context() as patch:
        patch.setenv("STARCODER_REVIEW_FAIL_ON", "huge")
        with pytest.raises(ConfigError, match="review_fail_on must be one of"):
            hook(**push(top))
    assert FINDING in hook(**push(top))[1]


def test_required_model_stops_push(
    top: Path, commit: Commit, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARCODER_REVIEW_REQUIRE_MODEL", "on")
    commit({"shop/pricing.py": DIVIDES})
    status, shown = hook(**push(top))
    assert status == 3
    assert "Not reviewed: shop/pricing.py (Nothing answers at " in shown
    assert "Push again" not in shown


# --- in a foreground review -----------------------------------------------------------------


@pytest.mark.usefixtures("model")
def test_foreground_review_prints_reports(top: Path, commit: Commit) -> None:
    commit({"shop/pricing.py": DIVIDES})
    # A framework hides the output of a passing review: its post-commit hook reports instead.
    assert COMMENT not in run_review(top, PRE_COMMIT="1").stdout
    assert f"shop/pricing.py:6: error: {COMMENT}" in run_review(top).stdout
    assert COMMENT not in run_review(top).stdout


def test_foreground_review_uses_cache(top: Path, commit: Commit, model: FakeOllama) -> None:
    commit({"shop/pricing.py": DIVIDES})
    model.requests.clear()
    done = run_review(top, **push(top))
    assert done.returncode == 1
    assert FINDING in done.stdout
    assert not model.asked()


@pytest.mark.usefixtures("model")
def test_foreground_review_counts_waiting(top: Path, hook: Hook) -> None:
    committed(top, {"shop/pricing.py": DIVIDES}, "divide")
    hook()
    assert "1 commit waits for review in the background.\n" in run_review(top).stdout


# --- problems -------------------------------------------------------------------------------


def test_outside_repository(tmp_path: Path) -> None:
    done = run_review(tmp_path, "--background")
    assert done.returncode == 2
    assert "is not in the working tree of a git repository" in done.stderr


def test_before_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    done = run_review(tmp_path, "--background")
    assert done.returncode == 2
    assert done.stderr.startswith("starcoder-review: There is no commit 'HEAD' here.")


def test_invalid_option(top: Path) -> None:
    done = run_review(top, "--background", "--no-such-option")
    assert done.returncode == 2
    assert CommitQueue(str(top / ".git")).hashes() == set()


def test_unwritable_folder(top: Path, hook: Hook) -> None:
    written(top, {".git/starcoder": "a file"})
    name = git(top, "rev-parse", "HEAD")[:10]
    folder = f"{top}/.git/starcoder/background"
    message = f"{name} is not reviewed: {folder} cannot be written (Not a directory).\n"
    assert hook() == (1, message)


# --- recognising a push ---------------------------------------------------------------------

ZEROS, SOME, OTHER = "0" * 40, "1a" * 20, "2b" * 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param("hello\n", None, id="other-text"),
        pytest.param(f"refs/heads/a {SOME} refs/heads/a {OTHER}\n", [(SOME, OTHER)], id="update"),
        pytest.param(f"refs/heads/a {SOME} refs/heads/a {ZEROS}\n", [(SOME, "")], id="new-branch"),
        pytest.param(f"(delete) {ZEROS} refs/heads/a {OTHER}\n", [], id="deletion"),
        pytest.param(
            f"a {SOME} a {OTHER}\nb {OTHER} b {ZEROS}\n",
            [(SOME, OTHER), (OTHER, "")],
            id="two-refs",
        ),
        pytest.param(f"a {'1a' * 32} a {'0' * 64}\n", [("1a" * 32, "")], id="sha-256"),
    ],
)
def test_refs_on_stdin(text: str, expected: list[tuple[str, str]] | None) -> None:
    assert background_hook._parse_refs(text) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({}, None, id="after-a-commit"),
        pytest.param(
            {"PRE_COMMIT_FROM_REF": OTHER, "PRE_COMMIT_TO_REF": SOME}, [(SOME, OTHER)], id="range"
        ),
        pytest.param(
            {"PRE_COMMIT_REMOTE_NAME": "o", "PRE_COMMIT_LOCAL_BRANCH": "b"},
            [("b", "")],
            id="first-push",
        ),
    ],
)
def test_variables_of_framework(
    variables: dict[str, str], expected: list[tuple[str, str]] | None
) -> None:
    assert background_hook._pushed_refs({"PRE_COMMIT": "1", **variables}) == expected


def test_open_pipe_is_not_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_hook, "STDIN_PATIENCE", 0.01)
    reading, writing = os.pipe()
    original = os.dup(0)
    os.dup2(reading, 0)
    try:
        assert background_hook._standard_input() == ""
        os.write(writing, b"refs")
        os.close(writing)
        assert background_hook._standard_input() == "refs"
    finally:
        os.dup2(original, 0)
        os.close(original)
        os.close(reading)
