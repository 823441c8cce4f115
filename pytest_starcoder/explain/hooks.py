"""What other plugins add: functions of these names in a conftest.py or an installed pytest plugin.

    starcoder_evidence(item, failure)   a text or several on what else is known, where the test has just run
    starcoder_redact(text)              the text without what nobody may see, before it is sent, kept or reported
    starcoder_explained(explanation)    told every explanation, once it is there

Each takes those of its arguments that it names, and may return None. One that
raises is named in the report and ignored. pytest itself knows no hooks but
those that begin with `pytest_`, so they are found by their names.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_starcoder.text.display import one_line

if TYPE_CHECKING:
    from pytest_starcoder.explain.explanation import Explanation
    from pytest_starcoder.explain.failure import Failure
    from pytest_starcoder.redaction.redactor import Redactor

EXTRA = 2000
"""Characters of one text of evidence that are kept."""


class Others:
    """The functions of the plugins of one session; `complain` is told of those that raise."""

    def __init__(self, config: pytest.Config, complain: Callable[[str], None]) -> None:
        self._config = config
        self._complain = complain
        self._redactors: list[tuple[str, Callable[..., Any]]] | None = None
        self._redactor: Redactor | None = None

    def evidence(self, item: pytest.Item, failure: Failure) -> tuple[str, ...]:
        """What the plugins know of `failure`, each text on its own."""
        found: list[str] = []
        for name, function in self._functions("starcoder_evidence", item.path):
            told = self._called(name, function, item=item, failure=failure)
            texts = told if isinstance(told, list | tuple) else [told]
            found += [str(text)[:EXTRA] for text in texts if isinstance(text, str) and text.strip()]
        return tuple(found)

    @property
    def redactor(self) -> Redactor:
        """The redactor of this run: knows the environment's secrets and those of all texts it saw."""
        if self._redactor is None:
            from pytest_starcoder.redaction.redactor import Redactor

            self._redactor = Redactor.from_environment()
        return self._redactor

    @property
    def has_redacted(self) -> bool:
        """Whether `redactor` has been used yet."""
        return self._redactor is not None

    @property
    def redact_too(self) -> bool:
        """Whether any plugin redacts."""
        return bool(self._redact())

    def redact(self, text: str) -> str:
        """`text` without secrets: what the plugins take out of it, and then what we do."""
        for name, function in self._redact():
            changed = self._called(name, function, text=text)
            text = changed if isinstance(changed, str) else text
        return self.redactor.redact(text)

    def explained(self, explanation: Explanation) -> None:
        """Tells the plugins."""
        for name, function in self._functions("starcoder_explained"):
            self._called(name, function, explanation=explanation)

    def _redact(self) -> list[tuple[str, Callable[..., Any]]]:
        if self._redactors is None:
            self._redactors = list(self._functions("starcoder_redact"))
        return self._redactors

    def _functions(
        self, hook: str, path: Path | None = None
    ) -> Iterator[tuple[str, Callable[..., Any]]]:
        """The functions of that name, and of which plugin; of conftest files those in a folder above `path`."""
        for name, plugin in self._config.pluginmanager.list_name_plugin():
            function = inspect.getattr_static(plugin, hook, None) if plugin is not None else None
            if not inspect.isroutine(function):
                continue
            own = Path(getattr(plugin, "__file__", None) or "")
            if path is None or own.name != "conftest.py" or path.is_relative_to(own.parent):
                yield f"{hook} of {one_line(name)}", getattr(plugin, hook)

    def _called(self, name: str, function: Callable[..., Any], **given: object) -> Any:
        """What a function returns, None where it raises."""
        try:
            wanted = inspect.signature(function).parameters
            return function(**{key: value for key, value in given.items() if key in wanted})
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # noqa: BLE001 - somebody's hook may even call pytest.skip
            self._complain(
                f"{name} raised {one_line(traceback.format_exception_only(exc)[-1])}; it is ignored."
            )
            return None
