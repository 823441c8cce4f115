"""Runs the `starcoder` command as `python -m pytest_starcoder`."""

from pytest_starcoder import interpreter

if __name__ == "__main__":
    # `-m` puts the current folder first on the path: a project's `requests.py` must not be ours.
    interpreter.leave_repository()
    from pytest_starcoder.cli import main

    raise SystemExit(main())
