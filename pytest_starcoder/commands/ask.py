"""`starcoder ask`: a question answered in words, or by code alone."""

from __future__ import annotations

import argparse
import sys

from pytest_starcoder.commands.asking import add_settings, asking
from pytest_starcoder.errors import ConfigError
from pytest_starcoder.jobs.ask import ask, ask_for_code
from pytest_starcoder.text.code import language_of
from pytest_starcoder.text.display import printable

HELP = "Answer a question, or with --code by checked code and nothing else"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("question", nargs="+", help="the question; - reads it from standard input")
    parser.add_argument(
        "--code", action="store_true", help="print only the code of the answer; exit 1 where there is none"
    )
    parser.add_argument(
        "--language", metavar="NAME", help="of the code; otherwise the one that the question names, or python"
    )
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 if there is an answer; raises UnreadableAnswer, exit 1, where there is none."""
    question = sys.stdin.read() if arguments.question == ["-"] else " ".join(arguments.question)
    if not question.strip():
        raise ConfigError("There is no question.", 'Ask one: starcoder ask "How do I …?"')
    with asking(arguments) as it:
        if not arguments.code:
            with it.waiting():
                completion = ask(question, it.client, it.on_text)
            it.end()
            it.signed(completion.model, "cut short, unchecked" if completion.truncated else "unchecked")
            return 0
        with it.waiting():
            code = ask_for_code(question, (arguments.language or language_of(question)).lower(), it.client)
        print(printable(code.text, tabs=True), end="")
        checked = {"python": "it parses, and was not run", "html": "it is a whole page, and was not opened"}
        remark = checked[code.language] if code.checked else f"{code.language} is not checked"
        it.signed(code.model, remark + (", and what the answer left unfinished was left out" if code.cut else ""))
    return 0
