"""Finds claims in a model's sentence that can be refuted without understanding it.

A sentence may only use values that the model was shown, and what it says an expression gives must
be so where that can be computed: "`bool('off')` returns False" is not.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator

from pytest_starcoder.explain.grounding import Evidence, Grounding

MAX_WORDS = 40

PURE_FUNCTIONS = frozenset(
    "abs bool divmod float int len list max min ord repr round set sorted str sum tuple".split()
)
"""Builtins whose calls with constants are computed."""

_VALUE = re.compile(r"""(?<![\w.])-?\d+(?:\.\d+)?(?!\w)|(?<!\w)'[^'\n]*'(?!\w)|"[^"\n]*\"""")
_RESULT = re.compile(
    r"`(?P<expression>[^`\n]+)` (?:returns|gives|is|equals|evaluates to|becomes|results in)"
    r" (?:the \w+ )?`?(?P<result>-?\d+(?:\.\d+)?|'[^'\n]*'|\"[^\"\n]*\"|True|False|None)\b"
)
_EQUATION = re.compile(
    r"`?(?P<left>-?[\d.]+(?: ?(?:[-+*/%]|//|\*\*) ?-?[\d.]+)+)`?"
    r" ?(?:=|==|is|equals) ?`?(?P<right>-?\d+(?:\.\d+)?)"
)
_HEDGE = re.compile(r"\b(?:likely|probably|perhaps|maybe|might|possibly|seems?)\b", re.IGNORECASE)


def find_objection(sentence: str, evidence: Evidence) -> str:
    """Return why a sentence is not to be shown, to go on from "it …"; empty if it may be."""
    if len(sentence.split()) > MAX_WORDS:
        return "is too long"
    if _HEDGE.search(sentence):
        return "is a guess by its own words"
    for expression, result in _results(sentence):
        if _is_wrong(expression, result):
            return f"says that {expression} is {result}"
    for value in _VALUE.findall(sentence):
        if not evidence.has_code(value):
            return f"mentions {value}, which was not seen"
    grounding = Grounding(evidence)
    marked = grounding.add(sentence) + grounding.end()
    if grounding.unsupported:
        return f"mentions {grounding.unsupported[0]}, which was not shown"
    if marked != sentence:
        return "mentions code that was not shown"
    return ""


def _results(sentence: str) -> Iterator[tuple[str, str]]:
    """Yield expressions with the results that the sentence says they have."""
    for match in _RESULT.finditer(sentence):
        yield match["expression"], match["result"]
    for match in _EQUATION.finditer(sentence):
        yield match["left"], match["right"]


def _is_wrong(expression: str, result: str) -> bool:
    """Return whether an expression of constants has another result."""
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        expected = ast.literal_eval(result)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    if not all(map(_is_constant, ast.walk(tree))):
        return False
    names = {name: getattr(builtins, name) for name in PURE_FUNCTIONS}
    try:
        actual = eval(compile(tree, "<claim>", "eval"), {"__builtins__": {}}, names)
    except Exception:  # noqa: BLE001
        return True
    if isinstance(actual, int | float) and isinstance(expected, int | float):
        return abs(actual - expected) > 1e-6 * max(1.0, abs(actual))
    return bool(actual != expected)


def _is_constant(node: ast.AST) -> bool:
    """Return whether a node is part of an expression of constants that is quick to compute."""
    match node:
        case ast.Name():
            return node.id in PURE_FUNCTIONS
        case ast.Constant():
            return not isinstance(node.value, int) or abs(node.value) < 10**9
        case ast.Call():
            return isinstance(node.func, ast.Name)
        case ast.BinOp():
            return not isinstance(node.op, ast.Pow | ast.LShift)
    allowed = (
        ast.Expression, ast.UnaryOp, ast.Compare, ast.List, ast.Tuple, ast.Dict, ast.Set,
        ast.expr_context, ast.operator, ast.unaryop, ast.cmpop,
    )  # fmt: skip
    return isinstance(node, allowed)
