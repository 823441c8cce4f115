"""The reports that a session writes besides its section in the terminal: files, JUnit properties, GitHub's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_starcoder.explain.explanation import Report


class Written:
    """Where the reports of one session go; what cannot be written is told to `complain`, and the rest is.

    Raises ConfigError for a file whose suffix names no format.
    """

    def __init__(self, config: pytest.Config, complain: Callable[[str], None]) -> None:
        self._config = config
        self._complain = complain
        xml = config.getoption("xmlpath", None)
        self._xml = _as_pytest_finds(xml) if xml else None
        self._files: list[tuple[Path, Callable[[Report], str]]] = []
        if names := config.getoption("starcoder_report"):
            from pytest_starcoder.explain.report_files import writer

            self._files = [
                (config.invocation_params.dir / name, writer(Path(name))) for name in names
            ]

    @property
    def asked(self) -> bool:
        """Whether files are to be written, also where nothing failed."""
        return bool(self._files)

    def write(self, report: Report, line: Callable[[str], None]) -> None:
        """Writes all of them; `line` writes one line of the log, for GitHub to read."""
        from pytest_starcoder.explain.report_files import save
        from pytest_starcoder.source.git.tracking import find_repository

        for path, written in self._files:
            tree = find_repository(path.parent) or self._config.rootpath
            self._try(str(path), partial(save, path, written(report), tree))
        if not report.explanations:
            return
        if self._xml is not None:
            xml = self._xml
            self._try(str(xml), lambda: self._junit(xml, report))
        if os.environ.get("GITHUB_ACTIONS") == "true":
            from pytest_starcoder.explain.markdown import to_markdown
            from pytest_starcoder.review.github import workflow_commands

            for command in workflow_commands(report, self._prefix()):
                line(command)
            summary = os.environ.get("GITHUB_STEP_SUMMARY")
            if summary:
                self._try(summary, lambda: _append(Path(summary), to_markdown(report)))

    def _junit(self, path: Path, report: Report) -> None:
        from pytest_starcoder.explain.junit import add_explanations
        from pytest_starcoder.explain.report_files import save

        prefix = self._config.getoption("junitprefix", None) or ""
        save(path, add_explanations(path.read_text("utf-8"), report, prefix))

    def _prefix(self) -> str:
        """The folder of the root within its repository, with a slash at its end; empty where they are one."""
        from pytest_starcoder.source.git.tracking import find_repository

        root = self._config.rootpath.resolve()
        top = find_repository(root)
        return "" if top is None or top == root else root.relative_to(top).as_posix() + "/"

    def _try(self, name: str, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as exc:
            self._complain(f"{name} could not be written ({exc.strerror or exc}).{_hint(exc)}")


def _hint(exc: OSError) -> str:
    from pytest_starcoder.files import UNLINK, LeadsOutside

    return f" {UNLINK}" if isinstance(exc, LeadsOutside) else ""


def _as_pytest_finds(name: str) -> Path:
    """Where pytest writes its JUnit file; it decides that before any test may change the folder."""
    return Path(os.path.normpath(os.path.abspath(os.path.expanduser(os.path.expandvars(name)))))  # noqa: PTH100, PTH111


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
