"""A function in a process of its own, which imports what it needs while this one imports other things.

Half of the time before a model is asked goes into importing what reads git, the
other half into importing what asks; neither needs the other.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any, BinaryIO

from pytest_starcoder.runner.forks import fork


class ForkedCall:
    """The function `name` of `module`, for one call; what it takes, returns and raises can be pickled.

    `needed` are modules that it imports only when it is called.
    Its process is there as long as the block of a `with` statement. Where no process
    can be forked safely, it is called in this one.
    """

    def __init__(self, module: str, name: str, needed: Sequence[str] = ()) -> None:
        self._module = module
        self._needed = needed
        self._name = name
        self._pipes: tuple[BinaryIO, BinaryIO] | None = None
        self._argument: Any = None

    def __enter__(self) -> ForkedCall:
        # Other threads would not be there in the child, but what they have locked would be.
        if hasattr(os, "fork") and sys.platform != "darwin" and threading.active_count() == 1:
            (asked, ask), (told, tell) = os.pipe(), os.pipe()
            self._pid = fork()
            if not self._pid:
                os.close(ask)
                os.close(told)
                self._serve(os.fdopen(asked, "rb"), os.fdopen(tell, "wb"))
            os.close(asked)
            os.close(tell)
            self._pipes = os.fdopen(ask, "wb"), os.fdopen(told, "rb")
        return self

    def __exit__(self, *_: object) -> None:
        if self._pipes is not None:
            for pipe in self._pipes:
                pipe.close()
            os.waitpid(self._pid, 0)

    def begin(self, argument: Any) -> None:
        """Calls the function; to be done once."""
        self._argument = argument
        if self._pipes is not None:
            import pickle

            pickle.dump(argument, self._pipes[0])
            self._pipes[0].flush()

    def value(self) -> Any:
        """What the function has returned; raises what it raised."""
        if self._pipes is None:
            return getattr(import_module(self._module), self._name)(self._argument)
        import pickle

        raised, value = pickle.load(self._pipes[1])
        if raised:
            raise value
        return value

    def _serve(self, asked: BinaryIO, tell: BinaryIO) -> None:
        """The child: imports, waits for the argument, answers and ends without a word."""
        try:
            import pickle

            with contextlib.suppress(ImportError):  # the function itself says what is missing
                for needed in self._needed:
                    import_module(needed)
            function = getattr(import_module(self._module), self._name)
            try:
                told = pickle.dumps((False, function(pickle.load(asked))))
            except EOFError:
                return  # nobody has asked
            except Exception as exc:  # noqa: BLE001 - whoever asked raises it
                told = pickle.dumps((True, exc))
            tell.write(told)
            tell.flush()
        finally:
            os._exit(0)
