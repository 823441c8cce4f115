"""Implements `starcoder-review --background`: the part that git waits for.

After a commit it queues the commit, starts the worker unless one is running, and
prints the findings on earlier commits. At a push it prints the findings on the
pushed commits. Both are fast: slow imports happen only when there is something to
report.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterable, Mapping
from itertools import chain

from pytest_starcoder import interpreter
from pytest_starcoder.review.commit_queue import Lock, Queue, shared_folder, write_whole
from pytest_starcoder.review.pending_reports import CommitReport, Reports, merge_records
from pytest_starcoder.source.quick_git import ask_git

TYPE_CHECKING = False  # importing `typing` would take longer than reading a report

if TYPE_CHECKING:
    from typing import Any

    from pytest_starcoder.settings import Settings

PUSH_PATIENCE = 2.0
"""Seconds that a push waits for pending reviews of its commits."""

STDIN_PATIENCE = 0.5
"""Seconds to wait for git to write to the hook's standard input, if it does at all."""

MAX_REFS = 20
"""Maximum number of pushed branches and tags that are checked."""

MAX_PUSHED = 1000
"""Maximum number of pushed commits that are checked, newest first."""

PUSH_AGAIN = (
    "Push again to go on: a finding stops a push only once. Accept: starcoder-review --accept"
)


def run(
    options: Mapping[str, str],
    environ: Mapping[str, str] = os.environ,
    *,
    is_advisory: bool = False,
) -> int:
    """Return the exit status: 0, or 1 if there is something to read.

    git ignores the status after a commit. At a push, 1 stops it, and so does 3: a model is
    required and has not answered. Raises ConfigError outside a repository, before its first
    commit, and for an invalid setting.
    """
    # A plain HEAD is also the file of that name in a bare repository without a commit.
    answer = ask_git("rev-parse", "--absolute-git-dir", "HEAD^{commit}")
    if answer is None:
        _explain_refusal()
        return 2
    git_folder, _, commit = answer.rstrip("\n").rpartition("\n")
    queue = Queue(shared_folder(git_folder))
    pushed = _pushed(environ)
    if pushed is None:
        parts, status = _after_commit(queue, commit, git_folder, options)
    else:
        parts, status = _at_push(queue, pushed, git_folder, options)
    if is_advisory:
        status = 0
    elif status == 1 and pushed is not None:
        parts.append([PUSH_AGAIN])
    _print(parts, is_hidden=status == 0)
    return status


def notes(git_folder: str) -> list[str]:
    """Return the new reports and the number of waiting commits as lines; marks them as shown."""
    queue = Queue(shared_folder(git_folder))
    parts, _ = _new_reports(Reports(queue), git_folder)
    lines = list(chain.from_iterable(parts))
    waiting = len(queue.hashes())
    if waiting:
        plural = "s wait" if waiting > 1 else " waits"
        lines.append(f"{waiting} commit{plural} for review in the background.")
    return lines


def _explain_refusal() -> None:
    """Raise ConfigError with a message about what is wrong with the repository."""
    from pathlib import Path

    from pytest_starcoder.source.git import Repository

    Repository(Path.cwd()).commit("HEAD")


# --- after a commit ---


def _after_commit(
    queue: Queue, commit: str, git_folder: str, options: Mapping[str, str]
) -> tuple[list[list[str]], int]:
    """Return the lines of each report, and the exit status."""
    reports = Reports(queue)
    try:
        if not reports.is_reviewed(commit):
            queue.add(commit, os.getcwd(), options)
        start_worker(queue)
    except OSError as exc:
        problem = f"{queue.folder} cannot be written ({exc.strerror})"
        return [[f"{commit[:10]} is not reviewed: {problem}."]], 1
    parts, needs_reading = _new_reports(reports, git_folder)
    return parts, int(needs_reading)


def _new_reports(reports: Reports, git_folder: str) -> tuple[list[list[str]], bool]:
    """Return the lines of each new report, and whether any of them needs reading."""
    if not reports.has_new():
        return [], False
    fingerprints = reports.fingerprints()
    shown = []
    for report in reports.show_new():
        shown.append((report, _unseen(report.findings, fingerprints)))
    _keep_as_last(shown, git_folder)
    parts = [report.lines(findings) for report, findings in shown]
    return parts, any(findings or report.is_given_up for report, findings in shown)


def _unseen(findings: list[dict[str, Any]], fingerprints: set[str]) -> list[dict[str, Any]]:
    """Return the findings whose fingerprint is not in `fingerprints`, and add theirs to it."""
    unseen = [finding for finding in findings if finding["fingerprint"] not in fingerprints]
    fingerprints |= {finding["fingerprint"] for finding in unseen}
    return unseen


def start_worker(queue: Queue) -> None:
    """Start the process that works through the queue, unless one is running. Raises OSError.

    It inherits the lock from this process, so there is never a second one. A worker that
    is about to exit checks the queue once more after releasing the lock.
    """
    if not queue.hashes() or not queue.lock.take():
        return
    worker = (
        "-m",
        "pytest_starcoder.review.background_worker",
        queue.folder,
        str(queue.lock.descriptor),
    )
    command, variables = interpreter.start(*worker)
    # GIT_* variables describe the finished commit, not the ones to review.
    variables = {name: value for name, value in variables.items() if not name.startswith("GIT_")}
    try:
        if os.name == "posix":
            _fork(queue.lock, command, variables, queue.folder)
            return
    finally:
        queue.lock.release()
    import subprocess

    subprocess.Popen(
        command[:-1],  # Windows cannot pass the lock on
        cwd=queue.folder,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        creationflags=0x00000208,  # DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP
    )


def _fork(lock: Lock, command: list[str], variables: dict[str, str], folder: str) -> None:
    """Start `command` in its own session, passing the lock on.

    Forking is faster than importing `subprocess`.
    """
    from pytest_starcoder.runner.forks import fork

    if fork():
        return
    try:
        os.setsid()
        os.nice(10)  # the commit goes first
        os.chdir(folder)  # the worktree may be removed while it runs
        for stream in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), stream)
        assert lock.descriptor is not None
        os.set_inheritable(lock.descriptor, True)
        os.execve(command[0], command, variables)
    finally:
        os._exit(127)


# --- at a push ---


def _pushed(environ: Mapping[str, str]) -> list[tuple[str, str]] | None:
    """Return the pushed tips, each with the commit that the remote has already.

    Returns None if this is not a push.
    """
    if environ.get("PRE_COMMIT") == "1":
        tip = environ.get("PRE_COMMIT_TO_REF") or environ.get("PRE_COMMIT_LOCAL_BRANCH") or "HEAD"
        if environ.get("PRE_COMMIT_TO_REF") or environ.get("PRE_COMMIT_REMOTE_NAME"):
            return [(tip, environ.get("PRE_COMMIT_FROM_REF", ""))]
        return None
    return _pushed_refs(_standard_input())


def _pushed_refs(text: str) -> list[tuple[str, str]] | None:
    """Parse what git writes to a pre-push hook, one line per ref; None for anything else."""
    refs = []
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) != 4 or not _is_hash(words[1]) or not _is_hash(words[3]):
            return None
        if words[1].strip("0"):  # zeros: the push deletes the branch
            refs.append((words[1], words[3] if words[3].strip("0") else ""))
    return refs if text else None


def _is_hash(word: str) -> bool:
    return len(word) in (40, 64) and not word.strip("0123456789abcdef")


def _standard_input() -> str:
    """Return what git writes to the hook; empty if nothing arrives within STDIN_PATIENCE."""
    try:
        if not stat.S_ISFIFO(os.fstat(0).st_mode):
            return ""
        if os.name == "posix":
            import select

            if not select.select([0], [], [], STDIN_PATIENCE)[0]:
                return ""
        with os.fdopen(os.dup(0), "rb") as stream:
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _at_push(
    queue: Queue, pushed: list[tuple[str, str]], git_folder: str, options: Mapping[str, str]
) -> tuple[list[list[str]], int]:
    """Return the lines of each report, and the exit status."""
    reports = Reports(queue)
    if not queue.hashes() and not reports.has_any_for_a_push():
        return [], 0
    settings = _settings(options)  # may raise, so before any report is marked as shown
    tips: dict[str, str] = {}
    for tip, base in pushed[:MAX_REFS]:
        tips.update(dict.fromkeys(_commits(tip, base), tip))
    waiting = _wait(queue, tips)
    lacks_model = bool(waiting)
    fingerprints: set[str] = set()
    shown = []
    for report in reports.show_pushed(tips):
        findings = _unseen(_standing(report, tips[report.hash]), fingerprints)
        lacks_model = lacks_model or report.lacks_model
        if findings or report.is_given_up or (report.lacks_model and settings.review_require_model):
            shown.append((report, findings))
    _keep_as_last(shown, git_folder)
    parts = [report.lines(findings) for report, findings in shown]
    if waiting:
        parts.append([f"Not reviewed yet: {_subject(commit)}" for commit in waiting])
    status = 0
    if _has_severe(shown, settings):
        status = 1
    elif lacks_model and settings.review_require_model:
        status = 3
    return parts, status


def _commits(tip: str, base: str) -> list[str]:
    """Return the commits after `base` up to `tip`; without a base, those that no remote has."""
    command = ("rev-list", f"--max-count={MAX_PUSHED}", tip, "--not")
    answer = ask_git(*command, base) if base else None
    if answer is None:  # a new branch, or the remote has commits that were not fetched
        answer = ask_git(*command, "--remotes")
    return (answer or "").split()


def _wait(queue: Queue, commits: Iterable[str]) -> list[str]:
    """Wait up to PUSH_PATIENCE; return those of `commits` that are still not reviewed."""
    until = time.monotonic() + PUSH_PATIENCE
    waiting = queue.hashes() & {*commits}
    if not waiting:
        return []
    with contextlib.suppress(OSError):  # it cannot be started: the commits are reported as waiting
        start_worker(queue)
    while waiting and time.monotonic() < until:
        time.sleep(0.05)
        waiting = queue.hashes() & waiting
    return [commit for commit in commits if commit in waiting]


def _standing(report: CommitReport, tip: str) -> list[dict[str, Any]]:
    """Return the findings whose line is still in the pushed files and that nobody accepted."""
    if not report.findings:
        return []
    accepted = _accepted()
    lines: dict[str, set[str]] = {}
    standing = []
    for finding in report.findings:
        path = finding["path"]
        if path not in lines:
            text = ask_git("cat-file", "blob", f"{tip}:{path}") or ""
            lines[path] = {line.strip() for line in text.splitlines()}
        is_there = finding["source"] in lines[path] or "[redacted]" in finding["source"]
        if is_there and finding["fingerprint"] not in accepted:
            standing.append(finding)
    return standing


def _accepted() -> frozenset[str]:
    from pytest_starcoder.review import baseline

    try:
        with open(baseline.NAME, encoding="utf-8", errors="replace") as file:
            return baseline.fingerprints(file.read())
    except OSError:
        return frozenset()


def _settings(options: Mapping[str, str]) -> Settings:
    from pathlib import Path

    from pytest_starcoder.settings import load_settings

    return load_settings(Path.cwd(), options)


def _has_severe(shown: list[tuple[CommitReport, list[dict[str, Any]]]], settings: Settings) -> bool:
    """Return whether any finding is severe enough to stop the push."""
    from pytest_starcoder.review.finding import Severity

    threshold = Severity.__members__.get(settings.review_fail_on.upper())
    if threshold is None:
        return False
    return any(finding["severity"] >= threshold for _, findings in shown for finding in findings)


def _subject(commit: str) -> str:
    from pytest_starcoder.text.display import one_line

    title = ask_git("log", "-1", "--no-show-signature", "--format=%h %s", commit)
    return one_line(title or commit[:10], 200).strip()


# --- output ---


def _print(parts: list[list[str]], *, is_hidden: bool) -> None:
    """Print the reports; also on the terminal if a hook framework hides the output."""
    if not parts:
        return
    print("\n".join(chain.from_iterable(parts)), flush=True)
    if is_hidden:
        from contextlib import closing

        from pytest_starcoder.review.hook_terminal import Screen

        with closing(Screen()) as screen:
            for part in parts:
                screen.passed(f"StarCoder: {' '.join(part)}")


def _keep_as_last(shown: list[tuple[CommitReport, list[dict[str, Any]]]], git_folder: str) -> None:
    """Save what was shown for `starcoder-review --last` and `--accept`."""
    if not shown:
        return
    records = []
    for report, findings in shown:
        fingerprints = {finding["fingerprint"] for finding in findings}
        entries = report.record["findings"]
        entries = [entry for entry in entries if entry["fingerprint"] in fingerprints]
        records.append({**report.record, "findings": entries})
    text = "".join(f"{line}\n" for report, findings in shown for line in report.lines(findings))
    record = json.dumps(merge_records(records), indent=2)
    folder = os.path.join(git_folder, "starcoder")
    try:
        write_whole(os.path.join(folder, "last.json"), record + "\n")
        write_whole(os.path.join(folder, "last.txt"), text)
    except OSError as exc:
        print(f"starcoder-review: the report cannot be saved: {exc.strerror}.", file=sys.stderr)
