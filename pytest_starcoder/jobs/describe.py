"""What code that does not fail does: a definition of a Python file, or a whole file of any language."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath

from pytest_starcoder.backends import OnText
from pytest_starcoder.client import Client, fit
from pytest_starcoder.errors import ConfigError
from pytest_starcoder.jobs.answer import answer
from pytest_starcoder.prompts import FORMS, family, render
from pytest_starcoder.text.code import language_of_file
from pytest_starcoder.text.diff import lines_of
from pytest_starcoder.values import Completion


def describe(path: str, text: str, name: str, client: Client, on_text: OnText) -> Completion:
    """What the definition `name` ("mean", "Cart.total") of a file does, or the file where `name` is empty.

    Raises ConfigError where the file has no such definition.
    """
    kind = family(client.model(), client.settings.family)
    source = definition(path, text, name) if name else text.strip()
    fence = f"```{language_of_file(path)}"
    prompt = fit(
        lambda parts: render(
            kind, "describe", name=name or PurePosixPath(path).name, code=f"{path}:\n{fence}\n{parts[0]}\n```"
        ),
        [source],
        client,
    )
    return answer(prompt, FORMS[kind, "describe"].lead, client, on_text)


def definition(path: str, text: str, name: str) -> str:
    """The source of the function or class that a dotted `name` means, decorators included."""
    try:
        found: ast.AST = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as exc:
        raise ConfigError(
            f"{path} cannot be parsed as Python: {exc}.", "Explain the whole file without ::NAME."
        ) from exc
    for part in name.split("."):
        inner = [
            node
            for node in ast.walk(found)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name == part
            and node is not found
        ]
        if not inner:
            known = [
                node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.ClassDef)
            ]
            raise ConfigError(
                f"{path} defines no {name!r}.",
                f"It defines {', '.join(known[:8])}{', …' if len(known) > 8 else ''}."
                if known
                else "It defines nothing.",
            )
        found = inner[0]
    assert isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    first = min([found.lineno, *(decorator.lineno for decorator in found.decorator_list)])
    return "".join(lines_of(text)[first - 1 : found.end_lineno]).rstrip()
