"""What of a file tests can be for, and under which name they import it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pytest_starcoder.generate.draft import Kind, Target
from pytest_starcoder.source.syntax import is_literal, syntax_tree


def targets_of(source: str, path: str, root: Path) -> list[Target]:
    """The functions and methods of a file, its public classes, and last the module itself.

    `path` is relative to `root`. There is none where the source does not parse.
    """
    tree = syntax_tree(source)
    if tree is None:
        return []
    module = module_name(path, root)
    whole = Target(
        path, module, "", 1, len(source.split("\n")), docstring=_docstring(tree), kind=Kind.MODULE
    )
    return [*_targets(tree.body, path, module, "", public=True), whole]


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


def path_of(module: str, root: Path, folders: list[Path]) -> str:
    """The file of a module below `root`, relative to it; empty where no folder, `src` or `lib` among them, has it."""
    if not all(part.isidentifier() for part in module.split(".")):
        return ""
    below = PurePosixPath(*module.split("."))
    for folder in (root, root / "src", root / "lib", *folders):
        for file in (folder / f"{below}.py", folder / below / "__init__.py"):
            if file.is_file() and file.resolve().is_relative_to(root.resolve()):
                return file.resolve().relative_to(root.resolve()).as_posix()
    return ""


def _targets(
    body: list[ast.stmt], path: str, module: str, within: str, *, public: bool
) -> Iterator[Target]:
    for node in body:
        name = f"{within}{getattr(node, 'name', '')}"
        if isinstance(node, ast.ClassDef):
            known = public and not node.name.startswith("_")
            if known:
                told = _docstring(node)
                yield Target(
                    path, module, name, _first(node), _last(node), docstring=told, kind=Kind.CLASS
                )
            yield from _targets(node.body, path, module, f"{name}.", public=known)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            special = node.name.startswith("__") and node.name.endswith("__")
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            if within and arguments and arguments[0].arg in ("self", "cls"):
                arguments = arguments[1:]
            yield Target(
                path,
                module,
                name,
                _first(node),
                _last(node),
                tuple((argument.arg, _text(argument.annotation)) for argument in arguments),
                _docstring(node),
                tuple(_defaults(node.args)),
                _text(node.returns),
                isinstance(node, ast.AsyncFunctionDef),
                Kind.FUNCTION
                if public and (special or not node.name.startswith("_"))
                else Kind.PRIVATE,
            )


def _first(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _last(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return ast.get_docstring(node) or ""


def _text(annotation: ast.expr | None) -> str:
    if annotation is None:
        return ""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation)


def _defaults(arguments: ast.arguments) -> Iterator[tuple[str, object]]:
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    pairs = list(
        zip(names[len(names) - len(arguments.defaults) :], arguments.defaults, strict=True)
    )
    pairs += [
        (a.arg, d)
        for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if d is not None
    ]
    for name, default in pairs:
        if is_literal(default):
            yield name, ast.literal_eval(default)
