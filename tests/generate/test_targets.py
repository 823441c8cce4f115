"""The targets of a file, and the names of modules."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_starcoder.generate.draft import Target
from pytest_starcoder.generate.targets import find_targets, module_name, module_path

SOURCE = dedent(
    '''
    import functools

    LIMIT = 3


    def mean(xs: list[int], *, low=0) -> float:
        """The mean."""
        if not xs:
            return low
        return sum(xs) / len(xs)


    def _private():
        pass


    class Cart:
        @property
        def total(self):
            return 1

        def add(self, item, times=2):
            def inner():
                return item
            return inner() * times

        def _hidden(self):
            pass
        def __len__(self): return 1


    async def load(name="x"):
        return name
    '''
).lstrip()


def targets(source: str = SOURCE) -> list[Target]:
    return find_targets(source, "shop.py", Path("/nowhere"))


def test_targets_of_file() -> None:
    facts = []
    for target in targets():
        place = (target.name, str(target.kind), target.first, target.last)
        facts.append((*place, target.parameters, target.defaults))
    assert facts == [
        ("mean", "function", 6, 10, (("xs", "list[int]"), ("low", "")), (("low", 0),)),
        ("_private", "private function", 13, 14, (), ()),
        ("Cart", "class", 17, 29, (), ()),
        ("Cart.total", "function", 18, 20, (), ()),
        ("Cart.add", "function", 22, 25, (("item", ""), ("times", "")), (("times", 2),)),
        ("Cart._hidden", "private function", 27, 28, (), ()),
        ("Cart.__len__", "function", 29, 29, (), ()),
        ("load", "function", 32, 33, (("name", ""),), (("name", "x"),)),
        ("", "module", 1, 34, (), ()),
    ]
    assert [target.name for target in targets() if target.is_async] == ["load"]
    assert targets()[0].returns == "float"


def test_unparsable_source() -> None:
    assert not targets("def f(:")


def test_module_name(tmp_path: Path) -> None:
    for folder in ("src/shop/deep", "flat"):
        (tmp_path / folder).mkdir(parents=True)
    for package in ("src/shop", "src/shop/deep"):
        (tmp_path / package / "__init__.py").touch()
    names = {
        "src/shop/pricing.py": "shop.pricing",
        "src/shop/deep/__init__.py": "shop.deep",
        "src/shop/deep/a.py": "shop.deep.a",
        "flat/b.py": "flat.b",
        "src/d.py": "d",
        "c.py": "c",
    }
    assert {path: module_name(path, tmp_path) for path in names} == names


CART = "src/shop/cart.py"


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
        ("", ""),
    ],
)
def test_module_path(tmp_path: Path, module: str, path: str) -> None:
    (tmp_path / "src/shop").mkdir(parents=True)
    (tmp_path / "src/shop/__init__.py").touch()
    (tmp_path / CART).touch()
    folders = [tmp_path / "src/shop", Path(os.__file__).parent]
    assert module_path(module, tmp_path, folders) == path
