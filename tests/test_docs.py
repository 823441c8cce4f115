"""The pages of docs/ are true: whatever they show is printed by a test, and every command and name in them exists."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from support.settings_table import rows

from pytest_starcoder import plugin
from pytest_starcoder.cli import make_parser
from pytest_starcoder.cli import review as review_command
from pytest_starcoder.settings import SCHEMA, load_settings

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]

SHOWN_BY_OTHERS = {"command", "output", "file", "python"}
"""Kinds of marked blocks of the README that tests/test_readme.py runs; a page has them to the letter."""

FOREIGN = {
    "ollama",
    "python",
    "pip",
    "git",
    "vllm",
    "docker",
    "pre-commit",
    "python3",
    "curl",
    "llama-server",
    "export",
    "cd",
    "sbatch",
    "uv",
}
"""Programs of others whose commands the pages show; these tests know nothing of their options."""


class Block(NamedTuple):
    page: Path
    kind: str
    """Of the mark before it, "kind: name", or empty."""
    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    pattern = r"(?:^ *<!-- (\w+: [\w-]+) -->\n)?^( *)```(\S*)\n(.*?)^\2```$"
    for mark, indent, language, text in re.findall(pattern, page.read_text("utf-8"), re.S | re.M):
        lines = [line.removeprefix(indent) for line in text.splitlines(keepends=True)]
        yield Block(page, mark, language, "".join(lines))


ALL = [block for page in PAGES for block in blocks(page)]


def of(language: str) -> list[Block]:
    return [block for block in ALL if block.language == language and not block.kind]


def named(found: list[Block]) -> Any:
    return pytest.mark.parametrize(
        "block",
        found,
        ids=[f"{block.page.stem}:{block.text.splitlines()[0][:30]}" for block in found],
    )


def options_of_pytest() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}

    class Group:
        def addoption(self, name: str, **told: Any) -> None:
            found[name] = told

    class Parser:
        def getgroup(self, *_: str) -> Group:
            return Group()

    plugin.pytest_addoption(Parser())  # type: ignore[arg-type]
    return found


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    found = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                found |= options_of(sub)
    return found


def review_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="starcoder-review")
    review_command.add(parser)
    return parser


# --- what is shown ---


def test_every_screen_that_a_page_shows_is_one_that_a_test_prints() -> None:
    readme = {block.kind: block.text for block in blocks(README) if block.kind}
    for block in ALL:
        if block.kind.startswith("figures: "):
            for words in commands(block.text):
                check_command(words)
        elif block.language in ("", "console", "text") or block.kind:
            assert block.kind, f"{block.page.name} shows what no test prints:\n{block.text}"
            assert block.kind.split(":")[0] in SHOWN_BY_OTHERS, block.kind
            assert block.text == readme.get(block.kind), (
                f"{block.page.name}: {block.kind} is not the README's"
            )


def test_every_block_is_of_a_kind_that_is_looked_at() -> None:
    known = {"", "bash", "console", "yaml", "toml", "python", "nginx", "{toctree}", "{include}"}
    assert {block.language for block in ALL} <= known


@named(of("yaml"))
def test_yaml_can_be_read_and_names_hooks_that_there_are(block: Block) -> None:
    read = yaml.safe_load(block.text)
    hooks = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    repositories = read.get("repos", []) if isinstance(read, dict) else []
    shown = {hook["id"] for repository in repositories for hook in repository.get("hooks", [])}
    assert shown <= hooks
    action = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    for job in read.get("jobs", {}).values() if isinstance(read, dict) else ():
        for step in job["steps"]:
            if step.get("uses", "").startswith("pytest-starcoder/"):
                assert set(step["with"]) <= set(action)


@named(of("toml"))
def test_toml_can_be_read_and_sets_what_can_be_set(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = tomllib.loads(block.text)
    if "starcoder" in read.get("tool", {}):
        (tmp_path / "pyproject.toml").write_text(block.text)
        load_settings(tmp_path, {})


@named(of("python"))
def test_python_can_be_parsed(block: Block) -> None:
    ast.parse(textwrap.dedent(block.text))


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell block, without redirections and assignments before it."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\||;", line.split(" #")[0].removeprefix("$ ")):
            words = [
                word for word in shlex.split(part, comments=True) if not re.match(r"[A-Z_]+=", word)
            ]
            words = words[
                : next((at for at, word in enumerate(words) if word in (">", "<")), len(words))
            ]
            if words:
                yield words


def told_in_words() -> list[tuple[str, str]]:
    """What stands between backticks in the text of the pages and begins like a command of ours."""
    found = []
    for page in PAGES:
        text = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.S | re.M)
        found += [(page.name, words) for words in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)]
    return found


def check_command(words: list[str]) -> None:
    """Fails for a command of ours that could not be given like this."""
    program, *rest = words
    program = program.rpartition("/")[2]
    given = [word.partition("=")[0] for word in rest if word.startswith("--")]
    if program == "pytest":
        ours = [name for name in given if "starcoder" in name]
        assert set(ours) <= set(options_of_pytest()), words
    elif program == "starcoder":
        subs = next(
            a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction)
        ).choices
        assert not rest or rest[0] in subs or rest[0].startswith("-"), words
        assert set(given) <= options_of(
            subs[rest[0]] if rest and rest[0] in subs else make_parser()
        ), words
    elif program == "starcoder-review":
        assert set(given) <= options_of(review_parser()), words
    elif rest[:1] == ["-m"] and rest[1].startswith("benchmarks"):
        module = ROOT / rest[1].replace(".", "/")
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), words
    else:
        assert program in FOREIGN or program in ("sphinx-build", "bash", "reviewdog", "hf"), words


@named(of("bash"))
def test_every_shown_command_can_be_given(block: Block) -> None:
    for words in commands(block.text):
        check_command(words)


def test_every_command_in_the_text_can_be_given() -> None:
    checked = 0
    for _, text in told_in_words():
        if re.match(r"(STARCODER_\w+=\S+ )*(pytest|starcoder|starcoder-review)( |$)", text):
            for words in commands(text.replace("…", "x")):
                check_command(words)
                checked += 1
    assert checked > 30


def test_every_option_variable_and_setting_in_a_page_exists() -> None:
    known = set(options_of_pytest()) | options_of(make_parser()) | options_of(review_parser())
    variables = {f"STARCODER_{key.upper()}" for key in SCHEMA} | {"STARCODER_"}
    for page in PAGES:
        text = page.read_text("utf-8")
        assert set(re.findall(r"--(?:no-)?starcoder[a-z-]*", text)) <= known | {"--starcoder-"}, (
            page.name
        )
        if "adding" not in page.name:  # an example backend has variables of its own
            assert set(re.findall(r"\bSTARCODER_[A-Z_]*", text)) <= variables, page.name


# --- what is told ---


def test_everything_that_a_user_can_give_is_told_of() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES if page != README)
    subcommands = next(
        a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction)
    ).choices
    wanted = [
        *options_of_pytest(),
        *(f"starcoder {name}" for name in subcommands),
        *(f"`{key}`" for key in SCHEMA),
        *(
            name
            for name in options_of(review_parser())
            if name.startswith("--") and "starcoder" not in name
        ),
        *("@pytest.mark.starcoder_explain", "starcoder_generate", "`starcoder`"),
        *("pytest_starcoder_evidence", "pytest_starcoder_redact", "pytest_starcoder_explained"),
        "starcoder_backend",
    ]
    assert [name for name in wanted if name not in text] == []


def test_the_table_of_settings_is_the_schema() -> None:
    table = "\n".join(rows())
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert f"<!-- table: settings -->\n{table}\n<!-- end -->" in page, f"\n{table}"


def test_the_table_of_options_is_what_help_says() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    told = dict(
        re.findall(r"^\| `(--[\w-]+)[^`]*` \| (.*) \|$", page.partition("<!-- end -->")[2], re.M)
    )
    assert told == {
        name: entry["help"]
        for name, entry in options_of_pytest().items()
        if not entry["help"].startswith("For this run")
    }


def test_links_from_a_page_lead_to_files_that_there_are() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if "://" not in target and not target.startswith("mailto:"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_pages_are_built_without_a_warning_in_ci() -> None:
    assert "sphinx-build -W --keep-going -q -b html docs" in (ROOT / ".ci" / "run").read_text()
