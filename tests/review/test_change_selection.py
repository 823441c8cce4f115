"""Which change is reviewed, in every shape and under every configuration in which git gives it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from support.repositories import DIVIDES, PRICING, committed, git, repository, staged, written

from pytest_starcoder.errors import ConfigError, GitFailed
from pytest_starcoder.review.change import Unreviewed
from pytest_starcoder.review.change_selection import select_change, staged_change
from pytest_starcoder.review.request import ReviewInput, ReviewRequest
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.git.repository import Repository


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = repository(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


def added(source: ReviewInput) -> dict[str, list[str]]:
    """The added lines that are asked about, by path."""
    lines: dict[str, list[str]] = {}
    for hunk in source.change.hunks:
        lines.setdefault(hunk.path, []).extend(hunk.line(at).strip() for at in hunk.added)
    return lines


def reasons(source: ReviewInput) -> dict[str, str]:
    return {entry.path: entry.reason for entry in source.change.unreviewed}


DIVIDED = {"shop/pricing.py": ["return sum(xs) / len(xs)"]}

# --- what a commit changes ------------------------------------------------------------------


def test_staged(top: Path) -> None:
    staged(top, {"shop/pricing.py": DIVIDES})
    written(top, {"shop/pricing.py": DIVIDES + "\nunstaged = 1\n", "untracked.py": "a = 1\n"})
    source = select_change(ReviewRequest())
    assert added(source) == DIVIDED
    assert (source.change.description, source.change.files, source.change.total) == (
        "what is staged",
        1,
        1,
    )
    [hunk] = source.change.hunks
    assert (hunk.added, hunk.definition) == ((6,), "mean")
    assert (
        hunk.base
        == 'def mean(xs):\n    """The mean of xs."""\n    return sum(xs) / max(1, len(xs))'
    )


def test_repository_without_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet")
    staged(tmp_path, {"a.py": "def f():\n    return 1\n"})
    monkeypatch.chdir(tmp_path)
    assert added(select_change(ReviewRequest())) == {"a.py": ["def f():", "return 1"]}


def test_subfolder(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staged(top, {"shop/pricing.py": DIVIDES})
    monkeypatch.chdir(top / "shop")
    assert added(select_change(ReviewRequest())) == DIVIDED


def test_index_of_hook(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staged(top, {"shop/pricing.py": DIVIDES})
    git(top, "read-tree", "HEAD", GIT_INDEX_FILE=str(top / ".git/other"))
    assert added(select_change(ReviewRequest())) == DIVIDED
    monkeypatch.setenv("GIT_INDEX_FILE", str(top / ".git/other"))
    assert added(select_change(ReviewRequest())) == {}


def test_worktree(top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(top, "worktree", "add", "--quiet", str(tmp_path / "other"))
    staged(tmp_path / "other", {"shop/pricing.py": DIVIDES})
    assert added(select_change(ReviewRequest())) == {}
    monkeypatch.chdir(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(top / ".git/worktrees/other"))
    assert added(select_change(ReviewRequest())) == DIVIDED


def merging(top: Path, ours: dict[str, str], theirs: dict[str, str]) -> None:
    """A merge that is not committed yet."""
    git(top, "checkout", "--quiet", "-b", "theirs")
    committed(top, theirs, "theirs")
    git(top, "checkout", "--quiet", "main")
    committed(top, ours, "ours")
    git(top, "merge", "--no-commit", "--no-ff", "-X", "ours", "theirs")


def test_merge(top: Path) -> None:
    merging(top, {"ours.py": "a = 1\n"}, {"theirs.py": "b = 1\n", "shop/pricing.py": DIVIDES})
    staged(top, {"shop/pricing.py": DIVIDES.replace("return xs[-1]", "return xs[len(xs)]")})
    source = select_change(ReviewRequest())
    assert added(source) == {"shop/pricing.py": ["return xs[len(xs)]"]}
    assert source.change.description == "what the merge itself changes"
    assert reasons(source) == {"theirs.py": "comes from the other branch"}


def test_merge_without_changes(top: Path) -> None:
    merging(top, {"ours.py": "a = 1\n"}, {"theirs.py": "b = 1\n"})
    source = select_change(ReviewRequest())
    assert (added(source), source.change.total, source.change.files) == ({}, 0, 1)


# --- ranges ---------------------------------------------------------------------------------


def test_range_of_branch(top: Path) -> None:
    git(top, "checkout", "--quiet", "-b", "feature")
    committed(top, {"shop/pricing.py": DIVIDES}, "divide")
    git(top, "checkout", "--quiet", "main")
    committed(top, {"other.py": "a = 1\n"}, "meanwhile")
    source = select_change(ReviewRequest(from_ref="main", to_ref="feature"))
    assert added(source) == DIVIDED
    assert source.change.description == "main...feature"


def test_range_of_pre_commit(top: Path) -> None:
    before = git(top, "rev-parse", "HEAD").strip()
    after = committed(top, {"shop/pricing.py": DIVIDES}, "divide")
    source = select_change(
        ReviewRequest(), {"PRE_COMMIT_FROM_REF": before, "PRE_COMMIT_TO_REF": after}
    )
    assert added(source) == DIVIDED


def test_first_push(top: Path) -> None:
    staged(top, {"shop/pricing.py": DIVIDES})
    source = select_change(ReviewRequest(), {"PRE_COMMIT_REMOTE_NAME": "origin"})
    assert reasons(source) == {"the whole history": "a first push has no commit to compare it with"}
    assert not source.change.hunks


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            ReviewRequest(from_ref="nowhere"),
            "There is no commit 'nowhere' here. Check the name; in CI fetch the whole history "
            "(fetch-depth: 0, or GIT_DEPTH: 0).",
        ),
        (
            ReviewRequest(to_ref="HEAD"),
            "--to-ref needs --from-ref. Name the commit that the change goes into.",
        ),
        (
            ReviewRequest(from_ref="--output=x"),
            "There is no commit '--output=x' here. Check the name; in CI fetch the whole history "
            "(fetch-depth: 0, or GIT_DEPTH: 0).",
        ),
    ],
    ids=["unknown", "no-from-ref", "option"],
)
def test_invalid_range(top: Path, request_: ReviewRequest, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        select_change(request_)
    assert str(raised.value) == message


def test_unrelated_histories(top: Path) -> None:
    git(top, "checkout", "--quiet", "--orphan", "alone")
    committed(top, {"a.py": "a = 1\n"}, "alone")
    with pytest.raises(
        ConfigError, match=r"[0-9a-f]{40} and [0-9a-f]{40} have no common commit here"
    ):
        select_change(ReviewRequest(from_ref="main"))


def test_outside_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="is not in the working tree of a git repository"):
        select_change(ReviewRequest())


# --- trust ----------------------------------------------------------------------------------


def test_range_settings(top: Path) -> None:
    committed(top, {"pyproject.toml": "[tool.starcoder]\nreview_max_findings = 3\n"}, "settings")
    git(top, "checkout", "--quiet", "-b", "feature")
    hostile = '[tool.starcoder]\nreview_exclude = "*"\nreview_fail_on = "never"\n'
    committed(top, {"pyproject.toml": hostile, "shop/pricing.py": DIVIDES}, "divide")
    source = select_change(ReviewRequest(from_ref="main"))
    assert (source.settings.review_max_findings, source.settings.review_fail_on) == (3, "warning")
    assert "shop/pricing.py" in added(source)


def test_added_settings(top: Path) -> None:
    git(top, "checkout", "--quiet", "-b", "feature")
    committed(
        top, {".env": "STARCODER_REVIEW_FAIL_ON=never\n", "shop/pricing.py": DIVIDES}, "divide"
    )
    assert select_change(ReviewRequest(from_ref="main")).settings.review_fail_on == "warning"


@pytest.mark.parametrize(
    "text", ["", "[tool.starcoder]\nreview_max_findings = 99\n"], ids=["empty", "settings"]
)
def test_added_project(top: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    committed(top, {"pyproject.toml": "[tool.starcoder]\nreview_max_findings = 3\n"}, "settings")
    git(top, "checkout", "--quiet", "-b", "feature")
    committed(top, {"svc/pyproject.toml": text, "shop/pricing.py": DIVIDES}, "divide")
    monkeypatch.chdir(top / "svc")
    assert (
        select_change(ReviewRequest(from_ref="main", to_ref="HEAD")).settings.review_max_findings
        == 3
    )


def test_removed_project(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = "[tool.starcoder]\nreview_max_findings = 2\n"
    committed(
        top,
        {"pyproject.toml": inner.replace("2", "99"), "svc/pyproject.toml": inner, "svc/a.py": ""},
        "settings",
    )
    git(top, "checkout", "--quiet", "-b", "feature")
    (top / "svc" / "pyproject.toml").unlink()
    committed(top, {"shop/pricing.py": DIVIDES}, "divide")
    monkeypatch.chdir(top / "svc")
    assert (
        select_change(ReviewRequest(from_ref="main", to_ref="HEAD")).settings.review_max_findings
        == 2
    )


def test_staged_empty_project(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed(top, {"pyproject.toml": "[tool.starcoder]\nreview_max_findings = 3\n"}, "settings")
    staged(top, {"svc/pyproject.toml": "", "shop/pricing.py": DIVIDES})
    monkeypatch.chdir(top / "svc")
    assert select_change(ReviewRequest()).settings.review_max_findings == 3


def test_linked_settings(top: Path, tmp_path: Path) -> None:
    written(tmp_path, {"elsewhere.toml": '[tool.starcoder]\nreview_fail_on = "never"\n'})
    committed(top, {"pyproject.toml": "[tool.starcoder]\nreview_max_findings = 3\n"}, "settings")
    git(top, "checkout", "--quiet", "-b", "feature")
    (top / "pyproject.toml").unlink()
    (top / "pyproject.toml").symlink_to(tmp_path / "elsewhere.toml")
    committed(top, {"shop/pricing.py": DIVIDES}, "divide")
    settings = select_change(ReviewRequest(from_ref="main")).settings
    assert (settings.review_max_findings, settings.review_fail_on) == (3, "warning")


def test_untracked_settings_count(top: Path) -> None:
    git(top, "checkout", "--quiet", "-b", "feature")
    committed(top, {"shop/pricing.py": DIVIDES}, "divide")
    written(top, {".env": "STARCODER_REVIEW_FAIL_ON=never\n"})
    assert select_change(ReviewRequest(from_ref="main")).settings.review_fail_on == "never"


def test_baseline_of_range(top: Path) -> None:
    committed(top, {".starcoder-baseline": f"{'a' * 32} known\n"}, "accepted")
    git(top, "checkout", "--quiet", "-b", "feature")
    committed(top, {".starcoder-baseline": f"{'b' * 32} mine\n"}, "accept me")
    assert select_change(ReviewRequest(from_ref="main")).accepted == {"a" * 32}


# --- git's own configuration, and what files can hold ---------------------------------------


@pytest.mark.parametrize(
    "configured",
    [
        ("diff.external", "false"),
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.suppressBlankEmpty", "true"),
        ("diff.context", "0"),
        ("diff.interHunkContext", "9"),
        ("diff.orderFile", "not there"),
        ("diff.relative", "true"),
        ("diff.renames", "false"),
        ("diff.wsErrorHighlight", "all"),
        ("core.quotePath", "true"),
        ("core.pager", "false"),
        ("core.attributesFile", "attributes"),
        ("core.fsmonitor", "false"),
        ("core.abbrev", "4"),
        ("color.ui", "always"),
        ("diff.algorithm", "patience"),
        ("submodule.recurse", "true"),
    ],
    ids="=".join,
)
def test_git_configuration(top: Path, configured: tuple[str, str]) -> None:
    staged(top, {"shop/pricing.py": DIVIDES, "caf\u00e9.py": "x = 1\n"})
    written(top, {"attributes": "*.py -diff\n"})
    git(top, "config", *configured)
    source = select_change(ReviewRequest())
    assert added(source) == {**DIVIDED, "caf\u00e9.py": ["x = 1"]}


def test_text_conversion(top: Path) -> None:
    git(top, "config", "diff.loud.textconv", "echo converted >")
    staged(top, {".gitattributes": "*.py diff=loud\n", "shop/pricing.py": DIVIDES})
    assert added(select_change(ReviewRequest()))["shop/pricing.py"] == ["return sum(xs) / len(xs)"]
    assert not list(top.glob("converted*"))


def test_skip_reasons(top: Path) -> None:
    (top / "logo.png").write_bytes(b"\0\1")
    (top / "link").symlink_to("shop")
    other = repository(top.parent / "other")
    committed(top, {"gone.py": "a = 1\n", "moved.py": "b = 1\n" * 9, "mode.py": "c = 1\n"}, "more")
    (top / "logo.png").write_bytes(b"\0\2")
    (top / "mode.py").chmod(0o755)
    git(top, "submodule", "--quiet", "add", str(other), "module")
    git(top, "mv", "moved.py", "renamed.py")
    git(top, "rm", "--quiet", "gone.py")
    (top / "link").unlink()
    (top / "link").symlink_to("elsewhere")
    files = {
        "empty.py": "",
        "a.ipynb": "{}\n",
        "poetry.lock": "x\n",
        "web/app.min.js": "x\n",
        "long.py": f"x = '{'y' * 2000}'\n",
    }
    staged(
        top,
        {
            **files,
            "shop/pricing.py": PRICING.replace('    """The mean of xs."""\n', ""),
            "blank.py": "\n\n",
        },
    )
    source = select_change(ReviewRequest())
    assert reasons(source) == {
        "logo.png": "binary",
        "link": "a symbolic link",
        "module": "a submodule",
        "gone.py": "deleted",
        "renamed.py": "renamed",
        "mode.py": "only its mode changes",
        "empty.py": "empty",
        "a.ipynb": "a notebook",
        "poetry.lock": "excluded",
        "web/app.min.js": "excluded",
        "long.py": "a line of 2,007 characters",
        "shop/pricing.py": "only deletes lines",
        "blank.py": "only adds blank lines",
    }
    assert source.change.files == len(reasons(source)) + 1  # .gitmodules has a hunk
    assert list(added(source)) == [".gitmodules"]


def test_link_becomes_file(top: Path) -> None:
    (top / "link").symlink_to("shop")
    git(top, "add", "--all")
    git(top, "commit", "--quiet", "--message=link")
    (top / "link").unlink()
    staged(top, {"link": "a = 1\n", "shop/pricing.py": DIVIDES})
    assert added(select_change(ReviewRequest())) == {"link": ["a = 1"], **DIVIDED}


@pytest.mark.parametrize(
    "text",
    [
        "a = 'caf\udce9'\nb = 1\n",
        "a = 1\r\nb = 1\r\n",
        "a = 1\x0c\nb = 1\n",
        "a = '\u2028\u2029\x85\x1c'\nb = 1\n",
        "a = 1\rb = 1\nb = 1\n",
        "--- a/x\n+++ b/x\n@@ -1 +1 @@\nb = 1\n",
        "diff --git a/x b/x\nb = 1\n",
        "\\ No newline at end of file\nb = 1\n",
        "b = 1",
    ],
    ids=[
        "latin-1",
        "crlf",
        "form-feed",
        "separators",
        "lone-cr",
        "a-diff",
        "a-header",
        "no-newline",
        "unended",
    ],
)
def test_line_numbers(top: Path, text: str) -> None:
    staged(top, {"odd.py": text})
    source = select_change(ReviewRequest())
    [hunk] = source.change.hunks
    last = text.count("\n") + (0 if text.endswith("\n") else 1)
    assert hunk.added[-1] == last
    assert hunk.line(last) == "b = 1"


def test_odd_names(top: Path) -> None:
    (top / 'a"b\tc.py').write_text("x = 1\n")
    with open(bytes(top) + b"/caf\xe9.py", "w") as file:  # noqa: PTH123 - no text has that name
        file.write("y = 1\n")
    git(top, "add", "--all")
    assert added(select_change(ReviewRequest())) == {
        'a"b\tc.py': ["x = 1"],
        "caf\\xe9.py": ["y = 1"],
    }


def test_unreadable_file(top: Path) -> None:
    staged(top, {"shop/pricing.py": DIVIDES, "zoo.py": "x = 1\n", "aaa.py": "y = 1\n"})
    name = git(top, "rev-parse", ":aaa.py").strip()
    without(top, name)
    (top / "aaa.py").write_text("not what was staged\n")
    source = select_change(ReviewRequest())
    assert added(source) == {**DIVIDED, "zoo.py": ["x = 1"]}
    sentence = f"fatal: unable to read {name}"
    assert reasons(source) == {"aaa.py": f"git cannot show its change: {sentence}"}
    assert source.change.git_error == f"git could not read all of it: {sentence}."


def without(top: Path, name: str) -> None:
    """Remove an object from a repository."""
    (top / ".git/objects" / name[:2] / name[2:]).unlink()


# --- a git that fails -----------------------------------------------------------------------


def failure(review_request: ReviewRequest | None = None) -> GitFailed:
    with pytest.raises(GitFailed) as raised:
        select_change(review_request or ReviewRequest())
    return raised.value


def test_missing_object(top: Path) -> None:
    name = git(top, "rev-parse", "HEAD:shop/pricing.py").strip()
    git(top, "checkout", "--quiet", "-b", "feature")
    committed(top, {"shop/pricing.py": DIVIDES}, "divide")
    without(top, name)
    error = failure(ReviewRequest(from_ref="main"))
    assert (
        str(error)
        == f"git diff failed: fatal: unable to read {name}. Run `git status` or `git fsck` for "
        f"details."
    )


def test_corrupt_object_is_error(top: Path) -> None:
    name = git(top, "rev-parse", "HEAD:shop/pricing.py").strip()
    staged(top, {"shop/pricing.py": DIVIDES})
    path = top / ".git/objects" / name[:2] / name[2:]
    path.chmod(0o644)
    path.write_bytes(b"no object")
    assert failure().message == f"git diff failed: fatal: unable to read {name}."


def test_corrupt_index_is_error(top: Path) -> None:
    (top / ".git/index").write_bytes(b"no index")
    assert (
        failure().message == "git diff failed: fatal: .git/index: index file smaller than expected."
    )


@pytest.mark.parametrize(
    "content", ["", "no hash\n", "0" * 40 + "\n"], ids=["empty", "words", "zeros"]
)
def test_damaged_branch(top: Path, content: str) -> None:
    staged(top, {"shop/pricing.py": DIVIDES})
    (top / ".git/refs/heads/main").write_text(content)
    assert failure().message.startswith("git log failed: fatal: ")


def test_missing_commit(top: Path) -> None:
    without(top, git(top, "rev-parse", "HEAD").strip())
    assert failure().message == "git log failed: fatal: bad object HEAD."


def test_broken_configuration_is_error(top: Path) -> None:
    (top / ".git/config").write_text("[core\n")
    assert (
        failure().message == "git rev-parse failed: fatal: bad config line 1 in file .git/config."
    )


def test_repository_of_others_is_error(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert str(failure()) == (
        f"git rev-parse failed: fatal: detected dubious ownership in repository at '{top}'. "
        f"If you trust it: git config --global --add safe.directory {top}"
    )


def test_killed_git_is_error(top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.which("git")
    program = tmp_path / "programs" / "git"
    written(
        tmp_path,
        {"programs/git": f'#!/bin/sh\ncase "$*" in *--raw*) kill -9 $$;; esac\nexec {real} "$@"\n'},
    )
    program.chmod(0o755)
    staged(top, {"shop/pricing.py": DIVIDES})
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert failure().message == "git diff failed: it was killed (SIGKILL)."


@pytest.mark.parametrize(
    "command", ["--patch", "--raw", "cat-file"], ids=["diff", "attributes", "contents"]
)
def test_hanging_git_is_error(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    real = shutil.which("git")
    program = tmp_path / "programs" / "git"
    # The shell waits for another process, which has its pipes, too.
    script = f'case "$*" in *{command}*) sleep 60;; esac\nexec {real} "$@"\n'
    written(tmp_path, {"programs/git": f"#!/bin/sh\n{script}"})
    program.chmod(0o755)
    staged(top, {"shop/pricing.py": DIVIDES, **{f"{number}.py": "x = 1\n" for number in range(30)}})
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    started = time.monotonic()
    error = failure(ReviewRequest({"review_time_budget": "1"}))
    assert time.monotonic() - started < 20  # it is not asked again for every file
    assert error.message.endswith(" failed: it took more than 1 s.")


def test_big_file_threshold(top: Path) -> None:
    git(top, "config", "core.bigFileThreshold", "1")
    staged(top, {"shop/pricing.py": DIVIDES})
    assert added(select_change(ReviewRequest())) == DIVIDED


def test_index_lock(top: Path) -> None:
    staged(top, {"shop/pricing.py": DIVIDES})
    (top / ".git/index.lock").write_bytes(b"")
    assert added(select_change(ReviewRequest())) == DIVIDED


def partial_clone(top: Path, folder: Path) -> Path:
    """Return a clone that has only the contents its last commit needs."""
    git(top, "config", "uploadpack.allowFilter", "true")
    git(top, "config", "uploadpack.allowAnySHA1InWant", "true")
    committed(top, {"shop/pricing.py": DIVIDES}, "divide")
    git(top.parent, "clone", "--quiet", "--filter=blob:none", f"file://{top}", str(folder))
    return folder


def test_partial_clone(top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(partial_clone(top, tmp_path / "partial"))
    error = failure(ReviewRequest(from_ref="HEAD~1"))
    before, after = git(top, "rev-parse", "HEAD~1", "HEAD").split()
    assert error.message.startswith("git diff failed: fatal: ")
    assert error.hint == (
        f"This is a partial clone: `git diff --stat {before} {after}` fetches the missing objects, "
        "as in a clone without --filter."
    )
    git(tmp_path / "partial", "diff", "--stat", before, after)
    assert added(select_change(ReviewRequest(from_ref="HEAD~1"))) == DIVIDED


def test_unreadable_settings(top: Path) -> None:
    committed(top, {"pyproject.toml": "[tool.starcoder]\nreview_max_findings = 3\n"}, "settings")
    name = git(top, "rev-parse", "HEAD:pyproject.toml").strip()
    git(top, "checkout", "--quiet", "-b", "feature")
    committed(top, {"pyproject.toml": "", "shop/pricing.py": DIVIDES}, "divide")
    without(top, name)
    assert failure(ReviewRequest(from_ref="main")).message.startswith("git cat-file failed: ")


def test_unreadable_merge_side(top: Path) -> None:
    merging(top, {"ours.py": "a = 1\n"}, {"theirs.py": "b = 1\n" * 9})
    name = git(top, "rev-parse", "theirs:theirs.py").strip()
    staged(top, {"theirs.py": "b = 2\n" * 9})
    without(top, name)
    source = select_change(ReviewRequest())
    assert added(source) == {"theirs.py": ["b = 2"] * 9}


# --- attributes -----------------------------------------------------------------------------

HIDING = {
    "no diff": {".gitattributes": "*.py -diff\n"},
    "binary": {".gitattributes": "*.py binary\n"},
    "macro": {".gitattributes": "[attr]hidden -diff\n*.py hidden\n"},
    "nested": {"shop/.gitattributes": "pricing.py -diff\n"},
}


@pytest.mark.parametrize("files", HIDING.values(), ids=HIDING)
def test_staged_attributes_hide_nothing(top: Path, files: dict[str, str]) -> None:
    staged(top, {**files, "shop/pricing.py": DIVIDES})
    assert added(select_change(ReviewRequest()))["shop/pricing.py"] == DIVIDED["shop/pricing.py"]


def test_linked_attributes_hide_nothing(top: Path) -> None:
    staged(top, {"shop/pricing.py": DIVIDES, "rules": "*.py -diff\n"})
    (top / ".gitattributes").symlink_to("rules")
    git(top, "add", "--all")
    assert added(select_change(ReviewRequest()))["shop/pricing.py"] == DIVIDED["shop/pricing.py"]


@pytest.mark.parametrize("files", HIDING.values(), ids=HIDING)
def test_range_attributes(top: Path, files: dict[str, str]) -> None:
    git(top, "checkout", "--quiet", "-b", "feature")
    committed(top, {**files, "shop/pricing.py": DIVIDES}, "divide")
    assert (
        added(select_change(ReviewRequest(from_ref="main")))["shop/pricing.py"]
        == DIVIDED["shop/pricing.py"]
    )


def test_unstaged_attributes_hide_nothing(top: Path) -> None:
    staged(top, {"shop/pricing.py": DIVIDES})
    written(top, {".gitattributes": "*.py -diff\n"})
    assert added(select_change(ReviewRequest())) == DIVIDED


@pytest.mark.parametrize("after", [None, "", "*.txt -diff\n"], ids=["gone", "empty", "other"])
def test_base_attributes(top: Path, after: str | None) -> None:
    committed(top, {".gitattributes": "*.gen -diff\n"}, "attributes")
    (top / ".gitattributes").unlink()
    files = {} if after is None else {".gitattributes": after}
    staged(top, {**files, "a.gen": "x\n", "shop/pricing.py": DIVIDES})
    assert reasons(select_change(ReviewRequest()))["a.gen"] == "binary"
    git(top, "checkout", "--quiet", "-b", "feature")
    committed(top, {}, "change")
    assert reasons(select_change(ReviewRequest(from_ref="main")))["a.gen"] == "binary"


def test_user_attributes(top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(top, {".git/info/attributes": "*.gen -diff\n"})
    written(tmp_path, {"home/git/attributes": "*.dat -diff\n"})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    staged(top, {"a.gen": "x\n", "a.dat": "x\n", "shop/pricing.py": DIVIDES})
    source = select_change(ReviewRequest())
    assert reasons(source) == {"a.gen": "binary", "a.dat": "binary"}
    assert added(source) == DIVIDED


def test_new_repository_attributes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet")
    staged(tmp_path, {".gitattributes": "*.py -diff\n", "a.py": "x = 1\n"})
    monkeypatch.chdir(tmp_path)
    assert added(select_change(ReviewRequest()))["a.py"] == ["x = 1"]


@pytest.mark.parametrize("place", ["top", "below"])
def test_relative_index(top: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    staged(top, {"shop/pricing.py": DIVIDES})
    monkeypatch.chdir(top if place == "top" else top / "shop")
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index")
    assert added(select_change(ReviewRequest())) == DIVIDED


# --- what no model is asked about -----------------------------------------------------------


def test_lines_beside_long_line(top: Path) -> None:
    long = f"y = '{'z' * 1001}'"
    staged(top, {"a.py": f"a = xs[len(xs)]\n{long}\nb = 2\n"})
    source = select_change(ReviewRequest())
    assert added(source) == {"a.py": ["a = xs[len(xs)]", "b = 2"]}
    assert [(finding.line, finding.rule) for finding in source.observed] == [(1, "past-the-end")]
    assert reasons(source) == {"a.py": "a line of 1,008 characters"}
    assert source.change.total == 1


def test_long_line_is_observed_itself(top: Path) -> None:
    staged(top, {"a.py": f"a = xs[len(xs)]  # {'z' * 1001}\n"})
    source = select_change(ReviewRequest())
    assert (added(source), source.change.total) == ({}, 1)
    assert [(finding.line, finding.rule) for finding in source.observed] == [(1, "past-the-end")]


def test_deadline(top: Path) -> None:
    staged(top, {"shop/pricing.py": DIVIDES, "a.py": "x = 1\n"})
    change = staged_change(Repository(top), Settings(), deadline=0.0)
    assert change.hunks == ()
    assert change.unreviewed == (
        Unreviewed("a.py", "The time limit was reached.", 1, is_missed=True),
        Unreviewed("shop/pricing.py", "The time limit was reached.", 1, is_missed=True),
    )
    assert change.total == 2


def test_two_definitions(top: Path) -> None:
    staged(top, {"shop/pricing.py": DIVIDES.replace("xs[-1]", "xs[len(xs)]")})
    source = select_change(ReviewRequest())
    assert [(hunk.definition, hunk.added, hunk.number) for hunk in source.change.hunks] == [
        ("mean", (6,), 0),
        ("last", (10,), 0),
    ]
    assert source.change.total == 1


def test_long_hunk_is_cut(top: Path) -> None:
    text = "\n\n".join(f"def f{n}(x):\n    y = x + {n}\n    return y * {n}\n" for n in range(120))
    staged(top, {"long.py": text})
    hunks = select_change(ReviewRequest()).change.hunks
    assert len(hunks) > 2
    assert {hunk.number for hunk in hunks} == {0}
    assert [line[1:] for hunk in hunks for line in hunk.lines] == text.split("\n")[:-1]
    assert all(len(hunk.text) < 2600 and hunk.lines[0].startswith("+def ") for hunk in hunks)
    assert [at for hunk in hunks for at in hunk.added] == [
        n for n, line in enumerate(text.split("\n"), 1) if line
    ]


def test_secrets_are_redacted(top: Path) -> None:
    key = (
        "-----BEGIN RSA PRIVATE KEY-----\n"
        + "MIIabcdefgh\n" * 4
        + "-----END RSA PRIVATE KEY-----\n"
    )
    staged(
        top, {"config.py": f'a = 1\nKEY = """{key}"""\ntoken = "ghp_0123456789abcdefghij"\nb = 2\n'}
    )
    source = select_change(ReviewRequest())
    assert "MIIabcdefgh" not in repr(source)
    assert "ghp_" not in repr(source)
    [hunk] = source.change.hunks
    assert hunk.line(hunk.added[-1]) == "b = 2"
    secret = {
        finding.line: finding.severity.word
        for finding in source.observed
        if finding.rule == "secret"
    }
    assert secret[hunk.added[-2]] == "error"


# --- a diff at hand -------------------------------------------------------------------------


def test_diff_without_repository(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "logo.png").write_bytes(b"\0\1")
    staged(top, {"shop/pricing.py": DIVIDES, "caf\u00e9 bar.py": "x = 1\n"})
    git(top, "mv", "shop/pricing.py", "shop/prices.py")
    diff = git(top, "diff", "--cached", "-M").encode()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    source = select_change(ReviewRequest(diff=diff))
    assert added(source) == {
        "shop/prices.py": ["return sum(xs) / len(xs)"],
        "caf\u00e9 bar.py": ["x = 1"],
    }
    assert reasons(source) == {"logo.png": "binary"}
    assert source.change.description == "the diff on standard input"


def test_plain_unified_diff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = select_change(ReviewRequest(diff=b"--- a.py\n+++ a.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"))
    assert added(source) == {"a.py": ["x = 2"]}


def test_not_a_diff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert select_change(ReviewRequest(diff=b"")).change.files == 0
    with pytest.raises(ConfigError) as raised:
        select_change(ReviewRequest(diff=b"hello\n"))
    assert str(raised.value) == "Standard input is not a diff. Pipe `git diff` into it."


CUT_OFF = b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,3 +1,4 @@\n x = 1\n+y = 2\n"


def test_cut_off_diff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pipe has of a program that failed is not reviewed as if it were all."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as raised:
        select_change(ReviewRequest(diff=CUT_OFF))
    assert str(raised.value) == (
        "The diff on standard input is cut off or damaged at a.py. "
        "Check the command before the pipe; `set -o pipefail` reports its failure."
    )


def test_empty_diff_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        select_change(ReviewRequest(diff=b"")).change.description
        == "an empty diff on standard input"
    )
