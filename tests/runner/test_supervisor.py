"""Ends of children: by themselves, by us, or because we are gone; and nothing survives them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
from support.processes import is_alive, still_alive

from pytest_starcoder.runner.child_process import ChildProcess

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a supervisor forks")


def child(
    folder: Path, code: str, grace: float = 0.0, descriptors: tuple[int, ...] = ()
) -> ChildProcess:
    command = [sys.executable, "-c", dedent(code)]
    return ChildProcess(command, folder, {**os.environ, "A_NAME": "a value"}, descriptors, grace)


def wait_for(path: Path) -> str:
    until = time.monotonic() + 20
    while not path.exists() or not path.read_text():
        assert time.monotonic() < until, f"no {path.name}"
        time.sleep(0.02)
    return path.read_text()


def pids(path: Path) -> list[int]:
    return [int(number) for number in wait_for(path).split()]


# --- as if there were no supervisor ---


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("", 0),
        ("raise SystemExit(5)", 5),
        ("import os; os._exit(250)", 250),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("import os, signal; os.kill(os.getpid(), signal.SIGALRM)", -signal.SIGALRM),
        ("import os; os.abort()", -signal.SIGABRT),
    ],
)
def test_exit_status(tmp_path: Path, code: str, status: int) -> None:
    started = child(tmp_path, code)
    started.wait(20)
    started.end()
    assert (started.returncode, started.was_killed) == (status, False)


def test_surroundings_of_child(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    unrelated, another = os.pipe()
    code = f"""
        import os, pathlib, signal, sys
        os.write({writer}, pathlib.Path.cwd().name.encode() + b"\\n")
        assert os.environ["A_NAME"] == "a value"
        assert sys.stdin.read() == ""
        assert os.getsid(0) == os.getpgid(0) == os.getpid()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL
        try: os.fstat({unrelated})
        except OSError: pass
        else: raise SystemExit(1)
        open_ones = os.listdir("/proc/self/fd") if sys.platform == "linux" else []
        assert len(open_ones) <= 5, open_ones
    """
    started = child(tmp_path, code, descriptors=(writer,))
    os.close(writer)
    with os.fdopen(reader) as read:
        assert read.read() == f"{tmp_path.name}\n", "and its end is seen"
    started.wait(20)
    started.end()
    for descriptor in (unrelated, another):
        os.close(descriptor)
    assert started.returncode == 0


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        child(tmp_path / "gone", "")


# --- ended by us ---

HOLDS = """
    import os, pathlib, signal, time
    lock = pathlib.Path("lock")
    {before}
    try:
        lock.write_text(str(os.getpid()))
        {stuck}
    finally:
        time.sleep({teardown})
        lock.unlink()
"""


def holding(stuck: str = "time.sleep(60)", teardown: float = 0, before: str = "") -> str:
    return HOLDS.format(stuck=stuck, teardown=teardown, before=before)


def test_teardown_after_interrupt(tmp_path: Path) -> None:
    started = child(tmp_path, holding(teardown=0.3), grace=20)
    wait_for(tmp_path / "lock")
    started.end()
    assert not (tmp_path / "lock").exists()
    assert not started.was_killed


STUCK = {
    "swallows": (
        "while True:\n            try: time.sleep(60)\n            except BaseException: pass",
        "",
    ),
    "ignores": ("time.sleep(60)", "signal.signal(signal.SIGINT, signal.SIG_IGN)"),
    "blocks": (
        "time.sleep(60)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})",
    ),
    "is in C": ("sum(iter(int, 1))", ""),
    "is stopped": ("os.kill(os.getpid(), signal.SIGSTOP)", ""),
}


@pytest.mark.parametrize(("stuck", "before"), STUCK.values(), ids=STUCK)
def test_deaf_child_is_killed(tmp_path: Path, stuck: str, before: str) -> None:
    started = child(tmp_path, holding(stuck, before=before), grace=0.4)
    pid = int(wait_for(tmp_path / "lock"))
    # The child writes the lock before it is stuck, and an interrupt in between would end it.
    time.sleep(0.2)
    begun = time.monotonic()
    started.end()
    assert started.was_killed
    assert not is_alive(pid)
    assert time.monotonic() - begun < 6


def test_long_teardown_is_killed(tmp_path: Path) -> None:
    started = child(tmp_path, holding(teardown=60), grace=0.3)
    wait_for(tmp_path / "lock")
    started.end()
    assert (tmp_path / "lock").exists()
    assert started.was_killed


def test_no_grace(tmp_path: Path) -> None:
    started = child(tmp_path, holding(teardown=60))
    wait_for(tmp_path / "lock")
    begun = time.monotonic()
    started.end()
    assert time.monotonic() - begun < 2
    assert (tmp_path / "lock").exists()
    assert not started.was_killed, "nobody has asked it to end by itself"


def test_ending_twice(tmp_path: Path) -> None:
    started = child(tmp_path, "import time; time.sleep(60)", grace=5)
    started.end()
    started.end()


# --- and all that it has started ---

STARTS = """
    import os, pathlib, subprocess, sys, time
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
    deaf = [sys.executable, "-c", "import signal, time; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; time.sleep(60)"]
    pids = [subprocess.Popen(sleeps).pid, subprocess.Popen(deaf).pid]
    if sys.platform == "linux":
        pids.append(subprocess.Popen(sleeps, start_new_session=True).pid)
        pids.append(subprocess.Popen(deaf, start_new_session=True).pid)
        reader, writer = os.pipe()
        if os.fork() == 0:  # a daemon: its parent is gone, its session is its own
            os.setsid()
            daemon = os.fork()
            if daemon == 0:
                os.execv(sys.executable, sleeps)
            os.write(writer, b"%d" % daemon)
            os._exit(0)
        os.wait()
        pids.append(int(os.read(reader, 20)))
    pathlib.Path("pids.tmp").write_text(" ".join(map(str, [os.getpid(), *pids])))
    os.rename("pids.tmp", "pids")
"""  # noqa: E501


@pytest.mark.parametrize("grace", [0.0, 0.5])
@pytest.mark.parametrize("then", ["", "\n    time.sleep(60)"], ids=["ends", "hangs"])
def test_no_descendant_survives(tmp_path: Path, then: str, grace: float) -> None:
    started = child(tmp_path, STARTS + then, grace)
    running = pids(tmp_path / "pids")
    if not then:
        started.wait(20)
    started.end()
    assert still_alive(running, seconds=1) == []


# --- because we are gone ---

PARENT = """
import os, pathlib, sys, time
from pytest_starcoder.runner.child_process import ChildProcess

folder, grace, code = sys.argv[1:]
temporary = pathlib.Path(folder, "temporary")
temporary.mkdir()
(temporary / "link").symlink_to("..")
command = [sys.executable, "-c", code]
child = ChildProcess(command, pathlib.Path(folder), os.environ, (), float(grace), temporary)
time.sleep(60)
"""


def parent(folder: Path, code: str, grace: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PARENT, str(folder), str(grace), dedent(code)])


@pytest.mark.parametrize("number", ["SIGTERM", "SIGKILL", "SIGHUP"])
def test_no_descendant_survives_us(tmp_path: Path, number: str) -> None:
    host = parent(tmp_path, STARTS + "\n    time.sleep(60)", 0.3)
    running = pids(tmp_path / "pids")
    host.send_signal(getattr(signal, number))
    host.wait()
    assert still_alive(running, seconds=8) == []
    until = time.monotonic() + 5
    while (tmp_path / "temporary").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert [path.name for path in tmp_path.iterdir()] == ["pids"], (
        "and our temporary folder is gone"
    )


def test_teardown_after_our_death(tmp_path: Path) -> None:
    host = parent(tmp_path, holding(teardown=0.2), 20)
    running = pids(tmp_path / "lock")
    host.kill()
    host.wait()
    assert still_alive(running, seconds=10) == []
    assert not (tmp_path / "lock").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends it")
def test_child_of_killed_supervisor(tmp_path: Path) -> None:
    started = child(
        tmp_path,
        """
        import os, time
        open('pids', 'w').write(f'{os.getpid()} {os.getppid()}')
        time.sleep(60)
        """,
    )
    pid, supervisor = pids(tmp_path / "pids")
    os.kill(supervisor, signal.SIGKILL)
    assert still_alive([pid], seconds=5) == []
    started.end()


def test_fork_of_ours(tmp_path: Path) -> None:
    """A fork holds our end of the pipe open."""
    forks = "\nif os.fork() == 0:\n    time.sleep(30)\n    os._exit(0)\n"
    code = PARENT.replace("time.sleep(60)", forks + "time.sleep(60)")
    host = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), "0.3", dedent(holding())],
        start_new_session=True,
    )
    running = pids(tmp_path / "lock")
    try:
        host.kill()
        host.wait()
        assert still_alive(running, seconds=8) == []
    finally:
        os.killpg(host.pid, signal.SIGKILL)


def test_second_ctrl_c(tmp_path: Path) -> None:
    code = """
        import os, pathlib, sys, time
        from pytest_starcoder.runner.child_process import ChildProcess
        code = "import os, time; open('pids', 'w').write(str(os.getpid()))"
        code += "\\ntry: time.sleep(60)\\nfinally: time.sleep(60)"
        command = [sys.executable, "-c", code]
        with ChildProcess(command, pathlib.Path.cwd(), os.environ, grace=30) as child:
            child.wait(60)
    """
    command = [sys.executable, "-c", dedent(code)]
    host = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
    )
    running = pids(tmp_path / "pids")
    for _ in range(2):
        host.send_signal(signal.SIGINT)
        time.sleep(0.8)
    host.wait(timeout=8)
    assert still_alive(running, seconds=2) == []
