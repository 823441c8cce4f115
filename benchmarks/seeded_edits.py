"""Measures how well the faulty line is found in real libraries with one small edit each.

The libraries are source distributions whose tests need only pytest; pip downloads them with the
user's own configuration. Each edit (benchmarks/edits.py) is at a random place, spread over modules
and kinds by a fixed seed, in its own copy without a repository. An edit counts only if the suite,
which passed before, still ends in time and collects, and some test fails. benchmarks/ranking.py
describes the measured figures and the baselines.

With `--keep`, the folder keeps the distributions, the edited projects and truth.json: {name: {path,
line, kind, before, after, run, env, seed}}, where `run` and `env` are what pytest needs to run the
project. A second run downloads nothing and measures the projects in the folder.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.edits import Change, Edit, changes
from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.ranking import LIMIT, cases, chart, measure, pytest_ended, rows

NOT_LIBRARY = ("test", "sandbox", "_version", "_compat", "_winconsole", "__main__")
"""Prefixes of files and folders that are tests, generated, or for another platform."""

Truth = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Distribution:
    """A source distribution: its library, the folders of its tests, and how to run them."""

    name: str
    version: str
    library: str
    root: str = "."
    arguments: tuple[str, ...] = ()


DISTRIBUTIONS = (
    Distribution("boltons", "26.2.0", "boltons"),
    Distribution("mistune", "3.1.4", "src/mistune", "src"),
    Distribution("tabulate", "0.9.0", "tabulate"),
    Distribution("toolz", "1.0.0", "toolz"),
    Distribution(
        "click", "8.3.1", "src/click", "src", ("-W", "ignore::pytest.PytestRemovedIn10Warning")
    ),
)


def unpacked(distribution: Distribution, keep: Path) -> Path:
    """Return the folder of the unpacked distribution; download it if it is missing."""
    folder = keep / "unpacked" / f"{distribution.name}-{distribution.version}"
    if folder.is_dir():
        return folder
    wanted = f"{distribution.name}=={distribution.version}"
    with tempfile.TemporaryDirectory(dir=keep) as scratch:
        download = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--dest",
            scratch,
        ]
        subprocess.run([*download, "--no-deps", "--no-binary", ":all:", wanted], check=True)
        (archive,) = Path(scratch).glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data")
        (inside,) = (path for path in Path(scratch).iterdir() if path.is_dir())
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(inside, folder)
    return folder


def environment(project: Path, distribution: Distribution) -> dict[str, str]:
    """Return variables with which the copy is imported, not an installed package."""
    return {
        "PYTHONPATH": str((project / distribution.root).resolve()),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def lay_out(distribution: Distribution, count: int, seed: int, keep: Path) -> Truth:
    """Seed `count` edits that some test notices, in projects below `keep`; return the truth."""
    pristine = unpacked(distribution, keep)
    truth: Truth = {}
    with contextlib.ExitStack() as stack:
        project = (
            Path(stack.enter_context(tempfile.TemporaryDirectory(dir=keep))) / distribution.name
        )
        shutil.copytree(pristine, project)
        chance = random.Random(f"{seed} {distribution.name}")
        edits = stack.enter_context(contextlib.closing(noticed(distribution, project, chance)))
        for path, edit in itertools.islice(edits, count):
            name = f"{distribution.name}-{len(truth) + 1:02d}"
            shutil.rmtree(keep / name, ignore_errors=True)
            shutil.copytree(project, keep / name)
            truth[name] = {
                "path": path.as_posix(),
                "line": edit.line,
                "kind": edit.kind,
                "before": edit.before,
                "after": edit.after,
                "run": list(distribution.arguments),
                "env": environment(keep / name, distribution),
                "seed": seed,
            }
    return truth


def noticed(
    distribution: Distribution, project: Path, chance: random.Random
) -> Generator[tuple[Path, Edit], None, None]:
    """Edits that some test notices, with their files; while one is out, it stands in the project.

    Raises SystemExit where the suite is not green without any.
    """
    arguments = ["-q", "--tb=no", "-p", "no:starcoder", *distribution.arguments]
    env = environment(project, distribution)
    green = pytest_ended(project, arguments, env)
    if green is None or green.status != 0:
        raise SystemExit(
            f"{distribution.name} {distribution.version} is not green here:\n"
            f"{green and green.output}"
        )
    tried = found = 0
    for path, change in places(project / distribution.library, chance):
        edit = change.made(path.read_text(encoding="utf-8"))
        if edit is None:
            continue
        with _edited(path, edit.source):
            suite = pytest_ended(project, arguments, env, min(10 + 3 * green.seconds, LIMIT))
            fails = suite is not None and suite.status == 1
            tried, found = tried + 1, found + fails
            print(
                f"{distribution.name}: {found} of {tried} edits noticed",
                file=sys.stderr,
                flush=True,
            )
            if fails:
                yield path.relative_to(project), edit


@contextlib.contextmanager
def _edited(path: Path, source: str) -> Iterator[None]:
    before = path.read_bytes()
    path.write_text(source, encoding="utf-8")
    try:
        yield
    finally:
        path.write_bytes(before)


def places(library: Path, chance: random.Random) -> Iterator[tuple[Path, Change]]:
    """Yield changes in random order: modules take turns, and all kinds are equally likely."""
    left = {
        path: _by_kind(path)
        for path in sorted(library.rglob("*.py"))
        if _is_code(path.relative_to(library))
    }
    while left := {path: kinds for path, kinds in left.items() if kinds}:
        for path in chance.sample(list(left), len(left)):
            kinds = left[path]
            kind = chance.choice(sorted(kinds))
            change = kinds[kind].pop(chance.randrange(len(kinds[kind])))
            if not kinds[kind]:
                del kinds[kind]
            yield path, change


def _is_code(path: Path) -> bool:
    return not any(part.startswith(NOT_LIBRARY) for part in path.parts)


def _by_kind(path: Path) -> dict[str, list[Change]]:
    kinds: dict[str, list[Change]] = {}
    for change in changes(path.read_text(encoding="utf-8")):
        kinds.setdefault(change.kind, []).append(change)
    return kinds


def laid_out(wanted: list[Distribution], count: int, seed: int, keep: Path) -> Truth:
    """Return the truth on `count` edits of each distribution; existing ones are kept."""
    kept = keep / "truth.json"
    truth: Truth = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    chosen: Truth = {}
    for distribution in wanted:
        own = {name: row for name, row in truth.items() if name.startswith(f"{distribution.name}-")}
        if len(own) < count or any(
            row["seed"] != seed or not (keep / name).is_dir() for name, row in own.items()
        ):
            own = lay_out(distribution, count, seed, keep)
            truth |= own
            kept.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
        chosen |= dict(list(own.items())[:count])
    return chosen


def measure_all(wanted: list[Distribution], truth: Truth, keep: Path, limit: int | None) -> Outcome:
    """The figures of each distribution and of all, from `limit` edits of each at the most."""
    told, charts, everything, left_out = [], [], [], 0
    for distribution in wanted:
        waiting = [
            case for case in cases(keep, truth) if case.name.startswith(f"{distribution.name}-")
        ][:limit]
        found = measure(waiting)
        name = f"{distribution.name} {distribution.version}"
        told += rows(name, found)
        charts += [chart(name, found)] if found else []
        everything += found
        left_out += len(waiting) - len(found)
    charts += [chart("All", everything)] if len(charts) > 1 else []
    left = Row("left out: a run does not end in time, or no test fails", str(left_out))
    return Outcome("seeded_edits", [*told, *rows("all", everything), left], charts)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--edits", type=int, default=5, help="edits of each distribution (5)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep the downloads and the edited projects"
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", choices=[d.name for d in DISTRIBUTIONS]
    )
    parser.add_argument(
        "--limit", type=int, help="measure the first so many edits of each distribution"
    )
    parser.add_argument("--lay-out", action="store_true", help="only create the edited projects")
    chosen, started = parser.parse_args(), time.perf_counter()
    wanted = [one for one in DISTRIBUTIONS if not chosen.only or one.name in chosen.only]
    with contextlib.ExitStack() as stack:
        keep = (chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))).resolve()
        keep.mkdir(parents=True, exist_ok=True)
        count = min(chosen.edits, chosen.limit or chosen.edits)
        truth = laid_out(wanted, count if chosen.keep is None else chosen.edits, chosen.seed, keep)
        if not chosen.lay_out:
            outcome = measure_all(wanted, truth, keep, chosen.limit)
            publish(replace(outcome, rows=[*outcome.rows, wall_time(started)]), chosen)


if __name__ == "__main__":
    main()
