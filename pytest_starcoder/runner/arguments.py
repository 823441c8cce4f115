"""Which of the user's pytest options a run of ours keeps."""

from __future__ import annotations

import re
from collections.abc import Sequence

VALUED = set(
    """
    -n --numprocesses --maxprocesses --dist --tx --px --rsyncdir --rsyncignore
    --cov --cov-report --cov-config --cov-context --cov-fail-under --cov-precision
    --junitxml --junit-xml --junitprefix --junit-prefix --html --css --report-log --json-report-file --csv
    --log-file --basetemp --maxfail -c --config-file --rootdir --pdbcls --durations --durations-min
    --reruns --reruns-delay --only-rerun --count -p
    --random-order-bucket --random-order-seed --randomly-seed
    --splits --group --splitting-algorithm --num-shards --shard-id
    --lfnf --last-failed-no-failures --pastebin
    """.split()
)
"""Options with a value that are left out: other processes, measuring, reports, folders, selection, order.

`-p` is looked at again: only what names xdist, coverage, an order or no cache goes; the child has a cache of its own.
"""

PLAIN = set(
    """
    -x --exitfirst -d -f --looponfail --pdb --trace --lf --last-failed --ff --failed-first --nf --new-first
    --sw --stepwise --sw-skip --stepwise-skip --stepwise-reset --sw-reset --cache-clear --pyargs
    --no-cov --no-cov-on-fail --cov-append --cov-branch --cov-reset --self-contained-html --json-report
    --random-order --setup-only --setup-plan --setup-show --collect-only --co --forked --testmon
    """.split()
)
"""Options without a value that are left out."""

OTHERS = ("xdist", "pytest_cov", "randomly", "random_order", "random-order", "rerunfailures", "reverse")
"""Plugins that the child does without; naming one that is not installed does no harm."""


def kept(arguments: Sequence[str], positionals: Sequence[str]) -> list[str]:
    """Of `arguments` those that decide how a test runs, without those that name tests (`positionals`)."""
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
            if not any(other in name for other in (*OTHERS, "no:cacheprovider")):
                found += ["-p", name]
        elif option in VALUED:
            if not equals and waiting and not waiting[0].startswith("-") and waiting[0] not in named:
                waiting.pop(0)
        elif option not in PLAIN and word not in named and not _ATTACHED.fullmatch(word):
            found.append(word)
    return [*found, *(word for other in OTHERS for word in ("-p", f"no:{other}"))]


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
