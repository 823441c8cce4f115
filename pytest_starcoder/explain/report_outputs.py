"""The reports of a session besides its section in the terminal."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pytest_starcoder.errors import os_reason
from pytest_starcoder.explain.explanation import Report


class ReportOutputs:
    """Report files, properties in pytest's JUnit file, and annotations of GitHub Actions.

    `folder` is where pytest was started and `root` its root; `junit` is the option
    --junitxml. What cannot be written is passed to `complain`. Raises ConfigError for a
    report file whose suffix names no format.
    """

    def __init__(
        self,
        folder: Path,
        root: Path,
        names: list[str],
        junit: str | None,
        junit_prefix: str,
        complain: Callable[[str], None],
    ) -> None:
        self._root = root
        self._junit = _normalize(junit) if junit else None
        self._junit_prefix = junit_prefix
        self._complain = complain
        self._files: list[tuple[Path, Callable[[Report], str]]] = []
        if names:
            # Not imported without a report: most runs have none.
            from pytest_starcoder.explain.report_files import find_writer

            for name in names:
                self._files.append((folder / name, find_writer(Path(name))))

    @property
    def has_files(self) -> bool:
        """True if report files are written, which happens even if no test failed."""
        return bool(self._files)

    def write(self, report: Report, write_line: Callable[[str], None]) -> None:
        """Write all reports; `write_line` writes a line to the log, for GitHub to read."""
        from pytest_starcoder.report.files import write_report
        from pytest_starcoder.source.git.tracking import find_repository

        for path, render in self._files:
            tree = find_repository(path.parent) or self._root
            self._try(str(path), partial(write_report, path, render(report), tree))
        if not report.explanations:
            return
        if self._junit is not None:
            self._try(str(self._junit), partial(self._write_junit, self._junit, report))
        if os.environ.get("GITHUB_ACTIONS") == "true":
            self._annotate(report, write_line)

    def _write_junit(self, path: Path, report: Report) -> None:
        from pytest_starcoder.explain.junit import add_explanations
        from pytest_starcoder.report.files import write_report

        write_report(path, add_explanations(path.read_text("utf-8"), report, self._junit_prefix))

    def _annotate(self, report: Report, write_line: Callable[[str], None]) -> None:
        from pytest_starcoder.explain.github import workflow_commands
        from pytest_starcoder.explain.markdown import to_markdown

        for command in workflow_commands(report, self._path_in_repository()):
            write_line(command)
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            self._try(summary, lambda: _append(Path(summary), to_markdown(report)))

    def _path_in_repository(self) -> str:
        """Return the path of the root in its repository, with a final slash; empty at the top."""
        from pytest_starcoder.source.git.tracking import find_repository

        root = self._root.resolve()
        top = find_repository(root)
        if top is None or top == root:
            return ""
        return root.relative_to(top).as_posix() + "/"

    def _try(self, name: str, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as exc:
            from pytest_starcoder.files import UNLINK, LeadsOutside

            hint = f" {UNLINK}" if isinstance(exc, LeadsOutside) else ""
            self._complain(f"{name} could not be written ({os_reason(exc)}).{hint}")


def _normalize(name: str) -> Path:
    """Return the path that pytest makes of --junitxml.

    Must be called before any test can change the working folder.
    """
    # With os.path, as pytest does: pathlib keeps `..` and raises for an unknown user.
    expanded = os.path.expanduser(os.path.expandvars(name))  # noqa: PTH111
    return Path(os.path.normpath(os.path.abspath(expanded)))  # noqa: PTH100


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
