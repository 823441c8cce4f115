"""Settings as options of a command, and examples in its help."""

from __future__ import annotations

import argparse

from pytest_starcoder.settings.schema import SCHEMA, is_for_review


def add_settings(parser: argparse.ArgumentParser) -> None:
    """An option for every setting, as pytest has them."""
    group = parser.add_argument_group("settings, for this once")
    for key, entry in SCHEMA.items():
        if is_for_review(key):
            continue
        group.add_argument(
            f"--starcoder-{key.replace('_', '-')}",
            dest=f"starcoder_{key}",
            metavar="VALUE",
            help=entry.help,
        )


def add_examples(parser: argparse.ArgumentParser, usage: str, *examples: str) -> None:
    """Usage in one line, and command lines to begin with, before the many options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = f"%(prog)s {usage} [SETTING ...]"
    parser.description = "\n".join(
        [f"{parser.description}.", "", "examples:", *(f"  {line}" for line in examples)]
    )


def given(arguments: argparse.Namespace) -> dict[str, str]:
    """The settings that the command line sets, by key."""
    found = {key: getattr(arguments, f"starcoder_{key}", None) for key in SCHEMA}
    return {key: value for key, value in found.items() if value is not None}
