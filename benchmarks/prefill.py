"""Measures the tokens that a server reads again for later causes of one test file.

The embedded llama.cpp explains several causes of a project with one faulty module, with the demo
model. The figures are its counts of cached tokens: how much is read again depends on the prompts
and the server, not on the quality of the model. With a path, the tests of that project are used.
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.runs import pytest
from pytest_starcoder.model.client import Client
from pytest_starcoder.model.prompt import Prompt
from pytest_starcoder.model.prompts import FORMS
from pytest_starcoder.report.bar_chart import Bars
from pytest_starcoder.settings import Settings

MODULE = """
RATES = {"EUR": 1.0, "USD": "1.08"}


def mean(values):
    return sum(values) / (len(values) - 1)


def total(items, currency="EUR"):
    amount = 0
    for _name, price, quantity in items:
        amount += price * quantity * RATES[currency]
    return amount


def quantity(text):
    parts = text.split("x")
    return int(parts[1])


def cheapest(items):
    best = None
    for name, price, _quantity in items:
        if best is None or price > best[1]:
            best = name, price
    return best[0]
"""

TESTS = """
from shop import cheapest, mean, quantity, total

ITEMS = [("apple", 2, 3), ("pear", 1, 5)]


def test_mean():
    assert mean([1, 2, 3]) == 2


def test_total():
    assert total(ITEMS) == 11


def test_total_in_dollars():
    assert total(ITEMS, "USD") == 11.88


def test_quantity():
    assert quantity("3 apples") == 3


def test_cheapest():
    assert cheapest(ITEMS) == "pear"
"""


def prompts(folder: Path) -> list[str]:
    """Return the prompt of each cause, as pytest shows it."""
    printed = pytest(
        folder,
        "--tb=no",
        "-q",
        "--starcoder-show-prompt",
        environment={"STARCODER_FAMILY": "completion"},
    ).output
    return re.findall(
        r"^----- prompt \d+ of \d+ -*\n([\s\S]*?)\n----- end -*$", printed, re.MULTILINE
    )


def main() -> None:
    parser = options(__doc__)
    parser.add_argument(
        "project", type=Path, nargs="?", help="a project with failing tests in one file"
    )
    arguments = parser.parse_args()
    begun = time.perf_counter()
    settings = Settings(
        backend="embedded",
        model="demo",
        cache="off",
        timeout=600,
        session_timeout=3600,
        first_token_timeout=300,
    )
    with tempfile.TemporaryDirectory() as temporary, Client.from_settings(settings) as client:
        folder = Path(temporary)
        (folder / "shop.py").write_text(MODULE)
        (folder / "test_shop.py").write_text(TESTS)
        (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
        form = FORMS["completion", "explain"]
        read = []
        for text in prompts(arguments.project or folder):
            completion = client.complete(Prompt(text, stop=form.stop, max_tokens=16))
            tokens = completion.prompt_tokens
            read.append((tokens, tokens - completion.cached_tokens))
    rows = []
    for number, (tokens, fresh) in enumerate(read, 1):
        label = f"cause {number}: tokens of the prompt, read anew"
        rows.append(Row(label, f"{tokens}, {fresh}"))
    most = max((fresh for _, fresh in read[1:]), default=0)
    rows.append(Row("most that a second or further cause reads anew", str(most), "<= 400"))
    chart = Bars(
        "Causes of one test file, asked one after the other",
        "tokens",
        ("of the prompt", "read anew"),
        tuple((f"cause {number}", tokens) for number, tokens in enumerate(read, 1)),
    )
    publish(Outcome("prefill", [*rows, wall_time(begun)], [chart], "gemma-3-270m"), arguments)


if __name__ == "__main__":
    main()
