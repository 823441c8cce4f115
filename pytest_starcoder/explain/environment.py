"""Decides whether the environment or the code is at fault: a missing file, service or package.

The environment is blamed only if there is evidence besides the exception, such as a deleted file
that git tracks. If in doubt, the report only states what was observed.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from pytest_starcoder.explain.case import Case
from pytest_starcoder.explain.expectations import documented_result
from pytest_starcoder.explain.failure import Cause, Failure, Missing
from pytest_starcoder.explain.missing_files import MissingFiles
from pytest_starcoder.explain.missing_modules import MissingModules
from pytest_starcoder.runner.launch import Launch
from pytest_starcoder.source.conventions import Conventions
from pytest_starcoder.source.git.history import History
from pytest_starcoder.source.sources import SourceFiles

OUTSIDE_CODE = "the cause is outside the code"
"""Reason not to search for a fix."""

AS_DOCUMENTED = "the code does what its docstring shows"
ONLY_TEST_CHANGED = "only the test has changed since the last commit"

REMOTE_KINDS = ("address", "network", "host")
"""Kinds of missing things that no sandbox has, whatever the code does."""

MAY_LACK_SERVICE = "fixes are tried in a sandbox, where the service may be unavailable"

NO_CHANGE_NAMED = "no change is named: in the sandbox, a service may respond differently"

LACKS_FIXTURE = "the test cannot start without its fixture"
"""Reason not to search for a fix where the test may be at fault."""

MAX_FILES = 80
"""Maximum number of files in which a name or an address is looked for."""

MIN_SIMILARITY = 0.85
"""Minimum similarity (difflib) of a name and the one that it may be a misspelling of."""

MIN_SHORT_SIMILARITY = 0.8
"""Minimum similarity of the names of programs and hosts, which are short."""

MIN_FREE_BYTES = 1_000_000
"""Number of free bytes below which a disk counts as full."""

SERVICES = {
    "25": "SMTP",
    "389": "LDAP",
    "1433": "SQL Server",
    "1521": "Oracle",
    "3306": "MySQL",
    "4222": "NATS",
    "5432": "PostgreSQL",
    "5672": "RabbitMQ",
    "6379": "Redis",
    "8086": "InfluxDB",
    "9042": "Cassandra",
    "9092": "Kafka",
    "9200": "Elasticsearch",
    "11211": "memcached",
    "11434": "Ollama",
    "27017": "MongoDB",
}
"""Services by their default ports."""

EXPECTS_LACK = re.compile(
    r"missing|absent|not_?exist|nonexist|exists|unset|not_set|without|refus|unreach|offline"
    r"|unavail|not_avail|fallback|fall_back|default|optional|retry|retries|denied|forbid"
    r"|permission|error|fail|invalid|broken|time_?out|skip|empty|except|raises|unknown|lazy"
    r"|(^|_)(no|not|non|down|bad|only|if)(_|$)",
    re.IGNORECASE,
)
"""Words in the name of a test that may expect the environment to lack something."""

UNSETS_VARIABLE = re.compile(r"\bdelenv\b|clear\s*=\s*True|environ\.(pop|clear)|del os\.environ")

SETS_VARIABLE = re.compile(
    r"""(?:setenv\(|putenv\(|environ\.setdefault\()\s*["'](\w+)["']"""
    r"""|environ\[\s*["'](\w+)["']\s*\]\s*=(?!=)"""
)

STARTS_SERVER = re.compile(
    r"\blisten\(|\.bind\(|start_server|create_server|HTTPServer|TCPServer|serve_forever"
    r"|uvicorn|live_server|httpserver|runserver|app\.run\(|Popen|Thread\("
)
"""Code that starts a server: if the server does not listen, the code may be at fault."""

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1", "0.0.0.0")

CONFIGURATION_SUFFIXES = (".toml", ".ini", ".cfg", ".yml", ".yaml", ".json", ".conf")

ChangedLines = Mapping[str, Collection[int]]


@dataclass(frozen=True)
class Diagnosis:
    """A sentence on what is missing, or an empty one; `is_outside`: the code is not at fault."""

    fact: str = ""
    is_outside: bool = False


NOTHING = Diagnosis()


class Environment:
    """Judges the failures of one session; `conventions` tell which files are tests.

    `started` is when the tests began, in seconds since the epoch.
    """

    def __init__(
        self,
        launch: Launch,
        sources: SourceFiles,
        conventions: Conventions,
        history: History,
        started: float = math.inf,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self._launch = launch
        self._sources = sources
        self._conventions = conventions
        self._history = history
        self._started = started
        self._free_bytes = free_bytes
        self._files = MissingFiles(launch.project, History(launch.project.repository))
        self._modules = MissingModules(launch.project)

    def judge(self, case: Case) -> Case:
        """Return the case with a sentence on what is missing as its first fact.

        If that is the cause, the case has no suspects, and a reason not to search for a fix. Files
        that cannot be read are no evidence.
        """
        try:
            return self._judge(case)
        except OSError:
            return case

    def _judge(self, case: Case) -> Case:
        missing = case.cause.first.missing
        if missing is None:
            return self._judge_test(case)
        if missing.kind in REMOTE_KINDS:
            case = _without_verdict(case)
        diagnosis = self.diagnose(case, missing)
        if not diagnosis.fact:
            return case
        case = replace(case, cause=_with_fact(case.cause, diagnosis.fact))
        if not diagnosis.is_outside or not _allows_outside_cause(case):
            # Every change that avoids the connection would seem to help.
            is_remote = missing.kind in REMOTE_KINDS and not self._may_start_server(case)
            return replace(case, unsearched=MAY_LACK_SERVICE) if is_remote else case
        reason = LACKS_FIXTURE if missing.kind == "fixture" else OUTSIDE_CODE
        return replace(case, suspects=(), unsearched=reason)

    def _judge_test(self, case: Case) -> Case:
        """Return the case, with a fact if there is evidence that the test is wrong."""
        if case.breakage.pieces or case.cause.first.phase != "call":
            return case
        documented = documented_result(case, self._sources)
        if documented:
            cause = _with_fact(case.cause, documented)
            case = replace(case, cause=cause, unsearched=AS_DOCUMENTED)
        committed = "" if case.breakage.note else self._only_test_changed(case)
        if committed:
            cause = _with_fact(case.cause, committed)
            case = replace(case, cause=cause, unsearched=ONLY_TEST_CHANGED, changed=())
        return case

    def _only_test_changed(self, case: Case) -> str:
        """Return a sentence if nothing but the test has changed; empty otherwise."""
        path, definition = _definition_of_test(case.cause.first)
        changed = self._changed
        if set(changed) != {path} or not case.scores:
            return ""
        # A test that is new may well have found a fault.
        executed = {number for file, number in case.scores if file == path}
        if not executed.intersection(changed[path]) or definition in changed[path]:
            return ""
        return f"only {path} has changed since the last commit; the code is as committed"

    def diagnose(self, case: Case, missing: Missing) -> Diagnosis:
        """Return what is known about something that is missing."""
        match missing.kind:
            case "file":
                return self._file(case, missing)
            case "permission":
                return self._permission(case, missing)
            case "disk":
                return self._disk(missing)
            case "variable":
                return self._variable(case, missing)
            case "address" | "network":
                return self._address(case, missing)
            case "host":
                return self._host(case, missing)
            case "locale":
                fact = f"the locale {missing.name} is not installed on this machine"
                is_written = self._is_written(case, missing.name)
                return Diagnosis(fact, is_written and not self._is_doubtful(case))
            case "plugin":
                fact = self._modules.plugin()
                return Diagnosis(fact, bool(fact))
            case "program":
                return self._program(case, missing)
            case "port":
                return Diagnosis(f"port {missing.name} is in use by {missing.detail}", True)
            case "fixture":
                return Diagnosis(self._modules.fixture(missing), True)
            case "module":
                return Diagnosis(*self._modules.module(missing.name))
            case "name":
                if not case.breakage.pieces:  # which show more
                    return Diagnosis(self._modules.removed_name(missing, self._history))
        return NOTHING

    # --- kinds -----------------------------------------------------------------------------

    def _file(self, case: Case, missing: Missing) -> Diagnosis:
        deleted = self._files.deleted(missing.detail)
        if deleted:
            is_from_this_run = self._files.was_changed_since(missing.detail, self._started)
            return Diagnosis(deleted, not is_from_this_run)
        if self._is_doubtful(case) or not self._is_written(case, missing.name):
            return NOTHING
        fact = self._files.unavailable(missing.detail)
        return Diagnosis(fact, bool(fact))

    def _permission(self, case: Case, missing: Missing) -> Diagnosis:
        fact = self._files.forbidden(missing.detail)
        if not fact or self._is_doubtful(case) or not self._is_written(case, missing.name):
            return NOTHING
        changes_modes = any("chmod" in self._sources(path) for path in self._test_files(case))
        return Diagnosis(fact, not changes_modes)

    def _disk(self, missing: Missing) -> Diagnosis:
        folder = Path(missing.detail)
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        # The error of a failed write names no file.
        folders = [folder] if missing.name else [self._launch.root, Path(tempfile.gettempdir())]
        for folder in folders:
            with contextlib.suppress(OSError):
                if self._free_bytes(folder) < MIN_FREE_BYTES:
                    return Diagnosis(f"the disk of {folder} is full", True)
        return NOTHING

    def _variable(self, case: Case, missing: Missing) -> Diagnosis:
        name = missing.name
        if name in self._variables:
            fact = f"the environment variable {name} was set when pytest started, but no longer is"
            return Diagnosis(fact)
        fact = f"the environment variable {name} is not set"
        example = self._env_file_with(name)
        if example:
            fact += f"; {example} defines it"
        texts = [self._sources(path) for path in self._test_files(case)]
        unset = any(map(UNSETS_VARIABLE.search, texts))
        set_names = [each for text in texts for each in _set_variables(text)]
        is_misspelled = bool(
            get_close_matches(name, [*set_names, *self._variables], 1, MIN_SIMILARITY)
        )
        # A test that sets the variable itself relies on code that reads it later.
        is_doubtful = unset or is_misspelled or name in set_names or self._is_doubtful(case)
        return Diagnosis(fact, not is_doubtful)

    def _address(self, case: Case, missing: Missing) -> Diagnosis:
        host, port = missing.name, missing.detail
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        fact = f"{address} refused the connection"
        if missing.kind == "network":
            fact = f"{address} is unreachable from this machine"
        service = SERVICES.get(port, "")
        if service:
            fact += f" ({port} is the default port of {service})"
        is_known = bool(service) or self._is_written(case, port) or port in ("80", "443")
        is_named = host in LOCAL_HOSTS or self._is_written(case, host)
        is_doubtful = self._may_start_server(case) or self._is_doubtful(case)
        return Diagnosis(fact, is_known and is_named and not is_doubtful)

    def _host(self, case: Case, missing: Missing) -> Diagnosis:
        name = missing.name
        if not re.fullmatch(r"[\w.-]+", name):
            return NOTHING
        is_misspelled = bool(get_close_matches(name, LOCAL_HOSTS, 1, MIN_SHORT_SIMILARITY))
        is_doubtful = name.endswith(".invalid") or is_misspelled or self._is_doubtful(case)
        is_written = self._is_written(case, name)
        return Diagnosis(f"the host name {name} does not resolve", is_written and not is_doubtful)

    def _program(self, case: Case, missing: Missing) -> Diagnosis:
        name = missing.name
        if not re.fullmatch(r"[\w.+-]+", name):
            return NOTHING
        if shutil.which(name, path=self._variables.get("PATH")):
            return NOTHING
        fact = f"the program {name} is not on PATH"
        near = get_close_matches(name, self._programs, 1, MIN_SHORT_SIMILARITY)
        if near:
            return Diagnosis(f"{fact}; {near[0]} is")
        is_doubtful = EXPECTS_LACK.search(name) or self._is_doubtful(case)
        return Diagnosis(fact, self._is_written(case, name) and not is_doubtful)

    # --- evidence --------------------------------------------------------------------------

    @property
    def _variables(self) -> Mapping[str, str]:
        """The environment variables before any test could change them."""
        return self._launch.environment or os.environ

    def _may_start_server(self, case: Case) -> bool:
        """Return whether the code or the test may start the server itself."""
        return any(STARTS_SERVER.search(self._sources(path)) for path in self._files_of(case))

    def _is_doubtful(self, case: Case) -> bool:
        """Return whether the test may expect a failure, or runs code that has changed."""
        failure = case.cause.first
        _, _, name = failure.nodeid.partition("::")
        if EXPECTS_LACK.search(name.partition("[")[0]) or "raises(" in _test_source(failure):
            return True
        return self._runs_changed_code(case)

    def _runs_changed_code(self, case: Case) -> bool:
        """Return whether uncommitted code runs, unless the test fails without those changes too."""
        if case.breakage.note and case.breakage.total:
            return False
        executed = set(case.scores)
        for outcome in case.replay.failing[:1]:
            for path, imported in outcome.imported.items():
                executed.update((path, number) for number in imported)
        for path, numbers in self._changed.items():
            if path in self._conventions.files:
                continue
            # Without a second run it is not known which code was imported.
            if path.endswith(CONFIGURATION_SUFFIXES) or (
                not case.replay.failing and path.endswith(".py")
            ):
                return True
            if any((path, number) in executed for number in numbers):
                return True
        return False

    @cached_property
    def _programs(self) -> list[str]:
        """The names of the programs on PATH."""
        names: set[str] = set()
        for folder in self._variables.get("PATH", "").split(os.pathsep):
            with contextlib.suppress(OSError):
                names.update(file.name for file in Path(folder).iterdir())
        return sorted(names)

    @cached_property
    def _changed(self) -> ChangedLines:
        """The uncommitted lines; of untracked files, only those of Python files."""
        changed = dict(self._history.changed_lines())
        for path, lines in self._history.changed_lines(untracked=True).items():
            if path.endswith(".py"):
                changed.setdefault(path, lines)
        return changed

    def _is_written(self, case: Case, text: str) -> bool:
        """Return whether code, configuration or the environment contains a name as it is.

        Otherwise the code has built it, and may be wrong.
        """
        whole = re.compile(rf"(?<![\w.-]){re.escape(text)}(?![\w-])")
        if any(whole.search(self._sources(path)) for path in self._files_of(case)):
            return True
        if any(whole.search(value) for value in self._variables.values()):
            return True
        return any(whole.search(content) for content in self._configuration)

    def _files_of(self, case: Case) -> list[str]:
        """Return the files of the tests of a case and of the code that they run."""
        paths = dict.fromkeys(self._test_files(case))
        paths |= dict.fromkeys(frame.path for frame in case.cause.first.frames)
        paths |= dict.fromkeys(path for path, _ in case.scores)
        for outcome in case.replay.failing[:1]:
            # The files of other tests were collected with it.
            imported = [path for path in outcome.imported if path not in self._conventions.files]
            paths |= dict.fromkeys(imported)
        return list(paths)[:MAX_FILES]

    def _test_files(self, case: Case) -> Iterator[str]:
        """Yield the file of the test and all conftest files."""
        for frame in case.cause.first.frames[:1]:
            yield frame.path
        for path in sorted(self._conventions.files):
            if path.endswith("conftest.py"):
                yield path

    @cached_property
    def _configuration(self) -> list[str]:
        """The texts of configuration files at the top of the project."""
        texts = []
        for folder in dict.fromkeys((self._launch.root, self._launch.project.repository)):
            for file in sorted(folder.iterdir()):
                if file.suffix in CONFIGURATION_SUFFIXES or file.name.startswith(".env"):
                    texts.append(self._sources(self._launch.project.path_of(str(file))))
        return texts

    def _env_file_with(self, name: str) -> str:
        """Return the `.env` file that defines a variable; empty if there is none."""
        line = re.compile(rf"^(export )?{re.escape(name)}\s*=", re.MULTILINE)
        for file in sorted(self._launch.root.glob(".env*")):
            if line.search(self._sources(file.name)):
                return file.name
        return ""


def _without_verdict(case: Case) -> Case:
    """Return the case without a verdict that no change is to blame.

    The sandbox may have no network, so the test may fail there whatever is undone.
    """
    breakage = case.breakage
    if breakage.pieces or not breakage.note or not breakage.total:
        return case
    return replace(case, breakage=replace(breakage, note=NO_CHANGE_NAMED, total=0))


def _set_variables(text: str) -> list[str]:
    """Return the names of the environment variables that code sets."""
    return [match[1] or match[2] for match in SETS_VARIABLE.finditer(text)]


def _allows_outside_cause(case: Case) -> bool:
    """Return whether undoing changes leaves room for a cause outside the code."""
    for piece in case.breakage.pieces:
        is_deleted_data = piece.whole and piece.is_deletion and not piece.path.endswith(".py")
        if not is_deleted_data:
            return False
    return True


def _test_source(failure: Failure) -> str:
    return failure.frames[0].source if failure.frames else ""


def _definition_of_test(failure: Failure) -> tuple[str, int]:
    """Return the file and the line of the test's `def`, which comes after its decorators."""
    if not failure.frames:
        return "", 0
    frame = failure.frames[0]
    lines = frame.source.split("\n")
    for index, line in enumerate(lines):
        if line.lstrip().startswith(("def ", "async def ")):
            return frame.path, frame.first_line + index
    return frame.path, frame.first_line


def _with_fact(cause: Cause, fact: str) -> Cause:
    missing = cause.first.missing
    facts = cause.first.facts
    if missing is not None and missing.kind == "module":
        # The module that was meant is known, so a similar name would mislead.
        facts = tuple(each for each in facts if not each.startswith("the nearest module"))
    first = replace(cause.first, facts=(fact, *facts))
    return replace(cause, failures=(first, *cause.failures[1:]))
