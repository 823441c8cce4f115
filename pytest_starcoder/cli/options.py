"""Settings as options of a command, and examples in its help."""

from __future__ import annotations

import argparse

from pytest_starcoder.settings.schema import SCHEMA, is_for_review


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add an option for every setting, named as in pytest."""
    group = parser.add_argument_group("settings for this run")
    for key, entry in SCHEMA.items():
        if is_for_review(key):
            continue
        option = f"--starcoder-{key.replace('_', '-')}"
        group.add_argument(option, dest=f"starcoder_{key}", metavar="VALUE", help=entry.help)


def add_examples(parser: argparse.ArgumentParser, usage: str, *examples: str) -> None:
    """Put a one-line usage and examples before the many options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = f"%(prog)s {usage} [SETTING ...]"
    indented = [f"  {line}" for line in examples]
    lines = [f"{parser.description}.", "", "examples:", *indented]
    parser.description = "\n".join(lines)


def command_line_settings(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the settings that the command line sets, by key."""
    settings = {}
    for key in SCHEMA:
        value = getattr(arguments, f"starcoder_{key}", None)
        if value is not None:
            settings[key] = value
    return settings
