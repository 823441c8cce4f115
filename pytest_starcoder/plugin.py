"""Options, markers, the fixture and hook specifications of the pytest plugin.

Everything else is imported when it is needed. While no option of ours is used, this module
and the package are all that is loaded; tests/plugin/test_switched_off.py checks that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_starcoder.explain.explanation import Explanation
    from pytest_starcoder.explain.failure import Failure
    from pytest_starcoder.explain.fix_interface import FixContext, FixSearch
    from pytest_starcoder.explain.session import ExplainPlugin
    from pytest_starcoder.explain.undo_interface import UndoContext, UndoSearch
    from pytest_starcoder.fixture import StarCoder

SETTINGS = {
    "backend": "auto, ollama, llamacpp, embedded, openai, huggingface or none",
    "model": "name of the model; if embedded, a .gguf file, coder, demo or a pulled one",
    "host": "address of the server",
    "api_key": "API key of the server",
    "hf_token": "Hugging Face token",
    "family": ("prompt format: auto, starcoder2, starcoder2-instruct, starcoder, chat, completion"),
    "timeout": "maximum seconds per model call",
    "connect_timeout": "maximum seconds to connect to the server",
    "first_token_timeout": "maximum seconds without output, including loading the model",
    "session_timeout": "maximum seconds for all model calls of a run",
    "temperature": "sampling temperature",
    "max_tokens": "maximum number of tokens per answer",
    "threads": "threads of the embedded backend; 0 means one for each core",
    "gpu_layers": (
        "layers of the model that the embedded backend puts on a GPU: a number, or auto (as many "
        "as fit)"
    ),
    "cache": "on, off or the absolute path of a folder",
    "explain_timeout": "maximum seconds for explaining failures; caps all other limits",
    "causes": "maximum number of causes sent to the model per run",
    "replay": "run failing tests and their neighbours again to trace them",
    "replay_timeout": "maximum seconds for running tests again",
    "fix": "try edits that make failing tests pass",
    "fix_timeout": "maximum seconds for trying edits per cause",
    "undo": "undo changes in memory to find the one that broke a test",
    "undo_timeout": "maximum seconds for undoing changes per run",
    "fix_suite": "check a fix with all tests that passed, not only the nearest ones",
    "confinement": (
        "minimum sandbox for untrusted code (candidate fixes, generated tests): "
        "kernel, audit or none"
    ),
    "generate_timeout": "maximum seconds for generating tests",
    "generate_requests": "maximum number of model calls for generating tests",
    "generate_tokens": "maximum number of tokens the model writes for generated tests",
    "early": (
        "ask about causes while tests still run: on, off, or auto (if the model does not use "
        "this machine)"
    ),
}
"""Help texts as in `settings.SCHEMA`, which costs too much to import for every run."""

MARKER, GENERATE = "starcoder_explain", "starcoder_generate"

MARKER_HELP = (
    f"{MARKER}(replay=True, fix=True): explain this test when it fails, even without "
    "--starcoder-explain; replay=False never runs it again, fix=False never runs it with "
    "changed code"
)
GENERATE_HELP = (
    f'{GENERATE}("package.module:function", ...): the code for which --starcoder-generate '
    "without a value generates tests, into the marked module or class"
)

EXPLAIN_OPTIONS = (
    "starcoder_explain",
    "starcoder_show_prompt",
    "starcoder_report",
    "starcoder_apply",
    "starcoder_since",
    "starcoder_broke",
)
"""Options that explain every failure, marked or not."""

GENERATE_ONLY_OPTIONS = (
    "--starcoder-characterise",
    "--starcoder-write-suspected",
    "--starcoder-generate-report",
    "--starcoder-require",
)
"""Options that have no effect unless tests are generated."""


class StarcoderHooks:
    """Hooks for conftest files and other plugins.

    A hook that raises is named in the report and ignored.
    """

    def pytest_starcoder_evidence(
        self, item: pytest.Item, failure: Failure
    ) -> str | Sequence[str] | None:
        """Return further evidence about a failure of `item`, such as the last database query.

        Called where the test ran; a conftest file is asked about tests in its folder.
        """

    def pytest_starcoder_redact(self, text: str) -> str | None:
        """Return `text` without secrets; called before it is sent, cached or reported.

        The text is passed from plugin to plugin.
        """

    def pytest_starcoder_explained(self, explanation: Explanation) -> None:
        """Called with each explanation as soon as it is complete."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(StarcoderHooks)


def _commit_name(text: str) -> str:
    """Return the value of --starcoder-since, which an empty variable in a script leaves empty."""
    if not text:
        raise pytest.UsageError(
            "--starcoder-since is empty. Set it to a commit, branch or tag, or remove it."
        )
    return text


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
        help="Print the prompt for every failure instead of sending it",
    )
    group.addoption(
        "--starcoder-report",
        metavar="FILE",
        action="append",
        default=[],
        help="Explain every failure and write the explanations to a .json, .md or .sarif file; "
        "may be given several times",
    )
    group.addoption(
        "--starcoder-apply",
        nargs="?",
        const="ask",
        choices=("ask", "yes"),
        help="Explain every failure and write checked fixes into the code, after asking; "
        "=yes does not ask",
    )
    group.addoption(
        "--starcoder-broke",
        action="store_true",
        help="Name the change that broke each failing test, and ask no model",
    )
    group.addoption(
        "--starcoder-since",
        metavar="REF",
        type=_commit_name,
        help="Explain every failure, and look for what broke it among the changes since this "
        "commit, branch or tag",
    )
    group.addoption(
        "--starcoder-write",
        action="store_true",
        help="With --starcoder-generate: show the tests as a diff and write them into test files. "
        "Otherwise: explain every failure, ask which of two fixes is right, and write the answer "
        "as a test",
    )
    group.addoption(
        "--starcoder-generate",
        metavar="PATH[::NAME]",
        action="append",
        nargs="?",
        const="",
        default=[],
        help="Generate tests for a file, a folder or one function after the run; may be given "
        f"several times; without a value: for the code named by the marker {GENERATE}",
    )
    group.addoption(
        "--starcoder-generate-changed",
        action="store_true",
        help="Generate tests for functions that differ from the last commit, after the run",
    )
    group.addoption(
        "--starcoder-generate-report",
        metavar="FILE",
        action="append",
        default=[],
        help="Write generated and rejected tests to a .json or .md file; may be given several "
        "times",
    )
    group.addoption(
        "--starcoder-characterise",
        action="store_true",
        help="Also generate characterization tests: they assert what the code does now, right "
        "or wrong",
    )
    group.addoption(
        "--starcoder-write-suspected",
        action="store_true",
        help="Like --starcoder-write, and also write suspected bugs as tests that are expected "
        "to fail",
    )
    group.addoption(
        "--starcoder-require",
        action="store_true",
        help="Exit with 1 if all tests passed but tests could not be generated, or no model "
        "answered",
    )
    group.addoption(
        "--no-starcoder",
        action="store_true",
        help="Switch StarCoder off, whatever other options and markers say",
    )
    for key, text in SETTINGS.items():
        name = f"--starcoder-{key.replace('_', '-')}"
        group.addoption(name, metavar="VALUE", help=f"For this run: {text}")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER_HELP)
    config.addinivalue_line("markers", GENERATE_HELP)
    getoption = config.getoption
    if getoption("no_starcoder"):
        return
    # Registered in workers of xdist, too: marks are only known where tests are collected.
    config.pluginmanager.register(_MarkedTests(config), "starcoder-marked-tests")
    generates = getoption("starcoder_generate") or getoption("starcoder_generate_changed")
    if generates:
        from pytest_starcoder.generate.session import GeneratePlugin

        generating = GeneratePlugin(config, tuple(SETTINGS), getoption("starcoder_generate"))
        config.pluginmanager.register(generating, "starcoder-generating")
    else:
        _check_generate_only_options(config)
    explains = any(map(getoption, EXPLAIN_OPTIONS))
    if explains or (getoption("starcoder_write") and not generates):
        _explain_plugin(config, everything=True)


def _check_generate_only_options(config: pytest.Config) -> None:
    for name in GENERATE_ONLY_OPTIONS:
        if config.getoption(name):
            raise pytest.UsageError(
                f"{name} has no effect without generated tests. Add --starcoder-generate=FILE."
            )


class _MarkedTests:
    """Waits for a marked test, or on xdist's controller for the report of one."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        mark = item.get_closest_marker(MARKER)
        if mark is not None:
            _check_mark(mark, item.nodeid)
            _explain_plugin(self._config, everything=False)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        is_registered = self._config.pluginmanager.hasplugin("starcoder-explain")
        # A worker of xdist has described a marked test that failed.
        if hasattr(report, "starcoder_failure") and not is_registered:
            _explain_plugin(self._config, everything=False).add_report(report)


def _explain_plugin(config: pytest.Config, *, everything: bool) -> ExplainPlugin:
    """Return the plugin that explains failures, and register it the first time."""
    plugin: ExplainPlugin | None = config.pluginmanager.get_plugin("starcoder-explain")
    if plugin is None:
        from pytest_starcoder.explain.session import ExplainPlugin

        plugin = ExplainPlugin(
            config, tuple(SETTINGS), _make_fix_search, _make_undo_search, everything=everything
        )
        config.pluginmanager.register(plugin, "starcoder-explain")
        config.pluginmanager.register(plugin.capture, "starcoder-capture")
    return plugin


def _make_fix_search(context: FixContext) -> FixSearch:
    from pytest_starcoder.fix.session import FixSession

    return FixSession(context)


def _make_undo_search(context: UndoContext) -> UndoSearch:
    from pytest_starcoder.culprit.session import UndoSession

    return UndoSession(context)


def _check_mark(mark: pytest.Mark, nodeid: str) -> None:
    names = set(mark.kwargs)
    are_switches = all(isinstance(value, bool) for value in mark.kwargs.values())
    if mark.args or not names <= {"replay", "fix"} or not are_switches:
        arguments = list(map(repr, mark.args))
        for name, value in mark.kwargs.items():
            arguments.append(f"{name}={value!r}")
        pytest.fail(
            f"{nodeid}: the marker {MARKER}({', '.join(arguments)}) takes replay=False and "
            "fix=False, and nothing else.",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def _starcoder_session(pytestconfig: pytest.Config) -> Iterator[StarCoder]:
    if pytestconfig.getoption("no_starcoder"):
        pytest.skip("--no-starcoder: this test asks StarCoder")
    from pytest_starcoder.fixture import StarCoder

    starcoder = StarCoder(pytestconfig, tuple(SETTINGS))
    yield starcoder
    starcoder.close()


@pytest.fixture
def starcoder(request: pytest.FixtureRequest, _starcoder_session: StarCoder) -> StarCoder:
    """Ask the model; errors say what to do next.

    Methods: `ask(text)`, `complete(prompt)`, `explain(excinfo)`, `generate_tests(function)`.
    """
    _starcoder_session.nodeid = request.node.nodeid
    return _starcoder_session
