"""Measures what the background hook adds to a commit, compared with a hook that does nothing.

Both are run by the real pre-commit, each in its own repository, with commits in turns.
`python -m benchmarks.background [--pairs N]`
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.published import Outcome, Row, options, publish, wall_time
from benchmarks.review import git, listening, repository
from benchmarks.runs import median
from pytest_starcoder.report.bar_chart import Bars

CONFIG = """
default_install_hook_types: [post-commit]
repos:
  - repo: local
    hooks:
      - id: hook
        name: hook
        entry: {entry}
        language: unsupported
        always_run: true
        pass_filenames: false
        stages: [post-commit]
"""


ENTRIES = {
    "nothing": f"{sys.executable} -c pass",
    "review": f"{Path(sys.executable).parent / 'starcoder-review'} --background",
}
"""The commands of the two hooks."""


def commit(folder: Path, number: int, environment: dict[str, str]) -> float:
    """Return the seconds of one commit."""
    (folder / "shop.py").write_text(f"def total(xs):\n    return {number} * sum(xs)\n")
    git(folder, "add", "-A")
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.com")
    command = ["git", *identity, "commit", "-qm", "more"]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def is_waiting(folder: Path) -> bool:
    """Return whether a commit is still waiting for a review."""
    queue = folder / ".git/starcoder/background/queue"
    return queue.exists() and any(queue.iterdir())


def environment_for(temporary: str, url: str) -> dict[str, str]:
    # Installed modules are compiled, so compile the hook's modules too.
    removed = ("STARCODER_", "OLLAMA_", "GIT_", "PYTHONDONTWRITEBYTECODE")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(removed)}
    return variables | {
        "OLLAMA_HOST": url,
        "PRE_COMMIT_HOME": f"{temporary}/pre-commit",
        "PATH": f"{Path(sys.executable).parent}:{variables['PATH']}",
    }


def install(folder: Path, entry: str, environment: dict[str, str]) -> Path:
    """Make a repository with the hook, and commit once to warm it up."""
    repository(folder)
    (folder / ".pre-commit-config.yaml").write_text(CONFIG.format(entry=entry))
    command = [str(Path(sys.executable).with_name("pre-commit")), "install"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    commit(folder, 0, environment)
    return folder


def measure(folders: dict[str, Path], pairs: int, environment: dict[str, str]) -> dict[str, float]:
    """Return the median seconds of a commit in each repository."""
    times: dict[str, list[float]] = {name: [] for name in folders}
    for number in range(1, pairs + 1):
        for name in list(folders)[:: 1 if number % 2 else -1]:
            times[name].append(commit(folders[name], number, environment))
            # The work in the background is no part of the next commit.
            while name == "review" and is_waiting(folders[name]):
                time.sleep(0.02)
            time.sleep(0.3)
    return {name: median(seconds) for name, seconds in times.items()}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary, listening() as listener:
        environment = environment_for(temporary, listener.url)
        folders = {}
        for name, entry in ENTRIES.items():
            folders[name] = install(Path(temporary) / name, entry, environment)
        medians = measure(folders, arguments.pairs, environment)
        requests = len(listener.generated())
        shutil.rmtree(temporary, ignore_errors=True)
    nothing, review = medians["nothing"], medians["review"]
    rows = [
        Row("a commit with a hook that does nothing, median s", f"{nothing:.3f}"),
        Row("a commit with the background hook, median s", f"{review:.3f}"),
        Row(f"ratio of the medians, {arguments.pairs} pairs", f"{review / nothing:.3f}", "<= 1.1"),
        Row("requests in the background", str(requests), "> 0"),
        wall_time(started),
    ]
    chart = Bars(
        "A commit with one pre-commit hook",
        f"milliseconds, median of {arguments.pairs} interleaved commits",
        ("ms",),
        (
            ("a hook that does nothing", (round(nothing * 1000),)),
            ("starcoder-review --background", (round(review * 1000),)),
        ),
        highlighted=frozenset({"starcoder-review --background"}),
    )
    publish(Outcome("background", rows, [chart]), arguments)


if __name__ == "__main__":
    main()
