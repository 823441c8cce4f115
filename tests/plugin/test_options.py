"""The options: one a setting, each known to pytest's help, each of use."""

from __future__ import annotations

import pytest
from support.screens import MEAN, section
from support.servers import FakeOllama

from pytest_starcoder import plugin
from pytest_starcoder.explain import session as explain
from pytest_starcoder.generate import session as generate
from pytest_starcoder.runner.pytest_arguments import OUR_FLAGS, OUR_OPTIONAL_VALUES
from pytest_starcoder.session.settings import session_settings
from pytest_starcoder.settings import SCHEMA, is_for_review

VALUES = {
    "backend": ("llamacpp", "llamacpp"),
    "model": ("starcoder2:3b", "starcoder2:3b"),
    "host": ("gpu-box:8080", "gpu-box:8080"),
    "api_key": ("secret", "secret"),
    "hf_token": ("hf_secret", "hf_secret"),
    "family": ("completion", "completion"),
    "timeout": ("7", 7.0),
    "connect_timeout": ("3", 3.0),
    "first_token_timeout": ("4", 4.0),
    "session_timeout": ("5", 5.0),
    "temperature": ("0.5", 0.5),
    "max_tokens": ("12", 12),
    "threads": ("2", 2),
    "gpu_layers": ("7", "7"),
    "cache": ("off", "off"),
    "explain_timeout": ("9", 9.0),
    "causes": ("3", 3),
    "replay": ("off", False),
    "replay_timeout": ("6", 6.0),
    "fix": ("off", False),
    "fix_timeout": ("8", 8.0),
    "undo": ("off", False),
    "undo_timeout": ("7", 7.0),
    "fix_suite": ("on", True),
    "confinement": ("kernel", "kernel"),
    "generate_timeout": ("9", 9.0),
    "generate_requests": ("3", 3),
    "generate_tokens": ("500", 500),
    "early": ("on", "on"),
}


def test_options_of_settings() -> None:
    assert {
        key: entry.help for key, entry in SCHEMA.items() if not is_for_review(key)
    } == plugin.SETTINGS
    assert list(VALUES) == list(plugin.SETTINGS)


def test_options_with_values(
    pytester: pytest.Pytester,
) -> None:
    ours = [
        action
        for action in pytester.parseconfig()._parser.optparser._actions
        if any("starcoder" in name for name in action.option_strings)
    ]
    assert {
        name for action in ours if action.nargs == 0 for name in action.option_strings
    } == OUR_FLAGS
    assert {
        name for action in ours if action.nargs == "?" for name in action.option_strings
    } == OUR_OPTIONAL_VALUES


def test_marker_names() -> None:
    assert plugin.MARKER == explain.MARKER
    assert plugin.GENERATE == generate.MARKER


def test_option_values(pytester: pytest.Pytester) -> None:
    options = {key: f"--starcoder-{key.replace('_', '-')}" for key in VALUES}
    words = [f"{options[key]}={text}" for key, (text, _) in VALUES.items()]
    settings = session_settings(pytester.parseconfig(*words), tuple(VALUES))
    values = {key: getattr(settings, key) for key in VALUES}
    assert values == {key: value for key, (_, value) in VALUES.items()}
    assert {key: settings.source(key) for key in VALUES} == options


def test_help(pytester: pytest.Pytester) -> None:
    text = " ".join(pytester.runpytest("--help").stdout.str().split())
    assert (
        "StarCoder: why a test failed: "
        "--starcoder-explain Explain every failure before the short summary" in text
    )
    no_starcoder = "--no-starcoder Switch StarCoder off, whatever other options and markers say"
    assert no_starcoder in text
    for key, help_text in plugin.SETTINGS.items():
        option = f"--starcoder-{key.replace('_', '-')}=VALUE"
        assert f"{option} For this run: {help_text}" in text


def test_option_over_environment(
    pytester: pytest.Pytester, ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARCODER_MODEL", "starcoder2:3b")
    ollama_double.model = "starcoder2:15b"
    pytester.makepyfile(**MEAN)
    result = pytester.runpytest("--starcoder-explain", "--starcoder-model=starcoder2:15b")
    assert section(result)[0] == "StarCoder: 1 failure, 1 cause (starcoder2:15b on Ollama)"


def test_settings_of_the_root(
    pytester: pytest.Pytester, ollama_double: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyprojecttoml(
        "[tool.pytest.ini_options]\n[tool.starcoder]\nmodel = 'starcoder2:3b'\n"
    )
    ollama_double.model = "starcoder2:3b"
    inner = pytester.mkdir("inner")
    (inner / "test_it.py").write_text("def test_it(): assert 0")
    monkeypatch.chdir(inner)
    assert section(pytester.runpytest("--starcoder-explain"))[0].endswith(
        "(starcoder2:3b on Ollama)"
    )
