"""Has a model write tests: it continues a test file that follows the file under test."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pytest_starcoder.generate.draft import Draft, Target, TargetKind
from pytest_starcoder.generate.imports import Import, defined_names, imported_names
from pytest_starcoder.generate.result import ModelAnswer, ModelUsage
from pytest_starcoder.generate.salvage import async_mark, is_test, salvage_drafts
from pytest_starcoder.generate.statements import mentions
from pytest_starcoder.generate.suite_score import ReadSource
from pytest_starcoder.model.client import Client, fit_prompt
from pytest_starcoder.model.code_blocks import extract_code
from pytest_starcoder.model.prompt import Completion, Prompt
from pytest_starcoder.model.prompts import FORMS, model_family, render
from pytest_starcoder.source.syntax import syntax_tree

# The ends of the test names that a model continues, one per attempt.
NAME_ENDINGS = ("", "_with", "_returns")

# Added to the temperature at each further attempt.
TEMPERATURE_STEP = 0.3

MAX_TEMPERATURE = 1.0

# Characters of the file under test in a prompt; a longer file is shown in part.
MAX_FILE_CHARACTERS = 6000

MAX_FIXTURE_CHARACTERS = 3000

# Existing tests in a prompt.
MAX_TESTS = 2

# Existing tests in a prompt for the result of a call.
MAX_PREDICTION_TESTS = 8

# Tokens of a predicted result.
MAX_LITERAL_TOKENS = 60

# Lines of a test file after the place that a model fills.
MAX_LINES_AFTER = 20

# Gaps that are named to an instruct model.
MAX_GAPS = 5


@dataclass(frozen=True)
class SuiteFile:
    """The test file that drafts would go into, and the fixtures of its conftest.py."""

    path: str
    text: str = ""
    conftest: str = "tests/conftest.py"
    fixtures: str = ""


@dataclass(frozen=True)
class ModelAuthor:
    """Writes drafts with the model of `client`.

    Methods raise BackendError and PromptTooLong.

    Attributes:
        suite_file: Returns the test file of a target.
        examples: Drafts of docstring examples, shown if there are no tests yet.
        redact: Removes secrets from what is sent.
    """

    client: Client
    read: ReadSource
    suite_file: Callable[[Target], SuiteFile]
    examples: Sequence[Draft]
    redact: Callable[[str], str]

    def write_tests(self, target: Target, attempt: int, gaps: Sequence[str]) -> ModelAnswer:
        """Write tests for a target; `attempt` counts from 0, `gaps` describe what is untested."""
        opening = f"def test_{target.test_stem}{NAME_ENDINGS[attempt % len(NAME_ENDINGS)]}"
        if target.is_async:
            opening = f"@{async_mark()}\nasync {opening}"
        before, after = self._surroundings(target, MAX_TESTS)
        prompt = self._prompt(target, opening, before, after, gaps)
        completion, usage = self._complete(self._warmer(prompt, attempt))
        # Some models begin anew instead of continuing the opening.
        texts = [extract_code(completion.text, "python")]
        if not self._is_instruct:
            texts.insert(0, opening + completion.text)
        drafts: tuple[Draft, ...] = ()
        for text in texts:
            label = f"written_{attempt + 1}"
            drafts = drafts or self._drafts(text, target, completion.model, label, before)
        return ModelAnswer(drafts, usage, completion.model)

    def predict_result(self, target: Target, assertion: str) -> ModelAnswer:
        """Complete `assert call ==`; an instruct model is not asked.

        The prompt does not show what the code returns: where the model agrees with the code,
        two independent sources say the same.
        """
        if self._is_instruct:
            return ModelAnswer((), ModelUsage(), self.client.model().name)
        name = f"test_{target.test_stem}_predicted"
        opening = f"def {name}():\n    {assertion}"
        before, _ = self._surroundings(target, MAX_PREDICTION_TESTS)
        prompt = self._prompt(target, opening, before)
        stop = ("\n", *prompt.stop)
        completion, usage = self._complete(
            replace(prompt, stop=stop, max_tokens=MAX_LITERAL_TOKENS)
        )
        text = opening + completion.text.split("\n")[0]
        drafts = self._drafts(text, target, completion.model, "predicted", before)
        renamed = tuple(replace(draft, name=name) for draft in drafts)
        return ModelAnswer(renamed, usage, completion.model)

    def _warmer(self, prompt: Prompt, attempt: int) -> Prompt:
        """Return the prompt with a higher temperature for each further attempt."""
        if not attempt:
            return prompt
        temperature = self.client.settings.temperature + TEMPERATURE_STEP * attempt
        return replace(prompt, temperature=min(MAX_TEMPERATURE, temperature))

    @property
    def _family(self) -> str:
        return model_family(self.client.model(), self.client.settings.family)

    @property
    def _is_instruct(self) -> bool:
        return self._family in ("chat", "starcoder2-instruct")

    def _drafts(
        self, text: str, target: Target, model: str, label: str, before: str
    ) -> tuple[Draft, ...]:
        names = defined_names(self.read(target.path))
        return tuple(salvage_drafts(text, target, names, model, label, before))

    def _complete(self, prompt: Prompt) -> tuple[Completion, ModelUsage]:
        started = time.monotonic()
        completion = self.client.complete(prompt)
        if completion.from_cache:
            return completion, ModelUsage()
        tokens = completion.completion_tokens or len(completion.text) // 4
        return completion, ModelUsage(1, tokens, time.monotonic() - started)

    def _prompt(
        self,
        target: Target,
        opening: str,
        before: str,
        after: str = "",
        gaps: Sequence[str] = (),
    ) -> Prompt:
        fills = bool(after) and (self._family, "test-fill") in FORMS
        file = self.suite_file(target)
        definition, context = self._code(target)
        redact = self.redact
        return fit_prompt(
            lambda parts: render(
                self._family,
                "test-fill" if fills else "test",
                repository="project",
                path=target.path,
                code=redact(parts[-1]),
                conftest=file.conftest,
                fixtures=redact(file.fixtures[:MAX_FIXTURE_CHARACTERS]),
                file=file.path,
                before=redact(before),
                after=redact(after),
                opening=opening,
                language="python",
                name=target.label,
                gaps=redact(", ".join(gaps[:MAX_GAPS])),
            ),
            [definition, context],
            self.client,
        )

    def _code(self, target: Target) -> tuple[str, str]:
        """Return the code of a target, and the whole file unless it is too long."""
        source = self.read(target.path)
        # A blank line more would be another prompt, which the cache does not know.
        file = re.sub(r"\n{3,}", "\n\n\n", source).strip("\n")
        definition = file
        if target.kind is not TargetKind.MODULE:
            definition = "\n".join(source.split("\n")[target.first - 1 : target.last])
        return definition, file if len(file) <= MAX_FILE_CHARACTERS else definition

    def _surroundings(self, target: Target, max_tests: int) -> tuple[str, str]:
        """Return the code before and after the place of a new test in its file.

        Before it are imports and the shortest tests of the target.
        """
        text = self.suite_file(target).text
        tree = syntax_tree(text)
        body = tree.body if tree else []
        tests = list(filter(is_test, body))
        head = _import_lines(target, body)
        if not tests:
            examples = [draft.code for draft in self.examples if draft.target == target]
            return "\n\n\n".join([head, *examples[:max_tests]]), ""
        function = target.function_name
        nearest = [test for test in tests if function and mentions(test, function)] or tests
        shortest = sorted(nearest, key=lambda test: len(ast.dump(test)))[:max_tests]
        before = "\n\n\n".join([head, *map(ast.unparse, shortest)])
        following = text.split("\n")[nearest[-1].end_lineno or 0 :]
        after = "\n".join(following[:MAX_LINES_AFTER]).strip("\n")
        if "".join(following).strip():
            return before, f"\n\n\n{after}"
        # Nothing follows: the model continues the file instead of filling a gap.
        return before, ""


def _import_lines(target: Target, body: Sequence[ast.stmt]) -> str:
    """Return the imports of a test file, with those of pytest and of the target."""
    imports = [node for node in body if isinstance(node, Import)]
    bound = imported_names(imports, target.module)
    lines = list(map(ast.unparse, imports))
    name = target.name.partition(".")[0]
    if name not in bound:
        if not imports:
            lines.append("")
        lines.append(f"from {target.module} import {name}" if name else f"import {target.module}")
    if "pytest" not in bound:
        lines.insert(0, "import pytest")
    return "\n".join(lines)
