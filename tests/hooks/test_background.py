"""The review in the background, as git's own hooks run it: real commits, rebases and pushes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.repositories import DIVIDES, PRICING, committed, git, repository, staged, written
from support.servers import FakeOllama

from pytest_starcoder.review import background
from pytest_starcoder.review.commit_queue import CommitQueue, Lock

PROGRAM = str(Path(sys.executable).with_name("starcoder-review"))
COMMENT = "An empty list divides by zero."
FINDING = f"shop/pricing.py:6: error: {COMMENT}  (starcoder2:7b)"
HALVES = "def half(x, y):\n    return x / y\n"


@pytest.fixture
def model(ollama_double: FakeOllama) -> FakeOllama:
    ollama_double.answer = lambda prompt: (
        "changes_required" if prompt.endswith("_state>") else f" {COMMENT}"
    )
    ollama_double.likelihood = -0.1
    return ollama_double


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Return a repository with the hook after commits and before pushes, and a remote."""
    folder = repository(tmp_path / "project")
    hooked(folder)
    git(tmp_path, "init", "--quiet", "--bare", str(tmp_path / "remote"))
    git(folder, "remote", "add", "origin", str(tmp_path / "remote"))
    return folder


def hooked(folder: Path, *options: str) -> None:
    for name in ("post-commit", "pre-push"):
        path = folder / ".git" / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nexec '{PROGRAM}' --background {' '.join(options)}\n")
        path.chmod(0o755)


def commit(folder: Path, files: dict[str, str], message: str, *options: str) -> str:
    """Commit files and return what the user sees."""
    staged(folder, files)
    return seen(folder, "commit", "--quiet", f"--message={message}", *options)


def seen(folder: Path, *arguments: str, status: int = 0, **environment: str) -> str:
    """Return what the user sees of a git command, which must exit with `status`."""
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **environment}
    return subprocess.run(
        [PROGRAM, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        input="",
        env=variables,
    )


def state(folder: Path, name: str) -> list[str]:
    """Return the names in a folder of the background review."""
    path = folder / ".git/starcoder/background" / name
    return sorted(entry.name for entry in path.iterdir()) if path.exists() else []


def settled(folder: Path) -> None:
    """Wait until no review process is running."""
    until = time.monotonic() + 60
    queue = CommitQueue(str(folder / ".git"))
    while not queue.lock.take():
        assert time.monotonic() < until, "the review in the background does not end"
        time.sleep(0.05)
    queue.lock.release()


# --- what is reported, and when -----------------------------------------------------------------


@pytest.mark.usefixtures("model")
def test_the_next_commit_and_the_push_print(top: Path) -> None:
    assert commit(top, {"shop/pricing.py": DIVIDES}, "divide") == ""
    settled(top)
    shown = commit(top, {"other.py": "a = 1\n"}, "other")
    assert shown.count(FINDING) == 1
    assert "Reviewed in the background: " in shown
    assert "1 of 1 hunk reviewed, 1 finding, " in shown
    settled(top)
    assert FINDING not in commit(top, {"third.py": "a = 1\n"}, "third")
    settled(top)
    pushed = seen(top, "push", "origin", "main", status=1)
    assert pushed.count(FINDING) == 1
    assert f"other.py:1: error: {COMMENT}" in pushed
    assert (
        "Push again to go on: a finding stops a push only once. Accept: starcoder-review --accept"
        in pushed
    )
    # Reported once: now the push goes through.
    assert FINDING not in seen(top, "push", "origin", "main")
    assert git(top, "ls-remote", "origin", "main").startswith(git(top, "rev-parse", "HEAD").strip())


@pytest.mark.slow
def test_four_commits_have_four_reports(top: Path, model: FakeOllama) -> None:
    model.delay = 0.3
    for number in range(4):
        assert commit(top, {f"m{number}.py": HALVES}, f"number {number}") == ""
    settled(top)
    shown = commit(top, {"last.py": "a = 1\n"}, "last")
    for number in range(4):
        assert f" number {number}\nm{number}.py:2: error: {COMMENT}" in shown
    assert state(top, "new") == []
    last = run(top, "--last")
    assert last.stdout.strip() == shown.strip()
    record = json.loads(run(top, "--last", "--format=json").stdout)
    assert (record["change"], len(record["findings"])) == ("4 commits", 4)
    assert run(top, "--accept").stdout.startswith("4 findings accepted")
    settled(top)


def test_what_is_clean_does_not_fail(top: Path, model: FakeOllama) -> None:
    model.answer = "approved"
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    settled(top)
    done = run(top, "--background")
    assert done.returncode == 0
    assert done.stdout.endswith(" s (starcoder2:7b on Ollama).\n")
    assert "no findings" in done.stdout
    assert run(top, "--background").stdout == ""
    settled(top)


@pytest.mark.slow
def test_what_was_mended_stops_no_push(top: Path, model: FakeOllama) -> None:
    commit(top, {"shop/pricing.py": DIVIDES, "half.py": HALVES}, "divide")
    settled(top)
    model.answer = "approved"
    commit(top, {"shop/pricing.py": DIVIDES.replace("/ len(xs)", "/ (len(xs) or 1)")}, "mend")
    settled(top)
    shown = seen(top, "push", "origin", "main", status=1)
    assert FINDING not in shown
    assert f"half.py:2: error: {COMMENT}" in shown


@pytest.mark.slow
@pytest.mark.usefixtures("model")
def test_what_is_accepted_stops_no_push(top: Path) -> None:
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    settled(top)
    run(top, "--background")
    assert run(top, "--accept").stdout.startswith("1 finding accepted")
    assert FINDING not in seen(top, "push", "origin", "main")


@pytest.mark.slow
@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("option", ["--fail-on=never", "--advisory"])
def test_a_push_need_not_be_stopped(top: Path, option: str) -> None:
    hooked(top, option)
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    settled(top)
    shown = seen(top, "push", "origin", "main")
    assert FINDING in shown
    assert "Push again" not in shown


@pytest.mark.slow
def test_a_push_names_what_is_not_reviewed(
    top: Path, model: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.delay = 6.0
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    assert "Not reviewed yet: " in seen(top, "push", "origin", "main")
    monkeypatch.setenv("STARCODER_REVIEW_REQUIRE_MODEL", "on")
    git(top, "push", "--quiet", "--no-verify", "--delete", "origin", "main")
    shown = seen(top, "push", "origin", "main", status=1)
    assert "divide\n" in shown
    model.delay = 0
    settled(top)


# --- every commit once, by one process ------------------------------------------------------


@pytest.mark.slow
def test_a_rebase_is_reviewed_by_one_process(top: Path, model: FakeOllama) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def answer(prompt: str) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.1)
        with lock:
            running -= 1
        return "changes_required" if prompt.endswith("_state>") else f" {COMMENT}"

    model.answer = answer
    git(top, "checkout", "--quiet", "-b", "feature")
    for number in range(8):
        commit(top, {f"m{number}.py": HALVES}, f"number {number}")
    git(top, "checkout", "--quiet", "main")
    commit(top, {"base.py": "a = 1\n"}, "base")
    git(top, "checkout", "--quiet", "feature")
    seen(top, "rebase", "main")
    settled(top)
    assert most == 1
    prompts = model.prompts()
    assert len(prompts) == len(set(prompts))
    assert {name.partition("-")[2] for name in state(top, "queue")} == set()
    shown = commit(top, {"last.py": "a = 1\n"}, "last")
    for path in (top / ".git").rglob("shown/*.json"):
        shown += json.loads(path.read_text())["title"]
    for number in range(8):
        assert f"number {number}" in shown
    settled(top)


@pytest.mark.slow
def test_an_amended_commit_is_dropped(top: Path, model: FakeOllama) -> None:
    model.delay = 0.5
    commit(top, {"first.py": HALVES}, "first")
    commit(top, {"second.py": HALVES}, "second")
    old = git(top, "rev-parse", "HEAD").strip()
    commit(top, {"second.py": HALVES.replace("half", "quarter")}, "second, again", "--amend")
    new = git(top, "rev-parse", "HEAD").strip()
    settled(top)
    reviewed = " ".join(state(top, "new") + state(top, "shown"))
    assert old not in reviewed
    assert new in reviewed


@pytest.mark.slow
def test_a_killed_review_is_taken_up_again(top: Path, model: FakeOllama) -> None:
    model.delay = 30.0
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    until = time.monotonic() + 20
    while not model.asked() and time.monotonic() < until:
        time.sleep(0.05)
    (process,) = working(top)
    os.kill(process, signal.SIGKILL)
    settled(top)
    model.delay = 0.0
    assert len(state(top, "queue")) == 1
    commit(top, {"other.py": "a = 1\n"}, "other")
    settled(top)
    assert FINDING in commit(top, {"third.py": "a = 1\n"}, "third")
    settled(top)


def working(folder: Path) -> list[int]:
    """Return the processes that review in a repository, from /proc."""
    if not Path("/proc").is_dir():
        pytest.skip("processes are not files here")
    processes = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = (process / "cwd").readlink() == folder / ".git/starcoder/background"
            if here and b"review.background_worker" in (process / "cmdline").read_bytes():
                processes.append(int(process.name))
        except OSError:
            continue
    return processes


@pytest.mark.slow
def test_a_model_that_was_away_is_asked_again(
    top: Path, model: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    observed = DIVIDES.replace("xs[-1]", "xs[len(xs)]")
    commit(top, {"shop/pricing.py": observed}, "divide")
    settled(top)
    shown = commit(top, {"other.py": "a = 1\n"}, "other")
    assert "xs[len(xs)] is one past the last element" in shown
    assert "Not reviewed: shop/pricing.py (Nothing answers at http://127.0.0.1:9" in shown
    assert "It will be tried again after the next commit." in shown
    settled(top)
    monkeypatch.setenv("OLLAMA_HOST", model.url)
    commit(top, {"third.py": "a = 1\n"}, "third")
    settled(top)
    shown = commit(top, {"fourth.py": "a = 1\n"}, "fourth")
    assert FINDING in shown
    assert "xs[len(xs)] is one past" not in shown
    settled(top)


@pytest.mark.slow
@pytest.mark.usefixtures("model")
def test_worktrees_share_what_was_found(top: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    git(top, "worktree", "add", "--quiet", str(other))
    commit(other, {"shop/pricing.py": DIVIDES}, "divide")
    settled(top)
    assert FINDING in commit(top, {"a.py": "a = 1\n"}, "in the first")
    settled(top)


@pytest.mark.slow
def test_a_worktree_may_be_gone(top: Path, tmp_path: Path, model: FakeOllama) -> None:
    other = tmp_path / "other"
    git(top, "worktree", "add", "--quiet", str(other))
    model.delay = 1.0
    commit(top, {"a.py": HALVES}, "keeps it busy")
    commit(other, {"shop/pricing.py": DIVIDES}, "divide")
    git(top, "worktree", "remove", "--force", str(other))
    settled(top)
    assert FINDING in commit(top, {"b.py": "b = 1\n"}, "in the first")
    settled(top)


@pytest.mark.slow
def test_of_a_merge_only_its_own_lines_are_reviewed(top: Path, model: FakeOllama) -> None:
    git(top, "checkout", "--quiet", "-b", "feature")
    committed(top, {"theirs.py": HALVES, "shop/pricing.py": PRICING + "\nA = 1\n"}, "theirs")
    settled(top)
    git(top, "checkout", "--quiet", "main")
    committed(top, {"shop/pricing.py": PRICING + "\nB = 2\n"}, "ours")
    settled(top)
    model.requests.clear()
    seen(top, "merge", "feature", status=1)
    commit(top, {"shop/pricing.py": PRICING + "\nA = 1\nB = 2\nC = len([]) / 0\n"}, "merge")
    settled(top)
    prompts = "".join(model.prompts())
    assert "+C = len([]) / 0" in prompts
    assert "def half" not in prompts


# --- what is not a commit ----------------------------------------------------------------------


def test_outside_a_repository_it_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, "--background")
    assert done.returncode == 2
    assert "is not in the working tree of a git repository" in done.stderr


def test_before_the_first_commit_it_says_so(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    done = run(tmp_path, "--background")
    assert done.returncode == 2
    assert done.stderr.startswith("starcoder-review: There is no commit 'HEAD' here.")


def test_a_bad_option_is_told_at_once(top: Path) -> None:
    done = run(top, "--background", "--no-such-option")
    assert done.returncode == 2
    assert state(top, "queue") == []


def test_a_folder_that_cannot_be_written_is_named(top: Path) -> None:
    (top / ".git/starcoder").write_text("a file")
    done = run(top, "--background")
    assert done.returncode == 1
    commit = git(top, "rev-parse", "HEAD")[:10]
    assert done.stdout == (
        f"{commit} is not reviewed: {top}/.git/starcoder/background cannot be written (Not a directory).\n"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("model")
def test_a_bad_setting_is_named(top: Path) -> None:
    written(top, {".env": "STARCODER_NONSENSE=1\n", ".gitignore": ".env\n"})
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    settled(top)
    shown = commit(top, {"a.py": "a = 1\n"}, "next")
    assert "Not reviewed: the whole commit (" in shown
    settled(top)


@pytest.mark.slow
def test_the_first_commit_of_all_is_reviewed(tmp_path: Path, model: FakeOllama) -> None:
    git(tmp_path, "init", "--quiet")
    committed(tmp_path, {"a.py": PRICING}, "first")
    run(tmp_path, "--background")
    settled(tmp_path)
    assert "def mean(xs):" in "".join(model.prompts())


def test_the_subcommand_does_not_wait_either(top: Path, model: FakeOllama) -> None:
    model.delay = 4.0
    command = [
        str(Path(PROGRAM).with_name("starcoder")),
        "review",
        "--background",
        "--starcoder-model=starcoder2:7b",
    ]
    subprocess.run(command, cwd=top, check=True, stdin=subprocess.DEVNULL)
    assert len(state(top, "queue")) == 1
    model.delay = 0.0
    settled(top)


@pytest.mark.slow
@pytest.mark.usefixtures("model")
def test_a_bad_setting_hides_no_report(top: Path) -> None:
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    settled(top)
    shown = seen(top, "push", "origin", "main", status=1, STARCODER_REVIEW_FAIL_ON="huge")
    assert "starcoder-review: STARCODER_REVIEW_FAIL_ON: review_fail_on wants one of" in shown
    assert FINDING in seen(top, "push", "origin", "main", status=1)


@pytest.mark.slow
def test_a_required_model_stops_a_push(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARCODER_REVIEW_REQUIRE_MODEL", "on")
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    settled(top)
    shown = seen(top, "push", "origin", "main", status=1)
    assert "Not reviewed: shop/pricing.py (Nothing answers at " in shown
    assert "Push again" not in shown


@pytest.mark.slow
def test_a_commit_is_not_reviewed_twice(top: Path, model: FakeOllama) -> None:
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    settled(top)
    assert FINDING in run(top, "--background").stdout
    settled(top)
    assert run(top, "--background").stdout == ""
    assert state(top, "queue") == state(top, "new") == []


# --- in a foreground review -----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("model")
def test_a_review_by_hand_tells_too(top: Path) -> None:
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    settled(top)
    # A framework hides the output of a passing review: its post-commit hook reports instead.
    assert COMMENT not in run(top, PRE_COMMIT="1").stdout
    assert f"shop/pricing.py:6: error: {COMMENT}" in run(top).stdout
    assert COMMENT not in run(top).stdout


@pytest.mark.slow
def test_a_push_asks_nothing_again(top: Path, model: FakeOllama) -> None:
    before = git(top, "rev-parse", "HEAD").strip()
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    settled(top)
    model.requests.clear()
    done = run(top, PRE_COMMIT="1", PRE_COMMIT_FROM_REF=before, PRE_COMMIT_TO_REF="HEAD")
    assert done.returncode == 1
    assert FINDING in done.stdout
    assert not model.asked()


@pytest.mark.slow
def test_a_review_by_hand_tells_what_waits(top: Path, model: FakeOllama) -> None:
    model.delay = 3.0
    commit(top, {"shop/pricing.py": DIVIDES}, "divide")
    assert "1 commit waits for review in the background.\n" in run(top).stdout
    model.delay = 0.0
    settled(top)


# --- how a push is recognised --------------------------------------------------------------------

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
def test_what_git_tells_a_push(text: str, expected: list[tuple[str, str]] | None) -> None:
    assert background._parse_refs(text) == expected


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
def test_what_a_framework_tells_of_a_push(
    variables: dict[str, str], expected: list[tuple[str, str]] | None
) -> None:
    assert background._pushed_refs({"PRE_COMMIT": "1", **variables}) == expected


def test_an_open_pipe_is_not_waited_for(top: Path) -> None:
    lock = Lock(CommitQueue(str(top / ".git")).lock.path)
    assert lock.take()  # no review is started
    reading, writing = os.pipe()
    started = time.monotonic()
    subprocess.run([PROGRAM, "--background"], cwd=top, stdin=reading, check=True, timeout=30)
    assert time.monotonic() - started < 20, "it ends though nobody has closed its standard input"
    os.close(reading)
    os.close(writing)
    lock.release()
