"""What a test executed is recorded while it runs, beside whatever else watches the process."""

from __future__ import annotations

import bdb
import json
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_starcoder.explain.recording import MAX_STARTS, TOOL_IDS, TOOL_NAME, Recording

Executed = Callable[..., list[str]]


@pytest.fixture
def monitoring() -> Iterator[Any]:
    """sys.monitoring, in which every tool id must be free after the test as it was before."""
    if sys.version_info < (3, 12):
        pytest.skip("Python 3.11 has no sys.monitoring")
    before = [sys.monitoring.get_tool(number) for number in range(6)]
    yield sys.monitoring
    assert [sys.monitoring.get_tool(number) for number in range(6)] == before


class Project:
    """A module in a file of its own, run while it is recorded."""

    def __init__(self, path: Path, source: str, recording: Recording) -> None:
        path.write_text(source, "utf-8")
        self.recording = recording
        self.scope: dict[str, Any] = {"__name__": "module"}
        exec(compile(source, str(path), "exec"), self.scope)

    def __getattr__(self, name: str) -> Any:
        return self.scope[name]

    def ran(self) -> list[str]:
        return [code.co_qualname.replace("<locals>.", "") for code in self.recording.executed()]


@pytest.fixture
def recording(monitoring: Any, tmp_path: Path) -> Iterator[Recording]:
    started = Recording.start(lambda filename: filename.startswith(str(tmp_path)))
    assert started is not None
    yield started
    started.stop()


@pytest.fixture
def project(recording: Recording, tmp_path: Path) -> Callable[[str], Project]:
    """Makes a project of a source and begins a test of it."""

    def make(source: str) -> Project:
        made = Project(tmp_path / "module.py", source, recording)
        recording.begin()
        return made

    return make


MakeProject = Callable[[str], Project]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="is there")
def test_python_3_11() -> None:
    assert Recording.start(lambda filename: True) is None


# --- what counts ---------------------------------------------------------------------------


def test_order_of_first_start(project: MakeProject) -> None:
    made = project("def a(): b()\ndef b(): ...\ndef c(): ...\ndef unused(): ...\n")
    made.a(), made.c(), made.b()
    assert made.ran() == ["a", "b", "c"]


def test_begin_forgets(project: MakeProject) -> None:
    made = project("def a(): ...\ndef b(): ...\n")
    made.a()
    made.recording.begin()
    made.b()
    assert made.ran() == ["b"]


def test_functions_run_at_import(
    project: MakeProject,
) -> None:
    made = project("def a(): ...\na()\n")
    assert made.ran() == []
    made.a()
    assert made.ran() == ["a"]


def test_functions_run_before_start(monitoring: Any, tmp_path: Path) -> None:
    scope: dict[str, Any] = {}
    exec(compile("def a(): ...\na()\n", str(tmp_path / "module.py"), "exec"), scope)
    recording = Recording.start(lambda filename: filename == str(tmp_path / "module.py"))
    assert recording is not None
    recording.begin()
    scope["a"]()
    assert [code.co_name for code in recording.executed()] == ["a"]
    recording.stop()


def test_other_files(project: MakeProject) -> None:
    made = project("def a(x): ...\n")
    made.a(json.dumps([1]))
    assert made.ran() == ["a"]


def test_kinds_of_functions(project: MakeProject) -> None:
    made = project(
        "class A:\n    def m(self):\n        def inner(): ...\n        inner()\n"
        "short = lambda: 0\nasync def later(): ...\n"
    )
    made.A().m(), made.short()
    with pytest.raises(StopIteration):
        made.later().send(None)
    assert made.ran() == ["A.m", "A.m.inner", "<lambda>", "later"]


def test_parts_of_functions(project: MakeProject, tmp_path: Path) -> None:
    made = project(
        "def here():\n    class B:\n        made = {x: [y for y in 'ab'] for x in 'ab'}\n"
        "    return list(x for x in {y for y in 'ab'})\n"
    )
    made.here()
    exec(compile("1 + 1\n", str(tmp_path / "other.py"), "exec"), {})
    assert made.ran() == ["here"]


def test_equal_functions(recording: Recording, tmp_path: Path) -> None:
    first, second = (
        Project(tmp_path / name, "def a(): ...\n", recording) for name in ("first.py", "second.py")
    )
    recording.begin()
    first.a(), second.a()
    assert [Path(code.co_filename).name for code in recording.executed()] == [
        "first.py",
        "second.py",
    ]


def test_resumed_generator(
    project: MakeProject,
) -> None:
    made = project("def numbers():\n    yield 1\n    yield 2\n    yield 3\n")
    generator = made.numbers()
    next(generator)
    for _ in range(2):
        made.recording.begin()
        assert made.ran() == []
        next(generator)
        assert made.ran() == ["numbers"]


def test_generator_started_before_recording(monitoring: Any, tmp_path: Path) -> None:
    scope: dict[str, Any] = {}
    exec(
        compile("def a():\n    yield 1\n    yield 2\n", str(tmp_path / "module.py"), "exec"), scope
    )
    generator = scope["a"]()
    next(generator)
    recording = Recording.start(lambda filename: filename == str(tmp_path / "module.py"))
    assert recording is not None
    recording.begin()
    next(generator)
    assert [code.co_name for code in recording.executed()] == ["a"]
    recording.stop()


def test_resumed_coroutine(
    project: MakeProject,
) -> None:
    made = project(
        "class Wait:\n    def __await__(self): yield\n"
        "async def task():\n    await Wait()\n    await Wait()\n"
    )
    coroutine = made.task()
    coroutine.send(None)
    made.recording.begin()
    coroutine.send(None)
    assert made.ran() == ["task", "Wait.__await__"]
    coroutine.close()


# --- a function that runs often ------------------------------------------------------------


def watched(monitoring: Any, function: types.FunctionType) -> bool:
    tools = [number for number in TOOL_IDS if monitoring.get_tool(number) == TOOL_NAME]
    return any(monitoring.get_local_events(number, function.__code__) for number in tools)


def test_ignored_until_next_test(monitoring: Any, project: MakeProject) -> None:
    made = project("def often(): ...\ndef once(): ...\n")
    for _ in range(3):
        for _ in range(MAX_STARTS):
            made.often()
        made.once()
        assert (watched(monitoring, made.often), watched(monitoring, made.once)) == (False, True)
        made.often()
        assert made.ran() == ["often", "once"]
        made.recording.begin()


def test_deep_recursion(project: MakeProject) -> None:
    made = project(
        "def down(n=1):\n    try:\n        return down(n + 1)\n"
        "    except RecursionError:\n        return n\n"
    )
    recorded = made.down()
    assert made.ran() == ["down"]
    made.recording.stop()
    assert made.down() - recorded in range(10)


def test_threads(project: MakeProject) -> None:
    names = [f"f{n}" for n in range(20)]
    made = project("".join(f"def {name}(): ...\n" for name in names))
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            for name in names:
                made.scope[name]()

    interval = sys.getswitchinterval()
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(300):
            made.recording.begin()
            for name in names * (MAX_STARTS - 1):
                made.scope[name]()
            assert sorted(made.ran()) == sorted(names)
    finally:
        sys.setswitchinterval(interval)
        ended.set()
        for thread in threads:
            thread.join()
    for _ in range(2):  # whatever was let go amid all that is given back
        made.recording.begin()
        for name in names:
            made.scope[name]()
        assert made.ran() == names


# --- beginning and end ---------------------------------------------------------------------


def test_stop(project: MakeProject) -> None:
    made = project("def a(): ...\ndef b(): ...\n")
    for _ in range(MAX_STARTS):
        made.a()
    made.recording.stop()
    made.recording.stop()
    made.a(), made.b()
    assert made.ran() == ["a"]
    made.recording.begin()
    made.a()
    assert made.ran() == []


def test_freed_tools(monitoring: Any, project: MakeProject) -> None:
    made = project("def a(): ...\n")
    made.a()
    tools = [number for number in TOOL_IDS if monitoring.get_tool(number) == TOOL_NAME]
    made.recording.stop()
    for number in tools:
        monitoring.use_tool_id(number, "other")
        assert (
            monitoring.get_events(number)
            == monitoring.get_local_events(number, made.a.__code__)
            == 0
        )
        for event in (monitoring.events.PY_START, monitoring.events.PY_RESUME):
            assert monitoring.register_callback(number, event, None) is None
        monitoring.free_tool_id(number)


def test_second_recording(monitoring: Any, tmp_path: Path) -> None:
    scope: dict[str, Any] = {}
    exec(compile("def a(): ...\n", str(tmp_path / "module.py"), "exec"), scope)
    for wanted in (False, True, True):
        recording = Recording.start(
            lambda filename, is_wanted=wanted: is_wanted and filename.startswith(str(tmp_path))  # type: ignore[misc]
        )
        assert recording is not None
        recording.begin()
        scope["a"]()
        recording.stop()
        assert [code.co_name for code in recording.executed()] == ["a"] * wanted


def test_two_recordings_at_once(recording: Recording, monitoring: Any) -> None:
    before = [monitoring.get_tool(number) for number in range(6)]
    assert Recording.start(lambda filename: True) is None
    assert [monitoring.get_tool(number) for number in range(6)] == before


@pytest.mark.parametrize("taken", [(5,), (4,), (5, 4), (3, 5)])
def test_taken_ids(monitoring: Any, taken: tuple[int, ...]) -> None:
    for number in taken:
        monitoring.use_tool_id(number, "other")
    try:
        recording = Recording.start(lambda filename: True)
        assert (recording is None) == (len(taken) == 2)
        assert all(monitoring.get_tool(number) == "other" for number in taken)
        assert [monitoring.get_tool(number) for number in range(6)].count(TOOL_NAME) == (
            0 if recording is None else 2
        )
        if recording:
            recording.stop()
    finally:
        for number in taken:
            monitoring.free_tool_id(number)


def test_tool_freed_by_others(monitoring: Any, project: MakeProject) -> None:
    made = project("def a(): ...\ndef b(): ...\n")
    made.a()
    for number in TOOL_IDS:
        monitoring.free_tool_id(number)
    for _ in range(2 * MAX_STARTS):
        made.a(), made.b()
    made.recording.begin()
    made.recording.stop()
    assert [monitoring.get_tool(number) for number in TOOL_IDS] == [None] * 3


@pytest.mark.parametrize("end", ["", "recording.stop()\n", "recording.stop(); recording.stop()\n"])
def test_interpreter_exit(pytester: pytest.Pytester, monitoring: Any, end: str) -> None:
    script = pytester.makepyfile(
        """
        import atexit, sys, threading, time
        from pytest_starcoder.explain.recording import Recording

        def at_exit(): deep(3)
        def deep(n): return n and deep(n - 1)
        def for_ever():
            while True:
                deep(2)
                exec("def new(): ...\\nnew()\\n")

        class Late:
            def __del__(self): deep(2), (lambda: self)()

        atexit.register(at_exit)
        recording = Recording.start(lambda filename: True)
        atexit.register(at_exit)
        recording.begin()
        late, sys.late = Late(), Late()
        threading.Thread(target=for_ever, daemon=True).start()
        time.sleep(0.05)
        print(len(recording.executed()) > 3)
        """
        + end
    )
    run = pytester.run(sys.executable, "-X", "dev", "-W", "error", script)
    assert (run.ret, run.outlines, run.errlines) == (0, ["True"], [])


# --- beside others -------------------------------------------------------------------------

WORK = """
def loop(n):
    return sum(step(x) for x in range(n))
def step(x):
    return x + 1
def deep(n):
    return n and deep(n - 1)
def numbers():
    yield 1
    yield step(1)
def rare():
    return (lambda:
        0)()
"""


def work(made: Project) -> None:
    """Three tests, of which each runs other functions often."""
    for _ in range(3):
        made.recording.begin()
        made.loop(50), made.deep(50), list(made.numbers())
        assert made.ran() == ["loop", "step", "deep", "numbers"]
        made.recording.begin()
        list(made.numbers()), made.step(1)
        assert made.ran() == ["numbers", "step"]
        made.recording.begin()
        made.rare(), made.deep(1)
        assert made.ran() == ["rare", "rare.<lambda>", "deep"]


@pytest.mark.parametrize("event", ["LINE", "PY_START", "PY_RETURN", "CALL"])
@pytest.mark.parametrize("disabling", [False, True])
def test_with_debugger(monitoring: Any, project: MakeProject, event: str, disabling: bool) -> None:
    made = project(WORK)
    seen: list[set[tuple[str, int]]] = []
    for recorded in (True, False):
        seen.append(set())

        def see(code: types.CodeType, where: int, *_: object) -> object:
            if code.co_filename == made.rare.__code__.co_filename:
                seen[-1].add((code.co_qualname, where))
            return monitoring.DISABLE if disabling else None

        monitoring.use_tool_id(0, "debugger")
        try:
            monitoring.register_callback(0, getattr(monitoring.events, event), see)
            monitoring.set_events(0, getattr(monitoring.events, event))
            monitoring.restart_events()
            if recorded:
                work(made)
            else:
                made.loop(50), made.deep(50), list(made.numbers()), made.rare()
        finally:
            monitoring.set_events(0, 0)
            monitoring.register_callback(0, getattr(monitoring.events, event), None)
            monitoring.free_tool_id(0)
        made.recording.stop()
    assert (
        seen[0] >= seen[1] != set()
    )  # alone, a debugger on 3.13.0 misses the line of a function that is on one line


def test_restarted_events(monitoring: Any, project: MakeProject) -> None:
    made = project(WORK + "def restart(): again()\n")
    made.scope["again"] = monitoring.restart_events
    for _ in range(3):
        work(made)
        monitoring.restart_events()
        made.recording.begin()
        for _ in range(2 * MAX_STARTS):
            made.restart(), made.step(1)
        assert made.ran() == ["restart", "step"]


class Debugger(bdb.Bdb):
    """Steps through every line."""

    lines = 0

    def user_line(self, frame: types.FrameType) -> None:
        self.lines += 1
        self.set_step()


def test_under_bdb(project: MakeProject) -> None:
    made = project(WORK)
    debugger = Debugger()
    before = sys.gettrace()
    debugger.set_trace()
    try:
        work(made)
    finally:
        debugger.set_quit()
        sys.settrace(before)
    assert debugger.lines > 100


def test_under_profiler(project: MakeProject) -> None:
    made = project(WORK)
    calls: list[str] = []
    before = sys.getprofile()
    sys.setprofile(
        lambda frame, event, _: calls.append(frame.f_code.co_name) if event == "call" else None
    )
    try:
        work(made)
    finally:
        sys.setprofile(before)
    assert calls.count("step") == 3 * (50 + 1 + 2)


SHOP = """
import asyncio, threading

class Shop:
    rates = [n for n in range(3)]
    def __init__(self): self.items = []
    def add(self, price): self.items.append(price)
    @property
    def total(self): return sum(taxed(price) for price in self.items)

def taxed(price):
    if price > 40:
        return price * 1.2
    return price

def parts(n):
    if n < 2:
        return 1
    return parts(n - 1) + parts(n - 2)

def stream(n):
    for x in range(n):
        yield round_up(x)

def round_up(x): return x + (lambda: 1)()

async def fetch(n):
    await asyncio.sleep(0)
    return taxed(n)

async def fetch_all(): return [await fetch(n) for n in range(20)]

def in_thread():
    thread = threading.Thread(target=parts, args=(5,))
    thread.start()
    thread.join()

def never(): return 1
"""

TEST_SHOP = """
import asyncio
import pytest
from shop import Shop, fetch_all, in_thread, parts, round_up, stream, taxed

@pytest.fixture(scope="module")
def running():
    numbers = stream(100)
    next(numbers)
    yield numbers
    list(numbers)

@pytest.fixture
def shop():
    shop = Shop()
    yield shop
    shop.add(1)

@pytest.mark.parametrize("n", [1, 10, 50])
def test_total(shop, n):
    for price in range(n):
        shop.add(price)
    assert shop.total >= 0

def test_parts(): assert parts(10) == 89
def test_stream(running): assert next(running) == 2
def test_stream_goes_on(running): assert next(running) == 3
def test_fetch(): assert len(asyncio.run(fetch_all())) == 20
def test_thread(): in_thread()
def test_fails(shop): assert taxed(parts(4)) == 6
def test_once(): assert taxed(41) > 41
def test_rounds(): assert [round_up(x) for x in range(30)][-1] == 30
"""

WATCHING = """
import atexit, os, sys, threading
from pathlib import Path
import pytest

ROOT, HOW = str(Path(__file__).parent), os.environ["WATCHED_BY"]

def wanted(filename): return filename.startswith(ROOT) and not filename.endswith("conftest.py")

class Profile:
    def __init__(self):
        sys.setprofile(self.see)
        threading.setprofile(self.see)
        # At the end of the process, what it uses is gone.
        atexit.register(threading.setprofile, None)
        atexit.register(sys.setprofile, None)
    def begin(self): self.codes = []
    def executed(self): return self.codes
    def see(self, frame, event, _):
        code = frame.f_code
        own = wanted(code.co_filename) and code.co_name not in ("<module>", "<genexpr>", "Shop")
        if event == "call" and own and code not in self.codes:
            self.codes.append(code)

class Nothing:
    def begin(self): pass
    def executed(self): return []

class Watching:
    def __init__(self, watch): self.watch = watch

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        self.watch.begin()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if call.when == "teardown":
            names = [code.co_qualname for code in self.watch.executed()]
            report.user_properties.append(("ran", names))
        return report

def pytest_configure(config):
    if HOW == "recording":
        from pytest_starcoder.explain.recording import Recording
        watch = Recording.start(wanted)
        assert watch is not None
    else:
        watch = {"profile": Profile, "nothing": Nothing}[HOW]()
    config.pluginmanager.register(Watching(watch))

def pytest_runtest_logreport(report):
    if report.when == "teardown" and not os.environ.get("PYTEST_XDIST_WORKER"):
        with open("ran.txt", "a") as file:
            print(report.nodeid, *dict(report.user_properties)["ran"], file=file)
"""


TEST_GIVEN = """
from hypothesis import given, settings, strategies as st
from shop import parts, round_up, taxed

def close(a, b):
    if a > b + 5:
        return False
    return True

@settings(derandomize=True, database=None, max_examples=30)
@given(st.integers(0, 12), st.integers(0, 100))
def test_given(n, price): assert parts(n) and taxed(price) >= price

@settings(derandomize=True, database=None)
@given(st.integers(), st.integers())
def test_given_fails(a, b): assert close(round_up(a), b)
"""


class Runs:
    """Runs of a project, in a process of their own, and what each test executed in them."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester, self.monkeypatch = pytester, monkeypatch
        monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # these runs are no part of ours
        pytester.makeconftest(WATCHING)
        pytester.makepyfile(shop=SHOP, test_shop=TEST_SHOP)

    def ran(self, how: str, *before: str, after: tuple[str, ...] = ()) -> list[str]:
        """Return the functions that each test executed, by the recording or a profiler."""
        self.monkeypatch.setenv("WATCHED_BY", how)
        output = self.pytester.path / "ran.txt"
        output.unlink(missing_ok=True)
        self.run = self.pytester.run(
            sys.executable, *before, "-m", "pytest", "-p", "no:cacheprovider", *after
        )
        assert self.run.errlines == []
        return sorted(output.read_text().splitlines())


@pytest.fixture
def runs(monitoring: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(pytester, monkeypatch)


def test_whole_run(runs: Runs) -> None:
    assert len(profiled := runs.ran("profile")) == 11
    assert runs.ran("recording") == profiled
    runs.run.assert_outcomes(passed=10, failed=1)


def test_with_xdist(runs: Runs) -> None:
    runs.pytester.makepyfile(test_again=TEST_SHOP)
    assert len(profiled := runs.ran("profile")) == 22
    assert runs.ran("recording", after=("-n", "2", "--dist", "loadfile")) == profiled


@pytest.mark.slow
def test_with_hypothesis(runs: Runs) -> None:
    runs.monkeypatch.delenv("PYTEST_ADDOPTS")  # which leaves Hypothesis out
    runs.pytester.makepyfile(test_given=TEST_GIVEN)
    output = []
    for how in ("nothing", "recording"):
        ran = runs.ran(how, after=("test_given.py",))
        output.append(
            [line for line in runs.run.outlines if line.startswith(("E ", ">", "Falsifying"))]
        )
    assert output[0] == output[1] != []
    assert any("Explanation" in line for line in output[0])
    assert ran == runs.ran("profile", after=("test_given.py",))


@pytest.mark.parametrize(
    ("core", "options"),
    [("ctrace", ()), pytest.param("ctrace", ("--branch",), marks=pytest.mark.slow), ("sysmon", ())],
)
def test_with_coverage(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, core: str, options: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COVERAGE_CORE", core)
    covered: list[object] = []
    ran: list[list[str]] = []
    for how in ("nothing", "recording"):
        ran.append(runs.ran(how, "-m", "coverage", "run", *options, "--include=*shop.py"))
        runs.pytester.run(sys.executable, "-m", "coverage", "json", "-q", "-o", "covered.json")
        covered.append(json.loads((runs.pytester.path / "covered.json").read_text())["files"])
    assert covered[0] == covered[1]
    assert ran[1] == runs.ran("profile")
