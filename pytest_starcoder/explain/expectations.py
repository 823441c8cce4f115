"""Finds evidence that a test expects the wrong result.

An example in a docstring counts only if it shows the call that failed, with the result that it
returned: code that agrees with other examples may still be wrong for this call.
"""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterator

from pytest_starcoder.explain.assertions import assertion_at
from pytest_starcoder.explain.case import Case
from pytest_starcoder.runner.outcome import Call
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.source.syntax import syntax_tree
from pytest_starcoder.text.display import one_line

RETURNED = "returned "

Arguments = dict[str, object]

Function = ast.FunctionDef | ast.AsyncFunctionDef


def documented_result(case: Case, sources: SourceFiles) -> str:
    """Return a sentence if a docstring shows what the failing call returned; empty otherwise."""
    call = _failing_call(case, sources)
    if call is None:
        return ""
    function = _function_at(sources(call.path), call.line)
    arguments = _literals(f"f({call.arguments})")
    docstring = ast.get_docstring(function) if function is not None else None
    if function is None or arguments is None or not docstring:
        return ""
    result = call.outcome.removeprefix(RETURNED)
    for source, want in _examples(docstring):
        node = _expression(source)
        shown = _bind(node, function) if node is not None else None
        if shown == arguments and want == result:
            example = one_line(source, 60)
            return (
                f"the docstring of {function.name} shows that {example} returns "
                f"{one_line(result, 80)}, as it did: the test's expectation may be wrong"
            )
    return ""


def _failing_call(case: Case, sources: SourceFiles) -> Call | None:
    """Return the call whose result the failing assertion compares; None if there are several."""
    failure = case.cause.first
    if failure.exception != "AssertionError" or len(failure.frames) != 1:
        return None
    [frame] = failure.frames
    statement = assertion_at(sources(frame.path), frame.line)
    if statement is None:
        return None
    names = set(_compared_functions(statement))
    calls = []
    for outcome in case.replay.failing:
        if outcome.nodeid != failure.nodeid:
            continue
        for call in outcome.calls:
            if call.late and call.caller[0] == frame.path and call.function in names:
                calls.append(call)
    return calls[0] if len(calls) == 1 and calls[0].outcome.startswith(RETURNED) else None


def _compared_functions(statement: ast.Assert) -> Iterator[str]:
    """Yield the names of the functions whose results are compared for equality as they are."""
    test = statement.test
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Eq):
        return
    for side in (test.left, *test.comparators):
        match side:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                yield name


def _function_at(source: str, line: int) -> Function | None:
    """Return the module-level function that is defined on a line; None if there is none."""
    tree = syntax_tree(source)
    for node in tree.body if isinstance(tree, ast.Module) else ():
        if isinstance(node, Function):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first <= line <= node.lineno:
                return node
    return None


def _examples(docstring: str) -> Iterator[tuple[str, str]]:
    try:
        examples = doctest.DocTestParser().get_examples(docstring)
    except ValueError:  # an example with wrong indentation
        return
    for example in examples:
        yield example.source.strip(), example.want.strip()


def _expression(source: str) -> ast.Call | None:
    tree = syntax_tree(source)
    match tree:
        case ast.Module(body=[ast.Expr(value=ast.Call() as call)]):
            return call
    return None


def _bind(call: ast.Call, function: Function) -> Arguments | None:
    """Return the arguments of a call by parameter; None if they are not plain literals."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    signature = function.args
    if name != function.name or signature.vararg or signature.kwarg:
        return None
    parameters = [*signature.posonlyargs, *signature.args]
    values: dict[str, ast.expr] = {}
    first_default = len(parameters) - len(signature.defaults)
    for parameter, default in zip(parameters[first_default:], signature.defaults, strict=True):
        values[parameter.arg] = default
    for parameter, kw_default in zip(signature.kwonlyargs, signature.kw_defaults, strict=True):
        if kw_default is not None:
            values[parameter.arg] = kw_default
    if len(call.args) > len(parameters):
        return None
    values |= {each.arg: value for each, value in zip(parameters, call.args, strict=False)}
    values |= {each.arg: each.value for each in call.keywords if each.arg is not None}
    return _evaluated(values)


def _literals(source: str) -> Arguments | None:
    """Return the keyword arguments of a call; None if they are not plain literals."""
    call = _expression(source)
    if call is None or call.args:
        return None
    return _evaluated({each.arg: each.value for each in call.keywords if each.arg is not None})


def _evaluated(values: dict[str, ast.expr]) -> Arguments | None:
    arguments: Arguments = {}
    for name, node in values.items():
        try:
            value = ast.literal_eval(node)
        except ValueError:
            return None
        # 1, 1.0 and True are equal, but calls with them are not the same.
        arguments[name] = (type(value), value)
    return arguments
