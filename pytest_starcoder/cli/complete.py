"""`starcoder complete`: what belongs at a line of a file, by what stands around it."""

from __future__ import annotations

import argparse

from pytest_starcoder.assist.rewrite import complete
from pytest_starcoder.cli.model_session import asking
from pytest_starcoder.cli.options import add_examples, add_settings
from pytest_starcoder.cli.source_file import read_source
from pytest_starcoder.errors import ConfigError, UnreadableAnswer
from pytest_starcoder.source.diff import unified

HELP = "Write what belongs at a line of a file: after it, or where it is blank or half written at its end"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="FILE:LINE", help="the 1-based line")
    parser.add_argument(
        "--write", action="store_true", help="put it into the file, and print the diff"
    )
    add_settings(parser)
    add_examples(
        parser,
        "FILE:LINE [--write]",
        "starcoder complete shop/pricing.py:14",
        "starcoder complete shop/pricing.py:14 --write",
    )


def run(arguments: argparse.Namespace) -> int:
    """0 if something belongs there; nothing is written that keeps a file from being parsed that was before."""
    name, _, line = arguments.place.rpartition(":")
    if not name or not line.isdecimal():
        raise ConfigError(
            f"{arguments.place!r} is not FILE:LINE.", "Write for example shop/pricing.py:14."
        )
    source = read_source(name)
    source.check_lines(int(line), int(line))
    with asking(arguments) as it:
        with it.waiting():
            rewrite = complete(source.shown, source.text, int(line), it.client, it.redact)
        if arguments.write and rewrite.problem:
            raise UnreadableAnswer(
                f"Nothing was written: with what {rewrite.model} wrote {rewrite.problem}.",
                "See it without --write, or ask another model.",
            )
        if arguments.write:
            source.write(rewrite.after)
            it.show(unified(rewrite.before, rewrite.after, rewrite.path))
        else:
            it.show(f"{rewrite.inserted}\n")
        it.signed(
            rewrite.model,
            rewrite.problem or ("written, not run" if arguments.write else "unchecked"),
        )
    return 0
