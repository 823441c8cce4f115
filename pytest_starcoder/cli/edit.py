"""Runs `starcoder edit`, which changes lines of a file by an instruction and shows the diff."""

from __future__ import annotations

import argparse
import re

from pytest_starcoder.assist.edit import edit
from pytest_starcoder.cli.answer_terminal import answer_terminal
from pytest_starcoder.cli.options import add_examples, add_settings
from pytest_starcoder.cli.source_file import read_source
from pytest_starcoder.errors import ConfigError, UnreadableAnswer
from pytest_starcoder.source.diff import make_diff

HELP = "Change lines of a file by an instruction, and show the diff"

_PLACE = r"(?P<file>.+):(?P<first>\d+)(?:-(?P<last>\d+))?"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "place", metavar="FILE:A-B", help="the 1-based lines A to B, or FILE:A for one line"
    )
    parser.add_argument("instruction", nargs="+", help="what to change")
    parser.add_argument("--write", action="store_true", help="change the file")
    add_settings(parser)
    add_examples(
        parser,
        "FILE:A-B INSTRUCTION ... [--write]",
        'starcoder edit shop/pricing.py:14-20 "Return 0 for an empty list."',
        'starcoder edit shop/pricing.py:14-20 --write "Return 0 for an empty list."',
    )


def run(arguments: argparse.Namespace) -> int:
    """Show or write the change and return 0; raises UnreadableAnswer if it breaks the file."""
    place = re.fullmatch(_PLACE, arguments.place)
    if place is None:
        raise ConfigError(
            f"{arguments.place!r} is not FILE:A-B.", "For example: shop/pricing.py:14-20."
        )
    instruction = " ".join(arguments.instruction)
    if not instruction.strip():
        raise ConfigError("There is no instruction.", "Say what to change in these lines.")
    source = read_source(place["file"])
    first = int(place["first"])
    last = int(place["last"] or first)
    source.check_lines(first, last)
    with answer_terminal(arguments) as terminal:
        with terminal.waiting():
            rewrite = edit(
                source.shown,
                source.text,
                first,
                last,
                instruction,
                terminal.client,
                terminal.redact,
            )
        diff = make_diff(rewrite.before, rewrite.after, rewrite.path)
        if rewrite.problem:
            terminal.note(diff.removesuffix("\n"))
            raise UnreadableAnswer(
                f"The change by {rewrite.model} cannot be used: {rewrite.problem}.",
                "Nothing was written. Reword the instruction, or ask another model.",
            )
        if arguments.write:
            source.write(rewrite.after)
        terminal.show(diff)
        remark = "written, not run" if arguments.write else "nothing was written; use --write"
        terminal.sign(rewrite.model, remark)
    return 0
