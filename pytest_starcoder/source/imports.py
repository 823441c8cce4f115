"""Finds what a source file imports, mostly by regular expressions: parsing is too slow."""

from __future__ import annotations

import ast
import re

from pytest_starcoder.source.checking_code import last_name
from pytest_starcoder.source.syntax import syntax_tree

TEST_LIBRARIES = (
    "pytest",
    "_pytest",
    "unittest",
    "nose",
    "nose2",
    "hypothesis",
    "pytest_bdd",
    "behave",
    "lettuce",
    "radish",
    "hamcrest",
    "assertpy",
    "sure",
    "expects",
    "testfixtures",
    "factory",
    "model_bakery",
    "polyfactory",
    "syrupy",
    "inline_snapshot",
    "dirty_equals",
    "testtools",
    "robot",
)
"""Libraries that code under test does not import at its top."""

_LIBRARY = rf"(?:{'|'.join(TEST_LIBRARIES)})\b"

_TEST_IMPORT = re.compile(
    rf"^(?:from[ \t]+{_LIBRARY}|import[ \t][^#\n]*?(?<![\w.]){_LIBRARY}"
    r"|(?:from|import)[ \t]+\w[\w.]*\.testing\b)",
    re.MULTILINE,
)

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+\(?([\w., \t]*)|import[ \t]+([\w., \t]+))",
    re.MULTILINE,
)


def imports_testing(source: str) -> bool:
    """Return whether a module imports a testing library at its top."""
    return _TEST_IMPORT.search(source) is not None


def imported_names(source: str) -> frozenset[str]:
    """Return the last part of every name that a file imports, of modules and their members."""
    names: set[str] = set()
    for module, members, modules in _IMPORT.findall(source):
        for dotted in (module, *re.split(r"[,\s]+", f"{members},{modules}")):
            names.add(dotted.rpartition(".")[2])
    return frozenset(names - {""})


def plugin_modules(source: str) -> frozenset[str]:
    """Return the modules that a file registers for assertion rewriting or loads as plugins."""
    # Parsing every file that tests import takes seconds.
    if "register_assert_rewrite" not in source and "pytest_plugins" not in source:
        return frozenset()
    names: set[str] = set()
    tree = syntax_tree(source)
    for node in ast.walk(tree) if tree else ():
        expressions: list[ast.expr] = []
        if isinstance(node, ast.Call) and last_name(node.func) == "register_assert_rewrite":
            expressions = node.args
        elif isinstance(node, ast.Assign) and "pytest_plugins" in map(last_name, node.targets):
            expressions = [node.value]
        for expression in expressions:
            for inner in ast.walk(expression):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    names.add(inner.value)
    return frozenset(names)
