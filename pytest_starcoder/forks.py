"""Forks this process without the warning of newer Pythons."""

from __future__ import annotations

import os
import warnings


def fork() -> int:
    """Fork like `os.fork`, also where threads run and warnings are errors.

    Python 3.12 and later warn of a fork in a process with threads, because the child may
    deadlock on a lock that another thread holds. Our children run Python code of one thread,
    and whoever starts them gives them a deadline. Only for processes of our own: other
    threads that warn meanwhile would miss that one warning.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        return os.fork()
