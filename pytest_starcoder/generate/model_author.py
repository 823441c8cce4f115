"""Asks a model for tests: it continues a test file that follows the file under test."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pytest_starcoder.generate.answer_drafts import async_mark, extract_drafts, is_test
from pytest_starcoder.generate.draft import Draft, Target, TargetKind
from pytest_starcoder.generate.imports import Import, defined_names, imported_names
from pytest_starcoder.generate.result import ModelAnswer, ModelUsage
from pytest_starcoder.generate.statements import mentions
from pytest_starcoder.generate.suite_score import ReadSource
from pytest_starcoder.model.client import Client, fit_prompt
from pytest_starcoder.model.code_blocks import extract_code
from pytest_starcoder.model.prompt import Completion, Prompt
from pytest_starcoder.model.prompts import (
    FORMS,
    INSTRUCT_FAMILIES,
    fill_format,
    model_family,
    render,
)
from pytest_starcoder.source.functions import Function
from pytest_starcoder.source.syntax import syntax_tree

# The ends of the test names that a model continues, one per attempt: another name is another
# prompt, also for a model at temperature 0.
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
        ending = NAME_ENDINGS[attempt % len(NAME_ENDINGS)]
        opening = f"def test_{target.test_stem}{ending}"
        if target.is_async:
            opening = f"@{async_mark()}\nasync {opening}"
        before, after = self._surroundings(target, MAX_TESTS)
        form = self._form(after)
        prompt = self._prompt(form, target, opening, before, after, gaps)
        completion, usage = self._complete(self._warmer(prompt, attempt))
        # Some base models begin anew instead of continuing the opening.
        texts = [extract_code(completion.text, "python")]
        if form[0] not in INSTRUCT_FAMILIES:
            texts.insert(0, opening + completion.text)
        label = f"written_{attempt + 1}"
        drafts: tuple[Draft, ...] = ()
        for text in texts:
            drafts = self._drafts(text, target, completion.model, label, before)
            if drafts:
                break
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
        prompt = self._prompt((self._family, "test"), target, opening, before)
        stop = ("\n", *prompt.stop)
        prompt = replace(prompt, stop=stop, max_tokens=MAX_LITERAL_TOKENS)
        completion, usage = self._complete(prompt)
        # Not every server stops exactly where it is asked to.
        line, _, _ = completion.text.partition("\n")
        drafts = self._drafts(opening + line, target, completion.model, "predicted", before)
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
        return self._family in INSTRUCT_FAMILIES

    def _form(self, after: str) -> tuple[str, str]:
        """Return the format and the form of a prompt for a test before the code `after`."""
        filling = fill_format(self.client.model(), self.client.settings.family), "test-fill"
        return filling if after and filling in FORMS else (self._family, "test")

    def _drafts(
        self, text: str, target: Target, model: str, label: str, before: str
    ) -> tuple[Draft, ...]:
        names = defined_names(self.read(target.path))
        return tuple(extract_drafts(text, target, names, model, label, before))

    def _complete(self, prompt: Prompt) -> tuple[Completion, ModelUsage]:
        started = time.monotonic()
        completion = self.client.complete(prompt)
        if completion.from_cache:
            return completion, ModelUsage()
        # Four characters per token is a rough estimate for servers that count none.
        tokens = completion.completion_tokens or len(completion.text) // 4
        return completion, ModelUsage(1, tokens, time.monotonic() - started)

    def _prompt(
        self,
        form: tuple[str, str],
        target: Target,
        opening: str,
        before: str,
        after: str = "",
        gaps: Sequence[str] = (),
    ) -> Prompt:
        file = self.suite_file(target)
        redact = self.redact

        def render_code(parts: Sequence[str]) -> Prompt:
            return render(
                *form,
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
            )

        return fit_prompt(render_code, self._code(target), self.client)

    def _code(self, target: Target) -> list[str]:
        """Return the code of a target, and with more context the whole file if it is short."""
        source = self.read(target.path)
        # A blank line more would be another prompt, which the cache does not know.
        file = re.sub(r"\n{3,}", "\n\n\n", source).strip("\n")
        definition = file
        if target.kind is not TargetKind.MODULE:
            lines = source.split("\n")[target.first - 1 : target.last]
            definition = "\n".join(lines)
        if len(file) > MAX_FILE_CHARACTERS:
            file = definition
        return [definition, file]

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
        nearest = _nearest_tests(tests, target)
        # Long tests would crowd out the code under test.
        shortest = sorted(nearest, key=lambda test: len(ast.dump(test)))
        codes = map(ast.unparse, shortest[:max_tests])
        before = "\n\n\n".join([head, *codes])
        end = nearest[-1].end_lineno or 0
        following = text.split("\n")[end:]
        if not "".join(following).strip():
            # Nothing follows: the model continues the file instead of filling a gap.
            return before, ""
        after = "\n".join(following[:MAX_LINES_AFTER]).strip("\n")
        return before, f"\n\n\n{after}"


def _nearest_tests(tests: Sequence[Function], target: Target) -> Sequence[Function]:
    """Return the tests that mention a target; all tests if none does."""
    name = target.function_name
    if not name:
        return tests
    return [test for test in tests if mentions(test, name)] or tests


def _import_lines(target: Target, body: Sequence[ast.stmt]) -> str:
    """Return the imports of a test file, with those of pytest and of the target."""
    imports = [node for node in body if isinstance(node, Import)]
    bound = imported_names(imports, target.module)
    lines = list(map(ast.unparse, imports))
    name, _, _ = target.name.partition(".")
    if name not in bound:
        if not imports:
            lines.append("")
        statement = f"import {target.module}"
        if name:
            statement = f"from {target.module} import {name}"
        lines.append(statement)
    if "pytest" not in bound:
        lines.insert(0, "import pytest")
    return "\n".join(lines)
