"""Forks this process without the DeprecationWarning of newer Pythons."""

from __future__ import annotations

import os
import warnings


def fork() -> int:
    """Fork like `os.fork`, even if threads are running and warnings are errors.

    Python 3.12 and later warn about forking a process with threads, because the child may
    deadlock on a lock that another thread holds. Our children run single-threaded Python
    code under a deadline. Use it only in our own processes: another thread that warns at
    the same moment would lose this one warning.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        return os.fork()
