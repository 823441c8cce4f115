"""`starcoder edit`: lines of a file as an instruction wants them, shown as a diff."""

from __future__ import annotations

import argparse
import re

from pytest_starcoder.commands.asking import add_settings, asking
from pytest_starcoder.commands.source import read_source
from pytest_starcoder.errors import ConfigError, UnreadableAnswer
from pytest_starcoder.jobs.rewrite import edit
from pytest_starcoder.text.diff import lines_of, unified
from pytest_starcoder.text.display import printable

HELP = "Change lines of a file as you say, and show the diff"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="FILE:A-B", help="the 1-based lines from A to B")
    parser.add_argument("instruction", nargs="+", help="what to change")
    parser.add_argument("--write", action="store_true", help="change the file")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 if there is a change that the file can take, which --write then writes."""
    found = re.fullmatch(r"(.+):(\d+)(?:-(\d+))?", arguments.place)
    if found is None:
        raise ConfigError(f"{arguments.place!r} is not FILE:A-B.", "Write for example shop/pricing.py:14-20.")
    name, first, last = found[1], int(found[2]), int(found[3] or found[2])
    source = read_source(name)
    count = len(lines_of(source.text))
    if not 1 <= first <= last <= count:
        raise ConfigError(f"{name} has no lines {first}-{last}: it has {count}.", "Name lines that are there.")
    with asking(arguments) as it:
        with it.waiting():
            rewrite = edit(source.shown, source.text, first, last, " ".join(arguments.instruction), it.client)
        print(printable(unified(rewrite.before, rewrite.after, rewrite.path), tabs=True), end="")
        if rewrite.problem:
            raise UnreadableAnswer(f"{rewrite.model}'s change is no good: {rewrite.problem}.", "Nothing was written.")
        if arguments.write:
            source.write(rewrite.after)
        it.signed(rewrite.model, "written, not run" if arguments.write else "nothing was written; --write does it")
    return 0
