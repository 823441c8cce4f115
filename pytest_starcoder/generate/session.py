"""Joins a pytest session to generate tests after it: drafts are judged by what the tests that ran leave open."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_starcoder.errors import ConfigError, StarcoderError
from pytest_starcoder.files import UNLINK, LeadsOutside
from pytest_starcoder.session.settings import session_settings
from pytest_starcoder.session.tests import SessionTests, session_launch
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.git import repository
from pytest_starcoder.text.display import counted, one_line, printable

if TYPE_CHECKING:
    from pytest_starcoder.generate.draft import Draft
    from pytest_starcoder.generate.job import Wanted
    from pytest_starcoder.generate.result import Generated, Kept
    from pytest_starcoder.redaction.redactor import Redactor

MARKER = "starcoder_generate"

SENT = "starcoder_marked"
"""Under which key a worker of xdist hands over what is marked."""


class GeneratePlugin:
    """The plugin object of one session. Raises pytest.UsageError for what cannot be generated for.

    `places` are those of the option: a file, a folder, `FILE::NAME`, or nothing for what tests are marked with.
    """

    def __init__(self, config: pytest.Config, keys: Sequence[str], places: Sequence[str]) -> None:
        self._config = config
        self._worker = hasattr(config, "workerinput")
        self._tests = SessionTests()
        self._environment = dict(os.environ)
        self._known: Redactor | None = None
        self._marked: dict[tuple[str, str], None] = {}
        self._folders: list[str] = []
        self._reports = [
            Path(name).absolute() for name in config.getoption("starcoder_generate_report")
        ]
        self._suspected = bool(config.getoption("starcoder_write_suspected"))
        self._writes = self._suspected or bool(config.getoption("starcoder_write"))
        try:
            if self._writes:
                from pytest_starcoder.generate.placement import check_installed

                check_installed()
            self._settings: Settings = session_settings(config, keys)
            for path in self._reports:
                if path.suffix not in (".json", ".md"):
                    raise ConfigError(
                        f"--starcoder-generate-report={path.name}: no format has that suffix.",
                        "There are .json, .md.",
                    )
            self._places = [
                found for place in places if place for found in _places(place, config.rootpath)
            ]
            self._by_mark = "" in places
        except StarcoderError as exc:
            raise pytest.UsageError(str(exc)) from exc

    # --- what is marked, and what has run ---

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Looks at modules and classes once they are imported: one that has no test yet may be marked, too."""
        report = yield
        if report.passed and isinstance(collector, pytest.Module | pytest.Class):
            tests = [item for item in report.result if isinstance(item, pytest.Function)]
            for mark in [mark for node in (collector, *tests) for mark in node.own_markers]:
                if mark.name == MARKER:
                    for argument in mark.args or ("",):
                        self._marked[(collector.nodeid, str(argument))] = None
            self._folders = [*sys.path]  # where the modules that it names are imported from
        return report

    @pytest.hookimpl
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._session = session
        if self._worker:
            self._config.workeroutput[SENT] = [list(self._marked), self._folders]  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        marked, folders = getattr(node, "workeroutput", {}).get(SENT, ((), ()))
        self._marked |= {(nodeid, name): None for nodeid, name in marked}  # noqa: C420 - lists, as they came over the wire
        self._folders = self._folders or [*folders]

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._worker:
            self._tests.add(report)

    # --- what comes of it ---

    @property
    def _redactor(self) -> Redactor:
        """The redactor that knows the secrets of this run."""
        if self._known is None:
            from pytest_starcoder.redaction.redactor import Redactor

            self._known = Redactor.from_environment(self._environment)
        return self._known

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._worker or self._config.getoption("collectonly"):
            return
        try:
            self._summary(terminalreporter)
        except (
            KeyboardInterrupt
        ):  # the second; the first one ends the search, and what it has found is told
            terminalreporter.write_line("\nStarCoder: interrupted.")

    def _summary(self, terminal: pytest.TerminalReporter) -> None:
        from pytest_starcoder.generate.report import lines_of
        from pytest_starcoder.redaction.values import with_texts
        from pytest_starcoder.report.status_line import StatusLine

        terminal.write_sep("=", "StarCoder: generated tests")
        waiting = StatusLine(
            lambda text: terminal.write(text, flush=True),
            self._config.get_terminal_writer().fullwidth,
            live=bool(terminal.isatty),
        )
        done = False
        try:
            with waiting.shown("generating tests") as far:
                generated = self._generated(lambda what: far(f": {what}"))
            done = not generated.note and (bool(generated.model) or not generated.remark)
            shown = with_texts(generated, self._redactor.redact)
            for line in lines_of(shown, everything=self._config.option.verbose > 0):
                terminal.write_line(line)
            self._report(shown)
            self._put(generated, terminal)
        except StarcoderError as exc:
            terminal.write_line(f"StarCoder: {exc}")
        except Exception as exc:  # noqa: BLE001 - never pytest's business
            terminal.write_line(
                f"StarCoder: no test was generated ({one_line(self._redactor.redact(f'{type(exc).__name__}: {exc}'))})."
            )
        if (
            self._config.getoption("starcoder_require")
            and not done
            and self._session.exitstatus == pytest.ExitCode.OK
        ):
            self._session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _generated(self, progress: Callable[[str], None]) -> Generated:
        """Raises a StarcoderError, and OSError."""
        from pytest_starcoder.generate.job import generated_for, targets_for

        root = self._config.rootpath
        marked = self._by_marks()
        wanted = [*self._by_places(), *self._by_changes(), *(marked if self._by_mark else ())]
        if not wanted:
            raise ConfigError(*self._nothing())
        targets = targets_for(wanted, root, self._tests.files)
        if marked and not self._by_mark:  # they say where tests go, and no more
            names = {(target.path, target.name) for target in targets}
            placed = targets_for([*marked, *wanted], root, self._tests.files)
            targets = [target for target in placed if (target.path, target.name) in names]
        suite = [
            test.nodeid
            for test in self._tests.ran
            if test.outcome == "passed" and test.quick and test.fixable
        ]
        return generated_for(
            session_launch(self._config, self._environment),
            targets,
            suite,
            self._settings,
            progress,
            characterise=self._config.getoption("starcoder_characterise"),
            redactor=self._redactor,
        )

    def _nothing(self) -> tuple[str, str]:
        """Why there is nothing to generate tests for, and what to do."""
        hint = "Name a file, a folder or a function: --starcoder-generate=shop/pricing.py."
        if self._config.getoption("starcoder_generate_changed"):
            return (
                "Nothing differs from the last commit, tests left out, or this is no git repository.",
                hint,
            )
        return f"Nothing is marked with {MARKER}.", hint

    def _by_places(self) -> list[Wanted]:
        from pytest_starcoder.generate.job import Wanted

        return [Wanted(path, name) for path, name in self._places]

    def _by_marks(self) -> list[Wanted]:
        """What markers name, `pkg.mod:func` or `pkg.mod`, with the marked module or class as the place of its tests.

        Raises ConfigError for what they name and is not there, where that was asked for.
        """
        found = []
        for nodeid, given in self._marked:
            asked = f'{nodeid}: the marker {MARKER}("{given}")'
            with contextlib.nullcontext() if self._by_mark else contextlib.suppress(ConfigError):
                found.append(named(given, self._config.rootpath, self._folders, asked, nodeid))
        return found

    def _by_changes(self) -> list[Wanted]:
        """The definitions, those of tests left out, that differ from the last commit, where that is asked for."""
        if not self._config.getoption("starcoder_generate_changed"):
            return []
        from pytest_starcoder.generate.job import Wanted
        from pytest_starcoder.source.git import History

        changed = History(self._config.rootpath).changed(untracked=True)
        return [
            Wanted(path, lines=frozenset(lines))
            for path, lines in changed.items()
            if lines and path.endswith(".py") and not _is_test(Path(path))
        ]

    def _report(self, generated: Generated) -> None:
        """Write the report files. Raises ConfigError."""
        from pytest_starcoder.explain.report_files import save
        from pytest_starcoder.generate.report import to_json, to_markdown

        for path in self._reports:
            text = to_json(generated) if path.suffix == ".json" else to_markdown(generated)
            try:
                save(path, text, repository(path) or self._config.rootpath)
            except OSError as exc:
                hint = (
                    UNLINK
                    if isinstance(exc, LeadsOutside)
                    else "Name another with --starcoder-generate-report."
                )
                raise ConfigError(
                    f"{path} could not be written ({exc.strerror or exc}).", hint
                ) from exc

    def _put(self, generated: Generated, terminal: pytest.TerminalReporter) -> None:
        """Puts what was kept into test files, and suspected bugs where that is asked for; or says where it would."""
        from pytest_starcoder.generate.placement import as_suspected

        tests: dict[str, list[Kept | Draft]] = {}
        for kept in generated.kept:
            tests.setdefault(kept.draft.target.tests, []).append(kept)
        for suspected in generated.suspected if self._suspected else ():
            tests.setdefault(suspected.draft.target.tests, []).append(as_suspected(suspected))
        if self._writes or self._config.option.verbose > 0:
            self._show(tests, terminal)
        if tests and not self._writes:
            told = [
                f"{counted(len(own), 'test')} into {one_line(place, 120)}"
                for place, own in tests.items()
            ]
            last = f" and {told.pop()}" if len(told) > 1 else ""
            terminal.write_line(
                f"Nothing was written. Add --starcoder-write to put {', '.join(told)}{last}."
            )

    def _show(
        self, tests: Mapping[str, Sequence[Kept | Draft]], terminal: pytest.TerminalReporter
    ) -> None:
        """Shows the diffs, and writes the files where that was asked for."""
        from pytest_starcoder.explain.report_files import save
        from pytest_starcoder.generate.placement import draft_of, is_installed, placed, styles_of
        from pytest_starcoder.source.diff import unified

        if not is_installed():  # to be read only: who wants them written was told at the start
            for test in [test for own in tests.values() for test in own]:
                terminal.write_line(
                    f"\n{printable(self._redactor.redact(draft_of(test).function))}"
                )
            return
        root = self._config.rootpath.resolve()
        tree = repository(root / "_") or root
        for place, own in tests.items():
            path, _, within = place.partition("::")
            try:
                before = (
                    (root / path).read_bytes().decode("utf-8") if (root / path).is_file() else ""
                )
                text = before.replace("\r\n", "\n")
                after = placed(text, own, within, styles_of(path, root))
                if after == text:
                    continue
                shown = self._redactor.redact(unified(text, after, path))
                terminal.write(printable(shown, tabs=True))
                if self._writes:
                    save(
                        root / path,
                        after.replace("\n", "\r\n") if "\r\n" in before else after,
                        tree,
                    )
                    terminal.write_line(f"Written: {one_line(place, 120)}")
            except (OSError, SyntaxError, UnicodeDecodeError) as exc:
                told = (exc.strerror if isinstance(exc, OSError) else None) or exc
                hint = f" {UNLINK}" if isinstance(exc, LeadsOutside) else ""
                terminal.write_line(
                    f"{one_line(place, 120)} was left as it is: {one_line(str(told))}.{hint}"
                )


def wanted_for(obj: object, root: Path) -> Wanted:
    """Where a function, a class or a module stands, or what a text names.

    Raises ConfigError for what has no place below `root`.
    """
    from pytest_starcoder.generate.job import Wanted

    if isinstance(obj, str):
        return named(obj, root, sys.path, f"generate_tests({obj!r})")
    try:
        file = Path(inspect.getsourcefile(inspect.unwrap(obj) if callable(obj) else obj) or "")  # type: ignore[arg-type]
        path = file.resolve().relative_to(root.resolve()).as_posix()
    except (TypeError, ValueError):
        told = one_line(repr(obj), 80)
        raise ConfigError(
            f"generate_tests({told}) has no file below {root}.", "Give it what a module defines."
        ) from None
    return Wanted(path, "" if inspect.ismodule(obj) else getattr(obj, "__qualname__", ""))


def named(given: str, root: Path, folders: Sequence[str], asked: str, tests: str = "") -> Wanted:
    """What `package.module:function` or `package.module` names. Raises ConfigError where there is none below `root`."""
    from pytest_starcoder.generate.job import Wanted
    from pytest_starcoder.generate.targets import path_of

    module, _, name = given.partition(":")
    path = path_of(module, root, [Path(folder) for folder in folders if folder]) if module else ""
    if not path:
        raise ConfigError(
            f"{asked} names no module of this project.", 'Write it as "package.module:function".'
        )
    return Wanted(path, name, tests)


def _places(given: str, root: Path) -> list[tuple[str, str]]:
    """The files that an argument names, relative to the root, each with the dotted name in it, empty for all of it."""
    place, _, name = given.partition("::")
    path = Path(place) if Path(place).is_absolute() else Path.cwd() / place
    asked = f"--starcoder-generate={given}"
    hint = "Name a file, a folder or a function: shop/pricing.py."
    if path.is_dir():
        found = [
            file for file in sorted(path.rglob("*.py")) if not _is_test(file.relative_to(path))
        ]
        if not found:
            hint = "Put the option last, or name a folder of code."
            raise ConfigError(
                f"{asked}: in {place} there are only tests, or no Python files.", hint
            )
    elif not path.is_file():
        below = root / "src" / place
        hint = f"Is it src/{place}?" if below.exists() else hint
        raise ConfigError(f"{asked}: there is no file {place}.", hint)
    elif path.suffix != ".py" or _is_test(Path(path.name)):
        told = "is no Python file" if path.suffix != ".py" else "is a file of tests"
        raise ConfigError(f"{asked}: {place} {told}.", hint)
    else:
        found = [path]
    try:
        return [
            (file.resolve().relative_to(root.resolve()).as_posix(), name.replace("::", "."))
            for file in found
        ]
    except ValueError:
        raise ConfigError(
            f"{asked}: {place} is not below {root}.", "Start pytest above it."
        ) from None


def _is_test(path: Path) -> bool:
    """Whether a file is one of tests, or hidden."""
    parts = path.parts
    named = path.name.startswith(("test_", "conftest", "setup.")) or path.name.endswith("_test.py")
    return named or any(
        part in ("tests", "test") or part.startswith((".", "_build")) for part in parts[:-1]
    )
