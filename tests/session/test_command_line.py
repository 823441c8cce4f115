"""The command line of a session."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_starcoder.session.command_line import rerun_arguments, session_launch


def test_launch(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")
    pytester.makeini("[pytest]\naddopts = --strict-markers\n")
    (pytester.path / "options.txt").write_text("-W\nerror\n")
    pytester.mkdir("tests")
    config = pytester.parseconfig("@options.txt", "--junitxml", "out.xml", "tests")
    launch = session_launch(config, {"A": "1"})
    assert launch.arguments[:7] == (
        "-p",
        "no:hypothesispytest",
        "--strict-markers",
        "-W",
        "error",
        "--junitxml=out.xml",
        "tests",
    )
    assert (launch.root, launch.folder) == (pytester.path, pytester.path)
    assert launch.ini == pytester.path / "tox.ini"
    assert launch.positionals == ("tests",)
    assert launch.environment == {"A": "1"}
    assert launch.obstacle == ""


@pytest.mark.parametrize(
    ("arguments", "joined"),
    [
        (("--junitxml", "a.xml", "test_a.py"), ("--junitxml=a.xml", "test_a.py")),
        (("--junitxml=a.xml",), ("--junitxml=a.xml",)),
        (("--starcoder-apply", "yes"), ("--starcoder-apply=yes",)),
        (("--starcoder-apply", "-q"), ("--starcoder-apply", "-q")),
        (("--strict-markers", "-q"), ("--strict-markers", "-q")),
    ],
    ids=["value", "joined", "optional-value", "no-value", "flag"],
)
def test_options_with_values(
    pytester: pytest.Pytester, arguments: tuple[str, ...], joined: tuple[str, ...]
) -> None:
    (pytester.path / "test_a.py").touch()
    launch = session_launch(pytester.parseconfig(*arguments))
    words = [word for word in launch.arguments if "hypothesis" not in word and word != "-p"]
    assert tuple(words[: len(joined)]) == joined


class Observer:
    def pytest_sessionfinish(self) -> None: ...


class Fixture:
    @pytest.fixture
    def value(self) -> int:
        return 1


class Changer:
    def pytest_collection_modifyitems(self) -> None: ...


def test_plugins_of_main(pytester: pytest.Pytester) -> None:
    module = ModuleType("own_plugin")
    sys.modules["own_plugin"] = module
    try:
        launch = session_launch(config_with(pytester, [module, "another", Observer()]))
    finally:
        del sys.modules["own_plugin"]
    assert launch.arguments[:4] == ("-p", "own_plugin", "-p", "another")
    assert launch.obstacle == ""


@pytest.mark.parametrize(
    ("plugin", "name"),
    [(Fixture(), "Fixture, with value"), (Changer(), "Changer, with pytest_collection_modifyit")],
    ids=["fixture", "hook"],
)
def test_plugin_objects_of_main(pytester: pytest.Pytester, plugin: object, name: str) -> None:
    obstacle = session_launch(config_with(pytester, [plugin])).obstacle
    assert obstacle.startswith(f"pytest.main() was given a plugin object ({name}")


def config_with(pytester: pytest.Pytester, plugins: list[Any]) -> pytest.Config:
    config = pytester.parseconfig()
    parameters = pytest.Config.InvocationParams(
        args=(), plugins=plugins, dir=config.invocation_params.dir
    )
    config.invocation_params = parameters
    return config


def test_rerun_options(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", own="[pytest]\n")
    config = pytester.parseconfig("-c", "own.ini", f"--rootdir={pytester.path}")
    assert rerun_arguments(config, ["test_it.py::test_it"]) == [
        "-c",
        "own.ini",
        f"--rootdir={pytester.path}",
        "test_it.py::test_it",
    ]


def test_rerun_from_another_folder(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini("[pytest]\n")
    monkeypatch.chdir(pytester.mkdir("inner"))
    arguments = rerun_arguments(
        pytester.parseconfig(), ["inner/test_a.py::test_a", "test_b.py::test_b[x/y]"]
    )
    assert arguments == ["test_a.py::test_a", "../test_b.py::test_b[x/y]"]


@pytest.mark.parametrize(("count", "options"), [(1, []), (2, ["--count=2"])])
def test_rerun_with_repeat(pytester: pytest.Pytester, count: int, options: list[str]) -> None:
    config = pytester.parseconfig()
    config.pluginmanager.register(Observer(), "repeat")
    config.option.count = count
    assert rerun_arguments(config, ["a.py::b"]) == [*options, "a.py::b"]


@pytest.mark.parametrize(
    ("nodeids", "options"),
    [
        (["a.py::b"], ["--randomly-seed=7"]),
        (["a.py::b", "a.py::c"], ["--randomly-seed=7", "--randomly-dont-reorganize"]),
    ],
    ids=["one", "several"],
)
def test_rerun_with_randomly(
    pytester: pytest.Pytester, nodeids: list[str], options: list[str]
) -> None:
    config = pytester.parseconfig()
    config.pluginmanager.register(Observer(), "randomly")
    config.option.randomly_seed = 7
    assert rerun_arguments(config, nodeids) == [*options, *nodeids]
    assert "--randomly-seed=7" in session_launch(config).arguments


def test_seed_without_the_plugin(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig()
    config.option.randomly_seed = 7
    assert rerun_arguments(config, ["a.py::b"]) == ["a.py::b"]


def test_unreadable_argument_file(pytester: pytest.Pytester) -> None:
    config = pytester.parseconfig()
    config.invocation_params = pytest.Config.InvocationParams(
        args=("@gone.txt",), plugins=None, dir=Path(config.invocation_params.dir)
    )
    assert "@gone.txt" not in session_launch(config).arguments
