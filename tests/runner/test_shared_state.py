"""State that tests leave changed: found in a snapshot, and restored."""

from __future__ import annotations

import importlib.util
import logging
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pytest_starcoder.runner.shared_state import Snapshot
from pytest_starcoder.runner.worker_messages import ChangedState
from pytest_starcoder.source.project import Project

SOURCE = """
    import functools
    import json
    from collections import Counter, OrderedDict, defaultdict, deque
    from dataclasses import dataclass, field

    DEFAULTS = {"color": "red", "sizes": [1, 2]}
    NAMES = ["a"]
    SEEN = {1}
    QUEUE = deque([1], maxlen=3)
    ORDERED = OrderedDict(a=1)
    COUNTS = Counter("aab")
    GROUPS = defaultdict(list, a=[1])
    BYTES = bytearray(b"x")
    PAIR = ([], 1)
    limit = 3

    class Strict(dict):
        def __setitem__(self, key, value):
            raise TypeError("read only")

    STRICT = Strict(a=1)

    class Cart:
        items = []
        count = 0

        def __init__(self):
            self.owner = {"name": "Ann"}

        def __eq__(self, other):
            raise RuntimeError("never called")

        def __repr__(self):
            raise RuntimeError("never called")

    CART = Cart()

    @dataclass(slots=True)
    class Point:
        x: int = 0

    POINT = Point()

    def collect(item, found=[], *, more={}):
        found.append(item)
        more[item] = 1
        return found

    @functools.cache
    def load():
        return {"a": 1}

    def counter():
        total = 0
        seen = []

        def count():
            nonlocal total
            total += 1
            seen.append(total)
            return total
        return count

    count = counter()

    LOOP = []
    LOOP.append(LOOP)
    """


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Any]:
    path = tmp_path / "shop.py"
    path.write_text(dedent(SOURCE))
    spec = importlib.util.spec_from_file_location("shop_with_state", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["shop_with_state"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["shop_with_state"]


@pytest.fixture
def snapshot(shop: Any, tmp_path: Path) -> Snapshot:
    return Snapshot(Project(tmp_path))


def of_shop(snapshot: Snapshot) -> list[str]:
    return [state.name for state in snapshot.changed() if state.path == "shop.py"]


CHANGES = {
    "DEFAULTS": "DEFAULTS['color'] = 'blue'",
    "DEFAULTS ": "DEFAULTS['sizes'].append(3)",
    "NAMES": "NAMES.clear()",
    "NAMES ": "NAMES[:] = ['b']",
    "SEEN": "SEEN.add(2)",
    "QUEUE": "QUEUE.append(2)",
    "ORDERED": "ORDERED['b'] = 1",
    "ORDERED ": "ORDERED.move_to_end('a', last=False), ORDERED.update(c=2)",
    "COUNTS": "COUNTS['z'] += 1",
    "GROUPS": "GROUPS['b']",
    "GROUPS ": "GROUPS['a'].append(2)",
    "BYTES": "BYTES.extend(b'y')",
    "PAIR": "PAIR[0].append(1)",
    "limit": "globals()['limit'] = 4",
    "extra": "globals()['extra'] = 4",
    "STRICT": "dict.update(STRICT, b=2)",
    "Cart.items": "Cart.items.append(1)",
    "Cart.count": "setattr(Cart, 'count', 1)",
    "Cart.discount": "setattr(Cart, 'discount', 1)",
    "CART": "setattr(CART, 'total', 1)",
    "CART ": "CART.owner.clear()",
    "POINT": "setattr(POINT, 'x', 1)",
    "POINT ": "delattr(POINT, 'x')",
    "the default of found in collect()": "collect.__defaults__[0].append(1)",
    "the default of more in collect()": "collect.__kwdefaults__['more'].update(a=1)",
    "collect.calls": "setattr(collect, 'calls', 1)",
    "the cache of load()": "load()",
    "LOOP": "LOOP.append(1)",
}


@pytest.mark.parametrize(("name", "code"), CHANGES.items())
def test_change(shop: Any, snapshot: Snapshot, name: str, code: str) -> None:
    assert of_shop(snapshot) == []
    exec(dedent(code), vars(shop))
    name = name.strip()
    assert of_shop(snapshot) == [name]
    snapshot.restore([ChangedState(name, "shop.py")])
    assert of_shop(snapshot) == []


def test_closure(shop: Any, snapshot: Snapshot) -> None:
    shop.count()
    names = ["seen around counter.count()", "total around counter.count()"]
    assert sorted(of_shop(snapshot)) == names
    snapshot.restore(snapshot.changed())
    assert shop.count() == 1


def test_only_given_state_is_restored(shop: Any, snapshot: Snapshot) -> None:
    shop.NAMES.append("b")
    shop.SEEN.add(2)
    snapshot.restore([ChangedState("SEEN", "shop.py")])
    assert (["a", "b"], {1}) == (shop.NAMES, shop.SEEN)


def test_identity_stays(shop: Any, snapshot: Snapshot) -> None:
    """Others may hold the same object, so it is restored in place."""
    names = shop.NAMES
    names.append("b")
    shop.NAMES = ["c"]
    snapshot.restore(snapshot.changed())
    assert shop.NAMES is names
    assert names == ["a"]


@pytest.mark.parametrize("restored", [False, True])
def test_environment(shop: Any, snapshot: Snapshot, restored: bool, monkeypatch: Any) -> None:
    monkeypatch.setenv("SHOP_MODE", "fast")
    state = ChangedState("os.environ['SHOP_MODE']", "")
    assert state in snapshot.changed()
    if restored:
        snapshot.restore([state])
        assert "SHOP_MODE" not in os.environ


def test_process(
    shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: Snapshot
) -> None:
    folder = Path.cwd()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("json.dumps", len)
    state = random.getstate()
    random.random()
    logger = logging.getLogger("shop")
    logger_before = Snapshot(Project(tmp_path))
    logger.setLevel("ERROR")
    os.chdir(tmp_path)
    names = [change.text for change in snapshot.changed()]
    assert {"the current folder", "sys.path", "the state of random", "json.dumps"} <= set(names)
    assert ChangedState("the logger 'shop'", "") in logger_before.changed()
    logger_before.restore([ChangedState("the logger 'shop'", "")])
    snapshot.restore([ChangedState("the current folder", ""), ChangedState("sys.path", "")])
    snapshot.restore([ChangedState("the state of random", "")])
    assert logger.level == logging.NOTSET
    assert Path.cwd() == folder
    assert str(tmp_path) not in sys.path
    assert random.getstate() == state
