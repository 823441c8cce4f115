"""Generates tests for the targets of a project, with and without a model."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.generate.bench import DraftBench
from pytest_starcoder.generate.docstrings import doctest_drafts
from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.generation import Generation, ShowProgress
from pytest_starcoder.generate.imports import defined_names, imported_names
from pytest_starcoder.generate.model_author import ModelAuthor, SuiteFile
from pytest_starcoder.generate.model_requests import Budget
from pytest_starcoder.generate.properties import property_drafts
from pytest_starcoder.generate.result import Generated
from pytest_starcoder.generate.type_hints import type_hint_drafts
from pytest_starcoder.model.client import Client
from pytest_starcoder.redaction.redactor import Redactor
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.functions import Function
from pytest_starcoder.source.syntax import syntax_tree


@dataclass(frozen=True)
class GenerationJob:
    """Generates tests for `targets` beside the passing tests `suite`.

    Attributes:
        origins: The sources of drafts to use.
        characterise: Also assert what the code does now where mutants live.
        redactor: Learns the secrets of the files.
        progress: Shows a sentence on what is being done.
    """

    launch: Launch
    settings: Settings
    targets: Sequence[Target]
    suite: Sequence[str] = ()
    origins: Collection[Origin] = tuple(Origin)
    characterise: bool = False
    redactor: Redactor = field(default_factory=Redactor.from_environment)
    progress: ShowProgress = lambda _: None

    def run(self) -> Generated:
        """Return the tests worth keeping; `remark` says why no model was asked.

        Raises OSError for an unreadable file.
        """
        drafts = self._drafts()
        # The time starts here: reading many files must not use it up.
        deadline = Deadline.after(self.settings.generate_timeout, "generate_timeout")
        # Without a model, everything else still works.
        client, remark = self._client()
        author = None
        if client:
            author = self._author(client, drafts)
        bench = DraftBench(
            self.launch,
            Level(self.settings.confinement),
            self.targets,
            draws=any(draft.draws_inputs for draft in drafts),
        )
        generation = Generation(
            bench,
            self.read,
            deadline,
            self.progress,
            author,
            Budget(self.settings.generate_requests, self.settings.generate_tokens),
            self.characterise,
        )
        try:
            generated = generation.run(drafts, self.suite)
        finally:
            if client:
                client.close()
        fallback = client.fallback_note if client else ""
        return replace(generated, remark=generated.remark or remark, fallback=fallback)

    def _drafts(self) -> list[Draft]:
        """Return the drafts that need no model, and learn the secrets of the files."""
        by_path: dict[str, list[Target]] = {}
        for target in self.targets:
            by_path.setdefault(target.path, []).append(target)
        drafts: list[Draft] = []
        for path, targets in by_path.items():
            source = self.read(path)
            self.redactor.learn(source)
            drafts += drafts_without_model(source, targets, self.origins)
        return drafts

    def read(self, path: str) -> str:
        """Return the text of a file below the root."""
        return (self.launch.root / path).read_text("utf-8")

    def _client(self) -> tuple[Client | None, str]:
        """Return the client of the model, and why there is none."""
        if Origin.MODEL not in self.origins or not self.targets:
            return None, ""
        try:
            client = Client.from_settings(self.settings)
            client.allow(self.settings.generate_timeout)
        except StarcoderError as exc:
            return None, str(exc)
        return client, ""

    def _author(self, client: Client, drafts: Sequence[Draft]) -> ModelAuthor:
        examples = [draft for draft in drafts if draft.origin is Origin.DOCTEST]
        return ModelAuthor(client, self.read, self._suite_file, examples, self.redactor.redact)

    def _suite_file(self, target: Target) -> SuiteFile:
        """Return the test file of a target, and the fixtures of all conftest.py above it."""
        path, _, _ = target.tests.partition("::")
        root = self.launch.root
        existing = []
        fixtures: list[str] = []
        # The nearest folder first.
        for folder in PurePosixPath(path).parents:
            conftest = folder / "conftest.py"
            if (root / conftest).is_file():
                existing.append(conftest)
                fixtures += _fixtures(_read_any(root / conftest))
        # Without a conftest.py, the prompt shows an empty one in the folder of the tests.
        existing.append(PurePosixPath(path).with_name("conftest.py"))
        text = _read_any(root / path)
        return SuiteFile(path, text, str(existing[0]), "\n\n\n".join(fixtures))


def _read_any(file: Path) -> str:
    """Return the text of a file whatever its encoding; empty if there is none."""
    if not file.is_file():
        return ""
    return file.read_text("utf-8", "replace")


def drafts_without_model(
    source: str, targets: Sequence[Target], origins: Collection[Origin] = tuple(Origin)
) -> list[Draft]:
    """Return the drafts that docstrings and type hints give for the targets of one file."""
    tree = syntax_tree(source)
    if tree is None or not targets:
        return []
    names = defined_names(source)
    imports = imported_names(tree.body, targets[0].module)
    examples: list[Draft] = []
    for target in targets:
        examples += doctest_drafts(target, names, imports)
    drafts: list[Draft] = []
    if Origin.DOCTEST in origins:
        drafts += examples
    if Origin.PROPERTY in origins:
        drafts += property_drafts(targets, examples)
    if Origin.TYPE_HINT in origins:
        drafts += type_hint_drafts(targets, {*names, *imports})
    return drafts


def _fixtures(source: str) -> list[str]:
    """Return the fixtures of a conftest.py."""
    tree = syntax_tree(source)
    fixtures = []
    for node in tree.body if tree else ():
        if isinstance(node, Function):
            decorators = map(ast.unparse, node.decorator_list)
            if any("fixture" in decorator for decorator in decorators):
                fixtures.append(ast.unparse(node))
    return fixtures
