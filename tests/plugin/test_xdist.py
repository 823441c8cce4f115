"""Explanations of a run that xdist distributes: the controller asks, once per cause."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.runs import Run, run_pytest
from support.servers import FakeOllama, fake_ollama

pytestmark = pytest.mark.slow

FILES = {
    "shop.py": "def pay(amount): return amount + '1'\n",
    **{
        f"test_pay_{n}.py": f"from shop import pay\ndef test_pay(): assert pay({n}) == {n}\n"
        for n in range(6)
    },
    "test_import.py": "import no_such_module\n",
    "test_marked.py": """
        import pytest

        @pytest.mark.starcoder_explain(replay=False)
        def test_marked(): assert 1 == 2

        @pytest.mark.parametrize("n", range(4))
        def test_fixture(starcoder, n): assert "divisor" in starcoder.ask(str(n))
        """,
    "test_crash.py": "import os\ndef test_crash(): os._exit(1)\n",
    "test_secret.py": """
        def test_secret():
            password = "s3cr3t-pa55word"
            raise ValueError(password)
        """,
    "conftest.py": """
        def pytest_starcoder_evidence(item, failure):
            return f"evidence of {item.name}"

        def pytest_starcoder_redact(text):
            return text.replace("amount", "AM**NT")

        def pytest_starcoder_explained(explanation):
            raise ValueError("boom")
        """,
}


@pytest.fixture(scope="module")
def double() -> Iterator[FakeOllama]:
    with fake_ollama() as server:
        yield server


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, double: FakeOllama) -> Run:
    options = [
        *("-n", "2", "--starcoder-explain", "--starcoder-replay=off", "--starcoder-cache=off"),
        *("--starcoder-report=out.json", "--junitxml=out.xml", "--continue-on-collection-errors"),
    ]
    folder = tmp_path_factory.mktemp("xdist")
    return run_pytest(folder, FILES, options, OLLAMA_HOST=double.url, STARCODER_CAUSES="20")


def test_one_cause_of_several_workers(run: Run) -> None:
    cause = run.cause("test_pay_3.py::test_pay")
    assert len(cause["tests"]) == 6
    assert (cause["path"], cause["exception"]) == ("shop.py", "TypeError")


def test_collection_error(run: Run) -> None:
    cause = run.cause("test_import.py")
    assert cause["tests"] == ["test_import.py"]
    assert "No module named 'no_such_module'" in cause["statements"][0]["text"]


def test_crashed_worker(run: Run) -> None:
    cause = run.cause("::test_crash")
    assert cause["statements"][0]["text"].startswith("worker 'gw")


def test_one_question_per_cause(run: Run, double: FakeOllama) -> None:
    prompts = [prompt for prompt in double.prompts() if "<issue_start>" in prompt]
    assert len(prompts) == len(run.causes)
    assert all("amount" not in prompt for prompt in prompts)


def test_fixture_in_every_worker(run: Run, double: FakeOllama) -> None:
    assert run.result.parseoutcomes()["passed"] == 4
    assert {"0", "1", "2", "3"} <= set(double.prompts())


def test_evidence_of_workers(run: Run) -> None:
    texts = [entry["text"] for entry in run.cause("::test_marked")["statements"]]
    assert "evidence of test_marked" in texts


def test_complaints(run: Run) -> None:
    """What failed in a worker and here is reported once."""
    complaints = [line for line in run.result.outlines if line.startswith("StarCoder: ")]
    assert [line.rpartition(" raised ")[2] for line in complaints] == [
        "ValueError: boom; it is ignored."
    ]


def test_secrets_of_workers(run: Run) -> None:
    assert "s3cr3t" not in json.dumps(run.causes) + run.text
    assert "[redacted]" in run.cause("::test_secret")["statements"][0]["text"]


def test_bad_settings(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("-n", "2", "--starcoder-explain", "--starcoder-timeout=soon")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.outlines == []
