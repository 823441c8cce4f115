"""Joins a pytest session and generates tests for the gaps that its tests leave."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_starcoder.errors import ConfigError, StarcoderError, os_reason
from pytest_starcoder.files import UNLINK, LeadsOutside
from pytest_starcoder.session.command_line import session_launch
from pytest_starcoder.session.session_tests import SessionTests
from pytest_starcoder.session.settings import session_settings
from pytest_starcoder.source.git.tracking import find_repository
from pytest_starcoder.text.display import one_line

if TYPE_CHECKING:
    from pytest_starcoder.generate.draft import Target
    from pytest_starcoder.generate.locations import Location
    from pytest_starcoder.generate.result import Generated
    from pytest_starcoder.redaction.redactor import Redactor

MARKER = "starcoder_generate"

# The key of the markers in the output of an xdist worker.
WORKER_KEY = "starcoder_marked"


class GeneratePlugin:
    """The plugin object of one session. Raises pytest.UsageError for invalid options.

    `places` are the values of the option: a file, a folder, `FILE::NAME`, or an empty text for
    the code that markers name.
    """

    def __init__(self, config: pytest.Config, keys: Sequence[str], places: Sequence[str]) -> None:
        self._config = config
        self._is_worker = hasattr(config, "workerinput")
        self._tests = SessionTests()
        self._environment = dict(os.environ)
        # Node ids of modules and classes, and the names in their markers; a dict keeps the order.
        self._marked: dict[tuple[str, str], None] = {}
        self._import_folders: list[str] = []
        # Absolute now: a test may change the working folder.
        names = config.getoption("starcoder_generate_report")
        self._reports = [Path(name).absolute() for name in names]
        self._writes_suspected = bool(config.getoption("starcoder_write_suspected"))
        self._writes = self._writes_suspected or bool(config.getoption("starcoder_write"))
        self._uses_markers = "" in places
        try:
            self._check_options()
            self._settings = session_settings(config, keys)
            self._locations = self._locations_of(places)
        except StarcoderError as exc:
            raise pytest.UsageError(str(exc)) from exc

    def _check_options(self) -> None:
        if self._writes:
            from pytest_starcoder.generate.placement import check_installed

            check_installed()
        for path in self._reports:
            if path.suffix not in (".json", ".md"):
                raise ConfigError(
                    f"--starcoder-generate-report={path.name}: the suffix {path.suffix!r} is not "
                    "supported.",
                    "Use .json or .md.",
                )

    def _locations_of(self, places: Sequence[str]) -> list[Location]:
        from pytest_starcoder.generate.locations import check_names, locations_of_path

        locations: list[Location] = []
        for place in filter(None, places):
            locations += locations_of_path(place, self._config.rootpath)
        check_names(locations, self._config.rootpath)
        return locations

    # --- markers and results of the session ---

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Read the markers of modules and classes, also of those without tests."""
        report = yield
        if report.passed and isinstance(collector, pytest.Module | pytest.Class):
            self._add_markers(collector, collector.nodeid)
            for item in report.result:
                if isinstance(item, pytest.Function):
                    self._add_markers(item, collector.nodeid)
            # Collecting extends sys.path; markers name modules as tests import them.
            self._import_folders = [*sys.path]
        return report

    def _add_markers(self, node: pytest.Collector | pytest.Item, nodeid: str) -> None:
        for mark in node.own_markers:
            if mark.name == MARKER:
                for name in mark.args or ("",):
                    self._marked[nodeid, str(name)] = None

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._session = session
        if self._is_worker:
            markers = [list(self._marked), self._import_folders]
            self._config.workeroutput[WORKER_KEY] = markers  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        marked, folders = getattr(node, "workeroutput", {}).get(WORKER_KEY, ((), ()))
        # xdist sends tuples as lists.
        self._marked.update(dict.fromkeys(map(tuple, marked)))
        self._import_folders = self._import_folders or [*folders]

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._is_worker:
            self._tests.add(report)

    # --- the report at the end ---

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._is_worker or self._config.getoption("collectonly"):
            return
        try:
            self._summarize(terminalreporter)
        except KeyboardInterrupt:  # the second one: the first only ends the search
            terminalreporter.write_line("\nStarCoder: interrupted.")

    def _summarize(self, terminal: pytest.TerminalReporter) -> None:
        """Generate tests and show them; errors become lines of the report."""
        terminal.write_sep("=", "StarCoder: generated tests")
        is_complete = False
        try:
            generated = self._generate_with_progress(terminal)
            # A remark without a model means that no model could be asked.
            is_complete = not generated.note
            if generated.remark and not generated.model:
                is_complete = False
            self._show(generated, terminal)
        except StarcoderError as exc:
            terminal.write_line(f"StarCoder: {exc}")
        except Exception as exc:  # noqa: BLE001 - a bug of ours must not end the user's run
            error = f"{type(exc).__name__}: {exc}"
            reason = one_line(self._redactor.redact(error))
            terminal.write_line(f"StarCoder: no test was generated ({reason}).")
        is_required = self._config.getoption("starcoder_require") and not is_complete
        if is_required and self._session.exitstatus == pytest.ExitCode.OK:
            self._session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _generate_with_progress(self, terminal: pytest.TerminalReporter) -> Generated:
        from pytest_starcoder.report.status_line import StatusLine

        waiting = StatusLine(
            lambda text: terminal.write(text, flush=True),
            self._config.get_terminal_writer().fullwidth,
            live=bool(terminal.isatty),
        )
        with waiting.show("generating tests") as show_step:
            return self._generate(lambda step: show_step(f": {step}"))

    def _generate(self, progress: Callable[[str], None]) -> Generated:
        """Return the generated tests. Raises StarcoderError and OSError."""
        from pytest_starcoder.generate.job import GenerationJob

        suite = []
        for test in self._tests.finished:
            # A slow test would use up the time, and some tests must not run with mutants.
            if test.outcome == "passed" and test.quick and test.fixable:
                suite.append(test.nodeid)
        job = GenerationJob(
            session_launch(self._config, self._environment),
            self._settings,
            self._targets(),
            suite,
            characterise=self._config.getoption("starcoder_characterise"),
            redactor=self._redactor,
            progress=progress,
        )
        return job.run()

    @cached_property
    def _redactor(self) -> Redactor:
        from pytest_starcoder.redaction.redactor import Redactor

        return Redactor.from_environment(self._environment)

    # --- the targets ---

    def _targets(self) -> list[Target]:
        """Return the targets that options and markers choose. Raises ConfigError if none are."""
        from pytest_starcoder.generate.locations import targets_at

        root = self._config.rootpath
        marked = self._marked_locations()
        locations = [*self._locations, *self._changed_locations()]
        if self._uses_markers:
            locations += marked
        if not locations:
            raise self._nothing_to_do()
        targets = targets_at(locations, root, self._tests.files)
        if not marked or self._uses_markers:
            return targets
        # Without an empty place, markers do not choose targets; they only place the tests.
        chosen = {(target.path, target.name) for target in targets}
        selected = []
        for target in targets_at([*marked, *locations], root, self._tests.files):
            if (target.path, target.name) in chosen:
                selected.append(target)
        return selected

    def _nothing_to_do(self) -> ConfigError:
        message = f"Nothing is marked with {MARKER}."
        if self._config.getoption("starcoder_generate_changed"):
            message = "This is not a git repository."
            if find_repository(self._config.rootpath):
                message = "Only tests have changed since the last commit, or nothing has."
        hint = "Name a file, folder or function, for example --starcoder-generate=shop/pricing.py."
        return ConfigError(message, hint)

    def _marked_locations(self) -> list[Location]:
        """Return what markers name; the marked module or class is the place of the tests.

        Raises ConfigError for an unknown name, if markers choose the targets.
        """
        from pytest_starcoder.generate.locations import location_of_name

        locations = []
        for nodeid, name in self._marked:
            source = f'{nodeid}: the marker {MARKER}("{name}")'
            root = self._config.rootpath
            try:
                location = location_of_name(name, root, self._import_folders, source, nodeid)
            except ConfigError:
                if self._uses_markers:
                    raise
            else:
                locations.append(location)
        return locations

    def _changed_locations(self) -> list[Location]:
        """Return the definitions that differ from the last commit, if the option asks for them."""
        if not self._config.getoption("starcoder_generate_changed"):
            return []
        from pytest_starcoder.generate.locations import Location, is_test_file
        from pytest_starcoder.source.git.history import History

        locations = []
        changes = History(self._config.rootpath).changed_lines(untracked=True)
        for path, lines in changes.items():
            # A file with deletions only has no lines to test.
            if lines and path.endswith(".py") and not is_test_file(Path(path)):
                locations.append(Location(path, lines=frozenset(lines)))
        return locations

    # --- what is shown and written ---

    def _show(self, generated: Generated, terminal: pytest.TerminalReporter) -> None:
        from pytest_starcoder.generate.report import terminal_lines
        from pytest_starcoder.generate.suite_writer import SuiteWriter, places_of, write_hint
        from pytest_starcoder.redaction.nested_values import with_texts

        verbose = self._config.option.verbose > 0
        # Files keep what the code says; only what is shown is redacted.
        redacted = with_texts(generated, self._redactor.redact)
        for line in terminal_lines(redacted, verbose=verbose):
            terminal.write_line(line)
        self._write_reports(redacted)
        places = places_of(generated, with_suspected=self._writes_suspected)
        if self._writes or verbose:
            root = self._config.rootpath.resolve()
            writer = SuiteWriter(root, terminal.write, self._redactor.redact, self._writes)
            writer.put(places)
        if places and not self._writes:
            terminal.write_line(write_hint(places))

    def _write_reports(self, generated: Generated) -> None:
        """Write the report files. Raises ConfigError."""
        from pytest_starcoder.generate.report import to_json, to_markdown
        from pytest_starcoder.report.files import write_report

        for path in self._reports:
            text = to_json(generated) if path.suffix == ".json" else to_markdown(generated)
            tree = find_repository(path) or self._config.rootpath
            try:
                write_report(path, text, tree)
            except OSError as exc:
                hint = "Name another with --starcoder-generate-report."
                if isinstance(exc, LeadsOutside):
                    hint = UNLINK
                message = f"{path} could not be written ({os_reason(exc)})."
                raise ConfigError(message, hint) from exc
