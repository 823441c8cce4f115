"""The targets in a source file, and the names of modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pytest_starcoder.generate.draft import Target, TargetKind
from pytest_starcoder.source.functions import Function
from pytest_starcoder.source.syntax import is_literal, syntax_tree


def find_targets(source: str, path: str, root: Path) -> list[Target]:
    """Return the functions, methods and public classes of a file, and last the module itself.

    `path` is relative to `root`. A source that does not parse has no targets.
    """
    tree = syntax_tree(source)
    if tree is None:
        return []
    module = Target(
        path,
        module_name(path, root),
        "",
        1,
        len(source.split("\n")),
        docstring=ast.get_docstring(tree) or "",
        kind=TargetKind.MODULE,
        node=tree,
    )
    return [*_Scope(module).targets(tree.body), module]


def module_name(path: str, root: Path) -> str:
    """Return the dotted name of a module; its packages are below `src`, `lib` or the root."""
    file = PurePosixPath(path)
    parts = []
    if file.stem != "__init__":
        parts.append(file.stem)
    folder = file.parent
    while folder.name and (root / folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if folder.name not in ("", "src", "lib") and len(parts) == 1:
        parts = [*folder.parts, *parts]  # a namespace package
    return ".".join(parts)


def module_path(module: str, root: Path, folders: list[Path]) -> str:
    """Return the file of a module, relative to `root`; empty if there is none below `root`.

    It is looked up in the root, in `src` and `lib`, and in `folders`.
    """
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return ""
    top = root.resolve()
    for folder in (root, root / "src", root / "lib", *folders):
        base = folder.joinpath(*parts)
        for file in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
            # A link, or a module of the standard library, may be elsewhere.
            if file.is_file() and file.resolve().is_relative_to(top):
                return file.resolve().relative_to(top).as_posix()
    return ""


@dataclass(frozen=True)
class _Scope:
    """A module, or a class in it."""

    module: Target
    prefix: str = ""
    is_public: bool = True

    def targets(self, body: list[ast.stmt]) -> Iterator[Target]:
        for node in body:
            if isinstance(node, ast.ClassDef):
                is_public = self.is_public and not node.name.startswith("_")
                scope = _Scope(self.module, f"{self.prefix}{node.name}.", is_public)
                if is_public:
                    yield self._target(node, TargetKind.CLASS)
                yield from scope.targets(node.body)
            elif isinstance(node, Function):
                yield self._function(node)

    def _target(self, node: ast.ClassDef | Function, kind: TargetKind) -> Target:
        first = node.lineno
        if node.decorator_list:
            first = node.decorator_list[0].lineno
        return replace(
            self.module,
            name=self.prefix + node.name,
            first=first,
            last=node.end_lineno or node.lineno,
            docstring=ast.get_docstring(node) or "",
            kind=kind,
            node=node,
        )

    def _function(self, node: Function) -> Target:
        is_special = node.name.startswith("__") and node.name.endswith("__")
        is_private = node.name.startswith("_") and not is_special
        kind = TargetKind.FUNCTION
        if is_private or not self.is_public:
            kind = TargetKind.PRIVATE
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        # A static method has no such parameter.
        if self.prefix and arguments and arguments[0].arg in ("self", "cls"):
            del arguments[0]
        parameters = [(argument.arg, _text(argument.annotation)) for argument in arguments]
        return replace(
            self._target(node, kind),
            parameters=tuple(parameters),
            defaults=tuple(_literal_defaults(node.args)),
            returns=_text(node.returns),
            is_async=isinstance(node, ast.AsyncFunctionDef),
        )


def _text(annotation: ast.expr | None) -> str:
    if annotation is None:
        return ""
    # A forward reference: the annotation is the text itself.
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation)


def _literal_defaults(arguments: ast.arguments) -> Iterator[tuple[str, object]]:
    positional = [*arguments.posonlyargs, *arguments.args]
    # The last positional parameters are those with defaults.
    first = len(positional) - len(arguments.defaults)
    parameters = positional[first:] + arguments.kwonlyargs
    defaults = [*arguments.defaults, *arguments.kw_defaults]
    for argument, default in zip(parameters, defaults, strict=True):
        if default is not None and is_literal(default):
            yield argument.arg, ast.literal_eval(default)
