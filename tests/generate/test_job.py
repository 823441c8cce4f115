"""The files that a job reads, and the model that it asks."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.in_process_trials import InProcessBench
from support.servers import FakeOllama
from support.shop import SHOP, targets_in

from pytest_starcoder.generate import job as job_module
from pytest_starcoder.generate.draft import Origin
from pytest_starcoder.generate.job import GenerationJob, drafts_without_model
from pytest_starcoder.redaction.redactor import Redactor
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.settings import Settings

FIXTURE = "import pytest\n\n\n@pytest.fixture\ndef xs():\n    return [1, 2, 3]\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "shop.py").write_text(SHOP + 'PASSWORD = "hunter2hunter2"\n')
    (tmp_path / "tests/conftest.py").write_text(FIXTURE)
    monkeypatch.setattr(
        job_module,
        "DraftBench",
        lambda launch, level, targets, draws: InProcessBench(
            launch, level, targets, draws, {"shop.py": SHOP}
        ),
    )
    return tmp_path


def job_in(root: Path, settings: Settings, *origins: Origin) -> GenerationJob:
    return GenerationJob(Launch(root, root), settings, targets_in(SHOP), origins=origins)


def test_no_model(root: Path) -> None:
    settings = Settings(backend="none", confinement="none")
    generated = job_in(root, settings, Origin.DOCTEST, Origin.MODEL).run()
    assert {test.draft.name for test in generated.kept} == {
        "test_mean_example_1",
        "test_mean_example_2",
    }
    assert generated.remark.startswith("The backend is set to none. ")
    assert job_in(root, settings, Origin.DOCTEST).run().remark == ""


def test_model(root: Path, ollama_double: FakeOllama) -> None:
    ollama_double.answer = "():\n    assert price(11, 3) == 32\n"
    settings = Settings(
        backend="ollama",
        host=ollama_double.url,
        model=ollama_double.model,
        cache="off",
        confinement="none",
        generate_requests=1,
    )
    generated = job_in(root, settings, Origin.MODEL).run()
    [prompt] = ollama_double.prompts()
    assert "<file_sep>tests/conftest.py\n@pytest.fixture\ndef xs():" in prompt
    assert "hunter2" not in prompt
    assert (generated.model, generated.usage.requests) == (ollama_double.model, 1)
    assert generated.remark == "the setting generate_requests (1) was reached"


def test_redactor_learns(root: Path) -> None:
    redactor = Redactor()
    settings = Settings(backend="none", confinement="none")
    GenerationJob(Launch(root, root), settings, targets_in(SHOP), redactor=redactor).run()
    assert "hunter2hunter2" not in redactor.redact("see hunter2hunter2")


@pytest.mark.parametrize(
    ("origins", "ends"),
    [
        ([Origin.DOCTEST], {"example_1", "example_2"}),
        ([Origin.PROPERTY], {"twice", "whatever_the_case"}),
        ([Origin.TYPE_HINT], {"of_any_input"}),
    ],
)
def test_origins(origins: list[Origin], ends: set[str]) -> None:
    source = (
        "def up(text: str) -> str:\n"
        "    '''\n    >>> up('a')\n    'A'\n    >>> up('b')\n    'B'\n    '''\n"
    )
    drafts = drafts_without_model(source, targets_in(source), origins)
    names = {draft.name.removeprefix("test_up_") for draft in drafts}
    assert ends <= names
    assert {draft.origin for draft in drafts} == set(origins)


def test_unparsable_source() -> None:
    assert not drafts_without_model("def (:\n", targets_in(SHOP))
