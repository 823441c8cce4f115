"""Finds what a source file imports, mostly by regular expressions: parsing is too slow."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

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
    tree = syntax_tree(source)
    if tree is None:
        return frozenset()
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=function) if last_name(function) == "register_assert_rewrite":
                for argument in node.args:
                    names.update(_strings_in(argument))
            case ast.Assign(targets=[target]) if last_name(target) == "pytest_plugins":
                names.update(_strings_in(node.value))
    return frozenset(names)


def _strings_in(expression: ast.expr) -> Iterator[str]:
    for node in ast.walk(expression):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
