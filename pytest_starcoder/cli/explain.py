"""`starcoder explain`: what a file, or one definition of it, does."""

from __future__ import annotations

import argparse

from pytest_starcoder.assist.describe import describe
from pytest_starcoder.cli.model_session import asking
from pytest_starcoder.cli.options import add_examples, add_settings
from pytest_starcoder.cli.source_file import read_source
from pytest_starcoder.errors import ConfigError

HELP = "Explain code that does not fail: a file, or a function or class of a Python file"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="FILE[::NAME]", help="NAME may be dotted: Cart.total")
    add_settings(parser)
    add_examples(
        parser,
        "FILE[::NAME]",
        "starcoder explain shop/pricing.py",
        "starcoder explain shop/pricing.py::Cart.total",
    )


def run(arguments: argparse.Namespace) -> int:
    """0 if there is an explanation."""
    file, _, name = arguments.place.partition("::")
    source = read_source(file)
    if not source.text.strip():
        raise ConfigError(f"{file} is empty.", "Name a file with code.")
    with asking(arguments) as it:
        with it.waiting():
            completion, whole = describe(
                source.shown,
                source.text,
                name.replace("::", ".").strip(),
                it.client,
                it.on_text,
                it.redact,
            )
        it.end()
        if not whole:
            it.note(
                f"The model has not seen all of {arguments.place}, which is too long: its middle was left out."
            )
        remark = "cut short, unchecked" if completion.truncated else "unchecked"
        it.signed(completion.model, remark, remembered=completion.from_cache)
    return 0
