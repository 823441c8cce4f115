"""Saved states of prompts, with a real llama.cpp."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.model.backends import prompt_states
from pytest_starcoder.model.backends.embedded import Embedded
from pytest_starcoder.model.backends.prompt_states import (
    MAX_STATES,
    PromptStates,
    count_shared,
    remove_states,
    saved_states,
    states_folder,
)
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

MODEL = Model("m", "d", "starcoder2", 4096)

CODE = "".join(f"def function_{number}(): return {number}\n" for number in range(40))

Run = Callable[..., list[Completion]]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def run(tiny_model: Path, cache: Path) -> Run:
    """Ask a new engine for the answers to texts."""

    def run(*texts: str, cache: str = str(cache), chat: bool = False) -> list[Completion]:
        settings = Settings(
            backend="embedded", model=str(tiny_model), threads=1, cache=cache, temperature=0
        )
        backend = Embedded(settings)
        prompts = [Prompt(text, max_tokens=4, chat=chat) for text in texts]
        deadline = Deadline.after(60)
        try:
            return [
                backend.complete(prompt, MODEL, deadline, lambda _piece: None) for prompt in prompts
            ]
        finally:
            backend.close()

    return run


def read_anew(completion: Completion) -> int:
    return completion.prompt_tokens - completion.cached_tokens


# --- across runs ---


def test_changed_end(run: Run) -> None:
    (first,) = run(CODE + "assert 1 == 2")
    (second,) = run(CODE + "assert 3 == 4")
    assert first.cached_tokens == 0
    assert read_anew(second) <= 0.15 * second.prompt_tokens


def test_same_answer(run: Run) -> None:
    (first,) = run(CODE + "assert 1 == 2")
    run(CODE + "assert 3 == 4")
    (restored,) = run(CODE + "assert 1 == 2")
    assert restored.cached_tokens > 0
    assert restored.text == first.text


def test_other_beginning(run: Run) -> None:
    run(CODE)
    (second,) = run("# another file\n" + CODE)
    assert second.cached_tokens < 100


def test_other_form(run: Run, cache: Path) -> None:
    run(CODE)
    run(CODE, chat=True)
    assert len(saved_states(states_folder(cache))) == 2


def test_several_beginnings(run: Run) -> None:
    texts = [f"# file {number}\n{CODE}" for number in range(3)]
    run(*texts)
    for text in texts:
        (completion,) = run(text + "x = 1")
        assert read_anew(completion) <= 0.15 * completion.prompt_tokens


def test_later_prompts_are_restored(run: Run) -> None:
    texts = [f"# file {number}\n{CODE}" for number in range(2)]
    run(*texts)
    answers = run(texts[1], texts[0])
    assert all(read_anew(completion) <= 50 for completion in answers)


# --- what is saved ---


def test_private_files(run: Run, cache: Path) -> None:
    run(CODE)
    folder = states_folder(cache)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert (stat.S_IMODE(folder.stat().st_mode), modes) == (0o700, {0o600})
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".state"]


def test_description_has_no_text(run: Run, cache: Path) -> None:
    run(CODE)
    (state,) = saved_states(states_folder(cache))
    assert "function" not in state.path.with_suffix(".json").read_text()


def test_short_prompt(run: Run, cache: Path) -> None:
    run("def f(): return 1")
    assert not states_folder(cache).exists()


def test_little_that_is_new(run: Run, cache: Path) -> None:
    run(CODE)
    (before,) = saved_states(states_folder(cache))
    run(CODE + "x = 1")
    assert saved_states(states_folder(cache)) == [before]


def test_longer_prompt_replaces(run: Run, cache: Path) -> None:
    run(CODE)
    run(CODE + CODE)
    (state,) = saved_states(states_folder(cache))
    assert len(state.blocks) == 2 * len(CODE) // prompt_states.BLOCK


def test_cache_off(run: Run, clean_environment: Path) -> None:
    run(CODE, cache="off")
    (second,) = run(CODE, cache="off")
    assert second.cached_tokens == 0
    assert not list(clean_environment.rglob("*.state"))


def test_bounded_saves(run: Run, cache: Path) -> None:
    run(*[f"# file {number}\n{CODE}" for number in range(MAX_STATES + 2)])
    assert len(saved_states(states_folder(cache))) == MAX_STATES


def test_bounded_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_states, "MAX_BYTES", 250)
    states = PromptStates(tmp_path / "cache" / "prompts", "d")
    for number in range(4):
        partial = states.partial()
        partial.write_bytes(b"x" * 100)
        states.add(partial, states.blocks(Prompt(f"{number}{CODE}")))
        (newest, *_) = saved_states(states.folder)
        os.utime(newest.path.with_suffix(".json"), (number, number))
    kept = [states.find(states.blocks(Prompt(f"{number}{CODE}"))) for number in range(4)]
    assert [state is not None for state in kept] == [False, False, True, True]
    assert len(list(states.folder.iterdir())) == 4


def test_abandoned_files(tmp_path: Path) -> None:
    states = PromptStates(tmp_path / "cache" / "prompts", "d")
    old, new = states.partial(), states.partial()
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    partial = states.partial()
    partial.write_bytes(b"x")
    states.add(partial, states.blocks(Prompt(CODE)))
    assert (old.exists(), new.exists()) == (False, True)


# --- what cannot be restored ---


@pytest.mark.parametrize("size", [0, 1000, 100_000])
def test_damaged_state(run: Run, cache: Path, size: int) -> None:
    run(CODE)
    (state,) = saved_states(states_folder(cache))
    state.path.write_bytes(state.path.read_bytes()[:size])
    (second,) = run(CODE)
    assert second.cached_tokens == 0
    (third,) = run(CODE)
    assert third.cached_tokens > 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sha256": 1}', '{"sha256": "", "blocks": 1}'])
def test_damaged_description(run: Run, cache: Path, content: str) -> None:
    run(CODE)
    (state,) = saved_states(states_folder(cache))
    state.path.with_suffix(".json").write_text(content)
    (second,) = run(CODE)
    assert second.cached_tokens == 0


def test_state_of_another_model(tmp_path: Path) -> None:
    first, second = (PromptStates(tmp_path, digest) for digest in ("a", "b"))
    assert count_shared(first.blocks(Prompt(CODE)), second.blocks(Prompt(CODE))) == 0


def test_folder_that_cannot_be_written(run: Run, cache: Path) -> None:
    cache.write_text("a file")
    assert run(CODE)[0].completion_tokens


# --- removal ---


def test_remove_states(run: Run, cache: Path) -> None:
    run(CODE)
    assert remove_states(cache) > 100_000
    assert remove_states(cache) == 0
    assert not list(states_folder(cache).iterdir())
