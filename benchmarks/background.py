"""What the background hook adds to a commit: against a hook that does nothing, both by the real pre-commit.

Two repositories with the same hooks but for what the one is told to run; a
commit in each, by turns. Both environments are built before.
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
from pytest_starcoder.report.bars import Bars

ROOT = Path(__file__).parents[1]

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


def commit(folder: Path, number: int, environment: dict[str, str]) -> float:
    """Seconds of one commit."""
    (folder / "shop.py").write_text(f"def total(xs):\n    return {number} * sum(xs)\n")
    git(folder, "add", "-A")
    command = [
        "git",
        "-c",
        "user.name=n",
        "-c",
        "user.email=n@example.com",
        "commit",
        "-qm",
        "more",
    ]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def waiting(folder: Path) -> bool:
    """Return whether a commit is still waiting for a review."""
    queue = folder / ".git/starcoder/background/queue"
    return queue.exists() and any(queue.iterdir())


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    arguments = parser.parse_args()
    begun = time.perf_counter()
    beside = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as temporary, listening() as listener:
        # Installed modules are compiled, so compile the hook's modules too.
        others = ("STARCODER_", "OLLAMA_", "GIT_", "PYTHONDONTWRITEBYTECODE")
        own = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        environment = own | {
            "OLLAMA_HOST": listener.url,
            "PRE_COMMIT_HOME": f"{temporary}/pre-commit",
            "PATH": f"{beside}:{own['PATH']}",
        }
        folders = {}
        for name, entry in (
            ("nothing", f"{sys.executable} -c pass"),
            ("review", f"{beside / 'starcoder-review'} --background"),
        ):
            folders[name] = repository(Path(temporary) / name)
            (folders[name] / ".pre-commit-config.yaml").write_text(CONFIG.format(entry=entry))
            subprocess.run(
                [beside / "pre-commit", "install"],
                cwd=folders[name],
                env=environment,
                check=True,
                capture_output=True,
            )
            commit(folders[name], 0, environment)
        times: dict[str, list[float]] = {"nothing": [], "review": []}
        for number in range(1, arguments.pairs + 1):
            for name in ("nothing", "review") if number % 2 else ("review", "nothing"):
                times[name].append(commit(folders[name], number, environment))
                # What runs on in the background is no part of the next commit.
                while name == "review" and waiting(folders[name]):
                    time.sleep(0.02)
                time.sleep(0.3)
        asked = len(listener.generated())
        shutil.rmtree(temporary, ignore_errors=True)
    nothing, review = median(times["nothing"]), median(times["review"])
    rows = [
        Row("a commit with a hook that does nothing, median s", f"{nothing:.3f}"),
        Row("a commit with the background hook, median s", f"{review:.3f}"),
        Row(f"ratio of the medians, {arguments.pairs} pairs", f"{review / nothing:.3f}", "<= 1.1"),
        Row("requests in the background", str(asked), "> 0"),
        wall_time(begun),
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
