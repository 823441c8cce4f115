"""`starcoder complete`: what belongs at a line of a file, by what stands around it."""

from __future__ import annotations

import argparse

from pytest_starcoder.commands.asking import add_settings, asking
from pytest_starcoder.commands.source import read_source
from pytest_starcoder.errors import ConfigError, UnreadableAnswer
from pytest_starcoder.jobs.rewrite import complete
from pytest_starcoder.text.diff import lines_of, unified
from pytest_starcoder.text.display import printable

HELP = "Write what belongs at a line of a file: after it, or where it is blank or half written at its end"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="FILE:LINE", help="the 1-based line")
    parser.add_argument("--write", action="store_true", help="put it into the file, and print the diff")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 if something belongs there; nothing is written that keeps a file from being parsed that was before."""
    name, _, line = arguments.place.rpartition(":")
    if not name or not line.isdecimal():
        raise ConfigError(f"{arguments.place!r} is not FILE:LINE.", "Write for example shop/pricing.py:14.")
    source = read_source(name)
    count = len(lines_of(source.text))
    if not 1 <= int(line) <= count:
        raise ConfigError(f"{name} has no line {line}: it has {count}.", "Name one of them.")
    with asking(arguments) as it:
        with it.waiting():
            rewrite = complete(source.shown, source.text, int(line), it.client)
        if arguments.write and rewrite.problem:
            raise UnreadableAnswer(f"Nothing was written: {rewrite.problem}.", "Ask again, or another model.")
        if arguments.write:
            source.write(rewrite.after)
            print(printable(unified(rewrite.before, rewrite.after, rewrite.path), tabs=True), end="")
        else:
            print(printable(rewrite.inserted, tabs=True))
        it.signed(rewrite.model, rewrite.problem or "unchecked")
    return 0
