"""`starcoder-review`, the command behind the hooks of `.pre-commit-hooks.yaml`."""

from __future__ import annotations

import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Return the exit status of `pytest_starcoder.cli.review`, or 130 if interrupted."""
    arguments = argv
    if arguments is None:
        try:
            os.getcwd()
        except OSError:
            message = "The current folder is not there any more. Go into another."
            print(f"starcoder-review: {message}", file=sys.stderr)
            return 2
        _import_from_elsewhere()
        arguments = sys.argv[1:]
    if arguments == ["--background"]:
        return run_background()
    from pytest_starcoder.cli import review, run_alone

    if "--background" in arguments:  # there is no change to select meanwhile
        return run_alone(review, "starcoder-review", arguments)
    from pytest_starcoder.review.forked_call import ForkedCall

    module, preloaded = "pytest_starcoder.review.change_selection", ("git", "unidiff.patch")
    with ForkedCall(module, "select_change", preloaded) as selection:
        return run_alone(review, "starcoder-review", arguments, selection=selection)


def run_background() -> int:
    """Run the background review without the cost of parsing options."""
    from pytest_starcoder.errors import ConfigError
    from pytest_starcoder.review import background_hook

    try:
        return background_hook.run({})
    except ConfigError as exc:
        print(f"starcoder-review: {exc}", file=sys.stderr)
        return 2


def _import_from_elsewhere() -> None:
    """Remove the repository from `sys.path`: `python -m` or PYTHONPATH may have added it."""
    installed_in = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    library = os.path.dirname(os.path.realpath(os.__file__))
    path = sys.path[:]
    folders = [os.path.realpath(entry) for entry in path]
    front = folders.index(library)  # entries after the standard library are installed
    sys.path[:] = [*(folder for folder in folders[:front] if folder == installed_in), *path[front:]]
    from pytest_starcoder import interpreter

    sys.path[:] = path
    interpreter.leave_repository()


if __name__ == "__main__":
    raise SystemExit(main())
