"""A sandbox for unreviewed code, which may write into one folder only and has no network.

On Linux the kernel enforces it: Landlock for files and signals, a network namespace with
only a loopback device. Elsewhere an audit hook refuses operations that go through Python,
which stops accidents but no attacker. docs/sandbox.md lists what each platform provides.
Constants are those of Linux's landlock.h, sched.h and prctl.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import site
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import fcntl


class Level(StrEnum):
    """Sandbox levels, the strictest first."""

    KERNEL = "kernel"
    AUDIT = "audit"
    NONE = "none"


LEVELS = (Level.NONE, Level.AUDIT, Level.KERNEL)
"""All levels, the weakest first."""

MAX_MEMORY = 4 << 30
"""Bytes of memory per process."""

MAX_FILE_SIZE = 1 << 30
"""Bytes of one file."""

ALLOWED_VARIABLES = frozenset(
    """
    PATH LANG LANGUAGE TZ TERM COLUMNS LINES SHELL USER LOGNAME SYSTEMROOT WINDIR COMSPEC
    PATHEXT NUMBER_OF_PROCESSORS VIRTUAL_ENV LD_LIBRARY_PATH DYLD_LIBRARY_PATH SSL_CERT_FILE
    SSL_CERT_DIR CI TOX_ENV_NAME DJANGO_SETTINGS_MODULE DJANGO_CONFIGURATION FLASK_APP
    FLASK_ENV QT_QPA_PLATFORM MPLBACKEND OMP_NUM_THREADS SOURCE_DATE_EPOCH
    """.split()
)
"""Environment variables passed into the sandbox; others may hold secrets."""

ALLOWED_PREFIXES = ("LC_", "PYTHON", "CONDA_PREFIX")

USER_FOLDERS = ("home", "root", "Users", "tmp", "mnt", "media", "srv", "private")
"""Top-level folders that may hold a user's files; all others belong to the system."""


@dataclass(frozen=True)
class Sandbox:
    """Access rules: `folder` is writable; `readable` and the system's folders are readable.

    No code runs where the platform cannot provide `min_level`.
    """

    folder: Path
    readable: tuple[Path, ...] = ()
    min_level: Level = Level.NONE

    def to_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "readable": [str(path) for path in self.readable],
            "min_level": str(self.min_level),
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Sandbox:
        readable = tuple(map(Path, fields["readable"]))
        return cls(Path(fields["folder"]), readable, Level(fields["min_level"]))


class SandboxUnavailable(Exception):
    """The platform cannot provide the level that the settings require."""


def available() -> Level:
    """Return the level this platform provides; nothing is changed."""
    return Level.KERNEL if _landlock_version() >= 1 else Level.AUDIT


def check_level(level: Level, min_level: Level) -> None:
    """Raise SandboxUnavailable if `level` is weaker than `min_level`."""
    if is_weaker(level, min_level):
        raise SandboxUnavailable(
            f"the sandbox level here is {level}, and the setting confinement requires {min_level}"
        )


def is_weaker(level: Level, reference: Level) -> bool:
    return LEVELS.index(level) < LEVELS.index(reference)


def readable(*folders: Path) -> tuple[Path, ...]:
    """Return what a project's tests read: these folders, the interpreter, installed packages."""
    our_package = Path(__file__).parents[2]
    interpreter = sys.prefix, sys.base_prefix, sys.exec_prefix
    # An empty entry means the working folder, which may be the user's home.
    imports = *filter(None, sys.path), site.getuserbase()
    paths: dict[Path, None] = {}
    for path in (*folders, our_package, *map(Path, interpreter), *map(Path, imports)):
        if path.exists():
            paths[path.resolve()] = None
    return tuple(paths)


def environment(variables: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the allowed variables, with home and temporary folders inside `folder`."""
    allowed = {"PYTHONUSERBASE": site.getuserbase()}
    for name, value in variables.items():
        if name in ALLOWED_VARIABLES or name.startswith(ALLOWED_PREFIXES):
            allowed[name] = value
    home, temporary = folder / "home", folder / "temporary"
    home.mkdir(exist_ok=True)
    temporary.mkdir(exist_ok=True)
    allowed |= dict.fromkeys(("HOME", "USERPROFILE"), str(home))
    allowed |= dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    allowed["PYTHONDONTWRITEBYTECODE"] = "1"
    return allowed


def enter_sandbox(sandbox: Sandbox, level: Level | None = None) -> Level:
    """Restrict this process and all its future children, for good; return the level reached.

    Only `level` is tried if given, else the strictest that works. Raises SandboxUnavailable
    if the level reached is weaker than the sandbox requires.
    """
    _limit_resources()
    reached = Level.NONE
    is_wanted = level in (None, Level.KERNEL)
    if is_wanted and sys.platform == "linux":
        has_own_network = _enter_network_namespace()
        if _restrict_by_landlock(sandbox, has_own_network):
            # Landlock does not cover connecting to a socket file.
            sys.addaudithook(_SocketHook(sandbox.folder))
            reached = Level.KERNEL
    is_fallback = level is None and reached is Level.NONE
    if is_fallback or level is Level.AUDIT:
        sys.addaudithook(_FileHook(sandbox.folder))
        sys.addaudithook(_SocketHook(sandbox.folder))
        reached = Level.AUDIT
    check_level(reached, sandbox.min_level)
    return reached


# --- limits and processes ------------------------------------------------------------------


def _limit_resources() -> None:
    with contextlib.suppress(ImportError):  # Windows
        import resource

        limits = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": MAX_FILE_SIZE, "RLIMIT_AS": MAX_MEMORY}
        for name, limit in limits.items():
            kind = getattr(resource, name, None)
            if kind is None:
                continue
            _, hard_limit = resource.getrlimit(kind)
            # A negative number means no limit.
            soft_limit = limit if hard_limit < 0 else min(limit, hard_limit)
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(kind, (soft_limit, hard_limit))


MAX_FORKS = 64
"""Forks of one trial, including those of its own children."""


def limit_forks() -> None:
    """End this process, or any process forked from it, at the first fork above the limit."""
    counter = mmap.mmap(-1, 4)  # shared with all forks

    def count_fork() -> None:
        forks = int.from_bytes(counter[:4], "little") + 1
        counter[:4] = forks.to_bytes(4, "little")
        if forks > MAX_FORKS:
            os._exit(1)

    os.register_at_fork(before=count_fork)


PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
SIGKILL = 9


def adopt_orphans() -> None:
    """Become the parent of whatever a fork leaves running (on Linux; not inherited)."""
    if sys.platform == "linux":
        _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends (on Linux)."""
    if sys.platform == "linux":
        _prctl(PR_SET_PDEATHSIG, SIGKILL)


def _prctl(option: int, value: int) -> bool:
    return bool(_libc().prctl(option, value, 0, 0, 0) == 0)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


# --- Landlock ------------------------------------------------------------------------------

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
CREATE_RULESET_VERSION, RULE_PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
BIND_TCP, CONNECT_TCP = 1, 2
ABSTRACT_SOCKETS, SIGNALS = 1, 2
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READING = EXECUTE | READ_FILE | READ_DIR

RIGHTS_BY_VERSION = {1: (1 << 13) - 1, 2: REFER, 3: TRUNCATE, 5: IOCTL_DEV}
"""File rights by the Landlock version that introduced them."""

DEVICES = ("null", "zero", "full", "tty", "ptmx", "pts", "shm")


def _syscall(number: int, *arguments: Any) -> int:
    return int(_libc().syscall(ctypes.c_long(number), *arguments))


def _landlock_version() -> int:
    """Return the kernel's Landlock version; 0 or less if it has none."""
    if sys.platform != "linux":
        return 0
    return _syscall(CREATE_RULESET, None, ctypes.c_size_t(0), CREATE_RULESET_VERSION)


def _restrict_by_landlock(sandbox: Sandbox, has_own_network: bool) -> bool:
    """Return whether files and network are restricted now."""
    version = _landlock_version()
    # Landlock is for processes that cannot gain rights, by a set-user-ID program for example.
    if version < 1 or not _prctl(PR_SET_NO_NEW_PRIVS, 1):
        return False
    all_rights = _file_rights(version)
    blocks_tcp = version >= 4 and not has_own_network
    ruleset = _create_ruleset(version, all_rights, blocks_tcp)
    if ruleset < 0:
        return False
    for path, rights in _file_rules(sandbox, all_rights).items():
        _add_rule(ruleset, path, rights & all_rights)
    is_restricted = _syscall(RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return is_restricted and (has_own_network or blocks_tcp)


def _file_rights(version: int) -> int:
    """Return all file rights that this version of Landlock knows."""
    all_rights = 0
    for since, rights in RIGHTS_BY_VERSION.items():
        if version >= since:
            all_rights |= rights
    return all_rights


def _file_rules(sandbox: Sandbox, all_rights: int) -> dict[Path, int]:
    """Return the rights below each path."""
    rules = dict.fromkeys((*_system_folders(), *sandbox.readable), READING)
    for name in DEVICES:
        rules[Path("/dev", name)] = all_rights & ~EXECUTE
    # Last, because the folder may also be readable.
    rules[sandbox.folder.resolve()] = all_rights
    return rules


def _create_ruleset(version: int, all_rights: int, blocks_tcp: bool) -> int:
    """Return the descriptor of a ruleset that denies everything it handles."""
    fields = [all_rights]
    # Each version added a field at the end.
    if version >= 4:
        network_rights = BIND_TCP | CONNECT_TCP
        fields.append(network_rights if blocks_tcp else 0)
    if version >= 6:
        fields.append(ABSTRACT_SOCKETS | SIGNALS)
    attributes = struct.pack(f"{len(fields)}Q", *fields)
    return _syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)


def _system_folders() -> Iterator[Path]:
    """Yield the top-level folders that hold no user's files."""
    with os.scandir("/") as entries:
        for entry in entries:
            if entry.name not in USER_FOLDERS:
                yield Path(entry.path)


def _add_rule(ruleset: int, path: Path, rights: int) -> None:
    with contextlib.suppress(OSError):  # a missing path needs no rule
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not path.is_dir():
            rights &= FILE_RIGHTS
        try:
            rule = struct.pack("=Qi", rights, descriptor)
            _syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0)
        finally:
            os.close(descriptor)


# --- network namespace ---------------------------------------------------------------------

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41


def _enter_network_namespace() -> bool:
    """Leave the machine's network for one with only a loopback; False if not permitted."""
    user, group = os.getuid(), os.getgid()
    libc = _libc()
    # Root may do it directly; anyone else needs a user namespace as well.
    if libc.unshare(CLONE_NEWNET) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return False
        with contextlib.suppress(OSError):
            Path("/proc/self/setgroups").write_text("deny", "ascii")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1", "ascii")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1", "ascii")
    # A new namespace has a loopback device, but it is down.
    request = struct.pack("16sH14x", b"lo", IFF_UP_RUNNING)
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket,
    ):
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)
    return True


# --- audit hooks ---------------------------------------------------------------------------

WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

FILE_CHANGES = frozenset(
    """
    os.remove os.rmdir os.mkdir os.rename os.link os.symlink os.truncate os.chmod os.chown
    os.utime os.setxattr os.removexattr os.mkfifo os.mknod sqlite3.connect
    """.split()
)
"""Events that change a file."""

PATH_ARGUMENTS = {"os.rename": (0, 1), "os.link": (1,), "os.symlink": (1,)}
"""Positions of the paths that change; the first argument for all other events."""

FOLDER_ARGUMENT = {
    "os.remove": 1,
    "os.rmdir": 1,
    "os.mkdir": 2,
    "os.chmod": 2,
    "os.chown": 3,
    "os.utime": 3,
}
"""Position of the descriptor of the folder that a relative path starts from."""

LOCAL_HOSTS = (None, "127.0.0.1", "localhost", b"localhost", "::1", "0.0.0.0", "")

PROGRAM_STARTS = (
    "subprocess.Popen",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "os.startfile",
    "pty.spawn",
)

F_GETPATH = 50
"""The fcntl of macOS that returns the path of a descriptor."""


class _FileHook:
    """Refuses to write outside a folder, to reach other hosts and to start programs."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.realpath(folder)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            is_write = isinstance(flags, int) and flags & WRITE_FLAGS
            if is_write and not self._is_inside(path):
                raise PermissionError(f"sandbox: {os.fsdecode(path)} may not be written")
        elif event in FILE_CHANGES:
            self._check_change(event, arguments)
        elif event.startswith("socket."):
            _check_host(event, arguments)
        elif event in PROGRAM_STARTS:
            # Another program would run without this hook.
            raise PermissionError(f"sandbox: no program may be started ({event})")

    def _check_change(self, event: str, arguments: tuple[Any, ...]) -> None:
        folder = None
        if event in FOLDER_ARGUMENT:
            folder = arguments[FOLDER_ARGUMENT[event]]
        for position in PATH_ARGUMENTS.get(event, (0,)):
            path = arguments[position]
            if event == "sqlite3.connect" and path == ":memory:":
                continue
            if not self._is_inside(path, folder):
                raise PermissionError(f"sandbox: {os.fsdecode(path)} may not be changed ({event})")

    def _is_inside(self, path: Any, folder: Any = None) -> bool:
        if isinstance(path, int):
            return True  # a descriptor, checked when it was opened
        text = os.fsdecode(path)
        if isinstance(folder, int) and folder >= 0 and not os.path.isabs(text):  # noqa: PTH117
            text = os.path.join(_path_of_descriptor(folder), text)  # noqa: PTH118
        if text in ("/dev/null", "/dev/tty", "/dev/ptmx", os.devnull):
            return True
        real = os.path.realpath(text)
        return real == self._folder or real.startswith((self._folder + os.sep, "/dev/pts/"))


def _check_host(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.bind"):
        address = arguments[1]
        if isinstance(address, tuple) and str(address[0]) not in LOCAL_HOSTS:
            raise PermissionError(f"sandbox: {address[0]} may not be reached")
    elif event == "socket.getaddrinfo":
        host = arguments[0]
        if host not in LOCAL_HOSTS:
            raise PermissionError(f"sandbox: {host} may not be resolved")


class _SocketHook:
    """Refuses to connect to socket files outside a folder."""

    def __init__(self, folder: Path) -> None:
        self._prefix = os.path.realpath(folder) + os.sep

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("socket.connect", "socket.sendto"):
            return
        address = arguments[1]
        if not isinstance(address, str | bytes):
            return
        path = os.fsdecode(address)
        is_abstract = path.startswith("\0")  # no file: those belong to a network namespace
        if not is_abstract and not os.path.realpath(path).startswith(self._prefix):
            raise PermissionError(f"sandbox: {path} may not be reached")


def _path_of_descriptor(descriptor: int) -> str:
    if sys.platform == "darwin":
        path = fcntl.fcntl(descriptor, F_GETPATH, b"\0" * 1024)
        return os.fsdecode(path.partition(b"\0")[0])
    return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
