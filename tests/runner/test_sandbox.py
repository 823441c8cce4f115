"""The sandbox in real processes: what it refuses, and what it must allow."""

# ruff: noqa: E501 - a statement on a line is a row of a table

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("fcntl", reason="the sandbox is for POSIX")

from pytest_starcoder.runner.sandbox import (
    Level,
    Sandbox,
    SandboxUnavailable,
    available,
    check_level,
    environment,
    is_weaker,
    readable,
)
from pytest_starcoder.runner.supervisor import descendants

REFUSED = {
    "create": "open(outside / 'new.txt', 'w')",
    "append": "open(outside / 'file.txt', 'a')",
    "open-to-truncate": "os.open(outside / 'file.txt', os.O_WRONLY | os.O_TRUNC)",
    "remove": "os.remove(outside / 'file.txt')",
    "rename": "os.rename(outside / 'file.txt', folder / 'mine.txt')",
    "mkdir": "os.mkdir(outside / 'new')",
    "truncate": "os.truncate(outside / 'file.txt', 0)",
    "symlink": "os.symlink(outside, folder / 'link'); open(folder / 'link' / 'new.txt', 'w')",
    "chdir": "os.chdir(outside); open('new.txt', 'w')",
    "rmtree": "import shutil; shutil.rmtree(outside)",
    "move": "import shutil; (folder / 'a').write_text(''); shutil.move(folder / 'a', outside / 'a')",
    "sqlite": "import sqlite3; sqlite3.connect(outside / 'new.db').execute('create table a (b)')",
    "tcp": "socket.create_connection(('192.0.2.1', 80), 2)",
    "udp": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    "socket-file": "socket.socket(socket.AF_UNIX).connect(str(outside / 'server'))",
    "mailbox": "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'?', str(outside / 'mailbox'))",
}

ALLOWED = {
    "files-inside": "(folder / 'a').write_text('x'); os.rename(folder / 'a', folder / 'b'); os.remove(folder / 'b')",
    "null-device": "open(os.devnull, 'w').write('x')",
    "temporary-file": "tempfile.TemporaryFile(dir=folder).write(b'x')",
    "temporary-folder": "tempfile.TemporaryDirectory(dir=folder).cleanup()",
    "library": "assert Path(os.__file__).read_text()",
    "packages": "import hypothesis, sqlite3; sqlite3.connect(folder / 'a.db').execute('create table a (b)')",
    "sqlite-in-memory": "import sqlite3; sqlite3.connect(':memory:').execute('create table a (b)')",
    "thread": "threading.Thread(target=int).start()",
    "fork": "pid = os.fork()\nif not pid: os._exit(3)\nassert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3",
    "loopback": "server = socket.create_server(('127.0.0.1', 0)); socket.create_connection(server.getsockname(), 2)",
    "socket-pair": "one, two = socket.socketpair(); one.send(b'x'); assert two.recv(1) == b'x'",
    "own-socket-file": "own = socket.socket(socket.AF_UNIX); own.bind(str(folder / 'own')); own.listen()\nsocket.socket(socket.AF_UNIX).connect(str(folder / 'own'))",
}

ONE_LEVEL = {
    "home": "(home / 'key').read_text()",
    "program": "subprocess.run(['true'])",
    "started-program": "subprocess.run(f'echo after > {outside}/file.txt; echo inside > {folder}/file.txt', shell=True, check=False)",
    "machine-port": "socket.create_connection(('127.0.0.1', port), 2)",
    "memory": "[bytes(1 << 30) for _ in range(8)]",
}

SCRIPT = """
import json, os, socket, subprocess, sys, tempfile, threading
from pathlib import Path
from pytest_starcoder.runner.sandbox import Level, Sandbox, enter_sandbox, readable

folder, outside, home = map(Path, sys.argv[2:5])
port = int(sys.argv[5])
statements = json.loads(sys.argv[6])
level = enter_sandbox(Sandbox(folder, readable(Path.cwd())), Level(sys.argv[1]))
assert level == sys.argv[1], level
for name, statement in statements.items():
    results, write = os.pipe()
    if os.fork() == 0:
        try:
            exec(statement)
            result = ""
        except BaseException as exc:
            result = f"{type(exc).__name__}: {exc}"
        os.write(write, result.encode() or b" ")
        os._exit(0)
    os.wait()
    print(json.dumps([name, os.read(results, 4096).decode().strip()]), flush=True)
"""


class Report(NamedTuple):
    """The exceptions of the statements, by name, and the folders afterwards."""

    errors: dict[str, str]
    folder: Path
    outside: Path


def run_sandboxed(level: str, top: Path) -> Report:
    places = [top / name for name in ("folder", "outside", "home", "project")]
    folder, outside, home, project = places
    for path in places:
        path.mkdir()
    (outside / "file.txt").write_text("before")
    (home / "key").write_text("secret")
    statements = json.dumps({**REFUSED, **ALLOWED, **ONE_LEVEL})
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mailbox,
    ):
        listener.bind(str(outside / "server"))
        listener.listen()
        mailbox.bind(str(outside / "mailbox"))
        port = str(server.getsockname()[1])
        command = [sys.executable, "-c", SCRIPT, level, *map(str, places[:3]), port, statements]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, cwd=project, check=False
        )
    assert done.returncode == 0, done.stderr
    return Report(dict(map(json.loads, filter(None, done.stdout.splitlines()))), folder, outside)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Report:
    if available() is not Level.KERNEL:
        pytest.skip("no Landlock here")
    return run_sandboxed("kernel", tmp_path_factory.mktemp("kernel"))


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return run_sandboxed("audit", tmp_path_factory.mktemp("audit"))


@pytest.fixture(params=["kernel", "audit"])
def report(request: pytest.FixtureRequest) -> Report:
    report: Report = request.getfixturevalue(request.param)
    return report


@pytest.mark.parametrize("name", REFUSED)
def test_refused(report: Report, name: str) -> None:
    assert "Error" in report.errors[name]


def test_nothing_is_changed_outside(report: Report) -> None:
    names = sorted(path.name for path in report.outside.iterdir())
    assert names == ["file.txt", "mailbox", "server"]
    assert (report.outside / "file.txt").read_text() == "before"


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed(report: Report, name: str) -> None:
    assert report.errors[name] == ""


def test_kernel_covers_started_programs(kernel: Report) -> None:
    assert kernel.errors["started-program"] == ""
    assert (kernel.folder / "file.txt").read_text() == "inside\n"


def test_kernel_hides_the_home_folder(kernel: Report) -> None:
    assert kernel.errors["home"].startswith("PermissionError")


def test_kernel_has_another_loopback(kernel: Report) -> None:
    assert "Error" in kernel.errors["machine-port"]


def test_audit_starts_no_program(audit: Report) -> None:
    expected = "PermissionError: sandbox: no program may be started (subprocess.Popen)"
    assert audit.errors["program"] == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("create", "sandbox: {outside}/new.txt may not be written"),
        ("remove", "sandbox: {outside}/file.txt may not be changed (os.remove)"),
        ("udp", "sandbox: 192.0.2.1 may not be reached"),
        ("socket-file", "sandbox: {outside}/server may not be reached"),
    ],
)
def test_audit_message(audit: Report, name: str, message: str) -> None:
    assert audit.errors[name] == f"PermissionError: {message.format(outside=audit.outside)}"


def test_memory_limit(audit: Report) -> None:
    assert audit.errors["memory"].startswith("MemoryError")


def test_variables(tmp_path: Path) -> None:
    variables = {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "x",
        "LC_ALL": "C",
        "HOME": "/home/ann",
        "PYTHONPATH": "src",
        "TOKEN": "y",
    }
    allowed = environment(variables, tmp_path)
    assert {"PATH", "LC_ALL", "PYTHONPATH"} <= set(allowed)
    assert not {"AWS_SECRET_ACCESS_KEY", "TOKEN"} & set(allowed)
    assert Path(allowed["HOME"]).is_relative_to(tmp_path)
    assert Path(allowed["TMPDIR"]).is_dir()


def test_readable_folders(tmp_path: Path) -> None:
    folders = readable(tmp_path, tmp_path / "missing")
    assert folders[0] == tmp_path.resolve()
    assert Path(sys.prefix).resolve() in folders
    assert tmp_path / "missing" not in folders


def test_levels() -> None:
    assert is_weaker(Level.AUDIT, Level.KERNEL)
    assert is_weaker(Level.NONE, Level.AUDIT)
    assert not is_weaker(Level.KERNEL, Level.KERNEL)


def test_weak_level() -> None:
    check_level(Level.KERNEL, Level.AUDIT)
    with pytest.raises(SandboxUnavailable) as caught:
        check_level(Level.AUDIT, Level.KERNEL)
    reason = "the sandbox level here is audit, and the setting confinement requires kernel"
    assert str(caught.value) == reason
    assert Sandbox(Path("/tmp")).min_level is Level.NONE


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_descendants_outside_the_group() -> None:
    script = "import subprocess; subprocess.Popen(['sleep', '30'], start_new_session=True).wait()"
    child = subprocess.Popen([sys.executable, "-S", "-c", script])
    until = time.monotonic() + 10
    while not (processes := descendants(child.pid)) and time.monotonic() < until:
        time.sleep(0.02)
    for process in processes:
        os.kill(process, 9)
    child.wait()
    assert len(processes) == 1


FORKS = """
import os
from pytest_starcoder.runner.sandbox import limit_forks
limit_forks()
for _ in range(60):
    if os.fork() == 0:
        os._exit(0)
    os.wait()
print("done", flush=True)
while True:
    os.fork()
"""


def test_fork_bomb() -> None:
    command = [sys.executable, "-c", FORKS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 1)
