# ruff: noqa: E501 - a hazard on a line is a row of a table
"""Tests that are generated: what is kept, what is not and why, and that nothing of it harms anybody."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.generate.docstrings import examples_of
from pytest_starcoder.generate.draft import Draft, Origin, Target
from pytest_starcoder.generate.result import Answer, Generated, Spent
from pytest_starcoder.generate.seeds import seeds_of
from pytest_starcoder.generate.selection import Budget, generate
from pytest_starcoder.generate.targets import targets_of
from pytest_starcoder.generate.type_hints import smoke_of
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.runner.sandbox import Level
from pytest_starcoder.runner.supervisor import descendants

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


class Rate:
    vat = 2


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
        self.write(
            "tests/conftest.py",
            "import pytest\n\n\n@pytest.fixture\ndef xs():\n    return [1, 2, 3]\n",
        )
        self.write("tests/test_there.py", "def test_nothing():\n    pass\n")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")

    def read(self, path: str) -> str:
        return (self.root / path).read_text("utf-8")

    def target(self, name: str) -> Target:
        return next(
            target
            for target in targets_of(self.read("shop.py"), "shop.py", self.root)
            if target.name == name
        )

    def files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def generated(
        self,
        drafts: list[Draft],
        *,
        suite: tuple[str, ...] = (),
        targets: Sequence[Target] = (),
        seconds: float = 60,
        **options: Any,
    ) -> Generated:
        launch = Launch(self.root, self.root, self.root / "pytest.ini")
        targets = targets or targets_of(self.read("shop.py"), "shop.py", self.root)
        deadline = Deadline.after(seconds, "generate_timeout")
        return generate(launch, targets, suite, drafts, self.read, deadline, Level.NONE, **options)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def draft(
    project: Project,
    body: str,
    target: str = "mean",
    *imports: str,
    name: str = "test_drafted",
    arguments: tuple[str, ...] = (),
) -> Draft:
    statements = tuple(ast.unparse(node) for node in ast.parse(dedent(body)).body)
    needed = (*imports, "from shop import CACHE, SEEN, Rate, mean, parse, price")
    return Draft(
        name, statements, needed, Origin.MODEL, project.target(target), arguments=arguments
    )


def verdict(generated: Generated) -> str:
    assert not generated.note
    if generated.kept:
        return "kept"
    return (generated.rejected or generated.suspected)[0].reason


HAZARDS = {
    "good": ("assert mean([1, 2, 3]) == 2", "kept"),
    "an exception": ("import pytest\nwith pytest.raises(ValueError):\n    mean([])", "kept"),
    "a fixture": ("assert price(*xs[:1]) == 2", "kept"),
    "vacuous": ("mean([1])\nassert True", "asserts nothing"),
    "no assertion": ("mean([1])", "asserts nothing"),
    "asserts on something else": ("assert sum([1, 2]) == 3", "does not call its target"),
    "calls and asserts on something else": ("mean([4, 4])\nassert sum([1, 2]) == 3", "adds nothing"),
    "asserts on a mock": (
        "from unittest.mock import Mock\nshop = Mock()\nshop.mean.return_value = 2\nassert shop.mean([1]) == 2",
        "does not call its target",
    ),
    "replaces the target": ("import shop\nshop.mean = lambda xs: 2\nassert shop.mean([9]) == 2", "leaves global state changed"),
    "replaces a part of the library": ("import math\nmath.fsum = sum\nassert mean([7, 8]) == 7.5", "leaves global state changed"),
    "changes a global": ("CACHE['x'] = 1\nassert mean([2, 2]) == 2", "leaves global state changed"),
    "changes a setting of a class": ("Rate.vat = 3\nassert mean([2, 2]) == 2", "leaves global state changed"),
    "swallows everything": ("try:\n    assert mean([1]) == 99\nexcept BaseException:\n    pass", "adds nothing"),
    "wrong": ("assert mean([1, 2]) == 99", "fails"),
    "flaky": ("import random\nassert mean([random.random()]) < 0.5", "passes only once"),
    "passes once": ("SEEN.append(1)\nassert mean([len(SEEN)]) == 1", "passes only once"),
    "depends on the hash seed": ("assert hash('a') % 4 == HASH % 4\nassert price(11, 7) == 76", "depends on the hash seed"),
    "enshrines a bug": ("assert parse('13') == 3", "contradicts its function's docstring"),
    "changes the environment": ("import os\nos.environ['PLANTED'] = '1'\nassert mean([1]) == 1", "leaves the environment changed"),
    "changes the folder": ("import os, tempfile\nos.chdir(tempfile.gettempdir())\nassert mean([1]) == 1", "leaves the working folder changed"),
    "starts a thread": ("import threading, time\nthreading.Thread(target=time.sleep, args=[9], daemon=True).start()\nassert mean([1]) == 1", "leaves a thread changed"),
    "writes into its folder": ("open('planted', 'w').close()\nassert mean([1]) == 1", "fails"),
    "writes into the source": ("import shop\nopen(shop.__file__, 'a').write('#')\nassert mean([1]) == 1", "fails"),
    "writes into the home": ("from pathlib import Path\nPath.home().joinpath('planted').touch()\nassert mean([1]) == 1", "leaves files in HOME changed"),
    "leaves a temporary file": ("import tempfile\ntempfile.mkstemp()\nassert mean([1]) == 1", "leaves files in TMPDIR changed"),
    "needs TCP": ("import socket\nsocket.create_connection(('127.0.0.1', TCP), timeout=2)\nassert mean([1]) == 1", "fails"),
    "needs UDP": ("import socket\nwith socket.socket(type=socket.SOCK_DGRAM) as own:\n    own.settimeout(0.4)\n    own.sendto(b'?', ('127.0.0.1', UDP))\n    assert own.recv(1) == b'!' and mean([1]) == 1", "fails"),
    "needs a Unix socket": ("import socket\nwith socket.socket(socket.AF_UNIX) as own:\n    own.connect(UNIX)\n    assert mean([1]) == 1", "fails"),
    "needs a key": ("import os\nassert os.environ['OPENAI_API_KEY'] and mean([1]) == 1", "fails"),
    "ends the process": ("import os\nassert mean([1]) == 1\nos._exit(0)", "ends the process"),
    "exits": ("import sys\nassert mean([1]) == 1\nsys.exit(0)", "fails"),
    "is killed": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nassert mean([1])", "ends the process"),
    "never ends": ("while True:\n    mean([1])\nassert mean([1])", "never ends"),
    "cannot be interrupted": ("while True:\n    try:\n        while True: mean([1])\n    except BaseException: pass\nassert mean([1])", "never ends"),
    "sleeps": ("import time\nassert mean([1]) == 1\ntime.sleep(60)", "never ends"),
    "forks": ("import os\nos.fork()\nassert mean([1]) == 1", "leaves a process changed"),
    "is a fork bomb": ("import os\nwhile True:\n    os.fork()\nassert mean([1])", "ends the process"),
    "eats memory": ("x = 'a' * (1 << 40)\nassert mean([1]) == 1", "fails"),
    "imports what is not there": ("import not_there\nassert mean([1]) == 1", "fails"),
    "skips itself": ("import pytest\nassert mean([1]) == 1\npytest.skip('no')", "is skipped"),
    "does harm when it is imported": ("assert mean([1]) == 1", "cannot be imported", "open('planted', 'w').close()"),
    "ends the process when it is imported": ("assert mean([1]) == 1", "cannot be imported", "raise SystemExit(0)"),
    "imports at its top what is not there": ("assert mean([1]) == 1", "cannot be imported", "import not_there"),
}  # fmt: skip


def test_of_more_than_forty_hazards_none_is_misjudged_and_nothing_is_left(
    project: Project, monkeypatch: pytest.MonkeyPatch, servers: dict[str, str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    servers["HASH"] = subprocess.check_output(
        [sys.executable, "-c", "print(hash('a'))"], text=True
    ).strip()
    drafts = list(examples_of(project.target("parse"), ["parse"]))
    for hazard, (body, _, *imports) in HAZARDS.items():
        code = body
        for name, value in servers.items():
            code = re.sub(rf"\b{name}\b", value, code)
        target = next((name for name in ("price", "parse") if f"{name}(" in code), "mean")
        drafts.append(
            draft(
                project,
                code,
                target,
                *imports,
                name=_name(hazard),
                arguments=("xs",) * ("*xs" in code),
            )
        )
    before, started = project.files(), time.monotonic()
    generated = project.generated(drafts)
    found = {kept.draft.name: "kept" for kept in generated.kept}
    found |= {left.draft.name: left.reason for left in (*generated.rejected, *generated.suspected)}
    assert {hazard: found[_name(hazard)] for hazard in HAZARDS} == {
        hazard: told[1] for hazard, told in HAZARDS.items()
    }
    assert time.monotonic() - started < 100
    assert project.files() == before
    assert not [
        process
        for process in descendants(os.getpid())
        if _command(process)[:3] == [sys.executable, "-P", "-m"]
    ]


def _name(hazard: str) -> str:
    return f"test_{hazard.replace(' ', '_').lower()}"


def _command(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/cmdline").read_text().split("\0")
    except OSError:
        return []


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Three that listen on this machine, and that a confined test cannot reach."""
    path = str(tmp_path / "socket")
    with (
        socket.socket() as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        for own in (tcp, udp):
            own.bind(("127.0.0.1", 0))
        unix.bind(path)
        tcp.listen()
        unix.listen()

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    udp.sendto(b"!", udp.recvfrom(1)[1])

        threading.Thread(target=answer, daemon=True).start()
        yield {
            "TCP": str(tcp.getsockname()[1]),
            "UDP": str(udp.getsockname()[1]),
            "UNIX": repr(path),
        }


@pytest.mark.parametrize(
    "source",
    [
        "def test_drafted(:\n",
        "Here is a test for you.\n",
        "import not_there\n",
        "raise SystemExit(0)\n",
    ],
)
def test_what_is_no_module_is_not_kept(
    source: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = draft(project, "assert mean([1]) == 1")
    monkeypatch.setattr(Draft, "source", property(lambda _self: source))
    assert verdict(project.generated([broken])) == "cannot be imported"


def test_an_example_that_the_code_breaks_is_a_suspected_bug_and_never_a_test(
    project: Project,
) -> None:
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


@pytest.mark.parametrize(
    "source",
    [
        "def save(text):\n    '''\n    >>> save('a')\n    1\n    '''\n    return open('saved', 'w').write(text)\n",
        "def f(x):\n    '''\n    >>> f(there)\n    1\n    '''\n    return x\n",
    ],
)
def test_what_confinement_refuses_or_the_example_lacks_is_no_bug(
    project: Project, source: str
) -> None:
    project.write("shop.py", source)
    targets = targets_of(source, "shop.py", project.root)
    generated = project.generated(list(examples_of(targets[0], [targets[0].name])), targets=targets)
    assert (generated.suspected, [left.reason for left in generated.rejected]) == ((), ["fails"])


def test_an_example_may_use_what_its_module_imports(project: Project) -> None:
    source = "import decimal\nfrom math import floor\n\n\ndef cap(x):\n    '''\n    >>> cap(decimal.Decimal(floor(2.5)))\n"
    source += "    2\n    '''\n    return min(int(x), 9)\n"
    project.write("shop.py", source)
    targets = targets_of(source, "shop.py", project.root)
    [kept] = project.generated(seeds_of(source, targets, [Origin.DOCTEST]), targets=targets).kept
    assert kept.draft.imports == (
        "import decimal",
        "from math import floor",
        "",
        "from shop import cap",
    )


def test_an_example_that_gives_something_else_tells_what(project: Project) -> None:
    project.write("shop.py", SHOP.replace("int(text[1:])", "int(text) + 4"))
    generated = project.generated(list(examples_of(project.target("parse"), ["parse"])))
    assert [found.reason for found in generated.suspected] == ["gives 7"]


def test_of_two_drafts_that_find_the_same_the_shorter_is_kept(project: Project) -> None:
    one, two = (
        draft(project, "assert mean([1, 2, 3]) == 2"),
        draft(project, "x = [1, 2, 3]\nassert mean(x) == 2"),
    )
    generated = project.generated([one, Draft(**{**two.__dict__, "name": "test_other"})])
    assert [kept.draft.name for kept in generated.kept] == ["test_drafted"]
    assert [left.reason for left in generated.rejected] == ["adds nothing"]


def test_what_the_suite_finds_already_is_not_tested_again(project: Project) -> None:
    project.write(
        "tests/test_there.py",
        "from shop import mean\n\n\ndef test_mean():\n    assert mean([1, 2, 3]) == 2\n",
    )
    generated = project.generated(
        [draft(project, "assert mean([1, 2, 3]) == 2")], suite=("tests/test_there.py::test_mean",)
    )
    assert verdict(generated) == "adds nothing"
    [mean] = [tally for tally in generated.tallies if tally.target.name == "mean"]
    assert 0 < mean.killed_before == mean.killed < mean.mutants


def test_a_living_mutant_is_killed_by_what_the_code_does_now(project: Project) -> None:
    generated = project.generated(
        [draft(project, "assert price(5) == 10", "price")], characterise=True
    )
    held = [kept.draft for kept in generated.kept if kept.draft.origin is Origin.CHARACTERISATION]
    assert held
    assert all(
        "Characterisation" in found.body[0] and found.name.startswith("test_price_characterised_")
        for found in held
    )
    [price] = [tally for tally in generated.tallies if tally.target.name == "price"]
    assert price.killed > price.mutants / 2


def test_an_exception_that_a_docstring_names_is_tested_on_an_input_that_raises_it(
    project: Project,
) -> None:
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


def test_what_cannot_be_imported_is_said_with_the_reason(project: Project) -> None:
    project.write("shop.py", f"import not_there\n{SHOP}")
    assert project.generated([]).note == (
        "shop cannot be imported (ModuleNotFoundError: No module named 'not_there')"
    )


@pytest.mark.slow
def test_a_suite_that_is_slow_leaves_time_for_drafts(project: Project) -> None:
    project.write(
        "tests/test_there.py",
        "import time\nfrom shop import mean\n\n\ndef test_slow():\n"
        "    until = time.process_time() + 1.5\n    while time.process_time() < until:\n        pass\n"
        "    assert mean([1, 3]) == 2\n",
    )
    suite = ("tests/test_there.py::test_slow",)
    found = draft(project, "assert price(11, 7) == 76", "price")
    targets = [project.target("mean"), project.target("price")]
    generated = project.generated([found], suite=suite, targets=targets, seconds=14)
    assert [kept.draft for kept in generated.kept] == [found]
    assert re.fullmatch(r"\d+ mutants were not tried with the existing tests, .*", generated.over)


@pytest.mark.slow
def test_when_the_time_is_over_what_was_not_tried_is_told(project: Project) -> None:
    drafts = [
        draft(project, f"import time\ntime.sleep({n})\nassert mean([1])", name=f"test_{n}")
        for n in range(50, 55)
    ]
    generated = project.generated(
        [draft(project, "assert mean([1, 2]) == 1.5", name="test_a"), *drafts], seconds=6
    )
    assert generated.over == "the time was over (the setting generate_timeout)"
    assert {left.reason for left in generated.rejected} >= {"was not run, the time was over"}


def test_the_level_of_confinement_is_told(project: Project) -> None:
    assert project.generated([]).level in ("kernel", "audit")


def test_ways_that_no_test_takes_are_found_as_well_as_lines(project: Project) -> None:
    project.write(
        "shop.py",
        "def f(x):\n    for y in x:\n        if y > 3:\n            x = [y]\n    return x\n",
    )
    body = ("from shop import f\nassert f([5, 4]) == [4]", "from shop import f\nassert f([]) == []")
    target = next(
        target
        for target in targets_of(project.read("shop.py"), "shop.py", project.root)
        if target.name
    )
    drafts = [
        Draft(f"test_{n}", tuple(text.split("\n")), (), Origin.MODEL, target)
        for n, text in enumerate(body)
    ]
    generated = project.generated(drafts, targets=[target])
    [tally] = generated.tallies
    assert (tally.lines, tally.covered, tally.branches, tally.taken) == (4, 4, 4, 3)


def test_a_test_of_hypothesis_tells_the_simplest_input_that_breaks_what_types_promise(
    project: Project,
) -> None:
    project.write(
        "shop.py",
        "def first(text: str) -> str:\n    return text[0]\n\n\ndef digits(x: int) -> int:\n    return len(str(x))\n",
    )
    targets = targets_of(project.read("shop.py"), "shop.py", project.root)
    generated = project.generated(list(smoke_of(targets)), targets=targets)
    assert [(bug.draft.target.name, bug.reason) for bug in generated.suspected] == [
        ("first", "raises IndexError for text=''")
    ]
    assert [kept.draft.name for kept in generated.kept] == ["test_digits_of_any_input"]


def test_what_is_no_class_is_no_bug_of_the_function(project: Project) -> None:
    project.write("shop.py", "Alias = list[int]\n\n\ndef f(x: int) -> Alias:\n    return [x]\n")
    targets = targets_of(project.read("shop.py"), "shop.py", project.root)
    generated = project.generated(list(smoke_of(targets, {"Alias"})), targets=targets)
    assert (generated.suspected, [left.reason for left in generated.rejected]) == ((), ["fails"])


@pytest.mark.slow
def test_a_slow_test_of_the_suite_kills_only_what_it_notices(project: Project) -> None:
    project.write(
        "tests/test_there.py",
        "import time\nfrom shop import price\n\n\ndef test_slow():\n"
        "    until = time.process_time() + 0.8\n    while time.process_time() < until:\n        pass\n"
        "    assert price(1) > 0\n",
    )
    targets = [project.target("price")]
    generated = project.generated([], suite=("tests/test_there.py::test_slow",), targets=targets)
    [tally] = generated.tallies
    assert 0 <= tally.killed_before < tally.mutants / 2


def test_functions_of_two_modules_that_are_called_alike_have_tests_of_their_own(
    project: Project,
) -> None:
    project.write("other.py", SHOP.replace("2.0", "2.0  "))
    targets = [
        project.target("mean"),
        replace(project.target("mean"), path="other.py", module="other"),
    ]
    drafts = [draft for target in targets for draft in examples_of(target, ["mean"])]
    generated = project.generated(drafts, targets=targets)
    assert {(kept.draft.target.module, kept.draft.name) for kept in generated.kept} == {
        ("shop", "test_mean_example_1"),
        ("shop", "test_mean_example_2"),
        ("other", "test_mean_example_1_2"),
        ("other", "test_mean_example_2_2"),
    }


class Scripted:
    """An author that writes what a test says, in the place of a model."""

    def __init__(self, project: Project, *bodies: str) -> None:
        self.project, self.bodies = project, [*bodies]
        self.asked: list[tuple[str, object]] = []

    def predicted(self, target: Target, call: str, comparison: str) -> Answer:
        self.asked.append((target.name, call))
        return Answer(
            (draft(self.project, f"assert {call} {comparison} 3", "mean"),),
            Spent(1, 10),
            "scripted",
        )

    def written(self, target: Target, attempt: int, gaps: Sequence[str]) -> Answer:
        self.asked.append((target.name, attempt))
        drafts = [draft(self.project, self.bodies.pop(0), target.name)] if self.bodies else []
        return Answer(tuple(drafts), Spent(1, 10), "scripted")


def test_a_model_is_asked_what_telling_calls_give_and_then_for_what_is_left(
    project: Project,
) -> None:
    author = Scripted(project, "assert mean([1, 2]) == 1.5")
    targets = [project.target("mean")]
    drafts = [draft(project, "assert mean([4]) == 4", name="test_four")]
    generated = project.generated(drafts, author=author, targets=targets)
    assert all(isinstance(call, str) and call.startswith("mean(") for _, call in author.asked[:1])
    assert ("mean", 0) in author.asked
    assert any(kept.draft.body == ("assert mean([1, 2]) == 1.5",) for kept in generated.kept)
    assert (generated.spent.requests, generated.model) == (len(author.asked), "scripted")


def test_a_model_is_asked_nothing_where_nothing_is_left(project: Project) -> None:
    project.write("shop.py", "def one():\n    return 1\n")
    targets = targets_of(project.read("shop.py"), "shop.py", project.root)
    found = Draft(
        "test_one", ("assert one() == 1",), ("from shop import one",), Origin.MODEL, targets[0]
    )
    author = Scripted(project)
    assert project.generated([found], author=author, targets=targets).kept
    assert not author.asked


def test_a_budget_ends_what_a_model_is_asked(project: Project) -> None:
    author = Scripted(project)
    generated = project.generated(
        [], author=author, targets=[project.target("mean")], budget=Budget(100, 15)
    )
    assert len(author.asked) == 2
    assert generated.remark == "the setting generate_tokens (15) was reached"


def test_what_fails_among_the_others_is_not_kept(project: Project) -> None:
    project.write(
        "shop.py",
        f"COUNT = []\n\n\ndef count():\n    COUNT.append(1)\n    return len(COUNT) < 3\n{SHOP}",
    )
    first = draft(project, "from shop import count\nassert count()", "mean", name="test_count")
    target = next(
        t for t in targets_of(project.read("shop.py"), "shop.py", project.root) if t.name == "count"
    )
    drafts = [replace(first, target=target), replace(first, target=target, name="test_count_again")]
    drafts[1] = replace(drafts[1], body=("import shop", "assert shop.count() is True"))
    generated = project.generated(drafts, targets=[target])
    assert len(generated.kept) <= 1
