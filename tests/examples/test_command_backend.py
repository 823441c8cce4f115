"""The example of an external backend, installed and asked, and broken packages of that kind."""

from __future__ import annotations

import os
import re
import select
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest

# The contract's own clauses, asked of this module's `place`, `backend` and `model`.
from model.backends.test_contract import (  # noqa: F401
    test_close_is_idempotent,
    test_close_leaves_nothing_open,
    test_completion_facts,
    test_count_is_never_too_low,
    test_digest_is_stable,
    test_label_and_place,
    test_lone_surrogate,
    test_pieces_join_to_text,
    test_stop_text_is_excluded,
    test_temperature_0_is_deterministic,
    test_truncated_answer,
    test_version_is_a_text,
)
from support.errors import raises_error
from support.screens import MEAN, section, summary

from pytest_starcoder.cli import main
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import (
    BackendTimeout,
    BackendUnavailable,
    BadResponse,
    ConfigError,
    StarcoderError,
)
from pytest_starcoder.model.backends import Backend, external
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Completion, Model, Prompt
from pytest_starcoder.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "starcoder-backend-command"
WRITES = f"""
import sys, time
sys.stdin.buffer.read()
for word in "the divisor is one too small. {string.ascii_letters} ".split(" "):
    print(word, end=" ", flush=True)
    time.sleep(0.03)
"""
FIND = "Set COMMAND_BACKEND to a program on PATH, or to its full path."
BY_HAND = "Run it by hand on some text to see why."
REPORT = "Report it to the authors of its package."
SEEN = "     seen      mean([1, 2, 3]) returned 3.0, the test expects 2"

Program = Callable[[str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Makes the program `answer` that runs a piece of Python, the one that is asked from now on."""

    def program(code: str) -> Path:
        path = tmp_path / "answer"
        path.write_text(f"#!{sys.executable} -S\n{code}")
        path.chmod(0o755)
        monkeypatch.setenv("COMMAND_BACKEND", str(path))
        return path

    return program


@dataclass
class Place:
    """The fixture of the contract; the example is imported from its folder, not installed."""

    hook: Callable[[str, Settings], Backend | None]

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        backend = self.hook("command", Settings(backend="command"))
        assert backend is not None
        try:
            yield backend
        finally:
            backend.close()


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Place:
    """The example's hook."""
    monkeypatch.syspath_prepend(EXAMPLE)
    return Place(import_module("starcoder_backend_command").starcoder_backend)


@pytest.fixture
def place(example: Place, program: Program) -> Place:
    program(WRITES)
    return example


@pytest.fixture
def backend(place: Place) -> Iterator[Backend]:
    with place.backend() as backend:
        yield backend


@pytest.fixture
def model(backend: Backend) -> Model:
    return backend.inspect(backend.identify(soon()), soon())


def soon() -> Deadline:
    return Deadline.after(30)


def answer(
    example: Place, prompt: Prompt | str = "why?", deadline: Deadline | None = None
) -> Completion:
    """Return the answer of the program, without any cache."""
    prompt = Prompt(prompt) if isinstance(prompt, str) else prompt
    with example.backend() as backend:
        model = Model("m", "d", "", 4096)
        return backend.complete(prompt, model, deadline or soon(), lambda _piece: None)


# --- the program ---------------------------------------------------------------------------


def test_program_output_is_the_answer(example: Place, program: Program) -> None:
    program("import sys; print(sys.stdin.read().upper(), end='')")
    completion = answer(example, "why? ü")
    assert completion == Completion("WHY? Ü", "m", prompt_tokens=7, completion_tokens=2)


def test_other_name_is_ignored(example: Place) -> None:
    assert example.hook("commando", Settings()) is None


def test_model_is_the_program(model: Model) -> None:
    assert (model.name, model.window) == ("answer", 4096)


def test_command_line_arguments(
    example: Place, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program("import sys; print(*sys.argv[1:], sep='|', end='')")
    monkeypatch.setenv("COMMAND_BACKEND", f"{path} --model 'a b' $HOME")
    assert answer(example).text == "--model|a b|$HOME"


def test_program_on_path(example: Place, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program("print('yes', end='')")
    monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)
    monkeypatch.setenv("COMMAND_BACKEND", "answer")
    with example.backend() as backend:
        assert backend.identify(soon())
        assert backend.place == str(path)
    assert answer(example).text == "yes"


def test_digest_of_the_program(
    example: Place, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest() -> str:
        with example.backend() as backend:
            return backend.identify(soon())

    path, weights = program("print('yes')"), tmp_path / "model.gguf"
    digests = {digest()}
    program("print('another')")
    digests.add(digest())
    monkeypatch.setenv("COMMAND_BACKEND", f"{path} {weights}")
    digests.add(digest())
    weights.write_text("weights")
    digests.add(digest())
    os.utime(weights, (0, 0))
    digests.add(digest())
    assert len(digests) == 5


def test_program_has_its_own_folder(
    example: Place, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in the repository can be taken for a file of the program's."""
    monkeypatch.chdir(tmp_path)
    program("import os; print(os.getcwd(), end='')")
    folder = Path(answer(example).text)
    assert folder.is_absolute()
    assert folder != tmp_path
    assert not folder.exists()


def test_split_character(example: Place, program: Program) -> None:
    program(
        "import sys, time\n"
        "for half in (b'\\xc3', b'\\xbc'):\n"
        "    sys.stdout.buffer.write(half); sys.stdout.flush(); time.sleep(0.1)"
    )
    assert answer(example).text == "ü"


def test_endless_output(example: Place, program: Program) -> None:
    program("while True: print('and so on')")
    completion = answer(example, Prompt("why?", max_tokens=5))
    assert completion == Completion(
        "and so on\nand so on\n", "m", prompt_tokens=4, completion_tokens=5, truncated=True
    )


def test_output_after_the_stop(example: Place, program: Program) -> None:
    program("print('yes\\n' + 'and so on' * 99)")
    completion = answer(example, Prompt("why?", stop=("\n",), max_tokens=5))
    assert completion == Completion("yes", "m", prompt_tokens=4, completion_tokens=1)


def test_unread_prompt(example: Place, program: Program) -> None:
    program("print('yes', end='')")
    assert answer(example, "why? " * 200_000).text == "yes"


def test_remaining_child_process(example: Place, program: Program) -> None:
    """Some start a server of their own, which inherits their output."""
    program(
        "import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(3)\nelse:\n    "
        "print('yes', end='')"
    )
    started = time.monotonic()
    assert answer(example).text == "yes"
    assert time.monotonic() - started < 2


def forks(fifo: Path) -> str:
    """A program that is two processes, each with `fifo` open, and does not end."""
    return (
        f"import os, time\nos.fork()\nfile = os.open({str(fifo)!r}, os.O_WRONLY)\n"
        "print('begun', flush=True)\ntime.sleep(60)"
    )


def all_ended(fifo: int) -> bool:
    """Return whether no process has the other end of the FIFO open."""
    ready, _, _ = select.select([fifo], [], [], 10)
    return bool(ready) and os.read(fifo, 1) == b""


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A FIFO, and the descriptor that reads it."""
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    yield tmp_path / "fifo", reader
    os.close(reader)


def test_deadline_ends_the_program(
    example: Place, program: Program, fifo: tuple[Path, int]
) -> None:
    program(forks(fifo[0]))
    with raises_error(
        BackendTimeout,
        "answer did not finish within 0.7 s.",
        "Give it longer with STARCODER_SESSION_TIMEOUT (seconds).",
    ):
        answer(example, deadline=Deadline.after(0.7, "session_timeout"))
    assert all_ended(fifo[1])


def test_interrupt_ends_the_program(place: Place, program: Program, fifo: tuple[Path, int]) -> None:
    def interrupt(_piece: str) -> None:
        raise KeyboardInterrupt

    program(forks(fifo[0]))
    with place.backend() as backend, pytest.raises(KeyboardInterrupt):
        backend.complete(Prompt("why?"), Model("m", "d", "", 4096), soon(), interrupt)
    assert all_ended(fifo[1])


# --- its errors ----------------------------------------------------------------------------


@pytest.mark.parametrize("line", [None, "", "  "])
def test_missing_command_line(
    example: Place, monkeypatch: pytest.MonkeyPatch, line: str | None
) -> None:
    monkeypatch.delenv("COMMAND_BACKEND", raising=False)
    if line is not None:
        monkeypatch.setenv("COMMAND_BACKEND", line)
    with raises_error(
        ConfigError, "COMMAND_BACKEND is not set.", "Set it to the command line of a program."
    ):
        answer(example)


def test_unclosed_quote(example: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMAND_BACKEND", "answer 'a b")
    with raises_error(
        ConfigError,
        "COMMAND_BACKEND is not a command line: No closing quotation.",
        "Close its quotes.",
    ):
        answer(example)


@pytest.mark.parametrize("line", ["no-such-program --fast", "/no/such/program", "./answer"])
def test_missing_program(
    example: Place, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """One beside the tests is not there either: it would be another program in every folder."""
    program("print('yes')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMMAND_BACKEND", line)
    said = f"{line.split()[0]!r} cannot be run: there is no such program."
    with example.backend() as backend, raises_error(BackendUnavailable, said, FIND):
        backend.identify(soon())


def test_unstartable_program(example: Place, program: Program) -> None:
    path = program("")
    path.write_bytes(b"\x7fELF and no more")
    with raises_error(BackendUnavailable, f"{str(path)!r} cannot be run: Exec format error.", FIND):
        answer(example)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import sys; sys.exit('loading\\nno such model.')",
            "answer ended with status 1: no such model.",
        ),
        ("raise SystemExit(3)", "answer ended with status 3: it does not say why."),
        ("import os; os.kill(os.getpid(), 9)", "answer ended with status -9: it does not say why."),
    ],
)
def test_failing_program(example: Place, program: Program, code: str, said: str) -> None:
    program(code)
    with raises_error(BadResponse, said, BY_HAND):
        answer(example)


# --- installed -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the example, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    offline = [
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
        "--disable-pip-version-check",
        "-q",
    ]
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        *offline,
        "--target",
        str(folder),
        str(EXAMPLE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def run(program: str, *options: str, folder: Path, installed: Path) -> list[str]:
    """The lines that a command prints where the example is installed, times replaced."""
    command = [
        str(Path(sys.executable).with_name(program)),
        *options,
        "--starcoder-backend=command",
    ]
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "120"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return re.sub(r"\d+\.\d+( s| a second)", r"N\1", done.stdout).splitlines()


@pytest.mark.slow
def test_package_contents(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if path.name != "__pycache__"}
    assert names == {"starcoder_backend_command.py", "starcoder_backend_command-1.0.dist-info"}
    entries = (
        installed / "starcoder_backend_command-1.0.dist-info" / "entry_points.txt"
    ).read_text()
    assert entries.split("\n") == ["[starcoder]", "command = starcoder_backend_command", ""]


@pytest.mark.slow
def test_doctor_finds_the_backend(installed: Path, program: Program, tmp_path: Path) -> None:
    path = program("import sys; print(' 1 +', sys.stdin.read(), end='')")
    lines = run("starcoder", "doctor", folder=tmp_path, installed=installed)
    assert (
        f"server              the program answer at {path}   (backend is command: "
        "--starcoder-backend)" in lines
    )
    assert "answer              1 + def fibonacci(n):" in lines
    assert (
        lines[-1]
        == "next                It works: run `pytest --starcoder-explain` in your project."
    )


@pytest.mark.slow
def test_pytest_run(installed: Path, program: Program, pytester: pytest.Pytester) -> None:
    program("print(' mean divides by one too little.\\n\\nAnd so on.')")
    pytester.makepyfile(**MEAN)
    lines = run("pytest", "--starcoder-explain", folder=pytester.path, installed=installed)
    assert any(
        " StarCoder: 1 failure, 1 cause (answer on the program answer) " in line for line in lines
    )
    assert SEEN in lines
    assert (
        "     why       The test fails because mean divides by one too little. (answer, a guess)"
        in lines
    )


# --- broken packages of others -------------------------------------------------------------

WORKS = """
from pytest_starcoder.model.backends import hookimpl
from pytest_starcoder.model.prompt import Completion, Model

class Broken:
    label = "Broken"
    place = "nowhere"
    def identify(self, deadline): return "digest"
    def inspect(self, digest, deadline): return Model("m", digest, "", 4096)
    def count(self, text, deadline): return len(text)
    def complete(self, prompt, model, deadline, on_text):
        return Completion(" of a bug.", "m", completion_tokens=3)
    def version(self, deadline): return "1"
    def close(self): pass

@hookimpl
def starcoder_backend(name, settings):
    return Broken()
"""
RETURNS = 'return Completion(" of a bug.", "m", completion_tokens=3)'
BROKEN = {
    "import": (
        "raise ImportError('no such thing')",
        ConfigError(
            "The backend 'broken' cannot be loaded: ImportError: no such thing.",
            "Reinstall or remove its package.",
        ),
    ),
    "hook": (
        WORKS.replace("return Broken()", "raise ValueError('boom')"),
        ConfigError("The backend 'broken' cannot be made: ValueError: boom.", REPORT),
    ),
    "members": (
        WORKS.replace("def complete", "def finish").replace("def close", "def stop"),
        ConfigError("The backend 'broken' has no complete, close.", REPORT),
    ),
    "complete": (
        WORKS.replace(RETURNS, "raise ValueError('boom')"),
        BadResponse("The backend 'broken' failed: ValueError: boom.", REPORT),
    ),
    "text": (
        WORKS.replace(RETURNS, "return ' of a bug.'"),
        BadResponse("The backend 'broken' returned a str, not a Completion.", REPORT),
    ),
}


@pytest.fixture
def plant(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], None]]:
    """Install a package with the backend `broken`, whose only module holds some code."""
    folder = tmp_path_factory.mktemp("site")

    def plant(code: str) -> None:
        (folder / "broken_backend.py").write_text(code)
        facts = folder / "starcoder_broken-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: starcoder-broken\nVersion: 1.0\n"
        )
        (facts / "entry_points.txt").write_text("[starcoder]\nbroken = broken_backend\n")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, "broken_backend", raising=False)
        external._entry_points.cache_clear()

    yield plant
    monkeypatch.delitem(sys.modules, "broken_backend", raising=False)
    external._entry_points.cache_clear()


@pytest.mark.parametrize(("code", "error"), BROKEN.values(), ids=BROKEN)
def test_broken_package(plant: Callable[[str], None], code: str, error: StarcoderError) -> None:
    plant(code)
    with (
        raises_error(type(error), error.message, error.hint),
        Client.from_settings(Settings(backend="broken", cache="off")) as client,
    ):
        client.complete(Prompt("why?"))


@pytest.mark.slow
@pytest.mark.parametrize(("code", "error"), list(BROKEN.values())[:1], ids=list(BROKEN)[:1])
def test_broken_package_in_pytest(
    pytester: pytest.Pytester,
    plant: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    error: StarcoderError,
) -> None:
    monkeypatch.setenv(
        "PYTEST_ADDOPTS", "-p no:hypothesispytest"
    )  # it imports all of itself at the end
    pytester.makepyfile(**MEAN)
    bare = pytester.runpytest()
    plant(code)
    result = pytester.runpytest("--starcoder-explain", "--starcoder-backend=broken")
    assert (result.ret, summary(result)) == (bare.ret, summary(bare))
    assert SEEN in section(result)
    why = " ".join(" ".join(section(result)).split()).partition(" why ")[2].partition(" rerun ")[0]
    assert (
        why.removeprefix("no model: ").removeprefix("no answer: ")
        == f"{error.message} {error.hint}"
    )


@pytest.mark.parametrize(("code", "error"), BROKEN.values(), ids=BROKEN)
def test_broken_package_in_doctor(
    plant: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
    pytester: pytest.Pytester,
    code: str,
    error: StarcoderError,
) -> None:
    plant(code)
    status = main(["doctor", "--starcoder-backend=broken"])
    lines = capsys.readouterr().out.splitlines()
    assert status == (2 if isinstance(error, ConfigError) else 1)
    assert lines[-2:] == [
        f"problem             {error.message}",
        f"next                {error.hint}",
    ]


def test_working_package(plant: Callable[[str], None]) -> None:
    plant(WORKS)
    with Client.from_settings(Settings(backend="broken", cache="off")) as client:
        assert client.complete(Prompt("why?")).text == " of a bug."
