"""Locations that users name, and the targets there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.generate.locations import (
    Location,
    is_test_file,
    location_of_name,
    location_of_object,
    locations_of_path,
    targets_at,
)

SOURCE = """def mean(xs):
    return 1


class Cart:
    def add(self):
        return 2

    def drop(self):
        pass
"""
CART = "src/shop/cart.py"
DEFAULT_TESTS = "tests/test_cart.py"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "src/shop").mkdir(parents=True)
    (tmp_path / "src/shop/__init__.py").touch()
    (tmp_path / CART).write_text(SOURCE)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_there.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("location", "names"),
    [
        (Location(CART), ["mean", "Cart", "Cart.add", "Cart.drop", ""]),
        (Location(CART, "mean"), ["mean"]),
        (Location(CART, "Cart"), ["Cart", "Cart.add", "Cart.drop"]),
        (Location(CART, "Cart.add"), ["Cart.add"]),
        (Location(CART, lines=frozenset({7})), ["Cart.add"]),
        (Location(CART, lines=frozenset({3})), []),
        (Location("src/shop/__init__.py"), [""]),
    ],
)
def test_targets(root: Path, location: Location, names: list[str]) -> None:
    targets = targets_at([location], root, ())
    assert [target.name for target in targets] == names
    assert {target.tests for target in targets} <= {DEFAULT_TESTS, "tests/test_shop.py"}


def test_place_of_tests(root: Path) -> None:
    add = Location(CART, "Cart.add", "tests/test_x.py::TestAdd")
    targets = targets_at([Location(CART, "Cart"), add], root, ())
    assert {target.name: target.tests for target in targets} == {
        "Cart": DEFAULT_TESTS,
        "Cart.drop": DEFAULT_TESTS,
        "Cart.add": "tests/test_x.py::TestAdd",
    }


def test_unknown_name(root: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        targets_at([Location(CART, "men")], root, ())
    assert str(raised.value) == (
        "src/shop/cart.py has no function or class men. It has mean, Cart, Cart.add, Cart.drop."
    )


def test_syntax_error(root: Path) -> None:
    (root / CART).write_text("def (:\n")
    with pytest.raises(ConfigError) as raised:
        targets_at([Location(CART)], root, ())
    assert str(raised.value) == "src/shop/cart.py cannot be parsed. Fix its syntax first."


@pytest.mark.parametrize(
    ("text", "locations"),
    [
        (CART, [Location(CART)]),
        (f"{CART}::Cart::add", [Location(CART, "Cart.add")]),
        ("src", [Location("src/shop/__init__.py"), Location(CART)]),
    ],
)
def test_locations_of_path(root: Path, text: str, locations: list[Location]) -> None:
    assert locations_of_path(text, root) == locations


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "nowhere.py",
            "there is no file nowhere.py. Name a file, folder or function, for example ",
        ),
        ("shop", "there is no file shop. Is it src/shop?"),
        ("tests", "tests has only tests, or no Python files. Put the option last, "),
        ("tests/test_there.py", "tests/test_there.py is a test file. Name a file, "),
        ("notes.txt", "notes.txt is not a Python file. Name a file, "),
        ("../outside.py", "../outside.py is not below {root}. Start pytest above it."),
    ],
)
def test_wrong_path(root: Path, text: str, message: str) -> None:
    (root / "notes.txt").touch()
    (root.parent / "outside.py").touch()
    with pytest.raises(ConfigError) as raised:
        locations_of_path(text, root)
    start = f"--starcoder-generate={text}: {message.format(root=root)}"
    assert str(raised.value).startswith(start)


def test_location_of_name(root: Path) -> None:
    location = location_of_name("cart:Cart.add", root, ["", str(root / "src/shop")], "it", "t.py")
    assert location == Location(CART, "Cart.add", "t.py")
    with pytest.raises(ConfigError) as raised:
        location_of_name("nowhere:f", root, [], 'the marker("nowhere:f")')
    assert str(raised.value) == (
        'the marker("nowhere:f") names no module of this project. '
        'Write it as "package.module:function".'
    )


@pytest.fixture
def cart(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("cart_of_test", root / CART)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_location_of_object(root: Path, cart: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cart_of_test", cart)
    assert location_of_object(cart, root) == Location(CART)
    assert location_of_object(cart.Cart.add, root) == Location(CART, "Cart.add")
    assert location_of_object("shop.cart:mean", root) == Location(CART, "mean")


@pytest.mark.parametrize("obj", [len, 3, Path])
def test_object_outside(root: Path, obj: object) -> None:
    with pytest.raises(ConfigError, match="has no file below"):
        location_of_object(obj, root)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("test_a.py", True),
        ("a_test.py", True),
        ("conftest.py", True),
        ("tests/helpers.py", True),
        (".tox/a.py", True),
        ("shop/contest.py", False),
        ("latest.py", False),
    ],
)
def test_is_test_file(path: str, expected: bool) -> None:
    assert is_test_file(Path(path)) is expected
