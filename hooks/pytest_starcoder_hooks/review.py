"""`starcoder-review`, the command behind the hooks of `.pre-commit-hooks.yaml`."""

from __future__ import annotations

import os
import sys


def main(argv: list[str] | None = None) -> int:
    """0: nothing stops the commit; 1: a finding does; 2: misuse; 3: a model is required and away; 130: interrupted."""
    arguments = argv
    if arguments is None:
        try:
            here = os.path.realpath(os.curdir)
        except OSError:
            print("starcoder-review: The current folder is not there any more. Go into another.", file=sys.stderr)
            return 2
        _import_from_elsewhere(here)
        arguments = sys.argv[1:]
    if arguments == ["--background"]:
        return in_background()
    from pytest_starcoder.commands import alone, review

    if "--background" in arguments:  # no change to look up meanwhile
        return alone(review, "starcoder-review", arguments)
    from pytest_starcoder.commit.ahead import Ahead

    with Ahead("pytest_starcoder.commit.find", "find", ("git", "unidiff.patch")) as find:
        return alone(review, "starcoder-review", arguments, find=find)


def in_background() -> int:
    """Run the background review without the cost of parsing options."""
    from pytest_starcoder.commit import background
    from pytest_starcoder.errors import ConfigError

    try:
        return background.run({})
    except ConfigError as exc:
        print(f"starcoder-review: {exc}", file=sys.stderr)
        return 2


def _import_from_elsewhere(here: str) -> None:
    """Remove the repository around `here` from `sys.path`: `python -m` or PYTHONPATH may have added it.

    Such entries come before the standard library; those after it are installed.
    """
    installed_in = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    library = os.path.dirname(os.path.realpath(os.__file__))
    top = os.path.join(_top(here), "")
    folders = [os.path.realpath(entry) for entry in sys.path]
    front = folders.index(library) if library in folders else len(folders)
    safe = sys.path[front:]
    for entry, folder in reversed([*zip(sys.path[:front], folders, strict=False)]):
        if folder == installed_in or not os.path.join(folder, "").startswith(top):
            safe.insert(0, entry)
    sys.path[:] = safe
    from pytest_starcoder import interpreter

    interpreter.leave_repository()


def _top(here: str) -> str:
    """Return the nearest folder from `here` upwards that holds a `.git`, else `here`."""
    folder = here
    while not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return here
        folder = above
    return folder


if __name__ == "__main__":
    raise SystemExit(main())
