"""Drafts from what a docstring promises: its examples, and the exceptions it names."""

from __future__ import annotations

import ast
import builtins
import doctest
import re
from collections.abc import Iterator, Mapping, Sequence

from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.imports import NO_IMPORTS, required_imports
from pytest_starcoder.source.syntax import is_literal

_GOOGLE = re.compile(r"(?m)^[ \t]*Raises:[ \t]*\n(?P<body>(?:[ \t]+.*\n?|[ \t]*\n)+)")
_GOOGLE_NAME = re.compile(r"(?m)^[ \t]+([A-Z]\w*)[ \t]*:")
_NUMPY = re.compile(r"(?m)^[ \t]*Raises[ \t]*\n[ \t]*-{3,}[ \t]*\n(?P<body>(?:.+\n?)+)")
_NUMPY_NAME = re.compile(r"(?m)^[ \t]*([A-Z]\w*)[ \t]*$")
_SPHINX_NAME = re.compile(r":raises?[ \t]+([A-Z]\w*)")

# An outcome in a comment after a call: `f(1)  # returns 3`.
_REMARK = re.compile(r"[ \t]+#[ \t]*(?:returns?:?|->|=>|==)[ \t]+(?P<outcome>[^#\n]+)$")

_LOWER_CASE = {"true": "True", "false": "False", "none": "None"}


def doctest_drafts(
    target: Target, names: Sequence[str], imports: Mapping[str, str] = NO_IMPORTS
) -> Iterator[Draft]:
    """Yield a test for each example in a docstring, with the statements before it.

    `names` and `imports` are those of `required_imports`. Examples with an elided outcome,
    or one of several lines, are left out.
    """
    try:
        examples = doctest.DocTestParser().get_examples(target.docstring)
    except ValueError:
        return
    setup: list[str] = []
    number = 0
    for example in examples:
        # An elided outcome cannot be compared, and a skipped example is not meant to run.
        if doctest.ELLIPSIS in example.options or doctest.SKIP in example.options:
            continue
        expected = example.want.rstrip("\n")
        source, outcome = _without_remark(example.source.rstrip("\n"), expected)
        assertion = _assertion(source, outcome, example.exc_msg)
        if assertion:
            number += 1
            name = f"test_{target.test_stem}_example_{number}"
            body = (*setup, assertion)
            needed = required_imports(body, target, names, imports)
            yield Draft(name, body, needed, Origin.DOCTEST, target, f">>> {source}")
        elif not example.want and _parses(source):
            setup.append(source)


def documented_exceptions(target: Target) -> list[str]:
    """Return the built-in exceptions that a docstring lists in Google, NumPy or Sphinx style."""
    text = target.docstring + "\n"
    names = _SPHINX_NAME.findall(text)
    for section, entry in ((_GOOGLE, _GOOGLE_NAME), (_NUMPY, _NUMPY_NAME)):
        for match in section.finditer(text):
            names += entry.findall(match["body"])
    # Other names may be those of classes that a test would have to import.
    return [name for name in dict.fromkeys(names) if is_exception(name)]


def is_exception(name: str) -> bool:
    """Return whether a name is that of a built-in exception."""
    value = getattr(builtins, name, None)
    return isinstance(value, type) and issubclass(value, BaseException)


def comparison(call: str, literal: str) -> str:
    """Return the expression that compares a call with a literal."""
    operator = "is" if literal in ("True", "False", "None") else "=="
    return f"{call} {operator} {literal}"


def expected_exception(statement: str, arguments: str) -> str:
    """Return `with pytest.raises(arguments):` with the statement in it."""
    indented = statement.replace("\n", "\n    ")
    return f"with pytest.raises({arguments}):\n    {indented}"


def _without_remark(source: str, outcome: str) -> tuple[str, str]:
    """Return the source and the outcome of an example, which a comment may give."""
    remark = _REMARK.search(source)
    if outcome or remark is None:
        return source, outcome
    text = remark["outcome"].strip()
    literal = _LOWER_CASE.get(text.lower(), text.rstrip("."))
    if not is_literal(literal):
        return source, outcome
    return source[: remark.start()].rstrip(), literal


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def _assertion(source: str, outcome: str, raised: str | None) -> str:
    """Return an example as a statement; empty if it promises nothing that can be asserted."""
    if not _parses(source):
        return ""
    if raised is not None:
        return _raises(source, raised)
    if not outcome or "\n" in outcome:
        return ""
    match ast.parse(source).body:
        case [ast.Expr(expression)]:
            return _comparison_with_outcome(expression, outcome)
    return ""


_LOOSE = (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Lambda, ast.IfExp)
"""Expressions that may bind less tightly than the `==` after them."""


def _comparison_with_outcome(expression: ast.expr, outcome: str) -> str:
    """Return the assertion that an expression has the outcome that a doctest shows."""
    # The outcome of `print(x)` is what `str` gives, of any other expression what `repr` gives.
    match expression:
        case ast.Call(ast.Name("print"), [printed], []):
            return f"assert str({ast.unparse(printed)}) == {outcome!r}"
    text = ast.unparse(expression)
    if not is_literal(outcome):
        return f"assert repr({text}) == {outcome!r}"
    if isinstance(expression, _LOOSE):
        text = f"({text})"
    return f"assert {comparison(text, outcome)}"


def _raises(source: str, raised: str) -> str:
    """Return an example whose last line is `raised` as a statement."""
    kind, _, message = raised.strip().partition(":")
    if not re.fullmatch(r"[\w.]+", kind):
        return ""
    arguments = kind.rpartition(".")[2]
    if message.strip():
        arguments += f", match={re.escape(message.strip())!r}"
    return expected_exception(source, arguments)
