"""Runs with other plugins: their files stay as they are, and they are loaded again.

The plugins are installed in a folder of their own, or they would be in every run of this suite.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from textwrap import dedent
from threading import Thread

import pytest
from support.screens import section

pytestmark = [pytest.mark.slow, pytest.mark.ecosystem]

PLUGINS = """
    allure-pytest==2.* pytest-bdd>=8 pytest-cov>=6 pytest-csv==3.* pytest-html==4.*
    pytest-json-report==1.* pytest-random-order==1.* pytest-randomly>=4 pytest-recording>=0.13
    pytest-repeat>=0.9 pytest-reportlog==1.* pytest-rerunfailures>=15 pytest-split>=0.10
    """.split()

OURS = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "coverage", "pygments")
"""Packages that are already installed."""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the plugins, one for all workers of xdist."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "other plugins"
    done, failed = shared / "other plugins.done", shared / "other plugins.failed"
    try:
        folder.mkdir()
    except FileExistsError:
        while not (done.exists() or failed.exists()):
            time.sleep(0.2)
    else:
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-compile",
            "--disable-pip-version-check",
        ]
        command += ["--target", str(folder), *PLUGINS]
        ended = subprocess.run(command, capture_output=True, timeout=300, check=False)
        for name in OURS:
            for path in folder.glob(f"{name}*"):
                if path.name == name or path.name.startswith(f"{name}-"):
                    shutil.rmtree(path)
        (failed if ended.returncode else done).touch()
    if failed.exists():
        pytest.skip("the plugins cannot be installed here")
    return folder


STOCK = {
    "stock.py": """
        def total(rows):
            return sum(row["qty"] for row in rows) - 1


        def names(rows):
            return sorted(row["name"] for row in rows)
        """,
    "test_stock.py": """
        from stock import names, total

        ROWS = [{"name": "b", "qty": 2}, {"name": "a", "qty": 3}]

        def test_total(): assert total(ROWS) == 5
        def test_one(): assert total(ROWS[:1]) == 2
        def test_names(): assert names(ROWS) == ["a", "b"]
        def test_no_names(): assert names([]) == []
        """,
}


class Suite:
    """A project with a fault in `stock.py`, run with chosen plugins."""

    def __init__(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, installed: Path
    ) -> None:
        self._pytester = pytester
        monkeypatch.setenv("PYTHONPATH", str(installed))
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        monkeypatch.delenv("PYTEST_ADDOPTS")
        self._monkeypatch = monkeypatch
        self._loaded = ["-p", "starcoder"]

    def load(self, names: str) -> None:
        """Load only the plugins with these entry point names."""
        for name in names.split():
            self._loaded += ["-p", name]

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self._pytester.path / name).write_text(dedent(text).lstrip("\n"))

    def run(self, *options: str) -> pytest.RunResult:
        return self._pytester.runpytest_subprocess(*self._loaded, *options)

    def explain(self, *options: str, fix: str = "off") -> str:
        """Return the section as one line."""
        words = ("--starcoder-explain", "--starcoder-backend=none", f"--starcoder-fix={fix}")
        return " ".join(" ".join(section(self.run(*words, *options))).split())

    def take_files(self) -> dict[str, bytes]:
        """Return the files that exist now, and remove them."""
        files = {}
        for path in sorted(self._pytester.path.rglob("*")):
            name = path.relative_to(self._pytester.path).as_posix()
            is_cache = {"__pycache__", ".pytest_cache"} & set(path.parts)
            if path.is_file() and not is_cache and not name.startswith(("std", "runpytest")):
                files[name] = path.read_bytes()
                path.unlink()
        for folder in self._pytester.path.glob("runpytest-*"):
            folder.unlink() if folder.is_symlink() else shutil.rmtree(folder)
        return files


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, installed: Path) -> Suite:
    return Suite(pytester, monkeypatch, installed)


def shape(files: dict[str, bytes]) -> Counter[tuple[str, str]]:
    """Return what files hold, without times, numbers and random names."""
    changing = re.compile(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|0x[0-9a-f]+|[0-9a-f]{32}|\d+(\.\d+)?(e-\d+)?"
    )
    texts = {name: content.decode("utf-8", "replace") for name, content in files.items()}
    return Counter(
        (changing.sub("N", name), changing.sub("N", text)) for name, text in texts.items()
    )


SUM = 'return sum(row["qty"] for row in rows)'

FIXED = f"stock.py:2 - {SUM} - 1 + {SUM}"
"""The fix of the fault, as the section shows it."""

FEATURE = {
    "stock.feature": """
        Feature: Stock
          Scenario: One row
            Given a row of 2
            Then the total is 2

          Scenario: Its name
            Given a row of 2
            Then it has a name
        """,
    "test_stock.py": """
        from pytest_bdd import given, scenarios, then
        from stock import names, total

        scenarios("stock.feature")

        @given("a row of 2", target_fixture="rows")
        def rows(): return [{"name": "b", "qty": 2}]

        @then("the total is 2")
        def right(rows): assert total(rows) == 2

        @then("it has a name")
        def named(rows): assert names(rows) == ["b"]
        """,
}

CONFTEST = """
    import os, sqlite3
    import pytest

    def note(text):
        with open(os.environ["NOTES"], "a") as file:
            file.write(text + "\\n")

    note("imported")

    def pytest_configure(config):
        config.add_cleanup(lambda: note("cleanup"))
        config.notes = open(os.environ["NOTES"], "a")

    def pytest_unconfigure(config): config.notes.close()
    def pytest_runtest_teardown(item): item.config.notes.write(item.nodeid)
    def pytest_runtest_logreport(report): note(report.nodeid)
    def pytest_sessionfinish(session): note("finish")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(item, call):
        report = yield
        note(report.nodeid)
        return report

    def pytest_runtest_setup(item):
        with sqlite3.connect("runs.db") as database:
            database.execute("create table if not exists runs (name)")
            database.execute("insert into runs values (?)", (item.nodeid,))
"""
"""A conftest file that writes wherever it can."""


@pytest.mark.parametrize(
    ("plugins", "options", "files"),
    [
        pytest.param(
            "allure_pytest pytest-split pytest_csv html html_fixtures metadata rerunfailures "
            "pytest_jsonreport pytest_reportlog",
            [
                *("--alluredir", "results", "--clean-alluredir", "--store-durations"),
                *("--csv=tests.csv", "--html=report.html", "--self-contained-html"),
                *("--reruns=2", "--json-report", "--report-log=log.jsonl"),
            ],
            {},
            id="reports",
        ),
        pytest.param("pytest-bdd", ["--cucumberjson=cucumber.json"], FEATURE, id="bdd"),
        pytest.param("xdist", [], {"conftest.py": CONFTEST}, id="conftest"),
    ],
)
def test_files_stay(
    suite: Suite,
    plugins: str,
    options: list[str],
    files: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOTES", "notes.txt")
    suite.load(plugins)
    suite.write({**STOCK, **files})
    suite.run(*options)
    plain = suite.take_files()
    suite.write({**STOCK, **files})
    text = suite.explain(*options, fix="on")
    explained = suite.take_files()
    assert shape(explained) == shape(plain)
    assert FIXED in text


class _Quantity(BaseHTTPRequestHandler):
    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"2")

    def log_message(self, *_: object) -> None:
        pass


def test_cassettes_stay(suite: Suite) -> None:
    """The user's run records them again; our run replays them without requests."""
    suite.load("recording")
    suite.write(STOCK)
    with HTTPServer(("127.0.0.1", 0), _Quantity) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        test = f"""
            import urllib.request
            import pytest
            from stock import total

            def quantity():
                with urllib.request.urlopen("http://127.0.0.1:{server.server_port}/") as answer:
                    return int(answer.read())

            @pytest.mark.vcr
            def test_asked(): assert total([{{"qty": quantity()}}]) == 2

            @pytest.mark.vcr
            def test_none(): assert quantity() and total([]) in (-1, 0)
            """
        suite.write({"test_stock.py": test})
        _Quantity.requests = 0
        text = suite.explain("--record-mode=rewrite", fix="on")
        server.shutdown()
    assert _Quantity.requests == 2
    assert "failed again when rerun" in text
    assert FIXED in text
    cassettes = {
        name: text for name, text in suite.take_files().items() if name.startswith("cassettes/")
    }
    assert [text.count(b"uri: http://127.0.0.1") for text in cassettes.values()] == [1, 1]


def test_plugins_stay_loaded(suite: Suite) -> None:
    suite.load("xdist rerunfailures randomly pytest_cov")
    suite.write(
        {
            "test_it.py": """
                import pytest

                @pytest.fixture(autouse=True)
                def other(worker_id, testrun_uid, cov): assert worker_id

                @pytest.mark.xdist_group("db")
                @pytest.mark.flaky(reruns=2)
                def test_bad(): assert 1 == 2

                @pytest.mark.xdist_group("db")
                def test_fine(): pass
                """
        }
    )
    options = [
        *("-n1", "--max-worker-restart=0", "--dist", "loadgroup", "--randomly-dont-reorganize"),
        *("--reruns=1", "--strict-markers", "-W", "error", "--cov=.", "--cov-report="),
    ]
    text = suite.explain(*options)
    assert "checked failed again when rerun; 1 neighbour passed" in text
    assert "test_it.py::test_bad Ran" not in text
    assert re.search(r"rerun pytest --randomly-seed=\d+ test_it.py::test_bad ", text)


def test_plugins_of_generated_tests(suite: Suite) -> None:
    suite.load("xdist rerunfailures")
    suite.write(
        {
            "shop.py": "def double(x: int) -> int:\n    return x * 2\n",
            "conftest.py": """
                import pytest

                @pytest.fixture(autouse=True)
                def worker(worker_id): assert worker_id
                """,
            "test_shop.py": """
                from shop import double

                def test_double(worker_id): assert double(0) == 0
                """,
        }
    )
    result = suite.run(
        "--starcoder-generate=shop.py", "--starcoder-backend=none", "-n1", "--reruns=1"
    )
    text = result.stdout.str()
    assert "generated tests" in text
    assert "suspected bug" not in text
    assert "FixtureLookupError" not in text


def test_seed_is_kept(suite: Suite) -> None:
    suite.load("randomly")
    suite.write(
        {
            "test_it.py": """
                import random

                def test_low(): assert random.random() > 1e9
                def test_fine(): pass
                """
        }
    )
    text = suite.explain()
    value = re.search(r"random\.random\(\) returned ([\d.]+)", text)
    seed = re.search(r"rerun pytest --randomly-seed=(\d+) test_it.py::test_low", text)
    assert value
    assert seed
    assert "checked failed again when rerun; 1 neighbour passed" in text
    again = suite.run(f"--randomly-seed={seed[1]}", "test_it.py::test_low")
    assert f"assert {value[1]} > " in again.stdout.str()


def test_order_under_random_order(suite: Suite) -> None:
    suite.load("random_order")
    names = [f"test_{number}" for number in range(6)]
    body = "".join(f"def {name}(): SEEN.append(1); assert len(SEEN) < 4\n" for name in names)
    suite.write({"test_it.py": "SEEN = []\n" + body})
    text = suite.explain("--random-order", "--random-order-seed=7")
    assert "dependent on the order" in text


def test_repeated_tests(suite: Suite) -> None:
    suite.load("repeat")
    suite.write({"test_it.py": "def test_bad(): assert 1 == 2\ndef test_fine(): pass\n"})
    text = suite.explain("--count=2")
    assert "checked 2 tests failed again; 2 neighbours passed" in text
    assert "rerun pytest --count=2 'test_it.py::test_bad[1-2]'" in text
