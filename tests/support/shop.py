"""A small module and drafts of tests for it, with which generated tests are tested."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.generation import Generation
from pytest_starcoder.generate.result import Generated
from pytest_starcoder.generate.targets import find_targets
from support.in_process_trials import InProcessBench

SHOP = '''
SEEN = []
CACHE = {}


def mean(xs):
    """The mean.

    >>> mean([1, 2, 3])
    2.0
    >>> mean([])
    Traceback (most recent call last):
    ...
    ValueError: no values
    """
    if not xs:
        raise ValueError("no values")
    return sum(xs) / len(xs)


def parse(text):
    """The number in a text.

    >>> parse("3")
    3
    """
    return int(text[1:])


class Rate:
    vat = 2


def price(quantity, one=2):
    if quantity > 10:
        return quantity * one - 1
    return quantity * one
'''


def targets_in(source: str, path: str = "shop.py") -> list[Target]:
    return find_targets(source, path, Path("/nowhere"))


def target_named(name: str, source: str = SHOP) -> Target:
    return next(target for target in targets_in(source) if target.name == name)


def shop_draft(
    body: str,
    target: Target | None = None,
    *imports: str,
    name: str = "test_drafted",
    origin: Origin = Origin.MODEL,
) -> Draft:
    """Return a draft that may use everything in the shop; its target is `mean` by default."""
    statements = tuple(ast.unparse(node) for node in ast.parse(dedent(body)).body)
    needed = (*imports, "from shop import *")
    return Draft(name, statements, needed, origin, target or target_named("mean"))


def generate(
    drafts: Sequence[Draft],
    targets: Sequence[Target] = (),
    source: str = SHOP,
    *,
    suite: Sequence[str] = (),
    bench: Mapping[str, Any] | None = None,
    **options: Any,
) -> Generated:
    """Generate tests of the shop in this process; `bench` are fields of the bench."""
    sources = {"shop.py": source}
    chosen = list(targets) or targets_in(source)
    fields = {"sources": sources, **(bench or {})}
    in_process = InProcessBench(targets=chosen, **fields)
    deadline = Deadline.after(60, "generate_timeout")
    generation = Generation(in_process, fields["sources"].__getitem__, deadline, **options)
    return generation.run(drafts, suite)


def reasons(generated: Generated) -> dict[str, str]:
    """Map the names of all drafts to "kept" or to the reason against them."""
    assert not generated.note
    verdicts = {kept.draft.name: "kept" for kept in generated.kept}
    for rejected in (*generated.rejected, *generated.suspected):
        verdicts[rejected.draft.name] = rejected.reason
    return verdicts
