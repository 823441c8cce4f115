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

MAX_NUMBER = 10**6
"""Larger numbers are not computed with: `round(1, -10**9)` would take minutes."""

PURE_FUNCTIONS = frozenset(
    "abs bool divmod float int len list max min ord repr round set sorted str sum tuple".split()
)
"""Builtins whose calls with constants are computed."""

_VALUE = re.compile(r"""(?<![\w.])-?\d+(?:\.\d+)?(?!\w)|(?<!\w)'[^'\n]*'(?!\w)|"[^"\n]*\"""")
_NOT_A_RESULT = r"(?!\.?\d| (?:less|more|too|times|off|\w+er)\b)"
"""Not after a result: "`3` is 1 too small" says nothing about 3 itself."""

_RESULT = re.compile(
    r"`(?P<expression>[^`\n]+)` (?:returns|gives|is|equals|evaluates to|becomes|results in)"
    r" (?:the \w+ )?`?(?P<result>-?\d+(?:\.\d+)?|'[^'\n]*'|\"[^\"\n]*\"|True|False|None)"
    rf"(?!\w){_NOT_A_RESULT}"
)
_EQUATION = re.compile(
    r"(?<![\w.-])(?!\d{4}-\d\d?-\d)"  # not a date
    r"`?(?P<left>-?[\d.]+(?: ?(?:[-+*/%]|//|\*\*) ?-?[\d.]+)+)`?"
    r" ?(?:=|==|is|equals) ?`?(?P<right>-?\d+(?:\.\d+)?)"
    rf"{_NOT_A_RESULT}"
)
_CODE = re.compile(r"`[^`\n]*`")
_HEDGE = re.compile(r"\b(?:likely|probably|perhaps|maybe|might|possibly|seems?)\b", re.IGNORECASE)


def find_objection(sentence: str, evidence: Evidence) -> str:
    """Return why a sentence is not to be shown, to go on from "it …"; empty if it may be."""
    if len(sentence.split()) > MAX_WORDS:
        return "is too long"
    if _HEDGE.search(_CODE.sub("", sentence)):
        return "is a guess by its own words"
    unverified = sentence
    for expression, result in _results(sentence):
        is_right = _is_right(expression, result)
        if is_right is False:
            return f"says that {expression} is {result}"
        if is_right:
            unverified = unverified.replace(f"`{expression}`", "it")
    for value in _VALUE.findall(sentence):
        if not _was_seen(value, evidence):
            return f"mentions {value}, which was not seen"
    grounding = Grounding(evidence)
    marked = grounding.add(unverified) + grounding.end()
    if grounding.unsupported:
        return f"mentions {grounding.unsupported[0]}, which was not shown"
    if marked != unverified:
        return "mentions code that was not shown"
    return ""


def _results(sentence: str) -> Iterator[tuple[str, str]]:
    """Yield expressions with the results that the sentence says they have."""
    for match in _RESULT.finditer(sentence):
        yield match["expression"], match["result"]
    for match in _EQUATION.finditer(sentence):
        yield match["left"], match["right"]


def _was_seen(value: str, evidence: Evidence) -> bool:
    """Return whether a number or a text was shown, whatever the quotes around it."""
    if value[0] in "'\"":
        text = value[1:-1]
        return not text.strip() or evidence.has_code(text)
    return evidence.has_code(value.removesuffix(".0"))


def _is_right(expression: str, result: str) -> bool | None:
    """Return whether an expression of constants has that result; None if it is not computed."""
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        expected = ast.literal_eval(result)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not all(map(_is_constant, ast.walk(tree))):
        return None
    names = {name: getattr(builtins, name) for name in PURE_FUNCTIONS}
    try:
        actual = eval(compile(tree, "<claim>", "eval"), {"__builtins__": {}}, names)
    except Exception:  # noqa: BLE001 - it has no result at all
        return False
    if isinstance(actual, int | float) and isinstance(expected, int | float):
        return abs(actual - expected) <= 1e-6 * max(1.0, abs(actual))
    return bool(actual == expected)


def _is_constant(node: ast.AST) -> bool:
    """Return whether a node is part of an expression of constants that is quick to compute."""
    match node:
        case ast.Name():
            return node.id in PURE_FUNCTIONS
        case ast.Constant():
            return not isinstance(node.value, int) or abs(node.value) <= MAX_NUMBER
        case ast.Call():
            return isinstance(node.func, ast.Name)
        case ast.BinOp():
            if isinstance(node.op, ast.Mult | ast.Mod):
                return _is_arithmetic(node)
            return not isinstance(node.op, ast.Pow | ast.LShift)
    allowed = (
        ast.Expression, ast.UnaryOp, ast.Compare, ast.List, ast.Tuple, ast.Dict, ast.Set,
        ast.expr_context, ast.operator, ast.unaryop, ast.cmpop,
    )  # fmt: skip
    return isinstance(node, allowed)


def _is_arithmetic(operation: ast.BinOp) -> bool:
    """Return whether an operation has nothing but numbers.

    `'a' * 1000000` and `'%1000000d' % 1` need much memory.
    """
    for node in ast.walk(operation):
        if isinstance(node, ast.Constant):
            if not isinstance(node.value, int | float):
                return False
        elif not isinstance(node, ast.BinOp | ast.UnaryOp | ast.operator | ast.unaryop):
            return False
    return True
