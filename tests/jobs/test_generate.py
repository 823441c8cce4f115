# ruff: noqa: E501 - a hazard on a line is a row of a table
"""Tests that are generated: what is kept, what is not and why, and that nothing of it harms anybody."""

from __future__ import annotations

import ast
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_starcoder.evidence.documented import examples_of
from pytest_starcoder.evidence.targets import targets_of
from pytest_starcoder.jobs.generate import generate
from pytest_starcoder.runner import Launch
from pytest_starcoder.runner.confine import Level
from pytest_starcoder.values.asked import Deadline
from pytest_starcoder.values.draft import Draft, Origin, Target
from pytest_starcoder.values.generated import Generated

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="drafts are judged in forks")

SHOP = '''
SEEN = []
CACHE = {}


def mean(xs):
    """The mean.

    >>> mean([1, 2, 3])
    2.0
    >>> mean([])
    Traceback (most recent call last):
    ...
    ValueError: no values
    """
    if not xs:
        raise ValueError("no values")
    return sum(xs) / len(xs)


def parse(text):
    """The number in a text.

    >>> parse("3")
    3
    """
    return int(text[1:])


def price(quantity, one=2):
    if quantity > 10:
        return quantity * one - 1
    return quantity * one
'''


class Project:
    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.write("pytest.ini", "[pytest]\npythonpath = .\n")
        self.write("shop.py", SHOP)
        self.write("tests/conftest.py", "import pytest\n\n\n@pytest.fixture\ndef xs():\n    return [1, 2, 3]\n")
        self.write("tests/test_there.py", "def test_nothing():\n    pass\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")

    def read(self, path: str) -> str:
        return (self.root / path).read_text("utf-8")

    def target(self, name: str) -> Target:
        return next(target for target in targets_of(self.read("shop.py"), "shop.py", self.root) if target.name == name)

    def generated(self, drafts: list[Draft], *, characterise: bool = False, suite: tuple[str, ...] = ()) -> Generated:
        launch = Launch(self.root, self.root, self.root / "pytest.ini")
        targets = targets_of(self.read("shop.py"), "shop.py", self.root)
        deadline = Deadline.after(60)
        return generate(launch, targets, suite, drafts, self.read, deadline, Level.NONE, characterise=characterise)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def draft(project: Project, body: str, target: str = "mean", *imports: str) -> Draft:
    statements = tuple(ast.unparse(node) for node in ast.parse(dedent(body)).body)
    needed = (*imports, "from shop import CACHE, SEEN, mean, parse, price")
    return Draft("test_drafted", statements, needed, Origin.MODEL, project.target(target))


def verdict(generated: Generated) -> str:
    assert not generated.note
    if generated.kept:
        return "kept"
    return (generated.rejected or generated.suspected)[0].reason


HAZARDS = {
    "good": ("assert mean([1, 2, 3]) == 2", "kept"),
    "an exception": ("import pytest\nwith pytest.raises(ValueError):\n    mean([])", "kept"),
    "vacuous": ("mean([1])\nassert True", "asserts nothing"),
    "no assertion": ("mean([1])", "asserts nothing"),
    "asserts on something else": ("assert sum([1, 2]) == 3", "does not call its target"),
    "asserts on a mock": (
        "from unittest.mock import Mock\nshop = Mock()\nshop.mean.return_value = 2\nassert shop.mean([1]) == 2",
        "does not call its target",
    ),
    "replaces the target": ("import shop\nshop.mean = lambda xs: 2\nassert shop.mean([9]) == 2", "does not call its target"),
    "swallows everything": ("try:\n    assert mean([1]) == 99\nexcept BaseException:\n    pass", "asserts nothing about it"),
    "wrong": ("assert mean([1, 2]) == 99", "fails"),
    "flaky": ("import random\nassert mean([random.random()]) < 0.5", "passes only once"),
    "passes once": ("SEEN.append(1)\nassert mean([len(SEEN)]) == 1", "passes only once"),
    "depends on the hash seed": ("assert mean([hash('a') % 1000, hash('b') % 1000]) > 0 and sorted({'a', 'b', 'c'}, key=hash) == list({'a', 'b', 'c'}) and mean([1]) == 1 and hash('a') == 7", "fails"),
    "changes the environment": ("import os\nos.environ['PLANTED'] = '1'\nassert mean([1]) == 1", "leaves the environment changed"),
    "changes the folder": ("import os, tempfile\nos.chdir(tempfile.gettempdir())\nassert mean([1]) == 1", "leaves the working folder changed"),
    "writes into its folder": ("open('planted', 'w').close()\nassert mean([1]) == 1", "fails"),
    "writes into the source": ("import shop\nopen(shop.__file__, 'a').write('#')\nassert mean([1]) == 1", "fails"),
    "writes into the home": ("from pathlib import Path\nPath.home().joinpath('planted').touch()\nassert mean([1]) == 1", "leaves files in HOME changed"),
    "leaves a temporary file": ("import tempfile\ntempfile.mkstemp()\nassert mean([1]) == 1", "leaves files in TMPDIR changed"),
    "needs a network": ("import socket\nsocket.create_connection(('127.0.0.1', PORT), timeout=2)\nassert mean([1]) == 1", "fails"),
    "needs a key": ("import os\nassert os.environ['OPENAI_API_KEY'] and mean([1]) == 1", "fails"),
    "ends the process": ("import os\nassert mean([1]) == 1\nos._exit(0)", "ends the process"),
    "exits": ("import sys\nassert mean([1]) == 1\nsys.exit(0)", "fails"),
    "is killed": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nassert mean([1])", "ends the process"),
    "never ends": ("while True:\n    mean([1])\nassert mean([1])", "never ends"),
    "cannot be interrupted": ("while True:\n    try:\n        while True: mean([1])\n    except BaseException: pass\nassert mean([1])", "never ends"),
    "sleeps": ("import time\nassert mean([1]) == 1\ntime.sleep(60)", "never ends"),
    "forks": ("import os\nos.fork()\nassert mean([1]) == 1", "leaves a process changed"),
    "eats memory": ("x = 'a' * (1 << 40)\nassert mean([1]) == 1", "fails"),
    "imports what is not there": ("import not_there\nassert mean([1]) == 1", "fails"),
    "skips itself": ("import pytest\nassert mean([1]) == 1\npytest.skip('no')", "is skipped"),
}  # fmt: skip


@pytest.mark.parametrize("hazard", HAZARDS)
def test_a_draft_is_judged_for_what_it_is(
    hazard: str, project: Project, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    body, expected = HAZARDS[hazard]
    before = {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()}
    started = time.monotonic()
    assert verdict(project.generated([draft(project, body.replace("PORT", str(free_port)))])) == expected
    assert time.monotonic() - started < 30
    assert {path: path.read_bytes() for path in project.root.rglob("*") if path.is_file()} == before


@pytest.fixture
def free_port() -> Iterator[int]:
    """Of a server that listens on this machine, and that a confined test cannot reach."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    "source", ["def test_drafted(:\n", "Here is a test for you.\n", "import not_there\n", "raise SystemExit(0)\n"]
)
def test_what_is_no_module_is_not_kept(source: str, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = draft(project, "assert mean([1]) == 1")
    monkeypatch.setattr(Draft, "source", property(lambda _self: source))
    assert verdict(project.generated([broken])) == "cannot be imported"


def test_an_example_that_the_code_breaks_is_a_suspected_bug_and_never_a_test(project: Project) -> None:
    examples = [
        found
        for target in (project.target("mean"), project.target("parse"))
        for found in examples_of(target, ["mean", "parse"])
    ]
    generated = project.generated(examples)
    assert [(found.draft.because, found.reason) for found in generated.suspected] == [
        ('>>> parse("3")', "raises ValueError")
    ]
    assert {kept.draft.target.name for kept in generated.kept} == {"mean"}


def test_of_two_drafts_that_find_the_same_the_shorter_is_kept(project: Project) -> None:
    one, two = draft(project, "assert mean([1, 2, 3]) == 2"), draft(project, "x = [1, 2, 3]\nassert mean(x) == 2")
    generated = project.generated([one, Draft(**{**two.__dict__, "name": "test_other"})])
    assert [kept.draft.name for kept in generated.kept] == ["test_drafted"]
    assert [left.reason for left in generated.rejected] == ["adds nothing"]


def test_what_the_suite_finds_already_is_not_tested_again(project: Project) -> None:
    project.write(
        "tests/test_there.py", "from shop import mean\n\n\ndef test_mean():\n    assert mean([1, 2, 3]) == 2\n"
    )
    generated = project.generated(
        [draft(project, "assert mean([1, 2, 3]) == 2")], suite=("tests/test_there.py::test_mean",)
    )
    assert verdict(generated) == "adds nothing"
    [mean] = [tally for tally in generated.tallies if tally.target.name == "mean"]
    assert 0 < mean.killed_before == mean.killed < mean.mutants


def test_a_living_mutant_is_killed_by_what_the_code_does_now(project: Project) -> None:
    generated = project.generated([draft(project, "assert price(5) == 10", "price")], characterise=True)
    held = [kept.draft for kept in generated.kept if kept.draft.origin is Origin.CHARACTERISATION]
    assert held
    assert all(
        "Characterisation" in found.body[0] and found.name.startswith("test_price_characterised_") for found in held
    )
    [price] = [tally for tally in generated.tallies if tally.target.name == "price"]
    assert price.killed > price.mutants / 2


def test_an_exception_that_a_docstring_names_is_tested_on_an_input_that_raises_it(project: Project) -> None:
    source = SHOP.replace(
        """    >>> mean([])
    Traceback (most recent call last):
    ...
    ValueError: no values
""",
        """
    Raises:
        ValueError: where there is none.
        KeyError: never.
""",
    )
    project.write("shop.py", source)
    generated = project.generated(list(examples_of(project.target("mean"), ["mean"])))
    [raises] = [kept.draft for kept in generated.kept if kept.draft.origin is Origin.RAISES]
    assert raises.body == ("with pytest.raises(ValueError):\n    mean([])",)


def test_the_level_of_confinement_is_told(project: Project) -> None:
    assert project.generated([]).level in ("kernel", "audit")
