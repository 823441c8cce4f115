"""Implements `starcoder-review --background`: the part that git waits for.

After a commit it queues the commit, starts the worker unless one is running, and prints the
findings on earlier commits. At a push it prints the findings on the pushed commits. Slow
imports (pathlib, GitPython, requests) happen only when there is something to report: see
benchmarks/background.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from pytest_starcoder import interpreter
from pytest_starcoder.review.commit_queue import CommitQueue, Lock, shared_folder, write_atomically
from pytest_starcoder.review.pending_reports import CommitReport, PendingReports, merge_records
from pytest_starcoder.source.git.command import git_output

TYPE_CHECKING = False  # importing `typing` would take longer than reading a report

if TYPE_CHECKING:
    from typing import Any

    from pytest_starcoder.settings import Settings

    Output = tuple[list[list[str]], int]
    """The lines of each report, and the exit status."""

PUSH_PATIENCE = 2.0
"""Seconds that a push waits for pending reviews of its commits."""

STDIN_PATIENCE = 0.5
"""Seconds to wait for git to write to the hook's standard input, if it does at all."""

MAX_REFS = 20
"""Maximum number of pushed branches and tags that are checked."""

MAX_PUSHED = 1000
"""Maximum number of pushed commits that are checked, newest first."""

PUSH_AGAIN = (
    "Push again to continue: a finding stops a push only once. Accept: starcoder-review --accept"
)


def run(
    options: Mapping[str, str],
    environ: Mapping[str, str] = os.environ,
    *,
    is_advisory: bool = False,
) -> int:
    """Return the exit status: 0, or 1 if there is something to read.

    git ignores the status after a commit. At a push, 1 stops it, and so does 3: a required
    model is unavailable. Raises ConfigError outside a repository, before its first commit, and
    for an invalid setting.
    """
    # A plain HEAD is also the file of that name in a bare repository without a commit.
    answer = git_output("rev-parse", "--absolute-git-dir", "HEAD^{commit}")
    if answer is None:
        _raise_git_problem()
        return 2
    git_folder, _, commit = answer.rstrip("\n").rpartition("\n")
    queue = CommitQueue(shared_folder(git_folder))
    refs = _pushed_refs(environ)
    if refs is None:
        parts, status = _after_commit(queue, commit, git_folder, options)
    else:
        parts, status = _at_push(queue, refs, git_folder, options)
    if is_advisory:
        status = 0
    elif status == 1 and refs is not None:
        parts.append([PUSH_AGAIN])
    _print(parts, is_hidden=status == 0)
    return status


def notes(git_folder: str) -> list[str]:
    """Return the new reports and the number of waiting commits as lines; marks them as shown."""
    queue = CommitQueue(shared_folder(git_folder))
    parts, _ = _new_reports(PendingReports(queue), git_folder)
    lines = list(chain.from_iterable(parts))
    waiting = len(queue.hashes())
    if waiting:
        plural = "s wait" if waiting > 1 else " waits"
        lines.append(f"{waiting} commit{plural} for review in the background.")
    return lines


def _raise_git_problem() -> None:
    """Raise ConfigError with a message about what is wrong with the repository."""
    from pathlib import Path

    from pytest_starcoder.source.git.repository import Repository

    Repository(Path.cwd()).commit("HEAD")


# --- after a commit ---


def _after_commit(
    queue: CommitQueue, commit: str, git_folder: str, options: Mapping[str, str]
) -> Output:
    reports = PendingReports(queue)
    try:
        if not reports.is_reviewed(commit):
            queue.add(commit, os.getcwd(), options)
        start_worker(queue)
    except OSError as exc:
        problem = f"{queue.folder} cannot be written ({exc.strerror})"
        return [[f"{commit[:10]} is not reviewed: {problem}."]], 1
    return _new_reports(reports, git_folder)


def _new_reports(reports: PendingReports, git_folder: str) -> Output:
    if not reports.has_new():
        return [], 0
    fingerprints = reports.fingerprints()
    shown = []
    for report in reports.show_new():
        report.shown = _take_unseen(report.findings, fingerprints)
        shown.append(report)
    _save_as_last(shown, git_folder)
    parts = [report.lines() for report in shown]
    return parts, int(any(report.needs_reading for report in shown))


def _take_unseen(findings: list[dict[str, Any]], fingerprints: set[str]) -> list[dict[str, Any]]:
    """Return the findings whose fingerprint is not in `fingerprints`, and add theirs to it."""
    unseen = [finding for finding in findings if finding["fingerprint"] not in fingerprints]
    fingerprints.update(finding["fingerprint"] for finding in unseen)
    return unseen


def start_worker(queue: CommitQueue) -> None:
    """Start the process that works through the queue, unless one is running. Raises OSError.

    It inherits the lock from this process, so there is never a second one. A worker that
    is about to exit checks the queue once more after releasing the lock.
    """
    if not queue.hashes() or not queue.lock.take():
        return
    module = "pytest_starcoder.review.background_worker"
    arguments = ("-m", module, queue.folder, str(queue.lock.descriptor))
    command, variables = interpreter.start(*arguments)
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
    from pytest_starcoder.runner.quiet_fork import fork

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


def _pushed_refs(environ: Mapping[str, str]) -> list[tuple[str, str]] | None:
    """Return the pushed tips, each with the commit that the remote has already.

    Returns None if this is not a push.
    """
    if environ.get("PRE_COMMIT") != "1":
        return _parse_refs(_standard_input())
    tip = environ.get("PRE_COMMIT_TO_REF", "")
    if not tip and not environ.get("PRE_COMMIT_REMOTE_NAME"):
        return None
    tip = tip or environ.get("PRE_COMMIT_LOCAL_BRANCH") or "HEAD"
    return [(tip, environ.get("PRE_COMMIT_FROM_REF", ""))]


def _parse_refs(text: str) -> list[tuple[str, str]] | None:
    """Parse what git writes to a pre-push hook, one line per ref; None for anything else."""
    refs = []
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) != 4:
            return None
        _, tip, _, remote = words
        if not _is_hash(tip) or not _is_hash(remote):
            return None
        if not remote.strip("0"):  # zeros: the branch is new
            remote = ""
        if tip.strip("0"):  # zeros: the push deletes the branch
            refs.append((tip, remote))
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
    queue: CommitQueue, refs: list[tuple[str, str]], git_folder: str, options: Mapping[str, str]
) -> Output:
    reports = PendingReports(queue)
    if not queue.hashes() and not reports.has_any_for_a_push():
        return [], 0
    settings = _load_settings(options)  # may raise, so before any report is marked as shown
    tips = _pushed_commits(refs)
    waiting = _wait_for_reviews(queue, tips)
    is_incomplete = bool(waiting)
    shown = []
    for report in _pushed_reports(reports, tips):
        is_unreviewed = report.lacks_model and settings.review_require_model
        is_incomplete = is_incomplete or is_unreviewed
        if report.needs_reading or is_unreviewed:
            shown.append(report)
    _save_as_last(shown, git_folder)
    parts = [report.lines() for report in shown]
    if waiting:
        parts.append([f"Not reviewed yet: {_subject(commit)}" for commit in waiting])
    return parts, _push_status(shown, settings, is_incomplete)


def _push_status(shown: list[CommitReport], settings: Settings, is_incomplete: bool) -> int:
    if _has_severe(shown, settings):
        return 1
    if is_incomplete and settings.review_require_model:
        return 3
    return 0


def _pushed_reports(reports: PendingReports, tips: Mapping[str, str]) -> Iterator[CommitReport]:
    """Yield the reports on the pushed commits, each with the findings to show."""
    # Several commits may have the same finding.
    fingerprints: set[str] = set()
    for report in reports.show_pushed(tips):
        findings = _open_findings(report, tips[report.hash])
        report.shown = _take_unseen(findings, fingerprints)
        yield report


def _pushed_commits(refs: list[tuple[str, str]]) -> dict[str, str]:
    """Return the pushed commits, each with a tip that contains it."""
    tips: dict[str, str] = {}
    for tip, base in refs[:MAX_REFS]:
        tips.update(dict.fromkeys(_new_commits(tip, base), tip))
    return tips


def _new_commits(tip: str, base: str) -> list[str]:
    """Return the commits after `base` up to `tip`; without a base, those that no remote has."""
    command = ("rev-list", f"--max-count={MAX_PUSHED}", tip, "--not")
    answer = git_output(*command, base) if base else None
    if answer is None:  # a new branch, or the remote has commits that were not fetched
        answer = git_output(*command, "--remotes")
    return (answer or "").split()


def _wait_for_reviews(queue: CommitQueue, commits: Iterable[str]) -> list[str]:
    """Wait up to PUSH_PATIENCE; return those of `commits` that are still not reviewed."""
    deadline = time.monotonic() + PUSH_PATIENCE
    waiting = queue.hashes() & {*commits}
    if not waiting:
        return []
    with contextlib.suppress(OSError):  # it cannot be started: the commits are reported as waiting
        start_worker(queue)
    while waiting and time.monotonic() < deadline:
        time.sleep(0.05)
        waiting = queue.hashes() & waiting
    return [commit for commit in commits if commit in waiting]


def _open_findings(report: CommitReport, tip: str) -> list[dict[str, Any]]:
    """Return the findings whose line is still in the pushed files and that nobody accepted."""
    if not report.findings:
        return []
    from pytest_starcoder.review import baseline

    accepted = baseline.fingerprints(baseline.read(baseline.NAME))
    lines: dict[str, set[str]] = {}
    open_findings = []
    for finding in report.findings:
        path, source = finding["path"], finding["source"]
        if path not in lines:
            text = git_output("cat-file", "blob", f"{tip}:{path}") or ""
            lines[path] = {line.strip() for line in text.splitlines()}
        is_there = source in lines[path] or "[redacted]" in source
        if is_there and finding["fingerprint"] not in accepted:
            open_findings.append(finding)
    return open_findings


def _load_settings(options: Mapping[str, str]) -> Settings:
    from pathlib import Path

    from pytest_starcoder.settings import load_settings

    return load_settings(Path.cwd(), options)


def _has_severe(shown: list[CommitReport], settings: Settings) -> bool:
    """Return whether any finding is severe enough to stop the push."""
    from pytest_starcoder.review.finding import Severity

    for report in shown:
        for finding in report.shown:
            if Severity(finding["severity"]).reaches(settings.review_fail_on):
                return True
    return False


def _subject(commit: str) -> str:
    from pytest_starcoder.text.display import one_line

    title = git_output("log", "-1", "--no-show-signature", "--format=%h %s", commit)
    return one_line(title or commit[:10], 200).strip()


# --- output ---


def _print(parts: list[list[str]], *, is_hidden: bool) -> None:
    """Print the reports; also on the terminal if a hook framework hides the output."""
    if not parts:
        return
    print("\n".join(chain.from_iterable(parts)), flush=True)
    if is_hidden:
        from contextlib import closing

        from pytest_starcoder.review.hook_terminal import HookTerminal

        with closing(HookTerminal()) as terminal:
            for part in parts:
                terminal.show_passed(f"StarCoder: {' '.join(part)}")


def _save_as_last(shown: list[CommitReport], git_folder: str) -> None:
    """Save what was shown for `starcoder-review --last` and `--accept`."""
    if not shown:
        return
    text = ""
    for report in shown:
        text += "\n".join([*report.lines(), ""])
    record = merge_records([report.shown_record() for report in shown])
    folder = os.path.join(git_folder, "starcoder")
    try:
        write_atomically(os.path.join(folder, "last.json"), json.dumps(record, indent=2) + "\n")
        write_atomically(os.path.join(folder, "last.txt"), text)
    except OSError as exc:
        print(f"starcoder-review: the report cannot be saved: {exc.strerror}.", file=sys.stderr)
