"""The docs are true: tests print every screen, and every command and name exists."""

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

README_KINDS = {"command", "output", "file", "python"}
"""Kinds of marked blocks that tests/test_readme.py runs; pages repeat them verbatim."""

OTHER_PROGRAMS = {
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
"""Programs of others that the pages show; their options are not checked."""


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


def blocks_in(language: str) -> list[Block]:
    return [block for block in ALL if block.language == language and not block.kind]


def each(blocks: list[Block]) -> pytest.MarkDecorator:
    ids = [f"{block.page.stem}:{block.text.splitlines()[0][:30]}" for block in blocks]
    return pytest.mark.parametrize("block", blocks, ids=ids)


def options_of_pytest() -> dict[str, dict[str, Any]]:
    options: dict[str, dict[str, Any]] = {}

    class Group:
        def addoption(self, name: str, **attributes: Any) -> None:
            options[name] = attributes

    class Parser:
        def getgroup(self, *_: str) -> Group:
            return Group()

    plugin.pytest_addoption(Parser())  # type: ignore[arg-type]
    return options


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    options = set()
    for action in parser._actions:
        options |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                options |= options_of(subparser)
    return options


def subcommands() -> dict[str, argparse.ArgumentParser]:
    for action in make_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("starcoder has no subcommands")


def review_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="starcoder-review")
    review_command.add(parser)
    return parser


# --- screens and blocks ---


def test_screens_are_printed_by_tests() -> None:
    readme = {block.kind: block.text for block in blocks(README) if block.kind}
    for block in ALL:
        if block.kind.startswith("figures: "):
            for words in commands(block.text):
                check_command(words)
        elif block.language in ("", "console", "text") or block.kind:
            assert block.kind, f"{block.page.name} shows what no test prints:\n{block.text}"
            assert block.kind.split(":")[0] in README_KINDS, block.kind
            assert block.text == readme.get(block.kind), (
                f"{block.page.name}: {block.kind} is not the README's"
            )


def test_block_kinds() -> None:
    kinds = {"", "bash", "console", "yaml", "toml", "python", "nginx", "{toctree}", "{include}"}
    assert {block.language for block in ALL} <= kinds


@each(blocks_in("yaml"))
def test_yaml_blocks(block: Block) -> None:
    document = yaml.safe_load(block.text)
    hooks = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    repositories = document.get("repos", []) if isinstance(document, dict) else []
    shown = {hook["id"] for repository in repositories for hook in repository.get("hooks", [])}
    assert shown <= hooks
    action = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    for job in document.get("jobs", {}).values() if isinstance(document, dict) else ():
        for step in job["steps"]:
            if step.get("uses", "").startswith("pytest-starcoder/"):
                assert set(step["with"]) <= set(action)


@each(blocks_in("toml"))
def test_toml_blocks(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tomllib.loads(block.text)
    if "starcoder" in document.get("tool", {}):
        (tmp_path / "pyproject.toml").write_text(block.text)
        load_settings(tmp_path, {})


@each(blocks_in("python"))
def test_python_blocks(block: Block) -> None:
    ast.parse(textwrap.dedent(block.text))


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command, without redirections and leading assignments."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\||;", line.split(" #")[0].removeprefix("$ ")):
            words = []
            for word in shlex.split(part, comments=True):
                if word in (">", "<"):
                    break
                if not re.match(r"[A-Z_]+=", word):
                    words.append(word)
            if words:
                yield words


def code_in_text() -> list[str]:
    """Return everything between backticks in the text of the pages."""
    spans = []
    for page in PAGES:
        text = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.S | re.M)
        spans += re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    return spans


def check_command(words: list[str]) -> None:
    """Fail for a command of ours with an option that it does not have."""
    program, *rest = words
    program = program.rpartition("/")[2]
    options = [word.partition("=")[0] for word in rest if word.startswith("--")]
    if program == "pytest":
        ours = {name for name in options if "starcoder" in name}
        assert ours <= set(options_of_pytest()), words
    elif program == "starcoder":
        name = rest[0] if rest else "--help"
        parser = make_parser() if name.startswith("-") else subcommands()[name]
        assert set(options) <= options_of(parser), words
    elif program == "starcoder-review":
        assert set(options) <= options_of(review_parser()), words
    elif rest[:1] == ["-m"] and rest[1].startswith("benchmarks"):
        module = ROOT / rest[1].replace(".", "/")
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), words
    else:
        assert program in OTHER_PROGRAMS or program in (
            "sphinx-build",
            "bash",
            "reviewdog",
            "hf",
        ), words


@each(blocks_in("bash"))
def test_commands_in_blocks(block: Block) -> None:
    for words in commands(block.text):
        check_command(words)


def test_commands_in_text() -> None:
    checked = 0
    for text in code_in_text():
        if re.match(r"(STARCODER_\w+=\S+ )*(pytest|starcoder|starcoder-review)( |$)", text):
            for words in commands(text.replace("…", "x")):
                check_command(words)
                checked += 1
    assert checked > 30


def test_options_and_variables() -> None:
    options = set(options_of_pytest()) | options_of(make_parser()) | options_of(review_parser())
    variables = {f"STARCODER_{key.upper()}" for key in SCHEMA} | {"STARCODER_"}
    for page in PAGES:
        text = page.read_text("utf-8")
        shown = set(re.findall(r"--(?:no-)?starcoder[a-z-]*", text))
        assert shown <= options | {"--starcoder-"}, page.name
        if "adding" not in page.name:  # an example backend has variables of its own
            assert set(re.findall(r"\bSTARCODER_[A-Z_]*", text)) <= variables, page.name


# --- names and links ---


def test_everything_is_documented() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES if page != README)
    names = [*options_of_pytest()]
    names += [f"starcoder {name}" for name in subcommands()]
    names += [f"`{key}`" for key in SCHEMA]
    for name in options_of(review_parser()):
        if name.startswith("--") and "starcoder" not in name:
            names.append(name)
    names += ["@pytest.mark.starcoder_explain", "starcoder_generate", "`starcoder`"]
    names += [f"pytest_starcoder_{hook}" for hook in ("evidence", "redact", "explained")]
    names.append("starcoder_backend")
    assert [name for name in names if name not in text] == []


def test_settings_table() -> None:
    table = "\n".join(rows())
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert f"<!-- table: settings -->\n{table}\n<!-- end -->" in page, f"\n{table}"


def test_options_table() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    after_settings = page.partition("<!-- end -->")[2]
    table = dict(re.findall(r"^\| `(--[\w-]+)[^`]*` \| (.*) \|$", after_settings, re.M))
    settings = {f"--starcoder-{key.replace('_', '-')}" for key in SCHEMA}
    helps = {name: entry["help"] for name, entry in options_of_pytest().items()}
    assert table == {name: text for name, text in helps.items() if name not in settings}


def test_links() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            if "://" not in target and not target.startswith("mailto:"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_ci_builds_pages() -> None:
    assert "sphinx-build -W --keep-going -q -b html docs" in (ROOT / ".ci" / "run").read_text()
