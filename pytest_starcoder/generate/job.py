"""What tests are generated for, from files: places in, what has come of it out. None is written here."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import ConfigError, StarcoderError
from pytest_starcoder.generate.draft import Draft, Kind, Origin, Target
from pytest_starcoder.generate.model_drafts import Author, Beside
from pytest_starcoder.generate.placement import file_for
from pytest_starcoder.generate.result import Generated
from pytest_starcoder.generate.seeds import seeds_of
from pytest_starcoder.generate.selection import Budget, generate
from pytest_starcoder.generate.targets import targets_of
from pytest_starcoder.model.client import Client
from pytest_starcoder.redaction.redactor import Redactor
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.syntax import syntax_tree


@dataclass(frozen=True)
class Wanted:
    """A file below the root, or one definition of it by its dotted name.

    `tests` is where its tests go, a file and behind `::` a class in it, empty
    for the file that suits. With `lines` only definitions that are on one of them are meant.
    """

    path: str
    name: str = ""
    tests: str = ""
    lines: frozenset[int] | None = None


def targets_for(wanted: Sequence[Wanted], root: Path, test_files: Iterable[str]) -> list[Target]:
    """The targets that are wanted, each once: where two places mean one, the one that says where its tests go.

    `test_files` are the files of tests that are known. Raises OSError, and ConfigError for a name that a file has not.
    """
    test_files = list(test_files)
    found: dict[tuple[str, str], Target] = {}
    for own in sorted(wanted, key=lambda own: not own.tests):
        source = (root / own.path).read_text("utf-8")
        targets = targets_of(source, own.path, root)
        if not targets and len(wanted) == 1:
            raise ConfigError(
                f"{own.path} is no Python that can be parsed.", "Mend its syntax first."
            )
        if own.name:
            named = [target for target in targets if f"{target.name}.".startswith(f"{own.name}.")]
            if not named:
                known = ", ".join(
                    target.name for target in targets if target.kind in (Kind.FUNCTION, Kind.CLASS)
                )
                raise ConfigError(
                    f"{own.path} has no {own.name} to generate tests for.",
                    f"It has {known or 'none'}.",
                )
            targets = named
        if own.lines is not None:
            of_code = [target for target in targets if target.kind in (Kind.FUNCTION, Kind.PRIVATE)]
            targets = [
                target for target in of_code if own.lines & {*range(target.first, target.last + 1)}
            ]
        for target in targets:
            tests = own.tests or file_for(target.module, root, test_files)
            found.setdefault((target.path, target.name), replace(target, tests=tests))
    return list(found.values())


def generated_for(
    launch: Launch,
    targets: Sequence[Target],
    suite: Sequence[str],
    settings: Settings,
    progress: Callable[[str], None] = lambda what: None,
    *,
    origins: Collection[Origin] = tuple(Origin),
    characterise: bool = False,
    redactor: Redactor | None = None,
) -> Generated:
    """Tests for `targets` that are worth keeping, of these origins, beside the passing tests `suite`.

    What keeps a model from being asked is remarked upon; everything else is done
    without it. `redactor` learns the secrets of the files. Raises OSError for an unreadable file.
    """

    def read(path: str) -> str:
        return (launch.root / path).read_text("utf-8")

    redactor = redactor or Redactor.from_environment()
    by_path: dict[str, list[Target]] = {}
    for target in targets:
        by_path.setdefault(target.path, []).append(target)
    for path in by_path:
        redactor.learn(read(path))
    seeds = [draft for path, own in by_path.items() for draft in seeds_of(read(path), own, origins)]
    deadline = Deadline.after(settings.generate_timeout, "generate_timeout")
    client, remark = None, ""
    if Origin.MODEL in origins and targets:
        try:
            client = Client.from_settings(settings)
            client.allow(settings.generate_timeout)
        except StarcoderError as exc:
            remark = str(exc)
    try:
        generated = generate(
            launch,
            targets,
            suite,
            seeds,
            read,
            deadline,
            Level(settings.confinement),
            progress,
            author=None if client is None else _author(client, launch.root, read, seeds, redactor),
            budget=Budget(settings.generate_requests, settings.generate_tokens),
            characterise=characterise,
        )
    finally:
        if client is not None:
            client.close()
    return replace(generated, remark=generated.remark or remark)


def _author(
    client: Client,
    root: Path,
    read: Callable[[str], str],
    seeds: Sequence[Draft],
    redactor: Redactor,
) -> Author:
    examples = [draft for draft in seeds if draft.origin is Origin.DOCTEST]
    return Author(
        client,
        read,
        lambda target: _beside(root, target.tests.partition("::")[0]),
        examples,
        redactor.redact,
    )


def _beside(root: Path, path: str) -> Beside:
    """The test file, and the fixtures that a conftest.py gives it."""
    file = root / path
    text = file.read_text("utf-8", "replace") if file.is_file() else ""
    folders = [
        folder
        for folder in PurePosixPath(path).parents
        if (root / folder / "conftest.py").is_file()
    ]
    conftests = [(folder / "conftest.py").as_posix() for folder in folders]
    fixtures = [
        ast.unparse(node)
        for conftest in conftests
        for node in getattr(
            syntax_tree((root / conftest).read_text("utf-8", "replace")), "body", ()
        )
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list)
    ]
    conftest = (
        conftests[0] if conftests else (PurePosixPath(path).parent / "conftest.py").as_posix()
    )
    return Beside(path, text, conftest, "\n\n\n".join(fixtures))
