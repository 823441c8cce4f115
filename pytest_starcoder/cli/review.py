"""`starcoder-review`, also `starcoder review`: comments on what is staged, on a range of commits, or on a diff."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING

from pytest_starcoder.cli.options import add_examples, add_settings, given
from pytest_starcoder.errors import ConfigError, Misuse, StarcoderError
from pytest_starcoder.review.forked_call import Ahead
from pytest_starcoder.review.request import Asked

if TYPE_CHECKING:
    from pytest_starcoder.review.finding import Review
    from pytest_starcoder.review.selected import Found

HELP = "Review what is staged, a range of commits, or a diff"

OPTIONS = {
    "review_time_budget": "--time-budget",
    "review_fail_on": "--fail-on",
    "review_min_severity": "--min-severity",
    "review_max_findings": "--max-findings",
    "review_exclude": "--exclude",
}

FORMATS = ("github", "gitlab", "json", "sarif", "text")
"""What standard output can be."""

SKIP = "Skip once: SKIP=starcoder-review git commit ...     Accept: starcoder-review --accept"


def add(parser: argparse.ArgumentParser) -> None:
    from pytest_starcoder.settings import SCHEMA

    parser.add_argument(
        "diff", nargs="?", choices=("-",), help="- reviews the diff on standard input"
    )
    for option, text in (
        ("--from-ref", "review what came after this one parted"),
        ("--to-ref", "up to this one (default: HEAD)"),
    ):
        parser.add_argument(option, type=_commit_name, metavar="COMMIT", help=text)
    parser.add_argument("--format", choices=FORMATS, default="text", help="of standard output")
    parser.add_argument(
        "--require-model",
        action="store_true",
        help="exit 3 unless a model has looked at every hunk",
    )
    parser.add_argument("--advisory", action="store_true", help="exit 0 whatever is found")
    parser.add_argument(
        "--accept",
        action="store_true",
        help="put the findings of the last review into the baseline",
    )
    parser.add_argument("--last", action="store_true", help="print the last review again")
    parser.add_argument(
        "--preview", action="store_true", help="say what would be reviewed, and ask nobody"
    )
    parser.add_argument(
        "--show-prompt", action="store_true", help="print what would be sent, and ask nobody"
    )
    parser.add_argument(
        "--background", action="store_true", help="review the last commit while you go on"
    )
    for key, option in OPTIONS.items():
        parser.add_argument(option, dest=f"starcoder_{key}", metavar="VALUE", help=SCHEMA[key].help)
    parser.set_defaults(find=Ahead("pytest_starcoder.review.change_selection", "find"))
    add_settings(parser)
    add_examples(
        parser,
        "[OPTION ...]",
        "starcoder-review",
        "starcoder-review --from-ref origin/main",
        "git diff | starcoder-review -",
    )


def _commit_name(word: str) -> str:
    """Return `word`; an empty one is a variable that CI did not set, and would mean what is staged."""
    if not word.strip():
        raise argparse.ArgumentTypeError("it is empty; name a commit or a branch")
    return word


def run(arguments: argparse.Namespace) -> int:
    """Run the review and return the exit status.

    0: nothing stops the commit; 1: a finding does; 2: invalid usage, or git fails; 3: a required
    model is missing. With `--advisory` it is 0 for everything but an invalid command line.
    """
    try:
        status = _run(arguments)
    except Misuse as exc:
        print(f"starcoder-review: {exc}", file=sys.stderr)
        return 2
    except ConfigError as exc:
        _say_why_not(f"starcoder-review: {exc}", passes=arguments.advisory)
        status = 2
    except Exception as exc:  # noqa: BLE001 - our own bugs must not block a commit
        told = str(exc) if isinstance(exc, StarcoderError) else f"{type(exc).__name__}: {exc}"
        _say_why_not(
            f"starcoder-review: not reviewed: the review itself failed: {told}", passes=True
        )
        status = 3 if arguments.require_model else 0
    return 0 if arguments.advisory else status


def _say_why_not(sentence: str, *, passes: bool) -> None:
    """Print why nothing was reviewed, also on the terminal if the hook `passes`.

    Hook frameworks hide the standard error of a hook that passes.
    """
    print(sentence, file=sys.stderr)
    if passes:
        from pytest_starcoder.review.hook_terminal import Screen

        with closing(Screen()) as screen:
            screen.passed(sentence)


def writer(name: str) -> Callable[[Review], str]:
    """The writer of one of FORMATS."""
    from pytest_starcoder.explain.json_report import review_to_json
    from pytest_starcoder.explain.sarif import review_to_sarif
    from pytest_starcoder.review.github import review_commands
    from pytest_starcoder.review.gitlab import to_code_quality
    from pytest_starcoder.review.text_report import to_text

    writers: Mapping[str, Callable[[Review], str]] = {
        "text": to_text,
        "json": review_to_json,
        "sarif": review_to_sarif,
        "github": review_commands,
        "gitlab": to_code_quality,
    }
    return writers[name]


def _run(arguments: argparse.Namespace) -> int:
    if arguments.last:
        return _last(arguments.format)
    if arguments.background:
        from pytest_starcoder.review import background

        return background.run(given(arguments), is_advisory=arguments.advisory)
    if arguments.accept:
        from pytest_starcoder.review import reviewer as door

        print(door.accept())
        return 0
    options = given(arguments) | ({"review_require_model": "on"} if arguments.require_model else {})
    diff = sys.stdin.buffer.read() if arguments.diff else None
    started = time.monotonic()
    arguments.find.begin(Asked(options, arguments.from_ref or "", arguments.to_ref or "", diff))
    # While the change is looked for: most people ask Ollama, and requests takes its time.
    import_module("pytest_starcoder.model.backends.ollama")
    from pytest_starcoder.review import reviewer as door
    from pytest_starcoder.review.hook_terminal import Screen
    from pytest_starcoder.review.text_report import summary

    found: Found = arguments.find.value()
    if arguments.preview or arguments.show_prompt:
        from pytest_starcoder.review.preview import preview, prompts

        sys.stdout.write(prompts(found) if arguments.show_prompt else preview(found))
        if found.change.git_error:
            print(f"starcoder-review: {found.change.git_error}", file=sys.stderr)
        return door.NO_GIT if found.change.git_error else 0
    with closing(Screen()) as screen:
        result = door.review(found, screen, started)
        status = 0 if arguments.advisory else door.status_of(result, found.settings)
        sys.stdout.write(writer(arguments.format)(result))
        if arguments.format == "text":
            _hints(result, status)
        else:
            print(summary(result), file=sys.stderr)
        for problem in (result.git_error, result.away):
            if problem:
                print(f"starcoder-review: {problem}", file=sys.stderr)
        if status == 0:
            screen.passed(
                f"StarCoder: {summary(result)}"
                + (" See starcoder-review --last." if result.findings else "")
            )
            if result.away:
                screen.passed(f"StarCoder: {result.away}")
        return status


def _hints(result: Review, status: int) -> None:
    if status == 1 and os.environ.get("PRE_COMMIT") == "1":
        print(SKIP)


def _last(name: str) -> int:
    from pathlib import Path

    from pytest_starcoder.review.store import Kept
    from pytest_starcoder.source.git import Repository

    kept = Kept(Repository(Path.cwd()).folder)
    if name not in ("text", "json"):
        raise Misuse(
            f"--last is available as text and JSON, not as {name}.", "Omit --format, or use json."
        )
    text = kept.text("last", name)
    if text is None:
        raise ConfigError(
            "Nothing was reviewed here yet.", "Stage a change and run starcoder-review."
        )
    sys.stdout.write(text)
    return 0
