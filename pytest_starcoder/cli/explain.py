"""Runs `starcoder explain`, which explains a file or one definition of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_starcoder.assist.describe import describe
from pytest_starcoder.cli.answer_terminal import answer_terminal
from pytest_starcoder.cli.options import add_examples, add_settings
from pytest_starcoder.cli.source_file import read_source
from pytest_starcoder.errors import ConfigError

HELP = "Explain what code does: a file, or a function or class of a Python file"


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
    """Print the explanation and return 0."""
    file, _, name = arguments.place.partition("::")
    name = name.replace("::", ".").strip()
    path, _, line = file.rpartition(":")
    if line.isdecimal() and not Path(file).exists():
        raise ConfigError(
            f"{arguments.place} names a line, and explain takes FILE or FILE::NAME.",
            f"For example: {path}::NAME, with the function or class of that line.",
        )
    source = read_source(file)
    if not source.text.strip():
        raise ConfigError(f"{file} is empty.", "Name a file that contains code.")
    with answer_terminal(arguments) as terminal:
        with terminal.waiting():
            completion, is_whole = describe(
                source.shown, source.text, name, terminal.client, terminal.on_text, terminal.redact
            )
        terminal.end()
        if not is_whole:
            terminal.note(f"{arguments.place} is too long for the model: its middle was left out.")
        terminal.sign_completion(completion)
    return 0
