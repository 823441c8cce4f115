"""Tests that a model writes for a function: it continues a test file beside the file under test; drafts come out.

What it writes is salvaged: the longest beginning that parses, and each assertion
as a test of its own behind the statements that it stands on.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from pytest_starcoder.client import Client, fit
from pytest_starcoder.evidence.documented import imports_for
from pytest_starcoder.prompts import family, render
from pytest_starcoder.text.code import extract, parsing_prefix
from pytest_starcoder.values.draft import Draft, Origin, Target

OPENINGS = ("", "_with", "_returns", "_of_nothing", "_raises")
"""How the name of a test begins that the model goes on with, one an attempt."""

SHOWN = 6000
"""Characters of the file under test that a prompt shows at the most."""


def written_for(
    target: Target,
    source: str,
    names: Sequence[str],
    client: Client,
    attempt: int,
    gaps: str = "",
    examples: Sequence[Draft] = (),
) -> list[Draft]:
    """The drafts of one answer. `gaps` says in words what no test tests; `examples` are tests that the file has.

    Raises a BackendError, or PromptTooLong.
    """
    kind = family(client.model(), client.settings.family)
    short = target.name.lower().replace(".", "_")
    opening = f"def test_{short}{OPENINGS[attempt % len(OPENINGS)]}"
    before = "\n\n\n".join(
        [f"import pytest\n\nfrom {target.module} import {target.name.partition('.')[0]}", *map(_body, examples[:2])]
    )
    lines = source.split("\n")
    own = "\n".join(lines[target.first - 1 : target.last])
    whole = source if len(source) <= SHOWN else own
    prompt = fit(
        lambda parts: render(
            kind,
            "test",
            repository="project",
            path=target.path,
            code=parts[-1],
            file=f"tests/test_{target.module.rpartition('.')[2]}.py",
            before=before,
            opening=opening,
            language="python",
            name=target.name,
            gaps=gaps,
        ),
        [own, whole],
        client,
    )
    completion = client.complete(prompt)
    obeys = prompt.chat or kind == "starcoder2-instruct"
    text = extract(completion.text, "python") if obeys else opening + completion.text
    return list(salvaged(text, target, names, completion.model, f"written_{attempt + 1}"))


def salvaged(text: str, target: Target, names: Sequence[str], model: str, label: str = "written") -> Iterator[Draft]:
    """The tests in a text that may end in the midst of one: one an assertion, each once."""
    try:
        tree = ast.parse(parsing_prefix(text))
    except (SyntaxError, ValueError):
        return
    seen: set[str] = set()
    number = 0
    short = target.name.lower().replace(".", "_")
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or function.args.args or function.decorator_list:
            continue  # fixtures and parameters are not told from arguments that nobody gives
        before: list[str] = []
        for statement in function.body:
            told = ast.unparse(statement)
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue
            if not _asserts(statement):
                before.append(told)
                continue
            body = (*before, told)
            if "\n".join(body) in seen:
                continue
            seen.add("\n".join(body))
            number += 1
            name = f"test_{short}_{label}_{number}"
            yield Draft(name, body, imports_for(body, target, names), Origin.MODEL, target, model)


def _asserts(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assert) or (
        isinstance(statement, ast.With) and "raises" in ast.unparse(statement.items[0].context_expr)
    )


def _body(draft: Draft) -> str:
    return draft.source.partition("\n\n\n")[2].rstrip("\n")
