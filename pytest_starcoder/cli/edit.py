"""`starcoder edit`: lines of a file as an instruction wants them, shown as a diff."""

from __future__ import annotations

import argparse
import re

from pytest_starcoder.assist.rewrite import edit
from pytest_starcoder.cli.model_session import asking
from pytest_starcoder.cli.options import add_examples, add_settings
from pytest_starcoder.cli.source_file import read_source
from pytest_starcoder.errors import ConfigError, UnreadableAnswer
from pytest_starcoder.source.diff import unified

HELP = "Change lines of a file as you say, and show the diff"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "place", metavar="FILE:A-B", help="the 1-based lines from A to B, or FILE:A for one"
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
    """0 if there is a change that the file can take, which --write then writes."""
    found = re.fullmatch(r"(.+):(\d+)(?:-(\d+))?", arguments.place)
    if found is None:
        raise ConfigError(
            f"{arguments.place!r} is not FILE:A-B.", "Write for example shop/pricing.py:14-20."
        )
    instruction = " ".join(arguments.instruction)
    if not instruction.strip():
        raise ConfigError("There is no instruction.", "Say what to change in these lines.")
    source, first, last = read_source(found[1]), int(found[2]), int(found[3] or found[2])
    source.check_lines(first, last)
    with asking(arguments) as it:
        with it.waiting():
            rewrite = edit(
                source.shown, source.text, first, last, instruction, it.client, it.redact
            )
        diff = unified(rewrite.before, rewrite.after, rewrite.path)
        if rewrite.problem:
            it.note(diff.removesuffix("\n"))
            raise UnreadableAnswer(
                f"This change of {rewrite.model}'s is no good: {rewrite.problem}.",
                "Nothing was written; say it in other words, or ask another model.",
            )
        if arguments.write:
            source.write(rewrite.after)
        it.show(diff)
        it.signed(
            rewrite.model,
            "written, not run" if arguments.write else "nothing was written; --write does it",
        )
    return 0
