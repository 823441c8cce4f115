"""The embedded engine: a real llama.cpp in a child process, from its start to its end."""

from __future__ import annotations

import ast
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
import xllamacpp
from support.errors import raises_error

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    BackendTimeout,
    BackendUnavailable,
    ConfigError,
    MissingExtra,
    MissingModel,
)
from pytest_starcoder.model.backends import embedded, engine, make_backend
from pytest_starcoder.model.backends.embedded import Embedded, Hardware
from pytest_starcoder.model.prompt import Model, Prompt
from pytest_starcoder.settings import Settings

MODEL = Model("m", "d", "starcoder2", 4096)
SET_FILE = "Set model to the path of a .gguf file."

linux = pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")


@pytest.fixture
def backend(tiny_model: Path) -> Iterator[Embedded]:
    backend = made(tiny_model, threads=1)
    yield backend
    backend.close()


def made(model: Path | str, threads: int = 0, source: str = "STARCODER_MODEL") -> Embedded:
    settings = Settings(
        backend="embedded", model=str(model), threads=threads, sources={"model": source}
    )
    return Embedded(settings)


def soon() -> Deadline:
    return Deadline.after(30)


def pid(backend: Embedded) -> int:
    """Of the engine, started where it is not."""
    backend.count("a", soon())
    assert backend._engine is not None
    return backend._engine.pid


# --- the child -----------------------------------------------------------------------------


def test_engine_starts_late(backend: Embedded) -> None:
    assert backend.identify(soon())
    assert backend.version(soon()).startswith("xllamacpp 20")
    assert backend._engine is None


def test_digest_of_the_file(tiny_model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(tiny_model.read_bytes())
    before = made(copy).identify(soon())
    os.utime(copy, (1, 1))
    assert len({before, made(copy).identify(soon()), made(tiny_model).identify(soon())}) == 3


def test_model_name(backend: Embedded) -> None:
    assert backend.inspect("d", soon()) == Model(
        "tiny-starcoder2.gguf", "d", "starcoder2", 4096, fill="starcoder2"
    )


def test_engine_is_reused(backend: Embedded) -> None:
    assert pid(backend) == pid(backend)


def test_close_ends_the_engine(backend: Embedded) -> None:
    child = pid(backend)
    backend.close()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_killed_engine(backend: Embedded) -> None:
    child = pid(backend)
    assert backend._engine is not None
    os.kill(child, signal.SIGKILL)
    backend._engine.wait(5)
    with pytest.raises(BackendUnavailable) as caught:
        backend.count("a", soon())
    assert caught.value.message.startswith("Nothing answers at http://127.0.0.1:")
    assert (
        caught.value.hint
        == "The engine has ended, perhaps for lack of memory: try again, or use a smaller model."
    )


PARENT = """
import sys, time
from pytest_starcoder.model.backends.embedded import Embedded, Hardware
from pytest_starcoder.settings import Settings
from pytest_starcoder.deadline import Deadline
backend = Embedded(Settings(backend="embedded", model=sys.argv[1], threads=1))
backend.count("a", Deadline.after(30))
print(backend._engine.pid, flush=True)
time.sleep(60)
"""


@linux
def test_engine_ends_with_parent(tiny_model: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, tiny_model], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    killed = time.monotonic()
    while _runs(child):
        assert time.monotonic() - killed < 2
        time.sleep(0.02)


def _runs(child: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    try:
        return ") Z " not in Path(f"/proc/{child}/stat").read_text()
    except OSError:
        return False


@linux
def test_key_is_random_and_hidden(tiny_model: Path) -> None:
    keys = set()
    for _ in range(2):
        backend = made(tiny_model, threads=1)
        proc = Path("/proc") / str(pid(backend))
        assert backend._server is not None
        key = str(backend._server._server._session.headers["Authorization"]).removeprefix("Bearer ")
        seen = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
        backend.close()
        assert len(key) > 32
        assert key.encode() not in seen
        keys.add(key)
    assert len(keys) == 2


def test_engine_requires_the_key(backend: Embedded) -> None:
    pid(backend)
    assert backend._server is not None
    for path in ("/props", "/slots"):
        assert requests.get(backend._server.place + path, timeout=5).status_code == 401
    assert (
        requests.post(
            f"{backend._server.place}/completion", json={"prompt": "a"}, timeout=5
        ).status_code
        == 401
    )


@linux
def test_engine_listens_on_loopback(backend: Embedded) -> None:
    child = Path("/proc") / str(pid(backend))
    sockets = {str(link.readlink()) for link in (child / "fd").iterdir() if link.is_symlink()}
    listening = [
        line.split()[1].split(":")[0]
        for table in ("tcp", "tcp6")
        for line in (child / "net" / table).read_text().splitlines()[1:]
        if line.split()[3] == "0A" and f"socket:[{line.split()[9]}]" in sockets
    ]
    assert listening == ["0100007F"]  # 127.0.0.1


def test_engine_ignores_ctrl_c(backend: Embedded) -> None:
    assert os.getpgid(pid(backend)) != os.getpgid(0)


def test_engine_prints_nothing(tiny_model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    backend = made(tiny_model, threads=1)
    backend.complete(Prompt("a", max_tokens=2), MODEL, soon(), lambda _piece: None)
    backend.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("cores", "chosen", "threads"), [(8, 0, 8), (1, 0, 1), (8, 3, 3), (2, 64, 64)]
)
def test_number_of_threads(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, cores: int, chosen: int, threads: int
) -> None:
    monkeypatch.setattr(embedded, "count_cores", lambda: cores)
    assert made(tiny_model, threads=chosen)._threads() == threads


@linux
@pytest.mark.parametrize(("chosen", "policy"), [("", "passive"), ("active", "active")])
def test_threads_do_not_spin(
    backend: Embedded, monkeypatch: pytest.MonkeyPatch, chosen: str, policy: str
) -> None:
    if chosen:
        monkeypatch.setenv("OMP_WAIT_POLICY", chosen)
    environment = (Path("/proc") / str(pid(backend)) / "environ").read_bytes().split(b"\0")
    assert f"OMP_WAIT_POLICY={policy}".encode() in environment


def test_engine_parameters_exist() -> None:
    tree = ast.parse(Path(engine.__file__).read_text("utf-8"))
    assigned = [
        target for node in ast.walk(tree) if isinstance(node, ast.Assign) for target in node.targets
    ]
    fields = [
        ast.unparse(target) for target in assigned if ast.unparse(target).startswith("params.")
    ]
    assert len(fields) == 14
    params = xllamacpp.CommonParams()
    for field in fields:
        operator.attrgetter(field.removeprefix("params."))(params)
    assert hasattr(xllamacpp.Server, "listening_address")


# --- what cannot be loaded -----------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:100],
        lambda _content: b"GGUF" * 50,
    ],
    ids=["half", "head", "nonsense"],
)
def test_unloadable_file(
    tiny_model: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(damage(tiny_model.read_bytes()))
    backend = made(file)
    with raises_error(
        BackendUnavailable,
        f"The embedded llama.cpp cannot load {file}.",
        "Is the file complete, and does llama.cpp support it? Updating xllamacpp may help.",
    ):
        backend.count("a", soon())
    assert backend._engine is None


@pytest.mark.parametrize("content", [b"", b"GG", b"PK\x03\x04"])
def test_file_is_not_gguf(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(content)
    with raises_error(MissingModel, f"STARCODER_MODEL: {file} is not a GGUF file.", SET_FILE):
        made(file)


def test_missing_file(tmp_path: Path) -> None:
    file = tmp_path / "none.gguf"
    message = (
        f"pyproject.toml, line 3: the model file {file} cannot be read (No such file or directory)."
    )
    with raises_error(MissingModel, message, SET_FILE):
        made(file, source="pyproject.toml, line 3")


def test_unknown_home_folder() -> None:
    message = "STARCODER_MODEL: the home folder of ~nosuchuser in ~nosuchuser/x.gguf is unknown."
    with raises_error(ConfigError, message, "Set model to the full path of a .gguf file."):
        made(Path("~nosuchuser/x.gguf"))


def test_folder_as_model(tmp_path: Path) -> None:
    folder = tmp_path / "folder.gguf"
    folder.mkdir()
    with raises_error(
        MissingModel,
        f"STARCODER_MODEL: the model file {folder} cannot be read (Is a directory).",
        SET_FILE,
    ):
        made(folder)


def test_model_name_as_file() -> None:
    with raises_error(
        ConfigError,
        "STARCODER_MODEL: the embedded backend needs a .gguf file, coder, demo or a pulled model, "
        "not 'codellama:7b'.",
        "Set model to the path of a .gguf file, or to coder after `pip install "
        "'pytest-starcoder[coder]'`; `starcoder models` lists what can be pulled.",
    ):
        made("codellama:7b")


def test_model_that_is_not_pulled() -> None:
    with raises_error(
        MissingModel,
        "starcoder2:7b is not downloaded.",
        "Download it with `starcoder models pull starcoder2:7b`, or set model to the path of a "
        ".gguf file.",
    ):
        made("starcoder2:7b")


def test_tilde_is_expanded(tiny_model: Path, clean_environment: Path) -> None:
    (clean_environment / "tiny.gguf").write_bytes(tiny_model.read_bytes())
    assert made("~/tiny.gguf").place == str(clean_environment / "tiny.gguf")


def test_load_timeout(tiny_model: Path) -> None:
    backend = made(tiny_model)
    with raises_error(
        BackendTimeout,
        "The embedded llama.cpp did not load tiny-starcoder2.gguf within 0.01 s.",
        "Give it longer with STARCODER_TIMEOUT (seconds), or use a smaller model.",
    ):
        backend.count("a", Deadline.after(0.01))
    assert backend._engine is None


def test_engine_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with raises_error(
        MissingExtra,
        "The embedded backend is not installed.",
        "Install it with `pip install 'pytest-starcoder[embedded]'`.",
    ):
        make_backend(Settings(backend="embedded", model="x.gguf"))


# --- what it runs on -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hardware", "description"),
    [
        (Hardware(1, "auto", (), ""), "1 thread, on the CPU: llama.cpp finds no GPU"),
        (Hardware(8, "auto", ("Apple M4",), ""), "8 threads; GPU layers: auto, on Apple M4"),
        (Hardware(8, "12", ("A", "B"), ""), "8 threads; GPU layers: 12, on A, B"),
        (Hardware(8, "0", ("A",), ""), "8 threads, on the CPU: gpu_layers is 0"),
    ],
)
def test_hardware(hardware: Hardware, description: str) -> None:
    assert hardware.describe() == description


def test_instruction_sets() -> None:
    system = "CPU : SSE3 = 1 | AVX512 = 0 | AVX2 = 1 | "
    assert Hardware(1, "auto", (), system).instruction_sets() == "SSE3, AVX2"
    assert Hardware(1, "auto", (), "").instruction_sets() == ""


def test_gpus() -> None:
    kinds = xllamacpp.ggml_backend_dev_type
    devices = [
        {"description": "Xeon", "type": kinds.GGML_BACKEND_DEVICE_TYPE_CPU},
        {"description": "A100", "type": kinds.GGML_BACKEND_DEVICE_TYPE_GPU},
        {"description": "Iris", "type": kinds.GGML_BACKEND_DEVICE_TYPE_IGPU},
    ]
    assert engine.gpus(devices) == ["A100", "Iris"]


@pytest.mark.parametrize(("setting", "layers"), [("auto", None), ("0", 0), ("20", 20)])
def test_gpu_layers(tiny_model: Path, setting: str, layers: int | None) -> None:
    settings = Settings(backend="embedded", model=str(tiny_model), gpu_layers=setting)
    assert Embedded(settings)._order()["gpu_layers"] == layers


def test_engine_without_gpu_layers(tiny_model: Path) -> None:
    backend = Embedded(
        Settings(backend="embedded", model=str(tiny_model), threads=1, gpu_layers="0")
    )
    assert backend.hardware(soon()).threads == 1
    backend.close()
