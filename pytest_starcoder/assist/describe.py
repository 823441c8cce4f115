"""What code that does not fail does: a definition of a Python file, or a whole file of any language."""

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
from pytest_starcoder.model.client import Client, fit
from pytest_starcoder.model.code_blocks import file_language
from pytest_starcoder.model.prompt import Completion
from pytest_starcoder.model.prompts import FORMS, family, render
from pytest_starcoder.model.special_tokens import neutralize
from pytest_starcoder.redaction.redactor import redact
from pytest_starcoder.source.diff import lines_of

Redact = Callable[[str], str]

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def describe(
    path: str, text: str, name: str, client: Client, on_text: OnText, redact: Redact = redact
) -> tuple[Completion, bool]:
    """What the definition `name` ("mean", "Cart.total") of a file does, or the file where `name` is empty.

    Also whether the model saw all of it: the middle of what is too long is left
    out. `redact` removes its secrets. Raises ConfigError where the file has no such definition.
    """
    kind = family(client.model(), client.settings.family)
    source = definition(path, text, name) if name else text.strip()
    redact(text)  # also learn secrets found outside the definition
    source = redact(source)
    fence = f"```{file_language(path)}"
    prompt = fit(
        lambda parts: render(
            kind,
            "describe",
            name=name or PurePosixPath(path).name,
            code=f"{path}:\n{fence}\n{parts[0]}\n```",
        ),
        [source],
        client,
    )
    return answer(prompt, FORMS[kind, "describe"].lead, client, on_text), neutralize(
        source
    ) in prompt.text


def definition(path: str, text: str, name: str) -> str:
    """The source of the function or class that a dotted `name` means, decorators included.

    Of several, such as a property and its setter, all that stand beside the first.
    """
    known = list(_definitions(_parsed(path, text)))
    names = list(dict.fromkeys(dotted for dotted, _ in known))
    inner = (dotted for dotted in names if dotted.endswith(f".{name}"))
    meant = name if name in names else next(inner, None)
    if meant is not None:
        lines = lines_of(text)
        return "\n\n".join(_source(node, lines) for dotted, node in known if dotted == meant)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    shown = [*near, *(other for other in names if other not in near)][:8]
    raise ConfigError(
        f"{path} defines no {name!r}.",
        f"It defines {', '.join(shown)}{', …' if len(names) > 8 else ''}."
        if names
        else "It defines nothing: explain the whole file without ::NAME.",
    )


def _parsed(path: str, text: str) -> ast.Module:
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
    """Every function and class below `parent` with its dotted name, the outer before the inner."""
    inner: list[tuple[str, Definition]] = []
    waiting = list(ast.iter_child_nodes(parent))
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, Definition):
            inner.append((f"{prefix}{node.name}", node))
        else:
            waiting[:0] = ast.iter_child_nodes(node)
    yield from inner
    for dotted, node in inner:
        yield from _definitions(node, f"{dotted}.")


def _source(node: Definition, lines: list[str]) -> str:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return textwrap.dedent("".join(lines[first - 1 : node.end_lineno])).rstrip()
