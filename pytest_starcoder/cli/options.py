"""Settings as options of a command, and examples in its help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pytest_starcoder.settings.schema import MODEL_KEYS, SCHEMA, is_for_review, option_name


class CommandParser(argparse.ArgumentParser):
    """A parser that reports a misspelled option before anything that follows from it."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        words = sys.argv[1:] if args is None else list(args)
        if self._subparsers is None:
            self._check_options(words)
        return super().parse_known_args(words, namespace)

    def _check_options(self, words: Sequence[str]) -> None:
        options = list(self._option_string_actions)
        for word in words:
            if word == "--":
                return
            name, _, _ = word.partition("=")
            # A word with a blank is an argument: a question may begin with two dashes.
            if not name.startswith("--") or " " in word:
                continue
            if any(option.startswith(name) for option in options):
                continue
            import difflib  # only for errors

            nearest = difflib.get_close_matches(name, options, n=1)
            hint = f"the nearest is {nearest[0]}" if nearest else "--help lists the options"
            self.error(f"there is no option {name}; {hint}")


def add_settings(parser: argparse.ArgumentParser, *further: str) -> None:
    """Add an option for every setting, named as in pytest.

    The help lists those that matter where a model is asked, and `further` ones.
    """
    group = parser.add_argument_group("settings for this run")
    for key, entry in SCHEMA.items():
        if is_for_review(key):
            continue
        text = entry.help if key in MODEL_KEYS or key in further else argparse.SUPPRESS
        option = option_name(key)
        group.add_argument(option, dest=f"starcoder_{key}", metavar="VALUE", help=text)


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
