"""What keeps code that nobody has read from harm: it writes into one folder, and reaches no network.

Linux does it in the kernel: Landlock for files and signals, a network namespace
with a loopback of its own. Elsewhere an audit hook refuses what Python itself
is asked to do, which stops accidents and no attacker. docs/confinement.md has
the table. Constants are those of Linux's landlock.h, sched.h and prctl.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import site
import socket
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

# Defined in a module that a script without packages can use, and imported from here.
from pytest_starcoder.runner.supervisor import descendants as descendants


class Level(StrEnum):
    """How code is confined, the strictest first."""

    KERNEL = "kernel"
    AUDIT = "audit"
    NONE = "none"


ORDER = (Level.NONE, Level.AUDIT, Level.KERNEL)

MEMORY = 4 << 30
"""Bytes that one process may have."""

FILE = 1 << 30
"""Bytes that one file may have."""

ALLOWED = frozenset(
    """
    PATH LANG LANGUAGE TZ TERM COLUMNS LINES SHELL USER LOGNAME SYSTEMROOT WINDIR COMSPEC PATHEXT NUMBER_OF_PROCESSORS
    VIRTUAL_ENV LD_LIBRARY_PATH DYLD_LIBRARY_PATH SSL_CERT_FILE SSL_CERT_DIR CI TOX_ENV_NAME DJANGO_SETTINGS_MODULE
    DJANGO_CONFIGURATION FLASK_APP FLASK_ENV QT_QPA_PLATFORM MPLBACKEND OMP_NUM_THREADS SOURCE_DATE_EPOCH
    """.split()
)
"""Variables that confined code has; the others may hold secrets."""

ALLOWED_KINDS = ("LC_", "PYTHON", "CONDA_PREFIX")

PRIVATE = ("home", "root", "Users", "tmp", "mnt", "media", "srv", "private")
"""Folders of the root that are read only where that is allowed: the others are the system's."""


@dataclass(frozen=True)
class Sandbox:
    """`folder` is what may be written, `readable` what may be read besides the system's own folders.

    Where the platform gives less than `least`, nothing may run: `confine` raises Unconfined.
    """

    folder: Path
    readable: tuple[Path, ...] = ()
    least: Level = Level.NONE

    def to_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "readable": [str(path) for path in self.readable],
            "least": str(self.least),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Sandbox:
        readable = tuple(Path(path) for path in fields["readable"])
        return cls(Path(fields["folder"]), readable, Level(fields["least"]))


class Unconfined(Exception):
    """The platform cannot confine code as it was asked to."""


def available() -> Level:
    """What this platform gives; changes nothing."""
    return Level.KERNEL if _landlock_version() >= 1 else Level.AUDIT


def weaker(one: Level, other: Level) -> bool:
    return ORDER.index(one) < ORDER.index(other)


def readable(*folders: Path) -> tuple[Path, ...]:
    """Return what a project's tests read: these folders, the interpreter, installed packages."""
    known = [
        *folders,
        Path(sys.prefix),
        Path(sys.base_prefix),
        Path(sys.exec_prefix),
        Path(__file__).parents[2],
    ]
    known += [Path(entry) for entry in sys.path if entry]
    known.append(Path(site.getuserbase()))
    return tuple(dict.fromkeys(path.resolve() for path in known if path.exists()))


def environment(variables: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The variables that confined code has: those it needs, with home and temporary files in `folder`."""
    found = {
        name: value
        for name, value in variables.items()
        if name in ALLOWED or name.startswith(ALLOWED_KINDS)
    }
    home, temporary = folder / "home", folder / "temporary"
    for path in (home, temporary):
        path.mkdir(exist_ok=True)
    found |= {"HOME": str(home), "USERPROFILE": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    found |= {name: str(temporary) for name in ("TMPDIR", "TEMP", "TMP")}
    return {"PYTHONUSERBASE": site.getuserbase()} | found


def confine(confinement: Sandbox, level: Level | None = None) -> Level:
    """Confines this process and all that it will start, for good; `level` is what is tried, by default all there is.

    Raises Unconfined where less than the least is in force after it.
    """
    _limit()
    reached = Level.NONE
    if level in (None, Level.KERNEL) and sys.platform == "linux":
        alone = _network_of_its_own()
        reached = Level.KERNEL if _landlocked(confinement, alone) else Level.NONE
        if reached is Level.KERNEL:
            _no_sockets_elsewhere(confinement)
    if level is Level.AUDIT or (level is None and reached is Level.NONE):
        _audited(confinement)
        reached = Level.AUDIT
    if weaker(reached, confinement.least):
        raise Unconfined(
            f"code is confined by {reached} here, and the setting confinement is {confinement.least}"
        )
    return reached


# --- limits and processes ------------------------------------------------------------------


def _limit() -> None:
    """Bounds memory and files."""
    with contextlib.suppress(ImportError):
        import resource

        for name, wanted in (("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", FILE), ("RLIMIT_AS", MEMORY)):
            kind = getattr(resource, name, None)
            if kind is not None:
                _, most = resource.getrlimit(kind)
                with contextlib.suppress(OSError, ValueError):
                    resource.setrlimit(kind, (wanted if most < 0 else min(wanted, most), most))


FORKS = 64
"""Processes that one trial may fork, all that these fork among them."""


def limit_forks() -> None:
    """Ends the process, of this one and those that it forks, that wants to fork once more than there may be."""
    count = mmap.mmap(-1, 4)  # one for all of them

    def before() -> None:
        forked = int.from_bytes(count[:4], "little") + 1
        count[:4] = forked.to_bytes(4, "little")
        if forked > FORKS:
            os._exit(1)

    os.register_at_fork(before=before)


PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38


def adopt_orphans() -> None:
    """What a fork of this process leaves running becomes this process's own child; on Linux. Not inherited."""
    if sys.platform == "linux":
        _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """The kernel ends this process when the one that forked it ends; on Linux."""
    if sys.platform == "linux":
        _prctl(PR_SET_PDEATHSIG, 9)


def _prctl(option: int, value: int) -> bool:
    found: int = ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    return found == 0


# --- Landlock ------------------------------------------------------------------------------

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READING = EXECUTE | READ_FILE | READ_DIR


def _syscall(number: int, *arguments: Any) -> int:
    found: int = ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *arguments)
    return found


def _landlock_version() -> int:
    return _syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1) if sys.platform == "linux" else 0


def _landlocked(confinement: Sandbox, alone: bool) -> bool:
    """Restricts this process; `alone` says that it has a network of its own already."""
    version = _landlock_version()
    if version < 1 or not _prctl(PR_SET_NO_NEW_PRIVS, 1):
        return False
    every = (1 << 13) - 1
    every |= (
        (REFER if version >= 2 else 0)
        | (TRUNCATE if version >= 3 else 0)
        | (IOCTL_DEV if version >= 5 else 0)
    )
    network = 0 if alone or version < 4 else 3  # TCP: to bind and to connect
    scoped = 3 if version >= 6 else 0  # abstract sockets and signals
    attributes = struct.pack("QQQ", every, network, scoped)[
        : 24 if version >= 6 else 16 if version >= 4 else 8
    ]
    ruleset = _syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    rules: dict[Path, int] = dict.fromkeys(_system(), READING)
    rules |= dict.fromkeys(confinement.readable, READING)
    rules |= {
        Path("/dev") / name: every & ~EXECUTE
        for name in ("null", "zero", "full", "tty", "ptmx", "pts", "shm")
    }
    rules[confinement.folder.resolve()] = every
    for path, rights in rules.items():
        _allow(ruleset, path, rights & every)
    done = _syscall(RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return done and (alone or network != 0)


def _system() -> Iterator[Path]:
    """The folders of the root that hold no user's files."""
    with os.scandir("/") as entries:
        for entry in entries:
            if entry.name not in PRIVATE:
                yield Path(entry.path)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    with contextlib.suppress(OSError):  # what is not there needs no rule
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = struct.pack("=Qi", rights if path.is_dir() else rights & ON_FILES, place)
            _syscall(ADD_RULE, ruleset, 1, rule, 0)
        finally:
            os.close(place)


# --- a network of its own ------------------------------------------------------------------

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41


def _network_of_its_own() -> bool:
    """Leaves the machine's network for one that has nothing but a loopback; False where that is not permitted."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return False
        with contextlib.suppress(OSError):
            Path("/proc/self/setgroups").write_text("deny", "ascii")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1", "ascii")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1", "ascii")
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket,
    ):
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP_RUNNING))
    return True


# --- the audit hook ------------------------------------------------------------------------

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

CHANGES: Mapping[str, Sequence[int]] = {
    "os.remove": (0,), "os.rmdir": (0,), "os.mkdir": (0,), "os.rename": (0, 1), "os.link": (1,), "os.symlink": (1,),
    "os.truncate": (0,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,), "os.setxattr": (0,),
    "os.removexattr": (0,), "os.mkfifo": (0,), "os.mknod": (0,), "sqlite3.connect": (0,),
}  # fmt: skip
"""Events that change a file, and which of their arguments name it."""

FOLDER_ARGUMENT = {
    "os.remove": 1,
    "os.rmdir": 1,
    "os.mkdir": 2,
    "os.chmod": 2,
    "os.chown": 3,
    "os.utime": 3,
}
"""Which argument is the open folder that a name is relative to."""

STARTS = (
    "subprocess.Popen",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "os.startfile",
    "pty.spawn",
)


def _audited(confinement: Sandbox) -> None:
    """Has Python itself refuse to write elsewhere, to reach others, and to start what it could not watch."""
    folder = os.path.realpath(confinement.folder)
    devices = ("/dev/null", "/dev/tty", "/dev/ptmx", os.devnull)

    def inside(name: Any, place: Any = None) -> bool:
        if isinstance(name, int):
            return True  # it was opened before, and asked about then
        text = os.fsdecode(name)
        if isinstance(place, int) and place >= 0 and not os.path.isabs(text):  # noqa: PTH117
            text = os.path.join(_path_of(place), text)  # noqa: PTH118
        real = os.path.realpath(text)
        return real == folder or text in devices or real.startswith((folder + os.sep, "/dev/pts/"))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            name, _, flags = arguments
            if isinstance(flags, int) and flags & WRITES and not inside(name):
                raise PermissionError(f"confined: {os.fsdecode(name)} may not be written")
        elif event in CHANGES:
            place = arguments[FOLDER_ARGUMENT[event]] if event in FOLDER_ARGUMENT else None
            for index in CHANGES[event]:
                name = arguments[index]
                if not (event == "sqlite3.connect" and name == ":memory:") and not inside(
                    name, place
                ):
                    raise PermissionError(
                        f"confined: {os.fsdecode(name)} may not be changed ({event})"
                    )
        elif event in ("socket.connect", "socket.sendto", "socket.bind"):
            address = arguments[1]
            if isinstance(address, tuple) and str(address[0]) not in (
                "127.0.0.1",
                "localhost",
                "::1",
                "0.0.0.0",
                "",
            ):
                raise PermissionError(f"confined: {address[0]} may not be reached")
        elif event == "socket.getaddrinfo":
            if arguments[0] not in (None, "localhost", b"localhost", "127.0.0.1", "::1", ""):
                raise PermissionError(f"confined: {arguments[0]} may not be looked up")
        elif event in STARTS:
            raise PermissionError(f"confined: no program may be started ({event})")

    sys.addaudithook(hook)
    _no_sockets_elsewhere(confinement)


def _no_sockets_elsewhere(confinement: Sandbox) -> None:
    """Has Python refuse sockets that are files of others: connecting to one is no writing, in the kernel's eyes."""
    folder = os.path.realpath(confinement.folder)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], str | bytes):
            name = os.fsdecode(arguments[1])
            if name[:1] != "\0" and not os.path.realpath(name).startswith(folder + os.sep):
                raise PermissionError(f"confined: {name} may not be reached")

    sys.addaudithook(hook)


def _path_of(descriptor: int) -> str:
    """The path of an open folder."""
    if sys.platform == "darwin":
        return os.fsdecode(
            fcntl.fcntl(descriptor, 50, b"\0" * 1024).partition(b"\0")[0]
        )  # F_GETPATH
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
