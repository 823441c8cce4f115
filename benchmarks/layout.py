"""Counts how many folders of today's layout past commits touch.

Each path of a past commit is followed through its renames to the folder that it is in today.
A change that touches four folders or more is hard to review and a sign of a poor layout.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "pytest_starcoder/"
MANY_FOLDERS = 4


def folder_of(path: str) -> str:
    """Return the folder of the package that a path is in; modules at its top share one."""
    folder, slash, _ = path.removeprefix(PACKAGE).partition("/")
    return folder if slash else "the top"


def commits() -> Iterator[list[list[str]]]:
    """Yield the changed paths of every commit, newest first, as rows of `git log --name-status`."""
    command = ["git", "log", "--no-merges", "--format=%x00", "--name-status", "-M30%", "-l0"]
    log = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for commit in log.split("\0")[1:]:
        yield [line.split("\t") for line in commit.splitlines() if line]


def folders_per_commit() -> list[set[str]]:
    """Return the folders of today that each commit of the package changed."""
    today: dict[str, str] = {}
    changes = []
    for rows in commits():
        folders = set()
        renames = {}
        for _status, *paths in rows:
            current = today.get(paths[-1], paths[-1])
            if current.startswith(PACKAGE):
                folders.add(folder_of(current))
            renames[paths[0]] = current
        # Only now: a commit may move a file to a path that it moves another one away from.
        today.update(renames)
        if folders:
            changes.append(folders)
    return changes


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    changes = folders_per_commit()
    sizes = Counter(len(folders) for folders in changes)
    for size, count in sorted(sizes.items()):
        print(f"{size} folder{'s' if size > 1 else ''}: {count} commits")
    many = sum(len(folders) >= MANY_FOLDERS for folders in changes)
    share = many / len(changes)
    print(json.dumps({"commits": len(changes), "many_folders": many, "share": round(share, 3)}))


if __name__ == "__main__":
    main()
