"""The door to pytest: options, the marker, the fixture. Everything else is imported when it is asked for.

Installed and off, the package adds itself and this module to a run, and
nothing more; tests/plugin/test_switched_off.py holds that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_starcoder.explain.session import Explainer
    from pytest_starcoder.fixture import Asker

SETTINGS = {
    "backend": "auto, ollama, llamacpp, embedded, openai, huggingface or none",
    "model": "name of the model; for the embedded backend a .gguf file or demo",
    "host": "address of the server",
    "api_key": "API key of the server",
    "hf_token": "Hugging Face token",
    "family": "prompt format: auto, starcoder2, starcoder2-instruct, starcoder, chat, completion",
    "timeout": "maximum seconds per model call",
    "connect_timeout": "maximum seconds to connect to the server",
    "first_token_timeout": "maximum seconds without output, including loading the model",
    "session_timeout": "maximum seconds for all model calls of a run",
    "temperature": "sampling temperature",
    "max_tokens": "maximum number of tokens per answer",
    "threads": "threads of the embedded backend; 0 means all cores but one",
    "cache": "on, off or the absolute path of a folder",
    "causes": "maximum number of causes sent to the model per run",
    "replay": "run failing tests and their neighbours again to trace them",
    "replay_timeout": "maximum seconds for running tests again",
    "fix": "try edits that make failing tests pass",
    "fix_timeout": "maximum seconds for trying edits per cause",
    "fix_suite": "check a fix with all tests that passed, not only the nearest ones",
    "confinement": "minimum sandbox for untrusted code (candidate fixes, generated tests): "
    "kernel, audit or none",
    "generate_timeout": "maximum seconds for generating tests",
    "generate_requests": "maximum number of model calls for generating tests",
    "generate_tokens": "maximum number of tokens the model writes for generated tests",
    "early": "ask about causes while tests still run: on, off, or auto (if the model "
    "does not use this machine)",
}
"""What `settings.SCHEMA` says, which is not imported for this; tests/plugin/test_options.py keeps the two alike."""

MARKER, GENERATE = "starcoder_explain", "starcoder_generate"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("starcoder", "StarCoder: why a test failed")
    group.addoption(
        "--starcoder-explain",
        action="store_true",
        help="Explain every failure before the short summary",
    )
    group.addoption(
        "--starcoder-show-prompt",
        action="store_true",
        help="Print what would be sent for every failure, and ask nobody",
    )
    group.addoption(
        "--starcoder-report",
        metavar="FILE",
        action="append",
        default=[],
        help="Explain every failure and write that as .json, .md or .sarif; may be given several times",
    )
    group.addoption(
        "--starcoder-apply",
        nargs="?",
        const="ask",
        choices=("ask", "yes"),
        help="Explain every failure, and write a change that was run and passes into its file, after asking; "
        "=yes asks nothing",
    )
    group.addoption(
        "--starcoder-write",
        action="store_true",
        help="With --starcoder-generate: show the tests as a diff, and write them into the files that suit; else "
        "explain every failure, ask which of two fixes is right, and write the answer as a test",
    )
    group.addoption(
        "--starcoder-generate",
        metavar="PATH[::NAME]",
        action="append",
        nargs="?",
        const="",
        default=[],
        help="After the tests, generate more for a file, a folder or one function; may be given several times; "
        "without a value for what the marker starcoder_generate names",
    )
    group.addoption(
        "--starcoder-generate-changed",
        action="store_true",
        help="After the tests, generate more for the functions that differ from the last commit",
    )
    group.addoption(
        "--starcoder-generate-report",
        metavar="FILE",
        action="append",
        default=[],
        help="Write what was generated, and what was not and why, as .json or .md; may be given several times",
    )
    group.addoption(
        "--starcoder-characterise",
        action="store_true",
        help="Generate tests too that hold what the code does now, whether that is right or not",
    )
    group.addoption(
        "--starcoder-write-suspected",
        action="store_true",
        help="As --starcoder-write, and write suspected bugs as tests that are expected to fail, too",
    )
    group.addoption(
        "--starcoder-require",
        action="store_true",
        help="Exit with 1 where all tests passed, and tests could not be generated or no model answered",
    )
    group.addoption(
        "--no-starcoder", action="store_true", help="Ask nothing, whatever markers and options say"
    )
    for key, told in SETTINGS.items():
        group.addoption(
            f"--starcoder-{key.replace('_', '-')}", metavar="VALUE", help=f"For this run: {told}"
        )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(replay=True, fix=True): explain this test when it fails, with or without --starcoder-explain; "
        "replay=False keeps it from ever being run again for that, fix=False from being run with changed code",
    )
    config.addinivalue_line(
        "markers",
        f'{GENERATE}("package.module:function", ...): what --starcoder-generate without a value generates tests for, '
        "into the marked module or class",
    )
    if config.getoption("no_starcoder"):
        return
    config.pluginmanager.register(_Door(config), "starcoder-door")
    generating = config.getoption("starcoder_generate") or config.getoption(
        "starcoder_generate_changed"
    )
    if generating:
        from pytest_starcoder.generate.session import Generating

        joined = Generating(config, tuple(SETTINGS), config.getoption("starcoder_generate"))
        config.pluginmanager.register(joined, "starcoder-generating")
    else:
        _check_generating(config)
    wanting = ["starcoder_explain", "starcoder_show_prompt", "starcoder_report", "starcoder_apply"]
    if not generating:
        wanting.append("starcoder_write")
    if any(map(config.getoption, wanting)):
        _explain(config, everything=True)


def _check_generating(config: pytest.Config) -> None:
    """Raises pytest.UsageError for options that do nothing where no test is generated."""
    options = ("characterise", "write_suspected", "generate_report", "require")
    for option in options:
        if config.getoption(f"starcoder_{option}"):
            name = f"--starcoder-{option.replace('_', '-')}"
            raise pytest.UsageError(
                f"{name} is about generated tests. Add --starcoder-generate=FILE."
            )


class _Door:
    """Waits for a marked test, or on xdist's controller for the report of one."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        mark = item.get_closest_marker(MARKER)
        if mark is not None:
            _check(mark, item.nodeid)
            _explain(self._config, everything=False)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "starcoder_failure") and not self._config.pluginmanager.hasplugin(
            "starcoder-explain"
        ):
            _explain(self._config, everything=False).reported(report)


def _explain(config: pytest.Config, *, everything: bool) -> Explainer:
    """The session's explainer, made and registered when it is first needed."""
    from pytest_starcoder.explain.session import Explainer

    found: Explainer | None = config.pluginmanager.get_plugin("starcoder-explain")
    if found is None:
        found = Explainer(config, tuple(SETTINGS), everything=everything)
        config.pluginmanager.register(found, "starcoder-explain")
    return found


def _check(mark: pytest.Mark, nodeid: str) -> None:
    if (
        mark.args
        or set(mark.kwargs) - {"replay", "fix"}
        or not all(isinstance(v, bool) for v in mark.kwargs.values())
    ):
        given = ", ".join(
            [*map(repr, mark.args), *(f"{key}={value!r}" for key, value in mark.kwargs.items())]
        )
        pytest.fail(
            f"{nodeid}: the marker {MARKER}({given}) takes replay=False and fix=False, and nothing else.",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def _starcoder_asker(pytestconfig: pytest.Config) -> Iterator[Asker]:
    if pytestconfig.getoption("no_starcoder"):
        pytest.skip("--no-starcoder: this test asks StarCoder")
    from pytest_starcoder.fixture import Asker

    asker = Asker(pytestconfig, tuple(SETTINGS))
    yield asker
    asker.close()


@pytest.fixture
def starcoder(request: pytest.FixtureRequest, _starcoder_asker: Asker) -> Asker:
    """Ask the model: `ask(text)`, `complete(prompt)`, `explain(excinfo)`, `generate_tests(function)`.

    Errors say what to do next.
    """
    _starcoder_asker.nodeid = request.node.nodeid
    return _starcoder_asker
