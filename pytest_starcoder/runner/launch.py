"""The start of the user's pytest, and the command that starts it again."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_starcoder.runner.pytest_arguments import select_arguments
from pytest_starcoder.source.edits.edit import Edit, apply_edits
from pytest_starcoder.source.project import Project
from pytest_starcoder.text.node_ids import file_of


@dataclass(frozen=True)
class Launch:
    """The start of the user's pytest.

    `arguments` are all options in force, from the command line, PYTEST_ADDOPTS and the ini
    file, and `positionals` those of them that name tests. Files below the folders `around`
    also belong to the project. `folder` is where it was started, and `here_first` says
    whether that was first on `sys.path`, as with `python -m pytest`. `environment` holds the
    variables before any test could change them; empty means those of this process.
    `obstacle` is the reason why the tests cannot run again, if there is one.
    """

    folder: Path
    root: Path
    ini: Path | None = None
    arguments: tuple[str, ...] = ()
    positionals: tuple[str, ...] = ()
    here_first: bool = False
    around: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    obstacle: str = ""

    @property
    def project(self) -> Project:
        return Project(self.root, self.around)

    @property
    def plain_assertions(self) -> list[str]:
        """Options that switch assertion rewriting off; empty if the run does that anyway."""
        text = " ".join(self.arguments)
        return [] if re.search(r"(^| )-p ?no:assertion( |$)", text) else ["--assert=plain"]

    def command(self, tests: Sequence[str], temporary: Path, options: Sequence[str]) -> list[str]:
        """Return the command that runs `tests` as the user did, with more `options`.

        Files that pytest and its plugins write go into the folder `temporary`.
        """
        command = [sys.executable, "-m", "pytest"]
        if not self.here_first:  # `-m` would put the folder on `sys.path`
            command.insert(1, "-P")
        command += select_arguments(self.arguments, self.positionals, temporary / "reports")
        if self.ini:
            command += ["-c", str(self.ini)]
        # The options of `addopts` are among the arguments.
        for setting in ("addopts=", "log_file=", f"cache_dir={temporary / 'cache'}"):
            command += ["-o", setting]
        command += [f"--rootdir={self.root}", f"--basetemp={temporary / 'tmp'}"]
        return [*command, "--maxfail=0", "--no-starcoder", *options, *self._files(tests)]

    def edited_files(self, edits: Sequence[Edit]) -> dict[str, str]:
        """Return the edited texts of the files, by absolute path. Raises OSError."""
        edits_by_file: dict[Path, list[Edit]] = {}
        for edit in edits:
            edits_by_file.setdefault(self.root / edit.path, []).append(edit)
        texts = {}
        for file, file_edits in edits_by_file.items():
            texts[str(file)] = apply_edits(file.read_text("utf-8"), file_edits)
        return texts

    def _files(self, tests: Sequence[str]) -> list[str]:
        """Return the test files, to collect them whole: test names may vary between runs."""
        paths = dict.fromkeys(map(file_of, tests))
        files = [self.root / path for path in paths]
        existing = [file for file in files if file.exists()]
        return list(map(str, existing or files))
