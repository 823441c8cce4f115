"""Drafts that run in sandboxed processes, harmless ones and hazards."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support.shop import SHOP, reasons, shop_draft, target_named, targets_in

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.generate import draft_selection
from pytest_starcoder.generate.bench import DraftBench
from pytest_starcoder.generate.docstrings import doctest_drafts
from pytest_starcoder.generate.draft import Draft, Target
from pytest_starcoder.generate.generation import Generation
from pytest_starcoder.generate.result import Generated
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.supervisor import descendants

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="drafts are judged in forks")

FIXTURE = "import pytest\n\n\n@pytest.fixture\ndef xs():\n    return [1, 2, 3]\n"

HAZARDS: dict[str, tuple[str, ...]] = {
    "good": ("assert mean([1, 2, 3]) == 2", "kept"),
    "an exception": ("import pytest\nwith pytest.raises(ValueError):\n    mean([])", "kept"),
    "a fixture": ("assert price(*xs[:1]) == 2", "kept"),
    "vacuous": ("mean([1])\nassert True", "asserts nothing"),
    "no assertion": ("mean([1])", "asserts nothing"),
    "asserts on something else": ("assert sum([1, 2]) == 3", "does not call its target"),
    "calls and asserts on something else": (
        "mean([4, 4])\nassert sum([1, 2]) == 3",
        "adds nothing",
    ),
    "asserts on a mock": (
        "from unittest.mock import Mock\nshop = Mock()\nshop.mean.return_value = 2\n"
        "assert shop.mean([1]) == 2",
        "does not call its target",
    ),
    "replaces the target": (
        "import shop\nshop.mean = lambda xs: 2\nassert shop.mean([9]) == 2",
        "leaves global state changed",
    ),
    "replaces a part of the library": (
        "import math\nmath.fsum = sum\nassert mean([7, 8]) == 7.5",
        "leaves global state changed",
    ),
    "changes a global": ("CACHE['x'] = 1\nassert mean([2, 2]) == 2", "leaves global state changed"),
    "changes a setting of a class": (
        "Rate.vat = 3\nassert mean([2, 2]) == 2",
        "leaves global state changed",
    ),
    "swallows everything": (
        "try:\n    assert mean([1]) == 99\nexcept BaseException:\n    pass",
        "adds nothing",
    ),
    "wrong": ("assert mean([1, 2]) == 99", "fails"),
    "flaky": ("import random\nassert mean([random.random()]) < 0.5", "passes only once"),
    "passes once": ("SEEN.append(1)\nassert mean([len(SEEN)]) == 1", "passes only once"),
    "depends on the hash seed": (
        "assert hash('a') % 4 == HASH % 4\nassert price(11, 7) == 76",
        "depends on the hash seed",
    ),
    "enshrines a bug": ("assert parse('13') == 3", "contradicts its function's docstring"),
    "changes the environment": (
        "import os\nos.environ['PLANTED'] = '1'\nassert mean([1]) == 1",
        "leaves the environment changed",
    ),
    "changes the folder": (
        "import os, tempfile\nos.chdir(tempfile.gettempdir())\nassert mean([1]) == 1",
        "leaves the working folder changed",
    ),
    "starts a thread": (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=[9], daemon=True).start()\n"
        "assert mean([1]) == 1",
        "leaves a thread changed",
    ),
    "writes into its folder": ("open('planted', 'w').close()\nassert mean([1]) == 1", "fails"),
    "writes into the source": (
        "import shop\nopen(shop.__file__, 'a').write('#')\nassert mean([1]) == 1",
        "fails",
    ),
    "writes into the home": (
        "from pathlib import Path\nPath.home().joinpath('planted').touch()\nassert mean([1]) == 1",
        "leaves files in HOME changed",
    ),
    "leaves a temporary file": (
        "import tempfile\ntempfile.mkstemp()\nassert mean([1]) == 1",
        "leaves files in TMPDIR changed",
    ),
    "needs TCP": (
        "import socket\nsocket.create_connection(('127.0.0.1', TCP), timeout=2)\n"
        "assert mean([1]) == 1",
        "fails",
    ),
    "needs UDP": (
        "import socket\nwith socket.socket(type=socket.SOCK_DGRAM) as udp:\n"
        "    udp.settimeout(0.4)\n    udp.sendto(b'?', ('127.0.0.1', UDP))\n"
        "    assert udp.recv(1) == b'!' and mean([1]) == 1",
        "fails",
    ),
    "needs a Unix socket": (
        "import socket\nwith socket.socket(socket.AF_UNIX) as unix:\n    unix.connect(UNIX)\n"
        "    assert mean([1]) == 1",
        "fails",
    ),
    "needs a key": ("import os\nassert os.environ['OPENAI_API_KEY'] and mean([1]) == 1", "fails"),
    "ends the process": ("import os\nassert mean([1]) == 1\nos._exit(0)", "ends the process"),
    "exits": ("import sys\nassert mean([1]) == 1\nsys.exit(0)", "fails"),
    "is killed": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nassert mean([1])",
        "ends the process",
    ),
    "never ends": ("while True:\n    mean([1])\nassert mean([1])", "never ends"),
    "cannot be interrupted": (
        "while True:\n    try:\n        while True: mean([1])\n    except BaseException: pass\n"
        "assert mean([1])",
        "never ends",
    ),
    "sleeps": ("import time\nassert mean([1]) == 1\ntime.sleep(60)", "never ends"),
    "forks": ("import os\nos.fork()\nassert mean([1]) == 1", "leaves a process changed"),
    "is a fork bomb": (
        "import os\nwhile True:\n    os.fork()\nassert mean([1])",
        "ends the process",
    ),
    "eats memory": ("x = 'a' * (1 << 40)\nassert mean([1]) == 1", "fails"),
    "imports what is not there": ("import not_there\nassert mean([1]) == 1", "fails"),
    "skips itself": ("import pytest\nassert mean([1]) == 1\npytest.skip('no')", "is skipped"),
    "does harm when it is imported": (
        "assert mean([1]) == 1",
        "cannot be imported",
        "open('planted', 'w').close()",
    ),
    "ends the process when it is imported": (
        "assert mean([1]) == 1",
        "cannot be imported",
        "raise SystemExit(0)",
    ),
    "imports at its top what is not there": (
        "assert mean([1]) == 1",
        "cannot be imported",
        "import not_there",
    ),
}


def name_of(hazard: str) -> str:
    return f"test_{hazard.replace(' ', '_').lower()}"


def write_project(root: Path, files: dict[str, str]) -> None:
    for name, text in {"pytest.ini": "[pytest]\npythonpath = .\n", **files}.items():
        path = root / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text, "utf-8")


def generate(
    root: Path,
    drafts: list[Draft],
    targets: Sequence[Target],
) -> Generated:
    bench = DraftBench(Launch(root, root, root / "pytest.ini"), Level.NONE, targets)

    def read(path: str) -> str:
        return (root / path).read_text("utf-8")

    return Generation(bench, read, Deadline.after(60)).run(drafts)


def content(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Three local servers that a sandboxed test cannot reach, by their names in HAZARDS."""
    path = str(tmp_path_factory.mktemp("unix") / "socket")
    with (
        socket.socket() as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        unix.bind(path)
        tcp.listen()
        unix.listen()

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    udp.sendto(b"!", udp.recvfrom(1)[1])

        threading.Thread(target=answer, daemon=True).start()
        yield {
            "TCP": str(tcp.getsockname()[1]),
            "UDP": str(udp.getsockname()[1]),
            "UNIX": repr(path),
        }


@pytest.fixture(scope="module")
def judged_hazards(
    tmp_path_factory: pytest.TempPathFactory, servers: dict[str, str]
) -> dict[str, str]:
    """The reason against each hazard, from one run with all of them."""
    root = tmp_path_factory.mktemp("hazards")
    there = "def test_nothing():\n    pass\n"
    files = {"tests/conftest.py": FIXTURE, "tests/test_there.py": there}
    write_project(root, {"shop.py": SHOP, **files})
    # One hazard depends on the hash seed.
    hash_of_a = subprocess.check_output(
        [sys.executable, "-c", "print(hash('a'))"], text=True, env={"PYTHONHASHSEED": "0"}
    )
    values = {**servers, "HASH": hash_of_a.strip()}
    drafts = list(doctest_drafts(target_named("parse"), ["parse"]))
    for hazard, (body, _, *imports) in HAZARDS.items():
        code = body
        for name, value in values.items():
            code = re.sub(rf"\b{name}\b", value, code)
        target = next((name for name in ("price", "parse") if f"{name}(" in code), "mean")
        draft = shop_draft(code, target_named(target), *imports, name=name_of(hazard))
        if "(*xs" in code:
            draft = replace(draft, arguments=("xs",))
        drafts.append(draft)
    before = content(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draft_selection, "DRAFT_SECONDS", 0.2)
        patch.setenv("OPENAI_API_KEY", "sk-planted")
        patch.setenv("PYTHONHASHSEED", "0")
        generated = generate(root, drafts, targets_in(SHOP))
    assert content(root) == before
    return reasons(generated)


@pytest.mark.parametrize("hazard", HAZARDS)
def test_hazard(hazard: str, judged_hazards: dict[str, str]) -> None:
    _, reason, *_ = HAZARDS[hazard]
    assert judged_hazards[name_of(hazard)] == reason


def test_no_process_left(judged_hazards: dict[str, str]) -> None:
    for process in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{process}/cmdline").read_text().split("\0")
            assert command[:3] != [sys.executable, "-P", "-m"]


def test_broken_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(tmp_path, {"shop.py": SHOP})
    broken = shop_draft("assert mean([1]) == 1")
    monkeypatch.setattr(Draft, "source", property(lambda _: "def test_drafted(:\n"))
    assert reasons(generate(tmp_path, [broken], [target_named("mean")])) == {
        "test_drafted": "cannot be imported"
    }
