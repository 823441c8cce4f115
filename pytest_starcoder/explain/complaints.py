"""Errors that occurred while failures were explained."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator

from pytest_starcoder.text.display import one_line


class Complaints:
    """Collects sentences on errors, each once; they are printed below the section."""

    def __init__(self) -> None:
        self._texts: dict[str, None] = {}

    def add(self, text: str) -> None:
        self._texts[text] = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __bool__(self) -> bool:
        return bool(self._texts)

    @contextlib.contextmanager
    def contain(self, subject: str) -> Iterator[None]:
        """Turn any error inside into a complaint that `subject` could not be explained."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # noqa: BLE001 - a user's repr can even call pytest.skip
            try:
                # Unlike str(exc), this does not run a user's broken `__str__`.
                error = one_line(traceback.format_exception_only(exc)[-1])
            except Exception:  # noqa: BLE001 - a test may have patched what this needs
                error = type(exc).__name__
            self.add(f"{one_line(subject)} could not be explained ({error}).")
