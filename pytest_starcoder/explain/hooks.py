"""Calls of the hooks by which conftest files and other plugins take part in explanations.

Their specifications are in `plugin.StarcoderHooks`. A hook that raises is named
in the report and ignored.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pytest_starcoder.text.display import one_line

if TYPE_CHECKING:
    from pytest_starcoder.explain.explanation import Explanation
    from pytest_starcoder.explain.failure import Failure
    from pytest_starcoder.redaction.redactor import Redactor

MAX_EVIDENCE = 2000
"""Maximum characters of one text of evidence."""

PREFIX = "pytest_"
"""Prefix of our hook names. The deprecated names without it work until version 1.0."""


class PluginManager(Protocol):
    """The part of pytest's plugin manager that is used here."""

    @property
    def hook(self) -> Any: ...

    def list_name_plugin(self) -> list[tuple[str, Any]]: ...

    def subset_hook_caller(self, name: str, remove_plugins: Any) -> Any: ...


class Implementation(NamedTuple):
    """A hook as one plugin implements it; `label` names both for a message."""

    label: str
    call: Callable[..., Any]


class PluginHooks:
    """The hooks of the plugins of one session; `complain` gets a sentence for each that fails."""

    def __init__(self, plugins: PluginManager, complain: Callable[[str], None]) -> None:
        self._plugins = plugins
        self._complain = complain
        self._redacting: list[Implementation] | None = None
        # By identity, since plugins may not be hashable. Holding them keeps ids unique.
        self._old_names: dict[tuple[int, str], tuple[object, bool]] = {}
        self._redactor: Redactor | None = None

    def collect_evidence(self, item: object, path: Path, failure: Failure) -> tuple[str, ...]:
        """Return what the plugins know of a failure of `item`, a test in the file `path`."""
        evidence: list[str] = []
        for hook in self._implementations("pytest_starcoder_evidence", path):
            result = self._call(hook, item=item, failure=failure)
            texts = result if isinstance(result, list | tuple) else [result]
            for text in texts:
                # A hook may return anything; only texts are evidence.
                if isinstance(text, str) and text.strip():
                    evidence.append(str(text)[:MAX_EVIDENCE])
        return tuple(evidence)

    def report_explanation(self, explanation: Explanation) -> None:
        """Pass an explanation to the plugins."""
        for hook in self._implementations("pytest_starcoder_explained"):
            self._call(hook, explanation=explanation)

    def redact(self, text: str) -> str:
        """Return `text` without secrets: first those of the plugins, then those we know."""
        for hook in self._redact_hooks():
            result = self._call(hook, text=text)
            if isinstance(result, str):
                text = result
        return self.redactor.redact(text)

    @property
    def redacts(self) -> bool:
        """True if a plugin redacts."""
        return bool(self._redact_hooks())

    @property
    def redactor(self) -> Redactor:
        """The redactor of this run, which knows the secrets of the environment and of failures."""
        if self._redactor is None:
            from pytest_starcoder.redaction.redactor import Redactor

            self._redactor = Redactor.from_environment()
        return self._redactor

    @property
    def has_redactor(self) -> bool:
        """True if `redactor` has been used."""
        return self._redactor is not None

    def _redact_hooks(self) -> list[Implementation]:
        if self._redacting is None:
            self._redacting = list(self._implementations("pytest_starcoder_redact"))
        return self._redacting

    def _implementations(self, name: str, path: Path | None = None) -> Iterator[Implementation]:
        """Yield a hook once for each plugin; only from conftest files above `path`, if given.

        Each plugin is called by itself, so that one that raises does not stop the others.
        """
        # One call for all would end at the first error, and could not chain redactions.
        caller = getattr(self._plugins.hook, name)
        old_name = name.removeprefix(PREFIX)
        plugins = [implementation.plugin for implementation in caller.get_hookimpls()]
        for plugin_name, plugin in self._plugins.list_name_plugin():
            # By identity, because a plugin may define equality.
            rest = [another for another in plugins if another is not plugin]
            is_new = len(rest) < len(plugins)
            # Most plugins have no hook of ours, which is known without looking at the path.
            if not (is_new or self._has_old_name(plugin, old_name)) or not _applies(plugin, path):
                continue
            if is_new:
                call = self._plugins.subset_hook_caller(name, rest)
                yield Implementation(f"{name} of {one_line(plugin_name)}", call)
            else:
                yield self._deprecated(old_name, plugin_name, plugin)

    def _has_old_name(self, plugin: object, name: str) -> bool:
        """Return whether a plugin has a function with the old name of a hook."""
        key = id(plugin), name
        if key not in self._old_names:
            # Statically, because a plugin may create any attribute on access.
            is_function = inspect.isroutine(inspect.getattr_static(plugin, name, None))
            self._old_names[key] = plugin, is_function
        return self._old_names[key][1]

    def _deprecated(self, name: str, plugin_name: str, plugin: Any) -> Implementation:
        """Return the function of a plugin that has the old name of a hook, unknown to pluggy."""
        label = f"{name} of {one_line(plugin_name)}"
        self._complain(f"{label} has a deprecated name; rename it to {PREFIX}{name}.")
        function = getattr(plugin, name)

        def call(**arguments: object) -> list[Any]:
            # Like pytest, pass only the arguments that the function names.
            accepted = inspect.signature(function).parameters
            values = {key: value for key, value in arguments.items() if key in accepted}
            return [function(**values)]

        return Implementation(label, call)

    def _call(self, hook: Implementation, **arguments: object) -> Any:
        """Return the result of a hook, or None if it raises."""
        try:
            results = hook.call(**arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # noqa: BLE001 - a hook may even call pytest.skip
            error = one_line(traceback.format_exception_only(exc)[-1])
            self._complain(f"{hook.label} raised {error}; it is ignored.")
            return None
        return results[0] if results else None


def _applies(plugin: Any, path: Path | None) -> bool:
    """Return whether a plugin is for tests in `path`: a conftest file is for those beside it."""
    file = Path(getattr(plugin, "__file__", None) or "")
    # Like `item.ihook` of pytest.
    if path is None or file.name != "conftest.py":
        return True
    return path.is_relative_to(file.parent)
