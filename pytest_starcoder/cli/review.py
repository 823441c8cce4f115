"""`starcoder-review` and `starcoder review`: review staged changes, commits or a diff."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING

from pytest_starcoder.cli.options import add_examples, add_settings, command_line_settings
from pytest_starcoder.errors import ConfigError, Misuse, StarcoderError
from pytest_starcoder.review.forked_call import ForkedCall
from pytest_starcoder.review.request import ReviewInput, ReviewRequest

if TYPE_CHECKING:
    from pytest_starcoder.review.finding import Review
    from pytest_starcoder.review.hook_terminal import HookTerminal

HELP = "Review what is staged, a range of commits, or a diff"

OPTIONS = {
    "review_time_budget": "--time-budget",
    "review_fail_on": "--fail-on",
    "review_min_severity": "--min-severity",
    "review_max_findings": "--max-findings",
    "review_exclude": "--exclude",
}
"""Settings with a short option."""

FORMATS = ("github", "gitlab", "json", "sarif", "text")
"""Formats of standard output."""

SKIP = "Skip once: SKIP=starcoder-review git commit ...     Accept: starcoder-review --accept"

FLAGS = {
    "--require-model": "exit with status 3 unless a model has seen every hunk",
    "--advisory": "always exit with status 0",
    "--accept": "add the findings of the last review to the baseline",
    "--last": "print the last review again",
    "--preview": "show what would be reviewed, without asking a model",
    "--show-prompt": "print what would be sent, without asking a model",
    "--background": "review the last commit in the background",
}


def add(parser: argparse.ArgumentParser) -> None:
    from pytest_starcoder.settings import SCHEMA

    parser.add_argument("diff", nargs="?", metavar="-", help="review the diff on standard input")
    for option, text in (
        ("--from-ref", "review the commits since the branch left this one"),
        ("--to-ref", "the last commit to review (default: HEAD)"),
    ):
        parser.add_argument(option, type=_commit_name, metavar="COMMIT", help=text)
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="the format of standard output"
    )
    for flag, text in FLAGS.items():
        parser.add_argument(flag, action="store_true", help=text)
    for key, option in OPTIONS.items():
        parser.add_argument(option, dest=f"starcoder_{key}", metavar="VALUE", help=SCHEMA[key].help)
    selection = ForkedCall("pytest_starcoder.review.change_selection", "select_change")
    parser.set_defaults(selection=selection)
    add_settings(parser)
    add_examples(
        parser,
        "[OPTION ...]",
        "starcoder-review",
        "starcoder-review --from-ref origin/main",
        "git diff | starcoder-review -",
    )


def _commit_name(word: str) -> str:
    """Return `word`. An empty one, a variable that CI did not set, would mean what is staged."""
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
        _print_failure(str(exc), passes=arguments.advisory)
        status = 2
    except Exception as exc:  # noqa: BLE001 - our own bugs must not block a commit
        reason = str(exc) if isinstance(exc, StarcoderError) else f"{type(exc).__name__}: {exc}"
        _print_failure(f"not reviewed: the review itself failed: {reason}", passes=True)
        status = 3 if arguments.require_model else 0
    return 0 if arguments.advisory else status


def _print_failure(reason: str, *, passes: bool) -> None:
    """Print why nothing was reviewed, also on the terminal if the hook `passes`.

    Hook frameworks hide the standard error of a hook that passes.
    """
    sentence = f"starcoder-review: {reason}"
    print(sentence, file=sys.stderr)
    if passes:
        from pytest_starcoder.review.hook_terminal import HookTerminal

        with closing(HookTerminal()) as terminal:
            terminal.show_passed(sentence)


def writer(name: str) -> Callable[[Review], str]:
    """Return the function that writes one of FORMATS."""
    from pytest_starcoder.review.github import review_commands
    from pytest_starcoder.review.gitlab import to_code_quality
    from pytest_starcoder.review.json_report import review_to_json
    from pytest_starcoder.review.sarif import review_to_sarif
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
    if arguments.diff not in (None, "-"):
        raise Misuse(
            f"A review takes no file, and {arguments.diff!r} is not -.",
            "Stage the file, or pipe `git diff` into `starcoder-review -`.",
        )
    if arguments.last:
        return _print_last(arguments.format)
    if arguments.background:
        from pytest_starcoder.review import background_hook

        return background_hook.run(command_line_settings(arguments), is_advisory=arguments.advisory)
    if arguments.accept:
        from pytest_starcoder.review.reviewer import accept_last_review

        print(accept_last_review())
        return 0
    return _review(arguments)


def _review(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    options = command_line_settings(arguments)
    if arguments.require_model:
        options["review_require_model"] = "on"
    diff = sys.stdin.buffer.read() if arguments.diff else None
    request = ReviewRequest(options, arguments.from_ref or "", arguments.to_ref or "", diff)
    arguments.selection.start(request)
    # Import while another process reads the change: requests takes its time, and most people
    # use Ollama.
    import_module("pytest_starcoder.model.backends.ollama")
    from pytest_starcoder.review import reviewer
    from pytest_starcoder.review.hook_terminal import HookTerminal

    review_input: ReviewInput = arguments.selection.result()
    if arguments.preview or arguments.show_prompt:
        return _print_preview(review_input, is_prompt=arguments.show_prompt)
    with closing(HookTerminal()) as terminal:
        result = reviewer.review(review_input, terminal, started)
        status = 0 if arguments.advisory else reviewer.exit_status(result, review_input.settings)
        _print_review(result, arguments.format, status, terminal)
        return status


def _print_review(result: Review, name: str, status: int, terminal: HookTerminal) -> None:
    from pytest_starcoder.review.text_report import summary

    sys.stdout.write(writer(name)(result))
    if name != "text":
        # Another program reads standard output.
        print(summary(result), file=sys.stderr)
    elif status == 1 and os.environ.get("PRE_COMMIT") == "1":
        print(SKIP)
    for problem in (result.git_error, result.away):
        if problem:
            print(f"starcoder-review: {problem}", file=sys.stderr)
    # Hook frameworks hide the output of a hook that passes.
    if status == 0:
        hint = " See starcoder-review --last." if result.findings else ""
        terminal.show_passed(f"StarCoder: {summary(result)}{hint}")
        if result.away:
            terminal.show_passed(f"StarCoder: {result.away}")


def _print_preview(review_input: ReviewInput, *, is_prompt: bool) -> int:
    from pytest_starcoder.review.preview import preview, show_prompts
    from pytest_starcoder.review.reviewer import NO_GIT

    sys.stdout.write(show_prompts(review_input) if is_prompt else preview(review_input))
    if review_input.change.git_error:
        print(f"starcoder-review: {review_input.change.git_error}", file=sys.stderr)
        return NO_GIT
    return 0


def _print_last(name: str) -> int:
    from pathlib import Path

    from pytest_starcoder.review.store import ReviewStore
    from pytest_starcoder.source.git.repository import Repository

    store = ReviewStore(Repository(Path.cwd()).folder)
    if name not in ("text", "json"):
        message = f"--last is available as text and JSON, not as {name}."
        raise Misuse(message, "Omit --format, or use json.")
    text = store.load("json" if name == "json" else "txt")
    if text is None:
        message = "Nothing has been reviewed here yet."
        raise ConfigError(message, "Stage a change and run starcoder-review.")
    sys.stdout.write(text)
    return 0
