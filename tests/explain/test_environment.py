"""Faults of the environment, told from faults of the code."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.repositories import git, repository, written

from pytest_starcoder.explain.breakage import NO_BREAKAGE, Breakage, BrokenBy
from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.environment import (
    LACKS_FIXTURE,
    MAY_LACK_SERVICE,
    NO_CHANGE_NAMED,
    ONLY_TEST_CHANGED,
    OUTSIDE_CODE,
    REMOTE_KINDS,
    Environment,
)
from pytest_starcoder.explain.explanation import Suspect
from pytest_starcoder.explain.failure import Cause, Failure, Frame, Missing
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.source.conventions import Conventions
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.sources import SourceFiles

FILES = {
    "shop.py": 'HOST = "db.shop"\nPORT = 7001\nTOOL = "ffmpeg"\n',
    "test_shop.py": "def test_prices(): ...\n",
    "data/prices.csv": "name,price\n",
    "data/old.csv": "name,price\n",
}


class Shop:
    """A project in a repository whose test test_prices fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = repository(folder, FILES)

    def judge(
        self,
        missing: Missing | None,
        *,
        test: str = "test_prices",
        variables: Mapping[str, str] | None = None,
        breakage: Breakage = NO_BREAKAGE,
        free: int = 10**9,
        line: int = 1,
        started: float = math.inf,
        facts: tuple[str, ...] = (),
    ) -> Case:
        source = (self.folder / "test_shop.py").read_text()
        frame = Frame("test_shop.py", 1, test, 1, source)
        failure = Failure(
            f"test_shop.py::{test}", "call", "OSError", "", "", (frame,), (), facts, missing=missing
        )
        environment = Environment(
            Launch(self.folder, self.folder, environment=variables or {"PATH": "/nowhere"}),
            SourceFiles.below(self.folder),
            Conventions(frozenset({"test_shop.py", "conftest.py"})),
            History(self.folder),
            started,
            lambda folder: free,
        )
        return environment.judge(
            Case(
                Cause((failure,)),
                scores={("shop.py", 1): 1.0, ("test_shop.py", line): 1.0},
                suspects=(Suspect("shop.py", 1, ""),),
                breakage=breakage,
            )
        )

    def fact(self, missing: Missing, **conditions: object) -> str:
        """Return the only fact of a failure that is outside the code."""
        case = self.judge(missing, **conditions)  # type: ignore[arg-type]
        assert (case.unsearched, case.suspects) == (OUTSIDE_CODE, ())
        [fact] = case.cause.first.facts
        return fact

    def is_doubted(self, missing: Missing, **conditions: object) -> bool:
        case = self.judge(missing, **conditions)  # type: ignore[arg-type]
        return case.unsearched in ("", MAY_LACK_SERVICE) and len(case.suspects) == 1


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "shop")


def file(shop: Shop, name: str) -> Missing:
    return Missing("file", name, str(shop.folder / name))


VARIABLE = Missing("variable", "SHOP_KEY")
ADDRESS = Missing("address", "db.shop", "7001")
HOST = Missing("host", "db.shop")
PROGRAM = Missing("program", "ffmpeg")
CODE = BrokenBy("shop.py", 1, 1, "-a\n+b")


def test_nothing_missing(shop: Shop) -> None:
    assert shop.is_doubted(None)  # type: ignore[arg-type]


def test_unreadable_folder(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise PermissionError(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert shop.judge(Missing("address", "elsewhere", "7001")).cause.first.facts == ()


# --- files ---------------------------------------------------------------------------------


def deleted(name: str) -> str:
    return f"{name} was deleted, although git tracks it (`git checkout HEAD -- {name}` restores it)"


def test_deleted_file(shop: Shop) -> None:
    (shop.folder / "data/prices.csv").unlink()
    assert shop.fact(file(shop, "data/prices.csv")) == deleted("data/prices.csv")
    git(shop.folder, "rm", "-q", "data/old.csv")
    assert shop.fact(file(shop, "data/old.csv")) == deleted("data/old.csv")


def test_broken_by_deletion(shop: Shop) -> None:
    """Undoing the deletion makes the test pass, and the cause is outside the code even so."""
    (shop.folder / "data/prices.csv").unlink()
    deletion = BrokenBy("data/prices.csv", 1, 0, "-name,price", whole=True)
    breakage = Breakage((deletion,), since="the last commit")
    assert shop.fact(file(shop, "data/prices.csv"), breakage=breakage)
    assert shop.is_doubted(file(shop, "data/prices.csv"), breakage=Breakage((CODE,)))


def test_deleted_in_this_run(shop: Shop) -> None:
    """A file that code has just deleted, perhaps by mistake."""
    (shop.folder / "data/prices.csv").unlink()
    os.utime(shop.folder / "data", (1000, 1000))
    os.utime(shop.folder / "data/old.csv", (900, 900))
    missing = file(shop, "data/prices.csv")
    assert shop.fact(missing, started=1001) == deleted("data/prices.csv")
    later = (shop.folder / "data/old.csv").stat().st_ctime + 10
    os.utime(shop.folder / "data", (later + 1, later + 1))
    assert shop.is_doubted(missing, started=later)
    assert shop.fact(missing, started=1)  # a new file has changed the folder


@pytest.mark.parametrize("name", ["data/report.csv", "/tmp/pytest-of-ann/pytest-1/a/prices.csv"])
def test_file_that_code_may_write(name: str, shop: Shop) -> None:
    written(shop.folder, {"test_shop.py": f"def test_prices(): open('{name}')\n"})
    git(shop.folder, "commit", "-qam", "second")
    missing = Missing("file", name, str(shop.folder / name))
    assert shop.is_doubted(missing)
    assert shop.judge(missing).cause.first.facts == ()


def test_file_of_the_machine(shop: Shop) -> None:
    name = "/etc/no-such-shop/rates.ini"
    assert shop.is_doubted(Missing("file", name, name))  # the code has built the path
    written(shop.folder, {"shop.py": f"RATES = '{name}'\n"})
    git(shop.folder, "commit", "-qam", "second")
    assert shop.fact(Missing("file", name, name)) == f"{name} does not exist on this machine"


@pytest.mark.skipif(not Path("/etc/passwd").exists(), reason="needs a file of the machine")
def test_misspelt_file_of_the_machine(shop: Shop) -> None:
    written(shop.folder, {"shop.py": "USERS = '/etc/passwd_'\n"})
    git(shop.folder, "commit", "-qam", "second")
    assert shop.is_doubted(Missing("file", "/etc/passwd_", "/etc/passwd_"))


def test_file_with_template(shop: Shop) -> None:
    written(shop.folder, {"shop.py": "open('local.ini')\n", "local.example.ini": ""})
    git(shop.folder, "commit", "-qam", "second")
    fact = shop.fact(file(shop, "local.ini"))
    assert fact == "local.ini does not exist; local.example.ini is its template"


def test_permission(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    written(shop.folder, {"shop.py": "open('data/old.csv')\n"})
    git(shop.folder, "commit", "-qam", "second")
    missing = Missing("permission", "data/old.csv", str(shop.folder / "data/old.csv"))
    assert shop.is_doubted(missing)  # the file can be opened now
    (shop.folder / "data/old.csv").chmod(0)
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may do anything
    fact = "the current user has no permission to open data/old.csv (mode ----------)"
    assert shop.fact(missing) == fact
    written(shop.folder, {"test_shop.py": "def test_prices(): os.chmod('data/old.csv', 0)\n"})
    assert shop.is_doubted(missing)


def test_full_disk(shop: Shop) -> None:
    missing = Missing("disk", "out.csv", str(shop.folder / "out" / "out.csv"))
    assert shop.fact(missing, free=100) == f"the disk of {shop.folder} is full"
    assert shop.is_doubted(missing)


# --- variables -----------------------------------------------------------------------------


def test_unset_variable(shop: Shop) -> None:
    assert shop.fact(VARIABLE) == "the environment variable SHOP_KEY is not set"
    written(shop.folder, {".env.example": "export SHOP_KEY=s3cret\n"})
    fact = "the environment variable SHOP_KEY is not set; .env.example defines it"
    assert shop.fact(VARIABLE) == fact


def test_variable_read_by_a_fixture(shop: Shop) -> None:
    written(shop.folder, {"conftest.py": "def key(): return os.environ['SHOP_KEY']\n"})
    assert shop.fact(VARIABLE) == "the environment variable SHOP_KEY is not set"


def test_variable_that_was_set(shop: Shop) -> None:
    case = shop.judge(VARIABLE, variables={"SHOP_KEY": "s3cret"})
    assert not case.unsearched
    fact = "the environment variable SHOP_KEY was set when pytest started, but no longer is"
    assert case.cause.first.facts == (fact,)


@pytest.mark.parametrize(
    "body",
    [
        "monkeypatch.delenv('SHOP_KEY', raising=False)",
        "mock.patch.dict(os.environ, {}, clear=True)",
        "monkeypatch.setenv('SHOP_KEYS', 'a')",
        "os.environ['SHOP_KEY'] = 'a'",
        "pytest.raises(KeyError)",
    ],
)
def test_variable_of_the_test(body: str, shop: Shop) -> None:
    """Where the test sets, removes or misses it on purpose, the code may be wrong."""
    written(shop.folder, {"test_shop.py": f"def test_prices(): {body}\n"})
    assert shop.is_doubted(VARIABLE)


# --- services ------------------------------------------------------------------------------


def test_refused_connection(shop: Shop) -> None:
    assert shop.fact(ADDRESS) == "db.shop:7001 refused the connection"
    fact = "localhost:5432 refused the connection (5432 is the default port of PostgreSQL)"
    assert shop.fact(Missing("address", "localhost", "5432")) == fact
    assert shop.fact(Missing("address", "::1", "7001")) == "[::1]:7001 refused the connection"


def test_unreachable_address(shop: Shop) -> None:
    fact = "db.shop:7001 is unreachable from this machine"
    assert shop.fact(Missing("network", "db.shop", "7001")) == fact


def test_locale(shop: Shop) -> None:
    missing = Missing("locale", "de_XX.UTF-8")
    assert shop.is_doubted(missing)
    written(shop.folder, {"test_shop.py": "locale.setlocale(LC_ALL, 'de_XX.UTF-8')\n"})
    assert shop.fact(missing) == "the locale de_XX.UTF-8 is not installed on this machine"


def test_address_in_the_environment(shop: Shop) -> None:
    missing = Missing("address", "broker", "9999")
    assert shop.is_doubted(missing)
    assert shop.fact(missing, variables={"BROKER_URL": "amqp://broker:9999/"})


def test_server_of_the_project(shop: Shop) -> None:
    written(shop.folder, {"conftest.py": "server = HTTPServer(('localhost', 7001), Shop)\n"})
    case = shop.judge(ADDRESS)
    assert (case.unsearched, len(case.suspects)) == ("", 1)


def test_search_without_service(shop: Shop) -> None:
    """In a sandbox without the service, every change that avoids the connection would do."""
    case = shop.judge(Missing("address", "broker", "9999"))
    assert (case.unsearched, len(case.suspects)) == (MAY_LACK_SERVICE, 1)


def test_host(shop: Shop) -> None:
    assert shop.fact(HOST) == "the host name db.shop does not resolve"
    assert shop.is_doubted(Missing("host", "db.shopprices"))  # the code has built the name
    assert shop.is_doubted(Missing("host", "https://db.shop"))
    written(shop.folder, {"test_shop.py": "connect('localhsot')\n"})
    assert shop.is_doubted(Missing("host", "localhsot"))


def test_program(shop: Shop) -> None:
    assert shop.fact(PROGRAM) == "the program ffmpeg is not on PATH"
    assert shop.is_doubted(Missing("program", "ffmpeg -version"))
    assert shop.is_doubted(Missing("program", "ffmpeg7"))
    (shop.folder / "ffmpeg_").touch(0o755)
    case = shop.judge(PROGRAM, variables={"PATH": str(shop.folder)})
    assert case.cause.first.facts == ("the program ffmpeg is not on PATH; ffmpeg_ is",)
    assert not case.unsearched
    (shop.folder / "ffmpeg").touch(0o755)
    assert shop.is_doubted(PROGRAM, variables={"PATH": str(shop.folder)})


def test_port(shop: Shop) -> None:
    missing = Missing("port", "8000", "web (PID 7)")
    assert shop.fact(missing) == "port 8000 is in use by web (PID 7)"


SERVICES = (VARIABLE, ADDRESS, HOST, PROGRAM)


@pytest.mark.parametrize("missing", SERVICES, ids=lambda missing: missing.kind)
@pytest.mark.parametrize("test", ["test_server_is_down", "test_no_key", "test_default_host"])
def test_purpose(missing: Missing, test: str, shop: Shop) -> None:
    """A test that is about what happens without it may have found a fault."""
    assert shop.is_doubted(missing, test=test)


@pytest.mark.parametrize("missing", SERVICES, ids=lambda missing: missing.kind)
def test_changed_code(missing: Missing, shop: Shop) -> None:
    """Uncommitted code that runs may be wrong, unless undoing the changes has shown otherwise."""
    text = FILES["shop.py"].replace("HOST =", "HOST = HOST_NAME =")
    written(shop.folder, {"shop.py": text})
    assert shop.is_doubted(missing)
    note = "not by the changes since the last commit: it fails the same way without them"
    breakage = Breakage(total=1, note=note)
    if missing.kind in REMOTE_KINDS:  # the sandbox has no network, whatever the code
        assert shop.is_doubted(missing, breakage=breakage)
        assert shop.judge(missing, breakage=breakage).breakage == Breakage(note=NO_CHANGE_NAMED)
    else:
        assert shop.fact(missing, breakage=breakage)
    assert shop.is_doubted(missing, breakage=Breakage((CODE,)))


@pytest.mark.parametrize("name", ["settings.toml", "other.py"])
def test_changed_configuration(name: str, shop: Shop) -> None:
    """Nothing was run again, so any code may have been imported."""
    written(shop.folder, {name: "a = 1\n"})
    git(shop.folder, "add", "-A")
    assert shop.is_doubted(ADDRESS)


# --- modules and fixtures ------------------------------------------------------------------


def test_module(shop: Shop) -> None:
    written(shop.folder, {"requirements.txt": "no-such-tool>1\n"})
    fact = "no_such_tool is not installed, though requirements.txt declares it"
    missing = Missing("module", "no_such_tool")
    near = "the nearest module is 'no_such_tools'"
    assert shop.fact(missing, facts=(near,)) == f"{fact}: `pip install no-such-tool`"


def test_fixture(shop: Shop) -> None:
    case = shop.judge(Missing("fixture", "tmp_pth", "tmp_path"))
    assert (case.unsearched, case.suspects) == (LACKS_FIXTURE, ())
    assert case.cause.first.facts == ("the nearest fixture is 'tmp_path'",)


def test_removed_name(shop: Shop) -> None:
    """A name that code no longer defines is a fault of the code."""
    assert shop.is_doubted(Missing("name", "Warehouse", "shop"))


# --- tests that may be wrong ---------------------------------------------------------------

TEST = "def test_prices():\n    rest = 1\n    assert rest == {}\n"


@pytest.fixture
def tested(shop: Shop) -> Shop:
    """A project in which a statement of the test has changed."""
    written(shop.folder, {"test_shop.py": TEST.format(1)})
    git(shop.folder, "commit", "-qam", "second")
    written(shop.folder, {"test_shop.py": TEST.format(2)})
    return shop


def judge_test(shop: Shop, line: int = 3, breakage: Breakage = NO_BREAKAGE) -> Case:
    return shop.judge(None, breakage=breakage, line=line)


def test_only_the_test_has_changed(tested: Shop) -> None:
    case = judge_test(tested)
    fact = "only test_shop.py has changed since the last commit; the code is as committed"
    assert (case.cause.first.facts, case.unsearched) == ((fact,), ONLY_TEST_CHANGED)


def test_undoing_says_more(tested: Shop) -> None:
    assert not judge_test(tested, breakage=Breakage((CODE,))).unsearched
    assert not judge_test(tested, breakage=Breakage(note="test_prices is new")).unsearched


@pytest.mark.parametrize(
    "files",
    [
        {"shop.py": "HOST = 'db.shops'\n"},
        {"data/prices.csv": "price,name\n"},
        {"new.py": ""},
    ],
    ids=["code", "data", "untracked"],
)
def test_more_has_changed(files: dict[str, str], tested: Shop) -> None:
    written(tested.folder, files)
    assert not judge_test(tested).unsearched


def test_change_that_did_not_run(tested: Shop) -> None:
    assert not judge_test(tested, line=2).unsearched


def test_new_test(shop: Shop) -> None:
    """A test that is new may well have found a fault."""
    written(shop.folder, {"test_shop.py": "def test_others(): ...\n"})
    git(shop.folder, "commit", "-qam", "second")
    written(shop.folder, {"test_shop.py": TEST.format(2)})
    assert not judge_test(shop).unsearched
