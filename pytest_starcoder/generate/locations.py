"""The code that users name, and the targets in it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.files import nearest_file
from pytest_starcoder.generate.draft import Target, TargetKind
from pytest_starcoder.generate.placement import file_for
from pytest_starcoder.generate.targets import find_targets, module_path
from pytest_starcoder.text.display import one_line


@dataclass(frozen=True)
class Location:
    """A file below the root, or one definition in it.

    Attributes:
        name: The dotted name of the definition; empty for the whole file.
        tests: The file, and after `::` the class, for the tests; empty for the default.
        lines: Only functions on these lines are meant; None for all.
    """

    path: str
    name: str = ""
    tests: str = ""
    lines: frozenset[int] | None = None


def targets_at(
    locations: Sequence[Location], root: Path, test_files: Iterable[str]
) -> list[Target]:
    """Return the targets at some locations, each once.

    A location that says where the tests go wins over one that does not. `test_files` are the
    test files of the project. Raises OSError, and ConfigError for an unknown name.
    """
    test_files = list(test_files)
    targets: dict[tuple[str, str], Target] = {}
    # Those with a place for the tests come first, because the first of each target counts.
    for location in sorted(locations, key=lambda location: not location.tests):
        source = (root / location.path).read_text("utf-8")
        in_file = find_targets(source, location.path, root)
        # In a folder, a file that cannot be parsed is skipped.
        if not in_file and len(locations) == 1:
            raise ConfigError(f"{location.path} cannot be parsed.", "Fix its syntax first.")
        for target in _selected(in_file, location):
            tests = location.tests or file_for(target.module, root, test_files)
            targets.setdefault((target.path, target.name), replace(target, tests=tests))
    return list(targets.values())


def check_names(locations: Iterable[Location], root: Path) -> None:
    """Raise ConfigError if a file lacks the definition that a location names.

    Files that cannot be read or parsed are left to `targets_at`.
    """
    for location in locations:
        if not location.name:
            continue
        try:
            source = (root / location.path).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        targets = find_targets(source, location.path, root)
        if targets:
            _with_name(targets, location)


def _selected(targets: list[Target], location: Location) -> list[Target]:
    """Return the targets of a file that a location means."""
    if location.name:
        targets = _with_name(targets, location)
    if location.lines is None:
        return targets
    selected = []
    for target in targets:
        # A changed function is not a reason to test its class or its module.
        if target.kind not in (TargetKind.FUNCTION, TargetKind.PRIVATE):
            continue
        if not location.lines.isdisjoint(range(target.first, target.last + 1)):
            selected.append(target)
    return selected


def _with_name(targets: list[Target], location: Location) -> list[Target]:
    """Return the definition of that name, and those in it. Raises ConfigError if there is none."""
    prefix = f"{location.name}."
    selected = []
    public_names = []
    for target in targets:
        if f"{target.name}.".startswith(prefix):
            selected.append(target)
        if target.kind in (TargetKind.FUNCTION, TargetKind.CLASS):
            public_names.append(target.name)
    if not selected:
        names = ", ".join(public_names)
        raise ConfigError(
            f"{location.path} has no function or class {location.name}.",
            f"It has {names or 'none'}.",
        )
    return selected


def locations_of_path(text: str, root: Path) -> list[Location]:
    """Return the Python files that `FILE`, `FOLDER` or `FILE::NAME` means, without test files.

    Raises ConfigError.
    """
    place, _, name = text.partition("::")
    files = _python_files(place, root, f"--starcoder-generate={text}")
    try:
        return [Location(_below(file, root), name.replace("::", ".")) for file in files]
    except ValueError:
        message = f"--starcoder-generate={text}: {place} is not below {root}."
        raise ConfigError(message, "Start pytest above it.") from None


def _python_files(place: str, root: Path, option: str) -> list[Path]:
    """Return the file of that name, or those in the folder of that name."""
    path = Path.cwd() / place
    if path.is_dir():
        files = []
        for file in sorted(path.rglob("*.py")):
            if not is_test_file(file.relative_to(path)):
                files.append(file)
        if files:
            return files
        raise ConfigError(
            f"{option}: {place} has only tests, or no Python files.",
            "Put the option last, or name a folder of code.",
        )
    hint = "Name a file, folder or function, for example shop/pricing.py or shop/pricing.py::mean."
    if not path.is_file():
        nearest = nearest_file(place)
        if (root / "src" / place).exists():
            nearest = f"src/{place}"
        if nearest:
            hint = f"Is it {nearest}?"
        raise ConfigError(f"{option}: there is no file {place}.", hint)
    if path.suffix != ".py":
        raise ConfigError(f"{option}: {place} is not a Python file.", hint)
    if is_test_file(Path(path.name)):
        raise ConfigError(f"{option}: {place} is a test file.", hint)
    return [path]


def location_of_name(
    text: str, root: Path, folders: Sequence[str], source: str, tests: str = ""
) -> Location:
    """Return the location that `package.module:function` or `package.module` names.

    `folders` are those that modules are imported from; `source` begins the message of the
    ConfigError that an unknown module raises.
    """
    module, _, name = text.partition(":")
    # An empty entry of sys.path is the working folder.
    search = list(map(Path, filter(None, folders)))
    path = module_path(module, root, search)
    if not path:
        raise ConfigError(
            f"{source} names no module of this project.", 'Write it as "package.module:function".'
        )
    return Location(path, name, tests)


def location_of_object(obj: object, root: Path) -> Location:
    """Return the location of a function, class or module, or of what a text names.

    Raises ConfigError if it is not below `root`.
    """
    if isinstance(obj, str):
        return location_of_name(obj, root, sys.path, f"generate_tests({obj!r})")
    try:
        unwrapped = inspect.unwrap(obj) if callable(obj) else obj
        file = inspect.getsourcefile(unwrapped)  # type: ignore[arg-type]
        path = _below(Path(file or ""), root)
    except (TypeError, ValueError):
        raise ConfigError(
            f"generate_tests({one_line(repr(obj), 80)}) has no file below {root}.",
            "Give it what a module defines.",
        ) from None
    name = ""
    if not inspect.ismodule(obj):
        name = getattr(obj, "__qualname__", "")
    return Location(path, name)


def is_test_file(path: Path) -> bool:
    """Return whether a file, relative to a folder of code, is a test file or hidden."""
    name = path.name
    if name.startswith(("test_", "conftest", "setup.")) or name.endswith("_test.py"):
        return True
    for folder in path.parts[:-1]:
        if folder in ("tests", "test") or folder.startswith((".", "_build")):
            return True
    return False


def _below(file: Path, root: Path) -> str:
    """Return a path relative to the root. Raises ValueError if it is outside."""
    return file.resolve().relative_to(root.resolve()).as_posix()
