"""The functions of a file that tests can call, and under which name they import it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pytest_starcoder.text.syntax import syntax_tree
from pytest_starcoder.values.draft import Target


def targets_of(source: str, path: str, root: Path) -> list[Target]:
    """The public functions of a file and the public methods of its public classes, in their order.

    `path` is relative to `root`. There is none where the source does not parse.
    """
    tree = syntax_tree(source)
    return [] if tree is None else list(_targets(tree.body, path, module_name(path, root), ""))


def module_name(path: str, root: Path) -> str:
    """The dotted name of a module; packages lie in `src` and `lib`, other folders are packages themselves."""
    place = PurePosixPath(path)
    parts = [place.stem] if place.stem != "__init__" else []
    folder = place.parent
    while folder.name and (root / folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if folder.name not in ("", "src", "lib") and len(parts) == 1:
        parts = [*folder.parts, *parts]  # a namespace package
    return ".".join(parts)


def _targets(body: list[ast.stmt], path: str, module: str, within: str) -> Iterator[Target]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _targets(node.body, path, module, f"{within}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            names = names[1:] if within and names[:1] in (["self"], ["cls"]) else names
            yield Target(
                path,
                module,
                f"{within}{node.name}",
                first,
                node.end_lineno or first,
                tuple(names),
                ast.get_docstring(node) or "",
                tuple(_defaults(node.args)),
            )


def _defaults(arguments: ast.arguments) -> Iterator[tuple[str, object]]:
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    pairs = list(zip(names[len(names) - len(arguments.defaults) :], arguments.defaults, strict=True))
    pairs += [(a.arg, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None]
    for name, default in pairs:
        try:
            yield name, ast.literal_eval(default)
        except (ValueError, TypeError, MemoryError, RecursionError):
            continue
