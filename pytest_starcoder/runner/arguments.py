"""Selects the user's pytest options for a run of ours.

Options that tests, fixtures and conftests may read are kept. Options that select, order,
distribute, repeat, measure or report tests are dropped, and so are those that make tests write
what they expect: the user's run has just done that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

VALUED = set(
    """
    -n --numprocesses --maxprocesses --dist --tx --px --rsyncdir --rsyncignore
    --cov --cov-report --cov-config --cov-context --cov-fail-under --cov-precision
    --junitxml --junit-xml --junitprefix --junit-prefix --html --css --report-log --json-report-file --csv
    --log-file --basetemp --maxfail -c --config-file --rootdir --pdbcls --durations --durations-min
    --reruns --reruns-delay --only-rerun --rerun-except --max-runs --min-passes --retries --retry-delay
    --splits --group --splitting-algorithm --num-shards --shard-id -p
    --lfnf --last-failed-no-failures --pastebin
    --cucumberjson --cucumber-json --resultlog --result-log --excelreport --nunit-xml --ctrf --md-report-output
    --benchmark-json --benchmark-save --test-groups --benchmark-compare-fail --workers --tests-per-worker
    """.split()
)
"""Options with a value that are left out: other processes, measuring, reports, folders, selection, repetition.

`-p` is looked at again: only what names no cache goes; the child has a cache of its own.
"""

PLAIN = set(
    """
    -x --exitfirst -d -f --looponfail --pdb --trace --lf --last-failed --ff --failed-first --nf --new-first
    --sw --stepwise --sw-skip --stepwise-skip --stepwise-reset --sw-reset --cache-clear --pyargs
    --no-cov-on-fail --cov-append --cov-branch --cov-reset --self-contained-html --json-report
    --setup-only --setup-plan --setup-show --collect-only --co --forked --testmon --force-flaky
    --benchmark-autosave --picked
    """.split()
)
"""Options without a value that are left out."""

PLACES = {
    "--alluredir",
    "--allure-dir",
    "--benchmark-storage",
    "--tap-outdir",
    "--mpl-results-path",
}
"""Options for report locations that plugins require: they get a temporary folder instead."""

WRITES = re.compile(
    r"--(?:[\w-]+[-_])?(?:update|updates|updated|regen|regenerate|rewrite|overwrite|record|rerecord|generate|"
    r"bless|accept|approve|clean|clear|purge|store|inline-snapshot|fix)(?:[-_][\w-]+)?"
)
"""Options that make tests write what they expect or remove files: `--snapshot-update`."""

WITHOUT = {"--record-mode": "none", "--vcr-record": "none"}
"""Such options that get another value instead, because their default might record as well."""


def kept(arguments: Sequence[str], positionals: Sequence[str], folder: Path) -> list[str]:
    """Return the `arguments` that affect how a test runs, without `positionals` that name tests.

    Reports that a plugin cannot do without go into `folder`.
    """
    found, named, waiting = [], set(positionals), list(arguments)
    while waiting:
        word = waiting.pop(0)
        option, equals, _ = word.partition("=")
        if word == "--":
            break
        if option.startswith("--starcoder") or option == "--no-starcoder":
            valued = not equals and option not in FLAGS and bool(waiting)
            if valued and (option not in MAY_HAVE_ONE or not waiting[0].startswith("-")):
                waiting.pop(0)
        elif option == "-p" or (word.startswith("-p") and not word.startswith("--")):
            name = waiting.pop(0) if word == "-p" and waiting else word[2:]
            if name != "no:cacheprovider":
                found += ["-p", name]
        elif option in VALUED:
            if (
                not equals
                and waiting
                and not waiting[0].startswith("-")
                and waiting[0] not in named
            ):
                waiting.pop(0)
        elif option in PLACES:
            found.append(f"{option}={folder / option.strip('-')}")
            if not equals and waiting:
                waiting.pop(0)
        elif option in WITHOUT:
            found.append(f"{option}={WITHOUT[option]}")
            if not equals and waiting:
                waiting.pop(0)
        elif not _is_left_out(option, word) and word not in named:
            found.append(word)
    return found


def _is_left_out(option: str, word: str) -> bool:
    return option in PLAIN or bool(_ATTACHED.fullmatch(word) or WRITES.fullmatch(option))


_ATTACHED = re.compile(r"-n(\d+|auto|logical)|-c.+")
"""Short options that are left out, with their value attached."""

FLAGS = set(
    """
    --starcoder-explain --starcoder-show-prompt --starcoder-write --starcoder-write-suspected
    --starcoder-generate-changed --starcoder-characterise --starcoder-require --no-starcoder
    """.split()
)
"""Options of ours that take no value; tests/plugin/test_options.py keeps them and the next ones up to date."""

MAY_HAVE_ONE = {"--starcoder-apply", "--starcoder-generate"}
"""Options of ours that take a value or none."""
