"""The command `starcoder`: one file a subcommand, each with `add(parser)` and `run(arguments) -> exit status`."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from types import ModuleType

from pytest_starcoder.errors import ConfigError, StarcoderError


def main(argv: Sequence[str] | None = None) -> int:
    """0: it worked; 1: it did not; 2: the command or a setting cannot be used; 130: interrupted."""
    return _run(make_parser().parse_args(argv))


def make_parser() -> argparse.ArgumentParser:
    """The parser of `starcoder` and its subcommands."""
    from pytest_starcoder.cli import ask, complete, demo, doctor, edit, eval, explain, review

    parser = argparse.ArgumentParser(
        prog="starcoder",
        description="Why tests fail, told by StarCoder on your own machine. In a project: pytest --starcoder-explain",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (demo, doctor, ask, complete, edit, explain, review, eval):
        name = command.__name__.rpartition(".")[2]
        added = commands.add_parser(name, help=command.HELP, description=command.HELP)
        command.add(added)
        added.set_defaults(run=command.run)
    return parser


def alone(command: ModuleType, name: str, argv: Sequence[str], **defaults: object) -> int:
    """A subcommand as a command of its own, with the same exit statuses; `defaults` are more of its arguments."""
    parser = argparse.ArgumentParser(prog=name, description=command.HELP)
    command.add(parser)
    parser.set_defaults(run=command.run, **defaults)
    return _run(parser.parse_args(argv))


def _run(arguments: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a model's words may not exist in the terminal's encoding
    try:
        return int(arguments.run(arguments))
    except StarcoderError as exc:
        print(f"starcoder: {exc}", file=sys.stderr)
        return 2 if isinstance(exc, ConfigError) else 1
    except KeyboardInterrupt:
        print("starcoder: interrupted.", file=sys.stderr)
        return 130
