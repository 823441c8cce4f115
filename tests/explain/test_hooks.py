"""Hooks of conftest files and other plugins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from support.failures import FAILURE
from support.reports import EXPLANATION

from pytest_starcoder.explain.hooks import MAX_EVIDENCE, PluginHooks
from pytest_starcoder.plugin import StarcoderHooks

ROOT = Path("/project")


class Plugins:
    """A plugin manager, its hooks and their complaints."""

    def __init__(self) -> None:
        self.manager = pytest.PytestPluginManager()
        self.manager.add_hookspecs(StarcoderHooks)
        self.complaints: list[str] = []
        self.hooks = PluginHooks(self.manager, self.complaints.append)

    def register(self, name: str, file: Path = ROOT / "plugin.py", **hooks: object) -> None:
        """Register a module that defines these functions."""
        module = ModuleType(name)
        module.__file__ = str(file)
        for hook, function in hooks.items():
            setattr(module, hook, function)
        self.manager.register(module, name)

    def evidence(self, path: str = "test_it.py") -> tuple[str, ...]:
        return self.hooks.collect_evidence(object(), ROOT / path, FAILURE)


@pytest.fixture
def plugins() -> Plugins:
    return Plugins()


def evidence_of(result: object) -> Callable[[object, object], object]:
    def pytest_starcoder_evidence(item: object, failure: object) -> object:
        return result

    return pytest_starcoder_evidence


@pytest.mark.parametrize(
    ("result", "texts"),
    [
        (None, ()),
        ("", ()),
        ("one", ("one",)),
        (["one", " ", "two"], ("one", "two")),
        (("one", None, 3), ("one",)),
        ({"a": 1}, ()),
        ("x" * 3000, ("x" * MAX_EVIDENCE,)),
    ],
    ids=["none", "empty", "text", "list", "tuple", "dict", "long"],
)
def test_evidence(plugins: Plugins, result: object, texts: tuple[str, ...]) -> None:
    plugins.register("one", pytest_starcoder_evidence=evidence_of(result))
    assert plugins.evidence() == texts


def test_conftest_of_another_folder(plugins: Plugins) -> None:
    for folder in ("one", "two"):
        file = ROOT / folder / "conftest.py"
        plugins.register(folder, file, pytest_starcoder_evidence=evidence_of(folder))
    plugins.register("plugin", pytest_starcoder_evidence=evidence_of("plugin"))
    assert plugins.evidence("one/deep/test_it.py") == ("one", "plugin")


def test_redaction_by_several_plugins(plugins: Plugins) -> None:
    plugins.register("one", pytest_starcoder_redact=lambda text: text.replace("a", "b"))
    plugins.register("none", pytest_starcoder_redact=lambda text: None)
    plugins.register("two", pytest_starcoder_redact=lambda text: text.replace("b", "c"))
    assert plugins.hooks.redacts
    assert plugins.hooks.redact("aab password=s3cr3t-pa55word") == "ccc pcssword=s3cr3t-pc55word"


def test_redaction_without_plugins(plugins: Plugins) -> None:
    assert not plugins.hooks.redacts
    assert not plugins.hooks.has_redactor
    assert plugins.hooks.redact("password=s3cr3t-pa55word") == "password=[redacted]"
    assert plugins.hooks.has_redactor


def test_explanation(plugins: Plugins) -> None:
    explanations: list[object] = []
    plugins.register(
        "one", pytest_starcoder_explained=lambda explanation: explanations.append(explanation)
    )
    plugins.hooks.report_explanation(EXPLANATION)
    assert explanations == [EXPLANATION]


def test_error(plugins: Plugins) -> None:
    def pytest_starcoder_redact(text: str) -> str:
        pytest.skip("from a hook")

    plugins.register("bad", pytest_starcoder_redact=pytest_starcoder_redact)
    plugins.register("good", pytest_starcoder_redact=lambda text: text.upper())
    assert plugins.hooks.redact("text") == "TEXT"
    assert plugins.complaints == [
        "pytest_starcoder_redact of bad raised Skipped: from a hook; it is ignored."
    ]


def test_ctrl_c(plugins: Plugins) -> None:
    def pytest_starcoder_explained(explanation: object) -> None:
        raise KeyboardInterrupt

    plugins.register("one", pytest_starcoder_explained=pytest_starcoder_explained)
    with pytest.raises(KeyboardInterrupt):
        plugins.hooks.report_explanation(EXPLANATION)


def test_plugin_that_is_registered_later(plugins: Plugins) -> None:
    assert plugins.evidence() == ()
    plugins.register("old", starcoder_evidence=lambda item: "of the old name")
    plugins.register("new", pytest_starcoder_evidence=evidence_of("of the new name"))
    assert set(plugins.evidence()) == {"of the old name", "of the new name"}


def test_deprecated_name(plugins: Plugins) -> None:
    plugins.register("old", starcoder_evidence=lambda item: "of the old name")
    assert plugins.evidence() == ("of the old name",)
    assert plugins.complaints == [
        "starcoder_evidence of old has a deprecated name; rename it to pytest_starcoder_evidence."
    ]


def test_both_names(plugins: Plugins) -> None:
    plugins.register(
        "both", starcoder_redact=str.lower, pytest_starcoder_redact=lambda text: text.upper()
    )
    assert plugins.hooks.redact("Text") == "TEXT"
    assert plugins.complaints == []
