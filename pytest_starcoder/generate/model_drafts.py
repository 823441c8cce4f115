"""Tests that a model writes for a definition: it goes on with a test file beside the file under test; drafts come out.

What it writes is salvaged: the longest beginning that parses, and each assertion
as a test of its own behind the statements that it stands on.
"""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

from pytest_starcoder.generate.docstrings import imports_for
from pytest_starcoder.generate.draft import Draft, Kind, Origin, Target
from pytest_starcoder.generate.result import Answer, Spent
from pytest_starcoder.generate.seeds import names_of
from pytest_starcoder.generate.unittest_assertions import plain
from pytest_starcoder.model.client import Client, fit
from pytest_starcoder.model.code_blocks import extract_code, parsing_prefix
from pytest_starcoder.model.prompt import Completion, Prompt
from pytest_starcoder.model.prompts import FORMS, family, render
from pytest_starcoder.source.syntax import syntax_tree

OPENINGS = ("", "_with", "_returns")
"""How the name of a test begins that the model goes on with, one an attempt."""

WARMER = 0.3
"""What is added to the temperature at each attempt."""

HOTTEST = 1.0

SHOWN = 6000
"""Characters of the file under test that a prompt shows at the most, and half as many of fixtures."""

NEAREST = 2
"""Tests that are there of which a prompt shows the text."""

EXAMPLES = 8
"""And where what a call gives is to be told."""

LITERAL = 60
"""Tokens of what a call gives."""

BEHIND = 20
"""Lines behind the hole that a model fills in a test file."""

GAPS = 5
"""Of what no test finds, how many are named."""


@dataclass(frozen=True)
class Beside:
    """What stands where a test would go: the test file's path and text, and the path and text of fixtures for it."""

    path: str
    text: str = ""
    conftest: str = "tests/conftest.py"
    fixtures: str = ""


class Author:
    """Has `client`'s model write tests; `examples` are those that docstrings show, `redact` takes secrets out.

    Every method raises a BackendError, or PromptTooLong.
    """

    def __init__(
        self,
        client: Client,
        sources: Callable[[str], str],
        beside: Callable[[Target], Beside],
        examples: Sequence[Draft],
        redact: Callable[[str], str],
    ) -> None:
        self._client = client
        self._sources = sources
        self._beside = beside
        self._examples = examples
        self._redact = redact

    def written(self, target: Target, attempt: int, gaps: Sequence[str]) -> Answer:
        """Tests for a target, at an attempt counted from 0; `gaps` says in words what no test tests."""
        opening = f"def test_{target.stem}{OPENINGS[attempt % len(OPENINGS)]}"
        if target.awaits:
            opening = f"{_awaiting()}\nasync {opening}"
        prompt, before = self._prompt(target, opening, gaps)
        warm = min(HOTTEST, self._client.settings.temperature + WARMER * attempt)
        completion, spent = self._asked(replace(prompt, temperature=warm) if attempt else prompt)
        names, label = names_of(self._sources(target.path)), f"written_{attempt + 1}"
        texts = [] if self._obeys else [opening + completion.text]
        texts.append(extract_code(completion.text, "python"))  # some begin anew instead of going on
        found = (
            tuple(salvaged(text, target, names, completion.model, label, before)) for text in texts
        )
        return Answer(next(filter(None, found), ()), spent, completion.model)

    def predicted(self, target: Target, call: str, comparison: str) -> Answer:
        """The test that a call is, compared as told, what the model takes it to be; none of a model that obeys.

        It does not see what the code makes of the call: where they agree, two have come to the same.
        """
        if self._obeys:
            return Answer((), Spent(), self._client.model().name)
        opening = f"def test_{target.stem}_predicted():\n    assert {call} {comparison}"
        prompt, before = self._prompt(target, opening, (), shown=EXAMPLES, fill=False)
        completion, spent = self._asked(
            replace(prompt, stop=("\n", *prompt.stop), max_tokens=LITERAL)
        )
        text = opening + completion.text.split("\n")[0]
        names = names_of(self._sources(target.path))
        drafts = salvaged(text, target, names, completion.model, "predicted", before)
        named = tuple(replace(draft, name=f"test_{target.stem}_predicted") for draft in drafts)
        return Answer(named, spent, completion.model)

    @property
    def _obeys(self) -> bool:
        return family(self._client.model(), self._client.settings.family) in (
            "chat",
            "starcoder2-instruct",
        )

    def _prompt(
        self,
        target: Target,
        opening: str,
        gaps: Sequence[str],
        shown: int = NEAREST,
        *,
        fill: bool = True,
    ) -> tuple[Prompt, str]:
        """The prompt, and what stands in it before the opening."""
        kind = family(self._client.model(), self._client.settings.family)
        source, beside, redact = self._sources(target.path), self._beside(target), self._redact
        before, after = _around(target, beside, self._examples, shown)
        hole = fill and bool(after) and (kind, "test-fill") in FORMS
        lines = source.split("\n")
        everything = re.sub(r"\n{3,}", "\n\n\n", source).strip(
            "\n"
        )  # an empty line more is no other question
        own = (
            everything
            if target.kind is Kind.MODULE
            else "\n".join(lines[target.first - 1 : target.last])
        )
        whole = everything if len(everything) <= SHOWN else own
        prompt = fit(
            lambda parts: render(
                kind,
                "test-fill" if hole else "test",
                repository="project",
                path=target.path,
                code=redact(parts[-1]),
                conftest=beside.conftest,
                fixtures=redact(beside.fixtures[: SHOWN // 2]),
                file=beside.path,
                before=redact(before),
                after=redact(after),
                opening=opening,
                language="python",
                name=target.name or target.module,
                gaps=redact(", ".join(gaps[:GAPS])),
            ),
            [own, whole],
            self._client,
        )
        return prompt, before

    def _asked(self, prompt: Prompt) -> tuple[Completion, Spent]:
        started = time.monotonic()
        completion = self._client.complete(prompt)
        tokens = completion.completion_tokens or len(completion.text) // 4
        return completion, Spent() if completion.from_cache else Spent(
            1, tokens, time.monotonic() - started
        )


# --- what a prompt shows of tests ---


def _around(
    target: Target, beside: Beside, examples: Sequence[Draft], most: int
) -> tuple[str, str]:
    """What stands before the test to be written, and what behind it, of the file that is there or would be."""
    importing = (
        f"from {target.module} import {target.name.partition('.')[0]}"
        if target.name
        else f"import {target.module}"
    )
    tree = syntax_tree(beside.text)
    functions = [] if tree is None else [node for node in tree.body if _is_test(node)]
    if tree is None or not functions:
        shown = [draft.function for draft in examples if draft.target == target][:most]
        return "\n\n\n".join([f"import pytest\n\n{importing}", *shown]), ""
    imports = [node for node in tree.body if _is_import(node)]
    head = [ast.unparse(node) for node in imports]
    bound = {name for node in imports for name in _bound(node)}
    if not target.name or target.name.partition(".")[0] not in bound:
        head.append(importing)
    if "pytest" not in bound:
        head.insert(0, "import pytest")
    near = [node for node in functions if target.function and _names(node, target.function)]
    last = (near or functions)[-1]
    lines = beside.text.split("\n")
    behind = [line for line in lines[(last.end_lineno or last.lineno) :] if line.strip()]
    shown = [
        ast.unparse(node)
        for node in sorted(near or functions, key=lambda node: len(ast.dump(node)))[:most]
    ]
    after = (
        "\n\n\n" + "\n".join(lines[last.end_lineno or 0 :][:BEHIND]).strip("\n") if behind else ""
    )
    return "\n\n\n".join(["\n".join(head), *shown]), after


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")


def _names(node: ast.AST, name: str) -> bool:
    return any(
        (isinstance(part, ast.Name) and part.id == name)
        or (isinstance(part, ast.Attribute) and part.attr == name)
        for part in ast.walk(node)
    )


def _awaiting() -> str:
    """The marker with which a coroutine is a test."""
    return (
        "@pytest.mark.asyncio" if find_spec("pytest_asyncio") is not None else "@pytest.mark.anyio"
    )


# --- what an answer is good for ---


def salvaged(
    text: str,
    target: Target,
    names: Sequence[str],
    model: str,
    label: str = "written",
    before: str = "",
) -> Iterator[Draft]:
    """The tests in a text that may end in the midst of one: one an assertion, each once.

    A parametrized test stays whole. What stands beside a test and it uses goes into it. `before` is what
    stood before the text: its imports are there.
    """
    tree, head = syntax_tree(parsing_prefix(text)), syntax_tree(before)
    if tree is None:
        return
    imports = [node for part in (head, tree) if part for node in part.body if _is_import(node)]
    beside = _beside(tree, names)
    seen: set[tuple[str, ...]] = set()
    for function in ast.walk(tree):
        if not isinstance(
            function, ast.FunctionDef | ast.AsyncFunctionDef
        ) or not function.name.startswith("test"):
            continue
        arguments = _arguments(function)
        decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
        if arguments is None or not all(
            decorator.startswith("pytest.mark.") for decorator in decorators
        ):
            continue
        awaits = isinstance(function, ast.AsyncFunctionDef)
        marks = tuple(f"@{decorator}" for decorator in decorators)
        if awaits and not any("asyncio" in mark or "anyio" in mark for mark in marks):
            marks = (_awaiting(), *marks)
        for own in _split(function, whole=any("parametrize" in mark for mark in marks)):
            statements = [*_used(own, beside), *own]
            body = tuple(ast.unparse(statement) for statement in statements)
            if body in seen:
                continue
            seen.add(body)
            used = [
                argument
                for argument in arguments
                if any(_names(node, argument) for node in statements)
            ]
            yield Draft(
                f"test_{target.stem}_{label}_{len(seen)}",
                body,
                _imports((*body, *(mark[1:] for mark in marks)), imports, target, names),
                Origin.MODEL,
                target,
                model,
                tuple(arguments if any("parametrize" in mark for mark in marks) else used),
                marks,
                awaits,
            )


def _beside(tree: ast.Module, names: Sequence[str]) -> dict[str, ast.stmt]:
    """What a text defines beside its tests, by name; what it repeats of the module under test is none of it."""
    found: dict[str, ast.stmt] = {}
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name, decorator_list=[]) if not name.startswith("test"):
                found[name] = node
            case ast.Assign(targets=[ast.Name(id=name)]):
                found[name] = node
    return {name: node for name, node in found.items() if name not in names}


def _used(statements: Sequence[ast.stmt], beside: Mapping[str, ast.stmt]) -> list[ast.stmt]:
    """Of what stands beside what the statements use, and what that uses."""
    used: dict[str, ast.stmt] = {}
    waiting = list(statements)
    while waiting:
        node = waiting.pop()
        new = {
            name: own
            for name, own in beside.items()
            if name not in used and own is not node and _names(node, name)
        }
        used |= new
        waiting += new.values()
    return [node for name, node in beside.items() if name in used]


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str] | None:
    """What a test takes, without self; None where that is not by name alone."""
    given = function.args
    if given.vararg or given.kwarg or given.kwonlyargs or given.posonlyargs or given.defaults:
        return None
    return [argument.arg for argument in given.args if argument.arg != "self"]


def _split(
    function: ast.FunctionDef | ast.AsyncFunctionDef, *, whole: bool
) -> Iterator[list[ast.stmt]]:
    """The statements of each test that a function is: up to each of its assertions, without the others."""
    own = [
        node
        for node in function.body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    own = [plain(node) for node in own]
    if whole:
        ends = [at for at, statement in enumerate(own) if _asserts(statement)]
        if ends:
            yield own[: ends[-1] + 1]
        return
    before: list[ast.stmt] = []
    for statement in own:
        if _asserts(statement):
            yield _needed([*before, statement])
        else:
            before.append(statement)


def _needed(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Without assignments to names that nothing behind them uses."""
    kept: list[ast.stmt] = []
    for statement in reversed(statements):
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]) if not any(
                _names(node, name) for node in kept
            ):
                continue
        kept.insert(0, statement)
    return kept


def _asserts(statement: ast.stmt) -> bool:
    """Whether an assertion is in a statement, or an exception is expected by it."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.With | ast.AsyncWith):
            return any("raises" in ast.unparse(item.context_expr) for item in node.items)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2].startswith(
            "assert_"
        ):
            return True
    return False


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _bound(node: ast.stmt) -> set[str]:
    assert isinstance(node, ast.Import | ast.ImportFrom)
    return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}


def _imports(
    body: Sequence[str], there: Sequence[ast.stmt], target: Target, names: Sequence[str]
) -> tuple[str, ...]:
    """The imports that statements need: those that stood in the text, then those of the target's module."""
    own = imports_for(body, target, names)
    bound = {name for line in own if line for node in ast.parse(line).body for name in _bound(node)}
    others: list[str] = []
    for node in there:
        assert isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names:
            name = (alias.asname or alias.name).partition(".")[0]
            if name not in bound and any(_names(ast.parse(text), name) for text in body):
                bound.add(name)
                start = (
                    ""
                    if isinstance(node, ast.Import)
                    else f"from {'.' * node.level}{node.module or ''} "
                )
                others.append(f"{start}import {ast.unparse(alias)}")
    return (*others, *own)
