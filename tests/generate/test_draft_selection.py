"""The selection of drafts, with drafts that run in this process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.shop import SHOP, generate, reasons, shop_draft, target_named, targets_in

from pytest_starcoder.generate.docstrings import doctest_drafts
from pytest_starcoder.generate.draft import Draft, Origin
from pytest_starcoder.generate.job import drafts_without_model


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("assert mean([1, 2, 3]) == 2", "kept"),
        ("import pytest\nwith pytest.raises(ValueError):\n    mean([])", "kept"),
        ("mean([1])\nassert True", "asserts nothing"),
        ("mean([1])", "asserts nothing"),
        ("assert sum([1, 2]) == 3", "does not call its target"),
        ("assert mean([1, 2]) == 99", "fails"),
        ("SEEN.append(1)\nassert mean([len(SEEN)]) == 1", "passes only once"),
    ],
    ids=[
        "good",
        "exception",
        "constant",
        "no-assertion",
        "other-function",
        "wrong",
        "passes-once",
    ],
)
def test_reason(body: str, reason: str) -> None:
    assert reasons(generate([shop_draft(body)])) == {"test_drafted": reason}


def test_shorter_of_two() -> None:
    longer = shop_draft("xs = [1, 2, 3]\nassert mean(xs) == 2", name="test_longer")
    generated = generate([longer, shop_draft("assert mean([1, 2, 3]) == 2")])
    assert reasons(generated) == {"test_drafted": "kept", "test_longer": "adds nothing"}


def test_wrong_behaviour_after_bug() -> None:
    parse = target_named("parse")
    example = next(doctest_drafts(parse, ["parse"]))
    generated = generate([example, shop_draft("assert parse('13') == 3", parse)])
    assert reasons(generated) == {
        "test_parse_example_1": "raises ValueError",
        "test_drafted": "contradicts its function's docstring",
    }


def test_actual_value() -> None:
    source = SHOP.replace("int(text[1:])", "int(text) + 4")
    parse = target_named("parse", source)
    generated = generate(list(doctest_drafts(parse, ["parse"])), source=source)
    assert [bug.reason for bug in generated.suspected] == ["gives 7"]


def test_undefined_name_in_example() -> None:
    source = "def f(x):\n    '''\n    >>> f(there)\n    1\n    '''\n    return x\n"
    [target, _] = targets_in(source)
    generated = generate(list(doctest_drafts(target, ["f"])), [target], source)
    assert not generated.suspected
    assert reasons(generated) == {"test_f_example_1": "fails"}


def test_imports_of_example() -> None:
    source = (
        "import decimal\nfrom math import floor\n\n\n"
        "def cap(x):\n    '''\n    >>> cap(decimal.Decimal(floor(2.5)))\n    2\n    '''\n"
        "    return min(int(x), 9)\n"
    )
    drafts = drafts_without_model(source, targets_in(source), [Origin.DOCTEST])
    [test] = generate(drafts, source=source).kept
    assert test.draft.imports == (
        "import decimal",
        "from math import floor",
        "",
        "from shop import cap",
    )


def test_assertion_about_other_code() -> None:
    source = "def f(x):\n    x = x + 1\n"
    [target, _] = targets_in(source)
    generated = generate([shop_draft("assert f(1) is None", target)], [target], source)
    assert reasons(generated) == {"test_drafted": "asserts nothing about it"}


TRIM = "def trim(text):\n    '''\n    >>> trim('ab')\n    'ab'\n    '''\n    return text.strip()\n"


def test_property_with_fewer_inputs() -> None:
    drafts = drafts_without_model(TRIM, targets_in(TRIM))
    bodies = {draft.name: draft.body[0] for draft in drafts}
    generated = generate(drafts, source=TRIM)
    [test] = [test for test in generated.kept if test.draft.origin is Origin.PROPERTY]
    assert test.draft.body[0].count(", ") == 1 < bodies[test.draft.name].count(", ")
    assert all(rejected.reason == "adds nothing" for rejected in generated.rejected)


TYPED = (
    "def first(text: str) -> str:\n    return text[0]\n\n\n"
    "def digits(x: int) -> int:\n    return len(str(x))\n"
)


def test_type_hints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Hypothesis searches all modules for that of a file that does not exist.
    monkeypatch.chdir(tmp_path)
    for name in ("shop", "test_first_of_any_input_drafted", "test_digits_of_any_input_drafted"):
        Path(f"{name}.py").touch()
    generated = generate(drafts_without_model(TYPED, targets_in(TYPED)), source=TYPED)
    assert reasons(generated) == {
        "test_first_of_any_input": "raises IndexError for text=''",
        "test_digits_of_any_input": "kept",
    }


def test_order_dependence() -> None:
    source = "COUNT = []\n\n\ndef count():\n    COUNT.append(1)\n    return len(COUNT) < 3\n"
    [target, _] = targets_in(source)
    first = Draft("test_a", ("assert count()",), ("from shop import count",), Origin.MODEL, target)
    second = replace(first, name="test_b", body=("assert count() is True",))
    generated = generate([first, second], [target], source)
    assert len(generated.kept) <= 1


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        ("crashed", "ends the process"),
        ("hung", "never ends"),
        ("ImportError: no", "cannot be imported"),
        ("not run: time ran out", "was not run: the time limit was reached"),
    ],
)
def test_problem_of_process(problem: str, reason: str) -> None:
    bench = {"failures": {"test_drafted": problem}}
    generated = generate([shop_draft("assert mean([1]) == 1")], bench=bench)
    assert reasons(generated) == {"test_drafted": reason}
