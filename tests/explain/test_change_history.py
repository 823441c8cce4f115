"""How recently lines were changed, by git."""

from __future__ import annotations

from pathlib import Path

from pytest_starcoder.explain.change_history import ChangeHistory
from pytest_starcoder.source.git.history import History, LineOrigin

TWO_DAYS = 2 * 86_400


class ShopHistory(History):
    """Line 1 is two days old, line 2 is changed on the branch, line 3 is uncommitted."""

    def changed_lines(self, *, untracked: bool = False) -> dict[str, set[int]]:
        return {"shop.py": {3}}

    def changed_since_base(self) -> tuple[str, dict[str, set[int]]]:
        return "main", {"shop.py": {2, 3}}

    def blame(self, path: str) -> dict[int, LineOrigin]:
        return {1: LineOrigin("1f3c9ab", 1000.0), 4: LineOrigin("0000001", 1.0)}


def changes() -> ChangeHistory:
    return ChangeHistory(ShopHistory(Path("/")), now=lambda: 1000.0 + TWO_DAYS)


def test_description_of_line() -> None:
    assert changes().describe(("shop.py", 3)) == "changed since the last commit"
    assert changes().describe(("shop.py", 2)) == "changed since main"
    assert changes().describe(("shop.py", 1)) == "changed 2 days ago, 1f3c9ab"
    assert changes().describe(("shop.py", 9)) == ""


def test_changed_lines() -> None:
    expected = "changed since the last commit and executed: shop.py:3"
    assert changes().changed_lines({("shop.py", 3), ("shop.py", 1)}) == (expected,)
    expected = "changed since main and executed: shop.py:2"
    assert changes().changed_lines({("shop.py", 2)}) == (expected,)
    assert changes().changed_lines({("shop.py", 1)}) == ()


def test_recency() -> None:
    recency = changes().recency(["shop.py"])
    assert (recency["shop.py", 3], recency["shop.py", 2]) == (1.0, 0.5)
    assert 0 < recency["shop.py", 1] <= 0.25
