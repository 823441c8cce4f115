"""Indices, slices, ranges, elements: off by one, too short, in the wrong order."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pytest_starcoder.source.edits.kind import Place, Text, is_value, kind

NUMERIC = (ast.Name, ast.Call, ast.BinOp, ast.Subscript, ast.Attribute)


COUNTS = ("len", "int", "max", "min", "sum", "abs", "round")


@kind("one added", *NUMERIC, cost=1.8)
def one_added(node: ast.expr, place: Place) -> Iterator[Text]:
    """`n` as `n + 1` or `n - 1`, where numbers stand: indices, bounds, comparisons, what is returned."""
    parent = place.parents.get(node)
    if isinstance(node, ast.Name):
        types = place.types(node).get(node.id)
        if types is not None and not types & {"int", "float"}:
            return
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return
    called = isinstance(parent, ast.Call) and parent.func is not node
    indexed = isinstance(parent, ast.Subscript) and parent.slice is node
    calculated = isinstance(parent, ast.BinOp) and isinstance(
        parent.op, ast.Mult | ast.Div | ast.FloorDiv | ast.Mod | ast.Pow
    )
    valued = isinstance(parent, ast.Compare | ast.Slice | ast.Return | ast.Assign) or calculated
    if called or indexed or valued:
        cost = 1.8 if isinstance(parent, ast.Slice | ast.Compare) or indexed or called else 2.1
        if isinstance(node, ast.Call) and ast.unparse(node.func) not in COUNTS:
            cost += 0.5
        text = place.operand(node)
        yield Text(f"{text} + 1", cost)
        yield Text(f"{text} - 1", cost)


@kind("slice bound dropped", ast.Subscript, cost=1.8)
def unbounded(node: ast.Subscript, place: Place) -> Iterator[str]:
    if isinstance(node.slice, ast.Slice):
        value = place.operand(node.value)
        bounds = (node.slice.lower, node.slice.upper, node.slice.step)
        lower, upper, step = (place.operand(part) if part else "" for part in bounds)
        if lower:
            yield f"{value}[:{upper}{':' + step if step else ''}]"
        if upper:
            yield f"{value}[{lower}:{':' + step if step else ''}]"
        if step:
            yield f"{value}[{lower}:{upper}]"
        if lower and upper:
            yield f"{value}[{upper}:{lower}]"
        if lower and not upper:
            yield f"{value}[:{lower}]"
        if upper and not lower:
            yield f"{value}[{upper}:]"
        yield value


@kind("slice bound added", ast.Subscript, cost=2.2)
def bounded(node: ast.Subscript, place: Place) -> Iterator[str]:
    if isinstance(node.slice, ast.Slice):
        value = place.operand(node.value)
        lower, upper = (
            place.operand(part) if part else "" for part in (node.slice.lower, node.slice.upper)
        )
        step = f":{place.operand(node.slice.step)}" if node.slice.step else ""
        if not lower:
            yield f"{value}[1:{upper}{step}]"
        if not upper:
            yield f"{value}[{lower}:-1{step}]"
        if not step:
            yield f"{value}[{lower}:{upper}:-1]"
            yield f"{value}[{lower}:{upper}:2]"
        yield f"{value}[{lower}:{upper}{step}][::-1]"


@kind("slice added", ast.Name, ast.Call, ast.Attribute, ast.Subscript, cost=2.9)
def sliced(node: ast.expr, place: Place) -> Iterator[Text]:
    types = place.types(node).get(node.id) if isinstance(node, ast.Name) else None
    if types is not None and not types & {"list", "str", "tuple", "bytes"}:
        return
    parent = place.parents.get(node)
    if is_value(node, place) or isinstance(parent, ast.For):
        text = place.operand(node)
        for bounds, cost in (("::-1", 2.7), ("1:", 2.7), (":-1", 2.7)):
            yield Text(f"{text}[{bounds}]", cost)
        for name in place.scope(node).names:
            known = place.types(node).get(name)
            if name != text and (known is None or "int" in known):
                for bounds in (f"{name}:", f":{name}", f"{name} + 1:", f":{name} + 1"):
                    yield Text(f"{text}[{bounds}]", 3.2)


@kind("index added", ast.Name, cost=2.8)
def indexed(node: ast.Name, place: Place) -> Iterator[str]:
    types = place.types(node).get(node.id)
    if is_value(node, place) and (types is None or types & {"list", "str", "tuple", "dict"}):
        yield f"{node.id}[0]"
        yield f"{node.id}[-1]"
        yield f"{node.id}[1]"


@kind("index dropped", ast.Subscript, cost=2.2)
def unindexed(node: ast.Subscript, place: Place) -> Iterator[str]:
    if isinstance(node.ctx, ast.Load) and not isinstance(node.slice, ast.Slice):
        yield place.operand(node.value)


@kind("index to a whole", ast.Subscript, cost=2.8)
def aggregated(node: ast.Subscript, place: Place) -> Iterator[str]:
    """`xs[0]` as `sum(xs)`, `max(xs)`, `min(xs)`, `len(xs)`."""
    if isinstance(node.ctx, ast.Load) and not isinstance(node.slice, ast.Slice):
        for other in ("sum", "max", "min", "len"):
            yield f"{other}({place.operand(node.value)})"


@kind("index from the end", ast.Subscript, cost=2.0)
def mirrored(node: ast.Subscript, place: Place) -> Iterator[str]:
    if isinstance(node.ctx, ast.Load) and isinstance(node.slice, ast.Name):
        yield f"{place.operand(node.value)}[-{node.slice.id}]"
        yield f"{place.operand(node.value)}[-{node.slice.id} - 1]"


@kind("elements swapped", ast.Tuple, ast.List, cost=1.6)
def swapped(node: ast.Tuple | ast.List, place: Place) -> Iterator[str]:
    parts = [place.operand(part) for part in node.elts]
    whole = place.text(node)
    opening, closing = (
        ("[", "]")
        if isinstance(node, ast.List)
        else ("(", ")")
        if whole.startswith("(")
        else ("", "")
    )
    for index in range(min(len(parts) - 1, 6)):
        given = list(parts)
        given[index], given[index + 1] = given[index + 1], given[index]
        yield f"{opening}{', '.join(given)}{closing}"


@kind("element dropped", ast.Tuple, ast.List, ast.Set, cost=2.4)
def one_less(node: ast.Tuple | ast.List | ast.Set, place: Place) -> Iterator[str]:
    if isinstance(getattr(node, "ctx", ast.Load()), ast.Load) and 1 < len(node.elts) <= 8:
        opening, closing = {ast.List: ("[", "]"), ast.Set: ("{", "}"), ast.Tuple: ("(", ")")}[
            type(node)
        ]
        for index in range(len(node.elts)):
            rest = [place.operand(part) for number, part in enumerate(node.elts) if number != index]
            comma = "," if isinstance(node, ast.Tuple) and len(rest) == 1 else ""
            yield f"{opening}{', '.join(rest)}{comma}{closing}"


@kind("range bound", ast.Call, cost=2.0)
def ranged(node: ast.Call, place: Place) -> Iterator[Text]:
    if not (isinstance(node.func, ast.Name) and node.func.id == "range"):
        return
    parts = [place.operand(part) for part in node.args]
    if len(parts) == 1:
        most = parts[0]
        others = {
            f"1, {most}": 1.9,
            f"1, {most} + 1": 2.0,
            f"2, {most}": 2.3,
            f"{most} - 1, -1, -1": 2.4,
        }
        others |= {f"0, {most}, 2": 2.6, f"2, {most} + 1": 2.6}
    elif len(parts) == 2:
        least, most = parts
        others = {
            most: 1.9,
            f"0, {most}": 2.0,
            f"{most}, {least}, -1": 2.3,
            f"{least}, {most}, 2": 2.4,
        }
        others[f"{least} + 1, {most} + 1"] = 2.4
    else:
        others = {f"{parts[0]}, {parts[1]}": 2.0} if len(parts) == 3 else {}
    for told, cost in others.items():
        yield Text(f"range({told})", cost)


@kind("filter dropped", ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp, cost=1.8)
def unfiltered(
    node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, place: Place
) -> Iterator[str]:
    whole, (start, _) = place.text(node), place.span(node)
    for generator in node.generators:
        for test in generator.ifs:
            first, last = place.span(test)
            before = whole[: first - start].rstrip()
            if before.endswith("if"):
                yield before[:-2].rstrip() + whole[last - start :]


@kind("enumerate start", ast.Call, cost=2.2)
def enumerated(node: ast.Call, place: Place) -> Iterator[str]:
    if (
        isinstance(node.func, ast.Name)
        and node.func.id == "enumerate"
        and len(node.args) == 1
        and not node.keywords
    ):
        yield f"enumerate({place.operand(node.args[0])}, 1)"
