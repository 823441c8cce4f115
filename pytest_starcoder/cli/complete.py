"""Runs `starcoder complete`, which writes code at a line of a file."""

from __future__ import annotations

import argparse

from pytest_starcoder.assist.complete import complete
from pytest_starcoder.cli.answer_terminal import answer_terminal
from pytest_starcoder.cli.options import add_examples, add_settings
from pytest_starcoder.cli.source_file import read_source
from pytest_starcoder.errors import ConfigError, UnreadableAnswer
from pytest_starcoder.source.diff import make_diff

HELP = "Write the code that belongs after a line of a file, or at the end of a half-written one"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="FILE:LINE", help="the 1-based line")
    parser.add_argument(
        "--write", action="store_true", help="write the code into the file and print the diff"
    )
    add_settings(parser)
    add_examples(
        parser,
        "FILE:LINE [--write]",
        "starcoder complete shop/pricing.py:14",
        "starcoder complete shop/pricing.py:14 --write",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print or write the code and return 0.

    Raises UnreadableAnswer if `--write` would turn a file that parses into one that does not.
    """
    name, _, line = arguments.place.rpartition(":")
    if not name or not line.isdecimal():
        raise ConfigError(
            f"{arguments.place!r} is not FILE:LINE.", "For example: shop/pricing.py:14."
        )
    source = read_source(name)
    source.check_lines(int(line), int(line))
    with answer_terminal(arguments) as terminal:
        with terminal.waiting():
            rewrite = complete(
                source.shown, source.text, int(line), terminal.client, terminal.redact
            )
        remark = rewrite.problem or "unchecked"
        if not arguments.write:
            terminal.show(f"{rewrite.inserted}\n")
        elif rewrite.problem:
            raise UnreadableAnswer(
                f"Nothing was written: with the code of {rewrite.model}, {rewrite.problem}.",
                "See it without --write, or ask another model.",
            )
        else:
            source.write(rewrite.after)
            terminal.show(make_diff(rewrite.before, rewrite.after, rewrite.path))
            remark = "written, not run"
        terminal.sign(rewrite.model, remark)
    return 0
