"""A live exception becomes a Failure, whatever it and the values in it do."""

from __future__ import annotations

import json
import linecache
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_starcoder.explain.assertions import Comparison
from pytest_starcoder.explain.capture import (
    MAX_FRAMES,
    MAX_SOURCE_LINES,
    capture_failure,
    failure_from_report,
)
from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.source import project as source
from pytest_starcoder.source.project import in_project
from pytest_starcoder.text.reprs import short_repr


class Project:
    """Files under a root, of which functions are run until they raise."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = source.Project(root)

    def module(self, name: str, source: str) -> dict[str, Any]:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
        linecache.checkcache(str(path))
        scope: dict[str, Any] = {"__name__": path.stem}
        exec(compile(source, str(path), "exec"), scope)
        return scope

    def failure(self, run: Callable[[], object]) -> Failure:
        try:
            run()
        except BaseException as exc:  # noqa: BLE001 - whatever it is
            return capture_failure(exc, "test_x.py::test_x", "call", self.files)
        raise AssertionError("nothing was raised")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_frames(project: Project) -> None:
    inner = project.module(
        "src/shop/pricing.py", "\n\ndef price(x):\n    y = x\n    return 1 / y\n"
    )
    outer = project.module("test_x.py", "def test_x(f):\n    f(0)\n")
    failure = project.failure(lambda: outer["test_x"](inner["price"]))
    assert [
        (frame.path, frame.line, frame.function, frame.first_line) for frame in failure.frames
    ] == [
        ("test_x.py", 2, "test_x", 1),
        ("src/shop/pricing.py", 5, "price", 3),
    ]
    assert failure.frames[1].source == "def price(x):\n    y = x\n    return 1 / y"
    assert failure.frames[1].statement == "return 1 / y"
    assert (failure.nodeid, failure.phase, failure.exception) == (
        "test_x.py::test_x",
        "call",
        "ZeroDivisionError",
    )


def test_frames_of_libraries(project: Project) -> None:
    library = project.module(".venv/lib/site-packages/library.py", "def call(f):\n    return f()\n")
    is_own_file = project.module(
        "own.py", "def fails():\n    raise ValueError('x')\ndef begins(call):\n    call(fails)\n"
    )
    failure = project.failure(lambda: is_own_file["begins"](library["call"]))
    assert [frame.function for frame in failure.frames] == ["begins", "fails"]


@pytest.mark.parametrize(
    ("path", "is_own_file"),
    [
        ("shop.py", True),
        ("tests/deep/test_x.py", True),
        (".venv/lib/python3.11/site-packages/x.py", False),
        ("usr/lib/python3/dist-packages/x.py", False),
        (
            f".venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/json/decoder.py",
            False,
        ),
        ("../elsewhere.py", False),
    ],
)
def test_installed_files(tmp_path: Path, path: str, is_own_file: bool) -> None:
    folder = tmp_path / "project"
    name = tmp_path / path.removeprefix("../") if path.startswith("../") else folder / path
    assert in_project(str(name), folder) == is_own_file


def test_code_without_file(tmp_path: Path) -> None:
    assert not in_project("<string>", tmp_path)


def test_no_project_frame(project: Project) -> None:
    failure = project.failure(lambda: int("x"))
    assert (failure.frames, failure.callees) == ((), ())
    assert failure.seen == "raised ValueError: invalid literal for int() with base 10: 'x'"


def test_exception_never_raised(project: Project) -> None:
    assert (
        capture_failure(ValueError("x"), "n", "call", project.files).seen == "raised ValueError: x"
    )


def test_deep_recursion(project: Project) -> None:
    source = (
        "def test_x():\n    down(0)\ndef down(n):\n    if n % 2:\n"
        "        down(n + 1)\n    else:\n        down(n + 1)\n"
    )
    failure = project.failure(project.module("test_x.py", source)["test_x"])
    assert failure.exception == "RecursionError"
    assert [frame.function for frame in failure.frames] == ["test_x", *["down"] * (MAX_FRAMES - 1)]


def test_long_function(project: Project) -> None:
    lines = [f"    x = {number}" for number in range(200)]
    source = "\n".join(["def long():", *lines[:150], "    raise ValueError", *lines[150:]])
    frame = project.failure(project.module("long.py", source)["long"]).frames[0]
    assert len(frame.source.splitlines()) <= MAX_SOURCE_LINES
    assert frame.statement == "raise ValueError"


def test_method_name(project: Project) -> None:
    source = "class Cart:\n    @property\n    def total(self):\n        return self.missing\n"
    failure = project.failure(lambda: project.module("cart.py", source)["Cart"]().total)
    assert failure.frames[0].function == "Cart.total"


def test_generator_expression(project: Project) -> None:
    failure = project.failure(
        project.module("x.py", "def f():\n    return sum(1 / n for n in [0])\n")["f"]
    )
    assert [frame.function for frame in failure.frames] == ["f"]


def test_cause_with_frames(project: Project) -> None:
    source = "def f():\n    raise KeyError('inner')\n"
    inner = project.module("x.py", source)["f"]
    outer = RuntimeError("outer")
    with pytest.raises(KeyError) as caught:
        inner()
    outer.__cause__ = caught.value
    failure = capture_failure(outer, "n", "collect", project.files)
    assert (failure.exception, failure.frames[-1].function) == ("KeyError", "f")


def test_circular_causes(project: Project) -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert capture_failure(first, "n", "call", project.files).exception == "ValueError"


def test_exception_group(project: Project) -> None:
    source = (
        "import asyncio\n"
        "async def works():\n    raise ValueError('deep')\n"
        "async def main():\n    async with asyncio.TaskGroup() as group:\n"
        "        group.create_task(works())\n"
    )
    module = project.module("tasks.py", source)
    failure = project.failure(lambda: module["asyncio"].run(module["main"]()))
    assert failure.exception == "ExceptionGroup"
    assert failure.message == "unhandled errors in a TaskGroup (1 sub-exception), ValueError: deep"
    assert [frame.function for frame in failure.frames] == ["main", "works"]


def test_deleted_source(project: Project) -> None:
    module = project.module("gone.py", "def f():\n    assert 0\n")
    (project.root / "gone.py").unlink()
    linecache.checkcache()
    failure = project.failure(module["f"])
    assert (failure.frames[0].source, failure.frames[0].statement) == ("", "")
    assert failure.seen == "raised AssertionError"


def test_changed_source(project: Project) -> None:
    module = project.module("changed.py", "\n" * 50 + "def f():\n    assert 0\n")
    (project.root / "changed.py").write_text("x = (")
    linecache.checkcache()
    assert project.failure(module["f"]).seen == "raised AssertionError"


def test_no_syntax_warning(project: Project) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = project.module("old.py", 'def f():\n    assert len("\\d") == 3\n')
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        failure = project.failure(module["f"])
    assert (failure.seen, caught) == (
        "len('\\\\d') == 3 is false, the test expects it to be true",
        [],
    )


@pytest.mark.parametrize("lines", [("filename.py", "x"), (7, 3, 1, "x"), (None, None, None, None)])
def test_odd_syntax_error(project: Project, lines: tuple[Any, ...]) -> None:
    exc = SyntaxError("odd")
    exc.filename, exc.lineno = lines[:2]
    assert capture_failure(exc, "n", "collect", project.files).frames == ()


# --- hostile values ------------------------------------------------------------------------


class Bare(BaseException): ...


@pytest.mark.parametrize(
    "raised", [ValueError, RecursionError, SystemExit, Bare, pytest.fail.Exception]
)
def test_raising_str_and_repr(project: Project, raised: type[BaseException]) -> None:
    class Hostile(Exception):
        def __str__(self) -> str:
            raise raised

        __repr__ = __str__

    assert (
        capture_failure(Hostile(), "n", "call", project.files).message
        == f"<its str raises {raised.__name__}>"
    )
    assert short_repr(Hostile()) == f"<Hostile whose repr raises {raised.__name__}>"


def test_interrupted_repr() -> None:
    class Slow:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        short_repr(Slow())


def test_raising_repr_in_list() -> None:
    class Hostile:
        def __repr__(self) -> str:
            raise ValueError

    assert short_repr([1, Hostile()]) == "[1, <Hostile whose repr raises ValueError>]"


def test_no_memory_addresses(
    project: Project,
) -> None:
    assert short_repr([object()]) == "[<object object>]"
    assert capture_failure(ValueError(f"not {object()}"), "n", "call", project.files).seen == (
        "raised ValueError: not <object object>"
    )


def test_repr_without_string() -> None:
    class Odd:
        def __repr__(self) -> str:
            return 3  # type: ignore[return-value]

    assert short_repr(Odd()) == "<Odd whose repr raises TypeError>"


def test_exception_with_eq(project: Project) -> None:
    class Equal(Exception):
        def __eq__(self, other: object) -> bool:
            raise AssertionError("asked")

        __hash__ = None  # type: ignore[assignment]

    exc = Equal("x")
    exc.__cause__ = Equal("y")
    assert capture_failure(exc, "n", "call", project.files).exception == "Equal"


@pytest.mark.parametrize(
    "value",
    [
        "x" * 5_000_000,
        b"x" * 5_000_000,
        list(range(1_000_000)),
        dict.fromkeys(range(1000), "x" * 1000),
        [["x" * 1000] * 1000] * 1000,
        10**4000,
        10**6000,
        ValueError("x" * 5_000_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_huge_value(value: object) -> None:
    assert 0 < len(short_repr(value)) <= 240


def test_huge_message(project: Project) -> None:
    failure = capture_failure(ValueError("x" * 5_000_000), "n", "call", project.files)
    assert len(failure.message) == 400
    assert len(failure.seen) < 500


def test_recursive_value() -> None:
    value: list[object] = []
    value.append(value)
    assert 0 < len(short_repr(value)) <= 240


def test_escape_sequences(project: Project) -> None:
    assert "\x1b" not in capture_failure(ValueError("\x1b[31mred"), "n", "call", project.files).seen

    class Red:
        def __repr__(self) -> str:
            return "\x1b[31mred"

    assert short_repr(Red()) == "red"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=30,
)


@given(anything)
def test_any_value(value: object) -> None:
    text = short_repr(value)
    assert 0 < len(text) <= 240
    assert len(text.splitlines()) == 1
    text.encode("utf-8")


@given(anything)
def test_simple_value(value: object) -> None:
    if isinstance(value, int | float | bool | None) and len(repr(value)) <= 100:
        assert short_repr(value) == repr(value)


@given(st.text(), st.text(), st.text())
def test_failure_as_json(nodeid: str, message: str, text: str) -> None:
    for failure in (
        failure_from_report(nodeid, "call", text),
        capture_failure(
            ValueError(message),
            nodeid,
            "call",
            source.Project(Path("/x")),
            Comparison.of_values("==", message, text),
        ),
    ):
        assert Failure.from_json(json.loads(json.dumps(failure.to_json()))) == failure


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("line one\n  last line \n\n", "last line"),
        ("[gw0] node down: Not properly terminated", "[gw0] node down: Not properly terminated"),
        ("", "failed without a message"),
        ("\n \n", "failed without a message"),
    ],
)
def test_failure_from_report(text: str, seen: str) -> None:
    failure = failure_from_report("test_x.py::test_x", "call", text)
    assert (failure.seen, failure.message, failure.exception, failure.frames) == (
        seen,
        seen,
        "failure",
        (),
    )


def test_speed_on_long_file(project: Project) -> None:
    source = "".join(f"def test_{n}():\n    assert len('x') == {n}\n\n" for n in range(2, 800))
    module = project.module("test_long.py", source)
    started = time.process_time()
    for number in range(2, 102):
        project.failure(module[f"test_{number}"])
    assert (
        time.process_time() - started < 1.0
    )  # a tenth of it; parsed anew for each it takes many times as long


def test_cause_without_a_text(project: Project) -> None:
    code = "def fails():\n    raise TimeoutError from KeyError()\n"
    module = project.module("own.py", code)
    assert project.failure(module["fails"]).seen == "raised TimeoutError: from KeyError"


def test_cause_with_the_same_text(project: Project) -> None:
    code = "def fails():\n    raise KeyError('x') from KeyError('x')\n"
    module = project.module("own.py", code)
    assert project.failure(module["fails"]).seen == "raised KeyError: 'x'"
