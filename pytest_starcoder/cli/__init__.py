"""The `starcoder` command.

Each subcommand is a module with `add(parser)` and `run(arguments) -> exit status`.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from types import ModuleType

from pytest_starcoder.cli.options import CommandParser
from pytest_starcoder.errors import ConfigError, StarcoderError

INTERRUPTED_STATUS = 130
"""Exit status after Ctrl-C, as shells count it: 128 + SIGINT."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `starcoder`.

    Returns 0 for success, 1 for failure, 2 if the command or a setting cannot be used, and 130
    if the user interrupted it.
    """
    return _run(make_parser().parse_args(argv))


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of `starcoder` and its subcommands."""
    from pytest_starcoder.cli import (
        ask,
        complete,
        demo,
        doctor,
        edit,
        eval,
        explain,
        models,
        review,
    )

    parser = CommandParser(
        prog="starcoder",
        description="Find out why tests fail, with StarCoder on your own machine. "
        "In a project, run: pytest --starcoder-explain",
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (demo, doctor, models, ask, complete, edit, explain, review, eval):
        name = command.__name__.rpartition(".")[2]
        subparser = subparsers.add_parser(name, help=command.HELP, description=command.HELP)
        command.add(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def run_alone(command: ModuleType, name: str, argv: Sequence[str], **defaults: object) -> int:
    """Run a subcommand as a program called `name`; `defaults` are further arguments of it."""
    parser = CommandParser(prog=name, description=command.HELP)
    command.add(parser)
    parser.set_defaults(run=command.run, **defaults)
    return _run(parser.parse_args(argv))


def _run(arguments: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A model's words may not exist in the terminal's encoding.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return int(arguments.run(arguments))
    except StarcoderError as exc:
        print(f"starcoder: {exc}", file=sys.stderr)
        return 2 if isinstance(exc, ConfigError) else 1
    except KeyboardInterrupt:
        print("starcoder: interrupted.", file=sys.stderr)
        return INTERRUPTED_STATUS
