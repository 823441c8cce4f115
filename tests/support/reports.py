"""A sample report in which each text names its own field."""

from __future__ import annotations

from pytest_starcoder.explain.breakage import Breakage, BrokenBy
from pytest_starcoder.explain.explanation import Explanation, Report, Suspect
from pytest_starcoder.explain.failure import Frame

BREAKAGE = Breakage(
    pieces=(
        BrokenBy(
            "shop/pricing.py", 14, 14, "-REMOVEDTEXT\n+ADDEDTEXT", commit="1f3c9ab SUBJECTTEXT"
        ),
        BrokenBy("tests/conftest.py", 3, 4, "+SUPPORTTEXT\n+MORETEXT", in_test=True),
    ),
    either=((BrokenBy("shop/tax.py", 9, 8, "-DELETEDTEXT"),),),
    since="SINCETEXT",
    failing=("tests/test_shop.py::test_other",),
    still=("tests/test_shop.py::TestShop::test_mean[1-a b]",),
    passing=("tests/test_shop.py::test_fine",),
    needing=("tests/test_shop.py::test_new",),
    total=5,
    files=4,
    harmless=True,
    after=("tests/test_flags.py::test_first",),
    state="STATETEXT",
    left_out=("LEFTOUTTEXT (binary)",),
    tried=12,
    seconds=0.51234,
    level="kernel",
)

EXPLANATION = Explanation(
    "SEENTEXT",
    why="GUESSTEXT names billing.py (not in the evidence)",
    model="tiny:1b",
    exception="AssertionError",
    phase="call",
    path="shop/pricing.py",
    line=14,
    function="mean",
    nodeids=("tests/test_shop.py::TestShop::test_mean[1-a b]", "tests/test_shop.py::test_other"),
    facts=("FACTTEXT",),
    frames=(Frame("shop/pricing.py", 14, "mean", 13, "def mean(xs):\n    return sum(xs)"),),
    suspects=(
        Suspect("shop/pricing.py", 14, "SUSPECTTEXT", 0.5, ("changed 2 days ago, 1f3c9ab",)),
    ),
    replay=("REPLAYTEXT",),
    extra=("EXTRATEXT",),
    unsupported=("billing.py",),
    breakage=BREAKAGE,
)

REPORT = Report(
    (EXPLANATION,), failures=2, model="tiny:1b", server="Ollama", calls=1, rerun=3, seconds=1.23456
)

EMPTY = Report((), 0)
