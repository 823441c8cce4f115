"""Test modules that are no files: source in, pytest items out, with the fixtures and the plugins of their folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SELECTING = ("mark", "lfplugin", "nfplugin", "stepwiseplugin")
"""Plugins that choose among tests, by `-k` and what failed last: a draft was not there to be chosen."""


class Drafted(pytest.Module):
    """A test module at a path where no file needs to be."""

    source = ""

    def _getobj(self) -> ModuleType:
        module = ModuleType(self.path.stem)
        module.__file__ = str(self.path)
        # Dataclasses and their like look their module up by its name.
        sys.modules[module.__name__] = module
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)
        return module


def items_of(session: pytest.Session, path: Path, source: str) -> list[pytest.Item]:
    """The tests of a module with that source, as if it stood at `path`. Raises what importing it raises."""
    module = Drafted.from_parent(_folder(session, path.parent), path=path)
    module.source = source
    items = list(_tests(module))
    manager = session.config.pluginmanager
    selecting = [plugin for name in SELECTING if (plugin := manager.get_plugin(name)) is not None]
    modify = manager.subset_hook_caller("pytest_collection_modifyitems", selecting)
    places = {item: place for place, item in enumerate(items)}
    modify(session=session, config=session.config, items=items)
    return sorted(items, key=lambda item: places.get(item, len(places)))  # may be shuffled


def reach(config: pytest.Config, folder: Path) -> None:
    """What pytest does to `sys.path` for a test module in `folder`, by its import mode."""
    if config.getoption("importmode") == "importlib":
        return
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _folder(session: pytest.Session, folder: Path) -> Any:
    """The collector of a folder: that of the collected tests beside, which knows their fixtures, or a new one."""
    for item in session.items:
        for node in item.listchain():
            if isinstance(node, pytest.Dir | pytest.Package) and node.path == folder:
                return node
    return pytest.Dir.from_parent(session, path=folder)


def _tests(collector: pytest.Collector) -> Iterator[pytest.Item]:
    for node in collector.collect():
        if isinstance(node, pytest.Item):
            yield node
        elif isinstance(node, pytest.Collector):
            yield from _tests(node)
