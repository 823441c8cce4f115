"""Confinement, each in a process of its own: what it refuses, what it lets be, and that tests run in it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_starcoder.runner.sandbox import Level, available, environment, is_weaker
from pytest_starcoder.runner.supervisor import descendants

KERNEL = pytest.param(
    "kernel", marks=pytest.mark.skipif(available() is not Level.KERNEL, reason="no Landlock here")
)
LEVELS = [KERNEL, "audit"]

CONFINED = """
import os, socket, subprocess, sys, tempfile, threading
from pathlib import Path
from pytest_starcoder.runner.sandbox import Confinement, Level, confine, readable
folder, outside, home = map(Path, sys.argv[2:5])
level = confine(Confinement(folder, readable(Path.cwd())), Level(sys.argv[1]))
assert level == sys.argv[1], level
"""


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A folder that may be written, one that may not, and a home with a key in it."""
    found = tmp_path / "own", tmp_path / "outside", tmp_path / "home"
    for path in found:
        path.mkdir()
    (found[1] / "file.txt").write_text("before")
    (found[2] / "key").write_text("secret")
    return found


def confined(
    level: str, places: tuple[Path, Path, Path], code: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CONFINED + code, level, *map(str, places)]
    project = places[0].parent / "project"
    project.mkdir(exist_ok=True)
    environ = {**os.environ, **variables}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=project, env=environ, check=False
    )


@pytest.mark.parametrize(
    "code",
    [
        "open(outside / 'new.txt', 'w')",
        "open(outside / 'file.txt', 'a')",
        "os.open(outside / 'file.txt', os.O_WRONLY | os.O_TRUNC)",
        "os.remove(outside / 'file.txt')",
        "os.rename(outside / 'file.txt', folder / 'mine.txt')",
        "os.mkdir(outside / 'new')",
        "os.truncate(outside / 'file.txt', 0)",
        "os.symlink(outside, folder / 'link'); open(folder / 'link' / 'new.txt', 'w')",
        "os.chdir(outside); open('new.txt', 'w')",
        "import shutil; shutil.rmtree(outside)",
        "import shutil; (folder / 'a').write_text(''); shutil.move(folder / 'a', outside / 'a')",
        "import sqlite3; sqlite3.connect(outside / 'new.db').execute('create table a (b)')",
        "socket.create_connection(('192.0.2.1', 80), 2)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    ],
)
@pytest.mark.parametrize("level", LEVELS)
def test_what_would_do_harm_is_refused(
    places: tuple[Path, Path, Path], level: str, code: str
) -> None:
    done = confined(level, places, code)
    assert done.returncode != 0, done.stdout
    assert any(word in done.stderr for word in ("Error", "rror:")), done.stderr
    assert [path.name for path in places[1].iterdir()] == ["file.txt"]
    assert (places[1] / "file.txt").read_text() == "before"


@pytest.mark.parametrize(
    "code",
    [
        "(folder / 'a').write_text('x'); os.rename(folder / 'a', folder / 'b'); os.remove(folder / 'b')",
        "open(os.devnull, 'w').write('x')",
        "print(tempfile.TemporaryFile(dir=folder).write(b'x'))",
        "print(tempfile.TemporaryDirectory(dir=folder).cleanup())",
        "assert Path(os.__file__).read_text()",
        "import json, sqlite3, hypothesis, pytest; sqlite3.connect(folder / 'a.db').execute('create table a (b)')",
        "import sqlite3; sqlite3.connect(':memory:').execute('create table a (b)')",
        "threading.Thread(target=print).start()",
        "pid = os.fork()\nif not pid: os._exit(3)\nassert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3",
        "server = socket.create_server(('127.0.0.1', 0)); socket.create_connection(server.getsockname(), 2)",
        "one, other = socket.socketpair(); one.send(b'x'); assert other.recv(1) == b'x'",
    ],
)
@pytest.mark.parametrize("level", LEVELS)
def test_what_tests_do_all_day_is_let_be(
    places: tuple[Path, Path, Path], level: str, code: str
) -> None:
    done = confined(level, places, code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("level", [KERNEL])
def test_the_kernel_confines_programs_that_are_started_too(
    places: tuple[Path, Path, Path], level: str
) -> None:
    written = f"sh -c 'echo after > {places[1]}/file.txt; echo inside > {places[0]}/file.txt'"
    done = confined(level, places, f"subprocess.run({written!r}, shell=True, check=False)")
    assert done.returncode == 0
    assert (places[1] / "file.txt").read_text() == "before"
    assert (places[0] / "file.txt").read_text() == "inside\n"


@pytest.mark.parametrize("level", [KERNEL])
def test_the_kernel_hides_what_is_not_the_projects(
    places: tuple[Path, Path, Path], level: str
) -> None:
    done = confined(level, places, "print((home / 'key').read_text())")
    assert "secret" not in done.stdout
    assert "PermissionError" in done.stderr


@pytest.mark.parametrize("level", [KERNEL])
def test_the_machines_own_servers_are_not_reached(
    places: tuple[Path, Path, Path], level: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = confined(
            level, places, f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2)"
        )
    assert "Error" in done.stderr


@pytest.mark.parametrize("level", ["audit"])
def test_without_a_kernel_no_program_is_started(
    places: tuple[Path, Path, Path], level: str
) -> None:
    done = confined(level, places, "subprocess.run(['true'])")
    assert "confined: no program may be started (subprocess.Popen)" in done.stderr


def test_a_process_that_eats_memory_meets_an_error(places: tuple[Path, Path, Path]) -> None:
    done = confined("audit", places, "x = [bytes(1 << 30) for _ in range(8)]")
    assert "MemoryError" in done.stderr


def test_variables_that_may_hold_secrets_are_not_handed_on(tmp_path: Path) -> None:
    given = {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "x",
        "LC_ALL": "C",
        "HOME": "/home/ann",
        "PYTHONPATH": "src",
        "TOKEN": "y",
    }
    found = environment(given, tmp_path)
    assert {"PATH", "LC_ALL", "PYTHONPATH"} <= set(found)
    assert not {"AWS_SECRET_ACCESS_KEY", "TOKEN"} & set(found)
    assert Path(found["HOME"]).is_relative_to(tmp_path)
    assert Path(found["TMPDIR"]).is_dir()


def test_levels_are_ordered() -> None:
    assert is_weaker(Level.AUDIT, Level.KERNEL)
    assert is_weaker(Level.NONE, Level.AUDIT)
    assert not is_weaker(Level.KERNEL, Level.KERNEL)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_descendants_are_found_though_they_left_the_group() -> None:
    script = "import subprocess; subprocess.Popen(['sleep', '30'], start_new_session=True).wait()"
    child = subprocess.Popen([sys.executable, "-c", script])
    until = time.monotonic() + 10
    while not (found := descendants(child.pid)) and time.monotonic() < until:
        time.sleep(0.05)
    for process in found:
        os.kill(process, 9)
    child.wait()
    assert len(found) == 1


@pytest.mark.parametrize("level", LEVELS)
def test_sockets_that_are_files_of_others_are_not_reached_and_own_ones_are(
    places: tuple[Path, Path, Path], level: str
) -> None:
    with (
        socket.socket(socket.AF_UNIX) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mailbox,
    ):
        server.bind(str(places[1] / "server"))
        server.listen()
        mailbox.bind(str(places[1] / "mailbox"))
        code = """
def refused(act):
    try:
        act()
    except PermissionError as exc:
        return "confined: " in str(exc)

assert refused(lambda: socket.socket(socket.AF_UNIX).connect(str(outside / "server")))
assert refused(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"?", str(outside / "mailbox")))
own = socket.socket(socket.AF_UNIX)
own.bind(str(folder / "own"))
own.listen()
socket.socket(socket.AF_UNIX).connect(str(folder / "own"))
"""
        done = confined(level, places, code)
    assert done.returncode == 0, done.stderr


def test_a_fork_bomb_ends_itself_and_some_forks_are_let_be(tmp_path: Path) -> None:
    code = (
        "from pytest_starcoder.runner.sandbox import limit_forks\nimport os, sys\nlimit_forks()\n"
    )
    some = "for _ in range(60):\n    if os.fork() == 0:\n        os._exit(0)\n    os.wait()\nprint('done')\n"
    done = subprocess.run(
        [sys.executable, "-c", code + some], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "done\n"
    bomb = "while True:\n    os.fork()\n"
    done = subprocess.run(
        [sys.executable, "-c", code + bomb], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
