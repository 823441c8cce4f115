"""What tests are generated for, and where they go."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_starcoder.errors import ConfigError
from pytest_starcoder.generate.job import Wanted, targets_for
from pytest_starcoder.generate.targets import path_of

SOURCE = """def mean(xs):
    return 1


class Cart:
    def add(self):
        return 2

    def drop(self):
        pass
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src/shop").mkdir(parents=True)
    (tmp_path / "src/shop/__init__.py").touch()
    (tmp_path / "src/shop/cart.py").write_text(SOURCE)
    (tmp_path / "tests").mkdir()
    return tmp_path


def names(root: Path, *wanted: Wanted) -> list[tuple[str, str]]:
    return [(target.name, target.tests) for target in targets_for(wanted, root, ())]


CART = "src/shop/cart.py"
NEW = "tests/test_cart.py"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(CART), ["mean", "Cart", "Cart.add", "Cart.drop", ""]),
        (Wanted(CART, "mean"), ["mean"]),
        (Wanted(CART, "Cart"), ["Cart", "Cart.add", "Cart.drop"]),
        (Wanted(CART, "Cart.add"), ["Cart.add"]),
        (Wanted(CART, lines=frozenset({7})), ["Cart.add"]),
        (Wanted(CART, lines=frozenset({3})), []),
        (Wanted("src/shop/__init__.py"), [""]),
    ],
)
def test_a_place_names_definitions(root: Path, wanted: Wanted, found: list[str]) -> None:
    assert [name for name, _ in names(root, wanted)] == found


def test_of_two_places_the_one_that_says_where_tests_go_decides(root: Path) -> None:
    found = names(root, Wanted(CART, "Cart"), Wanted(CART, "Cart.add", "tests/test_x.py::TestAdd"))
    assert dict(found) == {"Cart": NEW, "Cart.drop": NEW, "Cart.add": "tests/test_x.py::TestAdd"}


def test_a_name_that_a_file_has_not_is_told_with_those_that_it_has(root: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        names(root, Wanted(CART, "men"))
    assert str(raised.value) == (
        "src/shop/cart.py has no men to generate tests for. It has mean, Cart, Cart.add, Cart.drop."
    )


@pytest.mark.parametrize(
    ("module", "path"),
    [
        ("shop.cart", CART),
        ("shop", "src/shop/__init__.py"),
        ("src.shop.cart", CART),
        ("cart", CART),
        ("shop.nothing", ""),
        ("os", ""),
        ("os.path", ""),
        ("..", ""),
    ],
)
def test_a_module_is_found_below_the_root_alone(root: Path, module: str, path: str) -> None:
    import os

    assert path_of(module, root, [root / "src/shop", Path(os.__file__).parent]) == path
