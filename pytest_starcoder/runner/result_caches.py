"""Finds function caches, which keep later calls from executing code."""

from __future__ import annotations

import functools
import gc
import inspect
from types import CodeType
from typing import Any

from pytest_starcoder.source.project import Project


def project_caches(project: Project, *, of_arguments: bool = False) -> list[Any]:
    """Return all `functools.cache` objects of the project's functions.

    With `of_arguments`, only those of functions with arguments: the others hold objects
    that should exist only once, such as settings or a connection.
    """
    caches = []
    for candidate in gc.get_objects():
        if type(candidate) is not functools._lru_cache_wrapper:
            continue
        function = getattr(candidate, "__wrapped__", None)
        code = getattr(function, "__code__", None)
        if code is None or not project.holds(code.co_filename):
            continue
        if not of_arguments or _has_arguments(code):
            caches.append(candidate)
    return caches


def _has_arguments(code: CodeType) -> bool:
    count = code.co_argcount + code.co_kwonlyargcount
    names = {*code.co_varnames[:count]} - {"self", "cls"}
    return bool(names) or bool(code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS))
