"""In a re-run, writes of hooks are redirected and writes of tests are not."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.runner.rerun import rerun


class Project:
    """A small project, and re-runs of its tests."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.write("pytest.ini", "[pytest]\n")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(dedent(text))

    def run(self, *names: str) -> list[Outcome]:
        launch = Launch(self.root, self.root, self.root / "pytest.ini")
        return rerun(launch, [f"test_it.py::{name}" for name in names], Deadline.after(60))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


HOOKS = """
    import os, pathlib, shutil, sqlite3
    import pytest

    def files(folder):
        return sorted(path.name for path in pathlib.Path(folder).rglob("*"))

    LOG = open("import.log", "a")

    def pytest_configure(config):
        assert files("out") == ["a.txt", "b.txt"]
        shutil.rmtree("out")
        assert not os.path.exists("out/a.txt")
        os.makedirs("out/new")
        with open("out/new/c.txt", "w") as file:
            file.write("c")
        assert files("out") == ["c.txt", "new"]
        os.remove("gone.txt")
        assert "gone.txt" not in os.listdir() and not pathlib.Path("gone.txt").exists()
        with open("count.txt", "a") as file:
            file.write("more")
        assert pathlib.Path("count.txt").read_text() == "onemore"
        os.rename("old.txt", "renamed.txt")
        assert pathlib.Path("renamed.txt").read_text() == "old" and not os.path.exists("old.txt")
        pathlib.Path("whole.tmp").write_text("new")
        pathlib.Path("whole.tmp").replace("whole.txt")
        assert pathlib.Path("whole.txt").read_text() == "new"
        os.chmod("count.txt", 0o600), os.utime("whole.txt", (1, 1)), os.chmod("kept", 0o700)
        os.symlink("whole.txt", "link.txt")
        config.add_cleanup(lambda: pathlib.Path("cleanup.txt").touch())

    def pytest_sessionfinish():
        with sqlite3.connect("runs.db") as database:
            database.execute("create table runs (number)")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(item):
        open("old style.txt", "a").close()
        yield
        open("old style.txt", "a").close()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(fixturedef):
        open("fixtures.txt", "a").close()
        return (yield)

    def pytest_unconfigure():
        open("unconfigure.txt", "w").close()
"""


CALLS = """
    import asyncio, functools, inspect, threading
    import pytest

    def note(name):
        with open(name, "a") as file:
            file.write("hook")

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(pyfuncitem):
        note("noted.txt")
        if not inspect.iscoroutinefunction(inspect.unwrap(pyfuncitem.obj)):
            return None
        asyncio.run(pyfuncitem.obj())
        note("done.txt")
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(fixturedef, request):
        note("noted.txt")
        if fixturedef.argname != "thread":
            return None
        setting = threading.Thread(target=fixturedef.func)
        setting.start()
        setting.join()
        fixturedef.cached_result = (None, fixturedef.cache_key(request), None)
        return ()
"""


def tree(root: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return every file below a folder: its content, mode and modification time."""
    files = {}
    for path in sorted(root.rglob("*")):
        if "__pycache__" not in path.parts and path.name != "__pycache__":
            state, content = path.stat(), path.read_bytes() if path.is_file() else b""
            files[path.relative_to(root).as_posix()] = (content, state.st_mode, state.st_mtime_ns)
    return files


def test_writes_of_hooks(project: Project) -> None:
    for name in ("out", "kept"):
        (project.root / name).mkdir()
    for name in ("out/a.txt", "out/b.txt", "gone.txt", "old.txt", "whole.txt", "runs.db"):
        (project.root / name).write_text(name.removesuffix(".txt") if name != "runs.db" else "")
    (project.root / "count.txt").write_text("one")
    project.write("conftest.py", HOOKS)
    project.write(
        "test_it.py", "def test_a(tmp_path): assert open('count.txt').read() == 'onemore'\n"
    )
    before = tree(project.root)
    [outcome] = project.run("test_a")
    assert (outcome.outcome, outcome.message) == ("passed", "")
    assert tree(project.root) == before


def test_writes_of_tests(project: Project) -> None:
    project.write(
        "conftest.py",
        """
        import os
        def pytest_sessionfinish():
            os.remove("scratch.txt")
        """,
    )
    project.write(
        "test_it.py",
        """
        import os, pathlib, sqlite3, subprocess, sys, threading
        import pytest

        pathlib.Path("module.txt").touch()

        @pytest.fixture(scope="session")
        def service():
            pathlib.Path("service.txt").write_text("up")
            yield
            pathlib.Path("service.txt").write_text("down")

        def test_a(service):
            os.makedirs("made/below")
            pathlib.Path("made/below/test.txt").write_text("x")
            pathlib.Path("scratch.txt").touch()
            thread = threading.Thread(target=pathlib.Path("thread.txt").touch)
            thread.start(), thread.join()
            sqlite3.connect("test.db").execute("create table runs (number)")
            code = "import pathlib; assert pathlib.Path('service.txt').read_text() == 'up'"
            subprocess.run([sys.executable, "-c", code], check=True)
        """,
    )
    [outcome] = project.run("test_a")
    assert (outcome.outcome, outcome.message) == ("passed", "")
    names = {
        "made",
        "made/below",
        "made/below/test.txt",
        "module.txt",
        "service.txt",
        "test.db",
        "thread.txt",
    }
    assert tree(project.root).keys() == names | {"conftest.py", "pytest.ini", "test_it.py"}
    assert (project.root / "service.txt").read_text() == "down"


def test_temporary_folders_of_hooks(project: Project) -> None:
    project.write(
        "conftest.py",
        """
        import pathlib, shutil, subprocess, sys, tempfile
        import pytest

        def pytest_configure(config):
            config.place = pathlib.Path(tempfile.mkdtemp())
            (config.place / "settings.txt").write_text("on")
            file = str(config.place / "settings.txt")
            code = f"import pathlib; assert pathlib.Path({file!r}).read_text() == 'on'"
            subprocess.run([sys.executable, "-c", code], check=True)

        def pytest_unconfigure(config):
            shutil.rmtree(config.place)

        @pytest.fixture
        def place(pytestconfig):
            return pytestconfig.place
        """,
    )
    project.write("test_it.py", "def test_a(place): open('place.txt', 'w').write(str(place))\n")
    [outcome] = project.run("test_a")
    assert (outcome.outcome, outcome.message) == ("passed", "")
    assert not Path((project.root / "place.txt").read_text()).exists()


def test_hooks_of_the_code_under_test(project: Project) -> None:
    """Code that has its own hooks, or runs its own pytest, is treated like any other code."""
    project.write(
        "test_it.py",
        """
        import pathlib, pluggy, pytest

        spec, impl = pluggy.HookspecMarker("app"), pluggy.HookimplMarker("app")

        class Spec:
            @spec
            def save(self, name): ...

        class Plugin:
            @impl
            def save(self, name): pathlib.Path(name).touch()

        def test_a():
            manager = pluggy.PluginManager("app")
            manager.add_hookspecs(Spec)
            manager.register(Plugin())
            manager.hook.save(name="app.txt")

        class Inner:
            def pytest_sessionfinish(self): pathlib.Path("inner.txt").touch()

        def test_b(tmp_path):
            pytest.main([str(tmp_path), "-p", "no:cacheprovider"], plugins=[Inner()])
        """,
    )
    outcomes = project.run("test_a", "test_b")
    assert [(outcome.outcome, outcome.message) for outcome in outcomes] == [("passed", "")] * 2
    assert {"app.txt", "inner.txt"} <= tree(project.root).keys()


def test_hooks_that_call_tests(project: Project) -> None:
    project.write("conftest.py", CALLS)
    project.write(
        "test_it.py",
        """
        import functools, pathlib, pytest
        @pytest.fixture
        def plain(): pathlib.Path("plain.txt").write_text("")
        @pytest.fixture
        def thread(): pathlib.Path("thread.txt").write_text("")
        def wrapping(function):
            @functools.wraps(function)
            async def wrapped(): await function()
            return wrapped
        def test_plain(plain): pathlib.Path("test.txt").write_text("")
        def test_thread(thread): pass
        async def test_async(): pathlib.Path("async.txt").write_text("")
        @wrapping
        async def test_wrapped(): pathlib.Path("wrapped.txt").write_text("")
        class TestIt:
            async def test_method(self): pathlib.Path("method.txt").write_text("")
        """,
    )
    outcomes = project.run(
        "test_plain", "test_thread", "test_async", "test_wrapped", "TestIt::test_method"
    )
    assert [outcome.outcome for outcome in outcomes] == ["passed"] * 5
    written = {path.name for path in project.root.glob("*.txt")}
    assert written == {
        f"{name}.txt" for name in ("plain", "thread", "test", "async", "wrapped", "method")
    }
