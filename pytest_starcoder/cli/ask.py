"""Runs `starcoder ask`, which answers a question in words or with code."""

from __future__ import annotations

import argparse
import sys

from pytest_starcoder.assist.ask import ask, ask_for_code
from pytest_starcoder.cli.answer_terminal import AnswerTerminal, answer_terminal
from pytest_starcoder.cli.options import add_examples, add_settings
from pytest_starcoder.errors import ConfigError
from pytest_starcoder.model.code_blocks import language_name, requested_language, similar_language

HELP = "Answer a question, or with --code print only code, checked if it is Python"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("question", nargs="+", help="the question; - reads it from standard input")
    parser.add_argument(
        "--code",
        action="store_true",
        help="print only the code of the answer; exit 1 if there is none",
    )
    parser.add_argument(
        "--language",
        metavar="NAME",
        help="language of the code (default: the one that the question names, or python)",
    )
    add_settings(parser)
    add_examples(
        parser,
        "[--code] [--language NAME] QUESTION ...",
        'starcoder ask "How do I reverse a dictionary in Python?"',
        'starcoder ask --code "Write a function for the nth Fibonacci number." > fibonacci.py',
        'starcoder ask --code --starcoder-max-tokens=2000 "Create a tic-tac-toe page." > game.html',
        "git diff | starcoder ask -",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the answer and return 0; raises UnreadableAnswer if there is none."""
    question = _question(arguments.question)
    language = _language(arguments.language) if arguments.language else ""
    with answer_terminal(arguments) as terminal:
        if arguments.code:
            _answer_with_code(question, language, terminal)
        else:
            _answer_in_words(question, terminal)
    return 0


def _answer_in_words(question: str, terminal: AnswerTerminal) -> None:
    with terminal.waiting():
        completion = ask(terminal.redact(question), terminal.client, terminal.on_text)
    terminal.sign_completion(completion)


def _answer_with_code(question: str, language: str, terminal: AnswerTerminal) -> None:
    language = language or requested_language(question)
    with terminal.waiting():
        code = ask_for_code(terminal.redact(question), language, terminal.client)
    terminal.show(code.text)
    remark = "it parses, and was not run" if code.checked else f"{code.language} is not checked"
    if code.cut:
        remark += ", and an unfinished part of the answer was left out"
    terminal.sign(code.model, remark)


def _language(label: str) -> str:
    """Return the name of a language. Raises ConfigError if it seems to be misspelled."""
    name = language_name(label)
    nearest = similar_language(name)
    if nearest:
        raise ConfigError(f"There is no language {label!r}.", f"The nearest is {nearest}.")
    return name


def _question(words: list[str]) -> str:
    """Return the question from the command line or standard input."""
    try:
        question = sys.stdin.read() if words == ["-"] else " ".join(words)
    except UnicodeDecodeError as exc:
        raise ConfigError(
            "The question on standard input is not valid UTF-8 text.", "Send it as UTF-8."
        ) from exc
    if not question.strip():
        raise ConfigError("There is no question.", 'Ask one: starcoder ask "How do I …?"')
    return question
