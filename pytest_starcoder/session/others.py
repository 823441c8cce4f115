"""What other plugins add through our hooks; one that raises is named once and ignored."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_starcoder.text.display import one_line

if TYPE_CHECKING:
    from pytest_starcoder.values import Explanation, Failure

EXTRA = 2000
"""Characters of one plugin's evidence that are kept."""


class Others:
    """The implementations of our hooks in the plugins of one session; `complain` is told of those that raise."""

    def __init__(self, config: pytest.Config, complain: Callable[[str], None]) -> None:
        self._config = config
        self._complain = complain

    def evidence(self, item: pytest.Item, failure: Failure) -> tuple[str, ...]:
        """What the plugins know of `failure`, each text on its own."""
        found: list[str] = []
        for told in self._each(item.ihook.starcoder_evidence, item=item, failure=failure):
            texts = [told] if isinstance(told, str) else told
            found += [str(text)[:EXTRA] for text in texts if str(text).strip()]
        return tuple(found)

    def redact(self, text: str) -> str:
        """`text` without secrets: what the plugins take out of it, and then what we do."""
        for implementation in _implementations(self._config.hook.starcoder_redact):
            changed = self._called(implementation, text=text)
            text = changed if isinstance(changed, str) else text
        from pytest_starcoder.text.redact import redact, secret_values

        return redact(text, secret_values(os.environ))

    def explained(self, explanation: Explanation) -> None:
        """Tells the plugins."""
        for _ in self._each(self._config.hook.starcoder_explained, explanation=explanation):
            pass

    def _each(self, caller: Any, **given: object) -> Iterator[Any]:
        for implementation in _implementations(caller):
            told = self._called(implementation, **given)
            if told is not None:
                yield told

    def _called(self, implementation: Any, **given: object) -> Any:
        """What one implementation returns, None where it raises."""
        try:
            return implementation.function(*(given[name] for name in implementation.argnames))
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # noqa: BLE001 - somebody's hook may even call pytest.skip
            told = one_line(traceback.format_exception_only(exc)[-1])
            name = implementation.function.__name__
            self._complain(f"{name} of {one_line(implementation.plugin_name)} raised {told}; it is ignored.")
            return None


def _implementations(caller: Any) -> list[Any]:
    """In the order in which pluggy calls them: the one that was registered last first."""
    return list(reversed(caller.get_hookimpls()))
