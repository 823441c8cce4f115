"""Asks a model what code does: a definition of a Python file, or a whole file of any language."""

from __future__ import annotations

import ast
import difflib
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.model.answer import answer
from pytest_starcoder.model.backends import OnText
from pytest_starcoder.model.client import Client, fit_prompt
from pytest_starcoder.model.code_blocks import file_language
from pytest_starcoder.model.prompt import Completion, Prompt
from pytest_starcoder.model.prompts import FORMS, model_family, render
from pytest_starcoder.model.special_tokens import neutralize
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.source.diff import split_lines
from pytest_starcoder.source.functions import definition_lines

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_MAX_NAMES = 8
"""Maximum number of names in the message about an unknown one."""


def describe(
    path: str,
    text: str,
    name: str,
    client: Client,
    on_text: OnText,
    redact: Callable[[str], str] = redact,
) -> tuple[Completion, bool]:
    """Return what a definition such as "Cart.total" does, or the file if `name` is empty.

    The second value says whether the model saw all of it: if it is too long, its middle is left
    out. Raises ConfigError if the file has no such definition.
    """
    # An unknown name is an error with or without a server.
    source = definition(path, text, name) if name else text.strip()
    kind = model_family(client.model(), client.settings.family)
    redact(text)  # also learns the secrets outside the definition
    source = redact(source)
    title = name or PurePosixPath(path).name

    def render_parts(parts: list[str]) -> Prompt:
        code = f"{path}:\n```{file_language(path)}\n{parts[0]}\n```"
        return render(kind, "describe", name=title, code=code)

    prompt = fit_prompt(render_parts, [source], client)
    completion = answer(prompt, FORMS[kind, "describe"].lead, client, on_text)
    return completion, neutralize(source) in prompt.text


def definition(path: str, text: str, name: str) -> str:
    """Return the source of the function or class with a dotted name, decorators included.

    Of definitions with the same name, such as a property and its setter, all are returned.
    """
    definitions: dict[str, list[Definition]] = {}
    for dotted_name, node in _definitions(_parse(path, text)):
        definitions.setdefault(dotted_name, []).append(node)
    matches = [dotted for dotted in definitions if dotted.endswith(f".{name}")]
    if name in definitions:
        matches = [name]
    if not matches:
        raise ConfigError(f"{path} defines no {name!r}.", _names_hint(name, list(definitions)))
    lines = split_lines(text)
    sources = [_source(node, lines) for node in definitions[matches[0]]]
    return "\n\n".join(sources)


def _names_hint(name: str, names: list[str]) -> str:
    if not names:
        return "It defines nothing: explain the whole file without ::NAME."
    similar = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    shown = list(dict.fromkeys([*similar, *names]))[:_MAX_NAMES]
    more = ", …" if len(names) > _MAX_NAMES else ""
    return f"It defines {', '.join(shown)}{more}."


def _parse(path: str, text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        reason = f"line {exc.lineno}: {exc.msg}" if isinstance(exc, SyntaxError) else str(exc)
        raise ConfigError(
            f"{path} cannot be parsed as Python ({reason}).",
            "Explain the whole file without ::NAME.",
        ) from exc


def _definitions(parent: ast.AST, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield every function and class below `parent` with its dotted name, outer ones first."""
    children: list[tuple[str, Definition]] = []
    pending = list(ast.iter_child_nodes(parent))
    while pending:
        node = pending.pop(0)
        if isinstance(node, Definition):
            children.append((f"{prefix}{node.name}", node))
        else:
            # First, so that definitions in an `if` or `try` keep their place in the file.
            pending[:0] = ast.iter_child_nodes(node)
    yield from children
    for dotted_name, node in children:
        yield from _definitions(node, f"{dotted_name}.")


def _source(node: Definition, lines: list[str]) -> str:
    first = definition_lines(node).start
    return textwrap.dedent("".join(lines[first - 1 : node.end_lineno])).rstrip()
