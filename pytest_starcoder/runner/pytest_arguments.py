"""Selects the user's pytest options for a run of ours.

Options that tests, fixtures and conftests may read are kept. Options that select, order,
distribute, repeat, measure or report tests are dropped. So are those that make tests write their
expected values: the user's run has just done that.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Sequence
from itertools import takewhile
from pathlib import Path

DROPPED_WITH_VALUE = set(
    """
    -n --numprocesses --maxprocesses --dist --tx --px --rsyncdir --rsyncignore
    --cov --cov-report --cov-config --cov-context --cov-fail-under --cov-precision
    --junitxml --junit-xml --junitprefix --junit-prefix --html --css --report-log
    --json-report-file --csv --log-file --basetemp --maxfail -c --config-file --rootdir --pdbcls
    --durations --durations-min --reruns --reruns-delay --only-rerun --rerun-except --max-runs
    --min-passes --retries --retry-delay --splits --group --splitting-algorithm --num-shards
    --shard-id --lfnf --last-failed-no-failures --pastebin --cucumberjson --cucumber-json
    --resultlog --result-log --excelreport --nunit-xml --ctrf --md-report-output
    --benchmark-json --benchmark-save --test-groups --benchmark-compare-fail --workers
    --tests-per-worker
    """.split()
)
"""Options with a value: distribution, measuring, reports, folders, selection, repetition."""

DROPPED_FLAGS = set(
    """
    -x --exitfirst -d -f --looponfail --pdb --trace --lf --last-failed --ff --failed-first
    --nf --new-first --sw --stepwise --sw-skip --stepwise-skip --stepwise-reset --sw-reset
    --cache-clear --pyargs --no-cov-on-fail --cov-append --cov-branch --cov-reset
    --self-contained-html --json-report --setup-only --setup-plan --setup-show --collect-only
    --co --forked --testmon --force-flaky --benchmark-autosave --picked
    """.split()
)
"""Options without a value."""

DROPPED_ATTACHED = re.compile(r"-n(\d+|auto|logical)|-c.+")
"""Short options with their value attached."""

DROPPED_WRITES = re.compile(
    r"--(?:[\w-]+[-_])?"
    r"(?:update|updates|updated|regen|regenerate|rewrite|overwrite|record|rerecord|generate|"
    r"bless|accept|approve|clean|clear|purge|store|inline-snapshot|fix)(?:[-_][\w-]+)?"
)
"""Options that make tests write what they expect or remove files: `--snapshot-update`."""

REPORT_FOLDERS = {
    "--alluredir",
    "--allure-dir",
    "--benchmark-storage",
    "--tap-outdir",
    "--mpl-results-path",
}
"""Options for report locations that plugins require: they get a temporary folder instead."""

REPLACED = {"--record-mode": "none", "--vcr-record": "none"}
"""Options that make tests write by default; this value prevents that."""

# tests/plugin/test_options.py keeps these two up to date.
OUR_FLAGS = set(
    """
    --starcoder-explain --starcoder-broke --starcoder-show-prompt --starcoder-write
    --starcoder-write-suspected --starcoder-generate-changed --starcoder-characterise
    --starcoder-require --no-starcoder
    """.split()
)
"""Options of ours that take no value."""

OUR_OPTIONAL_VALUES = {"--starcoder-apply", "--starcoder-generate"}
"""Options of ours that take a value or none."""


def select_arguments(
    arguments: Sequence[str], positionals: Sequence[str], folder: Path
) -> list[str]:
    """Return the `arguments` that affect how a test runs, without `positionals` that name tests.

    Reports that a plugin cannot do without go into `folder`.
    """
    selected: list[str] = []
    test_names = frozenset(positionals)
    # After `--`, only names of tests follow.
    words = deque(takewhile(lambda word: word != "--", arguments))
    while words:
        word = words.popleft()
        option, has_value, _ = word.partition("=")
        replacement = _replacement(option, folder)
        if replacement is not None:
            selected.append(f"{option}={replacement}")
        elif word.startswith("-p"):
            plugin = _plugin_name(word, words)
            if plugin != "no:cacheprovider":  # the run has a temporary cache
                selected += ["-p", plugin]
        elif not _is_dropped(option, word) and word not in test_names:
            selected.append(word)
        if words and not has_value and _takes_value(option, words[0], test_names):
            words.popleft()
    return selected


def _plugin_name(word: str, following: deque[str]) -> str:
    """Return the value of a `-p`, which is attached to it or the next word."""
    if word == "-p" and following:
        return following.popleft()
    return word.removeprefix("-p")


def _replacement(option: str, folder: Path) -> str | None:
    """Return the value to give to an option instead of the user's; None to leave it alone."""
    if option in REPORT_FOLDERS:
        return str(folder / option.strip("-"))
    return REPLACED.get(option)


def _is_ours(option: str) -> bool:
    return option.startswith("--starcoder") or option == "--no-starcoder"


def _is_dropped(option: str, word: str) -> bool:
    if _is_ours(option) or option in DROPPED_FLAGS or option in DROPPED_WITH_VALUE:
        return True
    return bool(DROPPED_ATTACHED.fullmatch(word) or DROPPED_WRITES.fullmatch(option))


def _takes_value(option: str, next_word: str, test_names: Collection[str]) -> bool:
    """Return whether the next word is the value of an option that is dropped or replaced."""
    is_option = next_word.startswith("-")
    if option in OUR_OPTIONAL_VALUES:
        return not is_option
    if option in DROPPED_WITH_VALUE:
        # `-n` and others work without a value too: then a test may follow.
        return not is_option and next_word not in test_names
    if _is_ours(option):
        return option not in OUR_FLAGS
    return option in REPORT_FOLDERS or option in REPLACED
