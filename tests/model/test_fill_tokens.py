"""The rows of tokens for filling holes: each on a vocabulary of its own, in the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.tiny_model import write_tiny_model

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.model.backends.embedded import Embedded
from pytest_starcoder.model.fill_tokens import (
    FILL_TOKENS,
    fill_of_name,
    fill_of_template,
    fill_of_vocabulary,
)
from pytest_starcoder.model.prompt import Model, Prompt
from pytest_starcoder.model.prompts import fill_format, render
from pytest_starcoder.settings import Settings

SENTENCEPIECE = ("codellama", "codellama-piece", "codestral", "codegemma")

FILE_NAMES = {"qwen": "qwen2.5-coder-1.5b-instruct.gguf", "codestral": "Codestral-22B.gguf"}

FILLED = {
    "starcoder2": "<repo_name>shop<file_sep><fim_prefix>a.py\nB<fim_suffix>A<fim_middle>",
    "starcoder": "<fim_prefix><filename>a.py\nB<fim_suffix>A<fim_middle>",
    "qwen": "<|repo_name|>shop\n<|file_sep|>a.py\n<|fim_prefix|>B<|fim_suffix|>A<|fim_middle|>",
    "codellama": "<PRE> B <SUF>A <MID>",
    "codellama-piece": "▁<PRE>B▁<SUF>A▁<MID>",
    "deepseek": "<\uff5cfim▁begin\uff5c>B<\uff5cfim▁hole\uff5c>A<\uff5cfim▁end\uff5c>",
    "codestral": "[SUFFIX]A[PREFIX]B",
    "codegemma": "<|fim_prefix|>B<|fim_suffix|>A<|fim_middle|>",
}

by_row = pytest.mark.parametrize("row", FILL_TOKENS)


@pytest.fixture(scope="module", params=FILL_TOKENS)
def loaded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Embedded]]:
    """Yield a row and the engine with a model that has its tokens and answers with a stop."""
    row: str = request.param
    tokens = FILL_TOKENS[row]
    special = dict.fromkeys(("<end>", *tokens.stops, *tokens.hole, *tokens.files))
    file = tmp_path_factory.mktemp(row) / FILE_NAMES.get(row, "model.gguf")
    write_tiny_model(
        file,
        always=tokens.stops[0],
        special_tokens=[*special],
        sentencepiece=row in SENTENCEPIECE,
    )
    backend = Embedded(Settings(backend="embedded", model=str(file), threads=1, temperature=0))
    yield row, backend
    backend.close()


def soon() -> Deadline:
    return Deadline.after(30)


# --- the vocabulary ---


def test_row_of_vocabulary(loaded: tuple[str, Embedded]) -> None:
    row, backend = loaded
    model = backend.inspect("d", soon())
    assert model.fill == row
    assert fill_format(model) == row


def test_each_special_token_is_one_token(loaded: tuple[str, Embedded]) -> None:
    row, backend = loaded
    tokens = FILL_TOKENS[row]
    for token in (*tokens.hole, *tokens.files, *tokens.stops):
        assert backend.count(token, soon()) == 1, token


def test_stop_token_ends_answer(loaded: tuple[str, Embedded]) -> None:
    row, backend = loaded
    prompt = render(row, "fill", repository="shop", path="a.py", before="de", after="de")
    model = backend.inspect("d", soon())
    completion = backend.complete(prompt, model, soon(), lambda _piece: None)
    assert (completion.text, completion.truncated) == ("", False)


def test_vocabulary_without_row(tmp_path: Path) -> None:
    file = write_tiny_model(tmp_path / "coder.gguf", special_tokens=["<end>", "<|fim_prefix|>"])
    backend = Embedded(Settings(backend="embedded", model=str(file), threads=1))
    assert backend.inspect("d", soon()).fill == ""
    backend.close()


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("qwen2.5-coder-7b-instruct.gguf", "qwen"),
        ("Qwen2.5-7B-Instruct.gguf", ""),
        ("DeepSeek-R1-Distill-Qwen-7B.gguf", ""),
    ],
)
def test_vocabulary_of_general_model(name: str, row: str) -> None:
    """Qwen's general models have the tokens, but were not trained with them."""
    qwen = FILL_TOKENS["qwen"]
    all_tokens = qwen.hole + qwen.files
    counts = {"".join(all_tokens): len(all_tokens)}
    assert fill_of_vocabulary(lambda text: counts.get(text, 99), name) == row


# --- the prompt ---


@by_row
def test_filled_prompt(row: str) -> None:
    prompt = render(row, "fill", repository="shop", path="a.py", before="B", after="A")
    assert prompt.text == FILLED[row]
    assert not prompt.chat


@by_row
def test_order_of_tokens(row: str) -> None:
    tokens = FILL_TOKENS[row]
    places = [FILLED[row].index(token) for token in tokens.hole]
    assert places == sorted(places)
    for token in tokens.files:
        assert token in _test_prompt(row).text


@by_row
def test_prompt_for_a_test(row: str) -> None:
    """The files stand before the place that the model fills."""
    text = _test_prompt(row).text
    files = [text.index(part) for part in ("CODE", "FIXTURES", "BEFORE", "OPENING")]
    assert files == sorted(files)
    first_hole_token = FILL_TOKENS[row].hole[0]
    assert first_hole_token in text


def _test_prompt(row: str) -> Prompt:
    parts = {"code": "CODE", "fixtures": "FIXTURES", "before": "BEFORE", "opening": "OPENING"}
    paths = {"path": "a.py", "conftest": "conftest.py", "file": "test_a.py"}
    return render(row, "test-fill", repository="shop", after="AFTER", **parts, **paths)


# --- what a server says ---


@pytest.mark.parametrize(
    ("template", "architecture", "row"),
    [
        ("<PRE> {{ .Prompt }} <SUF>{{ .Suffix }} <MID>", "llama", "codellama"),
        ("[SUFFIX]{{ .Suffix }}[PREFIX] {{ .Prompt }}", "llama", "codestral"),
        (
            "<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>",
            "qwen2",
            "qwen",
        ),
        (
            "<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>",
            "gemma",
            "codegemma",
        ),
        (
            "<fim_prefix>{{ .Prompt }}<fim_suffix>{{ .Suffix }}<fim_middle>",
            "starcoder2",
            "starcoder2",
        ),
        (
            "<fim_prefix>{{ .Prompt }}<fim_suffix>{{ .Suffix }}<fim_middle>",
            "starcoder",
            "starcoder",
        ),
        ("<fim_prefix>{{ .Prompt }}<fim_suffix>{{ .Suffix }}<fim_middle>", "llama", ""),
        (
            "{{ .Prompt }}{{ .Suffix }}".join(FILL_TOKENS["deepseek"].hole),
            "deepseek2",
            "deepseek",
        ),
        ("{{ .Prompt }} <PRE> <SUF> <MID>", "llama", ""),
        ("{{ .Prompt }}", "llama", ""),
    ],
)
def test_row_of_template(template: str, architecture: str, row: str) -> None:
    assert fill_of_template(template, architecture) == row


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("Qwen/Qwen2.5-Coder-7B-Instruct", "qwen"),
        ("qwen2.5:7b", ""),
        ("codellama/CodeLlama-7b-hf", "codellama"),
        ("codellama:13b-code", "codellama"),
        ("codellama/CodeLlama-7b-Python-hf", ""),
        ("codellama/CodeLlama-34b-hf", ""),
        ("deepseek-ai/deepseek-coder-6.7b-base", "deepseek"),
        ("deepseek-ai/deepseek-coder-6.7b-instruct", ""),
        ("google/codegemma-2b", "codegemma"),
        ("mistralai/Codestral-22B-v0.1", ""),
        ("gpt-4", ""),
    ],
)
def test_row_of_name(name: str, row: str) -> None:
    assert fill_of_name(name) == row


# --- the choice ---


@pytest.mark.parametrize(
    ("model", "chosen", "choice"),
    [
        (Model("qwen2.5-coder:7b", "", "qwen2", 0, chat=True, fill="qwen"), "auto", "qwen"),
        (Model("qwen2.5-coder:7b", "", "qwen2", 0, chat=True, fill="qwen"), "chat", "chat"),
        (Model("qwen2.5-coder:7b-base", "", "qwen2", 0, fill="qwen"), "auto", "qwen"),
        (Model("codegemma-7b-it", "", "gemma", 0, chat=True, fill="codegemma"), "auto", "chat"),
        (Model("codegemma-2b", "", "gemma", 0, fill="codegemma"), "auto", "codegemma"),
        (
            Model("starcoder2:15b-instruct", "", "starcoder2", 0, fill="starcoder2"),
            "auto",
            "starcoder2-instruct",
        ),
        (Model("llama3.1:8b-instruct", "", "llama", 0, chat=True), "auto", "chat"),
        (Model("starcoder2:7b", "", "", 0), "auto", "starcoder2"),
    ],
)
def test_choice_of_format(model: Model, chosen: str, choice: str) -> None:
    assert fill_format(model, chosen) == choice
