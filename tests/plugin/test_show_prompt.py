"""The option --starcoder-show-prompt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.runs import Run, run_pytest
from support.servers import FakeOllama, fake_ollama

LONG_SECRET = "".join(f"w{number}x" for number in range(60))
"""Longer than the part of a value that is shown."""

FILES = {
    "pricing.py": "def mean(xs):\n    return sum(xs) / (len(xs) - 1)\n",
    "test_pricing.py": """
        from pricing import mean

        def test_mean():
            assert mean([1, 2, 3]) == 2
        """,
    "test_login.py": """
        import os

        API_KEY = "sk-" + "abcd" * 6

        def login(name, word):
            raise ConnectionError(f"postgres://{name}:{word}@db:5432/shop refused {API_KEY}")

        def test_login():
            order_password = "s3cr3t-pa55word"
            login("admin", order_password)

        def test_variable():
            value = os.environ["SHOP_API_KEY"]
            raise ValueError(f"refused {value}")
        """,
    "test_long.py": """
        SHOP_PASSWORD = "".join(f"w{number}x" for number in range(60))

        def send(text):
            return text

        def test_call(): assert send(SHOP_PASSWORD) == 'no'
        def test_list(): assert [1, send(SHOP_PASSWORD)] == [1, 'no']
        def test_dict(): assert {'word': SHOP_PASSWORD} == {'word': SHOP_PASSWORD + '!'}
        def test_text(): assert SHOP_PASSWORD == SHOP_PASSWORD.replace('w30x', 'w31x')
        def test_not(): assert not send([SHOP_PASSWORD])
        """,
}


@pytest.fixture(scope="module")
def double() -> Iterator[FakeOllama]:
    with fake_ollama() as server:
        yield server


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, double: FakeOllama) -> Run:
    options = [
        *("--starcoder-show-prompt", "--starcoder-explain", "--starcoder-early=on"),
        *("--starcoder-causes=0", "--tb=no", "-rN"),
    ]
    folder = tmp_path_factory.mktemp("prompts")
    variables = {"OLLAMA_HOST": double.url, "SHOP_API_KEY": "quite-an-0rdinary-text"}
    return run_pytest(folder, FILES, options, **variables)


def prompts(run: Run) -> list[str]:
    parts = run.result.stdout.str().split("----- prompt ")[1:]
    return [part.partition("\n")[2].partition("\n----- end ")[0] for part in parts]


def test_nothing_is_sent(run: Run, double: FakeOllama) -> None:
    assert double.requests == []
    assert run.section[0] == f"StarCoder: 8 failures, {len(prompts(run))} causes"
    assert run.result.ret == 1
    assert any(" characters would be sent:" in line for line in run.section)


def test_prompt(run: Run) -> None:
    [prompt] = [prompt for prompt in prompts(run) if "::test_mean " in prompt]
    assert prompt.startswith("<issue_start>Title: A test fails and I do not see why\n")
    assert "    return sum(xs) / (len(xs) - 1)\n" in prompt


@pytest.mark.parametrize("secret", ["s3cr3t-pa55word", "abcdabcd", '"abcd"', "0rdinary"])
def test_secrets(run: Run, secret: str) -> None:
    assert "def login" in run.result.stdout.str()
    assert "raised ValueError: refused [redacted]" in run.result.stdout.str()
    assert secret not in run.result.stdout.str()


def test_parts_of_long_secrets(run: Run) -> None:
    """A secret that is too long to be shown is not shown in part."""
    output = "".join(run.result.stdout.str().split())
    for start in range(len(LONG_SECRET) - 7):
        assert LONG_SECRET[start : start + 8] not in output
