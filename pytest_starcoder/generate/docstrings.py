"""What a docstring promises, as tests: its examples, and the exceptions that it names. Nothing is run here."""

from __future__ import annotations

import ast
import builtins
import doctest
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.source.syntax import is_literal


def examples_of(
    target: Target, names: Sequence[str], imports: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Draft]:
    """One test an example of the target's docstring, after the statements before it.

    `names` are those that its module defines, `imports` by their names the
    statements with which it imports others: an example may use them. One whose
    outcome is elided, or is printed over several lines, is none.
    """
    try:
        found = doctest.DocTestParser().get_examples(target.docstring)
    except ValueError:
        return
    before: list[str] = []
    number = 0
    for example in found:
        source = example.source.rstrip("\n")
        if doctest.ELLIPSIS in example.options or doctest.SKIP in example.options:
            continue
        want = example.want.rstrip("\n")
        if not want and (remark := _REMARKED.search(source)):
            want = _literal(remark["outcome"])
            source = source[: remark.start()].rstrip() if want else source
        statements = _assertion(source, want, example.exc_msg)
        if statements is None:
            if not example.want:
                before.append(source)
            continue
        number += 1
        body = [*before, *statements]
        name = f"test_{target.stem}_example_{number}"
        yield Draft(
            name,
            tuple(body),
            imports_for(body, target, names, imports),
            Origin.DOCTEST,
            target,
            f">>> {source}",
        )


_GOOGLE = re.compile(r"(?m)^[ \t]*Raises:[ \t]*\n(?P<body>(?:[ \t]+.*\n?|[ \t]*\n)+)")
_NUMPY = re.compile(r"(?m)^[ \t]*Raises[ \t]*\n[ \t]*-{3,}[ \t]*\n(?P<body>(?:.+\n?)+)")


_REMARKED = re.compile(r"[ \t]+#[ \t]*(?:returns?:?|->|=>|==)[ \t]+(?P<outcome>[^#\n]+)$")
"""How a docstring tells an outcome behind a call, on the same line."""


def _literal(text: str) -> str:
    """A literal in a remark as Python writes it; empty where it is none."""
    text = {"true": "True", "false": "False", "none": "None"}.get(
        text.strip().lower(), text.strip().rstrip(".")
    )
    return text if is_literal(text) else ""


def exceptions_of(target: Target) -> list[str]:
    """The built-in exceptions that a docstring says its function raises: in Google's, NumPy's or Sphinx's style."""
    text = target.docstring + "\n"
    found = re.findall(r":raises?[ \t]+([A-Z]\w*)", text)
    for pattern, named in (
        (_GOOGLE, r"(?m)^[ \t]+([A-Z]\w*)[ \t]*:"),
        (_NUMPY, r"(?m)^[ \t]*([A-Z]\w*)[ \t]*$"),
    ):
        for section in pattern.finditer(text):
            found += re.findall(named, section["body"])
    known = [name for name in found if isinstance(getattr(builtins, name, None), type)]
    return list(
        dict.fromkeys(name for name in known if issubclass(getattr(builtins, name), BaseException))
    )


def imports_for(
    body: Sequence[str],
    target: Target,
    names: Sequence[str],
    imports: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, ...]:
    """The imports that statements need: of `names`, those of the target's module, of `imports`, and of pytest."""
    used: set[str] = set()
    bound: set[str] = set()
    for statement in body:
        for node in ast.walk(ast.parse(statement)):
            if isinstance(node, ast.Name):
                (bound if isinstance(node.ctx, ast.Store) else used).add(node.id)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                bound |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    wanted = sorted(name for name in used - bound if name in names)
    lines = [imports[name] for name in sorted(used - bound - {"pytest", *names}) if name in imports]
    lines += ["import pytest"] if "pytest" in used else []
    lines += [""] if lines else []
    top = target.module.partition(".")[0]
    if top in used - bound and top not in names:
        lines.append(f"import {target.module}")
    if wanted:
        lines.append(f"from {target.module} import {', '.join(wanted)}")
    return tuple(lines)


def _assertion(source: str, want: str, raised: str | None) -> list[str] | None:
    """An example as statements; None where it promises nothing that can be asserted."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return None
    if raised is not None:
        kind, _, message = raised.strip().partition(":")
        if not re.fullmatch(r"[\w.]+", kind):
            return None
        match = f", match={re.escape(message.strip())!r}" if message.strip() else ""
        body = "\n".join(f"    {line}" for line in source.split("\n"))
        return [f"with pytest.raises({kind.rpartition('.')[2]}{match}):\n{body}"]
    if not want or "\n" in want or len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr):
        return None
    expression = tree.body[0].value
    match expression:
        case ast.Call(ast.Name("print"), [shown], []):
            return [f"assert str({ast.unparse(shown)}) == {want!r}"]
    text = ast.unparse(expression)
    if want in ("True", "False", "None"):
        atom = isinstance(expression, ast.Call | ast.Name | ast.Attribute | ast.Subscript)
        return [f"assert {text} is {want}" if atom else f"assert ({text}) is {want}"]
    if not is_literal(want):
        return [f"assert repr({text}) == {want!r}"]
    compared = isinstance(expression, ast.Compare | ast.BoolOp | ast.Lambda | ast.IfExp)
    return [f"assert ({text}) == {want}" if compared else f"assert {text} == {want}"]
