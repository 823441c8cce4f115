"""Failures of the environment, in a whole run of a project that needs a file and services."""

from __future__ import annotations

import os

import pytest
from support.repositories import repository
from support.runs import Run, run_pytest
from support.servers import closed_port

PORT = closed_port().rpartition(":")[2]

FILES = {
    "pyproject.toml": """
        [build-system]
        requires = ["setuptools"]
        [project]
        name = "no-such-shop"
        dependencies = ["No.Such-Tool"]
        optional-dependencies = {test = ["pytest-httpserver"]}
    """,
    "src/no_such_shop/__init__.py": "",
    "services.py": f"""
        import os
        import subprocess
        import urllib.request

        def prices(path="data/prices.csv"):
            with open(path) as file:
                return file.read()

        def host():
            return os.environ["NO_SUCH_SHOP_HOST"].lower()

        def orders():
            return urllib.request.urlopen("http://127.0.0.1:{PORT}/orders").read()

        def video():
            return subprocess.check_output(["no-such-ffmpeg", "-version"])

        def export(path):
            with open(path) as file:
                return file.read()

        def join(first, second):
            return first + second
    """,
    "test_services.py": """
        from unittest import mock

        import pytest

        import services
        from services import export, host, join, orders, prices, video

        def test_join():
            assert join("a", "b") == "ab"

        def test_prices():
            assert prices().startswith("name")

        def test_host():
            assert host() == "shop.example"

        def test_other_host():
            assert "shop" in host()

        def test_orders():
            assert orders() == b"[]"

        def test_video():
            assert video()

        def test_export(tmp_path):
            assert export(tmp_path / "out.csv") == "a"

        def test_double():
            refused = ConnectionRefusedError(111, "Connection refused")
            with mock.patch("urllib.request.urlopen", side_effect=refused):
                assert orders() == b"[]"
    """,
    "test_web.py": """
        def test_web(httpserver):
            assert httpserver

        def test_misspelt(tmp_pth):
            assert tmp_pth
    """,
    "test_shop.py": "import no_such_shop\n",
    "test_shop_more.py": "import no_such_shop\n",
    "test_tool.py": "import no_such_tool\n",
}

OPTIONS = (
    "--starcoder-explain",
    "--starcoder-backend=none",
    "--starcoder-report=out.json",
    "--continue-on-collection-errors",
)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fixes are tried in forks")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = repository(
        tmp_path_factory.mktemp("shop"), {"data/prices.csv": "name,price\n", ".gitignore": "*.py\n"}
    )
    (folder / "data/prices.csv").unlink()
    variables = {"STARCODER_FIX": "on", "STARCODER_FIX_TIMEOUT": "2", "STARCODER_UNDO": "off"}
    return run_pytest(folder, FILES, OPTIONS, **variables)


def first_fact(run: Run, test: str) -> str:
    facts = [each for each in run.cause(test)["statements"] if each["kind"] == "fact"]
    return str(facts[0]["text"])


@pytest.mark.parametrize(
    ("test", "fact"),
    [
        (
            "test_prices",
            "data/prices.csv was deleted, although git tracks it "
            "(`git checkout HEAD -- data/prices.csv` restores it)",
        ),
        ("test_host", "the environment variable NO_SUCH_SHOP_HOST is not set"),
        ("test_orders", "127.0.0.1:{port} refused the connection"),
        ("test_video", "the program no-such-ffmpeg is not on PATH"),
        (
            "test_shop.py",
            "no_such_shop is in src/, which is not on the import path: run `pip install -e .`, "
            'or set `pythonpath = ["src"]` in pytest\'s configuration',
        ),
        (
            "test_tool.py",
            "no_such_tool is not installed, though pyproject.toml declares it: "
            "`pip install No.Such-Tool`",
        ),
    ],
)
def test_outside_the_code(test: str, fact: str, run: Run) -> None:
    cause = run.cause(test)
    assert first_fact(run, test) == fact.format(port=PORT)
    assert cause["suspects"] == []
    assert cause["fixes"] == []
    assert cause["fixes_note"] == "not searched for: the cause is outside the code"


def test_one_cause(run: Run) -> None:
    """What is missing is one cause, wherever it is missed."""
    assert len(run.cause("test_host")["tests"]) == 2
    assert len(run.cause("test_shop.py")["tests"]) == 2


def test_fixtures(run: Run) -> None:
    assert first_fact(run, "test_web").startswith("the fixture 'httpserver' comes from ")
    assert first_fact(run, "test_misspelt") == "the nearest fixture is 'tmp_path'"
    note = "not searched for: the test cannot start without its fixture"
    assert run.cause("test_misspelt")["fixes_note"] == note


@pytest.mark.parametrize("test", ["test_export", "test_double"])
def test_not_the_environment(test: str, run: Run) -> None:
    """A file that code should have written, and an error of a test double."""
    cause = run.cause(test)
    assert not cause["fixes_note"].startswith("not searched")
    assert cause["suspects"]
