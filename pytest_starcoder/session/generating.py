"""Joins a pytest session to generate tests after it: drafts are judged by what the tests that ran leave open."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_starcoder.errors import ConfigError, StarcoderError
from pytest_starcoder.session import session_settings
from pytest_starcoder.session.ran import Tests, launch_of
from pytest_starcoder.settings import Settings
from pytest_starcoder.text.display import one_line

if TYPE_CHECKING:
    from pytest_starcoder.jobs.generate import Write
    from pytest_starcoder.values.draft import Draft, Target
    from pytest_starcoder.values.generated import Generated, Kept

SECONDS = 120.0
"""That generating may take."""


class Generating:
    """The plugin object of one session. Raises pytest.UsageError for what cannot be generated for."""

    def __init__(self, config: pytest.Config, keys: Sequence[str], places: Sequence[str]) -> None:
        self._config = config
        self._worker = hasattr(config, "workerinput")
        self._tests = Tests()
        self._environment = dict(os.environ)
        self._remark = self._model = ""
        self._reports = [Path(name).absolute() for name in config.getoption("starcoder_generate_report")]
        try:
            if config.getoption("starcoder_write"):
                from pytest_starcoder.jobs.place import check_installed

                check_installed()
            self._settings: Settings = session_settings(config, keys)
            for path in self._reports:
                if path.suffix not in (".json", ".md"):
                    raise ConfigError(
                        f"--starcoder-generate-report={path.name}: no format has that suffix.", "There are .json, .md."
                    )
            self._wanted = [wanted for place in places for wanted in _places(place, config.rootpath)]
        except StarcoderError as exc:
            raise pytest.UsageError(str(exc)) from exc

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self._worker:
            self._tests.add(report)

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._worker:
            return
        from pytest_starcoder.report.generated import lines_of

        terminalreporter.section("StarCoder: generated tests")
        try:
            from pytest_starcoder.report.waiting import Waiting

            width = self._config.get_terminal_writer().fullwidth
            waiting = Waiting(
                lambda text: terminalreporter.write(text, flush=True), width, live=bool(terminalreporter.isatty)
            )
            with waiting.shown("generating tests") as far:
                generated = self._generated(lambda what: far(f": {what}"))
        except KeyboardInterrupt:
            terminalreporter.write_line("StarCoder: interrupted.")
            return
        except Exception as exc:  # noqa: BLE001 - never pytest's business
            told = one_line(f"{type(exc).__name__}: {exc}")
            terminalreporter.write_line(f"StarCoder: no test was generated ({told}).")
            return
        for line in lines_of(generated):
            terminalreporter.write_line(line)
        if generated.tallies and (generated.remark or self._remark):
            terminalreporter.write_line(f"No model wrote tests: {generated.remark or self._remark}")
        try:
            self._report(generated)
            self._write(generated, terminalreporter)
        except OSError as exc:
            terminalreporter.write_line(f"StarCoder: the tests could not be written ({exc}).")

    def _report(self, generated: Generated) -> None:
        """Writes the report files. Raises OSError."""
        from pytest_starcoder.report.files import save
        from pytest_starcoder.report.generated import to_json, to_markdown

        for path in self._reports:
            save(path, to_json(generated, self._model) if path.suffix == ".json" else to_markdown(generated))

    def _write(self, generated: Generated, terminal: pytest.TerminalReporter) -> None:
        """Puts what was kept into test files, or says where it would."""
        from pytest_starcoder.jobs.place import file_for, formatted, placed
        from pytest_starcoder.report.files import save
        from pytest_starcoder.text.diff import unified
        from pytest_starcoder.text.display import counted, printable

        root = self._config.rootpath
        files: dict[str, list[Kept]] = {}
        for kept in generated.kept:
            files.setdefault(file_for(kept.draft.target.module, root, self._tests.files), []).append(kept)
        for path, own in files.items():
            if not self._config.getoption("starcoder_write"):
                terminal.write_line(
                    f"Nothing was written. Add --starcoder-write to put {counted(len(own), 'test')} into {path}."
                )
                continue
            before = (root / path).read_text("utf-8") if (root / path).is_file() else ""
            after = placed(before, own)
            if after != before:
                after = formatted(after, path, root)
                terminal.write(printable(unified(before, after, path), tabs=True))
                save(root / path, after)
                terminal.write_line(f"Written: {path}")

    def _generated(self, progress: Callable[[str], None]) -> Generated:
        from pytest_starcoder.evidence.documented import examples_of
        from pytest_starcoder.evidence.siblings import properties_of
        from pytest_starcoder.evidence.targets import targets_of

        root = self._config.rootpath
        targets, drafts = [], []
        changed = self._changed()
        for path, name in dict.fromkeys([*self._wanted, *((path, "") for path in changed)]):
            source = (root / path).read_text("utf-8")
            own = [target for target in targets_of(source, path, root) if not name or target.name == name]
            if (path, name) not in self._wanted:
                own = [target for target in own if changed[path] & {*range(target.first, target.last + 1)}]
            names = [node.name for node in ast.parse(source).body if hasattr(node, "name")]
            examples = [draft for target in own for draft in examples_of(target, names)]
            targets += own
            drafts += [*examples, *properties_of(own, examples)]
        write, close = self._writer(targets, drafts)
        suite = [test.nodeid for test in self._tests.ran if test.outcome == "passed" and test.quick and test.fixable]
        try:
            return self._with(write, targets, drafts, suite, progress)
        finally:
            close()

    def _changed(self) -> dict[str, set[int]]:
        """The lines of Python files, tests left out, that differ from the last commit, where that is asked for."""
        if not self._config.getoption("starcoder_generate_changed"):
            return {}
        from pytest_starcoder.git import History

        found = History(self._config.rootpath).changed()
        own = {path: lines for path, lines in found.items() if path.endswith(".py") and not _is_test(Path(path))}
        return {path: lines for path, lines in own.items() if lines}

    def _writer(self, targets: Sequence[Target], examples: Sequence[Draft]) -> tuple[Write | None, Callable[[], None]]:
        """How a model is asked, and what ends it; none where there is none."""
        from pytest_starcoder.client import Client
        from pytest_starcoder.jobs.draft import written_for

        try:
            client = Client.from_settings(self._settings)
        except StarcoderError as exc:
            self._remark = str(exc)
            return None, lambda: None
        root = self._config.rootpath

        def write(target: Target, attempt: int, gaps: str) -> list[Draft]:
            source = (root / target.path).read_text("utf-8")
            names = [node.name for node in ast.parse(source).body if hasattr(node, "name")]
            own = [draft for draft in examples if draft.target == target]
            self._model = client.model().name
            return written_for(target, source, names, client, attempt, gaps, own)

        return write, client.close

    def _with(
        self,
        write: Write | None,
        targets: Sequence[Target],
        drafts: Sequence[Draft],
        suite: Sequence[str],
        progress: Callable[[str], None],
    ) -> Generated:
        from pytest_starcoder.jobs.generate import generate
        from pytest_starcoder.runner.confine import Level
        from pytest_starcoder.values.asked import Deadline

        root = self._config.rootpath
        return generate(
            launch_of(self._config, self._environment),
            targets,
            suite,
            drafts,
            lambda path: (root / path).read_text("utf-8"),
            Deadline.after(SECONDS),
            Level(self._settings.confinement),
            progress=progress,
            write=write,
            characterise=self._config.getoption("starcoder_characterise"),
        )


def _places(given: str, root: Path) -> list[tuple[str, str]]:
    """The files that an argument names, relative to the root, each with the dotted name in it, empty for all of it."""
    place, _, name = given.partition("::")
    path = Path(place) if Path(place).is_absolute() else Path.cwd() / place
    asked = f"--starcoder-generate={given}"
    if path.is_dir():
        found = [file for file in sorted(path.rglob("*.py")) if not _is_test(file.relative_to(path))]
    else:
        found = [path] if path.is_file() and path.suffix == ".py" else []
    if not found:
        raise ConfigError(f"{asked}: there is no Python file {place}.", "Name a file or a folder: shop/pricing.py.")
    try:
        return [(file.resolve().relative_to(root.resolve()).as_posix(), name.replace("::", ".")) for file in found]
    except ValueError:
        raise ConfigError(f"{asked}: {place} is not below {root}.", "Start pytest above it.") from None


def _is_test(path: Path) -> bool:
    """Whether a file is one of tests, or hidden."""
    parts = path.parts
    named = path.name.startswith(("test_", "conftest", "setup.")) or path.name.endswith("_test.py")
    return named or any(part in ("tests", "test") or part.startswith((".", "_build")) for part in parts[:-1])
