"""Shows the tests that would go into the test files of a project, and writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_starcoder.files import UNLINK, LeadsOutside
from pytest_starcoder.generate.placement import (
    NewTest,
    accepted_test,
    expected_failure,
    insert_tests,
    is_installed,
    project_styles,
)
from pytest_starcoder.generate.result import Generated
from pytest_starcoder.report.files import write_report
from pytest_starcoder.source.diff import make_diff
from pytest_starcoder.source.git.tracking import find_repository
from pytest_starcoder.text.display import counted, one_line, printable

# Tests by the file, and after `::` the class, that they go into.
Places = Mapping[str, Sequence[NewTest]]


def places_of(generated: Generated, *, with_suspected: bool) -> Places:
    """Return the kept tests, and suspected bugs as expected failures, by their places."""
    tests = list(map(accepted_test, generated.kept))
    if with_suspected:
        tests += map(expected_failure, generated.suspected)
    places: dict[str, list[NewTest]] = {}
    for test in tests:
        places.setdefault(test.draft.target.tests, []).append(test)
    return places


def write_hint(places: Places) -> str:
    """Return the sentence that says where `--starcoder-write` would put the tests."""
    parts = []
    for place, tests in places.items():
        parts.append(f"{counted(len(tests), 'test')} into {one_line(place, 120)}")
    text = parts.pop()
    if parts:
        text = f"{', '.join(parts)} and {text}"
    return f"Nothing was written. Add --starcoder-write to put {text}."


@dataclass(frozen=True)
class SuiteWriter:
    """Shows diffs of test files by `show`, and writes the files if `writes`.

    `redact` removes secrets from what is shown.
    """

    root: Path
    show: Callable[[str], None]
    redact: Callable[[str], str]
    writes: bool

    def put(self, places: Places) -> None:
        """Show, and write, the tests of each place."""
        for place, tests in places.items():
            if not is_installed():
                # Without libcst there is no diff; --starcoder-write fails at the start then.
                for test in tests:
                    self.show(f"\n{printable(self.redact(test.draft.code))}\n")
                continue
            try:
                self._put(place, tests)
            except (OSError, SyntaxError, UnicodeDecodeError) as exc:
                reason = str(exc)
                if isinstance(exc, OSError) and exc.strerror:
                    reason = exc.strerror
                message = f"{one_line(place, 120)} was not changed: {one_line(reason)}."
                if isinstance(exc, LeadsOutside):
                    message += f" {UNLINK}"
                self.show(f"{message}\n")

    def _put(self, place: str, tests: Sequence[NewTest]) -> None:
        path, _, class_name = place.partition("::")
        file = self.root / path
        # Read as bytes: text mode would hide the line ends of Windows.
        before = ""
        if file.is_file():
            before = file.read_bytes().decode("utf-8")
        text = before.replace("\r\n", "\n")
        after = insert_tests(text, tests, class_name, project_styles(path, self.root))
        if after == text:
            return
        diff = self.redact(make_diff(text, after, path))
        self.show(printable(diff, tabs=True))
        if self.writes:
            if "\r\n" in before:
                after = after.replace("\n", "\r\n")
            write_report(file, after, find_repository(self.root / "_") or self.root)
            self.show(f"Written: {one_line(place, 120)}\n")
