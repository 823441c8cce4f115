"""Calls a function in a forked process, which imports its modules while this one imports others.

Half of the time before the first request goes into importing what reads git, the other half
into importing what asks the model, and neither needs the other (benchmarks/review.py).
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any, BinaryIO

from pytest_starcoder.runner.quiet_fork import fork


class ForkedCall:
    """One call of the function `name` of `module`; arguments and results must be picklable.

    `preloaded` are modules that the function imports late. The process lives as long as the
    block of a `with` statement. If forking is unsafe, the function is called in this process.
    """

    def __init__(self, module: str, name: str, preloaded: Sequence[str] = ()) -> None:
        self._module = module
        self._name = name
        self._preloaded = preloaded
        self._pipes: tuple[BinaryIO, BinaryIO] | None = None
        self._argument: Any = None

    def __enter__(self) -> ForkedCall:
        # System libraries of macOS may crash in a forked process.
        can_fork = hasattr(os, "fork") and sys.platform != "darwin"
        # A child has no other threads, but the locks that they hold.
        if can_fork and threading.active_count() == 1:
            argument_out, argument_in = os.pipe()
            result_out, result_in = os.pipe()
            self._pid = fork()
            if not self._pid:
                os.close(argument_in)
                os.close(result_out)
                self._serve(os.fdopen(argument_out, "rb"), os.fdopen(result_in, "wb"))
            os.close(argument_out)
            os.close(result_in)
            self._pipes = os.fdopen(argument_in, "wb"), os.fdopen(result_out, "rb")
        return self

    def __exit__(self, *_: object) -> None:
        if self._pipes is not None:
            for pipe in self._pipes:
                pipe.close()
            os.waitpid(self._pid, 0)

    def start(self, argument: Any) -> None:
        """Call the function; only once."""
        self._argument = argument
        if self._pipes is not None:
            import pickle

            pickle.dump(argument, self._pipes[0])
            self._pipes[0].flush()

    def result(self) -> Any:
        """Wait for the result, and return or raise it."""
        if self._pipes is None:
            return self._function()(self._argument)
        import pickle

        is_error, value = pickle.load(self._pipes[1])
        if is_error:
            raise value
        return value

    def _function(self) -> Any:
        return getattr(import_module(self._module), self._name)

    def _serve(self, arguments: BinaryIO, results: BinaryIO) -> None:
        """Run the child: import, wait for the argument, send the result, exit silently."""
        try:
            import pickle

            with contextlib.suppress(ImportError):  # the function reports a missing package
                for name in self._preloaded:
                    import_module(name)
            function = self._function()
            try:
                argument = pickle.load(arguments)
                result = pickle.dumps((False, function(argument)))
            except EOFError:
                return  # never called
            except Exception as exc:  # noqa: BLE001 - the parent raises it
                result = pickle.dumps((True, exc))
            results.write(result)
            results.flush()
        finally:
            os._exit(0)
