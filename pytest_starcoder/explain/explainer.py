"""A session's failures told: causes found, tests run again, a model asked, the reports written.

Failures and tests as they ran come in; what goes out is the section in the terminal and the report as a value.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_starcoder.deadline import Deadline
from pytest_starcoder.errors import StarcoderError
from pytest_starcoder.explain.case import Case, build_cases
from pytest_starcoder.explain.causes import group_failures
from pytest_starcoder.explain.conversation import Asking
from pytest_starcoder.explain.explanation import Explanation, Report
from pytest_starcoder.explain.failure import Failure
from pytest_starcoder.explain.hooks import Others
from pytest_starcoder.explain.prefetch import Prefetch
from pytest_starcoder.explain.question import file_of, observed, prompt_of, shared_code
from pytest_starcoder.explain.replay import Replay, all_tests, replay, with_warnings
from pytest_starcoder.explain.section import TerminalSection
from pytest_starcoder.fix.apply import Terminal, apply
from pytest_starcoder.fix.session import Fixing
from pytest_starcoder.model.client import Client
from pytest_starcoder.runner.fixes import Fix
from pytest_starcoder.session.project import ProjectHistory, place_options, project_of
from pytest_starcoder.session.tests import SessionTests, rerun_options, session_launch
from pytest_starcoder.settings import Settings
from pytest_starcoder.source.conventions import Conventions
from pytest_starcoder.source.sources import SourceFiles
from pytest_starcoder.text.display import counted
from pytest_starcoder.text.node_ids import without_group


class Explainer2:
    """Tells the failures of one session on a terminal."""

    def __init__(
        self,
        config: pytest.Config,
        terminal: pytest.TerminalReporter,
        others: Others,
        environment: Mapping[str, str],
        early: Prefetch | None = None,
    ) -> None:
        self._config = config
        self._terminal = terminal
        self._others = others
        self._environment = environment
        self._early = early
        self._project = project_of(config)
        self._sources = SourceFiles.below(config.rootpath)
        self._section = TerminalSection(
            lambda text: terminal.write(text, flush=True),
            config.get_terminal_writer().fullwidth,
            live=bool(terminal.isatty),
        )

    def tell(
        self,
        failures: Sequence[Failure],
        tests: SessionTests,
        settings: Settings | StarcoderError,
        *,
        interrupted: bool,
    ) -> Report:
        """Writes the section; the report holds what it said."""
        started = time.monotonic()
        usable = Settings() if isinstance(settings, StarcoderError) else settings
        found = self._cases(
            failures, tests, replace(usable, replay=usable.replay and not interrupted)
        )
        rerun = all_tests(case.replay for case in found)
        if self._config.getoption("starcoder_show_prompt"):
            return self._show(found, failures, usable, self._fixing(found, tests, usable), rerun)
        with contextlib.closing(Asking(self._section, self._others.redact)) as asking:
            if self._early is not None and not interrupted:
                deadline = Deadline.after(usable.session_timeout, "session_timeout")
                with self._section.waiting(
                    "StarCoder", "for the rest of what was asked while the tests ran"
                ):
                    asking.answered(self._early.answers(deadline))
            if interrupted:
                asking.decline()
            else:
                asking.begin(settings)
            self._head(
                failures, found, f" ({asking.model} on {asking.server})" if asking.model else ""
            )
            shared = shared_code(found)
            explanations: list[Explanation] = []
            wanted = replace(usable, fix=usable.fix and not interrupted)
            fixing = self._fixing(found, tests, wanted, asking.client)
            for number, case in enumerate(found, 1):
                told = observed(case, self._others.redact)
                self._section.observed(number, len(found), told)
                fixed_case, told = fixing.fixed(case, told)
                told = asking.explain(fixed_case, told, shared[file_of(case)])
                self._ending(told)
                self._others.explained(told)
                explanations.append(told)
            report = Report(
                tuple(explanations),
                len(failures),
                asking.model,
                asking.server,
                asking.calls,
                rerun,
                time.monotonic() - started,
            )
            for line in _closing(report, asking.explained, asking.away):
                self._section.close(line)
        self._apply(fixing.found, explanations)
        return report

    def _apply(self, fixes: Sequence[Fix], explanations: Sequence[Explanation]) -> None:
        """Writes fixes into files, and answers as tests, where that is asked for."""
        how, root = self._config.getoption("starcoder_apply"), self._config.rootpath
        terminal = Terminal(self._config, lambda text: self._terminal.write(text, flush=True))
        lines = []
        if how is not None and fixes:
            lines += apply(
                fixes, root, self._sources, terminal.accepts if how == "ask" else lambda _fix: True
            )
        for told in explanations if self._config.getoption("starcoder_write") else ():
            if told.fixes.answers:
                lines.append(terminal.keep(told.fixes, told.nodeids[0].partition("::")[0]))
        for line in filter(None, lines):
            self._section.close(line)

    def _cases(
        self, failures: Sequence[Failure], tests: SessionTests, settings: Settings
    ) -> list[Case]:
        grouped = group_failures(failures)
        sources = self._sources
        replays = [Replay() for _ in grouped]
        warnings: dict[str, None] = {}
        if settings.replay:
            deadline = Deadline.after(settings.replay_timeout, "replay_timeout")
            with (
                contextlib.suppress(
                    KeyboardInterrupt
                ),  # enough of that: what was seen is told without it
                self._section.waiting(
                    "StarCoder", "failing tests what they execute, by running them again"
                ),
            ):
                launch = session_launch(self._config, self._environment)
                replays = replay(grouped, tests.ran, launch, deadline, sources, warnings.setdefault)
            if warnings:
                replays = with_warnings(replays, warnings)
        for rerun in replays:
            for outcome in (*rerun.failing, *rerun.passing):
                self._others.redactor.add(outcome.secrets)
        deadline = Deadline.after(settings.replay_timeout, "replay_timeout")
        history = ProjectHistory(self._project)
        return build_cases(
            grouped, replays, sources, history, self._conventions(tests).files, deadline
        )

    def _conventions(self, tests: SessionTests) -> Conventions:
        """Return how this session tells tests from other code: test files, plugins and settings."""
        config = self._config
        plugins = (
            getattr(plugin, "__file__", None) for plugin in config.pluginmanager.get_plugins()
        )
        project = self._project
        files = (project.path_of(file) for file in plugins if file and project.holds(file))
        return Conventions(
            frozenset({*tests.files, *files}),
            tuple(config.getini("python_files")),
            tuple(config.getini("python_functions")),
            tuple(config.getini("python_classes")),
            config.rootpath.name,
        )

    def _fixing(
        self,
        found: Sequence[Case],
        tests: SessionTests,
        settings: Settings,
        client: Client | None = None,
    ) -> Fixing:
        launch = session_launch(self._config, self._environment)
        return Fixing(
            found,
            launch,
            tests.ran,
            self._sources,
            self._conventions(tests),
            settings,
            self._section,
            self._others.redact,
            client,
        )

    def _show(
        self,
        found: Sequence[Case],
        failures: Sequence[Failure],
        settings: Settings,
        fixing: Fixing,
        rerun: int,
    ) -> Report:
        """The prompts instead of answers."""
        self._head(failures, found, "")
        shared = shared_code(found)
        explanations = []
        for number, case in enumerate(found, 1):
            told = replace(
                observed(case, self._others.redact), note="not asked: --starcoder-show-prompt"
            )
            self._section.observed(number, len(found), told)
            fixed_case, told = fixing.fixed(case, told)
            prompt = prompt_of(fixed_case, settings, self._others.redact, shared[file_of(case)])
            self._section.say("why", f"{told.note}. {len(prompt.text)} characters would be sent:")
            self._section.verbatim(f"prompt {number} of {len(found)}", prompt.text)
            self._ending(told)
            explanations.append(told)
        return Report(tuple(explanations), len(failures), rerun=rerun)

    def _head(self, failures: Sequence[Failure], found: Sequence[Case], model: str) -> None:
        heading = f"{counted(len(failures), 'failure')}, {counted(len(found), 'cause')}{model}"
        self._terminal.write_sep("=", f"StarCoder: {heading}", yellow=True)

    def _ending(self, told: Explanation) -> None:
        self._section.tests(told.nodeids)
        tests = [without_group(nodeid) for nodeid in told.order or told.nodeids[:1]]
        options = [*place_options(self._config), *rerun_options(self._config, len(tests))]
        self._section.rerun(list(map(self._from_here, tests)), options)

    def _from_here(self, nodeid: str) -> str:
        """The node id as a user writes it in the folder where pytest was started."""
        here, root = self._config.invocation_params.dir, self._config.rootpath
        if here == root:
            return nodeid
        path, colons, rest = nodeid.partition("::")
        file = root / path
        with contextlib.suppress(ValueError):  # another drive has no relative path
            file = Path(os.path.relpath(file, here))
        return file.as_posix() + colons + rest


def _closing(report: Report, explained: int, away: str) -> list[str]:
    """The last lines: how much was explained, for how many calls, and what to make of it."""
    lines = []
    rerun = f" Ran {counted(report.rerun, 'test')} again." if report.rerun else ""
    if explained:
        total, calls = (
            counted(len(report.explanations), "cause"),
            counted(report.calls, "model call"),
        )
        lines.append(f"{explained} of {total}, {calls}, {report.seconds:.1f} s.{rerun}{away}")
        checked = "; `checked` is what running tests again has shown" if report.rerun else ""
        lines.append(
            f"`why` is guessed, machine-generated by {report.model} and unchecked{checked}; all else was observed."
        )
    elif rerun:
        lines.append(f"{report.seconds:.1f} s.{rerun}")
        lines.append("`checked` is what running tests again has shown; all else was observed.")
    return [*lines, *filter(None, [report.confinement])]
