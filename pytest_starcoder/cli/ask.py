"""`starcoder ask`: a question answered in words, or by code alone."""

from __future__ import annotations

import argparse
import sys

from pytest_starcoder.assist.question import ask, ask_for_code
from pytest_starcoder.cli.model_session import asking
from pytest_starcoder.cli.options import add_examples, add_settings
from pytest_starcoder.errors import ConfigError
from pytest_starcoder.model.code_blocks import language_name, requested_language

HELP = "Answer a question, or with --code by checked code and nothing else"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("question", nargs="+", help="the question; - reads it from standard input")
    parser.add_argument(
        "--code",
        action="store_true",
        help="print only the code of the answer; exit 1 where there is none",
    )
    parser.add_argument(
        "--language",
        metavar="NAME",
        help="of the code; otherwise the one that the question names, or python",
    )
    add_settings(parser)
    add_examples(
        parser,
        "[--code] [--language NAME] QUESTION ...",
        'starcoder ask "How do I reverse a dictionary in Python?"',
        'starcoder ask --code "Write a function that returns the nth Fibonacci number." > fibonacci.py',
        'starcoder ask --code --starcoder-max-tokens=2000 "Create a single-page tic-tac-toe game." > game.html',
        "git diff | starcoder ask -",
    )


def run(arguments: argparse.Namespace) -> int:
    """0 if there is an answer; raises UnreadableAnswer, exit 1, where there is none."""
    question = _question(arguments.question)
    with asking(arguments) as it:
        if not arguments.code:
            with it.waiting():
                completion = ask(it.redact(question), it.client, it.on_text)
            it.end()
            remark = "cut short, unchecked" if completion.truncated else "unchecked"
            it.signed(completion.model, remark, remembered=completion.from_cache)
            return 0
        if arguments.language:
            language = language_name(arguments.language)
        else:
            language = requested_language(question)
        with it.waiting():
            code = ask_for_code(it.redact(question), language, it.client)
        it.show(code.text)
        remark = "it parses, and was not run"
        if not code.checked:
            remark = f"{code.language} is not checked"
        it.signed(
            code.model,
            remark + (", and what the answer left unfinished was left out" if code.cut else ""),
        )
    return 0


def _question(words: list[str]) -> str:
    try:
        question = sys.stdin.read() if words == ["-"] else " ".join(words)
    except UnicodeDecodeError as exc:
        raise ConfigError(
            "The question on standard input is not text.", "Send it as UTF-8."
        ) from exc
    if not question.strip():
        raise ConfigError("There is no question.", 'Ask one: starcoder ask "How do I …?"')
    return question
