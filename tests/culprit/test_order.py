"""The earlier tests that a failure depends on, and the state that they leave changed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.repositories import git, repository
from support.runs import Run, run_pytest, write_files

from pytest_starcoder.culprit.order import Order, OrderSearch
from pytest_starcoder.culprit.session import UndoSession
from pytest_starcoder.deadline import Deadline
from pytest_starcoder.explain.breakage import Breakage, BrokenBy
from pytest_starcoder.explain.case import build_cases
from pytest_starcoder.explain.causes import group_failures
from pytest_starcoder.explain.failure import Failure, Frame
from pytest_starcoder.explain.replay import Replay, order_statement, with_order
from pytest_starcoder.explain.undo_interface import UndoContext
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.outcome import Outcome
from pytest_starcoder.runner.trials import SessionRun
from pytest_starcoder.runner.worker_messages import ChangedState, Record
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.conventions import Conventions
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.sources import SourceFiles

DEFAULTS = ChangedState("DEFAULTS", "flags.py")
IMPORTED = ChangedState("DEFAULTS", "test_flags.py")
MODE = ChangedState("os.environ['MODE']", "")

EARLIER = tuple(f"test_a.py::test_{number}" for number in range(12))
VICTIM = "test_a.py::test_victim"


def record(nodeid: str, *, failed: bool) -> Record:
    if failed:
        return Record(nodeid, "failed", 0.01, "AssertionError", "test_a.py:9", "", "test_victim")
    return Record(nodeid, "passed", 0.01)


class Sessions:
    """Stands in for the worker: `fails` says whether the victim fails after these tests."""

    def __init__(
        self,
        fails: Callable[[Sequence[str]], bool],
        changed: Sequence[ChangedState] = (),
        culprits: Sequence[ChangedState] = (),
    ) -> None:
        self.runs: list[list[str]] = []
        self._fails = fails
        self._changed = tuple(changed)
        self._culprits = frozenset(culprits)

    def run_session(
        self,
        limits: Mapping[str, float],
        restored: Sequence[tuple[ChangedState, ...]] = ((),),
        *,
        reports_state: bool = False,
    ) -> list[SessionRun]:
        *earlier, victim = limits
        self.runs.append(earlier)
        runs = []
        for states in restored:
            is_restored = not self._culprits.isdisjoint(states)
            failed = self._fails(earlier) and not is_restored
            records = [record(test, failed=False) for test in earlier]
            changed = self._changed if reports_state else ()
            runs.append(SessionRun((*records, record(victim, failed=failed)), changed))
        return runs


class Afresh:
    """Stands in for a new process; the victim fails after these tests if `fails` says so."""

    def __init__(self, fails: Callable[[Sequence[str]], bool]) -> None:
        self.runs: list[list[str]] = []
        self._fails = fails

    def __call__(self, tests: Sequence[str]) -> list[Outcome]:
        *earlier, victim = tests
        self.runs.append(earlier)
        outcomes = [Outcome(test, "passed", lines={"flags.py": frozenset({3})}) for test in earlier]
        outcome: Any = "failed" if self._fails(earlier) else "passed"
        return [*outcomes, Outcome(victim, outcome, lines={"flags.py": frozenset({8})})]


def find(sessions: Sessions, afresh: Afresh, seconds: float = 20.0) -> Order:
    limits = dict.fromkeys((*EARLIER, VICTIM), 1.0)
    texts = {"flags.py": "DEFAULTS = {}\n", "test_flags.py": "from flags import DEFAULTS\n"}
    search = OrderSearch(sessions, limits, afresh, texts.__getitem__, Deadline.after(seconds))
    return search.find(VICTIM, EARLIER)


def needs(*indices: int) -> Callable[[Sequence[str]], bool]:
    return lambda tests: {EARLIER[index] for index in indices} <= set(tests)


@pytest.mark.parametrize("indices", [(7,), (0,), (2, 9), (0, 5, 11)])
def test_shortest_list(indices: tuple[int, ...]) -> None:
    fails = needs(*indices)
    afresh = Afresh(fails)
    order = find(Sessions(fails), afresh)
    assert order.after == tuple(EARLIER[index] for index in indices)
    assert afresh.runs == [list(order.after)]
    assert order.executed == {"flags.py": frozenset({3, 8})}


def test_state_that_is_needed() -> None:
    fails = needs(3)
    sessions = Sessions(fails, [MODE, DEFAULTS], [DEFAULTS])
    assert find(sessions, Afresh(fails)).state == "DEFAULTS in flags.py"


def test_shared_state_is_named_where_it_is_defined() -> None:
    fails = needs(3)
    states = [IMPORTED, DEFAULTS]
    assert find(Sessions(fails, states, states), Afresh(fails)).state == "DEFAULTS in flags.py"


def test_state_of_the_process() -> None:
    fails = needs(3)
    assert find(Sessions(fails, [MODE], [MODE]), Afresh(fails)).state == "os.environ['MODE']"


def test_state_that_makes_no_difference() -> None:
    fails = needs(3)
    assert find(Sessions(fails, [MODE, DEFAULTS]), Afresh(fails)).state == ""


def test_other_order_in_a_new_process() -> None:
    """A list that is confirmed by nothing is not shown: the known one is."""
    order = find(Sessions(needs(3)), Afresh(needs(3, 4)))
    assert (order.after, order.record) == (EARLIER, None)


def test_not_reproduced_in_the_sandbox() -> None:
    order = find(Sessions(lambda _tests: False), Afresh(needs(2, 3)))
    assert (order.after, order.record) == ((EARLIER[2], EARLIER[3]), None)


def test_failure_by_chance() -> None:
    outcomes = iter([True, False, True, True, True, False])
    sessions = Sessions(lambda _tests: next(outcomes, False))
    assert find(sessions, Afresh(needs(0))).after == ()


def test_no_time() -> None:
    sessions = Sessions(needs(3))
    assert find(sessions, Afresh(needs(3)), seconds=0) == Order(EARLIER)
    assert sessions.runs == []


# --- texts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "state", "expected"),
    [
        (("a.py::t",), "", "after a.py::t"),
        (("a.py::t",), "X in a.py", "after a.py::t: it leaves X in a.py changed"),
        (
            ("a.py::t", "a.py::u"),
            "X in a.py",
            "after a.py::t and a.py::u: together they leave X in a.py changed",
        ),
        (("a.py::t",) * 4, "", "after the 4 tests before it"),
        ((), "", ""),
    ],
)
def test_sentence(after: tuple[str, ...], state: str, expected: str) -> None:
    assert Breakage(after=after, state=state).order == expected


def test_shorter_order_in_the_replay() -> None:
    statements = (order_statement(EARLIER), "another")
    replay = with_order(Replay(statements=statements, order=(*EARLIER, VICTIM)), EARLIER[:1])
    assert replay.order == (EARLIER[0], VICTIM)
    assert replay.statements == (order_statement(EARLIER[:1]), "another")


def test_order_where_nothing_runs(tmp_path: Path) -> None:
    """Running the tests again has shown the order, even where changes cannot be undone."""
    launch = Launch(tmp_path, tmp_path, obstacle="no pytest here")
    context = UndoContext((), launch, Conventions(), Settings(), lambda *_: nullcontext(len))
    replay = Replay(order=(EARLIER[0], VICTIM))
    [cause] = group_failures([Failure(VICTIM, "call", "KeyError", "", "")])
    [breakage] = UndoSession(context).find([(cause, replay)])
    assert breakage.order == f"after {EARLIER[0]}"
    assert breakage.note == "no change was undone: no pytest here"


def test_joined_causes_keep_the_order(tmp_path: Path) -> None:
    failures: list[Failure] = []
    for name in ("test_x", "test_y"):
        frame = Frame("test_a.py", len(failures) + 1, name, 1, "assert x")
        failures.append(Failure(f"test_a.py::{name}", "call", "KeyError", "", "", (frame,)))
    causes = group_failures(failures)
    order = (*EARLIER[:1], "test_a.py::test_x")
    replays = [Replay(statements=(order_statement(EARLIER[:1]),), order=order)] * 2
    piece = BrokenBy("flags.py", 1, 1, "-x\n+y")
    breakages = [Breakage(pieces=(piece,), after=EARLIER[:1])] * 2
    sources = SourceFiles(lambda _path: "y\n")
    cases = build_cases(causes, replays, sources, History(tmp_path), (), breakages=breakages)
    [case] = cases
    assert (case.replay.order, case.replay.statements) == (order, replays[0].statements)


# --- whole runs ----------------------------------------------------------------------------

BARE = (
    "--starcoder-explain",
    "--starcoder-backend=none",
    "--starcoder-report=out.json",
)

GENEROUS = {"STARCODER_UNDO_TIMEOUT": "100", "STARCODER_REPLAY_TIMEOUT": "100"}
"""Time-outs for a busy machine."""

FILES = {
    ".gitignore": "__pycache__/\nout.json\nruns.txt\n",
    "flags.py": """
        DEFAULTS = {"color": "red"}


        def load(**changes):
            flags = dict(DEFAULTS)
            flags.update(changes)
            return flags
        """,
    "test_flags.py": """
        from flags import DEFAULTS, load

        def test_size(): assert load(size=1)["size"] == 1
        def test_override(): assert load(color="blue")["color"] == "blue"
        def test_plain(): assert DEFAULTS
        def test_color(): assert load()["color"] == "red"
        def test_other_color(): assert not load()["color"].startswith("b")
        """,
    "cart.py": """
        class Cart:
            limit = 3

            def __init__(self):
                self.items = []

            def add(self, item):
                self.items.append(item)
        """,
    "test_cart.py": """
        from cart import Cart

        def test_add():
            cart = Cart()
            cart.add("tea")
            assert cart.items == ["tea"]

        def test_limit(): assert Cart().limit == 3
        def test_empty(): assert Cart().items == []
        """,
    "mode.py": """
        import os


        def use(mode):
            return {**os.environ, "SHOP_MODE": mode}


        def mode():
            return os.environ.get("SHOP_MODE", "slow")
        """,
    "test_mode.py": """
        from mode import mode, use

        def test_use(): assert use("fast")["SHOP_MODE"] == "fast"
        def test_mode(): assert mode() == "slow"
        """,
    "rates.py": """
        def fetch():
            return 2


        def convert(amount):
            return amount * fetch()
        """,
    "test_rates.py": """
        import rates

        def test_offline(monkeypatch):
            monkeypatch.setattr(rates, "fetch", lambda: 1)
            assert rates.convert(3) == 3

        def test_online(): assert rates.convert(3) == 6
        """,
    "login.py": """
        USERS = []
        SESSION = {}


        def register(name):
            pass


        def log_in(name):
            SESSION["name"] = name


        def greeting():
            return " ".join([*USERS, SESSION.get("name", "")]).strip()
        """,
    "test_login.py": """
        import login

        def test_register(): login.register("Ann")
        def test_nothing(): pass
        def test_log_in(): login.log_in("Bob")
        def test_more(): pass
        def test_greeting(): assert login.greeting() != "Ann Bob"
        """,
    "test_fixture.py": """
        import pytest

        @pytest.fixture(scope="module")
        def basket(): return []

        def test_fill(basket): basket.append(1)
        def test_empty(basket): assert basket == []
        """,
    "test_chance.py": """
        from pathlib import Path

        def test_before(): pass

        def test_chance():
            runs = Path("runs.txt")
            count = len(runs.read_text()) if runs.exists() else 0
            runs.write_text("x" * (count + 1))
            assert count
        """,
}

CHANGED = {
    "flags.py": FILES["flags.py"].replace("dict(DEFAULTS)", "DEFAULTS"),
    "cart.py": FILES["cart.py"]
    .replace("limit = 3", "limit = 3\n            items = []")
    .replace("self.items = []", "self.owner = None"),
    "mode.py": FILES["mode.py"].replace(
        'return {**os.environ, "SHOP_MODE": mode}',
        'os.environ["SHOP_MODE"] = mode\n            return os.environ',
    ),
    "test_rates.py": FILES["test_rates.py"].replace(
        'monkeypatch.setattr(rates, "fetch", lambda: 1)', "rates.fetch = lambda: 1"
    ),
    "login.py": FILES["login.py"].replace("pass", "USERS.append(name)"),
}
"""Uncommitted changes, each of which breaks one test."""


def changed_repository(folder: Path, names: Collection[str]) -> None:
    """Commit files of FILES in a new repository, then write those in CHANGED."""
    write_files(folder, {name: FILES[name] for name in (".gitignore", *names)})
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=first")
    write_files(folder, {name: CHANGED[name] for name in names if name in CHANGED})


PROJECTS = (
    ("flags.py", "test_flags.py", "mode.py", "test_mode.py"),
    ("cart.py", "test_cart.py", "rates.py", "test_rates.py", "test_chance.py"),
    ("login.py", "test_login.py", "test_fixture.py"),
)
"""Projects of few tests: each failure takes some runs of all tests before it."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    @functools.cache
    def run_project(names: Sequence[str]) -> Run:
        folder = tmp_path_factory.mktemp("order")
        changed_repository(folder, names)
        return run_pytest(folder, {}, BARE, **GENEROUS)

    def run_of(nodeid: str) -> Run:
        file = nodeid.partition("::")[0]
        return run_project(next(names for names in PROJECTS if file in names))

    return run_of


@dataclass(frozen=True)
class Expected:
    """What is said of one failing test."""

    victim: str
    after: tuple[str, ...]
    state: str
    pieces: tuple[tuple[str, int], ...] = ()


EXPECTED = {
    "a shared dictionary": Expected(
        "test_flags.py::test_color",
        ("test_flags.py::test_override",),
        "DEFAULTS in flags.py",
        (("flags.py", 5),),
    ),
    "a list of a class": Expected(
        "test_cart.py::test_empty",
        ("test_cart.py::test_add",),
        "Cart.items in cart.py",
        (("cart.py", 6),),
    ),
    "an environment variable": Expected(
        "test_mode.py::test_mode",
        ("test_mode.py::test_use",),
        "os.environ['SHOP_MODE']",
        (("mode.py", 5),),
    ),
    "an assigned function": Expected(
        "test_rates.py::test_online",
        ("test_rates.py::test_offline",),
        "fetch in rates.py",
        (("test_rates.py", 4),),
    ),
    "two earlier tests": Expected(
        "test_login.py::test_greeting",
        ("test_login.py::test_register", "test_login.py::test_log_in"),
        "USERS in login.py",
        (("login.py", 6),),
    ),
    "a fixture of a module": Expected(
        "test_fixture.py::test_empty",
        ("test_fixture.py::test_fill",),
        "the fixture basket in test_fixture.py",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("expected", EXPECTED.values(), ids=EXPECTED)
def test_broken_by(runs: Callable[[str], Run], expected: Expected) -> None:
    cause = runs(expected.victim).cause(expected.victim)
    broke = cause["broke"]
    assert (tuple(broke["after"]), broke["state"]) == (expected.after, expected.state)
    places = [(piece["path"], piece["line"]) for piece in broke["pieces"]]
    assert tuple(places) == expected.pieces
    assert cause["rerun"] == [*expected.after, expected.victim]


@pytest.mark.slow
def test_same_change_is_one_cause(runs: Callable[[str], Run]) -> None:
    cause = runs("test_flags.py").cause("test_flags.py::test_color")
    assert cause["tests"] == ["test_flags.py::test_color", "test_flags.py::test_other_color"]
    assert [entry["text"] for entry in cause["statements"] if entry["kind"] == "replay"] == [
        "passes alone and fails after test_flags.py::test_override: dependent on the order"
    ]


@pytest.mark.slow
def test_flaky_test(runs: Callable[[str], Run]) -> None:
    cause = runs("test_chance.py").cause("test_chance.py::test_chance")
    assert cause["broke"]["after"] == []
    assert "broke" not in [statement["kind"] for statement in cause["statements"]]


@pytest.mark.slow
def test_terminal(runs: Callable[[str], Run]) -> None:
    assert (
        "broke after test_flags.py::test_override: it leaves DEFAULTS in flags.py changed "
        "flags.py:5, changed since the last commit: undoing it, 2 failing tests pass"
    ) in runs("test_flags.py").text


@pytest.mark.slow
def test_unchanged_files(runs: Callable[[str], Run]) -> None:
    folder = runs("test_flags.py").folder
    git(folder, "add", "--all")
    changed = git(folder, "diff", "--cached", "--name-only").split()
    assert changed == ["flags.py", "mode.py"]


@pytest.mark.slow
def test_after_a_failing_test(tmp_path: Path) -> None:
    """When the failing tests run again, the one that depends on another does not pass."""
    files = {
        "shop.py": """
            RATES = {"eur": 1}
            def rate(name): return RATES[name]
            """,
        "test_shop.py": """
            import pytest
            from shop import RATES, rate

            @pytest.mark.parametrize("number", [1, 2])
            def test_update(number):
                RATES["eur"] = 2
                assert number == 3

            def test_rate(): assert rate("eur") == 1
            """,
    }
    folder = repository(tmp_path / "shop", {"other.py": "x = 1\n"})
    (folder / "other.py").write_text("x = 2\n")
    run = run_pytest(folder, files, BARE, **GENEROUS)
    broke = run.cause("test_shop.py::test_rate")["broke"]
    [guilty] = broke["after"]
    assert guilty.startswith("test_shop.py::test_update[")
    assert broke["state"] == "RATES in shop.py"
    assert run.cause("::test_update[1]")["broke"]["after"] == []


SHUFFLING = """
    import random

    def pytest_collection_modifyitems(items):
        items.sort(key=lambda item: item.name == "test_color")
        others = items[:-1]
        random.Random(1).shuffle(others)
        items[:-1] = others
    """


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("-n", "2", "--dist=loadfile")], ids=["alone", "xdist"])
def test_random_order(tmp_path: Path, options: Sequence[str]) -> None:
    """Also with xdist, where the list is that of one worker; without git, no line is named."""
    names = ("flags.py", "test_flags.py", "rates.py", "test_rates.py")
    files = {name: CHANGED.get(name, FILES[name]) for name in names}
    files["conftest.py"] = SHUFFLING
    run = run_pytest(tmp_path / "shop", files, (*BARE, *options), **GENEROUS)
    broke = run.cause("test_flags.py::test_color")["broke"]
    assert broke["after"] == ["test_flags.py::test_override"]
    assert broke["state"] == "DEFAULTS in flags.py"
    assert broke["pieces"] == []
